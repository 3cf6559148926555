"""Text as numbers and back: `Vocabulary`, in Python and inside a TensorFlow graph.

    vocabulary = Vocabulary.learn(["a cat sat", "a mat"], size=40)
    vocabulary.encode(["a cat"])  # [[..., 3]]
    vocabulary.decode_tf(vocabulary.encode_tf(tf.constant(["a cat"])))  # [b"a cat"]

The graph functions are made of core TensorFlow operations and constants: no lookup
table, no asset and no other library, so a SavedModel that takes and returns strings is
one self-contained folder. They return what the Python functions return, for every
string. One text is one flat vector of code points there, the texts of a batch one after
the other, so that a long line among short ones wastes nothing.
"""

import functools
import io
import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from zoo.files import write_json
from zoo.layers import register

PADDING, UNKNOWN, START, END = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
LEVELS = ("subword", "word", "character")

_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how a piece shows a space, as others write it
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_LONGEST_PIECE = 16  # characters, of a learnt subword
_CODES = 0x110000
_SHIFT = 2**21  # more than any code point: (a, b) becomes the one key a * _SHIFT + b

_ARABIC_DIGITS = [(0x660 + digit, 0x6F0 + digit, 0x30 + digit) for digit in range(10)]
_AFTERWARDS = {
    False: {ord(_SPACE): ord("_")}
    | {arabic: latin for arabic, _, latin in _ARABIC_DIGITS}
    | {persian: latin for _, persian, latin in _ARABIC_DIGITS},
    True: {ord(_SPACE): ord("_"), ord("ي"): ord("ی"), ord("ك"): ord("ک")}
    | {arabic: persian for arabic, persian, _ in _ARABIC_DIGITS},
}


def normalize(text, lowercase=False, persian=False):
    """Gives texts that look the same one spelling.

    In this order: control and format characters go (direction marks, soft hyphens, byte
    order marks), except the zero-width joiner and non-joiner, which spell Persian words
    and emoji; any white space is a space; lone surrogates become U+FFFD; NFKC; digits
    and, in Persian, letters are unified; spaces at both ends go and runs become one.
    U+2581, which pieces use to show a space, becomes an underscore.

    Args:
        text: Any string.
        lowercase: Lowers letter by letter: no rule looks at a letter's neighbours, so
            a capital sigma becomes the sigma of the middle of a word.
        persian: Writes Arabic yeh and kaf as the Persian letters and Arabic digits as
            Persian ones; Latin digits stay. Without it, Arabic and Persian digits
            become Latin, which makes a copied number the same in both languages.

    Returns:
        The normal form, which is its own normal form.

    Source:
        Unicode Standard Annex #15, Unicode Normalization Forms.

    Example:
        >>> normalize("  ﬁve\tkm²  ")
        'five km2'
    """
    text = text.translate(_CLEAN)
    if lowercase:
        text = "".join(map(str.lower, unicodedata.normalize("NFKD", text)))
    text = unicodedata.normalize("NFKC", text).translate(_AFTERWARDS[persian])
    return " ".join(text.split())


def normalize_tf(strings, lowercase=False, persian=False):
    """Does in a graph what `normalize` does.

    Args:
        strings: `(batch,)` UTF-8; bytes that are not become U+FFFD.
        lowercase: As for `normalize`.
        persian: As for `normalize`.

    Returns:
        `(batch,)` strings.
    """
    codes = _normal_codes(strings, lowercase, persian, lead=False)
    ends = tf.where(codes == 0)[:, 0]
    splits = ends - tf.range(tf.size(ends, tf.int64))  # texts without their ends
    rows = tf.RaggedTensor.from_row_splits(
        tf.boolean_mask(codes, codes != 0), tf.concat([[0], splits], 0)
    )
    return tf.strings.unicode_encode(rows, "UTF-8")


@register
class Vocabulary:
    """The pieces that texts are cut into; a piece's place is its number.

    A text is normalised and cut from left to right, always at the longest piece that
    fits. Among the ways to use subwords learnt by merging, this one needs no record of
    the merges, only the pieces, and does no worse (Uzan et al. 2024).

    Ids: 0 padding, 1 unknown, 2 start, 3 end, pieces from 4. A piece that begins with a
    space shows it as U+2581, and stands at the beginning of a word; every text is read
    as if a space preceded it, except at the level of characters.

    Args:
        pieces: Strings, beginning with `SPECIALS`.
        level: One of
            `"subword"`: pieces are words or parts of words.
            `"word"`: a piece is a whole word, or one character of anything else; a word
            that has none is unknown.
            `"character"`: a piece is a character.
        lowercase: As for `normalize`.
        persian: As for `normalize`.
        byte_fallback: Ids from 4 to 259 are the 256 bytes, and a character that is in
            no piece is spelt in UTF-8 instead of being unknown: nothing is lost.

    Raises:
        ValueError: The level is unknown, pieces are missing, double, or hold a space
            elsewhere than in front, or bytes come with whole words.

    Source:
        Greedy matching: Schuster & Nakajima 2012, https://doi.org/10.1109/ICASSP.2012.6289079;
        Uzan et al. 2024, https://arxiv.org/abs/2403.01289.

    Example:
        vocabulary = Vocabulary.learn(sentences, size=4000)
        vocabulary.decode(vocabulary.encode(["Hello, world"]))  # ["Hello, world"]
    """

    def __init__(
        self,
        pieces,
        level="subword",
        lowercase=False,
        persian=False,
        byte_fallback=False,
    ):
        self.pieces = tuple(pieces)
        self.level = level
        self.lowercase = lowercase
        self.persian = persian
        self.byte_fallback = byte_fallback
        if level not in LEVELS:
            raise ValueError(
                f"level must be one of {', '.join(LEVELS)}. Received: {level!r}."
            )
        if byte_fallback and level == "word":
            raise ValueError(
                "byte_fallback spells characters, while a word not listed is unknown: "
                "use another level or leave it out."
            )
        reserved = _reserved(byte_fallback)
        if self.pieces[: len(reserved)] != reserved:
            raise ValueError(
                f"pieces must begin with {', '.join(SPECIALS)}"
                + (" and the 256 bytes from <0x00> to <0xFF>" if byte_fallback else "")
                + f". Received: {self.pieces[:5]}."
            )
        twice = [piece for piece, n in Counter(self.pieces).items() if n > 1]
        if twice:
            raise ValueError(f"A piece may occur once. Received again: {twice[:5]}.")
        learnt = self.pieces[len(reserved) :]
        wrong = [p for p in learnt if not p or " " in p or _SPACE in p[1:]]
        if wrong:
            raise ValueError(
                f"A piece has a space, shown as {_SPACE!r}, in front or nowhere, and "
                f"is not empty. Received: {wrong[:5]}."
            )
        self._ids = {
            piece.replace(_SPACE, " "): number
            for number, piece in enumerate(self.pieces)
            if number >= len(reserved)
        }
        self._longest = max(map(len, self._ids), default=1)
        # What decoding writes for each id; bytes, as one piece may be part of a letter.
        unknown = " " + _REPLACEMENT if level == "word" else _REPLACEMENT
        self._surfaces = [b"", unknown.encode(), b"", b""]
        self._surfaces += [bytes([b]) for b in range(256) if byte_fallback]
        self._surfaces += [piece.encode() for piece in self._ids]

    @classmethod
    def learn(
        cls,
        sentences,
        size,
        level="subword",
        lowercase=False,
        persian=False,
        byte_fallback=False,
    ):
        """Learns the pieces of some texts; the same texts give the same pieces.

        Subwords are those of byte-pair encoding, learnt by sentencepiece; digits stay
        single. Words and characters are the most frequent ones.

        Args:
            sentences: Iterable of strings.
            size: Most pieces to have, specials included; fewer if the texts have fewer.
                If even the characters are too many, the rarest are left out.
            level: As for the class; so are the others.
            lowercase: Lowers all letters.
            persian: Unifies the spelling of Persian.
            byte_fallback: Spells unseen characters byte by byte.

        Returns:
            A `Vocabulary`.

        Raises:
            ValueError: A setting is wrong, `size` leaves no room, there is no text.

        Source:
            Sennrich et al. 2016, https://arxiv.org/abs/1508.07909.
        """
        if isinstance(sentences, str):
            raise ValueError("sentences must be several strings. Received one string.")
        settings = {
            "level": level,
            "lowercase": lowercase,
            "persian": persian,
            "byte_fallback": byte_fallback,
        }
        reserved = _reserved(byte_fallback)
        cls(reserved, **settings)  # wrong settings are refused before the work
        room = size - len(reserved)
        if room < 2:
            raise ValueError(
                f"size must leave room for pieces beside the {len(reserved)} reserved "
                f"ones. Received: {size}."
            )
        texts = [normalize(text, lowercase, persian) for text in sentences]
        texts = [text for text in texts if text]
        if not texts:
            raise ValueError("There is no text to learn from. Received: no sentences.")
        if level == "subword":
            pieces = _subwords(texts, room)
        else:
            units = Counter()
            for text in texts:
                units.update(text if level == "character" else _words(" " + text))
            pieces = _frequent(units, room)
        pieces = [piece.replace(" ", _SPACE) for piece in pieces]
        return cls((*reserved, *(p for p in pieces if p not in reserved)), **settings)

    def __len__(self):
        return len(self.pieces)

    def encode(self, sentences, max_length=None):
        """Returns the ids of each text, with the end (3) and without the start.

        Args:
            sentences: Strings.
            max_length: Most ids of a text, the end included; longer ones are cut.

        Returns:
            A list of integers for each text.
        """
        if isinstance(sentences, str):
            raise ValueError("encode takes several strings. Received one string.")
        return [
            self._cut(text)[: None if max_length is None else max_length - 1] + [END]
            for text in sentences
        ]

    def decode(self, ids):
        """Returns the text of each row of ids, up to its first end.

        Padding and starts are skipped, unknown becomes U+FFFD, and so do bytes that
        are no UTF-8.

        Args:
            ids: Lists of integers, or an array `(batch, time)`.

        Returns:
            A list of strings.

        Raises:
            ValueError: An id is not that of a piece.
        """
        return [self._join([int(number) for number in row]) for row in ids]

    def encode_tf(self, strings, max_length=None):
        """Does in a graph what `encode` does.

        Args:
            strings: `(batch,)` UTF-8.
            max_length: As for `encode`.

        Returns:
            `(batch, time)` int32, padded with 0.

        Source:
            All places where the cuts fall are found in log2(length) steps by pointer
            jumping: Hillis & Steele 1986, https://doi.org/10.1145/7902.7903.
        """
        codes = _normal_codes(strings, self.lowercase, self.persian, lead=self._leads)
        ids, lengths = self._longest_matches(codes)
        reached = _jump(codes, lengths)
        ids = tf.where(codes == 0, END, ids)
        if self.byte_fallback:
            spelt = tf.where((ids == UNKNOWN)[:, None], _utf8(codes), -1)
            ids = tf.where(ids == UNKNOWN, -1, ids)
            ids = tf.concat([ids[:, None], spelt], axis=1)
            ids = tf.reshape(tf.boolean_mask(ids, reached), [-1])
            ids = tf.boolean_mask(ids, ids >= 0)
        else:
            ids = tf.boolean_mask(ids, reached)
        ends = tf.where(ids == END)[:, 0] + 1
        rows = tf.RaggedTensor.from_row_splits(ids, tf.concat([[0], ends], 0))
        padded = rows.to_tensor(PADDING)
        if max_length is None:
            return padded
        last = padded[:, max_length - 1 : max_length]
        last = tf.where(last == PADDING, PADDING, END)
        return tf.concat([padded[:, : max_length - 1], last], axis=1)

    def decode_tf(self, ids):
        """Does in a graph what `decode` does.

        Args:
            ids: `(batch, time)` integers.

        Returns:
            `(batch,)` strings, UTF-8.
        """
        ended = tf.cumsum(tf.cast(ids == END, tf.int32), axis=1) > 0
        surfaces = tf.gather(tf.constant(self._surfaces), tf.where(ended, PADDING, ids))
        texts = tf.strings.reduce_join(surfaces, axis=1)
        if self.byte_fallback:
            texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
        return tf.strings.regex_replace(texts, "^ +| +$", "")

    def get_config(self):
        """Returns the arguments of the constructor, as JSON can hold them."""
        return {
            "pieces": list(self.pieces),
            "level": self.level,
            "lowercase": self.lowercase,
            "persian": self.persian,
            "byte_fallback": self.byte_fallback,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the vocabulary that `get_config` described."""
        return cls(**config)

    def save(self, path):
        """Writes `get_config()` as JSON, for a program without the zoo."""
        write_json(path, self.get_config())

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote."""
        return cls(**json.loads(Path(path).read_text("utf-8")))

    @property
    def _leads(self):
        return self.level != "character"

    def _cut(self, text):
        text = normalize(text, self.lowercase, self.persian)
        if text and self._leads:
            text = " " + text
        if self.level == "word":
            return [self._ids.get(word, UNKNOWN) for word in _words(text)]
        ids, at = [], 0
        while at < len(text):
            for end in range(min(len(text), at + self._longest), at, -1):
                number = self._ids.get(text[at:end])
                if number is not None:
                    ids.append(number)
                    at = end
                    break
            else:
                spelt = text[at].encode() if self.byte_fallback else ()
                ids += [len(SPECIALS) + byte for byte in spelt] or [UNKNOWN]
                at += 1
        return ids

    def _join(self, ids):
        wrong = [number for number in ids if not 0 <= number < len(self)]
        if wrong:
            raise ValueError(
                f"Ids of this vocabulary are from 0 to {len(self) - 1}. "
                f"Received: {wrong[:5]}."
            )
        ids = ids[: ids.index(END)] if END in ids else ids
        text = b"".join(self._surfaces[number] for number in ids)
        return text.decode("utf-8", "replace").strip(" ")

    @functools.cached_property
    def _trie(self):
        """Keys `node * _SHIFT + code`, the nodes they lead to, and the nodes' ids."""
        nodes, numbers = {"": 0}, [-1]
        edges = {}
        for piece, number in self._ids.items():
            for end in range(1, len(piece) + 1):
                if piece[:end] not in nodes:
                    edges[nodes[piece[: end - 1]] * _SHIFT + ord(piece[end - 1])] = len(
                        nodes
                    )
                    nodes[piece[:end]] = len(nodes)
                    numbers.append(-1)
            numbers[nodes[piece]] = number
        keys = sorted(edges) or [0]
        return (
            np.array(keys, "int64"),
            np.array([edges.get(key, -1) for key in keys], "int32"),
            np.array(numbers, "int32"),
        )

    def _longest_matches(self, codes):
        """Returns each place's id and length: of the longest piece that fits there."""
        keys, children, numbers = self._trie
        count = tf.size(codes)
        begins = tf.fill([count], True)
        missed = tf.fill([count], 1)  # how far an unknown reaches
        if self.level == "word":
            begins = _word_begins(codes)
            starts = tf.where(begins)[:, 0]
            nth = tf.cumsum(tf.cast(begins, tf.int32))
            following = tf.concat([starts, [tf.cast(count, tf.int64)]], 0)
            missed = tf.cast(tf.gather(following, nth), tf.int32) - tf.range(count)
        ahead = tf.concat([codes, tf.zeros([self._longest], tf.int32)], 0)
        may_end = tf.concat([begins, tf.fill([self._longest], True)], 0)

        def step(depth, node, ids, lengths):
            code = ahead[depth : depth + count]
            key = tf.cast(node, tf.int64) * _SHIFT + tf.cast(code, tf.int64)
            node = _look_up(keys, children, key, -1)
            number = tf.gather(tf.constant(numbers), tf.maximum(node, 0))
            fits = (node > 0) & (number >= 0) & may_end[depth + 1 : depth + 1 + count]
            ids = tf.where(fits, number, ids)
            lengths = tf.where(fits, depth + 1, lengths)
            return depth + 1, node, ids, lengths

        def goes_on(depth, node, *_):
            return (depth < self._longest) & tf.reduce_any(node >= 0)

        unknown = tf.fill([count], UNKNOWN)
        _, _, ids, lengths = tf.while_loop(
            goes_on, step, (0, tf.zeros([count], tf.int32), unknown, missed)
        )
        return ids, lengths


def _reserved(byte_fallback):
    return SPECIALS + (_BYTES if byte_fallback else ())


def _frequent(units, count):
    """Returns the most frequent units; equally frequent ones in alphabetic order."""
    return sorted(units, key=lambda unit: (-units[unit], unit))[:count]


def _subwords(texts, room):
    import sentencepiece

    alphabet = set(_frequent(Counter("".join(texts).replace(" ", "")), room - 1))
    rare = {ord(c): " " for c in set("".join(texts)) - alphabet}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text.translate(rare) for text in texts),
        model_writer=model,
        model_type="bpe",
        vocab_size=room + 1,  # its own unknown
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        split_digits=True,
        max_sentencepiece_length=_LONGEST_PIECE,
        max_sentence_length=1 << 24,  # longer ones, in bytes, it would leave out
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    learnt = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [learnt.id_to_piece(i) for i in range(1, learnt.get_piece_size())]


def _clean(code):
    """Returns what a code point becomes before NFKC; `None` if it goes."""
    character = chr(code)
    category = unicodedata.category(character)
    if category == "Cs":
        return _REPLACEMENT
    if character.isspace():
        return " "
    if category in ("Cc", "Cf") and character not in _JOINERS:
        return None
    return character


class _Cleaned(dict):
    """What `str.translate` looks characters up in, filled as they are met."""

    def __missing__(self, code):
        return self.setdefault(code, _clean(code))


_CLEAN = _Cleaned()


def _in_word(character):
    return unicodedata.category(character)[0] in "LMN" or character in _JOINERS


def _words(text):
    """Cuts a normal text into words and single characters, each with its space."""
    words, inside = [], False
    for character in text:
        if words and (words[-1] == " " or (inside and _in_word(character))):
            words[-1] += character
        else:
            words.append(character)
        inside = _in_word(character)
    return words


# In the graph


class _Unicode(NamedTuple):
    """The character database as sorted arrays.

    Attributes:
        codes: Code points that `normalize` changes first.
        offsets: Where in `parts` each one's replacement begins.
        lengths: Of the replacements.
        parts: Code points, fully decomposed.
        marks: Code points with a combining class.
        classes: Those classes, from 1 to 254.
        pairs: Keys of two code points that compose.
        composed: What they compose to.
    """

    codes: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    parts: np.ndarray
    marks: np.ndarray
    classes: np.ndarray
    pairs: np.ndarray
    composed: np.ndarray


@functools.cache
def _unicode(lowercase):
    """Returns `_Unicode`, from the character database of this Python."""
    changed, marks, pairs = {}, {}, {}
    for code in range(1, _CODES):
        character = chr(code)
        if mark := unicodedata.combining(character):
            marks[code] = mark
        if 0xAC00 <= code < 0xD7A4:  # Hangul syllables stay; `_composites` makes them
            continue
        text = unicodedata.normalize("NFKD", _clean(code) or "")
        if lowercase:
            text = "".join(map(str.lower, text))
            text = unicodedata.normalize("NFKD", text)
        if text != character:
            changed[code] = [ord(c) for c in text]
        parts = unicodedata.decomposition(character)
        composes = " " in parts and not parts.startswith("<")
        if composes and unicodedata.normalize("NFC", character) == character:
            first, second = (int(part, 16) for part in parts.split())
            pairs[first * _SHIFT + second] = code
    lengths = np.array([len(parts) for parts in changed.values()], "int32")
    return _Unicode(
        np.array(list(changed), "int32"),
        (np.cumsum(lengths) - lengths).astype("int32"),
        lengths,
        np.array(sum(changed.values(), []), "int32"),
        np.array(list(marks), "int32"),
        np.array(list(marks.values()), "int32"),
        np.array(sorted(pairs), "int64"),
        np.array([pairs[key] for key in sorted(pairs)], "int32"),
    )


@functools.cache
def _word_edges():
    """Returns the code points where characters of words begin and cease, in turn."""
    inside = np.array([_in_word(chr(code)) for code in range(_CODES)], "int8")
    return (np.flatnonzero(np.diff(inside)) + 1).astype("int32")


def _look_up(keys, values, queries, default):
    """Returns the values that stand beside sorted keys, `default` for other keys."""
    place = tf.searchsorted(tf.constant(keys), queries)
    place = tf.minimum(place, len(keys) - 1)
    found = tf.gather(tf.constant(keys), place) == queries
    return tf.where(found, tf.gather(tf.constant(values), place), default)


def _previous(values, first):
    return tf.concat([[first], values], 0)[:-1]


def _normal_codes(strings, lowercase, persian, lead):
    """Returns the code points of normal texts in one vector, a 0 after each text.

    With `lead`, texts that are not empty begin with a space.
    """
    data = _unicode(lowercase)
    rows = tf.strings.unicode_decode(strings, "UTF-8")
    rows = tf.maximum(rows, 1)  # U+0000 goes as U+0001 does; 0 is ours
    edge = tf.zeros([rows.nrows(), 1], tf.int32)
    codes = tf.concat([edge + ord(" "), rows, edge], axis=1).flat_values
    codes = _decompose(codes, data)
    codes = _compose(tf.concat([[0], codes], 0), data)[1:]
    after = _AFTERWARDS[persian]
    keys = np.array(sorted(after), "int32")
    codes = _look_up(keys, np.array([after[k] for k in keys], "int32"), codes, codes)
    following = tf.concat([codes[1:], [0]], 0)
    ends_run = (following != ord(" ")) & (following != 0)
    codes = tf.boolean_mask(codes, (codes != ord(" ")) | ends_run)
    if lead:
        return codes
    leading = (codes == ord(" ")) & (_previous(codes, 0) == 0)
    return tf.boolean_mask(codes, ~leading)


def _decompose(codes, data):
    """Replaces code points by their parts, and puts marks into canonical order."""
    place = tf.searchsorted(tf.constant(data.codes), codes)
    place = tf.minimum(place, len(data.codes) - 1)
    changes = tf.gather(tf.constant(data.codes), place) == codes
    counts = tf.where(changes, tf.gather(tf.constant(data.lengths), place), 1)
    whole = tf.repeat(tf.range(tf.size(codes)), counts)  # of which each part is one
    nth = tf.range(tf.size(whole)) - tf.gather(tf.cumsum(counts, exclusive=True), whole)
    offset = tf.gather(tf.gather(tf.constant(data.offsets), place), whole)
    inside = tf.gather(changes, whole)
    part = tf.gather(tf.constant(data.parts), tf.where(inside, offset + nth, 0))
    codes = tf.where(inside, part, tf.gather(codes, whole))
    classes = _look_up(data.marks, data.classes, codes, 0)
    base = tf.cumsum(tf.cast(classes == 0, tf.int32))
    return tf.gather(codes, tf.argsort(base * 256 + classes, stable=True))


def _compose(codes, data):
    """Composes canonically: in each round, every base takes its first mark that fits.

    A mark fits if it forms a pair with its base and nothing of its own class, nor
    another base, stands between (UAX #15, definitions D115 to D117 of the standard).
    `codes` begins with a 0, so that everything has something before it.
    """
    classes = _look_up(data.marks, data.classes, codes, 0)

    def one_round(codes, classes, _):
        is_base = classes == 0
        bases = tf.where(is_base)[:, 0]
        before = tf.cumsum(tf.cast(is_base, tf.int32), exclusive=True)
        base = tf.cast(tf.gather(bases, tf.maximum(before - 1, 0)), tf.int32)
        place = tf.range(tf.size(codes))
        free = (base == place - 1) | (_previous(classes, 0) < classes)
        composite = tf.where(free, _composites(tf.gather(codes, base), codes, data), -1)
        fits = composite > 0
        earlier = tf.cumsum(tf.cast(fits, tf.int32), exclusive=True)
        # Place 0 is before its own base; nothing fits there, whatever is read.
        since_base = tf.gather(earlier, tf.minimum(base + 1, place))
        taken = fits & (earlier == since_base)
        codes = tf.tensor_scatter_nd_update(
            codes,
            tf.boolean_mask(base, taken)[:, None],
            tf.boolean_mask(composite, taken),
        )
        stay = ~taken
        return (
            tf.boolean_mask(codes, stay),
            tf.boolean_mask(classes, stay),
            tf.reduce_any(taken),
        )

    vector = tf.TensorShape([None])
    codes, _, _ = tf.while_loop(
        lambda codes, classes, again: again,
        one_round,
        (codes, classes, True),
        shape_invariants=(vector, vector, tf.TensorShape([])),
    )
    return codes


def _composites(first, second, data):
    """Returns what pairs compose to, -1 where they do not."""
    key = tf.cast(first, tf.int64) * _SHIFT + tf.cast(second, tf.int64)
    composite = _look_up(data.pairs, data.composed, key, -1)
    # Hangul by arithmetic (standard, section 3.12): 19 x 21 syllables of two letters,
    # 27 final letters for each.
    lead, vowel = first - 0x1100, second - 0x1161
    two = (lead >= 0) & (lead < 19) & (vowel >= 0) & (vowel < 21)
    composite = tf.where(two, 0xAC00 + (lead * 21 + vowel) * 28, composite)
    syllable, final = first - 0xAC00, second - 0x11A7
    three = (syllable >= 0) & (syllable < 11172) & (syllable % 28 == 0)
    three &= (final > 0) & (final < 28)
    return tf.where(three, first + final, composite)


def _word_begins(codes):
    """Returns where the units of `_words` begin; ends of texts count as units."""
    crossed = tf.searchsorted(tf.constant(_word_edges()), codes, side="right")
    inside = crossed % 2 == 1
    goes_on = inside & _previous(inside, False)
    return (_previous(codes, 0) != ord(" ")) & ~goes_on


def _jump(codes, lengths):
    """Returns which places are met by going on by `lengths` from each text's first."""
    count = tf.size(codes)
    place = tf.range(count)
    target = tf.where(codes == 0, place, place + lengths)

    def double(target, reached, _):
        hit = tf.boolean_mask(target, reached)
        hit = tf.scatter_nd(hit[:, None], tf.ones_like(hit), [count]) > 0
        further = tf.gather(target, target)
        return further, reached | hit, tf.reduce_any(further != target)

    first = _previous(codes, 0) == 0
    _, reached, _ = tf.while_loop(
        lambda t, r, more: more, double, (target, first, True)
    )
    return reached


def _utf8(codes):
    """Returns the ids of the UTF-8 bytes of code points, `(count, 4)`, -1 for none."""
    head = [codes, 0xC0 + codes // 64, 0xE0 + codes // 64**2, 0xF0 + codes // 64**3]
    tail = [0x80 + codes // 64**power % 64 for power in range(3)]
    none = tf.fill([tf.size(codes)], -1 - len(SPECIALS))
    spelt = [head[0], none, none, none]
    for limit, row in (
        (0x80, [head[1], tail[0], none, none]),
        (0x800, [head[2], tail[1], tail[0], none]),
        (0x10000, [head[3], tail[2], tail[1], tail[0]]),
    ):
        spelt = [
            tf.where(codes >= limit, *pair) for pair in zip(row, spelt, strict=True)
        ]
    return tf.stack(spelt, axis=1) + len(SPECIALS)
