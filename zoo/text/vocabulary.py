"""Text as numbers and back: `Vocabulary`, in Python and inside a TensorFlow graph.

    vocabulary = Vocabulary.learn(["a cat sat", "a mat"], size=40)
    vocabulary.encode(["a cat"])  # [[..., 3]]
    vocabulary.decode_tf(vocabulary.encode_tf(tf.constant(["a cat"])))  # [b"a cat"]

The graph functions are made of core TensorFlow operations and constants: no lookup
table, no asset and no other library, so a SavedModel that takes and returns strings is
one self-contained folder. They return what the Python functions return, for every
string. How texts are spelt is in `zoo.text.unicode`, how a graph finds the pieces in
`zoo.text.matching`.
"""

import functools
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf

from zoo.system import write_json
from zoo.text.matching import Trie, longest_matches, reached, utf8
from zoo.text.unicode import REPLACEMENT, SPACE, normal_codes, normalize, words_of
from zoo.training.registry import register

PADDING, UNKNOWN, START, END = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
LEVELS = ("subword", "word", "character")

_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_LONGEST_PIECE = 16  # characters, of a learnt subword


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
        wrong = [p for p in learnt if not p or " " in p or SPACE in p[1:]]
        if wrong:
            raise ValueError(
                f"A piece has a space, shown as {SPACE!r}, in front or nowhere, and "
                f"is not empty. Received: {wrong[:5]}."
            )
        self._ids = {
            piece.replace(SPACE, " "): number
            for number, piece in enumerate(self.pieces)
            if number >= len(reserved)
        }
        self._longest = max(map(len, self._ids), default=1)
        # What decoding writes for each id; bytes, as one piece may be part of a letter.
        unknown = " " + REPLACEMENT if level == "word" else REPLACEMENT
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
        sentences = _texts(sentences)
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
                units.update(text if level == "character" else words_of(" " + text))
            pieces = _frequent(units, room)
        pieces = [piece.replace(" ", SPACE) for piece in pieces]
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

        Raises:
            ValueError: If these are no strings, or `max_length` is below 1.
        """
        _check_length(max_length)
        return [
            self._cut(text)[: None if max_length is None else max_length - 1] + [END]
            for text in _texts(sentences)
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
            As for `zoo.text.matching.reached`, which finds where the cuts fall.
        """
        _check_length(max_length)
        # All texts in one vector, a 0 after each: no place is wasted on padding.
        codes = normal_codes(strings, self.lowercase, self.persian, lead=self._leads)
        whole_words = self.level == "word"
        ids, lengths = longest_matches(codes, self._trie, UNKNOWN, whole_words)
        cuts = reached(codes, lengths)  # where pieces begin; (code points,) all three
        ids = tf.where(codes == 0, END, ids)
        if self.byte_fallback:
            spelt = tf.where((ids == UNKNOWN)[:, None], utf8(codes, len(SPECIALS)), -1)
            ids = tf.where(ids == UNKNOWN, -1, ids)
            ids = tf.concat([ids[:, None], spelt], axis=1)  # a piece or up to 4 bytes
            ids = tf.reshape(tf.boolean_mask(ids, cuts), [-1])
            ids = tf.boolean_mask(ids, ids >= 0)  # (ids of all texts,)
        else:
            ids = tf.boolean_mask(ids, cuts)
        ends = tf.where(ids == END)[:, 0] + 1  # (batch,)
        rows = tf.RaggedTensor.from_row_splits(ids, tf.concat([[0], ends], 0))
        table = rows.to_tensor(PADDING)  # (batch, time)
        nothing = tf.cast(tf.size(ends) == 0, tf.int32)  # has one place as well
        table = tf.pad(table, [[0, 0], [0, nothing]])
        if max_length is None:
            return table
        last = table[:, max_length - 1 : max_length]
        last = tf.where(last == PADDING, PADDING, END)
        return tf.concat([table[:, : max_length - 1], last], axis=1)

    def decode_tf(self, ids):
        """Does in a graph what `decode` does.

        Args:
            ids: `(batch, time)` integers.

        Returns:
            `(batch,)` strings, UTF-8.
        """
        ended = tf.cumsum(tf.cast(ids == END, tf.int32), axis=1) > 0  # (batch, time)
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
            return [self._ids.get(word, UNKNOWN) for word in words_of(text)]
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
        return Trie.of(self._ids)


def padded(ids):
    """Returns lists of ids as `(batch, time)` int32, padded with 0 behind."""
    table = np.full((len(ids), max(map(len, ids))), PADDING, "int32")
    for row, some in zip(table, ids, strict=True):
        row[: len(some)] = some
    return tf.constant(table)


def _texts(sentences):
    """Returns a list of strings.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(sentences, str | bytes):
        raise ValueError(f"Several strings are needed. Received one: {sentences!r}.")
    sentences = list(sentences)
    for text in sentences:
        if not isinstance(text, str):
            raise ValueError(
                "Texts are strings; bytes become one by `.decode()`. Received: "
                f"{text!r}."
            )
    return sentences


def _check_length(max_length):
    """Refuses a length that leaves no room for the end."""
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length is 1 or more. Received: {max_length}.")


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
