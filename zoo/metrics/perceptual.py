"""How far apart two images look, by the activations of VGG16.

    images --VGG16--> five maps --unit length per position--> mean squared difference

Pixels compare images at one scale and one alignment: a texture that is shifted by a
pixel is a large error, a blur is a small one. To people it is the other way round, and
to the layers of an image classifier too.
"""

import numpy as np
import tensorflow as tf

from zoo.metrics import checks
from zoo.networks.vgg import vgg16

#: The last convolution of each of the five stages.
LAYERS = (
    "block1_conv2",
    "block2_conv2",
    "block3_conv3",
    "block4_conv3",
    "block5_conv3",
)


class VGG16Distance:
    """Perceptual distance by plain VGG16 features: not LPIPS, whose shape it has.

    LPIPS weighs each channel by what people answered in experiments. Without these
    weights every channel counts alike, and the values differ: compare them with one
    another only, and call them `vgg16_distance`.

    Args:
        weights: "imagenet", which Keras downloads once (59 MB); the path of that file,
            the one without top; or `None` for random weights, to try a program.

    Attributes:
        name: What to call the numbers: `vgg16_distance`, with `_random` after it
            without weights.

    Raises:
        OSError: If the weights cannot be downloaded or read.
        ValueError: If the file holds other weights.

    Source:
        Zhang et al. 2018, https://arxiv.org/abs/1801.03924, section 3, equation 1, with
        w = 1; Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556.

    Example:
        >>> distance = VGG16Distance(weights=None)
        >>> black, white = np.zeros((32, 32, 3)), np.ones((32, 32, 3))
        >>> distance(black, black) < 1e-9 < distance(black, white)
        True
    """

    def __init__(self, weights="imagenet"):
        self.name = "vgg16_distance" + ("_random" if weights is None else "")
        self._network = vgg16(LAYERS, weights)
        self._graph = tf.function(self._distances, reduce_retracing=True)

    def __call__(self, a, b, *, value_range=None, batch_size=16):
        """Returns the distance of each image of `a` from that of `b`.

        Symmetric in its arguments.

        Args:
            a: `(height, width, channels)` or `(count, height, width, channels)`, 1 or 3
                channels, at least 32 pixels a side. uint8 or floats in [0, 1].
            b: The same shape.
            value_range: `(low, high)` of black and white, if another.
            batch_size: Pairs at once.

        Returns:
            0 for equal images, up to rounding; at most 10: a float, or `(count,)`
            for a batch.

        Raises:
            ValueError: If shapes differ or are not those of images, or values leave
                their range.
            TypeError: If the types of `a` and `b` imply different ranges.
        """
        a, b, single = checks.image_pair(a, b, value_range)
        if min(a.shape[1:3]) < 32 or a.shape[-1] not in (1, 3):
            raise ValueError(
                "VGG16 takes images of 32 x 32 pixels or more, with 1 or 3 channels. "
                f"Received: shape {a.shape[1:]}."
            )
        if a.shape[-1] == 1:
            a, b = np.repeat(a, 3, axis=-1), np.repeat(b, 3, axis=-1)
        distances = np.concatenate(
            [
                self._graph(a[i : i + batch_size], b[i : i + batch_size])
                for i in range(0, len(a), batch_size)
            ]
        )
        return float(distances[0]) if single else distances

    def _distances(self, a, b):
        """Returns `(batch,)` distances of images in [0, 1]."""
        # (2 * batch, height, width, 3): one pass over both
        images = tf.cast(tf.concat([a, b], axis=0), tf.float32)
        total = 0.0
        for maps in self._network(images, training=False):
            # Of unit length per position, so that no strong channel decides alone:
            # (batch, height, width, channels) each
            first, second = tf.split(tf.math.l2_normalize(maps, axis=-1), 2)
            squares = tf.reduce_sum(tf.square(first - second), axis=-1)
            total += tf.reduce_mean(squares, axis=(1, 2))  # (batch,)
        return total
