"""Losses of a game, against numbers by hand, tensorflow-gan and the theory."""

import numpy as np
import pytest
import tensorflow as tf

from tests import peers
from zoo.training import losses
from zoo.training.adversarial import discriminator_accuracy
from zoo.training.losses import ADVERSARIAL_LOSSES


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


REAL, FAKE = np.array([[2.0], [-1.0]]), np.array([[0.5], [-3.0]])


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        (
            "saturating",
            -np.log(sigmoid(REAL)) - np.log(1 - sigmoid(FAKE)),
            np.log(1 - sigmoid(FAKE)),
        ),
        (
            "non_saturating",
            -np.log(sigmoid(REAL)) - np.log(1 - sigmoid(FAKE)),
            -np.log(sigmoid(FAKE)),
        ),
        ("least_squares", [[0.625], [6.5]], [[0.125], [8.0]]),
        ("hinge", [[1.5], [2.0]], [[-0.5], [3.0]]),
        ("wasserstein", [[-1.5], [-2.0]], [[-0.5], [3.0]]),
    ],
)
def test_values_by_hand(name, discriminator, generator):
    of_discriminator, of_generator = ADVERSARIAL_LOSSES[name]
    np.testing.assert_allclose(
        of_discriminator(REAL, FAKE), np.ravel(discriminator), rtol=1e-6
    )
    np.testing.assert_allclose(of_generator(FAKE), np.ravel(generator), rtol=1e-6)


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_a_map_of_patches_counts_as_its_mean(name):
    of_discriminator, of_generator = ADVERSARIAL_LOSSES[name]
    real, fake = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 1))
    maps = of_discriminator(real, fake), of_generator(fake)
    for index in range(3):
        each = (
            of_discriminator(real[index].reshape(-1, 1), fake[index].reshape(-1, 1)),
            of_generator(fake[index].reshape(-1, 1)),
        )
        for together, alone in zip(maps, each, strict=True):
            assert together.shape == (3,)
            np.testing.assert_allclose(together[index], np.mean(alone), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.25])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("saturating", "modified"),
        ("non_saturating", "modified"),
        ("least_squares", "least_squares"),
        ("wasserstein", "wasserstein"),
        ("hinge", "wasserstein_hinge"),
    ],
)
def test_losses_are_those_of_tensorflow_gan(ours, theirs, smoothing):
    peer = peers.tensorflow_gan("losses.losses_impl")
    if smoothing and ours in ("wasserstein", "hinge"):
        pytest.skip("has no label to smooth")
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 4, (2, 64, 1)).astype("float32")
    discriminator, generator = ADVERSARIAL_LOSSES[ours]
    smooth, extra = ([smoothing], {}) if smoothing else ([], {})
    if theirs == "modified":
        extra = {"label_smoothing": smoothing}
    elif theirs == "least_squares":
        extra = {"real_label": 1.0 - smoothing}
    expected = getattr(peer, f"{theirs}_discriminator_loss")(real, fake, **extra)
    found = tf.reduce_mean(discriminator(real, fake, *smooth))
    if theirs == "modified" and smoothing:
        # Theirs smooths with (1 - s) + s / 2, ours with 1 - s: half of theirs.
        found = tf.reduce_mean(discriminator(real, fake, smoothing / 2))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    if ours == "saturating":
        return  # theirs adds a constant to what it gives back
    expected = getattr(peer, f"{theirs}_generator_loss")(fake)
    assert float(tf.reduce_mean(generator(fake))) == pytest.approx(
        float(expected), rel=1e-5
    )


def gradient(function, logits):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(function(logits))
    return tape.gradient(value, logits).numpy()


def test_saturating_gradient_vanishes_where_the_other_does_not():
    """-sigmoid(a) and -sigmoid(-a) for a logit a: the theory of the default loss."""
    logits = np.linspace(-30, 30, 61, dtype="float32")[:, None]
    saturating = gradient(losses.saturating_generator, logits)
    other = gradient(losses.non_saturating_generator, logits)
    np.testing.assert_allclose(saturating, -sigmoid(logits), rtol=1e-5)
    np.testing.assert_allclose(other, -sigmoid(-logits), rtol=1e-5)
    sure = logits.ravel() < -20  # the discriminator recognises these fakes
    assert np.abs(saturating[sure]).max() < 1e-8 and np.abs(other[sure]).min() > 0.99


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_stays_finite_for_any_logit(name):
    of_discriminator, of_generator = ADVERSARIAL_LOSSES[name]
    extreme = tf.constant([[1e4], [-1e4]])
    for function in (lambda x: of_discriminator(x, -x), of_generator):
        assert np.isfinite(function(extreme)).all()
        assert np.isfinite(gradient(function, extreme)).all()


def test_half_precision_logits_are_summed_in_float32():
    logits = tf.fill((2, 64, 64, 1), tf.constant(1.0, tf.float16))
    value = losses.wasserstein_generator(logits)
    assert value.dtype == tf.float32
    np.testing.assert_allclose(value, -1.0)


def test_value_of_the_game_at_equilibrium_is_log_4():
    undecided = np.zeros((3, 1))
    value = losses.minimax_discriminator(undecided, undecided)
    np.testing.assert_allclose(value, np.log(4.0), rtol=1e-6)


def test_smoothed_discriminator_is_best_at_the_smoothed_probability():
    """With labels 1 - s its best answer to a real example is 1 - s, not 1."""
    logits = np.linspace(-6, 6, 2401)[:, None]
    nothing = np.full_like(logits, -40.0)
    values = losses.minimax_discriminator(logits, nothing, 0.2).numpy()
    assert sigmoid(logits[values.argmin(), 0]) == pytest.approx(0.8, abs=1e-3)


def test_accuracy_is_the_area_under_the_roc_curve():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0.7, 1, (50, 1)), rng.normal(0, 1, (50, 1))
    expected = sklearn.roc_auc_score(
        [1] * 50 + [0] * 50, [*real.ravel(), *fake.ravel()]
    )
    found = discriminator_accuracy(tf.constant(real), tf.constant(fake))
    assert float(found) == pytest.approx(expected, abs=1e-6)
    same = discriminator_accuracy(tf.zeros((4, 3, 3, 1)), tf.zeros((4, 3, 3, 1)))
    assert float(same) == 0.5
