"""Run each notebook on its own, compare its outputs: ``make notebooks``.

A reader who downloads one notebook has the packages and the course's
wheel, and no repository. So the wheel is built and unpacked into an empty
folder, each notebook is copied into one of its own, and nbval runs it
there, strictly, pictures included. A notebook that reads a file by its
path, or a module that the wheel lacks, fails. So does one that leaves a
file behind.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOR_THE_WHEEL = "pyproject.toml", "README.md", "LICENSE"
# By file: a notebook's cells are run in order, in one kernel.
NBVAL = "-m pytest --nbval --nbval-current-env -n 2 --dist loadfile"


def pip(*arguments: object) -> None:
    """Run pip without the network; show what it says only if it fails."""
    options = "--no-deps", "--no-index", "--disable-pip-version-check"
    command = [sys.executable, "-m", "pip", *arguments, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"pip {arguments[0]}: {done.stdout}{done.stderr}")


def build_wheel(folder: Path) -> Path:
    """Build the course's wheel in a folder, from a copy of the tree."""
    source, wheels = folder / "source", folder / "wheels"
    bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lessons", source / "lessons", ignore=bytecode)
    for name in FOR_THE_WHEEL:
        shutil.copy(ROOT / name, source)
    pip("wheel", source, "--no-build-isolation", "--wheel-dir", wheels)
    return next(wheels.iterdir())


def main(notebooks: list[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        course = folder / "course"
        pip("install", build_wheel(folder), "--target", course)
        alone = folder / "alone"
        for notebook in map(Path, notebooks):
            (alone / notebook.stem).mkdir(parents=True)
            shutil.copy(notebook, alone / notebook.stem)
        # Or pytest would look for its settings further up.
        (alone / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
        # Another matplotlib draws the same picture with other pixels.
        drawn_by = f"matplotlib=={version('matplotlib')}"
        if drawn_by in (ROOT / "constraints.txt").read_text().split():
            shutil.copy(ROOT / "tools/pixels.py", alone / "conftest.py")
        else:
            print(f"{drawn_by}: pictures are not compared", flush=True)
        nbval = [sys.executable, *NBVAL.split(), "-p", "no:cacheprovider"]
        code = subprocess.run(
            [*nbval, alone],
            cwd=alone,
            # Found before the tree, which is installed, too.
            env={**os.environ, "PYTHONPATH": str(course)},
        ).returncode
        for path in sorted(alone.glob("*/*")):
            if path.name != f"{path.parent.name}.ipynb":
                print(f"{path.parent.name} left behind: {path.name}")
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
