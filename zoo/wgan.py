"""Wasserstein generative adversarial network.

Arjovsky et al. 2017, "Wasserstein GAN", https://arxiv.org/abs/1701.07875, with the
gradient penalty of Gulrajani et al. 2017, "Improved Training of Wasserstein GANs",
https://arxiv.org/abs/1704.00028. The critic does not judge; it measures how far the
fakes are from the real examples, and the generator walks down that distance.

    noise --generator--> fake --+
                                +--critic--> any real number, of slope at most 1
                         real --+

Among functions f of slope at most 1, the largest `E f(real) - E f(fake)` is the
Wasserstein-1 distance (the paper's equation 2). Unlike the Jensen-Shannon divergence,
which is log 2 for any two distributions that do not meet, it says how far apart they
are: |theta| for two parallel segments theta apart (its example 1).
"""

import keras
import numpy as np
import tensorflow as tf

from zoo.networks.dcgan import DCGAN, check_networks
from zoo.training.adversarial import AdversarialModel
from zoo.training.losses import wasserstein_critic, wasserstein_generator
from zoo.training.model import policy_of
from zoo.training.noise import normal
from zoo.training.registry import register
from zoo.training.regularizers import (
    GradientPenalty,
    WeightClipping,
    augment,
    check,
    penalty,
)
from zoo.training.step import in_parts, means, minimize, track, unpack


@register
class WGAN(AdversarialModel):
    """Generates examples from noise, guided by a distance instead of a judge.

    Args:
        shape: Of an example: `(height, width, channels)` of an image, any size, or
            `(dim,)` of a point.
        latent_dim: Length of a noise vector.
        networks: `DCGAN(...)`, `MLP(...)` or another of `zoo.networks.dcgan.Networks`;
            by default DCGAN's without normalization of the critic.
        lipschitz: What bounds the critic's slope: `GradientPenalty(...)` (default) or
            `WeightClipping(...)`.
        critic_steps: Updates of the critic for one of the generator. A batch is cut
            into as many parts, one for each, and the generator makes as many fakes as
            a part holds.
        regularizers: Any others of `zoo.training.regularizers`.
        ema: Decay of the running average of the generator that samples are drawn from;
            0 draws from the generator itself.
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: noise, `(batch, latent_dim)`, standard normal.
        out: examples, `(batch, *shape)`; images are in [0, 1], and those to train on
            must be too.

    Raises:
        ValueError: If an argument is not one of the above, naming it; in particular
            for a batch normalized critic under a gradient penalty, which is defined
            for each example by itself.

    Logs:
        critic_loss: Mean output on fakes less that on real examples, without penalty.
        distance: Its negative, the critic's estimate of the Wasserstein distance, in
            units of the examples' Euclidean norm (under weight clipping, times an
            unknown factor).
        generator_loss: Minus the mean output on fakes; its level means nothing.
        penalty: What `lipschitz` and the regularizers add to the critic's loss.
        generator_gradient: Norm of the gradient of the generator's loss over all its
            weights; near 0 it learns nothing.

    Example:
        >>> model = WGAN(shape=(28, 28, 1), latent_dim=64)
        >>> model.compile("adam", "adam")
        >>> history = model.fit(digits, batch_size=5 * 64, epochs=10)
        >>> model.sample(16).shape
        TensorShape([16, 28, 28, 1])
    """

    def __init__(
        self,
        shape=(28, 28, 1),
        latent_dim=64,
        networks=None,
        lipschitz=None,
        critic_steps=5,
        regularizers=(),
        ema=0.0,
        **kwargs,
    ):
        if min(*shape, latent_dim, critic_steps) < 1:
            raise ValueError(
                "`shape` is (height, width, channels) or (dim,), `latent_dim` and "
                "`critic_steps` are counts, all positive. Received "
                f"shape={tuple(shape)}, latent_dim={latent_dim}, "
                f"critic_steps={critic_steps}."
            )
        networks = networks or DCGAN(normalization="none")
        lipschitz = lipschitz or GradientPenalty()
        if not isinstance(lipschitz, (GradientPenalty, WeightClipping)):
            raise ValueError(
                "`lipschitz` is GradientPenalty(...) or WeightClipping(...); others "
                f"are `regularizers`. Received: {lipschitz!r}."
            )
        check_networks(networks)
        check([lipschitz, *regularizers], networks)
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.latent_dim = latent_dim
        self.networks = networks
        self.lipschitz = lipschitz
        self.critic_steps = critic_steps
        self.regularizers = list(regularizers)

        with policy_of(self):
            self.generator = networks.generator(latent_dim, self.shape)
            trunk = networks.trunk(self.shape)
            # No bias: it cancels in the distance, so nothing would ever train it.
            outputs = networks.head(1, "outputs", use_bias=False)(trunk.output)
            self.critic = keras.Model(trunk.input, outputs, name="critic")
            self.average(ema)
        self.seed_generator = keras.random.SeedGenerator()
        self.trackers = means(
            "critic_loss", "distance", "generator_loss", "penalty", "generator_gradient"
        )
        self.built = True  # both networks are functional: their weights exist now

    @property
    def discriminator_variables(self):
        """Variables of the critic; the discriminator's optimizer updates them."""
        return self.critic.trainable_variables

    # ---------------------------------------------------------------- inference

    def call(self, latents, training=False):
        """Returns the examples of `(batch, latent_dim)` noise."""
        return self.sampler(latents, training=False)

    def sample(self, count, seed=None):
        """Draws examples.

        Args:
            count: Number of examples.
            seed: Integer; the same seed gives the same examples.

        Returns:
            `(count, *shape)`.
        """
        noise = np.random.default_rng(seed).standard_normal((count, self.latent_dim))
        return in_parts(self, tf.cast(noise, tf.float32))

    # ----------------------------------------------------------------- training

    def train_step(self, data):
        """Updates the critic `critic_steps` times and the generator once.

        Algorithm 1 of either paper.
        """
        real, _ = unpack(data, self.shape)
        steps = [self.critic_step(part) for part in cut(real, self.critic_steps)]
        losses = {
            name: tf.add_n([step[name] for step in steps]) / self.critic_steps
            for name in steps[0]
        }
        count = -(-tf.shape(real)[0] // self.critic_steps)
        return track(self.trackers, losses | self.generator_step(count))

    def critic_step(self, real):
        """Updates the critic on one part of a batch; returns what to log."""
        noise = normal((tf.shape(real)[0], self.latent_dim), self.seed_generator)
        fake = self.generator(noise, training=True)
        step = self.discriminator_optimizer.iterations
        seen = [augment(self.regularizers, x, step) for x in (real, fake)]
        rules = [self.lipschitz, *self.regularizers]
        with tf.GradientTape() as tape:
            outputs = self.networks.on_each(self.critic, seen)
            loss = tf.reduce_mean(wasserstein_critic(*outputs))
            extra = penalty(rules, self.critic, *seen, *outputs)
            objective = loss + extra
        minimize(
            objective, tape, self.discriminator_variables, self.discriminator_optimizer
        )
        for rule in rules:
            rule.constrain(self.discriminator_variables)
        return {"critic_loss": loss, "distance": -loss, "penalty": extra}

    def generator_step(self, count):
        """Updates the generator on `count` new fakes; returns what to log."""
        noise = normal((count, self.latent_dim), self.seed_generator)
        step = self.discriminator_optimizer.iterations
        with tf.GradientTape() as tape:
            fake = self.generator(noise, training=True)
            fake = augment(self.regularizers, fake, step)
            outputs = self.critic(fake, training=True)
            loss = tf.reduce_mean(wasserstein_generator(outputs))
        norm = minimize(loss, tape, self.generator_variables, self.generator_optimizer)
        self.update_average()
        return {"generator_loss": loss, "generator_gradient": norm}

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`."""
        latents = tf.TensorSpec((None, self.latent_dim), tf.float32, name="latents")
        return {"generate": (lambda latents: {"images": self(latents)}, [latents])}

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "shape": self.shape,
            "latent_dim": self.latent_dim,
            "networks": serialize(self.networks),
            "lipschitz": serialize(self.lipschitz),
            "critic_steps": self.critic_steps,
            "regularizers": [serialize(r) for r in self.regularizers],
            "ema": self.average_decay,
        }


def cut(batch, parts):
    """Cuts a batch into equal parts; a batch that does not divide is filled up anew.

    Args:
        batch: `(count, ...)`, one example or more.
        parts: Number of parts.

    Returns:
        List of `parts` tensors `(ceil(count / parts), ...)`.
    """
    count = tf.shape(batch)[0]
    size = -(-count // parts)
    order = tf.range(parts * size) % count
    return [tf.gather(batch, order[i * size : (i + 1) * size]) for i in range(parts)]
