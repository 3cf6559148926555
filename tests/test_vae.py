import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from tests.contract import ModelContract, Variant
from zoo.networks.autoencoders import Convolutional, Dense
from zoo.training.densities import bernoulli_nll
from zoo.training.distributions import Gaussian, MixtureOfGaussians, VampPrior
from zoo.training.optimizers import FusedAdam
from zoo.vae import VAE


def stripes(count, shape=(8, 8, 1), seed=0):
    """Draws images of a few stripes, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    x = np.arange(shape[1]) * rng.uniform(0.3, 2.0, (count, 1)) + rng.uniform(
        0, 6, (count, 1)
    )
    rows = 0.5 + 0.5 * np.sin(x)
    return np.broadcast_to(rows[:, None, :, None], (count, *shape)).astype("float32")


class VAEContract(ModelContract):
    settings = {}

    def model(self):
        settings = {"networks": Convolutional((4, 8)), **self.settings}
        model = VAE(image_shape=(8, 8, 1), latent_dim=3, **settings)
        model.compile(keras.optimizers.Adam(1e-3))
        return model

    def examples(self):
        return stripes(16)


# encoder  3*3*1*4+4 | 3*3*4*8+8 | 2 heads of 2*2*8*3+3
# decoder  3*32+32   | 3*3*8*8+8 | 3*3*8*4+4 | 3*3*4*1+1
CONVOLUTIONAL = (40 + 296 + 2 * 99) + (128 + 584 + 292 + 37)


class TestVAE(VAEContract):
    parameters = CONVOLUTIONAL


class TestGatedWithVampPrior(Variant, VAEContract):
    # each hidden layer twice, for its gate; 4 pseudo-inputs of 8*8
    parameters = (2 * 325 + 2 * 18) + (2 * 20 + 384) + 4 * 64
    settings = {"networks": Dense((5,), gated=True), "prior": VampPrior(4)}

    def model(self):
        self.settings = {**self.settings, "prior": VampPrior(4)}  # layers hold weights
        return super().model()


class TestMixturePriorWithCauchySchwarz(Variant, VAEContract):
    # 5 components: a weight, 3 means and 3 variances each
    parameters = CONVOLUTIONAL + 5 * (1 + 3 + 3)

    def model(self):
        self.settings = {
            "prior": MixtureOfGaussians(5),
            "divergence": "cauchy_schwarz",
            "beta": keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0),
        }
        return super().model()

    def test_one_step_moves_every_trainable_variable(self):
        model = self.model()
        model.beta = 1.0  # warmed up: at step 0 the prior has no weight
        before = [v.numpy().copy() for v in model.trainable_variables]
        model.fit(self.batch(), verbose=0)
        super().test_one_step_moves_every_trainable_variable((model, before, {}))


class TestGaussianWithFusedAdam(Variant, VAEContract):
    parameters = CONVOLUTIONAL + 1  # the learned variance

    def model(self):
        self.settings = {"likelihood": Gaussian()}
        model = super().model()
        model.compile(FusedAdam(1e-3))
        return model


class TestAutoencoder(VAEContract):
    # encoder 64*5+5 | head 5*3+3, the second one is idle; decoder 3*5+5 | 5*64+64
    parameters = (325 + 18) + (20 + 384)
    settings = {"networks": Dense((5,)), "beta": 0.0, "deterministic": True}

    def test_its_code_does_not_vary(self):
        model = self.model()
        mean, log_variance = model.encode(self.examples())
        np.testing.assert_array_equal(model.sample_posterior(mean, log_variance), mean)

    def test_has_no_likelihood(self):
        with pytest.raises(ValueError, match="deterministic=False"):
            self.model().nll(self.examples())


def tiny(**settings):
    model = VAE((8, 8, 1), 3, Convolutional((4,)), **settings)
    model.compile("adam")
    return model


def test_learns_more_than_the_average_image():
    images = stripes(512)
    mean = np.clip(images.mean(axis=0), 1e-6, 1 - 1e-6)
    nll = -(images * np.log(mean) + (1 - images) * np.log(1 - mean))
    knows_only_the_mean = nll.sum(axis=(1, 2, 3)).mean()

    model = VAE((8, 8, 1), 3, Convolutional((16, 32)))
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(images, batch_size=32, epochs=25, verbose=0).history
    assert history["negative_elbo"][-1] < 0.85 * knows_only_the_mean


def test_loss_weighs_the_divergence_by_beta():
    losses = tiny(beta=4.0).losses_on(stripes(4), training=False)
    np.testing.assert_allclose(
        losses["loss"], losses["reconstruction"] + 4.0 * losses["divergence"], rtol=1e-6
    )
    np.testing.assert_allclose(
        losses["negative_elbo"],
        losses["reconstruction"] + losses["divergence"],
        rtol=1e-6,
    )


def test_beta_warms_up_with_the_optimizer():
    model = tiny(beta=keras.optimizers.schedules.PolynomialDecay(0.0, 4, 2.0))
    seen = []
    for _ in range(6):
        seen.append(float(model.current_beta()))
        model.fit(stripes(4), verbose=0)
    np.testing.assert_allclose(seen, [0.0, 0.5, 1.0, 1.5, 2.0, 2.0])


def test_loss_is_a_sum_over_pixels_and_a_mean_over_images():
    """The usual quarrel about a VAE's loss scale, settled in nats per image."""
    model = tiny()
    images = stripes(6)
    mean, log_variance = model.encode(images)
    kl = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1)
    losses = model.losses_on(images, training=False)
    # Absolute: of one image, terms of order 1 cancel to 0.004.
    np.testing.assert_allclose(losses["divergence"], kl, atol=1e-6)
    model.compile("adam")
    logs = model.evaluate(images, batch_size=4, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["divergence"], kl.mean(), rtol=1e-5)


def test_labels_are_ignored():
    images = stripes(4)
    tiny().fit(images, np.zeros(len(images)), verbose=0)


def test_samples_follow_the_seed_and_the_temperature():
    model = tiny()
    first, again, other = (model.sample(5, seed=s).numpy() for s in (1, 1, 2))
    assert first.shape == (5, 8, 8, 1)
    assert first.min() >= 0 and first.max() <= 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    cold = model.sample(5, temperature=0.0).numpy()
    np.testing.assert_allclose(
        cold, np.repeat(model.decode(tf.zeros((1, 3))), 5, axis=0), atol=1e-6
    )
    with pytest.raises(ValueError, match="0 or more. Received -1"):
        model.sample(1, temperature=-1)


def test_fitted_sampler_draws_codes_where_the_images_are():
    model = tiny(beta=0.0, deterministic=True)
    images = stripes(256)
    sampler = model.fit_sampler(images, components=3)
    codes = sampler.sample(2000)[0]
    means = np.asarray(model.encode(images)[0])
    np.testing.assert_allclose(codes.mean(axis=0), means.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(codes.std(axis=0), means.std(axis=0), rtol=0.15)
    np.testing.assert_array_equal(
        model.sample(4, seed=3, sampler=sampler),
        model.sample(4, seed=3, sampler=sampler),
    )


def test_interpolation_starts_and_ends_at_the_reconstructions():
    model, images = tiny(), stripes(4)
    line = model.interpolate(images[:2], images[2:], steps=5)
    assert line.shape == (2, 5, 8, 8, 1)
    np.testing.assert_allclose(line[:, 0], model(images[:2]), atol=1e-6)
    np.testing.assert_allclose(line[:, -1], model(images[2:]), atol=1e-6)


def test_traversal_changes_one_entry_of_the_code():
    model, image = tiny(), stripes(1)[0]
    table = model.traverse(image, values=(-1.0, 2.0))
    code = np.array(model.encode(image[None])[0][0])
    code[1] = 2.0
    assert table.shape == (3, 2, 8, 8, 1)
    np.testing.assert_allclose(table[1, 1], model.decode(code[None])[0], atol=1e-6)


def test_reparameterised_gradient_matches_finite_differences():
    """With the noise held fixed, the loss is a smooth function of the weights."""
    model = VAE((4, 4, 1), 2, Dense((3,)))
    images = stripes(4, (4, 4, 1))
    noise = np.random.default_rng(0).standard_normal((4, 2)).astype("float32")

    def loss():
        mean, log_variance = model.encoder(images)
        codes = mean + tf.exp(0.5 * log_variance) * noise
        divergence = model.divergence_from_prior(codes, mean, log_variance)
        return tf.reduce_mean(bernoulli_nll(images, model.decoder(codes)) + divergence)

    bias = model.encoder.get_layer("log_variance").bias
    with tf.GradientTape() as tape:
        value = loss()
    gradient = np.asarray(tape.gradient(value, bias))
    assert np.abs(gradient).max() > 1e-3
    for entry in range(2):
        ends = []
        for step in (1e-2, -1e-2):
            start = bias.numpy()
            bias.assign(start + step * np.eye(2, dtype="float32")[entry])
            ends.append(float(loss()))
            bias.assign(start)
        slope = (ends[0] - ends[1]) / 2e-2
        np.testing.assert_allclose(gradient[entry], slope, rtol=0.02, atol=2e-3)


def test_posterior_codes_have_the_moments_that_the_encoder_says():
    """A log-variance of log 9 is a deviation of 3."""
    model = VAE((2, 2, 1), 2, Dense(()))
    mean = tf.fill((50_000, 2), 1.5)
    log_variance = tf.tile(tf.math.log([[9.0, 0.04]]), (50_000, 1))
    codes = np.asarray(model.sample_posterior(mean, log_variance))
    np.testing.assert_allclose(codes.mean(axis=0), 1.5, atol=0.05)
    np.testing.assert_allclose(codes.std(axis=0), [3.0, 0.2], rtol=0.02)

    for name, value in (("mean", 0.0), ("log_variance", np.log(9.0))):
        layer = model.encoder.get_layer(name)
        layer.set_weights([np.zeros((4, 2)), np.full(2, value)])
    sampler = model.fit_sampler(np.zeros((5000, 2, 2, 1), "float32"), components=1)
    np.testing.assert_allclose(sampler.covariances_[0], 9.0 * np.eye(2), atol=0.5)


@pytest.mark.parametrize("log_variance", [(0.0, 0.0), (0.5, -0.4)], ids=str)
def test_importance_sampling_finds_the_likelihood_of_a_linear_model(log_variance):
    """p(x) = integral of N(x; Wz + b, v) N(z; 0, 1), which is N(b, WW' + vI).

    Whatever the codes are drawn from: the weights make up for it.
    """
    model = VAE((2, 2, 1), 2, Dense(()), Gaussian(variance=0.3))
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, 4)).astype("float32")
    bias = rng.normal(size=4).astype("float32")
    model.decoder.layers[1].set_weights([weights, bias])
    for name in ("mean", "log_variance"):  # of the proposal, for every image
        layer = model.encoder.get_layer(name)
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    layer.bias.assign(log_variance)
    images = rng.random((3, 2, 2, 1), dtype="float32")

    covariance = weights.T @ weights + 0.3 * np.eye(4)
    exact = -multivariate_normal(bias, covariance).logpdf(images.reshape(3, 4))
    np.testing.assert_allclose(model.nll(images, 100_000), exact, atol=0.03)
    loose = model.nll(images, 1, seed=1).mean()
    assert loose > exact.mean()


def test_nll_is_not_traced_anew():
    model, images = tiny(), stripes(3)
    model.nll(images, samples=5)
    traced = model.log_weights.experimental_get_tracing_count()
    model.nll(images, samples=5, seed=7)
    again = model.log_weights.experimental_get_tracing_count()
    assert traced == again


def test_nll_does_not_depend_on_how_images_are_batched():
    model, images = tiny(), (stripes(3) > 0.5).astype("float32")
    together = model.nll(images, samples=1000)
    np.testing.assert_allclose(together[:1], model.nll(images[:1], 1000), rtol=1e-4)
    assert together.shape == (3,)


@pytest.mark.parametrize("shape", [(7, 9, 3), (28, 28, 1), (5, 16, 1)])
def test_takes_images_of_any_size(shape):
    model = VAE(shape, 2, Convolutional((4, 8, 8)))
    assert model(np.zeros((2, *shape), "float32")).shape == (2, *shape)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"divergence": "js"}, "'kl' or 'cauchy_schwarz'. Received divergence='js'"),
        ({"latent_dim": 0}, "all positive. Received .*latent_dim=0"),
        ({"image_shape": (28, 28)}, r"Received image_shape=\(28, 28\)"),
        ({"deterministic": True}, "pass beta=0 .*Received beta=1.0"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        VAE(**settings)


def test_the_default_is_the_classic_exercise():
    model = VAE()
    assert model.encoder.output_shape == [(None, 10), (None, 10)]
    assert model.decoder.output_shape == (None, 28, 28, 1)
