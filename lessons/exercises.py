"""The verdict on each exercise: solved, or the first thing that is wrong.

An exercise is one function below, which tries an answer on cases drawn
from a fixed seed. It returns what it tried, or raises `Wrong` with the
first thing that is wrong, in this order: shape, value, gradient, input
changed. It never shows the answer.
"""

import dis
import inspect
import traceback
from functools import partial
from numbers import Real

import numpy as np

__all__ = ["tally", "verdict"]

EXERCISES = {}  # by name, such as "2.3"
KINDS = {
    "function": lambda x: callable(x) and not isinstance(x, type),
    "class": lambda x: isinstance(x, type),
    "number": lambda x: isinstance(x, Real) and not isinstance(x, bool),
    "list": lambda x: isinstance(x, list | tuple | set),
    "pair": lambda x: isinstance(x, list | tuple) and len(x) == 2,
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
        print(f"{name}: {_what_lacks(answers)}")
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
    code = getattr(inspect.unwrap(answer), "__code__", None)
    if code is None:
        return answer is ...
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    steps = list(dis.get_instructions(code))
    empty = all(s.opname in idle for s in steps) and all(
        s.argval is None for s in steps if s.opname.endswith("_CONST")
    )
    return empty or any(
        step.argval is ... and not _index(after)
        for step, after in zip(steps, [*steps[1:], None], strict=True)
    )


def _what_lacks(answers):
    """Which parts still have dots, where others are written."""
    parts = {}
    for answer in answers:
        if isinstance(answer, type):
            own = {k: v for k, v in vars(answer).items() if k[0] != "_"}
            parts |= {k: _unwritten(part) for k, part in own.items()}
        else:
            several = isinstance(answer, list | tuple)
            for part in answer if several else [answer]:
                parts[f"number {len(parts) + 1}"] = _unwritten(part)
    dots = [name for name, empty in parts.items() if empty]
    if len(dots) == len(parts):
        return "nothing written yet"
    return f"not all written yet: {', '.join(dots)}"


def _index(step):
    """Whether dots before this instruction are an index, as in v[...]."""
    names = "SUBSCR", "COPY"  # COPY: v[...] += 1
    return step is not None and (
        any(name in step.opname for name in names) or step.argrepr == "[]"
    )


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
    with np.errstate(invalid="ignore"):  # infinity less infinity
        far = ~(np.abs(found - expected) <= room)
    if far.any():
        which = (
            f" in {far.sum()} of {far.size} entries"
            if far.size > 1
            else ""
        )
        raise Wrong(f"{what}: wrong{which}")


def right_gradients(loss, arrays):
    """Wrong unless `gradcheck` is content; names the slip if it can.

    loss and arrays: as for `lessons.gradcheck.gradcheck`.
    """
    from lessons.gradcheck import gradcheck

    result = gradcheck(loss, arrays)
    if not result.ok:
        raise Wrong(f"a gradient is not right\n{result}")


def unchanged(what, now, before, do="work on a copy, or a new array"):
    """Wrong where an input is no longer what it was."""
    if not np.array_equal(now, before):
        raise Wrong(f"{what} is changed: {do}")


def right_loss(loss_fn, y_hat, y, expected):
    """Wrong unless a loss gives a float, its value, and its gradient."""
    kept = np.array(y_hat), np.array(y)
    loss = loss_fn(y_hat, y)
    same("the loss", loss, expected)
    if not isinstance(loss, float):
        kind = type(loss).__name__
        raise Wrong(f"the loss: expected a float, got {kind}")
    loss_fn.backward()
    unchanged("y_hat", y_hat, kept[0])
    unchanged("y", y, kept[1])
    _written("y_hat", y_hat)
    right_gradients(partial(loss_fn, y_hat, y), {"y_hat": y_hat})


def right_steps(optimizer, twin, *settings, steps=5):
    """Wrong unless an optimizer's steps are those of one of PyTorch's.

    Both are made from parameters and a setting: lr and another number.
    """
    import torch

    for setting in settings:
        ours = [_draw(2, 3), _draw(3)]
        theirs = [torch.tensor(np.array(p)) for p in ours]
        mine, other = optimizer(ours, *setting), twin(theirs, *setting)
        for step in range(1, steps + 1):
            for p, q in zip(ours, theirs, strict=True):
                p.grad = np.array(_draw(*p.shape, seed=step))
                q.grad = torch.tensor(p.grad)
            kept = [p.grad.copy() for p in ours]
            mine.step()
            other.step()
            for k, (p, q) in enumerate(zip(ours, theirs, strict=True)):
                same(f"array {k} after step {step}", p, q.numpy())
                unchanged("p.grad", p.grad, kept[k], "only read it")


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
    if extra := len(set(names) - zero):
        raise Wrong(f"of yours, {extra} not zero")
    if missing := len(zero - set(names)):
        raise Wrong(f"{missing} more that you do not name")
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


def _network(rng, n, inputs, hidden):
    """Data and parameters X, Y, W1, b1, W2, b2 of two layers."""
    shapes = (n, inputs), (n, 1), (inputs, hidden), hidden, (hidden, 1), 1
    return [rng.normal(size=shape) for shape in shapes]


def _loss(X, Y, W1, b1, W2, b2):
    A = np.maximum(X @ W1 + b1, 0)
    return float(np.mean((A @ W2 + b2 - Y) ** 2))


def _returned(names, found, arrays):
    """Pairs of array and gradient, if found has one for each array."""
    if not isinstance(found, tuple | list) or len(found) != len(names):
        raise Wrong(f"expected to get back {', '.join(names)}")
    for name, gradient, array in zip(names, found, arrays, strict=True):
        shape = np.shape(gradient)
        if shape != array.shape:
            raise Wrong(
                f"{name}: expected shape {array.shape}, got {shape}"
            )
    return zip(arrays, found, strict=True)


@exercise("2.1", "function")
def _backward(backward):
    rng = np.random.default_rng(1)
    for sizes in (4, 3, 5), (7, 2, 2), (5, 4, 3):
        given = _network(rng, *sizes)
        before = [array.copy() for array in given]
        names = "dW1", "db1", "dW2", "db2"
        pairs = _returned(names, backward(*given), given[2:])
        right_gradients(
            lambda given=given: _loss(*given),
            dict(zip(("W1", "b1", "W2", "b2"), pairs, strict=True)),
        )
        for now, old in zip(given, before, strict=True):
            unchanged("an argument", now, old)
    return "all four gradients, on three networks"


@exercise("2.2", "function", "function")
def _mae(mae, mae_grad):
    from lessons.matrix import GradArray

    rng = np.random.default_rng(2)
    for shape in (6, 1), (4, 2):
        y_hat, y = rng.normal(size=(2, *shape))
        y_hat, kept = y_hat.view(GradArray), y.copy()
        expected = float(np.abs(y_hat - y).mean())
        same("mae", mae(y_hat, y), expected)
        mae_grad(y_hat, y)
        if y_hat.grad is None:
            raise Wrong("mae_grad writes no y_hat.grad")
        right_gradients(
            lambda y_hat=y_hat, y=y: float(np.abs(y_hat - y).mean()),
            {"y_hat": y_hat},
        )
        unchanged("y", y, kept)
    return "for one answer a student and two"


@exercise("2.3", "class")
def _leaky_relu(LeakyReLU):
    from lessons.matrix import GradArray, Linear, MSELoss, train

    rng = np.random.default_rng(3)
    Z = rng.normal(size=(6, 4)).view(GradArray)
    kept = Z.copy()
    bend, G = LeakyReLU(), rng.normal(size=(6, 4))
    out = bend.forward(Z)
    same("the output", out, np.where(kept > 0, kept, kept / 10))
    if not hasattr(out, "grad"):
        raise Wrong("a plain array has no .grad: use .view(GradArray)")
    out.grad = G
    bend.backward()
    unchanged("Z", Z, kept)
    right_gradients(lambda: float((G * bend.forward(Z)).sum()), {"Z": Z})

    layers = [Linear(3, 4, rng=rng), bend, Linear(4, 1, rng=rng)]
    layers[0].b[:] = rng.normal(size=4)
    X, Y = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    loss_fn = MSELoss()

    def loss():
        out = X
        for layer in layers:
            out = layer.forward(out)
        return loss_fn.forward(out, Y)

    loss()
    for layer in (loss_fn, *reversed(layers)):
        layer.backward()
    right_gradients(loss, {"W1": layers[0].W, "b1": layers[0].b})
    if not hasattr(bend, "parameters"):
        raise Wrong("`train` asks each layer for its parameters()")
    train(layers, X, Y, lr=0.01, num_epochs=2)
    return "output, gradients, training"


@exercise("2.4", "function")
def _keep_best(keep_best):
    from lessons.matrix import Linear, ReLU, train

    def network():
        rng = np.random.default_rng(1)
        return [Linear(2, 4, rng=rng), ReLU(), Linear(4, 1, rng=rng)]

    def loss(layers, X, Y):
        for layer in layers:
            X = layer.forward(X)
        return float(np.mean((X - Y) ** 2))

    rng = np.random.default_rng(4)
    X, Y = rng.normal(size=(8, 2)), rng.normal(size=(8, 1))
    for lr in 1.0, 0.7, 0.1:
        best = min(train(network(), X, Y, lr, num_epochs=12))
        found = keep_best(network(), X, Y, lr, num_epochs=12)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Wrong("expected to get back best_loss, best")
        same("best_loss", found[0], best)
        layers = network()
        mine = [p for layer in layers for p in layer.parameters()]
        for p, kept in zip(mine, found[1], strict=True):
            p[:] = kept
        if abs(loss(layers, X, Y) - best) > 1e-9 * best:
            raise Wrong("what comes back has another loss")
    return "best epoch first, midway, last"


@exercise("2.5", "number")
def _two_planes(predicted):
    from lessons.datasets import load_exams

    X, y = load_exams()
    X = np.hstack([X, np.ones((len(X), 1))])
    plane, *_ = np.linalg.lstsq(X, y)
    lowest = np.mean((X @ plane - y) ** 2)
    if predicted < 0.99 * lowest:
        raise Wrong("no two linear layers can come as low as that")
    if predicted > 1.01 * lowest:
        raise Wrong("training goes on below that")
    return "to one part in a hundred"


@exercise("2.6", "function")
def _mask(back_to_first):
    rng = np.random.default_rng(6)
    given = X, Y, W1, b1, W2, b2 = _network(rng, 5, 3, 4)
    names = "the gradient by Z", "by W1", "by b1"
    Z = X @ W1 + b1
    found = back_to_first(*given)
    dZ, *pairs = _returned(names, found, (Z, W1, b1))
    one = np.eye(4)
    right_gradients(
        lambda: _loss(Z, Y, one, np.zeros(4), W2, b2), {"Z": dZ}
    )
    right_gradients(
        lambda: _loss(*given), dict(zip(("W1", "b1"), pairs, strict=True))
    )
    return "the gradients by Z, W1 and b1"


# -- Chapter 3 ------------------------------------------------------------


@exercise("3.1", "class")
def softplus(Softplus):
    for shape in (5, 3), (2, 4):
        X = _draw(*shape)
        before, out = X.copy(), Softplus()(X)
        same("the output", out, np.log1p(np.exp(before)))
        _right_backward(Softplus(), X)
        unchanged("X", X, before)
    X = np.array([[-1000.0, 0.0, 1000.0]]).view(type(X))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        layer = Softplus()
        same("at -1000, 0, 1000", layer(X), [[0, np.log(2), 1000]])
        layer.out.grad = np.ones(X.shape)
        layer.backward()
        same("the slope there", X.grad, [[0, 0.5, 1]])
    return "values, gradient, entries from -1000 to 1000"


@exercise("3.2", "class")
def momentum(Momentum):
    from torch.optim import SGD

    twin = lambda p, lr, beta: SGD(p, lr, momentum=beta)  # noqa: E731
    right_steps(Momentum, twin, (0.1, 0.9), (0.5, 0.3))
    return "two arrays, five steps, two pairs of lr and momentum"


@exercise("3.3", "class")
def residual(Residual):
    from lessons.modules import SGD, MSELoss, Sequential, train_step

    for n, width in (5, 3), (4, 2):
        X, inner = _draw(n, width), _linear(width, width)
        same("the output", Residual(inner)(X), X + inner.forward(X))
        _right_backward(Residual(inner), X, W=inner.W, b=inner.b)
        nested = Residual(Residual(inner))
        _right_backward(nested, X, W=inner.W, b=inner.b)
    data, Y = np.array(X), np.array(_draw(n, width, seed=1))
    model = Sequential(Residual(inner), _linear(width, width))
    if len(model.parameters()) != 4:
        raise Wrong(
            "a model does not list the inner layer's parameters, so no "
            "optimizer moves them"
        )
    before = inner.W.copy()
    optimizer = SGD(model.parameters(), 0.1)
    train_step(model, MSELoss(), optimizer, data, Y)
    if np.array_equal(before, inner.W):
        raise Wrong("a training step does not move the inner layer")
    return "alone, one inside another, first in a model, trained"


@exercise("3.4", "class")
def centre(Centre):
    for shape in (5, 3), (4, 2):
        X = _draw(*shape)
        before = X.copy()
        same("the output", Centre()(X), before - before.mean(axis=0))
        _right_backward(Centre(), X)
        unchanged("X", X, before)
    return "values and gradient, for two sizes"


@exercise("3.5", "class")
def huber(HuberLoss):
    for shape in (5, 1), (4, 3):
        y_hat, y = _draw(*shape), np.array(_draw(*shape, seed=1))
        d = np.abs(np.array(y_hat) - y)
        costs = np.where(d <= 1, d**2 / 2, d - 0.5)
        right_loss(HuberLoss(), y_hat, y, costs.mean())
    return "loss and gradient, for one output and for three"


@exercise("3.6", "list")
def predicted_steps(predicted):
    gradients, sums, v = [1, 1, 1, 1], [], 0
    for gradient in gradients:
        v = 0.5 * v + gradient
        sums.append(v)
    expected = {
        "SGD": -sum(gradients),
        "PyTorch's SGD, uncleared": -sum(np.cumsum(gradients)),
        "momentum": -sum(sums),
    }
    if len(predicted) != 3:
        raise Wrong(f"expected three numbers, got {len(predicted)}")
    for found, (what, right) in zip(
        predicted, expected.items(), strict=True
    ):
        same(what, found, right)
    return "all three"


def _draw(*shape, seed=0):
    """Normal numbers, the same for a shape and a seed, with a .grad."""
    from lessons.matrix import GradArray

    rng = np.random.default_rng([seed, *shape])
    return rng.normal(size=shape).view(GradArray)


def _linear(inputs, outputs):
    from lessons.modules import Linear

    layer = Linear(inputs, outputs, rng=np.random.default_rng(0))
    layer.b[:] = _draw(outputs)
    return layer


def _written(name, array):
    if array.grad is None:
        raise Wrong(f"backward leaves {name}.grad as it was, None")


def _right_backward(layer, X, **parameters):
    """Wrong unless the layer's backward writes the right gradients."""
    arrays = {"X": X, **parameters}
    for array in arrays.values():
        array._grad = None
    out = layer(X)
    other = 3 + np.array(_draw(*out.shape, seed=2))
    G = np.array(out) + other
    out.grad = G.copy()
    layer.backward()
    unchanged("the gradient of the output", out.grad, G)
    for name, array in arrays.items():
        _written(name, array)

    def half_squares():
        return float(((layer(X) + other) ** 2).sum() / 2)

    right_gradients(half_squares, arrays)


# -- Chapter 4 ------------------------------------------------------------


@exercise("4.1", "list")
def xor_weights(weights):
    from lessons.xor import INPUTS, XOR

    names, shapes = "W1 b1 W2 b2".split(), [(2, 2), (2,), (2, 1), (1,)]
    arrays = [np.asarray(p, float) for p in weights]
    for name, p, shape in zip(names, arrays, shapes, strict=True):
        if p.shape != shape:
            raise Wrong(f"{name}: expected shape {shape}, got {p.shape}")
    W1, b1, W2, b2 = arrays
    same("Y_hat", np.maximum(INPUTS @ W1 + b1, 0) @ W2 + b2, XOR)
    return "all four rows"


@exercise("4.2", "function")
def tanh_hidden(tanh_gradients):
    from lessons.xor import sigmoid

    for n, h in (4, 3), (7, 5):
        rng = np.random.default_rng(n)
        sizes = (2, h), h, (h, 1), 1
        X, Y = rng.normal(size=(n, 2)), rng.uniform(size=(n, 1))
        W1, b1, W2, b2 = parameters = [rng.normal(size=s) for s in sizes]
        before = [p.copy() for p in parameters]

        def loss(X=X, Y=Y, W1=W1, b1=b1, W2=W2, b2=b2):
            Y_hat = sigmoid(np.tanh(X @ W1 + b1) @ W2 + b2)
            return float(np.mean((Y_hat - Y) ** 2))

        answer = tanh_gradients(X, Y, *parameters)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise Wrong("expected to get back loss, (four gradients)")
        found, gradients = answer
        same(f"the loss of {n} rows", found, loss())
        arrays = {}
        names = "W1 b1 W2 b2".split()
        for name, p, g in zip(names, parameters, gradients, strict=True):
            if np.shape(g) != p.shape:
                raise Wrong(f"{name}: a gradient of shape {np.shape(g)}")
            arrays[name] = p, np.asarray(g)
        right_gradients(loss, arrays)
        for name, p, old in zip(names, parameters, before, strict=True):
            unchanged(name, p, old)
    return "4 rows and 3 units, 7 rows and 5 units"


@exercise("4.3", "function")
def step_mended(step):
    from lessons.xor import start, step_by_hand

    for seed, lr in (0, 2.0), (1, 0.1), (2, 50.0):
        theirs, ours = start(3, seed), start(3, seed)
        step(*theirs, lr)
        step_by_hand(ours, lr)
        names, before = "W1 b1 W2 b2".split(), start(3, seed)
        rows = zip(names, theirs, ours, before, strict=True)
        for name, p, q, old in rows:
            if np.array_equal(p, old):
                raise Wrong(f"{name} has not moved: {name} -= ...")
            same(f"{name} after a step with lr={lr}", p, q)
    return "three learning rates"


@exercise("4.4", "list")
def beyond_one_layer(names):
    from itertools import product

    from lessons.modules import SGD, Linear, MSELoss, Sequential, Sigmoid
    from lessons.modules import train_step
    from lessons.xor import INPUTS, solved

    tables = ["".join(digits) for digits in product("01", repeat=4)]
    for name in names:
        if name not in tables:
            raise Wrong(f"{name!r} is not four digits in quotes")
    beyond = set()
    for name in tables:
        Y = np.array([[float(digit)] for digit in name])
        layer = Linear(2, 1, rng=np.random.default_rng(0))
        model = Sequential(layer, Sigmoid())
        optimizer = SGD(model.parameters(), lr=2)
        for _ in range(500):
            train_step(model, MSELoss(), optimizer, INPUTS, Y)
        if not solved(np.array(model(INPUTS)), Y):
            beyond.add(name)
    if extra := len(set(names) - beyond):
        raise Wrong(f"a single layer learns {extra} of yours")
    if missing := len(beyond - set(names)):
        raise Wrong(f"{missing} more that no single layer learns")
    return "a single layer trained on all sixteen"


@exercise("4.5", "function")
def parity(parity_model):
    from itertools import product

    from lessons.modules import SGD, MSELoss, train_step

    X = np.array(list(product([0.0, 1.0], repeat=3)))
    Y = X.sum(axis=1, keepdims=True) % 2
    solved, starts = 0, set()
    for seed in range(10):
        model = parity_model(np.random.default_rng(seed))
        starts.add(np.array(model.parameters()[0]).tobytes())
        if len(starts) == 1 and seed:
            raise Wrong("two seeds give one start: draw it from rng")
        if np.shape(model(X)) != (8, 1):
            raise Wrong(
                f"expected answers (8, 1), got {np.shape(model(X))}"
            )
        optimizer = SGD(model.parameters(), lr=2)
        for _ in range(3000):
            train_step(model, MSELoss(), optimizer, X, Y)
        solved += bool((np.abs(np.array(model(X)) - Y) < 0.5).all())
    if solved < 8:
        raise Wrong(
            f"{solved} of ten models answer all eight rows rightly"
        )
    return f"{solved} of ten models"


@exercise("4.6", "text")
def tanh_or_sigmoid(guess):
    from lessons.xor import (
        INPUTS,
        XOR,
        sigmoid,
        solved,
        start,
        train_starts,
    )

    if guess not in ("more", "less"):
        raise Wrong(f'expected "more" or "less", got {guess!r}')
    starts = [start(2, seed) for seed in range(20)]
    run = train_starts(starts, lr=0.5, num_steps=5000)
    with_sigmoid = solved(run[2]).sum()
    with_tanh = 0
    for W1, b1, W2, b2 in starts:
        for _ in range(5000):
            A = np.tanh(INPUTS @ W1 + b1)
            Y_hat = sigmoid(A @ W2 + b2)
            G2 = 0.5 * (Y_hat - XOR) * Y_hat * (1 - Y_hat)
            G1 = G2 @ W2.T * (1 - A**2)
            W2 -= 0.5 * A.T @ G2
            b2 -= 0.5 * G2.sum(axis=0)
            W1 -= 0.5 * INPUTS.T @ G1
            b1 -= 0.5 * G1.sum(axis=0)
        with_tanh += solved(Y_hat)
    counts = f"sigmoid {with_sigmoid} of 20, tanh {with_tanh}"
    if (guess == "more") != (with_tanh > with_sigmoid):
        raise Wrong(f"a run finds the opposite: {counts}")
    return counts


# -- Chapter 5 ------------------------------------------------------------


@exercise("5.1", "class")
def _soft_labels(loss_class):
    import torch
    from torch.nn.functional import cross_entropy

    rng = np.random.default_rng(51)
    for n, out in (5, 2), (3, 4), (7, 10):
        y_hat, y = 2 * _draw(n, out), rng.integers(out, size=n)
        theirs = torch.tensor(np.array(y_hat)), torch.tensor(y)
        expected = cross_entropy(*theirs, label_smoothing=0.1).item()
        right_loss(loss_class(), y_hat, y, expected)
    return "three batches, of 2, 4 and 10 classes"


@exercise("5.2", "function")
def _yes_or_no(loss_and_gradient):
    rng = np.random.default_rng(52)
    far = np.array([[1e4], [1e4], [-1e4], [-1e4], [0.0]])
    cases = [(rng.normal(size=(n, 1)), n) for n in (1, 4, 7)] + [(far, 5)]
    for z, n in cases:
        y = (np.arange(n) % 2).reshape(n, 1)
        kept = z.copy(), y.copy()
        with np.errstate(all="ignore"):
            answer = loss_and_gradient(z, y)
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise Wrong(
                    f"expected a loss and a gradient, got {answer!r}"
                )
            p = np.exp(-np.logaddexp(0, -z))
        at = "scores of 10,000: " if z is far else ""
        loss = np.mean(np.logaddexp(0, z) - y * z)
        same(f"{at}the loss", answer[0], loss)
        gradient = np.asarray(answer[1], float)
        if gradient.shape != z.shape:
            same("the gradient", gradient, z)
        if z is far:  # too coarse to nudge
            same(f"{at}the gradient", gradient, (p - y) / n)
        else:
            pair = {"z": (z, gradient)}
            right_gradients(
                lambda z=z, y=y: loss_and_gradient(z, y)[0], pair
            )
        unchanged("z", z, kept[0])
        unchanged("y", y, kept[1])
    return "batches of 1, 4 and 7, and scores of 10,000"


@exercise("5.3", "function")
def _deal(deal):
    for n, size in (10, 4), (12, 4), (3, 5), (50, 8):
        X, y = np.arange(2.0 * n).reshape(n, 2), 10 * np.arange(n)
        kept, orders = X.copy(), []
        rng = np.random.default_rng(n)
        for _ in range(2):
            batches = list(deal(X, y, size, rng))
            dealt = np.concatenate([rows for rows, _ in batches])
            named = np.concatenate([labels for _, labels in batches])
            if len(dealt) != n or len(named) != n:
                raise Wrong(f"a pass over {n} rows has {len(dealt)}")
            if not np.array_equal(5 * dealt[:, 0], named):
                raise Wrong("a row has another row's label")
            there = len(np.unique(named))
            if there < n:
                raise Wrong(
                    f"a pass over {n} rows has only {there} of them, some "
                    "more than once"
                )
            full = [len(rows) for rows, _ in batches[:-1]]
            if any(k != size for k in full) or len(batches[-1][0]) > size:
                raise Wrong("a batch before the last is not full")
            orders.append(named.tolist())
        if n > 3 and (orders[0] == orders[1] or y.tolist() in orders):
            raise Wrong("the order of a pass is not a new one")
        unchanged("X", X, kept)
    return "passes over 3 to 50 rows"


@exercise("5.4", "list", "list")
def _from_nothing(in_linear, in_network):
    from lessons.mnist import CrossEntropyLoss
    from lessons.modules import Linear, ReLU, Sequential

    rng = np.random.default_rng(54)
    X, y = rng.normal(size=(20, 6)), rng.integers(3, size=20)
    for name, said, layers in (
        ("the linear model", in_linear, [Linear(6, 3, rng=rng)]),
        (
            "the network",
            in_network,
            [Linear(6, 4, rng=rng), ReLU(), Linear(4, 3, rng=rng)],
        ),
    ):
        model, loss_fn = Sequential(*layers), CrossEntropyLoss()
        for p in model.parameters():
            p[:] = 0
        loss_fn(model(X), y)
        loss_fn.backward()
        model.backward()
        found = [bool(p.grad.any()) for p in model.parameters()]
        said = list(said)
        if len(said) != len(found) or set(said) - {True, False}:
            raise Wrong(
                f"{name}: expected {len(found)} of True and False, got "
                f"{said}"
            )
        right = sum(a == b for a, b in zip(said, found, strict=True))
        if right < len(found):
            raise Wrong(f"{name}: {right} of {len(found)} are right")
    return "one run of each"


@exercise("5.5", "class")
def _decay(optimizer_class):
    from torch.optim import SGD

    right_steps(
        optimizer_class,
        lambda p, lr, decay: SGD(p, lr, weight_decay=decay),
        *[(0.5, 0.1), (0.05, 0.3), (0.1, 1e-9)],
        steps=3,
    )
    return "three steps with each of three settings"


@exercise("5.7", "function")
def _read_digits(read_digits):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(57).permutation(len(X))
    known, new = order[:1200], order[1200:]
    shares = []
    for names in np.arange(10), (3 * np.arange(10) + 4) % 10:
        given = X[known].copy(), names[y[known]], X[new].copy()
        kept = [a.copy() for a in given]
        answers = np.asarray(read_digits(*given))
        if answers.shape != (len(new),):
            raise Wrong(
                f"expected answers of shape ({len(new)},), got "
                f"{answers.shape}"
            )
        for what, now, before in zip(
            "X y X_new".split(), given, kept, strict=True
        ):
            unchanged(what, now, before)
        shares.append(np.mean(answers == names[y[new]]))
    least = min(shares)
    if least < 0.95:
        raise Wrong(
            f"{least:.2f} of {len(new)} new images are right, expected "
            "0.95 or more"
        )
    return f"{len(new)} new images, under two sets of names"


# -- Chapter 6 ------------------------------------------------------------


@exercise("6.1", "class")
def _weighted(loss_class):
    import torch

    rng = np.random.default_rng(61)
    for n, weight in (5, 3.0), (8, 0.2), (1, 50.0):
        loss_fn, y_hat = loss_class(weight), _draw(n, 2, seed=61)
        y = (rng.random((n, 2)) > 0.5).astype(float)
        y[0] = 1, 0
        theirs = torch.nn.BCEWithLogitsLoss(
            pos_weight=torch.tensor([weight, weight], dtype=torch.float64)
        )
        both = torch.tensor(np.array(y_hat)), torch.tensor(y)
        right_loss(loss_fn, y_hat, y, theirs(*both).item())
    far = 1000 * np.array([[1.0, -1.0]]).view(type(y_hat))
    with np.errstate(all="ignore"):
        loss = loss_class(2.0)(far, np.array([[0.0, 1.0]]))
    same("the loss of two scores of 1000", loss, 1500.0)
    return "three weights, and scores of 1000"


@exercise("6.2", "function")
def _prepare(prepare):
    rng = np.random.default_rng(62)
    for n, m, columns in (30, 10, 3), (12, 1, 5):
        train, test, other = (
            rng.normal(5 * k, 1 + k, size=(rows, columns))
            for k, rows in enumerate((n, m, m))
        )
        for array in train, test, other:
            array[0, 0] = np.nan
        kept = train.copy(), test.copy()
        found = prepare(train, test)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Wrong("expected to get back X_train, X_test")
        for what, array in zip(("X_train", "X_test"), found, strict=True):
            if np.isnan(array).any():
                raise Wrong(f"{what} has gaps left")
        mean, std = np.nanmean(kept[0], axis=0), np.nanstd(kept[0], axis=0)
        again = prepare(kept[0].copy(), other)
        if not np.allclose(found[0], again[0]):
            raise Wrong("X_train depends on what the test rows are")
        for what, now, before in zip(
            ("X_train", "X_test"), found, kept, strict=True
        ):
            filled = np.where(np.isnan(before), mean, before)
            same(what, now, (filled - mean) / std)
            given = train if what == "X_train" else test
            if not np.array_equal(given, before, equal_nan=True):
                raise Wrong(f"{what} is changed: make a new array")
    return "two tables with gaps, one with a single test row"


@exercise("6.3", "class")
def _adamw(optimizer_class):
    from torch.optim import AdamW

    twin = lambda p, lr, w: AdamW(p, lr, weight_decay=w)  # noqa: E731
    right_steps(optimizer_class, twin, (0.1, 0.5), (0.01, 0.05))
    return "two arrays, five steps, two pairs of lr and decay"


@exercise("6.4", "list", "list")
def _two_steps(for_1, for_1000):
    from lessons.own_data import Adam, Momentum, SGD

    for gradient, said in (1.0, for_1), (1000.0, for_1000):
        if len(said) != 3:
            raise Wrong(f"expected three numbers, got {len(said)}")
        for make, answer in zip((SGD, Momentum, Adam), said, strict=True):
            p = 0 * _draw(1)
            optimizer = make([p], 0.1)
            for _ in range(2):
                p.grad = np.array([gradient])
                optimizer.step()
            what = f"{make.__name__}, with a gradient of {gradient:.0f}"
            same(what, answer, p[0], within=1e-3)
    return "all six"


@exercise("6.5", "function")
def _best_epoch(best_epoch):
    from lessons.own_data import Network

    for losses in [3, 1, 2, 4], [1, 2, 3], [3, 2, 1], [2, 1, 1, 5]:
        model, epochs = Network(_linear(2, 1)), []

        def epoch(model=model, epochs=epochs):
            epochs.append(1)
            for p in model.parameters():
                p += 1

        def loss(losses=losses, epochs=epochs):
            return float(losses[len(epochs) - 1])

        arrays = model.parameters()
        start = [np.array(p) for p in arrays]
        best_epoch(model, epoch, loss, len(losses))
        if len(epochs) != len(losses):
            raise Wrong(f"{len(epochs)} epochs of {len(losses)} were run")
        now = model.parameters()
        if any(p is not q for p, q in zip(now, arrays, strict=True)):
            raise Wrong("the model has other arrays: write into its own")
        best = 1 + losses.index(min(losses))
        for p, old in zip(now, start, strict=True):
            moved = float((p - old).ravel()[0])
            if abs(moved - best) > 1e-9:
                raise Wrong(
                    f"losses {losses}: it ends with the weights of epoch "
                    f"{moved:.0f}"
                )
    return "best epoch first, between and last, and a tie"


# -- Chapter 7 ------------------------------------------------------------


def _diagnosis(number, *found):
    """Wrong unless found names a mystery's faults, and their places."""
    from lessons.bugs import BUGS, CHECKS, mystery, seen

    program, named = mystery(number), {bug.name: bug for bug in BUGS}
    functions = vars(program)
    for name, place in found:
        if name not in named:
            raise Wrong(f"no fault in the table has the name {name!r}")
        if place not in functions:
            raise Wrong(f"{place!r} is none of {', '.join(functions)}")
        bug = named[name]
        if bug.changed.items() <= functions.items():
            if place != bug.place:
                raise Wrong(f"{name}: its place is not {place!r}")
            continue
        runs = [(seen(program, c), seen(bug.program, c)) for c in CHECKS]
        here, there = max(runs, key=lambda two: abs(two[0] - two[1]))
        if here == there:
            raise Wrong(
                f"not {name!r}, though every check says the same of it: "
                "look closer than the checks do"
            )
        check = CHECKS[runs.index((here, there))].__name__
        raise Wrong(
            f"not {name!r}: to that, `{check}` objects in {there} of 2 "
            f"runs, to the mystery in {here}"
        )
    if len({name for name, _ in found}) < len(found):
        raise Wrong("two faults, and this is one of them")
    return "each name and its place"


# The tenth is mystery(0), in which two faults hide each other.
for _k in range(1, 11):
    exercise(f"7.{_k}", *["pair"] * (1 + _k // 10))(
        partial(_diagnosis, _k % 10)
    )


@exercise("7.11", "function")
def mended_backward(backward):
    from lessons.bugs import forward, loss, start

    for seed in range(3):
        rng = np.random.default_rng(seed)
        p = {k: a + 0.1 for k, a in start(rng).items()}
        X, y = rng.normal(size=(7, 64)), rng.integers(10, size=7)

        def value(X=X, y=y, p=p, seed=seed):
            S = forward(X, p, np.random.default_rng(seed))[0]
            return loss(S, y)[0]

        S, kept = forward(X, p, np.random.default_rng(seed))
        grads = backward(loss(S, y)[1], p, kept)
        if not isinstance(grads, dict) or grads.keys() != p.keys():
            raise Wrong(f"expected a dict with {', '.join(p)}")
        for k, a in p.items():
            if np.shape(grads[k]) != a.shape:
                raise Wrong(f"{k}: expected shape {a.shape}")
        right_gradients(value, {k: (p[k], grads[k]) for k in p})
    return "three batches, with dropout"


@exercise("7.12", "list")
def predicted_checks(names):
    from dataclasses import replace

    from lessons.bugs import CHECKS, Program, step

    def weights_only(p, grads, velocity, lr):
        step({k: p[k] for k in ("W1", "W2", "W3")}, grads, velocity, lr)

    program = replace(Program(), step=weights_only)
    every = {check.__name__: check for check in CHECKS}
    if unknown := [n for n in names if n not in every]:
        raise Wrong(f"no check has the name {unknown[0]!r}")
    objecting = {n for n, check in every.items() if check(program, 0)}
    if missed := len(objecting - set(names)):
        raise Wrong(f"{missed} more would object")
    if surplus := len(set(names) - objecting):
        raise Wrong(f"of yours, {surplus} would not object")
    return "a run of every check"


# -- Chapter 8 ------------------------------------------------------------


def _right_rule(function, rules, arrays, **how):
    """Wrong unless each rule gives what nudging its argument gives."""
    from lessons.autograd import unbroadcast

    out = function(*arrays, **how)
    G = np.random.default_rng(1).normal(size=out.shape)
    given = {"G": G, "out": out, **dict(zip("ab", arrays, strict=False))}
    before = {name: array.copy() for name, array in given.items()}
    whole, pairs = np.broadcast_shapes(*(a.shape for a in arrays)), {}
    for name, a, rule in zip("ab", arrays, rules, strict=False):
        what = f"the gradient by {name}"
        found = rule(G, out, *arrays, **how)
        for which, array in given.items():
            unchanged(which, array, before[which])
        if isinstance(found, tuple):
            raise Wrong(f"{what}: a tuple: return the array by itself")
        same(what, found, found)
        found = np.asarray(found, float)
        if found.shape not in (whole, a.shape):
            raise Wrong(
                f"{what}: expected shape {whole}, got {found.shape}"
            )
        if np.array_equal(found, rule(2 * G, out, *arrays, **how)):
            raise Wrong(f"{what} is the same for another G: multiply by G")
        pairs[name] = a, unbroadcast(found, a.shape)
    right_gradients(
        lambda: float((function(*arrays, **how) * G).sum()), pairs
    )


@exercise("8.1", "function")
def sqrt_rule(by_sqrt):
    for shape in (3,), (2, 4):
        a = np.random.default_rng(0).uniform(0.2, 3, shape)
        _right_rule(np.sqrt, [by_sqrt], [a])
    return "two shapes"


@exercise("8.2", "function")
def softmax_rule(by_softmax):
    def softmax(Z):
        e = np.exp(Z - Z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    rng = np.random.default_rng(0)
    for shape, shift in ((4, 3), 0), ((2, 5), 0), ((3, 4), 1000):
        with np.errstate(over="raise", invalid="raise"):
            Z = rng.normal(size=shape) + shift
            _right_rule(softmax, [by_softmax], [Z])
    return "three arrays of scores"


@exercise("8.3", "function")
def mean_rule(by_mean):
    a = np.random.default_rng(0).normal(size=(3, 4))
    for axis in 0, 1:
        _right_rule(np.mean, [by_mean], [a], axis=axis)
    return "both axes"


@exercise("8.4", "function", "function")
def logaddexp_rules(by_a, by_b):
    rng = np.random.default_rng(0)
    for shapes in ((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1), (2, 3)):
        arrays = [rng.normal(size=shape) for shape in shapes]
        _right_rule(np.logaddexp, [by_a, by_b], arrays)
    one, a, b = np.ones(1), np.array([1000.0]), np.array([999.0])
    with np.errstate(over="raise", invalid="raise"):
        slope = by_a(one, np.logaddexp(a, b), a, b)
        same("by a, at 1000 and 999", slope, 1 / (1 + np.exp([-1.0])))
    return "two arguments, equal and stretched, large ones"


@exercise("8.5", "list")
def four_gradients(after):
    from lessons.autograd import Tensor

    x, found = Tensor(3.0), []
    for formula in (
        lambda: x * x,
        lambda: 2 * x,
        lambda: x * x.detach(),
        lambda: x * x * 0 + x[()],
    ):
        formula().backward()
        found.append(float(x.grad))
    if len(after) != 4:
        raise Wrong(f"expected four numbers, got {len(after)}")
    for line in range(4):
        same(f"after line {line + 1}", after[line], found[line])
    return "a run of the four lines"


@exercise("8.6", "class", "function")
def mended_descent(Tensor, descend):
    rng = np.random.default_rng(0)
    for shapes in ((6, 3), (6, 2), (3, 2)), ((6, 2), (6, 1), (2, 1)):
        X, Y, begin = (rng.normal(size=shape) for shape in shapes)
        for lr, num_steps in (0.1, 1), (0.1, 2), (0.3, 5):
            W, expected = Tensor(begin), begin.copy()
            for _ in range(num_steps):
                G = 2 * (X @ expected - Y) / Y.size
                expected -= lr * (X.T @ G)
            descend(W, X, Y, lr, num_steps)
            if np.array_equal(W, begin):
                raise Wrong("W is what it was: change it in place")
            what = f"W after step {num_steps}, lr={lr}"
            same(what, W.detach(), expected)
    return "one, two and five steps, on two sets of data"


# -- Chapter 9 ------------------------------------------------------------


@exercise("9.1", "function")
def combined(combine):
    rng = np.random.default_rng(0)
    for counts in [2, 2], [3, 1], [4, 0, 3], [1, 2, 3, 0]:
        rows = rng.normal(size=(sum(counts), 3, 2))
        parts = np.split(rows, np.cumsum(counts)[:-1])
        means = [
            part.mean(axis=0) if len(part) else np.full((3, 2), np.nan)
            for part in parts
        ]
        what = f"the gradient of shards of {counts} rows"
        found = combine([mean.copy() for mean in means], list(counts))
        same(what, found, rows.mean(axis=0))
    return "equal, ragged and empty shards"


def _each_once(what, parts, n):
    """Wrong unless every row below n is in one of the parts, once."""
    if any(part is None for part in parts):
        raise Wrong(f"{what}: None; is there a return?")
    rows = [int(row) for part in parts for row in part]
    times = {row: rows.count(row) for row in [*range(n), *rows]}
    for row, count in times.items():
        if row not in range(n):
            raise Wrong(f"{what}: there is no row {row}")
        if count != 1:
            raise Wrong(f"{what}: row {row} is taken {count} times")


@exercise("9.2", "function")
def dealt(my_rows):
    for n, size in (8, 2), (25, 2), (25, 4), (3, 4), (7, 1):
        parts = [my_rows(n, rank, size) for rank in range(size)]
        _each_once(f"{n} rows, {size} ranks", parts, n)
        lengths = [len(part) for part in parts]
        if max(lengths) - min(lengths) > 1:
            raise Wrong(f"{n} rows, {size} ranks: dealt as {lengths}")
    return "five pairs of rows and ranks"


@exercise("9.3", "function")
def shuffled(epoch_rows):
    for n, size in (12, 2), (25, 4):
        orders = []
        for epoch in 0, 1, 1:
            parts = [epoch_rows(n, 7, epoch, r, size) for r in range(size)]
            _each_once(f"{n} rows, {size} ranks", parts, n)
            orders.append([int(row) for part in parts for row in part])
        if orders[0] == orders[1]:
            raise Wrong("epochs 0 and 1 have the same order")
        if orders[1] != orders[2]:
            raise Wrong("the same epoch, asked twice, has two orders")
        if orders[0] == sorted(orders[0]):
            raise Wrong("the rows are not shuffled")
    return "every row once, three epochs, two and four ranks"


@exercise("9.4", "function")
def partners(partner):
    for m in 1, 2, 3, 4:
        size = 2**m
        held = np.random.default_rng(m).normal(size=(size, 3))
        total = held.sum(axis=0)
        for t in range(m):
            pairs = [partner(rank, t) for rank in range(size)]
            for rank, other in enumerate(pairs):
                what = f"{size} ranks, round {t}: rank {rank}'s partner"
                if other not in range(size) or other == rank:
                    raise Wrong(f"{what} is {other}")
                if pairs[other] != rank:
                    raise Wrong(f"{what} is {other}, whose own is another")
            held = held + held[pairs]
        for rank in range(size):
            same(f"{size} ranks: what rank {rank} has", held[rank], total)
    return "two, four, eight and sixteen ranks"


@exercise("9.5", "list")
def predicted_sends(sends):
    if len(sends) != 4:
        raise Wrong(f"expected four numbers, got {len(sends)}")
    for told, p in zip(sends, (1, 2, 3, 6), strict=True):
        parts = np.array_split(np.zeros(1200), p)
        sent = sum(parts[-t % p].size for t in range(2 * (p - 1)))
        same(f"sent by each of {p}", told, sent)
    return "four rings"


@exercise("9.6", "function")
def factors(factor):
    rng = np.random.default_rng(0)
    for counts in [2, 2], [3, 1], [6, 5], [3, 3, 3, 2]:
        n, size = sum(counts), len(counts)
        rows = rng.normal(size=(n, 3))
        parts = np.split(rows, np.cumsum(counts)[:-1])
        scaled = [
            factor(len(part), n, size) * part.mean(axis=0)
            for part in parts
        ]
        what = f"the average for shards of {counts} rows"
        same(what, np.mean(scaled, axis=0), rows.mean(axis=0))
    return "equal and ragged shards"
