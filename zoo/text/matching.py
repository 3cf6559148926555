"""Cuts texts into pieces inside a graph, always at the longest piece that fits.

Every place of a text is looked at at once: `longest_matches` finds what would be cut if
a piece began there, `reached` where pieces do begin. A text is a vector of code points,
as `zoo.text.unicode.normal_codes` returns it.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from zoo.text.unicode import SHIFT, look_up, previous, word_begins


class Trie(NamedTuple):
    """The pieces of a vocabulary as a tree of letters, in arrays; node 0 is its root.

    Attributes:
        keys: `(edges,)` int64, sorted: `node * SHIFT + code point`.
        children: `(edges,)` int32, the node that each of them leads to.
        numbers: `(nodes,)` int32, the id of the piece that ends there, or -1.
        longest: Letters of the longest piece.
    """

    keys: np.ndarray
    children: np.ndarray
    numbers: np.ndarray
    longest: int

    @classmethod
    def of(cls, ids):
        """Returns the tree of `{piece: id}`."""
        nodes, numbers, edges = {"": 0}, [-1], {}
        for piece, number in ids.items():
            for end in range(1, len(piece) + 1):
                if piece[:end] not in nodes:
                    key = nodes[piece[: end - 1]] * SHIFT + ord(piece[end - 1])
                    edges[key] = len(nodes)
                    nodes[piece[:end]] = len(nodes)
                    numbers.append(-1)
            numbers[nodes[piece]] = number
        keys = sorted(edges) or [0]  # no array of a vocabulary without pieces is empty
        return cls(
            np.array(keys, "int64"),
            np.array([edges.get(key, -1) for key in keys], "int32"),
            np.array(numbers, "int32"),
            max(map(len, ids), default=1),
        )


def longest_matches(codes, trie, unknown, whole_words=False):
    """Returns each place's id and length: of the longest piece that fits there.

    Args:
        codes: `(count,)` int32.
        trie: A `Trie`.
        unknown: Id where no piece fits.
        whole_words: Whether a piece ends only where a word does.

    Returns:
        `(ids, lengths)`, `(count,)` int32 each; an unknown reaches over one code point,
        or over one word.
    """
    count = tf.size(codes)
    begins = tf.fill([count], True)
    missed = tf.fill([count], 1)  # how far an unknown reaches
    if whole_words:
        begins = word_begins(codes)
        starts = tf.where(begins)[:, 0]  # (words,)
        nth = tf.cumsum(tf.cast(begins, tf.int32))  # (count,), from 1
        following = tf.concat([starts, [tf.cast(count, tf.int64)]], 0)
        missed = tf.cast(tf.gather(following, nth), tf.int32) - tf.range(count)
    # So that every place can look `longest` further.
    ahead = tf.concat([codes, tf.zeros([trie.longest], tf.int32)], 0)
    may_end = tf.concat([begins, tf.fill([trie.longest], True)], 0)

    def step(depth, node, ids, lengths):
        """Goes down the tree by one letter, at all places at once."""
        code = ahead[depth : depth + count]
        key = tf.cast(node, tf.int64) * SHIFT + tf.cast(code, tf.int64)
        node = look_up(trie.keys, trie.children, key, -1)  # -1: no piece goes on so
        number = tf.gather(tf.constant(trie.numbers), tf.maximum(node, 0))
        fits = (node > 0) & (number >= 0) & may_end[depth + 1 : depth + 1 + count]
        ids = tf.where(fits, number, ids)  # longer than what fitted before
        lengths = tf.where(fits, depth + 1, lengths)
        return depth + 1, node, ids, lengths

    def goes_on(depth, node, *_):
        return (depth < trie.longest) & tf.reduce_any(node >= 0)

    root, none = tf.zeros([count], tf.int32), tf.fill([count], unknown)
    _, _, ids, lengths = tf.while_loop(goes_on, step, (0, root, none, missed))
    return ids, lengths


def reached(codes, lengths):
    """Returns which places are met by going on by `lengths` from each text's first.

    Args:
        codes: `(count,)` int32, a 0 at the end of each text.
        lengths: `(count,)` int32.

    Returns:
        `(count,)` bool, the ends of texts among them.

    Source:
        Pointer jumping, in log2(length) steps: Hillis & Steele 1986,
        https://doi.org/10.1145/7902.7903.
    """
    count = tf.size(codes)
    place = tf.range(count)
    target = tf.where(codes == 0, place, place + lengths)  # an end leads to itself

    def double(target, reached, _):
        """Doubles how far a jump goes; what it meets from what is met, is met."""
        hit = tf.boolean_mask(target, reached)
        hit = tf.scatter_nd(hit[:, None], tf.ones_like(hit), [count]) > 0
        further = tf.gather(target, target)
        return further, reached | hit, tf.reduce_any(further != target)

    first = previous(codes, 0) == 0
    _, found, _ = tf.while_loop(lambda t, r, more: more, double, (target, first, True))
    return found


def utf8(codes, first):
    """Returns the bytes of code points in UTF-8 as ids.

    Args:
        codes: `(count,)` int32.
        first: Id of the byte 0.

    Returns:
        `(count, 4)` int32, -1 where a code point has fewer bytes.
    """
    head = [codes, 0xC0 + codes // 64, 0xE0 + codes // 64**2, 0xF0 + codes // 64**3]
    tail = [0x80 + codes // 64**power % 64 for power in range(3)]
    none = tf.fill([tf.size(codes)], -1 - first)
    spelt = [head[0], none, none, none]
    for limit, row in (
        (0x80, [head[1], tail[0], none, none]),
        (0x800, [head[2], tail[1], tail[0], none]),
        (0x10000, [head[3], tail[2], tail[1], tail[0]]),
    ):
        spelt = [
            tf.where(codes >= limit, *pair) for pair in zip(row, spelt, strict=True)
        ]
    return tf.stack(spelt, axis=1) + first
