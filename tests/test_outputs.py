"""`make outputs` stores one form, or nothing; `make tidy` the form."""

import json
import subprocess
from base64 import b64encode
from io import BytesIO

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tools.outputs import canonical, keep_pictures, main

PRINTS = """\
import sys
print("one")
print("two", flush=True)
6 * 7"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "01-sample.ipynb"


def test_outputs_are_stored_and_a_second_run_changes_nothing(path, capsys):
    failing = new_code_cell(
        "1 / 0", metadata={"tags": ["raises-exception"], "collapsed": True}
    )
    cells = [new_code_cell(PRINTS), failing]
    nbformat.write(new_notebook(cells=cells), path)
    assert main([str(path)]) == 0
    first = path.read_text("utf8")
    prints, fails = nbformat.reads(first, as_version=4).cells
    assert [prints.execution_count, fails.execution_count] == [1, 2]
    assert prints.outputs[0].text == "one\ntwo\n"
    assert prints.outputs[1].data == {"text/plain": "42"}
    error = "ZeroDivisionError: division by zero"
    assert fails.outputs[0].traceback == [error]
    assert fails.metadata == {"tags": ["raises-exception"]}

    assert main([str(path)]) == 0
    assert path.read_text("utf8") == first
    assert f"{path}: unchanged" in capsys.readouterr().out
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("print(undefined)", "NameError: name 'undefined'"),
        ("import sys\nprint('oh', file=sys.stderr)", "stderr: oh"),
        ("import os\nprint(os.getcwd())", "an absolute path: /"),
        ("print('RuntimeWarning: no')", "a warning: RuntimeWarning:"),
        ("object()", "an object's address: <object at 0x"),
        ("", "empty"),
    ],
)
def test_what_cannot_be_stored_leaves_the_notebook_alone(
    path, capsys, source, words
):
    cells = [new_code_cell("1"), new_code_cell(source, id="culprit")]
    nbformat.write(new_notebook(cells=cells), path)
    before = path.read_text("utf8")
    assert main([str(path)]) == 1
    assert path.read_text("utf8") == before
    said = capsys.readouterr().out
    assert f"{path}: refused" in said
    assert "cell 2 (id culprit): " in said
    assert words in said


def test_a_notebook_from_colab_gets_ids_and_keeps_its_outputs(path):
    ran = {"name": "stdout", "output_type": "stream", "text": ["1\n"]}
    cell = {"cell_type": "code", "source": ["print(1)"], "outputs": [ran]}
    cell |= {"metadata": {"id": "x"}, "execution_count": 1}
    form = {"nbformat": 4, "nbformat_minor": 0, "metadata": {"colab": {}}}
    path.write_text(json.dumps({"cells": [cell, cell], **form}), "utf8")
    assert main(["--tidy", str(path)]) == 0
    stored = nbformat.read(path, as_version=4)
    first, second = stored.cells
    assert first.id != second.id
    assert first.outputs[0].text == "1\n"
    assert path.read_text("utf8") == canonical(stored)


def test_numbered_cells_get_their_names_back_from_the_last_commit(path):
    def write(*ids):
        cells = [new_code_cell(f"{n} + 1", id=i) for n, i in ids]
        nbformat.write(new_notebook(cells=cells), path)

    def git(*arguments):
        who = "-c", "user.name=A", "-c", "user.email=a@example.org"
        subprocess.run(
            ["git", *who, *arguments], cwd=path.parent, check=True
        )

    write((1, "one"), (2, "two"))
    try:
        git("init", "-q")
    except FileNotFoundError:
        pytest.skip("no git on this machine")
    git("add", ".")
    git("commit", "-qm", "Add a chapter")
    write((0, "0"), (2, "1"), (1, "2"))
    assert main(["--tidy", str(path)]) == 0
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    assert ids[1:] == ["two", "one"]
    assert ids[0].startswith("cell-")


def test_a_picture_is_replaced_only_when_its_pixels_change():
    def drawn(comment, size):
        """Return a notebook with a PNG that names the program."""
        info, buffer = PngInfo(), BytesIO()
        info.add_text("Software", comment)
        Image.new("RGB", size).save(buffer, "PNG", pnginfo=info)
        png = b64encode(buffer.getvalue()).decode("ascii")
        output = new_output("display_data", {"image/png": png})
        return new_notebook(cells=[new_code_cell(outputs=[output])])

    old, again = drawn("1", (2, 2)), drawn("2", (2, 2))
    larger = drawn("1", (3, 3))
    for new in again, larger:
        keep_pictures(old, new)
    assert again.cells[0].outputs == old.cells[0].outputs
    assert larger.cells[0].outputs != old.cells[0].outputs
