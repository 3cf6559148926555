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
import tensorflow as tf

from zoo.networks.dcgan import DCGAN, check_networks
from zoo.training.adversarial import FromNoise
from zoo.training.losses import wasserstein_critic, wasserstein_generator
from zoo.training.model import policy_of
from zoo.training.registry import as_tuple, check_counts, register
from zoo.training.regularizers import (
    GradientPenalty,
    WeightClipping,
    augment,
    penalty,
)
from zoo.training.step import track, unpack

LOGS = ("critic_loss", "distance", "generator_loss", "penalty", "generator_gradient")


@register
class WGAN(FromNoise):
    """Generates examples from noise, guided by a distance instead of a judge.

    Args:
        image_shape: Of an example: `(height, width, channels)` of an image of any size,
            or `(dim,)` of a point.
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
        out: examples, `(batch, *image_shape)`; images are in [0, 1], and those to
            train on must be too.

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
        >>> model = WGAN(image_shape=(28, 28, 1), latent_dim=64)
        >>> model.compile("adam", "adam")
        >>> history = model.fit(digits, batch_size=5 * 64, epochs=10)
        >>> model.sample(16).shape
        TensorShape([16, 28, 28, 1])
    """

    def __init__(
        self,
        image_shape=(28, 28, 1),
        latent_dim=64,
        networks=None,
        lipschitz=None,
        critic_steps=5,
        regularizers=(),
        ema=0.0,
        **kwargs,
    ):
        check_counts(
            image_shape=as_tuple(image_shape),
            latent_dim=latent_dim,
            critic_steps=critic_steps,
        )
        networks = networks or DCGAN(normalization="none")
        lipschitz = lipschitz or GradientPenalty()
        if not isinstance(lipschitz, (GradientPenalty, WeightClipping)):
            raise ValueError(
                "`lipschitz` is GradientPenalty(...) or WeightClipping(...); others "
                f"are `regularizers`. Received: {lipschitz!r}."
            )
        check_networks(networks)
        # The bound is a regularizer too, and the first of them.
        rules = [lipschitz, *regularizers]
        super().__init__(image_shape, latent_dim, networks, rules, **kwargs)
        self.lipschitz = lipschitz
        self.critic_steps = critic_steps

        with policy_of(self):
            self.generator = networks.generator(latent_dim, self.image_shape)
            # No bias: it cancels in the distance, so nothing would ever train it.
            self.critic = networks.discriminator(
                self.image_shape, name="critic", use_bias=False
            )
        self.ready(ema, LOGS)

    @property
    def discriminator_variables(self):
        """Variables of the critic; the discriminator's optimizer updates them."""
        return self.critic.trainable_variables

    def train_step(self, data):
        """Updates the critic `critic_steps` times and the generator once.

        Algorithm 1 of either paper.
        """
        real, _ = unpack(data, self.image_shape)  # (batch, *image_shape)
        # A distance is only worth following once the critic is near its best.
        steps = [self.critic_step(part) for part in cut(real, self.critic_steps)]
        losses = {  # means over the critic's steps
            name: tf.add_n([step[name] for step in steps]) / self.critic_steps
            for name in steps[0]
        }
        count = -(-tf.shape(real)[0] // self.critic_steps)  # of a part
        return track(self.trackers, losses | self.generator_step(count))

    def critic_step(self, real):
        """Updates the critic on one part of a batch; returns what to log."""
        noise = self.noise(tf.shape(real)[0])  # (part, latent_dim)
        # Outside of the tape: the generator is given, here.
        fake = self.generator(noise, training=True)  # (part, *image_shape)
        step = self.discriminator_optimizer.iterations
        seen = [augment(self.regularizers, x, step) for x in (real, fake)]
        with tf.GradientTape() as tape:
            outputs = self.networks.on_each(self.critic, seen)  # (part, 1) each
            loss = tf.reduce_mean(wasserstein_critic(*outputs))
            # With the gradient penalty, a slope of a slope: that of the critic at
            # examples between real and fake, by the critic's weights.
            extra = penalty(self.regularizers, self.critic, *seen, *outputs)
            objective = loss + extra
        self.update_discriminator(tape, objective)
        return {"critic_loss": loss, "distance": -loss, "penalty": extra}

    def generator_step(self, count):
        """Updates the generator on `count` new fakes; returns what to log."""
        noise = self.noise(count)  # (count, latent_dim)
        step = self.discriminator_optimizer.iterations
        with tf.GradientTape() as tape:
            fake = self.generator(noise, training=True)  # (count, *image_shape)
            fake = augment(self.regularizers, fake, step)
            outputs = self.critic(fake, training=True)  # (count, 1)
            # Down the estimated distance: real examples have no part in its gradient.
            loss = tf.reduce_mean(wasserstein_generator(outputs))
        norm = self.update_generator(tape, loss)
        return {"generator_loss": loss, "generator_gradient": norm}

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        config = super().get_config()
        return {
            **config,
            "lipschitz": keras.saving.serialize_keras_object(self.lipschitz),
            "critic_steps": self.critic_steps,
            "regularizers": config["regularizers"][1:],  # without the bound
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
    size = -(-count // parts)  # rounded up
    order = tf.range(parts * size) % count  # (parts * size,): 0, 1, ..., 0, 1
    return [tf.gather(batch, order[i * size : (i + 1) * size]) for i in range(parts)]
