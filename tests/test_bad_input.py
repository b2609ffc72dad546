"""Every public name of `lessons` refuses wrong input, in words.

One row for each wrong call: the name it belongs to, the objects it needs,
the call, the exact type of the error and its exact message. A refused
call may change nothing: the objects, their arrays, gradients and random
generators are compared, bit for bit, before and after. A name without a
row fails a test at the end of the file.

A module's check, forward, bwd and slope are what calling it and its
backward run, so their rows call the module, or its backward.
"""

import importlib
import inspect
import math
import pkgutil
from dataclasses import dataclass
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import lessons
from lessons import chain, datasets, figures, matrix, mnist, modules, xor
from lessons.matrix import GradArray

# Refused means an error, not a warning and a number.
pytestmark = pytest.mark.filterwarnings("error")

HUGE = 10**400
NAN, INF = math.nan, math.inf


@dataclass
class Row:
    """A wrong call, given a fresh set of objects by `make`."""

    name: str
    call: callable
    error: type
    words: str
    make: callable = SimpleNamespace
    # What a model remembers of the layers that ran before the one that
    # refused may be new; parameters, gradients and data may not.
    partway: bool = False


# -- What may not change --------------------------------------------------


def frozen(thing, partway, seen=()):
    """All that a thing holds, as plain values that compare by bits."""
    if id(thing) in seen:
        return "seen"
    seen = (*seen, id(thing))

    def deeper(value):
        return frozen(value, partway, seen)

    if isinstance(thing, np.ndarray | torch.Tensor):
        array = np.asarray(thing)
        content = array.dtype.str, array.shape, array.tobytes()
        return *content, deeper(getattr(thing, "grad", None))
    if isinstance(thing, np.random.Generator):
        return str(thing.bit_generator.state)
    if isinstance(thing, list | tuple):
        return type(thing), [deeper(value) for value in thing]
    if isinstance(thing, float):
        return thing.hex()
    if isinstance(thing, plt.Axes):
        return len(thing.get_children())
    if hasattr(thing, "__dict__"):
        memory = {"args", "out", "X", "Z", "x", "a"} if partway else ()
        return [
            (key, deeper(value))
            for key, value in vars(thing).items()
            if key not in memory or isinstance(thing, SimpleNamespace)
        ]
    return repr(thing)


# -- Objects --------------------------------------------------------------


def rng():
    return np.random.default_rng(0)


def array(*shape):
    return rng().normal(size=shape)


def grad_array(*shape):
    """With a gradient, which a refused call may not touch."""
    made = array(*shape).view(GradArray)
    made.grad = np.ones(shape)
    return made


def spoilt(good, value=NAN):
    """A copy with one entry of another value, its last."""
    bad = good.copy()
    bad.flat[-1] = value
    return bad


class Roomy(np.ndarray):
    """An array that takes anything for its gradient."""

    grad = None


def roomy(gradient):
    made = array(3, 2).view(Roomy)
    made.grad = gradient
    return made


def neuron():
    """A neuron of chapter 1 that has been forward and backward."""
    made = chain.Linear(0.5, -0.25)
    made.forward(2.0)
    made.backward(1.0, 0.0)
    return SimpleNamespace(it=made)


def bend():
    made = chain.Tanh()
    made.forward(2.0)
    return SimpleNamespace(it=made)


def missed():
    made = chain.SquaredError()
    made.forward(2.0, 1.0)
    return SimpleNamespace(it=made)


def row_of_two():
    made = chain.Chain([0.9, -1.2], [0.3, 0.1])
    made.forward(0.5)
    made.backward(1.0, 0.0)
    return SimpleNamespace(it=made)


def arrays():
    """What the functions of chapter 2 take, each with a gradient."""
    return SimpleNamespace(
        X=grad_array(4, 3),
        W=grad_array(3, 5),
        b=grad_array(5),
        out=grad_array(4, 5),
        plain=array(4, 5),
    )


def layers():
    """A network of chapter 2 with its data, after one epoch."""
    generator = rng()
    made = [
        matrix.Linear(3, 5, rng=generator),
        matrix.ReLU(),
        matrix.Linear(5, 1, rng=generator),
    ]
    data = SimpleNamespace(it=made, X=array(4, 3), Y=array(4, 1))
    matrix.train(made, data.X, data.Y, 0.1, 1)
    return data


def classes():
    """A layer, a bend and a loss of chapter 2, forward done."""
    data = SimpleNamespace(
        linear=matrix.Linear(3, 5, rng=rng()),
        relu=matrix.ReLU(),
        loss=matrix.MSELoss(),
        X=grad_array(4, 3),
        y=array(4, 5),
    )
    out = data.relu.forward(data.linear.forward(data.X))
    data.loss.forward(out, data.y)
    return data


def model(loss_fn=modules.MSELoss, dtype=float):
    """A model of chapter 3 with loss and optimizer, after one step."""
    generator = rng()
    made = SimpleNamespace(
        it=modules.Sequential(
            modules.Linear(3, 5, rng=generator, dtype=dtype),
            modules.Tanh(),
            modules.Linear(5, 2, rng=generator, dtype=dtype),
        ),
        loss=loss_fn(),
        X=array(4, 3).astype(dtype),
        y=array(4, 2).astype(dtype),
        labels=np.array([0, 1, 1, 0]),
    )
    made.sgd = modules.SGD(made.it.parameters(), 0.1)
    y = made.labels if loss_fn is mnist.CrossEntropyLoss else made.y
    modules.train_step(made.it, made.loss, made.sgd, made.X, y)
    return made


def classifier():
    return model(mnist.CrossEntropyLoss)


def remembering(kind):
    """A layer without parameters that has been called."""

    def make():
        made = SimpleNamespace(it=kind(), X=grad_array(4, 3))
        made.it(made.X)
        return made

    return make


def with_rng():
    return SimpleNamespace(rng=rng())


def parameters():
    """Four of them, each with its gradient, and an optimizer."""
    made = [grad_array(3, 2), grad_array(2), grad_array(2, 1)]
    return SimpleNamespace(it=made, sgd=modules.SGD(made, 0.1))


def without_gradient():
    made = parameters()
    made.it.append(array(2).view(GradArray))
    made.sgd = modules.SGD(made.it, 0.1)
    return made


def spoilt_gradient():
    made = parameters()
    made.it[-1].grad[-1] = NAN
    return made


def other_gradient(gradient):
    """The last of two parameters has a gradient that does not fit it."""

    def make():
        made = SimpleNamespace(it=[grad_array(3, 2), roomy(gradient)])
        made.sgd = modules.SGD(made.it, 0.1)
        return made

    return make


def hands():
    """Parameters of chapter 4."""
    return SimpleNamespace(
        it=xor.start(3, 0), Y=xor.XOR.copy(), X=xor.INPUTS
    )


def sketch():
    return SimpleNamespace(ax=figures.blank(3, 2))


# -- Chapter 1 ------------------------------------------------------------

SIN = math.sin
ROWS = [
    Row(
        "chain.check_number",
        lambda s: chain.check_number("w", "0.5"),
        TypeError,
        "w must be a real number, got str",
    ),
    Row(
        "chain.check_number",
        lambda s: chain.check_number("w", True),
        TypeError,
        "w must be a real number, got bool",
    ),
    Row(
        "chain.check_number",
        lambda s: chain.check_number("w", 1j),
        TypeError,
        "w must be a real number, got complex",
    ),
    Row(
        "chain.check_number",
        lambda s: chain.check_number("w", HUGE),
        ValueError,
        "w must be finite, got more than a float can hold",
    ),
    Row(
        "chain.check_number",
        lambda s: chain.check_number("w", -INF),
        ValueError,
        "w must be finite, got -inf",
    ),
    Row(
        "chain.numerical_derivative",
        lambda s: chain.numerical_derivative(3.0, 1),
        TypeError,
        "f must be a function, got float",
    ),
    Row(
        "chain.numerical_derivative",
        lambda s: chain.numerical_derivative(SIN, [1.0]),
        TypeError,
        "x must be a real number, got list",
    ),
    Row(
        "chain.numerical_derivative",
        lambda s: chain.numerical_derivative(SIN, NAN),
        ValueError,
        "x must be finite, got nan",
    ),
    Row(
        "chain.numerical_derivative",
        lambda s: chain.numerical_derivative(SIN, 1, h=0),
        ValueError,
        "h must be above zero and move x = 1.0, got 0.0",
    ),
    Row(
        "chain.numerical_derivative",
        lambda s: chain.numerical_derivative(SIN, 1, h=1e-20),
        ValueError,
        "h must be above zero and move x = 1.0, got 1e-20",
    ),
    Row(
        "chain.numerical_derivative",
        lambda s: chain.numerical_derivative(lambda x: np.ones(2) * x, 1),
        TypeError,
        "f(x + h) must be a real number, got ndarray",
    ),
    Row(
        "chain.numerical_derivative",
        lambda s: chain.numerical_derivative(
            lambda x: 1.7e308 * x, 0, h=1
        ),
        ValueError,
        "the slope must be finite, got inf",
    ),
    Row(
        "chain.Linear",
        lambda s: chain.Linear("1", 0),
        TypeError,
        "w must be a real number, got str",
    ),
    Row(
        "chain.Linear",
        lambda s: chain.Linear(1, NAN),
        ValueError,
        "b must be finite, got nan",
    ),
    Row(
        "chain.Linear.forward",
        lambda s: s.it.forward(np.ones(2)),
        TypeError,
        "x must be a real number, got ndarray",
        neuron,
    ),
    Row(
        "chain.Linear.forward",
        lambda s: s.it.forward(INF),
        ValueError,
        "x must be finite, got inf",
        neuron,
    ),
    Row(
        "chain.Linear.forward",
        lambda s: s.it.forward(1e308),
        ValueError,
        "z must be finite, got inf",
        lambda: SimpleNamespace(it=chain.Linear(10, 0)),
    ),
    Row(
        "chain.Linear.backward",
        lambda s: s.it.backward(NAN, 0.1),
        ValueError,
        "g must be finite, got nan",
        neuron,
    ),
    Row(
        "chain.Linear.backward",
        lambda s: s.it.backward(1, -0.1),
        ValueError,
        "lr must not be negative, got -0.1",
        neuron,
    ),
    Row(
        "chain.Linear.backward",
        lambda s: s.it.backward(1.5e308, 1),
        ValueError,
        "the new w must be finite, got -inf",
        neuron,
    ),
    Row(
        "chain.Linear.backward",
        lambda s: s.it.backward(1, HUGE),
        ValueError,
        "lr must be finite, got more than a float can hold",
        neuron,
    ),
    Row(
        "chain.Linear.backward",
        lambda s: s.it.backward(1, 0.1),
        RuntimeError,
        "Linear.backward needs Linear.forward first",
        lambda: SimpleNamespace(it=chain.Linear(1, 0)),
    ),
    Row(
        "chain.check_ready",
        lambda s: chain.check_ready(s.it, None, 1, 0.1),
        RuntimeError,
        "Tanh.backward needs Tanh.forward first",
        bend,
    ),
    Row(
        "chain.check_ready",
        lambda s: chain.check_ready(s.it, 0.5, 1, "0.1"),
        TypeError,
        "lr must be a real number, got str",
        bend,
    ),
    Row(
        "chain.Tanh",
        lambda s: chain.Tanh(0.5),
        TypeError,
        "Tanh.__init__() takes 1 positional argument but 2 were given",
    ),
    Row(
        "chain.Tanh.forward",
        lambda s: s.it.forward(None),
        TypeError,
        "z must be a real number, got NoneType",
        bend,
    ),
    Row(
        "chain.Tanh.backward",
        lambda s: s.it.backward([1.0], 0.1),
        TypeError,
        "g must be a real number, got list",
        bend,
    ),
    Row(
        "chain.Tanh.backward",
        lambda s: s.it.backward(1, True),
        TypeError,
        "lr must be a real number, got bool",
        bend,
    ),
    Row(
        "chain.SquaredError",
        lambda s: chain.SquaredError().backward(),
        RuntimeError,
        "SquaredError.backward needs SquaredError.forward first",
    ),
    Row(
        "chain.SquaredError.forward",
        lambda s: s.it.forward(torch.tensor(1.0), 0),
        TypeError,
        "y_hat must be a real number, got Tensor",
        missed,
    ),
    Row(
        "chain.SquaredError.forward",
        lambda s: s.it.forward(0, NAN),
        ValueError,
        "y must be finite, got nan",
        missed,
    ),
    Row(
        "chain.SquaredError.forward",
        lambda s: s.it.forward(1e200, 0),
        ValueError,
        "the loss must be finite, got inf",
        missed,
    ),
    Row(
        "chain.Chain",
        lambda s: chain.Chain(1, 1),
        TypeError,
        "w must be a list, got int",
    ),
    Row(
        "chain.Chain",
        lambda s: chain.Chain([1], "1"),
        TypeError,
        "b must be a list, got str",
    ),
    Row(
        "chain.Chain",
        lambda s: chain.Chain([], []),
        ValueError,
        "expected one weight and one bias for each of at least one "
        "neuron, got 0 weights and 0 biases",
    ),
    Row(
        "chain.Chain",
        lambda s: chain.Chain([1, NAN], [0, 0]),
        ValueError,
        "w must be finite, got nan",
    ),
    Row(
        "chain.Chain.forward",
        lambda s: s.it.forward("0.5"),
        TypeError,
        "x must be a real number, got str",
        row_of_two,
    ),
    Row(
        "chain.Chain.forward",
        lambda s: s.it.forward([0.5, 0.5]),
        TypeError,
        "x must be a real number, got list",
        row_of_two,
    ),
    Row(
        "chain.Chain.backward",
        lambda s: s.it.backward(1, NAN),
        ValueError,
        "lr must be finite, got nan",
        row_of_two,
    ),
    Row(
        "chain.Chain.backward",
        lambda s: s.it.backward(INF, 0.1),
        ValueError,
        "g must be finite, got inf",
        row_of_two,
    ),
    Row(
        "chain.check_depth",
        lambda s: chain.check_depth([1, 2], [3]),
        ValueError,
        "expected one weight and one bias for each of at least one "
        "neuron, got 2 weights and 1 biases",
    ),
    Row(
        "chain.check_depth",
        lambda s: chain.check_depth({1: 2}, [3]),
        TypeError,
        "w must be a list, got dict",
    ),
    Row(
        "chain.linears",
        lambda s: chain.linears(s.it),
        TypeError,
        "expected a Chain, got Linear",
        neuron,
    ),
    Row(
        "chain.parameters",
        lambda s: chain.parameters([0.5]),
        TypeError,
        "expected a Chain, got list",
    ),
    Row(
        "chain.gradients",
        lambda s: chain.gradients(None),
        TypeError,
        "expected a Chain, got NoneType",
    ),
    Row(
        "chain.gradients",
        lambda s: chain.gradients(chain.Chain([1], [0])),
        RuntimeError,
        "gradients needs Chain.backward first",
    ),
    Row(
        "chain.check_samples",
        lambda s: chain.check_samples(3),
        TypeError,
        "samples must be a list of pairs, got int",
    ),
    Row(
        "chain.check_samples",
        lambda s: chain.check_samples([(0, 1), (0, 1, 2)]),
        TypeError,
        "samples[1] must be (x, y), got (0, 1, 2)",
    ),
    Row(
        "chain.train",
        lambda s: chain.train(s.it, [(0, 1), (0, NAN)], 0.1),
        ValueError,
        "y of samples[1] must be finite, got nan",
        row_of_two,
    ),
    Row(
        "chain.train",
        lambda s: chain.train(s.it, [], 0.1),
        ValueError,
        "expected at least one sample (x, y), got none",
        row_of_two,
    ),
    Row(
        "chain.train",
        lambda s: chain.train([s.it], [(0, 1)], 0.1),
        TypeError,
        "expected a Chain, got list",
        row_of_two,
    ),
    Row(
        "chain.train",
        lambda s: chain.train(s.it, [(0, 1)], "0.1"),
        TypeError,
        "lr must be a real number, got str",
        row_of_two,
        partway=True,
    ),
]

# -- Chapter 2 ------------------------------------------------------------


def as_matrix(good):
    return good.view(np.matrix)


def masked(good):
    return np.ma.masked_array(good, mask=good > 0)


def kind_row(convert, kind):
    return Row(
        "matrix.check_float64",
        lambda s: matrix.check_float64("X", convert(s.plain)),
        TypeError,
        f"X: expected a float64 array, got {kind}",
        arrays,
    )


def lin_row(words, X=None, W=None, b=None):
    """A row for lin with one argument made from the good one."""

    def call(s):
        changed = [(X, s.X), (W, s.W), (b, s.b)]
        return matrix.lin(
            *(new(old) if new else old for new, old in changed)
        )

    return Row("matrix.lin", call, ValueError, words, arrays)


def train_row(error, words, **changed):
    """A row for chapter 2's train with one argument changed."""

    def call(s):
        good = {"layers": s.it, "X": s.X, "Y": s.Y}
        settings = {**good, "lr": 0.1, "num_epochs": 2}
        for key, value in changed.items():
            settings[key] = value(s) if callable(value) else value
        return matrix.train(**settings)

    return Row("matrix.train", call, error, words, layers, partway=True)


ROWS += [
    kind_row(as_matrix, "matrix"),
    kind_row(masked, "MaskedArray"),
    kind_row(np.ndarray.tolist, "list"),
    kind_row(lambda good: good.astype(object), "object"),
    kind_row(lambda good: good.astype(str), "<U32"),
    kind_row(lambda good: good.astype(complex), "complex128"),
    kind_row(lambda good: good > 0, "bool"),
    kind_row(lambda good: good.astype(np.float32), "float32"),
    kind_row(lambda good: good.astype(">f8"), ">f8"),
    kind_row(torch.tensor, "torch.float64"),
    Row(
        "matrix.kind_of",
        lambda s: matrix.kind_of(),
        TypeError,
        "kind_of() missing 1 required positional argument: 'array'",
    ),
    Row(
        "matrix.check_array",
        lambda s: matrix.check_array("W", s.W, (3, 4)),
        ValueError,
        "W: expected shape (3, 4), got (3, 5)",
        arrays,
    ),
    Row(
        "matrix.check_array",
        lambda s: matrix.check_array("W", s.W, ("n",)),
        ValueError,
        "W: expected shape (n,), got (3, 5)",
        arrays,
    ),
    Row(
        "matrix.check_array",
        lambda s: matrix.check_array("W", s.W[:0], ("in", 5)),
        ValueError,
        "W is empty: its shape is (0, 5)",
        arrays,
    ),
    Row(
        "matrix.check_array",
        lambda s: matrix.check_array("W", spoilt(s.W, INF)),
        ValueError,
        "W: expected finite numbers, got nan or inf",
        arrays,
    ),
    Row(
        "matrix.check_lin",
        lambda s: matrix.check_lin(s.X, s.W.T, s.b),
        ValueError,
        "b: expected shape (3,), got (5,)",
        arrays,
    ),
    lin_row("b: expected shape (5,), got (1,)", b=lambda b: b[:1]),
    lin_row("b: expected shape (5,), got (1, 5)", b=lambda b: b[None]),
    lin_row("X: expected shape (n, 3), got (4, 1)", X=lambda X: X[:, :1]),
    lin_row("X: expected shape (n, 3), got (3,)", X=lambda X: X[0]),
    lin_row("X is empty: its shape is (0, 3)", X=lambda X: X[:0]),
    lin_row("W: expected finite numbers, got nan or inf", W=spoilt),
    Row(
        "matrix.relu",
        lambda s: matrix.relu(s.b),
        ValueError,
        "Z: expected shape (n, out), got (5,)",
        arrays,
    ),
    Row(
        "matrix.relu",
        lambda s: matrix.relu(as_matrix(s.plain)),
        TypeError,
        "Z: expected a float64 array, got matrix",
        arrays,
    ),
    Row(
        "matrix.mse",
        lambda s: matrix.mse(s.plain[:, :1], s.plain[:, 0]),
        ValueError,
        "y: expected shape (4, 1), got (4,)",
        arrays,
    ),
    Row(
        "matrix.mse",
        lambda s: matrix.mse(s.plain[:, 0], s.plain[:, :1]),
        ValueError,
        "y_hat: expected shape (n, out), got (4,)",
        arrays,
    ),
    Row(
        "matrix.mse",
        lambda s: matrix.mse(s.plain, s.plain[:1]),
        ValueError,
        "y: expected shape (4, 5), got (1, 5)",
        arrays,
    ),
    Row(
        "matrix.mse",
        lambda s: matrix.mse(spoilt(s.plain, 1e200), s.plain),
        ValueError,
        "the loss must be finite, got inf",
        arrays,
    ),
    Row(
        "matrix.check_int",
        lambda s: matrix.check_int("hidden", 2.0),
        TypeError,
        "hidden must be an int, got 2.0",
    ),
    Row(
        "matrix.check_int",
        lambda s: matrix.check_int("hidden", True),
        TypeError,
        "hidden must be an int, got True",
    ),
    Row(
        "matrix.check_int",
        lambda s: matrix.check_int("seed", -1, least=0),
        ValueError,
        "seed must be at least 0, got -1",
    ),
    Row(
        "matrix.he_init",
        lambda s: matrix.he_init(3.0, 5, s.rng),
        TypeError,
        "fan_in must be an int, got 3.0",
        with_rng,
    ),
    Row(
        "matrix.he_init",
        lambda s: matrix.he_init(3, 0, s.rng),
        ValueError,
        "fan_out must be at least 1, got 0",
        with_rng,
    ),
    Row(
        "matrix.he_init",
        lambda s: matrix.he_init(3, 5, 0),
        TypeError,
        "rng: expected a Generator, got 0",
    ),
    Row(
        "matrix.numerical_gradient",
        lambda s: matrix.numerical_gradient(1.5, s.W),
        TypeError,
        "loss must be a function, got float",
        arrays,
    ),
    Row(
        "matrix.numerical_gradient",
        lambda s: matrix.numerical_gradient(lambda: s.W**2, s.W),
        TypeError,
        "loss() must be a real number, got GradArray",
        arrays,
    ),
    Row(
        "matrix.numerical_gradient",
        lambda s: matrix.numerical_gradient(lambda: NAN, s.W),
        ValueError,
        "loss() must be finite, got nan",
        arrays,
    ),
    Row(
        "matrix.numerical_gradient",
        lambda s: matrix.numerical_gradient(float, s.W.astype(int)),
        TypeError,
        "array: expected a float64 array, got int64",
        arrays,
    ),
    Row(
        "matrix.numerical_gradient",
        lambda s: matrix.numerical_gradient(
            float, np.broadcast_to(s.plain, (2, 4, 5))
        ),
        ValueError,
        "array is read-only, so it cannot be nudged",
        arrays,
    ),
    Row(
        "matrix.numerical_gradient",
        lambda s: matrix.numerical_gradient(float, s.W[:0]),
        ValueError,
        "array is empty: its shape is (0, 5)",
        arrays,
    ),
    Row(
        "matrix.numerical_gradient",
        lambda s: matrix.numerical_gradient(float, spoilt(s.W)),
        ValueError,
        "array: expected finite numbers, got nan or inf",
        arrays,
    ),
    Row(
        "matrix.GradArray",
        lambda s: GradArray(-1),
        ValueError,
        "negative dimensions are not allowed",
    ),
    Row(
        "matrix.GradArray.grad",
        lambda s: setattr(s.W, "grad", s.W.T),
        ValueError,
        "grad: expected shape (3, 5), float64, got shape (5, 3), float64",
        arrays,
    ),
    Row(
        "matrix.GradArray.grad",
        lambda s: setattr(s.W, "grad", s.W.tolist()),
        ValueError,
        "grad: expected shape (3, 5), float64, got shape (), list",
        arrays,
    ),
    Row(
        "matrix.GradArray.grad",
        lambda s: setattr(s.W, "grad", np.ones((3, 5), int)),
        ValueError,
        "grad: expected shape (3, 5), float64, got shape (3, 5), int64",
        arrays,
    ),
    Row(
        "matrix.GradArray.grad",
        lambda s: setattr(s.W, "grad", masked(s.W)),
        ValueError,
        "grad: expected shape (3, 5), float64, got shape (3, 5), "
        "MaskedArray",
        arrays,
    ),
    Row(
        "matrix.GradArray.grad",
        lambda s: setattr(s.W, "grad", spoilt(s.W)),
        ValueError,
        "grad: expected finite, got nan or inf",
        arrays,
    ),
    Row(
        "matrix.check_room",
        lambda s: matrix.check_room("Z", s.plain),
        TypeError,
        "Z: expected a GradArray, got ndarray",
        arrays,
    ),
    Row(
        "matrix.mse_grad",
        lambda s: matrix.mse_grad(s.plain, s.plain),
        TypeError,
        "y_hat: expected a GradArray, got ndarray",
        arrays,
    ),
    Row(
        "matrix.mse_grad",
        lambda s: matrix.mse_grad(s.out, s.plain[:, :1]),
        ValueError,
        "y: expected shape (4, 5), got (4, 1)",
        arrays,
    ),
    Row(
        "matrix.incoming",
        lambda s: matrix.incoming(None),
        RuntimeError,
        "backward needs forward first, and the backward of what "
        "comes after: the output has no gradient yet",
    ),
    Row(
        "matrix.incoming",
        lambda s: matrix.incoming(s.plain),
        TypeError,
        "out: expected a GradArray, got ndarray",
        arrays,
    ),
    Row(
        "matrix.relu_grad",
        lambda s: matrix.relu_grad(s.out, s.plain),
        TypeError,
        "Z: expected a GradArray, got ndarray",
        arrays,
    ),
    Row(
        "matrix.relu_grad",
        lambda s: matrix.relu_grad(s.out, s.X),
        ValueError,
        "out.grad: expected shape (4, 3), got (4, 5)",
        arrays,
    ),
    Row(
        "matrix.lin_grad",
        lambda s: matrix.lin_grad(s.out, s.X, s.W, s.b[:1]),
        ValueError,
        "b: expected shape (5,), got (1,)",
        arrays,
    ),
    Row(
        "matrix.lin_grad",
        lambda s: matrix.lin_grad(s.out, s.X, s.W, array(5)),
        TypeError,
        "b: expected a GradArray, got ndarray",
        arrays,
    ),
    Row(
        "matrix.lin_grad",
        lambda s: matrix.lin_grad(s.X, s.X, s.W, s.b),
        ValueError,
        "out.grad: expected shape (4, 5), got (4, 3)",
        arrays,
    ),
    Row(
        "matrix.Linear",
        lambda s: matrix.Linear(3, 5.0, rng=s.rng),
        TypeError,
        "Linear: out_features must be an int, got 5.0",
        with_rng,
    ),
    Row(
        "matrix.Linear",
        lambda s: matrix.Linear(True, 5, rng=s.rng),
        TypeError,
        "Linear: in_features must be an int, got True",
        with_rng,
    ),
    Row(
        "matrix.Linear",
        lambda s: matrix.Linear(-3, 5, rng=s.rng),
        ValueError,
        "Linear: in_features must be at least 1, got -3",
        with_rng,
    ),
    Row(
        "matrix.Linear.forward",
        lambda s: s.linear.forward(s.X[:, :2]),
        ValueError,
        "X: expected shape (n, 3), got (4, 2)",
        classes,
    ),
    Row(
        "matrix.ReLU",
        lambda s: matrix.ReLU().backward(),
        RuntimeError,
        "backward needs forward first, and the backward of what "
        "comes after: the output has no gradient yet",
    ),
    Row(
        "matrix.ReLU.forward",
        lambda s: s.relu.forward(spoilt(s.X, -INF)),
        ValueError,
        "Z: expected finite numbers, got nan or inf",
        classes,
    ),
    Row(
        "matrix.MSELoss",
        lambda s: matrix.MSELoss().backward(),
        RuntimeError,
        "MSELoss.backward needs forward first",
    ),
    Row(
        "matrix.MSELoss.forward",
        lambda s: s.loss.forward(s.y, s.y[0]),
        ValueError,
        "y: expected shape (4, 5), got (5,)",
        classes,
    ),
    Row(
        "matrix.MSELoss.forward",
        lambda s: s.loss.forward(s.y, spoilt(s.y, 1e300)),
        ValueError,
        "the loss must be finite, got inf",
        classes,
    ),
    Row(
        "matrix.check_positive",
        lambda s: matrix.check_positive("lr", 0),
        ValueError,
        "lr must be above 0, got 0",
    ),
    Row(
        "matrix.check_layers",
        lambda s: matrix.check_layers([]),
        ValueError,
        "expected a Linear first, got []",
    ),
    Row(
        "matrix.check_layers",
        lambda s: matrix.check_layers([s.linear, s.loss]),
        TypeError,
        "expected a list of layers, got [Linear(3, 5), MSELoss()]",
        classes,
    ),
    train_row(
        ValueError,
        "expected a Linear first, got [ReLU(), Linear(3, 5)]",
        layers=lambda s: [matrix.ReLU(), s.it[0]],
    ),
    train_row(
        ValueError,
        "a layer stands twice in [Linear(3, 5), ReLU(), ReLU()]",
        layers=lambda s: [s.it[0], s.it[1], s.it[1]],
    ),
    train_row(
        TypeError,
        "expected a list of layers, got Linear(3, 5)",
        layers=lambda s: s.it[0],
    ),
    train_row(
        ValueError,
        "y: expected shape (4, 1), got (4,)",
        Y=lambda s: s.Y[:, 0],
    ),
    train_row(
        ValueError,
        "y: expected shape (1, 1), got (4, 1)",
        X=lambda s: s.X[:1],
    ),
    train_row(
        ValueError,
        "X: expected finite numbers, got nan or inf",
        X=lambda s: spoilt(s.X),
    ),
    train_row(
        TypeError,
        "X: expected a float64 array, got list",
        X=lambda s: s.X.tolist(),
    ),
    train_row(TypeError, "lr must be a real number, got str", lr="0.1"),
    train_row(TypeError, "lr must be a real number, got bool", lr=True),
    train_row(ValueError, "lr must be finite, got nan", lr=NAN),
    train_row(ValueError, "lr must be above 0, got -1", lr=-1),
    train_row(
        ValueError,
        "lr must be finite, got more than a float can hold",
        lr=HUGE,
    ),
    train_row(
        TypeError, "num_epochs must be an int, got 1.5", num_epochs=1.5
    ),
    train_row(
        ValueError,
        "num_epochs must be at least 1, got 0",
        num_epochs=0,
    ),
]

# -- Chapter 3 ------------------------------------------------------------

LINEAR = "Linear(in_features=3, out_features=5)"
FINITE = "expected finite input, got nan or inf"


def input_row(error, words, change):
    """A row for check_input, with matrices of three columns expected."""

    def call(s):
        modules.check_input("who", change(s.X), 3, np.dtype(float))

    return Row("modules.check_input", call, error, words, arrays)


def called(name, kind, change, error, words):
    """A layer without parameters is called on what change makes."""

    def call(s):
        s.it(change(s.X))

    return Row(f"modules.{name}", call, error, words, remembering(kind))


def backward_without_gradient(name, kind):
    """The way back through a layer whose output has no gradient yet."""
    words = f"{kind()}: its output has no gradient yet"

    def call(s):
        s.it.backward()

    return Row(
        f"modules.{name}", call, RuntimeError, words, remembering(kind)
    )


def sgd_row(error, words, **changed):
    """A row for making an SGD, by default of good parameters."""

    def call(s):
        good = {"parameters": s.it, "lr": 0.1}
        for key, value in changed.items():
            good[key] = value(s) if callable(value) else value
        modules.SGD(**good)

    return Row("modules.SGD", call, error, words, parameters)


def step_row(error, words, make):
    def call(s):
        s.sgd.step()

    return Row("modules.check_gradients", call, error, words, make)


def unlike(s):
    """A model whose second layer does not fit its first."""
    generator = rng()
    sizes = (3, 5), (4, 2)
    return modules.Sequential(
        *(modules.Linear(*two, rng=generator) for two in sizes)
    )


ROWS += [
    Row(
        "modules.all_finite",
        lambda s: modules.all_finite([1.0]),
        AttributeError,
        "'list' object has no attribute 'min'",
    ),
    input_row(
        TypeError, "who: expected float64, got no array", lambda X: [[1.0]]
    ),
    input_row(TypeError, "who: expected float64, got matrix", as_matrix),
    input_row(TypeError, "who: expected float64, got MaskedArray", masked),
    input_row(
        TypeError,
        "who: expected float64, got object",
        lambda X: X.astype(object),
    ),
    input_row(
        TypeError,
        "who: expected float64, got float32",
        lambda X: X.astype(np.float32),
    ),
    input_row(
        ValueError,
        "who: expected shape (n, 3), got (3,)",
        lambda X: X[0],
    ),
    input_row(
        ValueError,
        "who: expected shape (n, 3), got (4, 1)",
        lambda X: X[:, :1],
    ),
    input_row(
        ValueError,
        "who: the batch is empty: shape (0, 3)",
        lambda X: X[:0],
    ),
    input_row(ValueError, f"who: {FINITE}", spoilt),
    input_row(ValueError, f"who: {FINITE}", lambda X: spoilt(X, -INF)),
    Row(
        "modules.Module",
        lambda s: modules.Module(3),
        TypeError,
        "Module() takes no arguments",
    ),
    Row(
        "modules.Module.__call__",
        lambda s: s.it(),
        TypeError,
        "Layer.check() missing 1 required positional argument: 'X'",
        remembering(modules.Tanh),
    ),
    Row(
        "modules.Layer",
        lambda s: modules.Layer()(s.X),
        AttributeError,
        "'Layer' object has no attribute 'forward'",
        arrays,
    ),
    called(
        "Layer.check",
        modules.ReLU,
        lambda X: X.tolist(),
        TypeError,
        "ReLU(): expected floats, got no array",
    ),
    Row(
        "modules.check_linear",
        lambda s: modules.check_linear(3, 5, complex),
        TypeError,
        "Linear: expected a float dtype, got <class 'complex'>",
    ),
    Row(
        "modules.Linear",
        lambda s: modules.Linear(3, 5, rng=s.rng, dtype=int),
        TypeError,
        "Linear: expected a float dtype, got <class 'int'>",
        with_rng,
    ),
    Row(
        "modules.Linear",
        lambda s: modules.Linear(3, 5, rng=s.rng, dtype=bool),
        TypeError,
        "Linear: expected a float dtype, got <class 'bool'>",
        with_rng,
    ),
    Row(
        "modules.Linear",
        lambda s: modules.Linear(3.5, 5, rng=s.rng),
        TypeError,
        "Linear: in_features must be an int, got 3.5",
        with_rng,
    ),
    Row(
        "modules.Linear",
        lambda s: modules.Linear(3, True, rng=s.rng),
        TypeError,
        "Linear: out_features must be an int, got True",
        with_rng,
    ),
    Row(
        "modules.Linear",
        lambda s: modules.Linear(3, 0, rng=s.rng),
        ValueError,
        "Linear: out_features must be at least 1, got 0",
        with_rng,
    ),
    Row(
        "modules.Linear",
        lambda s: modules.Linear(3, 5, rng=np.random.RandomState),
        TypeError,
        f"rng: expected a Generator, got {np.random.RandomState!r}",
    ),
    Row(
        "modules.Linear.forward",
        lambda s: s.it(s.X[:, :2]),
        ValueError,
        f"{LINEAR}: expected shape (n, 3), got (4, 2)",
        model,
    ),
    Row(
        "modules.Linear.forward",
        lambda s: s.it(s.X.astype(np.float32)),
        TypeError,
        f"{LINEAR}: expected float64, got float32",
        model,
    ),
    Row(
        "modules.Linear.bwd",
        lambda s: modules.Linear(3, 5, rng=rng()).backward(),
        RuntimeError,
        f"{LINEAR}: backward before the first call",
    ),
    Row(
        "modules.Activation",
        lambda s: modules.Activation()(s.X),
        AttributeError,
        "'Activation' object has no attribute 'forward'",
        arrays,
    ),
    backward_without_gradient("Activation.bwd", modules.Sigmoid),
    Row(
        "modules.ReLU",
        lambda s: modules.ReLU(0.1),
        TypeError,
        "ReLU() takes no arguments",
    ),
    called(
        "ReLU.forward",
        modules.ReLU,
        lambda X: X[:0],
        ValueError,
        "ReLU(): the batch is empty: shape (0, 3)",
    ),
    backward_without_gradient("ReLU.slope", modules.ReLU),
    Row(
        "modules.Tanh",
        lambda s: modules.Tanh().backward(),
        RuntimeError,
        "Tanh(): backward before the first call",
    ),
    called(
        "Tanh.forward",
        modules.Tanh,
        spoilt,
        ValueError,
        f"Tanh(): {FINITE}",
    ),
    backward_without_gradient("Tanh.slope", modules.Tanh),
    Row(
        "modules.Sigmoid",
        lambda s: modules.Sigmoid().backward(),
        RuntimeError,
        "Sigmoid(): backward before the first call",
    ),
    called(
        "Sigmoid.forward",
        modules.Sigmoid,
        lambda X: X[0],
        ValueError,
        "Sigmoid(): expected shape (n, width), got (3,)",
    ),
    backward_without_gradient("Sigmoid.slope", modules.Sigmoid),
    Row(
        "modules.Sequential",
        lambda s: modules.Sequential(),
        ValueError,
        "Sequential: expected at least one layer, got none",
    ),
    Row(
        "modules.Sequential",
        lambda s: modules.Sequential(s.it, np.tanh),
        TypeError,
        "Sequential: expected layers, got <ufunc 'tanh'>",
        model,
    ),
    Row(
        "modules.Sequential",
        lambda s: modules.Sequential([s.it]),
        TypeError,
        "Sequential: expected layers, got [Tanh()]",
        remembering(modules.Tanh),
    ),
    Row(
        "modules.Sequential",
        lambda s: modules.Sequential(s.it, s.it),
        ValueError,
        "Sequential: Tanh() stands in it twice",
        remembering(modules.Tanh),
    ),
    Row(
        "modules.Sequential.check",
        lambda s: s.it(),
        TypeError,
        "Sequential.check() missing 1 required positional argument: 'X'",
        model,
    ),
    Row(
        "modules.Sequential.forward",
        lambda s: unlike(s)(s.X),
        ValueError,
        "Linear(in_features=4, out_features=2): expected shape (n, 4), "
        "got (4, 5)",
        model,
    ),
    Row(
        "modules.Sequential.forward",
        lambda s: s.it(s.X[:0]),
        ValueError,
        f"{LINEAR}: the batch is empty: shape (0, 3)",
        model,
    ),
    Row(
        "modules.Sequential.bwd",
        lambda s: (s.it(s.X), s.it.backward()),
        RuntimeError,
        "Sequential(\n  (0): Tanh()\n): its output has no gradient yet",
        remembering(lambda: modules.Sequential(modules.Tanh())),
        partway=True,
    ),
    Row(
        "modules.flatten",
        lambda s: list(modules.flatten(3)),
        TypeError,
        "'int' object is not iterable",
    ),
    Row(
        "modules.check_layers",
        lambda s: modules.check_layers([s.loss]),
        TypeError,
        "Sequential: expected layers, got MSELoss()",
        model,
    ),
    Row(
        "modules.MSELoss",
        lambda s: modules.MSELoss().backward(),
        RuntimeError,
        "MSELoss(): backward before the first call",
    ),
    Row(
        "modules.MSELoss.check",
        lambda s: s.loss(s.y[:, :1], s.y[:, 0]),
        ValueError,
        "MSELoss(), y: expected shape (n, 1), got (4,)",
        model,
    ),
    Row(
        "modules.MSELoss.check",
        lambda s: s.loss(s.y[:, 0], s.y[:, :1]),
        ValueError,
        "MSELoss(), y_hat: expected shape (n, width), got (4,)",
        model,
    ),
    Row(
        "modules.MSELoss.check",
        lambda s: s.loss(s.y, s.y[:1]),
        ValueError,
        "MSELoss(): expected as many rows, got 4 answers and 1 targets",
        model,
    ),
    Row(
        "modules.MSELoss.check",
        lambda s: s.loss(s.y, s.y.astype(np.float32)),
        TypeError,
        "MSELoss(), y: expected float64, got float32",
        model,
    ),
    Row(
        "modules.MSELoss.check",
        lambda s: s.loss(s.y, s.labels),
        TypeError,
        "MSELoss(), y: expected float64, got int64",
        model,
    ),
    Row(
        "modules.MSELoss.forward",
        lambda s: s.loss(s.y, spoilt(s.y, 1e200)),
        ValueError,
        "MSELoss(): the loss must be finite, got inf",
        model,
    ),
    Row(
        "modules.MSELoss.forward",
        lambda s: s.loss(s.y, spoilt(s.y, np.float32(1e30))),
        ValueError,
        "MSELoss(): the loss must be finite, got inf",
        lambda: model(dtype=np.float32),
    ),
    Row(
        "modules.MSELoss.bwd",
        lambda s: s.loss.backward(),
        TypeError,
        "MSELoss(), y_hat: expected a GradArray, got ndarray",
        lambda: plain_answers(modules.MSELoss, array(4, 2)),
    ),
    Row(
        "modules.check_parameters",
        lambda s: modules.check_parameters([s.it[0], [1.0]]),
        TypeError,
        "SGD: expected a GradArray, got list",
        parameters,
    ),
    sgd_row(
        TypeError,
        "SGD: expected a list of parameters, got Sequential",
        parameters=lambda s: modules.Sequential(modules.ReLU()),
    ),
    sgd_row(
        TypeError,
        "SGD: expected a list of parameters, got GradArray",
        parameters=lambda s: s.it[0],
    ),
    sgd_row(
        TypeError,
        "SGD: expected a GradArray, got ndarray",
        parameters=lambda s: [np.ones(3)],
    ),
    sgd_row(
        TypeError,
        "SGD: expected floats, got int64",
        parameters=lambda s: [np.ones(3, int).view(GradArray)],
    ),
    sgd_row(
        ValueError,
        "SGD: expected at least one parameter, got none",
        parameters=[],
    ),
    sgd_row(
        ValueError,
        "SGD: a parameter stands in the list twice",
        parameters=lambda s: [*s.it, s.it[0]],
    ),
    sgd_row(TypeError, "SGD: lr must be a real number, got str", lr="0.1"),
    sgd_row(TypeError, "SGD: lr must be a real number, got bool", lr=True),
    sgd_row(ValueError, "SGD: lr must be finite, got nan", lr=NAN),
    sgd_row(ValueError, "SGD: lr must be finite, got inf", lr=INF),
    sgd_row(ValueError, "SGD: lr must be above 0, got 0", lr=0),
    sgd_row(ValueError, "SGD: lr must be above 0, got -0.5", lr=-0.5),
    sgd_row(
        ValueError,
        "SGD: lr must be finite, got more than a float can hold",
        lr=HUGE,
    ),
    step_row(
        RuntimeError,
        "SGD: parameter 3 of shape (2,) has no gradient: backward?",
        without_gradient,
    ),
    step_row(
        ValueError,
        "SGD: parameter 2 of shape (2, 1) has a gradient with nan or inf",
        spoilt_gradient,
    ),
    step_row(
        ValueError,
        "SGD: parameter 1 of shape (3, 2) has a gradient of shape (2,)",
        other_gradient(np.ones(2)),
    ),
    step_row(
        ValueError,
        "SGD: parameter 1 of shape (3, 2) has a gradient of shape (1, 2)",
        other_gradient(np.ones((1, 2))),
    ),
    Row(
        "modules.train_step",
        lambda s: modules.train_step(s.it, s.loss, s.sgd, s.X, s.y[:, :1]),
        ValueError,
        "MSELoss(), y: expected shape (n, 2), got (4, 1)",
        model,
        partway=True,
    ),
    Row(
        "modules.train_step",
        lambda s: modules.train_step(
            s.it, s.loss, s.sgd, spoilt(s.X), s.y
        ),
        ValueError,
        f"{LINEAR}: {FINITE}",
        model,
    ),
    Row(
        "modules.train_step",
        lambda s: modules.train_step(s.loss, s.it, s.sgd, s.X, s.y),
        TypeError,
        "MSELoss.check() missing 1 required positional argument: 'y'",
        model,
    ),
]

# -- Chapter 4 ------------------------------------------------------------


def hand_row(name, error, words, **changed):
    """A row for forward or loss_and_gradients, one argument changed."""

    def call(s):
        W1, b1, W2, b2 = s.it
        good = {"X": s.X, "W1": W1, "b1": b1, "W2": W2, "b2": b2}
        if name == "loss_and_gradients":
            good["Y"] = s.Y
        for key, change in changed.items():
            good[key] = change(good[key])
        getattr(xor, name)(**good)

    return Row(f"xor.{name}", call, error, words, hands)


def starts_row(error, words, hidden=2, seeds=(0, 1), **changed):
    settings = {"lr": 0.5, "num_steps": 3, **changed}

    def call(s):
        xor.train_starts(hidden, seeds, **settings)

    return Row("xor.train_starts", call, error, words)


ROWS += [
    Row(
        "xor.sigmoid",
        lambda s: xor.sigmoid([0.5]),
        TypeError,
        "Z: expected a float64 array, got list",
    ),
    Row(
        "xor.sigmoid",
        lambda s: xor.sigmoid(as_matrix(s.plain)),
        TypeError,
        "Z: expected a float64 array, got matrix",
        arrays,
    ),
    hand_row(
        "forward",
        ValueError,
        "X: expected shape (n, 2), got (4, 1)",
        X=lambda X: X[:, :1],
    ),
    hand_row(
        "forward",
        TypeError,
        "X: expected a float64 array, got int64",
        X=lambda X: X.astype(int),
    ),
    hand_row(
        "forward",
        ValueError,
        "b1: expected shape (3,), got (1,)",
        b1=lambda b1: b1[:1],
    ),
    hand_row(
        "forward",
        ValueError,
        "W2: expected finite numbers, got nan or inf",
        W2=spoilt,
    ),
    hand_row(
        "loss_and_gradients",
        ValueError,
        "Y: expected shape (4, 1), got (4,)",
        Y=lambda Y: Y[:, 0],
    ),
    hand_row(
        "loss_and_gradients",
        ValueError,
        "Y: expected shape (4, 1), got (1, 1)",
        Y=lambda Y: Y[:1],
    ),
    hand_row(
        "loss_and_gradients",
        ValueError,
        "the loss must be finite, got inf",
        Y=lambda Y: spoilt(Y, 1e200),
    ),
    Row(
        "xor.start",
        lambda s: xor.start(2.0, 0),
        TypeError,
        "hidden must be an int, got 2.0",
    ),
    Row(
        "xor.start",
        lambda s: xor.start(0, 0),
        ValueError,
        "hidden must be at least 1, got 0",
    ),
    Row(
        "xor.start",
        lambda s: xor.start(2, None),
        TypeError,
        "seed must be an int, got None",
    ),
    Row(
        "xor.start",
        lambda s: xor.start(2, -1),
        ValueError,
        "seed must be at least 0, got -1",
    ),
    Row(
        "xor.step_by_hand",
        lambda s: xor.step_by_hand(s.it, 0),
        ValueError,
        "lr must be above 0, got 0",
        hands,
    ),
    Row(
        "xor.step_by_hand",
        lambda s: xor.step_by_hand(s.it, "2"),
        TypeError,
        "lr must be a real number, got str",
        hands,
    ),
    Row(
        "xor.step_by_hand",
        lambda s: xor.step_by_hand((1, 2, 3), 2),
        TypeError,
        "expected [W1, b1, W2, b2], got (1, 2, 3)",
    ),
    Row(
        "xor.step_by_hand",
        lambda s: xor.step_by_hand(s.it, 2, s.Y[:, 0]),
        ValueError,
        "Y: expected shape (4, 1), got (4,)",
        hands,
    ),
    Row(
        "xor.check_starts",
        lambda s: xor.check_starts((), 2, 5, xor.XOR),
        ValueError,
        "expected at least one seed, got none",
    ),
    starts_row(
        TypeError, "seeds must be a list or a range, got int", seeds=50
    ),
    starts_row(TypeError, "seed must be an int, got 0.5", seeds=[0, 0.5]),
    starts_row(ValueError, "hidden must be at least 1, got -2", hidden=-2),
    starts_row(ValueError, "lr must be finite, got nan", lr=NAN),
    starts_row(
        TypeError, "num_steps must be an int, got '10'", num_steps="10"
    ),
    starts_row(
        ValueError, "num_steps must be at least 1, got 0", num_steps=0
    ),
    starts_row(
        ValueError,
        "Y: expected shape (4, 1), got (4,)",
        Y=xor.XOR[:, 0],
    ),
    starts_row(
        ValueError,
        "Y: expected shape (4, 1), got (1, 1)",
        Y=xor.XOR[:1],
    ),
    starts_row(
        TypeError,
        "Y: expected a float64 array, got bool",
        Y=xor.XOR > 0,
    ),
    Row(
        "xor.solved",
        lambda s: xor.solved(s.Y[:, 0]),
        ValueError,
        "Y_hat: expected shape (4, 1), got (4,)",
        hands,
    ),
    Row(
        "xor.solved",
        lambda s: xor.solved(np.zeros((5, 1, 1))),
        ValueError,
        "Y_hat: expected shape (seeds, 4, 1), got (5, 1, 1)",
    ),
    Row(
        "xor.solved",
        lambda s: xor.solved(spoilt(s.Y)),
        ValueError,
        "Y_hat: expected finite numbers, got nan or inf",
        hands,
    ),
]

# -- Chapter 5 ------------------------------------------------------------


def label_row(error, words, change):
    """A row for check_labels, with scores for three classes."""

    def call(s):
        mnist.check_labels("who", s.logits, change(s.labels))

    return Row("mnist.check_labels", call, error, words, scores)


def scores():
    return SimpleNamespace(
        logits=array(4, 3).view(GradArray), labels=np.array([0, 2, 1, 0])
    )


def loader_row(error, words, **changed):
    def call(s):
        good = {"X": s.logits, "y": s.labels, "batch_size": 2}
        for key, value in changed.items():
            good[key] = value(s) if callable(value) else value
        mnist.DataLoader(**good)

    return Row("mnist.DataLoader", call, error, words, scores)


def epoch_row(error, words, loader, partway=False):
    def call(s):
        mnist.train_epoch(s.it, s.loss, s.sgd, loader(s))

    return Row(
        "mnist.train_epoch", call, error, words, classifier, partway
    )


ROWS += [
    label_row(
        TypeError,
        "who: expected integer labels, got float64",
        lambda y: y.astype(float),
    ),
    label_row(
        TypeError,
        "who: expected integer labels, got no array",
        np.ndarray.tolist,
    ),
    label_row(
        TypeError, "who: expected integer labels, got MaskedArray", masked
    ),
    label_row(
        TypeError,
        "who: expected integer labels, got bool",
        lambda y: y > 0,
    ),
    label_row(
        ValueError,
        "who: expected labels (n,), got (4, 3) for logits (4, 3)",
        lambda y: np.eye(3, dtype=int)[y],
    ),
    label_row(
        ValueError,
        "who: expected labels (n,), got (4, 1) for logits (4, 3)",
        lambda y: y[:, None],
    ),
    label_row(
        ValueError,
        "who: expected labels (n,), got (1,) for logits (4, 3)",
        lambda y: y[:1],
    ),
    label_row(
        ValueError,
        "who: expected labels from 0 to 2, got 0 to 3",
        lambda y: y + (y == 2),
    ),
    label_row(
        ValueError,
        "who: expected labels from 0 to 2, got -1 to 1",
        lambda y: y - 1,
    ),
    Row(
        "mnist.check_labels",
        lambda s: mnist.check_labels("who", s.logits[0], s.labels),
        ValueError,
        "who: expected labels (n,), got (4,) for logits (3,)",
        scores,
    ),
    Row(
        "mnist.accuracy",
        lambda s: mnist.accuracy(s.logits, s.labels[:3]),
        ValueError,
        "accuracy: expected labels (n,), got (3,) for logits (4, 3)",
        scores,
    ),
    Row(
        "mnist.accuracy",
        lambda s: mnist.accuracy(spoilt(s.logits), s.labels),
        ValueError,
        f"accuracy, logits: {FINITE}",
        scores,
    ),
    Row(
        "mnist.accuracy",
        lambda s: mnist.accuracy(s.labels, s.labels),
        TypeError,
        "accuracy, logits: expected floats, got int64",
        scores,
    ),
    Row(
        "mnist.log_softmax",
        lambda s: mnist.log_softmax(s.logits[0]),
        ValueError,
        "log_softmax, logits: expected shape (n, width), got (3,)",
        scores,
    ),
    Row(
        "mnist.log_softmax",
        lambda s: mnist.log_softmax(s.logits.tolist()),
        TypeError,
        "log_softmax, logits: expected floats, got no array",
        scores,
    ),
    Row(
        "mnist.log_softmax",
        lambda s: mnist.log_softmax(s.logits[:0]),
        ValueError,
        "log_softmax, logits: the batch is empty: shape (0, 3)",
        scores,
    ),
    Row(
        "mnist.nll",
        lambda s: mnist.nll(s.logits, s.labels[:, None]),
        ValueError,
        "nll: expected labels (n,), got (4, 1) for logits (4, 3)",
        scores,
    ),
    Row(
        "mnist.nll",
        lambda s: mnist.nll(s.logits * NAN, s.labels),
        ValueError,
        "the loss must be finite, got nan",
        scores,
    ),
    Row(
        "mnist.CrossEntropyLoss",
        lambda s: mnist.CrossEntropyLoss().backward(),
        RuntimeError,
        "CrossEntropyLoss(): backward before the first call",
    ),
    Row(
        "mnist.CrossEntropyLoss.check",
        lambda s: s.loss(s.y, np.array([0, 1, 2, 0])),
        ValueError,
        "CrossEntropyLoss(): expected labels from 0 to 1, got 0 to 2",
        classifier,
    ),
    Row(
        "mnist.CrossEntropyLoss.check",
        lambda s: s.loss(s.y, s.y),
        TypeError,
        "CrossEntropyLoss(): expected integer labels, got float64",
        classifier,
    ),
    Row(
        "mnist.CrossEntropyLoss.check",
        lambda s: s.loss(s.y, np.eye(2, dtype=int)[s.labels]),
        ValueError,
        "CrossEntropyLoss(): expected labels (n,), got (4, 2) for "
        "logits (4, 2)",
        classifier,
    ),
    Row(
        "mnist.CrossEntropyLoss.check",
        lambda s: s.loss(spoilt(s.y, INF), s.labels),
        ValueError,
        f"CrossEntropyLoss(), y_hat: {FINITE}",
        classifier,
    ),
    Row(
        "mnist.CrossEntropyLoss.forward",
        lambda s: s.loss(
            np.array([[1.5e308, -1.5e308]] * 4), 1 - s.labels * 0
        ),
        ValueError,
        "the loss must be finite, got inf",
        classifier,
    ),
    Row(
        "mnist.CrossEntropyLoss.bwd",
        lambda s: s.loss.backward(),
        TypeError,
        "CrossEntropyLoss(), y_hat: expected a GradArray, got ndarray",
        lambda: plain_answers(
            mnist.CrossEntropyLoss, np.array([0, 1, 0, 1])
        ),
    ),
    loader_row(
        TypeError,
        "DataLoader, X: expected an array of rows, got list",
        X=lambda s: s.logits.tolist(),
    ),
    loader_row(
        TypeError,
        "DataLoader, y: expected an array of rows, got int",
        y=3,
    ),
    loader_row(
        ValueError,
        "DataLoader: expected as many labels as rows, and some, "
        "got 4 rows and 3 labels",
        y=lambda s: s.labels[:3],
    ),
    loader_row(
        ValueError,
        "DataLoader: expected as many labels as rows, and some, "
        "got 4 rows and 0 labels",
        y=lambda s: s.labels[:0],
    ),
    loader_row(
        TypeError,
        "DataLoader: batch_size must be an int, got 2.0",
        batch_size=2.0,
    ),
    loader_row(
        TypeError,
        "DataLoader: batch_size must be an int, got True",
        batch_size=True,
    ),
    loader_row(
        ValueError,
        "DataLoader: batch_size must be at least 1, got 0",
        batch_size=0,
    ),
    loader_row(
        TypeError, "DataLoader: expected a Generator, got 0", rng=0
    ),
    Row(
        "mnist.check_loader",
        lambda s: mnist.check_loader(s.logits, s.labels, -4, None),
        ValueError,
        "DataLoader: batch_size must be at least 1, got -4",
        scores,
    ),
    epoch_row(
        ValueError,
        "train_epoch: expected batches, got none: can the loader be "
        "iterated more than once?",
        lambda s: [],
    ),
    epoch_row(
        TypeError,
        "train_epoch: expected (X, y), got ndarray",
        lambda s: s.X,
    ),
    epoch_row(
        ValueError,
        "CrossEntropyLoss(): expected labels from 0 to 1, got 1 to 2",
        lambda s: [(s.X, s.labels + 1)],
        partway=True,
    ),
    epoch_row(
        ValueError,
        f"{LINEAR}: expected shape (n, 3), got (4, 2)",
        lambda s: mnist.DataLoader(s.y, s.labels, 4),
    ),
]

# -- Data and figures -----------------------------------------------------


def damaged():
    """The exams, when the file is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "DATA", datasets.DATA / "elsewhere")
        datasets.load_exams()


def damaged_words():
    path = datasets.DATA / "elsewhere" / "exams.csv"
    found = "none (No such file or directory)"
    return datasets._complaint(path, datasets.EXAMS_SHA256, found)


def figure_row(name, error, words, *args, **settings):
    """A row for a helper that draws on axes of its own."""

    def call(s):
        getattr(figures, name)(*args, **settings)

    return Row(f"figures.{name}", call, error, words)


def drawn_row(name, error, words, *args, **settings):
    """A row for a helper that draws on given axes."""

    def call(s):
        getattr(figures, name)(s.ax, *args, **settings)

    return Row(f"figures.{name}", call, error, words, sketch)


ROWS += [
    Row(
        "datasets.DataError",
        lambda s: damaged(),
        datasets.DataError,
        damaged_words(),
    ),
    Row(
        "datasets.load_exams",
        lambda s: datasets.load_exams("exams.csv"),
        TypeError,
        "load_exams() takes 0 positional arguments but 1 was given",
    ),
    Row(
        "datasets.load_mnist",
        lambda s: datasets.load_mnist(source="OpenML"),
        ValueError,
        'source must be "package" or "openml", not \'OpenML\'',
    ),
    Row(
        "datasets.load_mnist",
        lambda s: datasets.load_mnist(None),
        ValueError,
        'source must be "package" or "openml", not None',
    ),
    Row(
        "figures.use_style",
        lambda s: figures.use_style("dark"),
        TypeError,
        "use_style() takes 0 positional arguments but 1 was given",
    ),
    figure_row("blank", ValueError, "width must be above 0, got 0", 0, 1),
    figure_row(
        "blank", ValueError, "height must be finite, got nan", 1, NAN
    ),
    figure_row(
        "blank", TypeError, "height must be a real number, got str", 1, "2"
    ),
    Row(
        "figures.box",
        lambda s: figures.box(None, 0, 0, "x"),
        TypeError,
        "ax must be Axes, got NoneType",
    ),
    drawn_row(
        "box", ValueError, "(x, y) must be finite, got nan", NAN, 0, "x"
    ),
    drawn_row(
        "box", TypeError, "text must be a list of texts, got [3]", 0, 0, 3
    ),
    drawn_row(
        *("box", ValueError, "width must be above 0, got -1", 0, 0, "x"),
        width=-1,
    ),
    drawn_row(
        *("box", ValueError, "color must be a colour, got 'inc'"),
        *(0, 0, "x"),
        color="inc",
    ),
    drawn_row(
        *("arrow", TypeError, "end must be a point (x, y), got 3"),
        *((0, 0), 3),
    ),
    drawn_row(
        *("arrow", ValueError, "start must be finite, got inf"),
        *((0, INF), (1, 1)),
    ),
    drawn_row(
        *(
            "arrow",
            TypeError,
            "start must be a point (x, y), got (1, 2, 3)",
        ),
        *((1, 2, 3), (1, 1)),
    ),
    figure_row(
        *("chain_diagram", TypeError),
        "boxes must be a list of texts, got 'fg'",
        *("fg", ["x", "y", "z"], ["", "", ""]),
    ),
    figure_row(
        *("chain_diagram", TypeError),
        "values must be a list of texts, got [1, 2]",
        *(["f"], [1, 2], ["", ""]),
    ),
    figure_row(
        *("chain_diagram", ValueError),
        "expected at least one box, and one value and one gradient more "
        "than boxes; got 1 boxes, 2 values and 1 gradients",
        *(["f"], ["x", "y"], [""]),
    ),
    figure_row(
        *(
            "network_diagram",
            TypeError,
            "sizes[1] must be an int, got 2.5",
        ),
        *([3, 2.5], ["in", "out"]),
    ),
    figure_row(
        *("network_diagram", TypeError),
        "sizes must be a list of ints, got 3",
        *(3, ["in"]),
    ),
    figure_row(
        *("network_diagram", ValueError),
        "sizes[0] must be at least 1, got 0",
        *([0, 2], ["in", "out"]),
    ),
    figure_row(
        *("network_diagram", ValueError),
        "expected at least two layers and a caption for each; got sizes "
        "[3, 1] and 1 captions",
        *([3, 1], ["in"]),
    ),
    figure_row(
        *("matrix_product", TypeError),
        "right must be (name, rows, columns), got (4, 2)",
        *(("A", 3, 4), (4, 2), ("C", 3, 2)),
    ),
    figure_row(
        *("matrix_product", TypeError, "left[1] must be an int, got 3.0"),
        *(("A", 3.0, 4), ("B", 4, 2), ("C", 3, 2)),
    ),
    figure_row(
        *(
            "matrix_product",
            ValueError,
            "(3, 4) times (5, 2) is not (3, 2)",
        ),
        *(("A", 3, 4), ("B", 5, 2), ("C", 3, 2)),
    ),
]

# -- The tests ------------------------------------------------------------


def plain_answers(loss_fn, y):
    """A loss that has been called with answers in a plain array."""
    made = SimpleNamespace(loss=loss_fn(), y_hat=array(4, 2), y=y)
    made.loss(made.y_hat, made.y)
    return made


@pytest.mark.parametrize(
    "row",
    ROWS,
    # A line break in a name is not the same when collected again.
    ids=[f"{r.name}: {r.words}".replace("\n", " ") for r in ROWS],
)
def test_a_wrong_call_is_refused_and_changes_nothing(row):
    objects, figures_before = row.make(), plt.get_fignums()
    before, faults = frozen(objects, row.partway), []
    try:
        faults.append(f"it took it and gave {row.call(objects)!r}")
    except Exception as error:
        if type(error) is not row.error or str(error) != row.words:
            faults.append(f"it raised {type(error).__name__}: {error}")
    if frozen(objects, row.partway) != before:
        faults.append("it wrote something before it refused")
    if plt.get_fignums() != figures_before:
        faults.append("it left an empty figure open")
    if faults:
        expected = f"raised {row.error.__name__}: {row.words}"
        say = "\n".join([f"{row.name} should have {expected}", *faults])
        pytest.fail(say, pytrace=False)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def takes_arguments(function):
    return len(inspect.signature(function).parameters) > 1  # beside self


def public_names(module):
    """The functions, classes and methods with arguments that a module
    offers: what __all__ names, or what is defined in it."""
    short = module.__name__.removeprefix("lessons.")
    own = [n for n, v in vars(module).items() if defined_in(v, module)]
    for name in getattr(module, "__all__", own):
        thing = getattr(module, name)
        if callable(thing):
            yield f"{short}.{name}"
        for key, value in vars(thing).items() if is_class(thing) else ():
            hidden = key.startswith("_") and key != "__call__"
            settable = isinstance(value, property) and value.fset
            method = inspect.isfunction(value) and takes_arguments(value)
            if not hidden and (settable or method):
                yield f"{short}.{name}.{key}"


def is_class(thing):
    return inspect.isclass(thing)


def defined_in(thing, module):
    public = not getattr(thing, "__name__", "_").startswith("_")
    return public and getattr(thing, "__module__", "") == module.__name__


def every_name():
    for found in pkgutil.iter_modules(lessons.__path__, "lessons."):
        yield from public_names(importlib.import_module(found.name))


def test_every_public_name_has_a_row():
    named = {row.name for row in ROWS}
    missing = [name for name in every_name() if name not in named]
    assert not missing, (
        f"no wrong call of {', '.join(missing)} in the table: add a row"
    )


def test_every_row_has_a_public_name():
    unknown = {row.name for row in ROWS} - set(every_name())
    assert not unknown, f"no such public name: {sorted(unknown)}"
