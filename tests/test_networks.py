import os

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import images
from zoo.metrics import frechet_distance, kernel_distance_unbiased
from zoo.metrics import known as networks


def test_the_original_inception_graph_is_fed_and_read_at_its_own_names(tmp_path):
    """A graph of one operation per place, under the names that TTUR's program uses."""
    weights = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    with tf.Graph().as_default() as graph:
        given = tf.compat.v1.placeholder(tf.float32, (1, None, None, 3), "ExpandDims")
        pool = tf.reduce_mean(given, (1, 2), keepdims=True, name="pool_3")
        tf.matmul(
            tf.reshape(pool, (-1, 3)),
            tf.constant(weights),
            name="softmax/logits/MatMul",
        )
    path = tmp_path / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    extractor = networks.by_name("inception_2015", path)
    outputs = extractor.extract(np.full((2, 299, 299, 1), 51, "uint8"))
    np.testing.assert_allclose(outputs.features, np.full((2, 3), 51.0), rtol=1e-5)
    np.testing.assert_allclose(outputs.logits, outputs.features @ weights, rtol=1e-5)
    assert extractor.name == "inception_2015"

    path.write_bytes(tf.Graph().as_graph_def().SerializeToString())
    with pytest.raises(ValueError, match="not Inception's graph.*classify_image"):
        networks.inception_2015(path)


@pytest.mark.slow
def test_inception_of_keras_pools_2048_features_and_has_1000_classes():
    extractor = networks.inception_v3_keras(weights=None)
    assert extractor.name == "inception_v3_random"
    assert (extractor.size, extractor.value_range) == ((299, 299), (-1.0, 1.0))
    outputs = extractor.extract(np.zeros((2, 40, 50, 1)))
    assert outputs.features.shape == (2, 2048) and outputs.logits.shape == (2, 1000)


def test_missing_weights_are_an_error_that_says_where_from(tmp_path):
    with pytest.raises(OSError, match="keras.applications, downloaded elsewhere"):
        networks.inception_v3_keras(weights=str(tmp_path / "no.h5"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("efficientnet_lite0", "give the path of its weights"),
        ("inception_2015", "give the path of its weights"),
        ("inception", "no extractor 'inception'. Give inception_v3_keras"),
    ],
)
def test_says_what_is_wrong_with_a_name(source, message):
    with pytest.raises(ValueError, match=message):
        networks.by_name(source)


# ------------------------------------------------- with weights that are not ours


@pytest.fixture(scope="module")
def lite0():
    path = os.environ.get("ZOO_EFFICIENTNET_LITE0_WEIGHTS")
    if not path:
        pytest.skip("set ZOO_EFFICIENTNET_LITE0_WEIGHTS to the path of its weights")
    return networks.by_name("efficientnet_lite0", path)


def test_efficientnet_lite0_has_its_published_size():
    parameters = networks.efficientnet_lite0_network().count_params()
    assert parameters == 4_652_008 + 42_016  # trainable, and moving statistics


def test_efficientnet_lite0_knows_a_cat(lite0):
    skimage = pytest.importorskip("skimage")
    outputs = lite0.extract(skimage.data.chelsea()[None, :, 75:375])
    assert outputs.logits.argmax() in range(281, 286)  # ImageNet's domestic cats
    assert outputs.features.shape == (1, 1280)


def test_efficientnet_lite0_sees_blur(lite0):
    photos, _ = images.load("embedded", "test")
    photos = photos[:64]
    blurred = photos.reshape(64, 14, 2, 14, 2, 1).mean(axis=(2, 4)).astype("uint8")
    real, half, other = (lite0.extract(x).features for x in (photos, blurred, photos))
    assert kernel_distance_unbiased(real[:32], half[32:]) > kernel_distance_unbiased(
        real[:32], other[32:]
    )
    assert frechet_distance(real, other) < 1e-6
