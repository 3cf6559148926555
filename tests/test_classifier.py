from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from recipes import classifier as recipe
from tests.contract import ModelContract
from zoo.classifier import Classifier
from zoo.data import images
from zoo.deploy import presets
from zoo.metrics import extractors


def stripes(count, size=8, seed=0):
    """Draws stripes at a random place: upright in class 0, level in class 1.

    The mean image of both classes is the same grey, so nothing linear tells them apart.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    waves = np.arange(size) * 1.5 + rng.uniform(0, 2 * np.pi, (count, 1))
    rows = np.repeat(0.5 + 0.5 * np.sin(waves)[:, None, :], size, axis=1)
    upright = labels[:, None, None] == 0
    pixels = np.where(upright, rows, rows.transpose(0, 2, 1))
    return pixels[..., None].astype("float32"), labels


class TestClassifier(ModelContract):
    # 3x3 convolutions and two numbers per channel of batch normalization:
    # stem 9*1*4+8 | stage 9*4*6+12 | its residual 9*6*6+12; logits 6*3+3
    parameters = (36 + 8) + (216 + 12) + (324 + 12) + 21

    def model(self):
        model = Classifier((8, 8, 1), 3, (4, 6), label_smoothing=0.1)
        model.compile(keras.optimizers.Adam(1e-3))
        return model

    def examples(self):
        pixels, labels = stripes(16)
        return pixels, labels

    def batch(self):
        return images.batches(self.examples(), 16)

    def inputs(self):
        return self.examples()[0]


def test_learns_what_no_linear_classifier_can():
    train, test = stripes(512), stripes(200, seed=1)
    centres = np.stack([train[0][train[1] == label].mean(axis=0) for label in (0, 1)])
    gaps = np.square(test[0][:, None] - centres).sum(axis=(2, 3, 4))
    by_nearest_mean = (gaps.argmin(axis=1) == test[1]).mean()
    assert by_nearest_mean < 0.7

    model = Classifier((8, 8, 1), 2, (4, 8))
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(*train, batch_size=32, epochs=6, verbose=0)
    assert model.evaluate(*test, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_loss_is_the_cross_entropy_in_nats_and_smoothing_stays_in_training():
    model = Classifier((8, 8, 1), 4, (4,), label_smoothing=0.2)
    last = model.network.get_layer("logits")
    last.set_weights([np.zeros((4, 4)), np.log([0.1, 0.2, 0.3, 0.4])])
    pixels, labels = np.zeros((2, 8, 8, 1), "float32"), np.array([3, 0])
    plain = -np.log([0.4, 0.1])
    smoothed = 0.8 * plain - 0.2 * np.log([0.1, 0.2, 0.3, 0.4]).mean()
    for training, expected in ((False, plain), (True, smoothed)):
        losses = model.losses_on(pixels, labels, training)
        np.testing.assert_allclose(losses["loss"], expected, rtol=1e-5)
        np.testing.assert_array_equal(losses["accuracy"], [1.0, 0.0])


def test_a_short_last_batch_counts_by_its_images():
    model = Classifier((8, 8, 1), 2, (4,))
    model.compile("adam")
    pixels, labels = stripes(5)
    found = [
        model.evaluate(pixels, labels, batch_size=size, verbose=0, return_dict=True)
        for size in (4, 5)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_logits_are_a_dense_layer_on_the_features():
    model = Classifier((8, 8, 1), 3, (4, 6))
    pixels, _ = stripes(5)
    features = model.features(pixels)
    assert features.shape == (5, 6) and features.dtype == tf.float32
    kernel, bias = model.network.get_layer("logits").get_weights()
    np.testing.assert_allclose(model(pixels), features @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 9, 3), (28, 28, 1)])
def test_takes_images_of_any_size(shape):
    model = Classifier(shape, 2, (4, 8, 8))
    assert model(np.zeros((2, *shape), "float32")).shape == (2, 2)


def test_takes_images_of_several_sizes():
    model = Classifier((None, None, 3), 2, (4, 8))
    for sides in ((8, 8), (12, 9)):
        assert model(np.zeros((2, *sides, 3), "float32")).shape == (2, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (28, 28, None)}, r"Received image_shape=\(28, 28, None\)"),
        ({"image_shape": (28, 28)}, r"Received image_shape=\(28, 28\)"),
        ({"classes": 1}, "Received classes=1"),
        ({"widths": ()}, r"widths=\(\)"),
        ({"label_smoothing": 1.0}, "Received label_smoothing=1.0"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        Classifier(**settings)


# ------------------------------------------------------------------- the recipe


def test_augmentation_moves_mirrors_and_covers_within_its_bounds():
    dot = np.zeros((9, 9, 1), "uint8")
    dot[4, 3] = 200
    config = recipe.Config(shift=2, flip=True)
    augment = tf.function(recipe.augmentation(config))
    places = set()
    for seed in range(200):
        image, label = augment(tf.constant(dot), 7, tf.constant([0, seed]))
        assert image.shape == dot.shape and image.dtype == tf.uint8 and label == 7
        places.add(tuple(np.argwhere(image.numpy()[..., 0])[0]))
    rows, columns = zip(*places, strict=True)
    assert (min(rows), max(rows), min(columns), max(columns)) == (2, 6, 1, 7)

    config = recipe.Config(shift=0, flip=False, cutout=3)
    augment = tf.function(recipe.augmentation(config))
    white = tf.fill((9, 9, 1), tf.constant(9, tf.uint8))
    covered = [
        int((augment(white, 0, tf.constant([1, seed]))[0].numpy() == 0).sum())
        for seed in range(100)
    ]
    assert max(covered) == 9 and min(covered) == 4  # whole, or in a corner


def test_no_image_both_trains_and_validates():
    train, validation, test = recipe.load(recipe.Config())
    assert [len(labels) for _, labels in (train, validation, test)] == [9500, 500, 2000]
    seen = {image.tobytes() for image in train[0]}
    assert not any(image.tobytes() in seen for image in validation[0])


def test_learning_rate_rises_for_an_epoch_and_ends_at_nothing():
    images, labels = np.zeros((200, 8, 8, 1), "uint8"), np.arange(200) % 3
    data = SimpleNamespace(train=(images, labels), test=(images, labels))
    model = recipe.build(recipe.Config(epochs=5, widths=(4,), batch_size=2), data)
    rates = []
    for step in (0, 50, 100, 300, 500):
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.0, 0.05, 0.1, 0.05, 0.0], atol=1e-6)


def test_recipe_trains_on_a_folder_a_class_and_can_be_measured_again(tmp_path):
    from PIL import Image

    from zoo.cli import commands as cli

    pixels, labels = stripes(60)
    for index, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        folder = tmp_path / "photos" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        grey = np.rint(255 * image[..., 0]).astype("uint8")
        Image.fromarray(grey).save(folder / f"{index}.png")
    run = tmp_path / "run"
    flags = f"--data {tmp_path / 'photos'} --widths 4 8 --batch-size 8 --epochs 2"
    flags = [*flags.split(), "--no-flip", "--run-dir", str(run)]
    assert cli.main(["train", "classifier", *flags]) == 0
    for file in ("mistakes.png", "model.keras", "report.json", "export/1"):
        assert (run / file).exists(), file
    assert cli.main(["evaluate", str(run)]) == 0


# ------------------------------------------------------------- what really ships


#: Below this accuracy a classifier's features are not worth measuring others with.
NEEDED = {"classifier_fashion_mnist": 0.93, "classifier_mnist": 0.993}


@pytest.mark.parametrize(
    ("name", "accuracy"),
    [item for item in NEEDED.items() if item[0] in presets.names()],
)
def test_shipped_classifier_is_as_good_as_its_card(name, accuracy):
    """On 1,000 test images of the embedded data where it is Fashion-MNIST."""
    card = presets.card(name)
    assert card["metrics"]["best"]["accuracy"] >= accuracy
    assert card["bytes"] < 2 * 10**6
    if name.endswith("fashion_mnist"):
        pixels, labels = images.load("embedded", "test")
        extractor = extractors.of_model(presets.load(name), name)
        found = extractor.extract(pixels).logits.argmax(axis=1)
        assert (
            abs((found == labels).mean() - card["metrics"]["best"]["accuracy"]) < 0.02
        )
