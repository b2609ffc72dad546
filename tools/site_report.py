"""Weigh every page of the built site: ``make site-report``.

A page weighs what a browser that has nothing stored asks for when it opens
the page: the page itself, styles, scripts, fonts, pictures. Pictures are
counted apart, since they differ from chapter to chapter.
"""

import gzip
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.browser import chromium, served
from tools.toc import pages

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
PICTURES = {".png", ".svg", ".jpg"}
PACKED = {".woff2"}  # gzip gains nothing on them

PAINTED = """() => new Promise((resolve) => {
  new PerformanceObserver((list) => {
    const [paint] = list.getEntriesByName("first-contentful-paint");
    if (paint) resolve(paint.startTime);
  }).observe({ type: "paint", buffered: true });
})"""


@dataclass
class Weight:
    """What one page asks for; sizes in bytes, times in milliseconds."""

    page: str
    plain: int  # without pictures, as the files lie on the disk
    gzipped: int  # the same, as a server sends them
    pictures: int
    requests: int
    painted: float  # until the first text or picture is seen


def weigh(browser, url: str, site: Path, page: str) -> Weight:
    """Return the weight of `page` (book/index), served from `site`.

    Raises:
        FileNotFoundError: the page asks for a file that `site` lacks.
        ValueError: it asks another host.
    """
    # A page of its own context finds nothing stored.
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    requests = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(f"{url}/{page}.html", wait_until="networkidle")
    painted = tab.evaluate(PAINTED)
    tab.close()

    weight = Weight(page, 0, 0, 0, len(requests), painted)
    for address in requests:
        if address.startswith("data:"):
            continue
        if not address.startswith(f"{url}/"):
            raise ValueError(f"{page} asks another host for {address}")
        path = site / unquote(urlsplit(address).path).lstrip("/")
        content = path.read_bytes()
        if path.suffix in PICTURES:
            weight.pictures += len(content)
            continue
        packed = path.suffix in PACKED
        sent = content if packed else gzip.compress(content, 6)
        weight.plain += len(content)
        weight.gzipped += len(sent)
    return weight


def table(weights: list[Weight], files: list[Path]) -> str:
    """Return the weights as lines of text, and the site's as the last."""
    lines = [
        f"{'page':18}{'kB':>7}{'gzipped':>9}{'pictures':>10}"
        f"{'requests':>10}{'painted, ms':>13}"
    ]
    lines += [
        f"{w.page:18}{w.plain / 1e3:7.0f}{w.gzipped / 1e3:9.0f}"
        f"{w.pictures / 1e3:10.0f}{w.requests:10}{w.painted:13.0f}"
        for w in weights
    ]
    size = sum(path.stat().st_size for path in files) / 1e6
    return "\n".join([*lines, f"{len(files)} files, {size:.1f} MB in all"])


def main():
    if not (SITE / "book" / "index.html").exists():
        sys.exit(f"{SITE} has no site to weigh: make book")
    with served(SITE) as url, chromium() as browser:
        weights = [weigh(browser, url, SITE, page) for page in pages()]
    files = [path for path in SITE.rglob("*") if path.is_file()]
    print(table(weights, files))


if __name__ == "__main__":
    main()
