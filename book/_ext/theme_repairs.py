"""Repairs of the theme's pages that no setting and no style reaches."""

from pathlib import Path

REPAIRS = {
    # The summary of a folded cell is read out as its own text.
    ' aria-label="Toggle hidden content"': "",
    # The site's name stands outside every landmark.
    '<div id="pst-primary-sidebar" class=': (
        '<div id="pst-primary-sidebar" role="region" '
        'aria-label="Course" class='
    ),
}


def repair(app, error):
    if error or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = repaired = page.read_text(encoding="utf-8")
        for fault, remedy in REPAIRS.items():
            repaired = repaired.replace(fault, remedy)
        if repaired != text:
            page.write_text(repaired, encoding="utf-8")


def setup(app):
    app.connect("build-finished", repair)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
