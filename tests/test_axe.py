"""What axe-core finds on the pages: nothing, for any reader."""

from itertools import product

import pytest
from axe_playwright_python.sync_playwright import Axe

from tools.screenshots import OPEN, SCHEMES, WIDTHS

# axe is put into the page by the browser's debugger, which the page's
# policy does not bind; without `preload` it fetches no style sheet.
OPTIONS = {"resultTypes": ["violations"], "preload": False}

# Of the thousands of coloured words in a page's code, one of each colour
# stays in its element; a formula of one colour becomes one piece of text.
# axe would measure the contrast of every part, for five seconds a chapter,
# and no other rule looks at what has no attribute but its class.
UNWRAP = """() => {
  const colours = (e) => {
    const { color, backgroundColor } = getComputedStyle(e);
    return `${color} on ${backgroundColor}`;
  };
  const seen = new Set();
  const again = [...document.querySelectorAll("pre span[class]")]
    .filter((e) => {
      const ground = e.closest("[class*=cell_], [class*=highlight-]");
      const key = `${colours(e)} in ${ground?.className}`;
      const known = seen.has(key);
      seen.add(key);
      return known && e.attributes.length === 1;
    });
  const plain = [...document.querySelectorAll("math")].filter((e) =>
    [...e.querySelectorAll("*")].every((p) => colours(p) === colours(e)));
  again.forEach((e) => e.replaceWith(...e.childNodes));
  for (const e of plain) {
    const text = document.createElementNS(e.namespaceURI, "mtext");
    text.textContent = e.textContent;
    e.replaceChildren(text);
  }
}"""


@pytest.fixture(
    scope="module",
    params=product(WIDTHS, SCHEMES),
    ids=lambda pair: "-".join(map(str, pair)),
)
def tab(request, browser):
    """A tab as wide as a desk or a phone, light or dark."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    # The theme asks for the choice that a reader made before.
    context.add_init_script(f"localStorage.mode = '{scheme}'")
    tab = context.new_page()
    tab.scheme = scheme
    yield tab
    context.close()


def violations(tab):
    """Yield a line or more for each thing that axe objects to."""
    tab.evaluate(UNWRAP)
    found = Axe().run(tab, options=OPTIONS)
    for rule in found.response["violations"]:
        yield f"{rule['id']} ({rule['impact']}): {rule['helpUrl']}"
        for node in rule["nodes"]:
            yield f"  {node['html'][:200]}"
            yield f"    {node['failureSummary'].splitlines()[-1].strip()}"


def assert_nothing_found(tab, where):
    shown = tab.evaluate("document.documentElement.dataset.theme")
    assert shown == tab.scheme, f"{where} is shown in {shown}"
    found = list(violations(tab))
    assert not found, "\n".join([f"axe on {where}:", *found])


def test_axe_finds_nothing(tab, url, page):
    tab.goto(f"{url}/{page}.html", wait_until="networkidle")
    tab.evaluate(OPEN)
    assert_nothing_found(tab, page)


def test_axe_finds_nothing_where_something_was_searched(tab, url):
    tab.goto(f"{url}/search.html?q=gradient")
    tab.get_by_text("Search finished").wait_for()
    assert_nothing_found(tab, "the search page")
    tab.locator("#search-results li > a").first.click()
    tab.wait_for_selector("article .highlighted")
    assert_nothing_found(tab, "a page with the words that were found")


# What is hidden until a button is pressed.
MENUS = [
    (".dropdown-download-buttons > button", ".dropdown-menu.show"),
    (".search-button, .search-button-field", "#pst-search-dialog"),
]
PHONE_MENUS = [
    (".primary-toggle", "#pst-primary-sidebar-modal"),
    (".secondary-toggle", "#pst-secondary-sidebar-modal"),
]


def test_axe_finds_nothing_in_a_menu(tab, url):
    tab.goto(f"{url}/book/speed.html", wait_until="networkidle")
    phone = tab.viewport_size["width"] == min(WIDTHS)
    for button, menu in MENUS + PHONE_MENUS * phone:
        tab.locator(button).filter(visible=True).first.click()
        tab.wait_for_selector(menu)
        assert_nothing_found(tab, menu)
        tab.keyboard.press("Escape")
        tab.wait_for_selector(menu, state="hidden")
