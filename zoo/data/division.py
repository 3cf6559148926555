"""Divides pairs of sentences into training, validation and test, none in two."""

import dataclasses
import hashlib
import re
import unicodedata
from collections import Counter, defaultdict

_NEAR = 0.7  # Jaccard index of two sentences' word pairs; see `divide`


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
            parts[split_of(group, shares)].append(tuple(pair))
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


# What belongs to which split


def split_of(group, shares):
    """Returns the split of a group, by the place of its hash in [0, 1).

    Args:
        group: Its name.
        shares: Of the groups, for later splits, as for `divide`.
    """
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
