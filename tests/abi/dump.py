#!/usr/bin/env python3
"""Writes the ABI of a libgcauth.so with debug information, for abidiff: dump.py LIBGCAUTH.SO OUT

abidw tells all that it finds, which is most of the crate: thousands of Rust types, different at each commit and with
each compiler. What is kept is what a caller can see: the exported functions, and the types of their arguments and results.
The session is opaque to callers, so it is here.
"""

import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

# Where a type refers to others.
REFERENCES = ("type-id", "naming-typedef-id")


def dump(library):
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "all.xml"
        ours = pathlib.Path(directory) / "ours"
        ours.write_text("[suppress_function]\n  symbol_name_not_regexp = ^gc_auth_\n  drop = yes\n")
        subprocess.run(["abidw", "--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--suppressions",
                        str(ours), "--out-file", str(out), library], check=True)
        return ElementTree.parse(out).getroot()


def kept(corpus):
    """The types that the functions need, each before those that refer to it, and the functions."""
    types = {element.get("id"): element for element in corpus.iter() if element.get("id")}
    functions = sorted((element for element in corpus.iter("function-decl") if element.get("elf-symbol-id")),
                       key=lambda element: element.get("elf-symbol-id"))
    needed = {}

    def need(identifier):
        element = types.get(identifier)
        if element is None or identifier in needed:
            return
        if element.tag == "class-decl":
            # What is inside is nobody's business: callers have pointers to it. The name of an optional function says
            # what the function takes.
            element = ElementTree.Element("class-decl", {"name": element.get("name"), "is-struct": "yes",
                                                         "visibility": "default", "is-declaration-only": "yes",
                                                         "id": identifier})
        for part in element.iter():
            for reference in REFERENCES:
                if part.get(reference):
                    need(part.get(reference))
        needed[identifier] = element

    for function in functions:
        if function.find("return") is None:
            sys.exit(f"dump.py: no types for {function.get('name')}: was it compiled with debug information?")
        for part in function.iter():
            if part.get("type-id"):
                need(part.get("type-id"))
    # Numbers of our own: abidw's are different each time.
    numbers = {identifier: f"type-id-{number}" for number, identifier in enumerate(needed, 1)}
    for element in [*needed.values(), *functions]:
        for part in element.iter():
            for name in ("id", *REFERENCES):
                if part.get(name):
                    part.set(name, numbers.get(part.get(name), part.get(name)))
    return [*needed.values(), *functions]


def main():
    library, out = sys.argv[1:]
    found = dump(library)
    names = ("version", "architecture", "soname")
    corpus = ElementTree.Element("abi-corpus", {name: found.get(name) for name in names})
    symbols = ElementTree.SubElement(corpus, "elf-function-symbols")
    symbols.extend(symbol for symbol in found.iter("elf-symbol") if symbol.get("name").startswith("gc_auth_"))
    about = {"address-size": "64", "path": "gcauth", "language": "LANG_Rust"}
    unit = ElementTree.SubElement(corpus, "abi-instr", about)
    unit.extend(kept(found))
    ElementTree.indent(corpus)
    ElementTree.ElementTree(corpus).write(out, encoding="unicode")
    with open(out, "a", encoding="utf-8") as file:
        file.write("\n")


if __name__ == "__main__":
    main()
