"""Resolve the requirements anew and write constraints.txt: ``make lock``.

pip resolves as for Python 3.11.0, the oldest that is promised, so that no
pin asks for a newer one. Nothing is installed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
OLDEST = "3.11.0"
HEADER = (
    "# Every version that requirements.txt resolves to;"
    " written by `make lock`.\n"
)
# What torch brings along on Linux with CUDA alone; it pins them itself.
LEFT_OUT = ("cuda-", "nvidia-", "triton")


def wanted() -> list[str]:
    """Return the pins of the requirements, without their reasons."""
    names = "requirements-site.txt", "requirements.txt"
    text = "".join((ROOT / name).read_text("utf8") for name in names)
    return re.findall(r"^[\w.-]+==\S+", text, re.M)


def main() -> None:
    if sys.version_info[:2] != (3, 11):
        sys.exit("make lock needs Python 3.11: others need other packages")
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = "-qq --dry-run --ignore-installed --only-binary :all:"
        pip = [sys.executable, "-m", "pip", "install", *options.split()]
        pip += ["--python-version", OLDEST, "--target", folder]
        command = [*pip, "--report", report, *wanted()]
        subprocess.run(command, check=True)
        found = json.loads(report.read_text("utf8"))["install"]
    # torch 2.13.0+cpu is one build of torch 2.13.0.
    pins = {
        item["metadata"]["name"]: item["metadata"]["version"].split("+")[0]
        for item in found
    }
    lines = [
        f"{name}=={pins[name]}\n"
        for name in sorted(pins, key=str.lower)
        if not name.startswith(LEFT_OUT)
    ]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines), "utf8")


if __name__ == "__main__":
    main()
