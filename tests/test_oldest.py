"""The oldest versions are those of pyproject.toml, and proven in use."""

from importlib.metadata import version
from types import SimpleNamespace

import pytest
from packaging.version import Version

from tools import oldest
from tools.oldest import ROOT, bounds, faults, replaced

PYPROJECT = """\
[project]
dependencies = ["numpy>=2.0", "torch>=2.3", "scikit-learn>=1.5,<9"]"""
PINS = """\
-c constraints.txt
numpy==2.4.6   # the arrays
torch==2.13.0
scikit-learn==1.9.1
numpydoc==1.0"""


def test_the_bounds_are_read_from_pyproject():
    lowest = bounds(PYPROJECT)
    expected = {"numpy": Version("2.0"), "scikit-learn": Version("1.5")}
    assert lowest == expected


def test_the_project_states_a_bound_for_what_is_taken_at_its_oldest():
    names = {"numpy", "matplotlib", "scikit-learn"}
    assert set(oldest.current_bounds()) == names


@pytest.mark.parametrize("spec", ["numpy", "numpy==2.0", "numpy>2.0"])
def test_a_dependency_without_a_lower_bound_is_refused(spec):
    text = PYPROJECT.replace("numpy>=2.0", spec)
    with pytest.raises(ValueError, match=f"{spec}: not one lower bound"):
        bounds(text)


def test_the_lowest_versions_take_the_place_of_the_pins():
    lines = replaced(PINS, bounds(PYPROJECT)).splitlines()
    assert lines == [
        "numpy==2.0",
        "torch==2.13.0",
        "scikit-learn==1.5",
        "numpydoc==1.0",
    ]


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt"])
def test_the_projects_pins_name_every_bound(name):
    lowest = oldest.current_bounds()
    lines = replaced((ROOT / name).read_text("utf8"), lowest).splitlines()
    assert {f"{k}=={v}" for k, v in lowest.items()} <= set(lines)


def test_a_package_that_is_not_pinned_is_refused():
    with pytest.raises(ValueError, match="not among the pins: other"):
        replaced(PINS, {"other": Version("1.0")})


def test_a_newer_version_than_the_bound_stops_every_check(monkeypatch):
    older = {"numpy": Version("1.0")}
    (fault,) = faults(older)
    assert fault.startswith(f"numpy {version('numpy')} is installed, not")
    monkeypatch.setattr(oldest, "current_bounds", lambda: older)
    with pytest.raises(pytest.UsageError, match="make test-oldest"):
        oldest.pytest_configure(None)


def test_the_bounds_themselves_are_let_pass(monkeypatch):
    same = {"numpy": Version(version("numpy"))}
    assert faults(same) == []
    monkeypatch.setattr(oldest, "current_bounds", lambda: same)
    oldest.pytest_configure(None)
    report = oldest.pytest_report_header(None)
    assert report.startswith(f"oldest: numpy {version('numpy')}, torch ")


def test_only_what_looks_at_the_site_is_left_out():
    deselected = []
    hook = SimpleNamespace(
        pytest_deselected=lambda items: deselected.extend(items)
    )
    on_site = SimpleNamespace(fixturenames=["site", "page"])
    view = SimpleNamespace(fixturenames=["view", "browser", "url"])
    unit, cell = SimpleNamespace(fixturenames=["rng"]), SimpleNamespace()
    items = [on_site, unit, view, cell]
    oldest.pytest_collection_modifyitems(SimpleNamespace(hook=hook), items)
    assert items == [unit, cell]
    assert deselected == [on_site, view]


def test_the_fixtures_that_mark_the_site_are_there():
    conftest = (ROOT / "tests" / "conftest.py").read_text("utf8")
    for name in oldest.SITE:
        assert f"\ndef {name}(" in conftest
