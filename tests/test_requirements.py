"""What is installed: the pins, and the wheel that a reader gets."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, metadata

import pytest
from packaging.specifiers import SpecifierSet

from tools.notebooks import ROOT, build_wheel, pip

OLDEST = "3.11.0"  # Python, as in the Makefile's lock
DATA = ["data/SOURCES.md", "data/exams.csv", "data/mnist.npz"]
LOAD = """
import sys
from lessons.datasets import load_exams, load_mnist

for arrays in load_exams(), load_mnist():
    print(*(f"{array.shape} {array.dtype}" for array in arrays))
print({"sklearn", "torch"} & set(sys.modules))
"""


def pins(name):
    text = (ROOT / name).read_text("utf8")
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M))


def test_every_pin_admits_the_oldest_python():
    faults = []
    for name, pin in pins("constraints.txt").items():
        try:
            about = metadata(name)
        except PackageNotFoundError:
            continue  # a pin for another platform
        if about["Version"].split("+")[0] != pin:
            faults.append(f"{name} is not {pin} here: make install")
        elif OLDEST not in SpecifierSet(about["Requires-Python"] or ""):
            asked = about["Requires-Python"]
            faults.append(f"{name} {pin} asks for {asked}: make lock")
    assert not faults, "\n".join(faults)


def test_the_constraints_pin_what_is_required():
    constraints = pins("constraints.txt")
    for name in "requirements-site.txt", "requirements.txt":
        assert pins(name).items() <= constraints.items(), "make lock"


def test_the_oldest_versions_are_the_bounds_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    bounds = [
        re.fullmatch(r"([\w-]+)>=([\d.]+)", line).groups()
        for line in project["project"]["dependencies"]
    ]
    for name, pin in pins("requirements-oldest.txt").items():
        bound = dict(bounds)[name]
        assert pin == f"{bound}.0", f"{name}>={bound} in pyproject.toml"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_every_module_and_all_data(wheel):
    modules = [path.name for path in (ROOT / "lessons").glob("*.py")]
    with zipfile.ZipFile(wheel) as members:
        held = members.namelist()
    missing = {f"lessons/{name}" for name in modules + DATA} - set(held)
    assert not missing, "see packages and package-data in pyproject.toml"
    assert any(name.endswith("/LICENSE") for name in held)


def test_the_installed_package_loads_its_data(wheel, tmp_path):
    pip("install", wheel, "--target", tmp_path)
    said = subprocess.check_output(
        [sys.executable, "-c", LOAD],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True,
    )
    assert said.splitlines() == [
        "(25, 3) float64 (25,) float64",
        "(70000, 784) uint8 (70000,) int64",
        "set()",
    ]


# A cell is run by IPython where pip only says how it is called.
PIP = "import json, sys\nprint(json.dumps(sys.argv[1:]))"
RUN = """
import sys
from types import ModuleType
from IPython.core.interactiveshell import InteractiveShell

if sys.argv[1] == "Colab":
    sys.modules["google.colab"] = ModuleType("google.colab")
InteractiveShell.instance().run_cell(sys.stdin.read()).raise_error()
"""


@pytest.mark.parametrize("where", ["Colab", "elsewhere"])
def test_on_colab_the_course_is_installed_and_nothing_else(
    where, tmp_path
):
    """test_notebooks.py sees to it that every chapter has this cell."""
    chapter = json.loads((ROOT / "book/01-chain.ipynb").read_text("utf8"))
    config = (ROOT / "_config.yml").read_text("utf8")
    [url] = re.findall(r"^  url: (\S+)$", config, re.M)
    (tmp_path / "pip.py").write_text(PIP)
    said = subprocess.run(
        [sys.executable, "-c", RUN, where],
        input="".join(chapter["cells"][1]["source"]),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    calls = [json.loads(c) for c in re.findall(r"^\[.*\]", said, re.M)]
    # Without --no-deps, Colab's own numpy and torch would be replaced.
    install = ["install", "-q", "--no-deps", f"git+{url}"]
    assert calls == ([install] if where == "Colab" else [])
