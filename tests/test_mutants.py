"""`make mutants` sees what survives, and what its list no longer needs.

A small course in a folder of its own stands for the real one.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import mutants as tool
from tools.mutants import (
    MODULES,
    SURVIVORS,
    Change,
    mutants,
    read_survivors,
)

ROOT = Path(__file__).parents[1]
MODULE = """
from lessons import guarded

class Linear:
    def bwd(self, X, G):
        self.grad = X.T @ G

@guarded
def size(x):
    if x < 0:
        return -x
    return x
"""
TESTS = """
import numpy as np
import pytest
from lessons.chain import Linear, size

def test_gradient():
    layer = Linear()
    layer.bwd(np.array([[1.0, 2.0], [0.0, 5.0]]), np.eye(2))
    assert layer.grad.tolist() == [[1, 0], [2, 5]]

@pytest.mark.parametrize("x", [2, -2])
def test_size(x):
    assert size(x) == 2

def test_guard():
    with pytest.raises(ValueError):
        size(100)
"""
GUARD = """
def guarded(function):
    def checked(x):
        if x > 99:
            raise ValueError
        return function(x)
    return checked
"""
LIST = """
[[survivor]]
function = "chain.size"
was = "if x < 0:"
now = ["if x <= 0:", "if x < 1:"]
reason = "Of whole numbers; that of 0 is 0 either way."
"""


RUN = """
import sys
from tools.mutants import main
sys.exit(main(["chain"], heavy=()))
"""


def course(folder, tests):
    """Write the small course and run the tool in it."""
    for name, text in {
        "lessons/__init__.py": GUARD,
        "lessons/chain.py": MODULE,
        "tests/test_chain.py": tests,
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']",
        SURVIVORS: LIST,
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_survives_is_named(tmp_path):
    code, said = course(tmp_path, TESTS.replace("[2, -2]", "[2]"))
    assert said.startswith("chain: 8 changes, 4 survived\n")
    assert "chain.size: survived\n  - return -x\n  + return x\n" in said
    assert "x <= 0" not in said, "it is listed"
    assert "Write a test for what survived" in said
    assert code == 1


def test_nothing_is_judged_by_tests_that_fail(tmp_path):
    code, said = course(tmp_path, TESTS.replace("== 2", "== 3"))
    assert code == 1
    assert said == "chain: its tests must pass before it is broken\n"


def test_every_kind_of_slip_is_tried(tmp_path, monkeypatch):
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "chain.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    assert [change.now for _, change, _ in mutants("chain")] == [
        *("pass", "self.grad = X @ G", "self.grad = X.T * G"),
        *("def size(x):", "pass", "if x <= 0:", "if x < 1:", "return x"),
    ]


FIRST, SECOND = Change("chain.f", "a", "b"), Change("chain.f", "a", "c")


@pytest.mark.parametrize(
    "left, listed, says",
    [
        ([FIRST], [FIRST], ""),
        ([FIRST], [], "chain.f: survived\n  - a\n  + b\n"),
        ([], [FIRST], "chain.f: listed, but noticed or gone\n  - a\n"),
    ],
)
def test_the_verdict(tmp_path, monkeypatch, capsys, left, listed, says):
    table = tmp_path / "mutants.csv"
    monkeypatch.setattr(tool, "TABLE", table)
    monkeypatch.setattr(tool, "MODULES", ["chain"])
    monkeypatch.setattr(tool, "judge", lambda *_: ([FIRST, SECOND], left))
    monkeypatch.setattr(tool, "read_survivors", lambda names: listed)
    assert tool.main([], heavy=()) == bool(says)
    assert capsys.readouterr().out.startswith(says)
    assert table.exists() != bool(says)
    if not says:
        assert table.read_text().splitlines()[1] == "chain,2,1,1"


def test_every_listed_survivor_has_a_reason_and_is_still_made(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = {change for name in MODULES for _, change, _ in mutants(name)}
    gone = [c for c in read_survivors(MODULES) if c not in made]
    assert not gone, f"take off {SURVIVORS}: {gone}"


def test_a_reason_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    text = LIST[: LIST.index("reason")] + 'reason = " "'
    SURVIVORS.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no reason for if x < 0:"):
        read_survivors(["chain"])
