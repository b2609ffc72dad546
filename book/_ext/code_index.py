"""``{code-index}``: what each module of lessons/ offers, and where it is.

A name leads to the cell that defines it, or where no chapter does to its
line in the source. Beside it stands the first paragraph of its docstring.
"""

import ast
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


def definitions(tree):
    """{name: node} of what a module offers: __all__, if it has one."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {ast.unparse(target): node for target in node.targets}
    if "__all__" in found:
        offered = ast.literal_eval(found["__all__"].value)
        return {name: found[name] for name in offered}
    return {
        name: node
        for name, node in found.items()
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and not name.startswith("_")
    }


def signature(name, node):
    """A call as a reader would write it, without annotations or self."""
    if isinstance(node, ast.Assign):
        return name
    made = [p for p in node.body if getattr(p, "name", "") == "__init__"]
    function = made[0] if made else node
    if isinstance(function, ast.ClassDef):
        return name
    for argument in ast.walk(function.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    arguments = ast.unparse(function.args)
    return f"{name}({re.sub('^self(, )?', '', arguments)})"


def said(node):
    """The first paragraph of a docstring; a constant says its value."""
    if isinstance(node, ast.Assign):
        return [nodes.literal("", ast.unparse(node.value))]
    text = (ast.get_docstring(node) or "").split("\n\n")[0]
    parts = " ".join(text.split()).replace("**2", "²").split("``")
    return [
        nodes.literal("", part) if k % 2 else nodes.Text(part)
        for k, part in enumerate(parts)
    ]


class CodeIndex(SphinxDirective):
    def run(self):
        lessons = Path(self.env.srcdir, "lessons")
        pages = {}
        for page in sorted(Path(self.env.srcdir, "book").glob("*.ipynb")):
            pages[page.stem[3:].replace("-", "_")] = page.stem
        others = {path.stem for path in lessons.glob("[a-z]*.py")}
        every = [*pages, *sorted(others - pages.keys())]
        return [
            self.section(lessons / f"{stem}.py", pages.get(stem))
            for stem in every
            if stem in others
        ]

    def section(self, path, page):
        """A module; page is the chapter that it comes from, or None."""
        self.env.note_dependency(str(path))
        listed = nodes.definition_list(classes=["code-index"])
        tree = ast.parse(path.read_text("utf-8"))
        for name, node in definitions(tree).items():
            text = nodes.literal("", signature(name, node))
            address = (
                f"{page}.html#code-{path.stem}-{name}"
                if page
                else self.source(path, node)
            )
            link = nodes.reference("", "", text, refuri=address)
            listed += nodes.definition_list_item(
                "",
                nodes.term("", "", link),
                nodes.definition("", nodes.paragraph("", "", *said(node))),
            )
        title = f"lessons.{path.stem}"
        chapter = f"Chapter {int(page[:2])}: " if page else ""
        head = nodes.title("", chapter, nodes.literal("", title))
        about = nodes.paragraph(
            "", ast.get_docstring(tree).split("\n\n")[0]
        )
        return nodes.section("", head, about, listed, ids=[title])

    def source(self, path, node):
        theme = self.config.html_theme_options
        return (
            f"{theme['repository_url']}/blob/{theme['repository_branch']}"
            f"/lessons/{path.name}#L{node.lineno}"
        )


def setup(app):
    app.add_directive("code-index", CodeIndex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
