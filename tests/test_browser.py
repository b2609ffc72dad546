"""The site as a browser shows it, on a desk and on a phone."""

from types import SimpleNamespace

import pytest

FORMULA_FAULTS = r"""() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const walk = document.createTreeWalker(document.body, 4 /* text */);
  const raw = [];
  while (walk.nextNode()) {
    const aside = walk.currentNode.parentElement.closest(
      "pre, code, script, style, annotation");
    if (!aside && /\\[(\[]|\$/.test(walk.currentNode.data))
      raw.push("raw: " + walk.currentNode.data.trim());
  }
  const drawn = (e) => {
    const box = e.querySelector("math")?.getBoundingClientRect();
    return box && box.width > 0 && box.height > 0;
  };
  return [
    ...raw,
    ...all(".math")
      .filter((e) => !drawn(e))
      .map((e) => "not drawn: " + e.textContent.trim()),
    ...all("math:not(.math > *)").map((e) => "stray: " + e.textContent),
  ];
}"""

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

# How wide a page is that scrolls sideways, and what sticks out of it.
# A wide thing inside one that scrolls by itself does no harm.
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

# What scrolls by itself and cannot be reached, or named, by the keyboard.
UNREACHABLE = """() =>
  [...document.querySelectorAll("article :is(.math, pre)")]
    .filter((e) => e.scrollWidth > e.clientWidth)
    .filter((e) => e.tabIndex !== 0 || !e.getAttribute("aria-label"))
    .map((e) => e.textContent.trim().slice(0, 120))
"""

# Before a page's own scripts run: what its policy forbids is noted.
WATCH_POLICY = """
  window.refused = [];
  addEventListener("securitypolicyviolation", (e) =>
    window.refused.push(`${e.violatedDirective}: ${e.blockedURI}, ` +
      `${e.sourceFile}:${e.lineNumber} ${e.sample}`));
"""

OPEN_FOLDS = """() => {
  document.querySelectorAll("details").forEach((e) => { e.open = true; });
}"""


@pytest.fixture(scope="module", params=[1280, 390])
def view(request, browser, url, page):
    """A page, open at a width with all its folds, and what it did."""
    size = {"width": request.param, "height": 900}
    tab = browser.new_page(viewport=size)
    tab.add_init_script(WATCH_POLICY)
    seen = SimpleNamespace(tab=tab, console=[], errors=[], requests=[])
    tab.on("console", lambda message: seen.console.append(message))
    tab.on("pageerror", lambda error: seen.errors.append(error))
    tab.on("request", lambda request: seen.requests.append(request))
    tab.goto(f"{url}/{page}.html", wait_until="networkidle")
    tab.evaluate(OPEN_FOLDS)
    yield seen
    tab.close()


def test_no_errors(view):
    errors = [
        f"{message.text} ({message.location['url']})"
        for message in view.console
        if message.type == "error"
    ]
    errors += map(str, view.errors)
    assert not errors, "\n".join(["errors:", *errors])


def test_no_request_to_another_host(view, url):
    own = f"{url}/", "data:", "blob:"
    urls = [request.url for request in view.requests]
    foreign = [address for address in urls if not address.startswith(own)]
    assert not foreign, "\n".join(["requests to others:", *foreign])


def test_nothing_is_refused_by_the_policy(view):
    refused = view.tab.evaluate("window.refused")
    assert not refused, "\n".join(["refused:", *refused])


def test_every_formula_is_drawn(view):
    faults = view.tab.evaluate(FORMULA_FAULTS)
    assert not faults, "\n".join(["formulas:", *faults])


def glyphs(tab):
    """Yield marked elements, the fonts they may have and do have."""
    tab.evaluate("document.fonts.ready")
    tab.evaluate(MARK_GLYPHS)
    tools = tab.context.new_cdp_session(tab)
    tools.send("DOM.enable")
    tools.send("CSS.enable")
    root = tools.send("DOM.getDocument")["root"]["nodeId"]
    query = {"nodeId": root, "selector": "[data-glyphs]"}
    for node in tools.send("DOM.querySelectorAll", query)["nodeIds"]:
        which = {"nodeId": node}
        html = tools.send("DOM.getOuterHTML", which)["outerHTML"]
        used = tools.send("CSS.getPlatformFontsForNode", which)["fonts"]
        allowed = html.split('data-glyphs="')[1].split('"')[0].split()
        yield html, allowed, {font["familyName"] for font in used}


def test_formulas_and_icons_are_in_the_course_s_fonts(view):
    found = list(glyphs(view.tab))
    assert found, "the page has not even the icons of its buttons"
    missing = [
        f"{html}: {fonts or 'no glyph'}"
        for html, allowed, fonts in found
        if not fonts or not fonts.issubset(allowed)
    ]
    assert not missing, "\n".join(
        ["not in book/_static/fonts, see tools/fonts.py:", *missing]
    )


def test_what_scrolls_is_reached_by_the_keyboard(view):
    view.tab.wait_for_timeout(100)  # a fold was opened: sizes have changed
    unreachable = view.tab.evaluate(UNREACHABLE)
    assert not unreachable, "\n".join(["out of reach:", *unreachable])


def test_page_does_not_scroll_sideways(view):
    wide = view.tab.evaluate(TOO_WIDE)
    assert not wide, "\n".join(["sticking out:", *wide])


@pytest.fixture
def tab(browser):
    """An empty tab that notes errors and what a policy refuses."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.add_init_script(WATCH_POLICY)
    tab.faults = []
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    yield tab
    tab.close()


def faults(tab):
    return tab.faults + tab.evaluate("window.refused")


def test_search_finds_a_word(tab, url):
    tab.goto(f"{url}/search.html")
    tab.keyboard.type("gradient\n")  # the cursor is in the field already
    tab.wait_for_selector("#search-results li a")
    assert "q=gradient" in tab.url
    assert not faults(tab)


def test_buttons_work(tab, url):
    """Those whose scripts the pages no longer carry in themselves."""
    tab.add_init_script("window.print = () => { window.printed = true; }")
    tab.goto(f"{url}/book/01-chain.html", wait_until="networkidle")
    tab.click(".dropdown-download-buttons > button")
    tab.click(".btn-download-pdf-button")
    assert tab.evaluate("window.printed")
    tab.click(".theme-switch-button")
    chosen = tab.evaluate("document.documentElement.dataset.mode")
    assert chosen != "light"
    tab.reload(wait_until="commit")
    tab.wait_for_selector("body", state="attached")
    assert tab.evaluate("document.documentElement.dataset.mode") == chosen
    assert not faults(tab)
