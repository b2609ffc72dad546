"""No row of `make reproduce` is equal unless its setting took effect."""

import csv

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import reproduce
from tools.reproduce import ROWS, main

# A processor of a dictionary: what each variable makes a library say.
PLAIN = {
    **{"OpenBLAS": "SkylakeX", "PyTorch": "AVX512", "MKL": "OFF"},
    **dict.fromkeys(["X86_V3", "X86_V4", "AVX512_ICL"], "on"),
    "AVX512_SPR": "off",
    **dict.fromkeys(reproduce.EACH_THREADS, 1),
}
FEATURES = {row.needs: True for row in ROWS.values()}


def ask(row):
    env = reproduce.environment(row)
    off = env.get("NPY_DISABLE_CPU_FEATURES", "").split()
    return PLAIN | dict.fromkeys(off, "off") | {
        "OpenBLAS": env.get("OPENBLAS_CORETYPE", "SkylakeX"),
        "PyTorch": env.get("ATEN_CPU_CAPABILITY", "AVX512").upper(),
        "MKL": env.get("MKL_CBWR", "OFF"),
        "OpenBLAS threads": int(env.get("OPENBLAS_NUM_THREADS", 4)),
        "PyTorch threads": int(env.get("OMP_NUM_THREADS", 4)),
        "MKL threads": int(env.get("MKL_NUM_THREADS", 4)),
    }, FEATURES


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Rows that take no time, and a folder for the table."""
    monkeypatch.setattr(reproduce, "ask", ask)
    monkeypatch.setattr(reproduce, "compare", lambda *what: ("9", ""))
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    return tmp_path


def test_a_full_run_that_is_equal_is_stored(house):
    assert main([], []) == 0
    with open(house / "reproduce.csv", encoding="utf-8") as file:
        results = [row[2:] for row in csv.reader(file)][1:]
    # SkylakeX is what this processor takes anyway.
    assert results.count(["9", "equal"]) == len(ROWS) - 1
    assert results.count(["", "not run"]) == 1


def test_rows_can_be_chosen_by_name(house, capsys):
    assert main(["mkl", "Nehalem"], []) == 0
    assert list(house.iterdir()) == []
    said = capsys.readouterr().out
    assert "mkl: MKL in its compatible mode | MKL COMPATIBLE | 9" in said
    assert "plain:" not in said
    assert main(["nosuch"], []) == 1
    assert "no row {'nosuch'}; there are: plain" in capsys.readouterr().out


# SkylakeX is the processor's own: misspelt or not, nothing changes.
@pytest.mark.parametrize("name", sorted({*ROWS} - {"plain", "SkylakeX"}))
def test_a_setting_without_effect_fails(house, monkeypatch, capsys, name):
    row = ROWS[name]
    misspelt = {
        f"{variable}_": value for variable, value in row.env.items()
    }
    monkeypatch.setitem(ROWS, name, row._replace(env=misspelt))
    assert main([], []) == 1
    assert "the setting had no effect" in capsys.readouterr().out
    assert list(house.iterdir()) == []


def test_threads_that_are_not_set_fail(house, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "threads", lambda count: {})
    assert main(["plain"], []) == 1
    assert "OpenBLAS threads 4; " in capsys.readouterr().out


def test_a_setting_that_changes_more_fails(house, monkeypatch, capsys):
    env = ROWS["Nehalem"].env | ROWS["mkl"].env
    monkeypatch.setitem(ROWS, "Nehalem", ROWS["Nehalem"]._replace(env=env))
    assert main(["Nehalem"], []) == 1
    assert "MKL COMPATIBLE, expected MKL OFF" in capsys.readouterr().out


def test_what_the_processor_lacks_is_not_run(house, monkeypatch, capsys):
    monkeypatch.setitem(FEATURES, ROWS["Haswell"].needs, False)
    assert main(["Haswell"], []) == 0
    assert "no AVX2 on this processor | " in capsys.readouterr().out


def test_the_callers_own_settings_reach_no_row(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    env = reproduce.environment(ROWS["plain"])
    assert "MKL_CBWR" not in env
    assert env["OMP_NUM_THREADS"] == "1"


def test_a_changed_digit_differs(tmp_path, capsys):
    """Nothing stands in for anything: this computer, and nbval."""
    paths = [tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"]
    for path, text in zip(paths, ["0.25\n", "0.26\n"], strict=True):
        stored = new_output("stream", name="stdout", text=text)
        cell = new_code_cell(
            "print(0.25)", execution_count=1, outputs=[stored]
        )
        nbformat.write(new_notebook(cells=[cell]), path)
    assert main(["torch-default"], paths) == 1
    said = capsys.readouterr().out
    assert "| PyTorch DEFAULT | 1 | differs\n" in said
    assert r"'0.26\n' == '0.25\n'" in said
