import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.cgan import CGAN, Concatenation
from zoo.gan import GAN
from zoo.networks.dcgan import DCGAN, MLP, Networks
from zoo.networks.layers import (
    LEAK,
    BatchNormalization,
    Dropout,
    LeakyReLU,
    SpectralConv2D,
    SpectralDense,
)
from zoo.training.regularizers import R1
from zoo.wgan import WGAN


@pytest.mark.parametrize(
    ("shape", "widths"),
    [((28, 28, 1), (4, 8)), ((30, 17, 3), (4, 8, 8)), ((128, 128, 3), (2,) * 5)],
)
def test_images_of_any_size_fit(shape, widths):
    networks = DCGAN(widths)
    images = networks.generator(5, shape)(np.ones((2, 5), "float32"))
    assert images.shape == (2, *shape)
    assert networks.trunk(shape)(images).shape[0] == 2


def test_images_are_in_0_1_and_the_networks_inside_in_minus_1_1():
    generator = DCGAN((4,)).generator(5, (8, 8, 1))
    last = generator.layers[-1].input  # the sigmoid's argument is twice the tanh's
    inside = keras.Model(generator.input, last)
    latents = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    np.testing.assert_allclose(
        2.0 * generator(latents) - 1.0, np.tanh(inside(latents) / 2.0), atol=1e-6
    )


def test_discriminator_never_normalizes_raw_pixels():
    kinds = [type(layer).__name__ for layer in DCGAN((4, 8)).trunk((8, 8, 1)).layers]
    assert kinds.index("BatchNormalization") > kinds.index("LeakyReLU")
    assert kinds.count("BatchNormalization") == 1


@pytest.mark.parametrize("make", [DCGAN, MLP])
def test_networks_come_back_from_their_configuration(make):
    first = make((3, 4), "spectral")
    again = make.from_config(first.get_config())
    assert again.get_config() == first.get_config()


@pytest.mark.parametrize("make", [DCGAN, MLP])
def test_says_what_is_wrong(make):
    with pytest.raises(ValueError, match="Received normalization='layer'"):
        make((4,), "layer")
    with pytest.raises(ValueError, match=r"positive count per stage. Received .*\(\)"):
        make(())


@keras.saving.register_keras_serializable()
class Flat(Networks):
    """A user's own: the methods that `zoo.networks` says are to be written."""

    def __init__(self, widths=(4,), normalization="none"):
        super().__init__(widths, normalization)

    def generator(self, input_dim, shape):
        latents = keras.Input((input_dim,))
        x = keras.layers.Dense(int(np.prod(shape)), "sigmoid")(latents)
        return keras.Model(latents, keras.layers.Reshape(shape)(x))

    def trunk(self, shape):
        images = keras.Input(shape)
        x = keras.layers.Flatten()(images)
        return keras.Model(images, keras.layers.Dense(4, "relu")(x))


@pytest.mark.parametrize("make", [GAN, WGAN, CGAN])
def test_a_users_own_networks_train_and_are_saved(make, tmp_path):
    model = make((5, 6, 3), latent_dim=2, networks=Flat(), regularizers=[R1()])
    model.compile("adam", "adam")
    labels = [np.arange(4)] if make is CGAN else []
    images = np.random.default_rng(0).random((4, 5, 6, 3), dtype="float32")
    model.fit(images, *labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.sample(2, seed=0), loaded.sample(2, seed=0))


class Patches(Flat):
    """Judges each corner of an image by itself."""

    def trunk(self, shape):
        images = keras.Input(shape)
        return keras.Model(images, keras.layers.Conv2D(4, 4, strides=4)(images))


def test_patches_are_judged_beside_their_condition():
    images = np.random.default_rng(0).random((4, 8, 8, 1), dtype="float32")
    concatenation = Concatenation(mismatch=0.5)
    model = CGAN((8, 8, 1), 4, 2, Patches(), conditioning=concatenation)
    model.compile("adam", "adam")
    logs = model.fit(images, np.arange(4), verbose=0).history
    assert np.isfinite(logs["discriminator_loss"][0])
    with pytest.raises(ValueError, match="Use Concatenation for networks that judge"):
        CGAN((8, 8, 1), 4, 2, Patches())


class Local(DCGAN):
    """Judges patches of images of any size."""

    def trunk(self, image_shape):
        return self.convolutions(image_shape)


@pytest.mark.parametrize("normalization", ["batch", "spectral", "none"])
def test_images_of_unknown_size_are_judged_patch_by_patch(normalization):
    judge = Local((4, 8), normalization).discriminator((None, None, 3))
    assert judge(np.zeros((2, 16, 24, 3), "float32")).shape == (2, 4, 6, 1)
    assert judge(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 8, 8, 1)


def test_a_game_is_played_over_patches():
    model = GAN((8, 8, 1), 2, Local((4,), "none"), loss="least_squares")
    model.compile("adam", "adam")
    images = np.random.default_rng(0).random((4, 8, 8, 1), dtype="float32")
    logs = model.fit(images, verbose=0).history
    assert model.discriminator.output_shape == (None, 4, 4, 1)
    assert all(np.isfinite(values[0]) for values in logs.values())


@pytest.mark.parametrize("part", ["trunk", "discriminator"])
def test_an_image_of_unknown_size_is_not_flattened(part):
    with pytest.raises(ValueError, match=r"of known .*Received image_shape=\(None, 8"):
        getattr(DCGAN((4,)), part)((None, 8, 1))
    with pytest.raises(ValueError, match="all positive. Received image_shape="):
        getattr(MLP((4,)), part)((None, 8, 1))
    with pytest.raises(ValueError, match="its generator needs"):
        DCGAN((4,)).generator(2, (None, 8, 1))


# ------------------------------------------------------- layers quicker than Keras'


def slopes(layer, inputs):
    """Returns the outputs, their slope and the slope of a penalty on that slope."""
    upstream = np.random.default_rng(1).normal(size=inputs.shape).astype("float32")
    inputs = tf.constant(inputs)
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            outputs = layer(inputs, training=True)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
        slope = inner.gradient(loss, inputs)
        penalty = tf.reduce_sum(tf.square(slope))
    variables = [variable.value for variable in layer.trainable_variables]
    zero = {"unconnected_gradients": "zero"}
    return [outputs, slope, *outer.gradient(penalty, [inputs, *variables], **zero)]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("shape", [(4, 5, 3, 6), (1, 1, 1, 6), (7, 6)])
def test_batch_normalization_is_that_of_keras(shape, policy):
    kinds = BatchNormalization, keras.layers.BatchNormalization
    layers = [kind(momentum=0.9, dtype=policy) for kind in kinds]
    inputs = np.random.default_rng(0).normal(2.0, 3.0, shape).astype("float32")
    for layer in layers:
        layer.build(shape)
        layer.set_weights([layer.get_weights()[0] * 1.5, *layer.get_weights()[1:]])
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if policy == "float32" else {"rtol": 2e-2}
    for ours, keras_own in zip(*(slopes(la, inputs) for la in layers), strict=True):
        np.testing.assert_allclose(ours, keras_own, **{"atol": 2e-2} | tolerance)
        assert ours.dtype == keras_own.dtype
    for ours, keras_own in zip(*(la.get_weights() for la in layers), strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-5, atol=1e-6)
    inference = [layer(inputs, training=False) for layer in layers]
    np.testing.assert_allclose(*inference, rtol=1e-5, atol=1e-5)


def test_leaky_relu_is_that_of_keras():
    inputs = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    keras_own = slopes(keras.layers.LeakyReLU(LEAK), inputs)
    for ours, theirs in zip(slopes(LeakyReLU(), inputs), keras_own, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert LeakyReLU(dtype="mixed_float16")(inputs).dtype == "float16"


def test_dropout_drops_its_share_and_keeps_the_mean():
    layer, inputs = Dropout(0.25), np.full((200, 100), 3.0, "float32")
    first, second = (np.asarray(layer(inputs, training=True)) for _ in range(2))
    assert set(np.unique(first)) == {0.0, 4.0}
    assert np.mean(first == 0.0) == pytest.approx(0.25, abs=0.01)
    assert np.mean(first == second) == pytest.approx(0.75**2 + 0.25**2, abs=0.02)
    np.testing.assert_array_equal(layer(inputs), inputs)
    half = Dropout(0.25, dtype="mixed_float16")
    assert half(inputs, training=True).dtype == "float16"
    again = Dropout.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_says_what_is_wrong_with_a_rate():
    with pytest.raises(ValueError, match="below 1. Received rate=1.0"):
        Dropout(1.0)


# ------------------------------------------------------- spectral normalization


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(SpectralConv2D(6, 3), (2, 5, 5, 4)), (SpectralDense(6), (2, 5))],
)
def test_largest_singular_value_becomes_one(layer, shape):
    inputs = np.random.default_rng(0).normal(size=shape).astype("float32")
    for _ in range(50):
        layer(inputs, training=True)
    kernel = layer.kernel.numpy()
    matrix = kernel.reshape(-1, kernel.shape[-1])
    largest = np.linalg.svd(matrix, compute_uv=False)[0]
    plain = keras.ops.convert_to_numpy(layer(inputs))
    layer.kernel.assign(kernel / largest)
    np.testing.assert_allclose(
        layer.apply_kernel(inputs, layer.kernel), plain, rtol=1e-3, atol=1e-4
    )


def test_gradient_goes_through_the_division():
    """Along the kernel itself the normalized one does not change: no gradient."""
    layer = SpectralDense(3, use_bias=False)
    inputs = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    for _ in range(100):
        layer(inputs, training=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(inputs)))
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    along = (gradient * layer.kernel.numpy()).sum()
    assert abs(along) < 1e-3 * np.abs(gradient * layer.kernel.numpy()).sum()
    assert np.abs(gradient).max() > 0.1


def test_inference_leaves_the_estimate_alone():
    layer = SpectralDense(3)
    inputs = np.ones((2, 4), "float32")
    layer(inputs)
    before = layer.singular_vector.numpy()
    layer(inputs, training=False)
    np.testing.assert_array_equal(layer.singular_vector, before)
    layer(inputs, training=True)
    assert not np.array_equal(layer.singular_vector, before)
