import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import peers
from zoo.classifier import Classifier
from zoo.deploy import export
from zoo.metrics import extractors, frechet_distance
from zoo.metrics import known as networks


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def mean_colour(images):
    return tf.reduce_mean(images, (1, 2))


def identity(size, **settings):
    """Returns an extractor whose features are the prepared pixels themselves."""
    return extractors.Extractor(
        "pixels",
        lambda x: tf.reshape(x, (-1, int(np.prod(x.shape[1:])))),
        size=size,
        **settings,
    )


# ---------------------------------------------------------------- preparation


def test_features_do_not_depend_on_batches_or_on_how_images_are_stored():
    extractor = identity(None)
    grey = pixels(10, 4, 4, 1)
    whole = extractor.extract(grey).features
    for batch_size in (1, 3, 10, 64):
        parts = extractor.extract(grey, batch_size=batch_size).features
        np.testing.assert_array_equal(parts, whole)
    unit = grey / np.float64(255)
    same = {
        "float64": extractor.extract(unit),
        "float32": extractor.extract(unit.astype("float32")),
        "signed": extractor.extract(2 * unit - 1, value_range=(-1, 1)),
        "batches": extractor.extract(iter([grey[:7], grey[7:]])),
    }
    for name, outputs in same.items():
        np.testing.assert_allclose(outputs.features, whole, atol=1e-6, err_msg=name)
        assert outputs.features.dtype == np.float32 and outputs.logits is None


def test_the_network_gets_the_range_and_channels_it_wants():
    white = np.full((1, 2, 2, 1), 255, "uint8")
    black = np.zeros((1, 2, 2, 1), "uint8")
    extractor = identity(None, channels=3, value_range=(-1, 1))
    np.testing.assert_array_equal(extractor.extract(white).features, np.ones((1, 12)))
    np.testing.assert_array_equal(extractor.extract(black).features, -np.ones((1, 12)))
    red = np.zeros((1, 2, 2, 3), "uint8")
    red[..., 0] = 255
    luma = identity(None, channels=1).extract(red).features
    np.testing.assert_allclose(luma, 0.299, atol=1e-3)


def edges(side):
    """Returns black and white pixels, beside which a bicubic filter overshoots."""
    return 255 * np.random.RandomState(0).randint(0, 2, (side, side, 3)).astype("uint8")


# What clean-fid 0.1.35 (with Pillow 13.0.0) makes of `edges`, the first channel:
#     make_resizer("PIL", False, "bicubic", (5, 5))(edges(8))[..., 0].round(3)
# from `cleanfid.resize`, by the side before and after.
CLEAN_FID = {
    (8, 5): [
        [34.534, 211.944, 74.235, 0.0, 160.109],
        [112.635, 240.325, 112.92, 73.795, 54.678],
        [46.882, 129.352, 197.377, 156.398, 36.989],
        [219.793, 164.371, 239.711, 178.975, 157.141],
        [199.243, 120.253, 182.317, 134.174, 103.423],
    ],
    (4, 7): [
        [0.0, 0.0, 0.0, 138.878, 255.0, 255.0, 253.395],
        [0.772, 0.0, 0.0, 72.613, 178.076, 242.385, 255.0],
        [0.621, 0.0, 0.0, 0.0, 15.792, 185.005, 255.0],
        [0.0, 43.934, 137.434, 145.43, 126.289, 115.768, 110.298],
        [0.0, 75.903, 239.917, 255.0, 240.085, 78.492, 0.0],
        [0.0, 26.206, 82.833, 87.09, 90.448, 143.629, 174.704],
        [1.605, 0.0, 0.0, 0.0, 0.0, 185.985, 255.0],
    ],
}


@pytest.mark.parametrize(("before", "after"), CLEAN_FID)
def test_clean_resize_is_what_clean_fid_made(before, after):
    image = edges(before)[None, ..., :1]
    found = identity((after, after)).extract(image).features
    np.testing.assert_allclose(
        255 * found.reshape(after, after), CLEAN_FID[before, after], atol=0.02
    )


@pytest.mark.parametrize(("before", "after"), [(8, 5), (28, 299), (299, 32), (9, 20)])
def test_clean_resize_is_that_of_clean_fid(before, after):
    resizer = peers.clean_fid().make_resizer("PIL", False, "bicubic", (after, after))
    image = edges(before)
    found = identity((after, after)).extract(image[None]).features
    expected = resizer(image)
    assert expected.min() == 0.0 or before > after
    np.testing.assert_allclose(255 * found.reshape(expected.shape), expected, atol=0.02)


@pytest.mark.parametrize(("before", "after"), [(32, 11), (50, 25), (9, 20)])
def test_clean_resize_is_pillows_filter_clipped(before, after):
    """Its bicubic filter on each channel in float, without rounding."""
    image = pixels(before, before)
    size = (after, after)
    expected = np.asarray(
        Image.fromarray(image.astype("float32")).resize(size, Image.Resampling.BICUBIC)
    )
    found = identity(size).extract(image[None, ..., None]).features
    np.testing.assert_allclose(
        255 * found.reshape(size), expected.clip(0, 255), atol=0.02
    )


def test_features_kept_since_before_the_clipping_are_not_found(tmp_path):
    """By their file's name, which is made of the preparation among others."""
    image = pixels(2, 4, 4, 1)
    extractor = identity((8, 8))
    extractors.cached(image, extractor, tmp_path)
    extractor.preprocessing = "size=(8, 8) channels=None range=(0.0, 1.0) clean"
    extractors.cached(image, extractor, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_clean_resize_removes_what_the_small_image_cannot_hold():
    """A checkerboard is grey from afar; without a filter it turns into stripes."""
    board = np.indices((1, 64, 64, 1)).sum(axis=0).astype("uint8") % 2 * 255
    spread = {
        name: identity((20, 20), resize=name).extract(board).features.std()
        for name in extractors.RESIZES
    }
    assert spread["clean"] < 0.02
    assert min(spread["legacy_pytorch"], spread["legacy_tensorflow"]) > 0.1


def test_legacy_resizes_by_hand():
    """Four pixels to two: half-way between neighbours, or just every second one."""
    row = np.array([0.0, 0.2, 0.6, 1.0])[None, None, :, None]
    expected = {"legacy_pytorch": [0.1, 0.8], "legacy_tensorflow": [0.0, 0.6]}
    for name, values in expected.items():
        found = identity((1, 2), resize=name).extract(row).features
        np.testing.assert_allclose(found, [values], atol=1e-6, err_msg=name)


def test_a_legacy_resize_is_part_of_the_name():
    assert identity((2, 2)).name == "pixels"
    assert identity((2, 2), resize="legacy_pytorch").name == "pixels_legacy_pytorch"


def test_moments_are_those_of_the_features_and_know_their_origin():
    extractor = identity(None)
    grey = pixels(10, 2, 2, 1)
    moments = extractor.moments(iter([grey[:3], grey[3:]]), dataset="noise")
    features = extractor.extract(grey).features.astype("float64")
    np.testing.assert_allclose(moments.mean, features.mean(axis=0))
    covariance = np.cov(features, rowvar=False)
    np.testing.assert_allclose(moments.covariance(), covariance, rtol=1e-6)
    assert (moments.count, moments.dataset, moments.extractor) == (
        10,
        "noise",
        "pixels",
    )
    other = identity(None, value_range=(-1, 1)).moments(grey)
    with pytest.raises(ValueError, match="share their preprocessing"):
        frechet_distance(moments, other)


def test_progress_counts_images():
    seen = []
    identity(None).extract(
        pixels(5, 2, 2, 1), batch_size=2, progress=lambda *now: seen.append(now)
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (pixels(4, 2, 2, 1).astype("int64"), TypeError, "needs a `value_range`"),
        (pixels(4, 2, 2, 1).astype("float32"), ValueError, r"lie in \[0, 1\]"),
        (np.full((4, 2, 2, 1), -0.5), ValueError, "values from -0.5 to -0.5"),
        (np.full((4, 2, 2, 1), np.nan), ValueError, "lie in"),
        (pixels(4, 2, 2), ValueError, r"Received: shape \(4, 2, 2\)"),
        (pixels(4, 1, 2, 2), ValueError, r"Received: shape \(4, 1, 2, 2\)"),
        (pixels(0, 2, 2, 1), ValueError, "no images"),
        (iter([]), ValueError, "no images"),
    ],
)
def test_says_what_is_wrong_with_images(given, error, message):
    with pytest.raises(error, match=message):
        identity(None).extract(given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resize": "nearest"}, "one of clean, legacy_pytorch.*Received: 'nearest'"),
        ({"channels": 4}, "Received: 4"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        extractors.Extractor("x", mean_colour, **settings)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda x: {"codes": x}, "must return 'features'. Received: outputs codes"),
        (lambda x: tf.reduce_mean(x, (1, 2, 3)), r"Received: shape \(None,\)"),
    ],
)
def test_says_what_is_wrong_with_a_network(network, message):
    with pytest.raises(ValueError, match=message):
        extractors.Extractor("x", network).extract(pixels(2, 4, 4, 1))


# ------------------------------------------------------------------- networks


def test_a_classifier_of_the_zoo_gives_features_and_logits_in_one_pass(tmp_path):
    model = Classifier((8, 8, 1), 3, (4, 6))
    grey = pixels(5, 8, 8, 1)
    outputs = extractors.of_model(model, "tiny").extract(grey)
    unit = grey / np.float32(255)
    np.testing.assert_allclose(outputs.features, model.features(unit), atol=1e-6)
    np.testing.assert_allclose(outputs.logits, model(unit), atol=1e-6)

    export.export(model, tmp_path, formats=())
    served = extractors.of_saved_model(tmp_path / "1", "tiny")
    for ours, theirs in zip(outputs, served.extract(grey), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    model.save(tmp_path / "tiny.keras")
    again = networks.by_name(tmp_path / "tiny.keras")
    assert again.name == "tiny" and again.size == (8, 8) and again.channels == 1
    np.testing.assert_allclose(again.extract(grey).logits, outputs.logits, atol=1e-6)
    assert networks.by_name(tmp_path / "1").name == tmp_path.name  # not the version
    with pytest.raises(ValueError, match="no signature .encode.. Received: .*classify"):
        extractors.of_saved_model(tmp_path / "1", "tiny", signature="encode")


def test_any_keras_model_by_its_output_or_by_a_layer():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(5, 3, name="map")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(pooled))
    colour = pixels(3, 9, 7, 3)
    assert extractors.of_model(model, "m").extract(colour).features.shape == (3, 2)
    outputs = extractors.of_model(model, "m", layer="map").extract(colour)
    assert outputs.features.shape == (3, 5) and outputs.logits.shape == (3, 2)
    pool = keras.Model(inputs, pooled)
    expected = pool(colour / np.float32(255))
    np.testing.assert_allclose(outputs.features, expected, atol=1e-6)


def test_fingerprint_tells_weights_apart():
    first, again, other = (Classifier((8, 8, 1), 3, (4,)) for _ in range(3))
    again.set_weights(first.get_weights())
    prints = [extractors.of_model(m, "m").fingerprint for m in (first, again, other)]
    assert prints[0] == prints[1] != prints[2]
