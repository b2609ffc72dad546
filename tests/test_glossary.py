"""Every term that the chapters define is in the glossary, and linked."""

import copy
import re
from itertools import pairwise

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from tools.repoint import ROOT

CHAPTERS = sorted(ROOT.glob("book/*.ipynb"))
SOURCE = ROOT / "book/glossary.md"
PROMISE = {"You'll build", "You need", "It takes"}
MARKDOWN = MarkdownIt("commonmark").enable("table")

# Where a word is no use of a term, or where a link would be out of place.
ASIDE = (
    "h1, h2, h3, h4, pre, code, .math, math, summary, table, blockquote, "
    ".course-index, a:not(:has(.glossary-term))"
)


def listed():
    """The terms of the glossary, in its order."""
    body = SOURCE.read_text("utf8").split("```")[1]
    return [
        line
        for line in body.splitlines()[1:]
        if line and not line.startswith(" ")
    ]


def expression(terms):
    """A term as a whole word or its plural; of two the longer."""
    words = sorted(map(re.escape, terms), key=len, reverse=True)
    joined = "|".join(words).replace(r"\ ", r"\s+")
    return re.compile(rf"(?<![\w-])({joined})(?:s|es)?(?![\w-])", re.I)


def key(words):
    return " ".join(words.lower().split())


def bold(path):
    """The words set in bold in a chapter, less its run-in headings."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for token in MARKDOWN.parse(cell.source):
                for part, after in pairwise(token.children or []):
                    if part.type == "strong_open":
                        yield after.content


def undefined(path, terms):
    """Terms that a chapter sets in bold and the glossary does not have."""
    known = expression(terms)
    return [
        f"book/{path.name} defines **{words}**, and book/glossary.md has"
        " no such term"
        for words in bold(path)
        if not words.endswith(".")
        and words not in PROMISE
        and not known.fullmatch(words)
    ]


def prose(page):
    """The strings of a page in which terms are used, in order."""
    for string in page.find_all(string=True):
        if not string.parent.css.closest(ASIDE):
            yield string


def unlinked(page, anchors):
    """First uses on a page that do not lead to their entry."""
    known, seen, faults = expression(anchors), set(), []
    ids = {key(term): anchor for term, anchor in anchors.items()}
    for string in prose(page):
        for match in known.finditer(string):
            term = key(match[1])
            if term in seen:
                continue
            seen.add(term)
            link = string.find_parent("a")
            target = f"glossary.html#{ids[term]}"
            if link is None or not link["href"].endswith(target):
                faults.append(
                    f"the first use of '{match[0]}' does not lead to"
                    f" {target}: …{string[: match.end()][-60:]}"
                )
    return faults


def parse(site, page):
    text = (site / f"{page}.html").read_text("utf8")
    return BeautifulSoup(text, "html.parser")


@pytest.fixture(scope="module")
def entries(site):
    """Each term with its two elements on the page, dt and dd."""
    titles = parse(site, "book/glossary").select("dl.glossary > dt")
    return {
        next(dt.stripped_strings): (dt, dt.find_next_sibling("dd"))
        for dt in titles
    }


@pytest.fixture(scope="module")
def anchors(entries):
    return {term: dt["id"] for term, (dt, _) in entries.items()}


def test_terms_are_in_order_and_on_the_page(entries):
    assert listed() == sorted(listed(), key=str.casefold)
    assert list(entries) == listed()
    assert len(set(map(key, listed()))) == len(listed()) > 40


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_is_bold_is_in_the_glossary(path):
    faults = undefined(path, listed())
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


def test_a_term_that_is_missing_is_named():
    terms = [term for term in listed() if term != "dead"]
    fault = "book/02-matrix.ipynb defines **dead**, and book/glossary.md"
    found = [f for path in CHAPTERS for f in undefined(path, terms)]
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_every_term_is_used_in_a_chapter(site):
    known, used = expression(listed()), set()
    for path in CHAPTERS:
        page = parse(site, f"book/{path.stem}").article
        for string in prose(page):
            used |= {key(match[1]) for match in known.finditer(string)}
    unused = [term for term in listed() if key(term) not in used]
    assert not unused, f"in the glossary, and in no chapter: {unused}"


def test_every_entry_leads_to_a_section_that_uses_the_term(site, entries):
    faults = []
    for term, (_, definition) in entries.items():
        link = definition.select("a")[-1]
        name, _, anchor = link["href"].partition("#")
        page = parse(site, f"book/{name.removesuffix('.html')}")
        section = page.find(id=anchor)
        if not section or not expression([term]).search(
            section.get_text()
        ):
            faults.append(f"'{term}' is not in {link['href']}")
    assert not faults, "\n".join(faults)


def test_first_use_is_linked(site, page, anchors):
    if page == "book/glossary":
        return  # it has the entries themselves
    faults = unlinked(parse(site, page).article, anchors)
    assert not faults, "\n".join([f"{page}:", *faults])


def test_a_first_use_without_its_link_is_named(site, anchors):
    whole = parse(site, "book/01-chain").article
    page = copy.copy(whole)
    page.select_one("a:has(.glossary-term)").unwrap()
    assert len(unlinked(page, anchors)) == 1
    page = copy.copy(whole)
    page.select_one("a:has(.glossary-term)")["href"] = "glossary.html#term"
    assert "does not lead to glossary.html#" in unlinked(page, anchors)[0]
