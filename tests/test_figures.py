"""What no figure can show is refused, and its colours are told apart.

What each figure shows is compared where the chapters are run, pixel by
pixel.
"""

import re
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lessons import figures
from lessons.figures import (
    chain_diagram,
    matrix_product,
    network_diagram,
)

matplotlib.use("Agg")


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
    plt.close("all")
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
    assert not plt.get_fignums(), "an empty figure is left open"


# -- Style and colours ----------------------------------------------------


def test_use_style_sets_every_entry_of_the_style():
    style = matplotlib.RcParams(figures.STYLE)
    with plt.rc_context():
        matplotlib.rcdefaults()
        figures.use_style()
        assert {k: plt.rcParams[k] for k in style} == dict(style)


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
