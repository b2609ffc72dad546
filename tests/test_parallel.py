"""Chapter 9: shards, one gradient, roll call, checkpoints.

One start of three processes asks what one process cannot be asked. How
runs end that are killed is tried in test_parallel_runs.py.
"""

import inspect
import json

import numpy as np
import pytest
import torch.distributed as dist

from lessons.mnist import CrossEntropyLoss
from lessons.modules import SGD, Linear, MSELoss, Sequential, train_step
from lessons.own_data import load, save
from lessons.parallel import (
    Checkpoint,
    digest,
    digits_network,
    loader_of,
    parallel_epoch,
    parallel_step,
    parallel_train,
    step_seconds,
    torchrun,
)


@pytest.fixture(scope="module")
def alone():
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def task(n, seed=0, lr=1.0):
    """A model, its loss, its optimizer, and n rows."""
    rng = np.random.default_rng(seed)
    model = Sequential(Linear(3, 2, rng=rng))
    rng = np.random.default_rng(1)
    data = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
    return model, MSELoss(), SGD(model.parameters(), lr), *data


# -- Three processes ------------------------------------------------------

PROGRAM = """
import json, sys
import numpy as np
from lessons.matrix import GradArray
from lessons.modules import *
from lessons.parallel import *

TASK
found = {}
with process_group(30) as (rank, size):
    for n in 6, 7, 2:
        many, one = task(n), task(n)
        loss, step = parallel_step(*many), train_step(*one)
        pairs = zip(many[0].parameters(), one[0].parameters())
        gap = max(float(np.abs(p - q).max()) for p, q in pairs)
        found[f"{n} rows"] = loss, step, gap
    p = np.zeros(2).view(GradArray)
    p.grad = np.full(2, 10.0**rank)
    mean_gradients([p], rank)
    found["mean"] = p.grad.tolist()
    begin = np.array([rank + 5, 1])
    same_start([begin])
    found["start"] = begin.tolist()
    found["sum"] = roll_call("step", 4, rank)
    progress(0, 0.5)
    *how, X, y = task(6, seed=rank)
    calls = {
        "skipped": lambda: roll_call("step", 4 + (rank == 2)),
        "other": lambda: parallel_epoch(*how, [(X, y)]),
    }
    for name, call in calls.items():
        try:
            call()
        except RuntimeError as error:
            found[name] = str(error)
    found["digest"] = digest(how[0].parameters())
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump(found, file)
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    program = PROGRAM.replace("TASK", inspect.getsource(task))
    folder.joinpath("program.py").write_text(program)
    printed = torchrun(3, folder / "program.py", folder)
    assert printed == "", "progress is for terminals"
    names = (folder / f"{rank}.json" for rank in range(3))
    return [json.loads(name.read_text()) for name in names]


@pytest.mark.parametrize("n", [6, 7, 2])
def test_three_ranks_step_as_one_equal_ragged_and_empty(three, n):
    for found in three:
        many, one, gap = found[f"{n} rows"]
        assert many == pytest.approx(one, rel=1e-14)
        assert gap < 1e-14, "weigh each shard's gradient by its rows"


def test_gradients_are_weighted_and_rank_0_gives_the_start(three):
    for found in three:
        assert found["mean"] == [210.0, 210.0]  # 0 * 1 + 1 * 10 + 2 * 100
        assert found["start"] == [5, 1]
        assert found["sum"] == 3


def test_a_rank_out_of_step_is_named_on_every_rank(three):
    mean = "the mean of all is"
    for rank, found in enumerate(three):
        told = f"step: rank {rank} has {4 + (rank == 2)}, {mean} 4.3"
        assert found.get("skipped") == told
        told = f"parameters: rank {rank} has {found['digest']}, {mean}"
        assert found.get("other", "agreed").startswith(told)


# -- One process ----------------------------------------------------------


def test_alone_a_step_is_train_step_to_the_bit(alone):
    many, one = task(7), task(7)
    assert parallel_step(*many) == train_step(*one)
    assert digest(many[0].parameters()) == digest(one[0].parameters())


def test_an_epoch_returns_the_mean_over_rows_not_batches(alone):
    *how, X, y = task(5, lr=1e-300)
    expected = MSELoss()(how[0](X), y)
    loss = parallel_epoch(*how, loader_of(X, y, 3)(0))
    assert loss == pytest.approx(expected, rel=1e-12)


def test_another_models_optimizer_is_refused(alone):
    with pytest.raises(ValueError, match="moves other arrays"):
        parallel_step(*task(4)[:2], *task(4)[2:])


def test_an_epoch_has_an_order_of_its_own_and_keeps_it():
    rows = loader_of(np.arange(9.0), np.arange(9), 9, seed=3)
    orders = [next(iter(rows(epoch)))[1].tolist() for epoch in (0, 1, 1)]
    assert orders[0] != orders[1] == orders[2]


def test_a_digest_sees_one_bit_and_every_array():
    arrays = [np.zeros(3), np.ones((2, 2)).T]
    before = digest(arrays)
    assert 0 <= before < 2**40 and digest(arrays) == before
    arrays[1][1, 0] += 2.0**-52
    assert digest(arrays) != before


# -- Checkpoints ----------------------------------------------------------


def test_training_goes_on_from_its_checkpoint_to_the_bit(alone, tmp_path):
    rng = np.random.default_rng(2)
    data = rng.random((30, 784)), rng.integers(0, 10, 30)

    def trained(num_epochs, path=None, seed=0):
        model, told = digits_network(4, seed), []
        how = model, CrossEntropyLoss(), SGD(model.parameters(), 0.1)
        after = lambda epoch, loss: told.append(epoch)  # noqa: E731
        parallel_train(*how, loader_of(*data, 8), num_epochs, path, after)
        return digest(model.parameters()), told

    path = tmp_path / "kept.npz"
    assert trained(2, path)[1] == [0, 1]
    # From another start: what counts is in the file.
    assert trained(4, path, seed=1) == (trained(4)[0], [2, 3])
    assert trained(4, path) == (trained(4)[0], [])


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path, model = tmp_path / "weights.npz", digits_network(4, 0)
    save(path, model)
    with pytest.raises(ValueError, match="the file has no epoch"):
        load(path, Checkpoint(model))
    save(path, Checkpoint(model))
    with pytest.raises(ValueError, match=r"0\.W"):
        load(path, Checkpoint(digits_network(5, 0)))


def test_a_program_that_fails_says_why(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("raise ValueError('the data are bad')")
    with pytest.raises(RuntimeError, match="the data are bad"):
        torchrun(1, program)


def test_the_formula_of_a_step():
    paper = {"row": 0.5, "size": 80.0, "rate": 10.0, "delay": 1.0}
    assert step_seconds(1, 8, **paper) == 4.0
    # 2 rows; 1.5 times 80 bytes; 6 rounds in each of 2 calls.
    assert step_seconds(4, 8, **paper, calls=2) == 1 + 12 + 12
