"""No row of `make reproduce` is green unless its setting took effect.

Most tests run on a computer made of a dictionary, which reads the
variables that the libraries read; the last two on this one.
"""

import csv
import platform
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import reproduce, strict
from tools.arithmetic import KERNELS
from tools.reproduce import Refused, Row, environment, kernel_row, main

SIMD = "X86_V3", "X86_V4", "AVX512_ICL"


class Computer:
    """What the libraries would report under given variables."""

    kernels = "Prescott", "Nehalem", "Haswell", "SkylakeX"
    runs = "Prescott", "Nehalem", "Haswell", "SkylakeX", "Zen"
    simd = SIMD
    torch = "AVX512"

    def facts(self, env):
        kernel = env.get("OPENBLAS_CORETYPE")
        if kernel not in self.kernels or kernel not in self.runs:
            kernel = "Haswell"
        off = env.get("NPY_DISABLE_CPU_FEATURES", "").split()
        simd = [name for name in self.simd if name not in off]
        asked = env.get("ATEN_CPU_CAPABILITY", self.torch)
        return {
            "OpenBLAS": kernel,
            "OpenBLAS threads": int(env["OPENBLAS_NUM_THREADS"]),
            "NumPy's SIMD": " ".join(simd) or "none",
            "NumPy's float64 loops": " ".join([*simd[:2], "baseline(2)"]),
            "PyTorch": asked.upper(),
            "PyTorch threads": int(env["OMP_NUM_THREADS"]),
            "MKL_CBWR": env.get("MKL_CBWR", "OFF"),
            "MKL threads": int(env["MKL_NUM_THREADS"]),
            "lessons of this tree": env["PYTHONPATH"]
            == str(reproduce.ROOT),
        }

    def prove(self, row, base=None):
        facts = self.facts(environment(row, base))
        build = {"kernels": self.kernels, "runs": self.runs, "simd": SIMD}
        bits = {"NumPy": facts["OpenBLAS"], "PyTorch": facts["MKL_CBWR"]}
        row.proof = {"facts": facts, "build": build, "bits": bits}


class Avx2(Computer):
    """A computer without AVX-512."""

    runs = Computer.runs[:3]
    simd = SIMD[:1]
    torch = "AVX2"


@pytest.fixture
def computer(monkeypatch):
    monkeypatch.setattr(reproduce, "prove", Computer().prove)


def test_every_row_is_proven_and_no_two_are_alike(computer):
    rows = reproduce.proven_rows()
    assert rows[0].name == "SkylakeX"  # the base: the newest
    assert {row.name: row.absent for row in rows if row.absent} == {
        "Sandybridge": "not in NumPy's OpenBLAS: OpenBLAS took Haswell",
        "Zen": "not in NumPy's OpenBLAS: OpenBLAS took Haswell",
        "Cooperlake": "not in NumPy's OpenBLAS: OpenBLAS took Haswell",
        "SapphireRapids": "not in NumPy's OpenBLAS: OpenBLAS took Haswell",
    }
    present = [row for row in rows if not row.absent]
    assert len({str(row.proof["facts"]) for row in present}) == 11


def test_what_the_processor_lacks_is_reported_and_not_run(monkeypatch):
    monkeypatch.setattr(reproduce, "prove", Avx2().prove)
    rows = {row.name: row for row in reproduce.proven_rows()}
    lacking = "not on this processor: OpenBLAS took Haswell"
    assert rows["SkylakeX"].absent == lacking
    same = "not on this processor: the same as Haswell"
    assert rows["numpy-avx2"].absent == rows["torch-avx2"].absent == same
    base = rows["Haswell"]
    line = reproduce.table_row(rows["SkylakeX"], base, "9 of 9", "equal")
    assert line[1:] == [lacking, "", "", "not run"]


def misspelt(row):
    return replace(row, env={f"{k}_": v for k, v in row.env.items()})


def test_a_kernel_whose_variable_is_misspelt_is_refused(
    computer, monkeypatch
):
    def broken(kernel):
        row = kernel_row(kernel)
        return misspelt(row) if kernel == "Nehalem" else row

    monkeypatch.setattr(reproduce, "kernel_row", broken)
    words = "Nehalem: the setting had no effect: .* OpenBLAS took Haswell"
    with pytest.raises(Refused, match=words):
        reproduce.proven_rows()


@pytest.mark.parametrize(
    "name",
    [
        "numpy-avx2",
        "numpy-none",
        "torch-avx2",
        "torch-default",
        "mkl",
        "oldest",
        "threads",
    ],
)
def test_a_row_whose_variable_is_misspelt_is_refused(
    computer, monkeypatch, name
):
    every = reproduce.other_rows

    def broken(base):
        return [misspelt(r) if r.name == name else r for r in every(base)]

    monkeypatch.setattr(reproduce, "other_rows", broken)
    with pytest.raises(
        Refused, match=f"{name}: the setting had no effect"
    ):
        reproduce.proven_rows()


def test_a_row_that_changes_more_than_it_states_is_refused(
    computer, monkeypatch
):
    every = reproduce.other_rows

    def broken(base):
        rows = every(base)
        rows[2].env["MKL_CBWR"] = "COMPATIBLE"
        return rows

    monkeypatch.setattr(reproduce, "other_rows", broken)
    words = "torch-avx2: .*MKL_CBWR: COMPATIBLE, expected OFF"
    with pytest.raises(Refused, match=words):
        reproduce.proven_rows()


def test_a_copy_of_another_row_is_refused():
    one = Row("one", "", {}, {}, proof={"facts": {"PyTorch": "AVX2"}})
    other = replace(one, name="other", env={"A": "1"})
    with pytest.raises(Refused, match="other is a copy of one"):
        reproduce.refuse_copies([one, other])


def test_a_base_with_more_than_one_thread_is_refused(
    computer, monkeypatch
):
    threads = reproduce.thread_settings
    monkeypatch.setattr(
        reproduce, "thread_settings", lambda n: threads(n + 1)
    )
    with pytest.raises(Refused, match="threads: 2, expected 1"):
        reproduce.proven_rows()


def test_nothing_of_the_callers_settings_reaches_a_row(monkeypatch):
    for name in (
        "ATEN_CPU_CAPABILITY",
        "MKL_CBWR",
        "NPY_ENABLE_CPU_FEATURES",
        "OPENBLAS_CORETYPE",
        "PYTEST_ADDOPTS",
        "PYTHONSTARTUP",
    ):
        monkeypatch.setenv(name, "foreign")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    env = environment(kernel_row("Nehalem"))
    assert "foreign" not in env.values()
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["OPENBLAS_CORETYPE"] == "Nehalem"


def test_kernels_are_listed_oldest_first():
    assert next(iter(KERNELS)) == "Prescott"
    assert list(KERNELS)[-1] == "SapphireRapids"


def stored(path, *texts, count=1):
    """Write a notebook whose cells print 0.25, with texts as stored."""
    cells = [
        new_code_cell(
            "print(0.25)",
            id=f"cell-{number}",
            execution_count=count and number,
            outputs=[new_output("stream", name="stdout", text=text)],
        )
        for number, text in enumerate(texts, 1)
    ]
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.parametrize(
    ("texts", "count", "words"),
    [
        (["0.25\n"], None, "not stored whole: make outputs"),
        ([], 1, "no cells to compare"),
    ],
)
def test_what_would_compare_nothing_is_refused(
    tmp_path, texts, count, words
):
    path = stored(tmp_path / "01-a.ipynb", *texts, count=count)
    with pytest.raises(Refused, match=words):
        reproduce.code_cells([path])


@pytest.fixture
def house(tmp_path, monkeypatch, computer):
    """A course of one notebook whose rows take no time to run."""
    results = tmp_path / "book" / "_results"
    results.mkdir(parents=True)
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce, "RESULTS", results)
    stored(tmp_path / "book" / "01-a.ipynb", "0.25\n", "0.25\n")
    return tmp_path


def green(notebook="01-a.ipynb", **changes):
    record = {"cell": "cell 1", "passed": True, "compared": True}
    record |= {"why": "", "stored": "", "printed": ""}
    return {"notebook": notebook, **record, **changes}


def two_green_cells(notebooks, env):
    yield from [green(notebooks[0].name), green(), green()]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ([], True),
        (["--row", "mkl"], False),
        (["--row", "mkl", "--row", "Nehalem"], False),
        (["book/01-a.ipynb"], False),
    ],
)
def test_only_a_full_run_is_stored(
    house, monkeypatch, capsys, arguments, kept
):
    monkeypatch.chdir(house)
    monkeypatch.setattr(strict, "cells", two_green_cells)
    assert main(arguments) == 0
    files = sorted(path.name for path in reproduce.RESULTS.iterdir())
    names = ["reproduce-setting.csv", "reproduce.csv"]
    assert files == (names if kept else [])
    assert ("only a full run is stored" in capsys.readouterr().out) != kept
    if kept:
        with open(reproduce.RESULTS / "reproduce.csv", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == list(reproduce.HEAD)
        assert len(rows) == 16
        results = [row[3:] for row in rows[1:]]
        assert results.count(["2 of 2", "equal"]) == 11
        assert results.count(["", "not run"]) == 4


DIFFERS = green(
    passed=False,
    why="Cell outputs differ",
    stored="a\nloss 0.25",
    printed="a\nloss 0.26",
)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([green()], "1 of 2 cells were run"),
        (
            [green(), DIFFERS],
            "01-a.ipynb, cell 1: Cell outputs differ\n"
            "    stored:  loss 0.25\n    printed: loss 0.26\n",
        ),
    ],
)
def test_a_row_that_fails_is_named_and_nothing_is_stored(
    house, monkeypatch, capsys, records, words
):
    def cells(notebooks, env):
        yield green(notebooks[0].name)
        yield from records if "MKL_CBWR" in env else [green(), green()]

    monkeypatch.setattr(strict, "cells", cells)
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert words in out
    assert "2 rows failed; nothing is stored" in err  # mkl, and oldest
    assert not list(reproduce.RESULTS.iterdir())


def test_a_run_in_which_a_module_changed_is_not_stored(
    house, monkeypatch, capsys
):
    def cells(notebooks, env):
        (house / "lessons" / "a.py").write_text("changed = True")
        yield from two_green_cells(notebooks, env)

    (house / "lessons").mkdir()
    monkeypatch.setattr(strict, "cells", cells)
    assert main([]) == 1
    assert "changed during the run" in capsys.readouterr().err
    assert not list(reproduce.RESULTS.iterdir())


def test_an_unknown_row_is_refused_with_those_that_are(house, capsys):
    assert main(["--row", "nosuch"]) == 1
    err = capsys.readouterr().err
    assert "no row {'nosuch'}; there are: SkylakeX Prescott" in err


x86_only = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="the kernels that are named here are those of x86-64",
)


@pytest.fixture(scope="module")
def nehalem():
    """A row proven on this computer, as base and as row."""
    row = kernel_row("Nehalem")
    reproduce.prove(row)
    assert row.proof["facts"]["OpenBLAS"] == "Nehalem"
    return row


@x86_only
def test_one_changed_digit_is_named_with_both_texts(nehalem, tmp_path):
    path = stored(tmp_path / "01-a.ipynb", "0.25\n", "0.26\n")
    ticks = []
    compared, differences = reproduce.compare(
        nehalem, nehalem, [path], 2, lambda row, ran: ticks.append(ran)
    )
    assert (compared, ticks) == (2, [1, 2])
    assert differences == [
        "01-a.ipynb, cell 2 (id cell-2): Cell outputs differ\n"
        "    stored:  0.26\n    printed: 0.25"
    ]


@x86_only
def test_a_kernel_that_computes_otherwise_than_proven_is_refused(
    nehalem, tmp_path
):
    path = stored(tmp_path / "01-a.ipynb", "0.25\n")
    facts = {**nehalem.proof["facts"], "OpenBLAS": "Prescott"}
    other = replace(nehalem, proof={"facts": facts})
    with pytest.raises(Refused, match=r"proof-of-Nehalem\.ipynb, cell 1"):
        reproduce.compare(other, other, [path], 1, lambda row, ran: None)
