"""Chapter 4: the network by hand, and many starts at once.

Its gradients are held to PyTorch's in test_properties.py, too.
"""

import numpy as np
import pytest
import torch

from lessons.gradcheck import gradcheck
from lessons.xor import (
    INPUTS,
    OR,
    XOR,
    forward,
    loss_and_gradients,
    sigmoid,
    solved,
    start,
    step_by_hand,
    train_starts,
)

NAMES = "W1", "b1", "W2", "b2"


def draw(n, h):
    rng = np.random.default_rng(10 * n + h)
    X, Y = rng.normal(size=(n, 2)), rng.uniform(size=(n, 1))
    return X, Y, [rng.normal(size=s) for s in [(2, h), h, (h, 1), 1]]


@pytest.mark.parametrize(("n", "h"), [(4, 3), (1, 1), (300, 5)])
def test_gradients_are_those_of_nudging(n, h):
    X, Y, parameters = draw(n, h)
    _, gradients = loss_and_gradients(X, Y, *parameters)
    pairs = dict(
        zip(NAMES, zip(parameters, gradients, strict=True), strict=True)
    )
    found = gradcheck(
        lambda: loss_and_gradients(X, Y, *parameters)[0], pairs
    )
    assert found.ok and not found.unjudged, found


def test_the_sigmoid_is_pytorch_s_and_never_overflows():
    Z = np.array([-1000.0, -30.0, -1.0, 0.0, 0.5, 30.0, 1000.0])
    with np.errstate(all="raise", under="ignore"):
        ours = sigmoid(Z)
    theirs = torch.sigmoid(torch.tensor(Z)).numpy()
    assert ours == pytest.approx(theirs, rel=1e-15, abs=1e-300)


def test_a_step_moves_against_all_four_gradients():
    parameters = start(hidden=3, seed=4)
    loss, gradients = loss_and_gradients(INPUTS, OR, *parameters)
    expected = [
        p - 0.5 * g for p, g in zip(parameters, gradients, strict=True)
    ]
    assert step_by_hand(parameters, 0.5, OR) == loss
    for p, q in zip(parameters, expected, strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("hidden", [1, 3])
def test_many_starts_go_as_each_goes_alone(hidden, biases):
    seeds, lr = range(5), 0.7
    starts = [start(hidden, seed) for seed in seeds]
    without = {} if biases else {"biases": False}
    losses, A, Y_hat = train_starts(
        starts, lr=lr, num_steps=60, Y=OR, **without
    )
    for k, parameters in enumerate(starts):
        single = []
        for _ in range(60):
            single.append(step_by_hand(parameters, lr, OR))
            if not biases:
                parameters[1][:] = parameters[3][:] = 0
        # 60 short steps: no room for a difference to grow.
        assert losses[:, k] == pytest.approx(single, rel=1e-12)
        end = forward(INPUTS, *parameters)
        assert A[k] == pytest.approx(end[0], rel=1e-11)
        assert Y_hat[k] == pytest.approx(end[1], rel=1e-11)


def test_starts_are_left_as_they_were():
    given = start(hidden=2, seed=0)
    train_starts([given], lr=1, num_steps=3)
    for p, q in zip(given, start(hidden=2, seed=0), strict=True):
        np.testing.assert_array_equal(p, q)


def test_solved_wants_all_four_answers_of_each_network():
    almost = np.array([[0.1], [0.9], [0.9], [0.51]])
    assert solved(np.abs(XOR - 0.49)) and not solved(almost)
    assert list(solved(np.stack([almost, XOR]))) == [False, True]
    assert solved(almost, OR)
    for off in 0.5, -0.51:
        assert not solved(XOR + off)
