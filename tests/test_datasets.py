"""The data are the recorded ones, and anything else is refused."""

import errno
import gzip
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from hashlib import md5, sha256
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from unittest.mock import ANY, create_autospec
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
import sklearn.datasets

from lessons import datasets
from lessons.datasets import DataError, load_exams, load_mnist

ROOT = Path(__file__).parents[1]
LOADERS = {
    "exams.csv": (load_exams, datasets.EXAMS_SHA256),
    "mnist.npz": (load_mnist, datasets.MNIST_SHA256),
}
each_file = pytest.mark.parametrize("name", LOADERS)


def digest(content):
    return sha256(content).hexdigest()


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


@pytest.fixture(scope="module")
def build_mnist():
    """The script tools/build_mnist.py, as a module."""
    path = ROOT / "tools" / "build_mnist.py"
    spec = importlib.util.spec_from_file_location("build_mnist", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- What is loaded -------------------------------------------------------


def test_exams_have_the_promised_form():
    X, y = load_exams()
    assert X.shape == (25, 3)
    assert y.shape == (25,)
    assert X.dtype == y.dtype == np.float64
    assert X.min() == 0.46
    assert X.max() == 1.0
    assert y.min() == 101 / 200
    assert y.max() == 196 / 200


def test_exams_hold_the_scores_of_the_book():
    X, y = load_exams()
    assert (X[0] == np.array([73, 80, 75]) / 100).all()
    assert (X[-1] == np.array([96, 93, 95]) / 100).all()
    assert (y[[0, -1]] == np.array([152, 192]) / 200).all()
    # The baselines, measured apart from this loader: the mean of y, and
    # the least-squares fit.
    A = np.column_stack([X, np.ones(25)])
    residual = y - A @ np.linalg.lstsq(A, y)[0]
    assert f"{np.var(y):.5f}" == "0.01387"
    assert f"{np.mean(residual**2):.6f}" == "0.000143"


def test_mnist_has_the_promised_form(mnist):
    images, labels = mnist
    assert images.shape == (70000, 784)
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert (images.min(), images.max()) == (0, 255)
    assert labels.shape == (70000,)
    assert labels.dtype == np.int64
    assert (labels.min(), labels.max()) == (0, 9)


def test_mnist_holds_the_known_digits(mnist):
    _, labels = mnist
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert labels[60000:60010].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert labels[-1] == 6
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(labels[:60000]).tolist() == train
    assert np.bincount(labels[60000:]).tolist() == test


def test_mnist_gives_the_four_original_files_back(mnist, build_mnist):
    images, labels = mnist
    for part, rows, n in (
        ("train", slice(0, 60000), 60000),
        ("t10k", slice(60000, None), 10000),
    ):
        header = np.array([0x803, n, 28, 28], ">i4").tobytes()
        content = header + images[rows].tobytes()
        name = f"{part}-images-idx3-ubyte"
        assert digest(content) == build_mnist.ORIGINALS[name], name
        header = np.array([0x801, n], ">i4").tobytes()
        content = header + labels[rows].astype(np.uint8).tobytes()
        name = f"{part}-labels-idx1-ubyte"
        assert digest(content) == build_mnist.ORIGINALS[name], name


def test_a_caller_may_change_what_was_loaded(mnist):
    X, y = load_exams()
    X[:], y[:] = 0, 0
    assert load_exams()[0].any()
    assert all(array.flags.writeable for array in mnist)


# -- The recorded digests -------------------------------------------------


def test_sources_md_code_and_files_agree_on_the_digests(
    mnist, build_mnist
):
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
    text = (datasets.DATA / "SOURCES.md").read_text(encoding="utf-8")
    row = r"^\| `(\S+)` \| `([0-9a-f]{64})` \|$"
    in_text = dict(re.findall(row, text, re.MULTILINE))
    assert on_disk == in_code, (
        "lessons/data does not have the digests in lessons/datasets.py"
    )
    assert in_text == in_code | build_mnist.ORIGINALS, (
        "correct the tables in lessons/data/SOURCES.md: they differ from "
        "lessons/datasets.py and tools/build_mnist.py"
    )
    assert len(re.findall("[0-9a-f]{64}", text)) == len(in_text), (
        "lessons/data/SOURCES.md has a digest outside its tables"
    )


# -- A file that is not the recorded one ----------------------------------


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of lessons/data, from which the loaders now read."""
    folder = tmp_path / "data"
    shutil.copytree(datasets.DATA, folder)
    monkeypatch.setattr(datasets, "DATA", folder)
    return folder


def contents(folder):
    """What lies in a folder: its names, and what they hold."""
    return {
        path.name: path.read_bytes() if path.is_file() else None
        for path in folder.iterdir()
    }


def check_refusal(name, path, found):
    """The loader refuses, says everything needed, and writes nothing."""
    load, expected = LOADERS[name]
    before = contents(path.parent)
    with pytest.raises(DataError) as refusal:
        load()
    assert contents(path.parent) == before, "the loader wrote something"
    message = str(refusal.value)
    assert str(path) in message
    assert f"expected {expected}, found {found}" in message
    assert f"`git checkout -- lessons/data/{name}`" in message
    command = "pip install --force-reinstall --no-deps git+"
    assert f"`{command}{datasets.COURSE}`" in message
    return refusal.value


@each_file
@pytest.mark.parametrize("place", [0, 0.5, -1], ids=str)
def test_one_flipped_bit_is_refused(copy, name, place):
    path = copy / name
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if place > 0 else place] ^= 1
    path.write_bytes(content)
    check_refusal(name, path, digest(content))


@each_file
@pytest.mark.parametrize("kept", [0, 1, 0.5, -100, -1], ids=str)
def test_a_truncated_file_is_refused(copy, name, kept):
    path = copy / name
    content = path.read_bytes()
    content = content[: int(kept * len(content)) if kept == 0.5 else kept]
    path.write_bytes(content)
    check_refusal(name, path, digest(content))


@each_file
def test_a_longer_file_is_refused(copy, name):
    path = copy / name
    content = path.read_bytes() + b"\n"
    path.write_bytes(content)
    check_refusal(name, path, digest(content))


def test_swapped_files_are_refused(copy):
    exams, mnist = copy / "exams.csv", copy / "mnist.npz"
    exams.rename(copy / "aside")
    mnist.rename(exams)
    (copy / "aside").rename(mnist)
    check_refusal("exams.csv", exams, datasets.MNIST_SHA256)
    check_refusal("mnist.npz", mnist, datasets.EXAMS_SHA256)


def test_another_valid_file_is_refused(copy):
    images = np.zeros((70000, 784), np.uint8)
    labels = np.zeros(70000, np.uint8)
    path = copy / "mnist.npz"
    np.savez_compressed(path, images=images, labels=labels)
    check_refusal("mnist.npz", path, digest(path.read_bytes()))

    path = copy / "exams.csv"
    path.write_text("exam1,exam2,exam3,final\n" + "73,80,75,152\n" * 25)
    check_refusal("exams.csv", path, digest(path.read_bytes()))


@each_file
def test_a_missing_file_is_refused(copy, name):
    path = copy / name
    path.unlink()
    found = "none (No such file or directory)"
    error = check_refusal(name, path, found)
    assert isinstance(error.__cause__, FileNotFoundError)


def make_folder(path):
    path.mkdir()


def make_link_to_nothing(path):
    path.symlink_to("gone")


def make_link_to_itself(path):
    path.symlink_to(path.name)


@each_file
@pytest.mark.parametrize(
    ("make", "number"),
    [
        (make_folder, errno.EISDIR),
        (make_link_to_nothing, errno.ENOENT),
        (make_link_to_itself, errno.ELOOP),
    ],
)
def test_what_is_no_file_is_refused(copy, name, make, number):
    path = copy / name
    path.unlink()
    make(path)
    found = f"none ({os.strerror(number)})"
    error = check_refusal(name, path, found)
    assert error.__cause__.errno == number


@each_file
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_read_is_refused(
    copy, name, number, monkeypatch
):
    # In the system's stead: root may read whatever its mode forbids.
    refused, really_open = [copy / name], io.open

    def refuse(file, *arguments, **options):
        if file in refused:
            refused.clear()  # the test itself may read it
            raise OSError(number, os.strerror(number), str(file))
        return really_open(file, *arguments, **options)

    before = contents(copy)
    monkeypatch.setattr(io, "open", refuse)
    with pytest.raises(DataError) as refusal:
        LOADERS[name][0]()
    assert refusal.value.__cause__.errno == number
    found = f"found none ({os.strerror(number)})"
    assert found in str(refusal.value)
    assert str(copy / name) in str(refusal.value)
    assert contents(copy) == before


# Reports what a program without this report would have done unseen: each
# attempt to write, and each use of the network.
WATCH = """
import os, sys
from pathlib import Path
from lessons import datasets

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = "link mkdir remove rename rmdir symlink truncate".split()
seen = []


def watch(event, arguments):
    module, _, name = event.partition(".")
    if event == "open" and arguments[2] & WRITES:
        seen.append(f"open {arguments[0]} to write")
    elif module == "os" and name in CHANGES:
        seen.append(f"{event} {arguments[0]}")
    elif module in ("socket", "tempfile", "subprocess"):
        seen.append(event)


sys.addaudithook(watch)
for folder in sys.argv[1:]:
    datasets.DATA = Path(folder)
    for load in datasets.load_exams, datasets.load_mnist:
        try:
            load()
            print("loaded")
        except datasets.DataError:
            print("refused")
print(seen)
if len(sys.argv) == 2:  # the watch itself works
    open(folder + "/new", "w").close()
    os.remove(folder + "/new")
    print(seen)
"""


def watched(*folders):
    """What loading from folders prints, in a process that is watched."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCH, *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_read_only_disk_is_enough(copy, tmp_path):
    """No attempt is made to write: neither good nor bad data need it."""
    damaged, empty = tmp_path / "damaged", tmp_path / "empty"
    shutil.copytree(copy, damaged)
    for path in damaged.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    empty.mkdir()
    said = watched(copy, damaged, empty)
    assert said == ["loaded"] * 2 + ["refused"] * 4 + ["[]"]
    assert list(empty.iterdir()) == []


def test_a_write_would_be_seen(tmp_path):
    new = tmp_path / "new"
    seen = [f"open {new} to write", f"os.remove {new}"]
    assert watched(tmp_path) == ["refused", "refused", "[]", str(seen)]


@pytest.mark.parametrize("source", ["mnist.npz", "OpenML", "", None, 1])
def test_an_unknown_source_is_refused(source):
    with pytest.raises(ValueError) as refusal:
        load_mnist(source)
    message = f'source must be "package" or "openml", not {source!r}'
    assert str(refusal.value) == message


# -- OpenML ---------------------------------------------------------------


@pytest.fixture
def openml(monkeypatch):
    """A stand-in for fetch_openml with the same parameters."""
    stand_in = create_autospec(sklearn.datasets.fetch_openml)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", stand_in)
    return stand_in


def as_openml_sends(images, labels):
    """The types that fetch_openml gives: floats, and digits as text."""
    target = labels.astype(str).astype(object)
    return SimpleNamespace(data=images.astype(np.float64), target=target)


@pytest.fixture
def tiny(monkeypatch):
    """Five images, recorded as if they were all of MNIST."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 784), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5])
    recorded = labels.astype(np.uint8)
    monkeypatch.setattr(
        datasets, "IMAGES_SHA256", digest(images.tobytes())
    )
    monkeypatch.setattr(
        datasets, "LABELS_SHA256", digest(recorded.tobytes())
    )
    return images, labels


def test_openml_gives_the_same_as_the_package(openml, mnist):
    openml.return_value = as_openml_sends(*mnist)
    images, labels = load_mnist("openml")
    openml.assert_called_once_with(
        "mnist_784",
        version=1,
        data_home=ANY,
        as_frame=False,
        parser="liac-arff",
    )
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert labels.dtype == np.int64
    assert np.array_equal(images, mnist[0])
    assert np.array_equal(labels, mnist[1])


def test_openml_in_any_memory_order_is_accepted(openml, tiny):
    sent = as_openml_sends(*tiny)
    sent.data = np.asfortranarray(sent.data)
    openml.return_value = sent
    images, labels = load_mnist("openml")
    assert images.flags.c_contiguous
    assert np.array_equal(images, tiny[0])
    assert np.array_equal(labels, tiny[1])


def change_a_pixel(images, labels):
    images = images.copy()
    images[2, 300] ^= 1
    return as_openml_sends(images, labels)


def change_a_label(images, labels):
    labels = labels.copy()
    labels[2] = 9
    return as_openml_sends(images, labels)


def swap_two_rows(images, labels):
    order = [1, 0, 2, 3, 4]
    return as_openml_sends(images[order], labels[order])


def leave_a_row_out(images, labels):
    return as_openml_sends(images[:-1], labels[:-1])


def change_the_shape(images, labels):
    return as_openml_sends(images.reshape(784, 5), labels)


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (change_a_pixel, "images"),
        (change_a_label, "labels"),
        (swap_two_rows, "images"),
        (leave_a_row_out, "images"),
        (change_the_shape, "images"),
    ],
)
def test_other_arrays_from_openml_are_refused(openml, tiny, damage, part):
    openml.return_value = sent = damage(*tiny)
    with pytest.raises(DataError) as refusal:
        load_mnist("openml")
    message = str(refusal.value)
    array = sent.data if part == "images" else sent.target
    found = digest(array.astype(np.uint8).tobytes())
    expected = getattr(datasets, f"{part.upper()}_SHA256")
    assert f"other {part}, of shape {array.shape}" in message
    assert f"expected {expected}, found {found}" in message
    assert "load_mnist() without an argument" in message


@pytest.mark.parametrize(
    "cause",
    [URLError("no route to host"), TimeoutError(), IncompleteRead(b"")],
    ids=repr,
)
def test_without_network_one_sentence_says_so(openml, cause):
    openml.side_effect = cause
    with pytest.raises(ConnectionError) as refusal:
        load_mnist("openml")
    assert refusal.value.__cause__ is cause
    assert str(refusal.value) == (
        f"MNIST could not be fetched from OpenML ({cause!r}); "
        "load_mnist() without an argument needs no network."
    )


@pytest.mark.parametrize(
    "cause", [ValueError("md5 checksum"), KeyError("data")], ids=repr
)
def test_an_answer_without_the_data_is_refused(openml, cause):
    openml.side_effect = cause
    with pytest.raises(DataError) as refusal:
        load_mnist("openml")
    assert refusal.value.__cause__ is cause
    assert str(refusal.value) == (
        f"OpenML did not send mnist_784 ({cause!r}); "
        "load_mnist() without an argument needs no network."
    )


class Host(BaseHTTPRequestHandler):
    """Answers as OpenML does: four descriptions, and a packed file."""

    def do_GET(self):
        kinds = "list", "features", "qualities", "download"
        steps = self.path.split("/")
        kind = next((k for k in kinds if k in steps), "about")
        answer = self.server.answers[kind]
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(self.server.damage(kind, answer))

    def log_message(self, *arguments):
        pass


def answers(images, labels):
    """What OpenML answers about a data set, by the end of the address."""
    names = [f"pixel{i}" for i in range(1, 785)]
    features = [
        {"index": str(i), "name": name, "data_type": "numeric"}
        for i, name in enumerate(names)
    ]
    features.append({"index": "784", "name": "class"})
    features[-1]["data_type"] = "nominal"
    for feature in features:
        feature["is_target"] = str(feature["name"] == "class").lower()
        feature["is_ignore"] = feature["is_row_identifier"] = "false"
        feature["number_of_missing_values"] = "0"
    rows = np.column_stack([images, labels])
    lines = ["@RELATION mnist_784"]
    lines += [f"@ATTRIBUTE {name} REAL" for name in names]
    lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    lines += [",".join(map(str, row)) for row in rows]
    arff = "\n".join(lines).encode()
    about = {"name": "mnist_784", "version": "1", "status": "active"}
    about |= {"format": "ARFF", "description": "Digits"}
    about["md5_checksum"] = md5(arff).hexdigest()
    about["url"] = "https://www.openml.org/data/v1/download/1"
    about["file_id"] = "1"  # scikit-learn 1.5 asks for it
    count = {"name": "NumberOfInstances", "value": str(len(labels))}
    described = {
        "list": {"data": {"dataset": [{"did": 554, **about}]}},
        "about": {"data_set_description": {"id": "554", **about}},
        "features": {"data_features": {"feature": features}},
        "qualities": {"data_qualities": {"quality": [count]}},
    }
    texts = {k: json.dumps(v).encode() for k, v in described.items()}
    return {k: gzip.compress(v) for k, v in texts.items()} | {
        "download": gzip.compress(arff)
    }


@pytest.fixture
def host(tmp_path, monkeypatch, tiny):
    """OpenML on this machine, and nothing kept from it afterwards."""
    private = importlib.import_module("sklearn.datasets._openml")
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        server.answers = answers(*tiny)
        server.damage = lambda kind, answer: answer

        def ask_here(request, *arguments, **options):
            path = urlsplit(request.full_url).path
            here = f"http://127.0.0.1:{server.server_port}{path}"
            return urlopen(here, *arguments, **options)

        monkeypatch.setattr(private, "urlopen", ask_here)
        monkeypatch.setenv("SCIKIT_LEARN_DATA", str(home))
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        # It looks that often, in seconds, whether it shall shut down.
        serve = {"target": server.serve_forever, "args": [0.01]}
        Thread(daemon=True, **serve).start()
        yield server
        server.shutdown()
    left = [*home.rglob("*"), *temporary.rglob("*")]
    assert not left, f"left behind: {left}"


def test_openml_is_read_over_a_connection(host, tiny):
    images, labels = load_mnist("openml")
    assert np.array_equal(images, tiny[0])
    assert np.array_equal(labels, tiny[1])


def cut_short(answer):
    return answer[:-20]


def cut_at_once(answer):
    return b""


def flip_a_bit(answer):
    changed = bytearray(answer)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def send_a_page(answer):
    return gzip.compress(b"<html>Down for maintenance</html>")


def send_null(answer):
    return gzip.compress(b"null")


@pytest.mark.filterwarnings("ignore:Invalid cache, redownloading")
@pytest.mark.parametrize(
    ("damage", "errors"),
    [
        # Versions of Python differ in whether they notice it at once.
        (cut_short, (ConnectionError, DataError)),
        (cut_at_once, (ConnectionError, DataError)),
        (flip_a_bit, DataError),
        (send_a_page, DataError),
        (send_null, DataError),
    ],
)
@pytest.mark.parametrize("kind", ["list", "about", "download"])
def test_a_damaged_answer_is_refused(host, kind, damage, errors):
    host.damage = lambda k, a: damage(a) if k == kind else a
    with pytest.raises(errors) as refusal:
        load_mnist("openml")
    message = str(refusal.value)
    assert "OpenML" in message
    assert repr(refusal.value.__cause__) in message
    assert "load_mnist() without an argument needs no net" in message
    # What was damaged is not kept: the next answer is a new one.
    host.damage = lambda kind, answer: answer
    load_mnist("openml")


def test_other_images_are_refused_and_not_kept(host, tiny):
    images, labels = tiny
    good = host.answers
    host.answers = answers(images ^ 1, labels)
    with pytest.raises(DataError, match="OpenML sent other images"):
        load_mnist("openml")
    host.answers = good
    load_mnist("openml")


# -- tools/build_mnist.py -------------------------------------------------


@pytest.fixture
def originals(tmp_path, monkeypatch, build_mnist):
    """Four small originals, and where the script shall write."""
    folder = tmp_path / "originals"
    folder.mkdir()
    digests = {}
    for seed, (part, n) in enumerate((("train", 3), ("t10k", 2))):
        rng = np.random.default_rng(seed)
        for kind, header, shape in (
            ("images-idx3", 16, (n, 784)),
            ("labels-idx1", 8, n),
        ):
            name = f"{part}-{kind}-ubyte"
            body = rng.integers(0, 10, shape, dtype=np.uint8)
            content = bytes(header) + body.tobytes()
            (folder / name).write_bytes(content)
            digests[name] = digest(content)
    (tmp_path / "data").mkdir()
    output = tmp_path / "data" / "mnist.npz"
    monkeypatch.setattr(build_mnist, "ORIGINALS", digests)
    monkeypatch.setattr(build_mnist, "OUTPUT", output)
    images, labels = build_mnist.assemble(folder)
    content = build_mnist.pack(images=images, labels=labels)
    monkeypatch.setattr(datasets, "MNIST_SHA256", digest(content))
    return folder


def refusal_of(build_mnist, folder):
    """What the script says when it refuses to write anything."""
    output = build_mnist.OUTPUT
    with pytest.raises(SystemExit) as refusal:
        build_mnist.main([str(folder)])
    assert list(output.parent.iterdir()) == [], "a file was left behind"
    return str(refusal.value)


def test_build_joins_train_and_test(build_mnist, originals):
    build_mnist.main([str(originals)])
    with np.load(build_mnist.OUTPUT) as arrays:
        assert sorted(arrays) == ["images", "labels"]
        images, labels = arrays["images"], arrays["labels"]
    assert images.shape == (5, 784)
    assert labels.shape == (5,)
    assert images.dtype == labels.dtype == np.uint8
    for array, kind, header in (
        (images, "images-idx3", 16),
        (labels, "labels-idx1", 8),
    ):
        for part, rows in (("train", array[:3]), ("t10k", array[3:])):
            content = (originals / f"{part}-{kind}-ubyte").read_bytes()
            assert rows.tobytes() == content[header:]


def test_build_writes_the_same_bytes_from_gzip(build_mnist, originals):
    build_mnist.main([str(originals)])
    first = build_mnist.OUTPUT.read_bytes()
    for path in list(originals.iterdir()):
        packed = gzip.compress(path.read_bytes())
        path.with_name(f"{path.name}.gz").write_bytes(packed)
        path.unlink()
    build_mnist.main([str(originals)])
    assert build_mnist.OUTPUT.read_bytes() == first
    assert list(build_mnist.OUTPUT.parent.iterdir()) == [
        build_mnist.OUTPUT
    ]


def test_build_records_neither_date_nor_system(build_mnist, originals):
    build_mnist.main([str(originals)])
    with zipfile.ZipFile(build_mnist.OUTPUT) as members:
        for member in members.infolist():
            assert member.date_time == (1980, 1, 1, 0, 0, 0)
            assert member.create_system == 3


def test_build_refuses_a_file_that_is_not_the_original(
    build_mnist, originals
):
    name = "t10k-labels-idx1-ubyte"
    path = originals / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert refusal_of(build_mnist, originals) == (
        f"{path} is not the original file: SHA-256 expected "
        f"{build_mnist.ORIGINALS[name]}, found {digest(content)}."
    )


def test_build_refuses_a_folder_without_the_files(build_mnist, originals):
    name = "train-images-idx3-ubyte"
    (originals / name).unlink()
    message = f"{originals} holds neither {name} nor {name}.gz."
    assert refusal_of(build_mnist, originals) == message


def test_build_refuses_a_broken_gzip_file(build_mnist, originals):
    plain = originals / "train-images-idx3-ubyte"
    path = plain.with_name(f"{plain.name}.gz")
    path.write_bytes(gzip.compress(plain.read_bytes())[:-20])
    plain.unlink()
    message = refusal_of(build_mnist, originals)
    assert message.startswith(f"{path} cannot be read: ")


def test_build_says_so_when_zlib_packs_otherwise(
    build_mnist, originals, monkeypatch
):
    found = datasets.MNIST_SHA256
    monkeypatch.setattr(datasets, "MNIST_SHA256", "0" * 64)
    message = refusal_of(build_mnist, originals)
    assert message.startswith("The arrays are right, but zlib ")
    assert f"expected {'0' * 64}, found {found}" in message
    assert "git checkout -- lessons/data/mnist.npz" in message


def test_build_leaves_the_old_file_when_writing_fails(
    build_mnist, originals, monkeypatch
):
    build_mnist.OUTPUT.write_bytes(b"old")

    def fail(*paths):
        raise OSError("No space left on device")

    monkeypatch.setattr(build_mnist.os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        build_mnist.main([str(originals)])
    assert build_mnist.OUTPUT.read_bytes() == b"old"
    assert list(build_mnist.OUTPUT.parent.iterdir()) == [
        build_mnist.OUTPUT
    ]
