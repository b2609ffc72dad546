"""The whole course as one PDF: complete, linked, and nothing cut off.

It takes a minute, and runs where the book has changed: ``make test-pdf``.
"""

from collections import Counter
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tools import pdf
from tools.toc import pages

pytestmark = pytest.mark.pdf


@pytest.fixture(scope="module")
def tab(browser):
    tab = browser.new_page(
        viewport={"width": pdf.TEXT_WIDTH, "height": 900}
    )
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def course(tab, url, site):
    return PdfReader(BytesIO(pdf.printed(tab, url, site)))


def squeezed(text):
    return "".join(text.split())


def test_the_course_is_complete_on_paper(course, site):
    texts = [squeezed(sheet.extract_text()) for sheet in course.pages]
    assert "ChainRule" in texts[0] and texts[1].startswith("Contents")
    numbers = pdf.page_numbers(course)
    contents = "".join(texts[1 : numbers["index"] - 1])
    whole = BeautifulSoup(pdf.joined(site, {}), "html.parser")
    parts = whole.select("article")
    assert [part["id"] for part in parts] == [
        page.split("/")[1] for page in pages()
    ]
    for part in parts:
        title, number = squeezed(part.h1.text), numbers[part["id"]]
        assert f"{title}{number}" in contents, f"{title}: {number}"
        assert texts[number - 1].startswith(title), f"{title}: {number}"
    paper = "".join(texts)
    for code in whole.select(".cell_input pre"):
        last = squeezed(code.text.rstrip().splitlines()[-1])
        assert last in paper, f"not on any page: {last}"


def test_every_link_leads_somewhere(course, site):
    ids = BeautifulSoup(pdf.joined(site, {}), "html.parser").select("[id]")
    twice = Counter(tag["id"] for tag in ids).most_common(1)
    assert twice[0][1] == 1, f"an id stands twice: {twice}"
    named, links = set(course.named_destinations), 0
    for number, sheet in enumerate(course.pages, 1):
        for reference in sheet.get("/Annots", ()):
            link = reference.get_object()
            target = link.get("/Dest") or link.get("/A", {}).get(
                "/URI", ""
            )
            outside = urlsplit(target).scheme in ("http", "https")
            assert outside or target in named, (
                f"page {number} leads to {target!r}"
            )
            links += 1
    assert links > 100 and len(course.outline) > len(pages())


def test_nothing_is_cut_off_or_folded(tab, course, url, site):
    tab.emulate_media(media="print")
    for question in pdf.CUT_OFF, pdf.FOLDED:
        found = tab.evaluate(question)
        assert not found, "\n".join(["on paper, not to be read:", *found])
