"""Cut the site's fonts down to what it shows: ``make fonts MATH=…``.

The source of each font, and where its licence lies, is in
``book/_static/fonts/SOURCES.md``.
"""

import hashlib
import sys
from pathlib import Path

import pydata_sphinx_theme
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FONTS = Path(__file__).resolve().parents[1] / "book" / "_static" / "fonts"
THEME = Path(pydata_sphinx_theme.__file__).parent
ICONS = THEME.joinpath(
    "theme/pydata_sphinx_theme/static/vendor/fontawesome/webfonts"
)
MATH_SHA256 = (
    "1f9e010f60e947d0e925910009b2ea85ad54edc7cefb106f8cdefb9ffd1d5f2f"
)

# More than the formulas use today, so that a new one rarely needs a new
# font: what the font has of these.
MATH = {
    *range(0x20, 0x7F),  # Latin
    *range(0xA0, 0x100),
    *range(0x2C6, 0x370),  # accents
    *range(0x370, 0x400),  # Greek
    *range(0x2010, 0x2070),  # dots, primes, invisible operators
    *range(0x2190, 0x21D6),  # arrows
    *range(0x2200, 0x2300),  # operators
    *range(0x2308, 0x230C),  # floor and ceiling
    *range(0x27E8, 0x27EA),  # angle brackets
    *range(0x1D400, 0x1D468),  # letters: bold, italic, bold italic
    *range(0x1D6A8, 0x1D71C),  # Greek: bold, italic
    *(0x20D7, 0x210E, 0x2113),  # vector, italic h, script l
    *(0x2115, 0x211D, 0x2124),  # natural, real, whole numbers
}
# The buttons of the theme, and the titles of its admonitions.
SOLID = {
    *(0xF002, 0xF00E, 0xF010, 0xF019, 0xF03A, 0xF042, 0xF056, 0xF057),
    *(0xF058, 0xF05A, 0xF05B, 0xF060, 0xF061, 0xF062, 0xF064, 0xF06A),
    *(0xF071, 0xF0C9, 0xF0EB, 0xF0F3, 0xF104, 0xF105, 0xF106, 0xF107),
    *(0xF135, 0xF15B, 0xF185, 0xF186, 0xF1C1, 0xF303, 0xF35D),
}
BRANDS = {0xF09B}  # GitHub


def subset(source: Path, code_points: set[int], name: str) -> None:
    """Write those glyphs of `source` to `name`.woff2, under a new name.

    Both licences want a font that was changed to have a name of its own.
    """
    font = TTFont(source, recalcTimestamp=False)
    if "minute.st" in font.getGlyphOrder():
        # The prime of a formula stands in a superscript, for which the
        # font has a low one; browsers differ in whether they take it.
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap[0x2032] = "minute.st"
    options = Options()
    options.layout_features = []
    options.flavor = "woff2"
    options.hinting = False
    options.desubroutinize = True
    options.notdef_outline = True
    options.name_IDs = [0, 13, 14]  # copyright and licence
    options.drop_tables += ["FFTM"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=code_points)
    subsetter.subset(font)
    for number in 1, 4, 6:
        font["name"].setName(f"Course{name.title()}", number, 3, 1, 0x409)
    if "CFF " in font:
        font["CFF "].cff.fontNames = [f"Course{name.title()}"]
    font.flavor = "woff2"
    target = FONTS / f"{name}.woff2"
    font.save(target)
    print(f"{target.name}: {target.stat().st_size:,} bytes")


def main(math: Path) -> None:
    if hashlib.sha256(math.read_bytes()).hexdigest() != MATH_SHA256:
        sys.exit(f"{math} is not the file that SOURCES.md names")
    subset(math, MATH, "math")
    subset(ICONS / "fa-solid-900.ttf", SOLID, "icons")
    subset(ICONS / "fa-brands-400.ttf", BRANDS, "brands")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("make fonts MATH=path/to/texgyrepagella-math.otf")
    main(Path(sys.argv[1]))
