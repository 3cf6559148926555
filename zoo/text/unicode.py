"""Unicode: texts that look the same get one spelling, in Python and inside a graph.

    normalize("  one\\u00a0\\ufb01ne   \\u0661 ")  # "one fine 1"
    normalize_tf(tf.constant(["..."]))  # the same of each string of a tensor

The graph functions are made of core TensorFlow operations and constants. One text is
one flat vector of code points there, the texts of a batch one after the other, so that
a long line among short ones wastes nothing.
"""

import functools
import unicodedata
from typing import NamedTuple

import numpy as np
import tensorflow as tf

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how a piece shows a space, as others write it
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_CODES = 0x110000
SHIFT = 2**21  # more than any code point: (a, b) becomes the one key a * SHIFT + b
_ARABIC_DIGITS = [(0x660 + digit, 0x6F0 + digit, 0x30 + digit) for digit in range(10)]
_AFTERWARDS = {
    False: {ord(SPACE): ord("_")}
    | {arabic: latin for arabic, _, latin in _ARABIC_DIGITS}
    | {persian: latin for _, persian, latin in _ARABIC_DIGITS},
    True: {ord(SPACE): ord("_"), ord("ي"): ord("ی"), ord("ك"): ord("ک")}
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
    codes = normal_codes(strings, lowercase, persian, lead=False)
    ends = tf.where(codes == 0)[:, 0]  # (batch,)
    splits = ends - tf.range(tf.size(ends, tf.int64))  # texts without their ends
    rows = tf.RaggedTensor.from_row_splits(
        tf.boolean_mask(codes, codes != 0), tf.concat([[0], splits], 0)
    )
    return tf.strings.unicode_encode(rows, "UTF-8")


def words_of(text):
    """Cuts a normal text into words and single characters, each with its space."""
    words, inside = [], False
    for character in text:
        if words and (words[-1] == " " or (inside and _in_word(character))):
            words[-1] += character
        else:
            words.append(character)
        inside = _in_word(character)
    return words


def _in_word(character):
    return unicodedata.category(character)[0] in "LMN" or character in _JOINERS


def _clean(code):
    """Returns what a code point becomes before NFKC; `None` if it goes."""
    character = chr(code)
    category = unicodedata.category(character)
    if category == "Cs":
        return REPLACEMENT
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
            pairs[first * SHIFT + second] = code
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


def normal_codes(strings, lowercase, persian, lead):
    """Returns the code points of normal texts in one vector, a 0 after each text.

    With `lead`, texts that are not empty begin with a space.
    """
    data = _unicode(lowercase)
    rows = tf.strings.unicode_decode(strings, "UTF-8")
    rows = tf.maximum(rows, 1)  # U+0000 goes as U+0001 does; 0 is ours
    edge = tf.zeros([rows.nrows(), 1], tf.int32)
    # (batch, ragged) -> (code points of all texts,), a 0 behind each text
    codes = tf.concat([edge + ord(" "), rows, edge], axis=1).flat_values
    codes = _decompose(codes, data)
    codes = _compose(tf.concat([[0], codes], 0), data)[1:]
    after = _AFTERWARDS[persian]
    keys = np.array(sorted(after), "int32")
    codes = look_up(keys, np.array([after[k] for k in keys], "int32"), codes, codes)
    # Of a run of spaces the last one stays, unless a text ends behind it.
    following = tf.concat([codes[1:], [0]], 0)
    ends_run = (following != ord(" ")) & (following != 0)
    codes = tf.boolean_mask(codes, (codes != ord(" ")) | ends_run)
    if lead:
        return codes
    leading = (codes == ord(" ")) & (previous(codes, 0) == 0)
    return tf.boolean_mask(codes, ~leading)


def _decompose(codes, data):
    """Replaces code points by their parts, and puts marks into canonical order."""
    place = tf.searchsorted(tf.constant(data.codes), codes)
    place = tf.minimum(place, len(data.codes) - 1)
    changes = tf.gather(tf.constant(data.codes), place) == codes
    counts = tf.where(changes, tf.gather(tf.constant(data.lengths), place), 1)
    # (parts,) from here on: which code point each is a part of, and its how manieth.
    whole = tf.repeat(tf.range(tf.size(codes)), counts)
    nth = tf.range(tf.size(whole)) - tf.gather(tf.cumsum(counts, exclusive=True), whole)
    offset = tf.gather(tf.gather(tf.constant(data.offsets), place), whole)
    inside = tf.gather(changes, whole)
    part = tf.gather(tf.constant(data.parts), tf.where(inside, offset + nth, 0))
    codes = tf.where(inside, part, tf.gather(codes, whole))
    # Marks in the order of their classes behind their base: one stable sort by both.
    classes = look_up(data.marks, data.classes, codes, 0)  # 0 of a base, at most 254
    base = tf.cumsum(tf.cast(classes == 0, tf.int32))
    return tf.gather(codes, tf.argsort(base * 256 + classes, stable=True))


def _compose(codes, data):
    """Composes canonically: in each round, every base takes its first mark that fits.

    A mark fits if it forms a pair with its base and nothing of its own class, nor
    another base, stands between (UAX #15, definitions D115 to D117 of the standard).
    `codes` begins with a 0, so that everything has something before it.
    """
    classes = look_up(data.marks, data.classes, codes, 0)

    def one_round(codes, classes, _):
        is_base = classes == 0
        bases = tf.where(is_base)[:, 0]  # (bases,), their places
        before = tf.cumsum(tf.cast(is_base, tf.int32), exclusive=True)
        # (count,), the place of the base before each code point
        base = tf.cast(tf.gather(bases, tf.maximum(before - 1, 0)), tf.int32)
        place = tf.range(tf.size(codes))
        free = (base == place - 1) | (previous(classes, 0) < classes)
        composite = tf.where(free, _composites(tf.gather(codes, base), codes, data), -1)
        fits = composite > 0
        earlier = tf.cumsum(tf.cast(fits, tf.int32), exclusive=True)
        # Place 0 is before its own base; nothing fits there, whatever is read.
        since_base = tf.gather(earlier, tf.minimum(base + 1, place))
        taken = fits & (earlier == since_base)  # the first that fits, of each base
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
    key = tf.cast(first, tf.int64) * SHIFT + tf.cast(second, tf.int64)
    composite = look_up(data.pairs, data.composed, key, -1)
    # Hangul by arithmetic (standard, section 3.12): 19 x 21 syllables of two letters,
    # 27 final letters for each.
    lead, vowel = first - 0x1100, second - 0x1161
    two = (lead >= 0) & (lead < 19) & (vowel >= 0) & (vowel < 21)
    composite = tf.where(two, 0xAC00 + (lead * 21 + vowel) * 28, composite)
    syllable, final = first - 0xAC00, second - 0x11A7
    three = (syllable >= 0) & (syllable < 11172) & (syllable % 28 == 0)
    three &= (final > 0) & (final < 28)
    return tf.where(three, first + final, composite)


def word_begins(codes):
    """Returns where the units of `words_of` begin; ends of texts count as units."""
    crossed = tf.searchsorted(tf.constant(_word_edges()), codes, side="right")
    inside = crossed % 2 == 1
    goes_on = inside & previous(inside, False)
    return (previous(codes, 0) != ord(" ")) & ~goes_on


def look_up(keys, values, queries, default):
    """Returns the values that stand beside sorted keys, `default` for other keys."""
    place = tf.searchsorted(tf.constant(keys), queries)
    place = tf.minimum(place, len(keys) - 1)
    found = tf.gather(tf.constant(keys), place) == queries
    return tf.where(found, tf.gather(tf.constant(values), place), default)


def previous(values, first):
    """Returns what stands before each value, `first` before the first."""
    return tf.concat([[first], values], 0)[:-1]
