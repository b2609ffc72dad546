"""The data are the recorded ones, and anything else is refused."""

import gzip
import re
import shutil
from hashlib import sha256
from http.client import IncompleteRead
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets

from lessons import datasets
from lessons.datasets import DataError, load_exams, load_mnist

LOADERS = {
    "exams.csv": (load_exams, datasets.EXAMS_SHA256),
    "mnist.npz": (load_mnist, datasets.MNIST_SHA256),
}
TABLES = (datasets.DATA / "SOURCES.md").read_text(encoding="utf-8")
RECORDED = dict(re.findall(r"(?m)^\| `(\S+)` \| `(\w{64})` \|$", TABLES))
each_file = pytest.mark.parametrize("name", LOADERS)


def digest(content):
    return sha256(content).hexdigest()


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


# -- What is loaded -------------------------------------------------------


def test_exams_are_the_scores_of_the_book():
    X, y = load_exams()
    assert X.shape == (25, 3)
    assert y.shape == (25,)
    assert X.dtype == y.dtype == np.float64
    assert (X[0] == np.array([73, 80, 75]) / 100).all()
    assert (X[-1] == np.array([96, 93, 95]) / 100).all()
    assert (y[[0, -1]] == np.array([152, 192]) / 200).all()


def test_mnist_is_in_the_promised_form(mnist):
    images, labels = mnist
    assert images.shape == (70000, 784)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    assert labels.shape == (70000,)
    assert labels.dtype == np.int64
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert labels[60000:60010].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_mnist_is_that_of_the_four_original_files(mnist):
    images, labels = mnist
    labels = labels.astype(np.uint8)
    for part, rows, n in (
        ("train", slice(0, 60000), 60000),
        ("t10k", slice(60000, None), 10000),
    ):
        for kind, array, header in (
            ("images-idx3", images, [0x803, n, 28, 28]),
            ("labels-idx1", labels, [0x801, n]),
        ):
            content = np.array(header, ">i4").tobytes()
            content += array[rows].tobytes()
            name = f"{part}-{kind}-ubyte"
            assert digest(content) == RECORDED[name], name


def test_sources_md_code_and_files_agree_on_the_digests(mnist):
    images, labels = mnist
    in_code = {
        "exams.csv": datasets.EXAMS_SHA256,
        "mnist.npz": datasets.MNIST_SHA256,
        "images": datasets.IMAGES_SHA256,
        "labels": datasets.LABELS_SHA256,
    }
    on_disk = {
        "exams.csv": digest((datasets.DATA / "exams.csv").read_bytes()),
        "mnist.npz": digest((datasets.DATA / "mnist.npz").read_bytes()),
        "images": digest(images.tobytes()),
        "labels": digest(labels.astype(np.uint8).tobytes()),
    }
    assert on_disk == in_code, (
        "lessons/data does not have the digests in lessons/datasets.py"
    )
    in_text = {name: RECORDED[name] for name in in_code}
    assert in_text == in_code, (
        "correct the table in lessons/data/SOURCES.md: it differs from "
        "lessons/datasets.py"
    )


# -- A file that is not the recorded one ----------------------------------


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of lessons/data, from which the loaders now read."""
    folder = tmp_path / "data"
    shutil.copytree(datasets.DATA, folder)
    monkeypatch.setattr(datasets, "DATA", folder)
    return folder


def flipped(place):
    def flip(content):
        content = bytearray(content)
        content[place] ^= 1
        return bytes(content)

    return flip


@each_file
@pytest.mark.parametrize(
    "damage",
    [
        *map(flipped, (0, 99, -1)),
        lambda content: content[:-1],
        lambda content: b"",
        None,
    ],
    ids=["first bit", "a bit", "last bit", "cut", "empty", "missing"],
)
def test_a_damaged_file_is_refused(copy, name, damage):
    path, (load, expected) = copy / name, LOADERS[name]
    found = "none (No such file or directory)"
    if damage:
        content = damage(path.read_bytes())
        path.write_bytes(content)
        found = digest(content)
    else:
        path.unlink()
    with pytest.raises(DataError) as refusal:
        load()
    for words in (
        f"{path} is missing or damaged",
        f"expected {expected}, found {found}",
        f"`git checkout -- lessons/data/{name}`",
        "pip install --force-reinstall --no-deps git+" + datasets.COURSE,
    ):
        assert words in str(refusal.value)


@pytest.mark.parametrize("source", ["mnist.npz", "OpenML", None])
def test_an_unknown_source_is_refused(source):
    message = f'source must be "package" or "openml", not {source!r}'
    with pytest.raises(ValueError, match=re.escape(message)):
        load_mnist(source)


# -- OpenML ---------------------------------------------------------------


@pytest.fixture
def openml(monkeypatch):
    """A stand-in for fetch_openml; what it was given must not be left."""
    stand_in = create_autospec(sklearn.datasets.fetch_openml)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", stand_in)
    yield stand_in
    for call in stand_in.call_args_list:
        assert not Path(call.kwargs["data_home"]).exists()


def as_openml_sends(images, labels):
    """The types that fetch_openml gives: floats, and digits as text."""
    target = labels.astype(str).astype(object)
    return SimpleNamespace(data=images.astype(np.float64), target=target)


@pytest.fixture
def tiny(monkeypatch):
    """Five images, recorded as if they were all of MNIST."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 784), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5], np.uint8)
    for name, array in ("IMAGES", images), ("LABELS", labels):
        recorded = digest(array.tobytes())
        monkeypatch.setattr(datasets, f"{name}_SHA256", recorded)
    return images, labels


def test_openml_gives_the_same_as_the_package(openml, mnist):
    sent = as_openml_sends(*mnist)
    sent.data = np.asfortranarray(sent.data)  # the order is not promised
    openml.return_value = sent
    images, labels = load_mnist("openml")
    asked = dict(openml.call_args.kwargs)
    del asked["data_home"]
    assert openml.call_args.args == ("mnist_784",)
    assert asked == {
        "version": 1,
        "as_frame": False,
        "parser": "liac-arff",
    }
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert labels.dtype == np.int64
    assert np.array_equal(images, mnist[0])
    assert np.array_equal(labels, mnist[1])


DAMAGES = {
    "pixel": (lambda x, y: (np.maximum(x, 1), y), "images"),
    "label": (lambda x, y: (x, y[::-1]), "labels"),
    "order": (lambda x, y: (x[::-1], y[::-1]), "images"),
    "row": (lambda x, y: (x[:-1], y[:-1]), "images"),
    "shape": (lambda x, y: (x.reshape(784, 5), y), "images"),
}


@pytest.mark.parametrize("damage, part", DAMAGES.values(), ids=DAMAGES)
def test_other_arrays_from_openml_are_refused(openml, tiny, damage, part):
    openml.return_value = as_openml_sends(*damage(*tiny))
    with pytest.raises(DataError) as refusal:
        load_mnist("openml")
    message = str(refusal.value)
    assert f"OpenML sent other {part}, of shape " in message
    expected = getattr(datasets, f"{part.upper()}_SHA256")
    assert f"SHA-256 expected {expected}, found " in message
    assert "load_mnist() without an argument" in message


@pytest.mark.parametrize("part", ["EXAMS", "IMAGES", "LABELS"])
def test_every_digit_of_a_digest_counts(openml, tiny, monkeypatch, part):
    openml.return_value = as_openml_sends(*tiny)
    load = load_exams if part == "EXAMS" else lambda: load_mnist("openml")
    good = getattr(datasets, f"{part}_SHA256")
    for k in range(64):
        other = "1" if good[k] == "0" else "0"
        wrong = good[:k] + other + good[k + 1 :]
        monkeypatch.setattr(datasets, f"{part}_SHA256", wrong)
        with pytest.raises(DataError):
            load()


@pytest.mark.parametrize(
    "cause, error, words",
    [
        (URLError("no route"), ConnectionError, "could not be fetched"),
        (IncompleteRead(b""), ConnectionError, "could not be fetched"),
        (gzip.BadGzipFile("CRC"), DataError, "did not send mnist_784"),
        (ValueError("md5"), DataError, "did not send mnist_784"),
        (KeyError("data"), DataError, "did not send mnist_784"),
    ],
    ids=repr,
)
def test_when_openml_fails_one_sentence_says_how(
    openml, cause, error, words
):
    openml.side_effect = cause
    with pytest.raises(error, match=words) as refusal:
        load_mnist("openml")
    assert refusal.value.__cause__ is cause
    assert repr(cause) in str(refusal.value)
    remedy = "load_mnist() without an argument needs no network."
    assert str(refusal.value).endswith(remedy)
