"""The engine behind every `batches`: which examples come when, and how a run resumes.

`stream` knows what an epoch is. `batches` adds the order of examples, of one set, of
pairs, or of unpaired sets of unequal length. Where the examples come from, the caller
says by a function of indices: arrays in memory, or files read as they are needed.
"""

import tensorflow as tf


def stream(begin, steps, first_epoch=0):
    """Returns a dataset of batches, one epoch long each time it is iterated.

    An epoch counts once its last batch is handed out, so that prefetching does not
    count. An iteration given up before that (Keras looks at a first batch to build a
    distributed model) is begun again. Only the number of the epoch is kept from one to
    the next: a run resumed with `first_epoch=e` sees what an uninterrupted one would
    have seen from epoch `e` on.

    Args:
        begin: Function of an epoch's number, an int64 scalar, that fixes what is random
            in that epoch and returns a function of a step, an int64 scalar from 0,
            that makes the step's batch.
        steps: Batches of an epoch.
        first_epoch: The epoch to begin with, counted from 0.

    Returns:
        A finite `tf.data.Dataset` of known cardinality.

    Raises:
        ValueError: `first_epoch` is negative.

    Example:
        >>> counting = stream(lambda epoch: lambda step: 10 * epoch + step, steps=2)
        >>> [list(counting.as_numpy_iterator()) for _ in range(2)]
        [[0, 1], [10, 11]]
    """
    if first_epoch < 0:
        raise ValueError(f"first_epoch must be at least 0. Received: {first_epoch}.")
    with tf.device("CPU:0"):  # where tf.data runs
        next_epoch = tf.Variable(first_epoch, dtype=tf.int64, trainable=False)

    def iteration(_):
        epoch = next_epoch.read_value()
        batch = begin(epoch)

        def numbered(step):
            """Returns the epoch that follows this step, and the step's batch."""
            return epoch + (step + 1) // steps, batch(step)

        every = tf.data.Dataset.range(steps)
        return every.map(numbered, num_parallel_calls=tf.data.AUTOTUNE)

    def hand_out(epoch_after, batch):
        """Runs as the consumer takes the batch: behind the prefetching, in order."""
        next_epoch.assign(epoch_after)
        return batch

    # `flat_map` puts off reading the epoch's number until an iteration begins.
    data = tf.data.Dataset.range(1).flat_map(iteration).prefetch(tf.data.AUTOTUNE)
    return data.map(hand_out).apply(tf.data.experimental.assert_cardinality(steps))


def batches(fetch, counts, batch_size, *, seed=None, first_epoch=0):
    """Returns a dataset of the batches that `fetch` makes of indices.

    With `seed`, for training, each epoch has a new order, drops its last partial batch,
    and depends on `(seed, epoch)` alone. Without, for evaluation, the order and every
    example are kept.

    Several counts mean unpaired sets, as the two of CycleGAN: each has an order of its
    own, and an epoch is as long as the longest. A shorter one is walked through again
    and again, in a new order each time; where an epoch ends, the next one goes on, so
    that over the epochs each of its examples comes equally often. (Two datasets that
    are zipped cannot do that: the longer of them never ends, so that its epochs do not
    count, and the same first part of it comes for ever.) Without `seed`, the shorter
    one begins anew in each epoch.

    Args:
        fetch: Function of the indices of a batch, one `(batch,)` int32 tensor a count,
            and of `(batch, 2)` int32 seeds for `tf.image.stateless_random_*` and the
            like, different for each example and epoch (`None` without `seed`). It
            returns the batch, and runs inside tf.data.
        counts: How many examples each set has. Examples that belong together, as an
            image and its label, are one set.
        batch_size: Examples of each set in a batch, over all replicas together.
        seed: Integer that shuffles; `None` does not.
        first_epoch: The epoch to begin with, counted from 0.

    Returns:
        A finite `tf.data.Dataset` of known cardinality.

    Raises:
        ValueError: A count or `batch_size` is not positive, `batch_size` exceeds the
            longest set in training, or `first_epoch` is negative.

    Example:
        def fetch(horses, zebras, seeds):
            return read(horse_files, horses), read(zebra_files, zebras)

        batches(fetch, [1067, 1334], 1, seed=0)
    """
    longest, training = max(counts), seed is not None
    if min(counts) < 1:
        raise ValueError(f"There must be examples. Received: {counts} of them.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}.")
    if training and batch_size > longest:
        raise ValueError(
            f"There are {longest} examples, fewer than one batch, and a training epoch "
            f"drops its last partial batch: give batch_size={longest} or less. "
            f"Received: {batch_size}."
        )
    steps = longest // batch_size if training else -(-longest // batch_size)
    length = steps * batch_size if training else longest  # of an epoch, in examples

    def begin(epoch):
        seeds = None
        if training:
            walks = [
                _walk(count, length, seed, epoch, side)  # (length,)
                for side, count in enumerate(counts)
            ]
            key = _keys(seed, epoch)[1]
            # All at once, and for what is dropped too: stateless numbers depend on the
            # shape they are sampled in.
            seeds = tf.random.stateless_uniform(
                (longest, 2), key, None, None, "int32"
            )  # (longest, 2)
        else:
            walks = [tf.range(length) % count for count in counts]  # (length,)

        def batch(step):
            here = slice(step * batch_size, (step + 1) * batch_size)
            indices = [walk[here] for walk in walks]  # (batch,)
            for index in indices:  # so that models know the size where it is fixed
                index.set_shape([batch_size if training else None])
            return fetch(*indices, None if seeds is None else seeds[here])

        return batch

    return stream(begin, steps, first_epoch)


def _keys(seed, number, side=0):
    """Returns the keys of a set's order and of the examples' seeds, both `(2,)`."""
    key = tf.stack([tf.constant(seed, tf.int64), number])
    if side:
        key = tf.random.fold_in(key, side)
    return tf.unstack(tf.random.split(key))


def _walk(count, length, seed, epoch, side):
    """Returns the indices of one set in one epoch, `(length,)`.

    Args:
        count: Examples of the set.
        length: Examples of an epoch; only of a shorter set some come twice.
        seed: As for `batches`.
        epoch: Its number, an int64 scalar.
        side: Which set it is: each has an order of its own.
    """

    def order(number):
        """Returns the order of a walk through the whole set, `(count,)`."""
        key = _keys(seed, number, side)[0]
        return tf.random.experimental.stateless_shuffle(tf.range(count), key)

    if count >= length:
        return order(epoch)[:length]  # (length,)
    # All epochs are one walk: this one begins at `start`, where the last one ended, and
    # reaches into so many rounds through the set at most.
    start = epoch * length
    first, rounds = start // count, -(-length // count) + 1
    walk = tf.map_fn(
        order, first + tf.range(rounds, dtype=tf.int64), fn_output_signature=tf.int32
    )  # (rounds, count)
    return tf.reshape(walk, [-1])[start % count :][:length]  # (length,)
