"""Write the modules in lessons/ from their chapters: ``make export``.

The cells of ``book/NN-stem.ipynb`` that begin with ``#| export`` become
``lessons/stem.py``. A chapter without such a cell has no module.
"""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from nbdev.export import nb_export

ROOT = Path(__file__).resolve().parents[1]


def chapters(book: Path = ROOT / "book") -> dict[str, Path]:
    """Return the notebook of each stem, in reading order."""
    found: dict[str, Path] = {}
    for path in sorted(book.glob("*.ipynb")):
        name = re.fullmatch(r"\d\d-([a-z]\w*)\.ipynb", path.name)
        if not name:
            raise ValueError(f"{path.name}: not named NN-stem.ipynb")
        if name[1] in found:
            raise ValueError(f"{path.name}: a second {name[1]}")
        found[name[1]] = path
    return found


def id_faults(notebook: Path) -> list[str]:
    """Return what is wrong with the ids by which a module names cells."""
    cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
    ids = Counter(cell.get("id") for cell in cells)
    faults = []
    for number, cell in enumerate(cells, 1):
        if "id" not in cell:
            faults.append(f"{notebook.name}, cell {number}: no id")
        elif ids[cell["id"]] > 1:
            faults.append(
                f"{notebook.name}, cell {number}: its id {cell['id']}"
                " stands more than once"
            )
    return faults


def module_text(notebook: Path) -> str | None:
    """Return the module that a chapter exports, None if it has none."""
    if faults := id_faults(notebook):
        raise ValueError("\n".join(faults))
    notebook = notebook.resolve()
    book = Path("book", notebook.name)
    module = Path("lessons", notebook.stem[3:]).with_suffix(".py")
    # nbdev writes relative paths into the module and looks for settings in
    # the working directory. A copy of the tree's shape makes both the same
    # wherever the command is typed.
    with tempfile.TemporaryDirectory() as copy, contextlib.chdir(copy):
        book.parent.mkdir()
        shutil.copy(notebook, book)
        nb_export(book, module.parent, name=module.stem)
        if not module.exists():
            return None
        text = module.read_text(encoding="utf8")
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename"]
    return subprocess.run(
        [*ruff, module, "-"],
        cwd=ROOT,  # where ruff's settings are
        input=text,
        stdout=subprocess.PIPE,
        encoding="utf8",
        check=True,
    ).stdout


def main() -> None:
    for stem, notebook in chapters().items():
        text = module_text(notebook)
        if text is None:
            continue
        module = ROOT / "lessons" / f"{stem}.py"
        stored = module.exists() and module.read_text(encoding="utf8")
        if text != stored:
            module.write_text(text, encoding="utf8", newline="\n")
        state = "unchanged" if text == stored else "written"
        print(f"lessons/{stem}.py: {state}")


if __name__ == "__main__":
    try:
        main()
    except ValueError as fault:
        sys.exit(str(fault))
