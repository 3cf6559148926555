"""Conditional generative adversarial network.

Mirza & Osindero 2014, "Conditional Generative Adversarial Nets",
https://arxiv.org/abs/1411.1784, and the projection discriminator of Miyato & Koyama
2018, "cGANs with Projection Discriminator", https://arxiv.org/abs/1802.05637. Both
networks are told what to draw, a label or any vector, and the discriminator asks not
only whether an example is real, but whether it is a real one *of that kind*.

    noise ----+
              +--generator--> fake --+
    condition-+                      +--discriminator--> logit: positive says
              +--------------------->+                   real and as asked
              real, its condition ---+

How the discriminator takes the condition c:

- `concatenation`: c joins the input, as more channels of every pixel.
- `projection`: logit = w'f + c'Vf for features f of the example: what the log of a
  ratio of class-conditional densities looks like if those are log-linear in f.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo.layers import register
from zoo.losses import ADVERSARIAL_LOSSES
from zoo.networks import DCGAN
from zoo.regularizers import augment, penalty
from zoo.training import (
    AdversarialModel,
    discriminator_accuracy,
    means,
    minimize,
    normal,
    track,
)


def projection(networks, shape, condition_dim):
    """Returns the discriminator `[examples, conditions] -> logits` by projection."""
    trunk = networks.trunk(shape)
    conditions = keras.Input((condition_dim,), name="conditions")
    unconditional = networks.head(1, "unconditional")(trunk.output)
    directions = networks.head(trunk.output.shape[-1], "directions", use_bias=False)
    product = layers.Dot(axes=1, dtype="float32")(
        [directions(conditions), trunk.output]
    )
    logits = layers.Add(dtype="float32")([unconditional, product])
    return keras.Model([trunk.input, conditions], logits, name="discriminator")


def concatenation(networks, shape, condition_dim):
    """Returns the discriminator `[examples, conditions] -> logits` by concatenation."""
    examples = keras.Input(shape, name="examples")
    conditions = keras.Input((condition_dim,), name="conditions")
    sides = shape[:-1]  # none of a point
    maps = layers.Reshape((*[1] * len(sides), condition_dim))(conditions)
    maps = keras.ops.tile(maps, (1, *sides, 1))
    trunk = networks.trunk((*sides, shape[-1] + condition_dim))
    features = trunk(layers.Concatenate()([examples, maps]))
    logits = networks.head(1, "logits")(features)
    return keras.Model([examples, conditions], logits, name="discriminator")


DISCRIMINATORS = {f.__name__: f for f in (projection, concatenation)}


@register
class CGAN(AdversarialModel):
    """Generates examples of a wanted kind from noise.

    Both networks are updated on the same pass, from their weights before it: one
    forward of the generator serves both.

    Args:
        shape: Of an example: `(height, width, channels)` of an image, any size, or
            `(dim,)` of a point.
        condition_dim: Number of classes, where conditions are integer labels; the
            length of a condition, where they are vectors.
        latent_dim: Length of a noise vector.
        networks: `DCGAN(...)` (default), `MLP(...)`, or anything with the same methods.
        conditioning: Of the discriminator: `"projection"` (default) or
            `"concatenation"`.
        loss: A key of `zoo.losses.ADVERSARIAL_LOSSES`.
        regularizers: Any of `zoo.regularizers`.
        ema: Decay of the running average of the generator that samples are drawn from;
            0 draws from the generator itself.
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: a pair of noise, `(batch, latent_dim)`, standard normal, and conditions,
            `(batch,)` integer labels or `(batch, condition_dim)` floats.
        out: examples, `(batch, *shape)`; images are in [0, 1]. To train on: pairs of
            examples and their conditions.

    Raises:
        ValueError: If an argument is not one of the above, or if `fit` gets no
            conditions, naming it.

    Logs:
        discriminator_loss: In nats for the first two losses, then 1.386 when it cannot
            tell real from fake; without unit for the others.
        generator_loss: At the same point 0.693 for the default loss.
        penalty: What the regularizers add to the discriminator's loss.
        accuracy: Probability that the discriminator scores a real example above a fake
            one: 0.5 when it cannot tell, 1 when it has won.
        generator_gradient: Norm of the gradient of the generator's loss over all its
            weights; near 0 it learns nothing.

    Example:
        >>> model = CGAN(shape=(28, 28, 1), condition_dim=10)
        >>> model.compile("adam", "adam")
        >>> history = model.fit(digits, labels, batch_size=64, epochs=10)
        >>> model.sample(3, conditions=np.array([7, 7, 1])).shape
        TensorShape([3, 28, 28, 1])
    """

    def __init__(
        self,
        shape=(28, 28, 1),
        condition_dim=10,
        latent_dim=64,
        networks=None,
        conditioning="projection",
        loss="non_saturating",
        regularizers=(),
        ema=0.0,
        **kwargs,
    ):
        if min(*shape, condition_dim, latent_dim) < 1:
            raise ValueError(
                "`shape` is (height, width, channels) or (dim,), `condition_dim` and "
                "`latent_dim` are counts, all positive. Received "
                f"shape={tuple(shape)}, condition_dim={condition_dim}, "
                f"latent_dim={latent_dim}."
            )
        if conditioning not in DISCRIMINATORS or loss not in ADVERSARIAL_LOSSES:
            raise ValueError(
                f"`conditioning` is one of {', '.join(DISCRIMINATORS)} and `loss` of "
                f"{', '.join(ADVERSARIAL_LOSSES)}. Received "
                f"conditioning={conditioning!r}, loss={loss!r}."
            )
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.condition_dim = condition_dim
        self.latent_dim = latent_dim
        self.networks = networks or DCGAN()
        self.conditioning = conditioning
        self.loss_name = loss
        self.regularizers = list(regularizers)

        self.generator = self.networks.generator(latent_dim + condition_dim, self.shape)
        self.discriminator = DISCRIMINATORS[conditioning](
            self.networks, self.shape, condition_dim
        )
        self.average(ema)
        self.seed_generator = keras.random.SeedGenerator()
        self.trackers = means(
            "discriminator_loss",
            "generator_loss",
            "penalty",
            "accuracy",
            "generator_gradient",
        )
        self.built = True  # both networks are functional: their weights exist now

    # ---------------------------------------------------------------- inference

    def vectors(self, conditions):
        """Returns conditions as `(batch, condition_dim)` floats; labels as one-hot.

        Raises:
            ValueError: If they are neither labels nor vectors of that length.
        """
        conditions = tf.convert_to_tensor(conditions)
        if conditions.dtype.is_integer and conditions.shape.rank == 1:
            return tf.one_hot(conditions, self.condition_dim)
        if conditions.shape.rank != 2 or conditions.shape[1] != self.condition_dim:
            raise ValueError(
                "Conditions are (batch,) integer labels or "
                f"(batch, {self.condition_dim}) vectors. Received: shape "
                f"{conditions.shape}, dtype {conditions.dtype.name}."
            )
        return tf.cast(conditions, tf.float32)

    def call(self, inputs, training=False):
        """Returns the examples of a pair of noise and conditions."""
        latents, conditions = inputs
        latents = tf.cast(latents, tf.float32)  # Keras casts floats, but not labels
        joined = tf.concat([latents, self.vectors(conditions)], axis=-1)
        return self.sampler(joined, training=False)

    def sample(self, count, conditions=None, seed=None):
        """Draws examples.

        Args:
            count: Number of examples.
            conditions: `(count,)` labels or `(count, condition_dim)` vectors; by
                default each class in turn.
            seed: Integer; the same seed gives the same examples.

        Returns:
            `(count, *shape)`.
        """
        if conditions is None:
            conditions = np.arange(count) % self.condition_dim
        noise = np.random.default_rng(seed).standard_normal((count, self.latent_dim))
        return self((tf.cast(noise, tf.float32), np.asarray(conditions)))

    # ----------------------------------------------------------------- training

    def discriminate(self, real, fake, conditions):
        """Returns the logits of real and of fake examples of the same conditions.

        In one batch, which is faster, unless batch statistics would mix the two.
        """
        if self.networks.has_batch_statistics:
            pairs = ([examples, conditions] for examples in (real, fake))
            return [self.discriminator(pair, training=True) for pair in pairs]
        both = [tf.concat([real, fake], axis=0), tf.concat([conditions] * 2, axis=0)]
        return tf.split(self.discriminator(both, training=True), 2)

    def train_step(self, data):
        """Updates both networks on one batch of examples and their conditions."""
        real, conditions, _ = keras.utils.unpack_x_y_sample_weight(data)
        if conditions is None:
            raise ValueError(
                "A conditional GAN trains on pairs of examples and their conditions: "
                "fit(images, labels). Received examples alone."
            )
        conditions = self.vectors(conditions)
        noise = normal((tf.shape(real)[0], self.latent_dim), self.seed_generator)
        step = self.discriminator_optimizer.iterations
        discriminator_loss, generator_loss = ADVERSARIAL_LOSSES[self.loss_name]

        def judge(examples):
            return self.discriminator([examples, conditions], training=True)

        with tf.GradientTape(persistent=True) as tape:
            joined = tf.concat([noise, conditions], axis=-1)
            fake = self.generator(joined, training=True)
            seen = [augment(self.regularizers, x, step) for x in (real, fake)]
            logits = self.discriminate(*seen, conditions)
            losses = {
                "discriminator_loss": tf.reduce_mean(discriminator_loss(*logits)),
                "generator_loss": tf.reduce_mean(generator_loss(logits[1])),
                "penalty": penalty(self.regularizers, judge, *seen, *logits),
            }
            objective = losses["discriminator_loss"] + losses["penalty"]
        minimize(
            objective, tape, self.discriminator_variables, self.discriminator_optimizer
        )
        losses["generator_gradient"] = minimize(
            losses["generator_loss"],
            tape,
            self.generator_variables,
            self.generator_optimizer,
        )
        for regularizer in self.regularizers:
            regularizer.constrain(self.discriminator_variables)
        self.update_average()
        losses["accuracy"] = discriminator_accuracy(*logits)
        return track(self.trackers, losses)

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.export`."""
        specs = [
            tf.TensorSpec((None, self.latent_dim), tf.float32, name="latents"),
            tf.TensorSpec((None, self.condition_dim), tf.float32, name="conditions"),
        ]

        def generate(latents, conditions):
            return {"images": self((latents, conditions))}

        return {"generate": (generate, specs)}

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "shape": self.shape,
            "condition_dim": self.condition_dim,
            "latent_dim": self.latent_dim,
            "networks": serialize(self.networks),
            "conditioning": self.conditioning,
            "loss": self.loss_name,
            "regularizers": [serialize(r) for r in self.regularizers],
            "ema": self.average_decay,
        }
