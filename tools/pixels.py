"""nbval compares what a cell draws with the stored picture, too.

A plugin of pytest; by itself nbval passes over pictures. They are compared
as pixels, every one and exactly, because other bytes may hold the same
picture. With one version of matplotlib, which brings its own fonts and
rasteriser, no other result was seen yet; another version may draw a line
differently, so there the plugin is left out.
"""

from base64 import b64decode
from hashlib import sha256
from io import BytesIO

from nbval.plugin import IPyNbCell
from PIL import Image


def is_png(value: object) -> bool:
    return isinstance(value, str) and value.startswith("iVBORw0KGgo")


def described(png: str) -> str:
    """Name a picture in base64 by its size and a digest of its pixels."""
    with Image.open(BytesIO(b64decode(png))) as image:
        digest = sha256(image.convert("RGBA").tobytes()).hexdigest()[:12]
        return (
            f"{image.width} x {image.height} pixels, {digest}: "
            "look at both, then make outputs"
        )


def pytest_itemcollected(item):
    """Let nbval compare the names of pictures as it does texts."""
    if not isinstance(item, IPyNbCell):
        return
    skipped = item.parent.skip_compare
    item.parent.skip_compare = [k for k in skipped if k != "image/png"]
    sanitize = item.sanitize
    item.sanitize = lambda value: (
        described(value) if is_png(value) else sanitize(value)
    )
