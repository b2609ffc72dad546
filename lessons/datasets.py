"""The two data sets of the course, verified each time they are loaded.

Both lie in the package, in ``lessons/data``, so no step needs the
network; ``lessons/data/SOURCES.md`` says where they come from.
"""

import io
from gzip import BadGzipFile
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

__all__ = ["DataError", "load_exams", "load_mnist"]

DATA = Path(__file__).parent / "data"
COURSE = "https://github.com/chain-rule-course/chain-rule"

# SHA-256 of the two files.
EXAMS_SHA256 = (
    "76a6d3977c283b3a434a5b1ebd44fd527aac818d9713087229281230d569f291"
)
MNIST_SHA256 = (
    "5ee42ae2d7968ba871f09a4b652a2fe67e2651f48a5371835a1cdeadbcf37241"
)

# SHA-256 of MNIST's pixels and labels, one byte each, train then test.
IMAGES_SHA256 = (
    "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96"
)
LABELS_SHA256 = (
    "671ff9d70b4811116d55c3dd479efa7a981e2e62753ef7a6d5c15fea81e63d27"
)


class DataError(RuntimeError):
    """The data are not those that the course was written with.

    A file is missing, unreadable or damaged, or a server has sent
    something else. The message says what was expected, what was found,
    and what to do.
    """


def load_exams():
    """Load the scores of 25 students in three exams and a final.

    Returns
    -------
    X : ndarray, shape (25, 3), float64
        The three exam scores, divided by 100: from 0 to 1.
    y : ndarray, shape (25,), float64
        The final score, divided by 200: from 0 to 1.

    Raises
    ------
    DataError
        The file is missing, unreadable or damaged.

    Source: Brase and Brase, *Understandable Statistics*, data set "Test
    Scores for General Psychology".
    """
    content = _read("exams.csv", EXAMS_SHA256)
    scores = np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1)
    return scores[:, :3] / 100, scores[:, 3] / 200


def load_mnist(source="package"):
    """Load MNIST: 70,000 images of handwritten digits, and the digits.

    The first 60,000 rows are the original training set, the last 10,000
    the original test set, each in its original order.

    Parameters
    ----------
    source : "package" or "openml"
        "package" reads the file that comes with the course. "openml"
        fetches the same arrays from openml.org through scikit-learn,
        which takes the network and more time, and verifies them too.

    Returns
    -------
    images : ndarray, shape (70000, 784), uint8
        One image a row, 28 rows of 28 pixels: from 0, background, to
        255, ink. Arithmetic on uint8 wraps around, so divide by 255
        before any other.
    labels : ndarray, shape (70000,), int64
        The digit on each image: from 0 to 9. The files hold uint8;
        PyTorch's cross_entropy wants int64.

    Raises
    ------
    DataError
        The file is missing, unreadable or damaged, or OpenML sent other
        data.
    ConnectionError
        OpenML could not be reached, or broke off.
    ValueError
        ``source`` is neither of the two.

    Source: Yann LeCun, Corinna Cortes, Christopher J.C. Burges, *The
    MNIST database of handwritten digits*.
    """
    if source == "package":
        return _mnist_from_package()
    if source == "openml":
        return _mnist_from_openml()
    raise ValueError(
        f'source must be "package" or "openml", not {source!r}'
    )


def _mnist_from_package():
    content = _read("mnist.npz", MNIST_SHA256)
    with np.load(io.BytesIO(content)) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)


def _mnist_from_openml():
    from sklearn.datasets import fetch_openml

    remedy = "load_mnist() without an argument needs no network."
    try:
        # In a folder of its own, or scikit-learn would keep what it gets,
        # cut short or wrong, and give it again the next time.
        with TemporaryDirectory() as folder:
            bunch = fetch_openml(
                "mnist_784",
                version=1,
                data_home=folder,
                as_frame=False,
                parser="liac-arff",  # the default one needs pandas
            )
        images = bunch.data.astype(np.uint8, order="C")
        labels = bunch.target.astype(np.uint8)
    except Exception as error:
        broke_off = isinstance(error, (OSError, HTTPException))
        if broke_off and not isinstance(error, BadGzipFile):
            raise ConnectionError(
                "MNIST could not be fetched from OpenML "
                f"({error!r}); {remedy}"
            ) from error
        # A damaged answer can break scikit-learn anywhere, in any way.
        raise DataError(
            f"OpenML did not send mnist_784 ({error!r}); {remedy}"
        ) from error
    for name, array, shape, expected in (
        ("images", images, (len(labels), 784), IMAGES_SHA256),
        ("labels", labels, (len(labels),), LABELS_SHA256),
    ):
        found = sha256(array.tobytes()).hexdigest()
        if found != expected or array.shape != shape:
            raise DataError(
                f"OpenML sent other {name}, of shape {array.shape}: "
                f"SHA-256 expected {expected}, found {found}; {remedy}"
            )
    return images, labels.astype(np.int64)


def _read(name, expected):
    """Return the bytes of a file in ``lessons/data``, verified."""
    path = DATA / name
    try:
        content = path.read_bytes()
    except OSError as error:
        found = f"none ({error.strerror})"
        raise DataError(_complaint(path, expected, found)) from error
    found = sha256(content).hexdigest()
    if found != expected:
        raise DataError(_complaint(path, expected, found))
    return content


def _complaint(path, expected, found):
    return (
        f"{path} is missing or damaged: "
        f"SHA-256 expected {expected}, found {found}. Restore it with "
        f"`git checkout -- lessons/data/{path.name}` in a clone of the "
        "course, or with `pip install --force-reinstall --no-deps "
        f"git+{COURSE}` where the course is installed."
    )
