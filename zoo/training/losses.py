"""Losses of a game between a generator and a discriminator.

They take the discriminator's logits: positive says real. Logits may come as a map of
patches, `(batch, rows, columns, 1)`; then the loss of an example is the mean over its
patches. Every function returns one value per example, shape `(batch,)`, float32
whatever the dtype policy.
"""

import tensorflow as tf

from zoo.training.densities import float32


def minimax_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """Cross-entropy of telling real from fake: `-log D(real) - log(1 - D(fake))`.

    With the best discriminator it is `log 4 - 2 JS(real || fake)`: log 4 = 1.386 once
    the two are the same, 0 while they do not overlap.

    Args:
        real_logits: `(batch, ...)`.
        fake_logits: Same shape.
        label_smoothing: Real examples are to be called real with probability
            `1 - label_smoothing`; fake ones are never smoothed, as that would reward
            the generator for staying where it is (Salimans et al. 2016, section 3.4,
            https://arxiv.org/abs/1606.03498).

    Returns:
        `(batch,)`, in nats.

    Source:
        Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, equation 1.
    """
    real, fake = float32(real_logits, fake_logits)
    # -log D(real) = softplus(-a); s of the other answer make it softplus(-a) + s a.
    real_loss = tf.nn.softplus(-real) + label_smoothing * real
    return _mean_over_patches(real_loss) + _mean_over_patches(tf.nn.softplus(fake))


def saturating_generator(fake_logits):
    """What the generator minimises in the minimax game: `log(1 - D(fake))`.

    Its gradient with respect to a logit `a` is `-sigmoid(a)`: it vanishes for the
    fakes that are surely recognised, which is where the generator has most to learn.

    Args:
        fake_logits: `(batch, ...)`.

    Returns:
        `(batch,)`, in nats, negative; `-log 2` when the discriminator is fooled.

    Source:
        Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, equation 1.
    """
    (fake,) = float32(fake_logits)
    return -_mean_over_patches(tf.nn.softplus(fake))  # log(1 - D) = -softplus(a)


def non_saturating_generator(fake_logits):
    """The generator's cross-entropy of passing for real: `-log D(fake)`.

    Same fixed point as the saturating loss, but its gradient with respect to a logit
    `a` is `-sigmoid(-a)`, near -1 for the fakes that are surely recognised.

    Args:
        fake_logits: `(batch, ...)`.

    Returns:
        `(batch,)`, in nats; `log 2` when the discriminator is fooled.

    Source:
        Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, section 3.
    """
    (fake,) = float32(fake_logits)
    return _mean_over_patches(tf.nn.softplus(-fake))  # -log D = softplus(-a)


def least_squares_discriminator(real_logits, fake_logits, label_smoothing=0.0):
    """Half the squared distance of real outputs from 1 and of fake ones from 0.

    Args:
        real_logits: `(batch, ...)`.
        fake_logits: Same shape.
        label_smoothing: Real outputs are drawn to `1 - label_smoothing` instead.

    Returns:
        `(batch,)`, without unit; 1/4 when it cannot tell and answers 1/2.

    Source:
        Mao et al. 2017, https://arxiv.org/abs/1611.04076, equation 9.
    """
    real, fake = float32(real_logits, fake_logits)
    real_loss = tf.square(real - (1.0 - label_smoothing))
    return 0.5 * (_mean_over_patches(real_loss) + _mean_over_patches(tf.square(fake)))


def least_squares_generator(fake_logits):
    """Half the squared distance of fake outputs from 1.

    Args:
        fake_logits: `(batch, ...)`.

    Returns:
        `(batch,)`, without unit; 1/8 when the discriminator answers 1/2.

    Source:
        Mao et al. 2017, https://arxiv.org/abs/1611.04076, equation 9.
    """
    (fake,) = float32(fake_logits)
    return 0.5 * _mean_over_patches(tf.square(fake - 1.0))


def hinge_discriminator(real_logits, fake_logits):
    """Asks for outputs above 1 on real examples and below -1 on fake ones.

    Args:
        real_logits: `(batch, ...)`.
        fake_logits: Same shape.

    Returns:
        `(batch,)`, without unit, never negative; 2 for outputs of 0.

    Source:
        Lim & Ye 2017, https://arxiv.org/abs/1705.02894, section 3.1; as Miyato et al.
        2018, https://arxiv.org/abs/1802.05957, equation 16.
    """
    real, fake = float32(real_logits, fake_logits)
    # No gradient from an example that is already on its side of the margin.
    return _mean_over_patches(tf.nn.relu(1.0 - real)) + _mean_over_patches(
        tf.nn.relu(1.0 + fake)
    )


def wasserstein_critic(real_logits, fake_logits):
    """Mean output on fakes less that on real examples.

    The negative of what a 1-Lipschitz critic maximises: at its best, minus the
    Wasserstein-1 distance.

    Args:
        real_logits: `(batch, ...)`, any real value.
        fake_logits: Same shape.

    Returns:
        `(batch,)`, in units of the data's distance over the critic's slope.

    Source:
        Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, algorithm 1.
    """
    real, fake = float32(real_logits, fake_logits)
    # No sigmoid and no bound: the slope alone is restrained, by a regularizer.
    return _mean_over_patches(fake) - _mean_over_patches(real)


def wasserstein_generator(fake_logits):
    """Minus the critic's output on fakes; also the generator's side of the hinge loss.

    Args:
        fake_logits: `(batch, ...)`, any real value.

    Returns:
        `(batch,)`, in units of the data's distance over the critic's slope.

    Source:
        Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, algorithm 1.
    """
    (fake,) = float32(fake_logits)
    return -_mean_over_patches(fake)


#: Name -> (loss of the discriminator, loss of the generator).
ADVERSARIAL_LOSSES = {
    "saturating": (minimax_discriminator, saturating_generator),
    "non_saturating": (minimax_discriminator, non_saturating_generator),
    "least_squares": (least_squares_discriminator, least_squares_generator),
    "hinge": (hinge_discriminator, wasserstein_generator),
    "wasserstein": (wasserstein_critic, wasserstein_generator),
}


#: Those whose discriminator has a label to smooth.
SMOOTHABLE_LOSSES = ("saturating", "non_saturating", "least_squares")


def _mean_over_patches(values):
    """Returns `(batch,)` means of `(batch, ...)`: of one logit, that logit."""
    return tf.reduce_mean(tf.reshape(values, (tf.shape(values)[0], -1)), axis=-1)
