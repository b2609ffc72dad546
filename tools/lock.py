"""Resolve requirements.txt anew and write constraints.txt: ``make lock``.

Runs on any Python 3.11 with pip; the environment it builds is thrown away.
"""

import re
import subprocess
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = (
    "# Every version that requirements.txt resolves to;"
    " written by `make lock`.\n"
)
# What torch brings along on Linux with CUDA and nowhere else: it pins
# these itself, and a lock file must not depend on where it was written.
PLATFORM = ("nvidia-", "cuda-", "triton")


def pins(frozen: str) -> str:
    """Return the constraints file for what ``pip freeze`` printed."""
    lines = [
        # torch==2.13.0+cpu is one build of torch==2.13.0.
        re.sub(r"\+[\w.]+$", "", line)
        for line in frozen.splitlines()
        if not line.startswith(PLATFORM)
    ]
    return HEADER + "".join(f"{line}\n" for line in lines)


def main() -> None:
    wanted = (ROOT / "requirements.txt").read_text(encoding="utf8")
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(
            wanted.replace("-c constraints.txt\n", ""), encoding="utf8"
        )
        venv.create(Path(folder, "venv"), with_pip=True)
        pip = [Path(folder, "venv", "bin", "python"), "-m", "pip"]
        subprocess.run(
            [*pip, "install", "--quiet", "-r", requirements], check=True
        )
        frozen = subprocess.run(
            [*pip, "freeze"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    CONSTRAINTS.write_text(pins(frozen), encoding="utf8")
    print(f"{CONSTRAINTS.name}: written")


if __name__ == "__main__":
    main()
