"""Gradient estimators: unbiased within confidence intervals, variances by hand.

For z of N(mu, 1) and f = m z, the pathwise gradient is m itself: variance 0. With
z = mu + e, that of the score function is m (mu + e) e, of mean m and variance
m^2 (mu^2 + 2); measure valued, m 2 w / sqrt(2 pi) with w of Rayleigh's distribution, of
mean sqrt(pi / 2) and variance 2 - pi / 2: m^2 (4 / pi - 1).

For f = (m z)^2, of gradient 2 m^2 mu: pathwise 2 m^2 (mu + e), variance 4 m^4; score
function m^2 (mu + e)^2 e, whose second moment m^4 (mu^4 + 18 mu^2 + 15) follows from
the moments 1, 3, 15 of e^2, e^4, e^6, so m^4 (mu^4 + 14 mu^2 + 15); measure valued
m^2 4 mu w / sqrt(2 pi), m^4 mu^2 (16 / pi - 4).
"""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from zoo.training import estimators as e

COUNT = 200_000
M, MU = 1.5, 0.8


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def gaussian_noise(rng, *shape):
    """Returns normal, Rayleigh and two-sided Maxwell draws."""
    normal, *three = rng.normal(size=(4, *shape))
    rayleigh = e.rayleigh_noise(rng.random(shape))
    return normal, rayleigh, e.maxwell_noise(*three, rng.random(shape))


def assert_mean(found, expected, sigmas=4.5):
    error = np.std(found, axis=0) / math.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - expected) <= sigmas * error + 1e-9).all()


def test_noise_has_the_densities_it_says(rng):
    _, rayleigh, maxwell = gaussian_noise(rng, 20_000)
    assert stats.kstest(rayleigh, stats.rayleigh.cdf).pvalue > 0.01
    assert stats.kstest(np.abs(maxwell), stats.maxwell.cdf).pvalue > 0.01
    assert stats.kstest(np.sign(maxwell) > 0, stats.bernoulli(0.5).cdf).statistic < 1
    assert abs(np.mean(maxwell)) < 4 * math.sqrt(3 / 20_000)  # its variance is 3


POWERS = {
    "linear": {
        "f": lambda z: M * z[..., 0],
        "slope": lambda z: M + 0.0 * z,
        "gradient": (M, 0.0),
        "pathwise": 0.0,
        "score": M**2 * (MU**2 + 2),
        "measure": M**2 * (4 / math.pi - 1),
    },
    "square": {
        "f": lambda z: (M * z[..., 0]) ** 2,
        "slope": lambda z: 2 * M**2 * z,
        "gradient": (2 * M**2 * MU, 2 * M**2),
        "pathwise": 4 * M**4,
        "score": M**4 * (MU**4 + 14 * MU**2 + 15),
        "measure": M**4 * MU**2 * (16 / math.pi - 4),
    },
}


@pytest.mark.parametrize("power", POWERS)
def test_gaussian_gradients_are_unbiased_and_of_the_variance_of_theory(power, rng):
    known = POWERS[power]
    normal, rayleigh, maxwell = gaussian_noise(rng, COUNT, 1)
    mean, stddev = np.array([MU]), np.array([1.0])
    found = {
        "pathwise": e.gaussian_pathwise(known["slope"], mean, stddev, normal),
        "score": e.gaussian_score_function(known["f"], mean, stddev, normal),
        "measure": e.gaussian_measure_valued(
            known["f"], mean, stddev, normal, rayleigh, maxwell
        ),
    }
    for name, gradient in found.items():
        assert gradient.mean.shape == gradient.stddev.shape == (COUNT, 1)
        assert_mean(gradient.mean, known["gradient"][0])
        assert_mean(gradient.stddev, known["gradient"][1])
        assert np.var(gradient.mean) == pytest.approx(known[name], rel=0.03, abs=1e-20)


@pytest.mark.parametrize("size", [1, 4])
def test_a_mean_over_samples_has_the_variance_over_their_number(size, rng):
    """The score function's m^2 (mu^2 + 2) / N, as an average over N samples."""
    f = POWERS["linear"]["f"]
    noise = rng.normal(size=(size, 50_000, 1))
    found = e.gaussian_score_function(f, MU, 1.0, noise).mean.mean(axis=0)
    expected = POWERS["linear"]["score"] / size
    assert np.var(found) == pytest.approx(expected, rel=0.05)


def test_baselines_keep_the_mean_and_cut_the_variance(rng):
    """Of the linear f: with m mu, 2 m^2 is left; one left out of N, 2 m^2 / (N - 1).

    The latter as the mean over N is m times the unbiased variance of N normal draws.
    """
    f, size = POWERS["linear"]["f"], 5
    noise = rng.normal(size=(size, 50_000, 1))
    fixed = e.gaussian_score_function(f, MU, 1.0, noise, M * MU).mean
    assert_mean(fixed.reshape(-1), M)
    assert np.var(fixed) == pytest.approx(2 * M**2, rel=0.05)
    left_out = e.gaussian_score_function(f, MU, 1.0, noise, e.leave_one_out).mean
    of_all = left_out.mean(axis=0)[:, 0]
    np.testing.assert_allclose(
        of_all, M * np.var(noise[..., 0], axis=0, ddof=1), rtol=1e-9
    )
    assert_mean(of_all, M)
    assert np.var(of_all) == pytest.approx(2 * M**2 / (size - 1), rel=0.05)


def test_leave_one_out_worked_by_hand():
    np.testing.assert_allclose(
        e.leave_one_out(np.array([1.0, 2.0, 6.0])), [4, 3.5, 1.5]
    )
    with pytest.raises(ValueError, match="take 2 or more. Received: 1"):
        e.leave_one_out(np.ones((1, 3)))


def test_gaussian_gradients_of_a_joint_function_of_several_coordinates(rng):
    """f = (a z)^2 with z of N(mean, diag(stddev^2)); E f = (a mean)^2 + sum (a s)^2."""
    a, mean, stddev = np.array([[1.0, -2.0, 0.5], [0.5, 1, 1.5], [0.2, 0.3, 2]])
    expected_mean = 2 * (a @ mean) * a
    expected_stddev = 2 * a**2 * stddev
    noise = gaussian_noise(rng, COUNT, 3)

    def f(z):
        return (z @ a) ** 2

    def slope(z):
        return 2 * (z @ a)[..., None] * a

    for found in (
        e.gaussian_pathwise(slope, mean, stddev, noise[0]),
        e.gaussian_score_function(f, mean, stddev, noise[0], e.leave_one_out),
        e.gaussian_measure_valued(f, mean, stddev, *noise),
    ):
        assert found.mean.shape == (COUNT, 3)
        assert_mean(found.mean, expected_mean)
        assert_mean(found.stddev, expected_stddev)


def test_a_jump_has_no_slope_but_a_gradient(rng):
    """f = 1 for z > 0: d/dmu P(z > 0) is the density of mu; pathwise finds nothing."""
    normal, rayleigh, maxwell = gaussian_noise(rng, COUNT, 1)

    def jump(z):
        return np.heaviside(z[..., 0], 0.0)

    density = stats.norm.pdf(MU)
    arguments = np.array([MU]), np.array([1.0]), normal
    assert_mean(e.gaussian_score_function(jump, *arguments).mean, density)
    measured = e.gaussian_measure_valued(jump, *arguments, rayleigh, maxwell)
    assert_mean(measured.mean, density)
    assert_mean(measured.stddev, -MU * density)
    lost = e.gaussian_pathwise(lambda z: 0.0 * z, *arguments)
    assert not lost.mean.any()


LOGITS = np.array([0.3, -1.0, 2.0])


def bits(z):
    """A function that is neither linear nor a sum over bits."""
    return (z[..., 0] + 2.0 * z[..., 1] - 0.5) ** 2 * (1.0 + z[..., 2])


def exact_bits():
    """Returns the gradient by enumeration of all eight vectors of bits."""
    share, gradient = special.expit(LOGITS), np.zeros(3)
    for code in range(8):
        z = np.array([code >> bit & 1 for bit in range(3)], "float64")
        probability = np.prod(np.where(z == 1, share, 1 - share))
        gradient += bits(z) * probability * (z - share)
    return gradient


def test_bernoulli_gradients_are_unbiased(rng):
    uniform = rng.random((COUNT, 3))
    plain = e.bernoulli_score_function(bits, LOGITS, uniform)
    better = e.bernoulli_score_function(bits, LOGITS, uniform, e.leave_one_out)
    measured = e.bernoulli_measure_valued(bits, LOGITS, uniform)
    for found in (plain, better, measured):
        assert found.shape == (COUNT, 3)
        assert_mean(found, exact_bits())
    assert (np.var(better, 0) < np.var(plain, 0)).all()
    assert (np.var(measured, 0) < np.var(better, 0)).all()


def test_measure_valued_gradient_of_one_bit_is_exact(rng):
    found = e.bernoulli_measure_valued(lambda z: 3 * z[..., 0], 0.4, rng.random((9, 1)))
    share = special.expit(0.4)
    np.testing.assert_allclose(found, 3 * share * (1 - share))


def test_score_of_a_bit_has_the_variance_of_theory(rng):
    """f = z: the gradient is z (z - p), so p (1 - p)^2 less (p (1 - p))^2."""
    share = special.expit(-0.7)
    found = e.bernoulli_score_function(
        lambda z: z[..., 0], -0.7, rng.random((COUNT, 1))
    )
    expected = share * (1 - share) ** 2 - (share * (1 - share)) ** 2
    assert np.var(found) == pytest.approx(expected, rel=0.02)


# --------------------------------------------------------------------- in TensorFlow


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensors_give_what_arrays_give(dtype, rng):
    noise = [n.astype(dtype) for n in gaussian_noise(rng, 6, 4, 3)]
    uniform = rng.random((6, 4, 3)).astype(dtype)
    mean, stddev = rng.normal(size=(4, 3)), rng.random((4, 3)) + 0.5
    mean, stddev = mean.astype(dtype), stddev.astype(dtype)

    def f(z):
        return z[..., 0] * z[..., 1] - z[..., 2] ** 2

    tensors = [tf.constant(n) for n in noise]
    shared = tf.constant(mean), tf.constant(stddev)
    for one, two in (
        (
            e.gaussian_score_function(f, mean, stddev, noise[0], e.leave_one_out),
            e.gaussian_score_function(f, *shared, tensors[0], e.leave_one_out),
        ),
        (
            e.gaussian_measure_valued(f, mean, stddev, *noise),
            e.gaussian_measure_valued(f, *shared, *tensors),
        ),
    ):
        for a, b in zip(one, two, strict=True):
            assert b.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    for estimator in (e.bernoulli_score_function, e.bernoulli_measure_valued):
        a, b = (
            estimator(f, mean, uniform),
            estimator(f, shared[0], tf.constant(uniform)),
        )
        assert b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(
        e.rayleigh_noise(tf.constant(uniform)), e.rayleigh_noise(uniform), rtol=1e-5
    )
    ours = e.maxwell_noise(*[tf.constant(noise[0])] * 3, tf.constant(uniform))
    np.testing.assert_allclose(ours, e.maxwell_noise(*[noise[0]] * 3, uniform), 1e-5)


def test_slope_of_is_the_slope():
    z = np.array([[[1.0, 2.0]], [[3.0, -1.0]]])
    slope = e.slope_of(lambda z: tf.reduce_sum(z**3, axis=-1))
    np.testing.assert_allclose(slope(z), 3 * z**2)


class Fit(keras.Model):
    """Moves a Gaussian to where (z - 3)^2 is least, by any estimator."""

    def __init__(self, estimate):
        super().__init__()
        self.mean = self.add_weight(shape=(1,), initializer="zeros", name="mean")
        self.estimate = estimate
        self.built = True

    def train_step(self, noise):
        noise = tf.reshape(noise, (8, 1))
        with tf.GradientTape() as tape:
            loss = e.surrogate(self.mean, self.estimate(self.mean, noise))
        self.optimizer.apply(
            tape.gradient(loss, self.trainable_variables), self.trainable_variables
        )
        return {"miss": tf.abs(self.mean[0] - 3.0)}


def distance(z):
    return (z[..., 0] - 3.0) ** 2


@pytest.mark.parametrize(
    "estimate",
    [
        lambda mean, noise: (
            e.gaussian_pathwise(e.slope_of(distance), mean, 1.0, noise).mean
        ),
        lambda mean, noise: (
            e.gaussian_score_function(distance, mean, 1.0, noise, e.leave_one_out).mean
        ),
        lambda mean, noise: (
            e.gaussian_measure_valued(
                distance, mean, 1.0, noise, tf.abs(noise), noise
            ).mean
        ),
    ],
)
def test_a_train_step_descends_by_each_estimator(estimate, rng):
    model = Fit(estimate)
    model.compile(keras.optimizers.SGD(0.02))
    noise = rng.normal(size=(8 * 300,)).astype("float32")
    logs = model.fit(noise, batch_size=8, epochs=1, shuffle=False, verbose=0)
    assert logs.history["miss"][-1] < 0.6


def test_surrogate_has_the_gradient_it_is_given(rng):
    gradients = rng.normal(size=(5, 2, 3)).astype("float32")
    parameter = tf.Variable(tf.ones((2, 3)))
    with tf.GradientTape() as tape:
        loss = e.surrogate(2.0 * parameter, gradients)
    found = tape.gradient(loss, parameter)
    np.testing.assert_allclose(found, 2.0 * gradients.mean(axis=0), rtol=1e-5)


# ---------------------------------------------------------------------------- biased


def test_gumbel_softmax_chooses_as_often_as_the_categories_are_likely(rng):
    logits = np.log([0.5, 0.3, 0.2])
    uniform = rng.uniform(1e-12, 1, (20_000, 3))
    found = np.asarray(e.gumbel_softmax(logits, uniform, 0.5))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    counts = np.bincount(found.argmax(axis=1), minlength=3)
    assert stats.chisquare(counts, 20_000 * np.exp(logits)).pvalue > 0.01


def test_relaxed_bernoulli_is_gumbel_softmax_of_two(rng):
    """Its difference of two Gumbels is logistic: the same distribution."""
    uniform = rng.uniform(1e-12, 1, (5000, 2))
    two = e.gumbel_softmax(np.array([0.8, 0.0]), uniform, 0.7)[:, 0]
    one = e.relaxed_bernoulli(0.8, rng.uniform(1e-12, 1, 5000), 0.7)
    assert stats.ks_2samp(two, one).pvalue > 0.01


def test_relaxed_gradients_trade_bias_for_spread():
    """Of f = (z - 0.45)^2, whose true gradient is 0.1 p (1 - p); Tucker et al. 2017.

    Towards temperature 0 the bias falls with it and the spread grows as its root does.
    The mean is over a grid of all uniform numbers, so that nothing is left to chance.
    """
    uniform = tf.constant((np.arange(400_000)[:, None] + 0.5) / 400_000)
    share = special.expit(0.5)
    truth, bias, spread = 0.1 * share * (1 - share), [], []
    for temperature in (0.2, 0.1, 0.05):
        logits = tf.fill(uniform.shape, tf.constant(0.5, tf.float64))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = (e.relaxed_bernoulli(logits, uniform, temperature) - 0.45) ** 2
        found = np.asarray(tape.gradient(loss, logits))
        bias.append(found.mean() - truth)
        spread.append(found.std())
    assert bias[0] / bias[1] == pytest.approx(2, rel=0.15)
    assert bias[1] / bias[2] == pytest.approx(2, rel=0.1)
    assert spread[2] / spread[0] == pytest.approx(math.sqrt(4), rel=0.05)


def test_straight_through_shows_a_choice_and_passes_the_slope():
    logits = tf.Variable([0.2, -0.4])
    with tf.GradientTape() as tape:
        soft = tf.sigmoid(logits)
        seen = e.straight_through([1.0, 0.0], soft)
        loss = tf.reduce_sum(seen**2)
    np.testing.assert_allclose(seen, [1.0, 0.0], atol=1e-7)
    share = special.expit([0.2, -0.4])
    expected = 2 * np.array([1.0, 0.0]) * share * (1 - share)
    np.testing.assert_allclose(tape.gradient(loss, logits), expected, atol=1e-6)
    with pytest.raises(ValueError, match="`temperature` must be positive. Received: 0"):
        e.gumbel_softmax(logits, 0.5, 0)
