"""The machine's Chromium, and a server for the pages it looks at."""

import os
import shutil
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"

# Chrome first: where the system restricts sandboxes, it is the one that
# brings a permission for its own.
PROGRAMS = "google-chrome", "chromium", "chromium-browser"
ADVICE = (
    "no browser on the PATH: install Chromium (Debian: apt-get "
    "install chromium) or Google Chrome"
)


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def served(folder):
    """Serve a folder on this machine; yield its address.

    Raises:
        SystemExit: it holds no site.
    """
    if not (Path(folder) / "book" / "index.html").exists():
        raise SystemExit(f"{folder} has no site to look at: make book")
    handler = partial(Silent, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def program():
    """Return the path of the browser, or None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def chromium():
    """Start the machine's browser, without a window.

    Raises:
        SystemExit: there is none; the message says what to install.
    """
    if (path := program()) is None:
        raise SystemExit(ADVICE)
    # Here, because most tests and readers need no browser.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            chromium_sandbox=os.geteuid() != 0,  # root cannot have one
        )
        yield browser
        browser.close()
