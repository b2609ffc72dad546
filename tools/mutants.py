"""Break the modules on purpose and see the tests fail: ``make mutants``.

mutmut changes one thing in one function at a time, a sign, a number, a
word, and runs the tests that reach the function; pyproject.toml says
which. A mutant that passes them all has survived: either a test is
missing, or the change changes nothing that matters, and then
tests/survivors.toml says why.

Works in the current folder, the course's. With names of modules, such as
``chain xor``, for those alone; only a whole run that finds nothing wrong
writes the table of the site. To look at a mutant afterwards:
``.venv/bin/mutmut show NAME``.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

MUTANTS = Path("mutants")  # mutmut's copy of the course
SURVIVORS = Path("tests", "survivors.toml")
TABLE = Path("book", "_results", "mutants.csv")
LEAST = 0.95  # of all mutants
STATUSES = ["killed", "survived", "no tests", "timeout"]
SUSPICIOUS = 35  # mutmut's exit code for it
COLUMNS = ["module", "mutants", *STATUSES]
# A thread each: mutmut runs as many mutants at a time as there are cores.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Change(NamedTuple):
    """What a mutant is, whichever number mutmut gives it."""

    function: str  # chain.Linear.forward
    was: str  # the lines that it takes out, as one
    now: str  # the lines that it puts in, as one


def function_of(mutant):
    """chain.Linear.forward for lessons.chain.xǁLinearǁforward__mutmut_1.

    Outside a class: chain.train for lessons.chain.x_train__mutmut_1.
    """
    module, name = re.fullmatch(
        r"lessons\.(\w+)\.x(.+)__mutmut_\d+", mutant
    ).groups()
    name = name[1:].replace("ǁ", ".")
    return f"{module}.{name}"


def change_of(mutant, difference):
    """The Change that a unified difference shows."""
    body = difference.splitlines()[2:]
    was, now = (
        " ".join(line[1:].strip() for line in body if line[0] == sign)
        for sign in "-+"
    )
    return Change(function_of(mutant), was, now)


def read_changes(mutants):
    """{mutant: Change} for each, from mutmut's copy."""
    return {
        mutant: change_of(
            mutant,
            get_diff_for_mutant(
                mutant, path=f"lessons/{mutant.split('.')[1]}.py"
            ),
        )
        for mutant in mutants
    }


def read_survivors(path):
    """A Counter of the listed Changes; ValueError where a reason lacks."""
    listed = Counter()
    for entry in tomllib.loads(path.read_text("utf-8"))["survivor"]:
        if not entry["reason"].strip():
            raise ValueError(f"{path}: no reason for {entry['was']}")
        for now in entry["now"]:
            listed[Change(entry["function"], entry["was"], now)] += 1
    return listed


def pytest_sessionfinish(exitstatus):
    """As a plugin of mutmut's pytest: no verdict without the tests.

    Where one is not found by its name, mutmut would count the mutant as
    killed. (A name with a line break is not, the second time that one
    process collects it.)
    """
    if exitstatus == pytest.ExitCode.USAGE_ERROR:
        os._exit(SUSPICIOUS)


def run(*command, cwd=None, **environment):
    subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **THREADS, **environment},
        check=True,
    )


def run_mutmut(arguments):
    """Make every mutant anew; test those of the named modules, or all."""
    shutil.rmtree(MUTANTS, ignore_errors=True)
    mutmut = Path(sys.executable).with_name("mutmut")
    run(mutmut, "run", *(f"lessons.{name}.*" for name in arguments))


def read_statuses(modules):
    """{mutant: status} for each of the modules, from mutmut's copy."""
    found = {}
    for name in modules:
        data = SourceFileMutationData(path=f"lessons/{name}.py")
        data.load()
        for mutant, code in data.exit_code_by_key.items():
            found[mutant] = status_by_exit_code[code]
    return found


def run_without_mutant():
    """Run the tests as mutmut does for a mutant, but without one.

    Each by its name, the quickest first. If that alone made a test fail,
    or a name did not lead to its test, every mutant would seem killed.
    """
    stats = (MUTANTS / "mutmut-stats.json").read_text("utf-8")
    durations = json.loads(stats)["duration_by_test"]
    names = sorted(durations, key=durations.get)
    (MUTANTS / "names").write_text("\n".join(names), "utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--rootdir=."]
    run(*command, "@names", cwd=MUTANTS, MUTANT_UNDER_TEST="")


def tabulate(statuses, modules):
    """A row for each module, and one for all."""
    rows = []
    for name in modules:
        counts = Counter(
            status
            for mutant, status in statuses.items()
            if mutant.startswith(f"lessons.{name}.")
        )
        row = [name, counts.total()]
        rows.append(row + [counts[status] for status in STATUSES])
    numbers = zip(*(row[1:] for row in rows), strict=True)
    return [*rows, ["all", *map(sum, numbers)]]


def write_table(rows):
    """Store what the site shows: what is not killed has survived."""
    lines = [["module", "mutants", "killed", "survived"]]
    for name, total, killed, *_ in rows:
        lines.append([name, total, killed, total - killed])
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def complaints(statuses, changes, listed):
    """Yield what is wrong: with mutants, then with the list.

    statuses: {mutant: status}. changes: {mutant: Change}, of survivors
    at least. listed: a Counter of Changes.
    """
    survived = Counter()
    for mutant, status in statuses.items():
        if status in ("survived", "no tests"):
            change = changes[mutant]
            survived[change] += 1
            if survived[change] > listed[change]:
                yield (
                    f"{change.function}: {status}\n  - {change.was}\n"
                    f"  + {change.now}\n  Write a test that fails on it "
                    f"({mutant}),\n  or say in {SURVIVORS} why none can."
                )
        elif status != "killed":  # a timeout, a crash: no verdict
            yield f"{mutant}: {status}\n  Run it again on its own."
    for change in listed - survived:
        known = change in changes.values()
        why = "a test kills it now" if known else "there is no such mutant"
        yield (
            f"{change.function}: listed in {SURVIVORS}, but {why}\n"
            f"  - {change.was}\n  + {change.now}\n  Take it off the list."
        )


def main(arguments):
    every = sorted(
        path.stem
        for path in Path("lessons").glob("*.py")
        if path.stem != "__init__"
    )
    modules = arguments or every
    if unknown := set(modules) - set(every):
        print(f"Not in lessons: {unknown}; there are {every}")
        return 2
    listed = Counter(
        {
            change: count
            for change, count in read_survivors(SURVIVORS).items()
            if not arguments or change.function.split(".")[0] in modules
        }
    )
    try:
        run_mutmut(arguments)
        run_without_mutant()
    except subprocess.CalledProcessError:
        print("The tests must pass before anything is broken: see above.")
        return 1
    statuses = read_statuses(modules)
    functions = {change.function for change in listed}
    changes = read_changes(
        mutant
        for mutant, status in statuses.items()
        if status in ("survived", "no tests")
        or function_of(mutant) in functions
    )

    rows = tabulate(statuses, modules)
    print(("{:10}" + "{:>10}" * 5).format(*COLUMNS))
    for row in rows:
        print(("{:10}" + "{:10}" * 5).format(*row))
    wrong = list(complaints(statuses, changes, listed))
    _, total, killed, *_ = rows[-1]
    share = killed / total
    print(f"{share:.1%} killed, at least {LEAST:.0%} wanted")
    print(*wrong, sep="\n")
    if wrong or share < LEAST:
        return 1
    if not arguments:
        write_table(rows)
        print(f"{TABLE}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
