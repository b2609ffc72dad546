"""Run each notebook on its own, compare its outputs: ``make notebooks``.

A reader who downloads one notebook has the packages and the course's
wheel, and no repository. So the wheel is built and installed into an
environment that sees the packages beside this interpreter, and not the
tree; each notebook is copied into an empty folder; and nbval runs it
there, strictly. A notebook that reads a file by its path, or a module that
the wheel lacks, fails. So does one that leaves a file behind.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOR_THE_WHEEL = "pyproject.toml", "README.md", "LICENSE"
# What could lead a kernel back to the tree.
FOREIGN = "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"
# By file: a notebook's cells are run in order, in one kernel.
NBVAL = "-m pytest --nbval --nbval-current-env -n 2 --dist loadfile"


def pip(*arguments: object) -> None:
    """Run pip without the network; show what it says only if it fails."""
    options = "--no-deps", "--no-index", "--disable-pip-version-check"
    command = [sys.executable, "-m", "pip", *arguments, *options]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"pip {arguments[0]} failed:\n{done.stdout}")


def build_wheel(folder: Path) -> Path:
    """Build the course's wheel in a folder, from a copy of the tree."""
    source = folder / "source"
    bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lessons", source / "lessons", ignore=bytecode)
    for name in FOR_THE_WHEEL:
        if not (ROOT / name).is_file():
            raise FileNotFoundError(f"pyproject.toml needs {name}")
        shutil.copy(ROOT / name, source)
    wheels = folder / "wheels"
    pip("wheel", source, "--no-build-isolation", "--wheel-dir", wheels)
    (wheel,) = wheels.iterdir()
    return wheel


def make_environment(folder: Path, wheel: Path) -> Path:
    """Make an environment of the packages and a wheel; return its Python.

    Python reads no .pth file in a folder that a .pth file names, and by
    such a file the tree is installed here: it stays out of sight.
    """
    venv.create(folder, symlinks=os.name != "nt")
    inside = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", inside))
    # First, while pip sees no other installation of the course.
    pip("install", wheel, "--target", packages)
    beside = {sysconfig.get_path(key) for key in ("purelib", "platlib")}
    lines = "".join(f"{path}\n" for path in sorted(beside))
    (packages / "beside.pth").write_text(lines, encoding="utf8")
    scripts = Path(sysconfig.get_path("scripts", "venv", inside))
    return scripts / Path(sys.executable).name


def lay_out(notebooks: list[Path], folder: Path) -> list[Path]:
    """Copy each notebook into a folder of its own."""
    copies = []
    for notebook in notebooks:
        alone = folder / notebook.stem
        alone.mkdir(parents=True)
        copies.append(Path(shutil.copy(notebook, alone)))
    # Or pytest would look for its settings further up.
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
    return copies


def leftovers(notebook: Path) -> list[str]:
    """Return what lies in a notebook's folder beside it."""
    return sorted(
        str(path.relative_to(notebook.parent))
        for path in notebook.parent.rglob("*")
        if path != notebook
    )


def compare(python: Path, notebooks: list[Path]) -> bool:
    """Run notebooks where they lie; return whether all print the same."""
    kept = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    command = [python, *NBVAL.split(), "-p", "no:cacheprovider"]
    rootdir = notebooks[0].parents[1]
    done = subprocess.run([*command, *notebooks], cwd=rootdir, env=kept)
    return done.returncode == 0


def main(paths: list[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copies = lay_out([Path(path) for path in paths], folder / "alone")
        python = make_environment(folder / "env", build_wheel(folder))
        same = compare(python, copies)
        strewn = False
        for copy in copies:
            if left := leftovers(copy):
                strewn = True
                print(f"{copy.name} left behind: {', '.join(left)}")
    return 0 if same and not strewn else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
