"""The two figures that can be played with, in a browser.

Their arithmetic is held against the chapters': started alike, the
parameters are equal to 1e-9 after 1, 10 and 1,000 steps. Why as much can
be asked is worked out beside the starts, by `drift`: what rounding can add
in each step, times how far an early difference grows. A start for which
that came out above 1e-9 would fail there, before anything is compared.
"""

import copy
import json
import math
import re
from urllib.parse import urlsplit

import numpy as np
import pytest
from conftest import ROOT

from lessons import chain, xor

TOLERANCE = 1e-9
STEPS = 1, 10, 1000
U = 2**-53  # the most that one rounding changes a number, by its size

PAGES = {"neuron": "01-chain", "xor": "04-xor"}
PLAY = ROOT / "book" / "_static" / "play"

# (w, b, x, y), the chapter's first; the rate is the figure's.
NEURONS = [
    (0.8, 0.1, 0.5, math.tanh(-1.2)),
    (-1.5, 0.7, 1.2, 0.3),
    (0.9, -1.2, -0.7, 0.95),
]
RATE = 0.1
# (hidden, seed) of the chapter's starts: its three programs, its four
# pictures, and one that ends on 1/8.
NETWORKS = [(3, 0), (2, 0), (2, 6)]


@pytest.fixture
def open_figure(browser, url):
    """A function that opens a figure; nothing may go wrong meanwhile."""
    contexts, errors = [], []

    def open_one(name, *, width=1280, theme="light", **options):
        options["viewport"] = {"width": width, "height": 1400}
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", note)
        tab.clock.install()
        tab.goto(f"{url}/book/{PAGES[name]}.html")
        figure = tab.locator(f".play-{name}")
        figure.wait_for()
        tab.evaluate(
            "theme => document.documentElement.dataset.theme = theme",
            theme,
        )
        return figure

    def note(message):
        if message.type == "error":
            errors.append(f"{message.text} ({message.location['url']})")

    yield open_one
    for context in contexts:
        context.close()
    assert not errors, "\n".join(["errors:", *errors])


def button(figure, name):
    return figure.get_by_role("button", name=name, exact=True)


def press(figure, name, times=1):
    """Press a button as often as that, without a wait between."""
    button(figure, name).evaluate(
        "(e, n) => { for (let k = 0; k < n; k++) e.click(); }", times
    )


def said(figure):
    """What is read out when it changes, and stands there to be read."""
    return figure.locator("[role=status]").inner_text()


def data(figure, key):
    return json.loads(figure.get_attribute(f"data-{key}"))


# -- The same numbers -----------------------------------------------------


def drift(start, step, rounding):
    """How far apart two programs can be after up to 1,000 steps.

    step(parameters) makes one step in place, rounding(parameters) bounds
    what rounding adds in one step of one program, to any parameter. These
    are added up for each fifth of the run as if they all fell on one side,
    doubled for two programs, and grow as small differences do that are
    made where the fifth begins or where it ends: by the largest row sum of
    the Jacobian, found by pushing each parameter by 1e-6.
    """
    run, size = copy.deepcopy(start), sum(p.size for p in start)
    fifth = max(STEPS) // 5
    added, growth, runs = [0.0] * 5, [1.0] * 6, []
    for k in range(max(STEPS)):
        if k % fifth == 0:
            runs.append([pushed(run, j) for j in range(size)])
        added[k // fifth] += rounding(run)
        step(run)
        now = flat(run)
        for place, others in enumerate(runs):
            for other in others:
                step(other)
            apart = sum(abs(flat(other) - now) for other in others)
            growth[place] = max(growth[place], apart.max() / 1e-6)
    grown = map(max, growth, growth[1:])
    return 2 * sum(a * g for a, g in zip(added, grown, strict=True))


def flat(parameters):
    return np.concatenate([p.ravel() for p in parameters])


def pushed(parameters, k):
    other = copy.deepcopy(parameters)
    for p in other:
        if k < p.size:
            p.flat[k] += 1e-6
            break
        k -= p.size
    return other


def neuron_after(w, b, x, y, steps):
    history = chain.train(chain.Chain([w], [b]), [(x, y)] * steps, RATE)
    return history[-1][1]


def neuron_rounding(parameters, x, y):
    """A tanh is off by at most 2 units in its last place, 4 U."""
    w, b = (p.item() for p in parameters)
    a = math.tanh(w * x + b)
    bent, miss = 1 - a**2, abs(a - y)
    off_a = bent * 2 * U * (abs(w * x) + abs(b)) + 4 * U
    off_g = 2 * (off_a * bent + miss * (2 * off_a + 2 * U))
    off_g += 8 * U * miss * bent
    return U * max(abs(w), abs(b)) + RATE * off_g * max(abs(x), 1)


def network_rounding(parameters, lr=2):
    """Like neuron_rounding; a sigmoid is off by 6 U, its sum apart."""
    W1, b1, W2, b2 = map(np.abs, parameters)
    A, Y_hat = xor.forward(xor.INPUTS, *parameters)
    bent1, bent2 = A * (1 - A), Y_hat * (1 - Y_hat)
    miss = np.abs(Y_hat - xor.XOR)
    G2 = miss * bent2 / 2
    G1 = G2 @ W2.T * bent1
    off_A = bent1 * 3 * U * (xor.INPUTS @ W1 + b1) + 6 * U
    off_Z2 = (len(W2) + 1) * U * (A @ W2 + b2) + off_A @ W2
    off_Y = bent2 * off_Z2 + 6 * U
    off_G2 = (off_Y * bent2 + miss * (off_Y + 2 * U)) / 2 + 4 * U * G2
    off_G1 = (off_G2 * bent1 + G2 * (off_A + 2 * U)) * W2.T
    # Of a row's gradients the biases' bounds are the largest: X, A <= 1.
    off = max(
        (off_G1 + 4 * U * G1).sum(axis=0).max(),
        (off_G2 + off_A * G2 + 4 * U * G2).sum(axis=0).max(),
    )
    return U * np.abs(flat(parameters)).max() + lr * off


@pytest.mark.parametrize("start", NEURONS)
def test_two_neurons_stay_within_the_tolerance(start):
    w, b, x, y = start

    def step(parameters):
        now = neuron_after(*(p.item() for p in parameters), x, y, 1)
        for p, value in zip(parameters, now, strict=True):
            p[:] = value

    def rounding(parameters):
        return neuron_rounding(parameters, x, y)

    most = drift([np.array([w]), np.array([b])], step, rounding)
    assert most < TOLERANCE, f"1e-9 cannot be asked of the start {start}"


@pytest.mark.parametrize("start", NETWORKS)
def test_two_networks_stay_within_the_tolerance(start):
    def step(parameters):
        xor.step_by_hand(parameters, lr=2)

    most = drift(xor.start(*start), step, network_rounding)
    assert most < TOLERANCE, f"1e-9 cannot be asked of the start {start}"


NEURON_RUN = """async ([start, lr, stops]) => {
  const model = await import("/_static/play/neuron-model.js");
  const found = [];
  let neuron = start;
  for (let k = 1; k <= Math.max(...stops); k++) {
    neuron = model.step(neuron, lr);
    if (stops.includes(k)) found.push([neuron.w, neuron.b]);
  }
  return found;
}"""

NETWORK_RUN = """async ([start, stops]) => {
  const model = await import("/_static/play/xor-model.js");
  const found = [];
  let parameters = start;
  for (let k = 1; k <= Math.max(...stops); k++) {
    parameters = model.step(parameters, model.LR);
    if (stops.includes(k)) found.push(parameters);
  }
  return found;
}"""


def expect_equal(found, expected, after):
    apart = np.abs(np.subtract(found, expected)).max()
    assert apart < TOLERANCE, (
        f"after {after} steps the figure's parameters are {apart:.1e} from"
        f" those of lessons, allowed is {TOLERANCE}"
    )


def named(parameters):
    """W1, b1, W2, b2 as the figure holds them."""
    W1, b1, W2, b2 = (p.tolist() for p in parameters)
    return {"W1": W1, "b1": b1, "W2": [row[0] for row in W2], "b2": b2[0]}


def arrays(parameters):
    """The figure's parameters as lessons.xor holds them."""
    W1, b1, W2, b2 = (np.array(p, float) for p in parameters.values())
    return W1, b1, W2[:, None], b2[None]


def network_after(parameters, steps):
    parameters = copy.deepcopy(parameters)
    for _ in range(steps):
        xor.step_by_hand(parameters, lr=2)
    return flat(parameters)


def test_neurons_are_those_of_the_chapter(open_figure):
    figure = open_figure("neuron")
    for w, b, x, y in NEURONS:
        start = {"w": w, "b": b, "x": x, "y": y}
        found = figure.page.evaluate(NEURON_RUN, [start, RATE, STEPS])
        for steps, parameters in zip(STEPS, found, strict=True):
            expected = neuron_after(w, b, x, y, steps)
            expect_equal(parameters, expected, steps)


def test_networks_are_those_of_the_chapter(open_figure):
    figure = open_figure("xor")
    for hidden, seed in NETWORKS:
        start = xor.start(hidden, seed)
        found = figure.page.evaluate(NETWORK_RUN, [named(start), STEPS])
        for steps, parameters in zip(STEPS, found, strict=True):
            expected = network_after(start, steps)
            expect_equal(flat(arrays(parameters)), expected, steps)


def test_neuron_steps_by_its_buttons(open_figure):
    figure = open_figure("neuron")
    start = data(figure, "parameters")
    assert tuple(start.values()) == pytest.approx(NEURONS[0], abs=1e-15)
    done = 0
    for name, times in (("Step", 1), ("Step", 9), ("10 steps", 99)):
        press(figure, name, times)
        done = data(figure, "steps")
        now = data(figure, "parameters")
        expected = neuron_after(*start.values(), done)
        expect_equal([now["w"], now["b"]], expected, done)
        assert (now["x"], now["y"]) == (start["x"], start["y"])
    assert done == 1000
    press(figure, "Reset")
    assert data(figure, "parameters") == start
    assert data(figure, "steps") == 0


def test_network_steps_by_its_buttons(open_figure):
    figure = open_figure("xor")
    start = arrays(data(figure, "parameters"))
    done = 0
    for name, times in (("Step", 1), ("Step", 9), ("Step", 90)):
        press(figure, name, times)
    press(figure, "Reset")
    for name, times, after in (
        ("Step", 1, 1),
        ("Step", 9, 10),
        ("Step", 90, 100),
        ("100 steps", 9, 1000),
    ):
        press(figure, name, times)
        done = data(figure, "steps")
        assert done == after
        now = arrays(data(figure, "parameters"))
        expect_equal(flat(now), network_after(start, done), done)


def test_neuron_prints_the_chapter_s_numbers(open_figure):
    """The numbers that the chapter prints for its first neuron."""
    figure = open_figure("neuron")
    shown = figure.locator("dd output").all_inner_texts()
    assert shown == [
        "0.500000",  # z
        "0.462117",  # y_hat
        "1.679024",  # L
        "2.038114",  # dL/dz
        "1.019057",  # dL/dw
        "2.038114",  # dL/db
    ]
    press(figure, "Step")
    loss = figure.locator(".play-row-L output").inner_text()
    assert loss == "1.153669"
    slopes = figure.locator(".play-caption output").all_inner_texts()
    values = figure.locator("dd output").all_inner_texts()[-2:]
    for slope, value in zip(slopes[1:], values, strict=True):
        assert slope == f"slope {float(value):.3f}"


# -- Where a start comes from ---------------------------------------------


def mulberry32(seed):
    """Tommy Ettinger's generator, written here a second time."""
    mask = 2**32 - 1
    while True:
        seed = (seed + 0x6D2B79F5) & mask
        t = (seed ^ seed >> 15) * (seed | 1) & mask
        t ^= (t + ((t ^ t >> 7) * (t | 61) & mask)) & mask
        yield ((t ^ t >> 14) + 1) / 2**32


def start_in_the_browser(hidden, seed):
    draw = mulberry32(seed)
    normal = [
        math.sqrt(-2 * math.log(next(draw)))
        * math.cos(2 * math.pi * next(draw))
        for _ in range(3 * hidden)
    ]
    W1 = np.reshape(normal[: 2 * hidden], (2, hidden))
    W2 = np.reshape(normal[2 * hidden :], (hidden, 1))
    W2 *= math.sqrt(2 / hidden)
    return W1, np.zeros(hidden), W2, np.zeros(1)


def choose(figure, hidden, seed):
    figure.get_by_role("combobox").select_option(str(hidden))
    figure.get_by_role("spinbutton").fill(str(seed))
    figure.get_by_role("spinbutton").press("Enter")


@pytest.mark.parametrize("hidden", [1, 2, 5])
def test_a_start_comes_from_its_seed(open_figure, hidden):
    figure = open_figure("xor")
    for seed in 0, 1, 9999:
        press(figure, "Step")
        choose(figure, hidden, seed)
        found = arrays(data(figure, "parameters"))
        expected = start_in_the_browser(hidden, seed)
        for p, q in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                p,
                q,
                rtol=0,
                atol=1e-12,
                err_msg=f"{hidden} hidden units, seed {seed}",
            )
        assert data(figure, "steps") == 0
    assert "a seed here is not NumPy" in figure.inner_text()


def test_a_seed_that_is_none_is_put_right(open_figure):
    figure = open_figure("xor")
    seed = figure.get_by_role("spinbutton")
    for typed, taken in (("", 0), ("-3", 0), ("2.7", 2), ("1e9", 9999)):
        choose(figure, 2, typed)
        assert seed.input_value() == str(taken)
        W1, *_ = arrays(data(figure, "parameters"))
        np.testing.assert_allclose(
            W1, start_in_the_browser(2, taken)[0], rtol=0, atol=1e-12
        )


def test_the_starts_that_the_page_tells_of(open_figure):
    figure = open_figure("xor")
    press(figure, "100 steps", 50)
    figure.page.clock.run_for(1000)
    assert said(figure).startswith("Solved: all four answers")
    choose(figure, 2, 1)
    press(figure, "100 steps", 50)
    figure.page.clock.run_for(1000)
    assert said(figure).startswith("Not solved: 2 of 4 answers")
    loss = re.search(r"loss (\d\.\d+)", said(figure))[1]
    assert float(loss) == pytest.approx(1 / 8, abs=0.001)


# -- Run, pause, step -----------------------------------------------------


def test_nothing_moves_before_run_is_pressed(open_figure):
    for name in PAGES:
        figure = open_figure(name)
        figure.page.clock.run_for(1000)  # it says what it shows
        before = figure.evaluate("e => e.outerHTML")
        figure.page.clock.run_for(5000)
        assert figure.evaluate("e => e.outerHTML") == before


def test_run_pause_and_the_end_of_a_run(open_figure):
    figure = open_figure("xor")
    clock = figure.page.clock
    clock.pause_at(figure.page.evaluate("Date.now()") + 1000)
    start = arrays(data(figure, "parameters"))
    drawn = picture(figure)

    button(figure, "Run").click()
    assert figure.get_attribute("data-state") == "running"
    clock.run_for(1000)
    first = data(figure, "steps")
    clock.run_for(1000)
    second = data(figure, "steps")
    assert 0 < first < second < 5000
    assert picture(figure) != drawn
    # What changes many times a second is not read out.
    assert said(figure) == "Running."

    button(figure, "Pause").click()
    assert figure.get_attribute("data-state") == "paused"
    clock.run_for(3000)
    assert data(figure, "steps") == second
    assert f"Step {second:,}," in said(figure)
    now = arrays(data(figure, "parameters"))
    expect_equal(flat(now), network_after(start, second), second)

    button(figure, "Step").click()
    assert data(figure, "steps") == second + 1
    button(figure, "Run").click()
    clock.run_for(30_000)
    assert figure.get_attribute("data-state") == "paused"
    assert data(figure, "steps") == 5000
    button(figure, "Run").click()
    clock.run_for(2000)
    assert data(figure, "steps") > 5000

    button(figure, "Reset").click()
    assert figure.get_attribute("data-state") == "ready"
    assert data(figure, "steps") == 0
    np.testing.assert_array_equal(
        flat(arrays(data(figure, "parameters"))), flat(start)
    )
    assert picture(figure) == drawn


def picture(figure):
    """All that is drawn: the curves, and the canvases' pixels."""
    return figure.evaluate(
        """e => [
          ...[...e.querySelectorAll("svg")].map((svg) => svg.outerHTML),
          ...[...e.querySelectorAll("canvas")].map((c) => c.toDataURL()),
        ].join()"""
    )


def test_a_new_size_or_a_step_stops_the_run(open_figure):
    figure = open_figure("xor")
    button(figure, "Run").click()
    figure.get_by_role("combobox").select_option("3")
    assert figure.get_attribute("data-state") == "ready"
    assert len(data(figure, "parameters")["b1"]) == 3
    button(figure, "Run").click()
    button(figure, "Step").click()
    assert figure.get_attribute("data-state") == "paused"


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

FOCUSED = """() => {
  const e = document.activeElement;
  const name = e.labels?.length ? e.labels[0].innerText : e.innerText;
  return e.closest(".play") ? name.split("\\n")[0].trim() : "";
}"""

RING = "getComputedStyle(document.activeElement).outlineStyle"


def test_tab_reaches_every_control_in_order(open_figure):
    expected = {
        "neuron": "weight w, bias b, input x, target y, Step, 10 steps, "
        "Reset",
        "xor": "hidden units, seed, Run, Step, 100 steps, Reset",
    }
    for name, controls in expected.items():
        figure = open_figure(name)
        figure.locator("input, select, button").first.focus()
        reached = []
        while focused := figure.page.evaluate(FOCUSED):
            reached.append(focused)
            ring = figure.page.evaluate(RING)
            assert ring == "solid", f"{focused}: no ring when focused"
            figure.page.keyboard.press("Tab")
        assert ", ".join(reached) == controls


def test_arrows_move_the_neuron_and_its_drawing(open_figure):
    figure = open_figure("neuron")
    for label in "weight w", "bias b", "input x", "target y":
        name = label[-1]
        before, drawn = data(figure, "parameters"), picture(figure)
        slider = figure.get_by_role("slider", name=label)
        slider.press("ArrowRight")
        now = data(figure, "parameters")
        assert picture(figure) != drawn
        assert slider.get_attribute("aria-valuetext")[-6:] == (
            f"{abs(now[name]):.4f}"
        )
        # Not 0.05 to the digit: the target does not start on a mark.
        assert 0 < now.pop(name) - before.pop(name) < 0.1
        assert now == before
    weight = figure.get_by_role("slider", name="weight w")
    weight.press("End")
    assert data(figure, "parameters")["w"] == 3


def test_keys_work_the_network(open_figure):
    figure = open_figure("xor")
    figure.get_by_role("combobox").press("ArrowDown")
    assert len(data(figure, "parameters")["b1"]) == 3
    figure.get_by_role("spinbutton").press("ArrowUp")
    W1, *_ = arrays(data(figure, "parameters"))
    np.testing.assert_allclose(
        W1, start_in_the_browser(3, 9)[0], rtol=0, atol=1e-12
    )
    button(figure, "Step").press("Enter")
    assert data(figure, "steps") == 1
    button(figure, "Run").press(" ")
    assert figure.get_attribute("data-state") == "running"
    button(figure, "Pause").press(" ")
    assert figure.get_attribute("data-state") == "paused"


def drag(figure, name, across, down):
    box = figure.locator(f".play-grip-{name}").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = figure.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + across / 2, y + down / 2)
    mouse.move(x + across, y + down)
    mouse.up()


@pytest.mark.parametrize("name", "wbxy")
def test_points_can_be_dragged(open_figure, name):
    figure = open_figure("neuron")
    figure.scroll_into_view_if_needed()
    before = data(figure, "parameters")
    up = -40 if name == "y" else 0
    drag(figure, name, -40, up)
    now = data(figure, "parameters")
    moved = {key for key in now if now[key] != before[key]}
    assert moved == ({"x", "y"} if name == "y" else {name})
    assert all(now[key] < before[key] for key in moved - {"y"})
    assert now["y"] >= before["y"]
    # A point is where its number says: a second drag goes on from there.
    drag(figure, name, 40, -up)
    again = data(figure, "parameters")
    for key, value in before.items():
        assert again[key] == pytest.approx(value, abs=0.05)


# -- To see, to hear, to print --------------------------------------------

VIEWS = [
    (name, width, theme)
    for name in PAGES
    for width in (1280, 390)
    for theme in ("light", "dark")
]

# Asked in one go: what is drawn may be drawn anew between two questions.
TYPE_SIZES = """
figure => [...figure.querySelectorAll("text:not(:empty)")]
  .map((e) => parseFloat(getComputedStyle(e).fontSize))
"""
BOXES = """e => [...e.querySelectorAll(
    "button, select, input, .play-grip-w, .play-grip-b, .play-grip-y")]
  .map((c) => {
    const box = c.getBoundingClientRect();
    return [c.outerHTML.slice(0, 60), Math.min(box.width, box.height)];
  })"""

STICKING_OUT = """e => {
  const edge = e.getBoundingClientRect().right;
  return [...e.querySelectorAll("*")]
    .filter((c) => !c.closest("svg svg") && !c.matches("canvas"))
    .filter((c) => c.getBoundingClientRect().right > edge)
    .map((c) => c.outerHTML.slice(0, 80));
}"""


def trained(figure):
    """In the middle of things, where there is most to see."""
    name = "Step" if figure.get_by_role("slider").count() else "100 steps"
    press(figure, name, 5)
    figure.page.clock.run_for(1000)


@pytest.mark.parametrize(("name", "width", "theme"), VIEWS)
def test_axe_finds_nothing(open_figure, name, width, theme):
    from axe_playwright_python.sync_playwright import Axe

    figure = open_figure(name, width=width, theme=theme)
    trained(figure)
    # Without preload axe does not fetch style sheets for itself.
    options = {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(figure.page, f".play-{name}", options)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("size", ["100%", "200%"])
@pytest.mark.parametrize("name", PAGES)
def test_a_phone_holds_it(open_figure, name, size):
    figure = open_figure(name, width=390)
    figure.page.evaluate(
        "size => document.documentElement.style.fontSize = size", size
    )
    trained(figure)
    assert figure.evaluate(STICKING_OUT) == []
    for control, size in figure.evaluate(BOXES):
        least = 44 if control.startswith("<button") else 24
        assert size >= least, f"{size} px to touch: {control}"
    sizes = figure.evaluate(TYPE_SIZES)
    assert sizes and min(sizes) >= 12


def luminance(rgb):
    def linear(c):
        c /= 255
        return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def rgb(figure, selector, property):
    text = figure.locator(selector).first.evaluate(
        "(e, property) => getComputedStyle(e)[property]", property
    )
    return [float(part) for part in re.findall(r"[\d.]+", text)[:3]]


GROUND = {"light": [255, 255, 255], "dark": [0x13, 0x15, 0x19]}
LINES = {
    "neuron": [
        ".play-curve",
        ".play-tangent",
        ".play-miss",
        ".play-axes path",
    ],
    "xor": [".play-curve", ".play-half", ".play-axes path"],
}


@pytest.mark.parametrize("theme", GROUND)
@pytest.mark.parametrize("name", PAGES)
def test_lines_stand_out_from_the_ground(open_figure, name, theme):
    figure = open_figure(name, theme=theme)
    for selector in LINES[name]:
        stroke = rgb(figure, selector, "stroke")
        assert contrast(stroke, GROUND[theme]) >= 3, selector
    text = rgb(figure, ".play-axes text", "fill")
    assert contrast(text, GROUND[theme]) >= 4.5


def test_the_surface_is_drawn_anew_in_the_dark(open_figure):
    figure = open_figure("xor")
    corner = """e => [...e.querySelector("canvas").getContext("2d")
      .getImageData(0, 47, 1, 1).data].slice(0, 3)"""
    light = figure.evaluate(corner)
    figure.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    figure.page.clock.run_for(100)
    assert luminance(figure.evaluate(corner)) < luminance(light) / 4


def test_pictures_say_what_they_show(open_figure):
    for name, pictures in (("neuron", 3), ("xor", 3)):
        figure = open_figure(name)
        shown = figure.get_by_role("img")
        assert shown.count() == pictures
        before = [e.get_attribute("aria-label") for e in shown.all()]
        assert all(len(label) > 20 for label in before)
        trained(figure)
        after = [e.get_attribute("aria-label") for e in shown.all()]
        changed = [a != b for a, b in zip(before, after, strict=True)]
        assert all(changed)
        assert said(figure)


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_the_picture_stays(browser, url, name):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{url}/book/{PAGES[name]}.html")
    assert tab.locator(f".tag_play-{name} .cell_output img").is_visible()
    assert tab.locator(".play").count() == 0
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_paper_shows_the_picture(open_figure, name):
    figure = open_figure(name)
    still = figure.page.locator(f".tag_play-{name} .cell_output")
    # The neuron's picture shows what the figure does, so it gives way.
    assert still.is_visible() == (name == "xor")
    figure.page.emulate_media(media="print")
    assert still.is_visible()
    assert not figure.is_visible()


# -- How it comes to the page ---------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_it_works_under_a_policy_of_own_files_alone(browser, url, name):
    """No script and no style may stand in the page itself."""
    context = browser.new_context()
    tab = context.new_page()
    tab.add_init_script(
        """window.broken = [];
        addEventListener("securitypolicyviolation", (e) =>
          broken.push(`${e.violatedDirective}: ${e.sourceFile}`));"""
    )

    def with_policy(route):
        answer = route.fetch()
        policy = {"Content-Security-Policy": "default-src 'self'"}
        route.fulfill(response=answer, headers=answer.headers | policy)

    tab.route("**/*.html", with_policy)
    tab.goto(f"{url}/book/{PAGES[name]}.html")
    figure = tab.locator(f".play-{name}")
    figure.wait_for()
    press(figure, "Step")
    assert data(figure, "steps") == 1
    broken = tab.evaluate("broken")
    assert [one for one in broken if "/play/" in one] == []
    # The policy is in force: it refuses what the figures never do.
    figure.evaluate("e => e.setAttribute('style', 'color: red')")
    tab.wait_for_function("n => broken.length > n", arg=len(broken))
    context.close()


def test_a_page_without_a_figure_loads_no_figure(browser, url):
    context = browser.new_context()
    tab, asked = context.new_page(), []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{url}/book/02-matrix.html", wait_until="networkidle")
    context.close()
    paths = [urlsplit(address).path for address in asked]
    assert [p for p in paths if "/play" in p] == ["/_static/play/load.js"]


def test_the_figures_are_light():
    files = [*PLAY.glob("*"), PLAY.parent / "play.css"]
    assert len(files) == 7
    size = sum(file.stat().st_size for file in files)
    assert size < 40_000, f"{size} bytes, not below 40,000"
