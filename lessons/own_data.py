"""A table in, a trained network kept, and scikit-learn's manners."""

# Written by `make export` from book/06-own-data.ipynb: edit that.

__all__ = [
    "scaling",
    "BCEWithLogitsLoss",
    "Momentum",
    "Adam",
    "Dropout",
    "named_parameters",
    "Network",
    "train_until",
    "save",
    "load",
    "NetworkSettings",
    "start_network",
    "run_epochs",
    "NetworkEstimator",
    "NetworkClassifier",
    "NetworkRegressor",
]

# %% scaling
import numpy as np

from lessons.checks import shapes


@shapes
def scaling(X: "n in"):
    """Mean and standard deviation of each column, both (in,).

    Gaps, nan, are left out. The deviation of a column that holds one
    number only is given as 1.
    """
    constant = np.nanmin(X, axis=0) == np.nanmax(X, axis=0)
    std = np.where(constant, 1, np.nanstd(X, axis=0))
    return np.nanmean(X, axis=0), std


# %% bce
from lessons.checks import check_chances
from lessons.modules import Module
from lessons.xor import sigmoid


class BCEWithLogitsLoss(Module):
    """The mean of log(1 + exp(y_hat)) - y * y_hat, a float.

    y_hat: logits, (n, out). y: (n, out), 1 for yes and 0 for no.
    """

    def forward(self, y_hat: "n out", y: "n out"):
        check_chances(y)
        e = np.exp(-np.abs(y_hat))
        return float((y_hat.clip(0) + np.log1p(e) - y * y_hat).mean())

    def bwd(self, loss, y_hat, y):
        y_hat.grad = np.asarray(sigmoid(y_hat) - y) / y.size

    def __repr__(self):
        return "BCEWithLogitsLoss()"


# %% momentum
from lessons.checks import whole_step
from lessons.modules import SGD


class Momentum(SGD):
    """v = momentum * v + g, p -= lr * v, for each parameter, in place.

    g is the gradient plus weight_decay * p, as in torch.optim.SGD.
    """

    def __init__(self, parameters, lr, momentum=0.9, weight_decay=0.0):
        super().__init__(parameters, lr)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.v = [np.zeros(p.shape, p.dtype) for p in self.parameters]

    @whole_step
    def step(self):
        for p, v in zip(self.parameters, self.v, strict=True):
            v *= self.momentum
            v += p.grad + self.weight_decay * p
            p -= self.lr * v


# %% adam
class Adam(SGD):
    """Steps of about lr in each entry, as torch.optim.Adam takes them.

    betas: what is kept of the running means of g and of g**2.
    """

    def __init__(
        self, parameters, lr, *, betas=(0.9, 0.999), weight_decay=0.0
    ):
        super().__init__(parameters, lr)
        self.betas, self.weight_decay, self.t = betas, weight_decay, 0
        self.m = [np.zeros(p.shape, p.dtype) for p in self.parameters]
        self.v = [np.zeros(p.shape, p.dtype) for p in self.parameters]

    @whole_step
    def step(self):
        self.t += 1
        b1, b2 = self.betas
        for p, m, v in zip(self.parameters, self.m, self.v, strict=True):
            g = p.grad + self.weight_decay * p
            m += (1 - b1) * (g - m)
            v += (1 - b2) * (g * g - v)
            root = np.sqrt(v / (1 - b2**self.t)) + 1e-8
            p -= self.lr * (m / (1 - b1**self.t)) / root


# %% dropout
from lessons.checks import Chance
from lessons.modules import Activation


class Dropout(Activation):
    """While training, zeros with chance p, the rest times 1 / (1 - p)."""

    @shapes
    def __init__(self, p: Chance, *, rng):
        self.p, self.rng, self.training = p, rng, True

    def forward(self, X):
        self.mask = np.ones(X.shape, X.dtype)
        if self.training:
            kept = self.rng.random(X.shape) >= self.p
            self.mask = (kept / (1 - self.p)).astype(X.dtype)
        return X * self.mask

    def slope(self, out, X):
        return self.mask

    def extra_repr(self):
        return f"p={self.p}"


# %% named
def named_parameters(model):
    """{"0.W": array, "0.b": array, ...}, by the place of the layer."""
    named = {}
    for k, layer in enumerate(model.layers):
        for j, p in enumerate(layer.parameters()):
            named[f"{k}.{'Wb'[j] if j < 2 else j}"] = p
    return named


# %% network
from lessons.checks import matched
from lessons.modules import Sequential


class Network(Sequential):
    """A Sequential that trains or answers, and whose weights are kept."""

    def train(self, mode=True):
        for layer in self.layers:
            layer.training = mode
        return self

    def eval(self):
        return self.train(False)

    def state_dict(self):
        named = named_parameters(self)
        return {name: np.array(p) for name, p in named.items()}

    def load_state_dict(self, state):
        for p, value in matched(named_parameters(self), state):
            p[:] = value


# %% train-until
from lessons.mnist import train_epoch


def train_until(
    model, loss_fn, optimizer, loader, X, y, *, num_epochs, patience
):
    """Train a Network; end with the weights of its best epoch.

    X, y: validation rows. It stops after patience epochs that are no
    better than the best. Returns the validation loss of each epoch.
    """
    losses, kept = [], None
    for epoch in range(num_epochs):
        train_epoch(model.train(), loss_fn, optimizer, loader)
        losses.append(loss_fn(model.eval()(X), y))
        best = int(np.argmin(losses))
        if best == epoch:
            kept = model.state_dict()
        if epoch - best == patience:
            break
    model.load_state_dict(kept)
    return losses


# %% save
import os
from pathlib import Path


def save(path, model):
    """Write the weights of a Network to path, whole or not at all."""
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with open(unfinished, "wb") as file:
            np.savez(file, **model.state_dict())
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


# %% load
from lessons.checks import whole_file


def load(path, model):
    """Read weights that save has written into a Network like it.

    Raises ValueError, and leaves the model as it was, where the file is
    damaged or holds the weights of another model; FileNotFoundError.
    """
    with whole_file(path), np.load(path, allow_pickle=False) as file:
        state = {name: file[name] for name in file.files}
    model.load_state_dict(state)


# %% estimator-start
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class NetworkSettings(BaseEstimator):
    """What both estimators take, and the network that they start with."""

    def __init__(
        self,
        hidden=32,
        *,
        lr=0.01,
        num_epochs=50,
        batch_size=32,
        weight_decay=0.0,
        random_state=None,
        verbose=False,
    ):
        self.hidden, self.lr, self.num_epochs = hidden, lr, num_epochs
        self.batch_size, self.weight_decay = batch_size, weight_decay
        self.random_state, self.verbose = random_state, verbose


# %% estimator-network
from sklearn.utils import check_random_state

from lessons.modules import Linear, ReLU


def start_network(estimator, outputs):
    """Give an estimator its network, optimizer and generator."""
    draws = check_random_state(estimator.random_state)
    rng = np.random.default_rng(draws.randint(2**31 - 1))
    size, layers = estimator.n_features_in_, []
    for units in np.ravel(estimator.hidden):
        layers += [Linear(size, int(units), rng=rng), ReLU()]
        size = int(units)
    model = Network(*layers, Linear(size, outputs, rng=rng))
    estimator.model_, estimator.rng_ = model, rng
    estimator.optimizer_ = Adam(
        model.parameters(),
        estimator.lr,
        weight_decay=estimator.weight_decay,
    )


# %% estimator-epochs
from lessons.mnist import CrossEntropyLoss, DataLoader, log_softmax


def run_epochs(estimator, X, y, num_epochs):
    """Train the estimator's network; a line of progress if verbose."""
    loader = DataLoader(X, y, estimator.batch_size, rng=estimator.rng_)
    model, loss_fn = estimator.model_, estimator.loss()
    for k in range(1, num_epochs + 1):
        estimator.loss_ = train_epoch(
            model, loss_fn, estimator.optimizer_, loader
        )
        if estimator.verbose:
            text = f"epoch {k} of {num_epochs}: {estimator.loss_:.4f}"
            end = "\n" if k == num_epochs else ""
            print(f"\r{text}", end=end, flush=True)


# %% estimator
class NetworkEstimator(NetworkSettings):
    """A subclass has loss, outputs(y) and targets(y)."""

    def fit(self, X, y):
        return self.learn(X, y, True, None, self.num_epochs)

    def partial_fit(self, X, y, classes=None):
        """One epoch; classes: at the first call, every label there is."""
        return self.learn(X, y, not hasattr(self, "model_"), classes, 1)

    def learn(self, X, y, anew, classes, num_epochs):
        X, y = validate_data(self, X, y, dtype=float, reset=anew)
        if anew:
            outputs = self.outputs(y if classes is None else classes)
        y = self.targets(y)
        if anew:
            start_network(self, outputs)
        run_epochs(self, X, y, num_epochs)
        return self

    def answers(self, X):
        check_is_fitted(self, "model_")
        X = validate_data(self, X, dtype=float, reset=False)
        return np.array(self.model_(X))


# %% classifier
from sklearn.utils.multiclass import unique_labels

from lessons.checks import check_classes


class NetworkClassifier(ClassifierMixin, NetworkEstimator):
    """A network that ends in a softmax, for two classes or more."""

    loss = CrossEntropyLoss

    def outputs(self, y):
        self.classes_ = unique_labels(y)
        return len(self.classes_)

    def targets(self, y):
        check_classes(y, self.classes_)
        return np.searchsorted(self.classes_, y)

    def predict_proba(self, X):
        return np.exp(log_softmax(self.answers(X)))

    def predict(self, X):
        best = self.answers(X).argmax(axis=1)
        return self.classes_[best]


# %% regressor
from lessons.modules import MSELoss


class NetworkRegressor(RegressorMixin, NetworkEstimator):
    """A network with one output, for targets that are numbers."""

    loss = MSELoss

    def outputs(self, y):
        return 1

    def targets(self, y):
        return y.astype(float)[:, None]

    def predict(self, X):
        return self.answers(X)[:, 0]
