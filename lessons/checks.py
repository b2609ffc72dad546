"""Shapes and numbers: what the formulas need not say.

NumPy stretches arrays until they fit, so shapes are looked at in every
call. Numbers that are not finite spread by themselves, so they are looked
for only in the data, at the loss and before a step. An error says what was
expected, what was found, and what to write instead.
"""

import contextlib
import functools
import inspect
import math
from pathlib import Path
from typing import NewType

import numpy as np

__all__ = [
    "Chance",
    "Rules",
    "backward_pass",
    "check_chances",
    "check_classes",
    "check_data",
    "check_floats",
    "check_gradients",
    "check_labels",
    "check_layers",
    "check_log_p",
    "check_parameters",
    "check_positive",
    "check_same_arrays",
    "check_whole",
    "check_writing",
    "forward_pass",
    "incoming",
    "intact",
    "matched",
    "nudges",
    "only_leaves",
    "same_form",
    "shapes",
    "whole_file",
    "whole_step",
]

# -- Shapes ---------------------------------------------------------------


def shapes(function):
    """Check each call of a function against the words in its signature.

    ``X: "n in"`` is a float array of two dimensions. A word is one size
    throughout a call, a number is itself, ``"..."`` is any shape, and
    ``"int n"`` holds integers. All float arrays of a call have one dtype,
    float64 or float32, and none is empty. ``n: int`` is a whole number of
    at least 1, ``lr: float`` a finite number above 0, ``p: Chance`` one
    from 0 to below 1, ``rng: Generator`` a NumPy generator. A float that
    is returned has to be finite.

    Raises TypeError for a wrong kind of argument, else ValueError.
    """
    look = _look(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        look(args, kwargs)
        result = function(*args, **kwargs)
        if isinstance(result, float) and not math.isfinite(result):
            raise NotFinite(f"{function.__name__}: the result is {result}")
        return result

    return checked


@functools.cache
def _look(function, otherwise=None):
    """What looks at the arguments of a call of function, or raises.

    Shapes and dtypes seen before are not looked at again. otherwise
    holds the words for a lone argument without any.
    """
    signature = inspect.signature(function)
    label = function.__qualname__.rpartition("<locals>.")[2]
    label = label.removesuffix(".forward").removesuffix(".__init__")
    order = list(signature.parameters)
    notes = {k: signature.parameters[k].annotation for k in order}
    if len(order) == 2 and notes[order[1]] is inspect.Parameter.empty:
        notes[order[1]] = otherwise
    words = {k: v.split() for k, v in notes.items() if isinstance(v, str)}
    numbers = {k: v for k, v in notes.items() if v in _NUMBERS}
    places = [order.index(name) for name in words]
    seen = set()

    def look(args, kwargs):
        form = None
        if not kwargs and not numbers and len(args) == len(order):
            form = _form(args, places)
            if form in seen:
                return
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return  # Python refuses the call, in words of its own
        bound.apply_defaults()
        for name, kind in numbers.items():
            if (
                bound.arguments[name]
                is not signature.parameters[name].default
            ):
                _NUMBERS[kind](f"{label}: {name}", bound.arguments[name])
        _check_arrays(label, words, bound.arguments)
        if form:
            seen.add(form)

    return look


class NotFinite(ValueError):
    """A result is nan or infinite."""


def _form(args, places):
    """What a look at arrays depends on; None where one is no array."""
    try:
        return tuple(
            [(type(args[k]), args[k].dtype, args[k].shape) for k in places]
        )
    except AttributeError:
        return None


def _check_arrays(label, words, given):
    kinds = {}
    for name, dims in words.items():
        kind = _kind(label, name, given[name])
        if dims[:1] == ["int"]:
            if "int" not in kind:
                raise TypeError(
                    f"{label}: expected integers in {name}, got {kind}: "
                    f"write {name}.astype(int) if they are whole numbers"
                )
        elif kind not in _FLOATS:
            raise TypeError(
                f"{label}: expected float64 or float32 in {name}, got "
                f"{kind}: write {name}.astype(float)"
            )
        else:
            kinds[name] = kind
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        raise TypeError(
            f"{label}: expected one dtype, got {found}: convert one with "
            ".astype"
        )
    sizes, fits = {}, True
    dims = {k: [w for w in v if w != "int"] for k, v in words.items()}
    for name, wanted in dims.items():
        shape = given[name].shape
        if wanted != ["..."]:
            fits &= len(shape) == len(wanted) and all(
                size
                == (int(w) if w.isdigit() else sizes.setdefault(w, size))
                for w, size in zip(wanted, shape, strict=True)
            )
    if not fits:
        wanted = ", ".join(
            f"{k} ({', '.join(v)})" for k, v in dims.items()
        )
        found = ", ".join(f"{k} {tuple(given[k].shape)}" for k in dims)
        raise ValueError(f"{label}: expected {wanted}; got {found}")
    for name in dims:
        if 0 in given[name].shape:
            shape = tuple(given[name].shape)
            raise ValueError(f"{label}: {name} is empty: shape {shape}")


_FLOATS = {"float64", "float32"}


def _kind(label, name, array):
    """The dtype of an array, as a word; TypeError for all else."""
    if isinstance(array, np.ndarray):
        return array.dtype.name
    kind, advice = type(array).__name__, f"np.array({name}, float)"
    for method in "numpy", "to_numpy":
        if hasattr(array, method):
            advice = f"{name}.{method}()"
    raise TypeError(
        f"{label}: expected an array for {name}, got {kind}: write "
        f"{advice}"
    )


def check_whole(name, value):
    """Return value, a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return value


def _number(name, value):
    real = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not real:
        raise TypeError(f"{name}: expected a number, got {value!r}")
    return value


def check_positive(name, value):
    """Return value, a finite number above 0."""
    if not 0 < _number(name, value) < math.inf:
        raise ValueError(f"{name}: expected above 0, got {value}")
    return value


Chance = NewType("Chance", float)


def _chance(name, value):
    if not 0 <= _number(name, value) < 1:
        raise ValueError(
            f"{name}: expected from 0 to below 1, got {value}"
        )


def _generator(name, value):
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"{name}: expected a generator, got {value!r}: write "
            "rng=np.random.default_rng(0)"
        )


_NUMBERS = {
    int: check_whole,
    float: check_positive,
    Chance: _chance,
    np.random.Generator: _generator,
}

# -- Gradients ------------------------------------------------------------


def same_form(name, array, model):
    """Return array, plain, if it has the shape and dtype of model.

    Raises ValueError where it has not, TypeError where it is no array.
    """
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise TypeError(f"{name}: expected an array, got {kind}")
    if array.shape != model.shape or array.dtype != model.dtype:
        wanted = f"shape {model.shape}, {model.dtype}"
        found = f"shape {array.shape}, {array.dtype}"
        raise ValueError(f"{name}: expected {wanted}; got {found}")
    return np.asarray(array)


def incoming(out):
    """out.grad; RuntimeError where there is none to go on with."""
    if getattr(out, "grad", None) is None:
        raise RuntimeError(
            "no gradient of the output: run forward, then the backward of "
            "what comes after"
        )
    return out.grad


def nudges(numerical_gradient):
    """Guard a function (loss, array) that nudges array and calls loss.

    The array is put back bit for bit, whatever happens. TypeError where
    it is not float64 or the loss returns no float64, ValueError where it
    is read-only, or where every loss is one that float32 can hold: then
    the nudges are lost in rounding.
    """

    @functools.wraps(numerical_gradient)
    def guarded(loss, array):
        if _kind("numerical_gradient", "array", array) != "float64":
            raise TypeError(
                "numerical_gradient: expected a float64 array, got "
                f"{array.dtype}: write array.astype(float)"
            )
        if not array.flags.writeable:
            raise ValueError("numerical_gradient: array is read-only")
        found = []

        def looked_at():
            value = loss()
            if np.ndim(value) or np.asarray(value).dtype != float:
                kind = getattr(value, "dtype", type(value).__name__)
                raise TypeError(
                    "numerical_gradient: expected loss() to give a float "
                    f"(64 bits), got {kind}"
                )
            found.append(float(value))
            return found[-1]

        kept = np.array(array)
        try:
            gradient = numerical_gradient(looked_at, array)
        finally:
            array[...] = kept
        with np.errstate(over="ignore"):
            narrow = np.float32(found).astype(float) == found
        if any(found) and narrow.all():
            raise ValueError(
                "numerical_gradient: every loss is a float32 number: "
                "compute the loss in float64, or, if it is, ask gradcheck "
                "whether it reads the array"
            )
        return gradient

    return guarded


# -- Modules --------------------------------------------------------------


def forward_pass(call):
    """Guard Module.__call__: what goes in, and what comes out.

    The words in the signature of forward count as for `shapes`; a lone
    argument without any is a float matrix. Where a loss is not finite,
    the first module whose output is not is named.
    """

    @functools.wraps(call)
    def guarded(self, *args):
        _look(type(self).forward, "n in")((self, *args), {})
        try:
            out = call(self, *args)
        except NotFinite as error:
            raise NotFinite(f"{error}; {_origin(args[0])}") from None
        if out is None:
            name = type(self).__name__
            raise TypeError(f"{name}.forward returns None, not its output")
        if isinstance(out, float) and not math.isfinite(out):
            found = _origin(args[0])
            raise NotFinite(f"{_who(self)}: the loss is {out}; {found}")
        self.ran_backward = False
        for array in args:
            if hasattr(array, "grad"):
                array.writer = None
        if hasattr(out, "grad") and not hasattr(out, "maker"):
            out.maker = self
        return out

    return guarded


def _origin(array):
    """Say where, coming from the data, an array ceased to be finite."""
    found = "all that went in is finite"
    while not _finite(array):
        maker = getattr(array, "maker", None)
        if maker is None:
            return "the data have nan or inf"
        found = (
            f"the first output with nan or inf is that of {_who(maker)}"
        )
        array = maker.args[0]
    return found


def _who(module):
    """A module in one line, without an address."""
    whole = str(module)
    plain = "\n" in whole or whole.startswith("<")
    return type(module).__name__ if plain else whole


def backward_pass(backward):
    """Guard Module.backward: it runs once for each call, with a gradient.

    RuntimeError before the first call, twice for one call, without a
    gradient of the output, and where two modules took the same array:
    the second would write its gradient over that of the first.
    """

    @functools.wraps(backward)
    def guarded(self):
        if getattr(self, "out", None) is None:
            raise RuntimeError(f"{_who(self)}: backward before a call")
        if self.ran_backward:
            raise RuntimeError(
                f"{_who(self)}: backward twice for one call"
            )
        if getattr(self.out, "grad", 0) is None:
            who = _who(self)
            raise RuntimeError(f"{who}: its output has no gradient yet")
        inputs = [array for array in self.args if hasattr(array, "writer")]
        for array in inputs:
            if array.writer is not None:
                raise RuntimeError(
                    f"{_who(array.writer)} and {_who(self)} took the same "
                    "array, and would write its gradient over each "
                    "other's: give one a copy, and add the two gradients"
                )
        try:
            backward(self)
        except AttributeError as error:
            if error.obj is self and error.name in ("bwd", "slope"):
                raise NotImplementedError(
                    f"{_who(self)}: write {error.name}(self, out, X)"
                ) from None
            raise
        self.ran_backward = True
        for array in inputs:
            array.writer = self
            # A gradient handed on as it is must not be one array with two
            # owners: adding to the one would change the other.
            mine, theirs = array.grad, getattr(self.out, "grad", None)
            both = isinstance(mine, np.ndarray) and theirs is not None
            if both and np.may_share_memory(mine, theirs):
                array.grad = mine.copy()

    return guarded


def check_layers(layers):
    """Raise unless there are layers, and none stands in them twice.

    A layer counts also where it is an attribute of another, or in a list
    there. TypeError for what has no forward and backward, else ValueError.
    """
    if not isinstance(layers, list | tuple):
        raise TypeError(f"expected a list of layers, got {layers!r}")
    if not layers:
        raise ValueError("expected at least one layer, got none")
    every = []
    for layer in layers:
        if isinstance(layer, type) or not _is_layer(layer):
            raise TypeError(
                "expected layers, with forward and backward, got "
                f"{layer!r}"
            )
        every += _inside(layer)
    for layer in every:
        if sum(other is layer for other in every) > 1:
            raise ValueError(
                f"{_who(layer)} stands in the model twice, and remembers "
                "only one call: make a second one"
            )


def _is_layer(thing):
    return hasattr(thing, "forward") and hasattr(thing, "backward")


def _inside(layer):
    """The layer itself, and all that its attributes hold."""
    yield layer
    for name, value in vars(layer).items():
        if name not in ("args", "out"):
            things = value if isinstance(value, list | tuple) else [value]
            for thing in filter(_is_layer, things):
                yield from _inside(thing)


# -- Numbers --------------------------------------------------------------


def _finite(array):
    """Whether all entries of a float array are finite."""
    # One product is cheaper than a look at each entry. It may overflow
    # where they are large, and only then each is looked at.
    square = np.vdot(array, array)
    return bool(np.isfinite(square) or np.isfinite(array).all())


def check_parameters(parameters):
    """Return parameters as a list, if an optimizer can move them.

    TypeError unless they are float arrays with a place for a gradient;
    ValueError where there are none, or one stands in the list twice.
    """
    if hasattr(parameters, "dtype") or callable(parameters):
        kind = type(parameters).__name__
        raise TypeError(
            f"expected a list of parameters, got {kind}: write "
            "model.parameters()"
        )
    parameters = list(parameters)
    for p in parameters:
        if _kind("parameters", "p", p) not in _FLOATS:
            raise TypeError(f"parameters: expected floats, got {p.dtype}")
        if not hasattr(p, "grad"):
            raise TypeError(
                "parameters: expected a place for the gradient: write "
                "p.view(GradArray)"
            )
    if not parameters:
        raise ValueError("expected at least one parameter, got none")
    if len({id(p) for p in parameters}) < len(parameters):
        raise ValueError("a parameter stands in the list twice")
    return parameters


def check_gradients(parameters):
    """Raise unless each parameter has a finite gradient.

    Called before the first is moved, so that no step is half taken.
    RuntimeError where one has none, ValueError where one is not finite.
    """
    for k, p in enumerate(parameters):
        if p.grad is None or not _finite(p.grad):
            who = f"parameter {k}, of shape {tuple(p.shape)},"
            if p.grad is None:
                raise RuntimeError(f"{who} has no gradient: run backward")
            raise NotFinite(f"{who} has a gradient with nan or inf")


def whole_step(step):
    """Guard an optimizer's step by ``check_gradients``."""

    @functools.wraps(step)
    def guarded(self):
        check_gradients(self.parameters)
        step(self)

    return guarded


def check_same_arrays(model, optimizer):
    """ValueError unless the optimizer moves the arrays of the model."""
    mine, theirs = model.parameters(), optimizer.parameters
    if [*map(id, mine)] != [*map(id, theirs)]:
        raise ValueError(
            "the optimizer moves other arrays than the model's: make it "
            "anew, SGD(model.parameters(), lr), and load weights into the "
            "arrays that are there, p[:] = value"
        )


def check_labels(y, logits):
    """ValueError unless y holds numbers of columns of logits (n, out)."""
    columns = logits.shape[1]
    if columns == 1:
        raise ValueError(
            "labels: one column of logits leaves no choice: take two "
            "columns for two classes, or a sigmoid"
        )
    if y.min() < 0 or y.max() >= columns:
        raise ValueError(
            f"labels: expected 0 to {columns - 1}, got {y.min()} to "
            f"{y.max()}"
        )


def check_log_p(log_p, y):
    """check_labels, and ValueError where a probability is above 1."""
    check_labels(y, log_p)
    if log_p.max() > 1e-6:  # room for roundings
        raise ValueError(
            "nll: expected logarithms of probabilities, none above 0, got "
            f"{log_p.max()}: write log_softmax(logits)"
        )


def check_data(X, y):
    """Raise unless X and y are arrays or tensors with as many rows.

    TypeError for anything else, data frames among it, because those take
    rows by name; ValueError where the numbers of rows differ, there are
    none, or a float among them is nan or infinite.
    """
    for name, rows in ("X", X), ("y", y):
        if type(rows).__module__ != "torch":
            _kind("data", name, rows)
        if not rows.shape:
            raise ValueError(
                f"data: expected rows in {name}, got a number"
            )
        if "float" in str(rows.dtype) and not _finite(np.asarray(rows)):
            raise NotFinite(f"data: {name} has nan or inf")
    if len(X) != len(y) or len(X) == 0:
        raise ValueError(
            "data: expected as many labels as rows, and some, got "
            f"{len(X)} rows and {len(y)} labels"
        )


def check_chances(y):
    """ValueError unless all of y lie from 0 to 1."""
    if y.min() < 0 or y.max() > 1:
        raise ValueError(
            f"labels: expected 1 for yes and 0 for no, got {y.min()} to "
            f"{y.max()}: write (y == yes).astype(float)"
        )


def check_classes(y, classes):
    """ValueError unless there are two classes, and y has no others."""
    if len(classes) < 2:
        raise ValueError(
            f"labels: expected two classes or more, got one class, "
            f"{classes[0]!r}"
        )
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"labels: {unknown.tolist()} are none of the classes "
            f"{classes.tolist()}: name every class in the first call, "
            "partial_fit(X, y, classes)"
        )


# -- Files ----------------------------------------------------------------


def matched(named, state):
    """A list of (array, value) for each of those in named.

    named, state: {name: array}. ValueError, before the first is given,
    unless both have the same names, shapes and dtypes, and the numbers
    of state are finite.
    """
    if named.keys() != state.keys():
        raise ValueError(
            f"weights: expected {', '.join(named)}, got "
            f"{', '.join(state) or 'none'}: another model's?"
        )
    for name, model in named.items():
        if not _finite(same_form(name, state[name], model)):
            raise NotFinite(f"{name} has nan or inf")
    return [(named[name], state[name]) for name in named]


@contextlib.contextmanager
def whole_file(path):
    """Within it a file is read; ValueError where that fails."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # zip, zlib and NumPy raise many kinds
        raise ValueError(
            f"{Path(path).name} is damaged, or holds no weights: save "
            f"them again ({type(error).__name__})"
        ) from error


# -- The tape -------------------------------------------------------------

_LOST = (
    "a Tensor was made by a method that leaves no record, such as .view, "
    "and a gradient would be lost: write it with an operation that has a "
    "rule, or start from x.detach()"
)
_FREED = (
    "the tape is freed, by a backward before this one: run the forward "
    "pass again, or keep it with backward(retain_graph=True)"
)
_IN_PLACE = (
    "a Tensor is read-only while operations are recorded, and += or out= "
    "would change it: make a new array, or update parameters within "
    "no_grad()"
)


def check_floats(array):
    """Raise TypeError unless a Tensor is of floats."""
    if array.dtype.kind != "f":
        raise TypeError(
            f"Tensor: expected floats, got {array.dtype}: write "
            ".astype(float)"
        )


def _name_of(function):
    name, of = function.__name__, getattr(function, "__self__", None)
    return f"{of.__name__}.{name}" if isinstance(of, np.ufunc) else name


class Rules(dict):
    """{function: rule}; NotImplementedError for one that it lacks.

    A rule is a tuple with a slope for each argument, or a function from
    the number of the argument to its slope.
    """

    def __missing__(self, function):
        raise _no_rule(function)

    def admit(self, function, args, kwargs):
        """Raise where backward could not go through this step."""
        rule = self.get(function)
        if rule is None and not isinstance(function, np.ufunc):
            raise _no_rule(function)
        for name in kwargs:
            if name not in ("axis", "keepdims"):
                raise _no_rule(function, f" with {name}=")
        for k, x in enumerate(args):
            if hasattr(x, "lost"):
                if x.lost:
                    raise RuntimeError(_LOST)
                if isinstance(rule, tuple) and not any(rule[k : k + 1]):
                    raise _no_rule(function, f" by argument {k + 1}")


def _no_rule(function, detail=""):
    return NotImplementedError(
        f"no rule for {_name_of(function)}{detail}: write one into RULES, "
        "or go on without a gradient, from x.detach()"
    )


def check_writing(refused):
    """Raise RuntimeError where a Tensor must not be written."""
    if refused:
        raise RuntimeError(_IN_PLACE)


def only_leaves(write):
    """Guard a Tensor's __setitem__: a leaf, and nothing is recorded."""

    def guarded(self, index, value):
        check_writing(self.recording or self.step or self.lost)
        write(self, index, value)

    return guarded


def intact(nodes):
    """Return nodes, a tape, unless it is out of date.

    ValueError where the last, the loss, is not one number.
    """
    loss = nodes[-1]
    if loss.size != 1:
        raise ValueError(f"backward: expected a loss, got {loss.shape}")
    for node in nodes:
        step = node.step
        if node.lost:
            raise RuntimeError(_LOST)
        if step and step.args is None:
            raise RuntimeError(_FREED)
        if step and step.versions != [x.version for x in step.inputs]:
            raise RuntimeError(
                f"what {_name_of(step.function)} was given has changed "
                "since: run the forward pass again before backward"
            )
    return nodes
