"""Write lessons/data/mnist.npz from the four original MNIST files.

    .venv/bin/python -m tools.build_mnist FOLDER

FOLDER holds the four files, not compressed; lessons/data/SOURCES.md says
where to get them. Each must have its recorded SHA-256. The file written
is the same, byte for byte, on every run.
"""

import io
import sys
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np

from lessons.datasets import DATA, MNIST_SHA256

# SHA-256 of the four files, not compressed.
ORIGINALS = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}


def read_original(path):
    """Return the bytes of one original file, verified."""
    content = path.read_bytes()
    if sha256(content).hexdigest() != ORIGINALS[path.name]:
        sys.exit(f"{path} is not the original file: its SHA-256 differs.")
    return content


def pack(**arrays):
    """Return the bytes of an .npz file that depend on the arrays alone."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        for name, array in arrays.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, array, allow_pickle=False)
            # A fixed date and system: ZipInfo's date is 1980-01-01.
            info = zipfile.ZipInfo(f"{name}.npy")
            info.create_system = 3
            members.writestr(
                info, npy.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9
            )
    return archive.getvalue()


def main(folder):
    contents = [read_original(Path(folder, name)) for name in ORIGINALS]
    # 16 bytes of header stand before the pixels, 8 before the labels.
    images = b"".join(content[16:] for content in contents[::2])
    labels = b"".join(content[8:] for content in contents[1::2])
    content = pack(
        images=np.frombuffer(images, np.uint8).reshape(-1, 784),
        labels=np.frombuffer(labels, np.uint8),
    )
    if sha256(content).hexdigest() != MNIST_SHA256:
        sys.exit(
            f"The arrays are right, but zlib {zlib.ZLIB_RUNTIME_VERSION} "
            "compresses them to other bytes: nothing was written."
        )
    (DATA / "mnist.npz").write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
