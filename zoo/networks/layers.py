"""Layers that several networks are made of.

The bar for this file: used by two networks or more. A layer used by one lives in that
network's file, where its only reader will find it.
"""

import keras
import tensorflow as tf
from keras import layers

from zoo.training.noise import uniform
from zoo.training.registry import register


def spectrally_normalized(kernel, vector, training):
    """Divides a kernel by its largest singular value, one power iteration at a time.

    The gradient goes through the division: dividing the stored weights instead would
    train another model.

    Args:
        kernel: `(..., outputs)`, read as a matrix with as many columns.
        vector: Variable `(outputs,)`, the estimate of the right singular vector; in
            training it is replaced by a better one.
        training: Whether to do that.

    Returns:
        Same shape and type as `kernel`, of largest singular value near 1.

    Source:
        Miyato et al. 2018, https://arxiv.org/abs/1802.05957, algorithm 1.
    """
    matrix = tf.reshape(tf.cast(kernel, tf.float32), (-1, kernel.shape[-1]))
    # The vectors are taken for constants: only the last line has a gradient.
    fixed = tf.stop_gradient(matrix)  # (inputs, outputs)
    right = tf.cast(vector, tf.float32)  # (outputs,)
    left = tf.math.l2_normalize(tf.linalg.matvec(fixed, right))  # (inputs,)
    right = tf.math.l2_normalize(tf.linalg.matvec(fixed, left, transpose_a=True))
    if training:
        vector.assign(right)  # the next step starts from here: one iteration suffices
    largest = tf.tensordot(left, tf.linalg.matvec(matrix, right), axes=1)  # scalar
    return kernel / tf.cast(largest, kernel.dtype)


class Spectral:
    """What the two layers below add to those of Keras."""

    def build(self, input_shape):
        """Makes the weights and the estimate of the singular vector."""
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            (self.kernel.shape[-1],), "random_normal", trainable=False, name="singular"
        )

    # Keras' dense and convolutional layers save kernel and bias by name, and no more.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables

    def call(self, inputs, training=False):
        """Applies the layer with its normalized kernel."""
        kernel = spectrally_normalized(self.kernel, self.singular_vector, training)
        outputs = self.apply_kernel(inputs, kernel)
        return self.activation(outputs + self.bias if self.use_bias else outputs)


@register
class SpectralConv2D(Spectral, keras.layers.Conv2D):
    """A convolution whose kernel has a largest singular value near 1."""

    def apply_kernel(self, inputs, kernel):
        """Convolves."""
        return self.convolution_op(inputs, kernel)


@register
class SpectralDense(Spectral, keras.layers.Dense):
    """A dense layer whose kernel has a largest singular value near 1."""

    def apply_kernel(self, inputs, kernel):
        """Multiplies."""
        return keras.ops.matmul(inputs, kernel)


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, whose training pass over images is one operation instead of ten.

    That pass is a sixth of a GAN's step. Same formula, arguments and weights as
    `keras.layers.BatchNormalization`; what is no training on `(batch, height, width,
    channels)` is left to it.
    """

    def call(self, inputs, training=False, mask=None):
        """Normalizes each channel, in training by the batch's own moments."""
        # What the one operation can do; all else is Keras' own.
        plain = self.scale and self.center and not (self.renorm or self.synchronized)
        images = len(inputs.shape) == 4 and self.axis in (-1, 3) and mask is None
        if not (training and self.trainable and plain and images):
            return super().call(inputs, training=training, mask=mask)
        # outputs (batch, height, width, channels); mean, variance (channels,)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.cast(inputs, tf.float32),
            scale=self.gamma,
            offset=self.beta,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
        )
        # The operation returns the unbiased variance, Keras averages the biased one.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance *= (count - 1.0) / count
        for average, value in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return tf.cast(outputs, self.compute_dtype)


LEAK = 0.2  # Radford et al. 2015, https://arxiv.org/abs/1511.06434, section 4


def batch_normalization():
    """Returns a layer whose moving statistics keep up with a changing network.

    With Keras' momentum of 0.99, inference lags behind a short training.
    """
    return BatchNormalization(momentum=0.9)


@register
class LeakyReLU(layers.Layer):
    """Keras' layer of slope `LEAK` below 0, quicker where a slope is penalized.

    Its gradient does not change with the inputs, but TensorFlow sends zeros for that
    change back through the whole network: a tenth of a WGAN-GP's step. Here the factor
    is a constant.
    """

    def call(self, inputs):
        """Returns `inputs` where positive, else `LEAK` times them."""
        one, leak = (tf.constant(factor, inputs.dtype) for factor in (1.0, LEAK))
        return inputs * tf.stop_gradient(tf.where(inputs > 0, one, leak))


@register
class Dropout(layers.Layer):
    """Sets a share of its inputs to 0 in training, each replica another share.

    Keras' own layer draws the same on all replicas. That is harmless where dropout
    only regularizes, and not where it is the noise that a generator draws from, as in
    pix2pix: there call it with `training=True` always.

    Args:
        rate: Share from 0 to below 1; what is left is divided by `1 - rate`, so that
            the expected value stays.
        **kwargs: Passed to `keras.layers.Layer`.

    Raises:
        ValueError: If `rate` is out of that range.

    Source:
        Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html; as
        noise, Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 2.1.
    """

    def __init__(self, rate, **kwargs):
        if not 0 <= rate < 1:
            raise ValueError(
                f"`rate` is a share from 0 to below 1. Received rate={rate}."
            )
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()
        self.built = True

    def call(self, inputs, training=False):
        """Returns the inputs, in training some of them 0."""
        if not training or not self.rate:
            return inputs
        kept = uniform(tf.shape(inputs), self.seed_generator) >= self.rate
        return inputs * tf.cast(kept, inputs.dtype) / (1.0 - self.rate)

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "rate": self.rate}
