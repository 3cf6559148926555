"""Divergences of densities, against SciPy, quadrature, TensorFlow Probability."""

import doctest
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats
from scipy.spatial.distance import jensenshannon

from zoo.metrics import kernel_distance_unbiased
from zoo.training import densities
from zoo.training import divergences as d
from zoo.training.gaussians import gaussian

HALVES, LEFT, RIGHT = [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]


def test_examples_in_docstrings_run():
    assert doctest.testmod(d).failed == 0


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_gaussian(rng, dim):
    root = rng.normal(size=(dim, dim))
    return gaussian(rng.normal(size=dim), root @ root.T + 0.1 * np.eye(dim))


# ------------------------------------------------------------------------- discrete


def test_discrete_divergences_are_scipys(rng):
    p, q = rng.dirichlet(np.ones(7), size=(2, 5))
    np.testing.assert_allclose(d.discrete_kl(p, q), stats.entropy(p, q, axis=-1))
    expected = jensenshannon(p, q, axis=-1) ** 2
    np.testing.assert_allclose(d.discrete_jensen_shannon(p, q), expected, rtol=1e-10)


def test_discrete_divergences_worked_by_hand():
    quarters = [0.25, 0.75]
    kl = 0.5 * math.log(2.0) + 0.5 * math.log(2.0 / 3.0)
    assert d.discrete_kl(HALVES, quarters) == pytest.approx(kl)
    assert d.discrete_total_variation(HALVES, quarters) == 0.25
    cosine = 0.5 / math.sqrt(0.5 * 0.625)
    found = d.discrete_cauchy_schwarz(HALVES, quarters)
    assert found == pytest.approx(-math.log(cosine))
    # (1/4, -1/4) under the identity: 1/16 + 1/16.
    assert d.discrete_mmd(HALVES, quarters, np.eye(2)) == pytest.approx(0.125)


def test_disjoint_discrete_distributions_are_as_far_apart_as_can_be():
    assert d.discrete_kl(LEFT, RIGHT) == math.inf
    assert d.discrete_kl(HALVES, LEFT) == math.inf  # mass where the other has none
    assert d.discrete_kl(LEFT, HALVES) == pytest.approx(math.log(2.0))
    assert d.discrete_jensen_shannon(LEFT, RIGHT) == pytest.approx(math.log(2.0))
    assert d.discrete_total_variation(LEFT, RIGHT) == 1.0
    assert d.discrete_cauchy_schwarz(LEFT, RIGHT) == math.inf


@pytest.mark.parametrize(
    "divergence",
    [
        d.discrete_kl,
        d.discrete_jensen_shannon,
        d.discrete_total_variation,
        d.discrete_cauchy_schwarz,
        lambda p, q: d.discrete_mmd(p, q, np.eye(3)),
    ],
)
def test_discrete_divergences_of_equals_are_zero_row_by_row(divergence, rng):
    p = np.concatenate([rng.dirichlet(np.ones(3), 50), np.eye(3)])
    found = divergence(p, p)
    assert found.shape == (53,)
    np.testing.assert_allclose(found, 0.0, atol=1e-15)


def test_discrete_pinsker_bounds_total_variation_by_the_kl(rng):
    p, q = rng.dirichlet(np.ones(4), size=(2, 200))
    variation = d.discrete_total_variation(p, q)
    assert (variation <= np.sqrt(d.discrete_kl(p, q) / 2)).all()


def test_what_is_no_distribution_is_refused():
    for bad in ([0.5, 0.6], [-0.5, 1.5], [math.nan, 1.0], 1.0):
        with pytest.raises(ValueError, match="`q` must hold probabilities that add up"):
            d.discrete_kl(HALVES, bad)
    with pytest.raises(ValueError, match=r"over the same categories.*\(2,\) and \(3,"):
        d.discrete_kl(HALVES, [0.2, 0.3, 0.5])


# ------------------------------------------------------------------------ Gaussians


@pytest.mark.parametrize("dim", [1, 2, 6])
def test_gaussian_kl_is_tensorflow_probabilitys(dim, rng):
    import tensorflow_probability as tfp

    p, q = random_gaussian(rng, dim), random_gaussian(rng, dim)
    theirs = [
        tfp.distributions.MultivariateNormalTriL(g.mean, np.linalg.cholesky(g[1]))
        for g in (p, q)
    ]
    expected = tfp.distributions.kl_divergence(*theirs)
    assert d.gaussian_kl(p, q) == pytest.approx(float(expected), rel=1e-10)


def quadrature(integrand):
    return integrate.quad(integrand, -40, 40, points=[-2, 0, 1, 3], limit=500)[0]


@pytest.mark.parametrize("mean,stddev", [(1.0, 1.0), (-0.7, 2.0), (3.0, 0.3), (0, 1.1)])
def test_gaussian_divergences_are_what_quadrature_finds(mean, stddev):
    p, q = stats.norm(0.4, 0.9).pdf, stats.norm(mean, stddev).pdf
    one, two = gaussian(0.4, 0.81), gaussian(mean, stddev**2)
    variation = quadrature(lambda x: 0.5 * abs(p(x) - q(x)))
    assert d.gaussian_total_variation(one, two) == pytest.approx(variation, abs=1e-7)

    def js(x):
        middle = 0.5 * (p(x) + q(x))
        parts = [f(x) * np.log(f(x) / middle) for f in (p, q) if f(x) > 0]
        return 0.5 * sum(parts)

    found = d.gaussian_jensen_shannon(one, two)
    assert found == pytest.approx(quadrature(js), abs=1e-7)
    cross = quadrature(lambda x: p(x) * q(x))
    within = quadrature(lambda x: p(x) ** 2) * quadrature(lambda x: q(x) ** 2)
    expected = 0.5 * math.log(within) - math.log(cross)
    assert d.gaussian_cauchy_schwarz(one, two) == pytest.approx(expected, abs=1e-7)


def test_along_the_line_between_the_means_more_dimensions_add_nothing(rng):
    """Of equal covariances: whiten, and one coordinate alone differs."""
    p = random_gaussian(rng, 4)
    q = p._replace(mean=p.mean + rng.normal(size=4))
    gap = q.mean - p.mean
    distance = math.sqrt(gap @ np.linalg.solve(p.covariance, gap))
    for divergence in (
        d.gaussian_kl,
        d.gaussian_total_variation,
        d.gaussian_jensen_shannon,
        d.gaussian_cauchy_schwarz,
    ):
        on_a_line = divergence(gaussian(0.0, 1.0), gaussian(distance, 1.0))
        assert divergence(p, q) == pytest.approx(on_a_line, abs=1e-9)


@pytest.mark.parametrize("m,n,variance", [(0, 1, 1), (2, -1, 0.25), (-3, 5, 4)])
def test_cauchy_schwarz_of_equal_variances_has_a_plus_sign(m, n, variance):
    p, q = gaussian(m, variance), gaussian(n, variance)
    found = d.gaussian_cauchy_schwarz(p, q)
    assert found == pytest.approx(+((m - n) ** 2) / (4 * variance)) and found > 0
    assert d.gaussian_kl(p, q) == pytest.approx(2.0 * found)


def test_cauchy_schwarz_of_gaussians_is_at_most_the_kl(rng):
    for dim in (1, 2, 5):
        for _ in range(100):
            p, q = random_gaussian(rng, dim), random_gaussian(rng, dim)
            found = d.gaussian_cauchy_schwarz(p, q)
            assert 0 <= found <= min(d.gaussian_kl(p, q), d.gaussian_kl(q, p))
            assert found == pytest.approx(d.gaussian_cauchy_schwarz(q, p))


def test_diagonal_gaussians_agree_with_those_of_a_vae(rng):
    mean, log_variance = rng.normal(size=(2, 1, 5)).astype("float32")
    p = gaussian(mean[0], np.exp(log_variance[0].astype("float64")))
    standard = gaussian(np.zeros(5), np.ones(5))
    kl = densities.kl_to_standard_normal(mean, log_variance)
    assert d.gaussian_kl(p, standard) == pytest.approx(float(kl[0]), rel=1e-5)
    zeros = tf.zeros((1, 5))
    prior = tf.zeros(1), zeros, zeros
    cs = densities.cauchy_schwarz_to_mixture(mean, log_variance, *prior)
    assert d.gaussian_cauchy_schwarz(p, standard) == pytest.approx(float(cs[0]), 1e-5)


EACH = [
    (d.gaussian_kl, math.inf),
    (d.gaussian_cauchy_schwarz, math.inf),
    (d.gaussian_total_variation, 1.0),
    (d.gaussian_jensen_shannon, math.log(2.0)),
]


@pytest.mark.parametrize("divergence,largest", EACH)
def test_gaussians_without_a_common_support_are_as_far_apart_as_can_be(
    divergence, largest
):
    flat = np.array([[1.0, 0.0], [0.0, 0.0]])
    line, beside = gaussian([0, 0], flat), gaussian([0, 1e-3], flat)
    assert divergence(line, beside) == largest
    assert divergence(gaussian(0, 0), gaussian(1, 0)) == largest  # two points
    assert divergence(gaussian(0, 0), gaussian(0, 1)) == largest  # a point in a line
    assert divergence(gaussian(0, 1), gaussian(0, 0)) == largest
    if largest == math.inf:  # the others have no formula for two covariances
        assert divergence(line, gaussian([0, 0], np.eye(2))) == largest
        assert divergence(gaussian([0, 0], np.eye(2)), line) == largest
        assert divergence(line, gaussian([0, 0], flat[::-1, ::-1])) == largest
    else:
        far = divergence(gaussian(0, 1), gaussian(1000, 1))
        assert far == pytest.approx(largest)


@pytest.mark.parametrize("divergence,largest", EACH)
def test_gaussian_divergences_of_equals_are_zero(divergence, largest, rng):
    flat = gaussian([1, 2, 3], np.outer([1, 2, 3], [1, 2, 3]))
    for p in (random_gaussian(rng, 5), gaussian(1e6, 1e-6), flat, gaussian(1, 0)):
        assert divergence(p, p) == pytest.approx(0.0, abs=1e-9)


def test_a_common_subspace_is_measured_inside():
    """Moved by 3 along a line of variance 9 + 16 = 25 in direction (3, 4)."""
    along = np.array([0.6, 0.8])
    line = gaussian([0, 0], 25 * np.outer(along, along))
    moved = gaussian(3 * along, 25 * np.outer(along, along))
    assert d.gaussian_kl(line, moved) == pytest.approx(9 / 50)
    assert d.gaussian_cauchy_schwarz(line, moved) == pytest.approx(9 / 100)


def test_kl_from_samples_of_a_gaussian_on_few_and_many_dimensions(rng):
    """Means 1 apart: 0.5 nats whatever the dimension; 2,000 points, k = 5."""
    for dim, tolerance in ((1, 0.08), (3, 0.1), (5, 0.15)):
        x, y = rng.normal(size=(2, 2000, dim))
        y[:, 0] += 1.0
        assert d.neighbor_kl(x, y) == pytest.approx(0.5, abs=tolerance)
        x, y = rng.normal(size=(2, 2000, dim))
        assert d.neighbor_kl(x, y) == pytest.approx(0.0, abs=tolerance)


def test_kl_from_samples_is_the_formula_by_brute_force(rng):
    for n, m, dim in ((20, 30, 2), (4, 6, 10)):  # more and fewer than dimensions
        x, y = rng.normal(size=(n, dim)), rng.normal(1, 2, (m, dim))
        within = np.sort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1)[:, 2]
        across = np.sort(np.linalg.norm(x[:, None] - y, axis=-1), axis=1)[:, 1]
        expected = dim / n * np.log(across / within).sum() + np.log(m / (n - 1))
        assert d.neighbor_kl(x, y, k=2) == pytest.approx(expected)


def test_kl_from_samples_refuses_what_has_no_density(rng):
    x, y = rng.normal(size=(2, 10, 2))
    with pytest.raises(ValueError, match="More than k=1 points are equal.*10 such"):
        d.neighbor_kl(x, x, k=1)
    with pytest.raises(ValueError, match="Received: k=10 for 10 and 10 points"):
        d.neighbor_kl(x, y, k=10)


def test_mmd_of_samples_is_unbiased_for_that_of_gaussians(rng):
    p, q = random_gaussian(rng, 3), random_gaussian(rng, 3)
    for count in (2, 8):  # below and above the dimension
        found = [
            d.kernel_mmd(
                rng.multivariate_normal(*p, count),
                rng.multivariate_normal(*q, count),
                d.gaussian_kernel(1.5),
            )
            for _ in range(1500)
        ]
        error = np.std(found) / math.sqrt(len(found))
        assert abs(np.mean(found) - d.gaussian_mmd(p, q, 1.5)) < 4 * error


def test_mmd_is_that_of_the_metrics_with_their_kernel(rng):
    x, y = rng.normal(size=(2, 30, 5))
    found = d.kernel_mmd(x, y, lambda a, b: (a @ b.T / 5 + 1) ** 3)
    assert found == pytest.approx(kernel_distance_unbiased(x, y))


def test_mmd_of_gaussians_vanishes_between_equals_and_ends_at_a_constant(rng):
    p = random_gaussian(rng, 4)
    assert d.gaussian_mmd(p, p, 2.0) == pytest.approx(0.0, abs=1e-15)
    # Two points far apart: k = 1 with itself, 0 with the other.
    assert d.gaussian_mmd(gaussian(0, 0), gaussian(1e3, 0), 1.0) == 2.0


def test_wrong_arguments_are_named(rng):
    x = rng.normal(size=(5, 2))
    with pytest.raises(ValueError, match=r"`array\[:, None\]`. Received: shape \(5,\)"):
        d.kernel_mmd(x, x[:, 0], d.gaussian_kernel(1.0))
    with pytest.raises(ValueError, match=r"same dimension.*\(5, 2\) and \(5, 1\)"):
        d.kernel_mmd(x, x[:, :1], d.gaussian_kernel(1.0))
    with pytest.raises(ValueError, match="`y` must hold at least 2 finite.*1 values"):
        d.neighbor_kl(x, np.where(x == x.max(), np.nan, x))
    with pytest.raises(ValueError, match="`bandwidth` must be positive. Received: 0"):
        d.gaussian_kernel(0)
    one, two = random_gaussian(rng, 2), random_gaussian(rng, 2)
    with pytest.raises(ValueError, match="total variation.*2 dimensions, two cov"):
        d.gaussian_total_variation(one, two)
    with pytest.raises(ValueError, match="of the same dimension. Received: 2 and 1"):
        d.gaussian_kl(one, gaussian(0, 1))
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3, 3\)"):
        gaussian([0, 0], np.eye(3))
    with pytest.raises(ValueError, match="no negative eigenvalue.*-1"):
        gaussian([0, 0], [1, -1])
    with pytest.raises(ValueError, match="A covariance is symmetric"):
        gaussian([0, 0], [[1, 1], [0, 1]])
