"""What the site makes of a notebook's code cells.

A line that only a tool reads is taken off. A stub (tag ``stub``) gets a
link that opens the chapter where it can be written in; a folded cell (tag
``hide-cell``) is a solution and says so. An exported cell gets an anchor
for each name that it defines: code-modules-Linear in chapter 3.
"""

import ast
import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

CHAPTER = re.compile(r"book/\d\d-([\w-]+)$")
EXPORTED = "#| export\n"
# `#| export`, what nbval is told, and the title of a form in Colab.
MARKS = re.compile(r"^ *#(\||.*NBVAL_|.*PYTEST_VALIDATE_| @).*\n?", re.M)


def defined(source):
    """The names that code defines at its top, private ones left out."""
    for node in ast.parse(source).body:
        names = [getattr(node, "name", None)]
        if isinstance(node, ast.Assign):
            names = [
                getattr(target, "id", None) for target in node.targets
            ]
        yield from (n for n in names if n and not n.startswith("_"))


class Cells(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs):
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") != "cell_code":
                continue
            if cell.get("hide_mode") == "all":
                cell["prompt_show"] = "Show the solution"
                cell["prompt_hide"] = "Hide the solution"
            if "tag_stub" in cell["classes"]:
                cell += self.invitation()
            for block in cell.findall(nodes.literal_block):
                if block.parent.get("nb_element") == "cell_code_source":
                    self.anchor(cell, block.astext())
                    code = MARKS.sub("", block.astext()).strip("\n")
                    # Twice: Sphinx colours only what is its own source.
                    block.replace_self(
                        nodes.literal_block(code, code, **block.attributes)
                    )

    def anchor(self, cell, source):
        chapter = CHAPTER.match(self.env.docname)
        if chapter and source.startswith(EXPORTED):
            stem = chapter[1].replace("-", "_")
            for name in defined(source):
                target = nodes.target(ids=[f"code-{stem}-{name}"])
                cell.parent.insert(cell.parent.index(cell), target)

    def invitation(self):
        theme = self.config.html_theme_options
        address = "{}/github{}/blob/{}/{}.ipynb".format(
            theme["launch_buttons"]["colab_url"],
            theme["repository_url"].removeprefix("https://github.com"),
            theme["repository_branch"],
            self.env.docname,
        )
        text = "Open this chapter in Colab"
        return nodes.paragraph(
            "",
            "Yours to write. ",
            nodes.reference("", text, refuri=address),
            nodes.Text(", fill in the dots and run the cell."),
            classes=["invitation"],
        )


def setup(app):
    app.add_transform(Cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
