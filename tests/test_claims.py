"""Every number in the prose is printed, asserted, worked out or sourced.

A number in the text of a chapter or in the description of a picture is

- printed: it stands in a stored output, there perhaps more precisely (the
  text's 0.71 and 71 % for a printed 0.7126; whole numbers are exact);
- asserted or set: it is a constant in the code, as in `assert gap < 1e-12`
  or `lr=0.5`. Comments, texts, indices and exponents do not count, nor do
  the cells that only draw, but for their assertions;
- worked out: it stands in a formula whose two sides are numbers, such as
  $2 \\times 40 = 80$, or in the same cell as one. The sum has to be right;
- or sourced: its sentence, or its row of a table, has a link to another
  site, or a year in parentheses. Where it links to the references, the
  number must stand there; where it names a chapter, it may stand there.

A number that says little, such as 20 or 0.5, must be found near by, in the
code of its section, from one heading to the next; and so must one that is
rounded. One that says more, such as 784, 0.0323 or a shape (25, 3), may
come from anywhere in its chapter, digit for digit, and so may a size that
is asserted, as in `len(y) == 25`. In a page that is no notebook, evidence
comes from the chapters that the sentence names, the tables that the page
includes, and files that claims.toml gives it.

Not looked at, because a program would find them everywhere: 0 and 1, words
up to twelve, halves and quarters in words; in formulas and in code spans,
whole numbers of one digit. They are left to a reader's eye.

claims.toml has the exceptions, each with its reason. A check that accepts
everything would pass too, so one test changes every number of a chapter,
in its first digit and in its last, and wants the changes noticed. The
others are numbers that fit by accident; they are why a claim is better
off with an assertion of its own.
"""

import ast
import re
import tomllib
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache
from math import e, floor, log, log10, sqrt

import nbformat
import pytest
from markdown_it import MarkdownIt
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

from tools.repoint import ROOT, repository

SETTINGS = tomllib.loads((ROOT / "tests/claims.toml").read_text("utf8"))
CHAPTERS = sorted(ROOT.glob("book/*.ipynb"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("book/*.md")),
]
MARKDOWN = MarkdownIt("commonmark").enable("table")
ADVICE = """
Put an assert beside each claim, or print the number, or correct it, or
name a source in the sentence, with a link. Where none of these can be,
write an exception with its reason into tests/claims.toml."""

# -- Numbers as they are written ------------------------------------------

ONES = (
    "one two three four five six seven eight nine ten eleven twelve "
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = {word: value for value, word in enumerate(ONES, 1)}
WORDS |= {word: 10 * value for value, word in enumerate(TENS, 2)}
LARGE = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
WORDS |= LARGE
SIMPLE = (
    rf"(?:{'|'.join(TENS)})-(?:{'|'.join(ONES[:9])})|(?:{'|'.join(WORDS)})"
)

IN_DIGITS = re.compile(
    r"(?<![\w.])(?P<sign>(?<![\w)\]}])-)?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:\.\d+)?)"
    r"(?P<power>e[-+]?\d+|\s*\\times\s*10\^\{?-?\d+\}?|"
    r"(?<=(?<![\d.])10)\^\{?-?\d+\}?)?"
    r"(?!\w|\.\d)"
)
IN_WORDS = re.compile(
    rf"(?P<vague>\b(?:few|many|several|some) )?\b(?P<words>(?:{SIMPLE})"
    rf"(?:[ -](?:{'|'.join(LARGE)}))*)(?P<end>-?fold|th|s|th[s])?\b",
    re.IGNORECASE,
)
BYTES = re.compile(r"\s([kMG]B)\b")
SHARE = re.compile(
    r"\s?%|(?: [a-z]+)? in (?:a |1)?(hundred|thousand|00)\b"
)


@dataclass(frozen=True)
class Number:
    """What a text says: a value, and one unit of its last digit."""

    text: str
    value: float
    unit: float
    form: str = "plain"  # or share, part, power, bytes
    whole: float = 100.0  # of which a share is one; of bytes, 1e-6 is MB

    def readings(self):
        """Return (value, room): what a found number may be equal to.

        A number of one digit has to be found as it stands: too many
        others would round to it.
        """
        rounds = self.unit < 1 and self.digits() > 1
        pairs = [(self.value, self.unit / 2 if rounds else 0.0)]
        if self.form == "share":  # 98 %: 0.9802 is printed
            pairs = [(self.value / self.whole, self.unit / self.whole / 2)]
        if self.form == "bytes":  # 1.2 MB: 1_200_000
            pairs.append((self.value / self.whole, 0.0))
        if self.form == "part":  # a hundredth: / 100, or 0.01 *
            pairs.append((1 / self.value, 0.0))
        return pairs

    def digits(self):
        """Return how many digits are significant, final zeros apart."""
        digits = f"{abs(self.value):.9e}".split("e")[0]
        return len(digits.replace(".", "").strip("0"))

    def says_much(self):
        """Whether it is unlikely to be found somewhere by accident."""
        return self.digits() > 2

    def is_said_by(self, found, exactly=False):
        return any(
            abs(number - value)
            <= room * (not exactly) + 1e-12 * abs(value)
            for value, room in self.readings()
            for number in found
            if type(number) is float
        )

    def changed(self):
        """Yield it with a slip in its last digit, and in its first."""
        if self.form == "power":
            exponent = round(log10(abs(self.value)))
            for k in exponent + 1, exponent + 3:
                yield replace(self, value=10.0**k, text=f"10^{{{k}}}")
            return
        first = 10.0 ** floor(log10(abs(self.value) or 1))
        for slip in sorted({self.unit, 3 * self.unit, first}):
            value = self.value + slip
            text = f"{value:.{max(0, -round(log10(self.unit)))}f}"
            yield replace(self, value=value, text=text)


def in_digits(match):
    digits = match["digits"].replace(",", "")
    unit = 10.0 ** -len(digits.partition(".")[2])
    power = match["power"] or ""
    exponent = int(re.search(r"(-?\d+)\}?$", power or "0")[1])
    if power.startswith("^"):
        return Number(match[0], float(digits) ** exponent, 0.0, "power")
    value = float(digits) * 10.0**exponent
    value = -value if match["sign"] else value
    return Number(match[0], value, unit * 10.0**exponent)


def in_words(match):
    """Read "five hundred", "twenty-five", "two-hundredth", "fourfold"."""
    words = re.split("[ -]", match["words"].lower())
    end = match["end"] or ""
    if re.match("th.", end) and len(words) > 1:  # three hundredths
        whole = float(WORDS[words.pop()])
        return Number(match[0], total(words), 1.0, "share", whole)
    form = "part" if end.startswith("th") else "plain"
    return Number(match[0], total(words), 1.0, form)


def total(words):
    done = part = 0
    for value in map(WORDS.get, words):
        if value >= 1000:
            done, part = done + (part or 1) * value, 0
        else:
            part = (part or 1) * value if value == 100 else part + value
    return float(done + part)


def numbers(text):
    """Yield (start, end, Number) for each in a text without markup."""
    # A thirtieth is read as thirty with an ending, and as long.
    text = text.replace("ieth", "yth ")
    shares = list(SHARE.finditer(text))
    units = [m.span() for m in shares]
    for pattern, read in (IN_DIGITS, in_digits), (IN_WORDS, in_words):
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(a < end and start < b for a, b in units):
                continue  # the hundred of "in a hundred"
            if pattern is IN_WORDS and (
                match["vague"] or match["end"] == "s"
            ):
                continue  # a few hundred, thousands, the fives
            number = read(match)
            size = BYTES.match(text, end)
            if size and number.form == "plain":
                whole = {"kB": 1e-3, "MB": 1e-6, "GB": 1e-9}[size[1]]
                number = replace(number, form="bytes", whole=whole)
            share = next((m for m in shares if m.start() == end), None)
            if share and number.form == "plain":
                whole = 1000.0 if share[1] == "thousand" else 100.0
                number = replace(number, form="share", whole=whole)
            yield start, end, number


# -- Texts and what they say ----------------------------------------------

MARKUP = re.compile(
    r"(?P<code>(?P<ticks>`+).+?(?P=ticks))|(?P<math>\$\$.+?\$\$|\$.+?\$)"
    r"|(?P<other>\]\([^)\s]*\)|<[a-z/][^>]*>|https?://\S+)",
    re.DOTALL,
)
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]*)\)|<(https?://[^>]+)>()")
END = re.compile(r"(?<=[.?!:])[*_)]*\s+(?=[*_(\[]*[A-Z\0])")
# Of a formula: sizes of gaps, indices, exponents and digits of \\frac25.
LAYOUT = re.compile(
    r"\\\\\[\d+pt\]|_(?:\{[^}]*\}|\w)|(?<!10)\^(?:\{[^}]*\}|\w)"
    r"|\\[td]?frac\d\d?"
)
CHAPTER = re.compile(
    r"\b[Cc]hapters? (\d+)(?:(?:,| and| to|, and) (\d+))*"
)
EXERCISE = re.compile(r"\bExercise (\d+)")
NOTEBOOK = re.compile(r"(?:book/)?(\d\d)-\w+\.ipynb")
SHAPE = re.compile(r"(?<!\w)\((\d+(?:,\s*\d+)*,?)\)")
OURS = re.compile(rf"github(\.com)?/{repository()}|//localhost")


@dataclass(frozen=True)
class Shape:
    """Numbers in parentheses, such as (25, 3), which stand as one."""

    text: str
    value: tuple

    def says_much(self):
        return True

    def is_said_by(self, found, exactly=True):
        return self.value in found

    def changed(self):
        for place, size in enumerate(self.value):
            for slip in 1, 3:
                value = list(self.value)
                value[place] = size + slip
                yield replace(self, value=tuple(value))


@dataclass(frozen=True)
class Claim:
    """A number, the sentence around it and where the sentence stands."""

    number: Number | Shape
    start: int  # in the sentence
    sentence: str
    place: str  # "book/01-chain.ipynb, cell 7"
    section: int  # counted by headings; 0 for all of the text
    worked: frozenset = frozenset()  # numbers of calculations beside it

    def formula(self):
        """Return the formula that the number stands in, and where."""
        for match in MARKUP.finditer(self.sentence):
            if match["math"] and match.start() <= self.start < match.end():
                return match[0], self.start - match.start()
        return "", 0

    def slips(self):
        """Yield the claim with other numbers in its place."""
        for number in self.number.changed():
            after = self.start + len(self.number.text)
            sentence = self.sentence[: self.start] + number.text
            sentence += self.sentence[after:]
            yield replace(self, number=number, sentence=sentence)

    def links(self):
        """Yield (start, end, address) for each link in the sentence."""
        for match in LINK.finditer(self.sentence):
            yield *match.span(), match[2] or match[3]

    def chapters(self):
        """Return the numbers of the chapters that the sentence names."""
        named = {
            int(digits)
            for match in CHAPTER.finditer(self.sentence)
            for digits in re.findall(r"\d+", match[0])
        }
        for _, _, address in self.links():
            if target := NOTEBOOK.match(address):
                named.add(int(target[1]))
        return named

    def labels(self):
        """Return the labels that a number in this place may have, if any.

        The first number in a link to a chapter is that chapter's;
        elsewhere it may be any chapter's. An exercise's number is that of
        one in this chapter, or in the chapters that the sentence names.
        """
        for start, end, address in self.links():
            before = self.sentence[start : self.start]
            first = start <= self.start < end and not re.search(
                r"\d", before
            )
            if first and (target := NOTEBOOK.match(address)):
                return {int(target[1])}
        for pattern, labels in LABELS:
            for match in pattern.finditer(self.sentence):
                if match.start() <= self.start < match.end():
                    return labels(self)
        return None

    def is_sourced(self):
        """Whether the sentence names a source outside this course."""
        outside = any(
            address.startswith("http") and not OURS.search(address)
            for _, _, address in self.links()
        )
        return outside or bool(
            re.search(r"\((?:19|20)\d\d\)", self.sentence)
        )

    def __str__(self):
        sentence = " ".join(self.sentence.replace("\0", " ").split())
        return f"{self.place}: {self.number.text} in: {sentence}"


def shapes(text):
    for match in SHAPE.finditer(text):
        sizes = tuple(map(int, re.findall(r"\d+", match[1])))
        if "," in match[1] and 0 not in sizes:  # (1, 0, 0) is no shape
            yield match.start(), Shape(match[0], sizes)


# -- Calculations that the text shows -------------------------------------

TEX = [
    (r"(?<=\d),(?=\d{3}(?!\d))|\{,\}|\\,|\\[a-z]*(?:quad|style)", ""),
    (r"\\times|\\cdot", "*"),
    (r"\\[td]?frac\s?(\d)\s?(\d)", r"(\1/\2)"),
    (r"\\[td]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\\sqrt\s?(\d)", r" sqrt(\1)"),
    (r"\\sqrt\{([^{}]*)\}", r" sqrt(\1)"),
    (r"\\log\s?(\d+)", r" log(\1)"),
    (r"\\log", " log"),
    (r"\^\{([^{}]*)\}", r"**(\1)"),
    (r"\^", "**"),
    (r"(?<=[\d)])\s*(?=\(|sqrt|log)", "*"),
]
KNOWN = {"sqrt": sqrt, "log": log, "e": e}


def work_out(side):
    """Return what one side of a formula is worth; None if not a number."""
    for tex, python in TEX:
        side = re.sub(tex, python, side)
    side = side.strip(" .,;$")
    if not re.search(r"\d", side) or re.search(
        r"[^\d\s.+*/()-]", re.sub(r"\b(?:sqrt|log|e)\b", "", side)
    ):
        return None
    try:
        return float(eval(side, {"__builtins__": {}}, KNOWN))
    except (ArithmeticError, SyntaxError, TypeError, ValueError):
        return None


def comes_out(left, sign, right):
    """Whether two sides are equal as precisely as the right one says."""
    stated = [number for _, _, number in numbers(right.strip(" .,;$"))]
    room = 1e-9 * abs(work_out(right)) + 1e-15
    if stated[0].form == "power" and sign != "=":
        return abs(log10(work_out(left) / work_out(right))) < 0.5
    if len(stated) == 1 and (sign != "=" or stated[0].unit < 1):
        room += stated[0].unit / 2
    return abs(work_out(left) - work_out(right)) <= room


def calculations(formula):
    """Yield (left, sign, right) where both sides are made of numbers."""
    parts = re.split(r"(=|\\approx)", formula.strip("$"))
    sides, signs = parts[::2], parts[1::2]
    for left, sign, right in zip(sides, signs, sides[1:], strict=False):
        if None not in (work_out(left), work_out(right)):
            yield left, sign, right


def every_chapter(claim):
    return {*range(1, len(CHAPTERS) + 1)}


def exercises(claim):
    paths = [CHAPTERS[count - 1] for count in claim.chapters()]
    if claim.place.startswith("book/0"):
        paths.append(ROOT / claim.place.split(",")[0])
    text = "".join(path.read_text("utf8") for path in paths)
    return {
        int(label) for label in re.findall(r"### Exercise (\d+)", text)
    }


LABELS = [(CHAPTER, every_chapter), (EXERCISE, exercises)]


def sentences(text):
    """Split a paragraph; a definition stays with what it defines."""
    flat = MARKUP.sub(lambda match: "\0" * len(match[0]), text)
    ends = [] if "\n: " in text else [m.end() for m in END.finditer(flat)]
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        yield text[start:end]


def numbers_of_markup(text):
    """Yield (start, Number) for what a sentence in Markdown says."""
    for at, shape in shapes(text):
        yield at, shape
        length = len(shape.text)
        text = text[:at] + "\0" * length + text[at + length :]
    prose = list(text)
    for match in MARKUP.finditer(text):
        start, end = match.span()
        prose[start:end] = "\0" * (end - start)
        if match["other"]:
            continue
        inner = match[0].replace("{,}", ",")
        if match["math"]:
            inner = LAYOUT.sub(lambda m: " " * len(m[0]), inner)
        for at, _, number in numbers(inner):
            whole = number.unit == 1 and abs(number.value) < 10
            if (
                not whole
                and number.text[0] not in "abcdefghijklmnopqrstuvwxyz"
            ):
                yield start + at, number
    for at, _, number in numbers("".join(prose)):
        spelt = number.text[0].isalpha() and number.value <= 12
        spelt = spelt and number.form in ("plain", "part")
        if abs(number.value) not in (0, 1) and not spelt:
            yield at, number


def blocks(markdown):
    """Yield kind and text of headings, of rows of tables, of the rest."""
    row = None
    tokens = MARKDOWN.parse(markdown)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield "row", " | ".join(row)
            row = None
        elif token.type == "html_block":
            yield "text", re.sub(r"<[^>]*>", " ", token.content)
        elif token.type == "inline" and row is not None:
            row.append(token.content)
        elif token.type == "inline":
            kind = before.type == "heading_open" and before.tag != "h1"
            yield ("heading" if kind else "text"), token.content


def claims_in(text, place, section, whole=False, worked=frozenset()):
    for sentence in [text] if whole else sentences(text):
        for start, number in numbers_of_markup(sentence):
            yield Claim(number, start, sentence, place, section, worked)


def numbers_worked_out(text):
    """Return the numbers in the calculations that a text shows."""
    formulas = [m[0] for m in MARKUP.finditer(text) if m["math"]]
    sides = [
        side
        for formula in formulas
        for left, _, right in calculations(formula)
        for side in (left, right)
    ]
    return frozenset(n.value for s in sides for _, _, n in numbers(s))


# -- What they may rest on ------------------------------------------------

PRINTED = re.compile(
    r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+\.?\d*(?:[eE][-+]?\d+)?)"
)


def numbers_printed(text):
    found = {float(m.replace(",", "")) for m in PRINTED.findall(text)}
    found |= {float(m) / 100 for m in re.findall(r"([\d.]+) ?%", text)}
    return found | {shape.value for _, shape in shapes(text)}


class Constants(ast.NodeVisitor):
    """Collect the numbers that a program states, 2**-53 as one."""

    def __init__(self, indices):
        self.found, self.indices = set(), indices

    def visit_Constant(self, node):
        if type(node.value) in (int, float):
            self.found.add(float(node.value))

    def visit_Tuple(self, node):
        self.generic_visit(node)
        sizes = [getattr(item, "value", None) for item in node.elts]
        if all(type(size) is int for size in sizes):
            self.found.add(tuple(sizes))

    def visit_Call(self, node):
        """Take of range(50, 501, 50) the first, the last and how many."""
        values = [getattr(item, "value", None) for item in node.args]
        counts = (
            isinstance(node.func, ast.Name) and node.func.id == "range"
        )
        if counts and all(type(value) is int for value in values):
            items = range(*values)
            self.found |= {*map(float, (items[0], items[-1], len(items)))}
        else:
            self.generic_visit(node)

    def visit_Subscript(self, node):
        self.visit(node.value)
        if self.indices:
            self.visit(node.slice)
        for part in ast.walk(node.slice):
            if isinstance(part, ast.Slice):
                self.generic_visit(part)

    def fold(self, node):
        """Add what an expression is worth; return whether it is one."""
        kinds = (
            ast.Constant,
            ast.UnaryOp,
            ast.BinOp,
            ast.operator,
            ast.unaryop,
        )
        parts = list(ast.walk(node))
        stated = [part.value for part in parts if hasattr(part, "value")]
        if not all(isinstance(part, kinds) for part in parts) or not all(
            type(value) in (int, float) for value in stated
        ):
            return False
        self.found.add(float(eval(ast.unparse(node))))
        return True

    def visit_UnaryOp(self, node):
        if not self.fold(node):
            self.generic_visit(node)

    def visit_BinOp(self, node):
        folded = self.fold(node)
        if isinstance(node.op, ast.Sub):
            self.fold(ast.UnaryOp(ast.USub(), node.right))
        if isinstance(node.op, ast.Pow):
            if not folded:
                self.visit(node.left)
        else:
            self.generic_visit(node)


def constants(source, only_assertions=False):
    tree = ast.parse(source)
    nodes = [tree]
    if only_assertions:
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Assert)]
    constants = Constants(indices=only_assertions)
    for node in nodes:
        constants.visit(node)
    return constants.found


SIZES = re.compile(r"(?:len|np\.size|sum)\(.*\)|.*\.(?:shape|size|nbytes)")


def asserted_sizes(source):
    """Return the numbers in assertions such as `len(y) == 25`."""
    found = set()
    for check in ast.walk(ast.parse(source)):
        if isinstance(check, ast.Assert):
            for node in ast.walk(check):
                if isinstance(node, ast.Compare) and SIZES.fullmatch(
                    ast.unparse(node.left)
                ):
                    constants = Constants(indices=False)
                    for value in node.comparators:
                        constants.visit(value)
                    found |= constants.found
    return found


def program(cell):
    """Return a cell's source without what only IPython understands."""
    return re.sub(r"(?m)^( *)%.*", r"\1pass", cell.source)


def numbers_in_cell(cell):
    tags = cell.metadata.get("tags", [])
    draws = bool({"hide-input", "remove-input"} & {*tags})
    found = constants(program(cell), only_assertions=draws)
    for output in cell.outputs:
        if output.output_type == "stream":
            found |= numbers_printed(output.text)
        elif output.output_type == "error":
            found |= numbers_printed(output.evalue)
    return found


def read_notebook(notebook, name):
    """Return the claims and, for each section, the numbers of its code.

    The sizes that are asserted hold in every section.
    """
    claims, asserted, evidence = [], set(), {0: set()}
    section = 1
    for count, cell in enumerate(notebook.cells, 1):
        place = f"{name}, cell {count}"
        if cell.cell_type == "markdown":
            worked = numbers_worked_out(cell.source)
            for kind, text in blocks(cell.source):
                section += kind == "heading"
                row = kind == "row"
                claims += claims_in(text, place, section, row, worked)
            continue
        asserted |= asserted_sizes(program(cell))
        found = numbers_in_cell(cell)
        for part in 0, section:
            evidence.setdefault(part, set()).update(found)
        alt = (
            cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        )
        claims += claims_in(alt, f"{place}, alt text", section)
    for found in evidence.values():
        if found:
            found |= asserted
    return claims, evidence


@cache
def chapter(path):
    return read_notebook(nbformat.read(path, 4), f"book/{path.name}")


@cache
def chapter_numbers(count):
    return (
        chapter(CHAPTERS[count - 1])[1][0]
        if count <= len(CHAPTERS)
        else set()
    )


@cache
def file_numbers(name):
    if not (ROOT / name).is_file():
        return set()  # a table that is not built; the site's test tells
    text = (ROOT / name).read_text("utf8")
    return (
        constants(text) if name.endswith(".py") else numbers_printed(text)
    )


@cache
def page(path):
    """Return a page's claims, and the numbers that it may take."""
    name = str(path.relative_to(ROOT))
    text, claims, found = path.read_text("utf8"), [], set()
    for kind, block in blocks(text):
        claims += claims_in(block, name, 0, kind == "row")
    for table in re.findall(r"^:file: (\S+)", text, re.MULTILINE):
        found |= file_numbers(str((path.parent / table).relative_to(ROOT)))
    for other in SETTINGS["evidence"].get(name, []):
        found |= file_numbers(other)
    return claims, {0: found}


def read(path):
    return chapter(path) if path.suffix == ".ipynb" else page(path)


def unfounded(claim, evidence):
    """Whether nothing that the claim may rest on says its number."""
    if (labels := claim.labels()) is not None:
        return claim.number.value not in labels
    formula, _ = claim.formula()
    if not all(comes_out(*sides) for sides in calculations(formula)):
        return True
    # The first section, and one without code, are about all of them.
    near = evidence.get(claim.section) if claim.section != 1 else None
    found = [near or evidence[0], claim.worked]
    found += [chapter_numbers(count) for count in claim.chapters()]
    if "](references.md" in claim.sentence:
        found.append(file_numbers("book/references.md"))
    number = claim.number
    far = number.says_much() and number.is_said_by(evidence[0], True)
    return not far and not any(map(number.is_said_by, found))


def excepted(claim, exceptions):
    """Return those of the exceptions that cover a claim."""
    return [
        exception["says"]
        for exception in exceptions
        if fnmatch(claim.place, exception["where"] + "*")
        and any(
            match.start() <= claim.start < match.end()
            for match in re.finditer(exception["says"], claim.sentence)
        )
    ]


def checked(claims):
    """Leave out what has its source, or is only a chapter's number."""
    return [c for c in claims if not c.is_sourced() and c.labels() is None]


def faults(claims, evidence, exceptions):
    return [
        str(claim)
        for claim in claims
        if not claim.is_sourced()
        and unfounded(claim, evidence)
        and not excepted(claim, exceptions)
    ]


def unnoticed(claims, evidence):
    """Change each number that passes; return the changes that pass too."""
    passing = [c for c in checked(claims) if not unfounded(c, evidence)]
    slips = [slip for claim in passing for slip in claim.slips()]
    return len(slips), [s for s in slips if not unfounded(s, evidence)]


# -- The texts ------------------------------------------------------------

TEXTS = [*CHAPTERS, *PAGES]
NAMES = [str(path.relative_to(ROOT)) for path in TEXTS]


@pytest.mark.parametrize("path", TEXTS, ids=NAMES)
def test_every_number_has_something_to_rest_on(path):
    if found := faults(*read(path), SETTINGS["exception"]):
        lines = "\n".join([*found, ADVICE])
        pytest.fail(
            f"{len(found)} numbers without:\n{lines}", pytrace=False
        )


def test_the_files_that_give_evidence_are_there():
    for page, files in SETTINGS["evidence"].items():
        assert page in NAMES
        assert [
            name for name in files if not (ROOT / name).is_file()
        ] == []


@pytest.mark.parametrize(
    "exception", SETTINGS["exception"], ids=lambda entry: entry["says"]
)
def test_an_exception_has_a_reason_and_is_needed(exception):
    assert set(exception) == {"where", "says", "because"}
    assert len(exception["because"]) > 20, "say why, in a sentence"
    needed = [
        claim
        for claims, evidence in map(read, TEXTS)
        for claim in claims
        if excepted(claim, [exception])
        and not claim.is_sourced()
        and unfounded(claim, evidence)
    ]
    assert needed, "it lets nothing through: remove it from claims.toml"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_changed_number_is_noticed(path):
    """A check that took any number for evidence would notice nothing."""
    claims, evidence = read(path)
    count, missed = unnoticed(claims, evidence)
    assert count > 100
    told = "\n".join(map(str, missed))
    assert len(missed) < 0.15 * count, f"not noticed:\n{told}"


def test_the_title_page_gives_the_times_of_the_chapters():
    index = (ROOT / "book/index.md").read_text("utf8")
    told = re.findall(
        r"^\| \[(\d) · .* (\d+) min \|$", index, re.MULTILINE
    )
    texts = [path.read_text("utf8") for path in CHAPTERS]
    times = [
        re.findall(r"about (\d+) minutes, exer", text) for text in texts
    ]
    assert told == [(str(n), *time) for n, time in enumerate(times, 1)]


# -- The rules themselves -------------------------------------------------


def stdout(text):
    return new_output("stream", name="stdout", text=text)


def sample(
    prose, source="x = 0", printed="", elsewhere="x = 0", **metadata
):
    """Return a chapter with one text, the code below it, and a section."""
    cells = [
        new_markdown_cell("# Title\n\n## One"),
        new_markdown_cell(prose),
        new_code_cell(
            source, outputs=[stdout(printed)], metadata=metadata
        ),
        new_markdown_cell("## Two"),
        new_code_cell(elsewhere),
    ]
    return read_notebook(new_notebook(cells=cells), "book/00-sample.ipynb")


SAMPLES = [
    # what makes it true, a sentence, and the same with a false number
    ({"printed": "0.7126"}, "The loss is 0.71.", "The loss is 0.72."),
    ({"printed": "0.7126"}, "It is 0.713 now.", "It is 0.712 now."),
    ({"printed": "[0.9802]"}, "Of these 98 % are.", "Of these 97 % are."),
    (
        {"printed": "0.9802"},
        "It is 98 in a hundred.",
        "It is 99 in a hundred.",
    ),
    ({"printed": "98.02"}, "It has 98.0 parts.", "It has 98 parts."),
    ({"printed": "60,000 of"}, "All 60,000.", "All 60,001."),
    ({"printed": "-0.412"}, "So $w = -0.412$.", "So $w = 0.412$."),
    ({"printed": "(25, 3)"}, "Of shape (25, 3).", "Of shape (3, 25)."),
    (
        {"source": "x = 10_000"},
        "Ten thousand steps.",
        "Nine thousand steps.",
    ),
    ({"source": "x = 1_200_000"}, "At most 1.2 MB.", "At most 1.3 MB."),
    ({"source": "x = 25"}, "Twenty-five pupils.", "Twenty-four pupils."),
    (
        {"source": "x = 0.003"},
        "By three thousandths.",
        "Four thousandths.",
    ),
    ({"source": "x = 1 / 30"}, "A thirtieth of it.", "A fortieth of it."),
    ({"source": "assert x < 1e-8"}, "To $10^{-8}$.", "To $10^{-7}$."),
    (
        {"source": "x = 2**-53"},
        "$1.1 \\times 10^{-16}$",
        "$1.2 \\times 10^{-16}$",
    ),
    ({"source": "y = x - 0.9"}, "So $b = -0.9$.", "So $b = -0.8$."),
    ({"source": "y = x[1:250]"}, "Look at 250.", "Look at 251."),
    ({"source": "y = range(50, 501, 50)"}, "Up to 500.", "Up to 501."),
    ({}, "$2 \\times 40 = 80$", "$2 \\times 40 = 81$"),
    ({}, "$\\sqrt{20} \\approx 4.47$", "$\\sqrt{20} \\approx 4.48$"),
    ({}, "$\\frac{1}{4} + 0.5 = 0.75$", "$\\frac{1}{4} + 0.5 = 0.76$"),
    (
        {},
        "Two of 40: $2 \\times 40 = 80$",
        "Two of 41: $2 \\times 40 = 80$",
    ),
    ({}, "In chapter 2 it was.", "In chapter 20 it was."),
    ({}, "[Chapter 2](02-x.ipynb).", "[Chapter 3](02-x.ipynb)."),
    ({}, "[It](https://a.org) has 17.", "It has 17."),
    ({}, "In their paper (1986).", "In their paper of 1986."),
    ({}, "One to twelve, 0 and 1; $a_{12}$, $x^{10}$, $3$.", "But 2."),
    ({}, "A few hundred, thousands, half.", "A hundred, half."),
    (
        {"elsewhere": "assert len(x) == 25"},
        "All 25 of them.",
        "All 26 of them.",
    ),
]


@pytest.mark.parametrize(("code", "true", "false"), SAMPLES)
def test_a_false_number_is_told_from_a_true_one(code, true, false):
    assert faults(*sample(true, **code), []) == []
    found = faults(*sample(false, **code), [])
    assert found
    for fault in found:
        assert fault.startswith("book/00-sample.ipynb, cell 2: ")
        assert fault.partition(" in: ")[2] in false


NO_EVIDENCE = [
    {"source": "# 17 steps"},
    {"source": "'17 steps'"},
    {"source": "x[17]"},
    {"source": "x**17"},
    {"source": "w17 = 0"},
    {"elsewhere": "x = 17"},
    {"source": "plot(17)", "tags": ["hide-input"]},
    {"printed": "170 1.7 17.5 x17"},
]


@pytest.mark.parametrize("code", NO_EVIDENCE, ids=str)
def test_what_is_no_evidence(code):
    [fault] = faults(*sample("It takes 17 steps.", **code), [])
    assert "cell 2: 17 in: It takes 17 steps." in fault


def test_pictures_and_tables_are_read_too():
    alt = {"image": {"alt": "A curve that ends at 0.935."}}
    [fault] = faults(*sample("", source="x = 0", mystnb=alt), [])
    assert "cell 3, alt text: 0.935 in: A curve" in fault
    table = "| a | b |\n|---|---|\n| 17 | [it](https://a.org) |\n| 18 | |"
    [fault] = faults(*sample(table), [])
    assert "18" in fault


def test_an_exception_covers_its_words_alone():
    claims, evidence = sample("Row 17 says 17.")
    entry = {"where": "book/0*.ipynb", "says": "Row 17", "because": ""}
    assert len(faults(claims, evidence, [entry])) == 1
    assert len(faults(claims, evidence, [])) == 2
    other = {**entry, "where": "README.md"}
    assert len(faults(claims, evidence, [other])) == 2


def test_a_check_that_accepts_everything_is_noticed():
    everything = set(map(float, range(100)))
    claims, _ = sample("It takes 17 steps, or 25.")
    count, missed = unnoticed(claims, {0: everything, 2: everything})
    assert (count, len(missed)) == (6, 6)
    count, missed = unnoticed(claims, {0: set(), 2: {17.0, 25.0}})
    assert (count, len(missed)) == (6, 0)
