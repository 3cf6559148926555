"""Epochs."""

import numpy as np
import tensorflow as tf


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
