"""Gradients of expectations: `d/dtheta E[f(z)]`, where z is drawn from `p(z; theta)`.

The parameter says where the samples fall, so the gradient of their mean is not the mean
of any gradient of `f` alone. Three ways around that, unbiased all:

    pathwise          writes z as a function of noise and theta; needs the slope of f
    score function    weighs the slope of log p by f; needs values of f alone
    measure valued    differences f between two sets of samples; twice a coordinate

and, for choices that have no slope, relaxed relatives that are biased.

Each function takes the noise as an argument and returns one gradient per sample,
`(samples, ..., dim)`: their mean is the estimate, their spread its error. What is
written with operators alone takes NumPy arrays and TensorFlow tensors alike. Inside a
`train_step`, `surrogate` hands a gradient to the weights behind the parameter:

    found = gaussian_score_function(f, mean, stddev, noise, leave_one_out)
    loss = surrogate(mean, found.mean) + surrogate(stddev, found.stddev)

Mohamed et al. 2020, "Monte Carlo Gradient Estimation in Machine Learning",
https://arxiv.org/abs/1906.10652, is the source of all that names no other.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy import special


class GaussianGradient(NamedTuple):
    """Gradients with respect to the two parameters of a diagonal Gaussian.

    Attributes:
        mean: `(samples, ..., dim)`, in units of f over those of z.
        stddev: The same.
    """

    mean: object
    stddev: object


# ------------------------------------------------------------------------- Gaussian


def gaussian_pathwise(slope, mean, stddev, noise):
    """Moves each sample with the parameters: the reparameterization trick.

    Costs one gradient of f per sample, whatever the dimension. Its spread does not
    depend on the size of f, but on that of its slope.

    Args:
        slope: The gradient of f, `(samples, ..., dim)` of the same shape; of a function
            in TensorFlow, `slope_of(f)`.
        mean: `(..., dim)`.
        stddev: `(..., dim)`, positive.
        noise: `(samples, ..., dim)`, standard normal.

    Returns:
        A `GaussianGradient`.

    Source:
        Section 5; as the reparameterization trick, Kingma & Welling 2013,
        https://arxiv.org/abs/1312.6114, section 2.4.
    """
    slopes = slope(mean + stddev * noise)
    return GaussianGradient(slopes, slopes * noise)


def gaussian_score_function(f, mean, stddev, noise, baseline=None):
    """Makes samples likelier the larger f is there: the REINFORCE estimator.

    Costs one value of f per sample, whatever the dimension, and f may be anything. But
    its spread grows with the size of f, constants included, and with the dimension.

    Args:
        f: `(samples, ..., dim)` to `(samples, ...)`.
        mean: `(..., dim)`.
        stddev: `(..., dim)`, positive.
        noise: `(samples, ..., dim)`, standard normal.
        baseline: What to subtract from the values, which changes no mean but the
            spread: a number, or a function of all values that gives each one's, of
            which it must not depend: `leave_one_out`.

    Returns:
        A `GaussianGradient`.

    Source:
        Section 4; Williams 1992, https://doi.org/10.1007/BF00992696.
    """
    values = _less(f(mean + stddev * noise), baseline)  # (samples, ..., 1)
    by_mean = noise / stddev  # the slope of log p
    by_stddev = (noise * noise - 1.0) / stddev
    return GaussianGradient(values * by_mean, values * by_stddev)


def gaussian_measure_valued(f, mean, stddev, noise, rayleigh, maxwell):
    """Differences f between two distributions, whose difference is the slope of p.

    Right and left of the mean the slope of a Gaussian is that of two Rayleigh
    distributions; with respect to the standard deviation it is that of a two-sided
    Maxwell distribution and the Gaussian. A coordinate at a time, so it costs
    `3 dim + 1` values of f per sample; f may be anything, and the spread is that of
    its differences.

    The two sides of the mean share their draw, those of the deviation do not.

    Args:
        f: `(samples, ..., dim)` to `(samples, ...)`.
        mean: `(..., dim)`.
        stddev: `(..., dim)`, positive.
        noise: `(samples, ..., dim)`, standard normal.
        rayleigh: The same shape, of density `w exp(-w^2 / 2)` for w > 0.
        maxwell: The same shape, of density `m^2 exp(-m^2 / 2) / sqrt(2 pi)`:
            `maxwell_noise` draws it.

    Returns:
        A `GaussianGradient`.

    Source:
        Section 6 and table 1; Heidergott et al. 2008, "Sensitivity analysis for Monte
        Carlo simulation of stochastic systems".
    """
    dim = int(noise.shape[-1])
    z = mean + stddev * noise  # (samples, ..., dim)
    middle, by_mean, by_stddev = f(z), [], []
    for one in np.eye(dim, dtype=_name(noise)):

        def at(draws, one=one):
            """Value of f with one coordinate drawn anew, `(samples, ...)`."""
            return f(z * (1.0 - one) + (mean + stddev * draws) * one)

        right, left = at(rayleigh), at(-rayleigh)
        by_mean.append((right - left) / math.sqrt(2.0 * math.pi))
        by_stddev.append(at(maxwell) - middle)
    return GaussianGradient(_stack(by_mean) / stddev, _stack(by_stddev) / stddev)


def rayleigh_noise(uniform):
    """Returns draws of density `w exp(-w^2 / 2)`, for `gaussian_measure_valued`.

    Args:
        uniform: Any shape, in [0, 1).
    """
    return (-2.0 * _log1p(-uniform)) ** 0.5


def maxwell_noise(first, second, third, uniform):
    """Returns draws of density `m^2 exp(-m^2 / 2) / sqrt(2 pi)` on both sides of 0.

    Args:
        first: Any shape, standard normal: with the next two a vector, whose length is
            Maxwell's.
        second: The same.
        third: The same.
        uniform: The same shape, in [0, 1): chooses the side.
    """
    length = (first * first + second * second + third * third) ** 0.5
    return length * _where(uniform < 0.5, -1.0, 1.0, length)


# ------------------------------------------------------------------------ Bernoulli


def bernoulli_score_function(f, logits, uniform, baseline=None):
    """The score function estimator for independent bits.

    Args:
        f: `(samples, ..., dim)` of zeros and ones to `(samples, ...)`.
        logits: `(..., dim)`: the probability of a one is their sigmoid.
        uniform: `(samples, ..., dim)`, in [0, 1).
        baseline: As for `gaussian_score_function`.

    Returns:
        `(samples, ..., dim)`, with respect to the logits.

    Source:
        Section 4.
    """
    share = _sigmoid(logits)
    bits = _where(uniform < share, 1.0, 0.0, uniform)
    return _less(f(bits), baseline) * (bits - share)


def bernoulli_measure_valued(f, logits, uniform):
    """Differences f between one and zero, a bit at a time, with the others as drawn.

    Of a single bit it is exact: nothing is left to chance. Costs `2 dim` values of f
    per sample.

    Args:
        f: `(samples, ..., dim)` of zeros and ones to `(samples, ...)`.
        logits: `(..., dim)`.
        uniform: `(samples, ..., dim)`, in [0, 1).

    Returns:
        `(samples, ..., dim)`, with respect to the logits.

    Source:
        Section 6 and table 1; for networks, Titsias & Lazaro-Gredilla 2015, "Local
        expectation gradients for black box variational inference", section 3.
    """
    share = _sigmoid(logits)
    bits = _where(uniform < share, 1.0, 0.0, uniform)
    gaps = []
    for one in np.eye(int(uniform.shape[-1]), dtype=_name(uniform)):
        others = bits * (1.0 - one)
        gaps.append(f(others + one) - f(others))
    return _stack(gaps) * share * (1.0 - share)  # the slope of the sigmoid


# ------------------------------------------------------------------ biased relatives


def gumbel_softmax(logits, uniform, temperature):
    """Draws a choice that is almost one of the categories, and has a slope.

    The largest of logits plus Gumbel noise is an exact draw; the softmax in its place
    is a draw from another distribution, so gradients through it are biased. A lower
    temperature is closer and its gradients spread more, without bound.

    Args:
        logits: `(..., categories)`.
        uniform: `(samples, ..., categories)`, in (0, 1).
        temperature: Positive; 1 to 0.1 are usual.

    Returns:
        `(samples, ..., categories)` tensor, adds up to 1.

    Raises:
        ValueError: If `temperature` is not positive.

    Source:
        Jang et al. 2017, https://arxiv.org/abs/1611.01144, section 2; Maddison et al.
        2017, https://arxiv.org/abs/1611.00712, section 3.
    """
    _positive(temperature)
    gumbel = -tf.math.log(-tf.math.log(uniform))
    return tf.nn.softmax((logits + gumbel) / temperature, axis=-1)


def relaxed_bernoulli(logits, uniform, temperature):
    """Draws almost a bit, as `gumbel_softmax` of two categories does.

    Args:
        logits: `(..., dim)`.
        uniform: `(samples, ..., dim)`, in (0, 1).
        temperature: Positive.

    Returns:
        `(samples, ..., dim)` tensor, in (0, 1).

    Source:
        Maddison et al. 2017, https://arxiv.org/abs/1611.00712, appendix B.
    """
    _positive(temperature)
    logistic = tf.math.log(uniform) - tf.math.log1p(-uniform)
    return tf.sigmoid((logits + logistic) / temperature)


def straight_through(hard, soft):
    """Takes the value of one tensor and the gradient of another.

    With the argmax of `gumbel_softmax` and its softmax, f sees a real choice. With
    bits and their probability it is the oldest such estimator. Biased unless f is
    linear.

    Args:
        hard: What f shall see.
        soft: Of the same shape, what the gradient goes through.

    Returns:
        A tensor.

    Source:
        Bengio et al. 2013, https://arxiv.org/abs/1308.3432, section 4.
    """
    soft = tf.convert_to_tensor(soft)
    return tf.cast(hard, soft.dtype) + soft - tf.stop_gradient(soft)


# --------------------------------------------------------------------- to build with


def leave_one_out(values):
    """Returns for each value the mean of all others: a baseline at no cost.

    Args:
        values: `(samples, ...)`, 2 samples or more.

    Source:
        Kool et al. 2019, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", equation
        8; as VIMCO, Mnih & Rezende 2016, https://arxiv.org/abs/1602.06725.
    """
    count = int(values.shape[0])
    if count < 2:
        raise ValueError(
            f"Of one sample nothing is left out: take 2 or more. Received: {count}."
        )
    total = values.sum(axis=0) if _numpy(values) else tf.reduce_sum(values, axis=0)
    return (total - values) / (count - 1)


def slope_of(f):
    """Returns the gradient of a function in TensorFlow, for `gaussian_pathwise`.

    Args:
        f: `(samples, ..., dim)` to `(samples, ...)`, each row on its own.
    """

    def slope(z):
        z = tf.convert_to_tensor(z)
        with tf.GradientTape() as tape:
            tape.watch(z)
            values = f(z)
        return tape.gradient(values, z)

    return slope


def surrogate(parameter, gradients):
    """Returns a loss whose gradient with respect to a parameter is an estimate.

    Its value means nothing. A tape carries the gradient on to the weights that the
    parameter came from.

    Args:
        parameter: `(..., dim)`, a tensor or variable.
        gradients: `(samples, ..., dim)`, one per sample, as the estimators return them.

    Returns:
        A scalar tensor.
    """
    estimate = tf.stop_gradient(tf.reduce_mean(gradients, axis=0))
    return tf.reduce_sum(tf.convert_to_tensor(parameter) * estimate)


def _less(values, baseline):
    """Returns values less their baseline, `(samples, ..., 1)`."""
    if callable(baseline):
        values = values - baseline(values)
    elif baseline is not None:
        values = values - baseline
    return values[..., None]


def _positive(temperature):
    if not temperature > 0:
        raise ValueError(f"`temperature` must be positive. Received: {temperature}.")


# What NumPy and TensorFlow call by two names.


def _numpy(values):
    return isinstance(values, np.ndarray)


def _name(values):
    return values.dtype.name


def _stack(values):
    return np.stack(values, -1) if _numpy(values[0]) else tf.stack(values, axis=-1)


def _where(condition, yes, no, like):
    one = np.where if _numpy(condition) else tf.where
    return one(condition, np.asarray(yes, _name(like)), np.asarray(no, _name(like)))


def _log1p(values):
    return np.log1p(values) if _numpy(values) else tf.math.log1p(values)


def _sigmoid(values):
    if np.isscalar(values):
        return float(special.expit(values))
    return special.expit(values) if _numpy(values) else tf.sigmoid(values)
