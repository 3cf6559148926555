"""Running averages of networks."""

import keras
import tensorflow as tf

from zoo.training.registry import number


class Average(keras.Model):
    """A network whose weights are the running average of another network's.

    The weights of two players circle around their game's solution, and those of any
    training by batches jitter around theirs; their average lies closer to it. It is
    called as the network is, and a model may hold any number of them:

        self.averaged_generator = Average(self.generator, decay=0.999)
        ...
        self.averaged_generator.update(self.generator_optimizer.iterations)

    Batch statistics are averaged too, so that they belong to the averaged weights.

    Args:
        network: Functional `keras.Model` to follow. It is looked at, not held: it is
            saved, counted and trained where it belongs.
        decay: From above 0 to below 1: the memory is about `1 / (1 - decay)` steps.

    Raises:
        ValueError: If `decay` is out of that range.

    Source:
        Polyak & Juditsky 1992, https://doi.org/10.1137/0330046; of a generator, Yazici
        et al. 2019, https://arxiv.org/abs/1806.04498, section 3.
    """

    def __init__(self, network, decay):
        if not 0 < number(decay) < 1:
            raise ValueError(
                f"`ema` is a decay from 0 to below 1. Received {decay}. 0 keeps no "
                "average: then make none."
            )
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        # As a functional model of its own it is stored layer by layer, like `network`.
        super().__init__(copy.input, copy.output, name=network.name)
        self.trainable = False
        self.decay = decay
        # In a function Keras does not look for layers.
        self.followed = lambda: network.variables

    def update(self, step):
        """Moves the average towards the network, after each step of its training.

        Args:
            step: Steps that the network has taken, this one included. The first ones
                weigh more: a start at random is soon forgotten.
        """
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for mean, value in zip(self.variables, self.followed(), strict=True):
            share = tf.cast(1.0 - decay, mean.dtype)
            mean.assign_add(share * (value - mean))
