"""Loss terms and divergences as plain functions of tensors.

Every function returns one value per example, shape `(batch,)`, so that a model's
`train_step` shows how they are weighted and averaged. They compute in float32
whatever the dtype policy: a sum over 784 pixels overflows float16.

Losses of a game between a generator and a discriminator take the discriminator's
logits: positive says real. Logits may come as a map of patches, `(batch, rows, columns,
1)`; then the loss of an example is the mean over its patches.

A mixture of diagonal Gaussians travels as three tensors, `log_weights (components,)`,
`means (components, dim)` and `log_variances (components, dim)`.
"""

import math

import tensorflow as tf

LOG_2PI = math.log(2.0 * math.pi)


def bernoulli_nll(images, logits):
    """Negative log-likelihood of `images` under independent Bernoulli pixels.

    Taking logits rather than probabilities keeps the gradient finite where a sigmoid
    saturates.

    Args:
        images: `(batch, ...)` in [0, 1]. Grey values are read as the probability of a
            white pixel: then this is a cross-entropy, whose floor is the entropy of
            the images and not 0.
        logits: Same shape, any real value.

    Returns:
        `(batch,)`, in nats, summed over every pixel.

    Source:
        Kingma & Welling 2013, https://arxiv.org/abs/1312.6114, appendix C.1.
    """
    return _sum_over_pixels(_cross_entropy(*_float32(images, logits)))


@tf.custom_gradient
def _cross_entropy(labels, logits):
    """Sigmoid cross-entropy whose gradient is written as what it is.

    TensorFlow differentiates the overflow-safe formula term by term: a dozen passes
    over the pixels, a twentieth of a small VAE's step.
    """

    def gradient(upstream):
        return -upstream * logits, upstream * (tf.sigmoid(logits) - labels)

    value = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return value, gradient


def gaussian_nll(images, means, log_variance=0.0):
    """Negative log-density of `images` under independent Gaussian pixels.

    All constants are there, so values can be compared across variances; with a fixed
    variance it is a scaled squared error plus a constant.

    Args:
        images: `(batch, ...)`.
        means: Same shape.
        log_variance: Natural log of the variance, in squared units of `images`; a
            scalar or anything that broadcasts against `images`.

    Returns:
        `(batch,)`, in nats, summed over every pixel; negative where the density
        exceeds 1.

    Source:
        Kingma & Welling 2013, https://arxiv.org/abs/1312.6114, appendix C.2.
    """
    images, means, log_variance = _float32(images, means, log_variance)
    squares = tf.square(images - means) * tf.exp(-log_variance)
    return 0.5 * _sum_over_pixels(squares + log_variance + LOG_2PI)


def bits_per_dim(nll, dims):
    """Converts a density of 8-bit images scaled to [0, 1] into bits per value.

    One grey level is 1/255 wide, so the probability of a level is about the density
    times 1/255. A variance far below that width makes this meaninglessly small.

    Args:
        nll: `(batch,)`, nats per image.
        dims: Values per image: height x width x channels.

    Returns:
        `(batch,)`, in bits per value; 8 is what storing raw bytes takes.

    Source:
        Theis et al. 2016, https://arxiv.org/abs/1511.01844, section 3.1.
    """
    return nll / (dims * math.log(2.0)) + math.log2(255.0)


def normal_log_density(values, mean, log_variance):
    """Log-density of vectors under a diagonal Gaussian, summed over the last axis.

    Args:
        values: `(..., dim)`.
        mean: Broadcasts against `values`.
        log_variance: Broadcasts against `values`, natural log.

    Returns:
        `(...)`, in nats.
    """
    values, mean, log_variance = _float32(values, mean, log_variance)
    squares = tf.square(values - mean) * tf.exp(-log_variance)
    return -0.5 * tf.reduce_sum(squares + log_variance + LOG_2PI, axis=-1)


def mixture_log_density(values, log_weights, means, log_variances):
    """Log-density of vectors under a mixture of diagonal Gaussians.

    Written with matrix products: a table of `(count, components, dim)` differences
    would take most of a training step with the 500 components of a VampPrior.

    Args:
        values: `(count, dim)`.
        log_weights: `(components,)`, normalised.
        means: `(components, dim)`.
        log_variances: `(components, dim)`, natural log.

    Returns:
        `(count,)`, in nats.
    """
    values, means, log_variances = _float32(values, means, log_variances)
    # The expanded square loses digits to cancellation when all lie far from 0.
    centre = tf.stop_gradient(tf.reduce_mean(means, axis=0))
    values, means = values - centre, means - centre
    precisions = tf.exp(-log_variances)
    squares = (
        tf.matmul(tf.square(values), precisions, transpose_b=True)
        - 2.0 * tf.matmul(values, means * precisions, transpose_b=True)
        + tf.reduce_sum(tf.square(means) * precisions, axis=-1)
    )
    per_component = -0.5 * (squares + tf.reduce_sum(log_variances + LOG_2PI, axis=-1))
    return tf.reduce_logsumexp(log_weights + per_component, axis=-1)


def kl_to_standard_normal(mean, log_variance):
    """Kullback-Leibler divergence from `N(mean, exp(log_variance))` to `N(0, 1)`.

    Args:
        mean: `(batch, latent_dim)`.
        log_variance: `(batch, latent_dim)`, natural log.

    Returns:
        `(batch,)`, in nats, summed over the latent axis; never negative.

    Source:
        Kingma & Welling 2013, https://arxiv.org/abs/1312.6114, appendix B.
    """
    mean, log_variance = _float32(mean, log_variance)
    terms = tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance
    return 0.5 * tf.reduce_sum(terms, axis=-1)


def cauchy_schwarz_to_mixture(mean, log_variance, log_weights, means, log_variances):
    """Cauchy-Schwarz divergence from a diagonal Gaussian to a mixture of them.

    `-log(<q, p> / sqrt(<q, q> <p, p>))`, where `<q, p>` integrates the product of the
    densities: 0 when they are equal, and, unlike the KL divergence, in closed form
    for mixtures, since the product of two Gaussians integrates to a third.

    Args:
        mean: `(batch, dim)`.
        log_variance: `(batch, dim)`, natural log.
        log_weights: `(components,)`, normalised.
        means: `(components, dim)`.
        log_variances: `(components, dim)`, natural log.

    Returns:
        `(batch,)`, in nats; symmetric in its two distributions and never negative.

    Source:
        Jenssen et al. 2006, https://doi.org/10.1016/j.jfranklin.2006.03.018, section
        2; as a VAE's regulariser, Tran et al. 2022,
        https://arxiv.org/abs/2101.02149, section 3.
    """
    mean, log_variance = _float32(mean, log_variance)
    means, log_variances = _float32(means, log_variances)

    def log_overlap(mean_a, log_variance_a, mean_b, log_variance_b):
        """Log of the integral of the product, for every row of `a` and of `b`."""
        summed = tf.exp(log_variance_a)[:, None] + tf.exp(log_variance_b)
        return normal_log_density(mean_a[:, None], mean_b, tf.math.log(summed))

    cross = tf.reduce_logsumexp(
        log_weights + log_overlap(mean, log_variance, means, log_variances), axis=-1
    )
    itself = normal_log_density(mean, mean, log_variance + math.log(2.0))
    prior = tf.reduce_logsumexp(
        log_weights[:, None]
        + log_weights[None]
        + log_overlap(means, log_variances, means, log_variances)
    )
    return 0.5 * (itself + prior) - cross


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
    real, fake = _float32(real_logits, fake_logits)
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
    (fake,) = _float32(fake_logits)
    return -_mean_over_patches(tf.nn.softplus(fake))


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
    (fake,) = _float32(fake_logits)
    return _mean_over_patches(tf.nn.softplus(-fake))


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
    real, fake = _float32(real_logits, fake_logits)
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
    (fake,) = _float32(fake_logits)
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
    real, fake = _float32(real_logits, fake_logits)
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
    real, fake = _float32(real_logits, fake_logits)
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
    (fake,) = _float32(fake_logits)
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


def _float32(*tensors):
    return tuple(tf.cast(tensor, tf.float32) for tensor in tensors)


def _sum_over_pixels(values):
    return tf.reduce_sum(tf.reshape(values, (tf.shape(values)[0], -1)), axis=-1)


def _mean_over_patches(values):
    return tf.reduce_mean(tf.reshape(values, (tf.shape(values)[0], -1)), axis=-1)
