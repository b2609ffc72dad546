"""The tape against nudging and PyTorch, rule by rule; what it refuses."""

import gc
import pickle
import weakref
from operator import attrgetter

import numpy as np
import pytest
import torch

from lessons import autograd, mnist, modules
from lessons.autograd import Tensor, no_grad, tape, walk
from lessons.gradcheck import gradcheck

# Refused means an error, not a warning and a number.
pytestmark = pytest.mark.filterwarnings("error")


def draw(*shape, seed=0, dtype=float):
    """Normal numbers away from 0, where logarithms and corners are."""
    X = np.random.default_rng(seed).normal(size=shape)
    return np.array(X + np.sign(X) * 0.1, dtype)


def near(ours, theirs, dtype=float):
    """Off by rounding alone, as a part of the largest entry.

    An entry is a sum of at most 24 products, each through a few
    operations there and back: 100 roundings in each of two programs make
    2 * 100 * eps / 2, and ten times that for sums whose terms cancel.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    room = 1000 * np.finfo(dtype).eps * max(abs(theirs).max(), 1e-300)
    return abs(ours - theirs).max() <= room


def gradients(formula, arrays, G):
    """The values and gradients of (formula * G).sum(), of leaves."""
    leaves = [Tensor(a) for a in arrays]
    out = formula(np, *leaves)
    (out * G).sum().backward()
    return out, [leaf.grad for leaf in leaves]


# Each is run in both libraries: two arrays, stretched to each other.
STRETCHED = {
    "add": lambda lib, a, b: a + b,
    "subtract": lambda lib, a, b: a - 2 * b,
    "multiply": lambda lib, a, b: a * b,
    "divide": lambda lib, a, b: a / b,
    "power": lambda lib, a, b: lib.abs(a) ** b,
    "a number to a power": lambda lib, a, b: 2**a + 3.0 - b,
    "squares": lambda lib, a, b: a**2 + (-b) ** 3 + b**-1,
    "exp, log, tanh": lambda lib, a, b: (
        lib.log(lib.exp(a) + 1) * lib.tanh(b)
    ),
    "maximum": lambda lib, a, b: lib.maximum(a, b) * a,
    "minimum": lambda lib, a, b: lib.minimum(a, b) * b,
    "where": lambda lib, a, b: lib.where(a > b, a * b, b),
    "positive": lambda lib, a, b: +a * -b,
}
SHAPES = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4))]
SHAPES += [((2, 1, 3), (4, 1)), ((), (2, 3)), ((1, 1), ()), ((), ())]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", STRETCHED)
def test_entry_by_entry(name, shapes, dtype):
    a, b = (draw(*s, seed=k, dtype=dtype) for k, s in enumerate(shapes))
    assert_right(STRETCHED[name], a, b)


def assert_right(formula, *arrays):
    dtype = arrays[0].dtype
    with no_grad():
        shape = np.shape(formula(np, *arrays))
    G = draw(*shape, seed=9, dtype=dtype)
    out, found = gradients(formula, arrays, G)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    its = formula(torch, *theirs)
    (its * torch.tensor(G)).sum().backward()
    assert near(out.detach(), its.detach(), dtype)
    for mine, q in zip(found, theirs, strict=True):
        assert near(mine, q.grad, dtype)
    if dtype.name == "float64":
        pairs = dict(
            zip("ab", zip(arrays, found, strict=True), strict=False)
        )
        table = gradcheck(
            lambda: float((formula(np, *arrays) * G).sum()), pairs
        )
        assert table.ok, table


ONE = {
    "sum": lambda lib, a: a.sum(),
    "sum over one": lambda lib, a: a.sum(axis=1) ** 2,
    "sum over two": lambda lib, a: a.sum(axis=(0, -1)) ** 2,
    "sum, kept": lambda lib, a: a / (a**2).sum(axis=-1, keepdims=True),
    "mean": lambda lib, a: a.mean(axis=1) * a.mean(),
    "np.sum, np.mean": lambda lib, a: (
        lib.sum(a, axis=0) + lib.mean(a, axis=0)
    ),
    "reshape": lambda lib, a: a.reshape(6, 4) @ a.reshape(4, 6),
    "ravel, flatten": lambda lib, a: a.ravel() * a.flatten(),
    "squeeze": lambda lib, a: (a[:, :1] ** 2).squeeze(),
    "swapaxes": lambda lib, a: a @ a.swapaxes(-1, -2),
    "expand": lambda lib, a: a[None] * a[:, None],
    "moveaxis": lambda lib, a: lib.moveaxis(a, 0, 2)[1:] ** 2,
    "index": lambda lib, a: a[0] * a[-1] + a[1, 2],
    "slices": lambda lib, a: a[:, 1:] - a[:, :-1] ** 2,
    "ellipsis": lambda lib, a: a[..., 0] * a[..., 3],
    "same row twice": lambda lib, a: a[[0, 1, 0]] ** 2,
    "pairs": lambda lib, a: a[[0, 1, 1], [2, 0, 0]] ** 3,
    "mask": lambda lib, a: a[a > 0] ** 2,
    "one entry": lambda lib, a: a[1, 2, 3] ** 2,
    "stack": lambda lib, a: lib.stack([a, a**2], 1),
    "concatenate": lambda lib, a: lib.concatenate([a, a * a, a], -1),
    "hstack": lambda lib, a: lib.hstack([a, a**2]),
    "vstack": lambda lib, a: lib.vstack([a, a**2]),
    "abs": lambda lib, a: lib.abs(a) * a,
    "clip": lambda lib, a: a.clip(-0.5, 0.5) * a,
    "rows": lambda lib, a: sum(row * row for row in a),
    "used often": lambda lib, a: (a * a + a) * a - a.sum(),
}


@pytest.mark.parametrize("name", ONE)
def test_one_array(name):
    assert_right(ONE[name], draw(2, 3, 4))


OTHERS = {
    "sum max min mean": lambda f, a: f(a, axis=1),
    "stack hstack vstack": lambda f, a: f([a, a * a]),
    "ravel squeeze transpose": lambda f, a: f(a),
    "atleast_1d atleast_2d": lambda f, a: f(a[:1, 0, 0]),
    "expand_dims": lambda f, a: f(a, 1),
    "reshape": lambda f, a: f(a, (4, 6)),
    "swapaxes moveaxis": lambda f, a: f(a, 0, 2),
    "add.reduce maximum.reduce": lambda f, a: f(f(a), axis=1),
    "concatenate": lambda f, a: f([f(a), f(a * a)]),
}


def test_each_function_that_is_made_of_others():
    left, a = set(autograd.MADE_OF_OTHERS), draw(2, 3, 4)
    for names, call in OTHERS.items():
        for function in (attrgetter(name)(np) for name in names.split()):
            left.discard(function)
            with no_grad():
                G = draw(*call(function, a).shape, seed=9)
            out, [found] = gradients(
                lambda lib, a, f=function, call=call: call(f, a), [a], G
            )
            assert np.array_equal(out, call(function, a))
            table = gradcheck(
                lambda f=function, call=call, G=G: float(
                    (call(f, a) * G).sum()
                ),
                {"a": (a, found)},
            )
            assert table.ok, (function, table)
    assert not left


def test_a_concatenation_without_an_axis():
    a = draw(2, 3)
    out, [found] = gradients(
        lambda lib, a: lib.concatenate([a, a * a], None), [a], 1
    )
    assert np.array_equal(out, np.concatenate([a, a * a], None))
    assert near(found, 1 + 2 * a)


def test_transposes():
    a = draw(2, 3, 4)
    for axes in (), (None,), ((2, 0, 1),), (2, 0, 1), (-1, 0, 1):
        out, [found] = gradients(
            lambda lib, a, axes=axes: a.transpose(*axes) ** 2, [a], 1
        )
        assert out.shape == a.transpose(*axes).shape
        assert near(found, 2 * a)
    assert near(
        gradients(lambda lib, a: lib.transpose(a), [a], 1)[1][0], a**0
    )
    assert_right(lambda lib, a: (a.T @ a) ** 2, a[0])


@pytest.mark.parametrize(
    "one, other",
    [
        ((3, 4), (4, 5)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((4,), (4,)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((3, 4), (2, 4, 5)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (4,)),
        ((1, 1), (1, 1)),
    ],
)
def test_products(one, other):
    a, b = draw(*one), draw(*other, seed=1)
    assert_right(lambda lib, a, b: a @ b, a, b)


@pytest.mark.parametrize(
    "letters, one, other",
    [
        ("nk,kj->nj", (3, 4), (4, 5)),
        ("nk,nk->n", (3, 4), (3, 4)),
        ("i, j -> ji", (3,), (4,)),
        ("bik,kj->b", (2, 3, 4), (4, 5)),
        ("ij,k->", (2, 3), (4,)),
    ],
)
def test_sums_of_products_by_letters(letters, one, other):
    a, b = draw(*one), draw(*other, seed=1)
    assert_right(lambda lib, a, b: lib.einsum(letters, a, b) ** 2, a, b)


@pytest.mark.parametrize("letters", ["ii->i", "...i,i->...", "ij,j"])
def test_an_einsum_without_a_letter_for_each_axis_is_refused(letters):
    arrays = [Tensor(np.ones((2, 2))), Tensor(np.ones(2))][
        : 1 + ("," in letters)
    ]
    with pytest.raises(ValueError):
        np.einsum(letters, *arrays).sum().backward()


def test_ties_are_shared_as_in_pytorch():
    a = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    b = np.array([[1.0, 0.0, 2.0], [4.0, 3.0, 1.0]])
    for name in "maximum", "minimum":
        leaves = [Tensor(x) for x in (a, b)]
        theirs = [torch.tensor(x, requires_grad=True) for x in (a, b)]
        (3 * getattr(np, name)(*leaves)).sum().backward()
        (3 * getattr(torch, name)(*theirs)).sum().backward()
        for leaf, q in zip(leaves, theirs, strict=True):
            assert np.array_equal(leaf.grad, q.grad)
    for ours, its in (
        (lambda x: x.max(axis=1), lambda x: x.amax(dim=1)),
        (lambda x: x.min(axis=1), lambda x: x.amin(dim=1)),
        (lambda x: x.max(), lambda x: x.amax()),
        (lambda x: np.max(x, axis=0), lambda x: x.amax(dim=0)),
        (
            lambda x: x.max(axis=(0, 1), keepdims=True),
            lambda x: x.amax(dim=(0, 1), keepdim=True),
        ),
        (lambda x: x.clip(2, 3), lambda x: x.clamp(2, 3)),
        (lambda x: abs(x - 2), lambda x: (x - 2).abs()),
    ):
        leaf, q = Tensor(a), torch.tensor(a, requires_grad=True)
        ours(leaf).sum().backward()
        its(q).sum().backward()
        assert near(leaf.grad, q.grad)


# -- Witnesses ------------------------------------------------------------


@pytest.mark.parametrize("bend", ["ReLU", "Tanh", "Sigmoid"])
def test_the_modules_are_a_witness(bend):
    """A network's gradients, by hand and from the tape."""
    rng = np.random.default_rng(0)
    layers = [modules.Linear(*s, rng=rng) for s in ((5, 4), (4, 3))]
    model = modules.Sequential(
        layers[0], getattr(modules, bend)(), layers[1]
    )
    X, y = draw(8, 5), rng.integers(0, 3, 8)
    loss_fn = mnist.CrossEntropyLoss()
    loss_fn(model(X), y)
    loss_fn.backward()
    model.backward()
    by_hand = [p.grad for p in model.parameters()]
    for layer in layers:
        layer.W, layer.b = Tensor(layer.W), Tensor(layer.b)
    log_p = mnist.log_softmax(model(X))
    (-log_p[np.arange(8), y]).mean().backward()
    for leaf, G in zip(model.parameters(), by_hand, strict=True):
        assert near(leaf.grad, G)


def test_a_slope_of_a_slope_is_pytorchs():
    a = draw(3, 4)

    def formula(lib, a):
        b = a[[0, 1, 0]] / (1 + a.reshape(4, 3).T ** 2).sum(axis=0)
        return (lib.tanh(b @ a.T) ** 3).sum()

    def slope(out, x):
        walked = walk(out, np.ones(out.shape), lambda t: t)
        return next(G for t, G in walked if t is x)

    x, q = Tensor(a), torch.tensor(a, requires_grad=True)
    G = slope(formula(np, x), x)
    [H] = torch.autograd.grad(formula(torch, q), q, create_graph=True)
    (G * G).sum().backward()
    (H * H).sum().backward()
    gap = abs(x.grad - q.grad.numpy()).max()
    assert gap <= 1e-11 * abs(q.grad.numpy()).max()


# -- What the tape promises -----------------------------------------------

x3 = np.array([1.0, 2.0, 3.0])
NO_RULE = {
    "sinh": lambda x: np.sinh(x),
    "prod": lambda x: x.prod(),
    "cumsum": lambda x: np.cumsum(x),
    "dot": lambda x: x.dot(x),
    "take": lambda x: x.take(0),
    "std": lambda x: x.std(),
    "var": lambda x: x.var(),
    "round": lambda x: x.round(1),
    "outer": lambda x: np.outer(x, x),
    "sort": lambda x: np.sort(x),
    "norm": lambda x: np.linalg.norm(x),
    "copyto": lambda x: np.copyto(np.zeros(3), x),
    "add.at": lambda x: np.add.at(np.zeros(3), [0, 1, 2], x),
    "add.accumulate": lambda x: np.add.accumulate(x),
    "modf": lambda x: np.modf(x),
    "divmod": lambda x: divmod(x, 2),
    "add.reduce with where=": lambda x: x.sum(where=[True, False, True]),
    "maximum.reduce with initial=": lambda x: x.max(initial=0),
    "add.reduce with initial=": lambda x: x.sum(initial=1),
    "reshape with order=": lambda x: x.reshape((3, 1), order="F"),
    "clip by argument 2": lambda x: np.clip(3 * x3, x, 9),
    "where by argument 1": lambda x: np.where(x, x3, 0),
    "concatenate": lambda x: np.concatenate([x, x], dtype="f4"),
    "concatenated with casting=": lambda x: np.concatenate(
        [x, x], casting="unsafe"
    ),
}


@pytest.mark.parametrize("name", NO_RULE)
def test_what_has_no_rule_says_its_name(name):
    with pytest.raises(NotImplementedError) as info:
        NO_RULE[name](Tensor(x3))
    assert str(info.value).startswith(f"no rule for {name}")
    with no_grad():  # without a tape, all of NumPy
        NO_RULE[name](Tensor(x3))


PAST = {
    "view": lambda x: x.view(),
    "view as a Tensor": lambda x: x.view(Tensor),
    "imag": lambda x: x.imag,
    "a product of a plain array": lambda x: np.ones((2, 3)).dot(x),
    "byteswap": lambda x: x.byteswap(),
    "deepcopy": lambda x: x.__deepcopy__({}),
    "diagonal of a view": lambda x: x.view()[:1],
}


@pytest.mark.parametrize("name", PAST)
def test_what_passes_the_tape_by_raises_at_its_next_use(name):
    with pytest.raises(RuntimeError, match="leaves no record"):
        (PAST[name](Tensor(x3)) * 2).sum().backward()
    with pytest.raises(RuntimeError, match="leaves no record"):
        PAST[name](1 * Tensor(x3)).sum()


WRITES = {
    "[0] = 5": lambda x: x.__setitem__(0, 5),
    "+=": lambda x: x.__iadd__(1),
    "out=": lambda x: np.exp(x3, out=x),
    "fill": lambda x: x.fill(0),
    "sort": lambda x: x.sort(),
    "put": lambda x: x.put([0], [1]),
    "flat": lambda x: x.flat.__setitem__(0, 1),
    "partition": lambda x: x.partition(1),
    "at": lambda x: np.add.at(x, 0, 1),
    "a plain array": lambda x: np.ones(3).__iadd__(x),
    "copyto": lambda x: np.copyto(x, 0),
    "setfield": lambda x: x.setfield(0, float),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("of", ["leaf", "result", "view-cast"])
def test_nothing_on_a_tape_is_written(name, of):
    x = x3.copy().view(Tensor) if of == "view-cast" else Tensor(x3)
    x = x * 1 if of == "result" else x
    with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
        WRITES[name](x)
    assert np.array_equal(x, x3)


def test_a_tape_whose_leaf_was_written_is_refused():
    x = Tensor(x3)
    loss, other = (x.T * x).sum(), (2 * x).sum()
    with no_grad():
        x -= 1
        x[0] = 7
    assert np.array_equal(x, [7, 1, 2]) and isinstance(x, Tensor)
    assert not x.flags.writeable
    for out in loss, other:
        with pytest.raises(RuntimeError, match="has changed since"):
            out.backward()
    assert x.grad is None
    (x * x).sum().backward()
    assert np.array_equal(x.grad, [14, 2, 4])
    with no_grad(), pytest.raises(RuntimeError, match="read-only"):
        (x * 1)[0] = 1  # plain there, and a view of it is read-only
        loss[()] = 1


def test_a_view_cast_leaf_writes_into_the_memory_it_views():
    plain = x3.copy()
    x = plain.view(Tensor)
    with no_grad():
        x -= 1
    assert np.array_equal(plain, [0, 1, 2])


def test_gradients_accumulate_in_arrays_of_their_own():
    a, b = Tensor(x3), Tensor(x3)
    (a + b).sum().backward()
    a.grad += 5
    assert (
        np.array_equal(b.grad, np.ones(3)) and type(a.grad) is np.ndarray
    )
    (2 * b).sum().backward()
    assert np.array_equal(b.grad, 3 * np.ones(3))


def test_the_tape_is_freed_unless_it_is_kept():
    x = Tensor(x3)
    hidden = np.exp(x)
    loss = (hidden * hidden).sum()
    loss.backward(retain_graph=True)
    first = x.grad.copy()
    loss.backward()
    assert np.array_equal(x.grad, 2 * first)
    for out in loss, (hidden * 2).sum():
        with pytest.raises(RuntimeError, match="freed"):
            out.backward()
    result = np.exp(x)
    held, loss = weakref.ref(result), (result * 2).sum()
    del result
    gc.collect()
    assert held() is not None
    loss.backward()
    gc.collect()
    assert held() is None


def test_a_tape_of_thousands_of_steps():
    x = out = Tensor(1.0)
    for _ in range(20_000):
        out = out + 1
    assert len(tape(out)) == 20_001
    out.backward()
    assert x.grad == 1
    del out


def test_no_grad_ends_also_where_an_error_ends_it():
    with pytest.raises(ZeroDivisionError), no_grad():
        with no_grad():
            assert type(Tensor(x3) * 2) is np.ndarray
        assert not Tensor.recording
        raise ZeroDivisionError
    assert Tensor.recording


def test_only_floats_have_slopes():
    for wrong in [1, 2], np.array([True]), np.array([1j]):
        with pytest.raises(TypeError, match="expected floats"):
            Tensor(wrong)
    x = Tensor(x3)
    for plain in (
        x > 1,
        x.argmax(),
        x.astype(int),
        np.isfinite(x),
        (x > 1).all(),
        x.any(),
        np.argsort(x),
        x == x,
        np.zeros_like(x),
        x.detach(),
        x.item(0),
        x.tolist(),
        np.asarray(x),
        float(x.sum()),
        len(x),
    ):
        assert not isinstance(plain, Tensor)
    assert x.astype(np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="expected a loss"):
        (x * 1).backward()


def test_keywords_count_off_the_tape_too():
    a, row = draw(2, 3), Tensor(np.zeros(2))
    x = Tensor(a)
    assert np.array_equal(x.argmax(axis=1), a.argmax(axis=1))
    assert np.array_equal(np.argmin(x, axis=1), a.argmin(axis=1))
    assert np.allclose(a, b=x)
    assert x.mean(axis=1, keepdims=True).shape == (2, 1)
    with no_grad():
        np.add.reduce(a, axis=1, out=row)
    assert np.array_equal(row, a.sum(axis=1))


def test_it_prints_as_what_it_is():
    assert repr(Tensor(x3)) == "Tensor([1., 2., 3.])"
    assert str(Tensor(x3)) == "[1. 2. 3.]"
    assert f"{Tensor(x3).sum():.2f}" == "6.00"


def test_a_leaf_comes_back_from_a_file():
    x = pickle.loads(pickle.dumps(Tensor(x3)))
    (x * x).sum().backward()
    assert np.array_equal(x.grad, 2 * x3)
