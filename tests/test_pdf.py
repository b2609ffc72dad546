"""The whole course as one PDF: complete, linked, and nothing cut off."""

from io import BytesIO
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tools import pdf
from tools.toc import pages

PIXELS = 96 / 25.4  # to the millimetre, as CSS counts them
TEXT_WIDTH = int((210 - 2 * 22) * PIXELS)

# What is wider than its box or than the paper, and what is still folded.
CUT_OFF = """
() => [...document.querySelectorAll("pre, table, img, math, p, li, h1")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1
    || e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1)
  .map((e) => `${e.tagName}: ${(e.textContent || e.src).slice(0, 80)}`)
"""
FOLDED = """
() => [...document.querySelectorAll("details > :not(summary)")]
  .filter((e) => !e.checkVisibility({contentVisibilityAuto: true}))
  .map((e) => e.textContent.slice(0, 80))
"""


@pytest.fixture(scope="module")
def whole(site):
    """The joined document, without page numbers."""
    return pdf.joined(site, {})


@pytest.fixture(scope="module")
def course(browser, url, site):
    page = browser.new_page()
    yield PdfReader(BytesIO(pdf.printed(page, url, site)))
    page.close()


@pytest.fixture(scope="module")
def texts(course):
    """The text of each page, without white space."""
    return ["".join(page.extract_text().split()) for page in course.pages]


def links(course):
    """Yield (page number, target) for every link of the PDF."""
    for number, page in enumerate(course.pages, 1):
        for reference in page.get("/Annots", ()):
            link = reference.get_object()
            if link["/Subtype"] == "/Link":
                action = link.get("/A", {})
                yield number, link.get("/Dest") or action.get("/URI")


def chapters(whole):
    """Return (id, title) of every page's title, in order."""
    document = BeautifulSoup(whole, "html.parser")
    return [
        (part["id"], "".join(part.h1.get_text().split()))
        for part in document.select("article")
    ]


def test_it_begins_with_a_title_and_the_contents(course, texts):
    assert "ChainRule" in texts[0]
    assert texts[1].startswith("Contents")
    assert course.metadata.title == f"Chain Rule: {pdf.SUBTITLE}"


def test_every_page_of_the_site_is_in_it(whole):
    stems = [page.split("/")[1] for page in pages()]
    assert [stem for stem, _ in chapters(whole)] == stems


def test_the_contents_name_the_right_page(course, texts, whole):
    numbers = pdf.page_numbers(course)
    contents = "".join(texts[1 : numbers["index"] - 1])
    for stem, title in chapters(whole):
        number = numbers[stem]
        assert f"{title}{number}" in contents, f"{title} is on {number}"
        assert texts[number - 1].startswith(title), (
            f"page {number} does not begin with {title}"
        )


def test_every_link_leads_somewhere(course):
    named = set(course.named_destinations)
    lost = [
        f"page {number}: {target}"
        for number, target in links(course)
        if target not in named
        and urlsplit(target or "").scheme not in ("http", "https")
    ]
    assert not lost, "links that lead nowhere:\n" + "\n".join(lost)


def test_no_id_stands_twice(whole):
    document = BeautifulSoup(whole, "html.parser")
    ids = [tag["id"] for tag in document.select("[id]")]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    assert not twice, f"ids that stand twice: {twice}"


def test_it_has_bookmarks_for_readers(course):
    assert len(course.outline) > len(pages())


@pytest.mark.parametrize("question", [CUT_OFF, FOLDED])
def test_nothing_is_cut_off_or_folded(browser, url, whole, question):
    page = browser.new_page(viewport={"width": TEXT_WIDTH, "height": 900})
    page.emulate_media(media="print")
    page.route("**/whole.html", lambda route: route.fulfill(body=whole))
    page.goto(f"{url}/book/whole.html", wait_until="networkidle")
    found = page.evaluate(question)
    page.close()
    assert not found, "on paper these cannot be read:\n" + "\n".join(found)


def test_the_last_line_of_every_code_cell_is_printed(texts, whole):
    document = BeautifulSoup(whole, "html.parser")
    paper = "".join(texts)
    last = [
        "".join(pre.get_text().rstrip().splitlines()[-1].split())
        for pre in document.select(".cell_input pre")
    ]
    assert len(last) > 100
    missing = [line for line in last if line not in paper]
    assert not missing, f"not on any page: {missing}"
