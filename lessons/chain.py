"""One neuron, then a chain of any depth, every derivative by hand."""

# Written by `make export` from book/01-chain.ipynb: edit that.

__all__ = [
    "numerical_derivative",
    "Linear",
    "Tanh",
    "SquaredError",
    "Chain",
    "parameters",
    "gradients",
    "train",
]

# %% numerical-derivative
import math


def numerical_derivative(f, x, h=1e-5):
    """The slope of f at x by central differences, a float.

    f takes and returns a float. The step is h, or h times |x| where that
    is more, and the difference is divided by the step that was taken.
    For values and derivatives of order one the error is near 1e-11:
    h**2 / 6 times the third derivative, and 1e-16 / h from rounding.
    Where f bends within a step of 1e-5, take a smaller h.
    """
    h = h * max(1, abs(x))
    above, below = x + h, x - h
    return (f(above) - f(below)) / (above - below)


# %% linear
class Linear:
    """z = w * x + b, for one number x."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return self.w * x + self.b

    def backward(self, g, lr):
        """Take dL/dz, update w and b, return dL/dx."""
        self.w_grad, self.b_grad = g * self.x, g
        g_below = g * self.w  # with the w that forward used
        self.w -= lr * self.w_grad
        self.b -= lr * self.b_grad
        return g_below

    def __repr__(self):
        return f"Linear(w={self.w:.6f}, b={self.b:.6f})"


# %% tanh
class Tanh:
    """a = tanh(z), for one number z."""

    def forward(self, z):
        self.a = math.tanh(z)
        return self.a

    def backward(self, g, lr):
        """Take dL/da, return dL/dz; there is nothing to update."""
        return g * (1 - self.a**2)

    def __repr__(self):
        return "Tanh()"


# %% squared-error
class SquaredError:
    """L = (y_hat - y)**2, for one answer y_hat and one target y."""

    def forward(self, y_hat, y):
        self.miss = y_hat - y
        return self.miss**2

    def backward(self):
        """Return dL/dy_hat."""
        return 2 * self.miss


# %% chain
class Chain:
    """Neurons in a row; w and b have a number for each, first to last."""

    def __init__(self, w, b):
        self.layers = []
        for w_k, b_k in zip(w, b, strict=True):
            self.layers += [Linear(w_k, b_k), Tanh()]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, g, lr):
        """Take dL/dy_hat, update every neuron, return dL/dx."""
        for layer in reversed(self.layers):
            g = layer.backward(g, lr)
        return g

    def __repr__(self):
        return f"Chain({self.layers})"


# %% readers
def parameters(chain):
    """[w_1, b_1, w_2, b_2, ...] as they are now, floats."""
    return [p for layer in chain.layers[::2] for p in (layer.w, layer.b)]


def gradients(chain):
    """[dL/dw_1, dL/db_1, dL/dw_2, ...] from the last backward, floats."""
    linears = chain.layers[::2]
    return [g for layer in linears for g in (layer.w_grad, layer.b_grad)]


# %% train-function
def train(chain, samples, lr):
    """One pass over samples, pairs (x, y), one update for each.

    Returns a list with (loss, parameters) for each step: the loss before
    its update, a float, and the parameters after it, a list of floats.
    """
    loss_fn, history = SquaredError(), []
    for x, y in samples:
        loss = loss_fn.forward(chain.forward(x), y)
        chain.backward(loss_fn.backward(), lr)
        history.append((loss, parameters(chain)))
    return history
