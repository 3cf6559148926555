"""What the metrics promise: hand-worked values, invariances, and refusals."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from zoo import metrics
from zoo.metrics import Moments, modes, neighbors

SYMMETRIC = (
    metrics.frechet_distance,
    metrics.kernel_distance_unbiased,
    metrics.sliced_wasserstein,
)


def features(count, dim, seed=0, dtype="float64"):
    """Correlated features away from the origin, with a decaying spectrum."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(dim, dim)) / np.sqrt(dim) / np.arange(1, dim + 1)[:, None]
    return (rng.normal(size=(count, dim)) @ mix + 0.3 * seed + 1.0).astype(dtype)


def of_features():
    """Yields each metric of two feature sets, at a size that suits small ones."""
    yield "frechet", metrics.frechet_distance
    yield "kernel", metrics.kernel_distance_unbiased
    yield "wasserstein", metrics.sliced_wasserstein
    yield "prdc", lambda a, b: tuple(metrics.prdc(a, b, k=3).values())
    yield "hull", lambda a, b: metrics.hull_coverage(a, b, components=2)
    yield "diversity", lambda a, b: metrics.diversity(b)


each_metric = pytest.mark.parametrize(
    "metric", [pytest.param(metric, id=name) for name, metric in of_features()]
)


def modules():
    return [f"zoo.metrics.{m.name}" for m in pkgutil.iter_modules(metrics.__path__)]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_statistics_import_no_tensorflow():
    script = (
        "import sys, zoo.metrics\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@each_metric
def test_order_of_samples_does_not_matter(metric):
    real, fake = features(90, 6), features(70, 6, seed=1)
    rng = np.random.default_rng(2)
    shuffled = metric(rng.permutation(real), rng.permutation(fake))
    np.testing.assert_allclose(shuffled, metric(real, fake), rtol=1e-9)


@each_metric
def test_storage_type_does_not_matter(metric):
    real, fake = features(90, 6, dtype="float32"), features(70, 6, 1, "float32")
    wide = metric(real.astype("float64"), fake.astype("float64"))
    np.testing.assert_allclose(metric(real, fake), wide, rtol=1e-6)


@each_metric
def test_an_offset_and_a_scale_far_from_one_cost_no_digits(metric):
    real, fake = features(90, 6), features(70, 6, seed=1)
    if metric is metrics.kernel_distance_unbiased:
        pytest.skip("its kernel depends on the origin and the scale by definition")
    plain = np.asarray(metric(real, fake))
    power = {metrics.frechet_distance: 2, metrics.sliced_wasserstein: 1}.get(metric, 0)
    if plain.ndim == 0 and metric(2 * real, 2 * fake) == pytest.approx(2 * plain):
        power = 1
    moved = metric(1e-4 * real + 100.0, 1e-4 * fake + 100.0)
    np.testing.assert_allclose(moved, 1e-4**power * plain, rtol=1e-6)


@pytest.mark.parametrize("metric", SYMMETRIC, ids=lambda m: m.__name__)
def test_distances_are_symmetric(metric):
    real, fake = features(90, 6), features(70, 6, seed=1)
    assert metric(real, fake) == pytest.approx(metric(fake, real), rel=1e-9)
    assert metric(real, fake) > 0


@each_metric
def test_nan_is_refused_with_its_place(metric):
    bad = features(10, 3, seed=1)
    bad[7, 2] = np.nan
    with pytest.raises(ValueError, match="finite.*nan in row 7, column 2"):
        metric(features(10, 3), bad)


@pytest.mark.parametrize(
    "metric",
    [*SYMMETRIC, metrics.precision_recall, metrics.prd_curve, metrics.hull_coverage],
    ids=lambda m: m.__name__,
)
def test_features_that_do_not_match_are_refused(metric):
    with pytest.raises(ValueError, match="same number of features.*4.*5"):
        metric(features(30, 4), features(30, 5))
    with pytest.raises(ValueError, match=r"`real`.*\(count, features\).*\[:, None\]"):
        metric(np.zeros(30), np.zeros(30))
    with pytest.raises(TypeError, match="`fake`.*real numbers.*complex128"):
        metric(features(30, 4), np.zeros((30, 4), complex))
    with pytest.raises(ValueError, match="`fake`.*at least . samples. Received: 0"):
        metric(features(30, 4), np.zeros((0, 4)))


class TestFrechet:
    def test_equal_sets_have_distance_zero(self):
        for count in (5, 8, 200):  # below, at and above the number of features
            x = features(count, 8)
            assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-8)

    def test_closed_form_of_diagonal_gaussians(self):
        # sum over axes of (m - n)^2 + (s - t)^2, from moments set exactly
        rng = np.random.default_rng(0)
        q = rng.normal(size=(400, 6))
        q -= q.mean(axis=0)
        q, _ = np.linalg.qr(q)
        white = q * np.sqrt(399)
        white -= white.mean(axis=0)
        s, t = np.array([1, 2, 3, 1, 1, 5.0]), np.array([1, 1, 1, 2, 4, 0.5])
        got = metrics.frechet_distance(white * s, white * t + 0.5)
        assert got == pytest.approx(6 * 0.25 + ((s - t) ** 2).sum(), rel=1e-10)

    @pytest.mark.parametrize("fakes", [4, 40], ids=["few", "many"])
    @pytest.mark.parametrize("reals", [5, 50], ids=["few", "many"])
    def test_factored_and_full_covariances_agree(self, reals, fakes):
        real, fake = features(reals, 12), features(fakes, 12, seed=1)
        low_rank = metrics.frechet_distance(real, fake)
        streamed = metrics.frechet_distance(
            Moments().update(real), Moments().update(fake)
        )
        assert low_rank == pytest.approx(streamed, rel=1e-9)

    def test_a_singular_covariance_is_exact(self):
        # An axis that is dead in both sets adds nothing.
        x = features(300, 2)
        rng = np.random.default_rng(1)
        third = rng.normal(size=(300, 1))
        dead = np.zeros((300, 1))
        both = metrics.frechet_distance(np.hstack([x, dead]), np.hstack([2 * x, dead]))
        assert both == pytest.approx(metrics.frechet_distance(x, 2 * x), rel=1e-9)
        whole = metrics.frechet_distance(np.hstack([x, third]), np.hstack([x, dead]))
        assert np.isfinite(whole) and whole > 0

    def test_a_constant_generator_has_a_finite_distance(self):
        real = features(300, 8)
        fake = np.tile(real.mean(axis=0), (300, 1))
        trace = np.cov(real, rowvar=False).trace()
        assert metrics.frechet_distance(real, fake) == pytest.approx(trace, rel=1e-9)

    @pytest.mark.parametrize("count", [6, 90], ids=["factored", "full"])
    @pytest.mark.parametrize("power", [-480, -250, 250, 498])
    def test_extreme_features_have_a_distance(self, power, count):
        """Powers of two round nothing, so no digit may differ; 2^498 is 8e149."""
        real, fake = features(count, 8), features(count, 8, seed=1)
        plain = metrics.frechet_distance(real, fake)
        scaled = metrics.frechet_distance(real * 2.0**power, fake * 2.0**power)
        assert scaled == pytest.approx(plain * 2.0 ** (2 * power), rel=1e-12)
        if power < 500:
            moments = (Moments().update(x * 2.0**power) for x in (real, fake))
            again = metrics.frechet_distance(*moments)
            assert again == pytest.approx(scaled, rel=1e-6)

    def test_a_constant_of_1e150_by_hand(self):
        x = np.array([[-1.0], [0.0], [1.0]])
        y = np.array([[1.0], [3.0], [5.0]])
        assert metrics.frechet_distance(1e150 * x, 1e150 * y) == pytest.approx(1e301)

    def test_what_no_number_can_hold_is_an_error(self):
        x = features(30, 2)
        with pytest.raises(ValueError, match="multiply both sets by the same constant"):
            metrics.frechet_distance(1e170 * x, 2e170 * x)
        with np.errstate(over="ignore", invalid="ignore"):
            moments = Moments().update(1e170 * x)
        with pytest.raises(ValueError, match="These moments have overflowed"):
            metrics.frechet_distance(moments, x)

    def test_infinity_removes_most_of_the_bias(self):
        rng = np.random.default_rng(0)
        real, fake = rng.normal(size=(20_000, 16)), rng.normal(size=(1000, 16))
        biased = metrics.frechet_distance(real, fake)
        limit, counts, distances = metrics.frechet_distance_infinity(
            real, fake, return_fit=True
        )
        assert abs(limit) < 0.2 * biased
        assert len(counts) == len(distances) and counts[-1] == 1000
        assert distances[-1] == pytest.approx(biased)

    def test_infinity_is_of_the_fakes(self):
        """Which argument is subsampled is seen from the counts that were fitted."""
        few, many = features(30, 2), features(90, 2, seed=1)
        for real, fake in ((few, many), (many, few)):
            fit = metrics.frechet_distance_infinity(real, fake, return_fit=True)
            assert fit[1][-1] == len(fake)

    def test_infinity_says_what_it_cannot_fit(self):
        with pytest.raises(ValueError, match="points=1, smallest=5, 50 fakes"):
            metrics.frechet_distance_infinity(
                features(50, 2), features(50, 2), points=1
            )


class TestMoments:
    def test_batches_and_shards_give_the_moments_of_the_whole(self):
        x = features(5000, 7) + 1e4  # a mean large beside the spread
        streamed = Moments()
        for batch in np.array_split(x, [1, 3, 100, 2600]):
            streamed.update(batch)
        shards = [Moments().update(part) for part in np.array_split(x, 3)]
        merged = Moments()
        for shard in shards:
            merged.merge(shard)
        exact = np.cov(x - 1e4, rowvar=False)
        for moments in (streamed, merged, Moments().update(x)):
            assert moments.count == 5000
            np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-13)
            scale = np.sqrt(np.outer(exact.diagonal(), exact.diagonal()))
            error = np.abs(moments.covariance() - exact) / scale
            assert error.max() < 1e-9

    def test_merging_leaves_the_other_alone(self):
        a, b = (Moments().update(features(20, 3, seed)) for seed in (0, 1))
        before = b.covariance()
        a.merge(b).merge(b)
        a.update(features(5, 3))
        np.testing.assert_array_equal(b.covariance(), before)
        assert (a.count, b.count) == (65, 20)

    def test_saved_moments_keep_their_name_and_can_grow(self, tmp_path):
        names = dict(dataset="a/test", extractor="net_1.5", preprocessing="resize 8")
        x = features(50, 3)
        path = Moments(**names).update(x[:30]).save(tmp_path / "net_1.5")
        assert path.name == "net_1.5.npz"
        loaded = Moments.load(path)
        assert {name: getattr(loaded, name) for name in names} == names
        loaded.update(x[30:])
        whole = Moments().update(x)
        np.testing.assert_allclose(loaded.covariance(), whole.covariance(), rtol=1e-12)

    def test_statistics_of_other_extractors_do_not_mix(self):
        a, b = (
            Moments(extractor=name).update(features(9, 2)) for name in ("one", "two")
        )
        for use in (metrics.frechet_distance, Moments.merge):
            with pytest.raises(ValueError, match="extractor. Received: 'one' and 'two"):
                use(a, b)

    def test_refusals(self, tmp_path):
        moments = Moments().update(features(1, 3))
        with pytest.raises(ValueError, match="of 3 features.*Received: features of 4"):
            moments.update(features(2, 4))
        with pytest.raises(ValueError, match="at least 2 samples. Received: 1"):
            moments.covariance()
        np.savez(tmp_path / "old.npz", mu=np.zeros(2), sigma=np.eye(2))
        with pytest.raises(ValueError, match="lacks.*count.*Received: entries"):
            Moments.load(tmp_path / "old.npz")


class TestKernel:
    def test_blocks_do_not_change_the_sum(self, monkeypatch):
        real, fake = features(50, 4), features(33, 4, seed=1)
        whole = metrics.kernel_distance_unbiased(real, fake)
        monkeypatch.setattr("zoo.metrics.checks.BLOCK", 7)
        blocked = metrics.kernel_distance_unbiased(real, fake)
        assert blocked == pytest.approx(whole, rel=1e-11)

    def test_equal_distributions_are_zero_on_average(self):
        values = [
            metrics.kernel_distance_unbiased(
                *np.random.default_rng(s).normal(size=(2, 20, 3))
            )
            for s in range(300)
        ]
        assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(300)

    def test_same_seed_same_subsets(self):
        real, fake = features(60, 4), features(50, 4, seed=1)
        first = metrics.kernel_distance(real, fake, 5, 30, seed=3)
        assert first == metrics.kernel_distance(real, fake, 5, 30, seed=3)
        assert first != metrics.kernel_distance(real, fake, 5, 30, seed=4)

    def test_a_subset_must_fit(self):
        with pytest.raises(ValueError, match="=1000 for 60 real and 50 fake"):
            metrics.kernel_distance(features(60, 4), features(50, 4))


class TestInceptionScore:
    def test_extremes(self):
        assert metrics.inception_score(np.zeros((20, 5)), 2) == pytest.approx((1, 0))
        sure = np.tile(1e4 * np.eye(5), (4, 1))
        assert metrics.inception_score(sure, 4) == pytest.approx((5, 0))

    def test_seed_shuffles_sorted_classes(self):
        sorted_ = np.repeat(50 * np.eye(4), 25, axis=0)
        assert metrics.inception_score(sorted_, 4)[0] == pytest.approx(1.0)
        assert metrics.inception_score(sorted_, 4, seed=0)[0] > 3.5

    def test_logarithms_of_zero_are_certainties(self):
        with np.errstate(divide="ignore"):
            logits = np.log(np.eye(4)[[0, 1, 2, 3] * 5])
            half = np.log([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
        for dtype in ("float64", "float32", "float16"):
            found = metrics.inception_score(logits.astype(dtype), 1)
            assert found == pytest.approx((4.0, 0.0))
        # Marginal 1/4, 1/2, 1/4: of entropy 1.5 log 2, each prediction of log 2.
        found = metrics.inception_score(half, 1)[0]
        assert found == pytest.approx(np.sqrt(2))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_other_values_than_logarithms_are_refused(self, value):
        with pytest.raises(ValueError, match="must be finite"):
            metrics.inception_score([[0.0, value], [0.0, 1.0]], 1)
        with pytest.raises(ValueError, match="must be finite"):
            metrics.inception_score([[-np.inf, -np.inf], [0.0, 1.0]], 1)

    def test_fewer_samples_than_splits(self):
        with pytest.raises(ValueError, match="`logits`.*10 samples. Received: 4"):
            metrics.inception_score(np.zeros((4, 3)))


def direct_prdc(real, fake, k):
    """The definitions, from explicit differences; a ball holds its centre always."""

    def distances(a, b):
        return np.sqrt(np.square(a[:, None] - b[None]).sum(axis=-1))

    real_radii = np.sort(distances(real, real))[:, k]
    fake_radii = np.sort(distances(fake, fake))[:, k]
    between = distances(real, fake)
    in_real = (between < real_radii[:, None]) | (between == 0)
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": ((between < fake_radii) | (between == 0)).any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / k,
        "coverage": in_real.any(axis=1).mean(),
    }


class TestManifold:
    # On a line, k = 1. Real 0, 1, 3: radii 1, 1, 2. Fake 0.5, 9, 10: radii 8.5, 1, 1.
    # 0.5 is in the balls of 0 and 1 (3 - 0.5 > 2); all reals are in the ball of 0.5.
    real = np.array([[0.0], [1.0], [3.0]])
    fake = np.array([[0.5], [9.0], [10.0]])

    def test_by_hand(self):
        assert metrics.precision_recall(self.real, self.fake, k=1) == (1 / 3, 1.0)
        got = metrics.density_coverage(self.real, self.fake, k=1)
        assert got == pytest.approx((2 / 3, 2 / 3))

    def test_which_argument_is_real(self):
        assert metrics.precision_recall(self.fake, self.real, k=1) == (1.0, 1 / 3)
        # Balls around 0.5 (8.5), 9 and 10 (1): only the first holds 0, 1 and 3.
        got = metrics.density_coverage(self.fake, self.real, k=1)
        assert got == pytest.approx((1.0, 1 / 3))

    def test_a_collapsed_generator_is_precise_without_recall(self):
        real = np.random.default_rng(0).normal(size=(400, 4))
        fake = 1e-3 * np.random.default_rng(1).normal(size=(400, 4))
        precision, recall = metrics.precision_recall(real, fake)
        assert precision == 1.0 and recall < 0.02
        density, coverage = metrics.density_coverage(real, fake)
        assert density > 1 and coverage < 0.1

    @pytest.mark.parametrize("k", [1, 3, 10, 24])
    @pytest.mark.parametrize("kind", ["noise", "grid", "offset", "copies", "collapsed"])
    def test_blocks_decide_as_the_definitions_do(self, kind, k, monkeypatch):
        rng = np.random.default_rng(0)
        real, fake = rng.normal(size=(2, 100, 5))
        if kind == "grid":  # ties everywhere, on exact numbers
            real, fake = np.round(real), np.round(fake)
        elif kind == "offset":
            real, fake = real + 1000.0, fake + 1000.0
        elif kind == "copies":  # memorised, and each twice
            fake = np.repeat(real[:50], 2, axis=0)
        elif kind == "collapsed":  # many comparisons are open in float32
            fake = 1e-7 * fake
        expected = direct_prdc(real, fake, k)
        for block in (4096, 32, 17):
            monkeypatch.setattr("zoo.metrics.checks.BLOCK", block)
            assert metrics.prdc(real, fake, k) == pytest.approx(expected, abs=1e-12)

    def test_radii_are_those_of_float64(self, monkeypatch):
        monkeypatch.setattr("zoo.metrics.checks.BLOCK", 64)
        rows = features(300, 40).astype("float32")
        space = neighbors.Space(rows)
        got = neighbors.kth_squares(space, rows, 4)
        wide = rows.astype("float64")
        squares = np.square(wide[:, None] - wide[None]).sum(axis=-1)
        expected = np.sort(squares, axis=1)[:, 4] / space._scale**2
        np.testing.assert_allclose(got, expected, rtol=1e-12)

    def test_extreme_scales_neither_overflow_nor_vanish(self):
        real, fake = features(60, 4, dtype="float32"), features(60, 4, 1, "float32")
        plain = metrics.prdc(real, fake)
        for scale in (2.0**-90, 2.0**90):
            scale = np.float32(scale)
            assert metrics.prdc(real * scale, fake * scale) == plain

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("far", [1e5, 1e9, 1e12, 1e25])
    def test_an_outlier_moves_nothing_but_itself(self, far, dtype):
        real, fake = np.random.default_rng(0).normal(size=(2, 500, 8)).astype(dtype)
        real[3] = fake[7] = far
        plain = direct_prdc(real.astype("float64"), fake.astype("float64"), 5)
        assert plain["coverage"] > 0.9
        assert metrics.prdc(real, fake) == pytest.approx(plain, abs=1e-12)

    @pytest.mark.parametrize("block", [4096, 100])
    def test_clusters_far_apart_keep_their_digits(self, block, monkeypatch):
        """Half of the samples a billion spreads away: no one middle serves all."""
        monkeypatch.setattr("zoo.metrics.checks.BLOCK", block)
        real, fake = np.random.default_rng(0).normal(size=(2, 300, 8))
        real[::2] += 1e9
        fake[::2] += 1e9
        expected = direct_prdc(real, fake, 5)
        assert expected["coverage"] > 0.9 and expected["precision"] > 0.5
        assert metrics.prdc(real, fake) == pytest.approx(expected, abs=1e-12)

    def test_equal_sets_are_precise_and_covered_also_with_repeats(self):
        """Each image more often than there are neighbours to look at."""
        rows = np.repeat(np.random.default_rng(0).normal(size=(30, 6)), 9, axis=0)
        values = metrics.prdc(rows, rows, k=5)
        assert values.pop("density") == pytest.approx(9 / 5)
        assert values == {"precision": 1.0, "recall": 1.0, "coverage": 1.0}
        values = metrics.prdc(rows, rows + 1.0, k=5)
        assert set(values.values()) == {0.0}

    def test_k_must_leave_a_neighbour(self):
        with pytest.raises(ValueError, match=r"number of samples \(3\). Received: k=3"):
            metrics.precision_recall(self.real, self.fake)


class TestPrd:
    def test_histograms_by_hand(self):
        # At slope 1 (45 degrees) precision and recall are the shared mass, 0.5.
        precision, recall = metrics.prd_of_histograms([1, 1, 0], [0, 1, 1], angles=3)
        assert precision == pytest.approx([0.0, 0.5, 0.5], abs=1e-6)
        assert recall == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)

    def test_slow_direct_form(self):
        real, fake = np.array([4, 3, 2, 1.0]), np.array([1, 1, 1, 7.0])
        precision, recall = metrics.prd_of_histograms(real, fake, angles=31)
        for index, angle in enumerate(np.linspace(1e-10, np.pi / 2 - 1e-10, 31)):
            slope = np.tan(angle)
            alpha = sum(
                min(slope * p / 10, q / 10) for p, q in zip(real, fake, strict=True)
            )
            assert precision[index] == pytest.approx(alpha, rel=1e-12)
            assert recall[index] == pytest.approx(alpha / slope, rel=1e-12)

    def test_which_argument_is_real(self):
        # Fakes only in one of two real modes: all precise, half recalled.
        rng = np.random.default_rng(0)
        modes = (
            rng.normal(scale=0.1, size=(400, 2)) + 9.0 * (np.arange(400) % 2)[:, None]
        )
        precision, recall = metrics.prd_curve(modes, modes[::2], clusters=2, runs=2)
        assert precision.max() == pytest.approx(1.0, abs=1e-6)
        assert recall.max() == pytest.approx(0.5, abs=0.01)
        f_8, f_eighth = metrics.prd_f_scores(precision, recall)
        assert f_8 < 0.55 and f_eighth > 0.9
        swapped = metrics.prd_curve(modes[::2], modes, clusters=2, runs=2)
        assert swapped[0].max() == pytest.approx(0.5, abs=0.01)

    def test_refusals(self):
        with pytest.raises(ValueError, match="20 clusters.*3 real and 4 fake"):
            metrics.prd_curve(features(3, 2), features(4, 2))
        with pytest.raises(ValueError, match=r"same bins.*\(2,\) and \(3,\)"):
            metrics.prd_of_histograms([1, 2], [1, 2, 3])
        with pytest.raises(ValueError, match="`fake` must hold counts"):
            metrics.prd_of_histograms([1, 2], [0, 0])


class TestWasserstein:
    def test_unequal_counts(self):
        # Quantiles of {0, 3} and {0, 0, 3}: they differ by 3 on one sixth.
        real, fake = [[0.0], [3.0]], [[0.0], [0.0], [3.0]]
        assert metrics.sliced_wasserstein(real, fake, order=1) == pytest.approx(0.5)
        squared = metrics.sliced_wasserstein(real, fake) ** 2
        assert squared == pytest.approx(9 / 6)

    def test_a_shift_in_many_dimensions(self):
        x = features(50, 25)
        got = metrics.sliced_wasserstein(x, x + 1.0, projections=20_000)
        assert got == pytest.approx(1.0, rel=0.02)  # 5 / sqrt(25)

    def test_order(self):
        with pytest.raises(ValueError, match="1 or 2. Received: 3"):
            metrics.sliced_wasserstein(features(5, 2), features(5, 2), order=3)


class TestDiversity:
    def test_blocks_do_not_change_the_mean(self, monkeypatch):
        x = features(50, 4)
        squares = np.square(x[:, None] - x[None]).sum(axis=-1)
        expected = np.sqrt(squares).sum() / (50 * 49)
        for block in (4096, 16):
            monkeypatch.setattr("zoo.metrics.checks.BLOCK", block)
            assert metrics.diversity(x) == pytest.approx(expected, rel=1e-9)

    def test_which_argument_spans_the_hull(self):
        square = np.array([[0, 0], [0, 2], [2, 0], [2, 2]], float)
        inside = np.array([[1, 1], [0, 1], [1, 0.5], [5, 5]], float)
        assert metrics.hull_coverage(inside, square) == 0.75  # the surface counts
        assert metrics.hull_coverage(square, inside) == 0.25  # (2, 2), on a diagonal

    def test_a_flat_hull_holds_only_what_lies_in_it(self):
        line = np.array([[0, 0], [1, 1], [2, 2]], float)
        assert metrics.hull_coverage([[1.5, 1.5], [1, 0.9]], line) == 0.5

    def test_components_project_both_sets(self):
        rng = np.random.default_rng(0)
        real = rng.normal(size=(200, 6)) * [9, 8, 1e-3, 1e-3, 1e-3, 1e-3]
        assert metrics.hull_coverage(real, 2 * rng.permutation(real)) > 0.5
        noise = real + 10 * np.array([0, 0, 1, 1, 1, 1])
        assert metrics.hull_coverage(real, noise) == 0.0
        assert metrics.hull_coverage(real, noise, components=2) > 0.9
        with pytest.raises(ValueError, match="at most 6.*Received: 7"):
            metrics.hull_coverage(real, noise, components=7)

    def test_ms_ssim_tells_copies_from_noise(self):
        images = np.random.default_rng(0).random((6, 24, 24, 1))
        same = np.repeat(images[:1], 6, axis=0)
        repeated = metrics.ms_ssim_diversity(same, pairs=10, scales=2)
        assert repeated == pytest.approx(1.0)
        assert metrics.ms_ssim_diversity(images, pairs=10, scales=2) < 0.5
        with pytest.raises(ValueError, match=r"two or more.*\(24, 24, 1\)"):
            metrics.ms_ssim_diversity(images[0])


class TestRepeatedShare:
    def test_counts_twins(self):
        rng = np.random.default_rng(0)
        real, fake = rng.normal(size=(2, 400, 5))
        assert metrics.repeated_share(real, fake) < 0.02
        twins = np.repeat(fake[:100], 2, axis=0)
        twins[::2] += 1e-4 * rng.normal(size=(100, 5))
        both = np.concatenate([twins, fake[100:300]])
        assert metrics.repeated_share(real, both) == pytest.approx(0.5, abs=0.02)

    def test_many_fakes_beside_few_real_ones_lie_closer_and_are_no_twins(self):
        rng = np.random.default_rng(0)
        share = metrics.repeated_share(rng.random((20, 1)), rng.random((2000, 1)))
        assert share < 0.5

    def test_real_samples_that_repeat_themselves_say_nothing(self):
        same = np.ones((9, 2))
        assert metrics.repeated_share(same, same) == 0.0


class TestModes:
    @pytest.mark.parametrize(
        "labels, collapse, covered, reverse_kl",
        [
            ([0, 1, 2, 3], "none", 4, 0.0),
            ([0, 0, 0, 1], "partial", 2, 0.75 * np.log(3) + 0.25 * np.log(1)),
            ([2, 2], "complete", 1, np.log(4)),
        ],
    )
    def test_collapse_has_a_name(self, labels, collapse, covered, reverse_kl):
        found = metrics.mode_coverage(labels, classes=4)
        assert (found.collapse, found.covered) == (collapse, covered)
        assert found.coverage == covered / 4
        assert found.reverse_kl == pytest.approx(reverse_kl, abs=1e-12)

    def test_expected_frequencies(self):
        modes = metrics.mode_coverage([0, 0, 0, 1], 2, expected=[300, 100])
        assert modes.reverse_kl == pytest.approx(0.0, abs=1e-12)

    def test_a_stray_sample_may_not_count(self):
        modes = metrics.mode_coverage([0] * 99 + [1], 2, minimum=2)
        assert modes.covered == 1 and modes.missing == (1,)

    def test_refusals(self):
        with pytest.raises(ValueError, match="from 0 to 2.*Received: values from 0 to"):
            metrics.mode_coverage([0, 3], 3)
        with pytest.raises(ValueError, match="argmax. Received: shape \\(2, 3\\)"):
            metrics.mode_coverage(np.zeros((2, 3)), 3)
        with pytest.raises(ValueError, match="3 frequencies above 0"):
            metrics.mode_coverage([0], 3, expected=[1, 0, 1])


class TestCompareClasses:
    def test_shares_are_those_that_mistakes_were_made_of(self):
        """Of two classes told apart in 80 % of all cases, by a calibrated classifier.

        Fakes are all of the second; read one by one, a fifth of them are of the first.
        """
        right = np.log([0.8, 0.2])
        real = np.array([right, right[::-1]] * 500)
        fake = np.array([right[::-1]] * 800 + [right] * 200)
        before, after = modes.shares(real, fake, iterations=10_000)
        np.testing.assert_allclose(before, 0.5)
        np.testing.assert_allclose(after, [0.0, 1.0], atol=0.02)
        half = modes.shares(real, real)[1]
        np.testing.assert_allclose(half, 0.5)

    def test_chance_is_fishers_test(self):
        real, fake = np.array([12, 88]), np.array([2, 98])
        table = [[fake[0], fake[1]], [real[0], real[1]]]
        expected = stats.fisher_exact(table, alternative="less").pvalue
        assert modes._fewer((real, fake), 0) == pytest.approx(expected, rel=1e-9)

    def test_a_few_samples_are_not_taken_for_a_collapse(self):
        """Of ten classes, eight samples miss one at least."""
        certain = 20.0 * np.eye(10)
        found = metrics.compare_classes(np.tile(certain, (50, 1)), certain[:8])
        assert (found.covered, found.collapse, found.missing) == (8, "none", ())

    def test_effective_number_of_classes(self):
        certain = 20.0 * np.eye(4)
        found = metrics.compare_classes(
            np.tile(certain, (5000, 1)), certain[np.repeat([0, 1, 2, 3], [7, 1, 1, 1])]
        )
        entropy = stats.entropy([0.7, 0.1, 0.1, 0.1])
        assert found.entropy == pytest.approx(entropy)
        assert found.fake_effective == pytest.approx(np.exp(entropy + 3 / 20))
        assert found.real_effective == pytest.approx(4, rel=1e-3)

    def test_refusals(self):
        with pytest.raises(ValueError, match="same number of features"):
            metrics.compare_classes(np.zeros((9, 3)), np.zeros((9, 4)))


class TestPathLength:
    def distance(self, a, b):
        return np.square(a - b).sum(axis=1)

    def test_a_straight_generator_has_the_length_of_its_path(self):
        # lerp moves by eps * (b - a), whose mean squared length is 2 * latent_dim.
        mean, _ = metrics.perceptual_path_length(
            lambda z: z.astype("float64"),
            self.distance,
            8,
            samples=4000,
            interpolation="lerp",
            trim=0.0,
        )
        assert mean == pytest.approx(16, rel=0.05)

    def test_extremes_at_both_ends_are_left_out(self):
        """Of 0, 1, ..., 99, without a tenth at each end, 10 to 89 are left."""
        mean, spread = metrics.perceptual_path_length(
            lambda z: z,
            lambda a, b: np.arange(100) * 1e-8,
            4,
            samples=100,
            batch_size=100,
            epsilon=1e-4,
            trim=0.1,
        )
        assert mean == pytest.approx(49.5)
        assert spread == pytest.approx(np.arange(10, 90).std())

    def test_codes_are_float32_and_reproducible(self):
        seen = []

        def generate(z):
            seen.append(z)
            return z

        for _ in range(2):
            metrics.perceptual_path_length(
                generate, self.distance, 4, samples=10, batch_size=4
            )
        assert {z.dtype for z in seen} == {np.dtype("float32")}
        assert [len(z) for z in seen[:6]] == [4, 4, 4, 4, 2, 2]
        np.testing.assert_array_equal(seen[0], seen[6])

    def test_slerp(self):
        from zoo.metrics.path_length import slerp

        a, b = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        half = slerp(a, b, np.array([[0.5]]))
        np.testing.assert_allclose(half, [[np.sqrt(0.5), np.sqrt(0.5)]])
        np.testing.assert_allclose(slerp(a, b, np.array([[1.0]])), b, atol=1e-15)
        np.testing.assert_allclose(slerp(a, 3 * a, np.array([[0.5]])), 2 * a)

    def test_refusals(self):
        with pytest.raises(ValueError, match="Received: 'line' and 'full'"):
            metrics.perceptual_path_length(None, None, 4, interpolation="line")
        with pytest.raises(ValueError, match=r"one finite value.*shape \(\) for 5"):
            metrics.perceptual_path_length(lambda z: z, lambda a, b: 1.0, 4, samples=5)


class TestImageQuality:
    def test_luma_of_black_white_and_green(self):
        from zoo.metrics.image_quality import luma

        rgb = np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0]], float)
        expected = np.array([[16], [235], [144.553]]) / 255
        np.testing.assert_allclose(luma(rgb), expected, rtol=1e-12)

    def test_ranges_mean_the_same(self):
        rng = np.random.default_rng(0)
        a, b = rng.integers(0, 256, (2, 3, 16, 16, 3), dtype="uint8")
        for metric in (metrics.psnr, metrics.ssim):
            expected = metric(a, b)
            assert expected.shape == (3,)
            np.testing.assert_allclose(metric(a / 255, b / 255), expected, rtol=1e-9)
            signed = metric(a / 127.5 - 1, b / 127.5 - 1, value_range=(-1, 1))
            np.testing.assert_allclose(signed, expected, rtol=1e-9)
            assert metric(a[1], b[1]) == pytest.approx(expected[1], rel=1e-9)

    def test_crop_leaves_the_border_out(self):
        a = np.zeros((1, 20, 20, 1))
        b = a.copy()
        b[:, 0] = b[:, -1] = b[:, :, 0] = b[:, :, -1] = 1.0
        assert metrics.psnr(a, b, crop=1) == np.inf
        assert metrics.psnr(a, b)[0] == pytest.approx(-10 * np.log10(76 / 400))

    def test_equal_images(self):
        a = np.random.default_rng(0).random((32, 32, 3))
        assert metrics.psnr(a, a) == np.inf
        assert metrics.ssim(a, a) == pytest.approx(1.0)
        assert metrics.ms_ssim(a, 1 - a, scales=2) == 0.0  # not NaN

    @pytest.mark.parametrize(
        "a, b, error, match",
        [
            (np.zeros((9, 9)), np.zeros((9, 8)), ValueError, r"\(9, 9\) and \(9, 8\)"),
            (np.zeros((9, 9, 9)), np.zeros((9, 9, 9)), ValueError, "grey images"),
            (np.zeros((9, 9)), np.zeros((9, 9), "uint8"), TypeError, "float64 and u"),
            (np.full((9, 9), -0.5), np.zeros((9, 9)), ValueError, r"-1, 1.*from -0.5"),
            (np.full((9, 9), 99.0), np.zeros((9, 9)), ValueError, "0, 255.*from 99"),
            (np.full((9, 9), np.nan), np.zeros((9, 9)), ValueError, "from nan"),
            (np.zeros((9, 9), int), np.zeros((9, 9), int), TypeError, "value_range"),
        ],
    )
    def test_refusals(self, a, b, error, match):
        with pytest.raises(error, match=match):
            metrics.psnr(a, b)

    def test_refused_options(self):
        a = np.zeros((9, 9))
        with pytest.raises(ValueError, match='"rgb" or "y". Received: .ycbcr'):
            metrics.psnr(a, a, channel="ycbcr")
        with pytest.raises(ValueError, match=r"Luma needs RGB.*\(1, 9, 9, 1\)"):
            metrics.psnr(a, a, channel="y")
        with pytest.raises(ValueError, match="something of 9 x 9 pixels. Received: 5"):
            metrics.psnr(a, a, crop=5)
        with pytest.raises(ValueError, match="11 x 11.*Received: 9 x 9"):
            metrics.ssim(a, a)
        with pytest.raises(ValueError, match="7 x 7 pixels at scale 3; fewer"):
            metrics.ms_ssim(np.ones((28, 28)), np.ones((28, 28)), scales=3)


class TestText:
    def test_perfect_and_signed(self):
        pytest.importorskip("sacrebleu")
        sentence = "the cat sat on the mat today"
        for metric in (metrics.bleu, metrics.chrf):
            score = metric([sentence], [sentence])
            assert score.value == pytest.approx(100) and score.value <= 100
            assert "version:" in score.signature
        assert "case:mixed" in metrics.bleu([sentence], [sentence]).signature
        two = metrics.bleu([sentence], [["something else", sentence]])
        assert two.value == pytest.approx(100) and "nrefs:2" in two.signature

    def test_nothing_is_better_than_perfect(self):
        pytest.importorskip("sacrebleu")
        for count in range(1, 40):
            sentences = [" ".join(map(str, range(k + 4))) for k in range(count)]
            assert metrics.bleu(sentences, sentences).value <= 100

    def test_refusals(self):
        pytest.importorskip("sacrebleu")
        with pytest.raises(ValueError, match="2 hypotheses, 1 references"):
            metrics.bleu(["a", "b"], ["a"])
        with pytest.raises(ValueError, match="one string"):
            metrics.chrf("a", ["a"])
        with pytest.raises(ValueError, match="from 1 to 2"):
            metrics.bleu(["a", "b"], [["a"], ["a", "b"]])

    def test_without_sacrebleu_the_error_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sacrebleu", None)
        with pytest.raises(ImportError, match="pip install"):
            metrics.bleu(["a"], ["a"])


class TestConfidenceInterval:
    @pytest.mark.parametrize("replace", [False, True], ids=["halves", "bootstrap"])
    def test_width_is_that_of_the_standard_error(self, replace):
        x = np.random.default_rng(0).normal(size=2000)
        got = metrics.confidence_interval(np.mean, x, resamples=2000, replace=replace)
        width = 2 * 1.96 * x.std() / np.sqrt(2000)
        assert got.value == x.mean()
        assert got.low < x.mean() < got.high
        assert got.high - got.low == pytest.approx(width, rel=0.1)

    def test_covers_a_known_distance_as_often_as_it_says(self):
        """Of N(0, 1) and N(1, 1), whose moments are 0, 1, 0 and 1, 2, 4.

        With (xy + 1)^3 = 1 + 3xy + 3x^2y^2 + x^3y^3 it is 4 + 32 - 2 * 7 = 22.
        """
        rng = np.random.default_rng(0)
        hits = 0
        for seed in range(200):
            real, fake = rng.normal(0, 1, (80, 1)), rng.normal(1, 1, (120, 1))
            _, low, high = metrics.confidence_interval(
                metrics.kernel_distance_unbiased, real, fake, resamples=60, seed=seed
            )
            hits += low <= 22 <= high
        assert 0.85 < hits / 200 < 0.99

    def test_of_a_biased_metric_is_around_what_such_counts_give(self):
        """The distance of N(0, I) from itself is 0; of 200 samples it is not."""
        rng = np.random.default_rng(0)
        fresh = [
            metrics.frechet_distance(*rng.normal(size=(2, 200, 16))) for _ in range(200)
        ]
        assert min(fresh) > 0.5
        hits = 0
        for seed in range(100):
            _, low, high = metrics.confidence_interval(
                metrics.frechet_distance, *rng.normal(size=(2, 200, 16)), seed=seed
            )
            hits += low <= np.mean(fresh) <= high
            assert low > 0  # so it never contains that of endless samples
        assert hits > 85

    def test_is_as_wide_as_fresh_samples_spread(self):
        """Also for metrics of neighbours, and for several at once."""

        def prdc(real, fake):
            return metrics.prdc(real, fake, k=5)

        def fresh_pair(seed):
            return features(300, 2, seed), features(300, 2, seed + 1000) + 0.7

        fresh = [prdc(*fresh_pair(seed)) for seed in range(100)]
        found = [
            metrics.confidence_interval(prdc, *fresh_pair(seed), resamples=50)
            for seed in range(8)
        ]
        for name in fresh[0]:
            spread = np.std([one[name] for one in fresh])
            width = np.mean([one[name].high - one[name].low for one in found])
            assert width == pytest.approx(2 * 1.96 * spread, rel=0.35), name

    def test_is_scipys_basic_interval_not_its_mirror_image(self):
        """A mean of few skewed values errs upwards: the interval reaches down."""
        x = np.random.default_rng(0).lognormal(0, 1.5, 15)
        got = metrics.confidence_interval(np.mean, x, resamples=4000, replace=True)
        expected = stats.bootstrap(
            (x,), np.mean, n_resamples=4000, method="basic", rng=1
        ).confidence_interval
        width = got.high - got.low
        assert got.low == pytest.approx(expected.low, abs=0.05 * width)
        assert got.high == pytest.approx(expected.high, abs=0.05 * width)
        assert got.value - got.low > 1.1 * (got.high - got.value)

    def test_of_a_metric_of_two_sets(self):
        real, fake = features(80, 4), features(60, 4, seed=1)
        got = metrics.confidence_interval(
            metrics.precision_recall, real, fake, resamples=20
        )
        assert got.value == metrics.precision_recall(real, fake)[0]
        assert got.low <= got.high

    def test_refusals(self):
        with pytest.raises(ValueError, match=r"4 rows or more. Received:.*\(3, 2\)"):
            metrics.confidence_interval(np.mean, np.zeros((3, 2)))
        with pytest.raises(ValueError, match="level=2"):
            metrics.confidence_interval(np.mean, np.zeros(9), level=2)
