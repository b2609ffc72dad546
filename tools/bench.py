"""Measure how fast the course trains: ``make bench``.

Prints one table, draws it, and stores both for the page "How fast is it?".
Every ratio is between numbers measured in the same round of the same run;
the table holds the median over the rounds. Nothing here is asserted.
"""

import csv
import datetime
import os
import platform
import statistics
import sys
import time
from functools import partial
from pathlib import Path

THREADS = 1
if (
    __name__ == "__main__"
):  # before numpy and torch are loaded: they ask once
    for variable in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{variable}_NUM_THREADS"] = str(THREADS)

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from torch import nn  # noqa: E402

from lessons import figures, xor  # noqa: E402
from lessons.datasets import load_mnist  # noqa: E402
from lessons.mnist import CrossEntropyLoss, DataLoader, train_epoch  # noqa: E402
from lessons.modules import (  # noqa: E402
    SGD,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    train_step,
)

RESULTS = Path(__file__).resolve().parents[1] / "book" / "_results"
ROUNDS, BATCH, HIDDEN, LR, GOAL = 5, 256, 256, 0.5, 0.95


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def batches(X, y):
    return DataLoader(X, y, BATCH)


def weights(dtype):
    """W1, b1, W2, b2 as the course's own modules would start."""
    rng = np.random.default_rng(0)
    layers = (
        Linear(784, HIDDEN, rng=rng, dtype=dtype),
        Linear(HIDDEN, 10, rng=rng, dtype=dtype),
    )
    return [np.array(p) for layer in layers for p in layer.parameters()]


class Products:
    """The five matrix products of a step, and nothing else: the floor."""

    def __init__(self, dtype):
        self.W1, _, self.W2, _ = weights(dtype)
        self.G2 = np.full((BATCH, 10), 0.1, dtype)

    def epoch(self, X, y):
        for x, _ in batches(X, y):
            A = x @ self.W1
            A @ self.W2
            G2 = self.G2[: len(x)]
            A.T @ G2
            G1 = G2 @ self.W2.T
            x.T @ G1


class PlainNumpy:
    """The step written out for this one network."""

    def __init__(self, dtype):
        self.parameters = weights(dtype)

    def epoch(self, X, y):
        W1, b1, W2, b2 = self.parameters
        for x, labels in batches(X, y):
            rows = np.arange(len(x))
            A = np.maximum(x @ W1 + b1, 0)
            logits = A @ W2 + b2
            e = np.exp(logits - logits.max(axis=1, keepdims=True))
            G2 = e / e.sum(axis=1, keepdims=True)
            G2[rows, labels] -= 1
            G2 /= len(x)
            G1 = (G2 @ W2.T) * (A > 0)
            W2 -= LR * (A.T @ G2)
            b2 -= LR * G2.sum(axis=0)
            W1 -= LR * (x.T @ G1)
            b1 -= LR * G1.sum(axis=0)

    def predict(self, X):
        W1, b1, W2, b2 = self.parameters
        return (np.maximum(X @ W1 + b1, 0) @ W2 + b2).argmax(axis=1)


class Lessons:
    """The modules of chapter 3 with the loss of chapter 5."""

    def __init__(self, dtype):
        rng = np.random.default_rng(0)
        self.model = Sequential(
            Linear(784, HIDDEN, rng=rng, dtype=dtype),
            ReLU(),
            Linear(HIDDEN, 10, rng=rng, dtype=dtype),
        )
        self.loss_fn = CrossEntropyLoss()
        self.optimizer = SGD(self.model.parameters(), lr=LR)

    def epoch(self, X, y):
        train_epoch(
            self.model, self.loss_fn, self.optimizer, batches(X, y)
        )

    def predict(self, X):
        return np.array(self.model(X)).argmax(axis=1)


class Torch:
    """PyTorch, eager, from the same weights."""

    def __init__(self, dtype):
        self.model = nn.Sequential(
            nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)
        )
        self.model.to(torch.from_numpy(np.zeros(1, dtype)).dtype)
        with torch.no_grad():
            for p, w in zip(
                self.model.parameters(), weights(dtype), strict=True
            ):
                p.copy_(torch.from_numpy(w.T.copy()))
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LR)

    def epoch(self, X, y):
        for x, labels in batches(torch.from_numpy(X), torch.from_numpy(y)):
            self.optimizer.zero_grad()
            self.loss_fn(self.model(x), labels).backward()
            self.optimizer.step()

    def predict(self, X):
        with torch.no_grad():
            return self.model(torch.from_numpy(X)).argmax(dim=1).numpy()


class Sklearn:
    """scikit-learn's MLPClassifier: the same net, SGD without momentum."""

    def __init__(self, dtype):
        self.model = MLPClassifier(
            (HIDDEN,),
            solver="sgd",
            alpha=0,
            batch_size=BATCH,
            learning_rate_init=LR,
            momentum=0,
            shuffle=False,
            random_state=0,
        )

    def epoch(self, X, y):
        self.model.partial_fit(X, y, classes=np.arange(10))

    def predict(self, X):
        return self.model.predict(X)


PROGRAMS = {
    "five matrix products": Products,
    "plain NumPy loop": PlainNumpy,
    "the course's modules": Lessons,
    "PyTorch, eager": Torch,
    "scikit-learn": Sklearn,
}


def progress(text):
    """Say what is going on, to a person who watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def epoch_times(X, y, dtype):
    """{program: [seconds of each round]}, the programs taking turns."""
    programs = {name: kind(dtype) for name, kind in PROGRAMS.items()}
    times = {name: [] for name in programs}
    for round_ in range(ROUNDS + 1):
        for name, program in programs.items():
            progress(f"{np.dtype(dtype)}, round {round_}: {name}")
            elapsed = seconds(partial(program.epoch, X, y))
            if round_:  # the first warms up
                times[name].append(elapsed)
    return times


def seconds_to_goal(program, X, y, X_held, y_held, most=20):
    """Training time until GOAL is reached on the held-out images."""
    total = 0.0
    for _ in range(most):
        total += seconds(partial(program.epoch, X, y))
        if np.mean(program.predict(X_held) == y_held) >= GOAL:
            return total
    return None


def xor_times(num_steps=10_000):
    """Seconds for chapter 4's run by hand, in modules and in PyTorch."""
    parameters = xor.start(hidden=3, seed=0)
    rng = np.random.default_rng(0)
    first, second = Linear(2, 3, rng=rng), Linear(3, 1, rng=rng)
    model = Sequential(first, Sigmoid(), second, Sigmoid())
    optimizer, loss_fn = SGD(model.parameters(), lr=0.05), MSELoss()
    twin = nn.Sequential(
        nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid()
    ).double()
    twin_optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    x, y = torch.tensor(xor.INPUTS), torch.tensor(xor.OR)

    def by_hand():
        for _ in range(num_steps):
            xor.step_by_hand(parameters, 0.05, xor.OR)

    def in_modules():
        for _ in range(num_steps):
            train_step(model, loss_fn, optimizer, xor.INPUTS, xor.OR)

    def in_torch():
        for _ in range(num_steps):
            twin_optimizer.zero_grad()
            nn.functional.mse_loss(twin(x), y).backward()
            twin_optimizer.step()

    progress("chapter 4: 10,000 steps")
    return {
        "by hand": seconds(by_hand),
        "the course's modules": seconds(in_modules),
        "PyTorch, eager": seconds(in_torch),
    }


def measure():
    """The rows of the table, as texts, and the ratios for the picture."""
    images, labels = load_mnist()
    X, X_held, y, y_held = train_test_split(
        images, labels, test_size=0.15, random_state=42
    )
    rows = {name: [name] for name in PROGRAMS}
    ratios = {}
    for dtype in (np.float32, np.float64):
        Xd, Xd_held = (X / 255).astype(dtype), (X_held / 255).astype(dtype)
        times = epoch_times(Xd, y, dtype)
        floor = times["five matrix products"]
        for name, measured in times.items():
            ratio = statistics.median(
                t / f for t, f in zip(measured, floor, strict=True)
            )
            ratios[name, np.dtype(dtype).name] = ratio
            rows[name] += [
                f"{statistics.median(measured):.2f}",
                f"{ratio:.2f}",
            ]
        if dtype is np.float32:
            goal = {
                name: seconds_to_goal(kind(dtype), Xd, y, Xd_held, y_held)
                for name, kind in PROGRAMS.items()
                if hasattr(kind, "predict")
            }
    for name, row in rows.items():
        reached = goal.get(name)
        row.append("" if reached is None else f"{reached:.1f}")
    return list(rows.values()), ratios


HEAD = [
    "program",
    "float32: s an epoch",
    "times the floor",
    "float64: s an epoch",
    "times the floor",
    "float32: s to 95 %",
]


def store(name, rows):
    with open(RESULTS / name, "w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows(rows)


def draw(ratios):
    figures.use_style()
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    names = list(PROGRAMS)[::-1]
    for shift, dtype, color in (
        (0.2, "float32", figures.BLUE),
        (-0.2, "float64", figures.GREEN),
    ):
        widths = [ratios[name, dtype] for name in names]
        at = np.arange(len(names)) + shift
        ax.barh(at, widths, height=0.36, color=color, label=dtype)
        for place, width in zip(at, widths, strict=True):
            ax.text(width + 0.02, place, f"{width:.2f}", va="center")
    ax.set_yticks(range(len(names)), names)
    ax.axvline(1, color=figures.INK, linewidth=1, linestyle="--")
    ax.set(xlabel="time of an epoch, in units of the five matrix products")
    fig.legend(loc="outside upper right", ncols=2)
    fig.savefig(RESULTS / "speed.png", dpi=144)


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text("utf8").splitlines()
        name = next(
            line for line in lines if line.startswith("model name")
        )
        return name.split(":")[1].strip()
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    torch.set_num_threads(THREADS)
    rows, ratios = measure()
    steps = xor_times()
    slowest = steps["PyTorch, eager"]
    small = [
        [name, f"{time:.2f}", f"{time / slowest:.2f}"]
        for name, time in steps.items()
    ]
    setting = [
        ["measured on", datetime.date.today().isoformat()],
        ["processor", f"{processor()}, {THREADS} thread"],
        ["versions", f"numpy {np.__version__}, torch {torch.__version__}"],
        ["rounds", f"{ROUNDS}, medians, programs taking turns"],
    ]
    progress("")
    for head, table, name in (
        (HEAD, rows, "speed.csv"),
        (["10,000 steps of XOR", "s", "of PyTorch's"], small, "steps.csv"),
        (["what", "this run"], setting, "setting.csv"),
    ):
        store(name, [head, *table])
        print("   ".join(head).strip())
        for row in table:
            print(
                f"{row[0]:24}" + "".join(f"{cell:>12}" for cell in row[1:])
            )
        print()
    draw(ratios)


if __name__ == "__main__":
    main()
