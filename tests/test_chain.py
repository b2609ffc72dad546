"""Chapter 1: gradients, training and refusals of the chain of neurons.

Every gradient is compared with a numerical one and with PyTorch's.
"""

import math
import random
import re
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from lessons.chain import (
    Chain,
    Linear,
    SquaredError,
    Tanh,
    gradients,
    numerical_derivative,
    parameters,
    train,
)

each_depth = pytest.mark.parametrize("depth", range(1, 7))
each_seed = pytest.mark.parametrize("seed", range(5))


def draw(count, *seed):
    """Numbers between -1 and 1, the same for the same seed."""
    rng = random.Random(repr(seed))
    return [rng.uniform(-1, 1) for _ in range(count)]


def as_nudged(value):
    """Within 1e-8, the chapter's tolerance for a central difference."""
    return pytest.approx(value, rel=0, abs=1e-8)


def as_torch(value):
    """Equal but for rounding.

    A gradient takes some 30 operations, each off by at most 1.1e-16 of
    its result, and 1 - a**2 makes that up to 14 times as much, since |z|
    is at most 2 here: 5e-14 together. The tolerance is 20 times that.
    """
    return pytest.approx(value, rel=1e-12, abs=0)


def by_torch(loss, *values):
    """The slope of loss by each of the values, from autograd."""
    leaves = [
        torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for value in values
    ]
    loss(*leaves).backward()
    return [leaf.grad.item() for leaf in leaves]


# -- The numerical derivative ---------------------------------------------

CURVES = {
    "exp": (math.exp, math.exp),
    "sin": (math.sin, math.cos),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
}
each_curve = pytest.mark.parametrize(
    "f, slope", CURVES.values(), ids=CURVES
)


@each_curve
def test_a_tenth_of_the_step_leaves_a_hundredth_of_the_error(f, slope):
    errors = [
        abs(numerical_derivative(f, 0.5, h) - slope(0.5))
        for h in (1e-1, 1e-2, 1e-3)
    ]
    ratios = [large / small for large, small in pairwise(errors)]
    assert ratios == pytest.approx([100, 100], rel=0.05)


@each_curve
@pytest.mark.parametrize("x", [-1, -0.3, 0, 0.7])
def test_the_default_step_is_right_to_ten_digits(f, slope, x):
    found = numerical_derivative(f, x)
    assert found == pytest.approx(slope(x), rel=0, abs=1e-10)


def test_a_parabola_has_no_error_at_any_step():
    assert numerical_derivative(lambda x: x * x, 3, h=1) == 6


# -- One layer ------------------------------------------------------------


@each_seed
def test_linear_gradients_are_the_slopes(seed):
    w, b, x, g = draw(4, seed)
    linear = Linear(w, b)
    assert linear.forward(x) == w * x + b
    below = linear.backward(g, lr=0)
    found = [linear.w_grad, linear.b_grad, below]
    assert found == as_nudged(
        [
            numerical_derivative(lambda v: g * Linear(v, b).forward(x), w),
            numerical_derivative(lambda v: g * Linear(w, v).forward(x), b),
            numerical_derivative(lambda v: g * Linear(w, b).forward(v), x),
        ]
    )
    assert found == as_torch(
        by_torch(lambda w, b, x: g * (w * x + b), w, b, x)
    )


@each_seed
def test_tanh_gradient_is_the_slope(seed):
    z, g = draw(2, seed)
    tanh = Tanh()
    assert tanh.forward(z) == math.tanh(z)
    below = tanh.backward(g, lr=0)
    slope = numerical_derivative(lambda v: g * Tanh().forward(v), z)
    assert below == as_nudged(slope)
    assert [below] == as_torch(by_torch(lambda z: g * torch.tanh(z), z))


@each_seed
def test_squared_error_gradient_is_the_slope(seed):
    y_hat, y = draw(2, seed)
    loss_fn = SquaredError()
    assert loss_fn.forward(y_hat, y) == (y_hat - y) ** 2
    found = loss_fn.backward()
    slope = numerical_derivative(
        lambda v: SquaredError().forward(v, y), y_hat
    )
    assert found == as_nudged(slope)
    assert [found] == as_torch(by_torch(lambda v: (v - y) ** 2, y_hat))


# -- A chain --------------------------------------------------------------


def test_a_chain_alternates_linear_and_tanh():
    chain = Chain([1, 2], [3, 4])
    assert [repr(layer) for layer in chain.layers] == [
        "Linear(w=1.000000, b=3.000000)",
        "Tanh()",
        "Linear(w=2.000000, b=4.000000)",
        "Tanh()",
    ]
    assert parameters(chain) == [1, 3, 2, 4]


def test_a_chain_answers_with_the_formula_of_the_chapter():
    answer = Chain([0.9, -1.2], [0.3, 0.1]).forward(0.5)
    assert answer == math.tanh(-1.2 * math.tanh(0.9 * 0.5 + 0.3) + 0.1)


def chain_gradients(values, y):
    """The slopes of the loss by values, [w_1, b_1, w_2, ..., x]."""
    *p, x = values
    chain, loss_fn = Chain(p[::2], p[1::2]), SquaredError()
    loss_fn.forward(chain.forward(x), y)
    below = chain.backward(loss_fn.backward(), lr=0)
    return [*gradients(chain), below]


def torch_answer(p, x):
    for w, b in zip(p[::2], p[1::2], strict=True):
        x = torch.tanh(w * x + b)
    return x


@each_depth
@each_seed
def test_chain_gradients_are_the_numerical_ones(depth, seed):
    *values, y = draw(2 * depth + 2, depth, seed)

    def loss_with(k, value):
        *p, x = [*values[:k], value, *values[k + 1 :]]
        answer = Chain(p[::2], p[1::2]).forward(x)
        return SquaredError().forward(answer, y)

    slopes = [
        numerical_derivative(partial(loss_with, k), value)
        for k, value in enumerate(values)
    ]
    assert chain_gradients(values, y) == as_nudged(slopes)


@each_depth
@each_seed
def test_chain_gradients_are_those_of_pytorch(depth, seed):
    *values, y = draw(2 * depth + 2, depth, seed)

    def loss(*values):
        *p, x = values
        return (torch_answer(p, x) - y) ** 2

    expected = as_torch(by_torch(loss, *values))
    assert chain_gradients(values, y) == expected


# -- Remembering and updating ---------------------------------------------


def test_backward_uses_the_last_forward():
    chain, fresh = (
        Chain([0.9, -1.2], [0.3, 0.1]),
        Chain([0.9, -1.2], [0.3, 0.1]),
    )
    for x in (0.8, -0.4):
        chain.forward(x)
    fresh.forward(-0.4)
    assert chain.backward(1, lr=0) == fresh.backward(1, lr=0)
    assert gradients(chain) == gradients(fresh)


def test_the_loss_remembers_the_last_miss():
    loss_fn = SquaredError()
    loss_fn.forward(1, 0)
    loss_fn.forward(5, 2)
    assert loss_fn.backward() == 6


def test_a_zero_counts_as_remembered():
    linear, tanh, loss_fn = Linear(2, 0), Tanh(), SquaredError()
    loss_fn.forward(tanh.forward(linear.forward(0)), 0)
    assert loss_fn.backward() == 0
    assert tanh.backward(1, lr=0) == 1
    assert linear.backward(1, lr=0) == 2


def test_a_second_backward_overwrites_the_gradients():
    chain = Chain([0.9, -1.2], [0.3, 0.1])
    chain.forward(0.5)
    chain.backward(1, lr=0)
    first = gradients(chain)
    chain.backward(1, lr=0)
    assert gradients(chain) == first


@each_depth
def test_a_learning_rate_of_zero_changes_nothing(depth):
    w, b = draw(depth, depth, "w"), draw(depth, depth, "b")
    chain = Chain(w, b)
    before = parameters(chain)
    chain.forward(0.5)
    chain.backward(1, lr=0)
    assert parameters(chain) == before


def test_linear_passes_down_the_old_w_and_then_steps_downhill():
    linear = Linear(2, 1)
    linear.forward(3)
    assert linear.backward(0.5, lr=0.25) == 0.5 * 2
    assert linear.w == 2 - 0.25 * 0.5 * 3
    assert linear.b == 1 - 0.25 * 0.5


@pytest.mark.parametrize(
    "g, lr", [(math.nan, 0.1), ("1", 0.1), (1, -0.1), (1, math.inf)]
)
def test_a_refused_backward_changes_nothing(g, lr):
    chain = Chain([0.9, -1.2], [0.3, 0.1])
    chain.forward(0.5)
    with pytest.raises((TypeError, ValueError)):
        chain.backward(g, lr)
    assert parameters(chain) == [0.9, 0.3, -1.2, 0.1]


@pytest.mark.parametrize(
    "number",
    [1, Fraction(1, 2), np.float64(0.5), np.float32(0.5)],
    ids=lambda number: type(number).__name__,
)
def test_any_real_number_becomes_a_float(number):
    chain, loss_fn = Chain([number], [number]), SquaredError()
    loss = loss_fn.forward(chain.forward(number), number)
    below = chain.backward(loss_fn.backward(), number)
    values = [loss, below, *parameters(chain), *gradients(chain)]
    assert {type(value) for value in values} == {float}


# -- Training -------------------------------------------------------------


def torch_train(p, samples, lr):
    """As lessons.chain.train, for p = [w_1, b_1, ...] as floats."""
    p = [torch.tensor(v, dtype=torch.float64).requires_grad_() for v in p]
    optimizer, history = torch.optim.SGD(p, lr=lr), []
    for x, y in samples:
        loss = (torch_answer(p, x) - y) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((loss.item(), [v.item() for v in p]))
    return history


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_training_equals_pytorch_at_each_of_500_steps(depth):
    # The chapter derives 1e-12: 500 steps, one rounding of 1.1e-16 each,
    # with room to grow.
    samples = [
        (x, math.tanh(-0.6 * x - 0.9)) for x in draw(500, "samples")
    ]
    p = draw(2 * depth, depth)
    ours = train(Chain(p[::2], p[1::2]), samples, lr=0.01)
    theirs = torch_train(p, samples, lr=0.01)
    pairs = zip(ours, theirs, strict=True)
    for step, ((loss, mine), (torch_loss, yours)) in enumerate(pairs, 1):
        expected = pytest.approx([torch_loss, *yours], rel=0, abs=1e-12)
        assert [loss, *mine] == expected, f"step {step}: loss, w_1, b_1, …"


def test_training_changes_the_chain_it_is_given():
    chain = Chain([0.8], [0.1])
    history = train(chain, [(0.5, -0.8), (0.2, -0.6)], lr=0.1)
    assert history[0][1] != history[1][1]
    assert parameters(chain) == history[1][1]


# -- What is refused ------------------------------------------------------


def ready(layer, x=0.5):
    layer.forward(x)
    return layer


# Every way for a number to come in: its name in the message, the call.
ENTRANCES = {
    "numerical_derivative-x": (
        "x",
        lambda v: numerical_derivative(math.sin, v),
    ),
    "numerical_derivative-h": (
        "h",
        lambda v: numerical_derivative(math.sin, 1, v),
    ),
    "numerical_derivative-above": (
        "f(x + h)",
        lambda v: numerical_derivative(lambda x: v if x > 1 else 0, 1),
    ),
    "numerical_derivative-below": (
        "f(x - h)",
        lambda v: numerical_derivative(lambda x: v if x < 1 else 0, 1),
    ),
    "Linear-w": ("w", lambda v: Linear(v, 0)),
    "Linear-b": ("b", lambda v: Linear(1, v)),
    "Linear.forward": ("x", lambda v: Linear(1, 0).forward(v)),
    "Linear.backward-g": (
        "g",
        lambda v: ready(Linear(1, 0)).backward(v, 0),
    ),
    "Linear.backward-lr": (
        "lr",
        lambda v: ready(Linear(1, 0)).backward(1, v),
    ),
    "Tanh.forward": ("z", lambda v: Tanh().forward(v)),
    "Tanh.backward-g": ("g", lambda v: ready(Tanh()).backward(v, 0)),
    "Tanh.backward-lr": ("lr", lambda v: ready(Tanh()).backward(1, v)),
    "SquaredError-y_hat": (
        "y_hat",
        lambda v: SquaredError().forward(v, 0),
    ),
    "SquaredError-y": ("y", lambda v: SquaredError().forward(0, v)),
    "Chain-w": ("w", lambda v: Chain([1, v], [0, 0])),
    "Chain-b": ("b", lambda v: Chain([1, 1], [0, v])),
    "Chain.forward": ("x", lambda v: Chain([1], [0]).forward(v)),
    "Chain.backward-g": (
        "g",
        lambda v: ready(Chain([1], [0])).backward(v, 0),
    ),
    "train-x": (
        "x of samples[0]",
        lambda v: train(Chain([1], [0]), [(v, 0)], 0.1),
    ),
    "train-y": (
        "y of samples[0]",
        lambda v: train(Chain([1], [0]), [(0, v)], 0.1),
    ),
    "train-lr": ("lr", lambda v: train(Chain([1], [0]), [(0, 0)], v)),
}
each_entrance = pytest.mark.parametrize(
    "name, call", ENTRANCES.values(), ids=ENTRANCES
)


@pytest.mark.parametrize(
    "value",
    ["0.5", True, None, 1j, np.zeros(2), torch.tensor(0.5)],
    ids=lambda value: type(value).__name__,
)
@each_entrance
def test_what_is_no_real_number_is_refused(name, call, value):
    kind = type(value).__name__
    with pytest.raises(TypeError) as refusal:
        call(value)
    assert (
        str(refusal.value) == f"{name} must be a real number, got {kind}"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@each_entrance
def test_what_is_not_finite_is_refused(name, call, value):
    with pytest.raises(ValueError) as refusal:
        call(value)
    assert str(refusal.value) == f"{name} must be finite, got {value}"


REFUSALS = {
    "h-zero": (
        lambda: numerical_derivative(math.sin, 1, h=0),
        ValueError,
        "h must be above zero and move x = 1.0, got 0.0",
    ),
    "h-negative": (
        lambda: numerical_derivative(math.sin, 1, h=-1e-5),
        ValueError,
        "h must be above zero and move x = 1.0, got -1e-05",
    ),
    "h-too-small": (
        lambda: numerical_derivative(math.sin, 1, h=1e-20),
        ValueError,
        "h must be above zero and move x = 1.0, got 1e-20",
    ),
    # The numbers below 1 lie twice as close as those above, so this h
    # moves 1 down and not up, and -1 up and not down.
    "h-too-small-above": (
        lambda: numerical_derivative(math.sin, 1, h=1e-16),
        ValueError,
        "h must be above zero and move x = 1.0, got 1e-16",
    ),
    "h-too-small-below": (
        lambda: numerical_derivative(math.sin, -1, h=1e-16),
        ValueError,
        "h must be above zero and move x = -1.0, got 1e-16",
    ),
    "Linear-overflow-below": (
        lambda: ready(Linear(1e200, 0)).backward(1e200, 0),
        ValueError,
        "dL/dx must be finite, got inf",
    ),
    "Linear-overflow-of-b": (
        lambda: ready(Linear(1, 0), 0).backward(1e300, 1e10),
        ValueError,
        "the new b must be finite, got -inf",
    ),
    "Chain-empty": (
        lambda: Chain([], []),
        ValueError,
        "at least one neuron, got 0 weights and 0 biases",
    ),
    "Chain-fewer-biases": (
        lambda: Chain([1, 2], [3]),
        ValueError,
        "one weight and one bias for each",
    ),
    "Chain-fewer-weights": (
        lambda: Chain([1], [2, 3]),
        ValueError,
        "got 1 weights and 2 biases",
    ),
    "Linear-lr-negative": (
        lambda: ready(Linear(1, 0)).backward(1, -0.1),
        ValueError,
        "lr must not be negative, got -0.1",
    ),
    "Tanh-lr-negative": (
        lambda: ready(Tanh()).backward(1, -0.1),
        ValueError,
        "lr must not be negative, got -0.1",
    ),
    "train-lr-negative": (
        lambda: train(Chain([1], [0]), [(0, 0)], -0.1),
        ValueError,
        "lr must not be negative, got -0.1",
    ),
    "train-no-samples": (
        lambda: train(Chain([1], [0]), [], 0.1),
        ValueError,
        "at least one sample (x, y), got none",
    ),
    "Linear-backward-first": (
        lambda: Linear(1, 0).backward(1, 0.1),
        RuntimeError,
        "Linear.backward needs Linear.forward first",
    ),
    "Tanh-backward-first": (
        lambda: Tanh().backward(1, 0.1),
        RuntimeError,
        "Tanh.backward needs Tanh.forward first",
    ),
    "SquaredError-backward-first": (
        lambda: SquaredError().backward(),
        RuntimeError,
        "SquaredError.backward needs SquaredError.forward first",
    ),
    "Chain-backward-first": (
        lambda: Chain([1], [0]).backward(1, 0.1),
        RuntimeError,
        "Tanh.backward needs Tanh.forward first",
    ),
    "gradients-without-backward": (
        lambda: gradients(ready(Chain([1], [0]))),
        RuntimeError,
        "gradients needs Chain.backward first",
    ),
}


@pytest.mark.parametrize(
    "call, error, words", REFUSALS.values(), ids=REFUSALS
)
def test_a_misuse_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()


# -- Printing -------------------------------------------------------------


@pytest.mark.parametrize(
    "layer, text",
    [
        (Linear(0.8, -1), "Linear(w=0.800000, b=-1.000000)"),
        (Tanh(), "Tanh()"),
        (SquaredError(), "SquaredError()"),
    ],
    ids=["Linear", "Tanh", "SquaredError"],
)
def test_a_layer_prints_as_its_class_and_parameters(layer, text):
    assert repr(layer) == text
