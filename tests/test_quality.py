import numpy as np
import pytest

from zoo import presets, quality
from zoo.classifier import Classifier
from zoo.metrics import frechet_distance, prdc
from zoo.metrics.extractors import of_model

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
    presets.save(classifier, "classifier_mnist", tmp_path, examples, summary="tiny")
    return tmp_path


def test_samples_are_compared_by_the_classifier_of_their_data(shelf, classifier):
    model = Repeating(1.0 - DIGITS / np.float32(255))
    found = quality.measure(model, DIGITS, "mnist", shelf)
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


def test_perfect_samples(classifier):
    found = quality.sample_quality(DIGITS, DIGITS / 255.0, of_model(classifier, "net"))
    assert found["fid_net"] == pytest.approx(0, abs=1e-6)
    for name in ("precision", "recall", "coverage"):
        assert found[f"{name}_net"] == 1.0


@pytest.mark.parametrize("dataset", ["photos/", "embedded"])
def test_without_a_classifier_nothing_is_drawn(shelf, dataset):
    model = Repeating(DIGITS)
    assert quality.measure(model, DIGITS, dataset, shelf) == {}
    assert not model.asked


def test_a_draw_has_a_seed_for_each_batch_and_fits_a_picture():
    model = Repeating(np.linspace(-1, 2, 3 * 4).reshape(3, 2, 2, 1))
    drawn = quality.draw(model, 5, batch_size=3)
    assert model.asked == [(3, 0), (2, 3)]
    assert (drawn.shape, drawn.min(), drawn.max()) == ((5, 2, 2, 1), 0.0, 1.0)


def test_a_diverged_model_is_an_error(shelf):
    model = Repeating(np.full((40, 8, 8, 1), np.nan))
    with pytest.raises(ValueError, match="must lie in .* Received: values from nan"):
        quality.measure(model, DIGITS, "mnist", shelf)
