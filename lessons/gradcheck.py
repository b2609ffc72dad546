"""Is this gradient right? Every entry is nudged, and the loss answers.

Needs NumPy alone: any program whose loss is a function of float64 arrays
can be checked with it.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Result", "Row", "gradcheck"]

MOST = 60  # entries nudged in one array; of a larger one, a sample
WRONG = 1e-4  # of the largest slope in the array
LEGEND = {  # what a verdict means that is no judgement
    "too small to check": "the loss is too coarse to show these slopes",
    "at a corner": "the slopes to the left and to the right differ",
    "not read by the loss": "no change of the array changes the loss",
    "zero here": "a term that vanishes at zero cannot be seen",
    "float32 loss": "too coarse to nudge; compute it in float64",
    "not the same twice": "the loss differs from one call to the next",
}


@dataclass
class Row:
    """The verdict on one array.

    verdict: "agrees", "wrong" or a key of LEGEND. error: the largest
    difference, as a part of the largest slope. slip: what explains a
    wrong gradient, or "": "sign", "factor", "mean", "transpose", "rows
    reversed", "columns reversed", "another's", "decay put in", "decay
    left out", "mask missing", "mask too tight". note: the table's words.
    """

    shape: tuple
    nudged: str
    verdict: str = "too small to check"
    error: float = 0.0
    slip: str = ""
    note: str = ""

    def cells(self):
        """The row as the table shows it; no digit of it is noise."""
        off, words = "", self.verdict + self.note
        if self.verdict in ("agrees", "zero here"):
            digits = next((d for d in (6, 5) if self.error < 10**-d), 4)
            off = f"< 1e-{digits}"
            words += f" to {digits} digits" * (self.verdict == "agrees")
        elif self.error > WRONG:
            # A hair more: noise is not to decide how 0.875 is rounded.
            off = f"{self.error * 1.00001:.2g}"
        return str(self.shape).replace(" ", ""), self.nudged, off, words


class Result(dict):
    """A Row for the name of each array; prints as a table."""

    @property
    def unjudged(self):
        """The names of the arrays found neither right nor wrong."""
        judged = "agrees", "wrong"
        return [n for n, row in self.items() if row.verdict not in judged]

    @property
    def ok(self):
        """Whether some array agrees and no gradient is wrong."""
        rows = self.values()
        wrong = any(row.error > WRONG for row in rows)
        return not wrong and any(row.verdict == "agrees" for row in rows)

    def __repr__(self):
        table = [("array", "shape", "nudged", "off by", "verdict")]
        table += [(str(k), *row.cells()) for k, row in self.items()]
        widths = [max(map(len, c)) for c in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)) for row in table]
        verdicts = {row.verdict for row in self.values()}
        lines += [f"{v}: {LEGEND[v]}" for v in LEGEND if v in verdicts]
        return "\n".join(line.rstrip() for line in lines)

    __str__ = __repr__


def gradcheck(loss, arrays):
    """Compare gradients with the slopes of loss() in their arrays.

    loss: takes nothing and returns a float, computed from the arrays.
    arrays: a dict from names to arrays that hold .grad, or to pairs
    (array, gradient); the arrays float64, of any shape. Gradients are
    read before loss is called; each array is put back bit for bit, also
    when loss raises. Returns a Result, a dict from names to Rows.

    Raises TypeError or ValueError where an array cannot be nudged, a
    gradient is missing or has another shape, or the loss is no number.
    """
    pairs = {name: pair(name, item) for name, item in arrays.items()}
    around = max([abs(a).max(initial=0) for a, _ in pairs.values()] + [0])
    at, rng, result = value(loss), np.random.default_rng(0), Result()
    nudged = {}
    if not np.isfinite(at):
        raise ValueError(f"loss() is {at}: expected a finite number")
    for name, (array, gradient) in pairs.items():
        kept = array.copy()
        try:
            found = judge(loss, at, array, gradient, around or 1.0, rng)
        finally:
            array[...] = kept
        result[name], *nudged[name] = found
    for name, row in result.items():
        if row.verdict == "wrong":
            row.slip, words = slip(name, pairs, nudged)
            row.note = f": {words}" if words else row.note
    if value(loss) != at:
        for row in result.values():
            row.verdict, row.error, row.note = "not the same twice", 0, ""
    return result


def pair(name, item):
    """An array and a copy of its gradient, or an error in words."""
    array, gradient = item, getattr(item, "grad", None)
    if isinstance(item, tuple | list) and len(item) == 2:
        array, gradient = item
    kind = getattr(array, "dtype", type(array).__name__)
    if not isinstance(array, np.ndarray) or kind != np.float64:
        raise TypeError(f"{name}: expected a float64 array, got {kind}")
    if not array.flags.writeable or not array.size:
        what = "empty" if not array.size else "read-only"
        raise ValueError(f"{name} is {what}: it cannot be nudged")
    if gradient is None:
        raise ValueError(
            f"{name} has no gradient: run the backward pass first, or "
            "give a pair (array, gradient)"
        )
    gradient = np.array(gradient, dtype=float)
    if gradient.shape != array.shape:
        raise ValueError(
            f"{name}: expected a gradient of shape {array.shape}, got "
            f"{gradient.shape}"
        )
    # Plain: what is computed from a subclass may be changed in place.
    return np.asarray(array), gradient


def value(loss):
    """loss() as a float; that a nudge may overflow is no concern."""
    with np.errstate(all="ignore"):
        got = loss()
    if got is None:
        raise TypeError("loss() returned None: does it end in a return?")
    return float(got)


def visible(loss, at, array, gradient, around, rng):
    """The smallest step that shows, the loss's noise, and what is odd.

    The whole array moves by a step, then by two. The second change is
    twice the first but for the noise; the step grows until the change is
    100 times the noise. The step is 0 where that never happens.
    """
    own, top = abs(array).max(), abs(gradient).max()
    noise = rounding = 4 * np.finfo(float).eps * abs(at)
    step = max(1e-13 * own, 1e-20 * around)
    if top:  # the step that shows if the gradient is right
        likely = min(100 * noise / top, 1e-6 * (own or around))
        step = max(step, likely)
    kept, move = array.copy(), rng.uniform(0.5, 1, array.shape)
    move *= rng.choice([-1, 1], array.shape)
    seen, last, still, odd = [at], np.inf, 0.0, ""
    for _ in range(40):
        for k in 1, 2:
            array[...] = kept + k * step * move
            seen.append(value(loss))
        one, two = seen[-2:]
        change, bend = abs(two - at), abs(two - one - (one - at))
        shows = change > 100 * max(noise, bend)
        noise = max(noise, bend)
        # What is rounded to float32 stands still, then jumps.
        if change > 1e4 * max(last, rounding) and step < 1e-5 * own:
            odd = "float32 loss"
        same = len(set(seen)) == 1
        still = step if same else still
        # Beyond its own size, or a layer's corners, a step says little.
        far = 30 * step > own if own else noise > 30 * rounding
        if odd or shows or (far and not same):
            break
        step, move, last = 10 * step, -move, change
    array[...] = kept
    with np.errstate(over="ignore"):
        single = np.array(seen, np.float32) == seen
    if len(set(seen)) > 2 and single.all():
        odd = "float32 loss"
    elif len(set(seen)) == 1:
        odd = "not read by the loss"
    elif own and still >= 1e-6 * own and top * still > 1e6 * rounding:
        odd = "flat"
    rounding = 4 * np.finfo(float).eps * abs(two)
    return step * (shows and not odd), max(noise, rounding), odd


def slopes(loss, at, array, where, step, noise):
    """The slopes in the entries where, which are at a corner, the largest.

    The steps grow. A slope counts from the first step at which it is
    stable: the next step finds it again, and what the smaller ones found
    is as near as the loss's noise allows. nan where there is none.
    """
    found = np.full(len(where), np.nan)
    corner = np.zeros(len(where), bool)
    steps, middle, gaps, largest = [], [], [], np.inf

    def accept(k, part):
        """Take what is stable at step k to a part of the largest slope."""
        error = abs(middle[k + 1] - middle[k]) + noise / steps[k]
        good = np.isnan(found) & (error < part * largest)
        for j in range(k):
            room = 3 * noise / steps[j] + 10 * part * largest
            good &= abs(middle[j] - middle[k]) <= room
        found[good] = middle[k][good]
        gap = gaps[k] > WRONG * largest + 4 * noise / steps[k]
        corner[good & gap & (gaps[k + 1] < 3 * gaps[k])] = True

    own = abs(array).max() or np.inf
    for level in range(10):
        right, left = np.tile(found, (2, 1))
        for k in np.flatnonzero(np.isnan(found)):
            index = np.unravel_index(where[k], array.shape)
            right[k] = one_sided(loss, at, array, index, step)
            left[k] = one_sided(loss, at, array, index, -step)
        middle.append((right + left) / 2)
        gaps.append(abs(right - left))
        steps.append(step)
        largest = min(largest, abs(middle[-1]).max())
        if level:
            accept(level - 1, 2e-7)
        # Done, or no noise is left to blame, or the loss overflows.
        noisy = level == 0 or noise > 1e-10 * step * largest
        noisy &= 30 * step <= own
        if not (noisy and np.isnan(found).any()):
            break
        step *= 30
    for part in 2e-6, 4e-5:
        for k in range(len(steps) - 1):
            accept(k, part)
    return found, corner, largest


def one_sided(loss, at, array, index, step):
    """The slope from here to a step to one side, by the step taken."""
    kept = array[index]
    array[index] = kept + step
    taken, there = array[index] - kept, value(loss)
    array[index] = kept
    return (there - at) / taken


def judge(loss, at, array, gradient, around, rng):
    """The Row of one array, the entries nudged, and their slopes."""
    where, row = np.arange(array.size), Row(array.shape, str(array.size))
    if array.size > MOST:  # a sample, with the largest gradient in it
        where = rng.choice(array.size, MOST, replace=False)
        where[0] = abs(gradient).argmax()
        row.nudged = f"{MOST} of {array.size}"
    given, found = gradient.flat[where], np.full(len(where), np.nan)
    if not np.isfinite(gradient).all():
        row.verdict, row.error, row.note = "wrong", np.inf, ": nan or inf"
        return row, where, found
    step, noise, odd = visible(loss, at, array, gradient, around, rng)
    most, corner = abs(given).max(), np.zeros(len(where), bool)
    if odd == "flat":
        found[:] = 0
    elif step:
        found, corner, most = slopes(loss, at, array, where, step, noise)
        found[corner] = np.nan
    else:
        row.verdict = odd or row.verdict
        row.error = float(odd == "not read by the loss" and given.any())
    off = abs(given - found) / (most or 1)
    wrong = np.flatnonzero(off > WRONG)
    seen = abs(found[~np.isnan(found)]).max(initial=0)
    if len(wrong):
        first = np.unravel_index(where[wrong[0]], array.shape)
        first = ", ".join(map(str, first))
        row.note = f" in {len(wrong)}, first [{first}]"
        row.verdict, row.error = "wrong", np.nanmax(off)
    elif seen and seen > 0.1 * max(most, abs(given).max()):
        row.verdict = "agrees" if array.any() else "zero here"
        row.error = np.nanmax(off)
    elif corner.any():
        row.verdict = "at a corner"
    return row, where, found


def slip(name, pairs, nudged):
    """The one slip that explains a wrong gradient, and words for it.

    The simplest is tried first; ("", "") where none explains all.
    """
    array, gradient = pairs[name]
    where, found = nudged[name]

    def same(given, found=found):
        """Whether given is found, as far as that is known."""
        known = ~np.isnan(found)
        room = WRONG / 2 * abs(found[known]).max(initial=0)
        return known.any() and np.all(abs(given - found)[known] <= room)

    given, known = gradient.flat[where], ~np.isnan(found)
    G, N, A = given[known], found[known], array.flat[where][known]
    if not N.any() or not G.any():
        return "", ""
    if same(-given):
        return "sign", "the sign is turned"
    if array.ndim == 2 and len(set(array.shape)) == 1:
        if same(gradient.T.flat[where]):
            return "transpose", "transposed"
    for axis, lines in enumerate(("rows", "columns")[: array.ndim]):
        if same(np.flip(gradient, axis).flat[where]):
            return f"{lines} reversed", f"{lines} in reverse"
    for other, (at, slopes) in nudged.items():
        if other != name and pairs[other][0].shape == array.shape:
            copied = np.array_equal(gradient, pairs[other][1])
            if copied or same(gradient.flat[at], slopes):
                return "another's", f"{other}'s gradient"
    factor = G @ N / (N @ N)
    if factor and same(given / factor):
        return times(factor, array, pairs)
    if len(N) > 1 and A.any():
        part = (G - N) @ A / (A @ A)
        rest = abs(G - N - part * A).max()
        if rest <= 1e-3 * abs(G - N).max():
            how = "put in" if part > 0 else "left out"
            return f"decay {how}", f"{abs(part):.3g} × {name} {how}"
    bad = abs(G - N) > WRONG * abs(N).max()
    if (A[bad] <= 0).all() and G[A <= 0].all() and not N[A <= 0].any():
        return "mask missing", "the mask is missing"
    open_ = A[~bad & (N != 0)].min(initial=np.inf)
    if not G[bad].any() and 0 < A[bad].min() and A[bad].max() < open_:
        return "mask too tight", "the mask is too tight"
    return "", ""


def times(factor, array, pairs):
    """What a constant factor equals, in words."""
    large = factor if abs(factor) > 1 else 1 / factor
    whole = round(large)
    size = "large" if abs(factor) > 1 else "small"
    if factor < 0 or abs(large / whole - 1) > WRONG:
        return "factor", f"{factor:.3g} times the right one"
    outputs = list(pairs.values())[-1][0].shape[-1:]
    if array.ndim == 1 and size == "small" and whole > 2:
        if (whole,) != outputs:
            return "mean", "a mean where the sum is meant"
    what = " (the outputs)" if (whole,) == outputs and whole > 2 else ""
    return "factor", f"{whole} times too {size}{what}"
