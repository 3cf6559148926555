import numpy as np
import pytest
from scipy import stats

from zoo.metrics.latent import active_units, kl_decomposition


def posteriors(count, seed=0):
    """Codes of average posterior N(0, 1): means of variance 3/4, spread 1/4."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, np.sqrt(0.75), (count, 2))
    codes = mean + 0.5 * rng.standard_normal((count, 2))
    log_prior = stats.norm.logpdf(codes).sum(axis=1)
    return mean, np.full_like(mean, np.log(0.25)), codes, log_prior


def test_parts_of_a_perfect_fit_are_all_information():
    """In closed form: log(1 / 0.5) nats an entry, and no marginal divergence."""
    parts = kl_decomposition(*posteriors(4000))
    assert parts["mutual_information"] == pytest.approx(2 * np.log(2), abs=0.05)
    assert parts["marginal_kl"] == pytest.approx(0.0, abs=0.05)
    assert parts["total_correlation"] == pytest.approx(0.0, abs=0.05)
    assert parts["kl"] == pytest.approx(
        parts["mutual_information"] + parts["marginal_kl"], rel=1e-12
    )


def test_dependent_entries_show_as_total_correlation():
    """Both entries equal: their dependence is what the average posterior wastes."""
    rng = np.random.default_rng(0)
    mean = np.repeat(rng.normal(0, np.sqrt(0.75), (3000, 1)), 2, axis=1)
    codes = mean + 0.5 * rng.standard_normal(mean.shape)
    log_prior = stats.norm.logpdf(codes).sum(axis=1)
    parts = kl_decomposition(mean, np.full_like(mean, np.log(0.25)), codes, log_prior)
    # two normals of variance 1 and covariance 0.75
    expected = -0.5 * np.log(1 - 0.75**2)
    assert parts["total_correlation"] == pytest.approx(expected, abs=0.05)


def test_stratified_minibatches_come_close_to_the_whole():
    arrays = posteriors(3000)
    exact = kl_decomposition(*arrays)
    batches = [
        kl_decomposition(*(a[i : i + 300] for a in arrays), dataset_size=3000)
        for i in range(0, 3000, 300)
    ]
    estimate = np.mean([b["mutual_information"] for b in batches])
    naive = np.mean(
        [
            kl_decomposition(*(a[i : i + 300] for a in arrays))["mutual_information"]
            for i in range(0, 3000, 300)
        ]
    )
    assert estimate == pytest.approx(exact["mutual_information"], abs=0.05)
    assert abs(estimate - exact["mutual_information"]) < abs(
        naive - exact["mutual_information"]
    )
    assert sum(b["kl"] for b in batches) / 10 == pytest.approx(exact["kl"], rel=1e-9)


def test_stratified_weights_sum_to_one():
    from zoo.metrics.latent import _log_weights

    assert np.exp(_log_weights(10, 100)).sum() == pytest.approx(1.0)
    assert np.exp(_log_weights(10, 10)).sum() == pytest.approx(1.0)


def test_active_units_are_those_that_vary():
    mean = np.random.default_rng(0).normal(size=(1000, 3)) * [1.0, 0.05, 0.2]
    assert active_units(mean) == 2


def test_says_which_shapes_it_got():
    mean, log_variance, codes, log_prior = posteriors(5)
    with pytest.raises(ValueError, match=r"\(5, 2\), \(5, 2\), \(5, 2\) and \(4,\)"):
        kl_decomposition(mean, log_variance, codes, log_prior[:4])
    with pytest.raises(ValueError, match="Received 5 rows, dataset_size=4"):
        kl_decomposition(mean, log_variance, codes, log_prior, dataset_size=4)
