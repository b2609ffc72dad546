"""The wheel carries the code and the data, and works from anywhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tools.alone import ROOT, pip

DATA = ["data/SOURCES.md", "data/exams.csv", "data/mnist.npz"]

LOAD = """
import sys
import lessons
from lessons.datasets import load_exams, load_mnist

print(lessons.__file__)
for arrays in load_exams(), load_mnist():
    print(*(f"{array.shape} {array.dtype}" for array in arrays))
assert "sklearn" not in sys.modules, "loading imported scikit-learn"
assert "torch" not in sys.modules, "loading imported torch"
"""


def run(*command, cwd):
    """Run a command; show what it printed if it fails."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    said = f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, said
    return done.stdout


def test_the_wheel_holds_every_module_and_all_data(wheel):
    modules = [path.name for path in (ROOT / "lessons").glob("*.py")]
    assert "datasets.py" in modules
    with zipfile.ZipFile(wheel) as members:
        held = set(members.namelist())
    missing = {f"lessons/{name}" for name in modules + DATA} - held
    assert not missing, (
        f"{wheel.name} lacks {', '.join(sorted(missing))}: see packages "
        "and package-data in pyproject.toml"
    )


def test_the_installed_package_loads_its_data(wheel, tmp_path):
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip("install", wheel, "--target", target)
    first = f"import sys; sys.path.insert(0, {str(target)!r})"
    said = run(sys.executable, "-c", f"{first}\n{LOAD}", cwd=elsewhere)
    place, *arrays = said.splitlines()
    assert Path(place).parent == target / "lessons"
    assert arrays == [
        "(25, 3) float64 (25,) float64",
        "(70000, 784) uint8 (70000,) int64",
    ]
