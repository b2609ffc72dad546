"""The glossary's links, and the index of what the chapters define.

On every page the first use of a term leads to its entry in the glossary.
A notebook may hold only CommonMark, so the link is made here, and a writer
has nothing to mark.

A cell that is exported gets an anchor for each public name that it
defines, code-modules-Linear in the third chapter. ``{course-index}
modules`` lists the names of ``lessons.modules`` with their docstrings,
each linked to its cell, or to the source where no chapter has one.
"""

import ast
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

GLOSSARY = "book/glossary"
INDEX = "course-index"  # a list in which "module" may be an argument
CHAPTER = re.compile(r"book/\d\d-(\w+)$")
INLINE = re.compile(
    r"(?P<url>https?://\S+[\w/])|``(?P<code>[^`]+)``"
    r"|\*\*(?P<power>\d+)|(?<!\S)\*(?P<title>\w[^*]*)\*(?!\w)"
)

# -- Terms ----------------------------------------------------------------

# Where a link would be out of place, or inside another one.
NOT_PROSE = (
    addnodes.pending_xref,
    nodes.FixedTextElement,
    nodes.Titular,
    nodes.block_quote,  # the line under a chapter's title
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


def is_prose(text):
    node = text.parent
    while node is not None:
        if isinstance(node, NOT_PROSE) or INDEX in node.get("classes", []):
            return False
        node = node.parent
    return True


class GlossaryLinks(SphinxPostTransform):
    """Link the first use of each term on a page to the glossary."""

    default_priority = 5  # before references are resolved, at 10

    def run(self, **kwargs):
        objects = self.env.get_domain("std").objects
        terms = {
            name.lower(): name for kind, name in objects if kind == "term"
        }
        if not terms or self.env.docname == GLOSSARY:
            return
        expression, linked = pattern(terms), set()
        for text in list(self.document.findall(nodes.Text)):
            if is_prose(text):
                self.link(text, expression, terms, linked)

    def link(self, text, expression, terms, linked):
        pieces, end = [], 0
        for match in expression.finditer(text):
            term = terms[" ".join(match[1].lower().split())]
            if term in linked:
                continue
            linked.add(term)
            pieces.append(nodes.Text(text[end : match.start()]))
            pieces.append(reference_to_term(term, match[0]))
            end = match.end()
        if pieces:
            pieces.append(nodes.Text(text[end:]))
            text.parent.replace(text, [p for p in pieces if p.astext()])


def reference_to_term(term, words):
    return addnodes.pending_xref(
        "",
        nodes.inline("", words, classes=["glossary-term"]),
        refdomain="std",
        reftype="term",
        reftarget=term,
        refexplicit=True,
        refwarn=True,
    )


def read_all_when_terms_change(app, env, docnames):
    """A new term makes links on pages whose sources have not changed."""
    if GLOSSARY in docnames:
        docnames[:] = sorted(env.found_docs)


# -- Cells ----------------------------------------------------------------


def definitions(tree):
    """The public definitions at the top of a module: {name: ast node}."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = node
    return {k: node for k, node in found.items() if not k.startswith("_")}


def kind(node):
    kinds = {ast.ClassDef: "class", ast.FunctionDef: "function"}
    return kinds.get(type(node), "data")


class CellAnchors(SphinxTransform):
    """Give an exported cell an anchor for each name that it defines."""

    default_priority = 500

    def apply(self, **kwargs):
        chapter = CHAPTER.match(self.env.docname)
        if not chapter:
            return
        for block in list(self.document.findall(nodes.literal_block)):
            source, cell = block.astext(), block.parent.parent
            if source.startswith("#| export\n"):
                for name, node in definitions(ast.parse(source)).items():
                    cell = self.anchor(cell, chapter[1], name, kind(node))

    def anchor(self, cell, module, name, kind):
        """Wrap the cell: a second anchor on one element has no content."""
        anchor = f"code-{module}-{name}"
        wrapper = nodes.container("", ids=[anchor])
        cell.parent.replace(cell, wrapper)
        wrapper += cell
        self.env.get_domain("py").note_object(
            f"lessons.{module}.{name}", kind, anchor, location=wrapper
        )
        return wrapper


# -- The index ------------------------------------------------------------


class Module:
    """What can be read off a module of lessons/ without importing it."""

    def __init__(self, path):
        self.source = path.read_text("utf-8")
        self.tree = ast.parse(self.source)
        self.definitions = definitions(self.tree)

    def names(self):
        """__all__ where there is one, else all classes and functions."""
        if "__all__" in self.all_assignments():
            return ast.literal_eval(self.all_assignments()["__all__"])
        return [
            name
            for name, node in self.definitions.items()
            if kind(node) != "data"
        ]

    def all_assignments(self):
        return {
            node.targets[0].id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
        }

    def lineage(self, node):
        """A class and those of its bases that stand in the same module."""
        yield node
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in self.definitions:
                yield from self.lineage(self.definitions[base.id])

    def docstring(self, name):
        """Its own, or as in Python that of the class it is based on."""
        node = self.definitions[name]
        if kind(node) == "data":
            return ""
        family = self.lineage(node) if kind(node) == "class" else [node]
        return next(filter(None, map(ast.get_docstring, family)), "")

    def signature(self, name):
        node = self.definitions[name]
        if kind(node) == "data":
            return name
        if kind(node) == "function":
            return call(name, node, self.source)
        makers = (
            method
            for relative in self.lineage(node)
            for method in methods(relative)
            if method.name == "__init__"
        )
        maker = next(makers, None)
        return call(name, maker, self.source) if maker else f"{name}()"

    def described_methods(self, name):
        """The methods and properties of a class that say what they do."""
        for method in methods(self.definitions[name]):
            text = ast.get_docstring(method)
            if text and not method.name.startswith("_"):
                named = call(method.name, method, self.source)
                yield method.name if method.decorator_list else named, text


def methods(node):
    return [
        part for part in node.body if isinstance(part, ast.FunctionDef)
    ]


def call(name, function, source):
    """Name and arguments as they are written, without self."""
    arguments = ast.unparse(function.args)
    # ast writes 1e-5 as 1e-05; what a reader has seen is 1e-5.
    for default in [*function.args.defaults, *function.args.kw_defaults]:
        if default is not None:
            written = ast.get_source_segment(source, default)
            arguments = arguments.replace(ast.unparse(default), written)
    return f"{name}({re.sub(r'^self(, )?', '', arguments)})"


def inline(text):
    """The nodes of a docstring's line: addresses, code, powers, titles."""
    end = 0
    for match in INLINE.finditer(text):
        yield nodes.Text(text[end : match.start()])
        end = match.end()
        if url := match["url"]:
            yield nodes.reference("", url, refuri=url)
        elif code := match["code"]:
            yield nodes.literal("", code)
        elif power := match["power"]:
            yield nodes.superscript("", power)
        else:
            yield nodes.emphasis("", match["title"])
    yield nodes.Text(text[end:])


def paragraph(text):
    return nodes.paragraph("", "", *inline(" ".join(text.split())))


def entry(term, definition):
    return nodes.definition_list_item(
        "", nodes.term("", "", term), nodes.definition("", *definition)
    )


def paragraphs(docstring):
    """A docstring's paragraphs, and its sections as a list of terms.

    A section is as numpydoc has it: a title, a line of dashes, and for
    each item a line and an indented description.
    """
    for text in docstring.split("\n\n"):
        title, dashes, rest = (*text.split("\n", 2), "", "")[:3]
        if dashes and not dashes.strip("-"):
            yield nodes.paragraph("", "", nodes.strong("", title))
            yield items(rest)
        else:
            yield paragraph(text)


def items(text):
    parts = re.split(r"^(\S.*)$", text, flags=re.MULTILINE)[1:]
    listed = nodes.definition_list()
    for name, description in zip(parts[::2], parts[1::2], strict=True):
        said = [paragraph(description)] if description.strip() else []
        listed += entry(nodes.literal("", name), said)
    return listed


class CourseIndex(SphinxDirective):
    """List what a module of lessons/ defines."""

    required_arguments = 1

    def run(self):
        self.stem = self.arguments[0]
        path = Path(self.env.srcdir, "lessons", f"{self.stem}.py")
        self.env.note_dependency(path)
        self.module = Module(path)
        listed = nodes.definition_list(classes=[INDEX])
        for name in self.module.names():
            term = self.link(name)
            listed += entry(term, [*self.about(name)])
            listed[-1][0]["ids"] = [f"{self.stem}.{name}"]
        return [listed]

    def about(self, name):
        yield from paragraphs(self.module.docstring(name))
        node = self.module.definitions[name]
        if kind(node) == "data":
            code = ast.unparse(node.value)
            yield nodes.paragraph("", "", nodes.literal("", code))
        if kind(node) == "class":
            listed = [
                entry(nodes.literal("", named), [*paragraphs(text)])
                for named, text in self.module.described_methods(name)
            ]
            if listed:
                yield nodes.definition_list("", *listed)

    def link(self, name):
        """The signature, leading to where the name is defined."""
        text = nodes.literal("", self.module.signature(name))
        if self.chapter() is None:
            return nodes.reference("", "", text, refuri=self.source(name))
        return addnodes.pending_xref(
            "",
            text,
            refdomain="py",
            reftype="obj",
            reftarget=f"lessons.{self.stem}.{name}",
            refexplicit=True,
            refwarn=True,
        )

    def chapter(self):
        """The page of the chapter that the module is exported from."""
        for page in self.env.found_docs:
            match = CHAPTER.match(page)
            if match and match[1] == self.stem:
                return page
        return None

    def source(self, name):
        options = self.config.html_theme_options
        address = options["repository_url"], options["repository_branch"]
        line = self.module.definitions[name].lineno
        return "{}/blob/{}/lessons/{}.py#L{}".format(
            *address, self.stem, line
        )


def setup(app):
    app.add_transform(CellAnchors)
    app.add_post_transform(GlossaryLinks)
    app.add_directive(INDEX, CourseIndex)
    app.connect("env-before-read-docs", read_all_when_terms_change)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
