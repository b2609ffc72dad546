"""The verdict on each exercise: solved, or the first thing that is wrong.

An exercise is one function below, which tries an answer on cases drawn
from a fixed seed. It returns what it tried, or raises `Wrong` with the
first thing that is wrong, in this order: shape, value, gradient, input
changed. It never shows the answer.
"""

import dis
import traceback
from numbers import Real

import numpy as np

__all__ = ["tally", "verdict"]

EXERCISES = {}  # by name, such as "2.3"
KINDS = {
    "function": lambda x: callable(x) and not isinstance(x, type),
    "class": lambda x: isinstance(x, type),
    "number": lambda x: isinstance(x, Real) and not isinstance(x, bool),
    "list": lambda x: isinstance(x, list | tuple | set),
    "text": lambda x: isinstance(x, str),
}
_solved = set()


class Wrong(Exception):
    """What is wrong with an answer, in words for the reader."""


def verdict(name, *answers, counts=True):
    """Print whether an exercise is solved, and if not, what is wrong.

    name: chapter and number, "2.3". It never raises for what the reader
    wrote. counts=False is for the solutions, which `tally` leaves out.
    """
    if any(map(_unwritten, answers)):
        print(f"{name}: nothing written yet")
        return
    try:
        tried = _judge(name, answers)
    except Wrong as wrong:
        _solved.discard(name)
        print(f"{name}: not yet: {wrong}")
    except Exception as error:
        _solved.discard(name)
        print(f"{name}: not yet: {_in_words(error)}")
    else:
        if counts:
            _solved.add(name)
        print(f"{name}: solved ({tried})")


def tally(chapter):
    """Print how many exercises of a chapter, an int, are solved so far."""
    every = [n for n in EXERCISES if n.startswith(f"{chapter}.")]
    done = len(_solved.intersection(every))
    print(f"chapter {chapter}: {done} of {len(every)} solved")


def exercise(name, *kinds):
    """Register a function as the judge of an exercise.

    kinds: for each answer a word of KINDS.
    """

    def register(judge):
        EXERCISES[name] = judge, kinds
        return judge

    return register


def _judge(name, answers):
    judge, kinds = EXERCISES[name]
    for answer, kind in zip(answers, kinds, strict=True):
        if not KINDS[kind](answer):
            found = type(answer).__name__
            raise Wrong(f"expected a {kind}, got {answer!r} ({found})")
    return judge(*answers)


def _unwritten(answer):
    """Whether an answer, or a part of it, is still the stub's dots."""
    if isinstance(answer, type):
        return any(map(_unwritten, vars(answer).values()))
    if isinstance(answer, list | tuple):
        return any(part is ... for part in answer)
    code = getattr(answer, "__code__", None)
    if code is None:
        return answer is ...
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    steps = list(dis.get_instructions(code))
    empty = all(s.opname in idle for s in steps) and all(
        s.argval is None for s in steps if s.opname.endswith("_CONST")
    )
    return empty or ... in code.co_consts


def _in_words(error):
    """An exception, with the reader's own line where there is one."""
    text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame.line
        for frame in frames
        if not any(
            part in frame.filename
            for part in ("site-packages", "lessons", "lib/python")
        )
    ]
    return f"{text}, in your line `{theirs[-1]}`" if theirs else text


# -- What several judges ask ----------------------------------------------


def same(what, found, expected, *, within=1e-9):
    """Wrong unless found has the shape and the values of expected.

    within: how far each may be off, relative to the largest.
    """
    if found is None:
        raise Wrong(f"{what}: None; is there a return?")
    try:
        found = np.asarray(found, float)
    except (TypeError, ValueError):
        raise Wrong(f"{what}: expected numbers, got {found!r}") from None
    expected = np.asarray(expected, float)
    if found.shape != expected.shape:
        raise Wrong(
            f"{what}: expected shape {expected.shape}, got {found.shape}"
        )
    room = within * max(np.abs(expected).max(), 1e-300)
    far = ~(np.abs(found - expected) <= room)
    if far.any():
        which = (
            f" in {far.sum()} of {far.size} entries"
            if far.size > 1
            else ""
        )
        raise Wrong(f"{what}: another value than it should have{which}")


def right_gradients(loss, arrays):
    """Wrong unless `gradcheck` is content; names the slip if it can.

    loss and arrays: as for `lessons.gradcheck.gradcheck`.
    """
    from lessons.gradcheck import gradcheck

    result = gradcheck(loss, arrays)
    if not result.ok:
        raise Wrong(f"a gradient is not right\n{result}")


def unchanged(what, now, before):
    """Wrong where an input is no longer what it was."""
    if not np.array_equal(now, before):
        raise Wrong(
            f"{what} is changed: work on a copy, or make a new array"
        )


# -- Chapter 1 ------------------------------------------------------------


# -- Chapter 2 ------------------------------------------------------------


# -- Chapter 3 ------------------------------------------------------------


# -- Chapter 4 ------------------------------------------------------------


# -- Chapter 5 ------------------------------------------------------------
