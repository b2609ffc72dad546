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
    "at_start": [
        "mask taken after ReLU",
        "layers walked forwards",
        "a layer used twice",
        "one array into two layers",
        "stepped before it is used",
    ],
    "later": ["decay that the loss lacks", "another mask on the way back"],
    "lockstep": [
        "dropout without its factor",
        "dropout while predicting",
        "an optimizer with old arrays",
        "parameters copied to the wrong place",
    ],
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


def test_no_fault_is_part_of_another():
    for one in BUGS:
        inside = [
            b for b in BUGS if one.changed.items() <= b.changed.items()
        ]
        assert inside == [one], (
            "a diagnosis of one would pass for the other"
        )


def test_no_fault_changes_what_it_is_given():
    """Or slopes, which keeps no copy, would compare at two places."""
    X, y, _, _ = Program().rows(0)
    for bug in BUGS:
        p = bug.program.start(np.random.default_rng(0))
        before = {k: a.copy() for k, a in p.items()}
        rng = np.random.default_rng(0)
        bugs.gradients(bug.program, p, X[:25], y[:25], rng)
        assert all((p[k] == before[k]).all() for k in p), bug


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
    pair, alone = mystery(0), ("divided by the batch twice", "loss")
    objecting = {c.__name__ for c in CHECKS if c(pair, 3)}
    assert objecting == {"at_start", "later", "lockstep"}
    hidden = {"falls", "baseline", "overfit"}
    assert hidden <= {c.__name__ for c in CHECKS if c(named(alone[0]), 3)}


def no_dropout(G, p, kept):
    return bugs.backward(G, p, kept | {"D": np.ones(kept["D"].shape)})


def mean_bias(G, p, kept):
    grads = bugs.backward(G, p, kept)
    return grads | {"b3": grads["b3"] / len(G)}


DECAY, TWICE = "decay that the loss lacks", "divided by the batch twice"
REUSED, PILED = "a layer used twice", "gradients never cleared"
SAME = "every check says the same"
WRONG = [
    ("7.1", [DECAY], "expected a pair, got 'decay"),
    ("7.1", [("backward", DECAY)], "no fault in the table has the name"),
    ("7.1", [(DECAY, "momentum")], "'momentum' is none of data, scale"),
    ("7.1", [(DECAY, "step")], "its place is not 'step'"),
    ("7.1", [(REUSED, "backward")], "`at_start` objects in 2 of 2 runs"),
    ("7.4", [("softmax twice", "forward")], "`falls` objects in 2 of 2"),
    ("7.7", [("an optimizer with old arrays", "step")], "mystery in 1"),
    ("7.8", [("all hidden units alike", "start")], "to the mystery in 2"),
    ("7.9", [(REUSED, "backward")], SAME),
    ("7.10", [(TWICE, "loss"), (TWICE, "loss")], "two faults, and this"),
    (
        "7.10",
        [(TWICE, "step"), (PILED, "step")],
        "its place is not 'step'",
    ),
    ("7.10", [(REUSED, "backward"), (PILED, "step")], SAME),
    ("7.11", [bugs.late_mask], "a gradient is not right"),
    ("7.11", [mean_bias], "b3"),
    ("7.11", [lambda G, p, kept: G], "expected a dict with W1"),
    ("7.11", [no_dropout], "W1"),
    ("7.11", [bugs.one_number], "b3: expected shape (10,)"),
    ("7.12", [["gradcheck"]], "no check has the name"),
    ("7.12", [["lockstep", "later"]], "of yours, 1 would not"),
    ("7.12", [["later"]], "1 more would object"),
]


@pytest.mark.parametrize(("name", "answers", "words"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(
    name, answers, words, capsys
):
    verdict(name, *answers)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet") and words in said


def test_each_mystery_is_solved_by_its_name_and_place(capsys):
    for number in range(1, 10):
        program = mystery(number)
        right = next(bug for bug in BUGS if bug.program == program)
        verdict(f"7.{number}", [right.name, right.place], counts=False)
    verdict("7.10", (PILED, "step"), (TWICE, "loss"), counts=False)
    assert capsys.readouterr().out.count(": solved") == 10


def test_the_page_shows_each_check_and_each_fault():
    notebook = read(ROOT / "book/07-bugs.ipynb")
    printed = "".join(
        out.get("text", "")
        for _, cell in cells(notebook, "code")
        for out in cell.outputs
    )
    for name in [*NAMES, *(check.__name__ for check in CHECKS)]:
        assert name in printed, f"{name} is not in the chapter's tables"
    sources = (ROOT / "book/references.md").read_text("utf8")
    missing = [name for name in NAMES if f"| {name} | " not in sources]
    assert not missing, f"no row in references.md for: {missing}"
