"""What must hold for every size, depth and number, drawn from seeds.

The witness is PyTorch in float64; `lessons.gradcheck` is another, in its
own tests. Sizes go beyond those that the chapters use, because a fault
may wait for the 21st layer or the 257th row.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from lessons import chain, matrix, mnist, modules, xor
from lessons.matrix import GradArray

# NumPy warns where a result is doubtful; here nothing may be.
pytestmark = pytest.mark.filterwarnings("error")

seeds = pytest.mark.parametrize("seed", range(25))
# Signed zeros, what underflows when multiplied, what saturates.
EXTREMES = [0, -0.0, 5e-324, 1e-150, -1e-150, 0.5, -0.5, 20, -20, -40]
EXTREMES += [50, 710, -710, 1e4, -1e4, 1e150, -1e150, 1e300, -1e300]


def assert_same(ours, theirs, largest=None):
    """Rounding moves an entry by some 1e-14 of the largest; a wrong sign,
    factor, transpose or mask moves it by about as much as it has."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    largest = np.abs(theirs).max() if largest is None else largest
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * largest)


# -- Networks -------------------------------------------------------------


def problem(seed, bends=("ReLU", "Tanh", "Sigmoid")):
    """Layers, each (W, b) or the name of a bend; inputs and targets."""
    rng = np.random.default_rng(seed)
    n = rng.choice([1, 2, 5, 256, 257, 1000])
    widths = rng.integers(1, 8, size=rng.integers(2, 6))
    net = []
    for width, out in pairwise(widths):
        net.append((rng.normal(size=(width, out)), rng.normal(size=out)))
        net += [rng.choice(bends)] if rng.random() < 0.7 else []
    X = rng.normal(size=(n, widths[0]))
    return net, X, rng.normal(size=(n, widths[-1]))


def built(net, module):
    """The layers of a chapter's module, with the weights of net."""
    layers = []
    for layer in net:
        if isinstance(layer, str):
            layers.append(getattr(module, layer)())
        else:
            rng = np.random.default_rng(0)
            layers.append(module.Linear(*layer[0].shape, rng=rng))
            layers[-1].W[:], layers[-1].b[:] = layer
    return layers


def leaves_of(net):
    """W_1, b_1, W_2, …, for PyTorch to move."""
    pairs = [layer for layer in net if not isinstance(layer, str)]
    arrays = [torch.tensor(p) for pair in pairs for p in pair]
    return [p.requires_grad_() for p in arrays]


def torch_forward(net, leaves, x):
    leaves = iter(leaves)
    for layer in net:
        if isinstance(layer, str):
            x = getattr(torch, layer.lower())(x)
        else:
            x = x @ next(leaves) + next(leaves)
    return x


def torch_witness(net, X, loss_of):
    """PyTorch's loss, and its gradients by X, W_1, b_1, W_2, …"""
    leaves = [torch.tensor(X, requires_grad=True), *leaves_of(net)]
    loss = loss_of(torch_forward(net, leaves[1:], leaves[0]))
    loss.backward()
    return loss.item(), [leaf.grad.numpy() for leaf in leaves]


def squares(net, X, y):
    y = torch.tensor(y)
    return torch_witness(
        net, X, lambda out: nn.functional.mse_loss(out, y)
    )


def assert_as_pytorch(loss, arrays, witness):
    assert_same(loss, witness[0])
    for p, theirs in zip(arrays, witness[1], strict=True):
        assert_same(p.grad, theirs)


@seeds
def test_matrices_have_the_gradients_of_pytorch(seed):
    net, X, y = problem(seed, ["ReLU"])
    layers = built(net, matrix)
    every = [
        X.view(GradArray),
        *(p for layer in layers for p in layer.parameters()),
    ]
    loss_fn = matrix.MSELoss()
    # The second pass replaces what the first has left.
    for out, answers in (-X, -y), (every[0], y):
        for layer in layers:
            out = layer.forward(out)
        loss = loss_fn.forward(out, answers)
        loss_fn.backward()
        for layer in reversed(layers):
            layer.backward()
    assert_as_pytorch(loss, every, squares(net, X, y))


def run(model, loss_fn, X, y):
    """Loss, and the arrays that have a gradient now."""
    X, before = X.view(GradArray), -X
    for data, answers in (before, y[::-1]), (X, y):  # replaced
        loss = loss_fn(model(data), answers)
        loss_fn.backward()
        model.backward()
    return loss, [X, *model.parameters()]


@seeds
def test_modules_have_the_gradients_of_pytorch(seed):
    net, X, y = problem(seed)
    layers = built(net, modules)
    k = seed % len(layers)  # how they are nested changes nothing
    layers[k:] = [modules.Sequential(*layers[k:])]
    model = modules.Sequential(*layers)
    loss, arrays = run(model, modules.MSELoss(), X, y)
    assert_as_pytorch(loss, arrays, squares(net, X, y))


@seeds
def test_cross_entropy_has_the_gradients_of_pytorch(seed):
    net, X, y = problem(seed)
    if y.shape[1] == 1:  # no choice
        net.append((np.ones((1, 3)) * [1, -2, 0.5], np.zeros(3)))
        y = np.hstack([y, -y, y / 2])
    labels = y.argmax(axis=1)
    model = modules.Sequential(*built(net, modules))
    loss, arrays = run(model, mnist.CrossEntropyLoss(), X, labels)
    target = torch.tensor(labels)
    witness = torch_witness(
        net, X, lambda out: nn.functional.cross_entropy(out, target)
    )
    assert_as_pytorch(loss, arrays, witness)


@seeds
def test_steps_one_after_another_are_those_of_pytorch(seed):
    net, X, y = problem(seed)
    lr, loss_fn = 0.001 * (1 + seed), modules.MSELoss()
    model, leaves = (
        modules.Sequential(*built(net, modules)),
        leaves_of(net),
    )
    ours = modules.SGD(model.parameters(), lr)
    theirs = torch.optim.SGD(leaves, lr)
    for k in range(3):
        theirs.zero_grad()
        out = torch_forward(net, leaves, torch.tensor(X + k))
        nn.functional.mse_loss(out, torch.tensor(y)).backward()
        theirs.step()
        modules.train_step(model, loss_fn, ours, X + k, y)
        for p, leaf in zip(model.parameters(), leaves, strict=True):
            assert_same(p.grad, leaf.grad)
            assert_same(p, leaf.detach())


@seeds
def test_by_hand_is_as_pytorch(seed):
    rng = np.random.default_rng(seed)
    n, h = rng.choice([1, 4, 257]), rng.integers(1, 7)
    shapes = (n, 2), (n, 1), (2, h), (h,), (h, 1), (1,)
    X, y, *parameters = (rng.normal(size=shape) for shape in shapes)
    loss, gradients = xor.loss_and_gradients(X, y, *parameters)
    W1, b1, W2, b2 = parameters
    net = [(W1, b1), "Sigmoid", (W2, b2), "Sigmoid"]
    their_loss, (_, *theirs) = squares(net, X, y)
    assert_same(loss, their_loss)
    for ours, other in zip(gradients, theirs, strict=True):
        assert_same(ours, other)


# -- Chapter 1: a chain ---------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 6, 20, 21, 47])
def test_a_chain_steps_as_pytorch_does(depth):
    rng = np.random.default_rng(depth)
    w, b = rng.uniform(-1.5, 1.5, size=(2, depth)).tolist()
    neurons, loss_fn = chain.Chain(w, b), chain.SquaredError()
    leaves = [
        torch.tensor(p, requires_grad=True, dtype=torch.float64)
        for pair in zip(w, b, strict=True)
        for p in pair
    ]
    optimizer = torch.optim.SGD(leaves, lr=0.3)
    for x, y in rng.normal(size=(3, 2)).tolist():
        below = torch.tensor(x, requires_grad=True, dtype=torch.float64)
        out = below
        for w_k, b_k in zip(leaves[::2], leaves[1::2], strict=True):
            out = torch.tanh(w_k * out + b_k)
        optimizer.zero_grad()
        (out - y).square().backward()
        optimizer.step()
        loss = loss_fn.forward(neurons.forward(x), y)
        g = neurons.backward(loss_fn.backward(), 0.3)
        assert loss == pytest.approx((out.item() - y) ** 2, rel=1e-9)
        assert g == pytest.approx(below.grad.item(), rel=1e-9)
        ours = chain.gradients(neurons), chain.parameters(neurons)
        theirs = (
            [p.grad.item() for p in leaves],
            [p.item() for p in leaves],
        )
        for mine, other in zip(ours, theirs, strict=True):
            assert len(mine) == 2 * depth
            # A product of as many factors: each is off by its own part.
            assert mine == pytest.approx(other, rel=1e-9, abs=0)


# -- Extreme numbers ------------------------------------------------------


@pytest.mark.parametrize("name", ["ReLU", "Tanh", "Sigmoid"])
def test_a_bend_serves_every_number_as_pytorch_does(name):
    X = np.array([EXTREMES]).view(GradArray)
    layer = getattr(modules, name)()
    out = layer(X)
    out.grad = np.ones(X.shape)
    layer.backward()
    leaf = torch.tensor(np.array(X), requires_grad=True)
    theirs = getattr(torch, name.lower())(leaf)
    theirs.backward(torch.ones_like(leaf))
    # To the last digits each; ReLU's slope is 0 at either zero, and 1
    # from 5e-324 on.
    near = {"rtol": 1e-13, "atol": 0 if name == "ReLU" else 1e-15}
    np.testing.assert_allclose(out, theirs.detach(), **near)
    np.testing.assert_allclose(X.grad, leaf.grad, **near)
    if name == "ReLU":
        out = matrix.relu(X)
        out.grad = np.ones(X.shape)
        matrix.relu_grad(out, X)
        assert np.array_equal(out, theirs.detach())
        assert np.array_equal(X.grad, leaf.grad)


def test_cross_entropy_is_pytorchs_up_to_1e300():
    rng = np.random.default_rng(0)
    logits = rng.choice(EXTREMES, size=(300, 5)).view(GradArray)
    y = rng.integers(0, 5, size=300)
    for rows in range(0, 300, 3):  # alone, or the largest would hide all
        Z, labels = logits[rows : rows + 3], y[rows : rows + 3]
        loss_fn = mnist.CrossEntropyLoss()
        loss = loss_fn(Z, labels)
        loss_fn.backward()
        leaf = torch.tensor(np.array(Z), requires_grad=True)
        theirs = nn.functional.cross_entropy(leaf, torch.tensor(labels))
        theirs.backward()
        assert loss == pytest.approx(theirs.item(), rel=1e-12)
        assert_same(Z.grad, leaf.grad, largest=1)


def test_softmax_is_a_distribution_that_a_shift_leaves_alone():
    logits = np.random.default_rng(0).normal(size=(600, 7)) * 30
    log_p = mnist.log_softmax(logits)
    assert_same(np.exp(log_p).sum(axis=1), np.ones(600))
    assert_same(mnist.log_softmax(logits + 1000), log_p)
    even = np.full((2, 4), 1e300)
    assert_same(mnist.log_softmax(even), np.full((2, 4), -math.log(4)))


# -- Batches --------------------------------------------------------------


@seeds
def test_an_epoch_has_every_example_once_in_the_order_of_the_draw(seed):
    rng = np.random.default_rng(seed)
    n, batch_size = rng.integers(1, 700), rng.integers(1, 300)
    X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n)
    if seed % 2:
        X, y = torch.tensor(X), torch.tensor(y)
    loader = mnist.DataLoader(
        X, y, batch_size, rng=np.random.default_rng(seed)
    )
    twin = np.random.default_rng(seed)
    for _ in range(2):
        rows, labels = zip(*loader, strict=True)
        assert {len(part) for part in labels[:-1]} <= {batch_size}
        assert len(labels) == len(loader) == -(-n // batch_size)
        seen = np.concatenate(labels)
        assert seen.tolist() == twin.permutation(n).tolist()
        assert np.concatenate(rows)[:, 0].tolist() == (2 * seen).tolist()
    in_order = mnist.DataLoader(X, y, batch_size)
    assert np.concatenate([y for _, y in in_order]).tolist() == [*range(n)]


class Still:
    """An optimizer that leaves everything where it is."""

    parameters = ()

    def step(self): ...


@seeds
def test_a_ragged_batch_counts_by_its_rows(seed):
    rng = np.random.default_rng(seed)
    n, batch_size = rng.integers(1, 600), rng.integers(1, 300)
    logits, y = rng.normal(size=(n, 4)), rng.integers(0, 4, size=n)
    model, loss_fn = modules.Tanh(), mnist.CrossEntropyLoss()
    loader = mnist.DataLoader(logits, y, batch_size)
    mean = mnist.train_epoch(model, loss_fn, Still(), loader)
    assert_same(mean, loss_fn(model(logits), y))


@pytest.mark.parametrize("n", [1, 7, 255, 256, 257, 512, 700, 10500])
def test_accuracy_counts_every_row(n):
    rng = np.random.default_rng(n)
    logits, y = rng.normal(size=(n, 3)), rng.integers(0, 3, size=n)
    right = sum(
        max(range(3), key=row.__getitem__) == label
        for row, label in zip(logits.tolist(), y.tolist(), strict=True)
    )
    assert mnist.accuracy(logits, y) == right / n
    only_last = np.where(np.arange(n) == n - 1, y, (y + 1) % 3)
    perfect = np.eye(3)[only_last]
    assert mnist.accuracy(perfect, y) == 1 / n


# -- The order of the draws -----------------------------------------------


def test_weights_are_drawn_in_order_and_row_by_row():
    rng, twin = np.random.default_rng(5), np.random.default_rng(5)
    for module in matrix, modules:
        for width, out in (3, 5), (300, 4), (5, 1):
            layer = module.Linear(width, out, rng=rng)
            drawn = [twin.normal() for _ in range(width * out)]
            expected = np.reshape(drawn, (width, out)) * (2 / width) ** 0.5
            assert_same(layer.W, expected)
            assert {type(layer.W), type(layer.b)} == {GradArray}
            assert layer.b.tolist() == [0] * out
    twin = np.random.default_rng(7)
    W1, b1, W2, b2 = xor.start(3, 7)
    assert_same(W1, twin.normal(size=(2, 3)))
    assert_same(W2, twin.normal(size=(3, 1)) * (2 / 3) ** 0.5)
    assert not b1.any() and not b2.any()
