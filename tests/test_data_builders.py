import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zoo.data
from zoo.data import builders, images

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def test_restoring_a_gzip_header():
    stripped = gzip.compress(b"pixels", mtime=0)
    restored = builders.restore_gzip_header(stripped, "a-ubyte.gz", 1504176606)
    # RFC 1952: magic, method, flag FNAME, time (little-endian), two bytes kept, name.
    header = b"\x1f\x8b\x08\x08" + b"\xde\xe9\xa7\x59" + stripped[8:10] + b"a-ubyte\0"
    assert restored == header + stripped[10:]
    assert gzip.decompress(restored) == b"pixels"


def test_other_bytes_keep_their_header():
    named = builders.restore_gzip_header(gzip.compress(b"pixels"), "a.gz", 1)
    for data in (named, b"not gzip"):
        assert builders.restore_gzip_header(data, "b.gz", 2) == data


def idx_folder(folder, gzipped=False):
    """Four files with the right headers and sizes, all zeros: not the real content."""
    folder.mkdir()
    for file in FILES:
        header = np.array(builders.IDX_HEADERS[file], ">i4")
        data = header.tobytes() + bytes(int(np.prod(header[1:])))
        path = folder / (f"{file}.gz" if gzipped else file)
        path.write_bytes(gzip.compress(data) if gzipped else data)
    return folder


def refused(error, message, name, source, tmp_path):
    """Checks an error, and that nothing is left behind where TFDS keeps its data."""
    with pytest.raises(error, match=message):
        builders.prepare(name, source, data_dir=tmp_path / "tfds")
    assert not [path for path in tmp_path.glob("tfds/**/*") if path.is_file()]


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_wrong_content_is_refused(tmp_path, gzipped):
    source = idx_folder(tmp_path / "idx", gzipped)
    message = "train-images.*damaged or of another data set.*must be ba8910"
    refused(ValueError, message, "mnist", source, tmp_path)


def test_wrong_magic_number_is_refused(tmp_path):
    source = idx_folder(tmp_path / "idx")
    (source / FILES[0]).write_bytes((source / FILES[1]).read_bytes())
    message = r"must hold \(2051, 60000, 28, 28\). Received: 00000801 0000ea60"
    refused(ValueError, message, "fashion_mnist", source, tmp_path)


def test_a_truncated_archive_is_refused(tmp_path):
    source = idx_folder(tmp_path / "idx", gzipped=True)
    archive = source / f"{FILES[0]}.gz"
    archive.write_bytes(archive.read_bytes()[:-100])
    refused(ValueError, "train-images.*not a whole gzip", "mnist", source, tmp_path)


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    message = "Neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte is in"
    refused(FileNotFoundError, message, "mnist", tmp_path / "empty", tmp_path)


def test_a_missing_folder(tmp_path):
    refused(FileNotFoundError, "no folder", "mnist", tmp_path / "nowhere", tmp_path)


def test_another_name(tmp_path):
    refused(
        ValueError, "Use one of fashion_mnist, mnist", "cifar10", tmp_path, tmp_path
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variable", "counts"),
    [
        (
            "mnist",
            "ZOO_MNIST_DIR",
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
        ("fashion_mnist", "ZOO_FASHION_MNIST_DIR", [1000] * 10),
    ],
)
def test_real_files_become_the_tfds_data_set(tmp_path, name, variable, counts):
    if variable not in os.environ:
        pytest.skip(f"{variable} does not name the folder of {name}'s four IDX files")
    prepared = builders.prepare(name, os.environ[variable], data_dir=tmp_path)
    assert prepared == builders.prepare(name, "not needed again", data_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    train, _ = images.load(name, "train", data_dir=tmp_path)
    test, labels = images.load(name, "test", data_dir=tmp_path)
    assert train.shape == (60_000, 28, 28, 1) and test.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(labels), counts)


# The data that comes with the package


@pytest.fixture(scope="module")
def embedded():
    return {split: images.load("embedded", split) for split in ("train", "test")}


@pytest.mark.parametrize(("split", "per_class"), [("train", 1_000), ("test", 200)])
def test_embedded_images_are_stratified(embedded, split, per_class):
    pixels, labels = embedded[split]
    assert pixels.shape == (10 * per_class, 28, 28, 1) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(labels), [per_class] * 10)
    assert len(set(labels[:50])) == 10  # mixed, not class by class


def test_no_embedded_image_occurs_twice(embedded):
    pixels = np.concatenate([embedded["train"][0], embedded["test"][0]])
    assert len({hashlib.sha256(image.tobytes()).digest() for image in pixels}) == 12_000


def test_embedded_images_are_small_and_licensed():
    subset = Path(zoo.data.__file__).parent / "embedded" / "fashion_mnist_subset"
    files = [path for path in subset.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    assert "MIT" in (subset / "LICENSE").read_text("utf-8")
    assert "Xiao" in (subset / "README.md").read_text("utf-8")


def test_importing_the_package_is_light():
    code = "import sys, zoo.data; print('tensorflow' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr
