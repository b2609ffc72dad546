"""`make notebooks` finds what works only inside the repository.

It is run here, once, on small notebooks. One is good, and each other does
something that a reader with one notebook and the wheel would trip over.
"""

import re
import subprocess
import sys
from base64 import b64encode
from io import BytesIO

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from tools.notebooks import ROOT

# Where a kernel finds the course: not in the tree, which is out of sight.
WHERE = """\
import sys, lessons
print("course" in lessons.__file__, "tools" in sys.modules)"""


def text(printed):
    return [new_output("stream", name="stdout", text=printed)]


def png(grays, compress_level=6):
    """A picture in base64, one row of pixels of these grays, 0 to 255."""
    image = Image.frombytes("L", (len(grays), 1), bytes(grays))
    image.save(buffer := BytesIO(), "PNG", compress_level=compress_level)
    return b64encode(buffer.getvalue()).decode()


def picture(*arguments):
    shown = {"image/png": png(*arguments), "text/plain": DISPLAYED}
    return [new_output("execute_result", shown, execution_count=1)]


DISPLAYED = "<IPython.core.display.Image object>"
DRAW = f"""\
from IPython.display import Image
Image(__import__("base64").b64decode("{png([0, 90, 200])}"))"""
SOURCES = {
    "good": (WHERE, text("True False\n")),
    "by-path": (
        "print(open('../LICENSE').readline())",
        text("MIT License\n\n"),
    ),
    "not-in-wheel": ("from tools.notebooks import ROOT", []),
    "other-text": ("print('new')", text("stored\n")),
    "strewn": ("open('notes.txt', 'w').close()", []),
    "same-pixels": (DRAW, picture([0, 90, 200], 0)),
    "mirrored": (DRAW, picture([200, 90, 0])),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What `make notebooks` says of them, in a folder named in German."""
    folder = tmp_path_factory.mktemp("für Anfänger") / "book"
    folder.mkdir()
    (folder.parent / "LICENSE").write_text("MIT License\n")
    for name, (source, stored) in SOURCES.items():
        cell = new_code_cell(source, execution_count=1, outputs=stored)
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


def test_the_good_ones_pass_and_four_fail(said):
    assert "= 4 failed, 3 passed in " in said
    for name in "good", "strewn", "same-pixels":
        assert f"FAILED {name}" not in said


@pytest.mark.parametrize(
    "words",
    [
        "No such file or directory: '../LICENSE'",
        "No module named 'tools'",
        "'stored\\n' == 'new\\n'",
        "strewn left behind: notes.txt\n",
        "mismatch 'image/png'",
    ],
)
def test_each_fault_is_named(said, words):
    assert words in said
