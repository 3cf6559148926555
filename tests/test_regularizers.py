import numpy as np
import pytest
import tensorflow as tf

from zoo.networks.dcgan import DCGAN, check_networks
from zoo.training.regularizers import (
    R1,
    DiffAugment,
    GradientPenalty,
    InstanceNoise,
    LeCam,
    WeightClipping,
    augment,
    check,
    penalty,
)


def quadratic(points):
    """A discriminator of known slope: `x -> 3 x0 + x1^2`, slope (3, 2 x1)."""
    return 3.0 * points[:, :1] + tf.square(points[:, 1:])


def test_r1_is_half_the_squared_slope_at_real_examples():
    real = tf.constant([[5.0, 1.0], [0.0, -2.0]])
    fake = tf.constant([[9.0, 9.0], [9.0, 9.0]])
    term = R1(0.5).penalty(quadratic, real, fake, None, None)
    assert float(term) == pytest.approx(0.25 * np.mean([9 + 4, 9 + 16]))


def test_r1_averages_over_the_patches_of_a_logit_map():
    images = tf.random.stateless_normal((2, 4, 4, 1), (0, 0))
    term = R1(2.0).penalty(lambda x: 5.0 * x, images, None, None, None)
    assert float(term) == pytest.approx(16 * (5.0 / 16) ** 2 * 16 / 16, rel=1e-5)


def test_gradient_penalty_is_taken_on_straight_lines():
    """One share an example: all of its entries lie equally far along their line."""
    seen = []

    def discriminate(examples):
        seen.append(examples)
        return tf.reduce_sum(examples, axis=(1, 2, 3))[:, None]

    real, fake = tf.ones((200, 3, 3, 2)), tf.zeros((200, 3, 3, 2))
    term = GradientPenalty(2.0, target=1.0).penalty(discriminate, real, fake, 0, 0)
    # slope 1 in each of 18 entries
    assert float(term) == pytest.approx(2.0 * (np.sqrt(18) - 1) ** 2, rel=1e-5)
    shares = seen[0].numpy().reshape(200, -1)
    np.testing.assert_array_equal(shares, np.repeat(shares[:, :1], 18, axis=1))
    assert (
        shares.min() < 0.05 and shares.max() > 0.95 and abs(shares.mean() - 0.5) < 0.1
    )


def test_lecam_pulls_to_the_running_means_of_the_other_side():
    lecam = LeCam(weight=2.0, decay=0.5)
    real, fake = tf.constant([[2.0], [4.0]]), tf.constant([[-1.0], [-3.0]])
    term = lecam.penalty(None, None, None, real, fake)
    # means after one step: 0.5 * 3 = 1.5 and 0.5 * -2 = -1
    np.testing.assert_allclose([lecam.real_mean, lecam.fake_mean], [1.5, -1.0])
    expected = np.mean([(2 + 1) ** 2, (4 + 1) ** 2]) + np.mean([2.5**2, 4.5**2])
    assert float(term) == pytest.approx(2.0 * expected)


def test_instance_noise_falls_to_nothing():
    noise = InstanceNoise(stddev=0.4, steps=100)
    images = tf.zeros((50, 8, 8, 1))
    spread = [np.std(noise.augment(images, tf.constant(s))) for s in (0, 50, 100, 200)]
    np.testing.assert_allclose(spread, [0.4, 0.2, 0.0, 0.0], rtol=0.05)
    first, second = (noise.augment(images, tf.constant(0)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_translation_moves_by_whole_pixels_and_fills_with_black():
    images = np.zeros((200, 16, 16, 1), "float32")
    images[:, 8, 8] = 1.0
    moved = DiffAugment(("translation",)).augment(tf.constant(images), 0).numpy()
    rows, columns = np.nonzero(moved.squeeze(-1))[1:]
    assert len(rows) == 200 and moved.sum() == 200  # each pixel is still there, once
    assert set(rows - 8) == set(columns - 8) == {-2, -1, 0, 1, 2}  # an eighth of 16
    edge = DiffAugment(("translation",)).augment(tf.ones((200, 16, 16, 1)), 0).numpy()
    assert set(np.unique(edge)) == {0.0, 1.0}


def test_cutout_blackens_up_to_a_quarter_of_the_image():
    covered = 1.0 - DiffAugment(("cutout",)).augment(tf.ones((500, 16, 16, 1)), 0)
    share = covered.numpy().mean(axis=(1, 2, 3))
    assert share.max() == pytest.approx(0.25)
    assert share.min() >= 0.0625 - 1e-6  # a corner still cuts an eighth off each side


def test_color_keeps_what_it_should():
    rng = np.random.default_rng(0)
    images = tf.constant(rng.random((300, 6, 6, 3)), tf.float32)
    changed = DiffAugment(("color",)).augment(images, 0).numpy()
    shift = changed.mean(axis=(1, 2, 3)) - images.numpy().mean(axis=(1, 2, 3))
    assert -0.25 <= shift.min() < -0.2 and 0.2 < shift.max() <= 0.25  # brightness
    grey = DiffAugment(("color",)).augment(images[..., :1], 0)
    assert grey.shape == (300, 6, 6, 1)


def test_color_scales_contrast_and_saturation():
    """Contrast by 1/2 to 3/2, saturation by 0 to 2, each as likely."""
    rng = np.random.default_rng(0)
    images = rng.random((400, 6, 6, 3)).astype("float32")
    changed = DiffAugment(("color",)).augment(tf.constant(images), 0).numpy()

    def light(x):  # spread of the grey values
        return x.mean(axis=-1).std(axis=(1, 2))

    def colour(x):  # spread around the grey values
        return (x - x.mean(axis=-1, keepdims=True)).std(axis=(1, 2, 3))

    contrast = light(changed) / light(images)
    saturation = colour(changed) / colour(images) / contrast
    for found, low, high in ((contrast, 0.5, 1.5), (saturation, 0.0, 2.0)):
        inside = (low - 1e-3 <= found) & (found <= high + 1e-3)
        assert inside.all()
        deciles = np.quantile(found, [0.1, 0.5, 0.9])
        np.testing.assert_allclose(
            deciles, low + (high - low) * np.array([0.1, 0.5, 0.9]), atol=0.1 * high
        )


@pytest.mark.parametrize("policy", ["color", "translation", "cutout"])
def test_gradients_pass_through_an_augmentation(policy):
    images = tf.random.stateless_uniform((4, 8, 8, 3), (0, 0))
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(DiffAugment((policy,)).augment(images, 0))
    gradient = tape.gradient(loss, images)
    assert gradient is not None and np.abs(gradient).max() > 0


def test_says_what_is_wrong_with_a_policy():
    with pytest.raises(ValueError, match="Received policy=.'flip',."):
        DiffAugment(("flip",))
    with pytest.raises(ValueError, match="Received policy='color'"):
        DiffAugment("color")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: R1(-1.0), "`weight` is 0 or more. Received weight=-1.0"),
        (lambda: LeCam(weight=-5), "`weight` is 0 or more. Received weight=-5"),
        (lambda: LeCam(decay=1.0), "`decay` is from 0 to below 1"),
        (lambda: InstanceNoise(0.1, steps=0), "`steps` 1 or more.*steps=0"),
        (lambda: GradientPenalty(-10.0), "`weight` is 0 or more"),
        (lambda: WeightClipping(-1.0), "`limit` is above 0. Received limit=-1.0"),
        (lambda: DiffAugment().augment(tf.zeros((3, 2)), 0), r"shape \(3, 2\)"),
        (lambda: check([R1], DCGAN()), "objects such as R1"),
        (lambda: check(R1(), DCGAN()), "Give a list of regularizers"),
        (
            lambda: check_networks(DCGAN),
            "of a subclass of `zoo.networks.dcgan.Networks`",
        ),
    ],
)
def test_says_what_is_wrong_with_a_number(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_several_add_up_and_none_is_nothing():
    real = tf.constant([[0.0, 1.0]])
    both = penalty([R1(1.0), R1(3.0)], quadratic, real, real, real, real)
    assert float(both) == pytest.approx(0.5 * 4.0 * 13.0)
    assert float(penalty([], quadratic, real, real, real, real)) == 0.0
    np.testing.assert_array_equal(augment([R1()], real, 0), real)


@pytest.mark.parametrize(
    "regularizer", [R1(2.0), LeCam(0.1, 0.9), InstanceNoise(0.2, 7), DiffAugment()]
)
def test_comes_back_from_its_configuration(regularizer):
    again = type(regularizer).from_config(regularizer.get_config())
    assert again.get_config() == regularizer.get_config()
