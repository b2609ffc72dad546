"""Every chapter keeps the form that its readers rely on.

Each rule is a function from a notebook to a list of faults. It is applied
to every chapter, and, at the end of the file, to notebooks made to break
it: a check must be able to fail.
"""

import re
import subprocess
import sys
from itertools import pairwise

import nbformat
import pytest
from markdown_it import MarkdownIt
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

from tools.outputs import canonical, output_faults
from tools.repoint import ROOT, repository

NOTEBOOKS = sorted(ROOT.glob("book/*.ipynb"))
REPO = repository()
COLAB = f"https://colab.research.google.com/github/{REPO}/blob/main/book/"
SETUP = f"""\
import sys

if "google.colab" in sys.modules:
    REPO = "https://github.com/{REPO}"
    %pip install -q --no-deps git+{{REPO}}"""
SPINE = ["Check it", "When it goes wrong", "Recap", "Exercises", "Next"]
IGNORES = re.compile(r"nbval[-_](ignore[-_]output|skip)", re.IGNORECASE)
MYST_LINE = re.compile(r":::|\([\w-]+\)=$")  # a directive, a target
MYST_ROLE = re.compile(r"\{\w[\w:.-]*\}$")  # and then a code span
MARK = re.compile(r"\s*#\s*\|\s*(default_)?exp")
MARKDOWN = MarkdownIt("commonmark")
QUESTION = re.compile(
    r"\*\*Question\.\*\* \S.*?\n\n<details>\n"
    r"<summary>Answer: (?P<summary>\S.*)</summary>\n\n\S(?s:.*)\n\n"
    r"</details>"
)


def code_cells(notebook):
    return [
        (number, cell)
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code"
    ]


def markdown_cells(notebook):
    return [
        (number, cell)
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "markdown"
    ]


def headings(notebook):
    """Return (cell number, level, title) for every Markdown heading."""
    return [
        (number, int(token.tag[1]), title.content)
        for number, cell in markdown_cells(notebook)
        for token, title in pairwise(MARKDOWN.parse(cell.source))
        if token.type == "heading_open"
    ]


def tags(cell):
    return cell.metadata.get("tags", [])


def counts(notebook):
    """nbval passes a cell without a count, whatever it prints."""
    faults = [
        f"cell {number}: count {cell.execution_count}, not {count}:"
        " make outputs"
        for count, (number, cell) in enumerate(code_cells(notebook), 1)
        if cell.execution_count != count
    ]
    return faults[:1]  # one command mends them all


def size(notebook):
    """A cell fits on a screen, a line in the page's column."""
    faults = []
    for number, cell in code_cells(notebook):
        lines = cell.source.splitlines()
        if len(lines) > 25:
            faults.append(f"cell {number}: {len(lines)} lines, over 25")
        faults += [
            f"cell {number}: {len(line)} columns, over 75: {line}"
            for line in lines
            # As in ruff, a URL that cannot be broken may run over.
            if len(line) > 75 and "://" not in line.split()[-1]
        ]
    return faults


def prose(notebook):
    """At most three code cells stand in a row."""
    run, faults = 0, []
    for number, cell in enumerate(notebook.cells, 1):
        run = run + 1 if cell.cell_type == "code" else 0
        if run == 4:
            faults.append(f"cell {number}: a fourth code cell in a row")
    return faults


def myst_syntax(source):
    """Return the pieces of a Markdown text that only MyST understands."""
    found = []
    for token in MARKDOWN.parse(source):
        if token.type == "fence" and token.info.startswith("{"):
            found.append(token.info)
        parts = token.children or []
        found += [
            part.content
            for part in parts
            if part.type == "text" and MYST_LINE.match(part.content)
        ]
        found += [
            f"{part.content}`{after.content}`"
            for part, after in pairwise(parts)
            if after.type == "code_inline"
            and MYST_ROLE.search(part.content)
        ]
    return found


def commonmark(notebook):
    """Colab, GitHub and JupyterLab show MyST syntax as raw text."""
    return [
        f"cell {number}: MyST syntax: {piece}"
        for number, cell in markdown_cells(notebook)
        for piece in myst_syntax(cell.source)
    ]


def alt_text(notebook):
    """Every picture is described to those who do not see it."""
    faults = []
    for number, cell in code_cells(notebook):
        kinds = {k for o in cell.outputs for k in o.get("data", {})}
        image = cell.metadata.get("mystnb", {}).get("image", {})
        pictured = any(kind.startswith("image/") for kind in kinds)
        if pictured and len(image.get("alt", "")) < 20:
            faults.append(
                f"cell {number}: a picture without mystnb.image.alt"
                " of at least 20 characters"
            )
    return faults


def compared(notebook):
    """An output that nbval is told not to compare has a reason."""
    return [
        f"cell {number}: not compared by nbval, and no line that begins"
        " '# Not compared:'"
        for number, cell in code_cells(notebook)
        if IGNORES.search("\n".join([cell.source, *tags(cell)]))
        and not re.search("^# Not compared: .", cell.source, re.MULTILINE)
    ]


def raises(notebook):
    """A cell that is meant to fail does fail."""
    return [
        f"cell {number}: tagged raises-exception, and raised nothing"
        for number, cell in code_cells(notebook)
        if "raises-exception" in tags(cell)
        and "error" not in {o.output_type for o in cell.outputs}
    ]


def export_mark(notebook):
    """nbdev passes over a mark that is misspelled or not on line one."""
    return [
        f"cell {number}: '{line}' is not '#| export' on the first line"
        for number, cell in code_cells(notebook)
        for row, line in enumerate(cell.source.splitlines())
        if MARK.match(line) and (row, line) != (0, "#| export")
    ]


def spine(notebook):
    """Every chapter has the same outline."""
    found = headings(notebook)
    faults = []
    if [number for number, level, _ in found if level == 1] != [1]:
        faults.append("cell 1: not the one cell with an H1 heading")
    second = [title for _, level, title in found if level == 2]
    required = [title for title in second if title in SPINE]
    if required != SPINE:
        faults.append(f"H2 headings {required}, expected {SPINE}")
    return faults


def exercises(notebook):
    """Three to five exercises, each with a solution that is checked."""
    found = [heading for heading in headings(notebook) if heading[1] <= 3]
    ends = [number for number, _, _ in found[1:]]
    ends.append(len(notebook.cells) + 1)
    count, faults = 0, []
    for (number, level, title), end in zip(found, ends, strict=True):
        if level != 3 or not title.startswith("Exercise"):
            continue
        count += 1
        if not re.match(rf"Exercise {count}\b", title):
            faults.append(f"cell {number}: {title} is number {count}")
        solutions = [
            cell.source
            for place, cell in code_cells(notebook)
            if number < place < end and "hide-cell" in tags(cell)
        ]
        asked = notebook.cells[number - 1].source.partition(title)[2]
        if "solved when" not in asked.lower():
            faults.append(
                f"cell {number}: {title} does not say 'Solved when …'"
            )
        if not re.search(r"^\s*assert\b", "\n".join(solutions), re.M):
            faults.append(
                f"cell {number}: {title} is not followed by a cell"
                " tagged hide-cell that asserts its claim"
            )
    if not 3 <= count <= 5:
        faults.append(f"{count} exercises, not three to five")
    return faults


def question_faults(notebook, number, cell):
    """Return what is wrong with the form or the place of one question."""
    heads = [place for place, _, _ in headings(notebook)]
    if not QUESTION.fullmatch(cell.source):
        yield (
            f"cell {number}: not a cell of '**Question.** …', <details>,"
            " <summary>Answer: …</summary>, the answer, </details>, with"
            " a blank line around the answer"
        )
    if number + 1 not in heads:
        yield f"cell {number}: a question not at the end of its section"


def questions(notebook):
    """Four questions at least, at most one a section, each answered."""
    count, faults, seen = 0, [], set()
    places = headings(notebook)
    for number, cell in markdown_cells(notebook):
        if "**Question" not in cell.source:
            continue
        count += 1
        faults += question_faults(notebook, number, cell)
        section = [h for h in places if h[0] < number and h[1] <= 3][-1:]
        match = QUESTION.fullmatch(cell.source)
        marks = {str(section), match["summary"] if match else number}
        if marks & seen:
            faults.append(
                f"cell {number}: a second question in one section, or"
                " the same summary again"
            )
        seen |= marks
    if count < 4:
        faults.append(f"{count} questions, not four or more")
    return faults


def setup_cell(notebook):
    """The first code cell installs the package, on Colab alone."""
    if [cell.source for _, cell in code_cells(notebook)[:1]] == [SETUP]:
        return []
    return [f"the first code cell is not the Colab set-up:\n{SETUP}"]


def colab_link(notebook, name):
    """A text link; a badge would be a request to another host."""
    first = [cell.source for _, cell in markdown_cells(notebook)[:2]]
    links = re.findall(r"(?<!!)\[[^\]!]+\]\(([^)\s]+)\)", "\n".join(first))
    if COLAB + name in links:
        return []
    return [
        f"no text link to {COLAB}{name} in the first two cells of text"
    ]


def stored_form(notebook, text):
    """The file is what `make outputs` would write."""
    if canonical(notebook) == text:
        return []
    return ["not in the form in which outputs are stored: make outputs"]


RULES = [
    counts,
    output_faults,
    size,
    prose,
    commonmark,
    alt_text,
    compared,
    raises,
    export_mark,
    spine,
    exercises,
    questions,
    setup_cell,
]


def expect_none(faults, path):
    if faults:
        lines = [f"book/{path.name}, {fault}" for fault in faults]
        pytest.fail("\n".join(lines), pytrace=False)


def test_the_table_of_contents_lists_every_chapter():
    toc = (ROOT / "_toc.yml").read_text("utf8")
    listed = re.findall(r"file: book/(\d\d-\w+)", toc)
    assert listed == [path.stem for path in NOTEBOOKS]
    assert listed


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_keeps(path, rule):
    expect_none(rule(nbformat.read(path, as_version=4)), path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_links_to_itself_on_colab(path):
    notebook = nbformat.read(path, as_version=4)
    expect_none(colab_link(notebook, path.name), path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_is_stored_in_one_form(path):
    text = path.read_text("utf8")
    notebook = nbformat.reads(text, as_version=4)
    expect_none(stored_form(notebook, text), path)


# The rules themselves.

IMAGE = new_output("display_data", {"image/png": ""})
HARMLESS = "and/or 1/2/3 https://a.org/b/c 1 / 2 Warnings: 0x7f\n"


def stdout(text):
    return new_output("stream", name="stdout", text=text)


def code(source, *outputs, **metadata):
    return new_code_cell(source, metadata=metadata, outputs=list(outputs))


def question(number, answer="Because."):
    return new_markdown_cell(
        f"**Question.** Why {number}?\n\n<details>\n"
        f"<summary>Answer: reason {number}</summary>\n\n{answer}\n\n"
        "</details>"
    )


def sample():
    """Return a chapter that keeps every rule."""
    link = f"[Open in Colab]({COLAB}01-sample.ipynb)"
    cells = [
        new_markdown_cell(f"# Keep every rule\n\n{link}"),
        code(SETUP),
        new_markdown_cell("Code may say `{term}` and\n\n```\n# H\n```"),
        code("#| export\n# |x| is 1\nx = 1", stdout(HARMLESS)),
    ]
    for n in 1, 2, 3, 4:
        cells += [new_markdown_cell(f"## Step {n}"), question(n)]
    for title in SPINE:
        cells.append(new_markdown_cell(f"## {title}"))
        if title == "Exercises":
            for n in 1, 2, 3:
                text = f"### Exercise {n}\n\nSolved when x is 1."
                cells.append(new_markdown_cell(text))
                cells.append(code("assert x == 1", tags=["hide-cell"]))
    notebook = new_notebook(cells=cells)
    for count, (_, cell) in enumerate(code_cells(notebook), 1):
        cell.execution_count = count
    return notebook


BROKEN = [
    # rule, the cell that replaces cell 4, words of the fault
    (raises, code("x", tags=["raises-exception"]), "raised nothing"),
    (counts, code("x"), "cell 4: count None, not 2: make outputs"),
    (output_faults, code("x", stdout("at /home/x")), "path: at /home/"),
    (output_faults, code("x", stdout("<f at 0x7f>")), "address: <f at"),
    (output_faults, code("x", stdout("UserWarning: x")), "a warning"),
    (
        output_faults,
        code("x", new_output("stream", name="stderr", text="no")),
        "writes to stderr: no",
    ),
    (
        output_faults,
        code("x", new_output("error", evalue="/root/x/y", ename="E")),
        "prints an absolute path: E: /root/x/",
    ),
    (size, code("x\n" * 26), "cell 4: 26 lines, over 25"),
    (size, code("x" * 76), "cell 4: 76 columns, over 75"),
    (commonmark, new_markdown_cell("```{note}\nx\n```"), "cell 4: MyST"),
    (commonmark, new_markdown_cell(":::{note}\nx\n:::"), "cell 4: MyST"),
    (commonmark, new_markdown_cell("- a {term}`x`"), "cell 4: MyST"),
    (commonmark, new_markdown_cell("(place)=\n# x"), "cell 4: MyST"),
    (alt_text, code("x", IMAGE), "cell 4: a picture without mystnb"),
    (
        alt_text,
        code("x", IMAGE, mystnb={"image": {"alt": "A curve."}}),
        "at least 20 characters",
    ),
    (compared, code("# NBVAL_IGNORE_OUTPUT\nx"), "'# Not compared:'"),
    (compared, code("x", tags=["nbval-skip"]), "'# Not compared:'"),
    (export_mark, code("x\n#| export"), "cell 4: '#| export'"),
    (export_mark, code("#| exporti\nx"), "cell 4: '#| exporti'"),
    (spine, new_markdown_cell("# Again"), "cell 1: not the one cell"),
    (spine, new_markdown_cell("## Recap"), "H2 headings ['Recap', 'Check"),
    (
        exercises,
        new_markdown_cell("### Exercise 1"),
        "cell 4: Exercise 1 is not followed by",
    ),
    (
        exercises,
        new_markdown_cell("### Exercise 1\n\nFind x."),
        "cell 4: Exercise 1 does not say 'Solved when …'",
    ),
    (questions, question(5, answer=""), "cell 4: not a cell of"),
    (
        questions,
        new_markdown_cell("A thought. **Question.** Why?"),
        "cell 4: not a cell of",
    ),
    (questions, question(1), "cell 6: a second question in one section"),
]


def test_the_sample_keeps_every_rule():
    notebook = sample()
    assert [rule(notebook) for rule in RULES] == [[]] * len(RULES)
    assert colab_link(notebook, "01-sample.ipynb") == []
    assert stored_form(notebook, canonical(notebook)) == []


@pytest.mark.parametrize(("rule", "cell", "words"), BROKEN)
def test_a_broken_cell_is_reported(rule, cell, words):
    notebook = sample()
    notebook.cells[3] = cell
    faults = rule(notebook)
    assert words in "\n".join(faults)


def test_a_broken_chapter_is_reported():
    notebook = sample()
    fault = f"no text link to {COLAB}02-sample.ipynb in the first two"
    assert fault in colab_link(notebook, "02-sample.ipynb")[0]
    badge = f"[![Colab](badge.svg)]({COLAB}01-sample.ipynb)"
    notebook.cells[0].source = badge
    assert colab_link(notebook, "01-sample.ipynb")
    notebook.cells[1].source += "\n"
    assert "is not the Colab set-up" in setup_cell(notebook)[0]
    notebook.cells[4:4] = [code("x") for _ in range(3)]
    assert prose(notebook) == ["cell 7: a fourth code cell in a row"]
    del notebook.cells[-3:-1]
    assert "2 exercises, not three to five" in exercises(notebook)
    spaced = canonical(notebook).replace("\n", "\n ")
    assert "make outputs" in stored_form(notebook, spaced)[0]


def test_a_question_out_of_place_is_reported():
    notebook = sample()
    notebook.cells.insert(6, code("# x"))  # after the first question
    fault = "cell 6: a question not at the end of its section"
    assert questions(notebook) == [fault]
    del notebook.cells[5]
    assert questions(notebook) == ["3 questions, not four or more"]


def test_nbval_sees_one_changed_digit(tmp_path):
    cells = [
        code("print(f'{1 / 3:.4f}')", stdout("0.3333\n")),
        code("print(f'{2 / 3:.4f}')", stdout("0.6666\n")),
    ]
    for count, cell in enumerate(cells, 1):
        cell.execution_count = count
    nbformat.write(new_notebook(cells=cells), tmp_path / "thirds.ipynb")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "thirds.ipynb"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "1 failed, 1 passed" in run.stdout
    assert "0.6666" in run.stdout
    assert "0.6667" in run.stdout
