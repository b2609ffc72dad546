"""Layers, losses and an optimizer that remember what backward needs."""

# Written by `make export` from book/03-modules.ipynb: edit that.

__all__ = [
    "Module",
    "Layer",
    "Linear",
    "Activation",
    "ReLU",
    "Tanh",
    "Sigmoid",
    "Sequential",
    "MSELoss",
    "SGD",
    "train_step",
]

# %% module
import numpy as np

from lessons.checks import backward_pass, check_layers, forward_pass
from lessons.matrix import GradArray, he_init, lin


class Module:
    """What layers, losses and models share: calling one remembers.

    A subclass has forward(*args) and bwd(out, *args), which reads out.grad
    and writes the gradients of inputs and parameters.
    """

    @forward_pass
    def __call__(self, *args):
        out = self.forward(*args)
        if type(out) is np.ndarray:
            out = out.view(GradArray)
        self.args, self.out = args, out
        return out

    @backward_pass
    def backward(self):
        self.bwd(self.out, *self.args)


# %% layer
class Layer(Module):
    """A module that takes one float matrix and gives one."""

    def parameters(self):
        return []

    def extra_repr(self):
        return ""

    def __repr__(self):
        return f"{type(self).__name__}({self.extra_repr()})"

    def __getstate__(self):  # what pickle and copy take
        last = "args", "out"
        return {k: v for k, v in vars(self).items() if k not in last}


# %% linear
class Linear(Layer):
    """X @ W + b, with W (in, out) He-initialised and b (out,) zero."""

    def __init__(self, in_features, out_features, *, rng, dtype=float):
        W = he_init(in_features, out_features, rng)
        self.W = W.astype(dtype).view(GradArray)
        self.b = np.zeros(out_features, dtype).view(GradArray)

    def forward(self, X):
        return lin(X, self.W, self.b)

    def bwd(self, out, X):
        self.W.grad = X.T @ out.grad
        self.b.grad = out.grad.sum(axis=0)
        if hasattr(X, "grad"):
            X.grad = out.grad @ self.W.T

    def parameters(self):
        return [self.W, self.b]

    def extra_repr(self):
        return f"in_features={len(self.W)}, out_features={len(self.b)}"


# %% activation
class Activation(Layer):
    """A layer that bends each entry; slope(out, X) is d out / d X."""

    def bwd(self, out, X):
        if hasattr(X, "grad"):
            X.grad = out.grad * self.slope(out, X)


class ReLU(Activation):
    def forward(self, X):
        return X.clip(0)

    def slope(self, out, X):
        return X > 0


class Tanh(Activation):
    def forward(self, X):
        return np.tanh(X)

    def slope(self, out, X):
        return 1 - out**2


# %% sigmoid
class Sigmoid(Activation):
    def forward(self, X):
        e = np.exp(-np.abs(X))
        return np.where(X >= 0, 1, e) / (1 + e)

    def slope(self, out, X):
        return out * (1 - out)


# %% sequential
class Sequential(Layer):
    """Layers one after another; each may stand in it only once."""

    def __init__(self, *layers):
        check_layers(layers)
        self.layers = layers

    def forward(self, X):
        for layer in self.layers:
            X = layer(X)
        return X

    def bwd(self, out, X):
        for layer in reversed(self.layers):
            layer.backward()

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]

    def extra_repr(self):
        lines = (f"\n({k}): {x}" for k, x in enumerate(self.layers))
        return "".join(lines).replace("\n", "\n  ") + "\n"


# %% mse-loss
class MSELoss(Module):
    """The mean of (y_hat - y)**2 over all entries, a float."""

    def forward(self, y_hat: "n out", y: "n out"):
        return float(((y_hat - y) ** 2).mean())

    def bwd(self, loss, y_hat, y):
        y_hat.grad = 2 * (y_hat - y) / y.size

    def __repr__(self):
        return "MSELoss()"


# %% sgd
from lessons.checks import check_gradients, check_parameters, shapes


class SGD:
    """p -= lr * p.grad for each of the parameters, in place."""

    @shapes
    def __init__(self, parameters, lr: float):
        self.parameters, self.lr = check_parameters(parameters), lr

    def step(self):
        check_gradients(self.parameters)
        for p in self.parameters:
            p -= self.lr * p.grad

    def __repr__(self):
        return f"SGD(lr={self.lr})"


# %% train-step
from lessons.checks import check_same_arrays


def train_step(model, loss_fn, optimizer, X, y):
    """One step on X and y; returns the loss before the update."""
    check_same_arrays(model, optimizer)
    y_hat = model(X)
    loss = loss_fn(y_hat, y)
    loss_fn.backward()
    model.backward()
    optimizer.step()
    return loss
