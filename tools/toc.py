"""The pages of the site, in the order of its table of contents."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@cache
def pages():
    """Return every page as _toc.yml names it: book/index, …"""
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    return re.findall(r"^[ -]*(?:root|file): *(\S+)", toc, re.M)
