"""A cross-entropy that does not overflow, mini-batches, and MNIST."""

# Written by `make export` from book/05-mnist.ipynb: edit that.

__all__ = [
    "accuracy",
    "log_softmax",
    "nll",
    "CrossEntropyLoss",
    "DataLoader",
    "train_epoch",
]

# %% accuracy
import numpy as np

from lessons.checks import check_data, check_labels, shapes


@shapes
def accuracy(logits: "n out", y: "int n"):
    """The share of rows whose largest logit is in column y, a float."""
    check_labels(y, logits)
    return float((logits.argmax(axis=1) == y).mean())


# %% log-softmax
from lessons.checks import check_log_p


@shapes
def log_softmax(logits: "n out"):
    """The logarithm of each row's softmax, (n, out)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@shapes
def nll(log_p: "n out", y: "int n"):
    """Negative log-likelihood, a float: the mean of -log_p[i, y[i]].

    log_p: logarithms of probabilities, as log_softmax gives them.
    """
    check_log_p(log_p, y)
    return -float(log_p[np.arange(len(y)), y].mean())


# %% cross-entropy-loss
from lessons.modules import Module


class CrossEntropyLoss(Module):
    """The mean of -log softmax(y_hat)[i, y[i]] over the rows, a float.

    Called with logits y_hat (n, out) and labels y (n,), integers from 0
    to out - 1.
    """

    def forward(self, y_hat: "n out", y: "int n"):
        self.log_p = log_softmax(y_hat)
        return nll(self.log_p, y)

    def bwd(self, loss, y_hat, y):
        G = np.exp(self.log_p)
        G[np.arange(len(y)), y] -= 1
        y_hat.grad = G / len(y)

    def __repr__(self):
        return "CrossEntropyLoss()"


# %% data-loader
from numpy.random import Generator


class DataLoader:
    """Batches (X, y) of batch_size rows each, the last with what is left.

    X, y: arrays or tensors with as many rows. rng: a numpy Generator,
    for a new order in every pass; None keeps the rows in theirs.
    """

    @shapes
    def __init__(self, X, y, batch_size: int, *, rng: Generator = None):
        check_data(X, y)
        self.X, self.y, self.batch_size, self.rng = X, y, batch_size, rng

    def __len__(self):
        return -(-len(self.X) // self.batch_size)

    def __iter__(self):
        order = self.rng and self.rng.permutation(len(self.X))
        for start in range(0, len(self.X), self.batch_size):
            rows = slice(start, start + self.batch_size)
            rows = rows if order is None else order[rows]
            yield self.X[rows], self.y[rows]


# %% train-epoch
from lessons.modules import train_step


def train_epoch(model, loss_fn, optimizer, loader):
    """One pass over the batches (X, y) of loader, one update for each.

    Returns the mean loss over the samples, a float, each taken before
    the update of its batch. ZeroDivisionError where there is no batch.
    """
    total, count = 0.0, 0
    for X, y in loader:
        total += len(y) * train_step(model, loss_fn, optimizer, X, y)
        count += len(y)
    return total / count
