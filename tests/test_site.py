"""The built site, page by page, as files: nothing needs a browser here."""

import copy
import importlib
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from book._ext.formulas import mathml
from tests.support import (
    CHAPTERS,
    MARKDOWN,
    ROOT,
    cells,
    parsed,
    read,
    tags,
)
from tools.toc import pages

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
REPOSITORY = CONFIG["repository"]["url"]
NAME = urlsplit(REPOSITORY).path  # /owner/name
BLOB = f"{REPOSITORY}/blob/{CONFIG['repository']['branch']}"
COLAB = CONFIG["launch_buttons"]["colab_url"]
IN_COLAB = BLOB.replace("https://github.com", f"{COLAB}/github")


def every_page(site):
    """The names of all pages, those that _toc.yml does not list too."""
    files = [*site.glob("*.html"), *site.glob("book/**/*.html")]
    return [str(f.relative_to(site).with_suffix("")) for f in files]


def addresses(document):
    for tag in document.select("[href], [src]"):
        yield tag.get("href", tag.get("src"))


def source(page):
    """The Markdown of a page, that of a notebook's cells one by one."""
    path = ROOT / f"{page}.ipynb"
    if not path.exists():
        return [path.with_suffix(".md").read_text("utf-8")]
    return [cell.source for _, cell in cells(read(path), "markdown")]


# -- Links ----------------------------------------------------------------


def leads_nowhere(site, page, address):
    """Whether a page of the site links to no file or place of the site."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return False
    target = site / f"{page}.html"
    if parts.path:
        target = (target.parent / unquote(parts.path)).resolve()
    if not (target.is_file() and target.is_relative_to(site)):
        return True
    place = unquote(parts.fragment)
    name = str(target.relative_to(site).with_suffix(""))
    return bool(place) and not parsed(site, name).find(id=place)


def test_every_link_inside_the_site_leads_somewhere(site):
    broken = [
        f"{page}: {address}"
        for page in every_page(site)
        for address in addresses(parsed(site, page))
        if leads_nowhere(site, page, address)
    ]
    assert not broken, "links that lead nowhere:\n" + "\n".join(broken)


def wrong_link(address, page=None):
    """What is wrong with a link to the repository, None where nothing is.

    A chapter opens itself in Colab, and shows no other chapter's notebook.
    """
    if not re.search(rf"{NAME}(?![\w-])", address):
        ours = address.startswith(COLAB)
        return "opens nothing of the course" if ours else None
    rest = address.split(NAME, 1)[1]
    if re.fullmatch(
        r"(\.git|/(actions|issues|pulls|releases).*)?/?", rest
    ):
        return None
    if urlsplit(address).netloc.endswith("github.io"):
        return None
    branch = CONFIG["repository"]["branch"]
    found = re.match(rf"/(?:\w+/)?{branch}/([^#?]*)", rest)
    if not found:
        return f"is not on the branch {branch}"
    file = unquote(found[1])
    if not (ROOT / file).exists():
        return f"there is no {file}"
    notebook = file.endswith(".ipynb")
    if address.startswith(COLAB) and not notebook:
        return "is no notebook"
    chapter = page and (ROOT / f"{page}.ipynb").exists()
    if chapter and notebook and file != f"{page}.ipynb":
        return "is another chapter"
    return None


URL = re.compile(r"https://[^\s<>\"'`)\]}]*[^\s<>\"'`)\]}.,:;]")


def test_links_to_the_repository_show_what_is_there(site):
    found = [
        (page, address)
        for page in pages()
        for address in addresses(parsed(site, page))
    ]
    for path in [*ROOT.glob("*.md"), *ROOT.glob("lessons/data/*.md")]:
        text = path.read_text("utf-8")
        found += [(path.name, address) for address in URL.findall(text)]
    for path in CHAPTERS:
        for _, cell in cells(read(path), "code"):
            name = f"book/{path.stem}"
            found += [(name, u) for u in URL.findall(cell.source)]
    wrong = [
        f"{where}: {address} {fault}"
        for where, address in found
        if (fault := wrong_link(address, where))
    ]
    assert not wrong, "links to the repository:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        (f"{IN_COLAB}/book/02-matrix.ipynb", "is another chapter"),
        (f"{IN_COLAB}/book/06-none.ipynb", "there is no"),
        (f"{IN_COLAB}/README.md", "is no notebook"),
        (f"{COLAB}/github/else/where", "opens nothing"),
        (f"{REPOSITORY}/edit/dev/README.md", "is not on the branch"),
    ],
)
def test_a_wrong_link_is_named(address, fault):
    assert fault in wrong_link(address, "book/01-chain")


def test_links_in_the_repository_s_own_pages():
    for name in "README.md", "CONTRIBUTING.md":
        text = (ROOT / name).read_text("utf-8")
        links = re.findall(r"\]\(([^)\s#:]+)[#)]", text)
        lost = [link for link in links if not (ROOT / link).exists()]
        assert not lost, f"{name} leads to {lost}"


def test_buttons_lead_to_the_source_of_their_page(site, page):
    document = parsed(site, page)
    (path,) = ROOT.glob(f"{page}.*")
    offered = document.select_one("a.btn-download-source-button")["href"]
    copied = (site / page).parent / offered
    assert copied.read_bytes() == path.read_bytes(), (
        f"{page}: another file"
    )
    launch = document.select(".dropdown-launch-buttons a")
    notebooks = [f"{IN_COLAB}/{page}.ipynb"] * (path.suffix == ".ipynb")
    assert [a["href"] for a in launch] == notebooks, page
    report = f"Issue%20on%20page%20%2F{page}.html"
    assert any(report in address for address in addresses(document)), page


def test_pages_lead_to_each_other_in_order(site, page):
    document, every = parsed(site, page), [None, *pages(), None]
    here = every.index(page)
    for way, to in ("left-prev", here - 1), ("right-next", here + 1):
        link = document.select_one(f".prev-next-area a.{way}")
        name = link and f"book/{link['href'].removesuffix('.html')}"
        assert name == every[to], f"{page}: {way} leads to {name}"
    mapped = [
        (Path("book") / (a["href"].strip("#") or page)).stem
        for a in document.select(".bd-sidebar-primary nav a")
    ]
    assert mapped == [Path(name).stem for name in pages()], page


def test_nothing_is_taken_from_another_host(site):
    """Each page states the policy before anything that it binds."""
    loads = "[src], link[rel~=stylesheet], link[rel~=preload]"
    for page in every_page(site):
        document = parsed(site, page)
        foreign = [
            address
            for tag in document.select(loads)
            if urlsplit(address := tag.get("src", tag.get("href"))).netloc
        ]
        assert not foreign, f"{page} loads {foreign}"
        if document.body and page != "index":  # that one leads on
            head = document.head.find_all(["meta", "script", "link"])
            kinds = [tag.get("http-equiv", tag.name) for tag in head]
            policy = kinds.index("Content-Security-Policy")
            assert set(kinds[:policy]) <= {"meta"}, f"{page}: policy late"
            assert head[policy]["content"] == "default-src 'self'", page


# -- What a page shows ----------------------------------------------------

# Markdown, MyST or TeX that was not understood.
RAW = re.compile(
    r"\$|\\[(\[]|`|\{[a-z][\w:-]*\}|:::|\*\*|\]\(|#\||NBVAL_|# @"
)
# An alternative text that says no more than that there is a figure.
EMPTY = re.compile(
    r"(an? |the )?(image|picture|figure|graphic|screenshot)\b"
    r"|.*\.(png|svg|jpe?g|ipynb)\b",
    re.I,
)


def test_figures_are_described(site, page):
    for image in parsed(site, page).select("article img"):
        alt = image.get("alt", "").strip()
        said = len(alt.split()) > 3 and not EMPTY.match(alt)
        assert said, f"{page}: say what {image['src']} shows, not {alt!r}"


def test_no_markup_is_left_raw(site, page):
    article = copy.copy(parsed(site, page).article)
    assert article.h1, f"{page} has no title"
    for code in article.select("pre, code"):
        marks = re.search(r"^\s*#(\||.*NBVAL_| @)", code.text, re.M)
        told = code.name == "code"  # a sentence says what the mark is
        assert told or not marks, f"{page} shows {marks[0]}"
        code.decompose()
    text = article.get_text()
    raw = [text[max(m.start() - 30, 0) :][:60] for m in RAW.finditer(text)]
    assert not raw, f"{page} shows its markup: {raw}"


def test_a_number_keeps_its_percent_sign(site, page):
    article = copy.copy(parsed(site, page).article)
    for code in article.select("pre, code"):
        code.decompose()
    parted = re.findall(r".{20}\d[ \n]%", article.get_text())
    assert not parted, f"{page} may break these lines: {parted}"


# A block of code names its language: ``` alone closes a directive.
CODE = re.compile(r"^(`{3,})\w.*?^\1|`[^`\n]+`", re.S | re.M)
FORMULA = re.compile(r"(?<!\\)\$\$(.+?)\$\$|(?<!\\)\$(.+?)\$", re.S)


def test_a_page_has_the_formulas_of_its_source(site, page):
    written = Counter(
        (a or b).strip()
        for text in source(page)
        for a, b in FORMULA.findall(CODE.sub("", text))
    )
    shown = Counter(
        tag["data-tex"]
        for tag in parsed(site, page).select("article .math:has(math)")
    )
    lost, added = list(written - shown), list(shown - written)
    assert not lost + added, f"{page} lost {lost} and shows {added}"


@pytest.mark.parametrize(
    "tex",
    [
        r"\nosuchmacro x",
        r"\frac{1}{2",
        r"\begin{nosuch} x \end{nosuch}",
        r"\left( x",
        r"\begin{cases} 1 & x \end{cases}",  # style attributes
    ],
)
def test_a_formula_that_would_be_lost_is_refused(tex):
    with pytest.raises(ValueError, match=r"\w"):
        mathml(tex, display=True)


def test_cells_are_shown_by_their_tags(site, notebook_page):
    """A stub leads to Colab, a solution says so, a claim is not shown."""
    document = parsed(site, notebook_page)
    code = [
        c for _, c in cells(read(ROOT / f"{notebook_page}.ipynb"), "code")
    ]
    tagged = Counter(tag for cell in code for tag in tags(cell))
    links = document.select(".tag_stub > .invitation a")
    expected = [f"{IN_COLAB}/{notebook_page}.ipynb"] * tagged["stub"]
    assert [a["href"] for a in links] == expected, "stubs without a link"
    asked = document.select(".tag_hide-cell summary .collapsed")
    assert {p.text for p in asked} <= {"Show the solution"}
    assert len(asked) == tagged["hide-cell"]
    assert not document.select(".tag_remove-cell")
    plain = [
        block.get_text()
        for block in document.select(".cell_input pre")
        if not block.select("span[class]")
    ]
    assert not plain, f"code without colours: {plain[:1]}"


# -- The glossary and the index of the code -------------------------------


def listed():
    """The terms of the glossary, in its order."""
    text = (ROOT / "book/glossary.md").read_text("utf-8")
    lines = text.split("```")[1].splitlines()[1:]
    return [line for line in lines if line and line[0] != " "]


def term(words):
    """A whole word or its plural, in any case."""
    joined = re.escape(words).replace(r"\ ", r"\s+")
    return re.compile(rf"(?<![\w-]){joined}(?:e?s)?(?![\w-])", re.I)


def test_entries_are_in_order_and_lead_to_a_section_with_the_term(site):
    assert listed() == sorted(listed(), key=str.casefold)
    faults, glossary = [], parsed(site, "book/glossary")
    for entry in glossary.select("dl.glossary > dt"):
        words = next(entry.stripped_strings)
        link = entry.find_next_sibling("dd").select("a")[-1]["href"]
        name, _, place = link.partition("#")
        chapter = parsed(site, f"book/{name.removesuffix('.html')}")
        section = chapter.find(id=place)
        if not section or not term(words).search(section.get_text()):
            faults.append(f"{words} is not in {link}")
    assert not faults, "book/glossary.md:\n" + "\n".join(faults)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_chapter_defines_in_bold_is_in_the_glossary(path):
    bold = {
        after.content
        for _, cell in cells(read(path), "markdown")
        for token in MARKDOWN.parse(cell.source)
        for part, after in zip(
            token.children or [], (token.children or [])[1:], strict=False
        )
        if part.type == "strong_open"
    }
    # **Question.** and **You need** head a paragraph.
    heads = {"You'll build", "You need", "It takes"}
    defined = {w for w in bold - heads if w[-1] not in ".:"}
    known = [term(words) for words in listed()]
    lost = [w for w in defined if not any(k.fullmatch(w) for k in known)]
    assert not lost, (
        f"{path.name} defines {lost}, book/glossary.md does not"
    )


def test_every_term_is_linked_once_on_a_page_and_used_in_a_chapter(site):
    used = set()
    for page in pages():
        article = parsed(site, page).article
        links = [
            a["href"] for a in article.select("a:has(.glossary-term)")
        ]
        twice = [a for a, count in Counter(links).items() if count > 1]
        assert not twice, f"{page} links twice to {twice}"
        if (ROOT / f"{page}.ipynb").exists():
            used |= {link.partition("#term-")[2] for link in links}
    ids = {words.replace(" ", "-") for words in listed()}
    assert ids == used, f"in the glossary, in no chapter: {ids - used}"


def defines(text, name):
    return re.search(
        rf"^\s*(?:(?:class|def) {name}\b|{name} = )", text, re.M
    )


def test_the_index_leads_to_every_definition(site):
    document = parsed(site, "book/code")
    for path in sorted(ROOT.glob("lessons/[a-z]*.py")):
        module = importlib.import_module(f"lessons.{path.stem}")
        section = document.find(id=f"lessons.{path.stem}")
        links = {
            re.split(r"\W", link.text)[0]: link["href"]
            for link in section.select("dt a")
        }
        own = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__
            and name[0] != "_"
        ]
        public = getattr(module, "__all__", own)
        assert sorted(links) == sorted(public), path.name
        for name, address in links.items():
            page, _, place = address.partition("#")
            if page.startswith("https"):
                line = int(place.removeprefix("L"))
                code = path.read_text("utf-8").splitlines()[line - 1]
            else:
                page = f"book/{page.removesuffix('.html')}"
                code = (
                    parsed(site, page).find(id=place).find_next("pre").text
                )
            assert defines(code, name), (
                f"{name} is not defined at {address}"
            )
