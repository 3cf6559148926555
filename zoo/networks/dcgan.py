"""Generators and discriminators that several adversarial models share.

Radford et al. 2015 (DCGAN), "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", https://arxiv.org/abs/1511.06434, for
images; multi-layer perceptrons for points. A family is a small object that makes
functional `keras.Model`s:

    generator(input_dim, image_shape)       vector -> example
    discriminator(image_shape, ...)         example -> logits
    trunk(image_shape)                      example -> features: its first part
    head(outputs, name)                     features -> logits: its last layer

Networks of one's own subclass `Networks`, write `generator` and `trunk` and inherit the
rest; a model with them can be saved once their class is registered with Keras. Logits
are `(batch, ...)`: a trunk that ends in a map, `(batch, rows, columns, channels)`,
makes a discriminator that judges each place by itself.

Images are in [0, 1] outside of a network, and in [-1, 1] inside, as in the paper.
"""

import dataclasses

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
from zoo.training.registry import Settings, check_counts, positive, register

NORMALIZATIONS = ("batch", "spectral", "none")


@dataclasses.dataclass(frozen=True)
class Networks(Settings):
    """What all families share: how the discriminator is normalized, and its last layer.

    Args:
        widths: Channels or units of each stage, from the example inwards.
        normalization: Of the discriminator: `"batch"`, which lets real and fake
            examples not share a batch; `"spectral"`; or `"none"`.

    Raises:
        ValueError: If an argument is not one of the above.
    """

    widths: tuple
    normalization: str

    def __post_init__(self):
        super().__post_init__()
        known = self.normalization in NORMALIZATIONS
        if not known or not self.widths or not all(map(positive, self.widths)):
            raise ValueError(
                f"`normalization` is one of {', '.join(NORMALIZATIONS)}, and `widths` "
                "one positive count per stage. Received "
                f"normalization={self.normalization!r}, widths={self.widths}."
            )

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
        # An input may be a pair, such as examples and their conditions.
        joined = tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *batches)
        return tf.split(network(joined, training=True), len(batches))

    def discriminator(self, image_shape, name="discriminator", use_bias=True):
        """Maps `(batch, *image_shape)` examples to `(batch, ..., 1)` float32 logits."""
        trunk = self.trunk(image_shape)
        logits = self.head(1, "logits", use_bias)(trunk.output)
        return keras.Model(trunk.input, logits, name=name)

    def head(self, outputs, name, use_bias=True):
        """Returns the discriminator's last layer, float32 under any policy.

        On a map it is applied to each place, which makes it a 1x1 convolution.
        """
        layer = SpectralDense if self.normalization == "spectral" else layers.Dense
        return layer(outputs, use_bias=use_bias, dtype="float32", name=name)


@register
@dataclasses.dataclass(frozen=True)
class DCGAN(Networks):
    """Transposed convolutions up to an image, strided ones down from it.

    Each stage halves both sides, rounding up, and the generator crops what that added:
    images of any size fit. Two stages suit 28 pixels, four 64, five 128. The generator
    is always batch normalized. Arguments are those of `Networks`.
    """

    widths: tuple = (64, 128)
    normalization: str = "batch"

    def generator(self, input_dim, image_shape):
        """Maps `(batch, input_dim)` vectors to `(batch, *image_shape)` in [0, 1]."""
        check_known(image_shape, "generator")
        height, width, channels = image_shape
        shrink = 2 ** len(self.widths)
        small = (-(-height // shrink), -(-width // shrink), self.widths[-1])
        paper = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}

        latents = keras.Input((input_dim,), name="latents")
        # No bias where batch normalization follows: it would subtract it again.
        x = layers.Dense(int(np.prod(small)), use_bias=False, **paper)(latents)
        x = layers.Reshape(small)(x)  # (batch, rows, columns, widths[-1])
        for count in (*reversed(self.widths[:-1]), channels):
            x = layers.ReLU()(batch_normalization()(x))
            # Both sides double. The last one makes pixels: no normalization after it.
            x = layers.Conv2DTranspose(count, 4, strides=2, padding="same", **paper)(x)
        extra = [(0, x.shape[1] - height), (0, x.shape[2] - width)]
        if extra != [(0, 0), (0, 0)]:
            x = layers.Cropping2D(extra)(x)  # (batch, height, width, channels)
        # The sigmoid of 2x is the paper's tanh of x, moved from [-1, 1] to [0, 1].
        images = layers.Rescaling(2.0, dtype="float32")(x)
        images = layers.Activation("sigmoid", dtype="float32")(images)
        return keras.Model(latents, images, name="generator")

    def convolutions(self, image_shape):
        """Maps images in [0, 1] to a map, `(batch, rows, columns, widths[-1])`.

        Height and width may be `None`, unknown. A subclass whose `trunk` returns this
        judges patches: one logit for each place.
        """
        images = keras.Input(image_shape, name="images")
        x = layers.Rescaling(2.0, offset=-1.0)(images)  # to [-1, 1]
        for stage, count in enumerate(self.widths):
            x = self._convolution(count)(x)  # both sides halve
            # Never on raw pixels: section 3, "batchnorm to all layers...".
            if self.normalization == "batch" and stage > 0:
                x = batch_normalization()(x)
            x = LeakyReLU()(x)
        return keras.Model(images, x, name="convolutions")

    def trunk(self, image_shape):
        """Maps `(batch, *image_shape)` images in [0, 1] to `(batch, features)`."""
        check_known(image_shape, "trunk")
        convolutions = self.convolutions(image_shape)
        # All places together: the head weighs each one, and judges the image whole.
        features = layers.Flatten()(convolutions.output)
        return keras.Model(convolutions.input, features, name="trunk")

    def _convolution(self, count):
        """Returns a layer that halves both sides."""
        settings = {"kernel_size": 4, "strides": 2, "padding": "same"}
        if self.normalization == "spectral":
            return SpectralConv2D(count, **settings)
        if self.normalization == "batch":  # else 0.02 would shrink the signal
            settings["kernel_initializer"] = keras.initializers.RandomNormal(
                stddev=0.02
            )
        return layers.Conv2D(count, **settings)


@register
@dataclasses.dataclass(frozen=True)
class MLP(Networks):
    """Fully connected networks, for points and for whoever wants images without shape.

    Args:
        widths: Units of each hidden layer.
        normalization: As in `Networks`.
        bounded: Whether examples are images in [0, 1], which a sigmoid ensures, or
            points anywhere.
    """

    widths: tuple = (128, 128)
    normalization: str = "none"
    bounded: bool = False

    def generator(self, input_dim, image_shape):
        """Maps `(batch, input_dim)` vectors to `(batch, *image_shape)` examples."""
        check_counts(image_shape=image_shape)
        latents = keras.Input((input_dim,), name="latents")
        x = latents
        for units in reversed(self.widths):
            x = layers.Dense(units, activation="relu")(x)  # (batch, units)
        activation = "sigmoid" if self.bounded else None
        x = layers.Dense(int(np.prod(image_shape)), activation, dtype="float32")(x)
        examples = layers.Reshape(image_shape, dtype="float32")(x)
        return keras.Model(latents, examples, name="generator")

    def trunk(self, image_shape):
        """Maps `(batch, *image_shape)` examples to `(batch, widths[-1])`."""
        check_counts(image_shape=image_shape)
        examples = keras.Input(image_shape, name="examples")
        x = layers.Flatten()(examples)  # (batch, all values of an example)
        for units in self.widths:
            spectral = self.normalization == "spectral"
            x = (SpectralDense if spectral else layers.Dense)(units)(x)
            if self.normalization == "batch":
                x = batch_normalization()(x)
            x = LeakyReLU()(x)
        return keras.Model(examples, x, name="trunk")


def check_known(image_shape, part):
    """Refuses what is no image, and sides that a dense layer would have to know.

    Raises:
        ValueError: If it is not three positive counts.
    """
    if len(image_shape) != 3 or not all(map(positive, image_shape)):
        raise ValueError(
            f"DCGAN makes images: its {part} needs an `image_shape` of known (height, "
            "width, channels). For points pass networks=MLP(...); to judge patches of "
            "images of any size, a subclass of DCGAN whose `trunk` is its "
            f"`convolutions`. Received image_shape={tuple(image_shape)}."
        )


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
