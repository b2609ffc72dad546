"""Is this gradient right? Every entry is nudged, and the loss answers.

Needs NumPy alone: any program whose loss is a function of float64 arrays
can be checked with it.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Result", "Row", "gradcheck"]

MOST = 60  # entries nudged in one array; of a larger one, a sample
WRONG = 1e-4  # of the largest slope in the array
LEGEND = {
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
    wrong gradient, or "". note: what the table adds to the verdict.
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
        table += [(name, *row.cells()) for name, row in self.items()]
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
    if not np.isfinite(at):
        raise ValueError(f"loss() is {at}: expected a finite number")
    for name, (array, gradient) in pairs.items():
        kept = array.copy()
        try:
            row = judge(loss, at, array, gradient, around or 1.0, rng)
        finally:
            array[...] = kept
        result[name] = row
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
    return array, gradient


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
    100 times the noise. The step is None where that never happens.
    """
    own, top = abs(array).max(), abs(gradient).max()
    noise = rounding = 4 * np.finfo(float).eps * abs(at)
    step = max(1e-13 * own, 1e-20 * around)
    if top:  # the step that shows if the gradient is right
        likely = min(100 * noise / top, 1e-6 * (own or around))
        step = max(step, likely)
    kept, move = array.copy(), rng.uniform(0.5, 1, array.shape)
    move *= rng.choice([-1, 1], array.shape)
    seen, last, still = {at}, np.inf, 0.0
    for _ in range(40):
        array[...] = kept + step * move
        one = value(loss)
        array[...] = kept + 2 * step * move
        two = value(loss)
        array[...] = kept
        change, bend = abs(two - at), abs(two - one - (one - at))
        seen |= {one, two}
        # What is rounded to float32 stands still, then jumps.
        jump = bend > 1e4 * max(last, rounding)
        single = all(x == float(np.float32(x)) for x in seen)
        if (jump and step < 1e-5 * own) or (single and len(seen) > 2):
            return None, noise, "float32 loss"
        if change > 100 * max(noise, bend):
            noise = max(noise, 4 * np.finfo(float).eps * abs(two))
            return step, noise, ""
        if seen == {at}:
            still = step
        noise, last, step = max(noise, bend), bend, 10 * step
        move = -move
    if seen == {at}:
        return None, noise, "not read by the loss"
    flat = still >= 1e-6 * own and top * still > 1e6 * rounding
    return None, noise, "flat" if flat else ""


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
    """The Row of one array."""
    where, row = np.arange(array.size), Row(array.shape, str(array.size))
    if array.size > MOST:  # a sample, with the largest gradient in it
        where = rng.choice(array.size, MOST, replace=False)
        where[0] = abs(gradient).argmax()
        row.nudged = f"{MOST} of {array.size}"
    given = gradient.flat[where]
    if not np.isfinite(gradient).all():
        row.verdict, row.error, row.note = "wrong", np.inf, ": nan or inf"
        return row
    step, noise, odd = visible(loss, at, array, gradient, around, rng)
    if step:
        found, corner, most = slopes(loss, at, array, where, step, noise)
        found[corner] = np.nan
    elif odd == "flat":
        found, most = np.zeros(len(where)), abs(given).max()
        corner = found > 0
    else:
        row.verdict = odd or row.verdict
        row.error = float(odd == "not read by the loss" and given.any())
        return row
    off = abs(given - found) / most
    wrong = np.flatnonzero(off > WRONG)
    seen = np.nanmax(abs(found), initial=0)
    if len(wrong):
        first = np.unravel_index(where[wrong[0]], array.shape)
        row.verdict, row.error = "wrong", np.nanmax(off)
        first = ", ".join(map(str, first))
        row.note = f" in {len(wrong)}, first [{first}]"
    elif seen > 0.1 * max(most, abs(given).max()):
        row.verdict = "agrees" if array.any() else "zero here"
        row.error = np.nanmax(off)
    elif corner.any():
        row.verdict = "at a corner"
    return row
