"""Each row of book/symptoms.md: its first cause, made to happen.

A program is headed by its row's anchor, runs with wrong True and False,
and leaves in `seen` the symptom, beside the names that its check needs.
"""

import re
import warnings

import numpy as np
import pytest
import torch

# ruff: noqa: F401  The programs use them.
from lessons import chain, matrix, mnist, modules, own_data, parallel, xor
from lessons.gradcheck import gradcheck
from tests.support import ROOT

PAGE = (ROOT / "book/symptoms.md").read_text("utf-8")
PARTS = re.split(r"^(?:\((.+)\)=\n)?### (.+)\n", PAGE, flags=re.M)[1:]
ROWS = {a or h: h + t for a, h, t in zip(*[iter(PARTS)] * 3, strict=True)}
CHECK = re.compile(r"```python\n(.+)\n```\n\n\[Chapter \d: .+\)\n")
X = np.random.default_rng(1).normal(size=(20, 2))
Y = X @ [[1.0], [-2.0]]
PROGRAMS = dict(re.findall(r"^# (\S+)\n((?:[^#].*\n)+)", r"""
# nan
X[1] = np.nan if wrong else 0
y, seen = Y, np.isnan(np.mean((X @ [1, -2] - Y[:, 0]) ** 2))
# overflow
Z = np.array([[800.0, 1.0], [2.0, 3.0]])
Z -= 0 if wrong else Z.max(axis=1, keepdims=True)
seen = error(lambda: np.exp(Z))
# infinite
p = np.exp([-800.0 if wrong else -80.0, 0.0])
seen = error(lambda: np.log(p))
# stuck
W, lr = np.ones((2, 1)), 1e-8 if wrong else 0.1
G, losses = descend(W.copy(), lr)
seen = losses[-1] > 0.99 * losses[0]
# up
W, loss = np.ones((2, 1)), lambda W: np.mean((X @ W - Y) ** 2)
G, losses = descend(W.copy(), 0.01, sign=-1 if wrong else 1)
seen = losses[-1] > losses[0]
# diverges
W, lr = np.ones((2, 1)), 3.0 if wrong else 0.1
G, losses = descend(W.copy(), lr)
seen = losses[-1] > 1e6 * losses[0]
# log-classes
model = modules.Sequential(linear(2, 9), modules.Tanh(), linear(9, 10))
for p in model.parameters():
    p *= not wrong
sgd, rows = modules.SGD(model.parameters(), 0.5), (X, np.arange(20) % 10)
loss = mnist.train_epoch(model, mnist.CrossEntropyLoss(), sgd, [rows] * 99)
W, seen = model.layers[0].W, abs(loss - np.log(10)) < 0.01
# first-loss
W = matrix.he_init(100, 10, rng) / (2 / 100 if wrong else 1)
scores, y = rng.normal(size=(20, 100)) @ W, np.arange(20) % 10
seen = mnist.CrossEntropyLoss()(scores, y) > 10 * np.log(10)
# baseline
y, W = torch.tensor(Y[:, 0] if wrong else Y), np.ones((2, 1))
seen = error(lambda: torch.nn.MSELoss()(torch.ones(4, 1), y[:4]))
for _ in range(300):  # the mean over the last axis: all targets, or one
    W -= 0.1 * X.T @ (X @ W - y.numpy()).mean(1, keepdims=True) / 20
y_hat = torch.tensor(X @ W)
assert (np.mean((X @ W - Y) ** 2) > 0.99 * Y.var()) == wrong
# softmax-twice
Z, labels = 1e4 * torch.eye(10).double(), torch.arange(10)
y_hat = Z.softmax(dim=1) if wrong else Z
loss = torch.nn.CrossEntropyLoss()(y_hat, labels).item()
seen = abs(loss - (np.log(np.e + 9) - 1)) < 1e-9
# accuracy-stands
y = np.arange(6) % 3
answers = y[:, None] if wrong else y
seen = np.mean(answers == y) == 1 / 3
# overfit
truth, noise = np.ones(9), 2 * rng.normal(size=9)
path = [(1 - 0.9**k) * (truth + noise) for k in range(99 if wrong else 3)]
val_losses = [np.mean((W - truth) ** 2) for W in path]
seen = val_losses[-1] > 1.5 * min(val_losses)
# validation-better
model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout())
truth = model.eval()(torch.tensor(X).float()).detach()
model.train(wrong)
seen = bool((model(torch.tensor(X).float()) != truth).any())
# ten-percent
parameters = [np.full((2, 10), np.nan if wrong else 1.0), rng.random(10)]
scores, y = X @ parameters[0] + parameters[1], np.arange(20) % 10
seen = mnist.accuracy(scores, y) == 0.1 and not scores.argmax(axis=1).any()
# same
X, Y = abs(X) * (100 if wrong else 1), abs(Y) * (100 if wrong else 1)
model = modules.Sequential(linear(2, 5), modules.ReLU(), linear(5, 1))
sgd = modules.SGD(model.parameters(), lr=0.01)
mnist.train_epoch(model, modules.MSELoss(), sgd, [(X, Y)] * 20)
seen = np.ptp(model(X)) == 0
# xor-half
lr, num_steps = 0.05 if wrong else 2.0, 5000
start = [rng.random(p.shape) for p in xor.start(3, seed=0)]
Y_hat = xor.train_starts([start], lr=lr, num_steps=num_steps)[2]
seen = abs(Y_hat - 0.5).max() < 0.1
# xor-stuck
start = xor.start(hidden=2 if wrong else 4, seed=6)
losses, _, Y_hat = xor.train_starts([start], lr=2, num_steps=5000)
W1, seen = start[0], abs(losses[-1, 0] - 0.125) < 0.01
# rare
y = np.arange(200) % (100 if wrong else 2) == 0
seen = np.mean(y == (y.mean() > 0.5)) == 0.99
# leak
X_held = X[:9] if wrong else rng.normal(size=(9, 2))
near = ((X_held[:, None] - X) ** 2).sum(axis=2).argmin(axis=1)
seen = (near == np.arange(9)).all()
# dropout
model = own_data.Network(linear(2, 8), own_data.Dropout(0.5, rng=rng))
seen = len({float(model.train(wrong)(X)[0].sum()) for _ in range(9)}) > 1
# gradcheck
W, loss = np.ones((2, 1)), lambda: float(np.mean((X @ W - Y) ** 2))
G = (1 if wrong else 2) * X.T @ (X @ W - Y) / 20
seen = not np.allclose(G, matrix.numerical_gradient(loss, W))
# kink
Z, h = np.array([[0.0 if wrong else 0.1, 1.0, -1.0]]), 1e-5
found = matrix.numerical_gradient(lambda: float(Z.clip(0).sum()), Z)
seen = abs(found - (Z > 0)).max() > 0.49
# float32
kind, W = np.float32 if wrong else np.float64, np.full((2, 1), 0.3)
loss = lambda step=0: kind(np.mean((X @ (W + step) - Y) ** 2))
slope = (float(loss(1e-5)) - float(loss(-1e-5))) / 2e-5
seen = abs(slope / (X.T @ (X @ W - Y)).sum() * 10 - 1) > 1e-4
# zero
Z = np.array([[1.0, -2.0]]) * (50 if wrong else 1)
seen = not (1 - np.tanh(Z) ** 2).any()
# dead
Z = X @ np.ones((2, 5)) - (10 if wrong else 0)
seen = not (X.T @ (Z > 0)).any()
# vanishing
w = [0.5] * (20 if wrong else 2)
deep = chain.Chain(w, w)
deep.backward(deep.forward(0.5), lr=0.0)
G_first, *_, G_last, _ = chain.gradients(deep)
seen = abs(G_first) < 1e-5
# symmetry
parameters = [0.5 + 0 * p if wrong else p for p in xor.start(4, seed=0)]
losses = [xor.step_by_hand(parameters, lr=2) for _ in range(100)]
W1, seen = parameters[0], (parameters[0] == parameters[0][:, :1]).all()
# optimizer
W = p = np.ones(2)
W_before, p = W.copy(), p - 0.1 if wrong else np.subtract(p, 0.1, out=p)
seen = (W == 1).all()
# zero-grad
model, sizes = torch.nn.Linear(2, 1), []
for _ in range(3):
    model(torch.ones(4, 2)).sum().backward()
    sizes.append(model.weight.grad.norm().item())
    wrong or model.zero_grad()
seen = sizes[2] > 2.9 * sizes[0]
# grad-none
W = torch.ones(3, requires_grad=True)
W = W * 0.1 if wrong else W
(W * W).sum().backward()
seen = W.grad is None
# seed
rng = lambda seed: np.random.default_rng(None if wrong else seed)
run = lambda seed: descend(rng(seed).random((2, 1)), 0.1)[1]
seen = run(seed=0)[0] != run(seed=0)[0]
# slow
loader = mnist.DataLoader(np.eye(64), np.eye(64), 1 if wrong else 32)
(X_batch, _), seen = next(iter(loader)), len(loader) == 64
# apart
ranks = [np.random.default_rng(k * wrong).random((2, 1)) for k in range(2)]
loss = lambda W: np.mean((X @ W - Y) ** 2)
first, halves = loss(ranks[0]), [(X[r::2], Y[r::2]) for r in range(2)]
for _ in range(50):
    G = sum(x.T @ (x @ W - y) for W, (x, y) in zip(ranks, halves)) / 10
    ranks = [W - 0.1 * G for W in ranks]
digests = [parallel.digest([W]) for W in ranks]
seen = loss(ranks[0]) < first / 2 and not np.array_equal(*ranks)
# memory
w = torch.ones(2, requires_grad=True)
losses = [(w * w).sum() for _ in range(3)]
total = sum(losses if wrong else [loss.item() for loss in losses])
seen = hasattr(total, "grad_fn")
# broadcast
X, W, b = np.ones((4, 2)), np.ones((2, 3)), np.ones(2 if wrong else 3)
seen = error(lambda: X @ W + b)
# matmul
X, W = np.ones((4, 3)), np.ones((2, 3) if wrong else (3, 2))
seen = error(lambda: X.dot(W), lambda: X @ W,
             lambda: torch.tensor(X) @ torch.tensor(W))
# key-error
X = {5: 72.0, 3: 95.0} if wrong else X  # by name, as a column of pandas
seen = error(lambda: X[0])
# strings
rows = [[72, "gas" if wrong else 1.0]]
seen = error(lambda: [float(entry) for entry in rows[0]])
# labels
y, num_classes = np.arange(10) + wrong, 10
seen = error(lambda: np.eye(10)[y], lambda: torch.nn.functional.nll_loss(
    torch.zeros(10, 10), torch.tensor(y)))
# dtype
X, model = torch.ones(4, 3), torch.nn.Linear(3, 2)
X = X.double() if wrong else X
seen = error(lambda: model(X))
# in-place
torch.set_grad_enabled(wrong)
seen = error(lambda: torch.ones(2, requires_grad=True).sub_(0.1))
# graph
w = torch.ones(2, requires_grad=True)
(kept := (w * w).sum()).backward()
kept = kept if wrong else kept.detach()
seen = error(lambda: (w + kept).sum().backward())
# no-graph
value = (torch.ones(2, requires_grad=True) ** 2).sum()
loss = torch.tensor(value.item()) if wrong else value
seen = error(lambda: loss.backward())
""", re.M))  # fmt: skip


def error(*calls):
    """What each call raises or warns of, as Python prints it."""
    said = []
    for call in calls:
        try:
            with warnings.catch_warnings(action="error"):
                call()
        except Exception as e:
            said.append(f"{type(e).__name__}: {e}")
    return said


def linear(*sizes):
    return modules.Linear(*sizes, rng=np.random.default_rng(sizes))


def descend(W, lr, sign=1):
    """Fit W in place; give back the first gradient and all losses."""
    found = []
    for _ in range(50):
        miss = X @ W - Y
        found.append((sign * X.T @ miss / 10, float(np.mean(miss**2))))
        W -= lr * found[-1][0]
    return found[0][0], [loss for _, loss in found]


@pytest.mark.parametrize("name", {**ROWS, **PROGRAMS})
def test_the_check_tells_the_first_cause_from_its_absence(name):
    place = f"book/symptoms.md, {name}"
    assert name in PROGRAMS, f"{place}: no program here makes it happen"
    assert name in ROWS, f"{place}: a program here, and no such row"
    check = CHECK.search(ROWS[name])
    assert check, f"{place}: want one line of Python, then its chapter"
    texts = re.findall(r"`(.+?)`", ROWS[name].split("1. ")[0])
    for wrong in True, False:
        case, rng = f"{place}, wrong={wrong}", np.random.default_rng(0)
        names = globals() | {"wrong": wrong, "rng": rng, "X": X.copy()}
        with warnings.catch_warnings(action="ignore"), torch.enable_grad():
            exec(PROGRAMS[name], names)
            passed, seen = eval(check[1], names), names["seen"]
        assert bool(seen) is wrong, f"{case}: sees {seen}"
        for said in seen if isinstance(seen, list) else []:
            assert any(t in said for t in texts), f"{case}: says {said}"
        assert passed == (not wrong), f"{case}: {check[1]} is {passed}"
