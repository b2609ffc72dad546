"""The course's figures: one palette, one style, a few diagrams.

The colours are Okabe and Ito's, told apart by readers with any common
colour-vision deficiency (https://jfly.uni-koeln.de/color/), with the
vermilion darkened until text in it stands out from white (WCAG 2.2 AA,
a contrast of 4.5). Two of them keep one meaning throughout: blue for
values on their way forward, vermilion for gradients on their way back.
"""

import itertools

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch, Rectangle

from lessons.checks import check_whole

BLUE = "#0072B2"
VERMILION = "#C24E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
INK = "#222222"
GREY = "#767676"

FORWARD = BLUE
BACKWARD = VERMILION

STYLE = {
    "figure.dpi": 144,
    "figure.figsize": (6.4, 3.4),
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 11.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.prop_cycle": plt.cycler(color=[BLUE, GREEN, PURPLE, INK]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "grid.color": "#DDDDDD",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def use_style():
    """Make the course's style the one in which matplotlib draws."""
    plt.rcParams.update(STYLE)


def blank(width, height):
    """Axes without a frame, with one unit for each inch of the figure.

    width, height: in inches, above zero.
    """
    figure = plt.figure(figsize=(width, height), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def box(ax, x, y, text, *, width=0.8, height=0.56, color=INK):
    """Write text in a rounded box centred on (x, y), sizes in inches."""
    ax.text(
        x,
        y,
        text,
        color=color,
        ha="center",
        va="center",
        zorder=3,
    )
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="white",
            edgecolor=color,
            linewidth=1.4,
            zorder=2,
        )
    )


def arrow(ax, start, end, *, color=INK):
    """Draw an arrow from one point (x, y) to another."""
    ax.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": color,
            "linewidth": 1.4,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def chain_diagram(boxes, values, gradients):
    """A row of boxes, values flowing right above, gradients left below.

    boxes: what stands in each box, left to right. values, gradients: a
    label for each gap, so one more than boxes; where a gradient is "" no
    arrow is drawn. Returns the axes. ValueError where the numbers differ.
    """
    gaps = len(boxes) + 1
    if len(values) != gaps or len(gradients) != gaps:
        raise ValueError(
            f"{len(boxes)} boxes: expected {gaps} values and gradients, "
            f"got {len(values)} and {len(gradients)}"
        )
    # Narrow enough for the text to be read on a phone.
    step, half, margin = 1.35, 0.42, 0.25
    gap = step - 2 * half
    ax = blank(2 * margin + step * len(boxes) + gap, 1.4)
    for k, text in enumerate(boxes):
        x = margin + gap + half + step * k
        box(ax, x, 0.75, text, width=2 * half)
    for k, (value, gradient) in enumerate(
        zip(values, gradients, strict=True)
    ):
        left = margin + step * k
        right = left + gap
        middle = (left + right) / 2
        arrow(ax, (left, 0.87), (right, 0.87), color=FORWARD)
        ax.text(middle, 1.1, value, color=FORWARD, ha="center")
        if gradient:
            arrow(ax, (right, 0.63), (left, 0.63), color=BACKWARD)
            ax.text(
                middle,
                0.4,
                gradient,
                color=BACKWARD,
                ha="center",
                va="top",
            )
    return ax


def network_diagram(sizes, captions):
    """Layers of circles, left to right, every one joined to the next.

    sizes: how many circles stand in each layer, at least 1. captions:
    what is written under each; may hold line breaks. Returns the axes.
    ValueError where there are not as many, or a layer is empty.
    """
    for k, size in enumerate(sizes):
        check_whole(f"sizes[{k}]", size)
    if len(captions) != len(sizes):
        raise ValueError(
            f"expected a caption for each of {len(sizes)} layers, got "
            f"{len(captions)}"
        )
    across, down, below = 2.4, 0.46, 0.75
    height = down * max(sizes) + below
    ax = blank(across * (len(sizes) - 1) + 1.6, height)
    columns = []
    for k, (size, caption) in enumerate(zip(sizes, captions, strict=True)):
        x = 0.8 + across * k
        middle = (height + below) / 2
        ys = [middle + down * (i - (size - 1) / 2) for i in range(size)]
        columns.append([(x, y) for y in ys])
        ax.text(x, below - 0.1, caption, ha="center", va="top")
    for left, right in itertools.pairwise(columns):
        for (x0, y0), (x1, y1) in itertools.product(left, right):
            ax.plot([x0, x1], [y0, y1], color=GREY, linewidth=0.8)
    for x, y in itertools.chain.from_iterable(columns):
        ax.plot(
            x,
            y,
            "o",
            markersize=18,
            color="white",
            markeredgecolor=FORWARD,
        )
    return ax


def matrix_product(left, right, result):
    """Three rectangles to scale: left times right equals result.

    Each is a tuple (name, rows, columns). Returns the axes. ValueError
    where the shapes do not multiply to that of the result.
    """
    (_, n, inner), (_, rows, m), (_, *shape) = left, right, result
    if inner != rows or shape != [n, m]:
        raise ValueError(
            f"({n}, {inner}) times ({rows}, {m}) is not {tuple(shape)}"
        )
    unit, gap, under = 0.08, 0.55, 0.5
    matrices = (left, right, result)
    width = sum(unit * m for _, _, m in matrices) + 4 * gap
    height = unit * max(n for _, n, _ in matrices) + 2 * under
    ax = blank(width, height)
    x, middle = gap, height / 2 + under / 4
    for (name, n, m), sign in zip(matrices, ("", "×", "="), strict=True):
        ax.text(x - gap / 2, middle, sign, ha="center", va="center")
        corner = (x, middle - unit * n / 2)
        ax.add_patch(
            Rectangle(
                corner,
                unit * m,
                unit * n,
                facecolor="#E6F0F7",
                edgecolor=FORWARD,
            )
        )
        ax.text(
            x + unit * m / 2,
            corner[1] - 0.08,
            f"{name}\n({n}, {m})",
            ha="center",
            va="top",
        )
        x += unit * m + gap
    return ax
