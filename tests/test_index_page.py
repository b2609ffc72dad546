"""The index of classes and functions is complete, and leads to them."""

import copy
import importlib
import inspect
import re

import pytest
import yaml
from bs4 import BeautifulSoup

from tools.repoint import ROOT

MODULES = sorted(
    path.stem for path in ROOT.glob("lessons/*.py") if path.stem[0] != "_"
)
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))[
    "repository"
]
BLOB = "{url}/blob/{branch}/".format(**REPOSITORY)


def public(module):
    """The names that a module offers: __all__, or what it defines."""
    if hasattr(module, "__all__"):
        return module.__all__
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
        and callable(value)
        and not name.startswith("_")
    ]


def parse(path):
    return BeautifulSoup(path.read_text("utf8"), "html.parser")


@pytest.fixture(scope="module")
def index(site):
    return parse(site / "book/code.html").article


@pytest.fixture(scope="module")
def chapters(site):
    return {path.name: parse(path) for path in site.glob("book/0*.html")}


def says(text, name):
    """Whether code defines a name."""
    definition = rf"^\s*(?:(?:class|def) {name}\b|{name} = )"
    return re.search(definition, text, re.MULTILINE)


def destination(link, chapters):
    """The code that a link leads to: a cell, or a line of the source."""
    address, _, anchor = link["href"].partition("#")
    if address.startswith(BLOB):
        source = (ROOT / address.removeprefix(BLOB)).read_text("utf8")
        return source.splitlines()[int(anchor.removeprefix("L")) - 1]
    element = chapters[address].find(id=anchor)
    return element.get_text() if element else ""


def index_faults(index, chapters, stem):
    """What the index lacks of a module, or leads to the wrong place."""
    module = importlib.import_module(f"lessons.{stem}")
    for name in public(module):
        term = index.find(id=f"{stem}.{name}")
        if term is None:
            yield f"lessons.{stem}.{name} is not in book/code.md"
        elif not says(destination(term.a, chapters), name):
            yield f"{stem}.{name}: {term.a['href']} does not define it"


@pytest.mark.parametrize("stem", MODULES)
def test_every_name_is_listed_and_leads_to_its_definition(
    index, chapters, stem
):
    faults = list(index_faults(index, chapters, stem))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("stem", MODULES)
def test_an_entry_has_the_arguments_and_the_docstring(index, stem):
    module = importlib.import_module(f"lessons.{stem}")
    for name in public(module):
        value, term = (
            getattr(module, name),
            index.find(id=f"{stem}.{name}"),
        )
        text = (
            term.find_next_sibling("dd").get_text().replace("\u2019", "'")
        )
        said = " ".join(text.split())
        if not callable(value):
            assert said
            continue
        first = inspect.getdoc(value).split("\n\n")[0].split()[:3]
        assert said.startswith(" ".join(first)), name
        if not issubclass(type(value), type) or "__init__" in vars(value):
            shown = re.findall(
                r"\w+(?=[,=)])", term.get_text().split("(", 1)[1]
            )
            for parameter in inspect.signature(value).parameters:
                assert parameter in shown, f"{name}: {term.get_text()}"


def test_only_what_exists_is_listed(index):
    ids = [term["id"] for term in index.select("dl.course-index > dt")]
    expected = [
        f"{stem}.{name}"
        for stem in MODULES
        for name in public(importlib.import_module(f"lessons.{stem}"))
    ]
    assert sorted(ids) == sorted(expected)


def test_a_missing_or_misled_entry_is_named(index, chapters):
    broken = copy.copy(index)
    broken.find(id="modules.Linear").decompose()
    fault = "lessons.modules.Linear is not in book/code.md"
    assert list(index_faults(broken, chapters, "modules")) == [fault]
    broken = copy.copy(index)
    link = broken.find(id="modules.Tanh").a
    link["href"] = "03-modules.html#code-modules-Linear"
    fault = f"modules.Tanh: {link['href']} does not define it"
    assert list(index_faults(broken, chapters, "modules")) == [fault]
    link = broken.find(id="datasets.load_exams").a
    link["href"] = f"{BLOB}lessons/datasets.py#L1"
    assert len(list(index_faults(broken, chapters, "datasets"))) == 1
