"""Every formula reaches its page, as MathML that says the same."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from book._ext.formulas import ROW_SPACE, mathml

ROOT = Path(__file__).parents[1]

# Code is not searched for formulas, the content of a directive is.
CODE = re.compile(
    r"^(?P<fence>`{3,})(?!\{)[^\n]*\n.*?^(?P=fence)|`[^`\n]+`",
    re.DOTALL | re.MULTILINE,
)
FORMULA = re.compile(r"(?<!\\)\$\$(.+?)\$\$|(?<!\\)\$(.+?)\$", re.DOTALL)


def markdown(page):
    notebook = ROOT / f"{page}.ipynb"
    if not notebook.exists():
        return (ROOT / f"{page}.md").read_text("utf-8")
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return "\n\n".join(
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "markdown"
    )


def test_page_has_the_formulas_of_its_source(site, page):
    source = CODE.sub("", markdown(page))
    written = Counter(
        ROW_SPACE.sub(r"\1", a or b).strip()
        for a, b in FORMULA.findall(source)
    )
    html = (site / f"{page}.html").read_text("utf-8")
    shown = Counter(
        tag.text.strip()
        for tag in BeautifulSoup(html, "html.parser").select(
            'article math annotation[encoding="application/x-tex"]'
        )
    )
    lost, added = list(written - shown), list(shown - written)
    assert not lost + added, (
        f"{page} lost {lost} and shows {added} instead"
    )


@pytest.mark.parametrize("display", [False, True])
def test_formula_keeps_its_tex(display):
    element = mathml(r"\hat y < 1", display)
    assert r"\hat y &lt; 1</annotation>" in element
    assert ('display="block"' in element) is display


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
def test_what_would_be_lost_is_refused(tex):
    with pytest.raises(ValueError, match=r"\w"):
        mathml(tex, display=True)


def test_space_between_rows_is_not_shown_as_text():
    element = mathml(
        r"\begin{aligned} a &= b \\[6pt] c &= d \end{aligned}", True
    )
    assert "pt" not in BeautifulSoup(element, "html.parser").get_text()
    assert " style=" not in element
    assert (
        element.count('class="right"')
        == element.count('class="left"')
        == 2
    )
