"""The pages of the site, in the order of its table of contents."""

from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def listed(entry):
    """Yield the pages of a part of _toc.yml, in order."""
    if isinstance(entry, list):
        for item in entry:
            yield from listed(item)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            yield from (
                [value] if key in ("root", "file") else listed(value)
            )


@cache
def pages():
    """Return every page as _toc.yml names it: book/index, …"""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    return list(listed(toc))
