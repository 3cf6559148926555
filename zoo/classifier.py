"""A small convolutional classifier of images, to measure generative models with.

Its penultimate layer is to small images what Inception v3 is to photographs: features
in which distances mean something. A residual network after He et al. 2015, "Deep
Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385, with blocks
of one convolution.

    images --convolution, stages, mean over the map--> features --dense--> logits
"""

import keras
import tensorflow as tf
from keras import layers

from zoo.networks.layers import BatchNormalization
from zoo.training.inputs import look, one_hot
from zoo.training.model import Model, policy_of
from zoo.training.registry import as_tuple, number, positive, register
from zoo.training.step import means, minimize, track, unpack


def convolution(x, width, strides=1):
    """Applies a 3x3 convolution, batch normalization and a ReLU."""
    # No bias: batch normalization would subtract it again.
    x = layers.Conv2D(width, 3, strides, padding="same", use_bias=False)(x)
    # Keras' momentum of 0.99 outlasts a short training: inference would lag behind.
    return layers.ReLU()(BatchNormalization(momentum=0.9)(x))


def residual_network(image_shape, classes, widths):
    """Returns the functional model from images to `(logits, features)`, float32."""
    images = keras.Input(image_shape, name="images")
    x = convolution(images, widths[0])  # (batch, height, width, widths[0])
    for count in widths[1:]:
        x = convolution(x, count, strides=2)  # both sides halve
        # The sum leaves gradients a way around the convolution.
        x = layers.Add()([x, convolution(x, count)])
    # In float32 under any policy: statistics are taken of both.
    # Means over the map, (batch, widths[-1]): height and width may be unknown.
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(features)
    return keras.Model(images, [logits, features], name="network")


@register
class Classifier(Model):
    """Learns which of several classes an image belongs to.

    Args:
        image_shape: `(height, width, channels)`, any size; height and width `None` for
            images of several sizes.
        classes: Number of classes.
        widths: Channels of each stage, from the image inwards; the last is also the
            number of features. Each stage after the first halves both sides.
        label_smoothing: Share of the label's weight, from 0 to below 1, that is spread
            over all classes in training (Szegedy et al. 2015, section 7,
            https://arxiv.org/abs/1512.00567).
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: `(batch, *image_shape)`, float, in [0, 1].
        out: `(batch, classes)` logits, float32.

    Raises:
        ValueError: If an argument is not one of the above, naming it.

    Logs:
        loss: Cross-entropy, nats per image; in training against smoothed labels.
        accuracy: Share of images whose largest logit is that of their class.

    Example:
        >>> model = Classifier(image_shape=(28, 28, 1), classes=10)
        >>> model.compile("adam")
        >>> history = model.fit(digits, labels, batch_size=128, epochs=5)
        >>> model.features(digits[:16]).shape
        TensorShape([16, 80])
    """

    renamed = {"filters": "widths"}
    reads_images = True

    def __init__(
        self,
        image_shape=(28, 28, 1),
        classes=10,
        widths=(16, 40, 80),
        label_smoothing=0.0,
        **kwargs,
    ):
        image_shape, widths = as_tuple(image_shape), as_tuple(widths)
        triple = isinstance(image_shape, tuple) and len(image_shape) == 3
        known = [side for side in image_shape[:2] if side is not None] if triple else []
        if not triple or not all(map(positive, [*known, image_shape[2]])):
            raise ValueError(
                "`image_shape` is (height, width, channels), all positive; height and "
                f"width may be None. Received image_shape={image_shape}."
            )
        stages = isinstance(widths, tuple) and widths and all(map(positive, widths))
        if not positive(classes) or classes < 2 or not stages:
            raise ValueError(
                "`classes` is 2 or more and `widths` one positive count per stage. "
                f"Received classes={classes}, widths={widths}."
            )
        if not 0 <= number(label_smoothing) < 1:
            raise ValueError(
                "`label_smoothing` is a share from 0 to below 1. Received "
                f"label_smoothing={label_smoothing}."
            )
        super().__init__(**kwargs)
        self.image_shape = image_shape
        self.classes = classes
        self.widths = widths
        self.label_smoothing = label_smoothing

        with policy_of(self):
            self.network = residual_network(self.image_shape, classes, self.widths)
        self.trackers = means("loss", "accuracy")
        self.built = True  # the network is functional: its weights exist now

    # ---------------------------------------------------------------- inference

    def call(self, images, training=False):
        """Returns `(batch, classes)` logits."""
        images = look(images, self.image_shape)
        logits, _ = self.network(images, training=training)
        return logits

    def features(self, images):
        """Returns the `(batch, widths[-1])` inputs of the last layer, float32."""
        images = look(images, self.image_shape)
        _, features = self.network(images, training=False)
        return features

    def classify(self, images):
        """Returns `(labels, probabilities)` of the likeliest class, `(batch,)` each."""
        probabilities = tf.nn.softmax(self(images))  # (batch, classes)
        return tf.argmax(probabilities, axis=1), tf.reduce_max(probabilities, axis=1)

    # ----------------------------------------------------------------- training

    def vectors(self, labels):
        """Returns labels as `(batch, classes)` rows, see `one_hot`."""
        return one_hot(labels, self.classes)

    def losses_on(self, images, labels, training):
        """Returns the values to log, `(batch,)` each, in the units of `Logs`."""
        logits, _ = self.network(images, training=training)
        labels = targets = self.vectors(labels)  # (batch, classes), as are logits
        if training:
            # (1 - share) * label + share * uniform
            targets += self.label_smoothing * (1.0 / self.classes - targets)
        cross_entropy = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
        hits = tf.argmax(logits, axis=1) == tf.argmax(labels, axis=1)
        return {
            "loss": cross_entropy,
            "accuracy": tf.cast(hits, tf.float32),
        }

    def train_step(self, data):
        """Updates the network on one batch of images and their labels."""
        images, labels = unpack(data, self.image_shape)  # (batch, *image_shape)
        with tf.GradientTape() as tape:
            losses = self.losses_on(images, labels, training=True)
            loss = tf.reduce_mean(losses["loss"])
        minimize(loss, tape, self.trainable_variables, self.optimizer)
        return track(self.trackers, losses)

    def test_step(self, data):
        """Measures the same values, without smoothing and without an update."""
        images, labels = unpack(data, self.image_shape)
        return track(self.trackers, self.losses_on(images, labels, training=False))

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`."""
        images = tf.TensorSpec((None, *self.image_shape), tf.float32, name="images")

        def classify(images):
            logits, features = self.network(images, training=False)
            return {"logits": logits, "features": features}

        return {"classify": (classify, [images])}

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "classes": self.classes,
            "widths": self.widths,
            "label_smoothing": self.label_smoothing,
        }
