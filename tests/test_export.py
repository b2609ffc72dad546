"""Every module in lessons/ is what its chapter exports."""

import re

import nbformat
import nbformat.v4 as v4
import pytest

from tests.support import CHAPTERS, ROOT, cells, read
from tools.export import chapters, module_text

MODULES = {path.stem: path for path in ROOT.glob("lessons/*.py")}
EXPORTED = {
    stem
    for stem, path in MODULES.items()
    if "\n# Written by `make export`" in path.read_text("utf8")
}
PART = re.compile(r"^# %% (\S+)$", re.M)


def changed_cells(*modules):
    """Return the ids of the cells whose parts of two modules differ."""
    mine, theirs = (
        dict(zip(pairs[1::2], map(str.strip, pairs[2::2]), strict=True))
        for pairs in map(PART.split, modules)
    )
    return sorted(k for k in mine | theirs if mine.get(k) != theirs.get(k))


def imported(source):
    """Return which modules of the course some Python code imports."""
    found = re.findall(r"(?m)^\s*(?:from|import) lessons\.(\w+)", source)
    for names in re.findall(r"(?m)^\s*from lessons import (.+)", source):
        found += re.findall(r"\w+", names)
    return set(found)


@pytest.mark.parametrize("stem", chapters())
def test_module_is_what_the_chapter_exports(stem):
    stored = MODULES[stem].read_text("utf8") if stem in MODULES else ""
    exported = module_text(chapters()[stem]) or ""
    if exported != stored:
        differ = changed_cells(exported, stored)
        pytest.fail(
            f"lessons/{stem}.py is not what {chapters()[stem].name} has"
            f" to export, in the cells {differ}: make export",
            pytrace=False,
        )


def test_every_exported_module_has_its_chapter():
    extra = sorted(EXPORTED - set(chapters()))
    assert not extra, f"no chapter exports lessons/{extra}: delete it"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_imports_only_from_earlier_ones(path):
    stems = list(chapters())
    later = set(stems[CHAPTERS.index(path) :])
    code = "\n".join(cell.source for _, cell in cells(read(path), "code"))
    found = sorted(imported(code) & later)
    assert not found, (
        f"{path.name} imports {found}, written there or later"
    )


def test_what_a_chapter_exports(tmp_path):
    """Its marked cells, and as public names those without underscore."""
    made = [
        v4.new_markdown_cell("# A title\n\n> What it is.", id="title"),
        v4.new_code_cell("#| export\nimport math\n\nN = 2", id="first"),
        v4.new_code_cell("print(N)", id="use"),
        v4.new_code_cell("#| export\ndef f(): ...\n_x = 1", id="second"),
    ]
    path = tmp_path / "07-sample.ipynb"
    nbformat.write(v4.new_notebook(cells=made), path)
    text = module_text(path)
    assert text.startswith('"""What it is."""\n')
    assert '__all__ = [\n    "N",\n    "f",\n]\n' in text
    assert PART.findall(text) == ["first", "second"]
    assert "print" not in text
    broken = text.replace("N = 2", "N = 3")
    assert changed_cells(text, broken) == ["first"]
    assert chapters(tmp_path) == {"sample": path}
    nbformat.write(v4.new_notebook(cells=made[:1]), path)
    assert module_text(path) is None


def test_a_notebook_of_another_name_is_refused(tmp_path):
    (tmp_path / "7-sample.ipynb").touch()
    with pytest.raises(ValueError, match=r"7-sample.* not named NN-stem"):
        chapters(tmp_path)
