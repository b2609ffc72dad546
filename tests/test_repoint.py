"""The repository is named in one place; `make repoint` moves the rest."""

import shutil
import subprocess

import pytest

from tests.support import REPO, ROOT

LINK = r"github(usercontent)?(\.com)?/[A-Za-z0-9-]+/[A-Za-z0-9_.-]+/"
LINK += "((blob|tree|raw)/)?main/book/"


def git(*arguments, cwd=ROOT):
    """What git says, by line; without git or a clone, nothing to test."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a clone of the repository, or no git")
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def named(repo):
    """A text with the repository, its site, and two that are others."""
    site = repo.replace("/", ".github.io/")
    return f"{repo}.git, https://{site}/, {REPO}-2, my-{REPO}"


def test_repointing_reaches_every_text_and_back(tmp_path):
    for name in git("ls-files"):
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    sample = tmp_path / "sample"
    sample.write_text(named(REPO))
    git("init", "-q", cwd=tmp_path)
    git("add", ".", cwd=tmp_path)

    def repoint(repo):
        make = ["make", "-o", ".venv/installed", "repoint", f"REPO={repo}"]
        subprocess.run(make, cwd=tmp_path, check=True)

    # In two parts, or this file would name the fork.
    fork = "/".join(("Another-1", "gradients.py"))
    repoint(fork)
    assert sample.read_text() == named(fork)
    assert git("grep", "-lI", REPO, cwd=tmp_path) == ["sample"]
    repoint(REPO)
    assert git("diff", "--name-only", cwd=tmp_path) == []


def test_no_link_leads_to_another_repository():
    found = git("grep", "-hIoE", LINK)
    assert len(found) > 5
    wrong = [link for link in found if f"/{REPO}/" not in link]
    assert not wrong, f"not {REPO}, as in _config.yml: {wrong}"


def test_windows_gets_the_line_ends_that_are_stored():
    """bash refuses others; the data, and outputs, would differ."""
    for line in git("ls-files", "--format=%(eolattr)  %(path)"):
        expected = "-text " if "lessons/data/" in line else "eol=lf "
        assert expected in line, f"{line}: see .gitattributes"
