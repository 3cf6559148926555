import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.experiment.comparison import cached, compare, write_neighbors
from zoo.metrics import (
    Moments,
    confidence_interval,
    diversity,
    frechet_distance,
    kernel_distance_unbiased,
    prdc,
)
from zoo.metrics.extractors import Extractor, Outputs
from zoo.metrics.streaming import Evaluate, FrechetDistance, KernelDistance
from zoo.metrics.suite import METRICS, measure


def grey(count, seed=0, low=0, high=256):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (count, 3, 3, 1), dtype="uint8")


class Counting(Extractor):
    """Nine pixels as features, their sums of columns as logits; counts its images."""

    def __init__(self, name="pixels", fingerprint=""):
        def network(x):
            return tf.reshape(x, (-1, 9)), tf.reduce_sum(x, (1, 3))

        super().__init__(name, network, fingerprint=fingerprint)
        self.seen = 0

    def extract(self, images, **kwargs):
        self.seen += len(images)
        return super().extract(images, **kwargs)


EVERY_RESULT = (
    "fid",
    "fid_infinity",
    "kid",
    "inception_score",
    "precision",
    "recall",
    "density",
    "coverage",
    "prd_f8",
    "prd_f1_8",
    "swd",
    "diversity",
    "modes",
    "reverse_kl",
)


def pair(seed=0, features=4, classes=3, count=60):
    rng = np.random.default_rng(seed)
    return [
        Outputs(rng.normal(shift, 1, (n, features)), rng.normal(0, 3, (n, classes)))
        for shift, n in ((0.0, count), (0.5, count + 20))
    ]


# --------------------------------------------------------------------- results


def test_every_metric_carries_the_extractors_name_and_both_counts():
    real, fake = pair()
    results = measure(real, fake, "net", list(METRICS))
    assert results.keys() == {f"{name}_net" for name in EVERY_RESULT}
    for name, entry in results.items():
        assert (entry["real"], entry["fake"]) == (60, 80), name
        assert np.isfinite(entry["value"]), name
    json.dumps(results, allow_nan=False)


def test_values_are_those_of_the_functions_real_first():
    real, fake = pair()
    results = measure(real, fake, "net", ("fid", "prdc", "diversity"))
    value = results["fid_net"]["value"]
    assert value == frechet_distance(real.features, fake.features)
    assert "interval" not in results["fid_net"]
    for name, expected in prdc(real.features, fake.features, k=5).items():
        assert results[f"{name}_net"]["value"] == expected
    assert results["diversity_net"]["value"] == diversity(fake.features)
    assert results["diversity_net"]["of_real"] == diversity(real.features)


def test_every_metric_gets_an_interval_if_asked():
    real, fake = pair()
    results = measure(real, fake, "net", list(METRICS), resamples=2)
    for name, entry in results.items():
        low, high = entry["interval"]
        assert low <= high and np.isfinite([low, high]).all(), name
    again = confidence_interval(
        frechet_distance, real.features, fake.features, resamples=4
    )
    assert measure(real, fake, "net", ("fid",), 4)["fid_net"]["interval"] == [
        again.low,
        again.high,
    ]


def test_a_collapsed_generator_is_named():
    real, _ = pair()
    logits = np.full((30, 3), -5.0)
    logits[:, 1] = 5.0
    fake = Outputs(np.zeros((30, 4)), logits)
    modes = measure(real, fake, "net", ("modes",))["modes_net"]
    assert (modes["value"], modes["collapse"]) == (1, "complete")
    assert modes["missing"] == [0, 2] and modes["of"] == 3


def test_a_class_that_only_the_fakes_have_is_counted():
    real = Outputs(np.zeros((9, 1)), np.tile([9.0, 0.0], (9, 1)))
    fake = Outputs(np.zeros((9, 1)), np.tile([0.0, 9.0], (9, 1)))
    results = measure(real, fake, "net", ("modes",))
    expected = -np.log(0.5 / 9.5)  # half an image of the unseen class
    np.testing.assert_allclose(results["reverse_kl_net"]["value"], expected)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("fid", "lpips"), "any of fid, .*Received: lpips"),
        ((), "Received: none"),
        (("is",), "no logits. Leave `is` and `modes` out"),
    ],
)
def test_says_what_is_wrong_with_the_metrics(metrics, message):
    real, fake = (Outputs(x.features, None) for x in pair())
    with pytest.raises(ValueError, match=message):
        measure(real, fake, "net", metrics)


# ---------------------------------------------------------------- of two image sets


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


# ------------------------------------------------------------------- streaming


@pytest.mark.parametrize("graph", [False, True])
def test_streamed_frechet_distance_is_that_of_all_at_once(graph):
    rng = np.random.default_rng(0)
    real = rng.normal(1000.0, 1.0, (50, 3))  # a mean far from 0: squares would cancel
    fake = rng.normal(1000.5, 2.0, (80, 3))
    metric = FrechetDistance(3)
    update = tf.function(metric.update_state) if graph else metric.update_state
    assert np.isnan(metric.result())
    for start in range(0, 50, 10):
        update(tf.constant(real[start : start + 10]), tf.constant(fake[:0]))
    for start in range(0, 80, 16):
        update(tf.constant(real[:0]), tf.constant(fake[start : start + 16]))
    expected = frechet_distance(real, fake)
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-9)
    metric.reset_state()
    assert np.isnan(metric.result())


def test_real_statistics_can_be_given_once():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(50, 3)), rng.normal(1, 1, (40, 3))
    metric = FrechetDistance(3)
    metric.set_real(Moments().update(real))
    for _ in range(2):
        metric.reset_state()
        metric.update_state(fake, fake)  # the first is not looked at
        expected = frechet_distance(real, fake)
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="Moments of 2 samples or more"):
        metric.set_real(Moments())


def test_streamed_kernel_distance_is_the_mean_of_its_batches():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(9, 4)), rng.normal(1, 1, (7, 4))) for _ in range(3)]
    metric = KernelDistance()
    for real, fake in pairs:
        metric.update_state(real, fake)
    expected = np.mean([kernel_distance_unbiased(*both) for both in pairs])
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-9)
    metric.reset_state()
    assert np.isnan(metric.result())


@pytest.mark.parametrize("metric", [FrechetDistance(3), KernelDistance()])
def test_streaming_metrics_refuse_weights_and_come_back_from_their_config(metric):
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config()
    with pytest.raises(ValueError, match="takes no `sample_weight`"):
        metric.update_state(np.zeros((2, 3)), np.zeros((2, 3)), sample_weight=1.0)


def test_a_diverged_generator_is_an_error_and_no_number():
    metric = FrechetDistance(2)
    metric.update_state(np.ones((3, 2)), np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="must be finite"):
        metric.result()


def test_frechet_distance_in_compile():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse", metrics=[FrechetDistance(3, name="fid")])
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3)).astype("float32")
    found = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)["fid"]
    np.testing.assert_allclose(found, frechet_distance(y, model(x)), rtol=1e-5)


def test_callback_writes_into_the_logs_and_every_row_has_values(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    drawn = []

    def draw(model):
        drawn.append(len(drawn))
        return grey(20, seed=len(drawn))

    extractor = Counting()
    watch = Evaluate(grey(20), extractor, draw, ("fid",), every=2)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = model.fit(
        np.zeros((4, 1)), np.zeros((4, 1)), epochs=4, verbose=0, callbacks=[watch, log]
    ).history
    values = history["fid_pixels"]
    assert len(drawn) == 3  # after epochs 1, 2 and 4
    assert values[1] == values[2] != values[3]
    expected = frechet_distance(
        *(extractor.extract(grey(20, seed=s)).features for s in (0, 1))
    )
    np.testing.assert_allclose(values[0], expected)
    assert (tmp_path / "log.csv").read_text().count(",") > 4


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
