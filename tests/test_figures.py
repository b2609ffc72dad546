"""The figures draw what they are told, in the course's style."""

import re
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_hex, to_rgb
from matplotlib.text import Annotation

from lessons import figures
from lessons.figures import (
    arrow,
    blank,
    box,
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


def test_blank_has_one_unit_for_each_inch():
    ax = blank(4, 1.5)
    assert isinstance(ax, Axes)
    assert ax.figure.get_size_inches().tolist() == [4, 1.5]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 4), (0, 1.5))
    assert not ax.axison


def test_box_writes_its_text_at_its_centre():
    ax = blank(4, 2)
    box(ax, 1, 0.5, "here", width=2, height=0.4, color=figures.GREEN)
    [text], [patch] = ax.texts, ax.patches
    assert (text.get_text(), text.get_position()) == ("here", (1, 0.5))
    extent = patch.get_window_extent().transformed(ax.transData.inverted())
    assert extent.bounds == pytest.approx((0, 0.3, 2, 0.4))
    assert same_color(text.get_color(), figures.GREEN)
    assert same_color(patch.get_edgecolor(), figures.GREEN)


def test_arrow_points_from_start_to_end():
    ax = blank(4, 2)
    arrow(ax, (1, 1), (3, 1.5), color=figures.BACKWARD)
    [annotation] = ax.texts
    assert annotation.xyann == (1, 1)
    assert annotation.xy == (3, 1.5)
    edge = annotation.arrow_patch.get_edgecolor()
    assert same_color(edge, figures.BACKWARD)


def test_chain_diagram_shows_values_forward_and_gradients_back():
    ax = chain_diagram(
        ["linear", r"$\tanh$"], ["x", "z", "a"], ["", "dz", "da"]
    )
    assert isinstance(ax, Axes)
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
    assert isinstance(ax, Axes)
    assert texts(ax) == ["in\n(25, 3)", "hidden", "out"]
    circles = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(circles) == 3 + 5 + 1
    assert len(ax.lines) - len(circles) == 3 * 5 + 5 * 1
    assert_nothing_cut_off(ax)


def test_matrix_product_draws_rectangles_to_scale():
    ax = matrix_product(("X", 3, 25), ("G", 25, 5), ("dW", 3, 5))
    assert isinstance(ax, Axes)
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


# -- Every measure --------------------------------------------------------


def measures(*numbers):
    return " ".join(f"{number:g}" for number in np.round(numbers, 3))


def drawn(ax):
    """A line for the figure and for everything in it, with its measures.

    Places and sizes are in inches, from the lower left; line widths in
    points; z is what decides who hides whom.
    """
    yield f"figure {measures(*ax.figure.get_size_inches())}"
    for text in ax.texts:
        if isinstance(text, Annotation):
            line = text.arrow_patch
            yield (
                f"arrow {measures(*text.xyann)} to {measures(*text.xy)} "
                f"{to_hex(line.get_edgecolor())} "
                f"{measures(line.get_linewidth())}, "
                f"short of it {measures(line.shrinkA, line.shrinkB)}"
            )
        else:
            yield (
                f"{text.get_text()!r} {measures(*text.get_position())} "
                f"{text.get_ha()} {text.get_va()} "
                f"{to_hex(text.get_color())} z{text.get_zorder()}"
            )
    to_inches = ax.transData.inverted()
    for patch in ax.patches:
        extent = patch.get_window_extent().transformed(to_inches)
        yield (
            f"box {measures(*extent.bounds)} "
            f"{to_hex(patch.get_facecolor())} in "
            f"{to_hex(patch.get_edgecolor())} "
            f"{measures(patch.get_linewidth())} z{patch.get_zorder()}"
        )
    for line in ax.lines:
        x, y = line.get_data()
        yield (
            f"{line.get_marker()} {measures(*x)}, {measures(*y)} "
            f"{to_hex(line.get_color())} {measures(line.get_linewidth())}"
            f", {measures(line.get_markersize())} in "
            f"{to_hex(line.get_markeredgecolor())}"
        )


# A step of 1.5 from box to box; words of one gap above one another.
CHAIN = r"""
figure 3.71 1.4
'f' 1.18 0.75 center center #222222 z3
'g' 2.53 0.75 center center #222222 z3
arrow 0.25 0.87 to 0.76 0.87 #0072b2 1.4, short of it 0 0
'x' 0.505 1.1 center baseline #0072b2 z3
arrow 1.6 0.87 to 2.11 0.87 #0072b2 1.4, short of it 0 0
'z' 1.855 1.1 center baseline #0072b2 z3
arrow 2.11 0.63 to 1.6 0.63 #c24e00 1.4, short of it 0 0
'dz' 1.855 0.4 center top #c24e00 z3
arrow 2.95 0.87 to 3.46 0.87 #0072b2 1.4, short of it 0 0
'a' 3.205 1.1 center baseline #0072b2 z3
arrow 3.46 0.63 to 2.95 0.63 #c24e00 1.4, short of it 0 0
'da' 3.205 0.4 center top #c24e00 z3
box 0.76 0.47 0.84 0.56 #ffffff in #222222 1.4 z2
box 2.11 0.47 0.84 0.56 #ffffff in #222222 1.4 z2
"""

# 2.4 across and 0.46 down; fewer circles stand at half the height.
NETWORK = r"""
figure 4 2.13
'in' 0.8 0.65 center top #222222 z3
'out' 3.2 0.65 center top #222222 z3
None 0.8 3.2, 0.98 1.44 #767676 0.8, 6 in #767676
None 0.8 3.2, 1.44 1.44 #767676 0.8, 6 in #767676
None 0.8 3.2, 1.9 1.44 #767676 0.8, 6 in #767676
o 0.8, 0.98 #ffffff 2, 18 in #0072b2
o 0.8, 1.44 #ffffff 2, 18 in #0072b2
o 0.8, 1.9 #ffffff 2, 18 in #0072b2
o 3.2, 1.44 #ffffff 2, 18 in #0072b2
"""

# 0.08 for each row and column; the sign halfway between two rectangles.
PRODUCT = r"""
figure 3.08 1.24
'' 0.275 0.745 center center #222222 z3
'A\n(1, 3)' 0.67 0.625 center top #222222 z3
'×' 1.065 0.745 center center #222222 z3
'B\n(3, 4)' 1.5 0.545 center top #222222 z3
'=' 1.935 0.745 center center #222222 z3
'C\n(1, 4)' 2.37 0.625 center top #222222 z3
box 0.55 0.705 0.24 0.08 #e6f0f7 in #0072b2 1 z1
box 1.34 0.625 0.32 0.24 #e6f0f7 in #0072b2 1 z1
box 2.21 0.705 0.32 0.08 #e6f0f7 in #0072b2 1 z1
"""

# What a bare box and an arrow look like.
PARTS = r"""
figure 3 2
'here' 1 1 center center #222222 z3
arrow 0 0 to 1 1 #222222 1.4, short of it 0 0
box 0.6 0.72 0.8 0.56 #ffffff in #222222 1.4 z2
"""


def parts():
    ax = blank(3, 2)
    box(ax, 1, 1, "here")
    arrow(ax, (0, 0), (1, 1))
    return ax


DRAWINGS = {
    "chain": (
        lambda: chain_diagram(
            ["f", "g"], ["x", "z", "a"], ["", "dz", "da"]
        ),
        CHAIN,
    ),
    "network": (lambda: network_diagram([3, 1], ["in", "out"]), NETWORK),
    "product": (
        lambda: matrix_product(("A", 1, 3), ("B", 3, 4), ("C", 1, 4)),
        PRODUCT,
    ),
    "parts": (parts, PARTS),
}


@pytest.mark.parametrize("draw, measured", DRAWINGS.values(), ids=DRAWINGS)
def test_everything_has_its_place_size_and_colour(draw, measured):
    """If a figure was changed on purpose, write its new measures here."""
    ax = draw()
    assert ax.figure.get_layout_engine() is None, "the places would move"
    assert list(drawn(ax)) == measured.strip().splitlines()


@pytest.mark.parametrize("size", [0.5, 1])
def test_the_smallest_of_everything_can_be_drawn(size):
    blank(size, size)
    network_diagram([1, 1], ["in", "out"])
    matrix_product(("A", 1, 1), ("B", 1, 1), ("C", 1, 1))


# -- What is refused, by its name -----------------------------------------

A, B, C = ("A", 3, 4), ("B", 4, 2), ("C", 3, 2)
NAMED = {
    "ax": lambda: arrow("no axes", (0, 0), (1, 1)),
    "height": lambda: box(blank(2, 2), 1, 1, "f", height=0),
    "gradients": lambda: chain_diagram(["f"], ["x", "y"], "ab"),
    "captions": lambda: network_diagram([3, 1], "ab"),
    "left[0]": lambda: matrix_product((1, 3, 4), B, C),
    "result[2]": lambda: matrix_product(A, B, ("C", 3, 0)),
    "result": lambda: matrix_product(A, B, "C"),
}


@pytest.mark.parametrize("name, call", NAMED.items(), ids=NAMED)
def test_what_is_refused_is_named(name, call):
    with pytest.raises((TypeError, ValueError)) as refusal:
        call()
    assert str(refusal.value).startswith(f"{name} must be ")


def test_no_axes_are_called_what_they_are():
    with pytest.raises(TypeError, match=r"^ax must be Axes, got str$"):
        arrow("no axes", (0, 0), (1, 1))


# -- What is refused ------------------------------------------------------

REFUSALS = {
    "blank-width": (lambda: blank(0, 1), "width must be above 0, got 0"),
    "blank-height": (
        lambda: blank(1, -2),
        "height must be above 0, got -2",
    ),
    "blank-nan": (
        lambda: blank(float("nan"), 1),
        "width must be finite, got nan",
    ),
    "chain-empty": (
        lambda: chain_diagram([], ["x"], [""]),
        "got 0 boxes, 1 values and 1 gradients",
    ),
    "chain-values": (
        lambda: chain_diagram(["f"], ["x"], ["", ""]),
        "got 1 boxes, 1 values and 2 gradients",
    ),
    "chain-gradients": (
        lambda: chain_diagram(["f"], ["x", "y"], [""]),
        "got 1 boxes, 2 values and 1 gradients",
    ),
    "network-one-layer": (
        lambda: network_diagram([3], ["in"]),
        "got sizes [3] and 1 captions",
    ),
    "network-empty-layer": (
        lambda: network_diagram([3, 0], ["in", "out"]),
        "sizes[1] must be at least 1, got 0",
    ),
    "network-captions": (
        lambda: network_diagram([3, 1], ["in"]),
        "got sizes [3, 1] and 1 captions",
    ),
    "product-inner": (
        lambda: matrix_product(("A", 3, 4), ("B", 5, 2), ("C", 3, 2)),
        "(3, 4) times (5, 2) is not (3, 2)",
    ),
    "product-rows": (
        lambda: matrix_product(("A", 3, 4), ("B", 4, 2), ("C", 4, 2)),
        "(3, 4) times (4, 2) is not (4, 2)",
    ),
    "product-zero": (
        lambda: matrix_product(("A", 0, 4), ("B", 4, 2), ("C", 0, 2)),
        "left[1] must be at least 1, got 0",
    ),
    "product-columns": (
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
