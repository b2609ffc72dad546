"""Every module in lessons/ is what its chapter exports."""

import ast
import re

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tools.export import ROOT, chapters, id_faults, module_text

CHAPTERS = chapters()
HAND_WRITTEN = {"__init__", "datasets", "figures"}
# nbdev's heading of the part that comes from one cell.
PART = re.compile(r"^# %% \S+ #([\w-]+)$", re.M)


def differences(notebook, exported, stored):
    """Name the cells whose part of the stored module is another."""
    cells = nbformat.read(notebook, as_version=4).cells
    number = {cell.id: n for n, cell in enumerate(cells, 1)}

    def parts(text):
        _, *pairs = PART.split(text)
        return dict(zip(pairs[::2], pairs[1::2], strict=True))

    mine, theirs = parts(exported), parts(stored)
    return [
        f"book/{notebook.name}, cell {number[part]} (id {part})"
        for part in number
        if mine.get(part, "").strip() != theirs.get(part, "").strip()
    ]


def imported(source):
    """Return which modules of the course some Python code imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        ours = (re.match(r"lessons\.(\w+)", name) for name in names)
        found |= {match[1] for match in ours if match}
    return found


def notebook_code(notebook):
    """Return a notebook's code as Python, its magics as calls."""
    to_python = TransformerManager().transform_cell
    return "\n".join(
        to_python(cell.source)
        for cell in nbformat.read(notebook, as_version=4).cells
        if cell.cell_type == "code"
    )


@pytest.mark.parametrize("stem", CHAPTERS)
def test_module_is_what_the_chapter_exports(stem):
    module = ROOT / "lessons" / f"{stem}.py"
    stored = module.read_text("utf8") if module.exists() else ""
    exported = module_text(CHAPTERS[stem]) or ""
    faults = differences(CHAPTERS[stem], exported, stored)
    if exported != stored:
        what = f"lessons/{stem}.py is not what its chapter exports"
        pytest.fail(
            "\n".join([*faults, f"{what}: make export"]), pytrace=False
        )


def test_every_module_has_its_chapter():
    modules = {path.stem for path in ROOT.glob("lessons/*.py")}
    extra = sorted(modules - HAND_WRITTEN - set(CHAPTERS))
    assert not extra, (
        f"No chapter exports {extra}: delete them, then make export"
    )


@pytest.mark.parametrize("stem", CHAPTERS)
def test_chapter_imports_only_from_earlier_ones(stem):
    stems = list(CHAPTERS)
    earlier = {"datasets", "figures", *stems[: stems.index(stem)]}
    used = imported(notebook_code(CHAPTERS[stem]))
    assert used <= earlier, (
        f"{CHAPTERS[stem].name} imports {sorted(used - earlier)},"
        f" which no earlier chapter exports; allowed: {sorted(earlier)}"
    )


# The checks themselves, on notebooks made to break them.


@pytest.fixture
def notebook(tmp_path):
    """A chapter of four cells, two of them exported."""
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell("# A chapter\n\n> What it is.", id="title"),
        v4.new_code_cell(
            "#| export\nfrom lessons.datasets import load", id="imports"
        ),
        v4.new_code_cell("load()", id="use"),
        v4.new_code_cell(
            "#| export\ndef half(x):\n    return x / 2", id="one-half"
        ),
    ]
    path = tmp_path / "07-sample.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


def test_export_is_the_same_from_every_folder(
    notebook, tmp_path, monkeypatch
):
    here = module_text(notebook)
    monkeypatch.chdir(tmp_path)
    assert module_text(notebook) == here
    assert here.startswith('"""What it is."""\n')
    assert "# %% ../book/07-sample.ipynb #one-half\n" in here
    assert "from .datasets import load\n" in here


def test_a_changed_module_is_traced_to_its_cell(notebook):
    exported = module_text(notebook)
    assert differences(notebook, exported, exported) == []
    changed = exported.replace("x / 2", "x / 3")
    assert differences(notebook, exported, changed) == [
        "book/07-sample.ipynb, cell 4 (id one-half)"
    ]
    without = exported[: exported.index("# %% ../book/07-sample.ipynb")]
    assert len(differences(notebook, exported, without)) == 2


def test_ids_must_be_there_and_differ(notebook):
    text = notebook.read_text("utf8")
    assert id_faults(notebook) == []
    notebook.write_text(text.replace('"use"', '"one-half"'), "utf8")
    assert [fault[:23] for fault in id_faults(notebook)] == [
        "07-sample.ipynb, cell 3",
        "07-sample.ipynb, cell 4",
    ]
    notebook.write_text(text.replace('   "id": "use",\n', ""), "utf8")
    with pytest.raises(ValueError, match=r"cell 3: no id"):
        module_text(notebook)


def test_two_chapters_cannot_share_a_module(notebook):
    notebook.with_name("08-sample.ipynb").touch()
    with pytest.raises(ValueError, match="a second sample"):
        chapters(notebook.parent)


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import numpy.linalg", set()),
        ("import lessons", set()),
        ("import lessons.xor as x", {"xor"}),
        ("from lessons import xor, figures", {"xor", "figures"}),
        ("from lessons.xor import (\n    a,\n    b,\n)", {"xor"}),
        ("def f():\n    from lessons.xor import a", {"xor"}),
    ],
)
def test_imports_are_found_in_every_form(source, modules):
    assert imported(source) == modules
