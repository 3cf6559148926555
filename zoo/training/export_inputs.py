"""How the inputs of an exported function are distributed, where they can be drawn.

A model's `export_inputs()` names one of these for each input that needs no data, such
as noise. Each is a function of a `numpy.random.Generator` and a shape.
"""

import numpy as np


def normal(rng, shape):
    """Samples standard normal numbers: the noise of a generator, the code of a VAE."""
    return rng.standard_normal(shape)


def uniform(rng, shape):
    """Samples from [0, 1), what picks a component of a mixture."""
    return rng.random(shape)


def one_hot(rng, shape):
    """Samples classes, all as likely; rows of a 1 among zeros."""
    return np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]


def token_ids(vocabulary):
    """Returns what samples ids of a vocabulary's pieces, an end (3) behind them.

    Args:
        vocabulary: A `zoo.text.vocabulary.Vocabulary`.
    """

    def sample(rng, shape):
        ids = rng.integers(4, max(len(vocabulary), 5), size=shape)
        if len(shape) > 1:  # (batch, time): sentences
            ids[:, -1] = 3
        return ids

    return sample
