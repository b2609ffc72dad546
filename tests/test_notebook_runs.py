"""`make notebooks` finds what works only inside the repository.

It is run here, once, on small notebooks. One is good, and each other does
something that a reader with one notebook and the wheel would trip over.
"""

import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.notebooks import ROOT

# Where a kernel finds the course: not in the tree, which is out of sight.
WHERE = """\
import sys, lessons
print("course" in lessons.__file__, "tools" in sys.modules)"""
SOURCES = {
    "good": (WHERE, "True False\n"),
    "by-path": ("print(open('../LICENSE').readline())", "MIT License\n\n"),
    "not-in-wheel": ("from tools.notebooks import ROOT", ""),
    "other-text": ("print('new')", "stored\n"),
    "strewn": ("open('notes.txt', 'w').close()", ""),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What `make notebooks` says of them, in a folder named in German."""
    folder = tmp_path_factory.mktemp("für Anfänger") / "book"
    folder.mkdir()
    (folder.parent / "LICENSE").write_text("MIT License\n")
    for name, (source, prints) in SOURCES.items():
        stored = [new_output("stream", name="stdout", text=prints)]
        cell = new_code_cell(
            source, execution_count=1, outputs=stored if prints else []
        )
        path = folder / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=[cell]), path)
    command = [sys.executable, "-m", "tools.notebooks"]
    done = subprocess.run(
        [*command, *folder.glob("*.ipynb")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout)


def test_the_good_one_passes_and_three_fail(said):
    assert "= 3 failed, 2 passed in " in said
    assert "FAILED good" not in said


@pytest.mark.parametrize(
    "words",
    [
        "No such file or directory: '../LICENSE'",
        "No module named 'tools'",
        "'stored\\n' == 'new\\n'",
        "strewn left behind: notes.txt\n",
    ],
)
def test_each_fault_is_named(said, words):
    assert words in said
