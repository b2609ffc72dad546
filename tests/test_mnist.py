"""Chapter 5: the cross-entropy, mini-batches, training and refusals.

Values and gradients are compared with numerical ones and with PyTorch's.
"""

import math
import re

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from lessons.matrix import GradArray, numerical_gradient
from lessons.mnist import (
    CrossEntropyLoss,
    DataLoader,
    accuracy,
    log_softmax,
    nll,
    train_epoch,
)
from lessons.modules import SGD, Linear, ReLU, Sequential

each_shape = pytest.mark.parametrize(
    "n, out", [(1, 1), (1, 10), (7, 1), (7, 2), (32, 10)]
)

# Rows of logits that the formula as it stands cannot serve, and equal
# ones; the labels run through the columns.
EXTREME = {
    "one far up": [1e4, 0.0, -1.0],
    "one far down": [-1e4, 0.0, 1.0],
    "both": [1e4, 0.0, -1e4],
    "all far up": [1e4, 1e4, 1e4],
    "all far down": [-1e4, -1e4, -1e4],
    "all equal": [0.3, 0.3, 0.3],
    "one column": [1e4],
    "near the largest float64": [1e300, -1e300, 0.0],
}


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def normal(rng, *shape):
    return rng.normal(size=shape).view(GradArray)


def by_pytorch(logits, y):
    """The loss and the gradient of the logits."""
    z = torch.tensor(np.array(logits), requires_grad=True)
    loss = cross_entropy(z, torch.tensor(np.array(y, np.int64)))
    loss.backward()
    return loss.item(), z.grad.numpy()


# -- The cross-entropy ----------------------------------------------------


@each_shape
def test_cross_entropy_and_its_gradient(rng, n, out):
    y_hat, y = normal(rng, n, out), rng.integers(out, size=n)
    loss_fn = CrossEntropyLoss()
    loss = loss_fn(y_hat, y)
    loss_fn.backward()
    slopes = numerical_gradient(lambda: loss_fn(y_hat, y), y_hat)
    torch_loss, torch_grad = by_pytorch(y_hat, y)
    assert type(loss) is float
    # Some 50 roundings of numbers below 10, and tenfold room.
    assert loss == pytest.approx(torch_loss, rel=0, abs=1e-13)
    # A central difference is within 1e-8, the course's tolerance.
    np.testing.assert_allclose(y_hat.grad, slopes, rtol=0, atol=1e-8)
    np.testing.assert_allclose(y_hat.grad, torch_grad, rtol=0, atol=1e-14)


@pytest.mark.parametrize("row", EXTREME.values(), ids=EXTREME)
def test_extreme_logits_are_served_as_by_pytorch(row):
    y_hat = np.array([row] * len(row)).view(GradArray)
    y, loss_fn = np.arange(len(row)), CrossEntropyLoss()
    with np.errstate(all="raise", under="ignore"):
        loss = loss_fn(y_hat, y)
        loss_fn.backward()
    torch_loss, torch_grad = by_pytorch(y_hat, y)
    assert math.isfinite(loss)
    assert loss == pytest.approx(torch_loss, rel=1e-15, abs=1e-15)
    np.testing.assert_allclose(y_hat.grad, torch_grad, rtol=0, atol=1e-15)


def test_the_loss_is_the_formula():
    # -log(e^2 / (e^2 + e^-1)) and -log(1 / (e + 1)), averaged.
    y_hat, y = np.array([[2.0, -1.0], [1.0, 0.0]]), np.array([0, 1])
    expected = (math.log1p(math.exp(-3)) + math.log(math.e + 1)) / 2
    assert CrossEntropyLoss()(y_hat, y) == pytest.approx(expected, 1e-15)


def test_an_even_guess_costs_the_logarithm_of_the_columns():
    loss = CrossEntropyLoss()(np.zeros((5, 10)), np.arange(5))
    assert loss == pytest.approx(math.log(10), rel=1e-15)


@each_shape
def test_softmax_rows_add_up_to_1_and_gradient_rows_to_0(rng, n, out):
    y_hat, y = normal(rng, n, out), rng.integers(out, size=n)
    p, loss_fn = np.exp(log_softmax(y_hat)), CrossEntropyLoss()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-14)
    loss_fn(y_hat, y)
    loss_fn.backward()
    assert np.abs(y_hat.grad.sum(axis=1)).max() < 1e-15
    assert np.abs(y_hat.grad).max() <= 1 / n


def test_each_row_has_a_softmax_of_its_own(rng):
    logits = rng.normal(size=(4, 3)) + np.array([[0, 1e4, -1e4, 5]]).T
    for row, log_p in zip(logits, log_softmax(logits), strict=True):
        assert np.array_equal(log_softmax(row[None])[0], log_p)


def test_nll_picks_one_column_from_each_row():
    log_p = -np.arange(6.0).reshape(2, 3)
    assert nll(log_p, np.array([2, 0])) == (2 + 3) / 2


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_may_be_integers_of_any_kind(rng, dtype):
    y_hat, y = normal(rng, 5, 10), np.array([0, 9, 3, 3, 1])
    losses, gradients = [], []
    for labels in (y, y.astype(dtype)):
        loss_fn = CrossEntropyLoss()
        losses.append(loss_fn(y_hat, labels))
        loss_fn.backward()
        gradients.append(y_hat.grad)
    assert losses[0] == losses[1]
    assert np.array_equal(*gradients)


def test_float32_logits_get_a_float32_gradient(rng):
    y_hat = rng.normal(size=(5, 3)).astype(np.float32).view(GradArray)
    y, loss_fn = rng.integers(3, size=5), CrossEntropyLoss()
    loss = loss_fn(y_hat, y)
    loss_fn.backward()
    assert y_hat.grad.dtype == np.float32
    assert type(loss) is float


def test_neither_logits_nor_labels_are_changed(rng):
    y_hat, y = normal(rng, 5, 3), rng.integers(3, size=5)
    before = y_hat.copy(), y.copy()
    loss_fn = CrossEntropyLoss()
    loss_fn(y_hat, y)
    first = None
    for _ in range(2):
        loss_fn.backward()
        assert first is None or np.array_equal(first, y_hat.grad)
        first = y_hat.grad
    assert np.array_equal(y_hat, before[0])
    assert np.array_equal(y, before[1])


def test_backward_before_the_first_call_is_refused():
    words = "CrossEntropyLoss(): backward before the first call"
    with pytest.raises(RuntimeError, match=f"^{re.escape(words)}$"):
        CrossEntropyLoss().backward()


# -- Logits and labels that are refused -----------------------------------

LOGITS, LABELS = np.zeros((4, 3)), np.array([0, 2, 1, 0])
BAD = {
    "labels as floats": (
        LOGITS,
        LABELS.astype(float),
        TypeError,
        "{name}: expected integer labels, got float64",
    ),
    "labels as bools": (
        LOGITS,
        LABELS > 0,
        TypeError,
        "{name}: expected integer labels, got bool",
    ),
    "labels in a list": (
        LOGITS,
        LABELS.tolist(),
        TypeError,
        "{name}: expected integer labels, got no array",
    ),
    "labels as strings": (
        LOGITS,
        LABELS.astype(str),
        TypeError,
        "{name}: expected integer labels, got <U21",
    ),
    "a label too high": (
        LOGITS,
        np.array([0, 3, 1, 0]),
        ValueError,
        "{name}: expected labels from 0 to 2, got 0 to 3",
    ),
    "a label below zero": (
        LOGITS,
        np.array([0, 2, -1, 0]),
        ValueError,
        "{name}: expected labels from 0 to 2, got -1 to 2",
    ),
    "a label too few": (
        LOGITS,
        LABELS[:3],
        ValueError,
        "{name}: expected labels (n,), got (3,) for logits (4, 3)",
    ),
    "one label for all": (
        LOGITS,
        LABELS[:1],
        ValueError,
        "{name}: expected labels (n,), got (1,) for logits (4, 3)",
    ),
    "labels as a column": (
        LOGITS,
        LABELS[:, None],
        ValueError,
        "{name}: expected labels (n,), got (4, 1) for logits (4, 3)",
    ),
    "labels one-hot": (
        LOGITS,
        np.eye(3, dtype=int)[LABELS],
        ValueError,
        "{name}: expected labels (n,), got (4, 3) for logits (4, 3)",
    ),
    "an empty batch": (
        LOGITS[:0],
        LABELS[:0],
        ValueError,
        "{logits}: the batch is empty: shape (0, 3)",
    ),
    "no column": (
        LOGITS[:, :0],
        LABELS,
        ValueError,
        "{logits}: the batch is empty: shape (4, 0)",
    ),
    "logits of one axis": (
        LOGITS[0],
        LABELS,
        ValueError,
        "{logits}: expected shape (n, width), got (3,)",
    ),
    "logits as integers": (
        LOGITS.astype(int),
        LABELS,
        TypeError,
        "{logits}: expected floats, got int64",
    ),
    "logits in a list": (
        LOGITS.tolist(),
        LABELS,
        TypeError,
        "{logits}: expected floats, got no array",
    ),
    "a logit that is nan": (
        np.where(np.eye(4, 3), np.nan, LOGITS),
        LABELS,
        ValueError,
        "{logits}: expected finite input, got nan or inf",
    ),
    "a logit that is inf": (
        np.where(np.eye(4, 3), np.inf, LOGITS),
        LABELS,
        ValueError,
        "{logits}: expected finite input, got nan or inf",
    ),
}


@pytest.mark.parametrize("logits, y, kind, words", BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    "name, argument, call",
    [
        ("CrossEntropyLoss()", "y_hat", CrossEntropyLoss()),
        ("accuracy", "logits", accuracy),
    ],
    ids=["CrossEntropyLoss", "accuracy"],
)
def test_bad_input_is_refused_in_words(
    name, argument, call, logits, y, kind, words
):
    assert isinstance(call(LOGITS, LABELS), float)
    words = words.format(name=name, logits=f"{name}, {argument}")
    with pytest.raises(kind, match=f"^{re.escape(words)}$"):
        call(logits, y)


# -- Accuracy -------------------------------------------------------------


def test_accuracy_is_the_share_of_samples():
    logits = np.array([[0.0, 1], [3, 2], [-1, -2], [-5, 0], [1, 2]])
    assert accuracy(logits, np.array([1, 0, 1, 0, 1])) == 3 / 5
    assert accuracy(logits, logits.argmax(axis=1)) == 1
    assert accuracy(logits, logits.argmin(axis=1)) == 0
    assert type(accuracy(logits, np.zeros(5, int))) is float


# -- Mini-batches ---------------------------------------------------------


def passes(loader, count):
    """The rows of `count` passes, each a list of batches."""
    return [[X.tolist() for X, _ in loader] for _ in range(count)]


def rows_and_labels(n):
    """Row i holds 2 i and 2 i + 1; its label is 10 i."""
    return np.arange(2 * n).reshape(n, 2), 10 * np.arange(n)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    "n, batch_size, sizes",
    [
        (1, 1, [1]),
        (10, 4, [4, 4, 2]),
        (8, 4, [4, 4]),
        (9, 4, [4, 4, 1]),
        (3, 4, [3]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_a_pass_has_every_row_once(rng, n, batch_size, sizes, shuffled):
    X, y = rows_and_labels(n)
    loader = DataLoader(X, y, batch_size, rng=rng if shuffled else None)
    for _ in range(3):
        batches = list(loader)
        assert len(loader) == len(batches)
        assert [len(X_b) for X_b, _ in batches] == sizes
        assert [len(y_b) for _, y_b in batches] == sizes
        X_all = np.concatenate([X_b for X_b, _ in batches])
        y_all = np.concatenate([y_b for _, y_b in batches])
        assert np.array_equal(X_all[:, 0] * 5, y_all), "rows lost labels"
        assert np.array_equal(np.sort(y_all), y)


def test_without_rng_the_order_is_kept():
    loader = DataLoader(*rows_and_labels(10), 4)
    first, second = passes(loader, 2)
    assert first == second
    assert [row for batch in first for row in batch] == loader.X.tolist()


def test_the_seed_decides_the_order_and_each_pass_has_its_own():
    def three(seed):
        rng = np.random.default_rng(seed)
        return passes(DataLoader(*rows_and_labels(100), 32, rng=rng), 3)

    assert three(0) == three(0)
    assert three(0) != three(1)
    first, second, third = three(0)
    assert first != second != third != first


def test_a_pass_left_early_does_not_shorten_the_next():
    loader = DataLoader(*rows_and_labels(10), 4)
    for _ in loader:
        break
    assert len(list(loader)) == 3


def test_two_passes_at_once_do_not_disturb_each_other():
    loader = DataLoader(*rows_and_labels(10), 4)
    pairs = [(len(X), len(Z)) for X, _ in loader for Z, _ in loader]
    assert len(pairs) == 9


def test_a_shuffled_batch_is_a_copy_and_the_data_stay(rng):
    X, y = rows_and_labels(10)
    before = X.copy()
    for batch, _ in DataLoader(X, y, 4, rng=rng):
        batch[:] = 0
    assert np.array_equal(X, before)


@pytest.mark.parametrize("shuffled", [False, True])
def test_tensors_are_dealt_out_as_tensors(rng, shuffled):
    X, y = map(torch.tensor, rows_and_labels(10))
    loader = DataLoader(X, y, 4, rng=rng if shuffled else None)
    batches = list(loader)
    assert all(
        isinstance(part, torch.Tensor) for b in batches for part in b
    )
    X_all = torch.cat([X_b for X_b, _ in batches])
    y_all = torch.cat([y_b for _, y_b in batches])
    assert torch.equal(X_all[:, 0] * 5, y_all)
    assert torch.equal(y_all.sort().values, y)


@pytest.mark.parametrize(
    "rows, labels, batch_size, rng, kind, words",
    [
        (
            9,
            9,
            0,
            None,
            ValueError,
            "batch_size must be at least 1, got 0",
        ),
        (
            9,
            9,
            -4,
            None,
            ValueError,
            "batch_size must be at least 1, got -4",
        ),
        (
            9,
            9,
            4.0,
            None,
            TypeError,
            "batch_size must be an int, got 4.0",
        ),
        (
            9,
            9,
            True,
            None,
            TypeError,
            "batch_size must be an int, got True",
        ),
        (
            9,
            9,
            None,
            None,
            TypeError,
            "batch_size must be an int, got None",
        ),
        (9, 9, 4, 0, TypeError, "expected a Generator, got 0"),
        (
            9,
            8,
            4,
            None,
            ValueError,
            "expected as many labels as rows, and some, "
            "got 9 rows and 8 labels",
        ),
        (
            0,
            0,
            4,
            None,
            ValueError,
            "expected as many labels as rows, and some, "
            "got 0 rows and 0 labels",
        ),
    ],
)
def test_a_bad_loader_is_refused_when_it_is_made(
    rows, labels, batch_size, rng, kind, words
):
    X, y = np.zeros((rows, 2)), np.zeros(labels, int)
    with pytest.raises(
        kind, match=f"^{re.escape('DataLoader: ' + words)}$"
    ):
        DataLoader(X, y, batch_size, rng=rng)


# -- Training -------------------------------------------------------------


def network(rng):
    """Two linear layers about a ReLU, the biases drawn as well."""
    model = Sequential(
        Linear(6, 8, rng=rng), ReLU(), Linear(8, 3, rng=rng)
    )
    for p in model.parameters():
        p[:] = rng.normal(size=p.shape)
    return model


def task(rng):
    """Fifty samples of three classes: two batches of 20 and one of 10."""
    return rng.normal(size=(50, 6)), rng.integers(3, size=50)


def test_gradients_of_a_network_with_the_loss_at_its_end(rng):
    model, loss_fn = network(rng), CrossEntropyLoss()
    X, y = task(rng)
    X = X.view(GradArray)
    assert abs(model.layers[0](X)).min() > 1e-4, "too near the bend"
    loss_fn(model(X), y)
    loss_fn.backward()
    model.backward()
    found = [array.grad for array in (X, *model.parameters())]
    for array, gradient in zip(
        (X, *model.parameters()), found, strict=True
    ):
        slopes = numerical_gradient(lambda: loss_fn(model(X), y), array)
        np.testing.assert_allclose(gradient, slopes, rtol=0, atol=1e-8)


def test_training_equals_pytorch_at_each_step(rng):
    model, loss_fn = network(rng), CrossEntropyLoss()
    X, y = task(rng)
    theirs = [
        torch.tensor(np.array(p), requires_grad=True)
        for p in model.parameters()
    ]
    ours, torchs = (
        SGD(model.parameters(), 0.5),
        torch.optim.SGD(theirs, 0.5),
    )
    loader = DataLoader(X, y, 20, rng=np.random.default_rng(0))
    torch_loader = DataLoader(
        torch.tensor(X), torch.tensor(y), 20, rng=np.random.default_rng(0)
    )
    for epoch in range(20):
        for batch, torch_batch in zip(loader, torch_loader, strict=True):
            loss = train_epoch(model, loss_fn, ours, [batch])
            torchs.zero_grad()
            W1, b1, W2, b2 = theirs
            logits = (torch_batch[0] @ W1 + b1).relu() @ W2 + b2
            torch_loss = cross_entropy(logits, torch_batch[1])
            torch_loss.backward()
            torchs.step()
            # A step rounds parameters and scores, below 16 in size, some
            # 60 times by 1.8e-15 and scales that by lr / 2 and less:
            # 60 steps make 2e-12, and tenfold room for growth 2e-11.
            assert abs(loss - torch_loss.item()) < 2e-11
            for p, q in zip(model.parameters(), theirs, strict=True):
                gap = np.abs(p - q.detach().numpy()).max()
                assert gap < 2e-11, f"epoch {epoch}"
    assert max(abs(p).max() for p in model.parameters()) < 16


def test_train_epoch_returns_the_mean_over_samples(rng):
    class Recorder(CrossEntropyLoss):
        def forward(self, y_hat, y):
            loss = super().forward(y_hat, y)
            seen.append((len(y), loss))
            return loss

    seen, model = [], network(rng)
    optimizer = SGD(model.parameters(), 0.5)
    loader = DataLoader(*task(rng), 20)
    mean = train_epoch(model, Recorder(), optimizer, loader)
    assert [n for n, _ in seen] == [20, 20, 10]
    expected = sum(n * loss for n, loss in seen) / 50
    assert mean == pytest.approx(expected, rel=1e-15)
    assert mean != pytest.approx(np.mean([x for _, x in seen]), rel=1e-6)


def test_training_learns_what_can_be_learnt(rng):
    X = rng.normal(size=(50, 6))
    y = X[:, :3].argmax(axis=1)
    model, loss_fn = network(rng), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), 0.5)
    loader = DataLoader(X, y, 20, rng=rng)
    losses = [
        train_epoch(model, loss_fn, optimizer, loader) for _ in range(200)
    ]
    assert losses[-1] < 0.01 < losses[0]
    assert accuracy(model(X), y) == 1


@pytest.mark.parametrize("batch", [(1, 2, 3), "Xy"])
def test_a_batch_that_is_no_pair_is_refused(rng, batch):
    model, loss_fn = network(rng), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), 0.5)
    kind = type(batch).__name__
    words = rf"^train_epoch: expected \(X, y\), got {kind}$"
    with pytest.raises(TypeError, match=words):
        train_epoch(model, loss_fn, optimizer, [batch])


def test_a_loader_that_is_used_up_is_refused(rng):
    model, loss_fn = network(rng), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), 0.5)
    once = iter(DataLoader(*task(rng), 20))
    train_epoch(model, loss_fn, optimizer, once)
    words = (
        "train_epoch: expected batches, got none: can the loader be "
        "iterated more than once?"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        train_epoch(model, loss_fn, optimizer, once)


# -- Printing -------------------------------------------------------------


def test_a_loss_and_a_loader_print_what_they_are():
    assert repr(CrossEntropyLoss()) == "CrossEntropyLoss()"
    loader = DataLoader(*rows_and_labels(10), 4)
    assert repr(loader) == "DataLoader(3 batches of 4)"
