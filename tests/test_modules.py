"""Chapter 3: gradients, memory, parameters and steps of the modules.

The same gradients and steps are held to PyTorch's in test_properties.py,
and what is refused stands in test_refusals.py.
"""

import copy
import pickle

import numpy as np
import pytest

from lessons.gradcheck import gradcheck
from lessons.matrix import GradArray
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


# -- Gradients ------------------------------------------------------------


@each_model
@pytest.mark.parametrize("n, i, o", [(1, 1, 1), (7, 1, 4), (6, 4, 1)])
def test_gradients_are_those_of_nudging(name, n, i, o):
    model = model_of(name, i, o)
    X = draw(n, i, seed=2).view(GradArray)
    pass_back(model, X)
    arrays = dict(enumerate([X, *model.parameters()]))
    table = gradcheck(lambda: loss_of(model(X)), arrays)
    assert table.ok, table


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
        assert_equal([X.grad], [G * module.slope(module.out, X)])


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
