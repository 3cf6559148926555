"""Sentences of like length go together, so that little of a batch is padding."""

import numpy as np


def bounds_of(lengths, buckets):
    """Returns upper bounds of lengths that part sentences into buckets.

    Args:
        lengths: `(count,)` ids of each sentence.
        buckets: How many, or their bounds.

    Returns:
        Ascending integers, one fewer than buckets: the last bucket has no bound. They
        part all ids into equal shares, not all sentences: long ones need finer buckets.
    """
    if not isinstance(buckets, int):
        return sorted({int(bound) for bound in buckets})
    ordered = np.sort(lengths)
    shares = np.cumsum(ordered) / ordered.sum()
    cuts = ordered[np.searchsorted(shares, np.arange(1, buckets) / buckets)]
    return sorted({int(cut) for cut in cuts if cut < ordered[-1]})


def spans(bucket, sizes):
    """Returns where each batch lies among the sentences, these ordered by bucket.

    Args:
        bucket: `(count,)`, of each sentence, a number from 0.
        sizes: Of the batches of each bucket.

    Returns:
        Four arrays `(batches,)`: first sentence, the one behind the last, whether it is
        a full batch, its bucket.
    """
    found, start = [], 0
    for number, filled in enumerate(np.bincount(bucket, minlength=len(sizes))):
        end = start + filled
        for first in range(start, end, sizes[number]):
            behind = min(first + sizes[number], end)
            found.append((first, behind, behind - first == sizes[number], number))
        start = end
    return tuple(map(np.array, zip(*found, strict=True)))


def padding_share(dataset):
    """Returns which share of all places in a dataset's batches is padding."""
    places = ids = 0
    for batch in dataset.as_numpy_iterator():
        places += sum(side.size for side in batch)
        ids += sum(np.count_nonzero(side) for side in batch)
    return 1.0 - ids / places
