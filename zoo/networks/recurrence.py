"""Recurrent cells, and `scan`, which runs them over time."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

# -------------------------------------------------------------------- recurrent cells


def lstm(product, inputs, state):
    """Takes one step of a long short-term memory.

    Args:
        product: Multiplies its argument with the cell's next matrix, and adds to it
            what does not depend on this layer's past.
        inputs: List of `(..., width)`, what this step reads beside that.
        state: `(hidden, memory)`, each `(..., units)`.

    Returns:
        The next state; its first entry is the output.
    """
    hidden, memory = state
    gates = product(tf.concat([*inputs, hidden], axis=-1))  # (..., 4 * units)
    write, forget, new, show = tf.split(gates, 4, axis=-1)  # (..., units) each
    # A sum, not a product with a matrix: where the forget gate is open, the gradient
    # passes it unchanged, over any number of steps.
    memory = tf.sigmoid(forget) * memory + tf.sigmoid(write) * tf.tanh(new)
    return tf.sigmoid(show) * tf.tanh(memory), memory


def gru(product, inputs, state):
    """Takes one step of a gated recurrent unit; arguments as for `lstm`."""
    (hidden,) = state
    gates = tf.sigmoid(product(tf.concat([*inputs, hidden], axis=-1)))
    reset, update = tf.split(gates, 2, axis=-1)  # (..., units) each
    # The reset gate is before the product, as in the paper, so that this one waits for
    # the first; Keras' default has it behind.
    new = tf.tanh(product(tf.concat([*inputs, reset * hidden], axis=-1)))
    return (update * hidden + (1.0 - update) * new,)


class Cell(NamedTuple):
    """What the networks must know of a cell: its gates decide all sizes."""

    step: callable
    gates: tuple  #: gates that each of its products computes
    states: int  #: vectors that it carries from step to step

    def bias(self, shape, dtype=None):
        """Initialises biases: 0, but 1 where an LSTM would forget at first."""
        bias = np.zeros(shape)  # (gates * units,)
        if self.step is lstm:  # the second gate: Jozefowicz et al. 2015, section 2.2
            bias[shape[0] // 4 : shape[0] // 2] = 1.0
        return tf.constant(bias, dtype)


CELLS = {"lstm": Cell(lstm, (4,), 2), "gru": Cell(gru, (2, 1), 1)}


def scan(step, weights, offsets, states, constants, training):
    """Runs a recurrence over time, fast in both directions.

    All that a step multiplies with weights goes through products `offsets[k][time] +
    x @ weights[k]`. So a gradient of the weights need not be summed up step by step,
    which costs as much as the recurrence itself: back-propagation through the loop
    yields that of the offsets, and one product with all inputs `x` that of the weights.

    Args:
        step: `(product, states, constants) -> (states, output)`, where `product(x)`
            uses the matrices one after the other, each once.
        weights: List of `(inputs, outputs)` matrices, or of equal stacks of them.
        offsets: As many, each `(time, ..., batch, outputs)`.
        states: Tuple of tensors before the first step.
        constants: Tuple of tensors, the same in all steps.
        training: Whether gradients will be asked for.

    Returns:
        The outputs, `(time, ...)`.
    """
    nested = (tuple(offsets), tuple(states), tuple(constants))
    if not training:
        return _loop(step, weights, *nested, record=False)[0]
    count = len(weights)

    @tf.custom_gradient
    def run(*tensors):
        # Hidden from the tape outside: seen by two, a loop would keep all it computes.
        tensors = [tf.stop_gradient(tensor) for tensor in tensors]
        weights, others = tensors[:count], tensors[count:]
        # A persistent tape would count as two; in a graph, gradients are taken once.
        with tf.GradientTape(persistent=tf.executing_eagerly()) as tape:
            tape.watch(others)
            parts = tf.nest.pack_sequence_as(nested, others)
            output, *inputs = _loop(step, weights, *parts, record=True)

        def gradient(upstream):
            found = tape.gradient(
                output, others, upstream, unconnected_gradients="zero"
            )
            # One product over all steps for each matrix, instead of a sum over steps.
            pairs = zip(inputs, found, strict=False)  # gradients of offsets come first
            return [*(_of_weights(*pair) for pair in pairs), *found]

        return output, gradient

    return run(*weights, *tf.nest.flatten(nested))


def _of_weights(inputs, gradients):
    """Returns the gradient of a matrix, or of a stack of them, given its products'.

    Args:
        inputs: `(time, ..., batch, inputs)`, what it was multiplied with.
        gradients: `(time, ..., batch, outputs)`, of the products.
    """
    if len(inputs.shape) > 3:  # one by one: a batched product must first transpose
        sides = (tf.unstack(side, axis=1) for side in (inputs, gradients))
        return tf.stack([_of_weights(*pair) for pair in zip(*sides, strict=True)])
    # (time * batch, inputs)' times (time * batch, outputs)
    flat = (tf.reshape(side, (-1, side.shape[-1])) for side in (inputs, gradients))
    return tf.matmul(*flat, transpose_a=True)  # (inputs, outputs)


def _loop(step, weights, offsets, states, constants, record):
    """Returns the outputs and, if asked to record, the inputs of every product."""
    time = offsets[0].shape[0] or tf.shape(offsets[0])[0]
    dtype = offsets[0].dtype
    apply = [_affine(matrix, constant=record) for matrix in weights]
    # A step reads (..., batch, outputs) of each offset.
    read = [tf.TensorArray(dtype, time).unstack(part) for part in offsets]
    # As integers, which have no gradient: of floats the loop's would add up zeros.
    bits = {2: tf.uint16, 4: tf.int32, 8: tf.int64}[dtype.size]
    written = [tf.TensorArray(dtype, time)]
    written += [tf.TensorArray(bits, time) for _ in weights if record]

    def body(now, states, written):
        inputs = []

        def product(x):
            index = len(inputs)
            inputs.append(x)
            return apply[index](x, read[index].read(now))

        states, output = step(product, states, constants)
        values = [output, *(tf.bitcast(x, bits) for x in inputs if record)]
        written = [a.write(now, v) for a, v in zip(written, values, strict=True)]
        return now + 1, states, written

    _, _, written = tf.while_loop(
        lambda now, *_: now < time, body, (0, states, written)
    )
    output, *inputs = (array.stack() for array in written)  # (time, ...) each
    return [output, *(tf.bitcast(x, dtype) for x in inputs)]


def _affine(weights, constant):
    """Returns `(x, offset) -> x @ weights + offset`; `constant` ones get no gradient.

    A product with a transposed matrix packs it anew at each step; this one does once.
    """
    if not constant:
        return lambda x, offset: tf.matmul(x, weights) + offset
    transposed = tf.linalg.matrix_transpose(weights)

    @tf.custom_gradient
    def apply(x, offset):
        return tf.matmul(x, weights) + offset, lambda g: (tf.matmul(g, transposed), g)

    return apply


def multiply(vectors, matrix):
    """Returns `(..., inputs)` times `(inputs, outputs)`, all rows in one product.

    The gradient of `tf.matmul` would make a matrix for each entry of the first axis and
    add them up: a quarter of a training step.
    """
    return tf.tensordot(vectors, matrix, axes=1)
