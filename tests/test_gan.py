import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from tests.contract import ModelContract, Variant
from zoo.cgan import CGAN
from zoo.gan import GAN
from zoo.networks.dcgan import DCGAN, MLP
from zoo.training.losses import ADVERSARIAL_LOSSES
from zoo.training.regularizers import (
    R1,
    DiffAugment,
    InstanceNoise,
    LeCam,
    Regularizer,
    WeightClipping,
)
from zoo.training.step import in_parts
from zoo.wgan import WGAN


def blobs(count, shape=(8, 8, 1), seed=0):
    """Draws images of one bright spot, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    centre = rng.uniform(2, 6, (2, count, 1, 1))
    images = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 3.0)
    return np.repeat(images[..., None], shape[-1], axis=-1).astype("float32")


class GANContract(ModelContract):
    networks = DCGAN((4, 8))
    settings = {}

    def model(self):
        model = GAN((8, 8, 1), latent_dim=3, networks=self.networks, **self.settings)
        model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
        return model

    def examples(self):
        return blobs(16)

    def inputs(self):
        return np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


# generator      3*32 | bn 8 | 4*4*4*8+4 | bn 4 | 4*4*1*4+1
GENERATOR = 96 + 16 + 516 + 8 + 65
# discriminator  4*4*1*4+4 | 4*4*4*8+8 | 2*2*8+1
DISCRIMINATOR = 68 + 520 + 33


class TestGAN(Variant, GANContract):
    parameters = GENERATOR + DISCRIMINATOR + 16  # the discriminator's bn 8


class TestWithEverything(GANContract):
    parameters = GENERATOR + DISCRIMINATOR
    networks = DCGAN((4, 8), "spectral")

    @property
    def settings(self):  # layers hold state: each model needs its own
        return {
            "loss": "least_squares",
            "label_smoothing": 0.1,
            "ema": 0.9,
            "regularizers": [
                R1(0.1),
                LeCam(),
                InstanceNoise(steps=10),
                DiffAugment(("color", "translation", "cutout")),
            ],
        }


class TestPoints(GANContract):
    # generator 3*5+5 | 5*6+6 | 6*2+2; discriminator 2*6+6 | 6*5+5 | 5+1
    parameters = (20 + 36 + 14) + (18 + 35 + 6)

    def model(self):
        model = GAN((2,), latent_dim=3, networks=MLP((6, 5)), loss="saturating")
        model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
        return model

    def examples(self):
        return np.random.default_rng(0).normal(size=(16, 2)).astype("float32")


# -------------------------------------------------------------------- the theory


def train_discriminator(real, fake, steps=400):
    """Trains a small discriminator on two fixed sets of points in one dimension."""
    keras.utils.set_random_seed(0)
    networks = MLP((32, 32))
    trunk = networks.trunk((1,))
    network = keras.Model(trunk.input, networks.head(1, "logits")(trunk.output))
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-2, steps)
    )
    loss_of = ADVERSARIAL_LOSSES["saturating"][0]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_of(network(real), network(fake)))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for _ in range(steps):
        loss = step()
    return network, float(loss)


def test_best_discriminator_is_the_share_of_the_real_density():
    """D = p / (p + q) (proposition 1), for p = N(-1, 1) and q = N(1, 1)."""
    quantiles = norm.ppf((np.arange(4096) + 0.5) / 4096).astype("float32")[:, None]
    network, loss = train_discriminator(quantiles - 1.0, quantiles + 1.0)
    x = np.linspace(-3, 3, 25)
    p, q = norm.pdf(x, -1), norm.pdf(x, 1)
    logits = np.asarray(network(x[:, None].astype("float32")))[:, 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), p / (p + q), atol=0.02)

    # Its loss is log 4 - 2 JS(p || q) (theorem 1).
    x = np.linspace(-9, 9, 20_001)
    p, q = norm.pdf(x, -1), norm.pdf(x, 1)
    js = 0.5 * np.trapezoid(
        p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)), x
    )
    assert loss == pytest.approx(np.log(4.0) - 2.0 * js, abs=0.005)


def test_at_equilibrium_it_answers_one_half_and_loses_log_4():
    points = np.linspace(-2, 2, 512, dtype="float32")[:, None]
    network, loss = train_discriminator(points, points)
    assert loss == pytest.approx(np.log(4.0), abs=1e-5)
    np.testing.assert_allclose(network(points), 0.0, atol=0.01)


def test_disjoint_supports_give_the_same_divergence_at_any_distance():
    """Why a generator far away learns nothing: JS stays log 2, so the loss 0."""
    points = np.linspace(0, 0.1, 256, dtype="float32")[:, None]
    for gap in (0.5, 2.0):
        _, loss = train_discriminator(points, points + gap)
        assert loss == pytest.approx(0.0, abs=0.01)


def test_generator_learns_from_the_non_saturating_loss_of_a_sure_discriminator():
    gradients = {}
    for loss in ("saturating", "non_saturating"):
        keras.utils.set_random_seed(0)
        model = GAN((2,), 3, MLP((8,)), loss)
        model.discriminator.layers[-1].bias.assign([-20.0])  # sure of every fake
        still = keras.optimizers.SGD
        model.compile(still(0.0), still(0.0))
        history = model.fit(np.zeros((16, 2), "float32"), verbose=0).history
        gradients[loss] = history["generator_gradient"][-1]
    assert gradients["saturating"] < 1e-6 < 1e-3 < gradients["non_saturating"]


# --------------------------------------------------------------------- the model


def test_learns_where_the_points_are():
    keras.utils.set_random_seed(0)
    real = np.random.default_rng(0).normal([3.0, -2.0], 0.5, (4096, 2))
    model = GAN((2,), 4, MLP((32, 32)), regularizers=[R1(10.0)], ema=0.98)
    model.compile(*(keras.optimizers.Adam(2e-3, beta_1=0.5) for _ in range(2)))
    before = np.asarray(model.sample(2000, seed=0))
    model.fit(real.astype("float32"), batch_size=128, epochs=25, verbose=0)
    after = np.asarray(model.sample(2000, seed=0))
    assert np.linalg.norm(before.mean(axis=0) - [3.0, -2.0]) > 3.0
    assert np.linalg.norm(after.mean(axis=0) - [3.0, -2.0]) < 0.3
    np.testing.assert_allclose(after.std(axis=0), 0.5, atol=0.25)


def test_step_is_the_one_of_the_paper():
    """One SGD step of both networks, against gradients taken by hand."""
    keras.utils.set_random_seed(0)
    model = GAN((2,), 3, MLP((4,)))
    twin = GAN.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    model.compile(*(keras.optimizers.SGD(0.1) for _ in range(2)))
    real = np.random.default_rng(1).normal(size=(6, 2)).astype("float32")

    from zoo.training.noise import normal

    seed = keras.random.SeedGenerator()
    seed.state.assign(model.seed_generator.state)
    noise = normal((6, 3), seed)
    with tf.GradientTape(persistent=True) as tape:
        a, b = twin.discriminator(real), twin.discriminator(twin.generator(noise))
        d_loss = -tf.reduce_mean(tf.math.log_sigmoid(a) + tf.math.log_sigmoid(-b))
        g_loss = -tf.reduce_mean(tf.math.log_sigmoid(b))
    for loss, network in ((d_loss, "discriminator"), (g_loss, "generator")):
        variables = getattr(twin, network).trainable_variables
        gradients = tape.gradient(loss, variables)
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(0.1 * gradient)

    logs = model.fit(real, batch_size=6, verbose=0).history
    assert logs["discriminator_loss"][0] == pytest.approx(float(d_loss), rel=1e-5)
    assert logs["generator_loss"][0] == pytest.approx(float(g_loss), rel=1e-5)
    assert logs["generator_gradient"][0] == pytest.approx(
        float(tf.linalg.global_norm(gradients)), rel=1e-4
    )
    for ours, by_hand in zip(model.variables, twin.variables, strict=True):
        if "seed" not in ours.name:
            np.testing.assert_allclose(ours, by_hand, atol=1e-6, err_msg=ours.path)


def test_real_and_fake_share_no_batch_statistics():
    """A batch of both would let the normalization itself tell them apart."""
    model = GAN((8, 8, 1), 3, DCGAN((4, 8)))
    real, fake = blobs(6), 1.0 - blobs(6)
    together = model.networks.on_each(model.discriminator, [real, fake])[0]
    alone = model.discriminator(real, training=True)
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_average_follows_weights_and_batch_statistics():
    keras.utils.set_random_seed(0)
    model = GAN((8, 8, 1), 3, DCGAN((4, 8)), ema=0.5)
    model.compile("adam", "adam")
    start = [v.numpy() for v in model.generator.variables]
    model.fit(blobs(8), batch_size=8, verbose=0)
    decay = min(0.5, 2 / 11)  # the first step's
    triples = zip(
        start,
        model.generator.variables,
        model.averaged_generator.variables,
        strict=True,
    )
    for old, new, mean in triples:
        np.testing.assert_allclose(
            mean, decay * old + (1 - decay) * new, atol=1e-6, err_msg=mean.path
        )
    latents = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(
        model(latents), model.averaged_generator(latents, training=False)
    )


def test_has_no_loss_to_validate_by():
    model = GAN((2,), 3, MLP((4,)))
    model.compile("adam", "adam")
    points = np.zeros((4, 2), "float32")
    with pytest.raises(ValueError, match="Leave out `validation_data`"):
        model.fit(points, validation_data=points, verbose=0)


def test_many_samples_are_drawn_in_parts_and_are_the_same():
    model = GAN((2,), 3, MLP((4,)))
    noise = np.random.default_rng(0).standard_normal((1200, 3))
    together = model(tf.cast(noise, tf.float32))
    np.testing.assert_allclose(model.sample(1200, seed=0), together, atol=1e-6)
    sizes = []
    in_parts(lambda x: sizes.append(len(x)) or x, noise)
    assert sizes == [500, 500, 200]


def test_samples_follow_the_seed():
    model = GAN((8, 8, 1), 3, DCGAN((4,)))
    first, again, other = (model.sample(4, seed=s).numpy() for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (4, 8, 8, 1) and first.min() >= 0 and first.max() <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (28, 0, 1)}, r"Received image_shape=\(28, 0, 1\)"),
        (
            {"image_shape": (28, 28)},
            r"DCGAN makes images.* Received image_shape=\(28, 28\)",
        ),
        ({"regularizers": [R1()]}, "R1 needs .* normalization to 'none' or 'spectral'"),
        ({"latent_dim": 0}, "all positive. Received .*latent_dim=0"),
        ({"loss": "js"}, "one of saturating, .* Received loss='js'"),
        (
            {"loss": "hinge", "label_smoothing": 0.1},
            "for the losses saturating, .* Received label_smoothing=0.1, loss='hinge'",
        ),
        ({"label_smoothing": 0.6}, "below 1/2, .* Received label_smoothing=0.6"),
        ({"ema": 1.0}, "decay from 0 to below 1. Received 1.0"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        GAN(**settings)


class Constant(Regularizer):
    """Shows the discriminator 7 in place of everything, and remembers what it saw."""

    seen = []

    def augment(self, images, step):
        return 0.0 * images + 7.0

    def penalty(self, discriminate, real, fake, real_logits, fake_logits):
        self.seen += [real.numpy(), fake.numpy()]
        return 0.0


@pytest.mark.parametrize("make", [GAN, WGAN, CGAN])
def test_real_and_fake_are_augmented_alike_for_judge_and_penalty(make):
    Constant.seen = []
    settings = {"lipschitz": WeightClipping(0.1)} if make is WGAN else {}
    model = make(
        (2,),
        latent_dim=2,
        networks=MLP((4,), "none"),
        regularizers=[Constant()],
        **settings,
    )
    model.compile("adam", "adam", run_eagerly=True)
    points = np.random.default_rng(0).normal(size=(10, 2)).astype("float32")
    labels = [np.zeros(10, "int64")] if make is CGAN else []
    logs = model.fit(points, *labels, verbose=0).history
    assert len(Constant.seen) >= 2
    for shown in Constant.seen:
        np.testing.assert_array_equal(shown, 7.0)
    if make is WGAN:
        assert logs["distance"][0] == 0.0
    else:  # what looks the same is a draw
        assert logs["accuracy"][0] == 0.5
    assert logs["generator_gradient"][0] == 0.0  # also where fakes are judged alone
