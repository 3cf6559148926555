"""Noise that differs by step and by replica, and the states of what draws it."""

import tensorflow as tf


def next_seed(seed_generator):
    """Returns a seed for `tf.random.stateless_*`, new at every step and replica.

    Keras' own draws repeat on all replicas, which halves the noise of two of them.

    Args:
        seed_generator: A `keras.random.SeedGenerator`, advanced by one draw.

    Returns:
        `(2,)` integer tensor.
    """
    seed = seed_generator.next()  # (2,): the generator's seed, and a counter
    context = tf.distribute.get_replica_context()
    if context is not None:
        # The same seed and counter on all; the replica's number tells them apart.
        replica = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        seed += tf.stack([replica, tf.zeros_like(replica)])
    return seed


def normal(shape, seed_generator):
    """Draws standard normal noise, different in every step and on every replica.

    Args:
        shape: Of the result; may hold scalar tensors.
        seed_generator: A `keras.random.SeedGenerator`, advanced by one draw.

    Returns:
        float32 tensor of `shape`.
    """
    return tf.random.stateless_normal(shape, next_seed(seed_generator))


def uniform(shape, seed_generator):
    """Draws from [0, 1) as `normal` draws."""
    return tf.random.stateless_uniform(shape, next_seed(seed_generator))


def random_states(model):
    """Returns the states of all random generators inside a model, in a fixed order.

    A `.keras` file leaves them out, so a resumed run would repeat old noise.
    """
    return [v for v in model.variables if v.name == "seed_generator_state"]


def reseed(model, seed):
    """Restarts all random generators inside a model, so that a measurement repeats."""
    for state in random_states(model):
        state.assign([seed, 0])
