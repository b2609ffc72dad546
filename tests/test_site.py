"""The built site: its pages are there, and their links lead somewhere."""

import copy
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))

# What a reader sees of Markdown, MyST or TeX that was not understood.
RAW = re.compile(
    r"""
    \$ | \\[(\[]         # a formula
    | `                  # code, or a role
    | \{[a-z][\w:-]*\}   # the name of a role or a directive
    | :::                # a directive's fence
    | \*\* | \]\(        # bold text, a link
    """,
    re.VERBOSE,
)


@cache
def parse(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def html_files(site):
    """Yield every page; in _static lie only the theme's templates."""
    for path in sorted(site.rglob("*.html")):
        if "_static" not in path.parts:
            yield path


def addresses(document):
    for tag in document.select("[href], [src]"):
        yield tag.get("href", tag.get("src"))
    for tag in document.select('meta[http-equiv="Refresh"]'):
        yield tag["content"].split("url=")[1]


def leads_nowhere(address, path, site):
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return False
    target = path
    if parts.path:
        target = (path.parent / unquote(parts.path)).resolve()
    if not (target.is_file() and target.is_relative_to(site)):
        return True
    fragment = unquote(parts.fragment)
    return fragment and not parse(target).find(id=fragment)


def test_page_is_built(site, page):
    path = site / f"{page}.html"
    assert path.is_file(), f"_toc.yml names {page}, the site has no {path}"
    assert parse(path).select_one("article h1"), f"{page} has no title"


def test_internal_links(site):
    broken = [
        f"{path.relative_to(site)}: {address}"
        for path in html_files(site)
        for address in addresses(parse(path))
        if leads_nowhere(address, path, site)
    ]
    assert not broken, "links that lead nowhere:\n" + "\n".join(broken)


def test_nothing_is_loaded_from_another_host(site):
    loaded = "[src], link[rel~=stylesheet], link[rel~=preload]"
    foreign = [
        f"{path.relative_to(site)}: {tag}"
        for path in html_files(site)
        for tag in parse(path).select(loaded)
        if urlsplit(tag.get("src", tag.get("href"))).netloc
    ]
    assert not foreign, "loaded from elsewhere:\n" + "\n".join(foreign)


def test_launch_button(site, notebook_page):
    repository = CONFIG["repository"]
    colab = CONFIG["launch_buttons"]["colab_url"]
    name = urlsplit(repository["url"]).path
    tail = f"{repository['branch']}/{notebook_page}.ipynb"
    expected = f"{colab}/github{name}/blob/{tail}"

    document = parse(site / f"{notebook_page}.html")
    button = document.select(".dropdown-launch-buttons a")
    assert [tag["href"] for tag in button] == [expected]
    # The chapter's own link at its head goes to the same place.
    elsewhere = {
        address
        for address in addresses(document)
        if address.startswith(colab) and address != expected
    }
    assert not elsewhere, f"{notebook_page} opens another notebook"


def test_download_is_the_notebook(site, notebook_page):
    path = site / f"{notebook_page}.html"
    link = parse(path).select_one("a.btn-download-source-button")
    assert link, f"{notebook_page} has no download button"
    offered = (path.parent / link["href"]).resolve()
    source = ROOT / f"{notebook_page}.ipynb"
    assert offered.name == source.name
    assert offered.read_bytes() == source.read_bytes()


def test_figures_are_described(site, page):
    nameless = [
        f"{tag['src']}: alt={tag.get('alt')!r}"
        for tag in parse(site / f"{page}.html").select("article img")
        # Without a description of its own a figure gets its file's name.
        if " " not in tag.get("alt", "").strip()
    ]
    assert not nameless, f"figures of {page} without words:\n" + "\n".join(
        nameless
    )


def test_no_markup_is_left_raw(site, page):
    article = copy.copy(parse(site / f"{page}.html").article)
    for tag in article.select("pre, code, .math"):
        tag.decompose()
    text = article.get_text()
    raw = [
        text[max(0, found.start() - 30) : found.end() + 30]
        for found in RAW.finditer(text)
    ]
    assert not raw, f"{page} shows its markup: {raw}"
