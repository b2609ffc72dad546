"""The repository is named in one place; `make repoint` moves the rest."""

import os
import re
import shutil
import subprocess

import pytest

from tools.repoint import (
    NAME,
    ROOT,
    main,
    repoint,
    repository,
    tracked_texts,
)

UNTRACKED = shutil.ignore_patterns(".git", ".venv", "_build", "*.npz")
# In two parts, or this file would name the fork in the copied tree.
FORK = "/".join(("Another-1", "gradients.py"))


def git(*arguments, folder):
    command = ["git", *arguments]
    return subprocess.check_output(command, cwd=folder, text=True)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of the course, in the index of a repository of its own."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # set in a hook, for the real repository
    copy = tmp_path / "course"
    shutil.copytree(ROOT, copy, ignore=UNTRACKED)
    git("init", "--quiet", folder=copy)
    git("add", ".", folder=copy)
    return copy


def strays(text, repo):
    """Return the links to the course that lead to another repository."""
    owner, name = repo.split("/")
    forms = [
        rf"git\+https://github\.com/({NAME})",
        rf"https://[\w.]+/(?:github/)?({NAME})/(?:blob|tree|raw)/\w+/book/",
        rf"https://raw\.githubusercontent\.com/({NAME})/\w+/book/",
        rf"https://([\w-]+)\.github\.io/{name}\b",
    ]
    return [
        link[0]
        for form in forms
        for link in re.finditer(form, text)
        if link[1].rstrip(".").removesuffix(".git") not in (repo, owner)
    ]


def test_repointing_reaches_every_file_and_back(tree):
    old = repository(tree)
    owner, name = old.split("/")
    changed = repoint(tree, FORK)
    assert repository(tree) == FORK
    assert tree / "_config.yml" in changed
    for path, text in tracked_texts(tree).items():
        assert old not in text, path
        assert f"{owner}.github.io/{name}" not in text, path
    assert repoint(tree, old) == changed
    assert git("diff", "--stat", folder=tree) == ""


def test_only_whole_names_are_rewritten(tree):
    old = repository(tree)
    owner, name = old.split("/")
    sample = tree / "sample.txt"
    lines = f"{{0}}.\n{{0}}.git\n/{{0}}/blob\n{old}-extras\nmy-{old}\n"
    pages = "https://{}.github.io/{}/index.html\n"
    sample.write_text(lines.format(old) + pages.format(owner, name))
    git("add", ".", folder=tree)
    repoint(tree, FORK)
    assert sample.read_text() == lines.format(FORK) + pages.format(
        *FORK.split("/")
    )


@pytest.mark.parametrize(
    "arguments",
    [[], [""], ["name"], ["a/b/c"], ["a b/c"], ["a/b", "main"]],
)
def test_a_bad_argument_changes_nothing(arguments, capsys, monkeypatch):
    monkeypatch.setattr("tools.repoint.repoint", pytest.fail)
    assert main(arguments) == 2
    assert "make repoint REPO=owner/name" in capsys.readouterr().err


def test_no_link_leads_to_another_repository(tree):
    repo = repository(tree)
    for path, text in tracked_texts(tree).items():
        found = strays(text, repo)
        where = path.relative_to(tree)
        assert not found, f"{where}: not in {repo}, as in _config.yml"


@pytest.mark.parametrize(
    "link",
    [
        "git+https://github.com/{}/x",
        "git+https://github.com/{}/x.git.",
        "https://github.com/{}/x/blob/main/book/01-chain.ipynb",
        "https://raw.githubusercontent.com/{}/x/main/book/01-chain.ipynb",
        "https://colab.research.google.com/github/{}/x/blob/main/book/1",
        "https://{}.github.io/x/index.html",
    ],
)
def test_a_stray_link_is_found(link):
    assert strays(link.format("us"), "us/x") == []
    assert len(strays(link.format("them"), "us/x")) == 1
