"""Formulas as MathML, written when the site is built.

A browser draws them without a script. A formula that math-core does not
know, or that would lose something, is a warning, which fails the build.
"""

import re
from functools import partial
from html import escape

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

CONVERTER = LatexToMathML(annotation=False, fancy_error=False)

# MathML has no space between rows; the style sheet sets one for all.
ROW_SPACE = re.compile(r"(\\\\)\[[^]]*\]")

# The style attributes of a table's cells, which the pages do not allow.
STYLE = re.compile(r' style="([^"]*)"')
CLASSES = {
    "text-align: right;justify-items: end;padding-right: 0;": "right",
    "text-align: left;justify-items: start;padding-left: 0;": "left",
}


def mathml(tex: str, display: bool) -> str:
    """Return TeX as a ``<math>`` element.

    Raises ValueError where the element would not say what the TeX says.
    """
    try:
        element = CONVERTER.convert_with_local_state(
            ROW_SPACE.sub(r"\1", tex), displaystyle=display
        )
    except LatexError as error:
        raise ValueError(str(error).strip()) from error
    if unknown := set(STYLE.findall(element)) - CLASSES.keys():
        raise ValueError(f"style.css has no class for {unknown}")
    return STYLE.sub(lambda m: f' class="{CLASSES[m[1]]}"', element)


def write(translator, node, display):
    tex = node.astext().strip()
    try:
        element = mathml(tex, display)
    except ValueError as error:
        LOGGER.warning("formula %r: %s", tex, error, location=node)
        element = ""
    tag = "div" if display else "span"
    # The TeX stays in an attribute: a browser for text alone would read
    # out an annotation after the formula itself.
    translator.body.append(
        f'<{tag} class="math" data-tex="{escape(tex)}">{element}</{tag}>'
    )
    raise nodes.SkipNode


class Glue(SphinxPostTransform):
    """Keeps the full stop behind a formula on the formula's line."""

    default_priority = 900
    formats = ("html",)

    def run(self):
        for formula in list(self.document.findall(nodes.math)):
            text = formula.next_node(descend=False, siblings=True)
            if not isinstance(text, nodes.Text) or text[:1].isspace():
                continue
            tail, *rest = text.split(" ", 1)
            glued = nodes.inline(classes=["glued"])
            text.parent.replace(text, [nodes.Text(" " + t) for t in rest])
            formula.replace_self(glued)
            glued += [formula, nodes.Text(tail)]


class Together(SphinxPostTransform):
    """Keeps a number and its % on one line."""

    default_priority = 900
    formats = ("html",)

    def run(self):
        for text in list(self.document.findall(nodes.Text)):
            code = nodes.literal, nodes.FixedTextElement, nodes.raw
            if " %" in text and not isinstance(text.parent, code):
                kept = re.sub(r"(?<=\d) %", "\u00a0%", text)
                text.parent.replace(text, nodes.Text(kept))


def setup(app):
    inline = partial(write, display=False)
    block = partial(write, display=True)
    app.add_post_transform(Glue)
    app.add_post_transform(Together)
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
