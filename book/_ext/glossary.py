"""Link the first use of each term on a page to its entry in the glossary.

A notebook may hold only CommonMark, so the links are made here, and a
writer has nothing to mark.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

GLOSSARY = "book/glossary"

# Where a link would be out of place, or inside another one.
NOT_PROSE = (
    addnodes.pending_xref,
    nodes.FixedTextElement,
    nodes.Titular,
    nodes.block_quote,  # the line under a chapter's title
    nodes.definition_list,  # the index of the code
    nodes.literal,
    nodes.math,
    nodes.raw,
    nodes.reference,
    nodes.table,
)


def pattern(terms):
    """A regular expression for the terms, longest first, and plurals."""
    words = "|".join(
        r"\s+".join(map(re.escape, term.split()))
        for term in sorted(terms, key=len, reverse=True)
    )
    return re.compile(rf"(?<![\w-])({words})(?:e?s)?(?![\w-])", re.I)


def is_prose(node):
    while node := node.parent:
        if isinstance(node, NOT_PROSE):
            return False
    return True


def link(term, words):
    return addnodes.pending_xref(
        "",
        nodes.inline("", words, classes=["glossary-term"]),
        refdomain="std",
        reftype="term",
        reftarget=term,
        refexplicit=True,
        refwarn=True,
    )


class GlossaryLinks(SphinxPostTransform):
    default_priority = 5  # before references are resolved, at 10

    def run(self, **kwargs):
        objects = self.env.get_domain("std").objects
        terms = {name.lower(): name for kind, name in objects
                 if kind == "term"}  # fmt: skip
        if not terms or self.env.docname == GLOSSARY:
            return
        expression = pattern(terms)
        for text in list(self.document.findall(nodes.Text)):
            if is_prose(text):
                self.replace(text, expression, terms)

    def replace(self, text, expression, terms):
        """Link the terms in a piece of text, and forget those linked."""
        pieces, end = [], 0
        for match in expression.finditer(text):
            term = terms.pop(" ".join(match[1].lower().split()), None)
            if term:
                before = nodes.Text(text[end : match.start()])
                pieces += [before, link(term, match[0])]
                end = match.end()
        if pieces:
            pieces.append(nodes.Text(text[end:]))
            text.parent.replace(text, [p for p in pieces if p.astext()])


def read_all_when_terms_change(app, env, docnames):
    """A new term makes links on pages whose sources have not changed."""
    if GLOSSARY in docnames:
        docnames[:] = sorted(env.found_docs)


def setup(app):
    app.add_post_transform(GlossaryLinks)
    app.connect("env-before-read-docs", read_all_when_terms_change)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
