"""Chapter 2: gradients and training of the matrix network.

Its gradients are held to PyTorch's in test_properties.py, what it refuses
in test_refusals.py.
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from lessons.gradcheck import gradcheck
from lessons.matrix import (
    GradArray,
    Linear,
    MSELoss,
    ReLU,
    mse,
    numerical_gradient,
    train,
)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def normal(rng, *shape):
    return rng.normal(size=shape).view(GradArray)


# -- The numerical gradient -----------------------------------------------


@pytest.mark.parametrize("shape", [(), (4,), (3, 5), (2, 3, 4)], ids=str)
def test_numerical_gradient_serves_any_number_of_axes(rng, shape):
    array = np.array(rng.normal(size=shape))
    before = array.copy()
    # The slope by each entry reads all the others: none may stay nudged.
    slopes = numerical_gradient(lambda: float(np.sin(array.sum())), array)
    right = np.full(shape, np.cos(array.sum()))
    np.testing.assert_allclose(slopes, right, rtol=0, atol=1e-8)
    assert np.array_equal(array, before), "not put back exactly"


def test_numerical_gradient_serves_a_view_of_other_memory(rng):
    memory = rng.normal(size=(6, 8))
    before = memory.copy()
    view = memory[::2, 1::3].T
    slopes = numerical_gradient(lambda: float(np.sin(memory).sum()), view)
    np.testing.assert_allclose(slopes, np.cos(view), rtol=0, atol=1e-8)
    assert np.array_equal(memory, before), "not put back exactly"


# -- An array with a gradient ---------------------------------------------


def test_a_grad_array_shares_memory_and_has_no_gradient_yet():
    plain = np.zeros((3, 5))
    array = plain.view(GradArray)
    array[1, 2] = 7
    assert plain[1, 2] == 7
    assert array.grad is None


def test_a_refused_gradient_leaves_the_old_one(rng):
    array = normal(rng, 3, 5)
    array.grad = normal(rng, 3, 5)
    before = array.grad
    assert type(before) is np.ndarray
    with pytest.raises(ValueError, match="expected shape"):
        array.grad = np.ones((5, 3))
    assert array.grad is before


@pytest.mark.parametrize(
    "derive",
    [
        lambda array: array[0],
        lambda array: array[:],
        lambda array: array.copy(),
        lambda array: array * 2,
        lambda array: np.maximum(array, 0),
        lambda array: array.sum(axis=0),
    ],
    ids=["row", "slice", "copy", "times", "maximum", "sum"],
)
def test_what_is_made_from_an_array_has_no_gradient(rng, derive):
    array = normal(rng, 3, 5)
    array.grad = np.ones((3, 5))
    derived = derive(array)
    assert isinstance(derived, GradArray)
    assert derived.grad is None


def test_an_update_in_place_keeps_the_gradient():
    array = np.ones((3, 5)).view(GradArray)
    array.grad = gradient = np.ones((3, 5))
    array -= 0.1 * array.grad
    assert np.array_equal(array.grad, gradient)


# -- Gradients and training -----------------------------------------------


def network(rng, inputs, hidden, outputs):
    """Two linear layers about a ReLU, the biases drawn as well."""
    first = Linear(inputs, hidden, rng=rng)
    second = Linear(hidden, outputs, rng=rng)
    first.b[:] = rng.normal(size=hidden)
    second.b[:] = rng.normal(size=outputs)
    return [first, ReLU(), second]


@pytest.mark.parametrize(
    "n, inputs, hidden, outputs",
    [(1, 1, 1, 1), (7, 1, 4, 1), (6, 4, 1, 3), (25, 3, 5, 2)],
)
def test_gradients_are_those_of_nudging(rng, n, inputs, hidden, outputs):
    X, Y = normal(rng, n, inputs), rng.normal(size=(n, outputs))
    layers, loss_fn = network(rng, inputs, hidden, outputs), MSELoss()

    def loss():
        out = X
        for layer in layers:
            out = layer.forward(out)
        return loss_fn.forward(out, Y)

    loss()
    loss_fn.backward()
    for layer in reversed(layers):
        layer.backward()
    arrays = [X, *(p for layer in layers for p in layer.parameters())]
    found = gradcheck(loss, dict(enumerate(arrays)))
    assert found.ok and (layers[0].out > 0).any(), found


def test_mse_is_the_float_that_the_formula_gives():
    loss = mse(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2)))
    assert type(loss) is float
    assert loss == (0 + 1 + 4 + 9) / 4


def test_data_get_no_gradient_and_change_no_other(rng):
    data = rng.normal(size=(4, 3))
    with_room = data.view(GradArray)
    layer, found = Linear(3, 5, rng=rng), []
    for X in (data, with_room):
        layer.forward(X).grad = np.ones((4, 5))
        layer.backward()
        found.append([layer.W.grad, layer.b.grad])
    assert not hasattr(data, "grad")
    assert with_room.grad is not None
    for first, second in zip(*found, strict=True):
        assert np.array_equal(first, second)


def test_training_equals_pytorch_at_each_of_200_epochs(rng):
    X, Y = rng.uniform(size=(25, 3)), rng.uniform(size=(25, 2))
    layers = network(rng, 3, 5, 2)
    ours = [p for layer in layers for p in layer.parameters()]
    theirs = [torch.tensor(np.array(p), requires_grad=True) for p in ours]
    W1, b1, W2, b2 = theirs
    optimizer, losses = torch.optim.SGD(theirs, lr=0.1), []
    for _ in range(200):
        Y_hat = (torch.tensor(X) @ W1 + b1).relu() @ W2 + b2
        loss = mse_loss(Y_hat, torch.tensor(Y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # An epoch rounds a parameter, below 4 in size, by 2.2e-16, and its
    # gradient, some 30 roundings scaled by lr, by three times that. 200
    # epochs make 1.8e-13; tenfold room gives 2e-12.
    found = train(layers, X, Y, lr=0.1, num_epochs=200)
    assert found == pytest.approx(losses, rel=0, abs=2e-12)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p, q.detach(), rtol=0, atol=2e-12)
        assert abs(p).max() < 4


def test_no_step_is_taken_along_a_gradient_that_is_not_finite(rng):
    """1e300 times 1e10 is too large for a float; the loss, 1e20, fits."""
    layer = Linear(1, 1, rng=rng)
    layer.W[:] = 1e-290
    wrong = pytest.raises(ValueError, match="a gradient with nan or inf")
    with np.errstate(over="ignore"), wrong:
        train([layer], np.full((1, 1), 1e300), np.zeros((1, 1)), 0.1, 1)
    assert layer.W == 1e-290 and layer.b == 0
