"""The whole course as one PDF: complete, linked, and nothing cut off."""

from collections import Counter
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from pypdf import PdfReader

from tools import pdf
from tools.toc import pages


@pytest.fixture(scope="module")
def tab(browser):
    tab = browser.new_page(
        viewport={"width": pdf.TEXT_WIDTH, "height": 900}
    )
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def parts(site):
    return pdf.articles(site)


@pytest.fixture(scope="module")
def course(tab, parts, url, site):
    return PdfReader(BytesIO(pdf.printed(tab, parts, url, site)))


def squeezed(text):
    return "".join(text.split())


def test_the_course_is_complete_on_paper(course, parts):
    """To take the text off a page is slow: ends of articles only."""

    def text(number):  # of a page, from 1
        return squeezed(course.pages[number - 1].extract_text())

    numbers = pdf.page_numbers(course)
    assert [part["id"] for part in parts] == [
        page.split("/")[1] for page in pages()
    ]
    first = [numbers[part["id"]] for part in parts]
    after = [*first[1:], len(course.pages) + 1]
    contents = "".join(map(text, range(2, first[0])))
    assert "ChainRule" in text(1) and contents.startswith("Contents")
    for part, begin, end in zip(parts, first, after, strict=True):
        title, last = squeezed(part.h1.text), squeezed(part.text)[-20:]
        assert f"{title}{begin}" in contents, f"{title}: {begin}"
        assert text(begin).startswith(title), f"{title}: {begin}"
        assert last in text(end - 1), f"{title} lacks its end: {last}"


def test_every_link_leads_somewhere(course, parts):
    ids = [tag["id"] for part in parts for tag in part.select("[id]")]
    twice = Counter([*ids, *(part["id"] for part in parts)]).most_common(1)
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


def test_nothing_is_cut_off_or_folded(tab, course):
    tab.emulate_media(media="print")
    for question in pdf.CUT_OFF, pdf.FOLDED:
        found = tab.evaluate(question)
        assert not found, "\n".join(["on paper, not to be read:", *found])
