"""Compare every output under other arithmetic: ``make reproduce``.

Each row is an environment in which the libraries choose other
instructions, or more threads. A fresh Python first says what they chose:
a setting that had no effect, or another one as well, fails. Then nbval
runs the notebooks, as strictly as ever. A row for which this processor
lacks the instructions, or that changes nothing on it, is not run, and the
table says so. Only a run of all rows stores the table for the site.

    make reproduce
    make reproduce ROWS="Nehalem Haswell"
"""

import csv
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from tools.notebooks import NBVAL

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "_results"
# The caller's settings of these would change a row.
FOREIGN = "ATEN_", "MKL_", "NPY_", "OMP_", "OPENBLAS_", "PYTEST_"
# What the libraries say of themselves. MKL does so at each product.
PROBE = """
import json, threadpoolctl, torch
import numpy as np
from numpy._core._multiarray_umath import __cpu_features__
[blas] = threadpoolctl.ThreadpoolController().select(
    internal_api="openblas").info()
simd = np.show_config(mode="dicts")["SIMD Extensions"]
torch.ones(64, 64).double() @ torch.ones(64, 64).double()
print(json.dumps([{
    "OpenBLAS": blas["architecture"].replace("Katmai", "Prescott"),
    "OpenBLAS threads": blas["num_threads"],
    **dict.fromkeys(simd.get("found", []), "on"),
    **dict.fromkeys(simd.get("not found", []), "off"),
    "PyTorch": torch.backends.cpu.get_cpu_capability(),
    "PyTorch threads": torch.get_num_threads(),
}, __cpu_features__]))
"""


class Row(NamedTuple):
    setting: str  # what the site calls it
    env: dict  # the variables that it sets
    says: dict  # what the libraries must say then, unlike plainly
    needs: str = ""  # the instructions for it, as NumPy calls them


def kernel(name):
    env = {"OPENBLAS_CORETYPE": name}
    needs = KERNELS[name]
    return Row(f"OpenBLAS kernel {name}", env, {"OpenBLAS": name}, needs)


def numpy_without(setting, *names):
    env = {"NPY_DISABLE_CPU_FEATURES": " ".join(names)}
    return Row(setting, env, dict.fromkeys(names, "off"))


def threads(count):
    names = "OMP", "OPENBLAS", "MKL"
    return {f"{name}_NUM_THREADS": str(count) for name in names}


KERNELS = {  # and the instructions that they need
    **{"Prescott": "SSE3", "Nehalem": "SSE42", "Sandybridge": "AVX"},
    **{"Haswell": "AVX2", "SkylakeX": "AVX512_SKX"},
}
AVX512 = "X86_V4", "AVX512_ICL", "AVX512_SPR"
EACH_THREADS = "OpenBLAS threads", "PyTorch threads", "MKL threads"
ROWS = {
    "plain": Row(
        "One thread, all else as it comes",
        {},
        dict.fromkeys(EACH_THREADS, 1),
    ),
    **{name: kernel(name) for name in KERNELS},
    "numpy-avx2": numpy_without("NumPy's AVX-512 loops off", *AVX512),
    "numpy-none": numpy_without(
        "NumPy's vector loops off", "X86_V3", *AVX512
    ),
    "torch-default": Row(
        "PyTorch's kernels at their oldest",
        {"ATEN_CPU_CAPABILITY": "default"},
        {"PyTorch": "DEFAULT"},
    ),
    "mkl": Row(
        "MKL in its compatible mode",
        {"MKL_CBWR": "COMPATIBLE"},
        {"MKL": "COMPATIBLE"},
    ),
    "threads": Row(
        "Two threads", threads(2), dict.fromkeys(EACH_THREADS, 2)
    ),
}


def environment(row):
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)
    }
    # MKL_DYNAMIC: or MKL takes fewer threads than it is told.
    plain = {"PYTHONPATH": str(ROOT), "MKL_DYNAMIC": "FALSE"}
    return {**kept, **plain, **threads(1), **row.env}


def ask(row):
    """Return what the libraries say, and what the processor can do."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**environment(row), "MKL_VERBOSE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said, features = json.loads(done.stdout.splitlines()[-1])
    found = re.search(r"GEMM.* CNR:(\S+) .*NThr:(\d+)", done.stdout)
    mode, count = found.groups() if found else ("silent", 0)
    return {**said, "MKL": mode, "MKL threads": int(count)}, features


def listed(said, keys):
    return "; ".join(f"{key} {said[key]}" for key in keys)


def judge(row, plain, features):
    """Return what the libraries say in a row, and why it cannot be run.

    plain: what they say without the row's settings. The second text is
    empty where nothing stands in the way.
    """
    if row.needs and not features.get(row.needs):
        return f"no {row.needs} on this processor", "not run"
    said, _ = ask(row)
    wanted = {**plain, **row.says}
    if wrong := [key for key in wanted if said[key] != wanted[key]]:
        found = f"{listed(said, wrong)}, expected {listed(wanted, wrong)}"
        return found, "the setting had no effect, or another one as well"
    if row.env and wanted == plain:
        return "changes nothing on this processor", "not run"
    return listed(said, row.says if row.env else said), ""


def compare(row, notebooks):
    """Run the notebooks; return how many cells passed, and any fault."""
    done = subprocess.run(
        [sys.executable, *NBVAL.split(), "-p", "tools.pixels"]
        + ["-p", "no:cacheprovider"]
        + [str(path) for path in notebooks],
        cwd=ROOT,
        env=environment(row),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    passed = re.search(r"(\d+) passed", done.stdout)
    fault = done.stdout if done.returncode else ""
    return passed[1] if passed else "0", fault


def processor():
    """The processor's name, as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
        return re.search(r"model name\s*: (.*)", text)[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def store(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main(names, notebooks):
    if unknown := set(names) - set(ROWS):
        print(f"no row {unknown}; there are: {' '.join(ROWS)}")
        return 1
    plain, features = ask(ROWS["plain"])
    table = [["Setting", "What the libraries say", "Cells", "Result"]]
    for name in names or ROWS:
        said, result = judge(ROWS[name], plain, features)
        cells, fault = "", ""
        if not result:
            cells, fault = compare(ROWS[name], notebooks)
            result = "differs" if fault else "equal"
        table.append([ROWS[name].setting, said, cells, result])
        print(f"{name}: {' | '.join(table[-1])}\n{fault}", flush=True)
    failed = {row[-1] for row in table[1:]} - {"equal", "not run"}
    if failed or names:
        print("nothing is stored: only a full run that is equal is")
        return int(bool(failed))
    packages = "numpy", "scikit-learn", "matplotlib", "torch"
    setting = [
        ["what", "this run"],
        ["compared on", datetime.date.today().isoformat()],
        ["processor", processor()],
        ["versions", ", ".join(f"{p} {version(p)}" for p in packages)],
    ]
    store(RESULTS / "reproduce.csv", table)
    store(RESULTS / "reproduce-setting.csv", setting)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sorted(ROOT.glob("book/*.ipynb"))))
