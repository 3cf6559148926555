"""Prepare TFDS data sets from local files, without a network.

The data sets' own TFDS builders do the work, so that what is written is what
`tfds.load` would have written after a download.

    from zoo.data import builders
    builders.prepare("mnist", "folder/with/the/four/idx/files")
"""

import gzip
import hashlib
import tempfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import handbook
from zoo.data.downloads import PREPARABLE

# SHA-256 of each file's *uncompressed* content, which every mirror shares, while the
# archives differ by compressor. Fashion-MNIST: computed from archives with the SHA-256
# that TFDS pins. MNIST: computed from a copy and equal to what other projects publish
# beside the SHA-256 that TFDS pins for the archives.
_CONTENT = {
    "fashion_mnist": {
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
    "mnist": {
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
    },
}


IDX_HEADERS = {  # magic number and sizes, big-endian 32-bit integers
    "train-images-idx3-ubyte": (2051, 60_000, 28, 28),
    "train-labels-idx1-ubyte": (2049, 60_000),
    "t10k-images-idx3-ubyte": (2051, 10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (2049, 10_000),
}


# When Zalando compressed each half of Fashion-MNIST, seconds since 1970.
_FASHION_MNIST_MTIMES = {"train": 1504176606, "t10k": 1504176627}


def prepare(name, source, data_dir=None):
    """Prepares a TFDS data set from files on disk, without a network.

    For images these are IDX files, each of which must have the canonical SHA-256,
    whatever compressed it. Archives that are also byte for byte the published ones
    (Fashion-MNIST's with or without the name and time in their gzip headers, which
    Debian strips) pass TFDS's own download check as well; the content of any others is
    handed to the same builder in place of its download. Nothing half-written remains
    on failure, no downloads are left behind (MNIST's and Fashion-MNIST's have the same
    names), and a data set prepared before is kept as it is.

    Args:
        name: `"fashion_mnist"`, `"mnist"`, or `"handbook"`, of which
            `zoo.data.handbook` tells more.
        source: Folder of the four files (`train-images-idx3-ubyte` and so on), each
            plain or gzipped (`.gz`); for the handbook, of the unpacked packages.
        data_dir: TFDS data directory; `None` means TFDS's default.

    Returns:
        The `Path` of the prepared data set, as `tfds.load(name)` finds it.

    Raises:
        FileNotFoundError: The folder or one of the files is missing.
        ValueError: The name is another one, or a file's content is not the data set's.

    Example:
        prepare("fashion_mnist", "/usr/share/datasets/fashion-mnist")
    """
    if name.split("/")[0] == "handbook":
        return handbook.prepare(name, source, data_dir)
    if name not in PREPARABLE:
        raise ValueError(
            f"Cannot prepare {name!r} from files. Use one of {', '.join(PREPARABLE)}; "
            "TFDS downloads any other."
        )
    builder = tfds.builder(name, data_dir=data_dir)
    target = Path(builder.data_dir)
    if builder.is_prepared():
        return target
    paths = {file: _find(Path(source), file) for file in _CONTENT[name]}
    root = Path(builder.data_dir_root)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".prepare-") as scratch:
        scratch = Path(scratch)
        archives = {}
        for file, digest in _CONTENT[name].items():
            path = paths[file]
            data = path.read_bytes()
            (scratch / file).write_bytes(_content(path, data, digest))
            mtime = _FASHION_MNIST_MTIMES[file.split("-")[0]]
            archive = restore_gzip_header(data, f"{file}.gz", mtime)
            (scratch / f"{file}.gz").write_bytes(archive)
            archives[f"{file}.gz"] = hashlib.sha256(archive).hexdigest()
        published = {
            info.filename: info.checksum for info in builder.url_infos.values()
        }
        if archives != published:
            builder = _local(type(builder), scratch)(data_dir=data_dir)
        builder.download_and_prepare(
            download_dir=scratch,
            download_config=tfds.download.DownloadConfig(
                manual_dir=scratch, try_download_gcs=False
            ),
        )
    return target


def restore_gzip_header(archive, file_name, mtime):
    """Puts the file name and time back into a gzip header that lost them.

    Reproducible-build tools strip both, which changes an archive's SHA-256 though not
    one byte of its content.

    Args:
        archive: Bytes of a gzip file.
        file_name: Name of the archive; without `.gz` it goes into the header.
        mtime: Time of the original, seconds since 1970.

    Returns:
        The bytes with the header restored; unchanged if `archive` is not gzip or has
        any optional header field already.

    Source:
        RFC 1952, section 2.3.
    """
    if archive[:4] != b"\x1f\x8b\x08\x00":  # gzip, deflate, no optional fields
        return archive
    has_name = b"\x08"
    name = file_name.removesuffix(".gz").encode() + b"\0"
    time = mtime.to_bytes(4, "little")
    return archive[:3] + has_name + time + archive[8:10] + name + archive[10:]


def write_embedded(folder, data_dir=None, seed=0):
    """Writes the subset of Fashion-MNIST that comes with the package.

    Each class gives 1,000 of its 6,000 training images and 200 of its 1,000 test
    images, chosen at random without replacement from the split of the same name, then
    mixed.

    Args:
        folder: Data directory to write into; `zoo/data/embedded` made the package's.
        data_dir: TFDS data directory that holds the whole data set.
        seed: Same seed, same images.

    Returns:
        The `Path` of the data set, for `tfds.builder_from_directory`.
    """
    source = tfds.builder("fashion_mnist", data_dir=data_dir)
    rng = np.random.default_rng(seed)
    splits = {}
    for split, per_class in {"train": 1_000, "test": 200}.items():
        data = tfds.as_numpy(source.as_dataset(split=split, batch_size=-1))
        chosen = [
            rng.choice(np.flatnonzero(data["label"] == label), per_class, replace=False)
            for label in range(10)
        ]
        chosen = rng.permutation(np.concatenate(chosen))
        rows = zip(data["image"][chosen], data["label"][chosen], strict=True)
        examples = ({"image": image, "label": label} for image, label in rows)
        splits[split] = list(enumerate(examples))
    written = tfds.dataset_builders.store_as_tfds_dataset(
        name="fashion_mnist_subset",
        version="1.0.0",
        features=source.info.features,
        split_datasets=splits,
        data_dir=folder,
        description="1,000 training and 200 test images of each Fashion-MNIST class.",
        homepage=source.info.homepage,
        citation=source.info.citation,
        disable_shuffling=True,
    )
    return Path(written.data_dir)


def _find(folder, file):
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}.")
    for path in (folder / f"{file}.gz", folder / file):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"Neither {file}.gz nor {file} is in {str(folder)!r}. All four are needed: "
        f"{', '.join(IDX_HEADERS)}."
    )


def _content(path, data, digest):
    """Returns a file's uncompressed bytes once they are known to be the right ones."""
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{path} is not a whole gzip file ({error}). Fetch it again."
            ) from error
    header = IDX_HEADERS[path.name.removesuffix(".gz")]
    expected = b"".join(number.to_bytes(4, "big") for number in header)
    if data[: len(expected)] != expected:
        raise ValueError(
            f"{path} is not the IDX file it should be: its header must hold {header}. "
            f"Received: {data[: len(expected)].hex(' ', 4)}."
        )
    if (actual := hashlib.sha256(data).hexdigest()) != digest:
        raise ValueError(
            f"{path} is damaged or of another data set: the SHA-256 of its content "
            f"must be {digest}. Received: {actual} of {len(data):,} bytes."
        )
    return data


def _local(builder_class, folder):
    """Returns `builder_class` reading unpacked files in `folder`, not downloading."""

    class Files:
        @staticmethod
        def download_and_extract(urls):
            return {k: folder / Path(url).stem for k, url in urls.items()}

    class Local(builder_class, skip_registration=True):
        name = builder_class.name

        def _split_generators(self, dl_manager):
            return super()._split_generators(Files)

    return Local
