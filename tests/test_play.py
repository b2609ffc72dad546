"""The two figures that can be played with, in a browser.

Their arithmetic is held against the chapters': started alike, after 1, 10
and 1,000 steps the parameters are equal to 1e-9. From these starts an
early difference grows at most 66-fold in 1,000 steps, so that this is far
above what rounding adds up to, and far below what a wrong gradient does.
"""

import copy
import json
import math
import re

import numpy as np
import pytest

from lessons import chain, xor
from tests.support import ROOT
from tests.test_browser import LOOKS, axe, open_tab  # noqa: F401

TOLERANCE = 1e-9
STEPS = 1, 10, 1000
PAGES = {"neuron": "book/01-chain", "xor": "book/04-xor"}

# (w, b, x, y), the chapter's first; the rate is the figure's.
NEURONS = [
    (0.8, 0.1, 0.5, math.tanh(-1.2)),
    (-1.5, 0.7, 1.2, 0.3),
    (0.9, -1.2, -0.7, 0.95),
]
RATE = 0.1
NETWORKS = [(3, 0), (2, 0), (2, 6)]  # (hidden, seed) of the chapter


@pytest.fixture
def open_figure(open_tab):  # noqa: F811
    """A function that opens a figure; nothing may go wrong meanwhile."""

    def open_one(name, look="desk", **options):
        tab = open_tab(None, look, **options)
        tab.clock.install()
        tab.goto(f"{open_tab.url}/{PAGES[name]}.html")
        figure = tab.locator(f".play-{name}")
        figure.wait_for()
        figure.scroll_into_view_if_needed()
        return figure

    return open_one


def button(figure, name):
    return figure.get_by_role("button", name=name, exact=True)


def press(figure, name, times=1):
    """Press a button as often as that, without a wait between."""
    button(figure, name).evaluate(
        "(e, n) => { for (let k = 0; k < n; k++) e.click(); }", times
    )


def shown(figure):
    return figure.locator(".play-says").inner_text()


def heard(figure):
    """What is read out, once nothing has changed for a while."""
    figure.page.clock.run_for(1000)
    return figure.locator("[role=status]").text_content()


def data(figure, key):
    return json.loads(figure.get_attribute(f"data-{key}"))


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


def picture(figure):
    """All that is drawn: the curves, and the canvases' pixels."""
    return figure.evaluate(
        """e => [
          ...[...e.querySelectorAll("svg")].map((svg) => svg.outerHTML),
          ...[...e.querySelectorAll("canvas")].map((c) => c.toDataURL()),
        ].join()"""
    )


# -- The same numbers -----------------------------------------------------


def neuron_after(w, b, x, y, steps):
    history = chain.train(chain.Chain([w], [b]), [(x, y)] * steps, RATE)
    return history[-1][1]


def network_after(parameters, steps):
    parameters = copy.deepcopy(parameters)
    for _ in range(steps):
        xor.step_by_hand(parameters, lr=2)
    return parameters


def arrays(figure):
    """The figure's parameters as lessons.xor holds them."""
    held = data(figure, "parameters").values()
    W1, b1, W2, b2 = (np.array(p, float) for p in held)
    return W1, b1, W2[:, None], b2[None]


def named(parameters):
    """W1, b1, W2, b2 as the figure holds them."""
    W1, b1, W2, b2 = (p.tolist() for p in parameters)
    return {"W1": W1, "b1": b1, "W2": [row[0] for row in W2], "b2": b2[0]}


def expect_equal(found, expected, after):
    for p, q in zip(found, expected, strict=True):
        apart = np.abs(np.subtract(p, q)).max()
        assert apart < TOLERANCE, (
            f"after {after} steps the figure is {apart:.1e} from lessons"
        )


RUN = """async ([file, start, stops]) => {
  const model = await import(`/_static/play/${file}-model.js`);
  const found = [];
  let now = start;
  for (let k = 1; k <= Math.max(...stops); k++) {
    now = model.step(now, model.LR);
    if (stops.includes(k)) found.push(now);
  }
  return found;
}"""


@pytest.mark.parametrize("start", NEURONS)
def test_a_neuron_learns_as_in_the_chapter(open_figure, start):
    figure = open_figure("neuron")
    given = ["neuron", dict(zip("wbxy", start, strict=True)), STEPS]
    found = figure.page.evaluate(RUN, given)
    for steps, now in zip(STEPS, found, strict=True):
        expected = neuron_after(*start, steps)
        expect_equal([now["w"], now["b"]], expected, steps)


@pytest.mark.parametrize("start", NETWORKS)
def test_a_network_learns_as_in_the_chapter(open_figure, start):
    figure, start = open_figure("xor"), xor.start(*start)
    found = figure.page.evaluate(RUN, ["xor", named(start), STEPS])
    for steps, now in zip(STEPS, found, strict=True):
        expected = named(network_after(start, steps))
        expect_equal(
            map(np.array, now.values()),
            map(np.array, expected.values()),
            steps,
        )


def test_the_neuron_s_buttons_and_numbers(open_figure):
    figure = open_figure("neuron")
    start = data(figure, "parameters")
    assert tuple(start.values()) == pytest.approx(NEURONS[0], abs=1e-15)
    values = figure.locator("dd output")
    w, b, x, y = start.values()
    z = w * x + b
    a = math.tanh(z)
    dz = 2 * (a - y) * (1 - a**2)
    expected = [z, a, (a - y) ** 2, dz, dz * x, dz]
    assert values.all_inner_texts() == [f"{v:.6f}" for v in expected]
    for name, times in (("Step", 1), ("Step", 9), ("10 steps", 9)):
        press(figure, name, times)
        done, now = data(figure, "steps"), data(figure, "parameters")
        expected = neuron_after(*start.values(), done)
        expect_equal([now["w"], now["b"]], expected, done)
    slopes = figure.locator(".play-caption output").all_inner_texts()[1:]
    for slope, value in zip(
        slopes, values.all_inner_texts()[-2:], strict=True
    ):
        shown = number(slope.removeprefix("slope "))
        assert abs(shown - number(value)) < 0.0006
    press(figure, "Reset")
    assert data(figure, "parameters") == start and not data(
        figure, "steps"
    )


# -- Where a start comes from ---------------------------------------------


# (hidden, seed): W1 row by row, then W2.
STARTS = {
    (1, 0): [1.62643230765, 1.05099584184, -1.6749767254],
    (2, 9999): [
        1.44088275641,
        -0.616486627741,
        2.078297375,
        0.518382361071,
        -1.00122464344,
        -1.96847751164,
    ],
}


def choose(figure, hidden, seed):
    figure.get_by_role("combobox").select_option(str(hidden))
    figure.get_by_role("spinbutton").fill(str(seed))
    figure.get_by_role("spinbutton").press("Enter")


def test_a_start_comes_from_its_seed(open_figure):
    figure = open_figure("xor")
    # What is no seed from 0 to 9999 is put right.
    typed = {"0": 0, "0.7": 0, "": 0, "-3": 0, "9999": 9999, "1e9": 9999}
    for text, seed in typed.items():
        hidden = 1 if seed == 0 else 2
        choose(figure, hidden, text)
        W1, b1, W2, b2 = arrays(figure)
        found = [*W1.ravel(), *W2.ravel()]
        expect_equal([found], [STARTS[hidden, seed]], f"0, of {text!r},")
        assert not b1.any() and not b2.any()
    assert "a seed here is not NumPy" in figure.inner_text()


# -- Run, pause, step -----------------------------------------------------


def test_run_pause_and_the_end_of_a_run(open_figure):
    figure = open_figure("xor")
    clock = figure.page.clock
    clock.pause_at(figure.page.evaluate("Date.now()") + 1000)
    clock.run_for(1000)
    assert data(figure, "steps") == 0, "moves before Run is pressed"
    start, drawn = arrays(figure), picture(figure)
    height = figure.bounding_box()["height"]
    button(figure, "Run").click()
    assert figure.get_attribute("data-state") == "running"
    clock.run_for(1000)
    first = data(figure, "steps")
    assert heard(figure) == "Running."  # changes too often to be read out
    assert 0 < first < data(figure, "steps") < 5000
    assert picture(figure) != drawn
    assert figure.bounding_box()["height"] == height, "the page jumps"
    button(figure, "Pause").click()
    done = data(figure, "steps")
    assert f"Step {done:,}," in heard(figure)
    assert data(figure, "steps") == done
    expect_equal(arrays(figure), network_after(start, done), done)
    press(figure, "100 steps", 30)  # to run them takes long
    button(figure, "Run").click()
    clock.run_for(9000)
    assert figure.get_attribute("data-state") == "paused"
    assert data(figure, "steps") == 5000
    button(figure, "Step").click()
    assert data(figure, "steps") == 5001
    button(figure, "Run").click()
    figure.get_by_role("combobox").select_option("3")
    assert figure.get_attribute("data-state") == "ready"
    figure.get_by_role("combobox").select_option("2")
    expect_equal(arrays(figure), start, 0)
    assert picture(figure) == drawn


def test_the_verdict_is_that_of_the_run_that_is_shown(open_figure):
    """At once: not a moment later, that of the run before."""
    figure = open_figure("xor")
    tally = figure.locator(".play-tally")
    assert tally.inner_text().startswith("No start with 2 hidden units")
    press(figure, "To the end")
    assert data(figure, "steps") == 5000
    assert shown(figure).startswith("Solved: all four answers")
    assert "1 solved, 0 not" in tally.inner_text()
    choose(figure, 2, 0)
    assert shown(figure).startswith("Not solved")
    press(figure, "Next start")  # seed 1, which stops at 1/8
    assert figure.get_by_role("spinbutton").input_value() == "1"
    press(figure, "100 steps", 50)
    assert shown(figure).startswith("Not solved: 2 of 4 answers")
    loss = re.search(r"loss (\d\.\d+)", shown(figure))[1]
    assert float(loss) == pytest.approx(1 / 8, abs=0.001)
    assert "1 solved, 1 not" in tally.inner_text()
    assert "1 solved, 1 not" in heard(figure)
    figure.get_by_role("combobox").select_option("3")
    assert tally.inner_text().startswith("No start with 3")


def test_few_pictures_for_who_wants_no_motion(open_figure):
    figure = open_figure("xor", reduced_motion="reduce")
    figure.evaluate(
        """e => {
          window.seen = [];
          new MutationObserver(() => seen.push(Number(e.dataset.steps)))
            .observe(e, { attributeFilter: ["data-steps"] });
        }"""
    )
    button(figure, "Run").click()
    figure.page.clock.run_for(30_000)
    seen = figure.page.evaluate("[...new Set(seen)]")
    assert seen == list(range(0, 5001, 500))


# -- Keys and pointers ----------------------------------------------------


def test_arrows_move_the_neuron_and_its_drawing(open_figure):
    figure = open_figure("neuron")
    for label in "weight w", "bias b", "input x", "target y":
        name = label[-1]
        before, drawn = data(figure, "parameters"), picture(figure)
        slider = figure.get_by_role("slider", name=label)
        slider.press("ArrowRight")
        now = data(figure, "parameters")
        assert picture(figure) != drawn
        said = number(slider.get_attribute("aria-valuetext"))
        assert said == pytest.approx(now[name], abs=6e-5)
        # Not 0.05 to the digit: the target does not start on a mark.
        assert 0 < now.pop(name) - before.pop(name) < 0.1
        assert now == before


@pytest.mark.parametrize("name", "wbxy")
def test_points_can_be_dragged(open_figure, name):
    figure = open_figure("neuron")
    before, mouse = data(figure, "parameters"), figure.page.mouse

    def drag(across, down):
        grip = figure.locator(f".play-grip-{name}")
        box = grip.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + across, y + down, steps=2)
        mouse.up()

    up = -40 if name == "y" else 0
    drag(-40, up)
    now = data(figure, "parameters")
    moved = {key for key in now if now[key] != before[key]}
    assert moved == ({"x", "y"} if name == "y" else {name})
    # A point is where its number says: a second drag goes on from there.
    drag(40, -up)
    assert data(figure, "parameters") == pytest.approx(before, abs=0.05)


# -- To see, to hear, to print --------------------------------------------

# Asked in one go: what is drawn may be drawn anew between two questions.
SIZES = """e => {
  const edge = e.getBoundingClientRect().right;
  const size = (c) => c.getBoundingClientRect();
  return [
    ...[...e.querySelectorAll("*")]
      .filter((c) => !c.closest("svg svg") && !c.matches("canvas"))
      .filter((c) => size(c).right > edge && !c.matches(".play-heard")),
    ...[...e.querySelectorAll("button, .play-grip-w, .play-grip-y")]
      .filter((c) => Math.min(size(c).width, size(c).height) < 43.9),
    ...[...e.querySelectorAll("text:not(:empty)")]
      .filter((c) => parseFloat(getComputedStyle(c).fontSize) < 12),
  ].map((c) => c.outerHTML.slice(0, 80));
}"""


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_everyone_can_use_it(open_figure, name, look):
    figure = open_figure(name, look)
    images = figure.get_by_role("img")
    before = [e.get_attribute("aria-label") for e in images.all()]
    press(figure, "Step", 5)
    after = [e.get_attribute("aria-label") for e in images.all()]
    assert len(before) == 3 and not set(before) & set(after)
    assert heard(figure)
    found = list(axe(figure.page, [[f".play-{name}"]]))
    assert not found, "\n".join(found)
    for size in "100%", "200%":
        figure.page.evaluate(
            "size => document.documentElement.style.fontSize = size", size
        )
        figure.page.clock.run_for(500)
        small = figure.evaluate(SIZES) if look == "phone" else []
        assert not small, "\n".join([f"text at {size}", *small])


@pytest.mark.parametrize("name", PAGES)
def test_the_picture_stays_on_paper_and_without_scripts(
    open_figure, browser, url, name
):
    figure = open_figure(name)
    still = f".tag_play-{name} .cell_output img"
    figure.page.emulate_media(media="print")
    assert figure.page.locator(still).is_visible()
    assert not figure.is_visible()
    tab = browser.new_page(java_script_enabled=False)
    tab.goto(f"{url}/{PAGES[name]}.html")
    assert tab.locator(still).is_visible()
    tab.close()


def test_the_figures_are_light():
    static = ROOT / "book" / "_static"
    files = [*static.glob("play/*"), static / "play.css"]
    size = sum(file.stat().st_size for file in files)
    assert size < 40_000, f"{size} bytes, not below 40,000"
