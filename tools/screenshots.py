"""Photograph every page, for a person to look at: ``make screenshots``.

Each page is taken whole, on a desk and on a phone, light and dark, with
everything folded opened.
"""

import sys
from itertools import product
from pathlib import Path

from tools.browser import chromium, served
from tools.toc import pages

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "screenshots"
WIDTHS = 1280, 390  # a desk, a phone
SCHEMES = "light", "dark"
OPEN = (
    "document.querySelectorAll('details').forEach(d => { d.open = true })"
)
# A picture that has not been scrolled to may not have been loaded.
SHOWN = "Promise.all([...document.images].map(i => i.decode()))"


def photograph(browser, url, width, scheme):
    """Take every page at one width and in one colour scheme."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    # The theme asks for the choice that a reader made before.
    context.add_init_script(f"localStorage.mode = '{scheme}'")
    page = context.new_page()
    for name in pages():
        page.goto(f"{url}/{name}.html", wait_until="networkidle")
        page.evaluate(OPEN)
        page.evaluate(SHOWN)
        file = f"{Path(name).name}-{width}-{scheme}.png"
        page.screenshot(path=TARGET / file, full_page=True)
        print(f"{(TARGET / file).relative_to(ROOT)}", flush=True)
    context.close()


def main():
    if not (SITE / "book" / "index.html").exists():
        sys.exit(f"{SITE} has no site to look at: make book")
    TARGET.mkdir(exist_ok=True)
    with served(SITE) as url, chromium() as browser:
        for width, scheme in product(WIDTHS, SCHEMES):
            photograph(browser, url, width, scheme)


if __name__ == "__main__":
    main()
