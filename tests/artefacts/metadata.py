#!/usr/bin/env python3
"""What Cargo.toml tells cargo-c agrees with what make and CMake build and install: metadata.py LIBGCAUTH.SO"""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
capi = manifest["package"]["metadata"]["capi"]
version = manifest["workspace"]["package"]["version"]

numbers = version.split(".")[: capi["library"]["version_suffix_components"]]
wanted = f"lib{capi['library']['name']}.so.{'.'.join(numbers)}"
dynamic = subprocess.run(["readelf", "-d", sys.argv[1]], stdout=subprocess.PIPE, text=True, check=True).stdout
soname = re.search(r"Library soname: \[(.*)\]", dynamic).group(1)
if soname != wanted:
    sys.exit(f"the SONAME is {soname}, and cargo-c would make it {wanted}")
if soname != f"libgcauth.so.{manifest['package']['metadata']['abi']['soversion']}":
    sys.exit(f"the SONAME is {soname}, and not the soversion of Cargo.toml")

template = (ROOT / "cmake/gcauth.pc.in").read_text()
for key, field in (("name", "Name"), ("description", "Description")):
    if f"\n{field}: {capi['pkgconfig'][key]}\n" not in template:
        sys.exit(f"cmake/gcauth.pc.in has another {field} than {capi['pkgconfig'][key]}")
makefile = (ROOT / "Makefile").read_text()
for asset in capi["install"]["include"]["asset"]:
    if not (ROOT / asset["from"]).is_file() or asset["from"] not in makefile:
        sys.exit(f"{asset['from']} is not what make installs")
if capi["header"]["generation"] or capi["header"]["subdirectory"]:
    sys.exit("cargo-c would make a header of its own, or put it elsewhere")
print(f"cargo-c would make {wanted} too")
