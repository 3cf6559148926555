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

- `Concatenation`: c joins the input, as more channels of every pixel.
- `Projection`: logit = w'f + c'Vf for features f of the example: what the log of a
  ratio of class-conditional densities looks like if those are log-linear in f.

Either can also be shown real examples beside conditions of others, to be called wrong:
the matching-aware discriminator of Reed et al. 2016, "Generative Adversarial Text to
Image Synthesis", https://arxiv.org/abs/1605.05396, section 4.2.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo.networks.dcgan import DCGAN, check_networks
from zoo.training import export_inputs
from zoo.training.adversarial import FromNoise, discriminator_accuracy
from zoo.training.inputs import one_hot
from zoo.training.losses import ADVERSARIAL_LOSSES
from zoo.training.model import policy_of
from zoo.training.registry import Settings, as_tuple, check_counts, number, register
from zoo.training.regularizers import augment, penalty
from zoo.training.step import in_parts, track, unpack


@dataclasses.dataclass(frozen=True)
class Conditioning(Settings):
    """How the discriminator learns of the condition, and how much it must heed it.

    The discriminator is `verdict([trunk(examples), conditions])`: what does not depend
    on the condition is computed once for all conditions that are tried.

    Args:
        mismatch: Share, from 0 to below 1, of the discriminator's loss on what is not
            to be called real that comes from real examples beside the conditions of
            others; the rest comes from generated ones. The more, the less the
            generator draws what could be of another class: at the solution, with share
            m and c' another condition, (1 - m) p_g(x|c) = k p(x|c) - m p(x|c') where
            that is positive. Reed et al. (algorithm 1) take 1/2.

    Raises:
        ValueError: If it is out of that range.
    """

    mismatch: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= number(self.mismatch) < 1:
            raise ValueError(
                f"`mismatch` is a share from 0 to below 1. Received: {self}."
            )


@register
@dataclasses.dataclass(frozen=True)
class Projection(Conditioning):
    """By an inner product with the features; arguments as of `Conditioning`."""

    def discriminator(self, networks, image_shape, condition_dim):
        """Returns `trunk` and `verdict`."""
        trunk = networks.trunk(image_shape)
        if len(trunk.output.shape) != 2:
            raise ValueError(
                "Projection multiplies flat features. Use Concatenation for networks "
                f"that judge patches. Received features of shape {trunk.output.shape}."
            )
        features = keras.Input(trunk.output.shape[1:], name="features")
        conditions = keras.Input((condition_dim,), name="conditions")
        unconditional = networks.head(1, "unconditional")(features)  # (batch, 1): w'f
        # V has a direction of features for each class; c picks or mixes them: c'V.
        directions = networks.head(features.shape[-1], "directions", use_bias=False)
        product = layers.Dot(axes=1, dtype="float32")(
            [directions(conditions), features]  # (batch, features) each
        )  # (batch, 1)
        logits = layers.Add(dtype="float32")([unconditional, product])
        return trunk, keras.Model([features, conditions], logits, name="verdict")


@register
@dataclasses.dataclass(frozen=True)
class Concatenation(Conditioning):
    """As more channels of every pixel; arguments as of `Conditioning`."""

    def discriminator(self, networks, image_shape, condition_dim):
        """Returns `trunk`, which does nothing here, and `verdict`."""
        inputs = keras.Input(image_shape, name="inputs")
        trunk = keras.Model(inputs, layers.Identity()(inputs), name="trunk")
        examples = keras.Input(image_shape, name="examples")
        conditions = keras.Input((condition_dim,), name="conditions")
        *sides, channels = image_shape  # a point has no sides
        # (batch, condition_dim) -> (batch, 1, 1, condition_dim) -> one for each pixel
        maps = layers.Reshape((*[1] * len(sides), condition_dim))(conditions)
        maps = keras.ops.tile(maps, (1, *sides, 1))
        convolutions = networks.trunk((*sides, channels + condition_dim))
        features = convolutions(layers.Concatenate()([examples, maps]))
        logits = networks.head(1, "logits")(features)
        return trunk, keras.Model([examples, conditions], logits, name="verdict")


@register
class CGAN(FromNoise):
    """Generates examples of a wanted kind from noise.

    Both networks are updated on the same pass, from their weights before it: one
    forward of the generator serves both.

    Args:
        image_shape: Of an example: `(height, width, channels)` of an image of any size,
            or `(dim,)` of a point.
        condition_dim: Number of classes, where conditions are integer labels; the
            length of a condition, where they are vectors.
        latent_dim: Length of a noise vector.
        networks: `DCGAN(...)` (default), `MLP(...)` or another of
            `zoo.networks.dcgan.Networks`.
        conditioning: Of the discriminator: `Projection(...)` (default) or
            `Concatenation(...)`.
        loss: A key of `zoo.training.losses.ADVERSARIAL_LOSSES`.
        regularizers: Any of `zoo.training.regularizers`; those that penalize the slope
            need networks without batch normalization of the discriminator.
        ema: Decay of the running average of the generator that samples are drawn from;
            0 draws from the generator itself.
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: a pair of noise, `(batch, latent_dim)`, standard normal, and conditions,
            `(batch,)` integer labels or `(batch, condition_dim)` floats.
        out: examples, `(batch, *image_shape)`; images are in [0, 1]. To train on:
            pairs of examples and their conditions.

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
        >>> model = CGAN(image_shape=(28, 28, 1), condition_dim=10)
        >>> model.compile("adam", "adam")
        >>> history = model.fit(digits, labels, batch_size=64, epochs=10)
        >>> model.sample(3, conditions=np.array([7, 7, 1])).shape
        TensorShape([3, 28, 28, 1])
    """

    def __init__(
        self,
        image_shape=(28, 28, 1),
        condition_dim=10,
        latent_dim=64,
        networks=None,
        conditioning=None,
        loss="non_saturating",
        regularizers=(),
        ema=0.0,
        **kwargs,
    ):
        check_counts(
            image_shape=as_tuple(image_shape),
            condition_dim=condition_dim,
            latent_dim=latent_dim,
        )
        conditioning = conditioning or Projection()
        known = loss in ADVERSARIAL_LOSSES
        if not known or not isinstance(conditioning, Conditioning):
            raise ValueError(
                "`conditioning` is Projection(...) or Concatenation(...), and `loss` "
                f"one of {', '.join(ADVERSARIAL_LOSSES)}. Received "
                f"conditioning={conditioning!r}, loss={loss!r}."
            )
        networks = networks or DCGAN()
        check_networks(networks)
        super().__init__(image_shape, latent_dim, networks, regularizers, **kwargs)
        self.condition_dim = condition_dim
        self.conditioning = conditioning
        self.loss_name = loss

        with policy_of(self):
            # The generator reads noise and condition as one vector.
            width = latent_dim + condition_dim
            self.generator = networks.generator(width, self.image_shape)
            self.trunk, self.verdict = conditioning.discriminator(
                networks, self.image_shape, condition_dim
            )
            pair = [keras.Input(self.image_shape), keras.Input((condition_dim,))]
            logits = self.verdict([self.trunk(pair[0]), pair[1]])
            self.discriminator = keras.Model(pair, logits, name="discriminator")
        self.ready(ema)

    # ---------------------------------------------------------------- inference

    def vectors(self, conditions):
        """Returns conditions as `(batch, condition_dim)` floats; labels as one-hot.

        Raises:
            ValueError: If they are none of these, see `zoo.training.inputs.one_hot`.
        """
        return one_hot(conditions, self.condition_dim, vectors=True)

    def call(self, inputs, training=False):
        """Returns the examples of a pair of noise and conditions."""
        latents, conditions = inputs
        latents = tf.cast(latents, tf.float32)  # Keras casts floats, but not labels
        # (batch, latent_dim + condition_dim)
        joined = tf.concat([latents, self.vectors(conditions)], axis=-1)
        return self.sampler(joined, training=False)  # (batch, *image_shape)

    def sample(self, count, conditions=None, seed=None):
        """Draws examples.

        Args:
            count: Number of examples.
            conditions: `(count,)` labels or `(count, condition_dim)` vectors; by
                default each class in turn.
            seed: Integer; the same seed gives the same examples.

        Returns:
            `(count, *image_shape)`.

        Raises:
            ValueError: If there are not as many conditions, or some label is unknown.
        """
        check_counts(count=count)
        if conditions is None:
            conditions = np.arange(count) % self.condition_dim
        conditions = np.asarray(conditions)
        if conditions.ndim == 0 or len(conditions) != count:
            raise ValueError(
                f"Each of the {count} examples needs a condition. Received: shape "
                f"{conditions.shape}."
            )
        conditions = self.vectors(conditions)  # (count, condition_dim)
        latents = self.latents(count, seed)
        return in_parts(lambda *pair: self(pair), latents, conditions)

    # ----------------------------------------------------------------- training

    def discriminate(self, real, fake, conditions):
        """Returns the logits of real, of fake and, if asked for, of wrong examples.

        Wrong are real ones beside the condition of their neighbour in the batch; where
        that is the same condition, a fake one takes their place.
        """
        features = self.networks.on_each(self.trunk, [real, fake])  # (batch, ...) each
        pairs = [(part, conditions) for part in features]
        if not self.conditioning.mismatch:
            return self.networks.on_each(self.verdict, pairs)  # (batch, 1) each
        others = tf.roll(conditions, 1, axis=0)  # row i beside the condition of i - 1
        pairs.append((features[0], others))
        real, fake, wrong = self.networks.on_each(self.verdict, pairs)
        differs = tf.reduce_any(others != conditions, axis=-1)  # (batch,)
        # As many axes as the logits have: (batch, 1), or more for patches.
        differs = tf.reshape(differs, [-1, *[1] * (len(fake.shape) - 1)])
        return real, fake, tf.where(differs, wrong, fake)

    def discriminator_loss(self, real_logits, fake_logits, wrong_logits=None):
        """Returns the mean loss of the discriminator, a scalar."""
        loss_of, _ = ADVERSARIAL_LOSSES[self.loss_name]
        loss = loss_of(real_logits, fake_logits)  # (batch,)
        if wrong_logits is not None:
            # (1 - mismatch) of fake ones, mismatch of wrong ones; real ones in both
            wrong = loss_of(real_logits, wrong_logits)
            loss += self.conditioning.mismatch * (wrong - loss)
        return tf.reduce_mean(loss)

    def train_step(self, data):
        """Updates both networks on one batch of examples and their conditions."""
        real, conditions = unpack(data, self.image_shape)  # (batch, *image_shape)
        conditions = self.vectors(conditions)  # (batch, condition_dim)
        noise = self.noise(tf.shape(real)[0])  # (batch, latent_dim)
        step = self.discriminator_optimizer.iterations
        _, generator_loss = ADVERSARIAL_LOSSES[self.loss_name]

        def judge(examples):
            return self.discriminator([examples, conditions])

        # Persistent: two gradients are taken of the one pass.
        with tf.GradientTape(persistent=True) as tape:
            joined = tf.concat([noise, conditions], axis=-1)
            fake = self.generator(joined, training=True)  # (batch, *image_shape)
            # Real and fake changed alike, or the change would tell them apart.
            seen = [augment(self.regularizers, x, step) for x in (real, fake)]
            # The generator never sees `wrong`: it says what else is not as asked.
            real_logits, fake_logits, *wrong = self.discriminate(*seen, conditions)
            logits = real_logits, fake_logits  # (batch, 1) each
            losses = {  # scalars
                "discriminator_loss": self.discriminator_loss(*logits, *wrong),
                "generator_loss": tf.reduce_mean(generator_loss(fake_logits)),
                "penalty": penalty(self.regularizers, judge, *seen, *logits),
            }
            objective = losses["discriminator_loss"] + losses["penalty"]
        losses["generator_gradient"] = self.update(
            tape, losses["generator_loss"], objective
        )
        losses["accuracy"] = discriminator_accuracy(*logits)
        return track(self.trackers, losses)

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`."""
        specs = [
            tf.TensorSpec((None, self.latent_dim), tf.float32, name="latents"),
            tf.TensorSpec((None, self.condition_dim), tf.float32, name="conditions"),
        ]

        def generate(latents, conditions):
            return {"images": self((latents, conditions))}

        return {"generate": (generate, specs)}

    def export_inputs(self):
        """Returns how inputs that need no data are distributed; classes are even."""
        return super().export_inputs() | {"conditions": export_inputs.one_hot}

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {
            **super().get_config(),
            "condition_dim": self.condition_dim,
            "conditioning": keras.saving.serialize_keras_object(self.conditioning),
            "loss": self.loss_name,
        }
