"""What several test files share: the pages, the site, a browser."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

ROOT = Path(__file__).parents[1]

# Chrome first: where the system restricts sandboxes, it is the one that
# brings a permission for its own.
BROWSERS = "google-chrome", "chromium", "chromium-browser"

# Without these a browser talks to its maker while it is watched.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def pages(entry):
    """Yield the pages of a table of contents in order: book/index, …"""
    if isinstance(entry, list):
        for item in entry:
            yield from pages(item)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            yield from [value] if key in ("root", "file") else pages(value)


def pytest_generate_tests(metafunc):
    """Run a test that takes `page`, or `notebook_page`, for each one."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    every = list(pages(toc))
    notebooks = [p for p in every if (ROOT / f"{p}.ipynb").exists()]
    for name, values in ("page", every), ("notebook_page", notebooks):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, scope="session")


def in_the_tree():
    return {*ROOT.iterdir(), *(ROOT / "book").rglob("*")}


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built from scratch and without a warning."""
    folder = tmp_path_factory.mktemp("site").resolve()
    command = [Path(sys.executable).with_name("jupyter-book"), "build"]
    command += [ROOT, "--path-output", folder, "--all", "--quiet"]
    command += ["-W", "-n", "--keep-going"]
    before = in_the_tree()
    build = subprocess.run(
        command,
        capture_output=True,
        text=True,
        # The site's own extension would leave its bytecode in the tree.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if build.returncode:
        warnings = re.sub(r"\x1b\[[\d;]*m", "", build.stderr)
        pytest.fail(f"the site does not build:\n{warnings}", pytrace=False)
    if left := sorted(map(str, in_the_tree() - before)):
        pytest.fail(f"the build left behind: {left}", pytrace=False)
    return folder / "_build" / "html"


@pytest.fixture(scope="session")
def url(site):
    """The address at which the site is served while the tests run."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Silent, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, from the system: playwright brings none."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        reason = (
            "no browser on the PATH: install Chromium (Debian: apt-get "
            "install chromium) or Google Chrome"
        )
        if os.environ.get("CHAIN_RULE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=QUIET,
            chromium_sandbox=os.geteuid() != 0,  # root cannot have one
        )
        yield chromium
        chromium.close()
