"""Weigh every page of the built site: ``make site-report``.

A page weighs what a browser that has nothing stored asks for when it opens
the page: the page itself, styles, scripts, fonts. Pictures are counted
apart, since they differ from chapter to chapter.
"""

import gzip
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tools.browser import SITE, chromium, served
from tools.toc import pages

PICTURES = {".png", ".svg", ".jpg"}


class Weight(NamedTuple):
    """Bytes: as the files lie on the disk, as a server sends them."""

    plain: int
    gzipped: int
    pictures: int


def weigh(site: Path, paths: list[str]) -> Weight:
    """Return the weight of the files of `site` that a page asked for."""
    plain = gzipped = pictures = 0
    for path in paths:
        content = (site / path.lstrip("/")).read_bytes()
        if Path(path).suffix in PICTURES:
            pictures += len(content)
        else:
            plain += len(content)
            gzipped += len(gzip.compress(content, 6))
    return Weight(plain, gzipped, pictures)


def main():
    print(f"{'kB':18}{'plain':>9}{'gzipped':>9}{'pictures':>9}")
    with served(SITE) as url, chromium() as browser:
        for name in pages():
            tab, asked = browser.new_page(), []
            tab.on("request", lambda r, asked=asked: asked.append(r.url))
            tab.goto(f"{url}/{name}.html", wait_until="networkidle")
            tab.close()
            paths = [unquote(urlsplit(a).path) for a in asked]
            weight = weigh(SITE, paths)
            print(
                f"{name:18}" + "".join(f"{w / 1e3:9.0f}" for w in weight)
            )
    sizes = [p.stat().st_size for p in SITE.rglob("*") if p.is_file()]
    print(f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB in all")


if __name__ == "__main__":
    main()
