#!/usr/bin/env python3
"""A secret that is given as a raw vector leaves no copy in memory: looks through that of an R that has used one."""

import re
import secrets
import subprocess
import sys

# Here and in R the secret is made of two halves, so that neither program's text holds it.
mask = secrets.token_bytes(40)
secret = secrets.token_hex(20).encode()
masked = bytes(a ^ b for a, b in zip(secret, mask))

SCRIPT = f"""
library(gcauth)
given <- xor(as.raw(strtoi(substring("{mask.hex()}", seq(1, 79, 2), seq(2, 80, 2)), 16L)),
             as.raw(strtoi(substring("{masked.hex()}", seq(1, 79, 2), seq(2, 80, 2)), 16L)))
session <- gc_session("{{}}", token = "abc")
USE
if (WIPE) for (i in seq_along(given)) given[i] <- as.raw(0)
cat("ready\\n")
invisible(readLines(file("stdin"), 1L))
"""


def copies(use, wipe):
    """How often the secret is in the memory of an R after `use`."""
    script = SCRIPT.replace("USE", use).replace("WIPE", wipe)
    with subprocess.Popen(["Rscript", "--vanilla", "-e", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as r:
        if r.stdout.readline() != b"ready\n":
            sys.exit("wiped.py: R did not get there")
        found = 0
        with open(f"/proc/{r.pid}/maps") as maps, open(f"/proc/{r.pid}/mem", "rb", 0) as memory:
            for line in maps:
                start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
                if rights.startswith("rw"):
                    memory.seek(int(start, 16))
                    try:
                        found += memory.read(int(end, 16) - int(start, 16)).count(secret)
                    except OSError:  # a region that can't be read, such as [vvar]
                        pass
        r.stdin.close()
    return found


if copies("", "FALSE") == 0:
    sys.exit("wiped.py: does not find what is there")
# A call that goes well, and is over in the library: after an error R itself holds on to arguments, and what HTTP and TLS
# make of a password is out of reach.
found = copies("gc_report_rejected(session, given)", "TRUE")
if found > 0:
    sys.exit(f"wiped.py: {found} copies are left")
print("wiped.py: no copies are left")
