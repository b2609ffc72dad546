"""What must hold for every shape, depth and number, drawn by hypothesis.

Gradients are compared with two witnesses: numerical_gradient and PyTorch
in float64. How far apart two right answers may be is computed for each
example from the rules of rounding, by ``Near`` and ``steepest``.

The examples are the same in every run, and nothing is written.
"""

import math
import tempfile
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import expit
from torch import nn

from lessons import chain, matrix, mnist, modules, xor
from lessons.matrix import GradArray, numerical_gradient

# Even without a database it keeps a cache, by default in the tree.
set_hypothesis_home_dir(tempfile.gettempdir())

# Time is never asserted: a slow machine is not a wrong one.
repeatable = settings(
    derandomize=True, database=None, deadline=None, max_examples=60
)

# NumPy warns where a result is doubtful; here nothing may be.
pytestmark = pytest.mark.filterwarnings("error")

# -- How far rounding can take a result -----------------------------------

U = 2.0**-53  # an operation is off by at most this part of its result,
TINY = 2.0**-1022  # and by this where that is too small for full digits
CALL = 8 * U  # exp, log, tanh: 4 units in the last place
H = 1e-5  # the step of numerical_derivative


class Near:
    """Numbers, each with a bound on how far rounding may have moved it.

    Each operation hands on the errors of its operands, to first order,
    and adds its own. The bound for a sum of k terms holds in whichever
    order they are added, fused or not (Higham, *Accuracy and Stability
    of Numerical Algorithms*, 2nd ed., sections 3.1 and 4.2), so it holds
    for this course and for PyTorch: they are at most two of it apart.
    """

    def __init__(self, value, error=0.0):
        self.value = np.array(value, float)
        self.error = np.broadcast_to(error, self.value.shape)

    @classmethod
    def rounded(cls, value, error):
        return cls(value, error + U * np.abs(value) + TINY)

    def __add__(self, other):
        value = self.value + other.value
        return Near.rounded(value, self.error + other.error)

    def __sub__(self, other):
        value = self.value - other.value
        return Near.rounded(value, self.error + other.error)

    def __mul__(self, other):
        error = self.error * np.abs(other.value)
        error = error + other.error * np.abs(self.value)
        return Near.rounded(self.value * other.value, error)

    def __matmul__(self, other):
        one, two = np.abs(self.value), np.abs(other.value)
        error = self.error @ two + one @ other.error
        own = len(other.value) * (U * (one @ two) + TINY)
        return Near(self.value @ other.value, error + own)

    def sum(self, axis=None):
        steps = self.value.size if axis is None else len(self.value)
        own = steps * U * np.abs(self.value).sum(axis)
        return Near(self.value.sum(axis), self.error.sum(axis) + own)

    @property
    def T(self):
        return Near(self.value.T, self.error.T)

    def relu(self):
        # Where rounding decides the side of the bend, two right answers
        # may differ as a whole. A zero without error is no such case.
        assume(
            ((np.abs(self.value) > self.error) | (self.error == 0)).all()
        )
        up = self.value > 0
        return Near(self.value * up, self.error * up)

    def tanh(self):  # nowhere steeper than 1
        value = np.tanh(self.value)
        return Near(value, self.error + CALL * np.abs(value) + TINY)

    def sigmoid(self):  # nowhere steeper than 1/4; exp, +, / and 1 - a
        value = expit(self.value)
        return Near(value, self.error / 4 + 3 * CALL * value + TINY)


ONE = Near(1.0)
BENDS = {  # forward, and the slope from output a and input z
    "ReLU": (Near.relu, lambda a, z: Near(z.value > 0)),
    "Tanh": (Near.tanh, lambda a, z: ONE - a * a),
    "Sigmoid": (Near.sigmoid, lambda a, z: a * (ONE - a)),
}


def near_forward(net, X):
    """The input of each layer, and at the end the answer."""
    found = [Near(X)]
    for layer in net:
        if isinstance(layer, str):
            found.append(BENDS[layer][0](found[-1]))
        else:
            W, b = map(Near, layer)
            found.append(found[-1] @ W + b)
    return found


def near_backward(net, found, G):
    """The gradients of X, W_1, b_1, W_2, …, given the answer's."""
    gradients = []
    steps = list(zip(net, found[:-1], found[1:], strict=True))
    for layer, z, a in reversed(steps):
        if isinstance(layer, str):
            G = G * BENDS[layer][1](a, z)
        else:
            gradients[:0] = [z.T @ G, G.sum(axis=0)]
            G = G @ Near(layer[0]).T
    return [G, *gradients]


def near_squares(net, X, y):
    """The mean squared error, and the gradients of X, W_1, b_1, …"""
    *_, y_hat = found = near_forward(net, X)
    miss = y_hat - Near(y)
    loss = (miss * miss).sum() * Near(1 / y.size, U)
    G = miss * Near(2 / y.size, U)
    return loss, near_backward(net, found, G)


def assert_near(ours, theirs, bound, where=""):
    """At most twice the bound apart: each may have used it up."""
    ours, theirs = np.array(ours), np.array(theirs)
    assert ours.shape == theirs.shape, where
    apart = np.abs(ours - theirs)
    assert (apart <= 2 * bound.error).all(), (
        f"{where}: ours\n{ours}\ntheirs\n{theirs}\n"
        f"apart\n{apart}\nallowed\n{2 * bound.error}"
    )


# -- How far a central difference may be off ------------------------------

# No slope, second and third derivative is larger, anywhere.
STEEPEST = {
    "ReLU": (1, 0, 0),
    "Tanh": (1, 0.77, 2),
    "Sigmoid": (0.25, 0.097, 0.125),
}


def steepest(net, X, y):
    """Bounds on the first and third derivative of the squared error.

    By any one entry of X, W or b. d holds bounds on what the first three
    derivatives of the values between two layers can be: a linear layer
    stretches them by at most the largest column of |W|, and a nudge of
    its own W or b starts with the slope |x| or 1; a bend acts by the
    chain rule, taken three times.
    """
    *inputs, y_hat = near_forward(net, X)
    d = 1.0, 0.0, 0.0
    for layer, z in zip(net, inputs, strict=True):
        d1, d2, d3 = d
        if isinstance(layer, str):
            if layer == "ReLU":  # the nudges stay on one side of the bend
                assume(np.abs(z.value).min() > 2 * H * d1)
            s1, s2, s3 = STEEPEST[layer]
            d3 = s3 * d1**3 + 3 * s2 * d1 * d2 + s1 * d3
            d = s1 * d1, s2 * d1**2 + s1 * d2, d3
        else:
            widest = np.abs(layer[0]).sum(axis=0).max()
            start = max(1, np.abs(z.value).max() + H * d1)
            d = max(widest * d1, start), widest * d2, widest * d3
    miss = np.abs(y_hat.value - y).max() + H * d[0]
    return 2 * miss * d[0], 6 * d[0] * d[1] + 2 * miss * d[2]


def rounding(net, X, y):
    """How far rounding can move the squared error near net and X.

    Every bound of Near grows with the size of its operands, so it is
    largest where none cancels any other.
    """
    larger = [
        layer
        if isinstance(layer, str)
        else tuple(np.abs(array) + H for array in layer)
        for layer in net
    ]
    loss, _ = near_squares(larger, np.abs(X) + H, -np.abs(y))
    return loss.error


def assert_as_nudged(gradient, slopes, array, bound, nudge):
    """The gradient is the slope, but for what a nudge costs.

    nudge: the rounding of f, and bounds on its first and third
    derivative. (f(x + h) - f(x - h)) / 2h is off by h**2 / 6 times the
    third, by the rounding of f over h, and by the first times the
    rounding of x + h over h, and four more roundings.
    """
    rounded, first, third = nudge
    moved = U * (np.abs(array) / H + 4) * first
    allowed = H**2 / 6 * third + rounded / H + moved + bound.error
    assert np.shape(gradient) == np.shape(slopes)
    apart = np.abs(np.array(gradient) - slopes)
    assert (apart <= allowed).all(), (
        f"ours\n{gradient}\nnudged\n{slopes}\n"
        f"apart\n{apart}\nallowed\n{allowed}"
    )


# -- What is drawn --------------------------------------------------------

SIZES = st.integers(1, 4)
TAME = st.floats(-1, 1)
# Signed zeros, what underflows when multiplied, and what saturates.
WILD = st.one_of(
    st.floats(-2, 2),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-150, -1e-150]),
    st.sampled_from([20.0, -20.0, -40.0, 50.0, 1e4, -1e4]),
)
HUGE = st.one_of(WILD, st.sampled_from([1e150, -1e150, 1e300, -1e300]))
HUGE_LOGITS = st.one_of(
    st.floats(-5, 5), HUGE, st.floats(-1e3, 1e3), st.floats(-1e300, 1e300)
)


def matrices(entries, rows=SIZES, columns=SIZES):
    """Of any shape; sizes that are numbers are taken as they are."""

    def fix(size):
        return st.just(size) if isinstance(size, int) else size

    shapes = st.tuples(fix(rows), fix(columns))
    return arrays(float, shapes, elements=entries)


@st.composite
def problems(draw, entries, bends=tuple(BENDS)):
    """A network with bends at random places, its input and targets.

    The network is a list of (W, b) and of names of bends; it begins with
    a linear layer.
    """
    n, width = draw(SIZES), draw(SIZES)
    X = draw(matrices(entries, n, width))
    net = []
    for _ in range(draw(st.integers(1, 3))):
        out = draw(SIZES)
        W = draw(matrices(entries, width, out))
        net.append((W, draw(arrays(float, out, elements=entries))))
        bend = draw(st.sampled_from([None, *bends]))
        net += [bend] if bend else []
        width = out
    return net, X, draw(matrices(entries, n, width))


def torch_forward(net, X):
    """The answer as a tensor, and the leaves X, W_1, b_1, …"""
    x, *rest = leaves = [
        torch.tensor(np.array(array), requires_grad=True)
        for array in flat(net, X)
    ]
    rest = iter(rest)
    for layer in net:
        if isinstance(layer, str):
            x = getattr(torch, layer.lower())(x)
        else:
            x = x @ next(rest) + next(rest)
    return x, leaves


def flat(net, X):
    """X, W_1, b_1, W_2, …"""
    pairs = [layer for layer in net if not isinstance(layer, str)]
    return [X, *(array for pair in pairs for array in pair)]


def torch_squares(net, X, y):
    """The mean squared error, and its gradients by X, W_1, b_1, …"""
    y_hat, leaves = torch_forward(net, X)
    loss = nn.functional.mse_loss(y_hat, torch.tensor(y))
    loss.backward()
    return loss.item(), [leaf.grad.numpy() for leaf in leaves]


def assert_as_pytorch(ours, net, X, y):
    """A loss and the gradients by X, W_1, b_1, … are PyTorch's."""
    (loss, gradients), (their_loss, theirs) = (
        ours,
        torch_squares(net, X, y),
    )
    near_loss, near = near_squares(net, X, y)
    assert_near(loss, their_loss, near_loss, "loss")
    for k, (grad, other, bound) in enumerate(
        zip(gradients, theirs, near, strict=True)
    ):
        assert_near(grad, other, bound, f"gradient {k} of X, W, b, …")


def assert_slopes(gradients, loss, arrays, net, X, y):
    """Gradients by X, W_1, b_1, … are the slopes of loss()."""
    _, near = near_squares(net, X, y)
    nudge = rounding(net, X, y), *steepest(net, X, y)
    for grad, array, bound in zip(gradients, arrays, near, strict=True):
        slopes = numerical_gradient(loss, array)
        assert_as_nudged(grad, slopes, array, bound, nudge)


# -- Chapter 1: a chain ---------------------------------------------------


@st.composite
def chains(draw, entries):
    """w, b, x, y: a chain of one to six neurons, and one sample."""
    depth = draw(st.integers(1, 6))
    numbers = st.lists(entries, min_size=depth, max_size=depth)
    return draw(numbers), draw(numbers), draw(entries), draw(entries)


def as_matrices(w, b, x, y):
    """The same as a network of matrices with one entry."""
    net = []
    for w_k, b_k in zip(w, b, strict=True):
        net += [(np.array([[w_k]]), np.array([b_k])), "Tanh"]
    return net, np.array([[x]]), np.array([[y]])


def chain_squares(w, b, x, y, lr=0.0):
    """The loss and the slopes by x, w_1, b_1, …, from one step."""
    neurons, loss_fn = chain.Chain(w, b), chain.SquaredError()
    loss = loss_fn.forward(neurons.forward(x), y)
    below = neurons.backward(loss_fn.backward(), lr)
    return loss, [below, *chain.gradients(neurons)]


@repeatable
@given(chains(WILD))
def test_a_chain_has_the_gradients_of_pytorch(sample):
    problem = as_matrices(*sample)
    loss, slopes = chain_squares(*sample)
    shaped = [
        np.reshape(slope, array.shape)
        for slope, array in zip(slopes, flat(*problem[:2]), strict=True)
    ]
    assert_as_pytorch((loss, shaped), *problem)


@repeatable
@given(chains(TAME))
def test_a_chain_has_the_numerical_gradients(sample):
    w, b, x, y = sample
    problem = as_matrices(*sample)
    _, near = near_squares(*problem)
    nudge = rounding(*problem), *steepest(*problem)
    values = [x, *(p for pair in zip(w, b, strict=True) for p in pair)]

    def loss_with(k, value):
        x, *p = [*values[:k], value, *values[k + 1 :]]
        answer = chain.Chain(p[::2], p[1::2]).forward(x)
        return chain.SquaredError().forward(answer, y)

    _, slopes = chain_squares(*sample)
    for k, (slope, bound) in enumerate(zip(slopes, near, strict=True)):
        nudged = chain.numerical_derivative(
            partial(loss_with, k), values[k]
        )
        slope = np.reshape(slope, bound.value.shape)
        nudged = np.reshape(nudged, bound.value.shape)
        assert_as_nudged(slope, nudged, values[k], bound, nudge)


@repeatable
@given(chains(WILD), st.floats(0, 10))
def test_a_chain_steps_against_its_gradient(sample, lr):
    w, b, x, y = sample
    neurons = chain.Chain(w, b)
    before = chain.parameters(neurons)
    [(loss, after)] = chain.train(neurons, [(x, y)], lr)
    # lr changes neither the loss nor the gradients of the step itself.
    assert (loss, chain.gradients(neurons)) == (
        chain_squares(*sample)[0],
        chain_squares(*sample)[1][1:],
    )
    assert after == [
        p - lr * g
        for p, g in zip(before, chain.gradients(neurons), strict=True)
    ]


# -- Chapter 2: matrices --------------------------------------------------


def matrix_layers(net):
    """The layers of chapter 2, with the weights of net."""
    layers = []
    for layer in net:
        if isinstance(layer, str):
            layers.append(matrix.ReLU())
        else:
            rng = np.random.default_rng(0)
            layers.append(matrix.Linear(*layer[0].shape, rng=rng))
            layers[-1].W[:], layers[-1].b[:] = layer
    return layers


def matrix_squares(net, X, y):
    """Loss, gradients by X, W_1, b_1, …, the arrays, and the loss anew."""
    layers, X = matrix_layers(net), X.view(GradArray)
    loss_fn = matrix.MSELoss()

    def loss():
        out = X
        for layer in layers:
            out = layer.forward(out)
        return loss_fn.forward(out, y)

    found = loss()
    loss_fn.backward()
    for layer in reversed(layers):
        layer.backward()
    linears = [la for la in layers if isinstance(la, matrix.Linear)]
    every = [X, *(p for layer in linears for p in (layer.W, layer.b))]
    return found, [array.grad for array in every], every, loss


@repeatable
@given(problems(WILD, ["ReLU"]))
def test_matrices_have_the_gradients_of_pytorch(problem):
    assert_as_pytorch(matrix_squares(*problem)[:2], *problem)


@repeatable
@given(problems(TAME, ["ReLU"]))
def test_matrices_have_the_numerical_gradients(problem):
    _, gradients, every, loss = matrix_squares(*problem)
    assert_slopes(gradients, loss, every, *problem)


@repeatable
@given(matrices(HUGE))
def test_relu_serves_every_number_as_pytorch_does(Z):
    Z = Z.view(GradArray)
    out = matrix.relu(Z)
    out.grad = np.ones(Z.shape)
    matrix.relu_grad(out, Z)
    leaf = torch.tensor(np.array(Z), requires_grad=True)
    theirs = torch.relu(leaf)
    theirs.backward(torch.ones(Z.shape, dtype=torch.float64))
    # Exactly: 0 at either zero, 1 from 5e-324 on.
    assert np.array_equal(out, theirs.detach().numpy())
    assert np.array_equal(Z.grad, leaf.grad.numpy())


@repeatable
@given(array_shapes(min_dims=0, min_side=0, max_side=3), st.data())
def test_only_a_gradient_of_its_own_shape_is_taken(shape, data):
    array = np.ones(shape).view(GradArray)
    other = data.draw(array_shapes(min_dims=0, min_side=0, max_side=3))
    array.grad = np.full(shape, 7.0)
    if other == shape:
        array.grad = np.zeros(other)
    else:
        with pytest.raises(ValueError, match="expected shape"):
            array.grad = np.zeros(other)
    assert type(array.grad) is np.ndarray
    assert (array.grad == (0 if other == shape else 7)).all()


@repeatable
@given(
    arrays(
        float,
        array_shapes(min_dims=0, max_side=3),
        elements=st.one_of(st.floats(-1e9, 1e9), HUGE),
    )
)
def test_a_nudged_array_is_put_back_to_the_last_bit(array):
    before = array.tobytes()
    # A step of 1e-5 moves no number of 1e12 or more.
    if np.abs(array).max() < 1e10:
        slopes = numerical_gradient(lambda: 3.0, array)
        assert np.array_equal(slopes, np.zeros(array.shape))
    elif np.abs(array).max() > 1e12:
        with pytest.raises(ValueError, match="h must be above zero"):
            numerical_gradient(lambda: 3.0, array)
    assert array.tobytes() == before


# -- Chapter 3: modules ---------------------------------------------------


def module_layers(net):
    """The layers of chapter 3, with the weights of net."""
    layers = []
    for layer in net:
        if isinstance(layer, str):
            layers.append(getattr(modules, layer)())
        else:
            rng = np.random.default_rng(0)
            layers.append(modules.Linear(*layer[0].shape, rng=rng))
            layers[-1].W[:], layers[-1].b[:] = layer
    return layers


def module_squares(net, X, y, model=None):
    """Loss, gradients by X, W_1, b_1, …, the arrays, and the loss anew."""
    model = model or modules.Sequential(*module_layers(net))
    X, loss_fn = X.view(GradArray), modules.MSELoss()

    def loss():
        return loss_fn(model(X), y)

    found = loss()
    loss_fn.backward()
    model.backward()
    every = [X, *model.parameters()]
    return found, [array.grad for array in every], every, loss


@repeatable
@given(problems(WILD))
def test_modules_have_the_gradients_of_pytorch(problem):
    assert_as_pytorch(module_squares(*problem)[:2], *problem)


@repeatable
@given(problems(TAME))
def test_modules_have_the_numerical_gradients(problem):
    _, gradients, every, loss = module_squares(*problem)
    assert_slopes(gradients, loss, every, *problem)


def nested(data, layers):
    """The same layers in Sequentials of Sequentials, in any grouping."""
    while len(layers) > 1:
        start = data.draw(st.integers(0, len(layers) - 1))
        stop = data.draw(st.integers(start + 1, len(layers)))
        layers[start:stop] = [modules.Sequential(*layers[start:stop])]
        if data.draw(st.booleans()):
            break
    return modules.Sequential(*layers)


@repeatable
@given(problems(WILD), st.data())
def test_how_layers_are_nested_changes_no_bit(problem, data):
    flat_loss, flat_gradients, *_ = module_squares(*problem)
    model = nested(data, module_layers(problem[0]))
    loss, gradients, *_ = module_squares(*problem, model)
    assert loss == flat_loss
    for one, other in zip(gradients, flat_gradients, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", BENDS)
@repeatable
@given(data=st.data())
def test_a_bend_serves_every_number_as_pytorch_does(name, data):
    X = data.draw(matrices(HUGE)).view(GradArray)
    layer = getattr(modules, name)()
    with np.errstate(all="raise", under="ignore"):
        out = layer(X)
        out.grad = np.ones(X.shape)
        layer.backward()
    leaf = torch.tensor(np.array(X), requires_grad=True)
    theirs = getattr(torch, name.lower())(leaf)
    theirs.backward(torch.ones(X.shape, dtype=torch.float64))
    forward, slope = BENDS[name]
    near = forward(Near(X))
    assert_near(out, theirs.detach().numpy(), near, "out")
    # ReLU's slope has no error: 0 at either zero, 1 from 5e-324 on.
    assert_near(X.grad, leaf.grad.numpy(), slope(near, Near(X)), "grad")


@repeatable
@given(problems(WILD), st.floats(1e-9, 1e9))
def test_sgd_steps_as_pytorch_does(problem, lr):
    net, X, y = problem
    model = modules.Sequential(*module_layers(net))
    loss_fn, optimizer = (
        modules.MSELoss(),
        modules.SGD(model.parameters(), lr),
    )
    before = [np.array(p) for p in model.parameters()]
    modules.train_step(model, loss_fn, optimizer, X, y)
    for p, old in zip(model.parameters(), before, strict=True):
        leaf = torch.tensor(old, requires_grad=True)
        leaf.grad = torch.tensor(np.array(p.grad))
        torch.optim.SGD([leaf], lr=lr).step()
        near = Near(old) - Near(lr) * Near(p.grad)
        assert_near(p, leaf.detach().numpy(), near)


# -- Chapter 4: by hand ---------------------------------------------------


@st.composite
def two_layers(draw):
    """Two inputs, a hidden layer, one answer, with sigmoids."""
    n, hidden = draw(SIZES), draw(SIZES)
    net = [
        (draw(matrices(TAME, 2, hidden)), draw(matrices(TAME, 1, hidden))),
        "Sigmoid",
        (draw(matrices(TAME, hidden, 1)), draw(matrices(TAME, 1, 1))),
        "Sigmoid",
    ]
    net[::2] = [(W, b[0]) for W, b in net[::2]]
    return net, draw(matrices(TAME, n, 2)), draw(matrices(TAME, n, 1))


@repeatable
@given(two_layers())
def test_by_hand_is_as_pytorch_and_as_nudged(problem):
    net, X, y = problem
    _, *parameters = flat(net, X)
    loss, gradients = xor.loss_and_gradients(X, y, *parameters)
    their_loss, theirs = torch_squares(*problem)
    near_loss, near = near_squares(*problem)
    nudge = rounding(*problem), *steepest(*problem)
    assert_near(loss, their_loss, near_loss, "loss")
    for p, grad, other, bound in zip(
        parameters, gradients, theirs[1:], near[1:], strict=True
    ):
        assert_near(grad, other, bound)
        slopes = numerical_gradient(
            lambda: xor.loss_and_gradients(X, y, *parameters)[0], p
        )
        assert_as_nudged(grad, slopes, p, bound, nudge)


# -- Chapter 5: the cross-entropy -----------------------------------------


@st.composite
def labelled(draw, entries, columns=SIZES):
    """Logits and a label for each row."""
    logits = draw(matrices(entries, columns=columns))
    n, out = logits.shape
    y = draw(arrays(np.int64, n, elements=st.integers(0, out - 1)))
    return logits, y


def near_log_softmax(logits):
    """log_softmax of logits (a Near), rounding and all."""
    top = logits.value.argmax(axis=1)[:, None]
    highest = Near(
        np.take_along_axis(logits.value, top, 1),
        np.take_along_axis(logits.error, top, 1),
    )
    shifted = logits - highest
    p = np.exp(shifted.value)
    p = Near(p, p * (shifted.error + CALL) + TINY)
    total = p.sum(axis=1)  # at least 1
    log = np.log(total.value)
    log = Near(log, total.error / total.value + CALL * log + TINY)
    return shifted - Near(log.value[:, None], log.error[:, None])


def near_cross_entropy(logits, y):
    """The loss and the gradient of the logits."""
    log_p, rows = near_log_softmax(logits), np.arange(len(y))
    picked = Near(-log_p.value[rows, y], log_p.error[rows, y])
    p = np.exp(log_p.value)
    p = Near(p, p * (log_p.error + CALL) + TINY)
    hot = np.zeros(p.value.shape)
    hot[rows, y] = 1
    share = Near(1 / len(y), U)
    return picked.sum() * share, (p - Near(hot)) * share


def cross_entropy(logits, y):
    """The course's loss and gradient; overflow is an error."""
    y_hat, loss_fn = (
        logits.copy().view(GradArray),
        mnist.CrossEntropyLoss(),
    )
    with np.errstate(all="raise", under="ignore"):
        loss = loss_fn(y_hat, y)
        loss_fn.backward()
    return loss, y_hat.grad


@repeatable
@given(labelled(HUGE_LOGITS))
def test_cross_entropy_is_pytorchs_up_to_1e300(sample):
    logits, y = sample
    loss, grad = cross_entropy(logits, y)
    leaf = torch.tensor(logits, requires_grad=True)
    theirs = nn.functional.cross_entropy(leaf, torch.tensor(y))
    theirs.backward()
    near_loss, near_grad = near_cross_entropy(Near(logits), y)
    assert math.isfinite(loss) and np.isfinite(grad).all()
    assert_near(loss, theirs.item(), near_loss, "loss")
    assert_near(grad, leaf.grad.numpy(), near_grad, "grad")


@repeatable
@given(labelled(st.floats(-5, 5)))
def test_cross_entropy_has_the_numerical_gradient(sample):
    logits, y = sample
    _, grad = cross_entropy(logits, y)
    near_loss, near_grad = near_cross_entropy(Near(logits), y)
    slopes = numerical_gradient(
        lambda: mnist.CrossEntropyLoss()(logits, y), logits
    )
    # A nudge moves no bound by more than a part in a thousand. By one
    # logit: p - 1 or p, then p (1 - p), then p (1 - p) (1 - 2p).
    nudge = 1.001 * near_loss.error, 1, 0.1
    assert_as_nudged(grad, slopes, logits, near_grad, nudge)


@repeatable
@given(matrices(HUGE_LOGITS, columns=st.integers(1, 12)))
def test_softmax_is_a_distribution(logits):
    with np.errstate(all="raise", under="ignore"):
        log_p = mnist.log_softmax(logits)
        p = np.exp(log_p)
    near = near_log_softmax(Near(logits))
    assert np.isfinite(log_p).all()
    # A sum of p is off by p times the error of log p, and by its own.
    off = (p * (near.error + CALL)).sum(axis=1) + p.shape[1] * U
    assert (np.abs(p.sum(axis=1) - 1) <= off).all()
    assert (log_p <= near.error).all()
    # No lower logit gets a higher share.
    order = logits.argsort(axis=1)
    ranked = np.take_along_axis(log_p, order, axis=1)
    assert (np.diff(ranked, axis=1) >= 0).all()


@repeatable
@given(
    matrices(st.floats(-1e3, 1e3)),
    st.one_of(st.floats(-1e3, 1e3), st.floats(-1e15, 1e15)),
)
def test_a_shift_of_all_logits_changes_nothing(logits, shift):
    # The shift itself is rounded, and that rounding is all there is.
    shifted = Near(logits) + Near(shift)
    assert_near(
        mnist.log_softmax(shifted.value),
        mnist.log_softmax(logits),
        near_log_softmax(shifted),
    )


@repeatable
@given(st.floats(-1e300, 1e300), st.integers(1, 12), SIZES)
def test_ties_share_evenly(value, out, n):
    logits = np.full((n, out), value)
    even = np.full((n, out), -math.log(out))
    bound = near_log_softmax(Near(logits))
    assert_near(mnist.log_softmax(logits), even, bound)


@repeatable
@given(problems(WILD), st.data())
def test_a_network_under_cross_entropy_is_as_pytorch(problem, data):
    net, X, logits = problem
    n, out = logits.shape
    y = data.draw(arrays(np.int64, n, elements=st.integers(0, out - 1)))
    model, X = modules.Sequential(*module_layers(net)), X.view(GradArray)
    loss_fn = mnist.CrossEntropyLoss()
    loss = loss_fn(model(X), y)
    loss_fn.backward()
    model.backward()

    y_hat, leaves = torch_forward(net, X)
    theirs = nn.functional.cross_entropy(y_hat, torch.tensor(y))
    theirs.backward()
    found = near_forward(net, X)
    near_loss, G = near_cross_entropy(found[-1], y)
    assert_near(loss, theirs.item(), near_loss, "loss")
    for array, leaf, bound in zip(
        [X, *model.parameters()],
        leaves,
        near_backward(net, found, G),
        strict=True,
    ):
        assert_near(array.grad, leaf.grad.numpy(), bound)


# -- Chapter 5: batches ---------------------------------------------------


@repeatable
@given(
    st.integers(1, 50),
    st.integers(1, 60),
    st.none() | st.integers(0, 99),
    st.booleans(),
)
def test_an_epoch_has_every_example_once(n, batch_size, seed, tensors):
    X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n)
    if tensors:
        X, y = torch.tensor(X), torch.tensor(y)
    rng = None if seed is None else np.random.default_rng(seed)
    loader = mnist.DataLoader(X, y, batch_size, rng=rng)
    for _ in range(2):
        batches = list(loader)
        sizes = [len(labels) for _, labels in batches]
        assert len(batches) == len(loader) == math.ceil(n / batch_size)
        assert set(sizes[:-1]) <= {batch_size}
        assert sizes[-1] == n - batch_size * (len(loader) - 1) > 0
        seen = np.concatenate([labels for _, labels in batches])
        rows = np.concatenate([rows for rows, _ in batches])
        assert sorted(seen.tolist()) == list(range(n))
        assert (rows[:, 0] == 2 * seen).all(), "a row lost its label"
        assert seed is not None or (seen == range(n)).all()


class Still:
    """An optimizer that leaves everything where it is."""

    def step(self):
        pass


@repeatable
@given(
    labelled(st.floats(-5, 5)),
    st.integers(1, 6),
)
def test_a_ragged_batch_counts_by_its_rows(sample, batch_size):
    logits, y = sample
    model = modules.Sequential(modules.ReLU())
    loader = mnist.DataLoader(logits, y, batch_size)
    mean = mnist.train_epoch(
        model, mnist.CrossEntropyLoss(), Still(), loader
    )
    whole = mnist.CrossEntropyLoss()(model(logits), y)
    near, _ = near_cross_entropy(Near(logits.clip(0)), y)
    # In batches: a product, a sum and a quotient more for each row.
    more = 3 * len(y) * U * abs(near.value)
    assert_near(mean, whole, Near(near.value, near.error + more))
