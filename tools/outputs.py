"""Run notebooks and store what they print: ``make outputs``.

Each notebook is run from top to bottom in a fresh kernel, in its own
folder, and rewritten in one canonical form, so that a second run changes
nothing. A notebook that fails, or that prints what another computer would
not, stays as it was. ``make tidy`` rewrites the form alone, runs nothing.
"""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from tools.pixels import described

# Of a notebook's metadata, what its readers need: a kernel, and a language
# for the colours. A version or an editor's state would change by computer.
KERNEL = {"display_name": "Python 3", "name": "python3"}
NOTEBOOK_METADATA = {
    "kernelspec": {**KERNEL, "language": "python"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"cellView", "jupyter", "mystnb", "tags"}

NOT_PORTABLE = {
    "an absolute path": re.compile(
        r"(?<![\w./:<-])/(?:[\w.+@-]+/)+|\b[A-Z]:\\|\bsite-packages\b"
    ),
    "a warning": re.compile(r"\b\w*Warning: "),
    "an object's address": re.compile(r"\bat 0x[0-9a-fA-F]+"),
}


def texts(output: NotebookNode) -> list[str]:
    """Return the parts of an output that are read as text."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [f"{output.ename}: {output.evalue}"]
    return [
        part
        for kind, part in output.data.items()
        if kind.startswith("text/") or kind == "image/svg+xml"
    ]


def output_faults(notebook: NotebookNode) -> list[str]:
    """Return what no stored output may hold."""
    faults = []
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            where = f"cell {number} (id {cell.get('id')})"
            if output.get("name") == "stderr":
                faults.append(f"{where}: writes to stderr: {output.text}")
            text = "\n".join(texts(output))
            for what, pattern in NOT_PORTABLE.items():
                if found := pattern.search(text):
                    line = text[: found.end()].splitlines()[-1]
                    faults.append(f"{where}: prints {what}: {line}...")
    return faults


def canonical_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Merge neighbouring streams; drop metadata and tracebacks."""
    kept: list[NotebookNode] = []
    for output in outputs:
        stream = output.get("name")
        if stream and kept and kept[-1].get("name") == stream:
            kept[-1].text += output.text
            continue
        if "metadata" in output:
            output.metadata = NotebookNode()
        if output.output_type == "error":
            # Its lines hold colour codes, and paths outside the notebook.
            output.traceback = texts(output)
        kept.append(output)
    return kept


def canonical(notebook: NotebookNode) -> str:
    """Return the text of a notebook in the one form that is stored."""
    cells = copy.deepcopy(notebook.cells)
    for cell in cells:
        for key in set(cell.metadata) - CELL_METADATA:
            del cell.metadata[key]
        if cell.cell_type == "code":
            cell.outputs = canonical_outputs(cell.outputs)
    form = {"nbformat": 4, "nbformat_minor": 5}
    kept = NotebookNode(cells=cells, metadata=NOTEBOOK_METADATA, **form)
    return nbformat.writes(kept) + "\n"


def committed_ids(path: Path) -> dict[str, str]:
    """Return the id of each cell in the last commit, by its source."""
    git = ["git", "show", f"HEAD:./{path.name}"]
    try:
        said = subprocess.run(git, cwd=path.parent, capture_output=True)
        cells = json.loads(said.stdout)["cells"]
    except (OSError, ValueError):  # no git, or no such file in it
        return {}
    return {"".join(cell["source"]): cell.get("id") for cell in cells}


def name_cells(notebook: NotebookNode, path: Path) -> None:
    """Give each cell an id of its own.

    Colab writes none, nbstripout numbers, and a copied cell has that of
    its original. What the cell was called in the last commit comes first.
    """
    before, known = committed_ids(path), set()
    for cell in notebook.cells:
        names = cell.get("id", ""), before.get(cell.source) or ""
        free = [
            n for n in names if n and not n.isdigit() and n not in known
        ]
        cell.id = free[0] if free else f"cell-{uuid4().hex[:8]}"
        known.add(cell.id)


def run(notebook: NotebookNode, folder: Path) -> list[str]:
    """Run the cells in a fresh kernel up to a fault, which is returned."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(execution_count=None, outputs=[])
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=None,
        record_timing=False,
        resources={"metadata": {"path": folder}},
        # Without it, every kernel prints a warning on the terminal.
        config=Config(KernelManager={"transport_encryption": "auto"}),
    )
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells, 1):
            where = f"cell {number} (id {cell.id})"
            try:
                client.execute_cell(cell, number - 1)
            except (CellExecutionError, DeadKernelError) as error:
                plain = re.sub(r"\x1b\[[\d;]*m", "", str(error))
                return [f"{where}: {plain.strip()}"]
            if cell.cell_type == "code" and not cell.execution_count:
                return [f"{where}: empty"]
    return output_faults(notebook)


def keep_pictures(old: NotebookNode, new: NotebookNode) -> None:
    """Put a stored picture back where only its encoding has changed.

    Another version of matplotlib or zlib writes other bytes for the same
    pixels; they would be a change that nobody can see.
    """
    for before, after in zip(old.cells, new.cells, strict=True):
        for was, now in zip(
            before.get("outputs", []),
            after.get("outputs", []),
            strict=False,
        ):
            png = was.get("data", {}).get("image/png")
            drawn = now.get("data", {}).get("image/png")
            if png and drawn and described(png) == described(drawn):
                now.data["image/png"] = png


def main(arguments: list[str]) -> int:
    refused = 0
    for path in map(Path, [a for a in arguments if a != "--tidy"]):
        stored = path.read_text(encoding="utf8")
        old = nbformat.reads(stored, as_version=4)
        name_cells(old, path)
        new = copy.deepcopy(old)
        faults = []
        if "--tidy" not in arguments:
            faults = run(new, path.parent)
            keep_pictures(old, new)
        text = canonical(new)
        if faults:
            refused += 1
            print(f"{path}: refused, left as it was", *faults, sep="\n  ")
        elif text == stored:
            print(f"{path}: unchanged")
        else:
            # A whole file or none, if the computer stops halfway.
            draft = path.with_suffix(".ipynb.new")
            draft.write_text(text, encoding="utf8", newline="\n")
            os.replace(draft, path)
            print(f"{path}: written")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
