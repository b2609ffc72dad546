"""Chapter 5: the cross-entropy, mini-batches and training.

More of it, drawn and held to PyTorch, stands in test_properties.py.
"""

import math

import numpy as np
import pytest

from lessons.gradcheck import gradcheck
from lessons.matrix import GradArray
from lessons.mnist import (
    CrossEntropyLoss,
    DataLoader,
    accuracy,
    nll,
    train_epoch,
)
from lessons.modules import SGD, Linear, ReLU, Sequential


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def by_hand(y_hat, y):
    """The loss; its gradient is written onto y_hat."""
    loss_fn = CrossEntropyLoss()
    loss = loss_fn(y_hat, y)
    loss_fn.backward()
    return loss


# -- The cross-entropy ----------------------------------------------------


@pytest.mark.parametrize("n, out", [(1, 2), (7, 2), (300, 10)])
def test_cross_entropy_has_the_gradient_of_nudging(rng, n, out):
    y_hat = rng.normal(size=(n, out)).view(GradArray)
    y = rng.integers(out, size=n)
    assert type(by_hand(y_hat, y)) is float
    result = gradcheck(lambda: CrossEntropyLoss()(y_hat, y), {"Z": y_hat})
    assert result.ok, result


def test_scores_too_far_apart_for_a_float_are_refused():
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match="inf"),
    ):
        by_hand(np.array([[1e308, -1e308, 0.0]]), np.array([1]))


def test_the_loss_is_the_formula():
    # -log(e^2 / (e^2 + e^-1)) and -log(1 / (e + 1)), averaged.
    y_hat, y = np.array([[2.0, -1.0], [1.0, 0.0]]), np.array([0, 1])
    expected = (math.log1p(math.exp(-3)) + math.log(math.e + 1)) / 2
    assert CrossEntropyLoss()(y_hat, y) == pytest.approx(expected, 1e-15)
    log_p = -np.arange(6.0).reshape(2, 3)
    assert nll(log_p, np.array([2, 0])) == (2 + 3) / 2


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u8", ">i8"])
def test_labels_may_be_integers_of_any_kind(rng, dtype):
    y_hat = rng.normal(size=(5, 10)).view(GradArray)
    y = np.array([0, 9, 3, 3, 1])
    expected = by_hand(y_hat, y), y_hat.grad
    assert by_hand(y_hat, y.astype(dtype)) == expected[0]
    assert np.array_equal(y_hat.grad, expected[1])


def test_float32_logits_get_a_float32_gradient(rng):
    y_hat = rng.normal(size=(5, 3)).astype(np.float32).view(GradArray)
    assert type(by_hand(y_hat, np.arange(5) % 3)) is float
    assert y_hat.grad.dtype == np.float32


def test_neither_logits_nor_labels_are_changed(rng):
    y_hat = rng.normal(size=(5, 3)).view(GradArray)
    y = rng.integers(3, size=5)
    before = y_hat.copy(), y.copy()
    by_hand(y_hat, y)
    assert np.array_equal(y_hat, before[0])
    assert np.array_equal(y, before[1])


# -- Mini-batches ---------------------------------------------------------


def rows_and_labels(n):
    """Row i holds 2 i and 2 i + 1; its label is 10 i."""
    return np.arange(2 * n).reshape(n, 2), 10 * np.arange(n)


def test_passes_do_not_disturb_each_other():
    loader = DataLoader(*rows_and_labels(10), 4)
    for _ in loader:
        break  # one that is left early does not shorten the next
    assert len([0 for _ in loader for _ in loader]) == 9


def test_only_a_shuffled_batch_is_a_copy(rng):
    X, y = rows_and_labels(10)
    for batch, _ in DataLoader(X, y, 4, rng=rng):
        assert not np.shares_memory(batch, X)
    for batch, _ in DataLoader(X, y, 4):
        assert np.shares_memory(batch, X)


# -- Training -------------------------------------------------------------


def network(rng):
    """Two linear layers about a ReLU, the biases drawn as well."""
    first, last = Linear(6, 8, rng=rng), Linear(8, 3, rng=rng)
    model = Sequential(first, ReLU(), last)
    for p in model.parameters():
        p[:] = rng.normal(size=p.shape)
    return model


def task(rng):
    """Fifty samples of three classes: two batches of 20 and one of 10."""
    return rng.normal(size=(50, 6)), rng.integers(3, size=50)


def test_a_loader_that_is_used_up_is_noticed(rng):
    model = network(rng)
    optimizer = SGD(model.parameters(), 0.5)
    once = iter(DataLoader(*task(rng), 20))
    train_epoch(model, CrossEntropyLoss(), optimizer, once)
    with pytest.raises(ZeroDivisionError):
        train_epoch(model, CrossEntropyLoss(), optimizer, once)


def test_training_learns_what_can_be_learnt(rng):
    X = rng.normal(size=(50, 6))
    y = X[:, :3].argmax(axis=1)
    model, loss_fn = network(rng), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), 0.5)
    loader = DataLoader(X, y, 20, rng=rng)
    for _ in range(200):
        loss = train_epoch(model, loss_fn, optimizer, loader)
    assert loss < 0.01
    assert accuracy(model(X), y) == 1
    assert repr(loss_fn) == "CrossEntropyLoss()"
