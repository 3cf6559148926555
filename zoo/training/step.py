"""The chores every `train_step` shares, so that it can read like its paper.

`split` and `unpack` split a batch and refuse what it should not hold; `minimize` is the
only place that knows about mixed precision and `tf.distribute`; `means` and `track`
turn loss tensors into Keras logs; `in_parts` bounds the memory of drawing. There is no
training loop here: that is `keras.Model.fit`.
"""

import keras
import tensorflow as tf

from zoo.training.inputs import guard


def split(data):
    """Splits a batch of `fit` into `(x, y)`, `y` being `None` where there is none.

    Raises:
        ValueError: If examples are weighted, which no loss of the zoo is.
    """
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    if weights is not None:
        raise ValueError("Leave out `sample_weight` and `class_weight`: not supported.")
    return x, y


def unpack(data, shape):
    """Splits a batch of `fit` into examples and, where there are any, labels.

    Args:
        data: What `train_step` or `test_step` was given.
        shape: Of an example.

    Returns:
        `(examples, float32, labels or None)`.

    Raises:
        ValueError: If the examples are of another shape, weighted, or whole numbers,
            such as the bytes of images; from `fit`, if values are NaN or out of range,
            see `zoo.training.inputs`.
    """
    examples, labels = split(data)
    return guard(examples, shape), labels


def minimize(loss, tape, variables, optimizer):
    """Takes one optimizer step down the gradient of `loss`.

    Gradients are summed over replicas by the optimizer, so each replica contributes
    its share of the mean; under `mixed_float16` they are also scaled up and back.
    Both factors enter as the seed of back-propagation: `loss` itself stays readable.
    The optimizer's `global_clipnorm` is of the whole batch's gradient; its `clipnorm`
    and `clipvalue` are of each replica's share, as Keras has them.

    Args:
        loss: Scalar, already averaged over the replica's batch.
        tape: The `tf.GradientTape` that recorded it.
        variables: What to update. A variable that `loss` does not depend on is an
            error here, not a silent no-op.
        optimizer: A `keras.optimizers.Optimizer`.

    Returns:
        The gradients' norm over all variables, a float32 scalar, on this replica; 0
        for a step that `mixed_float16` skips because a gradient overflowed.

    Raises:
        ValueError: If some variable gets no gradient, naming it.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    # What back-propagation starts from: scale / replicas instead of 1.
    seed = optimizer.scale_loss(tf.ones_like(loss)) / replicas
    gradients = tape.gradient(loss, variables, output_gradients=seed)
    unreached = [v.path for v, g in zip(variables, gradients, strict=True) if g is None]
    if unreached:
        raise ValueError(
            f"The loss does not depend on {', '.join(unreached)}. Leave these out of "
            "the variables to update, or compute the loss from them under the tape."
        )
    # An embedding's gradient is sparse; clipping by the global norm needs it dense.
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    # Of the loss as it was given: without scale, without share.
    norm = tf.linalg.global_norm(gradients) / tf.cast(seed, tf.float32)
    clip = getattr(optimizer, "inner_optimizer", optimizer).global_clipnorm
    if clip and replicas > 1:  # Keras would clip before it sums
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        limit = tf.cast(clip * seed * replicas, tf.float32)  # scaled as they are
        gradients, _ = tf.clip_by_global_norm(gradients, limit)
        # The optimizer sums over replicas once more, equal parts now.
        gradients = [gradient / replicas for gradient in gradients]
    optimizer.apply(gradients, variables)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # It skips a step with an overflow and lowers its scale; the log shows 0.
        norm = tf.where(tf.math.is_finite(norm), norm, 0.0)
    return norm


def mean_over_replicas(values):
    """Averages values of which each replica may have another number, such as tokens.

    `minimize` averages the losses of the replicas; were they plain means, a token
    among few would weigh more than one among many.

    Args:
        values: `(count,)`, of this replica.

    Returns:
        Scalar, whose average over the replicas is the mean of all their values.
    """
    count = tf.cast(tf.size(values), values.dtype)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        # The mean count of a replica: the sum of the results is then over all counts.
        context = tf.distribute.get_replica_context()
        count = context.all_reduce(tf.distribute.ReduceOp.SUM, count) / replicas
    return tf.reduce_sum(values) / tf.maximum(count, 1.0)


def all_replicas(mean):
    """Returns the mean over all replicas of a value that each of them has."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return mean
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, mean)


def means(*names):
    """Returns a running mean per name; as a model attribute, Keras resets them."""
    return {name: keras.metrics.Mean(name=name) for name in names}


def track(trackers, values):
    """Folds values into their running means and returns the logs of this step.

    Args:
        trackers: What `means` returned.
        values: `{name: scalar}`, with exactly the same names. Of a vector each entry
            counts: a value per token weighs a batch by its tokens.

    Returns:
        `{name: mean so far this epoch}`.

    Raises:
        ValueError: If the names differ.
    """
    if trackers.keys() != values.keys():
        raise ValueError(f"Expected {sorted(trackers)}, received {sorted(values)}.")
    for name, value in values.items():
        trackers[name].update_state(value)
    return {name: tracker.result() for name, tracker in trackers.items()}


def in_parts(function, *inputs, rows=500):
    """Applies a function to some rows after others: memory does not grow with all.

    Args:
        function: Of as many tensors as there are inputs; returns one.
        *inputs: Arrays or tensors of equally many rows.
        rows: At once.

    Returns:
        What `function` would return for all rows.
    """
    starts = range(0, max(1, len(inputs[0])), rows)
    parts = [function(*(x[start : start + rows] for x in inputs)) for start in starts]
    return tf.concat(parts, axis=0)
