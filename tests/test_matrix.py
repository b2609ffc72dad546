"""Chapter 2: gradients, training and exercises of the matrix network.

Every gradient is compared with a numerical one and with PyTorch's.
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from lessons.exercises import verdict
from lessons.gradcheck import gradcheck
from lessons.matrix import (
    GradArray,
    Linear,
    MSELoss,
    ReLU,
    he_init,
    lin,
    lin_grad,
    mse,
    mse_grad,
    numerical_gradient,
    relu,
    relu_grad,
    train,
)

each_shape = pytest.mark.parametrize(
    "n, inputs, hidden, outputs",
    [
        (1, 1, 1, 1),
        (1, 3, 5, 2),
        (7, 1, 4, 1),
        (6, 4, 1, 3),
        (25, 3, 5, 1),
    ],
)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def normal(rng, *shape):
    return rng.normal(size=shape).view(GradArray)


def assert_gradients(loss, torch_loss, **arrays):
    """Each array's grad is what nudging finds, and PyTorch's.

    An entry is a sum of at most 25 products of order one, through two
    layers: some hundred roundings of 1.1e-16 in either program, and five
    times room.
    """
    leaves = {
        name: torch.tensor(np.array(array), requires_grad=True)
        for name, array in arrays.items()
    }
    torch_loss(**leaves).backward()
    nudged = gradcheck(loss, arrays)
    assert nudged.ok, nudged
    for name, array in arrays.items():
        np.testing.assert_allclose(
            array.grad,
            leaves[name].grad.numpy(),
            rtol=0,
            atol=1e-13,
            strict=True,
            err_msg=name,
        )


# -- The numerical gradient -----------------------------------------------


@pytest.mark.parametrize("shape", [(), (4,), (3, 5), (2, 3, 4)], ids=str)
def test_numerical_gradient_serves_any_number_of_axes(rng, shape):
    array = np.array(rng.normal(size=shape))
    before = array.copy()
    slopes = numerical_gradient(lambda: float(np.sin(array).sum()), array)
    np.testing.assert_allclose(slopes, np.cos(array), rtol=0, atol=1e-8)
    assert np.array_equal(array, before), "not put back exactly"


def test_numerical_gradient_serves_a_view_of_other_memory(rng):
    memory = rng.normal(size=(6, 8))
    before = memory.copy()
    view = memory[::2, 1::3].T
    slopes = numerical_gradient(lambda: float(np.sin(memory).sum()), view)
    np.testing.assert_allclose(slopes, np.cos(view), rtol=0, atol=1e-8)
    assert np.array_equal(memory, before), "not put back exactly"


# -- An array with a gradient ---------------------------------------------


def test_a_grad_array_shares_memory_and_has_no_gradient_yet():
    plain = np.zeros((3, 5))
    array = plain.view(GradArray)
    array[1, 2] = 7
    assert plain[1, 2] == 7
    assert array.grad is None


def test_a_refused_gradient_leaves_the_old_one(rng):
    array = normal(rng, 3, 5)
    array.grad = normal(rng, 3, 5)
    before = array.grad
    assert type(before) is np.ndarray
    with pytest.raises(ValueError, match="expected shape"):
        array.grad = np.ones((5, 3))
    assert array.grad is before


@pytest.mark.parametrize(
    "derive",
    [
        lambda array: array[0],
        lambda array: array[:],
        lambda array: array.copy(),
        lambda array: array * 2,
        lambda array: np.maximum(array, 0),
        lambda array: array.sum(axis=0),
    ],
    ids=["row", "slice", "copy", "times", "maximum", "sum"],
)
def test_what_is_made_from_an_array_has_no_gradient(rng, derive):
    array = normal(rng, 3, 5)
    array.grad = np.ones((3, 5))
    derived = derive(array)
    assert isinstance(derived, GradArray)
    assert derived.grad is None


def test_an_update_in_place_keeps_the_gradient():
    array = np.ones((3, 5)).view(GradArray)
    array.grad = gradient = np.ones((3, 5))
    array -= 0.1 * array.grad
    assert np.array_equal(array.grad, gradient)


# -- Gradients of the functions -------------------------------------------


@each_shape
def test_lin_gradients(rng, n, inputs, hidden, outputs):
    X, W = normal(rng, n, inputs), normal(rng, inputs, outputs)
    b, G = normal(rng, outputs), rng.normal(size=(n, outputs))
    out = lin(X, W, b)
    out.grad = G
    lin_grad(out, X, W, b)
    assert_gradients(
        lambda: float((G * lin(X, W, b)).sum()),
        lambda X, W, b: (torch.tensor(G) * (X @ W + b)).sum(),
        X=X,
        W=W,
        b=b,
    )


@each_shape
def test_relu_gradient(rng, n, inputs, hidden, outputs):
    Z, G = normal(rng, n, hidden), rng.normal(size=(n, hidden))
    assert abs(Z).min() > 1e-3, "too near the bend to be nudged"
    out = relu(Z)
    out.grad = G
    relu_grad(out, Z)
    assert_gradients(
        lambda: float((G * relu(Z)).sum()),
        lambda Z: (torch.tensor(G) * torch.relu(Z)).sum(),
        Z=Z,
    )


def test_relu_stops_the_gradient_at_zero_as_pytorch_does():
    Z = np.array([[-1.0, 0.0, 2.0]]).view(GradArray)
    out = relu(Z)
    out.grad = np.array([[3.0, 5.0, 7.0]])
    relu_grad(out, Z)
    assert np.array_equal(out, [[0, 0, 2]])
    assert np.array_equal(Z.grad, [[0, 0, 7]])


@each_shape
def test_mse_gradient(rng, n, inputs, hidden, outputs):
    y_hat, y = normal(rng, n, outputs), rng.normal(size=(n, outputs))
    mse_grad(y_hat, y)
    assert_gradients(
        lambda: mse(y_hat, y),
        lambda y_hat: mse_loss(y_hat, torch.tensor(y)),
        y_hat=y_hat,
    )


def test_mse_is_the_float_that_the_formula_gives():
    loss = mse(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2)))
    assert type(loss) is float
    assert loss == (0 + 1 + 4 + 9) / 4


# -- Gradients of the classes ---------------------------------------------


def network(rng, inputs, hidden, outputs):
    """Two linear layers about a ReLU, the biases drawn as well."""
    first = Linear(inputs, hidden, rng=rng)
    second = Linear(hidden, outputs, rng=rng)
    first.b[:] = rng.normal(size=hidden)
    second.b[:] = rng.normal(size=outputs)
    return [first, ReLU(), second]


def parameters(layers):
    first, _, second = layers
    return {
        "W1": first.W,
        "b1": first.b,
        "W2": second.W,
        "b2": second.b,
    }


def forward(layers, X):
    for layer in layers:
        X = layer.forward(X)
    return X


def backward(layers):
    for layer in reversed(layers):
        layer.backward()


def torch_forward(X, W1, b1, W2, b2):
    return torch.relu(X @ W1 + b1) @ W2 + b2


@each_shape
def test_network_gradients(rng, n, inputs, hidden, outputs):
    X, Y = normal(rng, n, inputs), rng.normal(size=(n, outputs))
    layers, loss_fn = network(rng, inputs, hidden, outputs), MSELoss()
    Z = layers[0].forward(X)
    assert abs(Z).min() > 1e-3, "too near the bend to be nudged"
    assert (Z > 0).any(), "no unit is alive"

    loss_fn.forward(forward(layers, X), Y)
    loss_fn.backward()
    backward(layers)
    assert_gradients(
        lambda: mse(forward(layers, X), Y),
        lambda **arrays: mse_loss(
            torch_forward(**arrays), torch.tensor(Y)
        ),
        X=X,
        **parameters(layers),
    )


def test_data_get_no_gradient_and_change_no_other(rng):
    data = rng.normal(size=(4, 3))
    with_room = data.view(GradArray)
    layer, found = Linear(3, 5, rng=rng), []
    for X in (data, with_room):
        layer.forward(X).grad = np.ones((4, 5))
        layer.backward()
        found.append([layer.W.grad, layer.b.grad])
    assert not hasattr(data, "grad")
    assert with_room.grad is not None
    for first, second in zip(*found, strict=True):
        assert np.array_equal(first, second)


def test_a_second_backward_overwrites_the_gradients(rng):
    X, Y = normal(rng, 4, 3), rng.normal(size=(4, 1))
    layers, loss_fn = network(rng, 3, 5, 1), MSELoss()
    loss_fn.forward(forward(layers, X), Y)
    found = []
    for _ in range(2):
        loss_fn.backward()
        backward(layers)
        arrays = [X, *parameters(layers).values()]
        found.append([array.grad for array in arrays])
    for first, second in zip(*found, strict=True):
        assert np.array_equal(first, second)


def test_backward_uses_the_last_forward(rng):
    layers, loss_fn = network(rng, 3, 5, 1), MSELoss()
    for n in (6, 4):
        X, Y = rng.normal(size=(n, 3)), rng.normal(size=(n, 1))
        loss_fn.forward(forward(layers, X), Y)
    loss_fn.backward()
    backward(layers)
    assert_gradients(
        lambda: mse(forward(layers, X), Y),
        lambda **arrays: mse_loss(
            torch_forward(torch.tensor(X), **arrays), torch.tensor(Y)
        ),
        **parameters(layers),
    )


# -- Starting weights -----------------------------------------------------


@pytest.mark.parametrize(
    "fan_in, fan_out", [(784, 256), (50, 400), (1, 5000)]
)
def test_he_weights_have_mean_0_and_variance_2_over_fan_in(
    rng, fan_in, fan_out
):
    # Of N normal draws with standard deviation s, the mean has standard
    # deviation s / sqrt(N) and the variance s**2 * sqrt(2 / N). Five of
    # either are exceeded once in a million seeds, and the seed is fixed.
    W = he_init(fan_in, fan_out, rng)
    N, s = fan_in * fan_out, np.sqrt(2 / fan_in)
    assert W.shape == (fan_in, fan_out)
    assert W.dtype == np.float64
    assert abs(W.mean()) < 5 * s / np.sqrt(N)
    assert abs(W.var() - s**2) < 5 * s**2 * np.sqrt(2 / N)


def test_linear_starts_with_he_weights_and_no_bias():
    layer = Linear(3, 5, rng=np.random.default_rng(7))
    expected = he_init(3, 5, np.random.default_rng(7))
    assert np.array_equal(layer.W, expected)
    assert np.array_equal(layer.b, np.zeros(5))
    assert type(layer.W) is type(layer.b) is GradArray


def test_the_seed_decides_the_weights():
    one, same, other = (
        he_init(3, 5, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert (one != other).all()


# -- Training -------------------------------------------------------------


def train_functions(X, Y, W1, b1, W2, b2, lr, num_epochs):
    """The chapter's training loop before there were classes."""
    losses = []
    for _ in range(num_epochs):
        Z = lin(X, W1, b1)
        A = relu(Z)
        y_hat = lin(A, W2, b2)
        losses.append(mse(y_hat, Y))
        mse_grad(y_hat, Y)
        lin_grad(y_hat, A, W2, b2)
        relu_grad(A, Z)
        lin_grad(Z, X, W1, b1)
        for p in (W1, b1, W2, b2):
            p -= lr * p.grad
    return losses


@pytest.mark.parametrize("outputs", [1, 2])
def test_functions_and_classes_give_the_same_losses(rng, outputs):
    X, Y = rng.normal(size=(25, 3)), rng.normal(size=(25, outputs))
    layers = network(rng, 3, 5, outputs)
    copies = {k: p.copy() for k, p in parameters(layers).items()}
    losses = train(layers, X, Y, lr=0.1, num_epochs=30)
    assert losses == train_functions(X, Y, **copies, lr=0.1, num_epochs=30)
    for name, p in parameters(layers).items():
        assert np.array_equal(p, copies[name]), name


@pytest.mark.parametrize("outputs", [1, 2])
def test_training_equals_pytorch_at_each_of_200_epochs(rng, outputs):
    X, Y = rng.uniform(size=(25, 3)), rng.uniform(size=(25, outputs))
    layers = network(rng, 3, 5, outputs)
    ours = parameters(layers)
    theirs = {
        name: torch.tensor(np.array(p), requires_grad=True)
        for name, p in ours.items()
    }
    inputs, targets = torch.tensor(X), torch.tensor(Y)
    optimizer = torch.optim.SGD(theirs.values(), lr=0.1)
    for epoch in range(1, 201):
        [loss] = train(layers, X, Y, lr=0.1, num_epochs=1)
        torch_loss = mse_loss(torch_forward(inputs, **theirs), targets)
        optimizer.zero_grad()
        torch_loss.backward()
        optimizer.step()
        # An epoch rounds a parameter, below 4 in size, by 2.2e-16, and
        # its gradient, some 30 roundings scaled by lr, by three times
        # that. 200 epochs make 1.8e-13; tenfold room gives 2e-12.
        expected = pytest.approx(torch_loss.item(), rel=0, abs=2e-12)
        assert loss == expected, f"loss, epoch {epoch}"
        for name, p in ours.items():
            np.testing.assert_allclose(
                p,
                theirs[name].detach().numpy(),
                rtol=0,
                atol=2e-12,
                err_msg=f"{name}, epoch {epoch}",
            )
    assert max(abs(p).max() for p in ours.values()) < 4


def test_training_updates_the_parameters_in_place(rng):
    X, Y = rng.normal(size=(25, 3)), rng.normal(size=(25, 1))
    layers = network(rng, 3, 5, 1)
    before = parameters(layers)
    copies = {name: p.copy() for name, p in before.items()}
    train(layers, X, Y, lr=0.1, num_epochs=1)
    for name, p in parameters(layers).items():
        assert p is before[name], name
        assert not np.array_equal(p, copies[name]), name


def test_training_returns_the_loss_before_each_update(rng):
    X, Y = rng.normal(size=(25, 3)), rng.normal(size=(25, 1))
    layers = network(rng, 3, 5, 1)
    first = mse(forward(layers, X), Y)
    losses = train(layers, X, Y, lr=0.1, num_epochs=20)
    assert losses[0] == first
    assert len(losses) == 20


# -- Exercises: what each verdict says of wrong answers -------------------


def slipped(slip):
    """The answer to 2.1, but for a slip in its four gradients."""

    def answer(X, Y, W1, b1, W2, b2):
        Z = X @ W1 + b1
        A = np.maximum(Z, 0)
        G = 2 * (A @ W2 + b2 - Y) / len(Y)
        G1 = (G @ W2.T) * (Z > 0)
        right = X.T @ G1, G1.sum(axis=0), A.T @ G, G.sum(axis=0)
        return slip(*right)

    return answer


def mae(y_hat, y):
    return float(np.mean(np.abs(y_hat - y)))


def mae_grad(factor):
    def answer(y_hat, y):
        y_hat.grad = factor(y) * np.sign(y_hat - y) / y_hat.size

    return mae, answer


def leaky(slope, base=ReLU):
    class Answer(base):
        def forward(self, Z):
            self.Z, self.out = (
                Z,
                np.where(Z > 0, Z, Z / 10).view(GradArray),
            )
            return self.out

        def backward(self):
            self.Z.grad = slope(self.out.grad, self.Z)

    return Answer


def masked(mask, factor=1):
    def answer(X, Y, W1, b1, W2, b2):
        Z = X @ W1 + b1
        A = np.maximum(Z, 0)
        G = factor * 2 * (A @ W2 + b2 - Y) / len(Y)
        G = (G @ W2.T) * mask(Z)
        return G, X.T @ G, G.sum(axis=0)

    return answer


def remember(before):
    """An answer to 2.4 that copies before or after the step."""

    def answer(layers, X, Y, lr, num_epochs):
        parameters = [p for layer in layers for p in layer.parameters()]
        best_loss = np.inf
        for _ in range(num_epochs):
            old = [p.copy() for p in parameters]
            [loss] = train(layers, X, Y, lr, num_epochs=1)
            if loss < best_loss:
                best_loss = loss
                best = old if before else [p.copy() for p in parameters]
        return best_loss, best

    return answer


def right_slope(G, Z):
    return G * np.where(Z > 0, 1, 0.1)


WRONG = [
    ("2.1", [slipped(lambda *g: [-x for x in g])], "the sign is turned"),
    ("2.1", [slipped(lambda W1, *g: (W1 / 2, *g))], "2 times too small"),
    ("2.1", [slipped(lambda W1, *g: (W1[::-1], *g))], "reverse"),
    ("2.1", [slipped(lambda W1, *g: (W1.T, *g))], "expected shape"),
    ("2.1", [slipped(lambda *g: g[:3])], "expected to get back"),
    ("2.2", mae_grad(lambda y: -1), "the sign is turned"),
    ("2.2", mae_grad(np.size), "times too large"),
    ("2.2", mae_grad(lambda y: 0.5), "2 times too small"),
    ("2.2", (lambda y_hat, y: 0.0, mae), "mae: another value"),
    (
        "2.3",
        [leaky(lambda G, Z: -right_slope(G, Z))],
        "the sign is turned",
    ),
    ("2.3", [leaky(lambda G, Z: 2 * right_slope(G, Z))], "2 times too"),
    ("2.3", [leaky(lambda G, Z: right_slope(G, Z) / 2)], "too small"),
    ("2.3", [leaky(lambda G, Z: G * (Z > 0))], "wrong"),
    ("2.3", [leaky(right_slope, object)], "parameters()"),
    ("2.3", [ReLU], "the output: another value"),
    ("2.4", [remember(before=False)], "another loss"),
    ("2.5", [0.01387], "goes on below"),
    ("2.5", [0.0001], "as low as that"),
    ("2.6", [masked(lambda Z: Z < np.inf)], "mask is missing"),
    ("2.6", [masked(lambda Z: Z > 0, -1)], "the sign is turned"),
    ("2.6", [masked(lambda Z: Z > 0, 2)], "2 times too large"),
]
SOLVED = [
    ("2.1", [slipped(lambda *g: g)]),
    ("2.2", mae_grad(lambda y: 1)),
    ("2.3", [leaky(right_slope)]),
    ("2.4", [remember(before=True)]),
    ("2.5", [0.000143]),
    ("2.6", [masked(lambda Z: Z > 0)]),
]


@pytest.mark.parametrize(("name", "answers", "words"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(
    name, answers, words, capsys
):
    verdict(name, *answers)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet")
    assert words in said


@pytest.mark.parametrize(("name", "answers"), SOLVED)
def test_a_right_answer_is_told_so(name, answers, capsys):
    verdict(name, *answers, counts=False)
    assert capsys.readouterr().out.startswith(f"{name}: solved")
