import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import wasserstein_distance

from tests.contract import ModelContract, Variant
from tests.test_gan import blobs
from zoo.networks.dcgan import DCGAN, MLP
from zoo.training.regularizers import DiffAugment, GradientPenalty, WeightClipping
from zoo.wgan import WGAN, cut


class WGANContract(ModelContract):
    normalization = "none"
    settings = {}

    def model(self):
        networks = DCGAN((4, 8), self.normalization)
        model = WGAN((8, 8, 1), 3, networks, critic_steps=2, **self.settings)
        model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
        return model

    def examples(self):
        return blobs(16)

    def inputs(self):
        return np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


# generator  3*32 | bn 8 | 4*4*4*8+4 | bn 4 | 4*4*1*4+1
# critic     4*4*1*4+4 | 4*4*4*8+8 | 2*2*8 without bias
PARAMETERS = (96 + 16 + 516 + 8 + 65) + (68 + 520 + 32)


class TestWGAN(WGANContract):
    parameters = PARAMETERS


class TestOneSidedWithAverage(Variant, WGANContract):
    parameters = PARAMETERS

    @property
    def settings(self):  # layers hold state: each model needs its own
        return {
            "lipschitz": GradientPenalty(5.0, target=0.5, one_sided=True),
            "regularizers": [DiffAugment()],
            "ema": 0.9,
        }


class TestWeightClipping(Variant, WGANContract):
    parameters = PARAMETERS + 16  # the critic's bn 8
    normalization = "batch"

    @property
    def settings(self):
        return {"lipschitz": WeightClipping(0.05)}


# -------------------------------------------------------------------- the theory


def distance(real, fake, steps=600):
    """Trains a critic on two fixed sets of points; returns its estimate."""
    keras.utils.set_random_seed(0)
    model = WGAN(
        real.shape[1:], 2, MLP((32, 32)), GradientPenalty(10.0, one_sided=True)
    )
    model.generator = keras.Sequential([keras.Input((2,)), FixedFakes(fake)])
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    model.compile("sgd", keras.optimizers.Adam(rate, beta_1=0.5))
    step = tf.function(model.critic_step)
    for _ in range(steps):
        logs = step(tf.constant(real))
    return float(logs["distance"])


class FixedFakes(keras.layers.Layer):
    """A generator that gives the same points whatever the noise."""

    def __init__(self, points):
        super().__init__()
        self.points = points

    def call(self, latents):
        return tf.constant(self.points)


def penalized(distance, weight=10.0):
    """The estimate under a penalty: of a slope s that is nearly 1.

    `distance * s - weight * (s - 1)^2` is largest at `s = 1 + distance / (2 weight)`.
    """
    return distance * (1.0 + distance / (2.0 * weight))


def test_critic_finds_the_distance_of_two_shifted_gaussians():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(512, 1)).astype("float32")
    fake = 1.5 + rng.normal(size=(512, 1)).astype("float32")
    exact = wasserstein_distance(real[:, 0], fake[:, 0])
    assert distance(real, fake) == pytest.approx(penalized(exact), rel=0.01)


def test_critic_finds_the_distance_of_parallel_segments():
    """The paper's example 1: W = theta, where JS is log 2 for any theta but 0."""
    heights = np.linspace(0, 1, 256, dtype="float32")
    estimates = []
    for theta in (0.0, 0.5, 1.0):
        real = np.stack([np.zeros_like(heights), heights], axis=1)
        fake = np.stack([np.full_like(heights, theta), heights], axis=1)
        estimates.append(distance(real, fake))
    np.testing.assert_allclose(
        estimates, [0.0, penalized(0.5), penalized(1.0)], atol=0.01
    )


# -------------------------------------------------------------- the penalty, NaN


def linear(slope):
    """Returns a critic of a known slope everywhere: x -> slope . x."""
    return lambda x: tf.reduce_sum(x * slope, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("slope", "settings", "expected"),
    [
        ([3.0, 4.0], {}, 10.0 * (5.0 - 1.0) ** 2),
        ([0.3, 0.4], {}, 10.0 * (0.5 - 1.0) ** 2),
        ([0.3, 0.4], {"one_sided": True}, 0.0),
        ([3.0, 4.0], {"weight": 2.0, "target": 4.5}, 2.0 * 0.5**2),
    ],
)
def test_penalty_of_a_linear_critic(slope, settings, expected):
    real, fake = np.random.default_rng(0).normal(size=(2, 7, 2)).astype("float32")
    penalty = GradientPenalty(**settings).penalty(
        linear(tf.constant(slope)), tf.constant(real), tf.constant(fake), None, None
    )
    assert float(penalty) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_penalty_is_taken_between_real_and_fake_uniformly():
    """For the critic x^2/2 the slope is where we are: its mean and spread are known."""
    seen = []

    def critic(x):
        seen.append(x)
        return 0.5 * tf.square(x)

    real, fake = tf.zeros((20_000, 1)), tf.ones((20_000, 1))
    GradientPenalty().penalty(critic, real, fake, None, None)
    places = np.asarray(seen[0])
    assert places.min() >= 0 and places.max() <= 1
    assert places.mean() == pytest.approx(0.5, abs=0.01)
    assert places.var() == pytest.approx(1 / 12, abs=0.005)  # a normal has another


def test_penalty_has_a_finite_gradient_where_the_slope_is_zero():
    weight = tf.Variable(0.0)
    points = tf.ones((4, 3))
    with tf.GradientTape() as tape:
        loss = GradientPenalty().penalty(
            lambda x: weight * tf.reduce_sum(x, axis=1), points, points, None, None
        )
    assert float(loss) == pytest.approx(10.0, rel=1e-4)
    assert np.isfinite(tape.gradient(loss, weight))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("kind", ["identical", "constant", "one"])
def test_never_becomes_nan(kind, policy):
    """The complaint about every copy of the Keras example."""
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    model = WGAN((8, 8, 1), 3, DCGAN((4, 8), "none"))
    model.compile("adam", "adam")
    batch = {
        "identical": np.repeat(blobs(1), 20, axis=0),
        "constant": np.zeros((20, 8, 8, 1), "float32"),
        "one": blobs(1),
    }[kind]
    if kind == "identical":  # real and fake too
        fixed = keras.Sequential([keras.Input((3,)), Same(batch[0])])
        model.critic_step_generator, model.generator = model.generator, fixed
        step = tf.function(model.critic_step)
        logs = [step(tf.constant(batch)) for _ in range(20)][-1]
    else:
        history = model.fit(batch, batch_size=len(batch), epochs=20, verbose=0).history
        logs = {name: values[-1] for name, values in history.items()}
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert all(np.isfinite(v).all() for v in model.critic.get_weights())


class Same(keras.layers.Layer):
    """A generator that gives one image whatever the noise."""

    def __init__(self, image):
        super().__init__(dtype="float32")
        self.image = image

    def call(self, latents):
        return tf.repeat(self.image[None], tf.shape(latents)[0], axis=0)


# --------------------------------------------------------------------- the model


def test_weights_stay_clipped():
    model = WGAN((2,), 2, MLP((8,)), WeightClipping(0.03))
    model.compile("adam", "adam")
    model.fit(np.ones((20, 2), "float32"), verbose=0)
    largest = max(np.abs(v).max() for v in model.critic.trainable_variables)
    assert largest == pytest.approx(0.03)


def test_critic_is_updated_several_times_for_one_update_of_the_generator():
    model = WGAN((2,), 2, MLP((8,)), critic_steps=3)
    model.compile("adam", "adam")
    model.fit(np.ones((24, 2), "float32"), batch_size=12, verbose=0)
    assert int(model.generator_optimizer.iterations) == 2
    assert int(model.discriminator_optimizer.iterations) == 6


def test_a_batch_is_cut_into_equal_parts_and_used_whole():
    parts = [part.numpy().tolist() for part in cut(tf.range(6), 3)]
    assert parts == [[0, 1], [2, 3], [4, 5]]
    parts = [part.numpy().tolist() for part in cut(tf.range(4), 3)]
    assert parts == [[0, 1], [2, 3], [0, 1]]


def test_points_come_closer():
    keras.utils.set_random_seed(0)
    real = np.random.default_rng(0).normal([3.0, -2.0], 0.5, (5120, 2))
    model = WGAN((2,), 4, MLP((32, 32)), ema=0.99)
    # A quicker critic, or the generator circles around its goal.
    model.compile(*(keras.optimizers.Adam(rate, 0.5, 0.9) for rate in (1e-3, 2e-3)))
    model.fit(real.astype("float32"), batch_size=256, epochs=32, verbose=0)
    after = np.asarray(model.sample(2000, seed=0))
    assert np.linalg.norm(after.mean(axis=0) - [3.0, -2.0]) < 0.4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"critic_steps": 0}, "all positive. Received .*critic_steps=0"),
        ({"networks": DCGAN()}, "set its normalization to 'none'"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        WGAN(**settings)
