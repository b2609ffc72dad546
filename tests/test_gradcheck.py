"""The verdict on a gradient: right, wrong, or that it cannot be told.

The networks in which it is tried are written here, forward and backward,
in plain NumPy: they owe nothing to the chapters.
"""

import itertools
import re
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lessons.gradcheck import gradcheck
from lessons.matrix import numerical_gradient

UNITS = [1e-12, 1e-9, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9, 1e12]
RIGHT = "agrees", "zero here"


def network(seed, units):
    """A random network of one to three layers; half have zero biases."""
    rng = np.random.default_rng(seed)
    depth, n = rng.integers(1, 4), rng.integers(1, 9)
    softmax, tanh, zero = rng.random(3) < 0.5
    sizes = rng.integers(1, 5, depth + 1)
    sizes[-1] += softmax
    P = {}
    for k, shape in enumerate(itertools.pairwise(sizes), 1):
        P[f"W{k}"] = rng.normal(size=shape) * np.sqrt(2 / shape[0])
        P[f"b{k}"] = rng.normal(size=shape[1]) * (not zero)
    X = rng.normal(size=(n, sizes[0])) * units
    y = rng.normal(size=(n, sizes[-1]))
    if softmax:
        y = np.eye(sizes[-1])[y.argmax(1)]
    return SimpleNamespace(
        P=P, X=X, y=y, depth=depth, softmax=softmax, tanh=tanh
    )


def forward(net):
    """The loss and the output of each layer, the input first."""
    outputs = [net.X]
    for k in range(1, net.depth + 1):
        Z = outputs[-1] @ net.P[f"W{k}"] + net.P[f"b{k}"]
        if k < net.depth:
            Z = np.tanh(Z) if net.tanh else np.maximum(Z, 0)
        outputs.append(Z)
    if not net.softmax:
        return np.mean((Z - net.y) ** 2), outputs
    S = Z - Z.max(1, keepdims=True)
    S -= np.log(np.exp(S).sum(1, keepdims=True))
    return -np.mean((S * net.y).sum(1)), outputs


def backward(net):
    """The gradients of the loss, by name."""
    _, outputs = forward(net)
    Z, gradients = outputs[-1], {}
    if net.softmax:
        E = np.exp(Z - Z.max(1, keepdims=True))
        G = (E / E.sum(1, keepdims=True) - net.y) / len(Z)
    else:
        G = 2 * (Z - net.y) / Z.size
    for k in range(net.depth, 0, -1):
        A = outputs[k - 1]
        gradients[f"W{k}"], gradients[f"b{k}"] = A.T @ G, G.sum(0)
        G = G @ net.P[f"W{k}"].T
        G *= (1 - A**2) if net.tanh else (A > 0)
    return gradients


def check(net, gradients):
    """gradcheck of the network with the gradients given."""
    pairs = {name: (net.P[name], gradients[name]) for name in gradients}
    return gradcheck(lambda: forward(net)[0], pairs)


def verdicts(count=300):
    """By units: how often each verdict meets a right, a wrong gradient.

    Of each network about half of the gradients have their signs flipped.
    """
    table = defaultdict(Counter)
    for seed in range(count):
        units = UNITS[seed % len(UNITS)]
        net = network(seed, units)
        gradients = backward(net)
        flipped = np.random.default_rng(seed).random(len(gradients)) < 0.5
        for name, flip in zip(gradients, flipped, strict=True):
            # Minus nothing is no other gradient.
            gradients[name] *= -1 if flip else 1
        result = check(net, gradients)
        for name, flip in zip(gradients, flipped, strict=True):
            kind = "wrong" if flip and gradients[name].any() else "right"
            table[units][kind, result[name].verdict] += 1
    return table


def test_300_networks_none_judged_wrongly():
    table = verdicts()
    for units, counts in table.items():
        fault = {
            (kind, said): count
            for (kind, said), count in counts.items()
            if (kind == "right" and said == "wrong")
            or (kind == "wrong" and said in RIGHT)
        }
        assert not fault, f"inputs of {units}: {fault}"
    judged = sum(
        count
        for counts in table.values()
        for (_, said), count in counts.items()
        if said in ("wrong", *RIGHT)
    )
    total = sum(map(Counter.total, table.values()))
    assert judged > 0.7 * total, f"judged {judged} of {total}"


# -- The slip -------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 4, 50])
@pytest.mark.parametrize(
    "slip, words, wrong",
    [
        ("sign", "the sign is turned", lambda W, G, H: -G),
        ("transpose", "transposed", lambda W, G, H: G.T),
        ("rows reversed", "rows in reverse", lambda W, G, H: G[::-1]),
        ("columns reversed", "columns in r", lambda W, G, H: G[:, ::-1]),
        ("another's", "V's gradient", lambda W, G, H: H),
        ("decay put in", "0.1 × W put in", lambda W, G, H: G + 0.1 * W),
        ("decay left out", "0.1 × W left", lambda W, G, H: G - 0.1 * W),
    ],
)
def test_a_slip_is_named(size, slip, words, wrong):
    """In one of two square matrices, of which the large are sampled."""
    for seed in range(20 if size < 50 else 1):
        rng = np.random.default_rng(seed)
        W, V = rng.normal(size=(2, size, size))
        X, y = rng.normal(size=(2, 7, size))

        def loss(W=W, V=V, X=X, y=y):
            return float(((X @ W @ V - y) ** 2).mean())

        G = 2 * (X @ W @ V - y) / y.size
        right = {"W": X.T @ G @ V.T, "V": (X @ W).T @ G}
        arrays = {
            "W": (W, wrong(W, *right.values())),
            "V": (V, right["V"]),
        }
        result = gradcheck(loss, arrays)
        assert result["W"].slip == slip and words in str(result), result


def layer(rng):
    """A loss of Z (6, 4) and its slope, masked where Z is negative."""
    Z, C = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    return Z, C, lambda: float((C * np.maximum(Z, 0)).sum())


@pytest.mark.parametrize(
    "slip, mask, words",
    [
        ("mask missing", lambda Z: Z < np.inf, "the mask is missing"),
        ("mask too tight", lambda Z: Z > 0.5, "the mask is too tight"),
        ("", lambda Z: Z < 0, "wrong in 24, first [0, 0]"),
    ],
)
def test_a_mask_is_named_at_its_own_array(rng, slip, mask, words):
    Z, C, loss = layer(rng)
    result = gradcheck(loss, {"Z": (Z, C * mask(Z))})
    assert result["Z"].slip == slip
    assert words in str(result)


@pytest.mark.parametrize(
    "factor, slip, words",
    [
        (-1, "sign", "wrong: the sign is turned"),
        (2, "factor", "wrong: 2 times too large"),
        (0.5, "factor", "wrong: 2 times too small"),
        (3, "factor", "wrong: 3 times too large (the outputs)"),
        (1 / 3, "factor", "wrong: 3 times too small (the outputs)"),
        (7, "factor", "wrong: 7 times too large"),
        (1 / 7, "mean", "wrong: a mean where the sum is meant"),
        (0.3, "factor", "wrong: 0.3 times the right one"),
    ],
)
def test_what_a_factor_equals(rng, factor, slip, words):
    X, y, b = rng.normal(size=(7, 3)), rng.normal(size=(7, 3)), np.ones(3)
    right = 2 * (X + b - y).sum(0) / X.size
    loss = lambda: float(((X + b - y) ** 2).mean())  # noqa: E731
    result = gradcheck(loss, {"b": (b, right * factor)})
    assert result["b"].slip == slip
    assert str(result).splitlines()[1].endswith(words), result


# -- One verdict at a time ------------------------------------------------


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def squares(W):
    return lambda: float((W**2).sum())


def test_the_table(rng):
    W, b = rng.normal(size=(3, 5)), np.zeros(5)
    big = rng.normal(size=(300, 4))
    loss = lambda: float(((W + b) ** 2).sum() + (big**3).sum())  # noqa: E731
    G = 2 * W
    G[1, 2] = 0
    arrays = {"W": (W, G), "b": (b, 2 * W.sum(0)), "V": (big, 3 * big**2)}
    result = gradcheck(loss, arrays)
    assert str(result) == repr(result)
    assert str(result).splitlines() == [
        "array  shape    nudged      off by  verdict",
        "W      (3,5)    15          0.41    wrong in 1, first [1, 2]",
        "b      (5,)     5           < 1e-6  zero here",
        "V      (300,4)  60 of 1200  < 1e-6  agrees to 6 digits",
        "zero here: a term that vanishes at zero cannot be seen",
    ]
    assert not result.ok
    assert result.unjudged == ["b"]
    assert result["W"].verdict == "wrong"


def test_a_sample_has_the_largest_gradient_in_it(rng):
    W = rng.normal(size=(50, 50))
    G = 2 * W
    G[31, 7] = 100
    assert "wrong in 1, first [31, 7]" in str(
        gradcheck(squares(W), {"W": (W, G)})
    )


@pytest.mark.parametrize("scale", [1e-9, 1, 1e9])
def test_a_missing_factor_is_wrong_at_every_scale(rng, scale):
    W = rng.normal(size=(2, 3)) * scale
    assert gradcheck(squares(W), {"W": (W, 2 * W)}).ok
    result = gradcheck(squares(W), {"W": (W, W)})
    assert result["W"].verdict == "wrong"
    assert not result.ok


def test_a_parameter_is_zero_and_the_numbers_around_it_are_not(rng):
    y, b = 250_000 * rng.uniform(1, 2, size=(9, 2)), np.zeros(2)
    right = -2 * y.mean(0) / 2
    for gradient, verdict in (right, "zero here"), (-right, "wrong"):
        result = gradcheck(
            lambda: ((b - y) ** 2).mean(), {"b": (b, gradient)}
        )
        assert result["b"].verdict == verdict


def test_too_small_to_check():
    w = np.array([1.0, 2.0])
    loss = lambda: float(1 + 1e-20 * np.sin(w).sum())  # noqa: E731
    result = gradcheck(loss, {"w": (w, np.full(2, -1e-20))})
    assert result.unjudged == ["w"]
    assert not result.ok  # nothing could be judged


def test_at_a_corner():
    z = np.zeros(3)
    loss = lambda: float(np.maximum(z, 0).sum())  # noqa: E731
    for slope in 0, 0.5, 1:
        result = gradcheck(loss, {"z": (z, np.full(3, slope))})
        assert result["z"].verdict == "at a corner"


def test_not_read_by_the_loss(rng):
    W, stale = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
    arrays = {"W": (W, 2 * W), "old": (stale, np.zeros((2, 2)))}
    result = gradcheck(squares(W), arrays)
    assert result.unjudged == ["old"]
    assert result["old"].verdict == "not read by the loss"
    assert result.ok
    arrays["old"] = stale, 2 * W
    assert not gradcheck(squares(W), arrays).ok


def test_a_gradient_where_the_loss_is_flat(rng):
    """A layer whose units are all dead, and a mask that is missing."""
    Z = -1 - rng.random((4, 3))
    loss = lambda: float((np.maximum(Z, 0) ** 2).sum() + 1)  # noqa: E731
    result = gradcheck(loss, {"Z": (Z, 2 * Z)})
    assert result["Z"].verdict == "wrong"


@pytest.mark.parametrize(
    "loss",
    [
        lambda W: (W.astype(np.float32) ** 2).mean(),
        lambda W: float((W.astype(np.float32) ** 2).mean()),
        lambda W: float(np.mean(W.astype(np.float32) ** 2, dtype=float)),
        lambda W: ((W**2).astype(np.float32) * np.ones(W.shape)).mean(),
    ],
)
def test_a_float32_loss(rng, loss):
    for W in np.ones((3, 2)), rng.normal(size=(3, 2)):
        result = gradcheck(lambda W=W: loss(W), {"W": (W, W / 3)})
        assert result["W"].verdict == "float32 loss", result
        assert not result.ok


def test_not_the_same_twice(rng):
    W = rng.normal(size=(3, 2))
    loss = lambda: float((W**2).sum() + 0.1 * rng.random())  # noqa: E731
    result = gradcheck(loss, {"W": (W, 2 * W)})
    assert result["W"].verdict == "not the same twice"
    assert not result.ok


def test_a_gradient_of_nan_is_wrong(rng):
    W = rng.normal(size=(3, 2))
    result = gradcheck(squares(W), {"W": (W, W * np.nan)})
    assert not result.ok
    assert "nan" in str(result)


# -- What it promises of the arrays ---------------------------------------


class Array(np.ndarray):
    """An array with a place for its gradient."""

    grad = None


def test_gradients_are_read_before_the_loss_is_called(rng):
    W = rng.normal(size=(2, 3)).view(Array)
    W.grad = 2 * np.array(W)

    def loss():
        if W.grad is not None:
            W.grad[:] = 0  # as a forward pass may
        W.grad = None
        return float((W**2).sum())

    assert gradcheck(loss, {"W": W}).ok


def test_arrays_are_put_back_bit_for_bit(rng):
    base = rng.normal(size=(4, 6))
    W = base[::2, ::-1]  # a view, not contiguous
    W[0, 0] = -0.0
    before = base.tobytes()
    gradcheck(squares(W), {"W": (W, 2 * W)})
    assert base.tobytes() == before
    for last in 1, 2, 3, 5, 30:
        calls = iter(range(last))

        def loss(calls=calls):
            if next(calls, None) is None:
                raise ArithmeticError("the loss itself")
            return float((W**2).sum())

        with pytest.raises(ArithmeticError, match="the loss itself"):
            gradcheck(loss, {"W": (W, 2 * W)})
        assert base.tobytes() == before


@pytest.mark.parametrize(
    "item, error, words",
    [
        (np.ones(2).view(Array), ValueError, "W has no gradient: run the"),
        ((np.ones(2), None), ValueError, "W has no gradient: run the"),
        ((np.ones(2), np.ones(3)), ValueError, "of shape (2,), got (3,)"),
        ((np.ones(2, "f4"), np.ones(2)), TypeError, "float64 array, got"),
        ((np.ones(2, int), np.ones(2)), TypeError, "float64 array, got"),
        (
            ([1.0], [1.0]),
            TypeError,
            "W: expected a float64 array, got list",
        ),
        ((np.ones((0, 2)), np.ones((0, 2))), ValueError, "W is empty"),
        (
            (np.broadcast_to(1.0, (2,)), np.ones(2)),
            ValueError,
            "W is read-only: it cannot be nudged",
        ),
    ],
)
def test_what_cannot_be_checked_is_said(item, error, words):
    with pytest.raises(error, match=re.escape(words)):
        gradcheck(lambda: 1.0, {"W": item})


@pytest.mark.parametrize(
    "got, error, words",
    [
        (
            None,
            TypeError,
            "loss() returned None: does it end in a return?",
        ),
        (np.nan, ValueError, "loss() is nan: expected a finite number"),
    ],
)
def test_a_loss_that_is_no_number_is_said(got, error, words):
    W = np.ones(2)
    with pytest.raises(error, match=re.escape(words)):
        gradcheck(lambda: got, {"W": (W, W)})


def test_it_agrees_with_chapter_2(rng):
    W = rng.normal(size=(3, 4))
    loss = lambda: float(np.tanh(W @ W.T).sum())  # noqa: E731
    result = gradcheck(loss, {"W": (W, numerical_gradient(loss, W))})
    assert result["W"].verdict == "agrees"


def test_the_lines_in_the_readme_print_what_it_says(capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf8")
    section = readme.split("## Check your own gradient")[1]
    code, said = re.findall(r"```\w+\n(.*?)```", section, re.S)[:2]
    exec(code, {})
    assert capsys.readouterr().out == said


def test_a_subclass_of_ndarray_is_judged_like_a_plain_array():
    # The largest entry of a subclass is an array of no dimensions, which
    # `step *= 30` would change in place, with all that refer to it.
    class Kind(np.ndarray):
        pass

    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, W = rng.uniform(0.5, 1, (25, 3)), rng.normal(size=(3, 5))
        Y = np.tanh(X @ W) + rng.normal(0, 0.01, (25, 5))
        rows = []
        for array in W.copy(), W.copy().view(Kind):
            G = 2 * (np.tanh(X @ W) - Y) / Y.size
            gradient = X.T @ (G * (1 - np.tanh(X @ W) ** 2))

            def loss(array=array, X=X, Y=Y):
                return float(((np.tanh(X @ array) - Y) ** 2).mean())

            rows.append(gradcheck(loss, {"W": (array, gradient)})["W"])
        assert rows[0] == rows[1] and rows[0].error < 1e-7
