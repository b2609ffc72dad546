"""The built site: its pages are there, and their links lead somewhere."""

import copy
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from tools.repoint import files

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))

# What a reader sees of Markdown, MyST or TeX that was not understood.
RAW = re.compile(
    r"""
    \$ | \\[(\[]         # a formula
    | `                  # code, or a role
    | \{[a-z][\w:-]*\}   # the name of a role or a directive
    | :::                # a directive's fence
    | \*\* | \]\(        # bold text, a link
    """,
    re.VERBOSE,
)


@cache
def parse(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def html_files(site):
    """Yield every page; in _static lie only the theme's templates."""
    for path in sorted(site.rglob("*.html")):
        if "_static" not in path.parts:
            yield path


def addresses(document):
    for tag in document.select("[href], [src]"):
        yield tag.get("href", tag.get("src"))
    for tag in document.select('meta[http-equiv="Refresh"]'):
        yield tag["content"].split("url=")[1]


def leads_nowhere(address, path, site):
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return False
    target = path
    if parts.path:
        target = (path.parent / unquote(parts.path)).resolve()
    if not (target.is_file() and target.is_relative_to(site)):
        return True
    fragment = unquote(parts.fragment)
    return fragment and not parse(target).find(id=fragment)


def test_page_is_built(site, page):
    path = site / f"{page}.html"
    assert path.is_file(), f"_toc.yml names {page}, the site has no {path}"
    assert parse(path).select_one("article h1"), f"{page} has no title"


def test_internal_links(site):
    broken = [
        f"{path.relative_to(site)}: {address}"
        for path in html_files(site)
        for address in addresses(parse(path))
        if leads_nowhere(address, path, site)
    ]
    assert not broken, "links that lead nowhere:\n" + "\n".join(broken)


def test_nothing_is_loaded_from_another_host(site):
    loaded = "[src], link[rel~=stylesheet], link[rel~=preload]"
    foreign = [
        f"{path.relative_to(site)}: {tag}"
        for path in html_files(site)
        for tag in parse(path).select(loaded)
        if urlsplit(tag.get("src", tag.get("href"))).netloc
    ]
    assert not foreign, "loaded from elsewhere:\n" + "\n".join(foreign)


def test_launch_button(site, notebook_page):
    repository = CONFIG["repository"]
    colab = CONFIG["launch_buttons"]["colab_url"]
    name = urlsplit(repository["url"]).path
    tail = f"{repository['branch']}/{notebook_page}.ipynb"
    expected = f"{colab}/github{name}/blob/{tail}"

    document = parse(site / f"{notebook_page}.html")
    button = document.select(".dropdown-launch-buttons a")
    assert [tag["href"] for tag in button] == [expected]
    # The chapter's own link at its head goes to the same place.
    elsewhere = {
        address
        for address in addresses(document)
        if address.startswith(colab) and address != expected
    }
    assert not elsewhere, f"{notebook_page} opens another notebook"


def test_download_is_the_notebook(site, notebook_page):
    path = site / f"{notebook_page}.html"
    link = parse(path).select_one("a.btn-download-source-button")
    assert link, f"{notebook_page} has no download button"
    offered = (path.parent / link["href"]).resolve()
    source = ROOT / f"{notebook_page}.ipynb"
    assert offered.name == source.name
    assert offered.read_bytes() == source.read_bytes()


# What says nothing of what a figure shows: that it is one, or its file.
EMPTY_WORDS = re.compile(
    r"(an? |the )?(image|picture|figure|photo|graphic|screenshot)\b"
    r"|.*\.(png|svg|jpe?g|ipynb)\b",
    re.IGNORECASE,
)


def describes(alt):
    words = alt.split()
    # Without a description of its own a figure gets its file's name.
    return len(words) > 3 and len(alt) >= 20 and not EMPTY_WORDS.match(alt)


def test_figures_are_described(site, page):
    nameless = [
        f"{tag['src']}: alt={tag.get('alt')!r}"
        for tag in parse(site / f"{page}.html").select("article img")
        if not describes(tag.get("alt", "").strip())
    ]
    assert not nameless, (
        f"say in the alternative text of these figures of {page} what "
        "they show:\n" + "\n".join(nameless)
    )


def test_every_chapter_opens_with_a_picture(site, notebook_page):
    document = parse(site / f"{notebook_page}.html")
    opening = document.select_one("article h1").parent
    # Of the chapter itself, not of one of the parts inside it.
    pictures = [
        tag
        for tag in opening.select("img")
        if tag.find_parent("section") is opening
    ]
    assert pictures, (
        f"{notebook_page} has no picture before its first part"
    )


@pytest.mark.parametrize(
    "alt",
    [
        "",
        "loss curve",
        "Image of a network with three layers",
        "A picture of the loss over many steps",
        "the loss, as drawn in loss-curve.png by the cell",
    ],
)
def test_empty_words_describe_no_figure(alt):
    assert not describes(alt)
    assert describes("The loss falls from 1.7 to 0.1 in 500 steps.")


def test_no_markup_is_left_raw(site, page):
    article = copy.copy(parse(site / f"{page}.html").article)
    for tag in article.select("pre, code, .math"):
        tag.decompose()
    text = article.get_text()
    raw = [
        text[max(0, found.start() - 30) : found.end() + 30]
        for found in RAW.finditer(text)
    ]
    assert not raw, f"{page} shows its markup: {raw}"


# -- Links to the repository ----------------------------------------------

REPOSITORY = CONFIG["repository"]["url"]
BRANCH = CONFIG["repository"]["branch"]
NAME = urlsplit(REPOSITORY).path  # /owner/name
OWNER, PROJECT = NAME[1:].split("/")
PAGES = f"https://{OWNER}.github.io/{PROJECT}/"
COLAB = CONFIG["launch_buttons"]["colab_url"]
# GitHub's own pages about a repository, which show no file of it.
ABOUT = re.compile(r"(\.git|/(actions|issues|pulls|releases)(/.*)?|/)?")
# A file of the repository as GitHub, Colab and others show it.
SHOWN = re.compile(r"/(?:blame|blob|edit|raw|tree)/([^/]+)/(.*)")
# Where a person reads links that are not, or not only, on the site.
READ = "*.md", "*.cff", "book/*.md", "book/*.ipynb", "lessons/data/*.md"
URL = re.compile(r"https://[^\s<>\"'`)\]}]*[^\s<>\"'`)\]}.,:;]")


@cache
def tree():
    """The files and folders that a push brings to the repository."""
    here = [path.relative_to(ROOT) for path in files()]
    return {str(place) for file in here for place in (file, *file.parents)}


def file_of(address):
    """Return the file or folder of the course that an address shows.

    None says that it shows none; ValueError, that it should and does not.
    """
    parts = urlsplit(address)
    path = unquote(parts.path)
    if parts.netloc == f"{OWNER}.github.io":
        return None  # a page of the site
    if parts.netloc == "raw.githubusercontent.com":
        path = path.replace(NAME, f"{NAME}/raw", 1)
    shown_by, found, rest = path.partition(NAME)
    ours = found and not re.match(r"[\w-]", rest)
    if not ours:
        if address.startswith(COLAB):
            raise ValueError("opens nothing of the course")
        return None
    if shown_by == "" and ABOUT.fullmatch(rest):
        return None
    shown = SHOWN.fullmatch(rest)
    if not shown:
        raise ValueError("shows no file")
    branch, file = shown[1], shown[2].rstrip("/") or "."
    if branch != BRANCH:
        raise ValueError(f"on the branch {branch}, not {BRANCH}")
    return file


def link_fault(address, page=None):
    """Return what is wrong with a link, on a page: book/01-chain, or not.

    A chapter's links to a notebook lead to its own.
    """
    try:
        file = file_of(address)
    except ValueError as error:
        return str(error)
    if file is None:
        return None
    if file not in tree():
        return f"there is no {file} in the tree"
    if address.startswith(COLAB) and not file.endswith(".ipynb"):
        return f"Colab opens notebooks only, not {file}"
    chapter = page and f"{page}.ipynb"
    if chapter in tree() and file.endswith(".ipynb") and file != chapter:
        return f"leads to another chapter, {file}"
    return None


def about(address):
    """Return the page that a report of an issue names in its title."""
    found = re.search(r"Issue on page /(.*?)\.html", unquote(address))
    return found and found[1]


def test_links_to_the_repository(site, page):
    document = parse(site / f"{page}.html")
    faults = [
        f"{address}: {fault}"
        for address in dict.fromkeys(addresses(document))
        if (fault := link_fault(address, page))
    ]
    faults += [
        f"{address}: reports an issue on {about(address)}"
        for address in addresses(document)
        if about(address) not in (None, page)
    ]
    assert not faults, f"links of {page}:\n" + "\n".join(faults)


def test_buttons_lead_to_the_source_of_their_page(site, page):
    document = parse(site / f"{page}.html")
    buttons = ".dropdown-launch-buttons a, .dropdown-source-buttons a"
    shown = {
        tag["href"]: file_of(tag["href"])
        for tag in document.select(buttons)
    }
    own = {f"{page}.md", f"{page}.ipynb"}
    others = {a: f for a, f in shown.items() if f and f not in own}
    assert not others, f"buttons of {page} lead elsewhere: {others}"
    # Every page offers to report an issue, on itself.
    reports = [about(address) for address in shown if about(address)]
    assert reports == [page], f"{page} offers to report {reports}"


def test_what_a_page_gives_to_download_is_its_source(site, page):
    path = site / f"{page}.html"
    given = [
        path.parent / unquote(urlsplit(address).path)
        for address in addresses(parse(path))
        if not urlsplit(address).netloc
        and Path(urlsplit(address).path).suffix in (".ipynb", ".md")
    ]
    (source,) = ROOT.glob(f"{page}.*")
    assert given, f"{page} gives its source nowhere"
    for file in given:
        same = file.name == source.name
        assert same, f"{page} gives {file.name}, not {source.name}"
        same = file.read_bytes() == source.read_bytes()
        assert same, f"{page} gives another text than {source.name}"


def texts_read():
    """Yield the name and the text of each file with links to read."""
    for path in sorted({p for form in READ for p in ROOT.glob(form)}):
        name = str(path.relative_to(ROOT))
        if name not in tree():
            continue
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            cells = nbformat.reads(text, as_version=4).cells
            text = "\n\n".join(cell.source for cell in cells)
        yield name, text


def test_links_in_the_sources():
    found = [
        (name, address)
        for name, text in texts_read()
        for address in dict.fromkeys(URL.findall(text))
    ]
    faults = [
        f"{name}: {address}: {fault}"
        for name, address in found
        if (fault := link_fault(address, name.partition(".")[0]))
    ]
    assert not faults, "links to the repository:\n" + "\n".join(faults)
    names = {name for name, address in found if file_of(address)}
    chapters = {
        str(p.relative_to(ROOT)) for p in ROOT.glob("book/*.ipynb")
    }
    assert chapters <= names, "a chapter without a link to itself"


def no_page(address, site):
    """Whether a link to the published site leads to no page of it."""
    if not address.startswith(PAGES):
        return False
    page = address.removeprefix(PAGES) or "index.html"
    return bool(leads_nowhere(page, site / "index.html", site))


def test_links_to_the_published_site(site):
    faults = [
        f"{name}: {address}"
        for name, text in texts_read()
        for address in URL.findall(text)
        if no_page(address, site)
    ]
    assert not faults, "no such page:\n" + "\n".join(faults)
    assert no_page(f"{PAGES}book/01-none.html", site)
    assert no_page(f"{PAGES}book/01-chain.html#none", site)
    assert not no_page(f"{PAGES}book/01-chain.html#recap", site)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_relative_links(name):
    text = (ROOT / name).read_text("utf-8")
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", text)
    faults = [
        link
        for link in links
        if not urlsplit(link).scheme and link.rstrip("/") not in tree()
    ]
    assert not faults, f"{name} leads to what is not in the tree: {faults}"


ON_GITHUB = f"{REPOSITORY}/blob/{BRANCH}"
IN_COLAB = f"{COLAB}/github{NAME}/blob/{BRANCH}"


@pytest.mark.parametrize(
    ("address", "here", "fault"),
    [
        (REPOSITORY, None, None),
        (f"{REPOSITORY}.git", None, None),
        (f"{REPOSITORY}/issues", None, None),
        (f"{REPOSITORY}-2/blob/x/y", None, None),  # another's
        (f"{ON_GITHUB}/LICENSE", None, None),
        (f"{REPOSITORY}/tree/{BRANCH}/lessons/", "book/index", None),
        (f"{IN_COLAB}/book/01-chain.ipynb", "book/01-chain", None),
        (f"{IN_COLAB}/book/02-matrix.ipynb", "book/index", None),
        (f"{IN_COLAB}/book/02-matrix.ipynb", "book/01-chain", "another"),
        (f"{ON_GITHUB}/book/02-matrix.ipynb", "book/01-chain", "another"),
        (
            f"{IN_COLAB}/book/06-none.ipynb",
            "book/index",
            "there is no book",
        ),
        (f"{IN_COLAB}/book/index.md", "book/index", "notebooks only"),
        (f"{COLAB}/github/else/where", "book/index", "nothing of the"),
        (f"{REPOSITORY}/edit/dev/README.md", None, "on the branch dev"),
        (f"{REPOSITORY}/blub/{BRANCH}/README.md", None, "shows no file"),
        (f"{ON_GITHUB}/.venv/pyvenv.cfg", None, "there is no .venv"),
        (
            f"https://raw.githubusercontent.com{NAME}/{BRANCH}/none.md",
            None,
            "there is no none.md",
        ),
    ],
)
def test_a_bad_link_is_found(address, here, fault):
    found = link_fault(address, here)
    assert fault in found if fault else found is None
