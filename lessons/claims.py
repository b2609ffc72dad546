r"""Hold a sentence to the numbers that a run gives.

``says("41 of 50", solved, len(starts))`` stands in a folded cell below the
sentence whose words it repeats, and stops the run where the two differ.
What counts as a number in the words, and when a value equals it:

- Numerals, ``3,000``, ``-0.71``, ``1e-5``, ``1.1 \times 10^{-16}``, when
  the value rounds to the digits shown: 0.7126 is "0.71", not "0.72". A
  power alone, ``10^{-8}`` or ``2^{10}``, is exact.
- Words for whole numbers, in the same way: two to ninety-nine, a hundred,
  ten thousand, 3 million, twice, tenfold. "One" is mostly a pronoun, and
  never counts.
- Shares, "98 %" and "98 in a hundred", when the value is 0.98 to as many
  digits. The value is always the fraction, never 98.
- Fractions, half, a third, two thirds, a two-hundredth, as decimals of
  two digits: 0.334 is "a third", 0.34 is not.

To say it more roughly, round the value where it is passed:
``says("some 3,000 epochs", round(max(found), -3))``.
"""

import re
from math import floor, log10

ONES = "two three four five six seven eight nine".split()
TEENS = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SMALL = {word: n for n, word in enumerate(ONES + TEENS, 2)}
SMALL |= {
    f"{ten}{one}": 10 * n + k
    for n, ten in enumerate(TENS, 2)
    for k, one in enumerate(["", "-one", *(f"-{w}" for w in ONES)])
}
LARGE = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
ENDS = {"ty": "tie", "ve": "f", "ne": "n", "ht": "h"}
PARTS = {
    word[:-2] + ENDS.get(word[-2:], word[-2:]) + "th": n
    for word, n in (SMALL | LARGE).items()
} | {"half": 2, "halve": 2, "third": 3, "quarter": 4}


def _either(words) -> str:
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"


_WORD = _either([*SMALL, *LARGE])
_POWER = r"\^(?:\{-?\d+\}|\d)"
_NUMBER = re.compile(
    rf"""
    (?P<twice>\btwice\b)
  | \b(?:(?P<top>a|one|\d+|{_WORD})[ -](?P<part>{_either(PARTS)})
       |(?P<half>half))(?P<many>s?)\b
  | (?P<minus>(?<![\w.)}}\]^])-)?
    (?:(?<![\w.^])(?<![_^]\{{)(?P<digits>\d+(?:\{{?,\}}?\d{{3}})*(?!\d)(?:\.\d+)?)
          (?P<power>e[-+]?\d+|\s*\\times\s*10{_POWER}|{_POWER})?(?!\w|\.\d)
       |\b(?P<word>{_WORD})(?=\b|fold))
    (?P<large>(?:[ -]{_either(LARGE)}(?=\b|fold))*)(?:-?fold\b)?
    (?P<share>\s?\\?%|[ ]in[ ]a[ ](?:hundred|thousand)\b)?
    """,
    re.IGNORECASE | re.VERBOSE,
)


def _worth(words: str) -> float:
    worth = 1.0
    for word in words.lower().split():
        worth *= (SMALL | LARGE | {"a": 1, "one": 1}).get(word) or float(
            word
        )
    return worth


def _read(found: re.Match) -> tuple[float, float]:
    """Return a number's value, and one unit of its last digit."""
    if found["twice"]:
        return 2.0, 1.0
    if found["half"] or found["part"]:
        top = _worth(found["top"] or "one")
        part = PARTS[(found["part"] or "half").lower()]
        value = top / part if found["many"] else 1 / (top * part)
        return value, 10.0 ** (floor(log10(value)) - 1)
    digits = re.sub("[{},]", "", found["digits"] or "")
    value = float(digits) if digits else _worth(found["word"])
    unit = 10.0 ** -len(digits.partition(".")[2])
    exponent = int(
        "".join(re.findall(r"-?\d+(?=\}?$)", found["power"] or "0"))
    )
    if (found["power"] or "").startswith("^"):
        value, unit = value**exponent, 0.0
    else:
        value, unit = value * 10.0**exponent, unit * 10.0**exponent
    scale = _worth(found["large"].replace("-", " "))
    if found["share"]:
        scale /= 1000 if found["share"].endswith("thousand") else 100
    value = -value if found["minus"] else value
    return value * scale, unit * (scale if digits else min(scale, 1.0))


def numbers(text: str) -> list[tuple[int, int, float, float]]:
    """Return (start, end, value, unit) of each number in a text.

    The unit is one of the last digit shown, and 0 for an exact number.
    """
    return [(*m.span(), *_read(m)) for m in _NUMBER.finditer(text)]


def says(fragment: str, *values: float) -> None:
    """Assert that the numbers in a fragment of the text are the values.

    Raises AssertionError that names the fragment, the number and the
    value where one differs, or where there are more of one than the other.
    """
    found = numbers(fragment)
    told = [fragment[start:end].strip() for start, end, _, _ in found]
    given = [float(value) for value in values]
    assert len(given) == len(found), (
        f'"{fragment}" has the numbers {told}, and the values are '
        f"{given}: write one for each number"
    )
    for text, value, (*_, number, unit) in zip(
        told, given, found, strict=True
    ):
        assert abs(value - number) <= unit / 2 + 1e-9 * abs(number), (
            f'"{fragment}" says {text}, and the value is {value:.6g}: '
            "correct the sentence and this line, or round the value here"
        )
