"""Closed forms against Monte Carlo, SciPy and numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from zoo.training import densities


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def gaussians(rng, count, dim):
    """Returns random means and log-variances, float32."""
    mean = rng.normal(size=(count, dim))
    return mean.astype("float32"), rng.normal(0, 0.7, (count, dim)).astype("float32")


def mixture(rng, components, dim):
    """Returns a random mixture as `zoo.training.densities` takes it."""
    weights = rng.dirichlet(np.ones(components)).astype("float32")
    return (np.log(weights), *gaussians(rng, components, dim))


def scipy_mixture_pdf(values, log_weights, means, log_variances):
    parts = [
        np.exp(w) * stats.norm(m, np.exp(0.5 * v)).pdf(values).prod(axis=-1)
        for w, m, v in zip(log_weights, means, log_variances, strict=True)
    ]
    return np.sum(parts, axis=0)


def test_bernoulli_nll_is_scipys(rng):
    images = rng.integers(0, 2, (3, 4, 4, 1)).astype("float32")
    logits = rng.normal(size=images.shape).astype("float32")
    expected = -stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(images)
    np.testing.assert_allclose(
        densities.bernoulli_nll(images, logits), expected.sum(axis=(1, 2, 3)), rtol=1e-5
    )


def test_bernoulli_nll_stays_finite_where_a_sigmoid_saturates():
    logits = tf.constant([[200.0], [-200.0]])
    np.testing.assert_allclose(
        densities.bernoulli_nll([[0.0], [0.0]], logits), [200, 0]
    )


def test_bernoulli_nll_has_the_gradients_of_tensorflows_cross_entropy(rng):
    """First and second ones, in both arguments: they are written by hand."""
    labels = tf.constant(rng.random((20, 1)), tf.float32)
    logits = tf.constant(rng.normal(0, 4, (20, 1)), tf.float32)

    def derivatives(function):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(logits)
            with tf.GradientTape() as inner:
                inner.watch((labels, logits))
                value = tf.reduce_sum(function(labels, logits))
            first = inner.gradient(value, (labels, logits))
        return [*first, outer.gradient(first[1], logits)]

    ours = derivatives(densities.bernoulli_nll)
    expected = derivatives(tf.nn.sigmoid_cross_entropy_with_logits)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_bernoulli_nll_averages_to_the_entropy(rng):
    """Monte Carlo: the expected surprise of pixels drawn from the model itself."""
    logit = 0.8
    p = 1 / (1 + np.exp(-logit))
    draws = (rng.random((200_000, 1)) < p).astype("float32")
    nll = densities.bernoulli_nll(draws, tf.fill(draws.shape, logit))
    entropy = stats.bernoulli(p).entropy()
    np.testing.assert_allclose(np.mean(nll), entropy, atol=4 * np.std(nll) / 447)


def test_gaussian_nll_is_scipys_constants_included(rng):
    images = rng.normal(size=(3, 2, 2, 2)).astype("float32")
    means = rng.normal(size=images.shape).astype("float32")
    expected = -stats.norm(means, np.sqrt(0.2)).logpdf(images).sum(axis=(1, 2, 3))
    found = densities.gaussian_nll(images, means, np.log(0.2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gaussian_nll_averages_to_the_entropy(rng):
    draws = rng.normal(0.5, 0.3, (200_000, 1)).astype("float32")
    nll = densities.gaussian_nll(draws, tf.fill(draws.shape, 0.5), 2 * np.log(0.3))
    entropy = stats.norm(0.5, 0.3).entropy()
    np.testing.assert_allclose(np.mean(nll), entropy, atol=4 * np.std(nll) / 447)


def test_uniform_grey_levels_cost_eight_bits():
    # a density of 1 on [0, 1] gives each of 255 intervals 1/255: log2(255) bits
    np.testing.assert_allclose(densities.bits_per_dim(0.0, 784), np.log2(255))
    np.testing.assert_allclose(
        densities.bits_per_dim(784 * np.log(2), 784), 1 + np.log2(255)
    )


def test_kl_by_hand():
    # 0.5 (1 + e^0 - 1 - 0) = 0.5; 0.5 (0 + e - 1 - 1) = 0.359
    found = densities.kl_to_standard_normal([[1.0], [0.0]], [[0.0], [1.0]])
    np.testing.assert_allclose(found, [0.5, (np.e - 2) / 2], rtol=1e-6)
    np.testing.assert_allclose(densities.kl_to_standard_normal([[0.0]], [[0.0]]), [0])


def test_kl_is_what_monte_carlo_finds(rng):
    mean, log_variance = gaussians(rng, 1, 3)
    codes = mean + np.exp(0.5 * log_variance) * rng.standard_normal((200_000, 3))
    estimates = np.sum(
        stats.norm(mean, np.exp(0.5 * log_variance)).logpdf(codes)
        - stats.norm().logpdf(codes),
        axis=1,
    )
    exact = densities.kl_to_standard_normal(mean, log_variance)[0]
    np.testing.assert_allclose(estimates.mean(), exact, atol=4 * estimates.std() / 447)


def test_normal_log_density_is_scipys(rng):
    mean, log_variance = gaussians(rng, 4, 3)
    values = rng.normal(size=(4, 3)).astype("float32")
    expected = stats.norm(mean, np.exp(0.5 * log_variance)).logpdf(values).sum(axis=1)
    found = densities.normal_log_density(values, mean, log_variance)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_mixture_log_density_is_scipys_even_far_from_zero(rng, offset):
    log_weights, means, log_variances = mixture(rng, 5, 3)
    means = means + np.float32(offset)
    values = means[:4] + rng.normal(size=(4, 3)).astype("float32")
    expected = np.log(scipy_mixture_pdf(values, log_weights, means, log_variances))
    found = densities.mixture_log_density(values, log_weights, means, log_variances)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_cauchy_schwarz_is_what_quadrature_finds(rng):
    mean, log_variance = gaussians(rng, 1, 1)
    prior = mixture(rng, 3, 1)
    grid = np.linspace(-15, 15, 60_001)[:, None]
    q = stats.norm(mean, np.exp(0.5 * log_variance)).pdf(grid)[:, 0]
    p = scipy_mixture_pdf(grid, *prior)
    expected = -np.log((q @ p) / np.sqrt((q @ q) * (p @ p)))
    found = densities.cauchy_schwarz_to_mixture(mean, log_variance, *prior)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)


def test_cauchy_schwarz_is_what_monte_carlo_finds(rng):
    """Each integral of a product is a mean of one density over draws of the other."""
    mean, log_variance = gaussians(rng, 1, 2)
    log_weights, means, log_variances = mixture(rng, 3, 2)
    count = 400_000
    draws = mean + np.exp(0.5 * log_variance) * rng.standard_normal((count, 2))
    chosen = rng.choice(3, count, p=np.exp(log_weights) / np.exp(log_weights).sum())
    prior_draws = means[chosen] + np.exp(
        0.5 * log_variances[chosen]
    ) * rng.standard_normal((count, 2))
    q = stats.norm(mean, np.exp(0.5 * log_variance))
    cross = scipy_mixture_pdf(draws, log_weights, means, log_variances).mean()
    q_q = q.pdf(draws).prod(axis=1).mean()
    p_p = scipy_mixture_pdf(prior_draws, log_weights, means, log_variances).mean()
    found = densities.cauchy_schwarz_to_mixture(
        mean, log_variance, log_weights, means, log_variances
    )
    expected = -np.log(cross / np.sqrt(q_q * p_p))
    np.testing.assert_allclose(found[0], expected, atol=0.02)


def test_cauchy_schwarz_vanishes_between_equals_and_never_is_negative(rng):
    mean, log_variance = gaussians(rng, 1, 4)
    same = densities.cauchy_schwarz_to_mixture(
        mean, log_variance, np.zeros(1, "float32"), mean, log_variance
    )
    np.testing.assert_allclose(same, [0.0], atol=1e-5)
    many = densities.cauchy_schwarz_to_mixture(
        *gaussians(rng, 50, 4), *mixture(rng, 3, 4)
    )
    assert np.min(many) >= 0


def test_losses_compute_in_float32_whatever_comes():
    big = tf.fill((1, 100_000), tf.constant(10.0, tf.float16))
    found = densities.bernoulli_nll(tf.zeros_like(big), big)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, [1e6], rtol=1e-3)


@pytest.mark.parametrize("log_variance", [0.0, -6.0, -12.0, -16.0])
def test_mixture_of_narrow_components_is_that_of_scipy(log_variance):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(20, 8)).astype("float32")
    log_variances = np.full_like(means, log_variance)
    log_weights = np.full(20, -np.log(20), "float32")
    deviation = np.exp(log_variance / 2)
    near = means[rng.integers(20, size=50)] + deviation * rng.normal(size=(50, 8))
    values = near.astype("float32")
    parts = stats.norm.logpdf(
        values[:, None].astype("float64"), means.astype("float64"), deviation
    ).sum(axis=-1)
    expected = special.logsumexp(parts - np.log(20), axis=1)
    found = densities.mixture_log_density(values, log_weights, means, log_variances)
    np.testing.assert_allclose(found, expected, atol=1e-4)
