"""Reading, dividing and batching parallel text."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import buckets, division, handbook, text, text_files

PAIRS = [("one cat", "eine Katze"), ('two "dogs"', "zwei Hunde"), ("a, b", "c\u2028d")]


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


# Files

TMX = """<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4"><header/><body>
<tu><tuv xml:lang="EN-us"><seg>one <hi>c</hi>at</seg></tuv>
 <tuv xml:lang="de"><seg> eine Katze </seg></tuv></tu>
<tu><tuv xml:lang="de"><seg>zwei</seg></tuv><tuv lang="en"><seg>two</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>three</seg></tuv><tuv xml:lang="fr"><seg>t</seg></tuv></tu>
</body></tmx>"""


def test_tables_and_aligned_files_hold_the_same_pairs(tmp_path):
    tsv = "\ufeff" + "".join(f"{a}\t{b}\tmore\r\n" for a, b in PAIRS)
    csv = 'one cat,eine Katze\n"two ""dogs""",zwei Hunde\n"a, b",c\u2028d\n'
    assert text_files.read(written(tmp_path / "a.tsv", tsv)) == PAIRS
    assert text_files.read(written(tmp_path / "a.csv", csv)) == PAIRS
    zipped = gzip.compress(tsv.encode())
    assert text_files.read(written(tmp_path / "a.tsv.gz", zipped)) == PAIRS
    for code, side in zip(("en", "de"), zip(*PAIRS, strict=True), strict=True):
        written(tmp_path / f"a.{code}", "\n".join(side))
    assert text_files.read(tmp_path / "a.{en,de}") == PAIRS


def test_columns_by_name(tmp_path):
    path = written(tmp_path / "a.csv", 'id,de,en\n1,Katze,"cat, or\ncats"\n')
    assert text_files.read(path, ("en", "de")) == [("cat, or\ncats", "Katze")]
    assert text_files.read(path, ("de", "id")) == [("Katze", "1")]


def test_translation_memory(tmp_path):
    path = written(tmp_path / "a.tmx", TMX)
    assert text_files.read(path, ("en", "de")) == [
        ("one cat", "eine Katze"),
        ("two", "zwei"),
    ]
    assert text_files.read(path, ("fr", "en")) == [("t", "three")]


def test_codes_of_other_programs_are_no_text(tmp_path):
    codes = '<bpt i="1">&lt;b&gt;</bpt>OK<ept i="1">&lt;/b&gt;</ept> <hi>to\n go</hi>'
    path = written(tmp_path / "a.tmx", TMX.replace("two", f"{codes}<ph>{{0}}</ph> on"))
    assert text_files.read(path, ("de", "en"))[1] == ("zwei", "OK to go on")


def test_languages_turn_pairs_round_wherever_they_are_from(tmp_path):
    english = text.load("embedded/en-de", "test")
    german = text.load("embedded/en-de", "test", languages=("de", "en"))
    assert german == [(b, a) for a, b in english]
    assert text.load("embedded/en-de", "test", languages=("en", "de")) == english
    written(tmp_path / "a.en", "one\n")
    written(tmp_path / "a.de", "eins\n")
    assert text_files.read(tmp_path / "a.{en,de}", ("de", "en")) == [("eins", "one")]
    with pytest.raises(
        ValueError, match="has en and de. Received languages: en and fr"
    ):
        text_files.read(tmp_path / "a.{en,de}", ("en", "fr"))
    with pytest.raises(ValueError, match="has en and fa. Received languages: en and d"):
        text.load("embedded/en-fa", "test", languages=("en", "de"))
    path = written(tmp_path / "a.tsv", "English\tGerman\none\teins\n")
    with pytest.raises(ValueError, match="line 1: no columns de and en.*English, Germ"):
        text_files.read(path, ("de", "en"))


def test_written_pairs_are_read(tmp_path):
    for name in ("a.tsv", "a.tsv.gz"):
        text_files.write(tmp_path / name, [("a\tb", "c\nd"), *PAIRS[:2]])
        assert text_files.read(tmp_path / name) == [("a b", "c d"), *PAIRS[:2]]
    first = (tmp_path / "a.tsv.gz").read_bytes()
    text_files.write(tmp_path / "a.tsv.gz", [("a\tb", "c\nd"), *PAIRS[:2]])
    assert (tmp_path / "a.tsv.gz").read_bytes() == first


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "a\tb\n\tc\n", r"a.tsv, line 2: the source is empty"),
        ("a.tsv", "a\tb\nc\t \n", r"a.tsv, line 2: the target is empty"),
        (
            "a.tsv",
            "a\tb\n\nc\td\n",
            r"a.tsv, line 2: the line is empty. Fill or remove",
        ),
        ("a.csv", "a,b\n\nc,d\n", r"a.csv, line 2: the line is empty. Fill or remove"),
        ("a.tsv", "", "a.tsv is empty"),
        ("a.csv", "\n", "a.csv is empty"),
        ("a.tsv", "a\tb\n".encode("utf-16"), "is UTF-16.*iconv -f UTF-16"),
        ("a.tsv", "a\tb\n".encode("utf-32"), "is UTF-32.*iconv -f UTF-32"),
        ("a.tsv", "a\tb\n".encode("utf-16-le"), "zero bytes, as UTF-16 and UTF-32"),
        ("a.tsv.gz", b"a\tb\n", "a.tsv.gz is no whole gzip file"),
        ("a.tsv.gz", gzip.compress(b"a\tb\n" * 99, mtime=0)[:-9], "no whole gzip file"),
        ("a.tsv", "a\tb\nc\n", r"line 2: a column is missing"),
        ("a.tsv", b"a\tb\nc\xfc\td\n", r"line 2: byte 2 \(0xfc\) is no UTF-8.*iconv"),
        ("a.csv", 'a,b\n"c,d\n', r"a.csv, line 2: unexpected end of data"),
        ("a.csv", 'a,b\n"c\nd",e\nf\n', r"a.csv, line 4: a column is missing"),
        ("a.tmx", TMX.replace("</tu>", "", 1), r"a.tmx, line \d+: broken XML"),
        ("a.tmx", TMX.replace("two", " "), r"a.tmx, unit 2: the segment is empty"),
        ("a.tmx", TMX.replace("de", "nl"), "no unit in both en and de. .*nl"),
        ("a.txt", "a", "read from .tsv, .csv and .tmx files.*Received: .*a.txt"),
    ],
)
def test_faulty_files_are_refused_by_line(tmp_path, name, content, message):
    path = written(tmp_path / name, content)
    with pytest.raises(ValueError, match=message):
        text_files.read(path, ("en", "de") if name.endswith(".tmx") else None)


def test_all_empty_sides_are_named_at_once_or_left_out(tmp_path):
    path = written(tmp_path / "a.tsv", "a\tb\n\nc\t\n\td\ne\tf\n")
    message = (
        r"line 2: the line is empty, and so are sides of 2 more \(line 3, line 4\)"
    )
    with pytest.raises(ValueError, match=f"{message}.*leave them out by skip_empty"):
        text_files.read(path)
    with pytest.warns(UserWarning, match=f"{message}. Left out: 3 pairs"):
        assert text_files.read(path, skip_empty=True) == [("a", "b"), ("e", "f")]
    with pytest.warns(UserWarning, match="Left out: 3 pairs"):
        assert text.load(path, "all", skip_empty=True) == [("a", "b"), ("e", "f")]
    many = written(tmp_path / "many.tsv", "a\tb\n" + "\n" * 9)
    with pytest.raises(ValueError, match=r"8 more \(line 3,.* line 7, and so on\)"):
        text_files.read(many)


def test_empty_lines_of_aligned_files_and_segments_are_left_out(tmp_path):
    written(tmp_path / "a.en", "a\nb\nc\n")
    written(tmp_path / "a.de", "x\n\nz\n")
    with pytest.warns(
        UserWarning, match="a.de, line 2: the line is empty. Left out: 1"
    ):
        pairs = text_files.read(tmp_path / "a.{en,de}", skip_empty=True)
    assert pairs == [("a", "x"), ("c", "z")]
    path = written(tmp_path / "a.tmx", TMX.replace("two", " "))
    with pytest.warns(UserWarning, match="unit 2: the segment is empty. Left out: 1"):
        pairs = text_files.read(path, ("en", "de"), skip_empty=True)
    assert pairs == [("one cat", "eine Katze")]


@pytest.mark.parametrize(
    "unseen", ["\ufeff", "\u200b", "\u200c\u200f", "\u00ad \u2060"]
)
def test_what_cannot_be_seen_is_empty(tmp_path, unseen):
    path = written(tmp_path / "a.tsv", f"a\tb\n{unseen}\tc\n")
    with pytest.raises(ValueError, match="line 2: the source is empty"):
        text_files.read(path)


def test_unseen_ends_go_and_joiners_inside_stay(tmp_path):
    persian = (
        "\u0645\u06cc\u200c\u0631\u0648\u0645"  # a word with a zero-width non-joiner
    )
    path = written(
        tmp_path / "a.tsv", f"\ufeffen\t\ufefffa\n\ufeff I go\u200b \t{persian}\n"
    )
    assert text_files.read(path, ("en", "fa")) == [("I go", persian)]


def test_line_ends_of_old_macintoshes(tmp_path):
    path = written(tmp_path / "a.tsv", "a\tb\rc\td\r")
    assert text_files.read(path) == [("a", "b"), ("c", "d")]
    path = written(tmp_path / "a.csv", "a,b\rc,d\r")
    assert text_files.read(path) == [("a", "b"), ("c", "d")]


def test_a_first_column_of_numbers_is_no_source(tmp_path):
    rows = "1276\tLet's try.\tVersuchen wir es.\n1277\tI go.\tIch gehe.\n"
    for header in ("", "id\ten\tde\n"):
        path = written(tmp_path / "a.tsv", header + rows)
        with pytest.raises(ValueError, match="first column holds numbers.*'127[67]'"):
            text_files.read(path)
    assert text_files.read(path, ("en", "de"))[1] == ("I go.", "Ich gehe.")
    two = written(tmp_path / "b.tsv", "1\tone\n2\ttwo\n")  # both columns are meant
    assert text_files.read(two) == [("1", "one"), ("2", "two")]


def test_a_memory_that_declares_entities_is_refused(tmp_path):
    bomb = '<!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>\n<tmx version="1.4">'
    path = written(tmp_path / "a.tmx", TMX.replace('<tmx version="1.4">', bomb))
    with pytest.raises(ValueError, match="declares the entity 'a'. A TMX file needs"):
        text_files.read(path, ("en", "de"))
    plain = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4">'
    path = written(tmp_path / "a.tmx", TMX.replace('<tmx version="1.4">', plain))
    assert len(text_files.read(path, ("en", "de"))) == 2


def test_a_header_names_the_columns_in_any_case(tmp_path):
    path = written(tmp_path / "a.tsv", "EN\tnote\tDe \none\t-\teins\n")
    assert text_files.read(path, ("de", "en")) == [("eins", "one")]


def test_no_empty_side_is_written(tmp_path):
    with pytest.raises(ValueError, match="Pair 2 has an empty side"):
        text_files.write(tmp_path / "a.tsv", [("a", "b"), ("c", " ")])
    assert not (tmp_path / "a.tsv").exists()


def test_faulty_pairs_of_files_are_refused_by_line(tmp_path):
    written(tmp_path / "a.en", "a\nb\nc\n")
    written(tmp_path / "a.de", "a\nb\n")
    with pytest.raises(ValueError, match="3 and 2 lines; line 3 has no partner"):
        text_files.read(tmp_path / "a.{en,de}")
    written(tmp_path / "a.de", "a\n\nc\n")
    with pytest.raises(ValueError, match=r"a.de, line 2: the line is empty"):
        text_files.read(tmp_path / "a.{en,de}")
    with pytest.raises(FileNotFoundError, match=r"no file .*a.fr"):
        text_files.read(tmp_path / "a.{en,fr}")
    with pytest.raises(ValueError, match="give the languages"):
        text_files.read(written(tmp_path / "a.tmx", TMX))


# Data sets


def test_a_folder_has_a_file_for_each_split(tmp_path):
    text_files.write(tmp_path / "train.tsv", PAIRS[:1])
    written(tmp_path / "test.en", "x\n")
    written(tmp_path / "test.de", "y\n")
    assert text.load(tmp_path, "train") == PAIRS[:1]
    assert text.load(tmp_path, "test", languages=("en", "de")) == [("x", "y")]
    with pytest.raises(FileNotFoundError, match="no split 'test'.*two files a split"):
        text.load(tmp_path, "test")


def test_one_file_is_divided(tmp_path):
    pairs = [(f"{word} {word}", word) for word in map(str.lower, words(300))]
    text_files.write(tmp_path / "a.tsv", pairs)
    parts = [text.load(tmp_path / "a.tsv", split) for split in text.SPLITS]
    for pair, (sources, targets) in zip(
        parts, text.splits(tmp_path / "a.tsv"), strict=True
    ):
        assert list(zip(sources, targets, strict=True)) == pair
    assert sorted(sum(parts, [])) == sorted(pairs)
    assert text.load(tmp_path / "a.tsv", "all") == pairs
    with pytest.raises(ValueError, match="no split 'dev'. Use one of: train, valid"):
        text.load(tmp_path / "a.tsv", "dev")


def test_a_file_is_read_and_divided_once_and_not_before_it_is_needed(
    tmp_path, monkeypatch
):
    text_files.write(tmp_path / "a.tsv", [(f"{w} {w}", w) for w in words(300)])
    calls = []
    for module, name in ((text_files, "read"), (division, "divide")):
        function = getattr(module, name)

        def counted(*arguments, name=name, function=function):
            calls.append(name)
            return function(*arguments)

        monkeypatch.setattr(text, name, counted)
    parts = text.splits(tmp_path / "a.tsv")
    assert calls == []
    assert parts.train is parts.train and parts.test is not parts.validation
    assert calls == ["read", "divide"]


def test_splits_of_other_names():
    sources, targets = text.splits("embedded/dates").split("unseen")
    assert list(zip(sources, targets, strict=True)) == text.load(
        "embedded/dates", "unseen"
    )


def test_all_of_a_folder_and_of_a_sample_are_their_splits(tmp_path):
    text_files.write(tmp_path / "train.tsv", PAIRS[:1])
    text_files.write(tmp_path / "test.tsv", PAIRS[1:2])
    assert text.load(tmp_path, "all") == PAIRS[:2]
    parts = [text.load("embedded/en-fa", split) for split in text.SPLITS]
    assert text.load("embedded/en-fa", "all") == sum(parts, [])


def test_pairs_that_a_folder_trains_and_tests_with_are_named(tmp_path):
    text_files.write(tmp_path / "train.tsv", PAIRS[:2])
    text_files.write(tmp_path / "test.tsv", [PAIRS[0], ("three", "drei")])
    parts = text.splits(tmp_path)
    assert parts.train == (["one cat", 'two "dogs"'], ["eine Katze", "zwei Hunde"])
    with pytest.warns(UserWarning, match="1 of 2 test examples are in its train part"):
        assert parts.test[0] == ["one cat", "three"]


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="no text 'nonsense'. Give one of embedded/"):
        text.load("nonsense", "train")
    with pytest.raises(ValueError, match="no embedded text 'en-xx'. Use one of: dates"):
        text.load("embedded/en-xx", "train")
    with pytest.raises(ValueError, match="has no split 'dev'. Use one of: test, train"):
        text.load("embedded/en-de", "dev")
    with pytest.raises(ValueError, match="'mnist' is no parallel text"):
        text.load("mnist", "train")
    with pytest.raises(FileNotFoundError, match="zoo data prepare handbook --from DIR"):
        text.load("handbook/en-de", "train", data_dir=tmp_path)


# Division


def words(count):
    """Returns different words of letters alone."""
    return ["".join(word) for word in itertools.product("abcdefgh", repeat=4)][:count]


def test_groups_stay_together_and_splits_apart():
    names = words(3000)
    pairs = [(f"{a} x", f"{a} y") for a in names]
    groups = [n // 10 for n in range(3000)]
    parts, removed = division.divide(pairs, groups, {"test": 0.2})
    assert removed == division.Removed(0, 0, 0)
    where = {pair: split for split, part in parts.items() for pair in part}
    for group in range(300):
        assert len({where[pair] for pair in pairs[10 * group : 10 * group + 10]}) == 1
    assert 400 < len(parts["test"]) < 800  # 600 expected, standard deviation 69
    assert division.divide(pairs, groups, {"test": 0.2})[0] == parts
    fewer, _ = division.divide(pairs[:2000], groups[:2000], {"test": 0.2})
    assert set(fewer["test"]) == set(parts["test"]) & set(pairs[:2000])


def test_duplicates_go_from_the_earlier_split():
    names = words(40)
    long = "the quick brown fox jumps over the lazy dog and then it sleeps"
    filler = [(f"{a} source", f"{a} target") for a in names]
    group_of = {}
    for group in range(1000):  # a group that each split draws
        group_of.setdefault(division.split_of(group, {"test": 0.5}), group)
    train, test = group_of["train"], group_of["test"]
    pairs = [
        ((long, "translation"), test),
        (("unique", "Übung 12!"), test),
        ((long.replace("lazy", "old"), "something else"), train),  # near: 12 of 16
        ((long.replace("lazy dog", "old cat"), "another"), train),  # 11 of 17: kept
        (("no relative", "übung 34"), train),  # exact, but for digits
        (("no relative", "übung 34"), train),  # repeated
        *((pair, train) for pair in filler),
    ]
    parts, removed = division.divide(*zip(*pairs, strict=True), {"test": 0.5})
    assert removed == division.Removed(repeated=1, exact=1, near=1)
    assert parts["test"] == [pairs[0][0], pairs[1][0]]
    assert parts["train"] == [pairs[3][0], *filler]


def test_division_refuses():
    with pytest.raises(ValueError, match="name of its group. Received: 2 pairs, 1"):
        division.divide(PAIRS[:2], ["a"])
    with pytest.raises(ValueError, match="Nothing is left for .*of 1 pairs in 1 group"):
        division.divide(PAIRS[:1])


# Batches


@pytest.fixture(scope="module")
def sentences():
    """Pairs of 1 to 60 ids, no two alike; the target as long or one longer."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(1 + rng.geometric(0.06, 1000), 60)
    sources = [[number + 1] * length for number, length in enumerate(lengths)]
    targets = [row + [9] * (len(row) % 2) for row in sources]
    return sources, targets


def rows(dataset):
    """Returns all pairs of an epoch in order, padding removed."""
    return [
        tuple([int(i) for i in side if i] for side in pair)
        for batch in dataset.as_numpy_iterator()
        for pair in zip(*batch, strict=True)
    ]


@pytest.mark.parametrize("size", [{"batch_size": 32}, {"tokens": 600}])
@pytest.mark.parametrize("buckets", [1, 8, (10, 30)])
def test_an_epoch_holds_each_pair_once(sentences, size, buckets):
    data = text.batches(*sentences, **size, buckets=buckets, seed=0)
    batches = list(data.as_numpy_iterator())
    assert len(batches) == len(data)
    assert {side.dtype for batch in batches for side in batch} == {np.dtype("int32")}
    assert sorted(rows(data)) == sorted(zip(*sentences, strict=True))
    for source, target in batches:
        if "tokens" in size:
            assert max(source.shape[1], target.shape[1]) * len(source) <= 600
        assert len(source) == len(target) <= size.get("batch_size", 600)


def test_epochs_differ_and_resume(sentences):
    data = text.batches(*sentences, 32, seed=5)
    epochs = [rows(data) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    resumed = text.batches(*sentences, 32, seed=5, first_epoch=1)
    next(iter(resumed))  # an iteration given up does not count
    assert [rows(resumed), rows(resumed)] == epochs[1:]
    assert rows(text.batches(*sentences, 32, seed=6)) != epochs[0]


def test_without_seed_order_is_kept(sentences):
    data = text.batches(*sentences, 32, buckets=1)
    assert rows(data) == rows(data) == list(zip(*sentences, strict=True))


def test_batches_are_those_of_tensorflow(sentences):
    """`bucket_by_sequence_length` of tf.data, which handles sentence by sentence."""
    pairs = tf.data.Dataset.from_generator(
        lambda: zip(*sentences, strict=True),
        output_signature=(tf.TensorSpec((None,), tf.int32),) * 2,
    )
    expected = pairs.bucket_by_sequence_length(
        lambda source, target: tf.maximum(tf.size(source), tf.size(target)),
        [11, 31],
        [16, 16, 16],
    )
    data = text.batches(*sentences, 16, buckets=(10, 30))
    both = data.as_numpy_iterator(), expected.as_numpy_iterator()
    for ours, theirs in zip(*both, strict=True):
        for side in range(2):
            np.testing.assert_array_equal(ours[side], theirs[side])


def test_buckets_leave_little_padding(sentences):
    shares = [
        buckets.padding_share(text.batches(*sentences, 32, buckets=n, seed=0))
        for n in (1, 16)
    ]
    assert shares[0] > 0.5 and shares[1] < 0.15
    two = tf.data.Dataset.from_tensors(([[1, 0, 0]], [[1, 2, 3]]))
    assert buckets.padding_share(two) == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": []}, "as many targets as sources.*1 sources, 0 targets"),
        ({"sources": [[]]}, "Pair 0 .*no ids"),
        ({"batch_size": None}, "Give either batch_size or tokens.*None, tokens=None"),
        ({"tokens": 5}, "Give either batch_size or tokens"),
        ({"batch_size": -1}, "must be positive.*Received: -1, 16, 0"),
        ({"buckets": 0}, "must be positive.*Received: 1, 0, 0"),
        ({"batch_size": 0}, "must be positive.*Received: 0, 16, 0"),
        ({"first_epoch": -1}, "not negative.*Received: 1, 16, -1"),
    ],
)
def test_batches_refuse(arguments, message):
    given = {"sources": [[1]], "targets": [[1]], "batch_size": 1, **arguments}
    with pytest.raises(ValueError, match=message):
        text.batches(**given)


# The handbook


PAGE = """<?xml version="1.0"?>
<html xmlns="http://www.w3.org/1999/xhtml"><body><h2>1.2. {}</h2>
<div class="para">{} <pre>code</pre><div class="para">{}</div> {}</div></body></html>"""


def unpacked(folder):
    """A handbook of pages in two languages and a message catalogue."""
    html = folder / "usr/share/doc/debian-handbook/html"
    for language, sides in {
        "en-US": ("Title {0}", "First {0}. Second {0}.", "Inner {0}.", "End {0}."),
        "de-DE": ("Titel {0}", "Erster {0}. Zweiter {0}.", "Innen {0}.", "Ende {0}."),
    }.items():
        (html / language).mkdir(parents=True)
        for name in words(200):
            page = PAGE.format(*(side.format(name) for side in sides))
            (html / language / f"{name}.html").write_text(page, "utf-8")
    messages = folder / "usr/share/locale/de/LC_MESSAGES"
    messages.mkdir(parents=True)
    entries = {
        "": "Content-Type: text/plain; charset=UTF-8\n",
        "menu\x04_Open the old file": "Die alte Datei ö_ffnen",
        "one more file here\0more files": "eine weitere Datei hier\0mehr Dateien",
        "Open the %s file": "%s öffnen",
        "Too short": "Zu kurz",
        "Nobody translated this one": "Nobody translated this one",
    }
    (messages / "editor.mo").write_bytes(catalogue(entries))
    return folder


def catalogue(entries):
    """Compiles messages, as the manual of GNU gettext describes the format."""
    tables = [[], []]
    at, data = 28 + 16 * len(entries), b""
    for number in (0, 1):
        for item in sorted(entries.items()):
            message = item[number].encode()
            tables[number] += [len(message), at + len(data)]
            data += message + b"\0"
    count = len(entries)
    header = [0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0]
    return np.array([*header, *tables[0], *tables[1]], "<u4").tobytes() + data


def test_pairs_of_the_handbook(tmp_path):
    parts, _ = handbook.collect(unpacked(tmp_path), "de")
    found = {pair for part in parts.values() for pair in part}
    assert ("Title aaaa", "Titel aaaa") in found
    assert ("First aaaa.", "Erster aaaa.") in found
    assert ("Inner aaaa.", "Innen aaaa.") in found
    assert ("Open the old file", "Die alte Datei öffnen") in found
    assert ("one more file here", "eine weitere Datei hier") in found
    assert len(found) == 200 * 5 + 2
    for name in words(200):  # a page is in one split
        assert (
            sum(any(name in pair[0] for pair in part) for part in parts.values()) == 1
        )


def test_tfds_prepares_the_handbook(tmp_path):
    source = unpacked(tmp_path / "unpacked")
    path = handbook.prepare("handbook/en-de", source, tmp_path / "tfds")
    assert path == tmp_path / "tfds/handbook/en-de/1.0.0"
    parts, _ = handbook.collect(source, "de")
    for split, pairs in parts.items():
        loaded = text.load("handbook/en-de", split, data_dir=tmp_path / "tfds")
        assert loaded == pairs
    turned = text.load(
        "handbook/en-de", "test", languages=("de", "en"), data_dir=tmp_path / "tfds"
    )
    assert turned == [pair[::-1] for pair in parts["test"]]


@pytest.mark.parametrize(("name", "count"), [("en-de", 4869), ("en-fa", 3579)])
def test_the_embedded_handbook(name, count):
    parts = {s: text.load(f"embedded/{name}", s) for s in text.SPLITS}
    assert len(parts["train"]) == count
    held_out = parts["validation"] + parts["test"]
    for side in (0, 1):
        held = {pair[side].lower() for pair in held_out}
        assert not held & {pair[side].lower() for pair in parts["train"]}
    folder = Path(text.__file__).parent / "embedded" / f"handbook_{name}"
    assert "by-sa/3.0" in (folder / "LICENSE").read_text("utf-8")
    readme = (folder / "README.md").read_text("utf-8")
    for split, pairs in parts.items():
        assert f"| {split} | {len(pairs):,} |" in readme


def test_embedded_texts_are_small():
    folder = Path(text.__file__).parent / "embedded"
    files = [file for file in folder.rglob("*.tsv.gz")]
    assert len(files) == 10 and sum(file.stat().st_size for file in files) < 3_000_000


def test_the_handbook_refuses(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no .*en-US/\*.html. Unpack the Debian"
    ):
        handbook.prepare("handbook", tmp_path)
    with pytest.raises(ValueError, match="no 'en-xx'. Use one of: en-de, en-fr"):
        handbook.prepare("handbook/en-xx", unpacked(tmp_path))
    with pytest.raises(ValueError, match="a.mo is no compiled message catalogue"):
        handbook.catalogue(written(tmp_path / "a.mo", "no catalogue"))
