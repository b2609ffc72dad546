"""The site in its readers' hands: large text, keys, search, paper."""

from io import BytesIO
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader
from test_browser import TOO_WIDE
from test_pdf import CUT_OFF, FOLDED, TEXT_WIDTH

from lessons.figures import STYLE
from tools.pdf import MARGIN
from tools.screenshots import OPEN, SHOWN
from tools.toc import pages

# What is cut off by its own box. A wide formula, table or piece of code
# scrolls in its own; what only a screen reader says is a pixel wide. The
# lines in a formula's parts are higher than what is drawn of them, so of
# a formula it is its frame that has to hold it.
CLIPPED = """() => {
  const may = ".math, pre, .pst-scrollable-table-container";
  const hides = (e) => {
    const { overflowX, overflowY } = getComputedStyle(e);
    if (e.matches(".math")) {
      const [inner, outer] = [e.querySelector("math"), e]
        .map((part) => part.getBoundingClientRect());
      return inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
    }
    return overflowX !== "visible" && !e.matches(may)
        && e.scrollWidth > e.clientWidth + 1
      || ["hidden", "clip"].includes(overflowY)
        && e.scrollHeight > e.clientHeight + 1;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.checkVisibility() && e.clientWidth > 1)
    .filter((e) => e.textContent.trim() && !e.closest("svg, math, dialog"))
    .filter(hides)
    .map((e) => `${e.tagName} ${e.className}: ` +
      `${e.scrollWidth} x ${e.scrollHeight} px in ` +
      `${e.clientWidth} x ${e.clientHeight}: ` +
      e.textContent.trim().slice(0, 60));
}"""

# How high the type of a figure is on the screen, and the figure's words.
TYPE_SIZES = """(natural) =>
  [...document.querySelectorAll("article .cell_output img")]
    .filter((e) => e.checkVisibility())
    .map((e) => [natural * e.clientWidth / e.naturalWidth, e.alt])
"""


@pytest.fixture(scope="module")
def tab(browser, url, page):
    """A tab with one page, everything folded opened, to look at."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(f"{url}/{page}.html", wait_until="networkidle")
    tab.evaluate(OPEN)
    yield tab
    tab.close()


def cut_off(tab):
    tab.wait_for_timeout(100)  # what scrolls is found when sizes change
    return tab.evaluate(TOO_WIDE) + tab.evaluate(CLIPPED)


def text_size(tab):
    size = "getComputedStyle(document.querySelector('article p')).fontSize"
    return float(tab.evaluate(size).removesuffix("px"))


def set_text_size(tab, pixels):
    """Do what a reader does who chooses another size of text."""
    tools = tab.context.new_cdp_session(tab)
    tools.send("Page.enable")
    sizes = {"standard": pixels, "fixed": pixels * 13 // 16}
    tools.send("Page.setFontSizes", {"fontSizes": sizes})


def test_text_of_twice_the_size_is_all_there(tab):
    before = text_size(tab)
    set_text_size(tab, 32)
    # A little less than twice: at this size the page counts as narrow.
    larger, lost = text_size(tab) / before, cut_off(tab)
    set_text_size(tab, 16)
    assert larger > 1.8, f"the text grows only {larger} times"
    assert not lost, "\n".join(["at a text size of 200 %:", *lost])


def test_page_at_twice_the_size_is_all_there(tab):
    tab.set_viewport_size({"width": 640, "height": 450})
    lost = cut_off(tab)
    assert not lost, "\n".join(["at a zoom of 200 %:", *lost])


def test_type_in_figures_is_legible_on_a_phone(tab):
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.evaluate(SHOWN)
    natural = STYLE["font.size"] * STYLE["figure.dpi"] / 72
    small = [
        f"{size:.1f} px: {alt}"
        for size, alt in tab.evaluate(TYPE_SIZES, natural)
        if size < 8
    ]
    assert not small, "\n".join(
        ["type below 8 px, draw a narrower figure:", *small]
    )


# -- On paper -------------------------------------------------------------

# What belongs to a screen: ways about the site, and things to press.
NO_USE_ON_PAPER = """() =>
  [...document.querySelectorAll(
    "header, nav:not(.onlyprint *), footer, button, dialog, .skip-link, " +
    ".bd-sidebar, .headerlink, .play :is(input, select)")]
    .filter((e) => e.checkVisibility() && e.getClientRects().length)
    .filter((e) => e.getBoundingClientRect().height > 1)
    .filter((e) => e.getBoundingClientRect().right > 0)
    .map((e) => `${e.tagName}.${e.className}: ${e.textContent.trim()
      .slice(0, 60)}`)
"""

# Text that is not dark, and grounds that are not light: below or above
# the middle, as the sum of red, green and blue.
NOT_BLACK_ON_WHITE = """() => {
  const sum = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
    return a === 0 ? null : r + g + b;
  };
  return [...document.querySelectorAll("html, body, article, article *")]
    .filter((e) => e.checkVisibility())
    .filter((e) => !e.closest("svg, img"))
    .filter((e) => {
      const { color, backgroundColor } = getComputedStyle(e);
      const ground = sum(backgroundColor);
      return sum(color) > 460 || (ground !== null && ground < 600);
    })
    .map((e) => `${e.tagName}.${e.className}: ` +
      `${getComputedStyle(e).color} on ` +
      `${getComputedStyle(e).backgroundColor}`);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_on_paper(tab, scheme):
    tab.evaluate("s => document.documentElement.dataset.theme = s", scheme)
    tab.evaluate(
        "document.querySelectorAll('details').forEach("
        "d => { d.open = false })"
    )
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": TEXT_WIDTH, "height": 900})
    faults = {
        "cut off": tab.evaluate(CUT_OFF),
        "folded": tab.evaluate(FOLDED),
        "of no use": tab.evaluate(NO_USE_ON_PAPER),
        "not black on white": tab.evaluate(NOT_BLACK_ON_WHITE),
    }
    tab.emulate_media(media="screen")
    found = [
        f"{fault}: {what}"
        for fault, list_ in faults.items()
        for what in list_[:5]
    ]
    assert not found, "\n".join([f"on paper, from {scheme}:", *found])


def test_a_printed_chapter_is_complete(browser, url, site):
    tab = browser.new_page(color_scheme="dark")
    tab.add_init_script("localStorage.mode = 'dark'")
    tab.goto(f"{url}/book/01-chain.html", wait_until="networkidle")
    paper = tab.pdf(format="A4", margin=MARGIN)
    tab.close()
    text = "".join(
        "".join(sheet.extract_text().split())
        for sheet in PdfReader(BytesIO(paper)).pages
    )
    html = (site / "book/01-chain.html").read_text("utf-8")
    codes = BeautifulSoup(html, "html.parser").select(".cell_input pre")
    last = [
        "".join(code.get_text().rstrip().splitlines()[-1].split())
        for code in codes
    ]
    assert len(last) > 20
    missing = [line for line in last if line not in text]
    assert not missing, f"not on paper: {missing}"
    assert "Trainachainofneurons" in text[:60], text[:60]


# -- The title page -------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "height", "last"),
    [
        (1280, 860, "the map's last chapter"),
        (390, 844, "the map's first chapter"),
    ],
)
def test_the_title_page_says_it_in_one_screen(
    browser, url, width, height, last
):
    parts = {
        "the title": "article h1",
        "the promise": "article h1 ~ p",
        "where to start": "article .opening a",
        "the picture": "article .opening img",
        "the map's first chapter": "article tbody tr:first-child",
        "the map's last chapter": "article tbody tr:last-child",
    }
    tab = browser.new_page(viewport={"width": width, "height": height})
    tab.goto(f"{url}/book/index.html", wait_until="networkidle")
    boxes = {
        name: tab.locator(selector).first.bounding_box()
        for name, selector in parts.items()
    }
    starts = tab.locator(parts["where to start"]).get_attribute("href")
    tab.close()
    assert starts == "01-chain.html"
    names = list(parts)
    for name in names[: names.index(last) + 1]:
        box = boxes[name]
        end = box["y"] + box["height"]
        assert box["y"] >= 0 and end <= height, (
            f"{name} ends at {end:.0f} px of {height}: shorten what "
            "stands above it in book/index.md"
        )


# -- From page to page ----------------------------------------------------


def neighbours(site, page):
    html = (site / f"{page}.html").read_text("utf-8")
    document = BeautifulSoup(html, "html.parser")
    links = {
        way: document.select_one(f".prev-next-area a.{way}")
        for way in ("left-prev", "right-next")
    }
    return [
        link and f"book/{link['href'].removesuffix('.html')}"
        for link in links.values()
    ]


def test_a_page_leads_to_the_one_before_and_the_one_after(site, page):
    every = [None, *pages(), None]
    here = every.index(page)
    expected = [every[here - 1], every[here + 1]]
    assert neighbours(site, page) == expected, page


def test_the_sidebar_is_a_map_of_all_pages(site, page):
    html = (site / f"{page}.html").read_text("utf-8")
    links = BeautifulSoup(html, "html.parser").select(
        ".bd-sidebar-primary nav a"
    )
    here = page.split("/")[1]
    mapped = [
        "book/" + (link["href"].removesuffix(".html").strip("#") or here)
        for link in links
    ]
    assert mapped == pages(), f"the map on {page}"


def test_a_chapter_says_at_its_head_how_long_it_takes(site, notebook_page):
    html = (site / f"{notebook_page}.html").read_text("utf-8")
    document = BeautifulSoup(html, "html.parser")
    first = document.select_one("article h2").parent.get_text()
    assert "It takes about" in first, (
        f"{notebook_page}: the first section has to say how long it takes"
    )


# -- Search ---------------------------------------------------------------


@pytest.fixture(scope="module")
def search(browser, url):
    """A function from words to the addresses of the first five results."""
    tab = browser.new_page()

    def results(words):
        tab.goto(f"{url}/search.html?q={quote(words)}")
        tab.wait_for_selector("#search-results li a")
        tab.get_by_text("Search finished").wait_for()
        links = tab.locator("#search-results li > a").all()[:5]
        return [link.get_attribute("href") for link in links]

    yield results
    tab.close()


@pytest.mark.parametrize(
    ("words", "chapter", "term"),
    [
        ("log-sum-exp", "05-mnist", "log-sum-exp"),
        ("He initialisation", "02-matrix", "He-initialisation"),
        ("broadcasting", "02-matrix", "broadcasting"),
        ("learning rate", "01-chain", "learning-rate"),
        ("sigmoid", "03-modules", "sigmoid"),
    ],
)
def test_search_finds_a_term(search, words, chapter, term):
    found = search(words)
    for place in f"{chapter}.html", f"glossary.html#term-{term}":
        assert any(place in address for address in found), (
            f"{words} is not found in {place}, but first of all in {found}"
        )


# -- The keyboard ---------------------------------------------------------

# Which elements are to be reached, in order: what is seen and can be used.
MARK_STOPS = """() => {
  const stops = [...document.querySelectorAll(
      "a[href], button, input, select, summary, [tabindex='0']")]
    .filter((e) => e.checkVisibility({ visibilityProperty: true }))
    .filter((e) => !e.disabled && e.type !== "hidden")
    .filter((e) => !e.closest("dialog:not([open])"));
  stops.forEach((e, k) => { e.dataset.stop = k; });
  return stops.map((e) => `${e.tagName} ${e.className} ` +
    (e.getAttribute("aria-label") || e.textContent).trim().slice(0, 50));
}"""

# Where the focus is, and whether it can be seen there.
STOP = """async () => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const around = ({ effect }) =>
    effect.target !== e && effect.target.contains(e);
  const coming = document.getAnimations().filter(around);
  await Promise.all(coming.map((animation) => animation.finished));
  const marked = ({ outlineStyle, outlineWidth, boxShadow }) =>
    (outlineStyle !== "none" && parseFloat(outlineWidth) > 0)
      || boxShadow !== "none";
  const box = e.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight
    && box.right > 0 && box.left < innerWidth;
  return {
    stop: "stop" in e.dataset ? Number(e.dataset.stop) : null,
    seen: marked(getComputedStyle(e)) && inside,
    html: e.outerHTML.slice(0, 100),
  };
}"""


@pytest.fixture(scope="module")
def desk(browser, url):
    """A chapter with a figure to play with, to be read without a mouse."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    yield tab
    tab.close()


@pytest.fixture
def keys(desk, url):
    desk.goto(f"{url}/book/04-xor.html", wait_until="networkidle")
    desk.wait_for_timeout(200)  # what scrolls has become a stop
    return desk


def walk(tab, most):
    """Press Tab until the focus leaves the page; yield where it was."""
    for _ in range(most):
        tab.keyboard.press("Tab")
        if (here := tab.evaluate(STOP)) is None:
            return
        yield here
    pytest.fail(f"after {most} times Tab the focus is still on the page")


def test_tab_reaches_everything_in_order_and_shows_where_it_is(keys):
    keys.evaluate(OPEN)
    keys.wait_for_timeout(200)
    stops = keys.evaluate(MARK_STOPS)
    walked = list(walk(keys, 2 * len(stops)))
    unseen = [here["html"] for here in walked if not here["seen"]]
    assert not unseen, "\n".join(["focus not to be seen on:", *unseen])
    order = [here["stop"] for here in walked if here["stop"] is not None]
    missed = [stops[k] for k in set(range(len(stops))) - set(order)]
    assert not missed, "\n".join(["not reached with Tab:", *missed])
    assert order == sorted(order), "Tab leaves the order of the page"


def test_the_first_stop_skips_to_the_text(keys):
    keys.keyboard.press("Tab")
    keys.keyboard.press("Enter")
    keys.keyboard.press("Tab")
    inside = "document.activeElement.closest('main') !== null"
    assert keys.evaluate(inside), "the skip link does not move the focus"


def focus(tab, selector):
    """Put the focus where Tab has been shown to bring it."""
    tab.locator(f"{selector}:visible").first.focus()


def test_folds_open_and_close_by_keys(keys):
    for key in "Enter", "Space":
        focus(keys, "article summary")
        opened = "document.activeElement.parentElement.open"
        before = keys.evaluate(opened)
        keys.keyboard.press(key)
        assert keys.evaluate(opened) is not before, f"{key} does nothing"


@pytest.mark.parametrize("menu", ["launch", "source", "download"])
def test_menus_open_and_close_by_keys(keys, menu):
    here = f".dropdown-{menu}-buttons"
    focus(keys, f"{here} > button")
    keys.keyboard.press("Enter")
    keys.wait_for_selector(f"{here} .dropdown-menu.show")
    keys.keyboard.press("Tab")
    inside = f"document.activeElement.matches('{here} .dropdown-item')"
    assert keys.evaluate(inside), "Tab does not lead into the open menu"
    keys.keyboard.press("Escape")
    keys.wait_for_selector(f"{here} .dropdown-menu", state="hidden")


def test_the_theme_changes_by_keys(keys):
    mode = "document.documentElement.dataset.mode"
    before = keys.evaluate(mode)
    focus(keys, ".theme-switch-button")
    keys.keyboard.press("Enter")
    assert keys.evaluate(mode) != before, "Enter changes no colours"


def test_search_opens_and_closes_by_keys(keys):
    dialog = "#pst-search-dialog"
    for opener in "Enter", "Control+k":
        focus(keys, ".search-button-field")
        keys.keyboard.press(opener)
        keys.wait_for_selector(f"{dialog}[open]")
        keys.keyboard.type("sigmoid")
        typed = f"document.querySelector('{dialog} input').value"
        assert "sigmoid" in keys.evaluate(typed), "the keys go elsewhere"
        keys.keyboard.press("Escape")
        keys.wait_for_selector(dialog, state="hidden")


def test_code_is_copied_by_keys(keys):
    focus(keys, ".copybtn")
    keys.keyboard.press("Enter")
    keys.wait_for_selector(".copybtn.success")
