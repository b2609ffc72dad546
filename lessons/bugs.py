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
    "log_softmax",
    "cross_entropy",
    "loss",
    "per_layer",
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
    "through_softmax",
    "squeezed",
    "over_batch",
    "one_maximum",
    "from_one",
    "twice_divided",
    "forwards",
    "one_relu",
    "overwritten",
    "new_mask",
    "one_number",
    "decayed",
    "hasty",
    "piled_up",
    "old_arrays",
    "still_dropping",
    "transposed",
    "stretched",
    "falls",
    "first_loss",
    "baseline",
    "shapes",
    "overfit",
    "slopes",
    "differ",
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


# %% scale
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


# %% start
def start(rng):
    """Return the parameters by name: 64 pixels, 32, 32, 10 units."""
    p = {}
    for k, (m, n) in enumerate([(64, 32), (32, 32), (32, 10)], 1):
        p[f"W{k}"] = rng.normal(size=(m, n)) * np.sqrt(1 / m)
        p[f"b{k}"] = np.zeros(n)
    return p


# %% dropout
def dropout(shape, rng):
    """Return a mask that drops a fifth; all ones where rng is None."""
    if rng is None:
        return np.ones(shape)
    return (rng.random(shape) >= 0.2) / 0.8


# %% forward
def forward(X, p, rng=None, mask=dropout):
    """Return the scores (n, 10), and what the way back needs."""
    Z1 = X @ p["W1"] + p["b1"]
    D = mask(Z1.shape, rng)
    H1 = np.maximum(Z1, 0) * D
    Z2 = H1 @ p["W2"] + p["b2"]
    H2 = np.maximum(Z2, 0) + H1
    kept = {"X": X, "Z1": Z1, "D": D, "H1": H1, "Z2": Z2, "H2": H2}
    return H2 @ p["W3"] + p["b3"], kept | {"rng": rng}


# %% log-softmax
def log_softmax(S):
    """Return the logarithm of each row's softmax."""
    S = S - S.max(axis=1, keepdims=True)
    return S - np.log(np.exp(S).sum(axis=1, keepdims=True))


# %% loss
def cross_entropy(log_P, y):
    """Return the mean cross-entropy, and its slope by the scores."""
    E = np.eye(10)[y]
    return -(E * log_P).sum() / len(y), (np.exp(log_P) - E) / len(y)


def loss(S, y):
    """Return the loss of scores (n, 10) and labels (n,), its slope."""
    return cross_entropy(log_softmax(S), y)


# %% per-layer
def per_layer(kept, *slopes):
    """Return each parameter's gradient; slopes are by Z1, Z2 and S."""
    grads, inputs = {}, (kept["X"], kept["H1"], kept["H2"])
    for k, (A, G) in enumerate(zip(inputs, slopes, strict=True), 1):
        grads |= {f"W{k}": A.T @ G, f"b{k}": G.sum(axis=0)}
    return grads


# %% backward
def backward(G, p, kept):
    """Return the gradient of each parameter; G is the loss's slope."""
    GH = G @ p["W3"].T
    G2 = GH * (kept["Z2"] > 0)
    G1 = (GH + G2 @ p["W2"].T) * kept["D"] * (kept["Z1"] > 0)
    return per_layer(kept, G1, G2, G)


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


# %% bugs
BUGS = []


def bug(name, place, **others):
    """Enter the function below into BUGS, as a fault at a place."""

    def enter(function):
        BUGS.append(Bug(name, place, {place: function, **others}))
        return function

    return enter


# %% bugs-mask
@bug("mask taken after ReLU", "backward")
def late_mask(G, p, kept):
    late = {k: np.maximum(kept[k], 0) >= 0 for k in ("Z1", "Z2")}
    return backward(G, p, kept | late)  # Z > 0 is due


# %% bugs-data
@bug("held-out rows among training rows", "data")
def overlapping(seed):
    X, y = DIGITS
    rng = np.random.default_rng(seed)
    mine = rng.permutation(len(X))[:500]
    held = rng.permutation(len(X))[:500]
    return X[mine], y[mine], X[held], y[held]


@bug("held-out rows scaled by themselves", "scale")
def scaled_apart(X, X_held):
    return scale(X, X)[0], scale(X_held, X_held)[0]


# %% bugs-batches
@bug("rows with other rows' labels", "batches")
def other_labels(X, y, rng):
    return batches(rng.permutation(X), rng.permutation(y), rng)


@bug("the same few rows again", "batches")
def small_strides(X, y, rng):
    for k in range(len(X) // 25):
        yield X[k : k + 25], y[k : k + 25]


@bug("one class after another", "batches")
def by_class(X, y, rng):
    order = np.argsort(y, kind="stable")
    for k in range(0, len(X), 25):
        rows = order[k : k + 25]
        yield X[rows], y[rows]


# %% bugs-start
@bug("divided by the spread of the start", "start")
def divided(rng):
    p = start(rng)
    return p | {k: len(p[k]) * p[k] for k in ("W1", "W2", "W3")}


@bug("all hidden units alike", "start")
def alike(rng):
    p = start(rng)
    same = {k: np.repeat(p[k][:, :1], 32, axis=1) for k in ("W1", "W2")}
    return p | same | {"W3": np.repeat(p["W3"][:1] / 32, 32, axis=0)}


# %% bugs-forward
@bug("dropout without its factor", "forward")
def no_factor(X, p, rng=None):
    return forward(X, p, rng, lambda *args: dropout(*args) > 0)


def through_softmax(G, p, kept):
    P = kept["P"]
    return backward(P * (G - (G * P).sum(1, keepdims=True)), p, kept)


@bug("softmax twice", "forward", backward=through_softmax)
def squeezed(X, p, rng=None):
    S, kept = forward(X, p, rng)
    P = np.exp(log_softmax(S))
    return P, kept | {"P": P}


# %% bugs-loss
@bug("softmax over the batch", "loss")
def over_batch(S, y):
    log_P = log_softmax(S.T).T
    value, G = cross_entropy(log_P, y)
    more = np.bincount(y, minlength=10) - 1
    return value, G + np.exp(log_P) * more / len(y)


@bug("one maximum for all rows", "loss")
def one_maximum(S, y):
    e = np.exp(S - S.max())
    return cross_entropy(np.log(e / e.sum(axis=1, keepdims=True)), y)


# %% bugs-loss-2
@bug("labels counted from one", "loss")
def from_one(S, y):
    return loss(S, y - 1)


@bug("divided by the batch twice", "loss")
def twice_divided(S, y):
    value, G = loss(S, y)
    return value, G / len(y)


# %% bugs-routes
@bug("layers walked forwards", "backward")
def forwards(G, p, kept):
    G2 = G @ p["W3"].T
    G1 = G2 + G2 @ p["W2"].T * (kept["Z2"] > 0)
    return per_layer(kept, G1 * kept["D"] * (kept["Z1"] > 0), G2, G)


@bug("a layer used twice", "backward")
def one_relu(G, p, kept):
    return backward(G, p, kept | {"Z1": kept["Z2"]})


@bug("one array into two layers", "backward")
def overwritten(G, p, kept):
    G2 = G @ p["W3"].T * (kept["Z2"] > 0)
    G1 = G2 @ p["W2"].T * kept["D"] * (kept["Z1"] > 0)
    return per_layer(kept, G1, G2, G)


# %% bugs-backward
@bug("another mask on the way back", "backward")
def new_mask(G, p, kept):
    D = dropout(kept["D"].shape, kept["rng"])
    return backward(G, p, kept | {"D": D})


@bug("one number for every bias", "backward")
def one_number(G, p, kept):
    return backward(G, p, kept) | {"b3": G.sum()}


@bug("decay that the loss lacks", "backward")
def decayed(G, p, kept):
    grads = backward(G, p, kept)
    return grads | {k: grads[k] + 0.1 * p[k] for k in ("b1", "b2", "b3")}


# %% bugs-early
@bug("stepped before it is used", "backward")
def hasty(G, p, kept):
    moved = p["W3"] - LR * kept["H2"].T @ G
    return backward(G, p | {"W3": moved}, kept)


# %% bugs-steps
@bug("gradients never cleared", "step")
def piled_up(p, grads, velocity, lr):
    for k in p:
        velocity[k] = velocity.get(k, 0) + grads[k]
        p[k] -= lr * velocity[k]


@bug("an optimizer with old arrays", "step")
def old_arrays(p, grads, velocity, lr):
    old = {k: p[k].copy() for k in ("W3", "b3")}
    step(p | old, grads, velocity, lr)


# %% bugs-end
@bug("dropout while predicting", "predict")
def still_dropping(program, X, p):
    return program.forward(X, p, np.random.default_rng(0))[0]


@bug("parameters copied to the wrong place", "predict")
def transposed(program, X, p):
    return predict(program, X, p | {"W2": p["W2"].T})


@bug("a column against a row", "hits")
def stretched(S, y):
    return S.argmax(axis=1, keepdims=True) == y


# %% check-falls
def falls(program, seed):
    """The loss does not fall to a half."""
    losses = train(program, seed)[0]
    return not losses[-1] < losses[0] / 2


def first_loss(program, seed):
    """The first loss is not near log 10."""
    X, y, _, _ = program.rows(seed)
    p = program.start(np.random.default_rng(seed))
    return not abs(gradients(program, p, X, y)[0] - np.log(10)) < 1


# %% check-baseline
def baseline(program, seed):
    """It does not beat the nearest class mean."""
    X, y, X_held, y_held = Program().rows(seed)
    means = np.stack([X[y == c].mean(axis=0) for c in range(10)])
    far = ((X_held[:, None] - means) ** 2).sum(axis=2)
    plain = (far.argmin(axis=1) == y_held).mean()
    return not train(program, seed)[1] >= plain


# %% check-shapes
def shapes(program, seed):
    """A value has not its formula's shape."""
    X, y, _, _ = program.rows(seed)
    p = program.start(np.random.default_rng(seed))
    S, kept = program.forward(X, p)
    G = program.loss(S, y)[1]
    grads = program.backward(G, p, kept)
    right = [S.shape == G.shape == (len(X), 10)]
    right += [np.shape(grads[k]) == p[k].shape for k in p]
    right += [program.hits(S, y).shape == y.shape]
    return not all(right)


# %% check-overfit
def overfit(program, seed):
    """Twenty rows are not learnt in 200 steps."""
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


def slopes(program, p, seed=0):
    """Return what gradcheck says of the gradients at p."""
    X, y, _, _ = program.rows(seed)
    X, y = X[:25], y[:25]

    rng = np.random.default_rng(0)
    begin = rng.bit_generator.state

    def value():
        rng.bit_generator.state = begin
        S = program.forward(X, p, rng)[0]
        return program.loss(S, y)[0]

    grads = gradients(program, p, X, y, rng)[1]
    return gradcheck(value, {k: (p[k], grads[k]) for k in p})


# %% check-gradients-2
def differ(program, p, seed):
    """Whether gradcheck objects to a gradient at p."""
    try:
        return not slopes(program, p, seed).ok
    except ValueError:
        return True


# %% check-gradients-3
def at_start(program, seed):
    """gradcheck objects at the start."""
    p = program.start(np.random.default_rng(seed))
    return differ(program, p, seed)


def later(program, seed):
    """gradcheck objects after an epoch."""
    return differ(program, train(program, seed, 1)[2], seed)


# %% check-lockstep
def torch_scores(X, q, D=1.0):
    """Return PyTorch's scores with parameters q and the mask D."""
    import torch

    Z = torch.tensor(X) @ q["W1"] + q["b1"]
    H = Z.relu() * torch.tensor(D)
    return (H + (H @ q["W2"] + q["b2"]).relu()) @ q["W3"] + q["b3"]


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
from copy import deepcopy


def lockstep(program, seed):
    """Five steps or scores are not PyTorch's."""
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
    """The loss of large scores is not PyTorch's."""
    import torch

    rng = np.random.default_rng(seed)
    S, y = rng.normal(size=(6, 10)) * 1000, rng.integers(10, size=6)
    with np.errstate(all="ignore"):
        value = program.loss(S, y)[0]
    return not agrees(value, torch_loss(torch.tensor(S), y))


# %% check-look
def look(program, seed):
    """An epoch is not all rows, well mixed."""
    X, y, _, _ = program.rows(seed)
    label = {row.tobytes(): c for row, c in zip(X, y, strict=True)}
    epoch = list(program.batches(X, y, np.random.default_rng(seed)))
    rows = [row.tobytes() for X_k, _ in epoch for row in X_k]
    labels = [c for _, y_k in epoch for c in y_k]
    right = [sorted(rows) == sorted(row.tobytes() for row in X)]
    right += [[label[row] for row in rows] == labels]
    right += [min(len(set(y_k)) for _, y_k in epoch) > 4]
    return not all(right)


# %% check-split
def split(program, seed):
    """Held-out rows leak, or depend on others."""
    X, _, X_held, _ = program.data(seed)
    known = {row.tobytes() for row in X}
    alone = [program.scale(X, row[None])[1][0] for row in X_held[:5]]
    return any(row.tobytes() in known for row in X_held) or not (
        np.allclose(alone, program.scale(X, X_held)[1][:5])
    )


# %% check-list
CHECKS = [falls, first_loss, baseline, shapes, overfit, at_start]
CHECKS += [later, lockstep, large, look, split]


@cache
def seen(program, check, seeds=(0, 1)):
    """Return in how many of the runs a check objects to a program."""
    return sum(bool(check(program, seed)) for seed in seeds)


# %% mystery
def mystery(number, seed=0):
    """Return a program with a fault of BUGS, which number and seed draw.

    number: 1 to len(BUGS), or 0 for one in which two faults hide each
    other. ValueError for another number.
    """
    if not 0 <= number <= len(BUGS):
        raise ValueError(f"number {number}: expected 0 to {len(BUGS)}")
    if number == 0:
        return replace(Program(), loss=twice_divided, step=piled_up)
    order = np.random.default_rng(seed).permutation(len(BUGS))
    return BUGS[order[number - 1]].program
