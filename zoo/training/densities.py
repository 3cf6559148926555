"""Log-densities of images and codes, and how far two densities are apart.

Every function returns one value per example, shape `(batch,)`, so that a model's
`train_step` shows how they are weighted and averaged. They compute in float32
whatever the dtype policy: a sum over 784 pixels overflows float16.

A mixture of diagonal Gaussians travels as three tensors, `log_weights (components,)`,
`means (components, dim)` and `log_variances (components, dim)`.
"""

import math

import numpy as np
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
    return _sum_over_pixels(_cross_entropy(*float32(images, logits)))


@tf.custom_gradient
def _cross_entropy(labels, logits):
    """Sigmoid cross-entropy whose gradient is written as what it is.

    TensorFlow differentiates the overflow-safe formula term by term: a dozen passes
    over the pixels, a twentieth of a small VAE's step.
    """

    def gradient(upstream):  # of both arguments, same shape as they
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
    images, means, log_variance = float32(images, means, log_variance)
    squares = tf.square(images - means) * tf.exp(-log_variance)
    # (x - m)^2 / v + log v + log 2 pi, of each pixel
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
    values, mean, log_variance = float32(values, mean, log_variance)
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
    # The expanded square cancels: in float32 it was wrong by 0.6 nats at log-variances
    # of -12, in float64 it never is by more than float32 rounds.
    values, means, log_variances = (
        tf.cast(x, tf.float64) for x in float32(values, means, log_variances)
    )
    # Around their own middle, so that less cancels when all lie far from 0.
    centre = tf.stop_gradient(tf.reduce_mean(means, axis=0))
    values, means = values - centre, means - centre
    precisions = tf.exp(-log_variances)  # (components, dim)
    # (x - m)^2 p = x^2 p - 2 x m p + m^2 p, summed over dim: (count, components)
    squares = (
        tf.matmul(tf.square(values), precisions, transpose_b=True)
        - 2.0 * tf.matmul(values, means * precisions, transpose_b=True)
        + tf.reduce_sum(tf.square(means) * precisions, axis=-1)
    )
    per_component = -0.5 * (squares + tf.reduce_sum(log_variances + LOG_2PI, axis=-1))
    per_component = tf.cast(per_component, tf.float32)
    return tf.reduce_logsumexp(log_weights + per_component, axis=-1)  # (count,)


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
    mean, log_variance = float32(mean, log_variance)
    # (batch, latent_dim); each is 0 where mean is 0 and variance 1
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
    mean, log_variance = float32(mean, log_variance)
    means, log_variances = float32(means, log_variances)

    def log_overlap(mean_a, log_variance_a, mean_b, log_variance_b):
        """Log of the integral of the product, for every row of `a` and of `b`."""
        # That of N(a, va) and N(b, vb) is the density of a under N(b, va + vb).
        summed = tf.exp(log_variance_a)[:, None] + tf.exp(log_variance_b)
        return normal_log_density(mean_a[:, None], mean_b, tf.math.log(summed))

    cross = tf.reduce_logsumexp(
        log_weights + log_overlap(mean, log_variance, means, log_variances), axis=-1
    )
    # <q, q>: the density of the mean under twice the variance, (batch,)
    itself = normal_log_density(mean, mean, log_variance + math.log(2.0))
    # <p, p>: every component with every other, a scalar
    prior = tf.reduce_logsumexp(
        log_weights[:, None]
        + log_weights[None]
        + log_overlap(means, log_variances, means, log_variances)
    )
    return 0.5 * (itself + prior) - cross  # (batch,)


def importance_sampled_nll(log_weights, images, samples, seed, rows):
    """Estimates negative log-likelihoods by the mean of importance weights.

    Their mean over codes is the likelihood itself, for any number of codes; its
    logarithm is below that of the likelihood on average, and comes nearer with more.

    Args:
        log_weights: `(images, count, seed) -> (batch, count)`: logs of `count` weights
            for each image, drawn by a `(2,)` seed; a `tf.function`, to be fast.
        images: Array `(count, ...)`.
        samples: Weights for each image.
        seed: Of all draws; they do not depend on how many images there are.
        rows: Weights at once, which bounds the memory.

    Returns:
        `(count,)` float32 array, nats per image.

    Source:
        Burda et al. 2016, https://arxiv.org/abs/1509.00519, equation 8.
    """

    def log_sum(batch, count, seed):
        return tf.reduce_logsumexp(log_weights(batch, count, seed), axis=1)  # (batch,)

    at_once, chunk = max(1, rows // samples), min(rows, samples)
    results = []
    for start in range(0, len(images), at_once):
        batch = tf.cast(images[start : start + at_once], tf.float32)
        parts = [
            log_sum(batch, min(chunk, samples - done), tf.stack([seed + done, start]))
            for done in range(0, samples, chunk)
        ]  # (batch,) each
        results.append(tf.reduce_logsumexp(tf.stack(parts), axis=0))
    return math.log(samples) - np.concatenate(results)


def float32(*tensors):
    """Returns tensors as float32."""
    return tuple(tf.cast(tensor, tf.float32) for tensor in tensors)


def _sum_over_pixels(values):
    return tf.reduce_sum(tf.reshape(values, (tf.shape(values)[0], -1)), axis=-1)
