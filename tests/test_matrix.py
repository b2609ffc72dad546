"""Chapter 2: gradients, training and refusals of the matrix network.

Every gradient is compared with a numerical one and with PyTorch's.
"""

import re

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from lessons.matrix import (
    GradArray,
    Linear,
    MSELoss,
    ReLU,
    check_array,
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


def assert_as_nudged(actual, slopes, where):
    """Within 1e-8, the chapter's tolerance for a central difference."""
    np.testing.assert_allclose(
        actual, slopes, rtol=0, atol=1e-8, strict=True, err_msg=where
    )


def assert_as_torch(actual, theirs, where):
    """Equal but for rounding.

    An entry is a sum of at most 25 products of order one, through two
    layers: some hundred roundings of 1.1e-16, and ten times room.
    """
    np.testing.assert_allclose(
        actual, theirs, rtol=0, atol=1e-13, strict=True, err_msg=where
    )


def assert_gradients(loss, torch_loss, **arrays):
    """Each array's grad is the numerical gradient, and PyTorch's."""
    leaves = {
        name: torch.tensor(np.array(array), requires_grad=True)
        for name, array in arrays.items()
    }
    torch_loss(**leaves).backward()
    for name, array in arrays.items():
        slopes = numerical_gradient(loss, array)
        theirs = leaves[name].grad.numpy()
        assert_as_nudged(array.grad, slopes, f"{name}.grad, numerically")
        assert_as_torch(array.grad, theirs, f"{name}.grad, PyTorch")


# -- The numerical gradient -----------------------------------------------


@pytest.mark.parametrize("shape", [(), (4,), (3, 5), (2, 3, 4)], ids=str)
def test_numerical_gradient_serves_any_number_of_axes(rng, shape):
    array = np.array(rng.normal(size=shape))
    before = array.copy()
    slopes = numerical_gradient(lambda: float(np.sin(array).sum()), array)
    assert_as_nudged(slopes, np.cos(array), "by the sum of sines")
    assert np.array_equal(array, before), "not put back exactly"


def test_numerical_gradient_serves_a_view_of_other_memory(rng):
    memory = rng.normal(size=(6, 8))
    before = memory.copy()
    view = memory[::2, 1::3].T
    assert not view.flags.c_contiguous
    slopes = numerical_gradient(lambda: float(np.sin(memory).sum()), view)
    assert_as_nudged(slopes, np.cos(view), "by the sum of sines")
    assert np.array_equal(memory, before), "not put back exactly"


def test_numerical_gradient_puts_back_the_very_numbers():
    array = np.array([1e-12, 0.1, 3.0])  # 1e-12 + h - h is not 1e-12
    before = array.copy()
    numerical_gradient(lambda: 0.0, array)
    assert np.array_equal(array, before)


@pytest.mark.parametrize("good_calls", range(4))
def test_numerical_gradient_puts_back_when_the_loss_raises(
    rng, good_calls
):
    array = rng.normal(size=2)
    before = array.copy()
    answers = iter([0.0] * good_calls)
    with pytest.raises(StopIteration):
        numerical_gradient(lambda: next(answers), array)
    assert np.array_equal(array, before)


@pytest.mark.parametrize(
    "array, kind",
    [
        (np.ones(3, np.int64), "int64"),
        (np.ones(3, np.float32), "float32"),
        (np.ones(3, complex), "complex128"),
        ([1.0, 2.0], "list"),
        (1.0, "float"),
        (None, "NoneType"),
    ],
    ids=["int64", "float32", "complex", "list", "float", "None"],
)
def test_numerical_gradient_needs_a_float64_array(array, kind):
    words = f"array: expected a float64 array, got {kind}"
    with pytest.raises(TypeError, match=f"^{words}$"):
        numerical_gradient(lambda: 0.0, array)


def test_numerical_gradient_needs_a_loss_that_is_a_finite_number():
    array = np.ones(3)
    with pytest.raises(ValueError, match=r"^loss\(\) must be finite, got"):
        numerical_gradient(lambda: np.nan, array)
    with pytest.raises(
        TypeError, match=r"^loss\(\) must be a real number"
    ):
        numerical_gradient(lambda: array**2, array)


# -- An array with a gradient ---------------------------------------------


def test_a_grad_array_shares_memory_and_has_no_gradient_yet():
    plain = np.zeros((3, 5))
    array = plain.view(GradArray)
    array[1, 2] = 7
    assert plain[1, 2] == 7
    assert array.grad is None


def test_a_gradient_is_kept_as_a_plain_array(rng):
    array, gradient = normal(rng, 3, 5), normal(rng, 3, 5)
    array.grad = gradient
    assert type(array.grad) is np.ndarray
    assert np.array_equal(array.grad, gradient)


@pytest.mark.parametrize(
    "shape", [(5, 3), (15,), (5,), (1, 5), (3, 1), (1, 3, 5), ()], ids=str
)
def test_a_gradient_of_another_shape_is_refused(rng, shape):
    array = normal(rng, 3, 5)
    array.grad = rng.normal(size=(3, 5))
    before = array.grad
    words = f"expected shape (3, 5), float64, got shape {shape}, float64"
    with pytest.raises(ValueError, match=re.escape(words)):
        array.grad = np.ones(shape)
    assert array.grad is before, "the old gradient is lost"


@pytest.mark.parametrize("wrong", [np.int64, np.float32, object])
def test_a_gradient_of_another_dtype_is_refused(wrong):
    words = re.escape(f"(3,), float64, got shape (3,), {np.dtype(wrong)}")
    with pytest.raises(ValueError, match=f"^grad: .*{words}$"):
        np.ones(3).view(GradArray).grad = np.ones(3, wrong)


def test_a_float32_array_takes_a_float32_gradient_only():
    array = np.ones(3, np.float32).view(GradArray)
    array.grad = np.ones(3, np.float32)
    assert array.grad.dtype == np.float32
    with pytest.raises(ValueError, match=r"float32, got .* float64$"):
        array.grad = np.ones(3)


@pytest.mark.parametrize(
    "derive",
    [
        lambda array: array[0],
        lambda array: array[:],
        lambda array: array.T,
        lambda array: array.copy(),
        lambda array: array * 2,
        lambda array: array + array,
        lambda array: np.maximum(array, 0),
        lambda array: array.sum(axis=0),
    ],
    ids=["row", "slice", "T", "copy", "times", "plus", "maximum", "sum"],
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


@pytest.mark.parametrize(
    "make, names",
    [
        (he_init, ("fan_in", "fan_out")),
        (Linear, ("Linear: in_features", "Linear: out_features")),
    ],
    ids=["he_init", "Linear"],
)
@pytest.mark.parametrize(
    "sizes, k", [((0, 5), 0), ((3, 0), 1), ((-1, 5), 0), ((3, -1), 1)]
)
def test_sizes_below_1_are_refused(rng, make, names, sizes, k):
    words = f"{names[k]} must be at least 1, got {sizes[k]}"
    with pytest.raises(ValueError, match=f"^{words}$"):
        make(*sizes, rng=rng)


def test_weights_are_drawn_from_a_generator_alone():
    with pytest.raises(TypeError, match="rng: expected a Generator"):
        he_init(3, 5, np.random.RandomState(0))


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


@pytest.mark.parametrize(
    "lr, num_epochs, words",
    [
        (0, 1, "lr must be above 0, got 0"),
        (-0.1, 1, "lr must be above 0, got -0.1"),
        (np.nan, 1, "lr must be finite, got nan"),
        (np.inf, 1, "lr must be finite, got inf"),
        (0.1, 0, "num_epochs must be at least 1, got 0"),
        (0.1, -1, "num_epochs must be at least 1, got -1"),
    ],
)
def test_training_refuses_its_settings_in_words(
    rng, lr, num_epochs, words
):
    layers = network(rng, 3, 5, 1)
    before = {name: p.copy() for name, p in parameters(layers).items()}
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        train(layers, np.ones((4, 3)), np.ones((4, 1)), lr, num_epochs)
    for name, p in parameters(layers).items():
        assert np.array_equal(p, before[name]), name


# -- Arrays that are refused ----------------------------------------------

X, W, b = np.ones((4, 3)), np.ones((3, 5)), np.ones(5)
Z = np.ones((4, 5))


def linear():
    return Linear(3, 5, rng=np.random.default_rng(0))


# Every way for an array to come in: its name in the message, a good
# array, the call.
ENTRANCES = {
    "lin-X": ("X", X, lambda array: lin(array, W, b)),
    "lin-W": ("W", W, lambda array: lin(X, array, b)),
    "lin-b": ("b", b, lambda array: lin(X, W, array)),
    "relu": ("Z", Z, relu),
    "mse-y_hat": ("y_hat", Z, lambda array: mse(array, Z)),
    "mse-y": ("y", Z, lambda array: mse(Z, array)),
    "mse_grad-y": (
        "y",
        Z,
        lambda array: mse_grad(Z.view(GradArray), array),
    ),
    "Linear": ("X", X, lambda array: linear().forward(array)),
    "ReLU": ("Z", Z, lambda array: ReLU().forward(array)),
    "MSELoss-y_hat": (
        "y_hat",
        Z,
        lambda array: MSELoss().forward(array, Z),
    ),
    "MSELoss-y": ("y", Z, lambda array: MSELoss().forward(Z, array)),
    "train-X": ("X", X, lambda array: train([linear()], array, Z, 0.1, 1)),
    "train-Y": ("y", Z, lambda array: train([linear()], X, array, 0.1, 1)),
}
each_entrance = pytest.mark.parametrize(
    "name, good, call", ENTRANCES.values(), ids=ENTRANCES
)


@each_entrance
def test_a_good_array_is_accepted(name, good, call):
    call(good)


@pytest.mark.parametrize(
    "convert, kind",
    [
        (lambda good: good.astype(np.int64), "int64"),
        (lambda good: good.astype(np.float32), "float32"),
        (lambda good: good.astype(bool), "bool"),
        (lambda good: good.tolist(), "list"),
        (lambda good: torch.tensor(good), "torch.float64"),
        (lambda good: good.max(), "float64"),
        (lambda good: None, "NoneType"),
    ],
    ids=["int64", "float32", "bool", "list", "Tensor", "scalar", "None"],
)
@each_entrance
def test_what_is_no_float64_array_is_refused(
    name, good, call, convert, kind
):
    words = f"{name}: expected a float64 array, got {kind}"
    with pytest.raises(TypeError, match=f"^{words}$"):
        call(convert(good))


@pytest.mark.parametrize(
    "reshape",
    [
        lambda good: good[None],
        lambda good: np.array(good[0]),
    ],
    ids=["axis-more", "axis-fewer"],
)
@each_entrance
def test_arrays_of_other_axes_are_refused(name, good, call, reshape):
    bad = reshape(good)
    words = (
        rf"{name}: expected shape \(.*\), got {re.escape(str(bad.shape))}"
    )
    with pytest.raises(ValueError, match=f"^{words}$"):
        call(bad)


@each_entrance
def test_an_empty_array_is_refused(name, good, call):
    bad = good[:0]
    words = {
        f"{name} is empty: its shape is {bad.shape}",
        # Where another array has already settled the number of rows.
        f"{name}: expected shape {good.shape}, got {bad.shape}",
    }
    with pytest.raises(ValueError) as refusal:
        call(bad)
    assert str(refusal.value) in words


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@each_entrance
def test_one_entry_that_is_not_finite_is_refused(name, good, call, value):
    bad = good.copy()
    bad.flat[-1] = value
    words = f"{name}: expected finite numbers, got nan or inf"
    with pytest.raises(ValueError, match=f"^{words}$"):
        call(bad)


def with_grad(*shape):
    out = np.ones(shape).view(GradArray)
    out.grad = np.ones(shape)
    return out


# NumPy would stretch each of these, or fail where the cause is far away.
STRETCHED = {
    "a column of targets as (n,)": (
        lambda: mse(np.ones((25, 1)), np.ones(25)),
        "y: expected shape (25, 1), got (25,)",
    ),
    "one target for all answers": (
        lambda: mse(np.ones((25, 1)), np.ones((1, 1))),
        "y: expected shape (25, 1), got (1, 1)",
    ),
    "one answer for all targets": (
        lambda: mse(np.ones((1, 1)), np.ones((25, 1))),
        "y: expected shape (1, 1), got (25, 1)",
    ),
    "one column for two": (
        lambda: mse(np.ones((25, 2)), np.ones((25, 1))),
        "y: expected shape (25, 2), got (25, 1)",
    ),
    "mse_grad, targets as (n,)": (
        lambda: mse_grad(with_grad(25, 1), np.ones(25)),
        "y: expected shape (25, 1), got (25,)",
    ),
    "mse_grad, one target for all": (
        lambda: mse_grad(with_grad(25, 1), np.ones((1, 1))),
        "y: expected shape (25, 1), got (1, 1)",
    ),
    "MSELoss, targets as (n,)": (
        lambda: MSELoss().forward(np.ones((25, 1)), np.ones(25)),
        "y: expected shape (25, 1), got (25,)",
    ),
    "one bias for five units": (
        lambda: lin(X, W, np.ones(1)),
        "b: expected shape (5,), got (1,)",
    ),
    "biases as a row": (
        lambda: lin(X, W, np.ones((1, 5))),
        "b: expected shape (5,), got (1, 5)",
    ),
    "weights transposed": (
        lambda: lin(X, W.T, np.ones(3)),
        "X: expected shape (n, 5), got (4, 3)",
    ),
    "one feature for three": (
        lambda: linear().forward(np.ones((4, 1))),
        "X: expected shape (n, 3), got (4, 1)",
    ),
    "relu_grad, one row of gradients": (
        lambda: relu_grad(with_grad(1, 5), Z.view(GradArray)),
        "out.grad: expected shape (4, 5), got (1, 5)",
    ),
    "lin_grad, one row of gradients": (
        lambda: lin_grad(with_grad(1, 5), X, W, b),
        "out.grad: expected shape (4, 5), got (1, 5)",
    ),
    "lin_grad, one column of gradients": (
        lambda: lin_grad(with_grad(4, 1), X, W, b),
        "out.grad: expected shape (4, 5), got (4, 1)",
    ),
    "lin_grad, b of another length": (
        lambda: lin_grad(
            with_grad(4, 5), X, W.view(GradArray), with_grad(1)
        ),
        "b: expected shape (5,), got (1,)",
    ),
    "train, one row against four": (
        lambda: train([linear()], np.ones((1, 3)), Z, 0.1, 1),
        "y: expected shape (1, 5), got (4, 5)",
    ),
    "lin, weights of one axis": (
        lambda: lin(X, np.ones(3), b),
        "W: expected shape (in, out), got (3,)",
    ),
    "relu_grad, one axis": (
        lambda: relu_grad(with_grad(3), np.ones(3).view(GradArray)),
        "Z: expected shape (n, out), got (3,)",
    ),
    "mse_grad, one axis": (
        lambda: mse_grad(np.ones(3), np.ones(3)),
        "y_hat: expected shape (n, out), got (3,)",
    ),
    "check_array, a size that is stated": (
        lambda: check_array("W", W, ("n", 3)),
        "W: expected shape (n, 3), got (3, 5)",
    ),
}


@pytest.mark.parametrize("call, words", STRETCHED.values(), ids=STRETCHED)
def test_nothing_is_stretched_to_fit(call, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        call()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_goes_no_further_back(value):
    out = with_grad(4, 5)
    out.grad[-1, -1] = value
    words = "out.grad: expected finite numbers, got nan or inf"
    with pytest.raises(ValueError, match=f"^{words}$"):
        relu_grad(out, Z.view(GradArray))
    with pytest.raises(ValueError, match=f"^{words}$"):
        lin_grad(out, X, W.view(GradArray), b.view(GradArray))


# -- Steps out of order ---------------------------------------------------


@pytest.mark.parametrize("layer", [linear(), ReLU(), MSELoss()], ids=repr)
def test_backward_before_forward_is_refused(layer):
    with pytest.raises(RuntimeError, match="needs forward first"):
        layer.backward()


def test_a_new_layer_remembers_nothing():
    assert linear().X is None and linear().out is None


def test_weights_without_room_for_a_gradient_are_named():
    with pytest.raises(
        TypeError, match=r"^W: expected a GradArray, got ndarray$"
    ):
        lin_grad(with_grad(4, 5), X, W, b)


@pytest.mark.parametrize("layer", [linear(), ReLU()], ids=repr)
def test_backward_before_that_of_the_loss_is_refused(layer):
    layer.forward(X.view(GradArray))
    with pytest.raises(RuntimeError, match="output has no gradient yet"):
        layer.backward()


@pytest.mark.parametrize("layer", [linear(), ReLU()], ids=repr)
def test_a_new_forward_forgets_the_old_gradient(layer):
    out = layer.forward(X.view(GradArray))
    out.grad = np.ones(out.shape)
    layer.forward(X.view(GradArray))
    with pytest.raises(RuntimeError, match="output has no gradient yet"):
        layer.backward()


# -- Printing -------------------------------------------------------------


@pytest.mark.parametrize(
    "layer, text",
    [
        (linear(), "Linear(3, 5)"),
        (ReLU(), "ReLU()"),
        (MSELoss(), "MSELoss()"),
    ],
    ids=["Linear", "ReLU", "MSELoss"],
)
def test_a_layer_prints_as_its_class_and_sizes(layer, text):
    assert repr(layer) == text
