"""The site in a browser: on a desk and a phone, by keys, on paper."""

import gzip
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from tools.pdf import CUT_OFF, FOLDED, TEXT_WIDTH

# The two looks at which axe finds what it finds at all four.
LOOKS = {"desk": (1280, "light"), "phone": (390, "dark")}
# Bytes of a page without its pictures: as stored, as a server sends them.
PLAIN, GZIPPED = 1_200_000, 400_000

# Before a page's own scripts run: what its policy forbids is noted.
WATCH_POLICY = """
  window.refused = [];
  addEventListener("securitypolicyviolation", (e) =>
    window.refused.push(`${e.violatedDirective}: ${e.blockedURI}, ` +
      `${e.sourceFile}:${e.lineNumber} ${e.sample}`));
"""

NOT_DRAWN = """() => [...document.querySelectorAll(".math")]
  .filter((e) => {
    const box = e.querySelector("math")?.getBoundingClientRect();
    return !(box?.width > 0 && box.height > 0);
  })
  .map((e) => e.dataset.tex)"""

# Marks one element for each piece of text that a formula is made of, and
# each element that has an icon before or behind it.
MARK_GLYPHS = r"""() => {
  const seen = new Set();
  for (const e of document.querySelectorAll("math :is(mi, mn, mo, mtext)"))
    if (e.textContent.trim() && !seen.has(e.textContent)) {
      seen.add(e.textContent);
      e.dataset.glyphs = "CourseMath";
    }
  for (const e of document.querySelectorAll("body *"))
    for (const place of ["::before", "::after"]) {
      const { content } = getComputedStyle(e, place);
      if (/[\ue000-\uf8ff]/.test(content) && e.checkVisibility())
        e.dataset.glyphs = "CourseIcons CourseBrands";
    }
}"""

# What sticks out of a page that scrolls sideways. A wide thing inside one
# that scrolls by itself does no harm.
TOO_WIDE = """() => {
  const width = document.documentElement.scrollWidth;
  if (width <= innerWidth) return [];
  const scrolls = (e) => getComputedStyle(e).overflowX !== "visible";
  const held = (e) =>
    !e.matches("article") && (scrolls(e) || held(e.parentElement));
  return [
    `${width} px wide`,
    ...[...document.querySelectorAll("article *")]
      .filter((e) => e.getBoundingClientRect().right > innerWidth)
      .filter((e) => !held(e.parentElement))
      .slice(0, 5)
      .map((e) => e.outerHTML.slice(0, 120)),
  ];
}"""

# What is cut off by its own box. A wide formula, table or piece of code
# scrolls in its own; what only a screen reader says is a pixel wide.
CLIPPED = """() => {
  const may = ".math, pre, .pst-scrollable-table-container";
  const hides = (e) => {
    const { overflowX, overflowY } = getComputedStyle(e);
    return overflowX !== "visible" && !e.matches(may)
        && e.scrollWidth > e.clientWidth + 1
      || ["hidden", "clip"].includes(overflowY) && !e.matches(".math")
        && e.scrollHeight > e.clientHeight + 1;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.checkVisibility() && e.clientWidth > 1)
    .filter((e) => e.textContent.trim() && !e.closest("svg, math, dialog"))
    .filter(hides)
    .map((e) => `${e.tagName} ${e.className}: ` +
      e.textContent.trim().slice(0, 60));
}"""

# What scrolls by itself and cannot be reached, or named, by the keyboard.
UNREACHABLE = """() =>
  [...document.querySelectorAll("article :is(.math, pre)")]
    .filter((e) => e.scrollWidth > e.clientWidth)
    .filter((e) => e.tabIndex !== 0 || !e.getAttribute("aria-label"))
    .map((e) => e.textContent.trim().slice(0, 120))"""

# Code that a reader has to push sideways, or an error message.
SIDEWAYS = """() =>
  [...document.querySelectorAll(".cell_input pre, .traceback pre")]
    .filter((e) => e.scrollWidth > e.clientWidth)
    .map((e) => e.textContent.trim().slice(0, 120))"""

# One word of each colour and ground stays in its element: axe would
# measure thousands, for seconds a chapter.
ONE_OF_EACH = """() => {
  const seen = new Set();
  for (const e of document.querySelectorAll("pre span[class]")) {
    const ground = e.closest("[class*=cell_], [class*=highlight-]");
    const kind = `${e.className} in ${ground?.className}`;
    if (seen.has(kind)) e.replaceWith(...e.childNodes);
    seen.add(kind);
  }
}"""


class Fault(list):
    """Collects what is wrong, and fails with all of it at once."""

    def add(self, name, found):
        self.extend(f"{name}: {one}" for one in found)

    def check(self, where):
        assert not self, "\n".join([f"{where}:", *self])


def axe(tab, within=None):
    """A line or more for each thing that axe-core objects to.

    It is put into the page by the browser's debugger, which the page's
    policy does not bind; without `preload` it fetches no style sheet.
    """
    tab.evaluate(ONE_OF_EACH)
    options = {"resultTypes": ["violations"], "preload": False}
    context = within or {"exclude": [["math"]]}
    for rule in Axe().run(tab, context, options).response["violations"]:
        for node in rule["nodes"]:
            why = node["failureSummary"].splitlines()[-1].strip()
            yield f"{rule['id']}: {node['html'][:160]}: {why}"


def foreign_glyphs(tab):
    """Formulas and icons that are not drawn in the course's own fonts."""
    tab.evaluate("document.fonts.ready")
    tab.evaluate(MARK_GLYPHS)
    tools = tab.context.new_cdp_session(tab)
    tools.send("DOM.enable")
    tools.send("CSS.enable")
    root = tools.send("DOM.getDocument")["root"]["nodeId"]
    query = {"nodeId": root, "selector": "[data-glyphs]"}
    marked = tools.send("DOM.querySelectorAll", query)["nodeIds"]
    assert marked, "not even the icons of the buttons are there"
    for node in marked:
        which = {"nodeId": node}
        html = tools.send("DOM.getOuterHTML", which)["outerHTML"]
        used = tools.send("CSS.getPlatformFontsForNode", which)["fonts"]
        fonts = {font["familyName"] for font in used}
        allowed = html.split('data-glyphs="')[1].split('"')[0].split()
        if not fonts or not fonts.issubset(allowed):
            yield f"{html[:120]} in {fonts or 'no font'}: tools/fonts.py"


@pytest.fixture
def open_tab(browser, url):
    """A function that opens a tab; at the end nothing may have failed."""
    contexts, faults = [], Fault()

    def open_one(page=None, look="desk", script="", **options):
        width, scheme = LOOKS[look]
        options = {"color_scheme": scheme} | options
        context = browser.new_context(
            viewport={"width": width, "height": 900}, **options
        )
        contexts.append(context)
        tab = context.new_page()
        tab.add_init_script(WATCH_POLICY + script)
        tab.asked = []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("pageerror", lambda e: faults.append(f"error: {e}"))
        tab.on("console", note)
        if page:
            tab.goto(f"{url}/{page}.html", wait_until="networkidle")
        return tab

    def note(message):
        if message.type == "error":
            faults.append(f"error: {message.text} {message.location}")

    open_one.url = url
    yield open_one
    for context in contexts:
        for tab in context.pages:
            faults.add("refused", tab.evaluate("window.refused"))
            asked = [a for a in tab.asked if not a.startswith(f"{url}/")]
            faults.add("asks another host", asked)
        context.close()
    faults.check("in the browser")


def unfold(tab, opened="true"):
    folds = "document.querySelectorAll('details')"
    tab.evaluate(f"{folds}.forEach((fold) => {{ fold.open = {opened} }})")
    tab.wait_for_timeout(150)  # sizes have changed


# -- Every page -----------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_page(open_tab, site, page, look):
    tab, faults = open_tab(page, look), Fault()
    unfold(tab)
    theme = tab.evaluate("document.documentElement.dataset.theme")
    assert theme == LOOKS[look][1], f"{theme} is not what is preferred"
    faults.add("sticks out", tab.evaluate(TOO_WIDE))
    faults.add("out of reach", tab.evaluate(UNREACHABLE))
    faults.add("not drawn", tab.evaluate(NOT_DRAWN))
    faults.add("wrong font", foreign_glyphs(tab))
    if look == "phone":
        faults.add("scrolls sideways", tab.evaluate(SIDEWAYS))
    faults.add("axe", axe(tab))
    # Once each: the browser's own tools ask for style sheets again.
    paths = {unquote(urlsplit(address).path) for address in tab.asked}
    files = [
        (site / path.lstrip("/")).read_bytes()
        for path in paths
        if not path.endswith((".png", ".svg", ".jpg"))
    ]
    plain, sent = (
        sum(map(len, files)),
        sum(map(len, map(gzip.compress, files))),
    )
    if plain > PLAIN or sent > GZIPPED:
        faults.append(f"heavy: {plain:,} bytes, {sent:,} as sent")
    figures = tab.locator(".play").count()
    loaded = any(path.endswith("play.css") for path in paths)
    assert loaded == bool(figures), "figures are loaded where none stands"
    faults.check(f"{page} on a {look}")


def set_text_size(tab, pixels):
    """Do what a reader does who chooses another size of text."""
    tools = tab.context.new_cdp_session(tab)
    tools.send("Page.enable")
    sizes = {"standard": pixels, "fixed": pixels * 13 // 16}
    tools.send("Page.setFontSizes", {"fontSizes": sizes})


def test_page_in_other_hands(open_tab, page):
    """Text or page of twice the size, and paper, from a dark screen."""
    tab, faults = open_tab(page, color_scheme="dark"), Fault()
    unfold(tab)
    set_text_size(tab, 32)
    tab.wait_for_timeout(150)
    faults.add(
        "large text", tab.evaluate(TOO_WIDE) + tab.evaluate(CLIPPED)
    )
    set_text_size(tab, 16)
    tab.set_viewport_size({"width": 640, "height": 450})
    tab.wait_for_timeout(150)
    faults.add("zoomed in", tab.evaluate(TOO_WIDE) + tab.evaluate(CLIPPED))
    unfold(tab, "false")
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": TEXT_WIDTH, "height": 900})
    for name, question in PAPER.items():
        faults.add(f"on paper {name}", tab.evaluate(question)[:5])
    faults.check(page)


# On paper: what belongs to a screen, and what is not dark on light.
PAPER = {
    "cut off": CUT_OFF,
    "folded": FOLDED,
    "of no use": """() => [...document.querySelectorAll(
        "header, nav:not(.onlyprint *), footer, button, dialog, " +
        ".skip-link, .bd-sidebar, .headerlink, .play")]
      .filter((e) => e.checkVisibility() && e.getClientRects().length)
      .filter((e) => e.getBoundingClientRect().height > 1)
      .filter((e) => e.getBoundingClientRect().right > 0)
      .map((e) => `${e.tagName}.${e.className}`)""",
    "not black on white": """() => {
      const sum = (colour) => {
        const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
        return a === 0 ? null : r + g + b;
      };
      return [...document.querySelectorAll("html, body, article *")]
        .filter((e) => e.checkVisibility() && !e.closest("svg"))
        .filter((e) => {
          const { color, backgroundColor, filter } = getComputedStyle(e);
          const ground = sum(backgroundColor);
          return e.matches("img") ? filter !== "none"
            : sum(color) > 460 || (ground !== null && ground < 600);
        })
        .map((e) => `${e.tagName}.${e.className}`);
    }""",
}


# -- Menus, search, storage -----------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_menus(open_tab, look):
    """Each opens by keys, passes axe, and closes by Escape."""
    tab = open_tab("book/01-chain", look)
    menus = {
        f".dropdown-{name}-buttons > button": (
            f".dropdown-{name}-buttons .dropdown-menu"
        )
        for name in ("launch", "source", "download")
    }
    menus[".search-button, .search-button-field"] = "#pst-search-dialog"
    if look == "phone":
        for name in "primary", "secondary":
            menus[f".{name}-toggle"] = f"#pst-{name}-sidebar-modal"
    faults = Fault()
    for button, menu in menus.items():
        tab.locator(button).filter(visible=True).first.focus()
        tab.keyboard.press("Enter")
        tab.locator(menu).filter(visible=True).wait_for()
        faults.add(f"axe in {menu}", axe(tab, [[menu]]))
        tab.keyboard.press("Escape")
        tab.wait_for_selector(menu, state="hidden")
    faults.check(f"menus on a {look}")


def search(tab, url):
    tab.goto(f"{url}/search.html")
    tab.keyboard.type("accuracy\n")  # the cursor is in the field already
    tab.locator(".search-summary:not(:empty)").wait_for()
    results = tab.locator("#search-results li > a")
    return [a.get_attribute("href") for a in results.all()]


def test_search(open_tab, url):
    tab, faults = open_tab(), Fault()
    found = search(tab, url)
    term = "book/glossary.html?highlight=accuracy#term-accuracy"
    assert term in found[:5], found[:5]
    assert tab.locator("#search-results p.context").count()
    faults.add("axe", axe(tab))
    tab.locator("#search-results li > a").first.click()
    tab.wait_for_selector("article .highlighted")
    faults.add("axe on a page with the words found", axe(tab))
    faults.check("search")


BLOCKED = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { configurable: true, get() {
    throw new DOMException("denied", "SecurityError");
  }});"""


@pytest.mark.parametrize("script", ["", BLOCKED], ids=["kept", "blocked"])
def test_buttons_and_search_with_and_without_storage(
    open_tab, url, script
):
    script += "window.print = () => { window.printed = true; };"
    tab = open_tab("book/01-chain", script=script)
    tab.click(".dropdown-download-buttons > button")
    tab.click(".btn-download-pdf-button")
    assert tab.evaluate("window.printed")
    theme = "document.documentElement.dataset.theme"
    for _ in range(3):  # system, light, dark, in some order
        tab.locator(".theme-switch-button").press("Enter")
        if tab.evaluate(theme) == "dark":
            break
    assert tab.evaluate(theme) == "dark"
    tab.reload(wait_until="commit")
    tab.wait_for_selector("body", state="attached")
    kept = "light" if "denied" in script else "dark"
    assert tab.evaluate(theme) == kept
    assert search(tab, url)


def test_from_a_file(browser, site):
    """What does not work there says so, and breaks nothing."""
    tab, errors = browser.new_page(), []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto((site / "book/01-chain.html").as_uri())
    assert tab.get_by_text("where the site is served").is_visible()
    assert tab.locator(".tag_play-neuron .cell_output img").is_visible()
    assert not errors, errors
    tab.goto((site / "search.html").as_uri() + "?q=accuracy")
    tab.locator(".bd-search-container input").fill("kink")
    tab.keyboard.press("Enter")
    assert "ReLU" in tab.locator("#search-results p").first.inner_text()
    tab.locator("#search-results li > a").first.click()
    assert tab.locator("article .highlighted").first.inner_text() == "kink"
    assert not errors, errors
    tab.close()


# -- The keyboard ---------------------------------------------------------

# What is seen and can be used, numbered in the order of the page.
MARK_STOPS = """() => {
  const stops = [...document.querySelectorAll(
      "a[href], button, input, select, summary, [tabindex='0']")]
    .filter((e) => e.checkVisibility({ visibilityProperty: true }))
    .filter((e) => !e.disabled && e.type !== "hidden")
    .filter((e) => !e.closest("dialog:not([open])"));
  stops.forEach((e, k) => { e.dataset.stop = k; });
  return stops.map((e) => e.outerHTML.slice(0, 100));
}"""

# Where the focus is, and whether it can be seen there.
STOP = """async () => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  await Promise.all(document.getAnimations()
    .filter(({ effect }) => effect.target.contains(e))
    .map((animation) => animation.finished.catch(() => {})));
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  return {
    stop: Number(e.dataset.stop),
    seen: box.bottom > 0 && box.top < innerHeight && box.right > 0
      && (outlineStyle !== "none" && parseFloat(outlineWidth) > 0
        || boxShadow !== "none"),
  };
}"""


def test_tab_reaches_everything_in_order_and_shows_where_it_is(open_tab):
    tab = open_tab("book/04-xor")
    stops, reached = tab.evaluate(MARK_STOPS), []
    for _ in range(2 * len(stops)):
        tab.keyboard.press("Tab")
        if (here := tab.evaluate(STOP)) is None:
            break
        if here["stop"] is not None:
            assert here["seen"], f"not to be seen: {stops[here['stop']]}"
            reached.append(here["stop"])
    missed = [stops[k] for k in set(range(len(stops))) - set(reached)]
    assert not missed, "\n".join(["not reached with Tab:", *missed])
    assert reached == sorted(reached), "Tab leaves the order of the page"


def test_keys(open_tab):
    tab = open_tab("book/04-xor")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    inside = "document.activeElement.closest('main') !== null"
    assert tab.evaluate(inside), "the first stop does not skip to the text"
    for key in "Enter", "Space":
        tab.locator("article summary:visible").first.focus()
        fold = "document.activeElement.parentElement.open"
        before = tab.evaluate(fold)
        tab.keyboard.press(key)
        assert tab.evaluate(fold) is not before, f"{key} opens no fold"
    tab.keyboard.press("Control+k")
    tab.wait_for_selector("#pst-search-dialog[open]")
    tab.keyboard.press("Escape")
    tab.locator(".copybtn:visible").first.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".copybtn.success")


@pytest.mark.parametrize("look", LOOKS)
def test_the_title_page_says_it_in_one_screen(open_tab, look):
    tab = open_tab("book/index", look)
    start = tab.locator("article .opening a")
    assert start.get_attribute("href") == "01-chain.html"
    for part in start, tab.locator("article .opening img"):
        box = part.bounding_box()
        assert box["y"] + box["height"] <= 844, "shorten what stands above"
