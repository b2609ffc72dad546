"""Point the course at a fork: ``make repoint REPO=owner/name``.

_config.yml says which repository the course lives in now; every tracked
text file that names it, or its GitHub Pages site, is rewritten.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
USAGE = "Usage: make repoint REPO=owner/name"
# What GitHub allows: letters, digits and hyphens; in a name also . and _
NAME = r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+"


def repository(root: Path = ROOT) -> str:
    """Return the owner/name of the course's repository."""
    config = (root / "_config.yml").read_text(encoding="utf8")
    url = re.search(
        rf"^  url: https://github\.com/({NAME})$", config, re.M
    )
    if not url:
        raise ValueError("_config.yml: no repository: url: on GitHub")
    return url[1]


def tracked_texts(root: Path) -> dict[Path, str]:
    """Return the text of every tracked file that is not binary."""
    names = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=root,
        stdout=subprocess.PIPE,
        encoding="utf8",
        check=True,
    ).stdout
    found = {}
    for name in filter(None, names.split("\0")):
        path = root / name
        content = path.read_bytes() if path.is_file() else b"\0"
        if b"\0" not in content:
            found[path] = content.decode("utf8")
    return found


def repoint(root: Path, new: str) -> list[Path]:
    """Rewrite all that names the repository; return what changed."""
    old = repository(root)
    changed = []
    for path, text in tracked_texts(root).items():
        repointed = text
        for form in "{}/{}", "{}.github.io/{}":
            was, now = (form.format(*r.split("/")) for r in (old, new))
            # Neither the tail nor the head of a longer name.
            whole = rf"(?<![\w.-]){re.escape(was)}(?![\w-])"
            repointed = re.sub(whole, now, repointed)
        if repointed != text:
            path.write_bytes(repointed.encode("utf8"))
            changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(USAGE, file=sys.stderr)
        return 2
    if not re.fullmatch(NAME, arguments[0]):
        print(f"Not owner/name: {arguments[0]}\n{USAGE}", file=sys.stderr)
        return 2
    for path in repoint(ROOT, arguments[0]):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
