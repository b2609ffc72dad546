"""The repository is named in one place; `make repoint` moves the rest."""

import re
import subprocess
import sys

import pytest

from tools.repoint import NAME, ROOT, repoint, repository, texts

# In two parts, or this file would name the fork in the copied tree.
FORK = "/".join(("Another-1", "gradients.py"))


def test_repointing_reaches_every_text_and_back(tmp_path):
    before = texts()
    for path, text in before.items():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(text.encode("utf8"))
    old = repository()
    owner, name = old.split("/")
    sample = tmp_path / "sample.txt"
    sample.write_text(f"{old}.git, {old}-extras, my-{old}")
    changed = repoint(FORK, tmp_path)
    assert sample.read_text() == f"{FORK}.git, {old}-extras, my-{old}"
    sample.unlink()
    for path, text in texts(tmp_path).items():
        assert old not in text, path
        assert f"{owner}.github.io/{name}" not in text, path
    assert repoint(old, tmp_path) == [p for p in changed if p != sample]
    assert list(texts(tmp_path).values()) == list(before.values())


def test_no_link_leads_to_another_repository():
    repo = repository()
    forms = re.compile(
        rf"github(?:usercontent)?(?:\.com)?/({NAME})"
        r"/(?:(?:blob|tree|raw)/)?main/book/"
    )
    found = 0
    for path, text in texts().items():
        for named in forms.findall(text):
            found += 1
            assert named == repo, f"{path}: not {repo}, as in _config.yml"
    assert found > 5


def test_a_bad_name_changes_nothing():
    command = [sys.executable, "-m", "tools.repoint", "a b/c"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "Type: make repoint REPO=owner/name\n"


def test_windows_gets_the_line_ends_that_are_stored():
    """bash refuses others; the data, and outputs, would differ."""
    command = ["git", "ls-files", "-z", "--format=%(eolattr)  %(path)"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("no git on this machine")
    if done.returncode:
        pytest.skip("not a clone: git cannot say how files are stored")
    for line in filter(None, done.stdout.split("\0")):
        expected = "-text " if "lessons/data/" in line else "eol=lf "
        assert expected in line, f"{line}: see .gitattributes"
