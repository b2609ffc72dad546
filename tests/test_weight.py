"""A page is light, and takes nothing from anyone else."""

import pytest
from bs4 import BeautifulSoup

from tools.site_report import weigh

PLAIN = 1_200_000  # bytes of a page without its pictures, as stored ...
GZIPPED = 400_000  # ... and as a server sends them


@pytest.fixture(scope="module")
def weight(browser, url, site, page):
    return weigh(browser, url, site, page)


def test_page_is_light(weight):
    advice = (
        "`make site-report` weighs the pages, `weigh` says what counts"
    )
    assert weight.plain <= PLAIN, f"{weight}: {advice}"
    assert weight.gzipped <= GZIPPED, f"{weight}: {advice}"


def test_what_a_page_names_is_weighed(weight, site):
    page = (site / f"{weight.page}.html").read_bytes()
    named = BeautifulSoup(page, "html.parser").select(
        "script[src], link[rel~=stylesheet]"
    )
    # The page, and at least the fonts of its text's icons.
    assert weight.requests >= 1 + len(named) + 1
    assert weight.plain > weight.gzipped > 0


def policies(path):
    html = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    head = html.head.find_all(["meta", "script", "link", "style"])
    for tag in head:
        if tag.name != "meta":
            return  # a policy that comes later does not hold for this
        if tag.get("http-equiv") == "Content-Security-Policy":
            yield tag["content"]


def test_every_page_states_the_policy(site):
    pages = [*site.glob("book/*.html"), site / "search.html"]
    assert len(pages) > 8
    for path in pages:
        where = path.relative_to(site)
        stated = list(policies(path))
        assert stated, (
            f"{where} states no policy before it loads something"
        )
        assert stated[0].startswith("default-src 'self'"), where
        assert "unsafe" not in stated[0], where
        assert "//" not in stated[0], f"{where} lets another host in"
