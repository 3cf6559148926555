"""Metrics that take features batch by batch, and the callback that samples a model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.images import Counting, grey
from zoo.metrics import Moments, frechet_distance, kernel_distance_unbiased
from zoo.metrics.streaming import Evaluate, FrechetDistance, KernelDistance


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
    sampled = []

    def sample(model):
        sampled.append(len(sampled))
        return grey(20, seed=len(sampled))

    extractor = Counting()
    watch = Evaluate(grey(20), extractor, sample, ("fid",), every=2)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = model.fit(
        np.zeros((4, 1)), np.zeros((4, 1)), epochs=4, verbose=0, callbacks=[watch, log]
    ).history
    values = history["fid_pixels"]
    assert len(sampled) == 3  # after epochs 1, 2 and 4
    assert values[1] == values[2] != values[3]
    expected = frechet_distance(
        *(extractor.extract(grey(20, seed=s)).features for s in (0, 1))
    )
    np.testing.assert_allclose(values[0], expected)
    assert (tmp_path / "log.csv").read_text().count(",") > 4
