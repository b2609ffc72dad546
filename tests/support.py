"""What several test files share: the texts, read and parsed once."""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(ROOT.glob("book/*.ipynb"))
CONFIG = (ROOT / "_config.yml").read_text("utf8")
REPO = re.search(r"^  url: https://github\.com/(\S+)$", CONFIG, re.M)[1]
MARKDOWN = MarkdownIt("commonmark").enable("table")


@cache
def read(path):
    """Return a chapter as nbformat reads it; not to be changed."""
    return nbformat.read(path, as_version=4)


def cells(notebook, kind):
    """Yield (number, cell) for one kind, counted from 1 as editors do."""
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == kind:
            yield number, cell


def tags(cell):
    return cell.metadata.get("tags", [])


def headings(notebook):
    """Return (cell number, level, title) for every Markdown heading."""
    return [
        (number, int(token.tag[1]), title.content)
        for number, cell in cells(notebook, "markdown")
        for token, title in pairwise(MARKDOWN.parse(cell.source))
        if token.type == "heading_open"
    ]


@cache
def parsed(site, page):
    """Return a page of the built site, such as "book/index", parsed.

    It is shared by all tests: one that changes it takes a copy.
    """
    text = (site / f"{page}.html").read_text("utf8")
    return BeautifulSoup(text, "html.parser")
