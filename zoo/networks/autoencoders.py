"""Encoders and decoders of images, convolutional and fully connected."""

import keras
import numpy as np
from keras import layers

from zoo.training.registry import register

# Keeps exp(-log_variance) finite in float32 however sure the encoder becomes.
LOG_VARIANCE_RANGE = (-12.0, 6.0)


def heads(x, latent_dim):
    """Ends an encoder: two dense layers, the second kept in a numerically safe range.

    In float32 under any policy: an exponential overflows half precision first.
    """
    mean = layers.Dense(latent_dim, dtype="float32", name="mean")(x)
    log_variance = layers.Dense(latent_dim, dtype="float32", name="log_variance")(x)
    return mean, keras.ops.clip(log_variance, *LOG_VARIANCE_RANGE)


@register
class Convolutional:
    """Strided convolutions down to a small map, transposed ones back up.

    Args:
        filters: Channels of each stage, from the image inwards. Each stage halves
            both sides, rounding up; the decoder crops what that added, so images of
            any size fit.
    """

    def __init__(self, filters=(32, 64)):
        self.filters = tuple(filters)

    def encoder(self, image_shape, latent_dim):
        """Maps images to the means and log-variances of their codes."""
        images = keras.Input(image_shape, name="images")
        x = images
        for count in self.filters:
            x = layers.Conv2D(count, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.Flatten()(x)
        return keras.Model(images, heads(x, latent_dim), name="encoder")

    def decoder(self, image_shape, latent_dim):
        """Maps codes to one output per pixel; the mirror image of `encoder`."""
        height, width, channels = image_shape
        sizes = [(height, width)]
        for _ in self.filters:
            sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
        codes = keras.Input((latent_dim,), name="codes")
        smallest = (*sizes.pop(), self.filters[-1])
        x = layers.Dense(int(np.prod(smallest)), activation="relu")(codes)
        x = layers.Reshape(smallest)(x)
        for count in reversed(self.filters):
            x = layers.Conv2DTranspose(
                count, 3, strides=2, padding="same", activation="relu"
            )(x)
            wanted = sizes.pop()
            extra = [(0, x.shape[axis + 1] - wanted[axis]) for axis in (0, 1)]
            if extra != [(0, 0), (0, 0)]:
                x = layers.Cropping2D(extra)(x)
        outputs = layers.Conv2D(channels, 3, padding="same", dtype="float32")(x)
        return keras.Model(codes, outputs, name="decoder")

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {"filters": self.filters}

    @classmethod
    def from_config(cls, config):
        """Returns what `get_config` described."""
        return cls(**config)


@register
class Dense:
    """Fully connected networks, blind to which pixels are neighbours.

    Args:
        units: Width of each hidden layer, from the image inwards.
        gated: Multiplies each hidden layer by a sigmoid of a second one instead of
            taking a ReLU (Tomczak & Welling 2018, section 5).
    """

    def __init__(self, units=(400,), gated=False):
        self.units = tuple(units)
        self.gated = gated

    def hidden(self, x, units):
        """Applies one hidden layer."""
        if not self.gated:
            return layers.Dense(units, activation="relu")(x)
        gate = layers.Dense(units, activation="sigmoid")(x)
        return layers.Multiply()([layers.Dense(units)(x), gate])

    def encoder(self, image_shape, latent_dim):
        """Maps images to the means and log-variances of their codes."""
        images = keras.Input(image_shape, name="images")
        x = layers.Flatten()(images)
        for units in self.units:
            x = self.hidden(x, units)
        return keras.Model(images, heads(x, latent_dim), name="encoder")

    def decoder(self, image_shape, latent_dim):
        """Maps codes to one output per pixel; the mirror image of `encoder`."""
        codes = keras.Input((latent_dim,), name="codes")
        x = codes
        for units in reversed(self.units):
            x = self.hidden(x, units)
        x = layers.Dense(int(np.prod(image_shape)), dtype="float32")(x)
        outputs = layers.Reshape(image_shape, dtype="float32")(x)
        return keras.Model(codes, outputs, name="decoder")

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {"units": self.units, "gated": self.gated}

    @classmethod
    def from_config(cls, config):
        """Returns what `get_config` described."""
        return cls(**config)
