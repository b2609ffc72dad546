"""`make mutants` sees what survives, and what its list no longer needs.

A small course in a folder of its own stands for the real one.
"""

import os
import subprocess
import sys

from tests.support import ROOT
from tools.mutants import (
    MODULES,
    SURVIVORS,
    TABLE,
    changes,
    module_tree,
    mutants,
    read_survivors,
)

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
from tools import mutants
mutants.MODULES = ["chain"]
sys.exit(mutants.main([], heavy=()))
"""


def course(folder, tests, listed=LIST):
    """Write the small course and run the tool in it."""
    for name, text in {
        "lessons/__init__.py": GUARD,
        "lessons/chain.py": MODULE,
        "tests/test_chain.py": tests,
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']",
        SURVIVORS: listed,
        TABLE: "as it was",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    table = (folder / TABLE).read_text("utf-8")
    return done.returncode, done.stdout + done.stderr, table


def test_a_whole_run_that_finds_nothing_writes_the_table(tmp_path):
    code, said, table = course(tmp_path, TESTS)
    assert code == 0, said
    assert table.splitlines()[1:] == ["chain,8,6,2", "all,8,6,2"]


def test_what_survives_is_named_and_what_is_listed_in_vain(tmp_path):
    weak = TESTS.replace("[2, -2]", "[2]")
    code, said, table = course(tmp_path, weak, LIST.replace("< 1", "< 9"))
    assert code == 1 and table == "as it was"
    assert said.startswith("chain: 8 changes, 4 survived\n")
    assert "chain.size: survived\n  - return -x\n  + return x\n" in said
    vain = "chain.size: listed, but noticed or gone\n  - if x < 0:\n"
    assert vain + "  + if x < 9:\n" in said
    assert "x <= 0" not in said, "it is listed"


def test_nothing_is_judged_by_tests_that_fail(tmp_path):
    code, said, _ = course(tmp_path, TESTS.replace("== 2", "== 3"))
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


def test_every_listed_survivor_is_still_made(monkeypatch):
    monkeypatch.chdir(ROOT)
    trees = {name: module_tree(name) for name in MODULES}
    made = {c for name, t in trees.items() for c in changes(t, t, name)}
    gone = [c for c in read_survivors(MODULES) if c not in made]
    assert not gone, f"take off {SURVIVORS}: {gone}"
