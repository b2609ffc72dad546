"""Every chapter keeps the form that its readers rely on.

For one chapter: pytest tests/test_notebooks.py -k 02
"""

import re
from itertools import pairwise

import nbformat.v4 as v4
import pytest

from tests.support import (
    CHAPTERS,
    MARKDOWN,
    REPO,
    ROOT,
    cells,
    headings,
    read,
    tags,
)
from tools.outputs import canonical, output_faults

COLAB = f"https://colab.research.google.com/github/{REPO}/blob/main/book/"
SETUP = f"""\
import sys

if "google.colab" in sys.modules:
    REPO = "https://github.com/{REPO}"
    %pip install -q --no-deps git+{{REPO}}"""
SPINE = ["Check it", "When it goes wrong", "Recap", "Exercises", "Next"]
MYST_LINE = re.compile(r":::|\([\w-]+\)=$")  # a directive, a target
MYST_ROLE = re.compile(r"\{\w[\w:.-]*\}$")  # and then a code span
EXPORT = re.compile(r"\s*#\s*\|\s*(default_)?exp")
VERDICT = re.compile(r'^verdict\(\s*"([^"]+)"[^#]*\)\Z', re.M)
FOLDED = "the tag hide-cell and the metadata jupyter.source_hidden"
UNWRITTEN = "nothing written yet"
IGNORED = re.compile(r"(?i)nbval[-_](ignore[-_]output|skip)")
DETAILS = re.compile(
    r"<details>\n<summary>.+</summary>\n\n(?s:.+?)\n\n</details>"
)


def opening_faults(notebook, name):
    """A title, a text link to Colab, the set-up cell; the sections."""
    found = headings(notebook)
    text = "".join(cell.source for cell in notebook.cells[:3])
    code = [cell.source for _, cell in cells(notebook, "code")]
    parts = [t for _, level, t in found if level == 2 and t in SPINE]
    if [number for number, level, _ in found if level == 1] != [1]:
        yield "not one title, '# …', in cell 1"
    if not re.search(rf"(?<!!)\[[^]!]+\]\({COLAB}{name}\)", text):
        yield f"no link to {COLAB}{name} at its head"
    if code[:1] != [SETUP]:
        yield f"the first code cell is not:\n{SETUP}"
    if parts != SPINE:
        yield f"sections {parts}, expected {SPINE}"


def text_faults(source):
    """Colab, GitHub and JupyterLab read CommonMark and HTML alone."""
    if source.count("<details>") != len(DETAILS.findall(source)):
        yield "after </summary> and before </details> goes an empty line"
    for token in MARKDOWN.parse(source):
        parts = token.children or []
        myst = [p.content for p in parts if MYST_LINE.match(p.content)]
        if token.type == "fence" and token.info.startswith("{"):
            myst.append(token.info)
        for part, after in pairwise(parts):
            if after.type == "code_inline":
                myst += MYST_ROLE.findall(part.content)
        for piece in myst:
            yield f"MyST, which only pages may use: {piece}"


def code_faults(cell):
    """A cell fits the page, is seen by all, compared, and exported."""
    lines, names = cell.source.splitlines() or [""], tags(cell)
    widest = max(lines, key=len)
    kinds = {kind for o in cell.outputs for kind in o.get("data", {})}
    errors = [o for o in cell.outputs if o.output_type == "error"]
    drawn = any(kind.startswith("image/") for kind in kinds)
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    marks = [(k, m) for k, m in enumerate(lines) if EXPORT.match(m)]
    if len(lines) > 25 and "remove-cell" not in names:
        yield f"{len(lines)} lines, over 25: split it"
    if len(widest) > 75:
        yield f"over 75 columns: {widest}"
    if drawn and len(alt) < 20:
        yield "a picture, and no mystnb.image.alt that describes it"
    if IGNORED.search(str([cell.source, names])):
        yield "its output is not compared"
    if "raises-exception" in names and not errors:
        yield "tagged raises-exception, and raises nothing"
    if marks not in ([], [(0, "#| export")]):
        yield "a mark that is not '#| export' on the first line"
    if re.search(r"(?m)^\s*says\(", cell.source) and (
        "remove-cell" not in names
        or not lines[0].startswith("# @title ")
        or cell.metadata.get("cellView") != "form"
    ):
        yield "claims: remove-cell, '# @title …' above, cellView: form"


def exercise_faults(notebook):
    """At least five: prompt and folded hint, a stub, a folded solution."""
    stubs, solved, hint = [], [], False
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "markdown":
            hint = hint or "<details>" in cell.source
            continue
        judged = VERDICT.search(cell.source)
        name = judged and judged[1]
        printed = "".join(o.get("text", "") for o in cell.outputs)
        if "stub" in tags(cell):
            # A program to be mended has no dots, and is wrong as stored.
            state = UNWRITTEN if "..." in cell.source else "not yet"
            if not name:
                yield f"cell {number}: a stub's last line is verdict(…)"
            if not printed.startswith(f"{name}: {state}"):
                yield f"cell {number}: a stub prints: {name}: {state}"
            if not hint:
                yield f"cell {number}: no hint in <details> above the stub"
            stubs.append(name)
            hint = False
        elif name and f"{name}: solved" in printed:
            hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
            if not hidden or "hide-cell" not in tags(cell):
                yield f"cell {number}: a solution has {FOLDED}"
            solved.append(name)
    if stubs != solved or len(set(stubs)) < 5:
        yield f"stubs {stubs}, solved {solved}, not five or more of each"


def faults(notebook, name):
    yield from opening_faults(notebook, name)
    code = [*cells(notebook, "code")]
    for number, cell in code:
        yield from (f"cell {number}: {f}" for f in code_faults(cell))
    for number, cell in cells(notebook, "markdown"):
        found = text_faults(cell.source)
        yield from (f"cell {number}: {fault}" for fault in found)
    yield from output_faults(notebook)
    yield from exercise_faults(notebook)
    counts = [cell.execution_count for _, cell in code]
    # nbval passes over a cell that has no count, whatever it prints.
    if counts != list(range(1, len(code) + 1)):
        yield "the cells are not counted 1, 2, 3 …: make outputs"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps_its_form(path):
    found = list(faults(read(path), path.name))
    if canonical(read(path)) != path.read_text("utf8"):
        found.append("not in the form in which it is stored: make tidy")
    # A module names the cells that it comes from.
    if any(cell.get("id", "0").isdigit() for cell in read(path).cells):
        found.append("its cells have lost their names: make tidy")
    if found:
        lines = [f"book/{path.name}, {fault}" for fault in found]
        pytest.fail("\n".join(lines), pytrace=False)


def test_the_table_of_contents_lists_every_chapter():
    toc = (ROOT / "_toc.yml").read_text("utf8")
    listed = re.findall(r"book/(\d\d-[\w-]+)", toc)
    assert listed == [path.stem for path in CHAPTERS]


# The rules themselves, on a chapter that keeps them all, or breaks one.

HINT = "<details>\n<summary>Hint</summary>\n\nLook.\n\n</details>"
text = v4.new_markdown_cell


def code(source, printed="", *names, outputs=(), **metadata):
    made = v4.new_code_cell(source, metadata={"tags": names, **metadata})
    made.outputs = [v4.new_output("stream", text=printed), *outputs]
    return made


def sample(replaced=None, number=0):
    """Return the chapter, with one of its cells replaced."""
    made = [text(f"# Keep\n\n[Open in Colab]({COLAB}01-x.ipynb)")]
    made += [code(SETUP), code("#| export\nx = 1"), text("`{a}`, $b$")]
    made += [text(f"## {title}") for title in SPINE]
    for n in "12345":
        verdict = f'verdict("{n}", x)'
        made[8:8] = [
            text(HINT),
            code(f"x = ...\n{verdict}", f"{n}: {UNWRITTEN}\n", "stub"),
            code(verdict, f"{n}: solved\n", "hide-cell"),
        ]
        made[10].metadata.jupyter = {"source_hidden": True}
    if replaced:
        made[number - 1] = replaced
    notebook = v4.new_notebook(cells=made)
    for count, (_, cell) in enumerate(cells(notebook, "code"), 1):
        cell.execution_count = count
    return notebook


PICTURE = v4.new_output("display_data", {"image/png": ""})
BROKEN = [
    (1, text("# No link"), "no link to"),
    (1, text("No title"), "not one title"),
    (2, code("import sys"), "first code cell is not"),
    (4, text("## Recap"), "sections ['Recap', 'Check"),
    (4, text("```{note}\n```"), "cell 4: MyST"),
    (4, text(":::{note}"), "cell 4: MyST"),
    (4, text("a {term}`x`"), "cell 4: MyST"),
    (4, text("(place)=\n# x"), "cell 4: MyST"),
    (4, text(HINT.replace("\n\n", "\n")), "an empty line"),
    (3, code("x\n" * 26), "cell 3: 26 lines, over 25"),
    (3, code("x" * 76), "over 75 columns"),
    (3, code("x", outputs=[PICTURE]), "cell 3: a picture, and"),
    (3, code("# NBVAL_IGNORE_OUTPUT"), "not compared"),
    (3, code("x", "", "nbval-skip"), "not compared"),
    (3, code("x", "", "raises-exception"), "raises nothing"),
    (3, code("x\n#| export"), "not '#| export' on the first line"),
    (3, code("#| exporti\nx"), "not '#| export' on the first line"),
    (3, code("says('2', x)", "", "remove-cell"), "claims: remove-cell"),
    (3, code("x", "at /home/x/y"), "an absolute path"),
    (10, code("x = ...", "", "stub"), "last line is verdict"),
    (
        10,
        code('verdict("5", 2)', "5: solved\n", "stub"),
        "a stub prints: 5: not yet",
    ),
    (
        11,
        code('verdict("5", 2)', "5: not yet\n"),
        "not five or more of each",
    ),
    (11, code('verdict("5", 2)', "5: solved\n"), "a solution has the tag"),
    (9, code("x"), "no hint in <details>"),
]


def test_the_sample_keeps_every_rule_until_a_cell_is_not_run():
    notebook = sample()
    assert list(faults(notebook, "01-x.ipynb")) == []
    notebook.cells[2].execution_count = None
    assert "make outputs" in "".join(faults(notebook, "01-x.ipynb"))


@pytest.mark.parametrize(("number", "cell", "words"), BROKEN)
def test_a_broken_rule_is_named(number, cell, words):
    found = "\n".join(faults(sample(cell, number), "01-x.ipynb"))
    assert words in found
