"""Measure how fast the course trains: ``make bench``.

Prints tables, draws the first, and stores them for the page "How fast is
it?". Nothing here is asserted.
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

from lessons import figures, mnist, modules, parallel, xor
from lessons.autograd import Tensor, no_grad
from lessons.datasets import load_mnist
from lessons.mnist import CrossEntropyLoss, DataLoader
from lessons.modules import SGD, Linear, ReLU, Sequential, train_step
from lessons.own_data import NetworkClassifier
from tools.reproduce import RESULTS, processor, store

ROUNDS, IMAGES, BATCH, SIZES, LR = 5, 59_500, 256, (784, 256), 0.5
PART = 20 * BATCH  # a turn
FLOOR = "five matrix products"
MODULES, TORCH = "the course's modules", "PyTorch, eager"


def network(dtype):
    """The course's model, loss and optimizer."""
    rng = np.random.default_rng(0)
    layers = [Linear(*s, rng=rng, dtype=dtype) for s in (SIZES, (256, 10))]
    model = Sequential(layers[0], ReLU(), layers[1])
    return model, CrossEntropyLoss(), SGD(model.parameters(), LR)


def weights(dtype):
    """W1, b1, W2, b2 as the course's own modules would start."""
    return [np.array(p) for p in network(dtype)[0].parameters()]


def torch_twin(model, lr):
    """The same model in PyTorch, and its optimizer."""
    twin = nn.Sequential()
    for layer in model.layers:
        kind, given = getattr(nn, type(layer).__name__), layer.parameters()
        twin.append(kind(*given[0].shape) if given else kind())
    for p, q in zip(twin.parameters(), model.parameters(), strict=True):
        p.data = torch.from_numpy(np.array(q).T.copy())
    return twin, torch.optim.SGD(twin.parameters(), lr)


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
    model, optimizer = torch_twin(network(dtype)[0], LR)
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
    MODULES: course,
    "chapter 8's tape": on_tape,
    TORCH: pytorch,
}


# -- Measuring ------------------------------------------------------------


def seconds(call, *args, clock=time.perf_counter):
    start = clock()
    call(*args)
    return clock() - start


def in_turns(programs, base, parts, scale):
    """{name: (seconds for all, times those of base)}.

    At each part the programs take turns; the quickest turn of each is
    the one that the rest of the machine disturbed least. Seconds are the
    processor's, which does not count what else it runs.
    """
    clock, calls = time.process_time, programs.values()
    times = [
        [seconds(p, *part, clock=clock) for p in calls] for part in parts
    ]
    best = np.min(times, axis=0)
    ratios = best / best[list(programs).index(base)]
    return dict(
        zip(programs, zip(scale * best, ratios, strict=True), strict=True)
    )


def epochs(programs, base, X, y):
    starts = range(0, IMAGES - PART, PART)
    parts = [(X[k : k + PART], y[k : k + PART]) for k in starts]
    return in_turns(programs, base, ROUNDS * parts, IMAGES / PART)


def xor_steps():
    """10,000 steps of chapter 4 by hand, in modules and in PyTorch."""
    parameters, rng = xor.start(3, seed=0), np.random.default_rng(0)
    first, second = Linear(2, 3, rng=rng), Linear(3, 1, rng=rng)
    bends = modules.Sigmoid(), modules.Sigmoid()
    model = Sequential(first, bends[0], second, bends[1])
    optimizer, loss_fn = SGD(model.parameters(), 0.05), modules.MSELoss()
    twin, twin_optimizer = torch_twin(model, 0.05)
    x, y = torch.tensor(xor.INPUTS), torch.tensor(xor.OR)

    def in_torch():
        twin_optimizer.zero_grad()
        nn.functional.mse_loss(twin(x), y).backward()
        twin_optimizer.step()

    steps = {
        "by hand": lambda: xor.step_by_hand(parameters, 0.05, xor.OR),
        MODULES: lambda: train_step(
            model, loss_fn, optimizer, xor.INPUTS, xor.OR
        ),
        TORCH: in_torch,
    }
    many = {
        name: lambda step=step: [step() for _ in range(1000)]
        for name, step in steps.items()
    }
    return in_turns(many, TORCH, 4 * ROUNDS * [()], 10)


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

    def both_ways(X, y, calls):
        one = turn(train_step, *alone, X, y, calls=calls, ranks=[0])
        return one, turn(parallel.parallel_step, *both, X, y, calls=calls)

    found, alone, both = {}, network("float32"), network("float32")
    gradients = np.zeros(sum(p.size for p in both[0].parameters()), "f4")
    with parallel.process_group() as (rank, _):
        for rows in 2, 64, 256, 1024, 4096:
            X, y = (images[:rows] / 255).astype("f4"), labels[:rows]
            calls = min(128, 8192 // rows)
            found[rows] = [
                both_ways(X, y, calls) for _ in range(rounds + 1)
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
    link = {"rate": size / (whole - short), "delay": short / 2}
    table = {}
    for n, (one, two) in median.items():
        faster = np.median(rounds[n][:, 0] / rounds[n][:, 1])
        paper = parallel.step_seconds(
            2, int(n), row=one / int(n), calls=5, size=size, **link
        )
        table[n] = 1000 * one, 1000 * two, faster, 1000 * paper
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
    at, names = np.arange(len(table)), list(table)[::-1]
    for k, color in enumerate([figures.BLUE, figures.GREEN]):
        widths = [table[name][2 * k + 1] for name in names]
        label = ["float32", "float64"][k]
        bars = ax.barh(
            at + 0.2 - 0.4 * k, widths, 0.36, color=color, label=label
        )
        ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set_yticks(at, names)
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
    head = ["10,000 steps of XOR", "s", "of PyTorch's"]
    write("steps.csv", head, xor_steps())
    head = ["estimator, Adam, float64", "s an epoch", "of MLPClassifier's"]
    write("estimators.csv", head, estimators(X, labels))
    ranks()
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
