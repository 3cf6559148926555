"""Metrics of two sets by name, with the counts and intervals that belong to each."""

import json

import numpy as np
import pytest

from zoo.metrics import confidence_interval, diversity, frechet_distance, prdc
from zoo.metrics.extractors import Outputs
from zoo.metrics.suite import METRICS, measure

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


def test_one_class_beside_itself_is_no_collapse():
    logits = np.tile([9.0, 0.0, 0.0], (40, 1))
    outputs = Outputs(np.zeros((40, 1)), logits)
    results = measure(outputs, outputs, "net", ("modes",))
    modes = results["modes_net"]
    assert (modes["value"], modes["collapse"], modes["missing"]) == (1, "none", [])


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
