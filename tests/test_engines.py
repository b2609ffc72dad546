"""Formulas and figures in Firefox and in WebKit, which is Safari's engine.

Each runs where it is found: Debian's firefox-esr; its webkit2gtk-driver
with xvfb. A page opens the chapters in a frame, measures them and sends
what it found back to the server that served it.
"""

import json
import os
import shutil
import signal
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from tests.test_play import NEURONS, neuron_after

MINI = next(Path("/usr/lib").glob("*/webkit2gtk-*/MiniBrowser"), None)
ENGINES = {
    "Firefox": ["firefox-esr", "--headless", "--no-remote", "--profile"],
    "WebKit": ["xvfb-run", "-a", str(MINI)],
}

# How far a hat's top stands below its letter's and a formula of the figure
# from its number, in pixels; what the figures hold and say after a press.
PROBE = """<!DOCTYPE html><meta charset="utf-8">
<iframe width="1200" height="900"></iframe><script>
const frame = document.querySelector("iframe");
const ready = async (ask) => {
  for (let k = 0; k < 300 && !ask(); k++)
    await new Promise((done) => setTimeout(done, 100));
  return ask();
};
const opened = async (page, figure) => {
  frame.src = page;
  await ready(() => frame.contentDocument.querySelector(figure));
  await frame.contentDocument.fonts.ready;
  return frame.contentDocument.querySelector(figure);
};
const page = () => frame.contentDocument;
const all = (selector) => [...page().querySelectorAll(selector)];
const edge = (e) => e.getBoundingClientRect().top;
const text = (e) => {
  const range = page().createRange();
  range.selectNodeContents(e);
  return range.getBoundingClientRect();
};
const apart = (a, b) => text(a).bottom - text(b).bottom;
const press = (figure, name) =>
  [...figure.querySelectorAll("button")]
    .find((b) => b.textContent === name).click();
(async () => {
  const neuron = await opened("book/01-chain.html", ".play-neuron");
  all("details").forEach((fold) => { fold.open = true; });
  const flat = all("article math")
    .filter((math) => !math.getBoundingClientRect().height).length;
  const hats = all("article mover[accent=true]")
    .map(({ children: [letter, hat] }) => edge(hat) - edge(letter));
  const rows = all(".play-values div")
    .map((row) => apart(row.firstChild, row.querySelector("output")));
  press(neuron, "Step");
  const { w, b } = JSON.parse(neuron.dataset.parameters);
  const xor = await opened("book/04-xor.html", ".play-xor");
  press(xor, "To the end");
  return {
    flat, hats, rows, neuron: [w, b],
    xor: xor.querySelector(".play-says").textContent,
  };
})().catch((error) => ({ error: String(error) })).then((found) =>
  fetch("/found", { method: "POST", body: JSON.stringify(found) }));
</script>"""


class Handler(SimpleHTTPRequestHandler):
    """The site, the page above, and a place to send what it found."""

    found = Queue()

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path != "/probe.html":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PROBE.encode())

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.found.put(json.loads(self.rfile.read(length)))
        self.send_response(204)
        self.end_headers()


@pytest.fixture(params=ENGINES)
def found(request, site, tmp_path):
    command = ENGINES[request.param]
    missing = [c for c in command if c[0] != "-" and not shutil.which(c)]
    if missing:
        pytest.skip(
            f"no {request.param} to look with: {missing} not found"
        )
    if command[-1] == "--profile":
        command = [*command, tmp_path]
    handler = partial(Handler, directory=site)
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    # As root, and without a graphics card.
    home |= {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/probe.html"
        program = subprocess.Popen(
            [*command, url],
            env={**os.environ, **home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield Handler.found.get(timeout=300)
        except Empty:
            pytest.fail(f"{request.param} sent nothing in 5 minutes")
        finally:
            os.killpg(program.pid, signal.SIGTERM)
            server.shutdown()


def test_formulas_and_figures(found):
    assert "error" not in found, found
    assert found["flat"] == 0, "formulas without a height"
    low, high = min(found["hats"]), max(found["hats"])
    assert -8 < low and high < 3, f"hats {low} to {high} px off"
    off = max(found["rows"], key=abs)
    assert abs(off) < 2, f"a number of the figure is {off} px off its line"
    expected = neuron_after(*NEURONS[0], 1)
    assert found["neuron"] == pytest.approx(expected, abs=1e-12)
    assert found["xor"].startswith("Solved"), found["xor"]
