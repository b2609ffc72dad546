"""A right program, its faults one line away, the checks that see them."""

# Written by `make export` from book/07-bugs.ipynb: edit that.

__all__ = [
    "DIGITS",
    "data",
    "scale",
    "batches",
    "start",
    "dropout",
    "forward",
    "loss",
    "backward",
    "LR",
    "step",
    "predict",
    "hits",
    "Program",
    "gradients",
    "train",
    "Bug",
    "BUGS",
    "bug",
    "late_mask",
    "overlapping",
    "scaled_apart",
    "other_labels",
    "small_strides",
    "by_class",
    "divided",
    "alike",
    "no_factor",
    "softmax",
    "squeezed",
    "through_softmax",
    "over_batch",
    "one_maximum",
    "from_one",
    "twice_divided",
    "new_mask",
    "one_number",
    "decayed",
    "hasty",
    "step_others",
    "piled_up",
    "still_dropping",
    "stretched",
    "falls",
    "first_loss",
    "baseline",
    "shapes",
    "overfit",
    "slopes_differ",
    "at_start",
    "later",
    "torch_scores",
    "agrees",
    "torch_loss",
    "twin",
    "lockstep",
    "large",
    "look",
    "split",
    "CHECKS",
    "seen",
    "next_label",
    "mystery",
]

# %% data
import numpy as np
from sklearn.datasets import load_digits

DIGITS = load_digits(return_X_y=True)


def data(seed):
    """Return X, y for training and X, y held out, 500 digits each."""
    X, y = DIGITS
    order = np.random.default_rng(seed).permutation(len(X))
    mine, held = order[:500], order[500:1000]
    return X[mine], y[mine], X[held], y[held]


def scale(X, X_held):
    """Centre both by the mean of X, divide by its spread plus one."""
    mean, std = X.mean(axis=0), X.std(axis=0)
    return (X - mean) / (std + 1), (X_held - mean) / (std + 1)


# %% batches
def batches(X, y, rng):
    """Yield the rows and labels, shuffled, 25 at a time."""
    order = rng.permutation(len(X))
    for k in range(0, len(X), 25):
        rows = order[k : k + 25]
        yield X[rows], y[rows]


# %% forward
def start(rng):
    """Return the parameters by name: 64 pixels, 32 units, 10 classes."""
    return {
        "W1": rng.normal(size=(64, 32)) * np.sqrt(2 / 64),
        "b1": np.zeros(32),
        "W2": rng.normal(size=(32, 10)) * np.sqrt(2 / 32),
        "b2": np.zeros(10),
    }


def dropout(shape, rng):
    """Return a mask that drops a fifth; all ones where rng is None."""
    if rng is None:
        return np.ones(shape)
    return (rng.random(shape) >= 0.2) / 0.8


def forward(X, p, rng=None):
    """Return the scores (n, 10), and what the way back needs."""
    Z = X @ p["W1"] + p["b1"]
    D = dropout(Z.shape, rng)
    H = np.maximum(Z, 0) * D
    return H @ p["W2"] + p["b2"], (X, Z, D, H, rng)


# %% loss
def loss(S, y):
    """Return the mean cross-entropy of scores (n, 10), and its slope."""
    S = S - S.max(axis=1, keepdims=True)
    log_P = S - np.log(np.exp(S).sum(axis=1, keepdims=True))
    E = np.eye(10)[y]
    return -(E * log_P).sum() / len(y), (np.exp(log_P) - E) / len(y)


# %% backward
def backward(G, p, kept):
    """Return the gradient of each parameter; G is the loss's slope."""
    X, Z, D, H, _ = kept
    G1 = G @ p["W2"].T * D * (Z > 0)
    return {
        "W1": X.T @ G1,
        "b1": G1.sum(axis=0),
        "W2": H.T @ G,
        "b2": G.sum(axis=0),
    }


# %% step
LR = 0.02


def step(p, grads, velocity, lr):
    """Change the parameters in place: descent with momentum."""
    for k in p:
        velocity[k] = 0.9 * velocity.get(k, 0) + grads[k]
        p[k] -= lr * velocity[k]


# %% predict
def predict(program, X, p):
    """Return the scores of the rows, with nothing dropped."""
    return program.forward(X, p)[0]


def hits(S, y):
    """Return for each row whether its largest score is the label's."""
    return S.argmax(axis=1) == y


# %% program
from collections.abc import Callable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, repr=False)
class Program:
    """A training program: ten functions, each of which can be another."""

    data: Callable = data
    scale: Callable = scale
    batches: Callable = batches
    start: Callable = start
    forward: Callable = forward
    loss: Callable = loss
    backward: Callable = backward
    step: Callable = step
    predict: Callable = predict
    hits: Callable = hits

    def rows(self, seed):
        """Return X, y, X_held, y_held, scaled."""
        X, y, X_held, y_held = self.data(seed)
        X, X_held = self.scale(X, X_held)
        return X, y, X_held, y_held


# %% gradients
def gradients(program, p, X, y, rng=None):
    """Return the loss and the gradient of each parameter."""
    S, kept = program.forward(X, p, rng)
    value, G = program.loss(S, y)
    return value, program.backward(G, p, kept)


# %% train
from functools import cache


@cache
def train(program, seed, num_epochs=10):
    """Return the loss of each epoch, the held-out accuracy, and p."""
    X, y, X_held, y_held = program.rows(seed)
    rng, velocity, losses = np.random.default_rng(seed), {}, []
    p = program.start(rng)
    for _ in range(num_epochs):
        found = []
        for X_batch, y_batch in program.batches(X, y, rng):
            value, grads = gradients(program, p, X_batch, y_batch, rng)
            program.step(p, grads, velocity, LR)
            found.append(value)
        losses.append(float(np.mean(found)))
    S = program.predict(program, X_held, p)
    return losses, float(program.hits(S, y_held).mean()), p


# %% bug
@dataclass(frozen=True)
class Bug:
    """A fault: its name, its place, and the functions that have it."""

    name: str
    place: str
    changed: dict = field(repr=False)

    @property
    def program(self):
        return replace(Program(), **self.changed)


BUGS = []


def bug(name, place, **changed):
    """Enter a fault into BUGS; place is a function of the program."""
    BUGS.append(Bug(name, place, changed))


# %% bugs-mask
def late_mask(G, p, kept):
    X, _, D, H, rng = kept
    return backward(G, p, (X, H >= 0, D, H, rng))  # Z > 0 is due


bug("mask taken after ReLU", "backward", backward=late_mask)


# %% bugs-data
def overlapping(seed):
    X, y = DIGITS
    rng = np.random.default_rng(seed)
    mine = rng.permutation(len(X))[:500]
    held = rng.permutation(len(X))[:500]
    return X[mine], y[mine], X[held], y[held]


def scaled_apart(X, X_held):
    return scale(X, X)[0], scale(X_held, X_held)[0]


bug("held-out rows among the training rows", "data", data=overlapping)
bug("held-out rows scaled by themselves", "scale", scale=scaled_apart)


# %% bugs-batches
def other_labels(X, y, rng):
    return batches(rng.permutation(X), rng.permutation(y), rng)


def small_strides(X, y, rng):
    for k in range(len(X) // 25):
        yield X[k : k + 25], y[k : k + 25]


def by_class(X, y, rng):
    order = np.argsort(y, kind="stable")
    for k in range(0, len(X), 25):
        rows = order[k : k + 25]
        yield X[rows], y[rows]


bug("rows with other rows' labels", "batches", batches=other_labels)
bug("the same few rows again", "batches", batches=small_strides)
bug("one class after another", "batches", batches=by_class)


# %% bugs-start
def divided(rng):
    p = start(rng)
    W1, W2 = p["W1"] / (2 / 64), p["W2"] / (2 / 32)
    return p | {"W1": W1, "W2": W2}


def alike(rng):
    p = start(rng)
    W1 = np.repeat(p["W1"][:, :1], 32, axis=1)
    W2 = np.repeat(p["W2"][:1] / 32, 32, axis=0)
    return p | {"W1": W1, "W2": W2}


bug("divided by the spread of the start", "start", start=divided)
bug("all hidden units alike", "start", start=alike)


# %% bugs-forward
def no_factor(X, p, rng=None):
    Z = X @ p["W1"] + p["b1"]
    D = dropout(Z.shape, rng) > 0
    H = np.maximum(Z, 0) * D
    return H @ p["W2"] + p["b2"], (X, Z, D, H, rng)


def softmax(S):
    e = np.exp(S - S.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def squeezed(X, p, rng=None):
    S, kept = forward(X, p, rng)
    return softmax(S), kept


def through_softmax(G, p, kept):
    P = softmax(kept[3] @ p["W2"] + p["b2"])
    return backward(P * (G - (G * P).sum(1, keepdims=True)), p, kept)


# %% bugs-forward-2
bug("dropout without its factor", "forward", forward=no_factor)
bug(
    "softmax twice",
    "forward",
    forward=squeezed,
    backward=through_softmax,
)


# %% bugs-loss
def over_batch(S, y):
    S = S - S.max(axis=0)
    log_P = S - np.log(np.exp(S).sum(axis=0))
    E = np.eye(10)[y]
    return -(E * log_P).sum() / len(y), (np.exp(log_P) - E) / len(y)


def one_maximum(S, y):
    e = np.exp(S - S.max())
    P, E = e / e.sum(axis=1, keepdims=True), np.eye(10)[y]
    return -(E * np.log(P)).sum() / len(y), (P - E) / len(y)


def from_one(S, y):
    return loss(S, y - 1)


def twice_divided(S, y):
    value, G = loss(S, y)
    return value, G / len(y)


# %% bugs-loss-2
bug("softmax over the batch", "loss", loss=over_batch)
bug("one maximum for all rows", "loss", loss=one_maximum)
bug("labels counted from one", "loss", loss=from_one)
bug("divided by the batch twice", "loss", loss=twice_divided)


# %% bugs-backward
def new_mask(G, p, kept):
    X, Z, _, H, rng = kept
    return backward(G, p, (X, Z, dropout(Z.shape, rng), H, rng))


def one_number(G, p, kept):
    return backward(G, p, kept) | {"b2": G.sum()}


def decayed(G, p, kept):
    grads = backward(G, p, kept)
    return grads | {k: grads[k] + 0.1 * p[k] for k in ("b1", "b2")}


# %% bugs-early
def hasty(G, p, kept):
    W2 = kept[3].T @ G
    p["W2"] -= LR * W2
    return backward(G, p, kept) | {"W2": W2}


def step_others(p, grads, velocity, lr):
    step(p, grads | {"W2": 0 * grads["W2"]}, velocity, lr)


bug("another mask on the way back", "backward", backward=new_mask)
bug("one number for every bias", "backward", backward=one_number)
bug("decay that the loss lacks", "backward", backward=decayed)
bug(
    "stepped before it is used",
    "backward",
    backward=hasty,
    step=step_others,
)


# %% bugs-end
def piled_up(p, grads, velocity, lr):
    for k in p:
        velocity[k] = velocity.get(k, 0) + grads[k]
        p[k] -= lr * velocity[k]


def still_dropping(program, X, p):
    return program.forward(X, p, np.random.default_rng(0))[0]


def stretched(S, y):
    return S.argmax(axis=1, keepdims=True) == y


bug("gradients never cleared", "step", step=piled_up)
bug("dropout while predicting", "predict", predict=still_dropping)
bug("a column against a row", "hits", hits=stretched)


# %% check-falls
def falls(program, seed):
    """The loss of the last epoch is not below half of the first's."""
    losses = train(program, seed)[0]
    return not losses[-1] < losses[0] / 2


def first_loss(program, seed):
    """The loss at the start is not near that of guessing, log 10."""
    X, y, _, _ = program.rows(seed)
    p = program.start(np.random.default_rng(seed))
    return not abs(gradients(program, p, X, y)[0] - np.log(10)) < 1


def baseline(program, seed):
    """Held-out accuracy is below that of the nearest class mean."""
    X, y, X_held, y_held = Program().rows(seed)
    means = np.stack([X[y == c].mean(axis=0) for c in range(10)])
    far = ((X_held[:, None] - means) ** 2).sum(axis=2)
    plain = (far.argmin(axis=1) == y_held).mean()
    return not train(program, seed)[1] >= plain


# %% check-shapes
def shapes(program, seed):
    """A value has not the shape that the formula gives it."""
    X, y, _, _ = program.rows(seed)
    p = program.start(np.random.default_rng(seed))
    S, kept = program.forward(X, p)
    G = program.loss(S, y)[1]
    grads = program.backward(G, p, kept)
    right = [S.shape == G.shape == (len(X), 10)]
    right += [np.shape(grads[k]) == p[k].shape for k in p]
    right += [program.hits(S, y).shape == y.shape]
    return not all(right)


def overfit(program, seed):
    """Twenty rows are not learnt by heart in 200 steps."""
    X, y, _, _ = program.rows(seed)
    X, y, velocity = X[:20], y[:20], {}
    p = program.start(np.random.default_rng(seed))
    for _ in range(200):
        value, grads = gradients(program, p, X, y)
        program.step(p, grads, velocity, LR)
    S = program.predict(program, X, p)
    return not (value < 0.1 and program.hits(S, y).all())


# %% check-gradients
from lessons.gradcheck import gradcheck


def slopes_differ(program, seed, p):
    """Whether a gradient at p is not the slope of the loss."""
    X, y, _, _ = program.rows(seed)
    X, y, copy = X[:25], y[:25], {k: a.copy() for k, a in p.items()}

    def value():
        S = program.forward(X, p, np.random.default_rng(0))[0]
        return program.loss(S, y)[0]

    rng = np.random.default_rng(0)
    grads = gradients(program, copy, X, y, rng)[1]
    if any(np.shape(grads[k]) != p[k].shape for k in p):
        return True
    return not gradcheck(value, {k: (p[k], grads[k]) for k in p}).ok


# %% check-gradients-2
def at_start(program, seed):
    """gradcheck objects to a gradient at the start."""
    p = program.start(np.random.default_rng(seed))
    return slopes_differ(program, seed, p)


def later(program, seed):
    """gradcheck objects to a gradient after an epoch."""
    return slopes_differ(program, seed, train(program, seed, 1)[2])


# %% check-lockstep
from copy import deepcopy


def torch_scores(X, q, D=1.0):
    """Return PyTorch's scores with parameters q and the mask D."""
    import torch

    Z = torch.tensor(X) @ q["W1"] + q["b1"]
    return (Z.relu() * torch.tensor(D)) @ q["W2"] + q["b2"]


def agrees(found, tensor):
    """Whether an array is a tensor to nine digits of its largest."""
    a, b = np.asarray(found), tensor.detach().numpy()
    return a.shape == b.shape and bool(
        np.abs(a - b).max() <= 1e-9 * max(np.abs(b).max(), 1e-3)
    )


# %% check-lockstep-loss
def torch_loss(S, y):
    """Return PyTorch's cross-entropy of scores and labels."""
    import torch

    return torch.nn.functional.cross_entropy(S, torch.tensor(y))


def twin(p):
    """Return the parameters as tensors, and PyTorch's descent."""
    import torch

    q = {k: torch.tensor(a, requires_grad=True) for k, a in p.items()}
    return q, torch.optim.SGD(q.values(), lr=LR, momentum=0.9)


# %% check-lockstep-2
def lockstep(program, seed):
    """Five steps, or the scores after them, are not PyTorch's."""
    X, y, X_held, _ = program.rows(seed)
    rng, velocity, right = np.random.default_rng(seed), {}, []
    p = program.start(rng)
    q, optimizer = twin(p)
    for k in range(5):
        X_k, y_k = X[25 * k :][:25], y[25 * k :][:25]
        D = dropout((25, 32), deepcopy(rng))
        value, grads = gradients(program, p, X_k, y_k, rng)
        program.step(p, grads, velocity, LR)
        optimizer.zero_grad()
        theirs = torch_loss(torch_scores(X_k, q, D), y_k)
        theirs.backward()
        optimizer.step()
        right += map(agrees, [value, *p.values()], [theirs, *q.values()])
    S, T = program.predict(program, X_held, p), torch_scores(X_held, q)
    return not (all(right) and agrees(S, T))


# %% check-large
def large(program, seed):
    """The loss of scores of some thousand is not PyTorch's."""
    import torch

    rng = np.random.default_rng(seed)
    S, y = rng.normal(size=(6, 10)) * 1000, rng.integers(10, size=6)
    with np.errstate(all="ignore"):
        value = program.loss(S, y)[0]
    return not agrees(value, torch_loss(torch.tensor(S), y))


# %% check-look
def look(program, seed):
    """An epoch is not every row once, with its label, well mixed."""
    X, y, _, _ = program.rows(seed)
    label = {row.tobytes(): c for row, c in zip(X, y, strict=True)}
    epoch = list(program.batches(X, y, np.random.default_rng(seed)))
    rows = [row.tobytes() for X_k, _ in epoch for row in X_k]
    labels = [c for _, y_k in epoch for c in y_k]
    right = [sorted(rows) == sorted(row.tobytes() for row in X)]
    right += [[label[row] for row in rows] == labels]
    right += [min(len(set(y_k)) for _, y_k in epoch) > 4]
    return not all(right)


def split(program, seed):
    """Held-out rows are in training, or change with one another."""
    X, _, X_held, _ = program.data(seed)
    known = {row.tobytes() for row in X}
    alone = [program.scale(X, row[None])[1][0] for row in X_held[:5]]
    return any(row.tobytes() in known for row in X_held) or not (
        np.allclose(alone, program.scale(X, X_held)[1][:5])
    )


# %% check-list
CHECKS = [falls, first_loss, baseline, shapes, overfit, at_start]
CHECKS += [later, lockstep, large, look, split]


def seen(program, check, seeds=(0, 1)):
    """Return in how many of the runs a check objects to a program."""
    return sum(bool(check(program, seed)) for seed in seeds)


# %% mystery
def next_label(S, y):
    return (S.argmax(axis=1) + 1) % 10 == y


def mystery(number, seed=0):
    """Return a program with a fault of BUGS, which number and seed draw.

    number: 1 to len(BUGS), or 0 for one in which two faults hide each
    other. ValueError for another number.
    """
    if not 0 <= number <= len(BUGS):
        raise ValueError(f"number {number}: expected 0 to {len(BUGS)}")
    if number == 0:
        return replace(Program(), loss=from_one, hits=next_label)
    order = np.random.default_rng(seed).permutation(len(BUGS))
    return BUGS[order[number - 1]].program
