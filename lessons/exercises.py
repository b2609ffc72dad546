"""The verdict on each exercise: solved, or the first thing that is wrong.

An exercise is one function below, which tries an answer on cases drawn
from a fixed seed. It returns what it tried, or raises `Wrong` with the
first thing that is wrong, in this order: shape, value, gradient, input
changed. It never shows the answer.
"""

import dis
import traceback
from numbers import Real

import numpy as np

__all__ = ["tally", "verdict"]

EXERCISES = {}  # by name, such as "2.3"
KINDS = {
    "function": lambda x: callable(x) and not isinstance(x, type),
    "class": lambda x: isinstance(x, type),
    "number": lambda x: isinstance(x, Real) and not isinstance(x, bool),
    "list": lambda x: isinstance(x, list | tuple | set),
    "text": lambda x: isinstance(x, str),
}
_solved = set()


class Wrong(Exception):
    """What is wrong with an answer, in words for the reader."""


def verdict(name, *answers, counts=True):
    """Print whether an exercise is solved, and if not, what is wrong.

    name: chapter and number, "2.3". It never raises for what the reader
    wrote. counts=False is for the solutions, which `tally` leaves out.
    """
    if any(map(_unwritten, answers)):
        print(f"{name}: nothing written yet")
        return
    try:
        tried = _judge(name, answers)
    except Wrong as wrong:
        _solved.discard(name)
        print(f"{name}: not yet: {wrong}")
    except Exception as error:
        _solved.discard(name)
        print(f"{name}: not yet: {_in_words(error)}")
    else:
        if counts:
            _solved.add(name)
        print(f"{name}: solved ({tried})")


def tally(chapter):
    """Print how many exercises of a chapter, an int, are solved so far."""
    every = [n for n in EXERCISES if n.startswith(f"{chapter}.")]
    done = len(_solved.intersection(every))
    print(f"chapter {chapter}: {done} of {len(every)} solved")


def exercise(name, *kinds):
    """Register a function as the judge of an exercise.

    kinds: for each answer a word of KINDS.
    """

    def register(judge):
        EXERCISES[name] = judge, kinds
        return judge

    return register


def _judge(name, answers):
    judge, kinds = EXERCISES[name]
    for answer, kind in zip(answers, kinds, strict=True):
        if not KINDS[kind](answer):
            found = type(answer).__name__
            raise Wrong(f"expected a {kind}, got {answer!r} ({found})")
    return judge(*answers)


def _unwritten(answer):
    """Whether an answer, or a part of it, is still the stub's dots."""
    if isinstance(answer, type):
        return any(map(_unwritten, vars(answer).values()))
    if isinstance(answer, list | tuple):
        return any(part is ... for part in answer)
    code = getattr(answer, "__code__", None)
    if code is None:
        return answer is ...
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    steps = list(dis.get_instructions(code))
    empty = all(s.opname in idle for s in steps) and all(
        s.argval is None for s in steps if s.opname.endswith("_CONST")
    )
    return empty or ... in code.co_consts


def _in_words(error):
    """An exception, with the reader's own line where there is one."""
    text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame.line
        for frame in frames
        if not any(
            part in frame.filename
            for part in ("site-packages", "lessons", "lib/python")
        )
    ]
    return f"{text}, in your line `{theirs[-1]}`" if theirs else text


# -- What several judges ask ----------------------------------------------


def same(what, found, expected, *, within=1e-9):
    """Wrong unless found has the shape and the values of expected.

    within: how far each may be off, relative to the largest.
    """
    if found is None:
        raise Wrong(f"{what}: None; is there a return?")
    try:
        found = np.asarray(found, float)
    except (TypeError, ValueError):
        raise Wrong(f"{what}: expected numbers, got {found!r}") from None
    expected = np.asarray(expected, float)
    if found.shape != expected.shape:
        raise Wrong(
            f"{what}: expected shape {expected.shape}, got {found.shape}"
        )
    room = within * max(np.abs(expected).max(), 1e-300)
    far = ~(np.abs(found - expected) <= room)
    if far.any():
        which = (
            f" in {far.sum()} of {far.size} entries"
            if far.size > 1
            else ""
        )
        raise Wrong(f"{what}: another value than it should have{which}")


def right_gradients(loss, arrays):
    """Wrong unless `gradcheck` is content; names the slip if it can.

    loss and arrays: as for `lessons.gradcheck.gradcheck`.
    """
    from lessons.gradcheck import gradcheck

    result = gradcheck(loss, arrays)
    if not result.ok:
        raise Wrong(f"a gradient is not right\n{result}")


def unchanged(what, now, before):
    """Wrong where an input is no longer what it was."""
    if not np.array_equal(now, before):
        raise Wrong(
            f"{what} is changed: work on a copy, or make a new array"
        )


# -- Chapter 1 ------------------------------------------------------------


def _slope(what, forward, at, g, slope):
    """Wrong unless slope is g times that of forward at a number."""
    box = np.array([at])
    same(what, slope, np.asarray(slope, float).reshape(()))
    pair = box, np.array([float(slope)])
    right_gradients(lambda: g * forward(box[0]), {what: pair})


@exercise("1.1", "class")
def sigmoid_layer(Sigmoid):
    layer = Sigmoid()
    for z, g in (-2.0, 1.0), (0.2, 1.0), (0.7, -3.0), (3.0, 0.5):
        same(f"forward({z})", layer.forward(z), 1 / (1 + np.exp(-z)))
        slope = layer.backward(g, lr=0.1)
        _slope("dL/dz", Sigmoid().forward, z, g, slope)
    return "four places"


@exercise("1.2", "class")
def neuron_mended(Neuron):
    from lessons.chain import Linear

    rng = np.random.default_rng(0)
    for lr in 0.0, 0.1, 0.5:
        w, b, x, g = rng.uniform(-2, 2, 4)
        neuron, linear = Neuron(w, b), Linear(w, b)
        a = np.tanh(linear.forward(x))
        same("forward", neuron.forward(x), a)
        below = neuron.backward(g, lr)
        expected = linear.backward(g * (1 - a**2), lr)
        same(f"what backward returns, with lr={lr}", below, expected)
        same(f"w after the step, with lr={lr}", neuron.w, linear.w)
        same(f"b after the step, with lr={lr}", neuron.b, linear.b)
    return "three learning rates"


@exercise("1.3", "number")
def first_depth(depth):
    from lessons.chain import Chain, Linear, parameters

    class Hasty(Linear):
        def backward(self, g, lr):
            super().backward(g, lr)
            return g * self.w  # the w after its step

    for found in range(1, 6):
        w, b = [0.9] * found, [0.1] * found
        right, hasty = Chain(w, b), Chain(w, b)
        hasty.layers[::2] = [Hasty(*p) for p in zip(w, b, strict=True)]
        for chain in right, hasty:
            chain.backward(chain.forward(0.5), lr=0.1)
        if parameters(right) != parameters(hasty):
            break
    if depth != found:
        raise Wrong("a run finds another depth")
    return "chains of one to five"


@exercise("1.4", "list")
def blocked(names):
    from lessons.chain import Chain, SquaredError, gradients

    chain, loss_fn = Chain([0.9, 0, 0.7], [0.3, 0.1, -0.5]), SquaredError()
    loss_fn.forward(chain.forward(0.5), 0.2)
    chain.backward(loss_fn.backward(), lr=0)
    every = [f"{p}_{k}" for k in (1, 2, 3) for p in "wb"]
    for name in names:
        if name not in every:
            raise Wrong(f"{name!r} is none of {', '.join(every)}")
    pairs = zip(every, gradients(chain), strict=True)
    zero = {name for name, slope in pairs if slope == 0}
    if missing := len(zero - set(names)):
        raise Wrong(f"{missing} more that you do not name")
    if extra := len(set(names) - zero):
        raise Wrong(f"{extra} of yours is not zero")
    return "a run of the chain"


@exercise("1.5", "class")
def log_cosh(LogCosh):
    loss_fn = LogCosh()
    for y_hat, y in (0.3, 0.1), (-1.5, 0.5), (2.0, -0.4), (0.2, 0.2):
        loss = loss_fn.forward(y_hat, y)
        same("forward", loss, np.log(np.cosh(y_hat - y)))
        slope = loss_fn.backward()

        def forward(y_hat, y=y):
            return LogCosh().forward(y_hat, y)

        if y_hat != y:
            _slope("dL/dy_hat", forward, y_hat, 1.0, slope)
        else:
            same("dL/dy_hat without a miss", slope, 0.0)
    for miss in 1000.0, -1000.0:
        same(
            f"a miss of {miss}",
            loss_fn.forward(miss, 0.0),
            1000 - np.log(2),
        )
        same("its slope", loss_fn.backward(), np.sign(miss))
    return "four misses, and two of 1000"


@exercise("1.6", "function")
def best_step(worst_error):
    from lessons.chain import numerical_derivative

    places = np.arange(20) / 10 - 0.95
    for h in 1e-1, 1e-2, 1e-3:
        slopes = [numerical_derivative(np.tanh, z, h) for z in places]
        errors = np.abs(np.array(slopes) - 1 + np.tanh(places) ** 2)
        same(
            f"worst_error({h})", worst_error(h), errors.max(), within=1e-6
        )
    if not worst_error(1e-5) < 1e-10:
        raise Wrong("worst_error(1e-5) should be below 1e-10")
    return "four steps"


# -- Chapter 2 ------------------------------------------------------------


# -- Chapter 3 ------------------------------------------------------------


# -- Chapter 4 ------------------------------------------------------------


# -- Chapter 5 ------------------------------------------------------------
