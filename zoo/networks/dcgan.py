"""Generators and discriminators that several adversarial models share.

Radford et al. 2015 (DCGAN), "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", https://arxiv.org/abs/1511.06434, for
images; multi-layer perceptrons for points. Each family has

    generator(input_dim, shape)   vector -> example
    trunk(shape)                  example -> features
    head(outputs, name)           features -> logits: the layer that a model adds itself

Networks of one's own subclass `Networks`, write the first two and inherit the rest; a
model with them can be saved once their class is registered with Keras.

Images are in [0, 1] outside of a network, and in [-1, 1] inside, as in the paper.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo.networks.layers import (
    LeakyReLU,
    SpectralConv2D,
    SpectralDense,
    batch_normalization,
)
from zoo.training.registry import register

NORMALIZATIONS = ("batch", "spectral", "none")


class Networks:
    """What all families share: how the discriminator is normalized, and its last layer.

    Args:
        widths: Channels or units of each stage, from the example inwards.
        normalization: Of the discriminator: `"batch"`, which lets real and fake
            examples not share a batch; `"spectral"`; or `"none"`.

    Raises:
        ValueError: If an argument is not one of the above.
    """

    def __init__(self, widths, normalization):
        if normalization not in NORMALIZATIONS or not widths or min(widths) < 1:
            raise ValueError(
                f"`normalization` is one of {', '.join(NORMALIZATIONS)}, and `widths` "
                "one positive count per stage. Received "
                f"normalization={normalization!r}, widths={tuple(widths)}."
            )
        self.widths = tuple(widths)
        self.normalization = normalization

    @property
    def has_batch_statistics(self):
        """Whether a logit depends on the other examples of the batch."""
        return self.normalization == "batch"

    def on_each(self, network, batches):
        """Returns the outputs of a network of this family on each of several batches.

        Training all in one, which is faster, unless batch statistics would mix them.

        Args:
            network: Keras model with one output.
            batches: List of inputs of equal counts, each what `network` takes.

        Returns:
            List of as many outputs.
        """
        if self.has_batch_statistics:
            return [network(batch, training=True) for batch in batches]
        joined = tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *batches)
        return tf.split(network(joined, training=True), len(batches))

    def head(self, outputs, name, use_bias=True):
        """Returns the discriminator's last layer, float32 under any policy."""
        layer = SpectralDense if self.normalization == "spectral" else layers.Dense
        return layer(outputs, use_bias=use_bias, dtype="float32", name=name)

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {"widths": self.widths, "normalization": self.normalization}

    @classmethod
    def from_config(cls, config):
        """Returns what `get_config` described."""
        return cls(**config)


@register
class DCGAN(Networks):
    """Transposed convolutions up to an image, strided ones down from it.

    Each stage halves both sides, rounding up, and the generator crops what that added:
    images of any size fit. Two stages suit 28 pixels, four 64, five 128. The generator
    is always batch normalized.
    """

    def __init__(self, widths=(64, 128), normalization="batch"):
        super().__init__(widths, normalization)

    def generator(self, input_dim, shape):
        """Maps `(batch, input_dim)` vectors to `(batch, *shape)` images in [0, 1]."""
        if len(shape) != 3:
            raise ValueError(
                "DCGAN makes images: `shape` is (height, width, channels). For points "
                f"pass networks=MLP(...). Received shape={tuple(shape)}."
            )
        height, width, channels = shape
        shrink = 2 ** len(self.widths)
        small = (-(-height // shrink), -(-width // shrink), self.widths[-1])
        paper = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}

        latents = keras.Input((input_dim,), name="latents")
        x = layers.Dense(int(np.prod(small)), use_bias=False, **paper)(latents)
        x = layers.Reshape(small)(x)
        for count in (*reversed(self.widths[:-1]), channels):
            x = layers.ReLU()(batch_normalization()(x))
            x = layers.Conv2DTranspose(count, 4, strides=2, padding="same", **paper)(x)
        extra = [(0, x.shape[1] - height), (0, x.shape[2] - width)]
        if extra != [(0, 0), (0, 0)]:
            x = layers.Cropping2D(extra)(x)
        # The sigmoid of 2x is the paper's tanh of x, moved from [-1, 1] to [0, 1].
        images = layers.Rescaling(2.0, dtype="float32")(x)
        images = layers.Activation("sigmoid", dtype="float32")(images)
        return keras.Model(latents, images, name="generator")

    def trunk(self, shape):
        """Maps `(batch, *shape)` images in [0, 1] to `(batch, features)`."""
        images = keras.Input(shape, name="images")
        x = layers.Rescaling(2.0, offset=-1.0)(images)
        for stage, count in enumerate(self.widths):
            x = self._convolution(count)(x)
            # Never on raw pixels: section 3, "batchnorm to all layers...".
            if self.normalization == "batch" and stage > 0:
                x = batch_normalization()(x)
            x = LeakyReLU()(x)
        return keras.Model(images, layers.Flatten()(x), name="trunk")

    def _convolution(self, count):
        settings = {"kernel_size": 4, "strides": 2, "padding": "same"}
        if self.normalization == "spectral":
            return SpectralConv2D(count, **settings)
        if self.normalization == "batch":  # else 0.02 would shrink the signal
            settings["kernel_initializer"] = keras.initializers.RandomNormal(
                stddev=0.02
            )
        return layers.Conv2D(count, **settings)


@register
class MLP(Networks):
    """Fully connected networks, for points and for whoever wants images without shape.

    Args:
        widths: Units of each hidden layer.
        normalization: As in `Networks`.
        bounded: Whether examples are images in [0, 1], which a sigmoid ensures, or
            points anywhere.
    """

    def __init__(self, widths=(128, 128), normalization="none", bounded=False):
        super().__init__(widths, normalization)
        self.bounded = bounded

    def generator(self, input_dim, shape):
        """Maps `(batch, input_dim)` vectors to `(batch, *shape)` examples."""
        latents = keras.Input((input_dim,), name="latents")
        x = latents
        for units in reversed(self.widths):
            x = layers.Dense(units, activation="relu")(x)
        activation = "sigmoid" if self.bounded else None
        x = layers.Dense(int(np.prod(shape)), activation, dtype="float32")(x)
        examples = layers.Reshape(shape, dtype="float32")(x)
        return keras.Model(latents, examples, name="generator")

    def trunk(self, shape):
        """Maps `(batch, *shape)` examples to `(batch, features)`."""
        examples = keras.Input(shape, name="examples")
        x = layers.Flatten()(examples)
        for units in self.widths:
            spectral = self.normalization == "spectral"
            x = (SpectralDense if spectral else layers.Dense)(units)(x)
            if self.normalization == "batch":
                x = batch_normalization()(x)
            x = LeakyReLU()(x)
        return keras.Model(examples, x, name="trunk")

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "bounded": self.bounded}


def check_networks(networks):
    """Refuses what is no family of networks.

    Raises:
        ValueError: If it is no object of a subclass of `Networks`.
    """
    if not isinstance(networks, Networks):
        raise ValueError(
            "`networks` is an object of a subclass of `zoo.networks.dcgan.Networks`, "
            f"such as DCGAN(). Received: {networks!r}."
        )
