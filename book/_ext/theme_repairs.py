"""Repairs of the theme's pages that no setting and no style reaches."""

from pathlib import Path

# A page takes nothing from another host, and obeys no script or style that
# is written into it. Were one of the theme's to come back, the browser
# would refuse it, and the tests would see that.
POLICY = "default-src 'self'"

REPAIRS = {
    # The summary of a folded cell is read out as its own text.
    ' aria-label="Toggle hidden content"': "",
    # The site's name stands outside every landmark.
    '<div id="pst-primary-sidebar" class=': (
        '<div id="pst-primary-sidebar" role="region" '
        'aria-label="Course" class='
    ),
    # A script in an attribute; book.js listens to the button instead.
    ' onclick="window.print()"': "",
}

# Files that no page asks for: icons for all the world, the sources of
# scripts, templates, marks of other places to run a notebook, and Sphinx's
# own search, in whose place stands sections.py.
UNUSED = (
    "_static/**/*.map",
    "_static/**/*.LICENSE.txt",
    "_static/*macros.html",
    "_static/scripts/fontawesome.js",
    "_static/searchtools.js",
    "_static/language_data.js",
    "_static/vendor/**/*.*",
    "_static/locales/**/*.*",
)


# It chooses the colours before anything is drawn; other scripts wait.
FIRST = "scripts/book.js"


def head(app, pagename, templatename, context, doctree):
    """State the policy first of all, drop and defer scripts."""
    context["metatags"] = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />'
        + context.get("metatags", "")
    )
    scripts = [
        script for script in context["script_files"] if script.filename
    ]
    context["script_files"] = scripts
    for script in scripts:
        if not script.filename.endswith(FIRST):
            script.attributes.setdefault("defer", "defer")


def repair(app, error):
    if error or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for pattern in UNUSED:
        for path in site.glob(pattern):
            path.unlink()
    for page in site.rglob("*.html"):
        text = repaired = page.read_text(encoding="utf-8")
        for fault, remedy in REPAIRS.items():
            repaired = repaired.replace(fault, remedy)
        if repaired != text:
            page.write_text(repaired, encoding="utf-8")


def setup(app):
    # After the theme's own, which add the scripts in question.
    app.connect("html-page-context", head, priority=900)
    app.connect("build-finished", repair)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
