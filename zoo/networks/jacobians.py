"""How far a recurrent cell carries what it knows: products of its Jacobians."""

import numpy as np
import tensorflow as tf


def singular_values(cell, x):
    """Returns the extreme singular values of the state's Jacobian after each step.

    The gradient of a loss after `t` steps with respect to the first state is its
    gradient with respect to the last one times this product of `t` Jacobians.

    Args:
        cell: A Keras recurrent cell; of an LSTM the memory counts, its last state.
        x: `(steps, width)`, what it reads from a state of zeros on.

    Returns:
        `(steps, 2)`: the largest and the smallest.

    Source:
        Pascanu et al. 2013, https://arxiv.org/abs/1211.5063, section 2.
    """
    states = cell.get_initial_state(1)
    count = len(states) if isinstance(states, list) else 1
    flat, found = tf.zeros((1, count * cell.units), tf.float64), []

    @tf.function
    def step(row, flat):
        with tf.GradientTape() as tape:
            tape.watch(flat)
            _, after = cell(row[None], tf.split(flat, count, axis=1))
            after = tf.concat(after, axis=-1)  # (1, count * units)
        return after, tape.batch_jacobian(after, flat)[0]  # (count * units, the same)

    product = np.eye(count * cell.units)
    for row in tf.constant(x):
        flat, jacobian = step(row, flat)
        product = jacobian.numpy() @ product
        block = product[-cell.units :, -cell.units :]  # (units, units)
        found.append(np.linalg.svd(block, compute_uv=False)[[0, -1]])
    return np.array(found)
