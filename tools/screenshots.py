"""Photograph every page, for a person to look at: ``make screenshots``.

Each page is taken whole, on a desk and on a phone, light and dark, with
everything folded opened.
"""

from itertools import product
from pathlib import Path

from tools.browser import SITE, chromium, served
from tools.toc import pages

TARGET = SITE.parent / "screenshots"
OPEN = (
    "document.querySelectorAll('details').forEach(d => { d.open = true })"
)
# A picture that has not been scrolled to may not have been loaded.
SHOWN = "Promise.all([...document.images].map(i => i.decode()))"


def main():
    TARGET.mkdir(exist_ok=True)
    looks = product((1280, 390), ("light", "dark"))
    with served(SITE) as url, chromium() as browser:
        for width, scheme in looks:
            page = browser.new_page(
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
            )
            for name in pages():
                page.goto(f"{url}/{name}.html", wait_until="networkidle")
                page.evaluate(OPEN)
                page.evaluate(SHOWN)
                file = f"{Path(name).name}-{width}-{scheme}.png"
                page.screenshot(path=TARGET / file, full_page=True)
            page.close()
    print(f"{len(list(TARGET.glob('*.png')))} pictures in {TARGET}")


if __name__ == "__main__":
    main()
