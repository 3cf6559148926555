import json
import subprocess
import sys

import numpy as np
import pytest

from zoo.classifier import Classifier
from zoo.deploy import presets
from zoo.experiment import quality
from zoo.experiment.classifiers import classifier_of, classifiers
from zoo.metrics import frechet_distance, prdc
from zoo.metrics.extractors import of_model

CARD = {"summary": "tiny", "config": {"data": "mnist"}}
DIGITS = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype="uint8")


class Repeating:
    """A generative model without learning: as many of the same images as asked for."""

    def __init__(self, images):
        self.images = images
        self.asked = []

    def sample(self, count, seed=None):
        self.asked.append((count, seed))
        return self.images[:count]


@pytest.fixture
def classifier():
    return Classifier((8, 8, 1), 3, (4,))


@pytest.fixture
def shelf(tmp_path, classifier):
    examples = {"images": DIGITS[:4] / np.float32(255)}
    presets.save(classifier, "classifier_mnist", tmp_path, examples, **CARD)
    return tmp_path


def test_samples_are_compared_by_the_classifier_of_their_data(shelf, classifier):
    model = Repeating(1.0 - DIGITS / np.float32(255))
    found = quality.score(model, DIGITS, "mnist", shelf)
    real, fake = (
        np.asarray(classifier.features(images / np.float32(255)))
        for images in (DIGITS, 255 - DIGITS)
    )
    expected = {"fid": frechet_distance(real, fake), **prdc(real, fake, k=5)}
    for name, value in expected.items():
        key = f"{name}_classifier_mnist"
        assert found.pop(key) == pytest.approx(value, rel=1e-3), name
    rest = {"kid", "modes", "reverse_kl"}
    assert found.keys() == {f"{name}_classifier_mnist" for name in rest}
    assert model.asked == [(40, 0)]


def test_classifiers_are_known_by_their_cards(tmp_path):
    """Those that ship, and nothing of it is loaded to know them."""
    assert classifiers() == {
        "embedded": "classifier_fashion_mnist",
        "fashion_mnist": "classifier_fashion_mnist",
        "mnist": "classifier_mnist",
    }
    assert classifier_of("photos/") == "" == classifier_of("mnist", tmp_path)
    script = (
        "import sys\n"
        "from zoo.experiment.classifiers import classifier_of\n"
        "assert classifier_of('mnist') == 'classifier_mnist'\n"
        "heavy = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_only_a_whole_card_of_a_classifier_counts(tmp_path):
    cards = {
        "b": {"exports": [{"endpoint": "classify"}], "config": {"data": "cats"}},
        "c": {"exports": [{"endpoint": "classify"}], "config": {"data": "cats"}},
        "d": {"exports": [{"endpoint": "generate"}], "config": {"data": "dogs"}},
        "e": {"exports": [{"endpoint": "classify"}]},
    }
    for name, card in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(card))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "card.json").write_text('{"exports": [{"endpo')
    assert classifiers(tmp_path) == {"cats": "b"}


def test_perfect_samples(classifier):
    found = quality.score_samples(DIGITS, DIGITS / 255.0, of_model(classifier, "net"))
    assert found["fid_net"] == pytest.approx(0, abs=1e-6)
    for name in ("precision", "recall", "coverage"):
        assert found[f"{name}_net"] == 1.0


@pytest.mark.parametrize("dataset", ["photos/", "embedded"])
def test_without_a_classifier_images_are_compared_as_they_are(shelf, dataset):
    fake = np.roll(DIGITS, 1, axis=1) / 255.0
    found = quality.score(Repeating(fake), DIGITS, dataset, shelf)
    flat = [x.reshape(40, 64) for x in (DIGITS / 255.0, fake)]  # already 8 x 8
    assert found["fid_pixels_8x8"] == pytest.approx(frechet_distance(*flat), rel=1e-3)
    assert not any(name.startswith("modes") for name in found)


def test_pixels_are_means_over_areas():
    images = np.random.default_rng(0).random((3, 16, 24, 2)).astype("float32")
    expected = images.reshape(3, 8, 2, 8, 3, 2).mean(axis=(2, 4)).reshape(3, -1)
    np.testing.assert_allclose(quality.pixels(images), expected, rtol=1e-5)


class Conditional(Repeating):
    """Gives real images of the class asked for, but of class 1 always those of 0."""

    condition_dim = 3

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def sample(self, count, conditions, seed=None):
        label = conditions[0] if conditions[0] != 1 else 0
        return self.images[self.labels == label][:count]


def test_classes_are_compared_one_by_one(shelf, classifier):
    images = np.random.default_rng(1).random((300, 8, 8, 1)).astype("float32")
    # Before training it calls all images the same: let it be undecided on average.
    bias = classifier.network.get_layer("logits").bias
    bias.assign(-classifier.predict(images, verbose=0).mean(axis=0))
    examples = {"images": images[:4]}
    presets.save(classifier, "classifier_mnist", shelf, examples, **CARD)
    labels = classifier.predict(images, verbose=0).argmax(axis=1)
    assert np.bincount(labels, minlength=3).min() > 5
    real = images, labels
    found = quality.score_classes(Conditional(*real), real, real, "mnist", shelf)
    assert found["accuracy_by_class_classifier_mnist"] == "1 0 1"
    assert found["class_accuracy_classifier_mnist"] == pytest.approx(2 / 3, abs=1e-4)
    covered = found["covered_by_class_classifier_mnist"].split()
    assert covered[0] == covered[2] == "1" and float(covered[1]) < 1
    fid = [float(x) for x in found["fid_by_class_classifier_mnist"].split()]
    assert fid[1] > 100 * max(abs(fid[0]), abs(fid[2]))
    assert quality.score_classes(Conditional(*real), real, real, "x/", shelf) == {}


def test_an_adversarial_model_is_watched_by_the_features_of_its_data(shelf):
    callbacks, monitor = quality.watch(DIGITS, "mnist", shelf)
    assert monitor == "fid_classifier_mnist"
    assert [type(c).__name__ for c in callbacks] == ["Evaluate", "CollapseWatch"]
    assert quality.watch(DIGITS, "photos/", shelf)[1] == "fid_pixels_8x8"


def test_few_held_out_images_are_told_of(shelf, capsys):
    quality.watch(DIGITS[:20], "photos/", shelf)
    assert "Only 20 images are held out" in capsys.readouterr().out


def test_a_sample_has_a_seed_for_each_batch_and_fits_a_picture():
    model = Repeating(np.linspace(-1, 2, 3 * 4).reshape(3, 2, 2, 1))
    found = quality.sample(model, 5, batch_size=3)
    assert model.asked == [(3, 0), (2, 3)]
    assert (found.shape, found.min(), found.max()) == ((5, 2, 2, 1), 0.0, 1.0)


def test_a_sample_takes_all_classes_in_turn():
    """Also where there are more of them than samples at once."""

    class Labelled:
        condition_dim = 7

        def sample(self, count, conditions, seed):
            return np.reshape(conditions / 7, (count, 1, 1, 1))

    found = quality.sample(Labelled(), 14, batch_size=3)
    np.testing.assert_allclose(found.ravel() * 7, [*range(7), *range(7)])


def test_a_diverged_model_is_an_error(shelf):
    model = Repeating(np.full((40, 8, 8, 1), np.nan))
    with pytest.raises(ValueError, match="must lie in .* Received: values from nan"):
        quality.score(model, DIGITS, "mnist", shelf)
