"""Chapter 6: scaling, yes or no, better steps, files, estimators."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.utils.estimator_checks import check_estimator

from lessons import own_data
from lessons.gradcheck import gradcheck
from lessons.matrix import GradArray
from lessons.mnist import DataLoader
from lessons.modules import Linear, MSELoss, ReLU, train_step
from lessons.own_data import (
    Adam,
    BCEWithLogitsLoss,
    Dropout,
    Momentum,
    Network,
    NetworkClassifier,
    NetworkRegressor,
    load,
    named_parameters,
    save,
    scaling,
    train_until,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def network(seed=0, *, p=0.0, inputs=3):
    rng = np.random.default_rng(seed)
    first, last = Linear(inputs, 4, rng=rng), Linear(4, 1, rng=rng)
    first.b += 0.3
    return Network(first, ReLU(), Dropout(p, rng=rng), last)


# -- Scaling, the loss ----------------------------------------------------
def test_scaling_leaves_gaps_out_and_constant_columns_alone():
    # 0.1 three times has a mean that is not quite 0.1.
    X = np.array([[1.0, 0.1, np.nan], [3.0, 0.1, 4.0], [5.0, 0.1, 8.0]])
    mean, std = scaling(X)
    assert mean == pytest.approx([3, 0.1, 6])
    assert std == pytest.approx([np.sqrt(8 / 3), 1, 2])


@pytest.mark.parametrize("n, out", [(1, 1), (5, 1), (4, 3)])
def test_yes_or_no_is_that_of_pytorch(rng, n, out):
    y_hat = 3 * rng.normal(size=(n, out)).view(GradArray)
    y, loss_fn = rng.random((n, out)).round(), BCEWithLogitsLoss()
    theirs = torch.tensor(np.array(y_hat), requires_grad=True)
    loss = torch.nn.BCEWithLogitsLoss()(theirs, torch.tensor(y))
    loss.backward()
    assert loss_fn(y_hat, y) == pytest.approx(loss.item(), rel=1e-14)
    loss_fn.backward()
    np.testing.assert_allclose(y_hat.grad, theirs.grad, 0, 1e-14)
    assert gradcheck(lambda: loss_fn(y_hat, y), {"y_hat": y_hat}).ok


@pytest.mark.filterwarnings("error")
def test_large_scores_do_not_overflow():
    far = np.array([[1e4], [-1e4]]).view(GradArray)
    loss_fn = BCEWithLogitsLoss()
    assert loss_fn(far, np.array([[1.0], [0.0]])) == 0
    assert loss_fn(far, np.array([[0.0], [1.0]])) == 1e4


def test_labels_of_minus_one_are_refused():
    with pytest.raises(ValueError, match=r"from|expected 1 for yes"):
        BCEWithLogitsLoss()(np.ones((2, 1)), np.array([[-1.0], [1.0]]))


# -- Steps ----------------------------------------------------------------
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("ours", [Momentum, Adam])
def test_a_whole_training_run_is_that_of_pytorch(rng, ours, decay):
    """Every parameter after each of 60 steps, from one start."""
    X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    model = network()
    twin = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)
    ).double()
    with torch.no_grad():
        for p, q in zip(
            model.parameters(), twin.parameters(), strict=True
        ):
            q.copy_(torch.tensor(np.array(p).T))
    options = {"weight_decay": decay} if decay else {}
    mine = ours(model.parameters(), 0.02, **options)
    if ours is Momentum:
        extra, make = {"momentum": 0.9}, torch.optim.SGD
    else:
        extra, make = {}, torch.optim.Adam
    theirs = make(twin.parameters(), 0.02, weight_decay=decay, **extra)
    for _ in range(60):
        train_step(model, MSELoss(), mine, X, y)
        theirs.zero_grad()
        torch.nn.MSELoss()(
            twin(torch.tensor(X)), torch.tensor(y)
        ).backward()
        theirs.step()
        for p, q in zip(
            model.parameters(), twin.parameters(), strict=True
        ):
            # 60 steps of two programs, each off by some 50 roundings of
            # 1.1e-16 on numbers of order one: 7e-13; a run that learns
            # makes differences at most tenfold larger.
            q = q.detach().numpy().T
            np.testing.assert_allclose(p, q, 0, 1e-11)


@pytest.mark.parametrize("make", [Momentum, Adam])
def test_a_step_is_taken_whole_or_not_at_all(make):
    arrays = [np.ones(2).view(GradArray) for _ in range(2)]
    optimizer = make(arrays, 0.1)
    arrays[0].grad = np.ones(2)
    with pytest.raises(RuntimeError, match="run backward"):
        optimizer.step()
    assert all((p == 1).all() for p in arrays)


# -- Dropout, modes, early stopping ---------------------------------------
def test_dropout_with_its_mask_held_still(rng):
    model, y = network(p=0.4), rng.normal(size=(8, 1))
    X, loss_fn = rng.normal(size=(8, 3)).view(GradArray), MSELoss()

    def loss():
        model.layers[2].rng = np.random.default_rng(1)
        return loss_fn(model(X), y)

    loss()
    loss_fn.backward()
    model.backward()
    assert gradcheck(loss, {"X": X, **named_parameters(model)}).ok


def test_dropout_keeps_the_mean_and_rests_when_it_answers(rng):
    layer, X = Dropout(0.25, rng=rng), np.full((200, 500), 3.0)
    out = layer(X)
    assert set(np.unique(out)) == {0.0, 4.0}
    # A mean of 100,000 draws: five standard errors.
    assert abs(out.mean() - 3) < 5 * 3 * np.sqrt(1 / 3 / X.size)
    model = Network(layer).eval()
    assert np.array_equal(model(X), X)
    assert model.train().layers[0].training
    assert layer(X.astype("float32")).dtype == "float32"
    with pytest.raises(ValueError, match="below 1"):
        Dropout(1.0, rng=rng)


def test_early_stopping_ends_with_the_best_epoch(rng):
    X, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 1))
    val, model = rng.normal(size=(2, 12, 3)), network()
    optimizer = Momentum(model.parameters(), 0.05)
    losses = train_until(
        model,
        MSELoss(),
        optimizer,
        DataLoader(X, y, 4),
        val[0],
        val[1][:, :1],
        num_epochs=50,
        patience=5,
    )
    assert 6 < len(losses) == 1 + np.argmin(losses) + 5 < 50
    assert MSELoss()(model(val[0]), val[1][:, :1]) == min(losses)


# -- Files ----------------------------------------------------------------
def arrays_of(model):
    return [array.tobytes() for array in model.state_dict().values()]


def test_what_is_saved_is_what_is_loaded(tmp_path):
    path, model, other = tmp_path / "w.npz", network(), network(1)
    save(str(path), model)
    load(path, other)
    assert arrays_of(model) == arrays_of(other)
    assert list(model.state_dict()) == ["0.W", "0.b", "3.W", "3.b"]
    kept = model.state_dict()
    model.parameters()[0][:] = 0
    assert kept["0.W"].any(), "state_dict gives copies"
    assert [file.name for file in tmp_path.iterdir()] == ["w.npz"]


def test_a_damaged_file_is_refused_or_gives_the_same_weights(tmp_path):
    """Every byte turned, and the file cut at every length."""
    path, model = tmp_path / "w.npz", network()
    other = network(1)
    before, saved = arrays_of(other), arrays_of(model)
    save(path, model)
    whole = path.read_bytes()
    damaged = [whole[:k] for k in range(0, len(whole), 7)]
    for k in range(0, len(whole), 5):
        turned = bytearray(whole)
        turned[k] ^= 0xFF
        damaged.append(bytes(turned))
    refusals = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            load(path, other)
        except ValueError:
            refusals += 1
            assert arrays_of(other) == before
        else:  # a byte that carries nothing, a date for instance
            assert arrays_of(other) == saved
            other.load_state_dict(network(1).state_dict())
    assert refusals > len(damaged) / 2


def test_another_models_weights_are_refused_in_words(tmp_path):
    path, model = tmp_path / "w.npz", network()
    before = arrays_of(model)
    wrong = model.state_dict()
    for words, change in (
        (
            r"expected shape \(3, 4\), float64; got",
            {"0.W": np.ones((4, 3))},
        ),
        ("got shape .*float32", {"0.W": np.ones((3, 4), "float32")}),
        ("0.b has nan", {"0.b": np.full(4, np.nan)}),
        ("another model's", {"5.W": np.ones(1)}),
    ):
        with pytest.raises(ValueError, match=words):
            model.load_state_dict({**wrong, "3.b": np.ones(1), **change})
        assert arrays_of(model) == before
    np.save(tmp_path / "x.npy", np.ones(3))
    (tmp_path / "p.npz").write_bytes(pickle.dumps({"0.W": 1}))
    np.savez(tmp_path / "o.npz", **{"0.W": np.array([{}])})  # by pickle
    for name in "x.npy", "p.npz", "o.npz":
        with pytest.raises(ValueError, match="damaged, or holds no"):
            load(tmp_path / name, model)
    with pytest.raises(FileNotFoundError):
        load(path, model)


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path, model = tmp_path / "w.npz", network()
    save(path, model)
    old = path.read_bytes()

    def half(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(own_data.np, "savez", half)
    with pytest.raises(OSError, match="no space"):
        save(path, network(1))
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["w.npz"]


# -- Estimators -----------------------------------------------------------
@pytest.mark.parametrize("make", [NetworkClassifier, NetworkRegressor])
def test_scikit_learn_finds_nothing_wrong(make):
    checks = check_estimator(make(), on_skip=None, on_fail=None)
    failed = [c for c in checks if c["status"] == "failed"]
    assert not failed, "\n".join(
        f"{c['check_name']}: {c['exception']!r}" for c in failed
    )
    passed = [c for c in checks if c["status"] == "passed"]
    assert len(passed) > 40


def test_a_classifier_answers_with_the_labels_it_was_given():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = NetworkClassifier(hidden=[8, 8], random_state=0).fit(X, names)
    assert model.score(X, names) > 0.95
    assert len(model.model_.layers) == 5
    p = model.predict_proba(X)
    assert (model.classes_[p.argmax(axis=1)] == model.predict(X)).all()
    again = clone(model).fit(X, names)
    assert np.array_equal(p, again.predict_proba(X)), "one seed, one fit"


def test_going_on_is_the_same_as_not_having_stopped(rng):
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 3
    whole = NetworkClassifier(num_epochs=4, random_state=0).fit(X, y)
    parts = NetworkClassifier(random_state=0)
    for _ in range(3):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    parts = pickle.loads(pickle.dumps(parts)).partial_fit(X, y)
    found = parts.predict_proba(X)
    assert np.array_equal(found, whole.predict_proba(X))
    for other in {"random_state": 1}, {"weight_decay": 1.0}:
        changed = clone(whole).set_params(**other).fit(X, y)
        assert not np.allclose(found, changed.predict_proba(X)), other


def test_an_epoch_is_shuffled(rng, monkeypatch):
    taken = []

    def steps(model, loss_fn, optimizer, loader):
        taken.extend(np.concatenate([y for _, y in loader]).ravel())
        return 0.0

    monkeypatch.setattr(own_data, "train_epoch", steps)
    X, y = rng.normal(size=(30, 2)), np.arange(30.0)
    NetworkRegressor(num_epochs=2, batch_size=8).fit(X, y)
    first, second = np.array(taken).reshape(2, 30)
    assert list(np.argsort(first)) != list(np.argsort(second))
    assert list(np.sort(first)) == list(np.sort(second))


def test_classes_have_to_be_named_at_first(rng):
    X, y = rng.normal(size=(6, 2)), np.arange(6) % 2
    model = NetworkClassifier(random_state=0).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"\[7\] are none of the classes"):
        model.partial_fit(X, y + 7 * (y == 1) - (y == 1))
    fresh = NetworkClassifier()
    with pytest.raises(ValueError, match="got one class"):
        fresh.partial_fit(X, 0 * y)
    assert fresh.partial_fit(X, y).predict(X).shape == (6,)


def test_progress_is_told_only_when_asked_for(rng, capsys):
    X, y = rng.normal(size=(9, 2)), rng.normal(size=9)
    NetworkRegressor(num_epochs=2).fit(X, y)
    assert capsys.readouterr().out == ""
    NetworkRegressor(num_epochs=2, verbose=True).fit(X, y)
    told = capsys.readouterr().out
    assert told.startswith("\repoch 1 of 2: ") and told.endswith("\n")
