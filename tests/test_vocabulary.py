"""Normal forms and vocabularies: Python against the graph, and against the standard."""

import json
import random
import subprocess
import sys
import unicodedata

import keras
import pytest
import tensorflow as tf

from zoo.text.unicode import normalize, normalize_tf
from zoo.text.vocabulary import SPECIALS, Vocabulary
from zoo.training.registry import register

SCALARS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
TEXTS = [
    "The cat sat on the mat, and the dog (a big one) sat beside it.",
    "Der Hund saß auf der Straße; die Katze übte Wörter-Bücher.",
    "می‌شود کتاب‌ها را در ۱۲ روز خواند، نمی‌دانم.",
    "هذا كتاب يقرأه الناس في ٣٤ يوما",
    "今日は良い天気ですね。",
    "각하의 한국어 문장",
    "2024-03-05 and 17.4.1999",
    "",
    "   ",
]
ODD = [
    "a\u0301\u0323",
    "👩\u200d👩\u200d👧 🇮🇷 🏴",
    "\x00\x07a\x00",
    "ﷺ ﬁ ½ ①",
    "zażółć gęślą jaźń " * 600,
    "x" * 10_000,
    "\u0301starts with a mark",
    "a\u00a8 b",
    "<s> </s> <unk> <pad> <0x41>",
    "\u2581under\u2581score\u2581",
    " a  \u3000 b\r\n\tc ",
    "\u202bright to left\u202c",
    "\U0010ffff\U000e0041",
]


def random_texts(count, seed=0):
    rng = random.Random(seed)
    alphabets = ["abc déß", "می‌شود ك٤۴ ", "가각ᄀ ᅡᆨ", "\u0301\u0323\u0308aéoộ ", SCALARS]
    return [
        "".join(rng.choice(rng.choice(alphabets)) for _ in range(rng.randint(0, 30)))
        for _ in range(count)
    ]


def python(function, texts):
    return [function(text).encode() for text in texts]


# Normal form


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301", "é"),
        ("o\u0302\u0323", "ộ"),  # the marks change places before they compose
        ("ﬁ ²", "fi 2"),
        ("\u1100\u1161\u11a8", "각"),
        ("a\u00ad\u200eb\ufeff", "ab"),
        ("می\u200cشود", "می\u200cشود"),
        ("٣ ۴", "3 4"),
        (" a\n\u3000b ", "a b"),
        ("a\ud800", "a\ufffd"),
        ("\u2581", "_"),
        ("\x00\x1b[0m", "[0m"),
    ],
)
def test_normal_form(text, expected):
    assert normalize(text) == expected


def test_persian_spelling():
    assert normalize("كتابي ٣۴5", persian=True) == "کتابی ۳۴5"
    assert normalize("كتابي ٣۴5") == "كتابي 345"
    assert normalize("ي\u0654", persian=True) == "ئ"  # composed first


def test_lowercase_looks_at_one_letter_at_a_time():
    assert normalize("ΣΑΣ İ Ǻ 𝐀", lowercase=True) == "σασ i\u0307 ǻ a"


def test_normal_form_is_its_own():
    for text in ODD + random_texts(2_000):
        for persian in (False, True):
            once = normalize(text, persian=persian)
            assert normalize(once, persian=persian) == once


def test_standard_normal_form_is_kept():
    """Where nothing else applies, the graph's own composition must be Python's NFKC."""
    texts = [text for text in random_texts(5_000, seed=1) if normalize(text) != text]
    plain = [
        unicodedata.normalize("NFKC", "x" + "".join(c for c in t if c.isalpha()))
        for t in texts
    ]
    plain = [t for t in plain if not set(t) & set("يك_")]
    assert [t.decode() for t in normalize_tf(plain).numpy()] == plain


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("persian", [False, True])
def test_graph_normalises_each_code_point_alike(lowercase, persian):
    def function(text):
        return normalize(text, lowercase, persian)

    actual = normalize_tf(SCALARS, lowercase, persian).numpy().tolist()
    assert actual == python(function, SCALARS)


def test_graph_composes_each_pair_alike():
    canonical = [unicodedata.decomposition(c) for c in SCALARS]
    canonical = [d.split() for d in canonical if " " in d and d[0] != "<"]
    firsts, seconds = (
        {chr(int(code, 16)) for code in s} for s in zip(*canonical, strict=True)
    )
    marks = {c for c in SCALARS if unicodedata.combining(c)}
    texts = [a + b for a in sorted(firsts) for b in sorted(seconds)]
    texts += [a + b for a in "aoéกが" for b in sorted(marks)]
    assert normalize_tf(texts).numpy().tolist() == python(normalize, texts)


def test_graph_normalises_sequences_alike():
    rng = random.Random(0)
    marks = [c for c in SCALARS if unicodedata.combining(c)]
    pool = marks + list("aoeüằ가각각 کي \t\u200c\u200d\u0000\u0130Σ") * 20
    texts = ["".join(rng.choices(pool, k=rng.randint(0, 9))) for _ in range(20_000)]
    texts += TEXTS + ODD + random_texts(2_000)
    for lowercase in (False, True):
        expected = python(lambda t, low=lowercase: normalize(t, low), texts)
        assert normalize_tf(texts, lowercase).numpy().tolist() == expected


def test_bytes_that_are_no_utf8():
    assert normalize_tf([b"a\xffb"]).numpy()[0].decode() == "a\ufffdb"


# Vocabularies

KINDS = {
    "subword": {"size": 120},
    "lower": {"size": 120, "lowercase": True},
    "persian": {"size": 120, "persian": True},
    "bytes": {"size": 340, "byte_fallback": True},
    "word": {"size": 30, "level": "word"},
    "character": {"size": 60, "level": "character"},
    "character bytes": {"size": 290, "level": "character", "byte_fallback": True},
    "tiny": {"size": 8},
}


@pytest.fixture(scope="module", params=KINDS, ids=KINDS)
def vocabulary(request):
    return Vocabulary.learn(TEXTS * 3, **KINDS[request.param])


def padded(rows):
    return tf.ragged.constant(rows, tf.int32).to_tensor(0).numpy().tolist()


def test_graph_encodes_and_decodes_alike(vocabulary):
    texts = TEXTS + ODD + random_texts(1_000)
    ids = vocabulary.encode(texts)
    in_graph = tf.function(vocabulary.encode_tf)(tf.constant(texts))
    assert in_graph.dtype == tf.int32 and in_graph.numpy().tolist() == padded(ids)
    expected = [text.encode() for text in vocabulary.decode(ids)]
    assert tf.function(vocabulary.decode_tf)(in_graph).numpy().tolist() == expected


def test_any_ids_decode_alike(vocabulary):
    rng = random.Random(0)
    ids = [rng.choices(range(len(vocabulary)), k=40) for _ in range(500)]
    expected = [text.encode() for text in vocabulary.decode(ids)]
    assert vocabulary.decode_tf(tf.constant(ids)).numpy().tolist() == expected
    assert vocabulary.decode(tf.constant(ids)) == vocabulary.decode(ids)


def test_no_text_at_all(vocabulary):
    assert vocabulary.encode([]) == [] == vocabulary.decode([])
    ids = vocabulary.encode_tf(tf.constant([], tf.string))
    assert ids.shape[0] == 0 and vocabulary.decode_tf(ids).shape == (0,)
    assert vocabulary.encode_tf(tf.constant(["", " "])).numpy().tolist() == [[3], [3]]
    assert vocabulary.decode([[], [0, 0], [3], [2, 3]]) == [""] * 4


def test_known_text_comes_back(vocabulary):
    """All that the vocabulary can spell survives, and bytes spell everything."""
    texts = TEXTS + (ODD + random_texts(300) if vocabulary.byte_fallback else [])
    ids = vocabulary.encode(texts)
    for text, row, back in zip(texts, ids, vocabulary.decode(ids), strict=True):
        if 1 not in row:
            assert back == normalize(text, vocabulary.lowercase, vocabulary.persian)
    assert not vocabulary.byte_fallback or not any(1 in row for row in ids)


@pytest.mark.parametrize("length", [1, 2, 7, 10_000])
def test_long_texts_are_cut_and_ended(vocabulary, length):
    texts = TEXTS + ODD
    whole = vocabulary.encode(texts)
    cut = vocabulary.encode(texts, max_length=length)
    assert cut == [
        row if len(row) <= length else row[: length - 1] + [3] for row in whole
    ]
    assert vocabulary.encode_tf(texts, max_length=length).numpy().tolist() == padded(
        cut
    )


def test_a_piece_matches_as_far_as_it_can():
    """Worked by hand: of a, ab, abcd, bc, c, d the text abcabcd takes ab c abcd."""
    pieces = (*SPECIALS, "▁", "a", "ab", "abcd", "bc", "c", "d")
    vocabulary = Vocabulary(pieces)
    assert vocabulary.encode(["abcabcd x"]) == [[4, 6, 9, 7, 4, 1, 3]]
    assert vocabulary.decode([[4, 6, 9, 7, 4, 1, 3]]) == ["abcabcd \ufffd"]
    assert vocabulary.encode_tf(["abcabcd x"]).numpy().tolist() == [
        [4, 6, 9, 7, 4, 1, 3]
    ]


def test_whole_words_or_nothing():
    pieces = (*SPECIALS, "▁cat", "s", ",", "▁the", "(", "▁(", "cat")
    vocabulary = Vocabulary(pieces, level="word")
    text = "the cats, (cat cat (("
    expected = [[7, 1, 6, 9, 10, 4, 9, 8, 3]]
    assert vocabulary.encode([text]) == expected
    assert vocabulary.encode_tf([text]).numpy().tolist() == expected
    assert vocabulary.decode(expected) == ["the \ufffd, (cat cat (("]


def test_unseen_characters_are_spelt_in_bytes():
    vocabulary = Vocabulary.learn(["ab"], 300, "character", byte_fallback=True)
    assert vocabulary.pieces[4] == "<0x00>" and vocabulary.pieces[259] == "<0xFF>"
    euro = [4 + byte for byte in b"\xe2\x82\xac"]
    assert vocabulary.encode(["€"]) == [[*euro, 3]]
    assert vocabulary.decode([euro[:2]]) == ["\ufffd"]


def test_frequent_pieces_come_first():
    vocabulary = Vocabulary.learn(["b b b a a", "c"], 7, "word")
    assert vocabulary.pieces == (*SPECIALS, "▁b", "▁a", "▁c")
    vocabulary = Vocabulary.learn(["bbb aa c"], 6, "character")
    assert vocabulary.pieces == (*SPECIALS, "b", "▁")


def test_learning_is_reproducible_and_merges_what_is_frequent():
    one, two = (Vocabulary.learn(iter(TEXTS), 100) for _ in range(2))
    assert one.pieces == two.pieces and len(one) == 100
    assert "▁" in one.pieces and "er" in one.pieces
    short = Vocabulary.learn(TEXTS * 3, 400).encode(TEXTS[:1])
    assert len(short[0]) < len(one.encode(TEXTS[:1])[0])


# Keeping


def test_it_survives_json(vocabulary, tmp_path):
    vocabulary.save(tmp_path / "vocabulary.json")
    again = Vocabulary.load(tmp_path / "vocabulary.json")
    assert again.get_config() == vocabulary.get_config()
    assert json.loads((tmp_path / "vocabulary.json").read_text())["pieces"]
    assert again.encode(TEXTS) == vocabulary.encode(TEXTS)


@register
class Speller(keras.Model):
    """Holds a vocabulary, as a translation model does."""

    def __init__(self, vocabulary, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.dense = keras.layers.Dense(1)
        self.dense.build((None, 1))
        self.built = True

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        vocabulary = keras.saving.serialize_keras_object(self.vocabulary)
        return {**super().get_config(), "vocabulary": vocabulary}

    @classmethod
    def from_config(cls, config):
        config["vocabulary"] = keras.saving.deserialize_keras_object(
            config["vocabulary"]
        )
        return cls(**config)


def test_a_keras_model_keeps_it(vocabulary, tmp_path):
    Speller(vocabulary).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.vocabulary.get_config() == vocabulary.get_config()


CLIENT = """
import json, sys
sys.modules["keras"] = sys.modules["zoo"] = None  # importing either fails
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["round_trip"]
texts = json.loads(open(sys.argv[2]).read())
out = served(texts=tf.constant(texts))
rows = [[i for i in row if i] for row in out["ids"].numpy().tolist()]
again = [text.decode() for text in out["again"].numpy()]
print(json.dumps([rows, again]))
"""


@pytest.mark.parametrize("kind", ["subword", "bytes", "word"])
def test_a_saved_model_needs_nothing_else(kind, tmp_path):
    vocabulary = Vocabulary.learn(TEXTS * 3, **KINDS[kind])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def round_trip(texts):
        ids = vocabulary.encode_tf(texts)
        return {"ids": ids, "again": vocabulary.decode_tf(ids)}

    module = tf.Module()
    signatures = {"round_trip": round_trip.get_concrete_function()}
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=signatures)
    assert not list((tmp_path / "1" / "assets").iterdir())
    texts = TEXTS + ODD
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    arguments = [str(tmp_path / "1"), str(tmp_path / "texts.json")]
    run = subprocess.run(
        [sys.executable, "-c", CLIENT, *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    rows, again = json.loads(run.stdout.splitlines()[-1])
    ids = vocabulary.encode(texts)
    assert rows == ids and again == vocabulary.decode(ids)


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pieces": ("a", "b")}, "must begin with <pad>.*Received: .'a', 'b'"),
        ({"pieces": SPECIALS, "byte_fallback": True}, "and the 256 bytes"),
        ({"pieces": (*SPECIALS, "a", "a")}, "occur once. Received again: .'a'"),
        ({"pieces": (*SPECIALS, "a▁")}, "in front or nowhere.*Received: .'a▁'"),
        ({"pieces": (*SPECIALS, "")}, "not empty"),
        ({"pieces": SPECIALS, "level": "letter"}, "level must be.*Received: 'letter'"),
        (
            {"pieces": SPECIALS, "level": "word", "byte_fallback": True},
            "byte_fallback spells characters",
        ),
    ],
)
def test_constructor_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sentences": "one string", "size": 9}, "Several strings"),
        ({"sentences": ["a"], "size": 5}, "room for pieces.*4 reserved.*Received: 5"),
        ({"sentences": ["", " "], "size": 9}, "no text to learn from"),
        ({"sentences": ["a"], "size": 9, "level": "?"}, "level must be one of"),
    ],
)
def test_learning_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.learn(**arguments)


@pytest.mark.parametrize("text", [b"bytes", None, 7])
def test_only_strings_are_texts(text):
    letters = Vocabulary.learn(["ab"], 10, "character")
    for function in (letters.encode, lambda texts: Vocabulary.learn(texts, 9)):
        with pytest.raises(ValueError, match=r"Texts are strings.*Received: "):
            function(["a", text])


def test_use_refuses():
    vocabulary = Vocabulary((*SPECIALS, "a"))
    with pytest.raises(ValueError, match="Several strings"):
        vocabulary.encode("a")
    for encode in (vocabulary.encode, vocabulary.encode_tf):
        with pytest.raises(ValueError, match="max_length is 1 or more. Received: 0"):
            encode(["a"], max_length=0)
    for wrong in (5, -1):
        with pytest.raises(ValueError, match=f"from 0 to 4. Received: .{wrong}."):
            vocabulary.decode([[4, wrong]])
