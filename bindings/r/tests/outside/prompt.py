#!/usr/bin/env python3
"""gc_login() at a terminal asks for the password, and does not show what is typed. Run beside a sandbox."""

import os
import pty
import select
import sys

PASSWORD = "lovelace"
transcript = ""


def expect(fd, text, seconds=300):
    """Reads until `text` comes up after what was expected last."""
    global transcript
    start = len(transcript)
    while text not in transcript[start:]:
        if not select.select([fd], [], [], seconds)[0]:
            sys.exit(f"prompt.py: no {text!r} in:\n{transcript}")
        try:
            part = os.read(fd, 4096)
        except OSError:
            part = b""
        if not part:
            sys.exit(f"prompt.py: ended before {text!r}:\n{transcript}")
        transcript += part.decode(errors="replace")


def send(fd, line):
    os.write(fd, line.encode() + b"\n")


pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp("R", ["R", "--vanilla", "--quiet", "--no-readline", "--interactive"])
expect(fd, "> ")
send(fd, "library(gcauth); session <- gc_session()")
expect(fd, "> ")
send(fd, 'gc_login(session, "ada", "analytical-engines")')
expect(fd, "Password of ada: ")
send(fd, PASSWORD)
expect(fd, "> ")
send(fd, 'cat("logged in as", gc_claims(session)$sub, "\\n")')
expect(fd, "logged in as ada")
send(fd, 'quit("no")')
os.waitpid(pid, 0)
if PASSWORD in transcript:
    sys.exit(f"prompt.py: the password is to be seen in:\n{transcript}")
print("prompt.py: asked for, and not shown")
