"""Measure how fast the course trains: ``make bench``.

Prints tables, draws the first, and stores them for the page "How fast is
it?". Nothing here is asserted.
"""

import datetime
import os
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import threadpoolctl
import torch
from sklearn.neural_network import MLPClassifier
from torch import distributed as dist
from torch import nn

from lessons import figures, mnist, parallel
from lessons.autograd import Tensor, no_grad
from lessons.datasets import load_mnist
from lessons.mnist import CrossEntropyLoss, DataLoader
from lessons.modules import SGD, Linear, ReLU, Sequential, train_step
from lessons.own_data import NetworkClassifier
from tools.reproduce import RESULTS, processor, store

ROUNDS, IMAGES, BATCH, SIZES, LR = 5, 59_500, 256, (784, 256), 0.5
PART = 20 * BATCH  # a turn
FLOOR = "five matrix products"


def network(dtype):
    """The course's model, loss and optimizer."""
    rng = np.random.default_rng(0)
    layers = [Linear(*s, rng=rng, dtype=dtype) for s in (SIZES, (256, 10))]
    model = Sequential(layers[0], ReLU(), layers[1])
    return model, CrossEntropyLoss(), SGD(model.parameters(), LR)


def weights(dtype):
    """W1, b1, W2, b2 as the course's own modules would start."""
    return [np.array(p) for p in network(dtype)[0].parameters()]


# -- Programs: each gives an epoch, a function of X and y that returns the
# mean loss, and another that returns W1, b1, W2, b2.


def five_products(dtype):
    """The matrix products of a step, and nothing else: the floor."""
    W1, _, W2, _ = parameters = weights(dtype)
    G = np.full((BATCH, 10), 0.1, dtype)

    def epoch(X, y):
        for x, _ in DataLoader(X, y, BATCH):
            A, G2 = x @ W1, G[: len(x)]
            A @ W2
            A.T @ G2
            x.T @ (G2 @ W2.T)

    return epoch, lambda: parameters


def plain_numpy(dtype):
    """The step written out for this one network, with its loss."""
    W1, b1, W2, b2 = parameters = weights(dtype)

    def epoch(X, y):
        total = 0.0
        for x, labels in DataLoader(X, y, BATCH):
            rows = np.arange(len(x))
            A = np.maximum(x @ W1 + b1, 0)
            Z = A @ W2 + b2
            Z -= Z.max(axis=1, keepdims=True)
            G2 = np.exp(Z)
            sums = G2.sum(axis=1, keepdims=True)
            total += float((np.log(sums[:, 0]) - Z[rows, labels]).sum())
            G2 /= sums
            G2[rows, labels] -= 1
            G2 /= len(x)
            G1 = (G2 @ W2.T) * (A > 0)
            W2[:] -= LR * (A.T @ G2)
            b2[:] -= LR * G2.sum(axis=0)
            W1[:] -= LR * (x.T @ G1)
            b1[:] -= LR * G1.sum(axis=0)
        return total / len(y)

    return epoch, lambda: parameters


def course(dtype):
    """The modules of chapter 3 with the loss of chapter 5."""
    parts = network(dtype)

    def epoch(X, y):
        return mnist.train_epoch(*parts, DataLoader(X, y, BATCH))

    return epoch, parts[0].parameters


def on_tape(dtype):
    """The forward pass alone, its gradients from chapter 8's tape."""
    W1, b1, W2, b2 = tensors = [Tensor(p) for p in weights(dtype)]

    def epoch(X, y):
        total = 0.0
        for x, labels in DataLoader(X, y, BATCH):
            Z = np.maximum(x @ W1 + b1, 0) @ W2 + b2
            log_p = mnist.log_softmax(Z)
            loss = -log_p[np.arange(len(x)), labels].mean()
            loss.backward()
            with no_grad():
                for p in tensors:
                    p[:] = p - LR * p.grad
                    p.grad = None
            total += float(loss) * len(x)
        return total / len(y)

    return epoch, lambda: [p.detach() for p in tensors]


def pytorch(dtype):
    """PyTorch, eager, from the same weights."""
    first, second = nn.Linear(*SIZES), nn.Linear(256, 10)
    model = nn.Sequential(first, nn.ReLU(), second)
    for p, w in zip(model.parameters(), weights(dtype), strict=True):
        p.data = torch.from_numpy(w.T.copy())
    optimizer = torch.optim.SGD(model.parameters(), LR)
    loss_fn = nn.CrossEntropyLoss()

    def epoch(X, y):
        total = 0.0
        tensors = torch.from_numpy(X), torch.from_numpy(y)
        for x, labels in DataLoader(*tensors, BATCH):
            optimizer.zero_grad()
            loss = loss_fn(model(x), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        return total / len(y)

    return epoch, lambda: [
        p.detach().numpy().T for p in model.parameters()
    ]


PROGRAMS = {
    FLOOR: five_products,
    "plain NumPy loop": plain_numpy,
    "the course's modules": course,
    "chapter 8's tape": on_tape,
    "PyTorch, eager": pytorch,
}


# -- Measuring ------------------------------------------------------------


def seconds(call, *args, clock=time.perf_counter, calls=1):
    start = clock()
    for _ in range(calls):
        call(*args)
    return (clock() - start) / calls


def epochs(programs, base, X, y):
    """{name: (seconds an epoch, times those of base)}.

    At each part of the images the programs take turns; the quickest turn
    of each is the one that the rest of the machine disturbed least.
    Seconds are the processor's, which does not count what else it runs.
    """
    parts = [slice(k, k + PART) for k in range(0, IMAGES - PART, PART)]
    times = [
        [
            seconds(epoch, X[part], y[part], clock=time.process_time)
            for epoch in programs.values()
        ]
        for part in ROUNDS * parts
    ]
    best = np.min(times, axis=0)
    ratios = best / best[list(programs).index(base)]
    each = zip(best * IMAGES / PART, ratios, strict=True)
    return dict(zip(programs, each, strict=True))


def estimators(X, y):
    """An epoch of chapter 6's estimator and of scikit-learn's."""
    same = {"batch_size": BATCH, "random_state": 0}
    ours = NetworkClassifier(SIZES[1], lr=0.001, **same)
    fits = {
        type(model).__name__: lambda X, y, model=model: model.partial_fit(
            X, y, classes=np.arange(10)
        )
        for model in (ours, MLPClassifier(SIZES[1], alpha=0, **same))
    }
    return epochs(fits, "MLPClassifier", X, y)


def on_two_ranks(images, labels):
    """What each of two processes does; rank 0 writes the tables.

    A step by rank 0, for which the other waits, and one by both take
    turns; what they exchange is measured alone, as 2 numbers and as all.
    """

    def rounds(*programs, calls=20):
        """Seconds of each program, which says first who runs it."""
        found = np.zeros((2 * ROUNDS + 1, len(programs)))
        for at in np.ndindex(found.shape):
            ranks, call, *args = programs[at[1]]
            dist.barrier()
            if rank in ranks:
                found[at] = seconds(call, *args, calls=calls)
        return found[1:]  # the first round warms up

    alone, both, table = network("float32"), network("float32"), {}
    gradients = np.zeros(sum(p.size for p in both[0].parameters()), "f4")
    with parallel.process_group() as (rank, _):
        sums = [
            ((0, 1), parallel.all_reduce, array)
            for array in (gradients[:2], gradients)
        ]
        short, whole = np.median(rounds(*sums), axis=0)
        size = gradients.nbytes
        link = {"rate": size / (whole - short), "delay": short / 2}
        for n in 2, 64, 256, 1024, 4096:
            X, y = (images[:n] / 255).astype("f4"), labels[:n]
            found = rounds(
                ([0], train_step, *alone, X, y),
                ((0, 1), parallel.parallel_step, *both, X, y),
                calls=min(128, 8192 // n),
            )
            one, two = np.median(found, axis=0)
            faster = np.median(found[:, 0] / found[:, 1])
            paper = parallel.step_seconds(
                2, n, row=one / n, calls=5, size=size, **link
            )
            table[n] = 1000 * one, 1000 * two, faster, 1000 * paper
    if rank == 0:
        head = ["images a step", "1 process, ms", "2 processes, ms"]
        write("ranks.csv", [*head, "times as fast", "on paper, ms"], table)
        table = {"two numbers": ("8", 1000 * short)}
        table["all gradients"] = f"{size:,}", 1000 * whole
        write("all-reduce.csv", ["all-reduce", "bytes", "ms"], table)


# -- The page -------------------------------------------------------------


def write(name, head, table):
    """Store and print {key: cells}; numbers get two places."""
    rows = [head]
    for key, cells in table.items():
        cells = [c if isinstance(c, str) else f"{c:.2f}" for c in cells]
        rows.append([key, *cells])
    store(RESULTS / name, rows)
    for row in rows:
        print(f"{row[0]:24}" + "".join(f"{cell:>22}" for cell in row[1:]))
    print()


def draw(table):
    """Bars for the ratios, which are the second and the fourth cell."""
    figures.use_style()
    fig, ax = plt.subplots(figsize=(6.4, 2.9))
    at = np.arange(len(table), 0, -1)
    for k, dtype in enumerate(["float32", "float64"]):
        ratios = [cells[2 * k + 1] for cells in table.values()]
        bars = ax.barh(at - 0.4 * k, ratios, 0.36, label=dtype)
        ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set_yticks(at - 0.2, table)
    ax.axvline(1, color=figures.INK, linewidth=1, linestyle="--")
    ax.set(xlabel="time of an epoch, in units of the five matrix products")
    fig.legend(loc="outside upper right", ncols=2)
    fig.savefig(RESULTS / "speed.png", dpi=144)


def main():
    pools = [p["num_threads"] for p in threadpoolctl.threadpool_info()]
    if max(torch.get_num_threads(), *pools) > 1:
        return "more threads than one: type make bench"
    images, labels = load_mnist()
    if "RANK" in os.environ:
        return on_two_ranks(images, labels)
    X, head, table = images[:IMAGES] / 255, ["program"], {}
    for dtype in "float32", "float64":
        programs = {
            name: make(dtype)[0] for name, make in PROGRAMS.items()
        }
        found = epochs(programs, FLOOR, X.astype(dtype), labels)
        table = {
            name: (*table.get(name, ()), *found[name]) for name in found
        }
        head += [f"{dtype}: s an epoch", "times the floor"]
    write("speed.csv", head, table)
    draw(table)
    head = ["estimator, Adam, float64", "s an epoch", "of MLPClassifier's"]
    write("estimators.csv", head, estimators(X, labels))
    print(parallel.torchrun(2, "-m", "tools.bench"))
    setting = {
        "measured on": datetime.date.today().isoformat(),
        "processor": f"{processor()}, one thread",
        "versions": f"numpy {np.__version__}, torch {torch.__version__}",
    }
    setting = {what: [said] for what, said in setting.items()}
    write("setting.csv", ["what", "this run"], setting)
    return 0


if __name__ == "__main__":
    sys.exit(main())
