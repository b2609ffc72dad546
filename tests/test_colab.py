"""On Colab a notebook installs the course, and nothing else anywhere.

Each set-up cell is run by IPython in a process of its own, where pip is a
stand-in that writes down how it was called, and where google.colab is
loaded or is not. A call is recorded as pip itself gets it, whichever way
the cell makes it.
"""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest

from tools.repoint import ROOT, repository

NOTEBOOKS = sorted(ROOT.glob("book/*.ipynb"))
COURSE = f"git+https://github.com/{repository()}"
QUIET = {"-q", "--quiet"}

PIP = """\
import json, os, sys
with open(os.environ["PIP_CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
"""
RUN = """\
import sys
from types import ModuleType
from IPython.core.interactiveshell import InteractiveShell

if sys.argv[1] == "colab":
    for name in "google", "google.colab":
        sys.modules[name] = ModuleType(name)
shell = InteractiveShell.instance()
shell.run_cell(sys.stdin.read()).raise_error()
"""
# What IPython adds of its own to what %pip prints.
NOTE = re.compile(r"Note: you may need to restart the kernel.*\n?")


@pytest.fixture
def run(tmp_path):
    """A function: run a cell here or on Colab; what it says and calls."""
    stand_in = tmp_path / "stand-in"
    stand_in.mkdir()
    (stand_in / "pip.py").write_text(PIP)  # for python -m pip
    for name in "pip", "pip3":
        command = stand_in / name
        command.write_text(f"#!{sys.executable}\n{PIP}")
        command.chmod(0o755)
    calls = tmp_path / "calls"
    path = os.pathsep.join([str(stand_in), os.environ["PATH"]])
    changed = {
        "PIP_CALLS": str(calls),
        "PATH": path,
        "PYTHONPATH": str(stand_in),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }

    def run(source, where):
        calls.write_text("")
        done = subprocess.run(
            [sys.executable, "-c", RUN, where],
            input=source,
            cwd=tmp_path,
            env={**os.environ, **changed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = NOTE.sub("", done.stdout + done.stderr)
        called = calls.read_text().splitlines()
        return said, [json.loads(call) for call in called]

    return run


def faults(calls):
    """Return what is wrong with the calls of pip that a cell makes."""
    if len(calls) != 1:
        return [f"{len(calls)} calls of pip, not 1: {calls}"]
    command, *arguments = calls[0]
    found = [] if command == "install" else [f"pip {command}, not install"]
    if "--no-deps" not in arguments:
        found.append(
            "without --no-deps, which keeps Colab's numpy and torch"
        )
    rest = [a for a in arguments if a not in {"--no-deps", *QUIET}]
    if rest != [COURSE]:
        found.append(f"installs {rest}, not {[COURSE]} as in _config.yml")
    return found


def cells(path):
    """Return the code cells of a notebook; the first one sets it up."""
    every = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in every if cell.cell_type == "code"]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return cells(request.param)


def test_on_colab_the_course_is_installed_and_nothing_else(notebook, run):
    said, calls = run(notebook[0], "colab")
    assert not faults(calls), "; ".join(faults(calls))
    assert said == ""


def test_elsewhere_nothing_is_done(notebook, run):
    assert run(notebook[0], "elsewhere") == ("", [])


def test_no_later_cell_installs_anything(notebook):
    installer = re.compile(
        r"\b(pip3?|conda|mamba|uv|apt(-get)?)\b.*install"
    )
    found = [source for source in notebook[1:] if installer.search(source)]
    assert not found, f"installs after the set-up cell:\n{found[0]}"


GOOD = "%pip install -q --no-deps {course}"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (GOOD, None),
        ("!pip install --no-deps {course}", None),
        ("%pip install -q {course}", "without --no-deps"),
        (GOOD + " numpy", "'numpy'"),
        (GOOD + "\n%pip install -q torch", "2 calls of pip"),
        ("%pip install --no-deps -r requirements.txt", "requirements.txt"),
        (GOOD.replace("{course}", "{course}-2"), "as in _config.yml"),
        (GOOD.replace("install", "download"), "pip download"),
        (
            "import subprocess as s, sys\n"
            "s.run([sys.executable, '-m', 'pip', 'install', 'a'])",
            "installs ['a']",
        ),
        ("x = 1", "0 calls of pip"),
    ],
)
def test_a_faulty_set_up_is_found(run, source, fault):
    _, calls = run(source.format(course=COURSE), "colab")
    found = faults(calls)
    assert fault in "; ".join(found) if fault else found == []


def test_a_call_outside_colab_is_found(run):
    assert run("print(1)\n%pip install a", "elsewhere") == (
        "1\n",
        [["install", "a"]],
    )
