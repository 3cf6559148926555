"""Linear autoencoder: a blank to start a model from.

A model is one file that reads like its paper. Copy this one to `zoo/<model>.py`, and
begin as here: authors, year, title, address; what it does in a sentence; the data flow
as a line of text.

Baldi & Hornik 1989, "Neural networks and principal component analysis",
https://doi.org/10.1016/0893-6080(89)90014-2: trained to copy its input through a narrow
layer, it finds the plane of the principal components.

    image --encoder--> code --decoder--> image
"""

import math

import keras
import tensorflow as tf
from keras import layers

from zoo.training.model import Model, policy_of
from zoo.training.registry import check_counts, register
from zoo.training.step import means, minimize, track, unpack


@register  # so that `keras.saving.load_model` finds the class by its name
class LinearAutoencoder(Model):
    """Learns the plane in which images lie.

    Args:
        image_shape: `(height, width, channels)`, any size.
        latent_dim: Length of a code: the plane's dimension.
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: images, `(batch, *image_shape)`, in [0, 1].
        out: the same, their projections.

    Raises:
        ValueError: If an argument is not a positive count.

    Logs:
        loss: Squared error, mean over pixels, in squared grey values on [0, 1].

    Source:
        Baldi & Hornik 1989, section 3.

    Example:
        >>> model = LinearAutoencoder((28, 28, 1), latent_dim=16)
        >>> model.compile("adam")
        >>> history = model.fit(digits, batch_size=64)
    """

    def __init__(self, image_shape=(28, 28, 1), latent_dim=16, **kwargs):
        # Before anything is made: what is wrong, what was received, what to do.
        check_counts(image_shape=tuple(image_shape), latent_dim=latent_dim)
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.latent_dim = latent_dim
        # Functional sub-networks, made under the model's own dtype policy: all weights
        # exist now, so a file loads without a first call.
        with policy_of(self):
            images = keras.Input(self.image_shape, name="images")
            x = layers.Flatten()(images)  # (batch, pixels)
            codes = layers.Dense(latent_dim)(x)  # (batch, latent_dim)
            self.encoder = keras.Model(images, codes, name="encoder")
            codes = keras.Input((latent_dim,), name="codes")
            # float32 under any policy, as all outputs of the zoo.
            pixels = math.prod(self.image_shape)
            x = layers.Dense(pixels, dtype="float32")(codes)  # (batch, pixels)
            outputs = layers.Reshape(self.image_shape, dtype="float32")(x)
            self.decoder = keras.Model(codes, outputs, name="decoder")
        self.trackers = means("loss")
        self.built = True

    # ---------------------------------------------------------------- inference

    def call(self, images, training=False):
        """Returns the projections of `(batch, *image_shape)` images."""
        return self.decoder(self.encoder(images, training=training), training=training)

    def transform(self, images):
        """Returns what `zoo apply` writes for images, in [0, 1]."""
        return tf.clip_by_value(self(images), 0.0, 1.0)

    # ----------------------------------------------------------------- training

    def loss_on(self, images, training):
        """Returns the squared error of each image, `(batch,)`."""
        outputs = self(images, training=training)  # (batch, *image_shape)
        return tf.reduce_mean(tf.square(outputs - images), axis=(1, 2, 3))

    def train_step(self, data):
        """Updates all weights on one batch."""
        images, _ = unpack(data, self.image_shape)
        with tf.GradientTape() as tape:
            losses = self.loss_on(images, training=True)
            loss = tf.reduce_mean(losses)
        # Mixed precision and replicas are the business of `minimize` alone.
        minimize(loss, tape, self.trainable_variables, self.optimizer)
        return track(self.trackers, {"loss": losses})

    def test_step(self, data):
        """Measures the same without an update."""
        images, _ = unpack(data, self.image_shape)
        return track(self.trackers, {"loss": self.loss_on(images, training=False)})

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`."""
        images = tf.TensorSpec((None, *self.image_shape), tf.float32, name="images")
        return {"project": (lambda images: {"images": self(images)}, [images])}

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "latent_dim": self.latent_dim,
        }
