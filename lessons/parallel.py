"""One gradient from many processes, and the checks that keep them one."""

import argparse
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from hashlib import sha256

import numpy as np
import torch
import torch.distributed as dist

from lessons.checks import check_same_arrays
from lessons.mnist import DataLoader


# %% torchrun
def torchrun(num_processes, *arguments):
    """Start processes with torchrun; returns what they print.

    arguments: a program and what it takes, or "-m", a module and the
    same; options of torchrun come first. RuntimeError where one fails.
    """
    command = [sys.executable, "-m", "torch.distributed.run"]
    command += ["--standalone", f"--nproc-per-node={num_processes}"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"torchrun failed: {done.stderr[-2000:]}")
    return done.stdout


# %% connect
def end_with_parent(every=0.5):
    """End this process within a second of the one that started it."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def connect(timeout=60.0):
    """Join the processes that torchrun has started; returns rank, size.

    timeout: seconds after which a rank that waits for another gives up.
    """
    end_with_parent()
    dist.init_process_group("gloo", timeout=timedelta(seconds=timeout))
    return dist.get_rank(), dist.get_world_size()


# %% shard
def shard(rows, rank, size):
    """The part of rows that is a rank's; all parts as equal as can be."""
    return np.array_split(rows, size)[rank]


# %% mean
def mean_gradients(parameters, share):
    """Replace each .grad by the sum over the ranks of share * .grad."""
    for p in parameters:
        p.grad = share * p.grad
        dist.all_reduce(torch.from_numpy(p.grad))


# %% broadcast
def same_start(parameters):
    """Give every rank the parameters of rank 0, in place."""
    for p in parameters:
        dist.broadcast(torch.from_numpy(p), src=0)


# %% roll-call
def roll_call(number, value=0.0):
    """The sum of value over the ranks, if all come with one number.

    RuntimeError on every rank that has another number than the mean.
    """
    told = torch.tensor([number, value], dtype=torch.float64)
    dist.all_reduce(told)
    mean = told[0].item() / dist.get_world_size()
    if mean != number:
        raise RuntimeError(
            f"rank {dist.get_rank()} comes with {number}, the mean is "
            f"{mean:.1f}: a step was skipped, or parameters differ"
        )
    return told[1].item()


# %% digest
def digest(parameters):
    """A whole number of 40 bits that any changed bit changes."""
    found = sha256()
    for p in parameters:
        found.update(np.ascontiguousarray(p))
    return int.from_bytes(found.digest()[:5])


# %% step
def parallel_step(model, loss_fn, optimizer, X, y, number=0):
    """train_step on the rows X, y, each rank on its shard of them.

    All ranks end with the same parameters and return the loss over all
    rows, before the update. number: of this step, the same everywhere.
    """
    check_same_arrays(model, optimizer)
    where = dist.get_rank(), dist.get_world_size()
    X_mine, y_mine = shard(X, *where), shard(y, *where)
    share, loss = len(X_mine) / len(X), 0.0
    if share:
        loss = loss_fn(model(X_mine), y_mine)
        loss_fn.backward()
        model.backward()
    else:
        for p in model.parameters():
            p.grad = np.zeros(p.shape, p.dtype)
    loss = roll_call(number, share * loss)
    mean_gradients(model.parameters(), share)
    optimizer.step()
    return loss


# %% epoch
def parallel_epoch(
    model, loss_fn, optimizer, X, y, batch_size, *, seed, epoch
):
    """One pass over X, y in the order that seed and epoch give.

    Returns the mean loss. RuntimeError where the ranks are no longer in
    step, or end with other parameters.
    """
    rng, total = np.random.default_rng([seed, epoch]), 0.0
    loader = DataLoader(X, y, batch_size, rng=rng)
    for k, (X_batch, y_batch) in enumerate(loader):
        total += len(y_batch) * parallel_step(
            model, loss_fn, optimizer, X_batch, y_batch, epoch * 10**6 + k
        )
    roll_call(digest(model.parameters()))
    return total / len(y)


# %% checkpoint
class Checkpoint:
    """A Network and how many epochs it has seen, as save takes them."""

    def __init__(self, network):
        self.network, self.epoch = network, 0

    def state_dict(self):
        epoch = np.array(self.epoch)
        return {**self.network.state_dict(), "epoch": epoch}

    def load_state_dict(self, state):
        epoch = state.pop("epoch", None)
        self.network.load_state_dict(state)
        if epoch is None:
            raise ValueError("weights without an epoch: no checkpoint")
        self.epoch = int(epoch)


# %% train
def parallel_train(
    network,
    loss_fn,
    optimizer,
    X,
    y,
    batch_size,
    *,
    num_epochs,
    seed=0,
    path=None,
    after_epoch=lambda epoch, loss: None,
):
    """Train a Network on all ranks; go on from path, if a file is there.

    After each epoch rank 0 writes path, whole or not at all. Returns
    the loss of the last epoch, nan where none was left to train.
    """
    from lessons.own_data import load, save

    kept, loss = Checkpoint(network), float("nan")
    if path and dist.get_rank() == 0 and os.path.exists(path):
        load(path, kept)
    begin = np.array([kept.epoch])
    same_start([begin, *network.parameters()])
    for epoch in range(begin[0], num_epochs):
        loss = parallel_epoch(
            network,
            loss_fn,
            optimizer,
            X,
            y,
            batch_size,
            seed=seed,
            epoch=epoch,
        )
        kept.epoch = epoch + 1
        if path and dist.get_rank() == 0:
            save(path, kept)
        after_epoch(epoch, loss)
    return loss


# %% main
def main(arguments=None):
    """Train chapter 5's network on many processes: see --help."""
    parser = argparse.ArgumentParser("lessons.parallel")
    add = parser.add_argument
    add("--epochs", type=int, default=3)
    add("--rows", type=int, default=10_000, help="of MNIST, up to 60000")
    add("--hidden", type=int, default=256)
    add("--batch-size", type=int, default=256, help="over all processes")
    add("--lr", type=float, default=0.5)
    add("--seed", type=int, default=0)
    add("--checkpoint", help="a file to write, and to go on from")
    add("--timeout", type=float, default=60.0, help="seconds")
    told = parser.parse_args(arguments)
    for name in "epochs", "rows", "hidden", "batch_size", "lr", "timeout":
        if not getattr(told, name) > 0:
            parser.error(f"--{name}: expected a number above 0")

    from lessons.datasets import load_mnist
    from lessons.mnist import CrossEntropyLoss, accuracy
    from lessons.modules import SGD, Linear, ReLU
    from lessons.own_data import Network

    rank, size = connect(told.timeout)
    images, labels = load_mnist()
    X, y = images[: told.rows] / 255, labels[: told.rows]
    rng = np.random.default_rng(told.seed)
    layers = Linear(784, told.hidden, rng=rng), ReLU()
    model = Network(*layers, Linear(told.hidden, 10, rng=rng))

    def progress(epoch, loss):
        if rank == 0 and sys.stdout.isatty():
            end = "\n" if epoch + 1 == told.epochs else ""
            text = f"epoch {epoch + 1} of {told.epochs}: loss {loss:.4f}"
            print(f"\r{text}", end=end, flush=True)

    parallel_train(
        model,
        CrossEntropyLoss(),
        SGD(model.parameters(), told.lr),
        X,
        y,
        told.batch_size,
        num_epochs=told.epochs,
        seed=told.seed,
        path=told.checkpoint,
        after_epoch=progress,
    )
    if rank == 0:
        right = accuracy(model(images[50_000:60_000] / 255), labels[50_000:60_000])
        print(f"processes {size}, epochs {told.epochs}, accuracy {right:.4f}")
    dist.destroy_process_group()


if __name__ == "__main__" and "RANK" in os.environ:
    main()
