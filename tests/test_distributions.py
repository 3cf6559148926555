import numpy as np
import pytest
import tensorflow as tf

from zoo.training.distributions import (
    Gaussian,
    MixtureOfGaussians,
    StandardNormal,
    VampPrior,
)


def identity(images):
    """An encoder whose codes are the pixels themselves, with variance 1/4."""
    codes = tf.reshape(images, (tf.shape(images)[0], -1))
    return codes, tf.fill(tf.shape(codes), float(np.log(0.25)))


def attached(prior, image_shape=(1, 2, 1)):
    prior.attach(image_shape, latent_dim=2)
    return prior


def test_standard_normal_kl_is_the_same_in_closed_form_and_by_sampling():
    prior = attached(StandardNormal())
    rng = np.random.default_rng(0)
    mean = tf.fill((100_000, 2), 0.7)
    log_variance = tf.fill((100_000, 2), -0.5)
    codes = mean + tf.exp(0.5 * log_variance) * rng.standard_normal(mean.shape)
    exact = prior.kl(codes, mean, log_variance, identity)
    sampled = super(StandardNormal, prior).kl(codes, mean, log_variance, identity)
    np.testing.assert_allclose(np.mean(sampled), exact[0], atol=0.02)


@pytest.mark.parametrize("make", [StandardNormal, lambda: MixtureOfGaussians(4)])
def test_codes_have_the_moments_of_their_mixture(make):
    prior = attached(make())
    if prior.components > 1:
        prior.logits.assign([0.0, 1.0, -1.0, 0.5])
        prior.log_variances.assign(np.linspace(-2, 1, 8).reshape(4, 2))
    log_weights, means, log_variances = (np.asarray(a) for a in prior.mixture(identity))
    weights = np.exp(log_weights)
    np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-6)
    mean = weights @ means
    second = weights @ (np.exp(log_variances) + means**2)

    rng = np.random.default_rng(0)
    noise = rng.standard_normal((200_000, 2)).astype("float32")
    uniform = rng.random(200_000).astype("float32")
    codes = np.asarray(prior.codes(noise, uniform, identity))
    np.testing.assert_allclose(codes.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose((codes**2).mean(axis=0), second, rtol=0.03)


def test_vamp_prior_is_the_average_posterior_of_its_pseudo_inputs():
    prior = attached(VampPrior(2))
    prior.pseudo_inputs.assign(np.reshape([0.0, 1.0, 0.5, 0.25], (2, 1, 2, 1)))
    log_weights, means, log_variances = prior.mixture(identity)
    np.testing.assert_allclose(np.exp(log_weights), [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(means, [[0.0, 1.0], [0.5, 0.25]])
    np.testing.assert_allclose(np.exp(log_variances), np.full((2, 2), 0.25), rtol=1e-6)


def test_pseudo_inputs_stay_images():
    prior = attached(VampPrior(2))
    clipped = prior.pseudo_inputs.constraint(tf.constant([-0.5, 0.5, 1.5]))
    np.testing.assert_allclose(clipped, [0.0, 0.5, 1.0])


def test_gaussian_learns_the_variance_that_is_there():
    likelihood = Gaussian()
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.2, (500, 4)).astype("float32")
    values = np.linspace(-5, 0, 51)
    nll = []
    for value in values:
        likelihood.log_variance.assign(value)
        nll.append(np.mean(likelihood.nll(images, tf.zeros_like(images))))
    assert values[np.argmin(nll)] == pytest.approx(2 * np.log(0.2), abs=0.1)


def test_refuses_impossible_settings():
    with pytest.raises(ValueError, match="positive, or None to learn it. .*=-1"):
        Gaussian(variance=-1)
    with pytest.raises(ValueError, match="1 or more. Received 0"):
        MixtureOfGaussians(0)
