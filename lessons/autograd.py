"""An array that records what is done to it, and goes back over that."""

# Written by `make export` from book/08-autograd.ipynb: edit that.

__all__ = [
    "Tensor",
    "plain",
    "Step",
    "RULES",
    "NO_SLOPE",
    "USUAL",
    "clock",
    "record",
    "tape",
    "unbroadcast",
    "walk",
    "backward",
    "restored",
    "by_sum",
    "by_extreme",
    "as_matrices",
    "by_left",
    "by_right",
    "by_einsum",
    "by_reshape",
    "by_transpose",
    "put",
    "by_index",
    "recorded",
    "places",
    "others",
    "mean",
    "MADE_OF_OTHERS",
    "concatenated",
    "concatenate",
    "by_part",
    "share",
    "no_grad",
]

# %% tensor
import numpy as np


class Tensor(np.ndarray):
    """A read-only array of floats that knows which step made it.

    Made by Tensor(data), a copy, or by view-casting: a leaf, with .grad.
    """

    recording = True  # see no_grad
    grad = step = None
    made = version = 0  # when; how often it was written
    lost = False  # made past the tape
    __array_priority__ = 1  # mixed pairs make a Tensor

    def __new__(cls, data):
        return np.array(data).view(cls)

    def __array_finalize__(self, source):
        if isinstance(source, Tensor):
            self.lost = True
        elif source is not None:
            check_floats(self)
            self.flags.writeable = False


# %% plain
from lessons.checks import check_floats


def plain(x):
    """x without its Tensors, also inside a list or tuple."""
    if type(x) in (list, tuple):
        return type(x)(map(plain, x))
    return np.asarray(x) if isinstance(x, Tensor) else x


Tensor.detach = plain
Tensor.__repr__ = lambda x: repr(plain(x)).replace("array", "Tensor", 1)
Tensor.__str__ = lambda x: str(plain(x))


# %% record
class Step:
    """One line of the tape: a function and what it was given."""

    def __init__(self, function, args, how):
        self.function, self.args, self.how = function, args, how
        every = enumerate(args)
        self.places = [k for k, x in every if isinstance(x, Tensor)]
        self.inputs = [args[k] for k in self.places]
        self.versions = [x.version for x in self.inputs]


# %% tables
import itertools

from lessons.checks import Rules

RULES = Rules()
NO_SLOPE = {np.logical_or.reduce, np.logical_and.reduce}
USUAL = {"dtype": None, "where": True, "order": "C", "copy": None}
USUAL |= {"out": None, "casting": "same_kind"}
clock = itertools.count(1)


# %% record-2
def record(function, args, how):
    """Call function; on the tape where a Tensor is among args."""
    how = {k: v for k, v in how.items() if v is not USUAL.get(k, how)}
    step, values = Step(function, args, how), map(plain, args)
    if function in NO_SLOPE or not Tensor.recording or not step.inputs:
        return function(*values, **how)
    RULES.admit(function, args, how)
    out = np.asarray(function(*values, **how))
    if out.dtype.kind in "biu":  # truth values and integers
        return out[()]
    step.rule = RULES[function]
    out = out.view(Tensor)
    out.step, out.made = step, next(clock)
    return out


# %% ufunc
from lessons.checks import check_writing


def __array_ufunc__(self, ufunc, method, *args, out=None, **how):
    function = ufunc if method == "__call__" else getattr(ufunc, method)
    if out is None:
        return record(function, args, how)
    check_writing(Tensor.recording)
    out[0][()] = function(*map(plain, args), **how)
    return out[0]


Tensor.__array_ufunc__ = __array_ufunc__


# %% tape
def tape(out):
    """All Tensors that out was made of, and out, in the order made."""
    found, waiting = {}, [out]
    while waiting:
        x = waiting.pop()
        if id(x) not in found:
            found[id(x)] = x
            waiting += x.step.inputs if x.step else []
    return sorted(found.values(), key=lambda x: x.made)


# %% unbroadcast
def unbroadcast(G, shape):
    """G, summed over the axes along which shape was stretched."""
    if G.shape == shape:
        return G
    G = G.sum(axis=tuple(range(G.ndim - len(shape))))
    ones = tuple(k for k, size in enumerate(shape) if size == 1)
    return G.sum(axis=ones, keepdims=True)


# %% walk
def walk(out, G, given=plain):
    """Yield each Tensor of a tape with its gradient, last made first.

    G: the gradient of out. given: what rules get in place of a Tensor.
    """
    gradients = {id(out): G}
    for x in reversed(tape(out)):
        G, step = gradients.pop(id(x)), x.step
        yield x, G
        if not step:
            continue
        rule, args = step.rule, list(map(given, step.args))
        for k, y in zip(step.places, step.inputs, strict=True):
            slope = rule(k) if callable(rule) else rule[k]
            by_y = slope(G, given(x), *args, **step.how)
            by_y = unbroadcast(by_y, y.shape)
            if by_y.dtype != y.dtype:
                by_y = by_y.astype(y.dtype)
            known = gradients.get(id(y))
            gradients[id(y)] = by_y if known is None else known + by_y


# %% backward
from lessons.checks import intact


def backward(self, *, retain_graph=False):
    """Add to each leaf's .grad the slope of self, one number, by it.

    Frees the tape unless retain_graph. ValueError where self is not one
    number, RuntimeError where its tape is freed or out of date.
    """
    nodes = intact(tape(self))
    for x, G in walk(self, np.ones_like(plain(self))):
        if not x.step:
            x.grad = np.array(G) if x.grad is None else x.grad + G
    for x in nodes:
        if x.step and not retain_graph:
            x.step.args, x.step.inputs = None, []


Tensor.backward = backward


# %% rules-arithmetic
RULES |= {
    # forward:    backward, for the first argument and for the second
    np.add: (lambda G, out, a, b: G, lambda G, out, a, b: G),
    np.subtract: (lambda G, out, a, b: G, lambda G, out, a, b: -G),
    np.multiply: (lambda G, out, a, b: G * b, lambda G, out, a, b: G * a),
    np.divide: (
        lambda G, out, a, b: G / b,
        lambda G, out, a, b: -G * out / b,
    ),
    np.power: (
        lambda G, out, a, b: G * b * a ** (b - 1),
        lambda G, out, a, b: G * out * np.log(np.where(a > 0, a, 1)),
    ),
    np.negative: (lambda G, out, a: -G,),
    np.positive: (lambda G, out, a: G,),
    np.square: (lambda G, out, a: 2 * G * a,),
    np.reciprocal: (lambda G, out, a: -G * out**2,),
    np.exp: (lambda G, out, a: G * out,),
    np.log: (lambda G, out, a: G / a,),
    np.tanh: (lambda G, out, a: G * (1 - out**2),),
}


# %% rules-reduce
def restored(G, axis=0, keepdims=False):
    """G with the axes that a reduction dropped, of size 1."""
    return G if keepdims or axis is None else np.expand_dims(G, axis)


def by_sum(G, out, a, **how):
    """The slope of a sum: the same G for all that was added."""
    return np.broadcast_to(restored(G, **how), a.shape)


RULES[np.add.reduce] = (by_sum,)
RULES[np.broadcast_to] = (lambda G, out, a, shape: G,)


# %% rules-extreme
def by_extreme(G, out, a, **how):
    """The slope of a maximum or minimum: G, shared by those that tie."""
    chosen = a == restored(out, **how)
    among = chosen.sum(axis=how.get("axis", 0), keepdims=True)
    return restored(G, **how) * chosen / among


RULES[np.maximum.reduce] = RULES[np.minimum.reduce] = (by_extreme,)


# %% rules-matmul
def as_matrices(G, a, b):
    """A product in which a or b has one axis, as one of matrices."""
    if b.ndim == 1:
        G, b = G[..., None], b[:, None]
    if a.ndim == 1:
        G, a = G[..., None, :], a[None]
    return G, a, b


# %% rules-matmul-2
def by_left(G, out, a, b):
    """The slope of a @ b by a: G times b transposed."""
    G, A, B = as_matrices(G, a, b)
    return unbroadcast(G @ B.swapaxes(-1, -2), A.shape).reshape(a.shape)


def by_right(G, out, a, b):
    """The slope of a @ b by b: a transposed times G."""
    G, A, B = as_matrices(G, a, b)
    return unbroadcast(A.swapaxes(-1, -2) @ G, B.shape).reshape(b.shape)


RULES[np.matmul] = by_left, by_right


# %% rules-einsum
def by_einsum(k):
    """The slope of an einsum, "ij,jk->ik" and the like, by argument k."""

    def by_k(G, out, letters, *arrays):
        inputs, result = letters.split("->")
        mine, arrays = inputs.split(",")[k - 1].strip(), list(arrays)
        arrays[k - 1] = np.ones(arrays[k - 1].shape)
        return np.einsum(f"{result},{inputs}->{mine}", G, *arrays)

    return by_k


RULES[np.einsum] = by_einsum


# %% rules-shapes
def by_reshape(G, out, a, *args, **how):
    """The slope of whatever gives the same numbers another shape."""
    return G.reshape(a.shape)


for name in "reshape ravel flatten squeeze".split():
    RULES[getattr(np.ndarray, name)] = (by_reshape,)


# %% rules-transpose
def by_transpose(G, out, a, *order):
    """The slope of a transpose: each axis goes back to its place."""
    if order in ((), (None,)):
        order = range(a.ndim)[::-1]
    went = [k % a.ndim for k in np.ravel(order)]
    return G.transpose(np.argsort(went).tolist())


RULES |= {
    np.ndarray.transpose: (by_transpose,),
    np.ndarray.swapaxes: (lambda G, out, a, *two: G.swapaxes(*two),),
    np.ndarray.copy: (lambda G, out, a: G,),
    np.ndarray.astype: (lambda G, out, a, dtype: G,),
}


# %% rules-index
def put(G, index, shape):
    """Zeros of that shape, with G added at index."""
    whole = np.zeros(shape, G.dtype)
    np.add.at(whole, index, G)
    return whole


# %% rules-put
def by_index(G, out, a, index):
    """The slope of a[index]: G at index, 0 elsewhere."""
    return record(put, (G, index, a.shape), {})


RULES[np.ndarray.__getitem__] = (by_index,)
RULES[put] = (lambda G, out, a, index, shape: G[index],)


# %% wrap
def recorded(method):
    """A method of ndarray that goes over the tape."""

    def call(self, *args, **how):
        return record(method, (self, *args), how)

    return call


# %% wrap-which
places = "argmax argmin argsort nonzero searchsorted".split()
NO_SLOPE |= {getattr(np.ndarray, name) for name in places}
others = """
__getitem__ astype choose compress copy cumprod cumsum diagonal dot
flatten getfield prod ravel repeat reshape round squeeze std swapaxes
take trace transpose var"""
for name in [*places, *others.split()]:
    setattr(Tensor, name, recorded(getattr(np.ndarray, name)))


# %% wrap-2
def mean(self, axis=None, dtype=None, out=None, **how):
    """The mean over an axis or all, as a Tensor."""
    total = self.sum(axis, dtype, out, **how)
    return total / (self.size // total.size)


Tensor.mean = mean
Tensor.T = property(lambda self: self.transpose())
Tensor.clip = lambda self, low=None, high=None: np.clip(self, low, high)


# %% functions
MADE_OF_OTHERS = {
    *(np.sum, np.mean, np.max, np.min, np.stack, np.hstack, np.vstack),
    *(np.reshape, np.ravel, np.squeeze, np.expand_dims, np.transpose),
    *(np.swapaxes, np.moveaxis, np.atleast_1d, np.atleast_2d),
}
NO_SLOPE |= {
    *(np.argmax, np.argmin, np.argsort, np.any, np.all, np.isclose),
    *(np.allclose, np.array_equal, np.zeros_like, np.ones_like),
    *(np.shape, np.ndim, np.size, np.array_repr, np.array_str),
}


# %% array-function
def __array_function__(self, function, types, args, how):
    if not Tensor.recording or function in NO_SLOPE:
        how = {name: plain(x) for name, x in how.items()}
        return function(*map(plain, args), **how)
    if function is np.concatenate:
        return concatenate(*args, **how)
    if function in MADE_OF_OTHERS:
        itself = np.ndarray.__array_function__
        return itself(self, function, types, args, how)
    return record(function, args, how)


Tensor.__array_function__ = __array_function__


# %% concatenate
def concatenated(*arrays, axis):
    """The arrays one after another along an axis."""
    return np.concatenate(arrays, axis)


def concatenate(arrays, axis=0, **how):
    """np.concatenate with each array as an argument of its own."""
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    return record(concatenated, tuple(arrays), {"axis": axis, **how})


# %% by-part
def by_part(k):
    """The slope of concatenated by its argument k: that part of G."""

    def by_k(G, out, *arrays, axis):
        start = sum(a.shape[axis] for a in arrays[:k])
        index = [slice(None)] * G.ndim
        index[axis] = slice(start, start + arrays[k].shape[axis])
        return G[tuple(index)]

    return by_k


RULES[concatenated] = by_part


# %% rules-ties
def share(G, mine, other):
    """G where mine is the larger, half of it at a tie."""
    tie = mine == other
    passed = G * (mine > other)
    return passed + 0.5 * G * tie if np.any(tie) else passed


# %% rules-where
RULES |= {
    np.maximum: (
        lambda G, out, a, b: share(G, a, b),
        lambda G, out, a, b: share(G, b, a),
    ),
    np.minimum: (
        lambda G, out, a, b: share(G, b, a),
        lambda G, out, a, b: share(G, a, b),
    ),
    np.absolute: (lambda G, out, a: G * np.sign(plain(a)),),
    np.clip: (lambda G, out, a, low, high: G * (out == a),),
    np.where: (
        None,
        lambda G, out, where, a, b: np.where(where, G, 0),
        lambda G, out, where, a, b: np.where(where, 0, G),
    ),
}


# %% no-grad
from contextlib import contextmanager


@contextmanager
def no_grad():
    """Within it nothing is recorded, and leaves may be written."""
    before, Tensor.recording = Tensor.recording, False
    try:
        yield
    finally:
        Tensor.recording = before


# %% setitem
from lessons.checks import only_leaves


@only_leaves
def __setitem__(self, index, value):
    self.flags.writeable = True
    np.ndarray.__setitem__(self, index, plain(value))
    self.flags.writeable = False
    self.version += 1


Tensor.__setitem__ = __setitem__
