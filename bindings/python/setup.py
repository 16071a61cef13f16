"""What pyproject.toml can't say: the version is that of the library."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent


def version():
    text = (HERE.parents[1] / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.*)"$', text, re.M).group(1)


setup(version=version())
