"""Measure how fast the course trains: ``make bench``.

Prints two tables, draws the first, and stores them for the page "How fast
is it?". Every ratio is between times of the same round; the table holds
the median of the rounds. Nothing here is asserted.
"""

import datetime
import json
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

from lessons import figures, parallel, xor
from lessons.autograd import Tensor, no_grad
from lessons.datasets import load_mnist
from lessons.mnist import (
    CrossEntropyLoss,
    DataLoader,
    log_softmax,
    train_epoch,
)
from lessons.modules import (
    SGD,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    train_step,
)
from lessons.own_data import NetworkClassifier
from tools.reproduce import RESULTS, processor, store

ROUNDS, BATCH, HIDDEN, LR = 5, 256, 256, 0.5


def layers(dtype):
    rng = np.random.default_rng(0)
    first = Linear(784, HIDDEN, rng=rng, dtype=dtype)
    return first, Linear(HIDDEN, 10, rng=rng, dtype=dtype)


def network(dtype):
    """The course's model, loss and optimizer."""
    first, second = layers(dtype)
    model = Sequential(first, ReLU(), second)
    return model, CrossEntropyLoss(), SGD(model.parameters(), LR)


def weights(dtype):
    """W1, b1, W2, b2 as the course's own modules would start."""
    first, second = layers(dtype)
    return [np.array(p) for p in (first.W, first.b, second.W, second.b)]


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
        return train_epoch(*parts, DataLoader(X, y, BATCH))

    return epoch, parts[0].parameters


def on_tape(dtype):
    """The forward pass alone, its gradients from chapter 8's tape."""
    W1, b1, W2, b2 = tensors = [Tensor(p) for p in weights(dtype)]

    def epoch(X, y):
        total = 0.0
        for x, labels in DataLoader(X, y, BATCH):
            log_p = log_softmax(np.maximum(x @ W1 + b1, 0) @ W2 + b2)
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
    model = nn.Sequential(
        nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)
    )
    for p, w in zip(model.parameters(), weights(dtype), strict=True):
        p.data = torch.from_numpy(w.T.copy())
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)

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
        p.detach().T.numpy() for p in model.parameters()
    ]


def scikit_learn(dtype):
    """MLPClassifier: the same network, SGD without momentum, own start."""
    model = MLPClassifier(
        (HIDDEN,),
        solver="sgd",
        alpha=0,
        batch_size=BATCH,
        learning_rate_init=LR,
        momentum=0,
        shuffle=False,
        random_state=0,
    )

    def epoch(X, y):
        return model.partial_fit(X, y, classes=np.arange(10)).loss_

    return epoch, lambda: [
        p
        for pair in zip(model.coefs_, model.intercepts_, strict=True)
        for p in pair
    ]


PROGRAMS = {
    "five matrix products": five_products,
    "plain NumPy loop": plain_numpy,
    "the course's modules": course,
    "chapter 8's tape": on_tape,
    "PyTorch, eager": pytorch,
    "scikit-learn": scikit_learn,
}


# -- Measuring ------------------------------------------------------------


def seconds(call, *args):
    start = time.perf_counter()
    call(*args)
    return time.perf_counter() - start


def epochs(X, y, dtype):
    """{program: (seconds, times the floor)}, the programs taking turns."""
    running = {name: make(dtype)[0] for name, make in PROGRAMS.items()}
    X, times = (X / 255).astype(dtype), []
    for _ in range(ROUNDS + 1):
        times.append([seconds(epoch, X, y) for epoch in running.values()])
    rounds = np.array(times[1:])  # the first warms up
    ratios = np.median(rounds / rounds[:, :1], axis=0)
    medians = np.median(rounds, axis=0)
    return dict(
        zip(running, zip(medians, ratios, strict=True), strict=True)
    )


def xor_steps(num_steps=10_000):
    """Seconds for chapter 4's run by hand, in modules and in PyTorch."""
    parameters, rng = xor.start(3, seed=0), np.random.default_rng(0)
    first, second = Linear(2, 3, rng=rng), Linear(3, 1, rng=rng)
    model = Sequential(first, Sigmoid(), second, Sigmoid())
    optimizer, loss_fn = SGD(model.parameters(), lr=0.05), MSELoss()
    twin = nn.Sequential(
        nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid()
    ).double()
    twin_optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    x, y = torch.tensor(xor.INPUTS), torch.tensor(xor.OR)

    def in_torch():
        twin_optimizer.zero_grad()
        nn.functional.mse_loss(twin(x), y).backward()
        twin_optimizer.step()

    steps = {
        "by hand": lambda: xor.step_by_hand(parameters, 0.05, xor.OR),
        "the course's modules": lambda: train_step(
            model, loss_fn, optimizer, xor.INPUTS, xor.OR
        ),
        "PyTorch, eager": in_torch,
    }
    return {
        name: seconds(lambda step=step: [step() for _ in range(num_steps)])
        for name, step in steps.items()
    }


def estimators(X, y):
    """Seconds an epoch for chapter 6's estimator and scikit-learn's."""
    same = {"batch_size": BATCH, "random_state": 0}
    models = {
        "NetworkClassifier": NetworkClassifier(HIDDEN, lr=0.001, **same),
        "MLPClassifier": MLPClassifier(
            (HIDDEN,), learning_rate_init=0.001, alpha=0, **same
        ),
    }
    classes, X, times = np.arange(10), X / 255, []
    fits = [model.partial_fit for model in models.values()]
    for _ in range(3):
        times.append(
            [seconds(lambda f=f: f(X, y, classes=classes)) for f in fits]
        )
    return dict(zip(models, np.median(times[1:], axis=0), strict=True))


def on_two_ranks(images, labels, rounds=2 * ROUNDS):
    """What each of two processes does; rank 0 prints its rounds as JSON.

    In seconds, for each batch: a step by rank 0, for which the other
    waits, and one by both; then all-reduce, of 2 numbers and of all.
    """

    def turn(call, *args, calls=20, ranks=(0, 1)):
        dist.barrier()
        if rank in ranks:
            run = seconds(lambda: [call(*args) for _ in range(calls)])
            return run / calls

    found, alone, both = {}, network("float32"), network("float32")
    gradients = np.zeros(sum(p.size for p in both[0].parameters()), "f4")
    with parallel.process_group() as (rank, _):
        for rows in 2, 64, 256, 1024, 4096:
            X, y = (images[:rows] / 255).astype("f4"), labels[:rows]
            calls = min(128, 8192 // rows)
            found[rows] = [
                [
                    turn(train_step, *alone, X, y, calls=calls, ranks=[0]),
                    turn(parallel.parallel_step, *both, X, y, calls=calls),
                ]
                for _ in range(rounds + 1)
            ]
        found["all-reduce"] = [
            [
                turn(parallel.all_reduce, a)
                for a in (gradients[:2], gradients)
            ]
            for _ in range(rounds + 1)
        ]
    if rank == 0:
        print(json.dumps(found))


def ranks():
    """Tables of a step by one and by two, and of what they exchange."""
    found = json.loads(parallel.torchrun(2, "-m", "tools.bench"))
    rounds = {name: np.array(times[1:]) for name, times in found.items()}
    median = {name: np.median(r, axis=0) for name, r in rounds.items()}
    short, whole = median.pop("all-reduce")
    size = 4 * sum(w.size for w in weights("float32"))
    rate, delay = size / (whole - short), short / 2
    link = {"size": size, "rate": rate, "delay": delay}
    head = ["images a step", "1 process, ms", "2 processes, ms"]
    rows = [[*head, "times as fast", "on paper, ms"]]
    for n, (one, two) in median.items():
        faster = np.median(rounds[n][:, 0] / rounds[n][:, 1])
        paper = parallel.step_seconds(
            2, int(n), row=one / int(n), calls=5, **link
        )
        ms = [f"{1000 * t:.2f}" for t in (one, two, paper)]
        rows.append([n, *ms[:2], f"{faster:.2f}", ms[2]])
    write("ranks.csv", *rows)
    write(
        "all-reduce.csv",
        ["all-reduce", "bytes", "ms"],
        ["two numbers", "8", f"{1000 * short:.2f}"],
        ["all gradients", f"{size:,}", f"{1000 * whole:.2f}"],
    )


def write(name, *rows):
    store(RESULTS / name, rows)
    for row in rows:
        print(f"{row[0]:24}" + "".join(f"{cell:>22}" for cell in row[1:]))
    print()


def beside(name, head, times, slowest):
    """Write a table of times, and what part each is of the slowest."""
    part = times[slowest]
    rows = [[k, f"{t:.2f}", f"{t / part:.2f}"] for k, t in times.items()]
    write(name, head, *rows)


def draw(found):
    figures.use_style()
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    names, colours = list(PROGRAMS)[::-1], (figures.BLUE, figures.GREEN)
    for k, (dtype, rows) in enumerate(found.items()):
        at = np.arange(len(names)) + 0.2 - 0.4 * k
        widths = [rows[name][1] for name in names]
        ax.barh(at, widths, height=0.36, color=colours[k], label=dtype)
        for place, width in zip(at, widths, strict=True):
            ax.text(width + 0.02, place, f"{width:.2f}", va="center")
    ax.set_yticks(range(len(names)), names)
    ax.axvline(1, color=figures.INK, linewidth=1, linestyle="--")
    ax.set(xlabel="time of an epoch, in units of the five matrix products")
    fig.legend(loc="outside upper right", ncols=2)
    fig.savefig(RESULTS / "speed.png", dpi=144)


def main():
    pools = threadpoolctl.threadpool_info()
    if (
        torch.get_num_threads() > 1
        or max(p["num_threads"] for p in pools) > 1
    ):
        return "more threads than one: type make bench"
    images, labels = load_mnist()
    if "RANK" in os.environ:
        return on_two_ranks(images, labels)
    X, y = images[:59500], labels[:59500]
    found = {d: epochs(X, y, d) for d in ("float32", "float64")}
    head = ["program"]
    for dtype in found:
        head += [f"{dtype}: s an epoch", "times the floor"]
    rows = [
        [name]
        + [f"{v:.2f}" for rows in found.values() for v in rows[name]]
        for name in PROGRAMS
    ]
    write("speed.csv", head, *rows)
    head = ["10,000 steps of XOR", "s", "of PyTorch's"]
    beside("steps.csv", head, xor_steps(), "PyTorch, eager")
    head = ["estimator, Adam, float64", "s an epoch", "of MLPClassifier's"]
    beside("estimators.csv", head, estimators(X, y), "MLPClassifier")
    ranks()
    write(
        "setting.csv",
        ["what", "this run"],
        ["measured on", datetime.date.today().isoformat()],
        ["processor", f"{processor()}, one thread"],
        ["versions", f"numpy {np.__version__}, torch {torch.__version__}"],
        ["rounds", f"{ROUNDS}, medians, programs taking turns"],
    )
    draw(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
