"""Chapter 4: the gradients of a hidden layer, and what it learns."""

import numpy as np
import pytest
import torch

from lessons.matrix import numerical_gradient
from lessons.xor import (
    INPUTS,
    OR,
    XOR,
    forward,
    loss_and_gradients,
    solved,
    start,
    step_by_hand,
    train_starts,
)

NAMES = "W1", "b1", "W2", "b2"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def draw(rng, n, hidden):
    """X, Y and parameters of order one, all of them random."""
    X, Y = rng.normal(size=(n, 2)), rng.uniform(size=(n, 1))
    shapes = (2, hidden), (hidden,), (hidden, 1), (1,)
    return X, Y, *(rng.normal(size=shape) for shape in shapes)


def by_torch(X, Y, *parameters):
    """The loss and the four gradients from autograd, in float64."""
    W1, b1, W2, b2 = leaves = [
        torch.tensor(p, requires_grad=True) for p in parameters
    ]
    A = torch.sigmoid(torch.tensor(X) @ W1 + b1)
    Y_hat = torch.sigmoid(A @ W2 + b2)
    loss = torch.nn.functional.mse_loss(Y_hat, torch.tensor(Y))
    loss.backward()
    return loss.item(), [leaf.grad.numpy() for leaf in leaves]


# -- Gradients ------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 4, 5])
@pytest.mark.parametrize("hidden", [1, 2, 3, 7])
def test_gradients_are_the_slopes(rng, n, hidden):
    X, Y, *parameters = draw(rng, n, hidden)
    loss, gradients = loss_and_gradients(X, Y, *parameters)
    torch_loss, theirs = by_torch(X, Y, *parameters)
    assert loss == pytest.approx(torch_loss, rel=1e-13)
    for name, p, ours, other in zip(
        NAMES, parameters, gradients, theirs, strict=True
    ):
        slopes = numerical_gradient(
            lambda: loss_and_gradients(X, Y, *parameters)[0], p
        )
        where = f"{name}, n={n}, hidden={hidden}"
        # 1e-8: a thousand times the error of a central difference.
        np.testing.assert_allclose(ours, slopes, 0, 1e-8, err_msg=where)
        # Some 30 roundings of 1.1e-16 on sums of order one: 4e-15.
        np.testing.assert_allclose(ours, other, 0, 1e-13, err_msg=where)


def test_the_loss_is_the_mean_of_squares(rng):
    X, Y, *parameters = draw(rng, 5, 3)
    loss, _ = loss_and_gradients(X, Y, *parameters)
    _, Y_hat = forward(X, *parameters)
    assert type(loss) is float
    assert loss == sum((Y_hat - Y)[:, 0] ** 2) / 5


def test_a_step_moves_each_parameter_against_its_gradient():
    parameters = start(hidden=3, seed=0)
    before = [p.copy() for p in parameters]
    expected, gradients = loss_and_gradients(INPUTS, OR, *parameters)
    assert step_by_hand(parameters, lr=0.5, Y=OR) == expected
    for name, p, old, gradient in zip(
        NAMES, parameters, before, gradients, strict=True
    ):
        assert np.array_equal(p, old - 0.5 * gradient), name


# -- Starts ---------------------------------------------------------------
def test_a_seed_decides_the_start():
    one, same, other = start(3, 1), start(3, 1), start(3, 2)
    assert all(map(np.array_equal, one, same))
    assert not np.array_equal(one[0], other[0])
    assert [p.shape for p in one] == [(2, 3), (3,), (3, 1), (1,)]
    W1, b1, W2, b2 = one
    assert W1.all() and W2.all(), "weights start random"
    assert not b1.any() and not b2.any(), "biases start at zero"


def test_all_starts_at_once_equal_one_at_a_time():
    losses, A, Y_hat = train_starts(3, range(3), lr=2, num_steps=300)
    for k in range(3):
        parameters = start(3, seed=k)
        single = [step_by_hand(parameters, lr=2) for _ in range(300)]
        hidden, answers = forward(INPUTS, *parameters)
        # 300 steps of at most 2e-15 each, grown up to 70-fold: 4e-11.
        np.testing.assert_allclose(losses[:, k], single, 0, 1e-10)
        np.testing.assert_allclose(A[k], hidden, 0, 1e-10)
        np.testing.assert_allclose(Y_hat[k], answers, 0, 1e-10)


def test_four_hidden_units_solve_xor_and_one_does_not():
    _, _, four = train_starts(4, range(10), lr=2, num_steps=5000)
    _, _, one = train_starts(1, range(10), lr=2, num_steps=5000)
    assert solved(four).all()
    assert not solved(one).any()


def test_training_follows_the_targets_that_it_is_given():
    _, _, Y_hat = train_starts(2, [0], lr=2, num_steps=2000, Y=OR)
    assert solved(Y_hat, OR).all() and not solved(Y_hat).any()


def test_solved_wants_every_row_on_its_side_of_one_half():
    three_right = np.array([[0.1], [0.9], [0.9], [0.6]])
    at_the_edge = np.array([[0.5], [0.9], [0.9], [0.1]])
    assert solved(XOR)
    assert not solved(three_right)
    assert not solved(at_the_edge)
    stack = np.stack([XOR, OR, three_right])
    assert solved(stack).tolist() == [True, False, False]


def test_the_tables():
    assert INPUTS.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert OR[:, 0].tolist() == [0, 1, 1, 1]
    assert XOR[:, 0].tolist() == [0, 1, 1, 0]


# -- What is refused ------------------------------------------------------
GOOD = dict(
    zip(("X", "Y", *NAMES), (INPUTS, XOR, *start(3, 0)), strict=True)
)


@pytest.mark.parametrize(
    "name, bad, error, words",
    [
        ("X", INPUTS[0], ValueError, "X: expected shape (n, 2), got (2,)"),
        (
            "X",
            INPUTS.astype(int),
            TypeError,
            "X: expected a float64 array",
        ),
        ("X", INPUTS * np.nan, ValueError, "X: expected finite numbers"),
        ("X", INPUTS[:0], ValueError, "X is empty: its shape is (0, 2)"),
        ("Y", XOR[:, 0], ValueError, "Y: expected shape (4, 1), got (4,)"),
        ("Y", XOR[:1], ValueError, "Y: expected shape (4, 1), got (1, 1)"),
        ("Y", XOR.tolist(), TypeError, "Y: expected a float64 array"),
        (
            "W1",
            np.ones((3, 2)),
            ValueError,
            "W1: expected shape (2, hidden)",
        ),
        (
            "b1",
            np.ones(1),
            ValueError,
            "b1: expected shape (3,), got (1,)",
        ),
        ("W2", np.ones((1, 3)), ValueError, "W2: expected shape (3, 1)"),
        (
            "b2",
            np.ones(3),
            ValueError,
            "b2: expected shape (1,), got (3,)",
        ),
    ],
)
def test_a_wrong_array_is_refused_by_name(name, bad, error, words):
    with pytest.raises(error) as refusal:
        loss_and_gradients(**{**GOOD, name: bad})
    assert words in str(refusal.value)


def test_answers_and_targets_must_match():
    with pytest.raises(
        ValueError, match=r"^Y_hat: expected shape \(4, 1\), got \(4,\)$"
    ):
        solved(np.zeros(4))


def test_targets_of_one_axis_are_refused():
    with pytest.raises(
        ValueError, match=r"^Y: expected shape \(n, 1\), got \(4,\)$"
    ):
        solved(XOR, np.zeros(4))


def test_a_start_needs_at_least_one_hidden_unit():
    with pytest.raises(
        ValueError, match=r"^hidden must be at least 1, got 0$"
    ):
        start(0, seed=0)
