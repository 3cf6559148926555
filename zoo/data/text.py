"""Parallel text: `load` reads pairs of sentences, `batches` makes batches of their ids.

from zoo.data import text
pairs = text.load("embedded/en-de", "train")  # [("Hello", "Hallo"), ...]
ids = [vocabulary.encode(side) for side in zip(*pairs)]
model.fit(text.batches(ids[0], ids[1], 64, seed=0), epochs=10)
"""

import functools
import re
from importlib import resources
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo.data import downloads, epochs, handbook
from zoo.data.buckets import bounds_of, spans
from zoo.data.division import divide
from zoo.data.splits import Splits
from zoo.data.text_files import read, turned

SPLITS = ("train", "validation", "test")
EMBEDDED = ("dates", "en-de", "en-fa")


def load(data, split, *, languages=None, data_dir=None, skip_empty=False):
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
        split: `"train"`, `"validation"`, `"test"`, or `"all"` for all three, and for a
            file all that it holds; for TFDS any of the data set's.
        languages: Codes of source and target, as `("en", "de")`. TMX and folders of
            two files a split need them; all others are turned round by them: TFDS's and
            embedded sets, two files named by their codes, and tables whose first row
            names the columns. Without, a table's columns are the first and the second.
        data_dir: TFDS data directory; `None` means TFDS's default.
        skip_empty: Whether to leave out, and to warn of, pairs of a file that have an
            empty side.

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
    if _is_folder(data):
        return _load_folder(Path(data), split, languages, skip_empty)
    if _is_file(data):
        pairs = read(data, languages, skip_empty)
        return pairs if split == "all" else _chosen(divide(pairs)[0], split, data)
    of_tfds = kind.partition(":")[0]
    if of_tfds == handbook.Handbook.name:
        return _load_tfds(handbook.builder(data, data_dir), split, languages)
    if of_tfds in tfds.list_builders(with_community_datasets=False):
        return _load_tfds(tfds.builder(data, data_dir=data_dir), split, languages)
    raise ValueError(
        f"There is no text {data!r}. Give one of "
        f"{', '.join('embedded/' + name for name in EMBEDDED)}, a TFDS name such as "
        "'handbook/en-de', a .tsv, .csv or .tmx file, two files as 'corpus.{en,de}', "
        "or a folder."
    )


def splits(data, languages=None, data_dir=None, skip_empty=False):
    """Returns what a run needs: sentences to train, to validate and to test with.

    A file is read and divided once, whichever parts are asked for. Pairs that two files
    of a folder share are warned of; `zoo.data.division` leaves none in what it divides.

    Args:
        data: As for `load`.
        languages: As for `load`.
        data_dir: As for `load`.
        skip_empty: As for `load`.

    Returns:
        `zoo.data.splits.Splits` of pairs `(sources, targets)`, two lists of sentences.
        Splits of other names, as of `"embedded/dates"`, come by `.split("unseen")`.

    Example:
        sources, targets = splits("corpus.tsv").train
    """
    data = str(data)

    @functools.cache
    def divided():
        return divide(read(data, languages, skip_empty))[0]

    def part(split):
        if _is_file(data):
            pairs = _chosen(divided(), split, data)
        else:
            pairs = load(
                data,
                split,
                languages=languages,
                data_dir=data_dir,
                skip_empty=skip_empty,
            )
        return [source for source, _ in pairs], [target for _, target in pairs]

    def identify(part):
        return list(zip(*part, strict=True))

    folder = _is_folder(data)
    return Splits(part, identify=identify if folder else None, name=data)


def batches(
    sources,
    targets,
    batch_size=None,
    *,
    tokens=None,
    buckets=16,
    seed=None,
    first_epoch=0,
):
    """Returns a dataset of padded batches, one epoch long each time it is iterated.

    Sentences of like length go together, so that little of a batch is padding. With
    `seed`, for training, each epoch has a new order that depends on `(seed, epoch)`
    alone: a run resumed with `first_epoch=e` sees what an uninterrupted one would have
    seen from epoch `e` on. Without, the order of each bucket is kept, and with
    `buckets=1` that of all.

    Every sentence is seen in every epoch; the last batch of a bucket may be smaller.
    An epoch counts once its last batch is handed out, as `zoo.data.epochs.stream` says.

    Args:
        sources: Lists of ids from 1, none empty.
        targets: As many.
        batch_size: Sentences per batch.
        tokens: Instead of `batch_size`: places in a batch, padding included, of the
            longer side; short sentences then make larger batches.
        buckets: How many, of like numbers of ids, or their upper bounds in tokens, as
            `(10, 20, 40)`; longer sentences have a bucket of their own. The length of
            a pair is that of its longer side.
        seed: Integer that shuffles; `None` does not.
        first_epoch: The epoch to begin with, counted from 0.

    Returns:
        A finite `tf.data.Dataset` of `(source, target)`, both int32 `(batch, time)`
        padded with 0, of known cardinality.

    Raises:
        ValueError: There are no sentences, an empty one, or not as many targets;
            neither or both of `batch_size` and `tokens` are given; a number is not
            positive.

    Example:
        batches(vocabulary.encode(english), vocabulary.encode(german), 64, seed=0)
    """
    if len(sources) != len(targets) or not len(sources):
        raise ValueError(
            "There must be as many targets as sources, and some. Received: "
            f"{len(sources)} sources, {len(targets)} targets."
        )
    lengths = np.array([list(map(len, sources)), list(map(len, targets))])  # (2, count)
    if not lengths.all():
        where = int(np.flatnonzero(~lengths.all(axis=0))[0])
        raise ValueError(f"Pair {where} (from 0) has no ids on one side.")
    if (batch_size is None) == (tokens is None):
        raise ValueError(
            "Give either batch_size or tokens. Received: "
            f"batch_size={batch_size}, tokens={tokens}."
        )
    size = tokens if batch_size is None else batch_size
    if min(size, np.min(buckets)) < 1 or first_epoch < 0:
        raise ValueError(
            "batch_size, tokens and buckets must be positive and first_epoch not "
            f"negative. Received: {size}, {buckets}, {first_epoch}."
        )
    count, longer = len(sources), lengths.max(axis=0)  # (count,)
    bounds = bounds_of(longer, buckets)
    sizes = [
        batch_size or max(1, tokens // bound)
        for bound in [*bounds, max(int(longer.max()), *bounds, 1)]
    ]
    bucket = np.searchsorted(bounds, longer)  # (count,)
    starts, ends, is_full, of_bucket = spans(bucket, sizes)  # (batches,) each
    with tf.device("CPU:0"):  # where tf.data runs; captured, not copied into the graph
        sides = [
            tf.RaggedTensor.from_row_lengths(
                tf.constant(np.concatenate(side).astype("int32")), length
            )  # (count, None)
            for side, length in zip((sources, targets), lengths, strict=True)
        ]

    def begin(epoch):
        order = tf.range(count)
        if seed is not None:
            key = tf.stack([tf.constant(seed, tf.int64), epoch])
            order = tf.random.experimental.stateless_shuffle(order, key)  # (count,)
        # A bucket fills up in that order; whenever it is full, that is a batch, and
        # what is left in the end makes the last ones.
        places = tf.argsort(tf.gather(bucket, order), stable=True)  # (count,)
        when = tf.where(is_full, tf.gather(places, ends - 1), count + of_bucket)
        turns, rows = tf.argsort(when), tf.gather(order, places)  # (batches,), (count,)

        def batch(step):
            turn = turns[step]
            here = rows[tf.gather(starts, turn) : tf.gather(ends, turn)]  # (batch,)
            # Padded with 0 to the longest of the batch: (batch, time).
            return tuple(tf.gather(side, here).to_tensor() for side in sides)

        return batch

    return epochs.stream(begin, len(starts), first_epoch)


def _is_folder(data):
    """Returns whether this is a folder with files for each split."""
    return not data.startswith("embedded/") and Path(data).is_dir()


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
    if split == "all":
        return [p for part in SPLITS for p in _load_embedded(name, part, languages)]
    file = folder / f"{split}.tsv.gz"
    if not file.is_file():
        splits = [f.name.split(".")[0] for f in folder.iterdir() if ".tsv" in f.name]
        _chosen(dict.fromkeys(sorted(splits)), split, f"embedded/{name}")
    with resources.as_file(file) as path:
        pairs = read(path)
    given = ("dates", "iso") if name == "dates" else tuple(name.split("-"))
    return turned(pairs, given, languages, f"embedded/{name}")


def _load_folder(folder, split, languages, skip_empty):
    if split == "all":
        there = [s for s in SPLITS if any(folder.glob(f"{s}.*"))] or SPLITS
        parts = [_load_folder(folder, s, languages, skip_empty) for s in there]
        return sum(parts, [])
    names = [folder / f"{split}{suffix}" for suffix in (".tsv", ".csv", ".tmx")]
    if languages:
        first, second = languages
        names.append(folder / f"{split}.{{{first},{second}}}")
    for name in names:
        for ending in ("", ".gz"):
            files = re.sub(r"\{([^,]*),.*\}", r"\1", str(name))
            if Path(files + ending).is_file():
                return read(f"{name}{ending}", languages, skip_empty)
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
    if split.split("[")[0] not in (*builder.info.splits, "all"):
        raise ValueError(
            f"{builder.name!r} has no split {split!r}. Use one of: "
            f"{', '.join(builder.info.splits)}."
        )
    source, target = languages or keys[:2]
    data = builder.as_dataset(split=split).as_numpy_iterator()
    return [(example[source].decode(), example[target].decode()) for example in data]
