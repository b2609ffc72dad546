"""Chapter 7: a right program, its faults, and the checks that see them."""

import numpy as np
import pytest

from lessons import bugs
from lessons.bugs import BUGS, CHECKS, Program, mystery, train
from lessons.exercises import verdict
from tests.support import ROOT, cells, read

NAMES = [bug.name for bug in BUGS]
# A check, and faults that it is there to see.
SEEN = {
    "falls": ["divided by the batch twice"],
    "first_loss": ["divided by the spread of the start"],
    "baseline": ["labels counted from one", "the same few rows again"],
    "shapes": ["one number for every bias", "a column against a row"],
    "overfit": ["all hidden units alike", "softmax twice"],
    "at_start": ["mask taken after ReLU", "stepped before it is used"],
    "later": ["decay that the loss lacks", "another mask on the way back"],
    "lockstep": ["dropout without its factor", "dropout while predicting"],
    "large": ["one maximum for all rows", "softmax over the batch"],
    "look": ["rows with other rows' labels", "one class after another"],
    "split": [bug.name for bug in BUGS if bug.place in ("data", "scale")],
}


def named(name):
    return BUGS[NAMES.index(name)].program


def test_the_right_program_learns_and_no_check_objects():
    assert train(Program(), 3)[1] > 0.9
    objecting = [check.__name__ for check in CHECKS if check(Program(), 3)]
    assert objecting == [], "a check objects to the right program"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_sees_its_faults(check):
    for name in SEEN[check.__name__]:
        assert check(named(name), 3), f"{check.__name__} misses: {name}"


def test_every_fault_has_a_name_a_place_and_another_function():
    right = vars(Program())
    assert len(set(NAMES)) == len(BUGS)
    for bug in BUGS:
        changed = {
            k for k, f in vars(bug.program).items() if f != right[k]
        }
        assert bug.place in changed, bug
        assert changed == set(bug.changed), bug


def test_a_mystery_is_drawn_by_number_and_seed():
    numbers = range(1, len(BUGS) + 1)
    for seed in 0, 1:
        drawn = [mystery(number, seed) for number in numbers]
        assert set(drawn) == {bug.program for bug in BUGS}
    assert [mystery(n, 0) for n in numbers] != drawn
    for number in -1, len(BUGS) + 1:
        with pytest.raises(ValueError, match="expected 0 to"):
            mystery(number)


def test_two_faults_hide_each_other():
    pair = mystery(0)
    assert train(pair, 3)[1] > 0.9
    assert {c.__name__ for c in CHECKS if c(pair, 3)} == {
        "lockstep",
        "large",
    }


def right_backward(G, p, kept):
    return bugs.backward(G, p, kept)


def no_dropout(G, p, kept):
    X, Z, D, H, rng = kept
    return bugs.backward(G, p, (X, Z, np.ones(D.shape), H, rng))


def mean_bias(G, p, kept):
    grads = bugs.backward(G, p, kept)
    return grads | {"b2": grads["b2"] / len(G)}


WRONG = [
    ("7.1", ("mask", "loss"), "no fault of BUGS"),
    ("7.1", ("softmax twice", "loss"), "another fault"),
    ("7.1", ("softmax over the batch", "forward"), "its place is another"),
    ("7.2", ("gradients never cleared",), "a name and a place"),
    ("7.3", ("loss", "loss"), "expected two places, got 1"),
    ("7.3", ("loss", "step"), "1 of the two places"),
    ("7.4", bugs.late_mask, "a gradient is not right"),
    ("7.4", mean_bias, "b2"),
    ("7.4", no_dropout, "W1"),
    ("7.4", bugs.one_number, "b2: expected shape (10,)"),
    ("7.5", ["gradcheck"], "no check has the name"),
    ("7.5", ["lockstep", "later"], "finds others"),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(name, answer, words, capsys):
    verdict(name, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet") and words in said


RIGHT = [
    ("7.1", ("softmax over the batch", "loss")),
    ("7.2", ("gradients never cleared", "step")),
    ("7.3", ("hits", "loss")),
    ("7.4", right_backward),
    ("7.5", ["lockstep"]),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_is_solved(name, answer, capsys):
    verdict(name, answer, counts=False)
    assert capsys.readouterr().out.startswith(f"{name}: solved")


def test_the_page_shows_each_check_and_each_fault():
    notebook = read(ROOT / "book/07-bugs.ipynb")
    printed = "".join(
        out.get("text", "")
        for _, cell in cells(notebook, "code")
        for out in cell.outputs
    )
    for name in [*NAMES, *(check.__name__ for check in CHECKS)]:
        assert name in printed, f"{name} is not in the chapter's tables"
