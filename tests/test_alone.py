"""`make notebooks` finds what works only inside the repository.

It is run here, once, on small notebooks. One is good, and each other does
something that a reader with one notebook and the wheel would trip over.
"""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import alone

# Where the kernel finds the course; the tree must be out of its sight.
WHERE = f"""\
import sys
from pathlib import Path
import lessons
found = Path(lessons.__file__)
print(found.is_relative_to(sys.prefix) or found)
print([path for path in sys.path if path == {str(alone.ROOT)!r}])"""
SOURCES = {
    "good": (WHERE, "True\n[]\n"),
    "by-path": ("print(open('../LICENSE').readline())", "MIT License\n\n"),
    "not-in-wheel": ("from tools.alone import ROOT", ""),
    "other-text": ("print('new')", "stored\n"),
    "strewn": ("open('notes.txt', 'w').close()", ""),
}


def write(path, source, prints):
    """Write a notebook whose second cell is stored to print a text."""
    stored = [new_output("stream", name="stdout", text=prints)]
    cells = [
        new_code_cell("import os", execution_count=1),
        new_code_cell(
            source, execution_count=2, outputs=stored if prints else []
        ),
    ]
    nbformat.write(new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What `make notebooks` says of them, and how it ends."""
    folder = tmp_path_factory.mktemp("book")
    (folder.parent / "LICENSE").write_text("MIT License\n")
    paths = [folder / f"{name}.ipynb" for name in SOURCES]
    for path, (source, prints) in zip(
        paths, SOURCES.values(), strict=True
    ):
        write(path, source, prints)
    done = subprocess.run(
        [sys.executable, alone.__file__, *paths],
        capture_output=True,
        text=True,
        # As somebody has it who works on the course.
        env={**os.environ, "PYTHONPATH": str(alone.ROOT)},
    )
    said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    return SimpleNamespace(
        said=said, stderr=done.stderr, code=done.returncode
    )


def report(run, name):
    """What pytest says of a notebook's second cell, counted from 0."""
    titled = (
        rf"^_+ {name}/{name}\.ipynb::Cell 1 _+$(.*?)^(?:_{{9}}|={{9}})"
    )
    found = re.search(titled, run.said, re.M | re.S)
    assert found, f"{name} passed:\n{run.said}{run.stderr}"
    return found[1]


def test_a_kernel_has_the_course_from_the_wheel(run):
    assert "good/" not in run.said, run.said


def test_a_notebook_that_reads_a_file_by_its_path_fails(run):
    assert "No such file or directory: '../LICENSE'" in report(
        run, "by-path"
    )


def test_a_notebook_that_imports_what_the_wheel_lacks_fails(run):
    assert "No module named 'tools'" in report(run, "not-in-wheel")


def test_a_difference_is_shown_with_both_texts(run):
    assert "'stored\\n' == 'new\\n'" in report(run, "other-text")


def test_a_file_left_behind_is_named(run):
    assert "\nstrewn.ipynb left behind: notes.txt\n" in run.said
    assert "strewn/" not in run.said


def test_one_fault_is_enough_to_fail(run):
    assert "= 3 failed, 7 passed in " in run.said
    assert run.code == 1
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("same", "left", "code"),
    [(True, [], 0), (True, ["a"], 1), (False, [], 1)],
)
def test_a_good_run_ends_well(monkeypatch, tmp_path, same, left, code):
    monkeypatch.setattr(alone, "build_wheel", lambda folder: None)
    monkeypatch.setattr(alone, "make_environment", lambda *where: None)
    monkeypatch.setattr(alone, "compare", lambda *what: same)
    monkeypatch.setattr(alone, "leftovers", lambda copy: left)
    write(tmp_path / "any.ipynb", "1", "")
    assert alone.main([str(tmp_path / "any.ipynb")]) == code
