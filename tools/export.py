"""Write the modules in lessons/ from their chapters: ``make export``.

The cells of ``book/NN-stem.ipynb`` that begin with ``#| export`` become
``lessons/stem.py``, in their order, each under a comment that names its
cell. A hyphen within the stem becomes an underscore. A chapter without
such a cell has no module.
"""

import ast
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARK = "#| export\n"


def chapters(book: Path = ROOT / "book") -> dict[str, Path]:
    """Return the notebook of each stem, in reading order."""
    found: dict[str, Path] = {}
    for path in sorted(book.glob("*.ipynb")):
        name = re.fullmatch(r"\d\d-([a-z][\w-]*)\.ipynb", path.name)
        if not name:
            raise ValueError(f"{path.name}: not named NN-stem.ipynb")
        found[name[1].replace("-", "_")] = path
    return found


def public_names(source: str) -> list[str]:
    """Return what a module defines, but for names that begin with _."""
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            targets = [t for t in node.targets if isinstance(t, ast.Name)]
            names += [target.id for target in targets]
    return [name for name in names if not name.startswith("_")]


def module_text(notebook: Path) -> str | None:
    """Return the module that a chapter exports, None if it has none.

    Its docstring is the quotation in the chapter's first cell.
    """
    cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    parts = [
        f"# %% {cell['id']}\n{text.removeprefix(MARK).strip()}\n"
        for cell, text in zip(cells, texts, strict=True)
        if cell["cell_type"] == "code" and text.startswith(MARK)
    ]
    if not parts:
        return None
    summary = re.search(r"^> (.+)$", texts[0], re.M)[1]
    body = "\n\n".join(parts)
    names = "".join(f'    "{name}",\n' for name in public_names(body))
    return (
        f'"""{summary}"""\n\n'
        f"# Written by `make export` from book/{notebook.name}: edit that."
        f"\n\n__all__ = [\n{names}]\n\n{body}"
    )


def main() -> None:
    for stem, notebook in chapters().items():
        if (text := module_text(notebook)) is None:
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
    except (KeyError, ValueError) as fault:
        sys.exit(f"{fault}: has every cell an id? make tidy gives one")
