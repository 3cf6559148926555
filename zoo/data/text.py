"""Parallel text: `load` reads pairs of sentences, `batches` makes batches of their ids.

from zoo.data import text
pairs = text.load("embedded/en-de", "train")  # [("Hello", "Hallo"), ...]
ids = [vocabulary.encode(side) for side in zip(*pairs)]
model.fit(text.batches(ids[0], ids[1], 64, seed=0), epochs=10)
"""

import codecs
import csv
import dataclasses
import gzip
import hashlib
import io
import re
import unicodedata
import xml.etree.ElementTree as xml
import zlib
from collections import Counter, defaultdict
from importlib import resources
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo.data import builders

SPLITS = ("train", "validation", "test")
EMBEDDED = ("dates", "en-de", "en-fa")
_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_NEAR = 0.7  # Jaccard index of two sentences' word pairs; see `split`


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
    from zoo.data import handbook  # noqa: F401  registers it; it imports this module

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


def read(path, languages=None):
    """Reads the pairs of one file, or of two files of aligned lines.

    Args:
        path: As `data` of `load`, of files.
        languages: As for `load`.

    Returns:
        A list of `(source, target)`, none empty, in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With the line: a side is empty, a column is missing, bytes are no
            UTF-8, the two files have different numbers of lines, the XML is broken.

    Example:
        read("memory.tmx", ("en", "de"))
    """
    path = str(path)
    if braces := re.fullmatch(r"(.*)\{([^{},]+),([^{},]+)\}(.*)", path):
        before, first, second, after = braces.groups()
        pairs = _read_aligned(before + first + after, before + second + after)
        return _turned(pairs, (first, second), languages, path)
    suffix = Path(path.removesuffix(".gz")).suffix
    if suffix == ".tmx":
        return _read_tmx(path, languages)
    if suffix in (".tsv", ".csv"):
        return _read_table(path, languages, "\t" if suffix == ".tsv" else ",")
    raise ValueError(
        f"Text is read from .tsv, .csv and .tmx files, or from two, as "
        f"'corpus.{{en,de}}'. Received: {path!r}."
    )


@dataclasses.dataclass(frozen=True)
class Removed:
    """How many pairs `divide` left out.

    Attributes:
        repeated: The same pair as an earlier one.
        exact: A side is, but for case, digits, punctuation and spaces, a side that a
            later split holds.
        near: A side is nearly one that a later split holds.
    """

    repeated: int
    exact: int
    near: int


def divide(pairs, groups=None, shares=None):
    """Divides pairs into training, validation and test, with nothing in two of them.

    A group goes to one split as a whole, by a hash of its name: the same pairs are
    always divided alike, and a new group moves no other. Then training pairs that are
    exact or near duplicates of a validation or test pair on either side go, and so do
    validation pairs that are such of a test pair.

    Near duplicates share 0.7 or more of their pairs of neighbouring words, of all that
    either has (Jaccard index, ends of the sentence included): sentences of 11 words
    or more that differ in one. Case, punctuation and digits are ignored.

    Args:
        pairs: `(source, target)` strings.
        groups: A name for each pair, as of the page it is from; by default its source.
        shares: Of the groups, for later splits; `{"validation": 0.05, "test": 0.05}`.

    Returns:
        `({split: [(source, target), ...]}, Removed)`.

    Raises:
        ValueError: The numbers of pairs and groups differ, or a split has no pairs.

    Example:
        parts, removed = divide(pairs, pages)
    """
    shares = shares or {"validation": 0.05, "test": 0.05}
    groups = [source for source, _ in pairs] if groups is None else groups
    if len(groups) != len(pairs):
        raise ValueError(
            "Each pair needs the name of its group. Received: "
            f"{len(pairs)} pairs, {len(groups)} groups."
        )
    parts = {"train": [], **{split: [] for split in shares}}
    seen = set()
    for pair, group in zip(pairs, groups, strict=True):
        if pair not in seen:
            seen.add(pair)
            parts[_drawn(group, shares)].append(tuple(pair))
    counts = Counter()
    order = list(parts)
    for place, split in enumerate(order):
        later = [pair for other in order[place + 1 :] for pair in parts[other]]
        found = [_Twins(side) for side in zip(*later, strict=True)]
        kept = []
        for pair in parts[split]:
            verdicts = {
                twins.like(side) for twins, side in zip(found, pair, strict=False)
            }
            if verdicts & {"exact", "near"}:
                counts["exact" if "exact" in verdicts else "near"] += 1
            else:
                kept.append(pair)
        parts[split] = kept
    if empty := [split for split, part in parts.items() if not part]:
        raise ValueError(
            f"Nothing is left for {' and '.join(empty)} of {len(pairs)} pairs in "
            f"{len(set(groups))} groups. Give more, or a folder with a file for each "
            "split."
        )
    return parts, Removed(len(pairs) - len(seen), counts["exact"], counts["near"])


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
    An epoch counts once its last batch is handed out, as in `images.batches`.

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
    lengths = np.array([list(map(len, sources)), list(map(len, targets))])
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
    count, longer = len(sources), lengths.max(axis=0)
    if isinstance(buckets, int):
        # Equal shares of the ids, not of the sentences: long ones need finer buckets.
        ordered = np.sort(longer)
        shares = np.cumsum(ordered) / ordered.sum()
        cuts = ordered[np.searchsorted(shares, np.arange(1, buckets) / buckets)]
        buckets = cuts[cuts < ordered[-1]]
    bounds = sorted({int(bound) for bound in buckets})
    sizes = [
        batch_size or max(1, tokens // bound)
        for bound in [*bounds, max(int(longer.max()), *bounds, 1)]
    ]
    bucket = np.searchsorted(bounds, longer)
    starts, ends, is_full, of_bucket = _spans(bucket, sizes)
    steps = len(starts)
    with tf.device("CPU:0"):  # where tf.data runs; captured, not copied into the graph
        sides = [
            tf.RaggedTensor.from_row_lengths(
                tf.constant(np.concatenate(side).astype("int32")), length
            )
            for side, length in zip((sources, targets), lengths, strict=True)
        ]
        next_epoch = tf.Variable(first_epoch, dtype=tf.int64, trainable=False)

    def begin(_):
        """Fixes an epoch's order as its iteration begins."""
        epoch = next_epoch.read_value()
        order = tf.range(count)
        if seed is not None:
            key = tf.stack([tf.constant(seed, tf.int64), epoch])
            order = tf.random.experimental.stateless_shuffle(order, key)
        # A bucket fills up in that order; whenever it is full, that is a batch, and
        # what is left in the end makes the last ones.
        places = tf.argsort(tf.gather(bucket, order), stable=True)
        when = tf.where(is_full, tf.gather(places, ends - 1), count + of_bucket)
        turns, rows = tf.argsort(when), tf.gather(order, places)

        def batch(step):
            here = rows[tf.gather(starts, turns[step]) : tf.gather(ends, turns[step])]
            pair = tuple(tf.gather(side, here).to_tensor() for side in sides)
            return epoch + (step + 1) // steps, pair

        return tf.data.Dataset.range(steps).map(batch)

    def hand_out(epoch_after, batch):
        """Runs as the consumer takes the batch, so prefetching does not count."""
        next_epoch.assign(epoch_after)
        return batch

    data = tf.data.Dataset.range(1).flat_map(begin).prefetch(tf.data.AUTOTUNE)
    return data.map(hand_out).apply(tf.data.experimental.assert_cardinality(steps))


def _spans(bucket, sizes):
    """Returns where each batch lies among the sentences, these ordered by bucket.

    Args:
        bucket: Of each sentence, a number from 0.
        sizes: Of the batches of each bucket.

    Returns:
        Arrays of one entry per batch: first sentence, the one behind the last, whether
        it is a full batch, its bucket.
    """
    spans, start = [], 0
    for number, filled in enumerate(np.bincount(bucket, minlength=len(sizes))):
        end = start + filled
        for first in range(start, end, sizes[number]):
            behind = min(first + sizes[number], end)
            spans.append((first, behind, behind - first == sizes[number], number))
        start = end
    return map(np.array, zip(*spans, strict=True))


def padding_share(dataset):
    """Returns which share of all places in a dataset's batches is padding."""
    places = ids = 0
    for batch in dataset.as_numpy_iterator():
        places += sum(side.size for side in batch)
        ids += sum(np.count_nonzero(side) for side in batch)
    return 1.0 - ids / places


def write(path, pairs):
    """Writes pairs as a `.tsv` file, or `.tsv.gz`, that `read` can read.

    Args:
        path: Of the file.
        pairs: `(source, target)` strings; white space of any kind becomes one space.

    Raises:
        ValueError: If a side is empty.
    """
    rows = [[" ".join(side.split()) for side in pair] for pair in pairs]
    for number, row in enumerate(rows, 1):
        if not all(row):
            raise ValueError(f"Pair {number} has an empty side. Received: {row}.")
    lines = "".join("\t".join(row) + "\n" for row in rows)
    data = lines.encode()
    # No time in the header: the same pairs give the same file.
    Path(path).write_bytes(
        gzip.compress(data, 9, mtime=0) if str(path).endswith(".gz") else data
    )


# Where pairs come from


def _chosen(parts, split, data):
    if split not in parts:
        raise ValueError(
            f"{str(data)!r} has no split {split!r}. Use one of: {', '.join(parts)}."
        )
    return parts[split]


def _turned(pairs, given, languages, data):
    """Returns pairs in languages `given` as pairs in the order of `languages`."""
    if languages and sorted(languages) != sorted(given):
        raise ValueError(
            f"{data!r} has {' and '.join(given)}. Received languages: "
            f"{' and '.join(languages)}."
        )
    if not languages or tuple(languages) == tuple(given):
        return pairs
    return [(target, source) for source, target in pairs]


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
    return _turned(pairs, given, languages, f"embedded/{name}")


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
        builders.download(builder)
    if split.split("[")[0] not in builder.info.splits:
        raise ValueError(
            f"{builder.name!r} has no split {split!r}. Use one of: "
            f"{', '.join(builder.info.splits)}."
        )
    source, target = languages or keys[:2]
    data = builder.as_dataset(split=split).as_numpy_iterator()
    return [(example[source].decode(), example[target].decode()) for example in data]


def _lines(path):
    """Yields the numbers and texts of a UTF-8 file's lines, without their ends."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {str(path)!r}.") from None
    if str(path).endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is no whole gzip file: {error}.") from None
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise ValueError(
            f"{path} is UTF-16. Convert it, as with `iconv -f UTF-16 -t UTF-8`."
        )
    if not data.strip():
        raise ValueError(f"{path} is empty.")
    # Only line feeds part lines: U+2028 and the like may be in a sentence.
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        try:
            line = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}, line {number}: byte {error.start + 1} "
                f"(0x{line[error.start]:02x}) is no UTF-8. Convert the file, as with "
                "`iconv -f WINDOWS-1252 -t UTF-8`."
            ) from None
        yield number, line.removesuffix("\r")


def _filled(path, line, text, what):
    """Returns a text without space around it, if there is any text."""
    text = text.strip()
    if not text:
        raise ValueError(
            f"{path}, line {line}: the {what} is empty. Fill it, or remove the pair."
        )
    return text


def _read_aligned(first, second):
    sides = [list(_lines(path)) for path in (first, second)]
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"Line n of {first} must translate line n of {second}. Received: "
            f"{len(sides[0])} and {len(sides[1])} lines; line "
            f"{min(map(len, sides)) + 1} has no partner."
        )
    return [
        (_filled(first, n, source, "line"), _filled(second, n, target, "line"))
        for (n, source), (_, target) in zip(*sides, strict=True)
    ]


def _read_table(path, languages, delimiter):
    lines = _lines(path)
    if delimiter == ",":
        text = io.StringIO("\n".join(line for _, line in lines), newline="")
        reader = csv.reader(text, strict=True)
        rows = ((reader.line_num, row) for row in reader)
    else:  # a quote in a TSV is a quote
        rows = ((number, line.split("\t")) for number, line in lines)
    pairs, columns = [], (0, 1)
    wanted = [language.lower() for language in languages or ()]
    try:
        for number, row in rows:
            if not any(map(str.strip, row)):
                raise ValueError(f"{path}, line {number} is empty. Remove it.")
            names = [name.strip().lower() for name in row]
            if wanted:
                if not set(wanted) <= set(names):
                    raise ValueError(
                        f"{path}, line {number}: no columns {' and '.join(languages)}. "
                        "Name them in the first line, or leave out the languages: then "
                        "the first column is translated into the second. Received: "
                        f"{', '.join(row)[:80]}."
                    )
                columns = [names.index(language) for language in wanted]
                wanted = []  # the header has been read
                continue
            if len(row) <= max(columns):
                raise ValueError(
                    f"{path}, line {number}: a column is missing; "
                    f"{max(columns) + 1} are needed. Received: {len(row)}."
                )
            source, target = (row[column] for column in columns)
            source = _filled(path, number, source, "source")
            pairs.append((source, _filled(path, number, target, "target")))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
    return pairs


def _spoken(element):
    """Returns the text in a TMX element without the codes of the program it is from."""
    parts = [element.text or ""]
    for inner in element:
        if inner.tag not in ("bpt", "ept", "it", "ph", "ut"):  # TMX 1.4b: native codes
            parts.append(_spoken(inner))
        parts.append(inner.tail or "")
    return "".join(parts)


def _read_tmx(path, languages):
    """Reads a translation memory (TMX 1.4b); `en` means `en-GB` too."""
    if not languages:
        raise ValueError(f"{path}: give the languages of a TMX file, as ('en', 'de').")
    text = "\n".join(line for _, line in _lines(path))
    text = re.sub(r"^<\?xml[^>]*\?>", "", text)  # it has been decoded already
    try:
        units = xml.fromstring(text).iter("tu")
    except xml.ParseError as error:
        raise ValueError(
            f"{path}, line {error.position[0]}: broken XML ({error})."
        ) from error
    pairs, found = [], set()
    for number, unit in enumerate(units, 1):
        sides = {}
        for variant in unit.iter("tuv"):
            code = variant.get(_XML_LANGUAGE) or variant.get("lang") or ""
            segment = variant.find("seg")
            spoken = "" if segment is None else " ".join(_spoken(segment).split())
            found.add(code)
            for name in {code.lower(), code.lower().split("-")[0]}:
                sides.setdefault(name, spoken)
        pair = tuple(sides.get(language.lower()) for language in languages)
        if "" in pair:
            raise ValueError(
                f"{path}, unit {number}: a segment is empty. Fill it, or remove the "
                "unit."
            )
        if None not in pair:  # a memory may hold many languages, not all everywhere
            pairs.append(pair)
    if not pairs:
        raise ValueError(
            f"{path} has no unit in both {' and '.join(languages)}. "
            f"Received languages: {', '.join(sorted(found)) or 'none'}."
        )
    return pairs


# What belongs to which split


def _drawn(group, shares):
    """Returns the split of a group, by the place of its hash in [0, 1)."""
    digest = hashlib.sha256(str(group).encode()).digest()
    place = int.from_bytes(digest[:6], "big") / 2**48
    for split, share in shares.items():
        if place < share:
            return split
        place -= share
    return "train"


def _key(text):
    """Returns the words of a text without case and punctuation, digits all alike."""
    text = unicodedata.normalize("NFKC", text).lower()
    return tuple(re.sub(r"\d", "0", re.sub(r"[^\w\s]|_", " ", text)).split())


class _Twins:
    """Finds which of some texts another one repeats, exactly or nearly."""

    def __init__(self, texts):
        self.keys = {_key(text) for text in texts}
        self.sizes, self.having = [], defaultdict(list)
        for number, key in enumerate(self.keys):
            shingles = self._shingles(key)
            self.sizes.append(len(shingles))
            for shingle in shingles:
                self.having[shingle].append(number)

    def like(self, text):
        """Returns "exact", "near" or `None`."""
        key = _key(text)
        if key in self.keys:
            return "exact"
        shingles = self._shingles(key)
        shared = Counter(n for s in shingles for n in self.having.get(s, ()))
        for number, both in shared.items():
            if both >= _NEAR * (len(shingles) + self.sizes[number] - both):
                return "near"
        return None

    @staticmethod
    def _shingles(key):
        return set(zip(("", *key), (*key, ""), strict=True))
