"""The site as a browser shows it, on a desk and on a phone."""

from types import SimpleNamespace

import pytest

FORMULA_FAULTS = r"""() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const walk = document.createTreeWalker(document.body, 4 /* text */);
  const raw = [];
  while (walk.nextNode()) {
    const aside = walk.currentNode.parentElement.closest(
      "pre, code, script, style, mjx-container");
    if (!aside && /\\[(\[]/.test(walk.currentNode.data))
      raw.push("raw: " + walk.currentNode.data.trim());
  }
  return [
    ...raw,
    ...all(".math")
      .filter((e) => e.querySelectorAll("mjx-container").length !== 1)
      .map((e) => "not rendered: " + e.textContent.trim()),
    ...all("mjx-merror").map((e) => "error: " + e.dataset.mjxError),
    // An unknown macro is no error to MathJax: it prints the name in red.
    ...all("mjx-container [mathcolor=red]").map(
      (e) => "unknown: " + e.textContent),
  ];
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

OPEN_FOLDS = """() => {
  document.querySelectorAll("details").forEach((e) => { e.open = true; });
}"""


@pytest.fixture(scope="module", params=[1280, 390])
def view(request, browser, url, page):
    """A page, open at a width with all its folds, and what it did."""
    size = {"width": request.param, "height": 900}
    tab = browser.new_page(viewport=size)
    seen = SimpleNamespace(tab=tab, console=[], errors=[], requests=[])
    tab.on("console", lambda message: seen.console.append(message))
    tab.on("pageerror", lambda error: seen.errors.append(error))
    tab.on("request", lambda request: seen.requests.append(request))
    tab.goto(f"{url}/{page}.html", wait_until="networkidle")
    tab.evaluate("window.MathJax?.startup?.promise")
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


def test_every_formula_is_rendered(view):
    faults = view.tab.evaluate(FORMULA_FAULTS)
    assert not faults, "\n".join(["formulas:", *faults])
    formulas = view.tab.locator(".math").count()
    assert view.tab.locator("mjx-container").count() == formulas


def test_page_does_not_scroll_sideways(view):
    wide = view.tab.evaluate(TOO_WIDE)
    assert not wide, "\n".join(["sticking out:", *wide])
