"""Every number in the text of a chapter rests on something.

A numeral of two or more significant digits, in prose or in the description
of a picture, is one of these:

- printed in its section, from one `##` to the next, or set in the code
  shown there; the text may round it. What says more by itself, a whole
  number of three digits or a shape such as (25, 3), may be shown anywhere
  on the page, and, where a paragraph links to a chapter, there;
- worked out in its section, in a formula whose two sides are numbers;
- sourced: its sentence has a link to another site, or its paragraph one to
  the references, where it stands;
- bound to its value by `says`, in a cell below it in its section, or,
  above the first `##`, in any section.

Every such formula has to be right, and the words that `says` repeats
stand once above their cell. Left to the writer are numbers written as
words, dates, times to read, the numbers of exercises, and rows named
00, 01, 10 and 11.

For one chapter: pytest tests/test_claims.py -k 02
"""

import ast
import builtins
import csv
import math
import re
import tokenize
from functools import cache
from io import StringIO

import nbformat.v4 as v4
import pytest

from lessons.claims import numbers, says
from tests.support import CHAPTERS, ROOT, read, tags

ADVICE = """
Correct it, print it in its section, link its source in the sentence, or
bind it in the section's claims cell: says("the words around it", value)"""
SENTENCE = re.compile(r"\S.*?(?:[.?!](?=\s)|$)")
SOURCE = re.compile(r"\]\(https?://")
CHAPTER = re.compile(r"\]\((?:book/)?(\d\d-[\w-]+)\.ipynb")
SOURCES = "](references.md"
ADDRESS = re.compile(r"\]\([^)\s]*\)|<[a-z/][^>]*>|https?://\S+")
LEFT = re.compile(
    r"about \d+ minutes|\d+ min\b|[A-Z]\w+ 20\d\d|(32|64)[- ]bit"
    r"|### Exercise \d+"
)
SHAPE = re.compile(r"\(\d+(?:, *\d+)*,?\)")
FORMULA = re.compile(r"\$\$.+?\$\$|\$.+?\$")
SIDES = re.compile(r"(=|\\approx)")
TEX = [
    (r"\{,\}|\\[,;!]|\\left|\\right|[$&]", ""),
    (r"(?<=\d),(?=\d{3})", ""),
    (r"\\[td]?frac ?(\d) ?(\d)", r"(\1/\2)"),
    (r"\\[td]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\\times|\\cdot", "*"),
    (r"\^\{([^{}]*)\}", r"**(\1)"),
    (r"\^", "**"),
    (r"\\(sqrt|log|tanh|exp) ?(?:\{([^{}]*)\}|(\d+))", r"\1(\2\3)"),
    (r"\\(?=log|tanh|exp)", ""),
    (r"(?<=[\d)]) *(?=\(|sqrt|log|tanh|exp)", "*"),
]
KNOWN = {k: getattr(math, k) for k in "sqrt log tanh exp e".split()}


def work_out(side):
    """Return what a side of a formula is worth, None if not a number."""
    for tex, python in TEX:
        side = re.sub(tex, python, side)
    side = side.strip(" .,;")
    rest = re.sub(rf"\b({'|'.join(KNOWN)})\b|[\d\s.+*/()-]", "", side)
    try:
        return None if rest else float(eval(side, {}, KNOWN))
    except (ArithmeticError, SyntaxError, TypeError, ValueError):
        return None


def worked_out(text):
    """Return the numbers in formulas of numbers, and what is wrong."""
    found, wrong = [], []
    for formula in FORMULA.findall(text):
        left, *rest = SIDES.split(formula.strip("$"))
        for sign, right in zip(rest[::2], rest[1::2], strict=True):
            is_, told = work_out(left), work_out(right)
            if None not in (is_, told):
                units = [n[3] for n in numbers(right.rstrip(" .,;"))]
                room = 1e-9 * abs(told) if told else 1e-12  # of rounding
                if len(units) == 1 and (units[0] < 1 or sign != "="):
                    room += (units[0] or told) / 2  # 10^{-6}: one digit
                if abs(is_ - told) > room:
                    wrong.append(f"{left} is {is_:.6g}, not {right}")
                found += [n[2] for n in numbers(f"{left} = {right}")]
            left = right
    return found, wrong


def shown(cell):
    """Return the numbers that a code cell puts before the reader."""
    found = []
    if "remove-cell" in tags(cell):
        return found
    if "remove-input" not in tags(cell):
        lines = StringIO(cell.source).readline
        for token in tokenize.generate_tokens(lines):
            if token.type == tokenize.NUMBER and "j" not in token.string:
                value = float(ast.literal_eval(token.string))
                found += [value, -value]
    for output in cell.outputs:
        plain = output.get("data", {}).get("text/plain", "")
        text = output.get("text") or output.get("evalue") or plain
        if not text.startswith("<Figure"):
            found += [value for _, _, value, _ in numbers(text)]
    return found


@cache
def shown_in(stem):
    if stem == "references":
        text = (ROOT / "book/references.md").read_text("utf8")
        return [value for _, _, value, _ in numbers(text)]
    cells = read(ROOT / f"book/{stem}.ipynb").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    return [number for cell in code for number in shown(cell)]


def paragraphs(text):
    """Split where no sentence goes on: paragraphs, items, rows."""
    parts = re.split(r"\n\s*\n|\n(?=\||[-*] |\d\. )", text)
    return [" ".join(part.split()) for part in parts]


def sections(notebook):
    """Return (texts, numbers shown, calls of says), each with its cell."""
    found = [([], [], [])]
    for count, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "markdown":
            for part in re.split(r"(?m)^(?=## )", cell.source):
                if part.startswith("## "):
                    found.append(([], [], []))
                found[-1][0].extend((count, p) for p in paragraphs(part))
            continue
        image = cell.metadata.get("mystnb", {}).get("image", {})
        found[-1][0].append((count, image.get("alt", "")))
        found[-1][1].extend(shown(cell))
        if "says(" in cell.source:
            for node in ast.walk(ast.parse(cell.source)):
                if getattr(getattr(node, "func", 0), "id", "") == "says":
                    found[-1][2].append((count, node))
    return found


def within(span, spans):
    return any(a <= span[0] and span[1] <= b for a, b in spans)


def equals(value, found, room=0.0):
    return any(abs(value - n) <= room + 1e-9 * abs(value) for n in found)


def unfounded(texts, near, page, bound=()):
    """Yield the formulas that are wrong, the numbers without a footing."""
    worked = [worked_out(text) for _, text in texts]
    near = near + [number for found, _ in worked for number in found]
    for (place, text), (_, wrong) in zip(texts, worked, strict=True):
        yield from (f"{place}: {formula}" for formula in wrong)
        linked = [n for s in CHAPTER.findall(text) for n in shown_in(s)]
        sourced = shown_in("references") if SOURCES in text else []
        held = [m for m in SENTENCE.finditer(text) if SOURCE.search(m[0])]
        for words in bound:
            held += re.finditer(re.escape(words), text)
        held = [match.span() for match in [*held, *LEFT.finditer(text)]]
        rows = re.search(r"(?<![\d.])0\d", text)  # named 00, 01, 10, 11
        shapes = [match.span() for match in SHAPE.finditer(text)]
        text = ADDRESS.sub(lambda match: " " * len(match[0]), text)
        for *span, value, unit in numbers(text):
            told = text[slice(*span)].strip(" -")
            digits = re.match(r"[\d.,{}]*", told)[0]
            digits = re.sub(r"\D", "", digits).strip("0")
            room = 0 if re.fullmatch(r"[\d,{}]+", told) else unit / 2
            far = (room == 0 and len(digits) > 2) or within(span, shapes)
            if not (
                len(digits) < 2
                or (rows and set(told) <= {"0", "1"})
                or within(span, held)
                or equals(value, near + sourced, room)
                or (far and equals(value, page + linked))
            ):
                around = text[max(0, span[0] - 40) : span[1] + 40]
                yield f"{place}: {told} in: …{around}…"


def misbound(texts, place, call):
    """Yield what is wrong with one call of says."""
    words, *values = call.args
    if not isinstance(words, ast.Constant):
        yield f"{place}: says wants its words as they stand in the text"
        return
    above = [text for count, text in texts if count < place]
    if (count := " ".join(above).count(words.value)) != 1:
        yield f"{place}: '{words.value}' stands {count} times above it"
    for value in values:
        names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
        if names <= {*dir(builtins)}:
            told = ast.unparse(value)
            yield f"{place}: '{words.value}': {told} is not from the run"


def faults(notebook):
    found, parts = [], sections(notebook)
    page = [number for _, shown, _ in parts for number in shown]
    opening = parts[0][0]
    every = [call for _, _, said in parts for call in said]
    for texts, near, said in parts:
        for place, call in said:
            above = texts if texts is opening else opening + texts
            found += misbound(above, place, call)
        said = every if texts is opening else said
        words = [call.args[0] for _, call in said]
        bound = [w.value for w in words if isinstance(w, ast.Constant)]
        found += unfounded(texts, near, page, bound)
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_number_of_a_chapter_rests_on_something(path):
    if found := faults(read(path)):
        lines = [f"book/{path.name}, cell {fault}" for fault in found]
        pytest.fail("\n".join([*lines, ADVICE]), pytrace=False)


PAGES = [ROOT / "README.md", *sorted(ROOT.glob("book/*.md"))]
PAGES.remove(ROOT / "book/references.md")  # it is the source


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_number_of_a_page_rests_on_something(path):
    """On a chapter, a table of the page, or the course's settings."""
    text = path.read_text("utf8")
    tables = re.findall(r"(?m)^:file: (\S+)", text)
    files = [ROOT / "pyproject.toml", ROOT / "Makefile"]
    files += [path.parent / table for table in tables]
    near = [n for stem in CHAPTERS for n in shown_in(stem.stem)]
    for found in (numbers(file.read_text("utf8")) for file in files):
        near += [sign * n[2] for n in found for sign in (1, -1)]
    texts = [(path.name, part) for part in paragraphs(text)]
    if found := list(unfounded(texts, near, [])):
        pytest.fail("\n".join([*found, ADVICE]), pytrace=False)


def plain(formula):
    """Return a formula without layout: fractions as a / b, no brackets."""
    part = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
    formula = re.sub(rf"\\[td]?frac{part}{part}", r"\1/\2", formula)
    return re.sub(r"\\[,;!]|\\left|\\right|[\s$&(){}]", "", formula)


@pytest.mark.parametrize("name", ["glossary", "notation"])
def test_a_formula_is_that_of_the_chapter_it_leads_to(name):
    found = []
    for text in paragraphs((ROOT / f"book/{name}.md").read_text("utf8")):
        linked = [ROOT / f"book/{s}.ipynb" for s in CHAPTER.findall(text)]
        there = "".join(
            plain(c.source) for path in linked for c in read(path).cells
        )
        for formula in FORMULA.findall(text):
            known = plain(formula) in there or worked_out(formula)[0]
            if linked and not known:
                found.append(f"book/{name}.md: {formula} in: {text}")
    advice = "write it as the chapter does, or link the one that has it"
    assert not found, "\n".join([*found, advice])


def test_the_table_of_mutants_adds_up():
    """The one table of the pages that has sums."""
    with open(ROOT / "book/_results/mutants.csv", encoding="utf8") as file:
        _, *rows = csv.reader(file)
    counts = [[int(count) for count in row[1:]] for row in rows]
    for row, (every, killed, survived) in zip(rows, counts, strict=True):
        assert every == killed + survived, f"{row}: make mutants"
    *modules, total = counts
    assert total == [sum(column) for column in zip(*modules, strict=True)]


# The rules themselves, on a chapter of one section made to break them.


def sample(prose, code="x = 0", printed="", said=""):
    out = [v4.new_output("stream", name="stdout", text=printed)]
    cells = [
        v4.new_markdown_cell("# Title"),
        v4.new_markdown_cell(f"## One\n\n{prose}"),
        v4.new_code_cell(code, outputs=out),
        v4.new_code_cell(said, metadata={"tags": ["remove-cell"]}),
        v4.new_markdown_cell("## Two"),
        v4.new_code_cell("x = 17; n = 784", outputs=out[:0]),
    ]
    return faults(v4.new_notebook(cells=cells))


@pytest.mark.parametrize(
    ("true", "false", "footing"),
    [
        ("It is 0.71.", "It is 0.72.", {"printed": "0.7126"}),
        ("So $w = -0.41$.", "So $w = 0.41$.", {"printed": "-0.41"}),
        ("It is 98 %.", "It is 97 %.", {"printed": "0.9802"}),
        ("98 in a hundred", "99 in a hundred", {"printed": "98.02 %"}),
        ("All 59,512.", "All 59,513.", {"printed": "59512"}),
        ("After 250.", "After 251.", {"code": "n = 250"}),
        ("With 784.", "With 17.", {}),  # of another section
        ("(17, 3)", "(18, 3)", {}),
        (r"$2 \times 40 = 80$", r"$2 \times 40 = 81$", {}),
        (r"$\sqrt{20} \approx 4.47$", r"$\sqrt{20} \approx 4.48$", {}),
        (r"$\frac{1}{4} + 0.51 = 0.76$", r"$\frac14 + 0.51 = 0.75$", {}),
        (r"$\log 10 \approx 2.303$", r"$\log 10 \approx 2.302$", {}),
        (
            r"$2^{-53} \approx 1.1 \times 10^{-16}$",
            r"$2^{-53} \approx 1.2 \times 10^{-16}$",
            {},
        ),
        ("[It](https://a.org) has 19.", "[It](a.md) has 19.", {}),
        ("In November 2026.", "In all, 2026.", {}),
        ("Rows 01 and 11.", "Rows 1 and 11.", {}),
        ("It has 23.", "It has 24.", {"said": 'says("has 23", x)'}),
        ("It has 23.", "It has. Has 23.", {"said": 'says("has 23", x)'}),
        ("has 23", "has 23, has 23", {"said": 'says("has 23", x)'}),
    ],
)
def test_a_false_number_is_told_from_a_true_one(true, false, footing):
    assert sample(true, **footing) == []
    assert len(sample(false, **footing)) > 0


@pytest.mark.parametrize("value", ["23", "20 + 3", "int('23')", "-x, 23"])
def test_a_literal_is_refused(value):
    said = f'says("has 23", {value})'
    assert "is not from the run" in sample("It has 23.", said=said)[0]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_number_planted_in_a_chapter_is_refused(path):
    notebook = v4.new_notebook(cells=[*read(path).cells])
    planted = v4.new_markdown_cell("A person gets about 99.8 % right.")
    notebook.cells.insert(len(notebook.cells) // 2, planted)
    assert len(faults(notebook)) == len(faults(read(path))) + 1


TRUE = [
    ("41 of 50", 41, 50),
    ("some 3,000 epochs of 0.713", 3000.2, 0.7126),
    ("$-0.412$ and $1.1 \\times 10^{-16}$", -0.41203, 2.0**-53),
    ("below $10^{-8}$, 1e-5, $10{,}000$", 1e-8, 1e-5, 10_000),
    ("98 %, 98 in a hundred, 2 in a thousand", 0.9802, 0.981, 0.0023),
    ("ten thousand, twenty-five, a hundred", 10_000, 25, 100),
    ("Twice, tenfold, two-hundredfold", 2, 10, 200),
    ("half, a third, two thirds, a thirtieth", 1 / 2, 0.334, 2 / 3, 0.033),
    ("a two-hundredth, a forty-fifth of W1", 1 / 200, 1 / 45),
    ("one of the hundreds, at first, $x_{12}$",),
]


@pytest.mark.parametrize("case", TRUE, ids=lambda case: case[0])
def test_says_accepts_its_values_and_no_others(case):
    words, *values = case
    says(words, *values)
    with pytest.raises(AssertionError, match="write one for each number"):
        says(words, *values, 1)
    for place, value in enumerate(values):
        for wrong in 1.6 * value, -value, float("nan"):
            changed = [*values[:place], wrong, *values[place + 1 :]]
            with pytest.raises(
                AssertionError, match=r"says .*the value is"
            ):
                says(words, *changed)
