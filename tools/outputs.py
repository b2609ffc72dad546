"""Run notebooks and store what they print: ``make outputs``.

Each notebook is run from top to bottom in a fresh kernel, in its own
folder, and rewritten in one canonical form, so that a second run changes
nothing. A notebook that fails, or that prints what another computer would
not, stays as it was.
"""

import copy
import os
import re
import sys
import time
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

# Of a notebook's metadata, what its readers need: a kernel, and a language
# for the colours. A version or an editor's state would change by computer.
NOTEBOOK_METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
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


class Refused(Exception):
    """A notebook that is not to be stored, and why."""


def label(number: int, cell: NotebookNode) -> str:
    """Name a cell as a person finds it: counted from 1, and by its id."""
    return f"cell {number} (id {cell.get('id')})"


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
            where = label(number, cell)
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


def run(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell in a fresh kernel and put its outputs in place."""
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
            try:
                client.execute_cell(cell, number - 1)
            except (CellExecutionError, DeadKernelError) as error:
                plain = re.sub(r"\x1b\[[\d;]*m", "", str(error))
                where = label(number, cell)
                raise Refused(f"{where}: {plain.strip()}") from None
            if cell.cell_type == "code" and not cell.execution_count:
                raise Refused(f"{label(number, cell)}: empty")


def pixels(png: str) -> tuple:
    with Image.open(BytesIO(b64decode(png))) as image:
        return image.mode, image.size, image.tobytes()


def keep_pictures(old: NotebookNode, new: NotebookNode) -> None:
    """Put a stored picture back where only its encoding has changed.

    Another version of matplotlib or zlib writes other bytes for the same
    pixels; they would be a change that nobody can see.
    """
    stored = {cell.id: cell.get("outputs", []) for cell in old.cells}
    for cell in new.cells:
        pairs = zip(stored[cell.id], cell.get("outputs", []), strict=False)
        for before, after in pairs:
            was = before.get("data", {}).get("image/png")
            now = after.get("data", {}).get("image/png")
            if was and now and pixels(was) == pixels(now):
                after.data["image/png"] = was


def store(path: Path) -> str:
    """Run one notebook and rewrite it; return what became of it."""
    start = time.monotonic()
    stored = path.read_text(encoding="utf8")
    old = nbformat.reads(stored, as_version=4)
    new = copy.deepcopy(old)
    run(new, path.parent)
    if faults := output_faults(new):
        raise Refused(*faults)
    keep_pictures(old, new)
    text = canonical(new)
    if text != stored:
        # A whole file or none, if the computer stops halfway.
        draft = path.with_suffix(".ipynb.new")
        draft.write_text(text, encoding="utf8", newline="\n")
        os.replace(draft, path)
    state = "unchanged" if text == stored else "written"
    return f"{state}, {time.monotonic() - start:.0f} s"


def main(paths: list[str]) -> int:
    refused = 0
    for path in paths:
        print(f"{path}: ", end="", flush=True)
        try:
            print(store(Path(path)))
        except Refused as refusal:
            refused += 1
            print("refused, left as it was", flush=True)
            for fault in refusal.args:
                print(f"{path}, {fault}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
