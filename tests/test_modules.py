"""Chapter 3: gradients, training and refusals of the module system.

Every gradient is compared with a numerical one and with PyTorch's.
"""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from lessons.matrix import GradArray, he_init, numerical_gradient
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


def rng(seed=0):
    return np.random.default_rng(seed)


def draw(*shape, seed=0):
    """Normal numbers, the same for the same shape and seed."""
    return rng([seed, *shape]).normal(size=shape)


def models(inputs, outputs, dtype=float):
    """Every layer by itself, and models of several depths."""
    seeds = itertools.count()

    def linear(*sizes):
        seed = next(seeds)
        layer = Linear(*sizes, rng=rng(seed), dtype=dtype)
        layer.b[:] = draw(sizes[1], seed=seed)
        return layer

    return {
        "Linear": linear(inputs, outputs),
        "ReLU": ReLU(),
        "Tanh": Tanh(),
        "Sigmoid": Sigmoid(),
        "one": Sequential(linear(inputs, outputs)),
        "bends": Sequential(Tanh(), ReLU(), Sigmoid()),
        "two": Sequential(linear(inputs, 5), ReLU(), linear(5, outputs)),
        "four": Sequential(
            linear(inputs, 5),
            ReLU(),
            linear(5, 3),
            Tanh(),
            linear(3, 6),
            Sigmoid(),
            linear(6, outputs),
        ),
        "nested": Sequential(
            Sequential(linear(inputs, 4), Sigmoid()),
            Sequential(Sequential(linear(4, 7), Tanh()), linear(7, 5)),
            linear(5, outputs),
        ),
    }


each_model = pytest.mark.parametrize("name", models(1, 1))
each_trainable = pytest.mark.parametrize(
    "name", ["Linear", "one", "two", "four", "nested"]
)
each_bend = pytest.mark.parametrize("bend", [ReLU, Tanh, Sigmoid])
each_shape = pytest.mark.parametrize(
    "n, inputs, outputs",
    [(1, 1, 1), (1, 3, 2), (7, 1, 4), (6, 4, 1), (25, 3, 5)],
)


def model_of(name, inputs=3, outputs=5, dtype=float):
    return models(inputs, outputs, dtype)[name]


def with_gradient(module, X):
    """Call the module on X, put a gradient on the output, go back."""
    out = module(X)
    out.grad = draw(*out.shape, seed=1).astype(out.dtype)
    module.backward()
    return out


def all_gradients(module, X):
    return [array.grad for array in (X, *module.parameters())]


def assert_equal(found, expected):
    """The same arrays, to the last bit."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


# -- PyTorch's modules ----------------------------------------------------


def twin(module):
    """The same in PyTorch, with copies of the weights, transposed."""
    if isinstance(module, Sequential):
        return nn.Sequential(*map(twin, module.layers))
    theirs = getattr(nn, type(module).__name__)
    if not module.parameters():
        return theirs()
    layer = theirs(*module.W.shape, dtype=torch.float64)
    layer.weight.data = torch.tensor(np.array(module.W.T))
    layer.bias.data = torch.tensor(np.array(module.b))
    return layer


def transposed(tensors):
    """As arrays; one axis alone stays as it is."""
    return [tensor.detach().numpy().T for tensor in tensors]


def assert_gradients(arrays, loss, autograd):
    """Each array's grad is the numerical one, and PyTorch's.

    The chapter's tolerance for a nudge is 1e-8. PyTorch may differ by
    rounding alone: an entry is a sum of at most 25 products of order one,
    through four linear layers, which is some hundred roundings of
    1.1e-16, and there is ten times room.
    """
    for array, theirs in zip(arrays, autograd, strict=True):
        assert array.grad.any(), "a gradient of zeros shows nothing"
        slopes = numerical_gradient(loss, array)
        for other, atol in (slopes, 1e-8), (theirs, 1e-13):
            np.testing.assert_allclose(
                array.grad, other, rtol=0, atol=atol, strict=True
            )


# -- Gradients ------------------------------------------------------------


@each_model
@each_shape
def test_gradients_are_the_numerical_ones_and_pytorchs(
    name, n, inputs, outputs
):
    model = model_of(name, inputs, outputs)
    X = draw(n, inputs, seed=2).view(GradArray)
    out = with_gradient(model, X)

    theirs, x = twin(model), torch.tensor(np.array(X), requires_grad=True)
    theirs(x).backward(torch.tensor(out.grad))
    autograd = transposed(q.grad for q in theirs.parameters())
    np.testing.assert_allclose(
        out, theirs(x).detach().numpy(), rtol=0, atol=1e-13, strict=True
    )
    assert_gradients(
        [X, *model.parameters()],
        lambda: float((out.grad * model(X)).sum()),
        [x.grad.numpy(), *autograd],
    )


@each_shape
def test_the_loss_and_its_gradient_are_pytorchs(n, inputs, outputs):
    y_hat, y = draw(n, outputs).view(GradArray), draw(n, outputs, seed=1)
    loss_fn = MSELoss()
    loss = loss_fn(y_hat, y)
    loss_fn.backward()

    leaf = torch.tensor(np.array(y_hat), requires_grad=True)
    torch_loss = nn.MSELoss()(leaf, torch.tensor(y))
    torch_loss.backward()
    assert type(loss) is float
    assert loss == pytest.approx(torch_loss.item(), rel=1e-14)
    assert_gradients(
        [y_hat], lambda: MSELoss()(y_hat, y), [leaf.grad.numpy()]
    )


@each_bend
def test_extreme_inputs_are_served_without_a_warning(bend):
    X = np.array([[-1e4, -700, -40, -1, 0, 1, 40, 700, 1e4]])
    X, module = X.view(GradArray), bend()
    out = module(X)
    out.grad = np.ones(out.shape)
    module.backward()
    leaf = torch.tensor(np.array(X), requires_grad=True)
    theirs = twin(module)(leaf)
    theirs.sum().backward()
    # A few roundings of 1.1e-16 on either side, and ten times room; the
    # smallest sigmoid is 1e-304, and right to as many digits.
    expected = theirs.detach().numpy()
    np.testing.assert_allclose(out, expected, rtol=1e-14, atol=0)
    np.testing.assert_allclose(X.grad, leaf.grad, rtol=0, atol=1e-14)


def test_relu_stops_the_gradient_at_zero_as_pytorch_does():
    X = np.array([[-1.0, -0.0, 0.0, 5e-324, 2.0]]).view(GradArray)
    out = with_gradient(ReLU(), X)
    leaf = torch.tensor(np.array(X), requires_grad=True)
    torch.relu(leaf).backward(torch.tensor(out.grad))
    assert_equal([X.grad], [leaf.grad.numpy()])
    assert_equal([X.grad == 0], [np.array([[1, 1, 1, 0, 0]], bool)])


@each_model
def test_data_get_no_gradient_and_change_no_other(name):
    data = draw(4, 3)
    with_room, kept = data.view(GradArray), data.copy()
    one, other = model_of(name), model_of(name)
    with_gradient(one, data)
    with_gradient(other, with_room)
    assert not hasattr(data, "grad")
    assert with_room.grad is not None
    assert_equal(
        [p.grad for p in one.parameters()],
        [p.grad for p in other.parameters()],
    )
    assert_equal([data], [kept])


def test_targets_get_no_gradient():
    y_hat, y = np.ones((2, 4, 1)).view(GradArray)
    loss_fn = MSELoss()
    loss_fn(y_hat, y)
    loss_fn.backward()
    assert y_hat.grad is not None
    assert y.grad is None


def test_a_new_kind_of_layer_needs_forward_and_slope_alone():
    class Square(Activation):
        def forward(self, X):
            return X**2

        def slope(self, out, X):
            return 2 * X

    X = draw(4, 3).view(GradArray)
    model = Sequential(Square(), model_of("Linear"))
    out = with_gradient(model, X)
    slopes = numerical_gradient(
        lambda: float((out.grad * model(X)).sum()), X
    )
    np.testing.assert_allclose(X.grad, slopes, rtol=0, atol=1e-8)
    assert repr(model.layers[0]) == "Square()"


# -- What a module remembers ----------------------------------------------


@each_model
def test_a_module_remembers_its_input_and_its_output(name):
    model, X = model_of(name), draw(4, 3)
    out = model(X)
    assert model.args[0] is X
    assert model.out is out
    assert type(out) is GradArray
    assert out.grad is None


@each_model
def test_backward_uses_the_last_call(name):
    model, fresh = model_of(name), model_of(name)
    X = draw(4, 3).view(GradArray)
    with_gradient(model, draw(6, 3).view(GradArray))
    with_gradient(model, X)
    found = all_gradients(model, X)
    with_gradient(fresh, X)
    assert_equal(found, all_gradients(fresh, X))


def test_the_loss_uses_its_last_call():
    loss_fn, y_hat = MSELoss(), np.ones((1, 1)).view(GradArray)
    loss_fn(np.ones((2, 3)).view(GradArray), np.zeros((2, 3)))
    loss_fn(y_hat, np.full((1, 1), 4.0))
    loss_fn.backward()
    assert_equal([y_hat.grad], [np.array([[-6.0]])])


@each_model
def test_a_second_backward_overwrites_the_gradients(name):
    model, X = model_of(name), draw(4, 3).view(GradArray)
    with_gradient(model, X)
    first = [grad.copy() for grad in all_gradients(model, X)]
    model.backward()
    assert_equal(all_gradients(model, X), first)


def test_a_second_backward_of_the_loss_overwrites_the_gradient():
    loss_fn, y_hat = MSELoss(), draw(4, 3).view(GradArray)
    loss_fn(y_hat, np.zeros((4, 3)))
    loss_fn.backward()
    first = y_hat.grad.copy()
    loss_fn.backward()
    assert_equal([y_hat.grad], [first])


@each_model
def test_a_new_call_clears_the_gradient_of_the_output(name):
    model, X = model_of(name), draw(4, 3).view(GradArray)
    with_gradient(model, X)
    assert model(X).grad is None
    with pytest.raises(RuntimeError) as refusal:
        model.backward()
    words = f"{model}: its output has no gradient yet"
    assert str(refusal.value) == words


@pytest.mark.parametrize("k", range(3))
def test_a_layer_called_on_its_own_in_between_is_noticed(k):
    model = model_of("two")
    out, layer = model(draw(4, 3)), model.layers[k]
    out.grad = draw(*out.shape)
    layer(*layer.args)
    with pytest.raises(RuntimeError) as refusal:
        model.backward()
    words = f"{layer}: its output has no gradient yet"
    assert str(refusal.value) == words


@each_model
def test_a_refused_call_is_not_remembered(name):
    model, X = model_of(name), draw(4, 3).view(GradArray)
    with_gradient(model, X)
    first = all_gradients(model, X)
    with pytest.raises(ValueError):
        model(np.full((4, 3), np.nan))
    model.backward()
    assert_equal(all_gradients(model, X), first)


def test_a_refused_loss_is_not_remembered():
    loss_fn, y_hat = MSELoss(), draw(4, 3).view(GradArray)
    loss_fn(y_hat, np.zeros((4, 3)))
    with pytest.raises(ValueError):
        loss_fn(np.ones((4, 3)).view(GradArray), np.zeros((4, 1)))
    loss_fn.backward()
    np.testing.assert_allclose(y_hat.grad, 2 * y_hat / 12, rtol=1e-15)


# -- Parameters -----------------------------------------------------------


def test_parameters_come_first_layer_first_each_w_before_b():
    one, two, three = (Linear(3, 3, rng=rng()) for _ in range(3))
    model = Sequential(
        Sequential(one, Tanh()), Sequential(Sequential(two)), three
    )
    expected = [one.W, one.b, two.W, two.b, three.W, three.b]
    assert list(map(id, model.parameters())) == list(map(id, expected))


@each_bend
def test_a_bend_has_no_parameters(bend):
    assert bend().parameters() == []


def test_each_linear_draws_he_weights_from_its_own_fan_in():
    one, same = rng(7), rng(7)
    for sizes in (3, 5), (5, 2):
        layer = Linear(*sizes, rng=one)
        assert_equal([layer.W], [he_init(*sizes, same).view(GradArray)])
        assert_equal([layer.b], [np.zeros(sizes[1]).view(GradArray)])


def test_the_seed_decides_the_weights():
    one, same, other = (
        Linear(3, 5, rng=rng(seed)).W for seed in (1, 1, 2)
    )
    assert_equal([one], [same])
    assert (one != other).all()


def test_float32_weights_are_the_float64_ones_rounded():
    one, other = (
        Linear(3, 5, rng=rng(), dtype=dtype).W
        for dtype in (np.float32, np.float64)
    )
    assert_equal([one], [other.astype(np.float32)])


@each_model
def test_float32_stays_float32(name):
    model = model_of(name, dtype=np.float32)
    X = draw(4, 3).astype(np.float32).view(GradArray)
    y_hat, loss_fn = model(X), MSELoss()
    assert type(loss_fn(y_hat, np.ones_like(y_hat))) is float
    loss_fn.backward()
    model.backward()
    for array in (X, y_hat, *model.parameters()):
        assert array.dtype == array.grad.dtype == np.float32


# -- The update -----------------------------------------------------------


@each_trainable
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sgd_moves_each_parameter_against_its_gradient(name, dtype):
    model, lr = model_of(name, dtype=dtype), np.float64(0.1)
    with_gradient(model, draw(4, 3).astype(dtype))
    before = [p.copy() for p in model.parameters()]
    grads = [p.grad.copy() for p in model.parameters()]
    SGD(iter(model.parameters()), lr).step()
    for p, old, grad in zip(
        model.parameters(), before, grads, strict=True
    ):
        assert p.dtype == dtype
        # Numbers below 4, rounded at most twice.
        atol = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(p, old - lr * grad, 0, atol)
        assert (p != old).any()
        assert_equal([p.grad], [grad])


@each_trainable
def test_sgd_updates_in_place(name):
    model = model_of(name)
    before = model.parameters()
    memory = [p.view(np.ndarray) for p in before]
    with_gradient(model, draw(4, 3))
    SGD(model.parameters(), 0.1).step()
    for p, old, shared in zip(
        model.parameters(), before, memory, strict=True
    ):
        assert p is old
        assert_equal([np.array(p)], [shared])


@pytest.mark.parametrize("missing", range(4))
def test_sgd_without_every_gradient_changes_nothing(missing):
    parameters = model_of("two").parameters()
    before = [p.copy() for p in parameters]
    for k, p in enumerate(parameters):
        if k != missing:
            p.grad = np.ones(p.shape)
    with pytest.raises(RuntimeError) as refusal:
        SGD(parameters, 0.1).step()
    shape = parameters[missing].shape
    words = f"SGD: parameter {missing} of shape {shape} has no gradient"
    words += ": backward?"
    assert str(refusal.value) == words
    assert_equal(parameters, before)


def test_a_training_step_returns_the_loss_before_the_update():
    model, loss_fn = model_of("four"), MSELoss()
    X, y = draw(4, 3), draw(4, 5)
    kept = X.copy(), y.copy()
    first = loss_fn(model(X), y)
    optimizer = SGD(model.parameters(), lr=0.1)
    assert train_step(model, loss_fn, optimizer, X, y) == first
    assert loss_fn(model(X), y) < first
    assert_equal([X, y], kept)


@pytest.mark.parametrize("name", ["one", "two", "four", "nested"])
def test_training_equals_pytorch_at_each_of_200_steps(name):
    model, X, y = model_of(name), draw(25, 3), draw(25, 5)
    optimizer = SGD(model.parameters(), lr=0.1)
    theirs, inputs, targets = twin(model), *map(torch.tensor, (X, y))
    torch_optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for step in range(1, 201):
        loss = train_step(model, MSELoss(), optimizer, X, y)
        torch_loss = nn.MSELoss()(theirs(inputs), targets)
        torch_optimizer.zero_grad()
        torch_loss.backward()
        torch_optimizer.step()
        # A step rounds a parameter, below 4 in size, by 2.2e-16, and its
        # gradient, some hundred roundings scaled by lr, by five times
        # that. 200 steps make 2.6e-13; tenfold room gives 3e-12.
        expected = pytest.approx(torch_loss.item(), rel=0, abs=3e-12)
        assert loss == expected, f"loss, step {step}"
        for ours, yours in zip(
            model.parameters(),
            transposed(theirs.parameters()),
            strict=True,
        ):
            np.testing.assert_allclose(
                ours, yours, rtol=0, atol=3e-12, err_msg=f"step {step}"
            )
    assert max(abs(p).max() for p in model.parameters()) < 4


# -- Tensors in place of arrays -------------------------------------------


def on_tensors(dtype=torch.float64):
    """A model whose parameters are tensors, and the same on arrays."""
    model, same = (
        Sequential(*model_of("two").layers[:2], model_of("Linear", 5, 2))
        for _ in range(2)
    )
    for layer in model.layers[::2]:
        layer.W, layer.b = (
            torch.tensor(np.array(p), dtype=dtype)
            for p in layer.parameters()
        )
        layer.expects = len(layer.W), dtype
    return Sequential(model), same


def test_training_on_tensors_equals_training_on_arrays():
    X, y = draw(25, 3), draw(25, 2)
    model, same = on_tensors()
    before, loss_fn = model.parameters(), MSELoss()
    ours, theirs = SGD(before, 0.1), SGD(same.parameters(), 0.1)
    x, t = torch.tensor(X), torch.tensor(y)
    # As above: 20 steps of 1.3e-15, and tenfold room.
    for _ in range(20):
        loss = train_step(same, loss_fn, theirs, X, y)
        found = train_step(model, loss_fn, ours, x, t)
        assert found == pytest.approx(loss, rel=0, abs=3e-13)
    for p, old, q in zip(
        model.parameters(), before, same.parameters(), strict=True
    ):
        assert p is old
        np.testing.assert_allclose(p.numpy(), q, rtol=0, atol=3e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_on_tensors_are_those_of_autograd(dtype):
    model, _ = on_tensors(dtype)
    x, y = (torch.tensor(draw(7, k), dtype=dtype) for k in (3, 2))
    y_hat, loss_fn = model(x), MSELoss()
    loss = loss_fn(y_hat, y)
    loss_fn.backward()
    model.backward()

    leaves = [p.clone().requires_grad_() for p in model.parameters()]
    W1, b1, W2, b2 = leaves
    torch_loss = nn.MSELoss()(torch.relu(x @ W1 + b1) @ W2 + b2, y)
    torch_loss.backward()
    # Some hundred roundings, as above, and ten times room.
    atol = 500 * torch.finfo(dtype).eps
    assert type(loss) is float
    assert loss == pytest.approx(torch_loss.item(), abs=atol)
    for p, leaf in zip(model.parameters(), leaves, strict=True):
        torch.testing.assert_close(p.grad, leaf.grad, rtol=0, atol=atol)


# -- Matrices that are refused --------------------------------------------

GOOD = np.ones((4, 3))
LINEAR = "Linear(in_features=3, out_features=5)"

# Every way for a matrix to come in: who refuses it, the dtype and the
# shape that it expects, the call.
ENTRANCES = {
    "Linear": (LINEAR, "float64", "(n, 3)", model_of("Linear")),
    "Sequential": (LINEAR, "float64", "(n, 3)", model_of("one")),
    "ReLU": ("ReLU()", "floats", "(n, width)", ReLU()),
    "Tanh": ("Tanh()", "floats", "(n, width)", Tanh()),
    "Sigmoid": ("Sigmoid()", "floats", "(n, width)", Sigmoid()),
    "nested": (
        *("Tanh()", "floats", "(n, width)"),
        Sequential(Sequential(Tanh())),
    ),
    "y_hat": (
        *("MSELoss(), y_hat", "floats", "(n, width)"),
        lambda y_hat: MSELoss()(y_hat, GOOD),
    ),
    "y": (
        *("MSELoss(), y", "float64", "(n, 3)"),
        lambda y: MSELoss()(GOOD, y),
    ),
}
each_entrance = pytest.mark.parametrize(
    "who, dtype, shape, call", ENTRANCES.values(), ids=ENTRANCES
)


def spoilt(row, column, value):
    bad = GOOD.copy()
    bad[row, column] = value
    return bad


FINITE = "expected finite input, got nan or inf"
EMPTY = "the batch is empty: shape (0, 3)"
BAD = {
    "integers": (
        GOOD.astype(np.int64),
        TypeError,
        "expected {dtype}, got int64",
    ),
    "booleans": (
        GOOD.astype(bool),
        TypeError,
        "expected {dtype}, got bool",
    ),
    "complex": (GOOD + 0j, TypeError, "expected {dtype}, got complex128"),
    "objects": (
        GOOD.astype(object),
        TypeError,
        "expected {dtype}, got object",
    ),
    "list": (GOOD.tolist(), TypeError, "expected {dtype}, got no array"),
    "float": (1.0, TypeError, "expected {dtype}, got no array"),
    "None": (None, TypeError, "expected {dtype}, got no array"),
    "0-D": (np.array(1.0), ValueError, "expected shape {shape}, got ()"),
    "1-D": (GOOD[0], ValueError, "expected shape {shape}, got (3,)"),
    "3-D": (
        GOOD[None],
        ValueError,
        "expected shape {shape}, got (1, 4, 3)",
    ),
    "nan": (spoilt(0, 0, np.nan), ValueError, FINITE),
    "inf": (spoilt(1, 2, np.inf), ValueError, FINITE),
    "-inf": (spoilt(-1, -1, -np.inf), ValueError, FINITE),
    "no rows": (GOOD[:0], ValueError, EMPTY),
}


def assert_refuses(call, error, words):
    """That very error is raised, with these very words."""
    with pytest.raises(error) as refusal:
        call()
    assert refusal.type is error
    assert str(refusal.value) == words


@each_entrance
def test_a_good_matrix_is_accepted(who, dtype, shape, call):
    call(GOOD)


@pytest.mark.parametrize("bad, error, words", BAD.values(), ids=BAD)
@each_entrance
def test_a_bad_matrix_is_refused(
    who, dtype, shape, call, bad, error, words
):
    words = words.format(dtype=dtype, shape=shape)
    assert_refuses(lambda: call(bad), error, f"{who}: {words}")


@each_entrance
def test_a_matrix_without_columns_is_refused(who, dtype, shape, call):
    words = "the batch is empty: shape (4, 0)"
    if "width" not in shape:
        words = f"expected shape {shape}, got (4, 0)"
    bad = GOOD[:, :0]
    assert_refuses(lambda: call(bad), ValueError, f"{who}: {words}")


# The same guards on tensors, float32 where nothing else is said.
NARROW = "expected shape (n, 3), got (4, 2)"
DOUBLE = "expected torch.float32, got torch.float64"
WHOLE = "expected torch.float32, got torch.int64"
BAD_TENSORS = {
    "width": (torch.ones(4, 2), ValueError, NARROW),
    "1-D": (torch.ones(3), ValueError, "expected shape (n, 3), got (3,)"),
    "no rows": (torch.ones(0, 3), ValueError, EMPTY),
    "nan": (torch.ones(4, 3) * torch.nan, ValueError, FINITE),
    "inf": (torch.ones(4, 3) * torch.inf, ValueError, FINITE),
    "one inf": (torch.tensor([[0, 0, torch.inf]]), ValueError, FINITE),
    "integers": (torch.ones(4, 3).long(), TypeError, WHOLE),
    "float64": (torch.ones(4, 3).double(), TypeError, DOUBLE),
    "array": (GOOD, TypeError, "expected torch.float32, got float64"),
}


@pytest.mark.parametrize(
    "bad, error, words", BAD_TENSORS.values(), ids=BAD_TENSORS
)
def test_a_bad_tensor_is_refused(bad, error, words):
    model, _ = on_tensors(torch.float32)
    words = f"{LINEAR}: {words}"
    assert_refuses(lambda: model(bad), error, words)


# -- Everything else that is refused --------------------------------------


def linear(dtype=float):
    return model_of("Linear", dtype=dtype)


def sgd(lr):
    return SGD(model_of("two").parameters(), lr)


SINGLE = GOOD.astype(np.float32)
TENSOR = torch.tensor(GOOD)

# Each message in full, and the call that meets it.
REFUSALS = {
    TypeError: {
        f"{LINEAR}: expected float64, got float32": (
            lambda: linear()(SINGLE)
        ),
        f"{LINEAR}: expected float32, got float64": (
            lambda: linear(np.float32)(GOOD)
        ),
        f"{LINEAR}: expected float64, got torch.float64": (
            lambda: linear()(TENSOR)
        ),
        "Linear(in_features=5, out_features=2): expected float64, got "
        "float32": lambda: Sequential(
            linear(np.float32), model_of("Linear", 5, 2)
        )(SINGLE),
        "MSELoss(), y: expected float64, got float32": (
            lambda: MSELoss()(GOOD, SINGLE)
        ),
        "MSELoss(), y: expected float32, got float64": (
            lambda: MSELoss()(SINGLE, GOOD)
        ),
        "MSELoss(), y: expected float64, got torch.float64": (
            lambda: MSELoss()(GOOD, TENSOR)
        ),
        "Sequential: expected layers, got [ReLU(), Tanh()]": (
            lambda: Sequential([ReLU(), Tanh()])
        ),
        f"Sequential: expected layers, got {ReLU!r}": (
            lambda: Sequential(linear(), ReLU)
        ),
        "Sequential: expected layers, got MSELoss()": (
            lambda: Sequential(ReLU(), MSELoss())
        ),
        "Sequential: expected layers, got <ufunc 'tanh'>": (
            lambda: Sequential(np.tanh)
        ),
        "rng: expected a Generator, got 0": lambda: Linear(3, 5, rng=0),
        "rng: expected a Generator, got None": (
            lambda: Linear(3, 5, rng=None)
        ),
    },
    ValueError: {
        f"{LINEAR}: expected shape (n, 3), got (4, 2)": (
            lambda: linear()(GOOD[:, :2])
        ),
        f"{LINEAR}: expected shape (n, 3), got (4, 1)": (
            lambda: Sequential(Tanh(), linear())(GOOD[:, :1])
        ),
        "MSELoss(), y: expected shape (n, 1), got (4,)": (
            lambda: MSELoss()(GOOD[:, :1], GOOD[:, 0])
        ),
        "MSELoss(), y_hat: expected shape (n, width), got (4,)": (
            lambda: MSELoss()(GOOD[:, 0], GOOD[:, :1])
        ),
        "MSELoss(), y: expected shape (n, 3), got (4, 1)": (
            lambda: MSELoss()(GOOD, GOOD[:, :1])
        ),
        "MSELoss(), y: expected shape (n, 1), got (4, 3)": (
            lambda: MSELoss()(GOOD[:, :1], GOOD)
        ),
        "MSELoss(): expected as many rows, got 4 answers and 1 targets": (
            lambda: MSELoss()(GOOD, GOOD[:1])
        ),
        "MSELoss(): expected as many rows, got 1 answers and 4 targets": (
            lambda: MSELoss()(GOOD[:1], GOOD)
        ),
        "Sequential: Tanh() stands in it twice": (
            lambda: Sequential(linear(), *[Tanh()] * 2)
        ),
        f"Sequential: {LINEAR} stands in it twice": (
            lambda: Sequential(*[linear(), ReLU()] * 2)
        ),
        "Sequential: Sigmoid() stands in it twice": (
            lambda: (lambda s: Sequential(s, Sequential(ReLU(), s)))(
                Sigmoid()
            )
        ),
        "Sequential: ReLU() stands in it twice": (
            lambda: (lambda r: Sequential(Sequential(r), Sequential(r)))(
                ReLU()
            )
        ),
        "Sequential: expected at least one layer, got none": Sequential,
        "SGD: lr must be above 0, got 0": lambda: sgd(0),
        "SGD: lr must be above 0, got -0.1": lambda: sgd(-0.1),
        "SGD: lr must be finite, got nan": lambda: sgd(np.nan),
        "SGD: lr must be finite, got inf": lambda: sgd(np.inf),
        "SGD: expected at least one parameter, got none": (
            lambda: SGD(Sequential(ReLU()).parameters(), 0.1)
        ),
        "Linear: in_features must be at least 1, got 0": (
            lambda: Linear(0, 5, rng=rng())
        ),
        "Linear: out_features must be at least 1, got 0": (
            lambda: Linear(3, 0, rng=rng())
        ),
        "Linear: in_features must be at least 1, got -1": (
            lambda: Linear(-1, 5, rng=rng())
        ),
    },
    RuntimeError: {
        f"{LINEAR}: backward before the first call": (
            lambda: linear().backward()
        ),
        "ReLU(): backward before the first call": (
            lambda: ReLU().backward()
        ),
        "Tanh(): backward before the first call": (
            lambda: Tanh().backward()
        ),
        "Sigmoid(): backward before the first call": (
            lambda: Sigmoid().backward()
        ),
        "Sequential(\n  (0): ReLU()\n): backward before the first call": (
            lambda: Sequential(ReLU()).backward()
        ),
        "MSELoss(): backward before the first call": (
            lambda: MSELoss().backward()
        ),
    },
}


@pytest.mark.parametrize(
    "error, words, call",
    [
        pytest.param(error, words, call, id=words)
        for error, rows in REFUSALS.items()
        for words, call in rows.items()
    ],
)
def test_a_misuse_is_refused_in_words(error, words, call):
    assert_refuses(call, error, words)


# -- Printing -------------------------------------------------------------

PRINTED = {
    "Linear": (linear(), LINEAR),
    "float32": (linear(np.float32), LINEAR),
    "ReLU": (ReLU(), "ReLU()"),
    "Tanh": (Tanh(), "Tanh()"),
    "Sigmoid": (Sigmoid(), "Sigmoid()"),
    "MSELoss": (MSELoss(), "MSELoss()"),
    "SGD": (sgd(0.5), "SGD(lr=0.5)"),
    "Sequential": (
        Sequential(linear(), Tanh()),
        "Sequential(\n"
        "  (0): Linear(in_features=3, out_features=5)\n"
        "  (1): Tanh()\n"
        ")",
    ),
    "nested": (
        Sequential(Sequential(ReLU(), Sequential(Tanh())), Sigmoid()),
        "Sequential(\n"
        "  (0): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Sequential(\n"
        "      (0): Tanh()\n"
        "    )\n"
        "  )\n"
        "  (1): Sigmoid()\n"
        ")",
    ),
}


@pytest.mark.parametrize("thing, text", PRINTED.values(), ids=PRINTED)
def test_a_module_prints_its_sizes_and_its_layers(thing, text):
    assert repr(thing) == text
