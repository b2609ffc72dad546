"""Chapter 1: the chain's gradients, its training, the numerical slope.

Its steps are held to PyTorch's in test_properties.py.
"""

import math
from itertools import pairwise

import pytest

from lessons.chain import (
    Chain,
    Linear,
    SquaredError,
    gradients,
    numerical_derivative,
    parameters,
    train,
)


@pytest.mark.parametrize("depth", [1, 3, 40])
def test_gradients_are_those_of_nudging(depth):
    y, at = -0.8, [0.5] + [0.9, 0.1] * depth  # x, w_1, b_1, w_2, …

    def chain_of(x, *p):
        return Chain(p[::2], p[1::2])

    chain, loss_fn = chain_of(*at), SquaredError()
    loss_fn.forward(chain.forward(at[0]), y)
    below = chain.backward(loss_fn.backward(), lr=0)
    for k, slope in enumerate([below, *gradients(chain)]):

        def loss(value, k=k):
            p = [*at[:k], value, *at[k + 1 :]]
            return (chain_of(*p).forward(p[0]) - y) ** 2

        # Rounding: 1e-16 of a loss of order one over 1e-5, tenfold room.
        nudged = numerical_derivative(loss, at[k])
        assert slope == pytest.approx(nudged, rel=1e-6, abs=1e-10)


def test_training_is_one_step_after_another():
    samples = [(k / 10, math.tanh(-k / 9)) for k in range(-9, 10)]
    other, chain = (Chain([0.8, -1.1], [0.1, 0.3]) for _ in "ab")
    loss_fn, history = SquaredError(), train(chain, samples, lr=0.1)
    for (x, y), (loss, state) in zip(samples, history, strict=True):
        assert loss == loss_fn.forward(other.forward(x), y)
        other.backward(loss_fn.backward(), lr=0.1)
        assert state == parameters(other)


def test_a_layer_steps_downhill_and_passes_down_the_old_w():
    linear = Linear(0.8, 0.1)
    linear.forward(0.5)
    assert linear.backward(2.0, lr=0.1) == 2.0 * 0.8
    assert (linear.w, linear.b) == (0.8 - 0.1 * 1.0, 0.1 - 0.1 * 2.0)
    linear.forward(0.25)
    linear.backward(4.0, lr=0)
    assert (linear.w_grad, linear.b_grad) == (1.0, 4.0)  # not added up


def test_a_chain_of_unequal_lists_is_refused():
    with pytest.raises(ValueError, match="zip"):
        Chain([1.0, 2.0], [0.0])


def test_layers_print_as_what_they_are():
    text = "Chain([Linear(w=0.800000, b=0.100000), Tanh()])"
    assert repr(Chain([0.8], [0.1])) == text


@pytest.mark.parametrize("x", [0, 1e-9, 0.5, 2000, 1e6, 1e11, -3e15])
def test_the_numerical_derivative_is_right_at_any_size(x):
    # A line has no bend: what is left is rounding, at most 2**-53 of x,
    # twice, over a step of 2e-5 times x.
    slope = numerical_derivative(lambda t: 3 * t, x)
    assert slope == pytest.approx(3, rel=2e-11)
    slope = numerical_derivative(lambda t: t * t, x)
    assert slope == pytest.approx(2 * x, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("x, seen", [(0.5, [1, 0]), (-4, [-2, -6])])
def test_the_step_is_h_or_that_part_of_x(x, seen):
    places = []
    numerical_derivative(lambda t: places.append(t) or t, x, h=0.5)
    assert places == seen


def test_a_tenth_of_the_step_leaves_a_hundredth_of_the_error():
    errors = [
        numerical_derivative(math.sin, 1.0, h) - math.cos(1.0)
        for h in (1e-1, 1e-2, 1e-3)
    ]
    for large, small in pairwise(errors):
        assert large / small == pytest.approx(100, rel=0.01)
