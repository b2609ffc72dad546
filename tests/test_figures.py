"""The figures draw what they are told, in the course's style.

How each looks is compared where the chapters are run, pixel by pixel.
"""

import re
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgb

from lessons import figures
from lessons.figures import (
    chain_diagram,
    matrix_product,
    network_diagram,
)

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _drawn_as_in_a_chapter():
    with plt.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def assert_nothing_cut_off(ax):
    """Draw the figure; every text must lie within its edges."""
    ax.figure.canvas.draw()
    edges = ax.figure.bbox
    for text in ax.texts:
        extent = text.get_window_extent()
        inside = edges.containsx(extent.x0) and edges.containsx(extent.x1)
        inside &= edges.containsy(extent.y0) and edges.containsy(extent.y1)
        assert inside, f"cut off: {text.get_text()!r}"


# -- What is drawn --------------------------------------------------------


def test_chain_diagram_shows_values_forward_and_gradients_back():
    ax = chain_diagram(
        ["linear", r"$\tanh$"], ["x", "z", "a"], ["", "dz", "da"]
    )
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    del colours[""]  # arrows
    assert colours == {
        "linear": figures.INK,
        r"$\tanh$": figures.INK,
        "x": figures.FORWARD,
        "z": figures.FORWARD,
        "a": figures.FORWARD,
        "dz": figures.BACKWARD,
        "da": figures.BACKWARD,
    }
    arrows = [text for text in ax.texts if not text.get_text()]
    rightward = [arrow.xy[0] > arrow.xyann[0] for arrow in arrows]
    forward = [
        same_color(arrow.arrow_patch.get_edgecolor(), figures.FORWARD)
        for arrow in arrows
    ]
    assert sorted(forward) == [False] * 2 + [True] * 3
    assert rightward == forward, "an arrow points the wrong way"
    assert_nothing_cut_off(ax)


def test_network_diagram_joins_every_circle_to_the_next_layer():
    ax = network_diagram([3, 5, 1], ["in\n(25, 3)", "hidden", "out"])
    assert texts(ax) == ["in\n(25, 3)", "hidden", "out"]
    circles = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(circles) == 3 + 5 + 1
    assert len(ax.lines) - len(circles) == 3 * 5 + 5 * 1
    assert_nothing_cut_off(ax)


def test_matrix_product_draws_rectangles_to_scale():
    ax = matrix_product(("X", 3, 25), ("G", 25, 5), ("dW", 3, 5))
    assert texts(ax) == [
        "X\n(3, 25)",
        "×",
        "G\n(25, 5)",
        "=",
        "dW\n(3, 5)",
    ]
    sizes = [(p.get_height(), p.get_width()) for p in ax.patches]
    unit = sizes[0][0] / 3
    expected = unit * np.array([(3, 25), (25, 5), (3, 5)])
    assert np.array(sizes) == pytest.approx(expected)
    assert_nothing_cut_off(ax)


# -- What is refused ------------------------------------------------------

REFUSALS = {
    "values": (
        lambda: chain_diagram(["f"], ["x"], ["", ""]),
        "1 boxes: expected 2 values and gradients, got 1 and 2",
    ),
    "gradients": (
        lambda: chain_diagram(["f"], ["x", "y"], [""]),
        "1 boxes: expected 2 values and gradients, got 2 and 1",
    ),
    "layer": (
        lambda: network_diagram([3, 0], ["in", "out"]),
        "sizes[1]: expected at least 1, got 0",
    ),
    "captions": (
        lambda: network_diagram([3, 1], ["in"]),
        "expected a caption for each of 2 layers, got 1",
    ),
    "inner": (
        lambda: matrix_product(("A", 3, 4), ("B", 5, 2), ("C", 3, 2)),
        "(3, 4) times (5, 2) is not (3, 2)",
    ),
    "outer": (
        lambda: matrix_product(("A", 3, 4), ("B", 4, 2), ("C", 3, 4)),
        "(3, 4) times (4, 2) is not (3, 4)",
    ),
}


@pytest.mark.parametrize("call, words", REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_drawn_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
    assert not plt.get_fignums(), "an empty figure is left open"


# -- Style and colours ----------------------------------------------------


def test_use_style_sets_every_entry_of_the_style():
    matplotlib.rcdefaults()
    figures.use_style()
    style = matplotlib.RcParams(figures.STYLE)
    assert {name: plt.rcParams[name] for name in style} == dict(style)


CYCLE = figures.STYLE["axes.prop_cycle"].by_key()["color"]
COLOURS = [*CYCLE, figures.BACKWARD, figures.INK, figures.GREY]

# Machado, Oliveira and Fernandes 2009, doi 10.1109/TVCG.2009.113: what is
# left of linear red, green and blue without one kind of cone.
SIGHT = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour):
    """Linear red, green and blue, each from 0 to 1."""
    return np.array(to_rgb(colour)) ** 2.2


@pytest.mark.parametrize("matrix", SIGHT.values(), ids=SIGHT)
def test_line_colours_differ_to_every_eye(matrix):
    lines = [*CYCLE, figures.BACKWARD]
    seen = {
        colour: (matrix @ linear(colour)).clip(0, 1) ** (1 / 2.2)
        for colour in lines
    }
    for one, two in combinations(lines, 2):
        distance = np.linalg.norm(seen[one] - seen[two])
        assert distance > 25 / 255, f"{one} and {two} look alike"


@pytest.mark.parametrize("colour", sorted({*COLOURS}))
def test_colours_stand_out_from_white(colour):
    # WCAG 2.2, 1.4.11: 3 to 1 for what is needed to understand a graph.
    luminance = linear(colour) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3
