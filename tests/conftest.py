"""What several test files share: the pages, the site, a browser."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.browser import ADVICE, chromium, program, served
from tools.toc import pages

ROOT = Path(__file__).parents[1]


def pytest_generate_tests(metafunc):
    """Run a test that takes `page`, or `notebook_page`, for each one."""
    every = pages()
    notebooks = [p for p in every if (ROOT / f"{p}.ipynb").exists()]
    for name, values in ("page", every), ("notebook_page", notebooks):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, scope="session")


def pytest_collection_modifyitems(items):
    """Mark the tests that look at the site: pytest -m "not site"."""
    for item in items:
        if {"site", "browser"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("site")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built from scratch and without a warning."""
    folder = tmp_path_factory.mktemp("site").resolve()
    command = [Path(sys.executable).with_name("jupyter-book"), "build"]
    command += [ROOT, "--path-output", folder, "--all", "--quiet"]
    command += ["-W", "-n", "--keep-going"]
    build = subprocess.run(command, capture_output=True, text=True)
    if build.returncode:
        warnings = re.sub(r"\x1b\[[\d;]*m", "", build.stderr)
        pytest.fail(f"the site does not build:\n{warnings}", pytrace=False)
    return folder / "_build" / "html"


@pytest.fixture(scope="session")
def url(site):
    """The address at which the site is served while the tests run."""
    with served(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, from the system: playwright brings none."""
    if program() is None:
        if os.environ.get("CHAIN_RULE_REQUIRE_BROWSER") == "1":
            pytest.fail(ADVICE, pytrace=False)
        pytest.skip(ADVICE)
    with chromium() as browser:
        yield browser
