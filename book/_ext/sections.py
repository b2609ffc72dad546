"""The index of the search: what each section and each term says.

It takes the place of Sphinx's own, which finds pages that have every word.
search.js reads it, as a script: from a file no page may read other data.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import glossary

WORD = re.compile(r"[^\W\d]\w{2,}")
APART = nodes.section, nodes.title, nodes.math_block, nodes.raw, glossary


def leaves(node):
    """Yield (kind, text) of a section; of what code printed, errors."""
    for child in node.children:
        if isinstance(child, nodes.Text):
            bold = isinstance(node, nodes.strong)
            yield "bold" if bold else "prose", child.astext()
        elif isinstance(child, nodes.math):
            yield "prose", "…"
        elif isinstance(child, nodes.literal_block):
            if {"output", "traceback"} & {*child["classes"]} != {"output"}:
                yield "code", child.astext()
        elif not isinstance(child, APART):
            yield from leaves(child)
            yield "prose", "" if isinstance(child, nodes.Inline) else "\n"


def entry(anchor, title, node):
    """Anchor, title, other titles, prose, other words in code.

    Other titles: terms and names defined there, and what follows "Also".
    """
    pieces = list(leaves(node))
    prose = "".join(text for kind, text in pieces if kind != "code")
    code = "\n".join(text for kind, text in pieces if kind == "code")
    also = [text for kind, text in pieces if kind == "bold"]
    also += re.findall(r"^(?:class|def) (\w+)", code, re.M)
    also += re.findall(r"^Also (.*)", prose, re.M)
    new = {*WORD.findall(code)} - {*WORD.findall(prose)}
    parts = anchor, title, " ".join(also), prose, " ".join(sorted(new))
    return [" ".join(part.split()) for part in parts]


def places(tree):
    for node in tree.findall(nodes.section):
        yield entry(node["ids"][-1], node.next_node().astext(), node)
    for node in tree.findall(nodes.definition_list_item):
        term, text = node.next_node(), node.children[-1]
        if term["ids"]:  # of the glossary
            yield entry(term["ids"][0], term.astext(), text)


def instead(app):
    app.builder.search = False


def write(app, error):
    if error or app.builder.format != "html":
        return
    pages = []
    for name in sorted(app.env.found_docs):
        title, tree = app.env.titles[name], app.env.get_doctree(name)
        said = [place for place in places(tree) if place[3]]
        pages.append([f"{name}.html", title.astext(), *said])
    index = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
    path = Path(app.outdir, "sections.js")
    path.write_text(f"const PAGES={index}", "utf-8")


def setup(app):
    app.connect("builder-inited", instead)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
