"""`make mutants` sees what survives, and what its list no longer needs.

A small course in a folder of its own stands for the real one.
"""

import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tools.mutants import (
    SURVIVORS,
    TABLE,
    Change,
    change_of,
    complaints,
    function_of,
    read_survivors,
    tabulate,
)

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "mutants.py"

# -- A course of one module -----------------------------------------------

NUMBERS = list(range(60))  # a mutant each, so that two are few
MODULE = f"""
def size(x):
    if x < 0:
        return -x
    return x


def numbers():
    return {NUMBERS}
"""
TEST_MINUS = """
def test_the_size_of_minus_two():
    assert size(-2) == 2
"""
TESTS = f"""
from lessons.small import numbers, size


def test_the_size_of_two():
    assert size(2) == 2


def test_the_numbers():
    assert numbers() == {NUMBERS}
"""
SETTINGS = """
[tool.pytest.ini_options]
pythonpath = ["."]

[tool.mutmut]
source_paths = ["lessons"]
pytest_add_cli_args_test_selection = ["tests"]
pytest_add_cli_args = ["-p", "tools.mutants"]
"""
LIST = """
[[survivor]]
function = "small.size"
was = "if x < 0:"
now = ["if x <= 0:", "if x < 1:"]
reason = "A whole number; that of 0 is 0 either way."
"""


def course(folder, tests):
    """Write the small course and run the tool in it."""
    for name, text in {
        "lessons/__init__.py": "",
        "lessons/small.py": MODULE,
        "tests/test_small.py": tests,
        "pyproject.toml": SETTINGS,
        SURVIVORS: LIST,
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / TABLE).parent.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, TOOL],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # for the plugin
        capture_output=True,
        text=True,
    )


def test_all_is_well_and_the_table_is_written(tmp_path):
    done = course(tmp_path, TESTS + TEST_MINUS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / TABLE).read_text("utf-8") == (
        "module,mutants,killed,survived\nsmall,63,61,2\nall,63,61,2\n"
    )


def test_without_its_test_a_mutant_survives_and_is_named(tmp_path):
    done = course(tmp_path, TESTS)
    assert done.returncode == 1
    assert (
        "small.size: survived\n  - return -x\n  + return +x\n"
        "  Write a test that fails on it"
    ) in done.stdout
    assert "96.8% killed" not in done.stdout
    assert not (tmp_path / TABLE).exists()


def test_nothing_is_judged_by_tests_that_fail(tmp_path):
    done = course(tmp_path, TESTS + TEST_MINUS.replace("== 2", "== 3"))
    assert done.returncode == 1
    assert "The tests must pass before anything is broken" in done.stdout


def test_a_test_that_is_not_found_kills_nothing(tmp_path):
    # pytest changes such a name when one process collects it again.
    broken = r"""
import pytest


@pytest.mark.parametrize("x", [2], ids=["line\nbreak"])
def test_the_size_of_minus(x):
    assert size(-x) == x
"""
    done = course(tmp_path, TESTS + broken)
    assert done.returncode == 1
    assert "lessons.small.x_size__mutmut_1: suspicious" in done.stdout


# -- What is wrong --------------------------------------------------------

NAME = "lessons.chain.x_train__mutmut_1"
CHANGE = Change("chain.train", "a + b", "a - b")
HEAD = "chain.train: {}\n  - a + b\n  + a - b\n"
WRONG = {
    "not listed": (
        *({NAME: "survived"}, {NAME: CHANGE}, []),
        HEAD.format("survived"),
    ),
    "reached by no test": (
        *({NAME: "no tests"}, {NAME: CHANGE}, []),
        HEAD.format("no tests"),
    ),
    "one of two alike not listed": (
        {NAME: "survived", f"{NAME}0": "survived"},
        {NAME: CHANGE, f"{NAME}0": CHANGE},
        [CHANGE],
        HEAD.format("survived"),
    ),
    "no verdict": (
        *({NAME: "timeout"}, {}, []),
        f"{NAME}: timeout\n  Run it again",
    ),
    "listed, but killed": (
        *({NAME: "killed"}, {NAME: CHANGE}, [CHANGE]),
        HEAD.format(f"listed in {SURVIVORS}, but a test kills it now"),
    ),
    "listed, but there is none": (
        *({NAME: "killed"}, {}, [CHANGE]),
        HEAD.format(f"listed in {SURVIVORS}, but there is no such mutant"),
    ),
}


@pytest.mark.parametrize(
    "statuses, changes, listed, words", WRONG.values(), ids=WRONG
)
def test_what_is_wrong_is_said(statuses, changes, listed, words):
    [said] = complaints(statuses, changes, Counter(listed))
    assert said.startswith(words)


def test_a_listed_survivor_and_a_killed_mutant_are_as_they_should_be():
    statuses = {NAME: "survived", f"{NAME}0": "killed"}
    assert not list(
        complaints(statuses, {NAME: CHANGE}, Counter([CHANGE]))
    )


def test_a_mutant_is_known_by_what_it_changes():
    name = "lessons.chain.xǁLinearǁ__init____mutmut_12"
    difference = (
        "--- lessons/chain.py\n+++ lessons/chain.py\n@@ -1,3 +1,2 @@\n"
        " def __init__(self):\n-    f(\n-        a,\n+    f(\n"
    )
    change = Change("chain.Linear.__init__", "f( a,", "f(")
    assert change_of(name, difference) == change
    assert function_of("lessons.datasets.x__read__mutmut_3") == (
        "datasets._read"
    )


def test_the_table_counts_each_module_and_all():
    statuses = {
        "lessons.a.x_f__mutmut_1": "killed",
        "lessons.a.x_f__mutmut_2": "survived",
        "lessons.ab.x_f__mutmut_1": "no tests",
        "lessons.ab.x_f__mutmut_2": "timeout",
    }
    assert tabulate(statuses, ["a", "ab"]) == [
        ["a", 2, 1, 1, 0, 0],
        ["ab", 2, 0, 0, 1, 1],
        ["all", 4, 1, 1, 1, 1],
    ]


# -- The course's own list and settings -----------------------------------


def test_every_listed_survivor_has_a_reason(tmp_path):
    assert read_survivors(ROOT / SURVIVORS)
    path = tmp_path / "survivors.toml"
    path.write_text(LIST[: LIST.index("reason")] + 'reason = " "', "utf-8")
    with pytest.raises(ValueError, match="no reason for if x < 0:"):
        read_survivors(path)


def test_every_listed_line_stands_in_its_module():
    def squeezed(text):
        return "".join(text.split())

    for change in read_survivors(ROOT / SURVIVORS):
        path = ROOT / "lessons" / f"{change.function.split('.')[0]}.py"
        text = squeezed(path.read_text("utf-8"))
        assert squeezed(change.was) in text, (
            f"{path.name} has no such line any more: {change.was}\n"
            f"take it out of {SURVIVORS}, or run `make mutants`"
        )


def test_the_tests_of_every_module_judge_and_no_others():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    modules = {path.stem for path in (ROOT / "lessons").glob("*.py")}
    names = {*modules - {"__init__"}, "bad_input", "properties"}
    judges = settings["tool"]["mutmut"]
    assert set(judges["pytest_add_cli_args_test_selection"]) == {
        f"tests/test_{name}.py" for name in names
    }
