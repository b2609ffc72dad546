"""Wrong calls are refused, in words, and change nothing.

The first half reads the signatures: whatever has shapes written into its
own is called with one argument broken at a time. The words that it must
say are put together here, not by what is tested. The second half holds
what no signature says.
"""

import importlib
import inspect
import math
import pkgutil
import re
from collections import Counter

import numpy as np
import pytest
import torch

import lessons
from lessons import matrix, mnist, modules, own_data, xor
from lessons.checks import same_form
from lessons.matrix import GradArray, numerical_gradient
from lessons.mnist import CrossEntropyLoss, DataLoader
from lessons.modules import (
    SGD,
    Activation,
    Layer,
    Linear,
    Module,
    MSELoss,
    ReLU,
    Sequential,
)

# Refused means an error, not a warning and a number.
pytestmark = pytest.mark.filterwarnings("error")

NAN, INF = math.nan, math.inf
Generator = np.random.Generator


def rng():
    return np.random.default_rng(0)


def layer(in_features=3, out_features=2):
    return Linear(in_features, out_features, rng=rng())


def array(*shape):
    made = rng().normal(size=shape).view(GradArray)
    made.grad = np.ones(shape)
    return made


# -- What has a signature to be read --------------------------------------

# Arguments without words in the signature, by the name of the function.
OTHERS = {
    "train": lambda: {"layers": [matrix.Linear(4, 3, rng=rng())]},
    "clear_end": lambda: {"what": "not all came"},
    "loss_and_gradients": lambda: dict(
        zip(["W1", "b1", "W2", "b2"], xor.start(5, 0), strict=True)
    ),
    "step_by_hand": lambda: {"parameters": xor.start(5, 0)},
    "train_starts": lambda: {"starts": [xor.start(2, 0)], "biases": True},
    "SGD": lambda: {"parameters": [array(3, 2)]},
    "DataLoader": lambda: {"X": array(5, 2), "y": np.arange(5)},
}
MODULES = {
    "Linear": lambda: layer(4, 2),
    "Sequential": lambda: Sequential(ReLU()),
    "Dropout": lambda: own_data.Dropout(0.5, rng=rng()),
}


def notes_of(function):
    """{argument: words or kind of number} of a signature."""
    parameters = inspect.signature(function).parameters
    every = {k: p.annotation for k, p in parameters.items() if k != "self"}
    is_module = function.__name__ == "forward" and "self" in parameters
    if is_module and [*every.values()] == [inspect.Parameter.empty]:
        every = dict.fromkeys(every, "n in")  # a lone float matrix
    known = str, int, float, Generator
    return {
        k: note
        for k, note in every.items()
        if isinstance(note, str) or note in known
    }


def found():
    """{name: (function, how to call it with keyword arguments)}"""
    every, bare = {}, []
    for file in pkgutil.iter_modules(lessons.__path__, "lessons."):
        if file.name == "lessons.checks":  # looks, and is not looked at
            continue
        module = importlib.import_module(file.name)
        for name, thing in vars(module).items():
            if getattr(thing, "__module__", "") != module.__name__:
                continue
            key, function = f"{file.name[8:]}.{name}", thing
            if inspect.isclass(thing):
                function = thing.__init__
                if issubclass(thing, Module) and "forward" in vars(thing):
                    make = MODULES.get(name, thing)
                    every[key] = thing.forward, make
            if not inspect.isfunction(function):
                continue
            if hasattr(function, "__wrapped__"):
                every.setdefault(key, (function, thing))
            elif any(
                isinstance(note, str) or note is Generator
                for note in notes_of(function).values()
            ):
                bare.append(key)
    return every, bare


FOUND, BARE = found()


def notes(key):
    return notes_of(FOUND[key][0])


CASES = [(key, name) for key in FOUND for name in notes(key)]


def dims(words):
    return [w for w in words.split() if w != "int"]


def good(key):
    """Arguments that fit, every word another size."""
    arguments, sizes, free = {}, {}, iter([6, 4, 3, 2, 5])
    for name, note in notes(key).items():
        if note in (int, float, Generator):
            arguments[name] = {int: 2, float: 0.5, Generator: rng()}[note]
            continue
        for word in dims(note):
            if word not in sizes:
                sizes[word] = int(word) if word.isdigit() else next(free)
        shape = [sizes[word] for word in dims(note)]
        arguments[name] = array(*shape)
        if name == "log_p":
            arguments[name] = -abs(arguments[name])
        if key == "own_data.BCEWithLogitsLoss" and name == "y":
            arguments[name] = (arguments[name] > 0).astype(float)
        if "int" in note.split():
            arguments[name] = (
                np.arange(math.prod(shape)).reshape(shape) % 2
            )
    return {**OTHERS.get(key.split(".")[1], dict)(), **arguments}


def call(key, arguments):
    """By place where that can be, as nearly all calls are written."""
    function, how = FOUND[key]
    parameters = inspect.signature(function).parameters
    named = {
        k: arguments[k]
        for k, p in parameters.items()
        if p.kind == p.KEYWORD_ONLY and k in arguments
    }
    args = [
        arguments[k]
        for k in parameters
        if k in arguments and k not in named
    ]
    if function.__name__ == "forward" and "self" in parameters:
        return how()(*args)
    return how(*args, **named)


class Frame:
    """Has a shape and a dtype, and looks its rows up by name."""

    def __init__(self, array):
        self.shape, self.dtype = array.shape, array.dtype

    def to_numpy(self): ...


def array_breaks(name, key, arguments):
    """Yield what stands in an array's place, the error and its words."""
    array = arguments[name]
    plain = np.asarray(array)
    for broken, kind, advice in (
        (plain.tolist(), "list", f"np.array({name}, float)"),
        (None, "NoneType", f"np.array({name}, float)"),
        (Frame(plain), "Frame", f"{name}.to_numpy()"),
        (torch.tensor(plain), "Tensor", f"{name}.numpy()"),
    ):
        words = f"expected an array for {name}, got {kind}: write {advice}"
        yield broken, TypeError, words
    shapes = {k: v for k, v in notes(key).items() if isinstance(v, str)}
    floats = [k for k, v in shapes.items() if "int" not in v.split()]
    if name in floats:
        for dtype in (
            "int64",
            "bool",
            "float16",
            "longdouble",
            "complex128",
        ):
            words = f"expected float64 or float32 in {name}, got "
            words += f"{np.dtype(dtype)}: write {name}.astype(float)"
            yield array.astype(dtype), TypeError, words
        if len(floats) > 1:
            words = "expected one dtype, got "
            words += ", ".join(
                f"{k} float{32 if k == name else 64}" for k in floats
            )
            yield array.astype("float32"), TypeError, words
    else:
        for dtype in "float64", "bool":
            words = f"expected integers in {name}, got {dtype}: write "
            yield array.astype(dtype), TypeError, words
    count = Counter(w for words in shapes.values() for w in dims(words))
    wrong = [(1, *array.shape), array.shape[1:]]
    for axis, word in enumerate(dims(shapes[name])):
        for size in {1, array.shape[axis] + 1} - {array.shape[axis]}:
            if count[word] > 1 or word.isdigit():
                shape = [*array.shape]
                shape[axis] = size
                wrong.append(tuple(shape))
    for shape in wrong:
        expected = ", ".join(
            f"{k} ({', '.join(dims(v))})" for k, v in shapes.items()
        )
        got = ", ".join(
            f"{k} {shape if k == name else arguments[k].shape}"
            for k in shapes
        )
        words = f"expected {expected}; got {got}"
        yield np.resize(plain, shape).view(type(array)), ValueError, words


def number_breaks(name, kind):
    if kind is int:
        for broken in 2.5, True, "2", None, 2.0:
            words = f"{name}: expected a whole number, got {broken!r}"
            yield broken, TypeError, words
        for broken in 0, -1:
            words = f"{name}: expected at least 1, got {broken}"
            yield broken, ValueError, words
    elif kind is float:
        for broken in True, "x", None, [0.5]:
            words = f"{name}: expected a number, got {broken!r}"
            yield broken, TypeError, words
        for broken in 0, -0.5, NAN, INF:
            words = f"{name}: expected above 0, got {broken}"
            yield broken, ValueError, words
    else:
        for broken in 0, np.random.RandomState(0):
            words = f"{name}: expected a generator, got {broken!r}: write "
            words += "rng=np.random.default_rng(0)"
            yield broken, TypeError, words


def kept(arguments):
    """What a refused call may not change, to the last bit."""
    return [
        str(value.bit_generator.state)
        if isinstance(value, Generator)
        else (np.array(value).tobytes(), str(getattr(value, "grad", "")))
        for value in arguments.values()
        if isinstance(value, Generator | np.ndarray)
    ]


def test_whatever_has_words_in_its_signature_is_checked():
    # SGD has a number in its signature, and no words.
    assert len(FOUND) > 20 and "modules.SGD" in FOUND
    assert not BARE, f"@shapes belongs above {BARE}"


@pytest.mark.parametrize("key", FOUND)
def test_what_fits_is_taken(key):
    known = {*notes(key), *OTHERS.get(key.split(".")[1], dict)()}
    parameters = inspect.signature(FOUND[key][0]).parameters
    needed = {
        k
        for k, p in parameters.items()
        if k != "self" and p.default is p.empty and p.kind < 2
    }
    lacking = needed - known
    assert not lacking or key == "matrix.numerical_gradient", (
        f"{key}: put what fits {lacking} into OTHERS in {__file__}"
    )
    if not lacking:
        call(key, good(key))


@pytest.mark.parametrize("key, name", CASES)
def test_a_broken_argument_is_refused_and_nothing_changes(key, name):
    kind, arguments = notes(key)[name], good(key)
    label = key.split(".")[1]
    breaks = (
        array_breaks(name, key, arguments)
        if isinstance(kind, str)
        else number_breaks(name, kind)
    )
    call(key, good(key))  # what is remembered of it must not let pass
    for broken, error, words in breaks:
        given = {**arguments, name: broken}
        before = kept(given)
        with pytest.raises(error) as refusal:
            call(key, given)
            pytest.fail(f"{key} took {name} = {broken!r}; {words}")
        assert str(refusal.value).startswith(f"{label}: {words}")
        assert kept(given) == before, "something was changed"


@pytest.mark.parametrize("key, name", CASES)
def test_an_empty_array_is_refused(key, name):
    words = notes(key)[name]
    if not isinstance(words, str) or all(w.isdigit() for w in dims(words)):
        return
    arguments = good(key)
    [word, *_] = [w for w in dims(words) if not w.isdigit()]
    for other, theirs in notes(key).items():
        if isinstance(theirs, str) and word in dims(theirs):
            shape = [
                0 if w == word else size
                for w, size in zip(
                    dims(theirs), arguments[other].shape, strict=True
                )
            ]
            empty = np.zeros(shape, arguments[other].dtype)
            arguments[other] = empty.view(type(arguments[other]))
    with pytest.raises(ValueError, match=" is empty: shape "):
        call(key, arguments)


# -- What no signature says -----------------------------------------------


def labelled(logits=(4, 3), labels=(0, 1, 2, 0)):
    return array(*logits), np.array(labels)


def called(module, *args):
    module(*args)
    return module


def backward_twice():
    loss_fn = MSELoss()
    loss_fn(array(4, 2), np.zeros((4, 2)))
    loss_fn.backward()
    loss_fn.backward()


def two_layers_take(X, *layers):
    """Each layer takes X; then all go backward."""
    outs = [layer(X) for layer in layers]
    for out, layer in zip(outs, layers, strict=True):
        out.grad = np.ones(out.shape)
        layer.backward()


class Block(Layer):
    """A reader's own layer, which holds another."""

    def __init__(self, inner):
        self.inner = inner

    def forward(self, X):
        return self.inner(X)

    def bwd(self, out, X):
        self.inner.backward()


class Forgetful(Layer):
    def forward(self, X):
        X.clip(0)


class NoSlope(Activation):
    def forward(self, X):
        return X.clip(0)


class NoBackward(Layer):
    def forward(self, X):
        return X.clip(0)


def passed_back(layer):
    out = layer(array(4, 2))
    out.grad = np.ones(out.shape)
    layer.backward()


TWICE = ReLU()
W = np.ones((2, 2))
F = W.astype("float32")
# A call, and under it what it raises; "…" stands for any words.
REFUSED = """
accuracy(*labelled(labels=[0, 1, 3, 0]))
    ValueError: labels: expected 0 to 2, got 0 to 3
nll(*labelled(labels=[0, 1, -1, 0]))
    ValueError: labels: expected 0 to 2, got -1 to 1
nll(W / 2, np.arange(2))
    ValueError: nll: expected logarithms … write log_softmax(logits)
CrossEntropyLoss()(*labelled(labels=[0, 1, 3, 0]))
    ValueError: labels: expected 0 to 2, got 0 to 3
CrossEntropyLoss()(*labelled((4, 1), [0, 0, 0, 0]))
    ValueError: labels: one column … take two columns … or a sigmoid

DataLoader(W, Frame(np.arange(2)), 2)
    TypeError: data: expected an array for y, got Frame: … y.to_numpy()
DataLoader([[1.0]], np.arange(1), 2)
    TypeError: data: expected an array for X, got list: … np.array(X
DataLoader(np.array(1.0), np.arange(1), 2)
    ValueError: data: expected rows in X, got a number
DataLoader(W * NAN, np.arange(2), 2)
    NotFinite: data: X has nan or inf
DataLoader(torch.tensor(W * INF), torch.arange(2), 2)
    NotFinite: data: X has nan or inf
DataLoader(W, np.arange(3), 2)
    ValueError: data: expected as many … got 2 rows and 3 labels
DataLoader(W[:0], np.arange(0), 2)
    ValueError: data: expected … and some, got 0 rows and 0 labels

Linear(3, 2, rng=None)
    TypeError: he_init: rng: expected a generator, got None: write rng=np.
Linear(0, 2, rng=rng())
    ValueError: he_init: fan_in: expected at least 1, got 0
layer(3, 2)(array(4, 2))
    ValueError: lin: expected X (n, in), … got X (4, 2), W (3, 2), b (2,)
Sequential()
    ValueError: expected at least one layer, got none
Sequential([ReLU()])
    TypeError: expected layers, with forward and backward, got [ReLU()]
Sequential(ReLU)
    TypeError: expected layers, with forward and backward, got <class
matrix.train(matrix.ReLU(), array(4, 2), array(4, 2), 1, 1)
    TypeError: expected a list of layers, got ReLU()
Sequential(TWICE, Sequential(TWICE))
    ValueError: ReLU() stands in the model twice, … make a second one
Sequential(TWICE, Block(TWICE))
    ValueError: ReLU() stands in the model twice
Sequential(TWICE, Block([TWICE]))
    ValueError: ReLU() stands in the model twice

Sequential(ReLU()).backward()
    RuntimeError: Sequential: backward before a call
matrix.relu_grad(array(2, 2).copy(), array(2, 2))
    RuntimeError: no gradient of the output: run forward, then the backward
called(layer(2, 2), W).backward()
    RuntimeError: Linear(…): its output has no gradient yet
backward_twice()
    RuntimeError: MSELoss(): backward twice for one call
two_layers_take(array(4, 2), ReLU(), Tanh())
    RuntimeError: ReLU() and Tanh() took the same array, … give one a copy
Sequential(Forgetful(), ReLU())(array(4, 2))
    TypeError: Forgetful.forward returns None, not its output
passed_back(NoSlope())
    NotImplementedError: NoSlope(): write slope(self, out, X)
passed_back(NoBackward())
    NotImplementedError: NoBackward(): write bwd(self, out, X)

setattr(array(4, 2), "grad", np.ones(2))
    ValueError: grad: expected shape (4, 2), float64; got shape (2,), …64
setattr(array(2), "grad", np.ones(2, "float32"))
    ValueError: grad: expected shape (2,), float64; got shape (2,), …32
setattr(array(2), "grad", [1.0, 1.0])
    TypeError: grad: expected an array, got list
own_data.Dropout(1.0, rng=rng())
    ValueError: Dropout: p: expected from 0 to below 1, got 1.0
own_data.Dropout(-0.1, rng=rng())
    ValueError: Dropout: p: expected from 0 to below 1, got -0.1
own_data.Dropout(True, rng=rng())
    TypeError: Dropout: p: expected a number, got True
SGD(array(2), 0.5)
    TypeError: expected a list …, got GradArray: write model.parameters()
SGD(layer().parameters, 0.5)
    TypeError: expected a list …, got method: write model.parameters()
SGD([], 0.5)
    ValueError: expected at least one parameter, got none
SGD([W], 0.5)
    TypeError: parameters: expected a place … write p.view(GradArray)
SGD([np.arange(2).view(GradArray)], 0.5)
    TypeError: parameters: expected floats, got int64
SGD(2 * layer().parameters()[:1], 0.5)
    ValueError: a parameter stands in the list twice
SGD(layer().parameters(), 0.5).step()
    RuntimeError: parameter 0, of shape (3, 2), has no gradient: run
train_step(layer(2), MSELoss(), SGD(layer(2).parameters(), 0.5), W, W)
    ValueError: the optimizer moves other … SGD(model.parameters()

matrix.mse(W * NAN, W)
    NotFinite: mse: the result is nan
numerical_gradient(lambda: 0.0, F)
    TypeError: …: expected a float64 array, got float32: write array.astype
numerical_gradient(lambda: 0.0, [1.0])
    TypeError: …: expected an array for array, got list: write np.array
numerical_gradient(lambda: 0.0, np.broadcast_to(1.0, 2))
    ValueError: numerical_gradient: array is read-only
numerical_gradient(lambda: W, np.ones(2))
    TypeError: …: expected loss() to give a float (64 bits), got float64
numerical_gradient(lambda: np.float32(1), np.ones(2))
    TypeError: …: expected loss() to give a float (64 bits), got float32
numerical_gradient(lambda: float((W.astype("f4") ** 2).mean()), W)
    ValueError: …: every loss is a float32 number: … loss in float64
"""
LINES = [line for line in REFUSED.splitlines() if line]
ROWS = [*zip(LINES[::2], LINES[1::2], strict=True)]


@pytest.mark.parametrize("wrong, words", ROWS, ids=LINES[::2])
def test_what_is_wrong_is_said(wrong, words):
    with pytest.raises(Exception) as refusal:
        eval(wrong, {**vars(modules), **vars(mnist), **globals()})
    error = refusal.value
    pattern = re.escape(words.strip()).replace("…", ".*")
    assert re.match(pattern, f"{type(error).__name__}: {error}")


def test_where_a_loss_is_not_finite_the_first_layer_is_named():
    first, second = layer(2, 2), layer(2, 2)
    model = Sequential(first, ReLU(), second)
    first.b[0] = NAN
    words = "the loss is nan; the first output with nan or inf is that of "
    with pytest.raises(ValueError, match=words + "Linear"):
        MSELoss()(model(W), W)
    first.b[0] = 0
    with pytest.raises(ValueError, match="the data have nan or inf"):
        MSELoss()(model(W * NAN), W)
    assert math.isfinite(MSELoss()(model(W), W))


def test_no_step_is_half_taken():
    parameters = layer().parameters()
    for p in parameters:
        p.grad = np.ones(p.shape)
    parameters[1].grad[0] = INF
    before = [np.array(p) for p in parameters]
    words = r"parameter 1, of shape \(2,\), has a gradient with nan or inf"
    with pytest.raises(ValueError, match=words):
        SGD(parameters, 0.5).step()
    assert all(map(np.array_equal, parameters, before))
    parameters[1].grad[0] = 1e200  # its square is infinite, it is not
    SGD(parameters, 0.5).step()


class Residual(Layer):
    """X plus what an inner layer makes of it."""

    def __init__(self, inner):
        self.inner = inner

    def forward(self, X):
        return X + self.inner(X)

    def bwd(self, out, X):
        self.inner.out.grad = out.grad
        self.inner.backward()
        X.grad += out.grad


class Same(Layer):
    """Hands on what it gets, both ways."""

    def forward(self, X):
        return X * 1

    def bwd(self, out, X):
        X.grad = out.grad


def test_gradients_that_are_handed_on_have_one_owner():
    X, model = array(2, 2), Residual(Residual(Same()))
    out = model(X)
    out.grad = np.ones((2, 2))
    model.backward()
    assert (out.grad == 1).all()
    assert (X.grad == 3).all()


def test_what_is_right_though_rare_is_taken(tmp_path):
    """Another byte order, a file for an array, a loss that is 0-d."""
    X, y = labelled()
    swapped = np.asarray(X).astype(">f8"), y.astype(">i8")
    assert CrossEntropyLoss()(*swapped) == CrossEntropyLoss()(X, y)
    file = np.memmap(tmp_path / "grad", float, "w+", shape=X.shape)
    X.grad = file
    assert type(same_form("grad", file, X)) is np.ndarray
    slopes = numerical_gradient(lambda: (X**2).sum(), X)
    np.testing.assert_allclose(slopes, 2 * np.asarray(X), rtol=1e-6)
    for _ in range(2):  # nudging takes the same array again and again
        ReLU()(X)
    batches = [*DataLoader(torch.tensor(W), torch.arange(2), 1)]
    assert [int(labels) for _, labels in batches] == [0, 1]


def test_a_nudged_array_is_put_back_also_where_the_loss_raises():
    p = np.array([0.1, -7e20, 3.0])
    before = p.tobytes()

    def loss():
        if p[2] != 3:
            raise ZeroDivisionError
        return float(p[0]) * 0.1

    with pytest.raises(ZeroDivisionError):
        numerical_gradient(loss, p)
    assert p.tobytes() == before
