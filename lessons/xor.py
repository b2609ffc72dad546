"""The smallest problem that needs a hidden layer, from many starts."""

# Written by `make export` from book/04-xor.ipynb: edit that.

__all__ = [
    "INPUTS",
    "OR",
    "XOR",
    "sigmoid",
    "forward",
    "loss_and_gradients",
    "start",
    "step_by_hand",
    "train_starts",
    "solved",
]

# %% tables
import numpy as np

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
OR = np.array([[0.0], [1.0], [1.0], [1.0]])
XOR = np.array([[0.0], [1.0], [1.0], [0.0]])


# %% by-hand
from lessons.checks import shapes


def sigmoid(Z):
    """1 / (1 + exp(-Z)), entry by entry, for Z of any shape."""
    e = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1, e) / (1 + e)


@shapes
def forward(X: "n 2", W1: "2 h", b1: "h", W2: "h 1", b2: "1"):
    """A (n, h) and Y_hat (n, 1), for h hidden units."""
    A = sigmoid(X @ W1 + b1)
    return A, sigmoid(A @ W2 + b2)


# %% gradients
@shapes
def loss_and_gradients(X: "n 2", Y: "n 1", W1, b1, W2, b2):
    """The mean squared error and its gradients by W1, b1, W2, b2."""
    A, Y_hat = forward(X, W1, b1, W2, b2)
    loss = float(np.mean((Y_hat - Y) ** 2))

    dL_dY_hat = 2 / len(Y) * (Y_hat - Y)
    dL_dZ2 = dL_dY_hat * Y_hat * (1 - Y_hat)
    dL_dW2 = A.T @ dL_dZ2
    dL_dA = dL_dZ2 @ W2.T
    dL_dZ1 = dL_dA * A * (1 - A)
    dL_dW1 = X.T @ dL_dZ1
    dL_db2, dL_db1 = dL_dZ2.sum(axis=0), dL_dZ1.sum(axis=0)
    return loss, (dL_dW1, dL_db1, dL_dW2, dL_db2)


# %% start
from lessons.matrix import he_init


def start(hidden, seed):
    """W1 (2, hidden), b1 (hidden,), W2 (hidden, 1), b2 (1,), He's way."""
    rng = np.random.default_rng(seed)
    W1, W2 = he_init(2, hidden, rng), he_init(hidden, 1, rng)
    return W1, np.zeros(hidden), W2, np.zeros(1)


# %% step-by-hand
@shapes
def step_by_hand(parameters, lr: float, Y: "4 1" = XOR):
    """One step on INPUTS and Y, in place; returns the loss before it.

    parameters: W1, b1, W2, b2, as start gives them.
    """
    loss, gradients = loss_and_gradients(INPUTS, Y, *parameters)
    for p, gradient in zip(parameters, gradients, strict=True):
        p -= lr * gradient
    return loss


# %% train-starts
@shapes
def train_starts(
    starts, *, lr: float, num_steps: int, Y: "4 1" = XOR, biases=True
):
    """Train a network from each start, all at once, on INPUTS and Y.

    Returns the losses before each step, (num_steps, starts), and at the
    end A, (starts, 4, h), and Y_hat, (starts, 4, 1).
    """
    W1, b1, W2, b2 = map(np.stack, zip(*starts, strict=True))
    b1, b2, losses = b1[:, None, :], b2[:, None, :], []
    for _ in range(num_steps):
        A = sigmoid(INPUTS @ W1 + b1)
        Y_hat = sigmoid(A @ W2 + b2)
        losses.append(((Y_hat - Y) ** 2).mean(axis=(1, 2)))
        G2 = 2 / len(Y) * (Y_hat - Y) * Y_hat * (1 - Y_hat)
        G1 = G2 @ W2.swapaxes(1, 2) * A * (1 - A)
        W2 -= lr * A.swapaxes(1, 2) @ G2
        W1 -= lr * INPUTS.T @ G1
        if biases:
            b2 -= lr * G2.sum(axis=1, keepdims=True)
            b1 -= lr * G1.sum(axis=1, keepdims=True)
    A = sigmoid(INPUTS @ W1 + b1)
    return np.array(losses), A, sigmoid(A @ W2 + b2)


# %% solved
def solved(Y_hat, Y=XOR):
    """Whether every answer is on the right side of 1/2, for each network.

    Y_hat (starts, n, 1) or (n, 1), Y (n, 1); gives (starts,) or a scalar.
    """
    return (np.abs(Y_hat - Y) < 0.5).all(axis=(-2, -1))
