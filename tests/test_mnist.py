"""Chapter 5: the cross-entropy, mini-batches, training, and exercises.

Values and gradients are compared with PyTorch's and with slopes.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from lessons import mnist, modules
from lessons.exercises import verdict
from lessons.gradcheck import gradcheck
from lessons.matrix import GradArray
from lessons.mnist import (
    CrossEntropyLoss,
    DataLoader,
    accuracy,
    log_softmax,
    nll,
    train_epoch,
)
from lessons.modules import SGD, Linear, ReLU, Sequential
from tests.support import ROOT, read, tags

each_shape = pytest.mark.parametrize(
    "n, out", [(1, 2), (1, 10), (7, 2), (300, 10)]
)
EXTREME = {
    "one far up": [1e4, 0.0, -1.0],
    "one far down": [-1e4, 0.0, 1.0],
    "both": [1e4, 0.0, -1e4],
    "all far up": [1e4, 1e4, 1e4],
    "all far down": [-1e4, -1e4, -1e4],
    "all equal": [0.3, 0.3, 0.3],
    "near the largest float64": [1e300, -1e300, 0.0],
}


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def by_pytorch(logits, y):
    """The loss and the gradient of the logits."""
    z = torch.tensor(np.array(logits), requires_grad=True)
    loss = cross_entropy(z, torch.tensor(np.array(y, np.int64)))
    loss.backward()
    return loss.item(), z.grad.numpy()


def by_hand(y_hat, y, loss_fn=None):
    """The loss; its gradient is written onto y_hat."""
    loss_fn = loss_fn or CrossEntropyLoss()
    loss = loss_fn(y_hat, y)
    loss_fn.backward()
    return loss


# -- The cross-entropy ----------------------------------------------------


# 300 rows: more than a batch of 256, by which a loss might divide.
@each_shape
def test_cross_entropy_and_its_gradient(rng, n, out):
    y_hat = rng.normal(size=(n, out)).view(GradArray)
    y = rng.integers(out, size=n)
    loss = by_hand(y_hat, y)
    theirs, gradient = by_pytorch(y_hat, y)
    assert type(loss) is float
    # Some 50 roundings of numbers below 10 in each, and tenfold room.
    assert loss == pytest.approx(theirs, rel=0, abs=1e-13)
    np.testing.assert_allclose(y_hat.grad, gradient, rtol=0, atol=1e-14)
    result = gradcheck(lambda: CrossEntropyLoss()(y_hat, y), {"Z": y_hat})
    assert result.ok, result
    p = np.exp(log_softmax(np.array(y_hat)))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-14)
    assert np.abs(y_hat.grad.sum(axis=1)).max() < 1e-15
    assert np.abs(y_hat.grad).max() <= 1 / n


@pytest.mark.parametrize("row", EXTREME.values(), ids=EXTREME)
def test_extreme_logits_are_served_as_by_pytorch(row):
    y_hat = np.array([row] * len(row)).view(GradArray)
    y = np.arange(len(row))
    with np.errstate(all="raise", under="ignore"):
        loss = by_hand(y_hat, y)
    theirs, gradient = by_pytorch(y_hat, y)
    assert math.isfinite(loss)
    assert loss == pytest.approx(theirs, rel=1e-15, abs=1e-15)
    np.testing.assert_allclose(y_hat.grad, gradient, rtol=0, atol=1e-15)


def test_scores_too_far_apart_for_a_float_are_refused():
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match="inf"),
    ):
        by_hand(np.array([[1e308, -1e308, 0.0]]), np.array([1]))


def test_each_row_has_a_softmax_of_its_own(rng):
    logits = rng.normal(size=(4, 3)) + np.array([[0, 1e4, -1e4, 5]]).T
    for row, log_p in zip(logits, log_softmax(logits), strict=True):
        assert np.array_equal(log_softmax(row[None])[0], log_p)


def test_the_loss_is_the_formula():
    # -log(e^2 / (e^2 + e^-1)) and -log(1 / (e + 1)), averaged.
    y_hat, y = np.array([[2.0, -1.0], [1.0, 0.0]]), np.array([0, 1])
    expected = (math.log1p(math.exp(-3)) + math.log(math.e + 1)) / 2
    assert CrossEntropyLoss()(y_hat, y) == pytest.approx(expected, 1e-15)
    log_p = -np.arange(6.0).reshape(2, 3)
    assert nll(log_p, np.array([2, 0])) == (2 + 3) / 2


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u8", ">i8"])
def test_labels_may_be_integers_of_any_kind(rng, dtype):
    y_hat = rng.normal(size=(5, 10)).view(GradArray)
    y = np.array([0, 9, 3, 3, 1])
    expected = by_hand(y_hat, y), y_hat.grad
    assert by_hand(y_hat, y.astype(dtype)) == expected[0]
    assert np.array_equal(y_hat.grad, expected[1])


def test_float32_logits_get_a_float32_gradient(rng):
    y_hat = rng.normal(size=(5, 3)).astype(np.float32).view(GradArray)
    assert type(by_hand(y_hat, np.arange(5) % 3)) is float
    assert y_hat.grad.dtype == np.float32


def test_neither_logits_nor_labels_are_changed(rng):
    y_hat = rng.normal(size=(5, 3)).view(GradArray)
    y = rng.integers(3, size=5)
    before = y_hat.copy(), y.copy()
    by_hand(y_hat, y)
    assert np.array_equal(y_hat, before[0])
    assert np.array_equal(y, before[1])


def test_accuracy_is_the_share_of_samples():
    logits = np.array([[0.0, 1], [3, 2], [-1, -2], [-5, 0], [1, 2]])
    assert accuracy(logits, np.array([1, 0, 1, 0, 1])) == 3 / 5
    many = np.tile(logits, (60, 1))  # 300: no multiple of 256
    wrong = many.argmin(axis=1)
    assert type(accuracy(many, wrong)) is float
    assert accuracy(many, wrong) == 0
    wrong[-1] = many[-1].argmax()
    assert accuracy(many, wrong) == 1 / 300


# -- Mini-batches ---------------------------------------------------------


def rows_and_labels(n):
    """Row i holds 2 i and 2 i + 1; its label is 10 i."""
    return np.arange(2 * n).reshape(n, 2), 10 * np.arange(n)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    "n, batch_size, sizes",
    [(1, 1, [1]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3])],
)
def test_a_pass_has_every_row_once(
    rng, n, batch_size, sizes, shuffled, kind
):
    X, y = map(kind, rows_and_labels(n))
    loader = DataLoader(X, y, batch_size, rng=rng if shuffled else None)
    for _ in range(3):
        batches = list(loader)
        assert len(loader) == len(batches)
        assert {type(part) for b in batches for part in b} == {type(X)}
        assert [len(rows) for rows, _ in batches] == sizes
        dealt = np.concatenate([np.asarray(rows) for rows, _ in batches])
        named = np.concatenate([np.asarray(part) for _, part in batches])
        assert np.array_equal(dealt[:, 0] * 5, named), "rows lost labels"
        assert np.array_equal(np.sort(named), y)
        assert shuffled or np.array_equal(named, y)


def test_the_seed_decides_the_order_and_each_pass_has_its_own():
    def three(seed):
        rng = np.random.default_rng(seed)
        loader = DataLoader(*rows_and_labels(100), 32, rng=rng)
        return [[part.tolist() for _, part in loader] for _ in range(3)]

    assert three(0) == three(0)
    assert three(0) != three(1)
    first, second, third = three(0)
    assert first != second != third != first


def test_passes_do_not_disturb_each_other():
    loader = DataLoader(*rows_and_labels(10), 4)
    for _ in loader:
        break  # one that is left early does not shorten the next
    assert len([0 for _ in loader for _ in loader]) == 9


def test_only_a_shuffled_batch_is_a_copy(rng):
    X, y = rows_and_labels(10)
    for batch, _ in DataLoader(X, y, 4, rng=rng):
        assert not np.shares_memory(batch, X)
    for batch, _ in DataLoader(X, y, 4):
        assert np.shares_memory(batch, X)


# -- Training -------------------------------------------------------------


def network(rng):
    """Two linear layers about a ReLU, the biases drawn as well."""
    first, last = Linear(6, 8, rng=rng), Linear(8, 3, rng=rng)
    model = Sequential(first, ReLU(), last)
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
    by_hand(model(X), y, loss_fn)
    model.backward()
    arrays = dict(enumerate([X, *model.parameters()]))
    result = gradcheck(lambda: loss_fn(model(X), y), arrays)
    assert result.ok and not result.unjudged, result


def test_training_equals_pytorch_at_each_step(rng):
    model, (X, y) = network(rng), task(rng)
    theirs = [
        torch.tensor(np.array(p), requires_grad=True)
        for p in model.parameters()
    ]
    ours = SGD(model.parameters(), 0.5)
    torchs = torch.optim.SGD(theirs, 0.5)
    rngs = [np.random.default_rng(0) for _ in range(2)]
    loader = DataLoader(X, y, 20, rng=rngs[0])
    other = DataLoader(torch.tensor(X), torch.tensor(y), 20, rng=rngs[1])
    for epoch in range(20):
        for batch, (x, t) in zip(loader, other, strict=True):
            loss = train_epoch(model, CrossEntropyLoss(), ours, [batch])
            torchs.zero_grad()
            W1, b1, W2, b2 = theirs
            torch_loss = cross_entropy((x @ W1 + b1).relu() @ W2 + b2, t)
            torch_loss.backward()
            torchs.step()
            # A step rounds parameters and scores, below 16 in size, some
            # 60 times by 1.8e-15 in each program and scales that by
            # lr / 2 and less: 60 steps make 4e-12; fivefold room.
            assert abs(loss - torch_loss.item()) < 2e-11
            for p, q in zip(model.parameters(), theirs, strict=True):
                gap = np.abs(p - q.detach().numpy()).max()
                assert gap < 2e-11, f"epoch {epoch}"
    assert max(abs(p).max() for p in model.parameters()) < 16


def test_train_epoch_returns_the_mean_over_samples(rng):
    class Recorder(CrossEntropyLoss):
        def forward(self, y_hat: "n out", y: "int n"):
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


def test_a_loader_that_is_used_up_is_noticed(rng):
    model = network(rng)
    optimizer = SGD(model.parameters(), 0.5)
    once = iter(DataLoader(*task(rng), 20))
    train_epoch(model, CrossEntropyLoss(), optimizer, once)
    with pytest.raises(ZeroDivisionError):
        train_epoch(model, CrossEntropyLoss(), optimizer, once)


def test_training_learns_what_can_be_learnt(rng):
    X = rng.normal(size=(50, 6))
    y = X[:, :3].argmax(axis=1)
    model, loss_fn = network(rng), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), 0.5)
    loader = DataLoader(X, y, 20, rng=rng)
    for _ in range(200):
        loss = train_epoch(model, loss_fn, optimizer, loader)
    assert loss < 0.01
    assert accuracy(model(X), y) == 1
    assert repr(loss_fn) == "CrossEntropyLoss()"


# -- Exercises ------------------------------------------------------------

CELLS = read(ROOT / "book/05-mnist.ipynb").cells


def known():
    return {**vars(mnist), **vars(modules), "np": np}


def test_each_stub_is_unsolved_and_each_solution_passes(capsys):
    names = known()
    for cell in CELLS:
        if "stub" in tags(cell) or cell.id.startswith("solution"):
            exec(cell.source, names)
            word = ": solved (" if "solution" in cell.id else ": not"
            assert word in capsys.readouterr().out, cell.id


def edited(name, right, wrong):
    """What the solution of "5.1" defines, with a slip in its text."""
    cell = f"solution-{name[-1]}"
    (text,) = [c.source for c in CELLS if c.id == cell]
    assert text.count(right) == 1, f"{cell} has no {right}"
    names = known()
    before = set(names)
    exec(text.partition("\nverdict(")[0].replace(right, wrong), names)
    (new,) = set(names) - before - {"__builtins__"}
    return names[new]


RIGHT_1 = "(np.exp(self.log_p) - self.Q) / len(y)"
RIGHT_2 = "(sigmoid - y) / len(y)"
SLIPS = [
    ("5.1", RIGHT_1, "(self.Q - np.exp(self.log_p)) / len(y)", "sign"),
    ("5.1", RIGHT_1, "np.exp(self.log_p) - self.Q", "too large"),
    ("5.1", RIGHT_1, RIGHT_1.replace("len(y)", "y_hat.size"), "too small"),
    ("5.2", RIGHT_2, "(y - sigmoid) / len(y)", "sign"),
    ("5.2", RIGHT_2, "sigmoid - y", "too large"),
    ("5.2", RIGHT_2, "2 * (sigmoid - y) / len(y)", "2 times too large"),
]


@pytest.mark.parametrize("name, right, wrong, slip", SLIPS)
def test_a_wrong_gradient_is_named(capsys, name, right, wrong, slip):
    verdict(name, edited(name, right, wrong))
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: not yet: a gradient is not right")
    assert slip in printed


WRONG = [
    ("5.1", "0.1 / out", "0.1 / 10", "the loss: another value"),
    ("5.1", "y_hat.grad = ", "_ = ", "bwd writes no y_hat.grad"),
    ("5.2", "np.log1p(e)", "0 * e", "the loss: another value"),
    (
        "5.2",
        "np.maximum(z, 0) + np.log1p(e)",
        "np.log(1 + np.exp(z))",
        "10,000",
    ),
    (
        "5.3",
        "len(X), batch_size",
        "len(X) - batch_size, batch_size",
        "has 8",
    ),
    ("5.3", "y[rows]", "y[np.sort(rows)]", "another row's label"),
    (
        "5.3",
        "rng.permutation(len(X))",
        "np.arange(len(X))",
        "not a new one",
    ),
    ("5.5", "self.lr * self.decay", "self.decay", "parameter 0"),
    ("5.5", "p *=", "p.grad +=", ""),
    (
        "5.7",
        "(X / 16, y, 32",
        "(X / 16, y * 0, 32",
        "new images are right",
    ),
]


@pytest.mark.parametrize("name, right, wrong, words", WRONG)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_answer_is_told_in_words(
    capsys, name, right, wrong, words
):
    verdict(name, edited(name, right, wrong))
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: not yet: ")
    assert words in printed


def test_a_wrong_prediction_is_counted(capsys):
    verdict("5.4", [True, True], [True, True, True, True])
    assert "the network: 1 of 4 are right" in capsys.readouterr().out
