"""Say with which arithmetic this process computes.

Nothing is taken from the environment: each fact is what the library in
question reports of itself, in this process, after it was loaded.
"""

import ctypes
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import threadpoolctl
import torch
from numpy._core._multiarray_umath import (
    __cpu_dispatch__,
    __cpu_features__,
)
from numpy.lib.introspect import opt_func_info

import lessons

ROOT = Path(__file__).resolve().parents[1]

# OpenBLAS's kernels for x86-64, oldest first, each with the feature, as
# NumPy calls it, that a processor needs to run it.
KERNELS = {
    "Prescott": "SSE3",
    "Nehalem": "SSE42",
    "Sandybridge": "AVX",
    "Haswell": "AVX2",
    "Zen": "AVX2",
    "SkylakeX": "AVX512_SKX",
    "Cooperlake": "AVX512BF16",
    "SapphireRapids": "AVX512_SPR",
}
# OpenBLAS names a kernel by the address of its table, oldest first, and on
# 64 bits the table of Katmai is that of Prescott.
SAME_TABLE = {"Katmai": "Prescott"}


def openblas() -> dict:
    """What threadpoolctl reports of the OpenBLAS that NumPy brings."""
    for library in threadpoolctl.threadpool_info():
        folder = Path(library["filepath"]).parent.name
        if library["internal_api"] == "openblas" and "numpy" in folder:
            return library
    raise RuntimeError("this NumPy brings no OpenBLAS of its own")


def printed(call: Callable) -> str:
    """Return what a call writes to standard output, from C too."""
    flush = ctypes.CDLL(None).fflush
    sys.stdout.flush()
    flush(None)
    kept = os.dup(1)
    with tempfile.TemporaryFile("w+") as file:
        os.dup2(file.fileno(), 1)
        try:
            call()
            flush(None)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read()


def mkl() -> tuple[str, int]:
    """Return the reproducibility mode and the threads of MKL's product."""
    a = torch.ones(64, 64, dtype=torch.float64)

    def product():
        with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):
            a @ a

    line = re.search(r"DGEMM.* CNR:(\S+) .*NThr:(\d+)", printed(product))
    if line is None:
        return "no report", 0
    return line[1], int(line[2])


def facts() -> dict:
    """Return what decides which instructions do the arithmetic."""
    blas = openblas()
    mode, threads = mkl()
    loops = {
        signature["current"]
        for signatures in opt_func_info(signature="float64").values()
        for signature in signatures.values()
    }
    kernel = blas["architecture"]
    features = [
        name for name in __cpu_dispatch__ if __cpu_features__[name]
    ]
    return {
        "OpenBLAS": SAME_TABLE.get(kernel, kernel),
        "OpenBLAS threads": blas["num_threads"],
        "NumPy's SIMD": " ".join(features) or "none",
        "NumPy's float64 loops": " ".join(sorted(loops)),
        "PyTorch": torch.backends.cpu.get_cpu_capability(),
        "PyTorch threads": torch.get_num_threads(),
        "MKL_CBWR": mode,
        "MKL threads": threads,
        "lessons of this tree": Path(lessons.__file__).parent
        == ROOT / "lessons",
    }


def build() -> dict:
    """Return what this NumPy and this processor could do."""
    library = ctypes.CDLL(openblas()["filepath"])
    return {
        "kernels": [
            name
            for name in KERNELS
            if hasattr(library, f"gotoblas_{name.upper()}")
        ],
        "runs": [
            name
            for name, feature in KERNELS.items()
            if __cpu_features__.get(feature)
        ],
        "simd": list(__cpu_dispatch__),
    }


def bits() -> dict:
    """Return a digest of results, to the last bit, for each library."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(256, 784)), rng.normal(size=(784, 256))
    x, z = a @ b, torch.from_numpy(a) @ torch.from_numpy(b)
    results = {
        "NumPy": [x, np.exp(x / 28), x.sum(axis=1)],
        "PyTorch": [z, torch.sigmoid(z / 28), z.sum(dim=1)],
    }
    return {
        name: hashlib.sha256(
            b"".join(np.asarray(array).tobytes() for array in arrays)
        ).hexdigest()
        for name, arrays in results.items()
    }


if __name__ == "__main__":
    print(json.dumps({"facts": facts(), "build": build(), "bits": bits()}))
