"""A two-layer network in NumPy, every gradient a matrix product."""

# Written by `make export` from book/02-matrix.ipynb: edit that.

__all__ = [
    "lin",
    "mse",
    "relu",
    "numerical_gradient",
    "GradArray",
    "mse_grad",
    "relu_grad",
    "lin_grad",
    "he_init",
    "Linear",
    "ReLU",
    "MSELoss",
    "train",
]

# %% lin
import numpy as np

from lessons.checks import shapes


@shapes
def lin(X: "n in", W: "in out", b: "out"):
    """X @ W + b, the output (n, out) of a linear layer."""
    return X @ W + b


# %% mse
@shapes
def mse(y_hat: "n out", y: "n out"):
    """The mean of (y_hat - y)**2 over all entries, a float."""
    return float(np.mean((y_hat - y) ** 2))


# %% relu
@shapes
def relu(Z: "n out"):
    """max(Z, 0), entry by entry, of the same shape."""
    return np.maximum(Z, 0)


# %% numerical
from lessons.chain import numerical_derivative
from lessons.checks import nudges


@nudges
def numerical_gradient(loss, array):
    """The gradient of loss() by array, by central differences.

    array: float64, of any shape. loss: a function without arguments that
    reads it and returns a float. Each entry is nudged in place and put
    back, also when loss raises. Returns an array of the same shape.
    """
    gradient = np.zeros(array.shape)
    for i, kept in np.ndenumerate(array):

        def loss_with(value, i=i):
            array[i] = value
            return loss()

        gradient[i] = numerical_derivative(loss_with, kept)
        array[i] = kept
    return gradient


# %% grad-array
from lessons.checks import same_form


class GradArray(np.ndarray):
    """An array with a place for a gradient of its own shape and dtype.

    Made by view-casting, array.view(GradArray), over the same memory.
    """

    _grad = None

    @property
    def grad(self):
        """None, or a plain array of the same shape and dtype."""
        return self._grad

    @grad.setter
    def grad(self, gradient):
        self._grad = same_form("grad", gradient, self)


# %% mse-grad
@shapes
def mse_grad(y_hat: "n out", y: "n out"):
    """Write the gradient of mse(y_hat, y) onto y_hat, a GradArray."""
    y_hat.grad = 2 * (y_hat - y) / y_hat.size


# %% relu-grad
from lessons.checks import incoming


@shapes
def relu_grad(out: "n out", Z: "n out"):
    """Given out = relu(Z) and out.grad, write Z.grad."""
    Z.grad = incoming(out) * (Z > 0)


# %% lin-grad
@shapes
def lin_grad(out: "n out", X: "n in", W: "in out", b: "out"):
    """Given out = lin(X, W, b) and out.grad, write W.grad and b.grad.

    X.grad too where X is a GradArray; a plain array is data.
    """
    G = incoming(out)
    W.grad = X.T @ G
    b.grad = G.sum(axis=0)
    if hasattr(X, "grad"):
        X.grad = G @ W.T


# %% init
from numpy.random import Generator


@shapes
def he_init(fan_in: int, fan_out: int, rng: Generator):
    """Weights (fan_in, fan_out), normal, mean 0, variance 2 / fan_in.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852.
    """
    return rng.normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in)


# %% classes
class Linear:
    """lin with its own W (in, out), He-initialised, and b (out,), zero."""

    def __init__(self, in_features, out_features, *, rng):
        self.W = he_init(in_features, out_features, rng).view(GradArray)
        self.b = np.zeros(out_features).view(GradArray)

    def forward(self, X):
        self.X, self.out = X, lin(X, self.W, self.b)
        return self.out

    def backward(self):
        """Read out.grad; write W.grad, b.grad and, unless data, X.grad."""
        lin_grad(self.out, self.X, self.W, self.b)

    def parameters(self):
        return [self.W, self.b]

    def __repr__(self):
        return "Linear({}, {})".format(*self.W.shape)


# %% relu-class
class ReLU:
    """relu, remembering its input and its output."""

    def forward(self, Z):
        self.Z, self.out = Z, relu(Z)
        return self.out

    def backward(self):
        """Read out.grad, write Z.grad."""
        relu_grad(self.out, self.Z)

    def parameters(self):
        return []

    def __repr__(self):
        return "ReLU()"


# %% mse-loss
class MSELoss:
    """mse, remembering the answers and the targets."""

    def forward(self, y_hat, y):
        self.y_hat, self.y = y_hat, y
        return mse(y_hat, y)

    def backward(self):
        """Write y_hat.grad."""
        mse_grad(self.y_hat, self.y)


# %% train
from lessons.checks import check_gradients, check_layers


@shapes
def train(layers, X: "n in", Y: "n out", lr: float, num_epochs: int):
    """Full-batch gradient descent; a list with the loss of each epoch.

    layers: Linear, ReLU and the like, none twice; changed in place.
    """
    check_layers(layers)
    parameters = [p for layer in layers for p in layer.parameters()]
    loss_fn, losses = MSELoss(), []
    for _ in range(num_epochs):
        out = X
        for layer in layers:
            out = layer.forward(out)
        losses.append(loss_fn.forward(out, Y))
        loss_fn.backward()
        for layer in reversed(layers):
            layer.backward()
        check_gradients(parameters)
        for p in parameters:
            p -= lr * p.grad
    return losses
