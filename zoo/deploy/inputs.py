"""Chooses what an exported file is run on: real inputs, or drawn as a model says.

A file rounded to int8 takes the range of every value from inputs of its own, so they
must look like those it will meet, and must not be those it is compared on.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

#: Rows that files are compared on, where there are as many; as many calibrate int8.
ROWS = 200
#: Batches that an endpoint of fixed sizes is run on, where none are given: each is a
#: call of its own, and may be a whole search.
BATCHES = 32
#: Side of an image or length of a sentence that is drawn for an endpoint of any size.
SIDE = 32
#: Real rows that int8 needs of every input: half to calibrate, half to compare.
FEWEST = 8


class Cases(NamedTuple):
    """What one endpoint is run on; batches are `{input name: array}` each.

    Attributes:
        compared: Batches that a file is compared on with the model.
        calibrating: Others, of which int8 takes its value ranges; empty if there are
            none that show them.
        stand_ins: Names of the inputs that nobody gave or said how to draw, and for
            which anything of the right shape and type stands.
        rows: Different rows among those compared.
    """

    compared: list
    calibrating: list
    stand_ins: tuple
    rows: int


def cases(specs, examples, distributions, calibrate):
    """Returns the `Cases` of one endpoint.

    One that takes any number of rows gets them as one batch, one of fixed sizes as many
    batches as they fill.

    Args:
        specs: `tf.TensorSpec` of each input, rows first.
        examples: `{input name: array}`, real ones. Rows of the same place belong
            together, such as an image and its label.
        distributions: `{input name: function of (generator, shape)}`, for those that
            have none.
        calibrate: Whether to set rows apart for that.
    """
    rng = np.random.default_rng(0)
    given = [len(examples[spec.name]) for spec in specs if spec.name in examples]
    if given and not min(given):
        raise ValueError(
            f"Examples have rows. Received none of {[s.name for s in specs]}."
        )
    most = ROWS
    if specs[0].shape[0] and not given:
        most = BATCHES * max(spec.shape[0] for spec in specs)
    count = min([(1 + calibrate) * most, *given])
    stand_ins = tuple(
        spec.name
        for spec in specs
        if spec.name not in examples and spec.name not in distributions
    )
    columns = {}
    for spec in specs:
        draw = distributions.get(spec.name, stand_in(spec))
        if spec.name in examples:
            values = np.asarray(examples[spec.name])[:count]
        else:
            sides = [SIDE if n is None else n for n in spec.shape[1:]]
            values = np.asarray(draw(rng, (count, *sides)))
        columns[spec.name] = values.astype(spec.dtype.as_numpy_dtype)
    order = np.arange(count)
    calibrate = calibrate and not stand_ins and count >= FEWEST
    if calibrate:  # whatever the order of the examples, both halves are like all
        order = np.random.default_rng(0).permutation(count)
    compared = order[count // 2 :] if calibrate else order[:most]
    calibrating = order[: count // 2] if calibrate else order[:0]
    return Cases(
        _batches(specs, columns, compared),
        _batches(specs, columns, calibrating),
        stand_ins,
        len(compared),
    )


def stand_in(spec):
    """Returns what draws anything of a type, as a distribution does."""
    if spec.dtype == tf.string:
        return lambda rng, shape: np.array([f"example {i}" for i in range(shape[0])])
    if spec.dtype.is_integer:
        return lambda rng, shape: rng.integers(4, size=shape)
    return lambda rng, shape: rng.random(shape)


def _batches(specs, columns, rows):
    """Returns the batches that rows of the columns make; few are repeated."""
    if not len(rows):
        return []
    sizes = {spec.name: spec.shape[0] or len(rows) for spec in specs}
    count = max(1, len(rows) // max(sizes.values()))
    return [
        {
            name: values[rows[np.arange(index * size, (index + 1) * size) % len(rows)]]
            for name, values in columns.items()
            for size in [sizes[name]]
        }
        for index in range(count)
    ]
