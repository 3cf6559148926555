import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import ModelContract, Variant
from tests.test_gan import blobs
from zoo.cgan import CGAN, Concatenation, Projection
from zoo.networks.dcgan import DCGAN, MLP


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


class TestConcatenation(Variant, CGANContract):
    # 4*4*(1+3)*4+4 | 4*4*4*8+8 | 2*2*8+1
    parameters = GENERATOR + 260 + 520 + 33
    settings = {"conditioning": Concatenation(0.5)}


@pytest.mark.parametrize(
    "conditioning", [Projection(), Projection(0.5), Concatenation()], ids=str
)
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
    keras.utils.set_random_seed(0)
    model = CGAN((2,), 3, 2, MLP((4,)))
    points = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    head, directions = map(model.verdict.get_layer, ("unconditional", "directions"))
    features = model.trunk(points).numpy()
    conditions = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]]
    expected = features @ head.kernel.numpy() + head.bias.numpy()
    projected = conditions @ directions.kernel.numpy()
    expected += (projected * features).sum(axis=1, keepdims=True)
    found = model.discriminator([points, conditions])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_real_examples_beside_the_wrong_condition_are_called_wrong():
    """The loss by hand, for a batch whose first two rows share a condition."""
    keras.utils.set_random_seed(0)
    model = CGAN((2,), 3, 2, MLP((4,)), Projection(mismatch=0.25))
    real, fake = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    conditions = np.eye(3, dtype="float32")[[1, 1, 2]]
    rolled = conditions[[2, 0, 1]]  # row 1 keeps its condition
    logits = [
        model.discriminator([examples, beside]).numpy()[:, 0]
        for examples, beside in ((real, conditions), (fake, conditions), (real, rolled))
    ]
    wrong = np.where([True, False, True], logits[2], logits[1])
    softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
    expected = (
        softplus(-logits[0]) + 0.75 * softplus(logits[1]) + 0.25 * softplus(wrong)
    )
    found = model.discriminate(*map(tf.constant, (real, fake, conditions)))
    loss = model.discriminator_loss(*found)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize(("mismatch", "expected"), [(0.0, 1 / 2), (0.8, 1 / 3)])
def test_mismatches_push_away_from_what_two_classes_share(mismatch, expected):
    """Half of class 0 lies at -1, half of class 1 at 1, and the rest of both at 0.

    In half of the rows the neighbour's class is the same, so 0.4 of the fakes are
    mismatches. Neither place is better for the generator once (1 - 0.4) (p(1) - p(0))
    = 0.4 / 2, the mismatches' share at 0; so p(0) = 1 / 3.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4096)
    places = rng.integers(0, 2, 4096) * (2.0 * labels - 1.0)
    points = places[:, None] + 0.1 * rng.normal(size=(4096, 1))
    model = CGAN((1,), 2, 2, MLP((32, 32)), Projection(mismatch), ema=0.98)
    model.compile(*(keras.optimizers.Adam(2e-3, beta_1=0.5) for _ in range(2)))
    model.fit(points.astype("float32"), labels, batch_size=128, epochs=20, verbose=0)
    drawn = np.asarray(model.sample(1000, seed=0))
    assert (np.abs(drawn) < 0.5).mean() == pytest.approx(expected, abs=0.08)


def test_labels_are_one_hot_vectors():
    model = CGAN((2,), 3, 2, MLP((4,)))
    latents = np.ones((3, 2), "float32")
    labels, vectors = np.arange(3), np.eye(3, dtype="float32")
    np.testing.assert_array_equal(model((latents, labels)), model((latents, vectors)))


def test_labels_may_be_bytes():
    """Of 300 classes the number itself is none."""
    model = CGAN((2,), 300, 2, MLP((4,)))
    labels = np.array([0, 255], "uint8")
    np.testing.assert_array_equal(np.argmax(model.vectors(labels), axis=1), [0, 255])


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
    with pytest.raises(ValueError, match=r"from 0 to below 1. Received: .*mismatch=1"):
        Projection(mismatch=1.0)
    with pytest.raises(ValueError, match="all positive. Received .*condition_dim=0"):
        CGAN(condition_dim=0)
    model = CGAN((2,), 3, 2, MLP((4,)))
    with pytest.raises(ValueError, match=r"are \(batch, 3\) vectors. Received: shape"):
        model.sample(2, np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"Each of the 3 examples.*shape \(2,\)"):
        model.sample(3, [1, 2])
    model.compile("adam", "adam")
    for label in (-1, 3):
        with pytest.raises(ValueError, match="from 0 to 2"):
            model.fit(np.zeros((2, 2), "float32"), np.array([0, label]), verbose=0)


def test_compiled_by_xla_an_unknown_label_is_not_passed_over():
    """XLA drops assertions; Keras turns it on by itself where there is a GPU."""
    points = np.zeros((2, 2), "float32")
    for labels, finite in (([0, 2], True), ([0, 3], False)):
        model = CGAN((2,), 3, 2, MLP((4,)))
        model.compile("adam", "adam", jit_compile=True)
        # In batches: of arrays in memory `fit` would refuse the label at once.
        batch = tf.data.Dataset.from_tensors((points, np.array(labels)))
        logs = model.fit(batch, verbose=0).history
        assert np.isfinite(logs["discriminator_loss"][0]) == finite
    with pytest.raises(ValueError, match="Received examples alone"):
        model.fit(np.ones((4, 2), "float32"), verbose=0)
