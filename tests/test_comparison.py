"""Two sets of images compared: report, pictures, features kept for the next time."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.images import Counting, grey
from zoo.experiment.comparison import compare, write_neighbors
from zoo.metrics.extractors import Extractor, cached


def test_compare_writes_a_report_and_pictures(tmp_path):
    seen = []
    results = compare(
        grey(40),
        grey(30, seed=1, high=128) / 255.0,
        Counting(fingerprint="abc"),
        ("fid", "prd"),
        directory=tmp_path / "out",
        progress=lambda *now: seen.append(now),
        real_source="A",
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["metrics"] == json.loads(json.dumps(results))
    assert report["extractor"] == "pixels" and report["weights"] == "abc"
    assert report["real_source"] == "A"
    assert seen == [("real", 40, 40), ("fake", 30, 30)]
    for name in ("prd.png", "neighbors.png"):
        assert Image.open(tmp_path / "out" / name).size[0] > 100


def test_a_copied_image_is_its_own_first_neighbour(tmp_path):
    real = grey(20)
    fake = real[[7, 3]]
    features = real.reshape(20, 9) / 255.0
    path = tmp_path / "neighbors.png"
    write_neighbors(path, real, fake, features, features[[7, 3]], k=2)
    sheet = np.asarray(Image.open(path))
    cell = sheet.shape[1] // 11  # three images of 3 pixels, two lines of 1
    small = sheet[cell // 2 :: cell, cell // 2 :: cell]
    for row, index in enumerate((7, 3)):
        top = 4 * row
        for left in (0, 4):  # the fake, and its first neighbour
            found = small[top : top + 3, left : left + 3]
            np.testing.assert_array_equal(found, real[index, ..., 0])


def test_neighbours_of_other_sizes_and_colours_are_shown_beside(tmp_path):
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (4, 6, 5, 3), dtype="uint8")
    features = rng.normal(size=(4, 2))
    path = tmp_path / "n.png"
    write_neighbors(path, colour, grey(3), features, features[:3], rows=3, k=1)
    assert np.asarray(Image.open(path)).shape[-1] == 3


def test_features_of_the_real_images_are_kept_for_the_next_time(tmp_path):
    extractor = Counting(fingerprint="a")
    first = cached(grey(10), extractor, tmp_path)
    again = cached(grey(10), extractor, tmp_path)
    assert extractor.seen == 10
    for old, new in zip(first, again, strict=True):
        np.testing.assert_array_equal(old, new)
    cached(grey(10, seed=1), extractor, tmp_path)
    assert extractor.seen == 20
    retrained = Counting(fingerprint="b")
    cached(grey(10), retrained, tmp_path)
    assert retrained.seen == 10
    assert {p.name.split("-")[0] for p in tmp_path.iterdir()} == {"pixels"}


def test_features_without_logits_are_kept_as_such(tmp_path):
    extractor = Extractor("mean", lambda x: tf.reduce_mean(x, (1, 2)))
    for _ in range(2):
        assert cached(grey(4), extractor, tmp_path).logits is None


@pytest.mark.parametrize(
    ("metrics", "resamples", "message"),
    [
        (
            ("fid", "prdc"),
            0,
            "^prdc needs 6 samples or more of each set. .*Received: 5",
        ),
        (("prd",), 2, "^prd needs 20 samples.*as an interval is made of halves"),
    ],
)
def test_too_few_samples_are_told_before_features_are_extracted(
    metrics, resamples, message
):
    extractor = Extractor("never", lambda images: pytest.fail("extracted"))
    images = np.zeros((5, 2, 2, 1))
    with pytest.raises(ValueError, match=message):
        compare(images, images, extractor, metrics, resamples=resamples)
