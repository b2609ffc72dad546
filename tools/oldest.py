"""Check the course with the oldest versions: ``make test-oldest``.

``pyproject.toml`` says from which numpy, matplotlib and scikit-learn on
the course runs. Run as a program, this file prints the requirements of an
environment with exactly those, the pinned torch and the pinned tools.
Loaded by pytest as a plugin (``-p tools.oldest``), it refuses to run any
check with other versions. It leaves out the tests that look at the built
site: that is made from the stored outputs, and no number is computed.
"""

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
# One version is offered for each platform: the pin.
UNBOUND = ("torch",)
SITE = {"site", "browser"}  # the fixtures of tests/conftest.py


def bounds(pyproject: str) -> dict[str, Version]:
    """Return the lowest admitted version of each package, torch aside.

    Raises ValueError for a dependency without exactly one lower bound.
    """
    found = {}
    for line in tomllib.loads(pyproject)["project"]["dependencies"]:
        requirement = Requirement(line)
        lower = [s for s in requirement.specifier if s.operator == ">="]
        if len(lower) != 1:
            raise ValueError(f"{line}: not one lower bound")
        found[requirement.name] = Version(lower[0].version)
    return {name: v for name, v in found.items() if name not in UNBOUND}


def current_bounds() -> dict[str, Version]:
    return bounds((ROOT / "pyproject.toml").read_text(encoding="utf8"))


def replaced(pins: str, lowest: dict[str, Version]) -> str:
    """Return pins, ``name==version  # why`` a line, with the lowest in.

    Raises ValueError for a package that the pins do not name.
    """
    lines, missing = [], set(lowest)
    for line in pins.splitlines():
        name = re.match(r"[\w.-]*", line)[0]
        if name in lowest:
            line = f"{name}=={lowest[name]}"
            missing.discard(name)
        if not line.startswith("-c "):
            lines.append(line)
    if missing:
        raise ValueError(f"not among the pins: {', '.join(missing)}")
    return "".join(f"{line}\n" for line in lines)


def faults(lowest: dict[str, Version]) -> list[str]:
    """Return what is installed in another version than the lowest."""
    return [
        f"{name} {version(name)} is installed, not the {bound} that"
        " pyproject.toml admits: remove .venv-oldest and run"
        " make test-oldest"
        for name, bound in lowest.items()
        if Version(version(name)) != bound
    ]


def pytest_configure(config):
    if found := faults(current_bounds()):
        raise pytest.UsageError("\n".join(found))


def pytest_report_header(config):
    names = *current_bounds(), *UNBOUND
    return "oldest: " + ", ".join(f"{n} {version(n)}" for n in names)


def looks_at_the_site(item) -> bool:
    # The cells of a notebook are items without fixtures.
    return bool(SITE & set(getattr(item, "fixturenames", ())))


def pytest_collection_modifyitems(config, items):
    """Leave out, and count as deselected, what looks at the site."""
    site = [item for item in items if looks_at_the_site(item)]
    items[:] = [item for item in items if not looks_at_the_site(item)]
    if site:
        config.hook.pytest_deselected(items=site)


def main() -> None:
    both = [
        (ROOT / name).read_text(encoding="utf8")
        for name in ("requirements.txt", "constraints.txt")
    ]
    lowest = current_bounds()
    sys.stdout.write("".join(replaced(pins, lowest) for pins in both))


if __name__ == "__main__":
    main()
