"""Print the whole course as one PDF: ``make pdf``.

The articles of the built pages are joined into one document, behind a
title page and the contents. Chromium prints it twice: once to learn on
which page each section begins, and once with the page numbers in the
contents.
"""

import copy
import sys
from io import BytesIO
from pathlib import Path

import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tools.browser import chromium, served
from tools.toc import pages

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "chain-rule.pdf"
LICENCES = "Text and figures: CC BY 4.0. Code: MIT License."
SUBTITLE = "Neural networks from scratch, every number checked"
# A4 with room to hold it: 166 mm for the text.
MARGIN = {"top": "20mm", "bottom": "22mm", "left": "22mm", "right": "22mm"}
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8pt sans-serif">'
    '<span class="pageNumber"></span></div>'
)
NAMES_AN_ID = "aria-labelledby", "aria-describedby", "for"


def parse(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def element(name, *children, **attributes):
    """Return a new element that holds the children, texts or elements."""
    named = {key.rstrip("_"): text for key, text in attributes.items()}
    new = BeautifulSoup("", "html.parser").new_tag(name, attrs=named)
    new.extend(children)
    return new


def moved(address, stem, stems):
    """Return where a link on the page `stem` leads when all are one."""
    page, _, anchor = address.partition("#")
    target = page.removesuffix(".html") if page else stem
    if target not in stems:
        return address
    return f"#{target}--{anchor}" if anchor else f"#{target}"


def article(path, stems):
    """Return a page's article with every id and every link made unique."""
    stem, part = path.stem, copy.copy(parse(path).article)
    for tag in part.select("script, .headerlink, .toctree-wrapper"):
        tag.decompose()
    for tag in part.find_all(True):
        if "id" in tag.attrs:
            tag["id"] = f"{stem}--{tag['id']}"
        if "href" in tag.attrs:
            tag["href"] = moved(tag["href"], stem, stems)
        for name in NAMES_AN_ID:
            if name in tag.attrs:
                ids = tag[name].split()
                tag[name] = " ".join(f"{stem}--{one}" for one in ids)
        if tag.name == "details":
            tag["open"] = ""
    part["id"] = stem
    return part


def sections(part):
    """Yield (level, id, title) for a title and its sections."""
    for heading in part.find_all(["h1", "h2"]):
        first = heading.name == "h1"
        place = part["id"] if first else heading.parent["id"]
        yield heading.name, place, heading.get_text()


def contents(parts, numbers):
    """Return the table of contents, with page numbers where known."""
    lines = [
        element(
            "li",
            element("a", element("span", title), href=f"#{place}"),
            element("span", str(numbers.get(place, ""))),
            class_=f"contents-{level}",
        )
        for part in parts
        for level, place, title in sections(part)
    ]
    return element(
        "nav",
        element("h1", "Contents"),
        element("ol", *lines),
        id="contents",
    )


def title_page(url):
    logo = element("img", src="../_static/logo.svg", alt="")
    return element(
        "header",
        logo,
        element("p", "Chain Rule", class_="title"),
        element("p", SUBTITLE),
        element("p", element("a", url.split("//")[1], href=url)),
        element("p", LICENCES),
        id="title",
    )


def joined(site, numbers):
    """Return the document of all pages, as HTML.

    `numbers` has the page on which the element of an id begins.
    """
    paths = [site / f"{page}.html" for page in pages()]
    stems = {path.stem for path in paths}
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    parts = [article(path, stems) for path in paths]
    document = parse(paths[0])
    for tag in document.select("script, link:not([rel=stylesheet])"):
        tag.decompose()
    document.html["data-theme"] = "light"
    document.html["class"] = "whole-course"
    document.title.string = f"Chain Rule: {SUBTITLE}"
    document.body.clear()
    document.body.attrs.clear()
    document.body.append(title_page(config["repository"]["url"]))
    document.body.append(contents(parts, numbers))
    document.body.extend(parts)
    return str(document)


def print_once(page, url, site, numbers):
    whole = joined(site, numbers)
    page.route("**/whole.html", lambda route: route.fulfill(body=whole))
    page.goto(f"{url}/book/whole.html", wait_until="networkidle")
    page.unroute("**/whole.html")
    return page.pdf(
        format="A4",
        margin=MARGIN,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        print_background=True,
        outline=True,
        tagged=True,
    )


def page_numbers(reader):
    """Return the page, from 1, on which each linked id begins."""
    return {
        # Chromium writes the names as they stand in the link, with a slash
        # where PDF wants one.
        name.lstrip("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def printed(page, url, site):
    """Return the PDF as bytes; `url` is the site's, `page` a browser's."""
    numbers = {}
    for _ in range(3):  # the numbers themselves could move a page break
        pdf = print_once(page, url, site, numbers)
        before, numbers = numbers, page_numbers(PdfReader(BytesIO(pdf)))
        if numbers == before:
            return pdf
    raise RuntimeError("the contents' page numbers do not settle")


def store(pdf, path):
    """Write the file whole or not at all."""
    draft = path.with_suffix(".part")
    draft.write_bytes(pdf)
    draft.replace(path)


def main():
    if not (SITE / "book" / "index.html").exists():
        sys.exit(f"{SITE} has no site to print: make book")
    with served(SITE) as url, chromium() as browser:
        store(printed(browser.new_page(), url, SITE), TARGET)
    count = len(PdfReader(TARGET).pages)
    print(f"{TARGET.relative_to(ROOT)}: {count} pages")


if __name__ == "__main__":
    main()
