"""Run notebooks and report, cell by cell, whether they print the same.

nbval does the comparing. ``cells`` starts it in an environment of the
caller's choice and yields a record for each cell as it ends; this file is
also the program that it starts.
"""

import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # started by its path, from any folder
    sys.path.insert(0, str(ROOT))

from tools.outputs import label, texts  # noqa: E402


class Failed(Exception):
    """nbval itself did not come to its end."""


def text(outputs: Sequence) -> str:
    return "\n".join(part for output in outputs for part in texts(output))


def changed_lines(stored: str, printed: str) -> list[str]:
    """Return the lines that are in one of the texts, with their side."""
    sides = {"-": "stored:  ", "+": "printed: "}
    lines = difflib.ndiff(stored.splitlines(), printed.splitlines())
    return [
        sides[line[0]] + line[2:] for line in lines if line[0] in sides
    ]


class Recorder:
    """A pytest plugin that writes one line of JSON for each cell."""

    def __init__(self, stream):
        self.stream = stream

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.when == "call" or report.failed:
            record = self.record(item, call, report)
            print(json.dumps(record), file=self.stream, flush=True)
        return report

    @staticmethod
    def record(item, call, report) -> dict:
        cells = item.parent.nb.cells
        number = 1 + next(i for i, c in enumerate(cells) if c is item.cell)
        # nbval passes a cell without a count, whatever it prints.
        counted = item.cell.execution_count is not None
        return {
            "notebook": item.path.name,
            "cell": label(number, item.cell),
            "passed": report.passed,
            "compared": bool(item.options["check"]) and counted,
            "why": str(call.excinfo.value) if call.excinfo else "",
            "stored": text(item.cell.outputs),
            "printed": text(item.test_outputs or []),
        }


def describe(record: Mapping) -> str:
    """Name notebook and cell of a failure, and show the two texts."""
    lines = changed_lines(record["stored"], record["printed"])
    head = f"{record['notebook']}, {record['cell']}: {record['why']}"
    return "\n    ".join([head, *lines])


def cells(
    notebooks: Sequence[Path], env: Mapping[str, str]
) -> Iterator[dict]:
    """Run the notebooks one after another and yield a record per cell.

    Raises Failed, with what nbval said, if it broke off.
    """
    command = [sys.executable, __file__, *map(str, notebooks)]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process:
            yield from map(json.loads, process.stdout)
        # 1: some test failed, and its record says which.
        if process.returncode not in (0, 1):
            said.seek(0)
            raise Failed(said.read()[-2000:])


def main(notebooks: list[str]) -> int:
    # Standard output is for the records; whatever pytest or a kernel
    # writes there goes to standard error.
    stream = os.fdopen(os.dup(1), "w", encoding="utf8")
    os.dup2(2, 1)
    options = ["--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    options += ["-c", str(ROOT / "pyproject.toml"), "--color=no"]
    return pytest.main([*options, *notebooks], plugins=[Recorder(stream)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
