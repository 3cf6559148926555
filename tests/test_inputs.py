"""What users hand to a model: understood, or refused in a sentence."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.cgan import CGAN
from zoo.classifier import Classifier
from zoo.gan import GAN
from zoo.networks.autoencoders import Dense
from zoo.networks.dcgan import DCGAN, MLP
from zoo.training.inputs import one_hot
from zoo.vae import VAE
from zoo.wgan import WGAN

SHAPE = (4, 4, 1)


def pixels(count=8):
    return np.random.default_rng(0).random((count, *SHAPE), dtype="float32")


def classifier(**options):
    model = Classifier(SHAPE, 3, (4,))
    model.compile("adam", **options)
    return model


def conditional(**options):
    model = CGAN(SHAPE, 3, 2, DCGAN((4,), "none"))
    model.compile("adam", "adam", **options)
    return model


def autoencoder(**options):
    model = VAE(SHAPE, 2, Dense((4,)))
    model.compile("adam", **options)
    return model


def game(cls, networks):
    model = cls(SHAPE, 2, networks)
    model.compile("adam", "adam")
    return model


#: Functions that make a model of each kind.
IMAGE_MODELS = {
    "vae": autoencoder,
    "classifier": classifier,
    "cgan": conditional,
    "gan": lambda: game(GAN, DCGAN((4,))),
    "wgan": lambda: game(WGAN, DCGAN((4,), "none")),
}
NUMBERS = np.array([0, 2, 1, 1, 0, 2, 2, 1])


# ------------------------------------------------------------------------- labels


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        NUMBERS.astype("uint8"),
        NUMBERS.astype("float32"),
        NUMBERS.astype("float16"),
        NUMBERS[:, None],
        NUMBERS[:, None].astype("float64"),
        np.eye(3, dtype="int64")[NUMBERS],
        np.eye(3, dtype="float32")[NUMBERS],
        np.eye(3, dtype="bool")[NUMBERS],
        NUMBERS.tolist(),
    ],
    ids=lambda labels: f"{np.asarray(labels).dtype}{np.shape(labels)}",
)
def test_labels_of_every_form_are_the_same_rows(labels, compiled):
    function = lambda given: one_hot(given, 3)  # noqa: E731
    if compiled:
        labels, function = tf.convert_to_tensor(labels), tf.function(function)
    found = function(labels)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, np.eye(3)[NUMBERS])


@pytest.mark.parametrize("model", [classifier, conditional])
def test_models_train_on_each_form_after_each_other(model):
    """A step traced for one form must not be used, shape unknown, for another."""
    model, losses = model(), []
    forms = [NUMBERS, np.eye(3, dtype="int64")[NUMBERS], NUMBERS[:, None] * 1.0]
    start = model.get_weights()
    for labels in [*forms, NUMBERS]:
        model.set_weights(start)
        history = model.fit(pixels(), labels, shuffle=False, verbose=0).history
        losses.append([values[0] for values in history.values()])
    assert np.isfinite(losses).all()
    if isinstance(model, Classifier):  # without noise: the same loss each time
        np.testing.assert_allclose(losses, [losses[0]] * 4, rtol=1e-4)


WRONG = {
    "beyond": (NUMBERS + 10, "from 0 to 2.*Received: 10, 11, 12"),
    "negative": (NUMBERS - 1, "from 0 to 2.*Received: -1"),
    "half": (NUMBERS * 0.5, "from 0 to 2.*Received: 0.5"),
    "nan": (np.where(NUMBERS, 1.0, np.nan), "from 0 to 2.*Received: nan"),
    "names": (np.array([*"catsandd"]), "np.unique.*Received: dtype <U1"),
    "narrow": (np.eye(2)[NUMBERS % 2], r"Received: shape \(8, 2\)"),
    "scalar each": (np.zeros((8, 3, 1)), r"Received: shape \(8, 3, 1\)"),
    "a dictionary": ({"label": NUMBERS}, r"fit\(images, labels\).*dictionary"),
    "none": (None, "pairs of examples and labels.*Received examples alone"),
}


@pytest.mark.parametrize("model", [classifier, conditional])
def test_labels_of_no_class_are_refused_before_a_step(model):
    model = model()
    before = model.get_weights()
    for labels, message in WRONG.values():
        with pytest.raises(ValueError, match=message):
            model.fit(pixels(), labels, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_shares_of_classes_are_labels_and_two_whole_classes_are_none():
    shares = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(one_hot(shares, 3), shares)
    with pytest.raises(ValueError, match=r"sum to 1. Received: \[1.0, 1.0, 0.0\]"):
        one_hot(np.array([[1.0, 1.0, 0.0]]), 3)
    twice = [[1.0, 1.0, 0.0]]
    np.testing.assert_array_equal(one_hot(np.array(twice), 3, vectors=True), twice)
    with pytest.raises(ValueError, match="Received: .*nan"):
        one_hot(np.array([[1.0, np.nan, 0.0]]), 3, vectors=True)


@pytest.mark.parametrize("name", ["beyond", "half", "nan", "names"])
def test_labels_of_a_stream_are_refused_with_their_step(name):
    labels, message = WRONG[name]
    # Inside a graph the first few are named as they come, and strings have no numbers.
    message = message.replace("10, 11, 12", "1[012] 1[012] 1[012]")
    message = message.replace("np.unique.*Received: dtype <U1", "StringLookup.*string")
    if name != "names":
        message += r".*\(epoch 1, step 2\)"
    stream = tf.data.Dataset.from_tensor_slices(
        (np.stack([pixels()] * 2), np.stack([np.zeros_like(labels), labels]))
    )
    with pytest.raises(ValueError, match=message):
        classifier().fit(stream, verbose=0)


def test_a_classifier_is_measured_on_labels_of_every_form_too():
    model = classifier()
    logs = [
        model.evaluate(pixels(), labels, verbose=0, return_dict=True)["loss"]
        for labels in (NUMBERS, np.eye(3)[NUMBERS], NUMBERS[:, None].astype("uint8"))
    ]
    np.testing.assert_allclose(logs, logs[0], rtol=1e-6)
    with pytest.raises(ValueError, match="from 0 to 2"):
        model.evaluate(pixels(), NUMBERS + 1, verbose=0)
    with pytest.raises(ValueError, match="from 0 to 2"):
        model.fit(pixels(), NUMBERS, validation_data=(pixels(), NUMBERS + 1), verbose=0)


def test_samples_are_asked_for_by_labels_of_every_form():
    model = conditional()
    samples = [
        model.sample(8, labels, seed=0)
        for labels in (NUMBERS, NUMBERS[:, None], np.eye(3)[NUMBERS], NUMBERS * 1.0)
    ]
    for one in samples:
        np.testing.assert_array_equal(one, samples[0])
    with pytest.raises(ValueError, match="from 0 to 2.*Received: 3"):
        model.sample(1, [3])


# ------------------------------------------------------------------------- images


BAD_IMAGES = {
    "bytes": (lambda x: (255 * x).astype("uint8"), "divided by 255. Received: uint8"),
    "0 to 255": (
        lambda x: 255 * x,
        r"are in \[0, 1\].*Received values from .* to 2[45]",
    ),
    "-1 to 1": (lambda x: 2 * x - 1, r"are in \[0, 1\].*Received values from -0.9"),
    "nan": (lambda x: np.where(x == x.max(), np.nan, x), "Received values from nan"),
    "infinite": (lambda x: np.where(x == x.max(), np.inf, x), "to inf"),
    "no channels": (lambda x: x[..., 0], r"one channel.*Received: \(4, 4\)"),
    "a list": (list, r"np.stack\(images\).*Received: list"),
    "a dictionary": (lambda x: {"image": x}, "as_supervised=True.*dictionary of image"),
}


@pytest.mark.parametrize("kind", IMAGE_MODELS)
def test_images_of_another_kind_are_refused_before_a_step(kind):
    """Also after a good `fit`, of which TensorFlow would forget the rank."""
    model = IMAGE_MODELS[kind]()
    for history in (False, True):
        if history and kind in ("vae", "classifier"):
            model.fit(pixels(), NUMBERS, verbose=0)
        before = model.get_weights()
        for change, message in BAD_IMAGES.values():
            # Only the last of many: all are looked at.
            images = np.concatenate([np.full((200, *SHAPE), 0.5), pixels(1)])
            with pytest.raises(ValueError, match=message):
                model.fit(change(images), np.zeros(201, "int64"), verbose=0)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", IMAGE_MODELS)
def test_images_of_a_stream_are_refused_with_their_step(kind):
    model = IMAGE_MODELS[kind]()
    with pytest.raises(ValueError, match="divided by 255. Received: uint8"):
        images = (255 * pixels()).astype("uint8")
        model.fit(tf.data.Dataset.from_tensors((images, NUMBERS)), verbose=0)
    for name in ("0 to 255", "-1 to 1", "nan", "infinite"):
        change, message = BAD_IMAGES[name]
        batches = tf.data.Dataset.from_tensor_slices(
            (
                np.stack([pixels(), change(pixels())]).astype("float32"),
                np.stack([NUMBERS, NUMBERS]),
            )
        )
        with pytest.raises(ValueError, match=rf"{message}.*\(epoch 1, step 2\)"):
            model.fit(batches, verbose=0)
        if kind not in ("vae", "classifier"):
            break  # the rest is the same check, and a game takes long to compile
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_stream_of_dictionaries_or_of_single_examples_is_named():
    batches = tf.data.Dataset.from_tensors({"image": pixels(), "label": NUMBERS})
    with pytest.raises(ValueError, match="as_supervised=True.*dictionary of image, l"):
        autoencoder().fit(batches, verbose=0)
    single = tf.data.Dataset.from_tensor_slices(pixels())
    with pytest.raises(ValueError, match="batch the data set.*Received one alone"):
        autoencoder().fit(single, verbose=0)


def test_compiled_by_xla_a_refused_batch_shows_as_nan():
    """There no assertion is kept; `StopAtNaN` names the step."""
    model = autoencoder(jit_compile=True)
    fine = model.fit(pixels(), verbose=0).history["loss"]
    batches = tf.data.Dataset.from_tensors(255 * pixels())
    wrong = model.fit(batches, verbose=0).history["loss"]
    assert np.isfinite(fine).all() and np.isnan(wrong).all()


def test_every_door_looks_at_its_images():
    vae, judge = autoencoder(), classifier()
    doors = [
        vae,
        vae.encode,
        lambda x: vae.nll(x, samples=1),
        lambda x: vae.fit_sampler(x, 2),
        lambda x: vae.interpolate(x, x),
        lambda x: vae.traverse(x[np.isnan(x).any(axis=(1, 2, 3)).argmax()]),
        lambda x: vae.predict(x, verbose=0),
        lambda x: vae.evaluate(x, verbose=0),
        vae.train_on_batch,
        vae.test_on_batch,
        judge,
        judge.classify,
        judge.features,
        lambda x: judge.predict(x, verbose=0),
    ]
    for name in ("bytes", "0 to 255", "-1 to 1", "nan"):
        change, message = BAD_IMAGES[name]
        for door in doors:
            with pytest.raises(ValueError, match=message):
                door(change(pixels()))
    batches = tf.data.Dataset.from_tensors(255 * pixels())
    for door in (vae.predict, vae.evaluate, judge.predict):
        with pytest.raises(ValueError, match="Received values from"):
            door(batches, verbose=0)


def test_points_have_any_range_and_no_nan():
    model = GAN((2,), 2, MLP((4,)))
    model.compile("adam", "adam")
    points = np.random.default_rng(0).normal(0, 100, (8, 2))
    model.fit(points, verbose=0)
    points[3, 1] = np.nan
    with pytest.raises(ValueError, match="finite numbers.*Received values from nan"):
        model.fit(points, verbose=0)
    with pytest.raises(ValueError, match="finite numbers"):
        model.fit(tf.data.Dataset.from_tensors(points), verbose=0)


def test_images_that_resizing_moved_by_a_rounding_are_images():
    images = np.clip(pixels(), 0, 1) * np.float32(1 + 1e-6)
    autoencoder().fit(images, verbose=0)


def test_a_generator_trains_and_is_looked_at():
    def batches(scale):
        for _ in range(2):
            yield (scale * pixels(),)

    model = autoencoder()
    model.fit(batches(1.0), verbose=0)
    with pytest.raises(ValueError, match=r"are in \[0, 1\].*\(epoch 1, step 1\)"):
        model.fit(batches(255.0), verbose=0)
