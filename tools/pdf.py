"""Print the whole course as one PDF: ``make pdf``.

The articles of the built pages are joined into one document, behind a
title page and the contents. Chromium prints it twice: once to learn on
which page each section begins, and once with the page numbers in the
contents.
"""

import copy
from io import BytesIO

import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tools.browser import SITE, chromium, served
from tools.toc import ROOT, pages

TARGET = SITE.parent / "chain-rule.pdf"
SUBTITLE = "Neural networks from scratch, every number checked"
LICENCES = "Text and figures: CC BY 4.0. Code: MIT License."
# A4 with room to hold it: 166 mm for the text, in CSS pixels.
MARGIN = {"top": "20mm", "bottom": "22mm", "left": "22mm", "right": "22mm"}
TEXT_WIDTH = int(166 * 96 / 25.4)
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8pt sans-serif">'
    '<span class="pageNumber"></span></div>'
)
# What is wider than its box or than the paper, and what is still folded.
CUT_OFF = """() => [...document.querySelectorAll(
    "pre, table, img, math, p, li, h1")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1
    || e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1)
  .map((e) => `${e.tagName}: ${(e.textContent || e.src).slice(0, 80)}`)"""
FOLDED = """() => [...document.querySelectorAll("details > :not(summary)")]
  .filter((e) => !e.checkVisibility({contentVisibilityAuto: true}))
  .map((e) => e.textContent.slice(0, 80))"""


def parse(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def article(path, stems):
    """Return a page's article with every id and every link made unique."""
    stem, part = path.stem, copy.copy(parse(path).article)
    for tag in part.select("script, .headerlink, .toctree-wrapper"):
        tag.decompose()
    for tag in part.select("[id]"):
        tag["id"] = f"{stem}--{tag['id']}"
    for tag in part.select("[href]"):
        page, _, place = tag["href"].partition("#")
        target = page.removesuffix(".html") or stem
        if target in stems:
            tag["href"] = f"#{target}" + (place and f"--{place}")
    for name in "aria-labelledby", "aria-describedby":
        for tag in part.select(f"[{name}]"):
            ids = tag[name].split()
            tag[name] = " ".join(f"{stem}--{one}" for one in ids)
    for tag in part.select("details"):
        tag["open"] = ""
    part["id"] = stem
    return part


def contents(parts, numbers):
    """Return the contents; `numbers` has the pages that are known."""
    lines = [
        f'<li class="contents-{heading.name}"><a href="#{place}">'
        f"<span>{heading.decode_contents()}</span></a>"
        f"<span>{numbers.get(place, '')}</span></li>"
        for part in parts
        for heading in part.find_all(["h1", "h2"])
        for place in [
            part["id"] if heading.name == "h1" else heading.parent["id"]
        ]
    ]
    lines = f"<h1>Contents</h1><ol>{''.join(lines)}</ol>"
    return f'<nav id="contents">{lines}</nav>'


def articles(site):
    """Return the articles of all pages, ready to be joined."""
    paths = [site / f"{page}.html" for page in pages()]
    stems = {path.stem for path in paths}
    return [article(path, stems) for path in paths]


def joined(parts, site, numbers):
    """Return the document of all parts, as HTML.

    `numbers` has the page on which the element of an id begins.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    url = config["repository"]["url"]
    links = parse(site / "book/index.html").select("link[rel=stylesheet]")
    sheets = "".join(map(str, links))
    return (
        '<!DOCTYPE html><html lang="en" class="whole-course" '
        f'data-theme="light"><head><meta charset="utf-8">{sheets}'
        f"<title>Chain Rule: {SUBTITLE}</title></head><body>"
        '<header id="title"><img src="../_static/logo.svg" alt="">'
        f'<p class="title">Chain Rule</p><p>{SUBTITLE}</p>'
        f'<p><a href="{url}">{url.split("//")[1]}</a></p>'
        f"<p>{LICENCES}</p></header>"
        f"{contents(parts, numbers)}{''.join(map(str, parts))}"
        "</body></html>"
    )


def page_numbers(reader):
    """Return the page, from 1, on which each linked id begins."""
    return {
        # Chromium writes a name as it stands in the link, with a slash.
        name.lstrip("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def printed(page, parts, url, site):
    """Return the PDF as bytes; `url` is the site's, `page` a browser's."""
    numbers, held = {}, {}
    page.route("**/whole.html", lambda route: route.fulfill(**held))
    for _ in range(3):  # the numbers themselves could move a page break
        held["body"] = joined(parts, site, numbers)
        page.goto(f"{url}/book/whole.html", wait_until="networkidle")
        pdf = page.pdf(
            format="A4",
            margin=MARGIN,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            print_background=True,
            outline=True,
            tagged=bool(numbers),  # takes longer than all the rest
        )
        before, numbers = numbers, page_numbers(PdfReader(BytesIO(pdf)))
        if numbers == before:
            return pdf
    raise RuntimeError("the contents' page numbers do not settle")


def main():
    with served(SITE) as url, chromium() as browser:
        page, parts = browser.new_page(), articles(SITE)
        TARGET.write_bytes(printed(page, parts, url, SITE))
    count = len(PdfReader(TARGET).pages)
    print(f"{TARGET.relative_to(ROOT)}: {count} pages")


if __name__ == "__main__":
    main()
