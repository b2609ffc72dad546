"""Point the course at a fork: ``make repoint REPO=owner/name``.

_config.yml says which repository the course lives in now; every text of
the course that names it, or its GitHub Pages site, is rewritten.
"""

import os
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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


def files(root: Path = ROOT) -> list[Path]:
    """Return the files of the course: all but what .gitignore names."""
    lines = (root / ".gitignore").read_text("utf8").split()
    ignored = [".git", *(line.rstrip("/") for line in lines)]
    found = []
    for folder, inside, names in os.walk(root):
        for name in [*inside, *names]:
            if any(fnmatch(name, pattern) for pattern in ignored):
                (inside if name in inside else names).remove(name)
        found += [Path(folder, name) for name in names]
    return sorted(found)


def texts(root: Path = ROOT) -> dict[Path, str]:
    """Return the text of every file that is not binary."""
    contents = {path: path.read_bytes() for path in files(root)}
    return {
        path: content.decode("utf8")
        for path, content in contents.items()
        if b"\0" not in content
    }


def repoint(new: str, root: Path = ROOT) -> list[Path]:
    """Rewrite all that names the repository; return what changed."""
    old = repository(root)
    changed = []
    for path, text in texts(root).items():
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


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(NAME, sys.argv[1]):
        sys.exit("Type: make repoint REPO=owner/name")
    for path in repoint(sys.argv[1]):
        print(path.relative_to(ROOT))
