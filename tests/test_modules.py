"""Chapter 3: gradients, memory, training and exercises of the modules.

Every gradient is nudged by gradcheck and compared with PyTorch's. What is
refused stands in test_refusals.py.
"""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from torch import nn

from lessons import modules
from lessons.exercises import verdict
from lessons.gradcheck import gradcheck
from lessons.matrix import GradArray, he_init
from lessons.modules import (
    SGD,
    Activation,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    train_step,
)
from tests.support import ROOT, read

# NumPy and PyTorch warn where a result is doubtful; here nothing may be.
pytestmark = pytest.mark.filterwarnings("error")


def draw(*shape, seed=0):
    """Normal numbers, the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def linear(inputs, outputs, dtype=float):
    rng = np.random.default_rng([inputs, outputs])
    layer = Linear(inputs, outputs, rng=rng, dtype=dtype)
    layer.b[:] = draw(outputs)
    return layer


def model_of(name, i=3, o=5, dtype=float):
    """A layer by itself, or a model of some depth, from i to o columns."""

    def part(*sizes):
        return linear(*sizes, dtype)

    return {
        "Linear": lambda: part(i, o),
        "ReLU": ReLU,
        "Tanh": Tanh,
        "Sigmoid": Sigmoid,
        "bends": lambda: Sequential(Tanh(), ReLU(), Sigmoid()),
        "two": lambda: Sequential(part(i, 4), ReLU(), part(4, o)),
        "nested": lambda: Sequential(
            Sequential(part(i, 4), Sigmoid()),
            Sequential(Sequential(part(4, 7), Tanh()), part(7, 6)),
            part(6, o),
        ),
    }[name]()


NAMES = "Linear ReLU Tanh Sigmoid bends two nested".split()
each_model = pytest.mark.parametrize("name", NAMES)
each_trainable = pytest.mark.parametrize(
    "name", ["Linear", "two", "nested"]
)
each_shape = pytest.mark.parametrize(
    "n, i, o", [(1, 1, 1), (1, 3, 2), (7, 1, 4), (6, 4, 1), (25, 3, 5)]
)


def loss_of(out):
    """Half the squares of out, moved off its zeros."""
    return float(((out + 3 + draw(*out.shape, seed=1)) ** 2).sum() / 2)


def pass_back(module, X):
    """Call the module on X, write the gradient of loss_of, go back."""
    out = module(X)
    out.grad = (out + 3 + draw(*out.shape, seed=1)).astype(out.dtype)
    module.backward()
    return out


def gradients(module, X):
    return [array.grad for array in (X, *module.parameters())]


def assert_equal(found, expected):
    """The same arrays, to the last bit."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def twin(module):
    """The same in PyTorch, with copies of the weights, transposed."""
    if isinstance(module, Sequential):
        return nn.Sequential(*map(twin, module.layers))
    theirs = getattr(nn, type(module).__name__)
    if not module.parameters():
        return theirs()
    layer = theirs(*module.W.shape, dtype=torch.float64)
    layer.weight.data = torch.tensor(np.array(module.W.T))
    layer.bias.data = torch.tensor(np.array(module.b))
    return layer


def near(ours, theirs, within=1e-13):
    """Off by rounding alone, as a part of the largest entry.

    An entry is a sum of at most 25 products, through four linear layers:
    some hundred roundings of 1.1e-16 in each of the two programs, and
    four times room.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() <= within * np.abs(theirs).max()


# -- Gradients ------------------------------------------------------------


@each_model
@each_shape
def test_gradients_are_right_and_pytorchs(name, n, i, o):
    model = model_of(name, i, o)
    X = draw(n, i, seed=2).view(GradArray)
    out = pass_back(model, X)
    G, found = out.grad, gradients(model, X)

    theirs, x = twin(model), torch.tensor(np.array(X), requires_grad=True)
    theirs(x).backward(torch.tensor(G))
    autograd = [x.grad.numpy()]
    autograd += [q.grad.numpy().T for q in theirs.parameters()]
    assert near(out, theirs(x).detach())
    assert all(map(near, found, autograd))
    arrays = {f"{k}": p for k, p in enumerate([X, *model.parameters()])}
    table = gradcheck(lambda: loss_of(model(X)), arrays)
    assert table.ok, table


@each_shape
def test_the_loss_and_its_gradient_are_pytorchs(n, i, o):
    y_hat, y, loss_fn = (
        draw(n, o).view(GradArray),
        draw(n, o, seed=1),
        MSELoss(),
    )
    loss = loss_fn(y_hat, y)
    loss_fn.backward()
    leaf = torch.tensor(np.array(y_hat), requires_grad=True)
    expected = nn.MSELoss()(leaf, torch.tensor(y))
    expected.backward()
    assert type(loss) is float and near(loss, expected.detach())
    assert near(y_hat.grad, leaf.grad)
    assert gradcheck(lambda: loss_fn(y_hat, y), {"y_hat": y_hat}).ok


@pytest.mark.parametrize("bend", [ReLU, Tanh, Sigmoid])
def test_extreme_inputs_are_served_without_a_warning(bend):
    X = [[-1e4, -700, -40, -1, -0.0, 0, 5e-324, 1, 40, 700, 1e4]]
    X, module = np.array(X).view(GradArray), bend()
    out = pass_back(module, X)
    leaf = torch.tensor(np.array(X), requires_grad=True)
    theirs = twin(module)(leaf)
    theirs.backward(torch.tensor(out.grad))
    # The smallest sigmoid is 1e-304, and right to as many digits.
    np.testing.assert_allclose(out, theirs.detach(), rtol=1e-14, atol=0)
    assert near(X.grad, leaf.grad)


@each_model
def test_data_and_targets_get_no_gradient(name):
    data, model = draw(4, 3), model_of(name)
    other, with_room = model_of(name), data.copy().view(GradArray)
    pass_back(model, data)
    pass_back(other, with_room)
    assert not hasattr(data, "grad")
    assert_equal(gradients(model, with_room), gradients(other, with_room))
    y_hat, y = np.ones((2, 4, 1)).view(GradArray)
    loss_fn = MSELoss()
    loss_fn(y_hat, y)
    loss_fn.backward()
    assert y.grad is None and y_hat.grad is not None


def test_a_new_kind_of_layer_needs_forward_and_slope_alone():
    class Square(Activation):
        def forward(self, X):
            return X**2

        def slope(self, out, X):
            return 2 * X

    X, model = (
        draw(4, 3).view(GradArray),
        Sequential(Square(), linear(3, 5)),
    )
    pass_back(model, X)
    assert gradcheck(lambda: loss_of(model(X)), {"X": X}).ok
    assert repr(model.layers[0]) == "Square()"


# -- What a module remembers ----------------------------------------------


@each_model
def test_backward_uses_the_last_call(name):
    model, fresh = model_of(name), model_of(name)
    X = draw(4, 3).view(GradArray)
    pass_back(model, draw(6, 3).view(GradArray))
    out = pass_back(model, X)
    assert model.args[0] is X and model.out is out
    found = gradients(model, X)
    pass_back(fresh, X)
    assert_equal(found, gradients(fresh, X))
    assert model(X).grad is None
    with pytest.raises(RuntimeError, match="its output has no gradient"):
        model.backward()


def test_a_layer_called_on_its_own_in_between_is_noticed():
    model = model_of("two")
    out = model(draw(4, 3))
    out.grad = draw(*out.shape)
    model.layers[1](*model.layers[1].args)
    with pytest.raises(RuntimeError, match=r"ReLU\(\): its output has no"):
        model.backward()


def test_one_array_may_go_into_a_second_model_once_its_gradient_is_used():
    X, one, other = draw(4, 3).view(GradArray), ReLU(), Tanh()
    for module in one, other, one:  # called anew, and back at once
        G = pass_back(module, X).grad
        assert near(X.grad, G * module.slope(module.out, X))


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
)
def test_a_saved_model_has_the_weights_and_not_the_last_batch(copied):
    model, X = model_of("nested"), draw(4, 3)
    before = len(pickle.dumps(model))
    out = pass_back(model, draw(5000, 3))
    assert len(pickle.dumps(model)) < before + 1000
    other = copied(model)
    assert_equal(other.parameters(), model.parameters())
    assert_equal([other(X)], [model(X)])
    assert model.layers[0].out is not out
    with pytest.raises(RuntimeError, match="backward before a call"):
        copied(model).backward()


# -- Parameters and the update --------------------------------------------


def test_parameters_come_first_layer_first_each_w_before_b():
    one, two, three = (linear(3, 3) for _ in range(3))
    model = Sequential(
        Sequential(one, Tanh()), Sequential(Sequential(two)), three
    )
    expected = [one.W, one.b, two.W, two.b, three.W, three.b]
    assert list(map(id, model.parameters())) == list(map(id, expected))


def test_each_linear_draws_he_weights_from_its_own_fan_in():
    one, same, rounded = (np.random.default_rng(7) for _ in range(3))
    for sizes in (3, 5), (5, 2):
        layer = Linear(*sizes, rng=one)
        W = he_init(*sizes, same).view(GradArray)
        assert_equal(
            layer.parameters(), [W, np.zeros(sizes[1]).view(GradArray)]
        )
        narrow = Linear(*sizes, rng=rounded, dtype=np.float32)
        assert_equal([narrow.W], [W.astype(np.float32)])


@each_trainable
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_keeps_the_arrays_and_their_precision(name, dtype):
    model, loss_fn = model_of(name, dtype=dtype), MSELoss()
    X, y = draw(4, 3).astype(dtype), draw(4, 5).astype(dtype)
    before = [(p, p.copy()) for p in model.parameters()]
    optimizer = SGD(iter(model.parameters()), np.float64(0.1))
    first = loss_fn(model(X), y)
    assert train_step(model, loss_fn, optimizer, X, y) == first
    assert type(first) is float and loss_fn(model(X), y) < first
    for p, (same, old) in zip(model.parameters(), before, strict=True):
        assert p is same and p.dtype == p.grad.dtype == dtype
        # Numbers below 4, rounded at most twice.
        atol = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(p, old - 0.1 * p.grad, 0, atol)
        assert (p != old).any()


@pytest.mark.parametrize("name", ["two", "nested"])
def test_training_equals_pytorch_at_each_of_200_steps(name):
    model, X, y = model_of(name), draw(25, 3), draw(25, 5)
    optimizer = SGD(model.parameters(), lr=0.1)
    theirs, inputs, targets = twin(model), *map(torch.tensor, (X, y))
    torch_optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for step in range(1, 201):
        loss = train_step(model, MSELoss(), optimizer, X, y)
        torch_loss = nn.MSELoss()(theirs(inputs), targets)
        torch_optimizer.zero_grad()
        torch_loss.backward()
        torch_optimizer.step()
        # A step rounds a parameter, below 4 in size, by 2.2e-16, and its
        # gradient, some hundred roundings scaled by lr, by five times
        # that, in each program. 200 steps of two programs make 5.3e-13,
        # and there is five times room.
        assert abs(loss - torch_loss.item()) < 3e-12, step
        pairs = zip(model.parameters(), theirs.parameters(), strict=True)
        for p, q in pairs:
            assert np.abs(p - q.detach().numpy().T).max() < 3e-12, step
    assert max(abs(p).max() for p in model.parameters()) < 4


def test_weights_are_saved_in_a_file_and_loaded_in_place(tmp_path):
    model, other = model_of("two"), model_of("two")
    optimizer, X, y = SGD(other.parameters(), 0.1), draw(4, 3), draw(4, 5)
    for p in model.parameters():
        p += 1
    np.savez(tmp_path / "w.npz", *model.parameters())
    with np.load(tmp_path / "w.npz") as file:
        values = zip(other.parameters(), file.values(), strict=True)
        for p, value in values:
            p[:] = value
    assert_equal([other(X)], [model(X)])
    losses = [train_step(other, MSELoss(), optimizer, X, y) for _ in "ab"]
    assert losses[1] < losses[0]
    other.layers[0].W = model.layers[0].W
    with pytest.raises(ValueError, match=r"p\[:\] = value"):
        train_step(other, MSELoss(), optimizer, X, y)


def test_a_module_prints_its_sizes_and_its_layers():
    model = Sequential(
        Sequential(linear(3, 5), Sequential(Tanh())), ReLU()
    )
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Sequential(\n"
        "    (0): Linear(in_features=3, out_features=5)\n"
        "    (1): Sequential(\n"
        "      (0): Tanh()\n"
        "    )\n"
        "  )\n"
        "  (1): ReLU()\n"
        ")"
    )
    assert repr(SGD(model.parameters(), 0.5)) == "SGD(lr=0.5)"
    assert repr(MSELoss()) == "MSELoss()"


# -- The exercises --------------------------------------------------------

SLOPE = "Sigmoid().forward(X)"
HUBER = "np.clip(y_hat - y, -1, 1) / y.size"
CENTRE = "out.grad - out.grad.mean(axis=0)"
BOTH = "X.grad + out.grad"


def written(*changes, of):
    """What solution `of` defines, with parts of its text replaced."""
    source = read(ROOT / "book/03-modules.ipynb").cells
    source = next(c.source for c in source if c.id == f"solution-{of}")
    source = re.split(r"\n\n\n(?=model|verdict)", source)[0]
    for before, after in changes:
        assert source.count(before) == 1
        source = source.replace(before, after)
    names = {"np": np, **vars(modules)}
    exec(source, names)
    return list(names.values())[-1]


def said(capsys, name, answer):
    verdict(name, answer, counts=False)
    return capsys.readouterr().out


@pytest.mark.parametrize("of", range(1, 6))
def test_a_solution_is_solved(capsys, of):
    assert f"3.{of}: solved (" in said(capsys, f"3.{of}", written(of=of))


def test_another_right_answer_is_solved(capsys):
    answer = written((f"X.grad = {BOTH}", "X.grad += out.grad"), of=3)
    assert "3.3: solved" in said(capsys, "3.3", answer)


WRONG = [
    (1, SLOPE, f"-{SLOPE}", "the sign is turned"),
    (1, SLOPE, f"2 * {SLOPE}", "2 times too large"),
    (1, SLOPE, f"{SLOPE} / 2", "2 times too small"),
    (1, SLOPE, "np.exp(X) / (1 + np.exp(X))", "overflow encountered"),
    (1, "np.logaddexp(0, X)", "np.log(1 + np.exp(X))", "overflow"),
    (1, "np.logaddexp(0, X)", "np.abs(X)", "the output: another value"),
    (2, "v += p.grad", "v += p.grad / 2", "after step 1"),
    (2, "v *= self.momentum", "v *= 0.9", "after step 2"),
    (2, "v += p.grad", "p.grad += v; v[:] = p.grad", "is changed"),
    (3, BOTH, f"-({BOTH})", "the sign is turned"),
    (3, BOTH, f"2 * ({BOTH})", "2 times too large"),
    (3, BOTH, f"({BOTH})[:, ::-1]", "columns in reverse"),
    (3, BOTH, "X.grad", "wrong in 15"),
    (3, 'if hasattr(X, "grad"):', "if True:", "AttributeError"),
    (3, "return self.inner.parameters()", "return []", "does not list"),
    (3, "X + self.inner(X)", "self.inner(X)", "the output: another"),
    (4, CENTRE, f"-({CENTRE})", "the sign is turned"),
    (4, CENTRE, f"2 * ({CENTRE})", "2 times too large"),
    (4, CENTRE, f"({CENTRE}) / len(X)", "5 times too small"),
    (4, CENTRE, "out.grad", "wrong in 15"),
    (4, CENTRE, "out.grad - out.grad.mean()", "wrong in 15"),
    (5, HUBER, f"-{HUBER}", "the sign is turned"),
    (5, HUBER, HUBER.replace(" / y.size", ""), "5 times too large"),
    (5, HUBER, HUBER.replace("y.size", "len(y)"), "(the outputs)"),
    (5, ".mean()", ".sum()", "the loss: another value"),
    (5, "d - 0.5", "d", "the loss: another value"),
]


@pytest.mark.parametrize("of, right, wrong, words", WRONG)
def test_a_slip_is_named(capsys, of, right, wrong, words):
    answer = written((right, wrong), of=of)
    found = said(capsys, f"3.{of}", answer)
    assert "not yet" in found and words in found


def test_predictions_are_judged(capsys):
    assert "3.6: solved" in said(capsys, "3.6", [-4, -10, -6.125])
    for k, what in enumerate(["SGD", "PyTorch's SGD, uncl", "momentum"]):
        wrong = [-4, -10, -6.125]
        wrong[k] = 4
        found = said(capsys, "3.6", wrong)
        assert f"not yet: {what}" in found
    assert "three numbers" in said(capsys, "3.6", [1])
