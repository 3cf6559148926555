import os

import keras
import numpy as np
import pytest
from scipy import ndimage

from zoo.metrics.perceptual import LAYERS, VGG16Distance


def photo(seed=0, size=48, channels=3):
    """Returns a smooth random picture in [0, 1]."""
    noise = np.random.default_rng(seed).normal(size=(size, size, channels))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


@pytest.fixture(scope="module")
def distance():
    return VGG16Distance(weights=None)


def test_is_the_published_formula(distance):
    """In NumPy, layer by layer, from the weights alone."""
    a, b = photo(0), photo(1)
    # Keras's preparation: blue first, mean colour of ImageNet taken away.
    mean = np.array([103.939, 116.779, 123.68])
    x = np.stack([255 * image[..., ::-1] - mean for image in (a, b)])
    expected = 0.0
    first_convolution = [layer.name for layer in distance._network.layers].index(
        "block1_conv1"
    )
    for layer in distance._network.layers[first_convolution:]:
        x = np.asarray(layer(x.astype("float32")))
        if layer.name.removesuffix("_relu") in LAYERS and "relu" in layer.name:
            first, second = x / np.linalg.norm(x, axis=-1, keepdims=True)
            expected += np.square(first - second).sum(axis=-1).mean()
    assert distance(a, b) == pytest.approx(expected, rel=1e-4)


def test_is_zero_of_equal_images_and_symmetric(distance):
    a, b = photo(0), photo(1)
    assert distance(a, a) == pytest.approx(0, abs=1e-9)  # sums in another order
    assert 0 < distance(a, b) < 10
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-5)


def test_batches_and_types_make_no_difference(distance):
    a, b = (np.stack([photo(s + k) for s in range(5)]) for k in (0, 9))
    whole = distance(a, b)
    assert whole.shape == (5,)
    np.testing.assert_allclose(distance(a, b, batch_size=2), whole, rtol=1e-4)
    single = [distance(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(single, whole, rtol=1e-4)
    signed = distance(2 * a - 1, 2 * b - 1, value_range=(-1, 1))
    np.testing.assert_allclose(signed, whole, rtol=1e-4)


def test_grey_is_colour_without_colour(distance):
    a, b = photo(0, channels=1), photo(1, channels=1)
    wide = distance(np.repeat(a, 3, axis=-1), np.repeat(b, 3, axis=-1))
    assert distance(a, b) == pytest.approx(wide, rel=1e-5)


@pytest.mark.parametrize(
    ("a", "error", "message"),
    [
        (np.zeros((31, 40, 3)), ValueError, r"32 x 32.*\(31, 40, 3\)"),
        (np.zeros((40, 40, 4)), ValueError, "1 or 3 channels"),
        (np.full((40, 40, 3), -0.5), ValueError, "must lie in"),
    ],
)
def test_says_what_is_wrong(distance, a, error, message):
    with pytest.raises(error, match=message):
        distance(a, a)
    with pytest.raises(ValueError, match="same shape"):
        distance(a, a[1:])


def test_missing_weights_are_an_error_that_says_where_from(tmp_path):
    with pytest.raises(OSError, match="without top from keras.applications"):
        VGG16Distance(weights=str(tmp_path / "no.h5"))


def test_the_name_tells_random_weights(distance, tmp_path):
    assert distance.name == "vgg16_distance_random"
    keras.applications.VGG16(include_top=False, weights=None).save_weights(
        path := str(tmp_path / "vgg16.weights.h5")
    )
    assert VGG16Distance(path).name == "vgg16_distance"


def test_grows_with_blur_and_noise_and_forgives_a_shift():
    path = os.environ.get("ZOO_VGG16_WEIGHTS")
    skimage = pytest.importorskip("skimage")
    if not path:
        pytest.skip("set ZOO_VGG16_WEIGHTS to the path of VGG16's weights without top")
    distance = VGG16Distance(path)
    image = skimage.data.chelsea()[:256, 100:356] / 255.0
    rng = np.random.default_rng(0)
    noise = rng.normal(size=image.shape)
    blurred = [ndimage.gaussian_filter(image, (s, s, 0)) for s in (0.5, 1, 2, 4, 8)]
    noisy = [(image + s * noise).clip(0, 1) for s in (0.02, 0.05, 0.1, 0.2)]
    for worse in (blurred, noisy):
        distances = [distance(image, other) for other in worse]
        assert np.all(np.diff(distances) > 0), distances
    shifted = np.roll(image, 1, axis=1)  # to pixels, this is worse than a blur
    assert np.square(image - shifted).mean() > np.square(image - blurred[2]).mean()
    assert distance(image, shifted) < 0.5 * distance(image, blurred[2])
