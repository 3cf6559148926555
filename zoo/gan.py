"""Generative adversarial network.

Goodfellow et al. 2014, "Generative Adversarial Nets", https://arxiv.org/abs/1406.2661,
with the convolutional networks of Radford et al. 2015 (`zoo.networks`). Two networks
play a game: the generator turns noise into examples, the discriminator tells them from
real ones, and each is trained on the other's mistakes.

    noise --generator--> fake --+
                                +--discriminator--> logit: positive says real
                         real --+

The theory, in three lines that tests check:

- The best discriminator is `p / (p + q)` for real density p and fake density q (the
  paper's proposition 1). At the end of the game p = q: it answers 1/2 everywhere and
  its loss is log 4.
- Before that, `log 4 - loss` is twice the Jensen-Shannon divergence of p and q. It
  stays log 2 while they do not overlap, however near they come: no gradient to follow.
  Noise on both (`InstanceNoise`) makes them overlap.
- With respect to a fake's logit `a`, the gradient of `log(1 - D)` is `-sigmoid(a)` and
  vanishes where the discriminator is sure; that of `-log D` is `-sigmoid(-a)` and does
  not. Hence the default loss.
"""

import functools

import tensorflow as tf

from zoo.networks.dcgan import DCGAN, check_networks
from zoo.training.adversarial import FromNoise, discriminator_accuracy
from zoo.training.losses import ADVERSARIAL_LOSSES, SMOOTHABLE_LOSSES
from zoo.training.model import policy_of
from zoo.training.registry import number, register
from zoo.training.regularizers import augment, penalty
from zoo.training.step import track, unpack


@register
class GAN(FromNoise):
    """Generates examples from noise.

    Both networks are updated on the same pass, from their weights before it: one
    forward of the generator serves both, where the paper's algorithm draws new noise
    for the second update.

    Args:
        image_shape: Of an example: `(height, width, channels)` of an image of any size,
            or `(dim,)` of a point.
        latent_dim: Length of a noise vector.
        networks: `DCGAN(...)` (default), `MLP(...)` or another of
            `zoo.networks.dcgan.Networks`.
        loss: `"non_saturating"` (default), `"saturating"`, `"least_squares"`,
            `"hinge"` or `"wasserstein"`, see `zoo.training.losses`; the last needs a
            regularizer that bounds the discriminator's slope.
        label_smoothing: Real examples are to be called real with 1 less this
            probability, from 0 to below 1/2; for the first three losses.
        regularizers: Any of `zoo.training.regularizers`; those that penalize the slope
            need networks without batch normalization of the discriminator.
        ema: Decay of the running average of the generator that samples are drawn from;
            0 draws from the generator itself.
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: noise, `(batch, latent_dim)`, standard normal.
        out: examples, `(batch, *image_shape)`; images are in [0, 1], and those to
            train on must be too.

    Raises:
        ValueError: If an argument is not one of the above, naming it.

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
        >>> model = GAN(image_shape=(28, 28, 1), latent_dim=64)
        >>> model.compile("adam", "adam")
        >>> history = model.fit(digits, batch_size=64, epochs=10)
        >>> model.sample(16).shape
        TensorShape([16, 28, 28, 1])
    """

    def __init__(
        self,
        image_shape=(28, 28, 1),
        latent_dim=64,
        networks=None,
        loss="non_saturating",
        label_smoothing=0.0,
        regularizers=(),
        ema=0.0,
        **kwargs,
    ):
        if loss not in ADVERSARIAL_LOSSES:
            raise ValueError(
                f"`loss` is one of {', '.join(ADVERSARIAL_LOSSES)}. Received "
                f"loss={loss!r}."
            )
        smooth = 0.0 < number(label_smoothing) < 0.5 and loss in SMOOTHABLE_LOSSES
        if label_smoothing and not smooth:
            raise ValueError(
                "`label_smoothing` is a share from 0 to below 1/2, for the losses "
                f"{', '.join(SMOOTHABLE_LOSSES)}. Received "
                f"label_smoothing={label_smoothing}, loss={loss!r}."
            )
        networks = networks or DCGAN()
        check_networks(networks)
        super().__init__(image_shape, latent_dim, networks, regularizers, **kwargs)
        self.loss_name = loss
        self.label_smoothing = label_smoothing

        with policy_of(self):
            self.generator = networks.generator(latent_dim, self.image_shape)
            self.discriminator = networks.discriminator(self.image_shape)
        self.ready(ema)

    def train_step(self, data):
        """Updates both networks on one batch (the paper's algorithm 1, with k = 1)."""
        real, _ = unpack(data, self.image_shape)  # (batch, *image_shape)
        noise = self.noise(tf.shape(real)[0])  # (batch, latent_dim)
        step = self.discriminator_optimizer.iterations
        discriminator_loss, generator_loss = ADVERSARIAL_LOSSES[self.loss_name]
        if self.label_smoothing:  # which not every loss knows
            discriminator_loss = functools.partial(
                discriminator_loss, label_smoothing=self.label_smoothing
            )

        # Persistent: two gradients are taken of the one pass.
        with tf.GradientTape(persistent=True) as tape:
            fake = self.generator(noise, training=True)  # (batch, *image_shape)
            # Real and fake changed alike, or the change would tell them apart.
            seen = [augment(self.regularizers, x, step) for x in (real, fake)]
            # (batch, 1) each; together in one pass unless batch statistics forbid it
            logits = self.networks.on_each(self.discriminator, seen)
            losses = {  # scalars; a loss is (batch,) before its mean
                "discriminator_loss": tf.reduce_mean(discriminator_loss(*logits)),
                "generator_loss": tf.reduce_mean(generator_loss(logits[1])),
                "penalty": penalty(
                    self.regularizers, self.discriminator, *seen, *logits
                ),
            }
            objective = losses["discriminator_loss"] + losses["penalty"]
        # The generator's gradient reaches it through the discriminator.
        losses["generator_gradient"] = self.update(
            tape, losses["generator_loss"], objective
        )
        losses["accuracy"] = discriminator_accuracy(*logits)
        return track(self.trackers, losses)

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {
            **super().get_config(),
            "loss": self.loss_name,
            "label_smoothing": self.label_smoothing,
        }
