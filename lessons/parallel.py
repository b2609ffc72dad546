"""One gradient from many processes, and the checks that keep them one."""

# Written by `make export` from book/09-parallel.ipynb: edit that.

__all__ = [
    "torchrun",
    "end_with_launcher",
    "clear_end",
    "process_group",
    "all_reduce",
    "shard",
    "mean_gradients",
    "same_start",
    "roll_call",
    "digest",
    "parallel_step",
    "parallel_epoch",
    "loader_of",
    "Checkpoint",
    "parallel_train",
    "FLAGS",
    "arguments_of",
    "digits_network",
    "progress",
    "main",
    "step_seconds",
]

# %% torchrun
import os
import subprocess
import sys


def torchrun(num_processes, *arguments):
    """Start processes with torchrun; return what they print.

    arguments: its options, then a program, or "-m" and a module, then
    what that takes. RuntimeError, with what they complain of, if one
    fails.
    """
    command = [sys.executable, "-m", "torch.distributed.run"]
    command += ["--standalone", f"--nproc-per-node={num_processes}"]
    command += map(str, arguments)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"torchrun failed:\n{done.stderr}")
    return done.stdout


# %% watch
import threading
import time


def end_with_launcher():
    """Let this process end within a second of the one that began it."""
    launcher = os.getppid()

    def watch():
        while os.getppid() == launcher:
            time.sleep(0.5)
        os.write(2, b"torchrun has gone: this process ends, too\n")
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# %% clear-end
from contextlib import contextmanager


@contextmanager
def clear_end(what):
    """Let an error of PyTorch end this process, in one line."""
    try:
        yield
    except RuntimeError as error:
        why = str(error).split("] ")[-1]
        sys.exit(f"rank {os.environ['RANK']}: {what} ({why})")


# %% process-group
from datetime import timedelta

import torch.distributed as dist


@contextmanager
def process_group(seconds=60.0):
    """Join the processes of torchrun, each to wait so long for another."""
    end_with_launcher()
    with clear_end(f"not all came together within {seconds:g} s"):
        dist.init_process_group("gloo", timeout=timedelta(seconds=seconds))
    try:
        yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


# %% all-reduce
import torch


def all_reduce(array):
    """Replace an array by its sum over all ranks, in place."""
    with clear_end("another process has gone, or was silent for too long"):
        dist.all_reduce(torch.from_numpy(array))


# %% shard
import numpy as np


def shard(rows, rank, size):
    """The part of rows that is a rank's; all parts as equal as can be."""
    return np.array_split(rows, size)[rank]


# %% mean-gradients
def mean_gradients(parameters, share):
    """Replace each .grad by the sum of share * .grad over the ranks."""
    for p in parameters:
        p.grad = share * p.grad
        all_reduce(p.grad)


# %% same-start
def same_start(arrays):
    """Give every rank the numbers that rank 0 has, in place."""
    for array in arrays:
        with clear_end("rank 0 has gone, or was silent for too long"):
            dist.broadcast(torch.from_numpy(array), src=0)


# %% roll-call
def roll_call(what, number, value=0.0):
    """The sum of value over the ranks, if all come with one number.

    RuntimeError where a rank's number is not the mean of all. what:
    a word for it.
    """
    told = np.array([number, value], dtype=float)
    all_reduce(told)
    mean = told[0] / dist.get_world_size()
    if mean != number:
        raise RuntimeError(
            f"{what}: rank {dist.get_rank()} has {number}, "
            f"the mean of all is {mean:.1f}"
        )
    return told[1]


# %% digest
from hashlib import sha256


def digest(parameters):
    """A whole number of 40 bits, made from every bit of parameters."""
    found = sha256()
    for p in parameters:
        found.update(np.ascontiguousarray(p))
    return int.from_bytes(found.digest()[:5], "big")


# %% parallel-step
from lessons.checks import check_same_arrays


def parallel_step(model, loss_fn, optimizer, X, y, number=0):
    """train_step on the rows X, y, each rank on its shard of them.

    Returns the loss of all the rows, on every rank. RuntimeError where a
    rank comes with another number.
    """
    check_same_arrays(model, optimizer)
    here = dist.get_rank(), dist.get_world_size()
    X_mine, y_mine = shard(X, *here), shard(y, *here)
    share, loss = len(X_mine) / len(X), 0.0
    if share:
        loss = loss_fn(model(X_mine), y_mine)
        loss_fn.backward()
        model.backward()
    else:
        for p in model.parameters():
            p.grad = np.zeros(p.shape, p.dtype)
    loss = roll_call("step", number, share * loss)
    mean_gradients(model.parameters(), share)
    optimizer.step()
    return loss


# %% parallel-epoch
def parallel_epoch(model, loss_fn, optimizer, loader, epoch=0):
    """train_epoch on many processes; loader: the same on each.

    Returns the mean loss. RuntimeError where the ranks are not in step,
    or end the epoch with different parameters.
    """
    total, count = 0.0, 0
    for k, (X, y) in enumerate(loader):
        number = 1_000_000 * epoch + k
        step = parallel_step(model, loss_fn, optimizer, X, y, number)
        total += len(y) * step
        count += len(y)
    roll_call("parameters", digest(model.parameters()))
    return total / count


# %% order
from lessons.mnist import DataLoader


def loader_of(X, y, batch_size, seed=0):
    """A function from an epoch's number to its DataLoader."""
    return lambda epoch: DataLoader(
        X, y, batch_size, rng=np.random.default_rng([seed, epoch])
    )


# %% checkpoint
class Checkpoint:
    """A Network and how many epochs it has seen, for save and load."""

    def __init__(self, network):
        self.network, self.epoch = network, 0

    def state_dict(self):
        epoch = np.array(self.epoch)
        return {**self.network.state_dict(), "epoch": epoch}

    def load_state_dict(self, state):
        if "epoch" not in state:
            raise ValueError("no checkpoint: the file has no epoch")
        self.epoch = int(state.pop("epoch"))
        self.network.load_state_dict(state)


# %% parallel-train
def parallel_train(
    model, loss_fn, optimizer, loaders, num_epochs, path=None, told=None
):
    """Train a Network; go on from the checkpoint at path, if there is one.

    loaders: as loader_of gives it. told: called with epoch and loss
    after each. The optimizer must remember nothing, as SGD.
    """
    from lessons.own_data import load, save  # with them comes sklearn

    kept, first = Checkpoint(model), dist.get_rank() == 0
    if path and first and os.path.exists(path):
        load(path, kept)
    begin = np.array([kept.epoch])
    same_start([begin, *model.parameters()])
    for epoch in range(begin[0], num_epochs):
        now = loaders(epoch), epoch
        loss = parallel_epoch(model, loss_fn, optimizer, *now)
        kept.epoch = epoch + 1
        if path and first:
            save(path, kept)
        if told:
            told(epoch, loss)


# %% arguments
import argparse

FLAGS = {
    "--epochs": 3,
    "--rows": 10_000,
    "--hidden": 256,
    "--batch-size": 256,
    "--lr": 0.5,
    "--timeout": 60.0,
    "--checkpoint": "",
}


def arguments_of(words):
    """The settings that a command line gives, as a namespace."""
    parser = argparse.ArgumentParser("lessons.parallel")
    for flag, value in FLAGS.items():
        how = {"type": type(value), "default": value}
        parser.add_argument(flag, help=f"({value})", **how)
    return parser.parse_args(words)


# %% digits
from lessons.datasets import load_mnist
from lessons.modules import SGD, Linear, ReLU


def digits_network(hidden, seed=0):
    """Chapter 5's network, with chapter 6's state_dict."""
    from lessons.own_data import Network

    rng = np.random.default_rng(seed)
    first = Linear(784, hidden, rng=rng)
    return Network(first, ReLU(), Linear(hidden, 10, rng=rng))


def progress(epoch, loss):
    """A line from rank 0 to a terminal; elsewhere, nothing."""
    if dist.get_rank() == 0 and sys.stdout.isatty():
        print(f"epoch {epoch + 1}   loss {loss:.4f}", flush=True)


# %% main
from lessons.mnist import CrossEntropyLoss, accuracy


def main(words=None, told=progress):
    """Train on MNIST, on every process of torchrun; see --help."""
    given = arguments_of(words)
    images, labels = load_mnist()
    mine, held = slice(min(given.rows, 60_000)), slice(60_000, None)
    data = images[mine] / 255, labels[mine]
    loaders = loader_of(*data, given.batch_size)
    model = digits_network(given.hidden)
    optimizer = SGD(model.parameters(), given.lr)
    task = model, CrossEntropyLoss(), optimizer, loaders, given.epochs
    with process_group(given.timeout) as (rank, size):
        parallel_train(*task, given.checkpoint, told)
    if rank == 0:
        right = accuracy(model(images[held] / 255), labels[held])
        print(f"{given.epochs} epochs, world size {size}: {right:.4f}")


# %% entry
if __name__ == "__main__" and "RANK" in os.environ:
    main()


# %% step-seconds
def step_seconds(p, rows, *, row, size, rate, delay, calls=1):
    """Seconds for a step of so many rows on p machines, on paper.

    row: seconds of arithmetic for each row; size: bytes of gradients;
    rate: bytes a second from one machine to the next; delay: seconds
    until the first of them arrives; calls of all-reduce in a step.
    """
    talk = 2 * (p - 1) / p * size / rate + 2 * (p - 1) * delay * calls
    return row * np.ceil(rows / p) + talk
