"""Wasserstein distances against POT, SciPy and closed forms."""

import doctest
import math

import numpy as np
import ot
import pytest
from scipy import stats

from zoo.metrics import Moments, frechet_distance, sliced_wasserstein
from zoo.training import transport as t
from zoo.training.gaussians import gaussian


def test_examples_in_docstrings_run():
    assert doctest.testmod(t).failed == 0


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_gaussian(rng, dim):
    root = rng.normal(size=(dim, dim))
    return gaussian(rng.normal(size=dim), root @ root.T + 0.1 * np.eye(dim))


@pytest.mark.parametrize("dim", [1, 2, 6])
def test_wasserstein_2_of_gaussians_is_pots(dim, rng):
    p, q = random_gaussian(rng, dim), random_gaussian(rng, dim)
    expected = ot.gaussian.bures_wasserstein_distance(p.mean, q.mean, p[1], q[1])
    assert t.gaussian_wasserstein_2(p, q) == pytest.approx(float(expected))


@pytest.mark.parametrize("count", [3, 50])
def test_frechet_is_that_of_the_metrics(count, rng):
    """With fewer samples than dimensions too, where covariances are singular."""
    x, y = rng.normal(size=(2, count, 8))
    fitted = [gaussian(a.mean(axis=0), np.cov(a.T)) for a in (x, y)]
    assert t.gaussian_frechet(*fitted) == pytest.approx(frechet_distance(x, y))
    moments = [Moments().update(a) for a in (x, y)]
    assert t.gaussian_frechet(*fitted) == pytest.approx(frechet_distance(*moments))


def test_frechet_of_disjoint_supports_is_finite():
    flat = np.diag([1.0, 0.0])
    line, beside = gaussian([0, 0], flat), gaussian([0, 3], flat)
    assert t.gaussian_frechet(line, beside) == pytest.approx(9.0)
    assert t.gaussian_frechet(gaussian(1, 0), gaussian(-1, 0)) == 4.0  # two points
    # tr(P) + tr(Q), as the root of the product of crossing lines is 0.
    crossing = gaussian([0, 0], flat[::-1, ::-1])
    assert t.gaussian_frechet(line, crossing) == pytest.approx(2.0)


def test_wasserstein_of_equal_gaussians_is_zero(rng):
    p = random_gaussian(rng, 5)
    assert t.gaussian_frechet(p, p) == pytest.approx(0.0, abs=1e-12)
    assert t.gaussian_wasserstein_1(p, p) == 0.0


@pytest.mark.parametrize("mean,stddev", [(0.0, 2.0), (1.5, 0.3), (3.0, 1.0)])
def test_wasserstein_1_of_gaussians_is_the_area_between_their_quantiles(mean, stddev):
    levels = (np.arange(1_000_000) + 0.5) / 1_000_000
    x, y = stats.norm(0, 1).ppf(levels), stats.norm(mean, stddev).ppf(levels)
    found = t.gaussian_wasserstein_1(gaussian(0, 1), gaussian(mean, stddev**2))
    assert found == pytest.approx(np.abs(x - y).mean(), abs=1e-5)


def test_wasserstein_1_of_equal_covariances_is_the_distance_of_the_means(rng):
    p = random_gaussian(rng, 3)
    q = p._replace(mean=p.mean + [2.0, 3.0, 6.0])
    assert t.gaussian_wasserstein_1(p, q) == pytest.approx(7.0)
    with pytest.raises(ValueError, match="Wasserstein-1 distance of Gaussians.*3 dim"):
        t.gaussian_wasserstein_1(p, random_gaussian(rng, 3))


@pytest.mark.parametrize("counts", [(7, 7), (5, 12), (1, 3)])
def test_sorted_cost_is_scipys_and_pots(counts, rng):
    x, y = rng.normal(size=(counts[0], 4)), rng.normal(1, 2, (counts[1], 4))
    expected = [
        stats.wasserstein_distance(*columns) for columns in zip(x.T, y.T, strict=True)
    ]
    np.testing.assert_allclose(t.sorted_cost(x, y, 1), expected)
    expected = [
        ot.wasserstein_1d(*columns, p=2) for columns in zip(x.T, y.T, strict=True)
    ]
    np.testing.assert_allclose(t.sorted_cost(x, y, 2), expected)


def test_sliced_wasserstein_is_pots(rng):
    x, y = rng.normal(size=(40, 3)), rng.normal(1, 2, (60, 3))
    directions = np.random.default_rng(0).standard_normal((3, 200))
    directions /= np.linalg.norm(directions, axis=0)
    expected = ot.sliced_wasserstein_distance(x, y, projections=directions)
    assert sliced_wasserstein(x, y, 200, 2) == pytest.approx(expected)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("counts,dim", [((12, 12), 3), ((8, 13), 3), ((3, 3), 10)])
def test_exact_wasserstein_is_pots(order, counts, dim, rng):
    x, y = rng.normal(size=(counts[0], dim)), rng.normal(1, 2, (counts[1], dim))
    cost = ot.emd2([], [], t.costs(x, y, order))
    assert t.exact_wasserstein(x, y, order) == pytest.approx(cost ** (1 / order))
    assert t.exact_wasserstein(x, x, order) == 0.0


def test_exact_transport_moves_all_of_one_to_the_other(rng):
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(9))
    costs = rng.random((6, 9))
    found = t.exact_transport(p, q, costs)
    assert found.cost == pytest.approx(ot.emd2(p, q, costs))
    np.testing.assert_allclose(found.plan.sum(axis=1), p, atol=1e-12)
    np.testing.assert_allclose(found.plan.sum(axis=0), q, atol=1e-12)


def test_discrete_wasserstein_is_scipys(rng):
    p, q = rng.dirichlet(np.ones(8), size=2)
    points = rng.normal(size=(8, 2))
    found = t.discrete_wasserstein(p, q, points)
    assert found == pytest.approx(stats.wasserstein_distance_nd(points, points, p, q))
    line = points[:, :1]
    expected = stats.wasserstein_distance(line[:, 0], line[:, 0], p, q)
    assert t.discrete_wasserstein(p, q, line) == pytest.approx(expected)
    assert t.discrete_wasserstein(p, p, points) == pytest.approx(0.0, abs=1e-12)
    # All the mass goes 3 far, whatever the order; half of it does.
    ends = [[0.0], [3.0]]
    assert t.discrete_wasserstein([1, 0], [0, 1], ends, order=2) == 3.0
    half = t.discrete_wasserstein([1, 0], [0.5, 0.5], ends, order=2)
    assert half == pytest.approx(3 / math.sqrt(2))


@pytest.mark.parametrize("epsilon", [0.05, 1.0])
def test_sinkhorn_is_pots(epsilon, rng):
    p, q = rng.dirichlet(np.ones(10)), rng.dirichlet(np.ones(15))
    costs = t.costs(rng.normal(size=(10, 3)), rng.normal(size=(15, 3)))
    found = t.sinkhorn(p, q, costs, epsilon)
    options = {"method": "sinkhorn_log", "numItermax": 100_000, "stopThr": 1e-12}
    plan = ot.sinkhorn(p, q, costs, epsilon, **options)
    np.testing.assert_allclose(found.plan, plan, atol=1e-7)
    assert found.cost == pytest.approx((plan * costs).sum(), rel=1e-5)
    assert found.cost >= t.exact_transport(p, q, costs).cost


def test_sinkhorn_is_exact_at_little_entropy_and_independent_at_much(rng):
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    costs = t.costs(rng.normal(size=(6, 2)), rng.normal(size=(6, 2)))
    exact = t.exact_transport(p, q, costs).cost
    close = t.sinkhorn(p, q, costs, 0.01, iterations=200_000, tolerance=1e-7)
    assert close.cost == pytest.approx(exact, rel=1e-2)
    np.testing.assert_allclose(
        t.sinkhorn(p, q, costs, 1e6).plan, np.outer(p, q), atol=1e-5
    )


def test_sinkhorn_carries_nothing_where_there_is_nothing():
    costs = t.costs([[0.0], [1.0]], [[0.0], [1.0]])
    found = t.sinkhorn([1.0, 0.0], [0.5, 0.5], costs, 0.1)
    np.testing.assert_allclose(found.plan, [[0.5, 0.5], [0.0, 0.0]])
    assert found.cost == pytest.approx(0.5)


def test_wrong_arguments_are_named(rng):
    halves, costs = [0.5, 0.5], np.ones((2, 2))
    with pytest.raises(ValueError, match="`epsilon` must be positive. Received: 0"):
        t.sinkhorn(halves, halves, costs, 0)
    with pytest.raises(ValueError, match="After 1 iterations a row's mass is wrong"):
        t.sinkhorn([0.9, 0.1], [0.2, 0.8], np.eye(2), 0.1, iterations=1)
    with pytest.raises(ValueError, match=r"`costs` must be.*\(2, 2\) for 3 and 2"):
        t.exact_transport([0.2, 0.3, 0.5], halves, costs)
    with pytest.raises(ValueError, match="`q` must hold probabilities"):
        t.exact_transport(halves, [1.0, 1.0], costs)
    with pytest.raises(ValueError, match="`order` must be 1 or 2. Received: 3"):
        t.exact_wasserstein(np.ones((2, 1)), np.ones((2, 1)), order=3)
