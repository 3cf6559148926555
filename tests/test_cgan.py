import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import ModelContract
from tests.test_gan import blobs
from zoo.cgan import CGAN
from zoo.networks import DCGAN, MLP


class CGANContract(ModelContract):
    settings = {}

    def model(self):
        networks = DCGAN((4, 8), "spectral")
        model = CGAN((8, 8, 1), 3, 2, networks, ema=0.9, **self.settings)
        model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
        return model

    def examples(self):
        return blobs(16), np.arange(16) % 3

    def inputs(self):
        return np.ones((5, 2), "float32"), np.arange(5) % 3

    def batch(self):
        return tf.data.Dataset.from_tensors(self.examples())


# (2+3)*32 | bn 8 | 4*4*4*8+4 | bn 4 | 4*4*1*4+1
GENERATOR = 160 + 16 + 516 + 8 + 65


class TestProjection(CGANContract):
    # 4*4*1*4+4 | 4*4*4*8+8 | 2*2*8+1 | 3*32
    parameters = GENERATOR + 68 + 520 + 33 + 96
    settings = {"loss": "least_squares"}


class TestConcatenation(CGANContract):
    # 4*4*(1+3)*4+4 | 4*4*4*8+8 | 2*2*8+1
    parameters = GENERATOR + 260 + 520 + 33
    settings = {"conditioning": "concatenation"}


@pytest.mark.parametrize("conditioning", ["projection", "concatenation"])
def test_draws_what_is_asked_for(conditioning):
    """Three clouds of points, a class each."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 4096)
    centres = np.array([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]])
    points = (centres[labels] + 0.2 * rng.normal(size=(4096, 2))).astype("float32")
    model = CGAN((2,), 3, 4, MLP((32, 32)), conditioning, ema=0.98)
    model.compile(*(keras.optimizers.Adam(2e-3, beta_1=0.5) for _ in range(2)))
    model.fit(points, labels, batch_size=128, epochs=20, verbose=0)
    asked = np.arange(600) % 3
    drawn = np.asarray(model.sample(600, asked, seed=0))
    nearest = np.linalg.norm(drawn[:, None] - centres, axis=-1).argmin(axis=1)
    assert (nearest == asked).mean() > 0.97


def test_projection_is_an_inner_product_of_condition_and_features():
    model = CGAN((2,), 3, 2, MLP((4,)))
    points = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    inner = model.discriminator
    head, directions = map(inner.get_layer, ("unconditional", "directions"))
    features = keras.Model(inner.inputs[0], head.input)(points).numpy()
    conditions = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]]
    expected = features @ head.kernel.numpy() + head.bias.numpy()
    projected = conditions @ directions.kernel.numpy()
    expected += (projected * features).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(inner([points, conditions]), expected, rtol=1e-5)


def test_labels_are_one_hot_vectors():
    model = CGAN((2,), 3, 2, MLP((4,)))
    latents = np.ones((3, 2), "float32")
    labels, vectors = np.arange(3), np.eye(3, dtype="float32")
    np.testing.assert_array_equal(model((latents, labels)), model((latents, vectors)))


def test_takes_any_vector_as_condition():
    model = CGAN((2,), 5, 2, MLP((4,)))
    model.compile("adam", "adam")
    rng = np.random.default_rng(0)
    points, vectors = rng.normal(size=(16, 2)), rng.normal(size=(16, 5))
    model.fit(points.astype("float32"), vectors.astype("float32"), verbose=0)
    assert model.sample(16, vectors, seed=0).shape == (16, 2)


def test_default_samples_show_each_class_in_turn():
    model = CGAN((2,), 3, 2, MLP((4,)))
    asked = model.sample(6, [0, 1, 2, 0, 1, 2], seed=0)
    np.testing.assert_array_equal(model.sample(6, seed=0), asked)


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="Received conditioning='sum'"):
        CGAN(conditioning="sum")
    with pytest.raises(ValueError, match="all positive. Received .*condition_dim=0"):
        CGAN(condition_dim=0)
    model = CGAN((2,), 3, 2, MLP((4,)))
    with pytest.raises(ValueError, match=r"or \(batch, 3\) vectors. Received: shape"):
        model.sample(2, np.ones((2, 4)))
    model.compile("adam", "adam")
    with pytest.raises(ValueError, match="Received examples alone"):
        model.fit(np.ones((4, 2), "float32"), verbose=0)
