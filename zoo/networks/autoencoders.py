"""Encoders and decoders of images, convolutional and fully connected."""

import dataclasses

import keras
import numpy as np
from keras import layers

from zoo.training.registry import Settings, check_counts, register

# Keeps exp(-log_variance) finite in float32 however sure the encoder becomes.
LOG_VARIANCE_RANGE = (-12.0, 6.0)


def heads(x, latent_dim):
    """Ends an encoder: two dense layers, the second kept in a numerically safe range.

    In float32 under any policy: an exponential overflows half precision first.

    Args:
        x: `(batch, features)`.
        latent_dim: Length of a code.

    Returns:
        `(mean, log_variance)`, each `(batch, latent_dim)`.
    """
    mean = layers.Dense(latent_dim, dtype="float32", name="mean")(x)
    log_variance = layers.Dense(latent_dim, dtype="float32", name="log_variance")(x)
    return mean, keras.ops.clip(log_variance, *LOG_VARIANCE_RANGE)


@register
@dataclasses.dataclass(frozen=True)
class Convolutional(Settings):
    """Strided convolutions down to a small map, transposed ones back up.

    Args:
        widths: Channels of each stage, from the image inwards. Each stage halves
            both sides, rounding up; the decoder crops what that added, so images of
            any size fit.

    Raises:
        ValueError: If a width is not a positive count, or, when a network is made, if
            a side is unknown: a code is of the whole image.
    """

    renamed = {"filters": "widths"}

    widths: tuple = (32, 64)

    def __post_init__(self):
        super().__post_init__()
        check_counts(widths=self.widths)

    def encoder(self, image_shape, latent_dim):
        """Maps images to the means and log-variances of their codes."""
        check_counts(image_shape=image_shape)
        images = keras.Input(image_shape, name="images")
        x = images
        for count in self.widths:  # each time (rows / 2, columns / 2, count)
            x = layers.Conv2D(count, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.Flatten()(x)  # (batch, rows * columns * widths[-1])
        return keras.Model(images, heads(x, latent_dim), name="encoder")

    def decoder(self, image_shape, latent_dim):
        """Maps codes to one output per pixel; the mirror image of `encoder`."""
        check_counts(image_shape=image_shape)
        height, width, channels = image_shape
        sizes = [(height, width)]  # of the encoder's maps, from the image inwards
        for _ in self.widths:
            sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
        codes = keras.Input((latent_dim,), name="codes")
        smallest = (*sizes.pop(), self.widths[-1])
        x = layers.Dense(int(np.prod(smallest)), activation="relu")(codes)
        x = layers.Reshape(smallest)(x)  # (batch, rows, columns, widths[-1])
        for count in reversed(self.widths):  # each time (2 * rows, 2 * columns, count)
            x = layers.Conv2DTranspose(
                count, 3, strides=2, padding="same", activation="relu"
            )(x)
            # 7 became 4 on the way down and 8 on the way up: back to 7.
            wanted = sizes.pop()
            extra = [(0, x.shape[axis + 1] - wanted[axis]) for axis in (0, 1)]
            if extra != [(0, 0), (0, 0)]:
                x = layers.Cropping2D(extra)(x)
        # No activation: the likelihood says what an output means.
        outputs = layers.Conv2D(channels, 3, padding="same", dtype="float32")(x)
        return keras.Model(codes, outputs, name="decoder")


@register
@dataclasses.dataclass(frozen=True)
class Dense(Settings):
    """Fully connected networks, blind to which pixels are neighbours.

    Args:
        widths: Units of each hidden layer, from the image inwards; none makes both
            networks linear.
        gated: Multiplies each hidden layer by a sigmoid of a second one instead of
            taking a ReLU (Tomczak & Welling 2018, section 5).
    """

    renamed = {"units": "widths"}

    widths: tuple = (400,)
    gated: bool = False

    def hidden(self, x, units):
        """Applies one hidden layer."""
        if not self.gated:
            return layers.Dense(units, activation="relu")(x)
        gate = layers.Dense(units, activation="sigmoid")(x)
        return layers.Multiply()([layers.Dense(units)(x), gate])  # (batch, units)

    def encoder(self, image_shape, latent_dim):
        """Maps images to the means and log-variances of their codes."""
        check_counts(image_shape=image_shape)
        images = keras.Input(image_shape, name="images")
        x = layers.Flatten()(images)  # (batch, height * width * channels)
        for units in self.widths:
            x = self.hidden(x, units)
        return keras.Model(images, heads(x, latent_dim), name="encoder")

    def decoder(self, image_shape, latent_dim):
        """Maps codes to one output per pixel; the mirror image of `encoder`."""
        check_counts(image_shape=image_shape)
        codes = keras.Input((latent_dim,), name="codes")
        x = codes
        for units in reversed(self.widths):
            x = self.hidden(x, units)
        # No activation: the likelihood says what an output means.
        x = layers.Dense(int(np.prod(image_shape)), dtype="float32")(x)
        outputs = layers.Reshape(image_shape, dtype="float32")(x)
        return keras.Model(codes, outputs, name="decoder")


def check_networks(networks, image_shape):
    """Refuses what makes no encoder and decoder of images.

    Raises:
        ValueError: If it is no object with both methods, but a name or a class, or if
            the shape is not of an image.
    """
    if len(image_shape) != 3:
        raise ValueError(
            f"Images are (height, width, channels). Received image_shape={image_shape}."
        )
    both = hasattr(networks, "encoder") and hasattr(networks, "decoder")
    if not both or isinstance(networks, type):
        raise ValueError(
            "`networks` is an object such as Convolutional(), with the methods "
            f"`encoder` and `decoder`. Received: {networks!r}."
        )
