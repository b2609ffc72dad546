"""`make outputs` stores one canonical form, or nothing."""

from base64 import b64encode
from io import BytesIO

import nbformat
import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tools.outputs import canonical, keep_pictures, main

PRINTS = """\
import sys
print("one")
print("two", flush=True)
6 * 7"""


def written(path, *cells):
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path.read_text("utf8")


def picture(comment, size=(2, 2)):
    """Return a PNG whose bytes, not pixels, depend on the comment."""
    info = PngInfo()
    info.add_text("Software", comment)
    buffer = BytesIO()
    Image.new("RGB", size).save(buffer, "PNG", pnginfo=info)
    return b64encode(buffer.getvalue()).decode("ascii")


def test_outputs_are_stored_and_a_second_run_changes_nothing(
    tmp_path, capsys
):
    path = tmp_path / "01-sample.ipynb"
    failing = new_code_cell(
        "1 / 0", metadata={"tags": ["raises-exception"], "collapsed": True}
    )
    written(path, new_markdown_cell("# é"), new_code_cell(PRINTS), failing)
    assert main([str(path)]) == 0
    first = path.read_text("utf8")
    _, prints, fails = nbformat.reads(first, as_version=4).cells

    assert [prints.execution_count, fails.execution_count] == [1, 2]
    assert [output.output_type for output in prints.outputs] == [
        "stream",
        "execute_result",
    ]
    assert prints.outputs[0].text == "one\ntwo\n"
    assert prints.outputs[1].execution_count == 1
    assert fails.outputs[0].traceback == [
        "ZeroDivisionError: division by zero"
    ]
    assert fails.metadata == {"tags": ["raises-exception"]}
    assert "# é" in first
    assert first.endswith("}\n")

    capsys.readouterr()
    assert main([str(path)]) == 0
    assert path.read_text("utf8") == first
    assert f"{path}: unchanged" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


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
    tmp_path, capsys, source, words
):
    path = tmp_path / "01-sample.ipynb"
    cells = new_code_cell("1"), new_code_cell(source, id="culprit")
    before = written(path, *cells)
    assert main([str(path)]) == 1
    assert path.read_text("utf8") == before
    out, err = capsys.readouterr()
    assert f"{path}: refused" in out
    assert err.startswith(f"{path}, cell 2 (id culprit): ")
    assert words in err


def test_canonical_form_is_a_fixed_point():
    outputs = [
        new_output("stream", name="stdout", text="a"),
        new_output("stream", name="stdout", text="b"),
        new_output("stream", name="stderr", text="c"),
        new_output(
            "display_data",
            {"image/png": picture("")},
            metadata={"needs_background": "light"},
        ),
    ]
    notebook = new_notebook(
        cells=[new_code_cell("1", outputs=outputs)],
        metadata={"language_info": {"name": "python", "version": "3.9"}},
    )
    once = nbformat.reads(canonical(notebook), as_version=4)
    streams = [o.text for o in once.cells[0].outputs[:2]]
    assert streams == ["ab", "c"]
    assert once.cells[0].outputs[2].metadata == {}
    assert once.metadata.language_info == {"name": "python"}
    assert canonical(once) == canonical(notebook)


def test_a_picture_is_replaced_only_when_its_pixels_change():
    def with_picture(png):
        output = new_output("display_data", {"image/png": png})
        return new_notebook(
            cells=[new_code_cell(id="plot", outputs=[output])]
        )

    old = with_picture(picture("version 1"))
    again = with_picture(picture("version 2"))
    larger = with_picture(picture("version 1", size=(3, 3)))
    kept = old.cells[0].outputs[0].data["image/png"]
    keep_pictures(old, again)
    keep_pictures(old, larger)
    assert again.cells[0].outputs[0].data["image/png"] == kept
    assert larger.cells[0].outputs[0].data["image/png"] != kept
