"""Parallel text: `load` reads pairs of sentences, `batches` makes batches of their ids.

from zoo.data import text
pairs = text.load("embedded/en-de", "train")  # [("Hello", "Hallo"), ...]
ids = [vocabulary.encode(side) for side in zip(*pairs)]
model.fit(text.batches(ids[0], ids[1], 64, seed=0), epochs=10)
"""

import re
from importlib import resources
from pathlib import Path

import tensorflow_datasets as tfds

from zoo.data import downloads, handbook
from zoo.data.division import divide
from zoo.data.text_files import read, turned

SPLITS = ("train", "validation", "test")


#: Imported for TFDS, which finds a builder once its class is defined.
BUILDERS = (handbook.Handbook,)
EMBEDDED = ("dates", "en-de", "en-fa")


def load(data, split, *, languages=None, data_dir=None):
    """Loads one split of a parallel text.

    Args:
        data: One of
            `"embedded/en-de"`, `"embedded/en-fa"`, `"embedded/dates"`: samples that
            come with the package.
            A TFDS name of a translation set, such as `"handbook/en-de"` (see
            `zoo.data.handbook`) or `"ted_hrlr_translate/pt_to_en"`.
            A file `.tsv`, `.csv` or `.tmx`, of which `split` takes its part.
            Two files whose lines translate each other, as `"corpus.{en,de}"`.
            A folder of such files for each split: `train.tsv`, or `train.en` and
            `train.de` with `languages`. Plain or gzipped (`.gz`).
        split: `"train"`, `"validation"` or `"test"`; for TFDS any of the data set's.
        languages: Codes of source and target, as `("en", "de")`. TMX and folders of
            two files a split need them; all others are turned round by them: TFDS's and
            embedded sets, two files named by their codes, and tables whose first row
            names the columns. Without, a table's columns are the first and the second.
        data_dir: TFDS data directory; `None` means TFDS's default.

    Returns:
        A list of `(source, target)`.

    Raises:
        FileNotFoundError: A file is missing, or TFDS cannot download the data set.
        ValueError: A name is unknown, or a file is not what it should be; the message
            names the line.

    Example:
        load("corpus.{en,de}", "train")
    """
    data = str(data)
    kind, _, name = data.partition("/")
    if kind == "embedded":
        return _load_embedded(name, split, languages)
    if Path(data).is_dir():
        return _load_folder(Path(data), split, languages)
    if _is_file(data):
        parts, _ = divide(read(data, languages))
        return _chosen(parts, split, data)
    if kind.partition(":")[0] in tfds.list_builders(with_community_datasets=False):
        return _load_tfds(tfds.builder(data, data_dir=data_dir), split, languages)
    raise ValueError(
        f"There is no text {data!r}. Give one of "
        f"{', '.join('embedded/' + name for name in EMBEDDED)}, a TFDS name such as "
        "'handbook/en-de', a .tsv, .csv or .tmx file, two files as 'corpus.{en,de}', "
        "or a folder."
    )


def splits(data, *, languages=None, data_dir=None):
    """Loads all three splits at once: a file is read and divided only once.

    Args:
        data: As for `load`.
        languages: As for `load`.
        data_dir: As for `load`.

    Returns:
        Lists of `(source, target)` of training, validation and test.

    Raises:
        FileNotFoundError: As `load`.
        ValueError: As `load`.
    """
    if _is_file(str(data)):
        parts, _ = divide(read(data, languages))
        return tuple(parts[split] for split in SPLITS)
    where = {"languages": languages, "data_dir": data_dir}
    return tuple(load(data, split, **where) for split in SPLITS)


def _is_file(data):
    """Returns whether this is to be read as one file, or as two of aligned lines."""
    if data.startswith("embedded/") or Path(data).is_dir():
        return False
    versioned = re.search(r":[\d.*]+$", data)  # of TFDS: the dots are no suffix
    return "{" in data or bool(Path(data).suffixes and not versioned)


# Where pairs come from


def _chosen(parts, split, data):
    if split not in parts:
        raise ValueError(
            f"{str(data)!r} has no split {split!r}. Use one of: {', '.join(parts)}."
        )
    return parts[split]


def _load_embedded(name, split, languages):
    if name not in EMBEDDED:
        raise ValueError(
            f"There is no embedded text {name!r}. Use one of: {', '.join(EMBEDDED)}."
        )
    root = resources.files(__package__) / "embedded"
    folder = root / ("dates" if name == "dates" else f"handbook_{name}")
    file = folder / f"{split}.tsv.gz"
    if not file.is_file():
        splits = [f.name.split(".")[0] for f in folder.iterdir() if ".tsv" in f.name]
        _chosen(dict.fromkeys(sorted(splits)), split, f"embedded/{name}")
    with resources.as_file(file) as path:
        pairs = read(path)
    given = ("dates", "iso") if name == "dates" else tuple(name.split("-"))
    return turned(pairs, given, languages, f"embedded/{name}")


def _load_folder(folder, split, languages):
    names = [folder / f"{split}{suffix}" for suffix in (".tsv", ".csv", ".tmx")]
    if languages:
        first, second = languages
        names.append(folder / f"{split}.{{{first},{second}}}")
    for name in names:
        for ending in ("", ".gz"):
            files = re.sub(r"\{([^,]*),.*\}", r"\1", str(name))
            if Path(files + ending).is_file():
                return read(f"{name}{ending}", languages)
    raise FileNotFoundError(
        f"{str(folder)!r} has no split {split!r}: none of "
        f"{', '.join(name.name for name in names)} is there"
        + ("." if languages else ", and two files a split need languages.")
    )


def _load_tfds(builder, split, languages):
    features = builder.info.features
    keys = tuple(features)
    texts = all(isinstance(features[key], tfds.features.Text) for key in keys)
    if not texts or len(keys) < 2 or set(languages or keys[:2]) - set(keys):
        raise ValueError(
            f"{builder.name!r} is no parallel text"
            + (f" of {' and '.join(languages)}" if languages else "")
            + f". Received features: {features}."
        )
    if not builder.is_prepared():
        downloads.download(builder)
    if split.split("[")[0] not in builder.info.splits:
        raise ValueError(
            f"{builder.name!r} has no split {split!r}. Use one of: "
            f"{', '.join(builder.info.splits)}."
        )
    source, target = languages or keys[:2]
    data = builder.as_dataset(split=split).as_numpy_iterator()
    return [(example[source].decode(), example[target].decode()) for example in data]
