"""Compare every stored output under other arithmetic: ``make reproduce``.

A row of the table is a numeric environment: a kernel of OpenBLAS, NumPy's
vector instructions, PyTorch's, MKL's, a number of threads. Before anything
is compared, each row proves in a process of its own that its setting took
effect and that nothing else changed; and the first cell that its notebooks
run, in a Jupyter kernel, must report the same. A row that this computer
cannot have is reported as such and never as a success. The table is stored
for the site by a full run alone.

    make reproduce
    make reproduce ROWS="Nehalem mkl"
    .venv/bin/python tools/reproduce.py --row Nehalem book/01-chain.ipynb
"""

import argparse
import csv
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # started by its path, from any folder
    sys.path.insert(0, str(ROOT))

from tools import strict  # noqa: E402
from tools.arithmetic import KERNELS  # noqa: E402
from tools.bench import processor  # noqa: E402

RESULTS = ROOT / "book" / "_results"
HEAD = "Setting", "Proof", "Last bits", "Cells compared", "Result"
# What the base must report, whatever the computer.
PLAIN = {
    "OpenBLAS threads": 1,
    "PyTorch threads": 1,
    "MKL threads": 1,
    "MKL_CBWR": "OFF",
    "lessons of this tree": True,
}
# Whatever in the caller's environment could change a row, or the checks.
FOREIGN = (
    "ATEN_",
    "DNNL_",
    "GOMP_",
    "GOTO_",
    "KMP_",
    "MKL_",
    "NPY_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTEST_",
    "PYTHON",
)
REPORT = """\
import json
from tools.arithmetic import facts
print(json.dumps(facts()))"""


class Refused(Exception):
    """A row whose proof fails, or whose result is not to be recorded."""


@dataclass
class Row:
    """A numeric environment: what it sets, and which facts change."""

    name: str
    setting: str
    env: dict[str, str]
    changes: dict
    kernel: str | None = None
    threads: int = 1
    proof: dict = field(default_factory=dict)
    absent: str = ""


def thread_settings(count: int) -> dict[str, str]:
    variables = "OMP", "OPENBLAS", "MKL"
    return {f"{name}_NUM_THREADS": str(count) for name in variables}


def kernel_row(kernel: str) -> Row:
    return Row(
        kernel,
        f"OpenBLAS kernel {kernel}",
        {"OPENBLAS_CORETYPE": kernel},
        {"OpenBLAS": kernel},
        kernel=kernel,
    )


def other_rows(base: Row) -> list[Row]:
    """Return the rows that vary another thing than OpenBLAS's kernel."""
    build, own = base.proof["build"], base.proof["facts"]
    no_512 = [
        n for n in build["simd"] if n.startswith(("X86_V4", "AVX512"))
    ]
    left = [n for n in own["NumPy's SIMD"].split() if n not in no_512]
    loops = own["NumPy's float64 loops"].split()
    baseline = [name for name in loops if name.startswith("baseline")]
    no_simd = {
        "NumPy's SIMD": "none",
        "NumPy's float64 loops": " ".join(baseline),
    }
    off = {"NPY_DISABLE_CPU_FEATURES": " ".join(build["simd"])}
    oldest = kernel_row(build["kernels"][0])
    default = {"ATEN_CPU_CAPABILITY": "default"}, {"PyTorch": "DEFAULT"}
    mkl = {"MKL_CBWR": "COMPATIBLE"}, {"MKL_CBWR": "COMPATIBLE"}
    two = {key: 2 for key in own if key.endswith("threads")}
    return [
        Row(
            "numpy-avx2",
            "NumPy's AVX-512 loops off",
            {"NPY_DISABLE_CPU_FEATURES": " ".join(no_512)},
            {
                "NumPy's SIMD": " ".join(left) or "none",
                "NumPy's float64 loops": " ".join(
                    name for name in loops if name in left + baseline
                ),
            },
        ),
        Row("numpy-none", "NumPy's SIMD loops off", off, no_simd),
        Row(
            "torch-avx2",
            "PyTorch's kernels at AVX2",
            {"ATEN_CPU_CAPABILITY": "avx2"},
            {"PyTorch": "AVX2"},
        ),
        Row(
            "torch-default", "PyTorch's kernels at their oldest", *default
        ),
        Row("mkl", "MKL in its compatible mode", *mkl),
        Row(
            "oldest",
            "All of these at their oldest",
            {**oldest.env, **off, **default[0], **mkl[0]},
            {**oldest.changes, **no_simd, **default[1], **mkl[1]},
        ),
        Row("threads", "Two threads", thread_settings(2), two, threads=2),
    ]


def environment(row: Row, base: Row | None = None) -> dict[str, str]:
    """Return the environment of a row: the base's, and what it changes."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)
    }
    return {
        **kept,
        "PYTHONPATH": str(ROOT),  # the tree's lessons, and its tools
        "PYTHONDONTWRITEBYTECODE": "1",
        # Or MKL takes fewer threads than it is told.
        "MKL_DYNAMIC": "FALSE",
        **thread_settings(1),
        **(base.env if base else {}),
        **row.env,
    }


def prove(row: Row, base: Row | None = None) -> None:
    """Ask a fresh Python with a row's environment for its facts."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "arithmetic.py"],
        env=environment(row, base),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        row.proof = json.loads(done.stdout.splitlines()[-1])
    elif done.returncode > 0:
        raise Refused(f"{row.name}: no proof:\n{done.stderr.strip()}")
    # Below zero a signal stopped it: an instruction that is not there.


def judge_kernel(row: Row, build: dict) -> None:
    """Note why a kernel cannot be had; refuse one that is only not set."""
    kernel = row.proof["facts"]["OpenBLAS"] if row.proof else None
    if kernel == row.kernel:
        return
    took = f"OpenBLAS took {kernel}" if kernel else "it stops by a signal"
    if row.kernel not in build["kernels"]:
        row.absent = f"not in NumPy's OpenBLAS: {took}"
    elif row.kernel not in build["runs"]:
        row.absent = f"not on this processor: {took}"
    else:
        raise Refused(
            f"{row.name}: the setting had no effect: asked for {row.env},"
            f" {took}"
        )


def judge(row: Row, base: Row) -> None:
    """Refuse a row whose facts are not the base's with its changes."""
    own = base.proof["facts"]
    if row is not base and {**own, **row.changes} == own:
        row.absent = f"not on this processor: the same as {base.name}"
        return
    if not row.proof:
        raise Refused(f"{row.name}: stopped by a signal, without a proof")
    expected = {**own, **PLAIN, **row.changes}
    faults = [
        f"{key}: {row.proof['facts'].get(key)}, expected {value}"
        for key, value in expected.items()
        if row.proof["facts"].get(key) != value
    ]
    if faults:
        raise Refused(
            f"{row.name}: the setting had no effect, or another one: "
            + "; ".join(faults)
        )


def refuse_copies(rows: Sequence[Row]) -> None:
    for one, other in combinations(rows, 2):
        if one.proof["facts"] == other.proof["facts"]:
            raise Refused(
                f"{other.name} is a copy of {one.name}: both report"
                f" {other.proof['facts']}"
            )


def processors() -> int:
    return os.cpu_count() or 1


def proven_rows() -> list[Row]:
    """Return every row with its proof; the first is the base.

    The base is the newest kernel that this computer has, with one thread
    and everything else as it comes.

    Raises Refused if a setting had no effect, an effect of another kind,
    or the same as another row's.
    """
    plain = Row("plain", "", {}, {})
    prove(plain)
    if not plain.proof:
        raise Refused("NumPy or PyTorch does not run on this computer")
    build = plain.proof["build"]
    kernels = [kernel_row(kernel) for kernel in KERNELS]
    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(prove, kernels))
        for row in kernels:
            judge_kernel(row, build)
        had = [row for row in kernels if not row.absent]
        if not had:
            raise Refused("no kernel of OpenBLAS could be chosen")
        base = had[-1]
        others = other_rows(base)
        list(pool.map(lambda row: prove(row, base), others))
    rows = [base, *(row for row in kernels if row is not base), *others]
    for row in rows:
        if not row.absent:
            judge(row, base)
    refuse_copies([row for row in rows if not row.absent])
    return rows


def digest(notebooks: Sequence[Path]) -> str:
    """Return one digest of the notebooks and of what they import."""
    paths = [*notebooks, *sorted(ROOT.glob("lessons/**/*.py"))]
    parts = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def code_cells(notebooks: Sequence[Path]) -> int:
    """Count the code cells; refuse those that nbval would not compare."""
    count = 0
    for path in notebooks:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                count += 1
                if cell.execution_count is None:
                    raise Refused(
                        f"{path}: not stored whole: make outputs"
                    )
    if not count:
        raise Refused("there are no cells to compare")
    return count


def report_notebook(folder: Path, row: Row) -> Path:
    """Write a notebook that prints the facts, with the proof as stored."""
    line = json.dumps(row.proof["facts"]) + "\n"
    cell = new_code_cell(
        REPORT,
        execution_count=1,
        outputs=[new_output("stream", name="stdout", text=line)],
    )
    path = folder / f"proof-of-{row.name}.ipynb"
    nbformat.write(new_notebook(cells=[cell]), path)
    return path


def compare(
    row: Row,
    base: Row,
    notebooks: Sequence[Path],
    expected: int,
    tick: Callable[[Row, int], None],
) -> tuple[int, list[str]]:
    """Run the notebooks in a row; return cells compared and differences.

    Raises Refused if the kernel does not report what the row has proven,
    or if not as many cells were run as expected.
    """
    env = environment(row, None if row is base else base)
    ran = compared = 0
    differences = []
    with tempfile.TemporaryDirectory() as name:
        report = report_notebook(Path(name), row)
        for record in strict.cells([report, *notebooks], env):
            if record["notebook"] == report.name:
                if not record["passed"]:
                    raise Refused(strict.describe(record))
                continue
            ran += 1
            compared += record["compared"]
            tick(row, ran)
            if not record["passed"]:
                differences.append(strict.describe(record))
    if ran != expected:
        raise Refused(f"{row.name}: {ran} of {expected} cells were run")
    return compared, differences


class Progress:
    """One line on the terminal that says what is going on."""

    def __init__(self, rows: Sequence[Row], cells: int):
        self.total, self.cells = len(rows), cells
        self.running: dict[str, int] = {}
        self.ended = 0
        self.lock = threading.Lock()

    def tick(self, row: Row, ran: int) -> None:
        with self.lock:
            self.running[row.name] = ran
            self.show()

    def end(self, row: Row) -> None:
        with self.lock:
            self.running.pop(row.name, None)
            self.ended += 1
            self.show()

    def show(self) -> None:
        if sys.stderr.isatty():
            now = [
                f"{k} {n}/{self.cells}" for k, n in self.running.items()
            ]
            line = f"{self.ended} of {self.total} rows; {', '.join(now)}"
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def print(self, text: str) -> None:
        with self.lock:
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr, flush=True)
            print(text, flush=True)


def proof_text(row: Row, base: Row) -> str:
    """Say what the libraries reported; of a row, what it changes."""
    told = {
        "OpenBLAS": "OpenBLAS {}",
        "NumPy's SIMD": "NumPy {}",
        "PyTorch": "PyTorch {}",
        "MKL_CBWR": "MKL CNR {}",
        "OpenBLAS threads": "OpenBLAS threads {}",
        "PyTorch threads": "PyTorch threads {}",
        "MKL threads": "MKL threads {}",
    }
    keys = row.proof["facts"] if row is base else row.changes
    return "; ".join(
        text.format(row.proof["facts"][key])
        for key, text in told.items()
        if key in keys
    )


def bits_text(row: Row, base: Row) -> str:
    """Say whose results differ from the base's in the last bits."""
    if row is base:
        return ""
    own, others = row.proof["bits"], base.proof["bits"]
    differ = [name for name in own if own[name] != others[name]]
    return f"differ in {' and '.join(differ)}" if differ else "equal"


def table_row(row: Row, base: Row, cells: str, result: str) -> list[str]:
    setting = row.setting
    if row is base:
        setting += ", one thread, all else as it comes"
    if row.absent:
        return [setting, row.absent, "", "", "not run"]
    texts = proof_text(row, base), bits_text(row, base)
    return [setting, *texts, cells, result]


def run(
    rows: Sequence[Row], base: Row, notebooks: Sequence[Path]
) -> tuple[list[list[str]], int]:
    """Run rows, as many at once as there are processors; print each.

    Returns the table and the number of rows that failed.
    """
    total = code_cells(notebooks)
    present = [row for row in rows if not row.absent]
    progress = Progress(present, total)
    table, failed = [], 0

    def one(row: Row):
        start = time.monotonic()
        try:
            if row.absent:
                return 0, [], 0.0
            done = compare(row, base, notebooks, total, progress.tick)
            return *done, time.monotonic() - start
        except (Refused, strict.Failed) as refusal:
            return 0, [str(refusal)], time.monotonic() - start
        finally:
            if not row.absent:
                progress.end(row)

    def show(row: Row, compared: int, faults: list[str], took: float):
        nonlocal failed
        failed += bool(faults)
        result = "differs" if faults else "equal"
        line = table_row(row, base, f"{compared} of {total}", result)
        table.append(line)
        seconds = "" if row.absent else f"{took:.0f} s"
        progress.print(f"{row.name:15}" + " | ".join([*line, seconds]))
        for fault in faults:
            progress.print(f"  {fault}")

    alone = [row for row in rows if row.threads > 1]
    together = [row for row in rows if row.threads == 1]
    with ThreadPoolExecutor(processors()) as pool:
        for row, done in zip(
            together, pool.map(one, together), strict=True
        ):
            show(row, *done)
    for row in alone:
        show(row, *one(row))
    return table, failed


def store(name: str, rows: Sequence[Sequence[str]]) -> None:
    with open(RESULTS / name, "w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows(rows)


def setting(notebooks: Sequence[Path]) -> list[list[str]]:
    names = "numpy", "scikit-learn", "matplotlib", "torch"
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    cells = (
        f"{len(notebooks)} notebooks, {code_cells(notebooks)} code cells"
    )
    return [
        ["what", "this run"],
        ["compared on", datetime.date.today().isoformat()],
        ["processor", processor()],
        ["versions", versions],
        ["compared", cells],
    ]


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--row", action="append", help="only this row")
    parser.add_argument("notebooks", nargs="*", type=Path)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    chosen = arguments(argv)
    every = sorted(ROOT.glob("book/*.ipynb"))
    notebooks = [path.resolve() for path in chosen.notebooks] or every
    try:
        rows = proven_rows()
        base, names = rows[0], [row.name for row in rows]
        wanted = chosen.row or names
        if unknown := set(wanted) - set(names):
            raise Refused(
                f"no row {unknown}; there are: {' '.join(names)}"
            )
        before = digest(every)
        picked = [row for row in rows if row.name in wanted]
        table, failed = run(picked, base, notebooks)
        if failed:
            raise Refused(f"{failed} rows failed; nothing is stored")
        if digest(every) != before:
            raise Refused("notebooks or modules changed during the run")
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    if chosen.row or chosen.notebooks:
        print("a part of the table; only a full run is stored")
        return 0
    store("reproduce.csv", [HEAD, *table])
    store("reproduce-setting.csv", setting(notebooks))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
