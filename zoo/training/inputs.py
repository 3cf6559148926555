"""What users hand to a model, understood or refused in a sentence.

`look` is for what is in memory, before anything is spent; `guard` for each batch inside
the compiled step; `one_hot` for labels in either place. XLA drops assertions: there a
refused batch becomes NaN, hence the loss, which `StopAtNaN` names with its step.
"""

import contextlib
import re

import keras
import numpy as np
import tensorflow as tf

#: How far images may leave [0, 1]: rounding and resizing, not another range.
SLACK = 1e-3
#: Begins what `plainly` looks for in TensorFlow's report of a failed assertion.
MARK = "zoo: "


def look(examples, shape):
    """Checks examples as far as they are known now, and returns them as they are.

    Args:
        examples: Array, tensor, or a tensor of a graph, whose values nobody knows yet.
        shape: Of an example; of three numbers it is an image's, with values in [0, 1].

    Raises:
        ValueError: If they are of another kind or shape, or their values are NaN or
            out of range.
    """
    if isinstance(examples, keras.KerasTensor):
        return examples
    array = check_kind(examples, shape)
    if tf.is_tensor(array) and not hasattr(array, "numpy"):
        return examples
    values = np.asarray(array)
    if values.size:
        least, most = float(np.min(values)), float(np.max(values))  # NaN goes through
        low, high = limits(shape)
        if not low <= least <= most <= high:
            raise ValueError(
                f"{range_of(shape)} Received values from {least:.4g} to {most:.4g}."
            )
    return examples


def guard(examples, shape):
    """Returns a training batch of examples as float32, checked when the step runs.

    Args:
        examples: `(batch, *shape)`.
        shape: Of an example, as of `look`.

    Raises:
        ValueError: If they are of another kind or shape, now; for a value that is NaN
            or out of range, from `fit`, see `plainly`.
    """
    examples = tf.cast(check_kind(examples, shape), tf.float32)
    low, high = limits(shape)
    fine = tf.reduce_all((examples >= low) & (examples <= high))  # NaN is neither
    received = lambda: [  # noqa: E731  only of a batch that is refused
        "Received values from",
        tf.reduce_min(examples),
        "to",
        tf.reduce_max(examples),
    ]
    return enforce(fine, examples, range_of(shape), received)


def check_kind(examples, shape):
    """Refuses what is no array of floats of a shape; returns it as an array."""
    if isinstance(examples, dict):
        raise ValueError(
            "Give arrays or tensors, `fit(images)` or `fit(images, labels)`; of "
            "TensorFlow Datasets, `tfds.load(..., as_supervised=True)`. Received a "
            f"dictionary of {', '.join(map(str, examples))}."
        )
    if isinstance(examples, (list, tuple)) or not hasattr(examples, "dtype"):
        raise ValueError(
            "Give one array of all examples: `np.stack(images)` makes one of a list. "
            f"Received: {type(examples).__name__}."
        )
    dtype = str(getattr(examples.dtype, "name", examples.dtype)).split(".")[-1]
    if "float" not in dtype:
        raise ValueError(
            "Examples are floats: images in [0, 1], as `zoo.data.images.batches` gives "
            f"them, or divided by 255. Received: {dtype}."
        )
    found = tf.TensorShape(examples.shape)
    if not found.is_compatible_with([None, *shape]):
        hint = ""
        if len(shape) == 3:
            hint = "; a grey image has one channel, `x[..., None]`"
        if found.rank == len(shape) and found.is_compatible_with(shape):
            hint = "; batch the data set, or give one example as `x[None]`"
            raise ValueError(
                f"Examples are of shape {tuple(shape)}{hint}. Received one alone."
            )
        received = tuple(found[1:]) if found.rank else found
        raise ValueError(
            f"Examples are of shape {tuple(shape)}{hint}. Received: {received}."
        )
    return examples


def limits(shape):
    """Returns the least and the largest value of an example: points have any."""
    if len(shape) == 3:
        return -SLACK, 1.0 + SLACK
    largest = float(np.finfo("float32").max)
    return -largest, largest


def range_of(shape):
    """Returns the sentence that `limits` stand for."""
    if len(shape) == 3:
        return (
            "Images are in [0, 1]: divide bytes by 255, map [-1, 1] by (x + 1) / 2, "
            "and leave out NaN."
        )
    return "Examples are finite numbers: leave out NaN and infinity."


def one_hot(labels, classes, vectors=False):
    """Returns labels as `(batch, classes)` float32 rows, whatever form they have.

    Understood are `(batch,)` and `(batch, 1)` whole numbers of any dtype, floats too,
    and `(batch, classes)` rows of any dtype.

    Args:
        labels: Array or tensor.
        classes: Number of classes.
        vectors: Whether rows may hold any finite numbers, as conditions do; else they
            are one-hot, or shares of the classes that sum to 1.

    Raises:
        ValueError: If they are of another form, or in memory and none of the classes;
            for those of a graph, from `fit`, see `plainly`.
    """
    rows = "vectors" if vectors else "rows that sum to 1"
    words = (
        f"Labels run from 0 to {classes - 1}, a whole number for each example, or are "
        f"(batch, {classes}) {rows}."
    )
    if labels is None or isinstance(labels, dict):
        received = "examples alone" if labels is None else f"a dictionary: {[*labels]}"
        raise ValueError(
            "Train and measure on pairs of examples and labels: fit(images, labels). "
            f"{words} Received {received}."
        )
    if not tf.is_tensor(labels):
        labels = np.asarray(labels)
        if labels.dtype.kind not in "biuf":
            raise ValueError(
                f"{words} Number names by `np.unique(names, return_inverse=True)`. "
                f"Received: dtype {labels.dtype}."
            )
    labels = tf.convert_to_tensor(labels)
    shape, dtype = labels.shape, labels.dtype
    numbers = dtype.is_integer or dtype.is_floating or dtype == tf.bool
    wide = shape.rank == 2 and shape[1] == classes
    narrow = shape.rank == 1 or (shape.rank == 2 and shape[1] == 1)
    if not numbers or not (wide or narrow):
        text = dtype == tf.string
        hint = " Number names by `keras.layers.StringLookup`." if text else ""
        raise ValueError(f"{words}{hint} Received: shape {shape}, dtype {dtype.name}.")
    if wide:
        found = tf.cast(labels, tf.float32)  # (batch, classes)
        known = tf.reduce_all(tf.math.is_finite(found), axis=1)  # (batch,)
        if not vectors:
            sums = tf.reduce_sum(found, axis=1)  # (batch,)
            known &= tf.reduce_all(found >= 0.0, axis=1) & (tf.abs(sums - 1.0) < SLACK)
    else:
        labels = tf.reshape(labels, [-1])  # (batch,)
        numbers = tf.cast(labels, tf.float64 if dtype.is_floating else tf.int64)
        known = (numbers >= 0) & (numbers < classes)  # NaN is neither
        if dtype.is_floating:
            known &= numbers == tf.round(numbers)
        # Of an unknown one any row: it is not used.
        found = tf.one_hot(tf.cast(tf.where(known, numbers, 0), tf.int64), classes)
    if tf.executing_eagerly():
        if not bool(tf.reduce_all(known)):
            unknown = np.asarray(tf.boolean_mask(labels, ~known))
            unknown = np.unique(unknown, axis=0)[:5].tolist()
            raise ValueError(f"{words} Received: {', '.join(map(str, unknown))}.")
        return found
    if wide and vectors:
        return found  # exported, too, where no assertion belongs; NaN shows in the loss

    def received():
        return ["Received:", tf.boolean_mask(labels, ~known)]

    return enforce(tf.reduce_all(known), found, words, received)


def enforce(fine, values, words, received):
    """Returns `values` of a graph once a condition was seen to hold.

    Args:
        fine: Boolean scalar.
        values: Floats, to be used only if it is true; compiled by XLA, NaN if not.
        words: What to say otherwise.
        received: Function of nothing to what else to say, a list of strings and
            tensors.
    """
    if tf.executing_eagerly() and not bool(fine):
        parts = [
            part if isinstance(part, str) else f"{np.asarray(part).tolist()}"
            for part in received()
        ]
        raise ValueError(" ".join([words, *parts]) + ".")

    def refuse():
        return tf.debugging.Assert(False, [MARK + words, *received()])

    with tf.control_dependencies([tf.cond(fine, tf.no_op, refuse)]):
        return tf.where(fine, values, np.nan)


class Place(keras.callbacks.Callback):
    """Remembers where a training is; of several steps at once, the first."""

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Remembers the step."""
        self.batch = batch

    def __str__(self):
        at_once = self.model.steps_per_execution
        last = f" to {self.batch + at_once}" if at_once > 1 else ""
        return f" (epoch {self.epoch + 1}, step {self.batch + 1}{last})"


@contextlib.contextmanager
def plainly(place=""):
    """Turns TensorFlow's page about a failed check of this module into its sentence.

    Args:
        place: Of a training, to be named.

    Raises:
        ValueError: In place of it, with the step.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        pattern = rf"\[{MARK}(.*?)\]\s*(?:\n|\[\[|$)"
        found = re.search(pattern, str(error), flags=re.DOTALL)
        if not found:
            raise
        sentence = " ".join(found[1].split("] ["))
        raise ValueError(f"{sentence}{place}.") from None


def form(*data):
    """Returns the shapes of what is to be iterated over, without the batch.

    Equal forms can share a compiled step. TensorFlow would let others share one too, by
    a shape nobody knows any more, in which `(batch, 1)` and `(batch,)` are the same.
    """

    def of(one):
        if one is None:
            return None
        if hasattr(one, "element_spec"):
            return tuple(str(spec) for spec in tf.nest.flatten(one.element_spec))
        if hasattr(one, "shape"):
            return tuple(one.shape[1:])
        if isinstance(one, (list, tuple)) and all(hasattr(x, "shape") for x in one):
            return tuple(map(of, one))
        return object()  # a generator: like nothing before

    return tuple(map(of, data))
