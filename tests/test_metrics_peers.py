"""Our numbers against those of the programs that the field quotes.

Features are random and structured: few and many samples for their dimension, singular
covariances, one dimension, and 2048 as Inception has. The tolerance is what we promise.
"""

import numpy as np
import pytest

from tests import peers
from zoo import metrics

# count real, count fake, features
SHAPES = [(40, 30, 64), (64, 64, 64), (300, 200, 16), (500, 400, 1), (900, 700, 48)]
KINDS = ["white", "correlated", "relu", "dead"]


def pair(shape, kind, dtype="float64"):
    reals, fakes, dim = shape
    rng = np.random.default_rng(reals + dim)
    real, fake = rng.normal(size=(reals, dim)), rng.normal(size=(fakes, dim)) + 0.5
    if kind == "correlated":  # a spectrum over three decades, as of a network
        mix = rng.normal(size=(dim, dim)) * np.logspace(0, -1.5, dim)[:, None]
        real, fake = real @ mix, fake @ mix * 1.3
    elif kind == "relu":  # half the values are 0
        real, fake = real.clip(min=0.0), fake.clip(min=0.0)
    elif kind == "dead" and dim > 1:  # singular whatever the count
        real[:, ::3] = fake[:, ::3] = 0.0
        fake[:, 1] = fake[:, 2]
    return real.astype(dtype), fake.astype(dtype)


each_pair = pytest.mark.parametrize(
    "real, fake",
    [
        pytest.param(*pair(s, k), id=f"{'x'.join(map(str, s))}-{k}")
        for s in SHAPES
        for k in KINDS
    ],
)


def fidelity_fid(real, fake):
    fid = peers.torch_fidelity("fid")
    statistics = (fid.fid_features_to_statistics(peers.tensor(x)) for x in (real, fake))
    if real.shape[1] == 1:
        statistics = [s | {"sigma": s["sigma"].reshape(1, 1)} for s in statistics]
    out = fid.fid_statistics_to_metric(*statistics, verbose=False)
    return out[fid.KEY_METRIC_FID]


@each_pair
def test_fid_of_torch_fidelity(real, fake):
    ours = metrics.frechet_distance(real, fake)
    assert ours == pytest.approx(fidelity_fid(real, fake), rel=1e-6)


@pytest.mark.parametrize("counts", [(300, 200), (2500, 2100)], ids=["few", "many"])
def test_fid_of_torch_fidelity_at_2048_features(counts):
    real, fake = pair((*counts, 2048), "correlated", "float32")
    ours = metrics.frechet_distance(real, fake)
    assert ours == pytest.approx(fidelity_fid(real, fake), rel=1e-6)


@each_pair
def test_kid_of_torch_fidelity(real, fake):
    kid = peers.torch_fidelity("kid")
    out = kid.kid_features_to_metric(
        peers.tensor(real),
        peers.tensor(fake),
        kid_subsets=7,
        kid_subset_size=25,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=11,
        verbose=False,
    )
    ours = metrics.kernel_distance(real, fake, subsets=7, subset_size=25, seed=11)
    theirs = (out[kid.KEY_METRIC_KID_MEAN], out[kid.KEY_METRIC_KID_STD])
    assert ours == pytest.approx(theirs, rel=1e-6)


# What torch-fidelity 0.4.0 says of 203 x 30 logits of some scale, by number of splits:
# mean and standard deviation. Its score needs torch, which the tests do without; where
# torch is installed, the second test below computes the table anew.
INCEPTION_SCORES = {
    (1.0, 1): (1.5589788436331362, 0.0),
    (1.0, 10): (1.5187006550576878, 0.04390053838070667),
    (4.0, 1): (10.903165541742437, 0.0),
    (4.0, 10): (7.651881800142109, 0.712490075209216),
    (40.0, 1): (26.022064757388176, 0.0),
    (40.0, 10): (12.791883800388831, 1.646581849557944),
}


@pytest.mark.parametrize(("scale", "splits"), INCEPTION_SCORES)
class TestInceptionScore:
    def logits(self, scale):
        """Of `RandomState`, the one generator whose numbers NumPy has frozen."""
        return scale * np.random.RandomState(0).normal(size=(203, 30))

    def test_is_that_of_torch_fidelity(self, scale, splits):
        ours = metrics.inception_score(self.logits(scale), splits, seed=2020)
        theirs = INCEPTION_SCORES[scale, splits]
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-12)

    def test_table_is_what_torch_fidelity_says(self, scale, splits):
        pytest.importorskip("torch")
        isc = peers.torch_fidelity("isc")
        logits = peers.tensor(self.logits(scale))
        out = isc.isc_features_to_metric(logits, splits, rng_seed=2020)
        theirs = (out[isc.KEY_METRIC_ISC_MEAN], out[isc.KEY_METRIC_ISC_STD])
        assert INCEPTION_SCORES[scale, splits] == pytest.approx(theirs, rel=1e-9)


def distinct(rows):
    """Returns whether no row is there twice."""
    return len(np.unique(rows, axis=0)) == len(rows)


@each_pair
def test_prdc(real, fake):
    prdc = pytest.importorskip("prdc")
    for k in (3, 5):
        if distinct(real) and distinct(fake):
            expected = prdc.compute_prdc(real, fake, nearest_k=k)
        else:
            expected = prdc_with_repeats(prdc.prdc, real, fake, k)
        assert metrics.prdc(real, fake, k) == pytest.approx(expected, abs=1e-6)


def prdc_with_repeats(peer, real, fake, k):
    """Returns the peer's numbers of the peer's radii and distances, for repeats.

    Where more than `k` samples are equal their radius is 0, and to the peer no sample
    is then inside, not even an equal one: equal sets have a precision below 1. To the
    authors of precision and recall it is (Kynkäänniemi et al. 2019, equation 1).
    """
    real_radii, fake_radii = (
        peer.compute_nearest_neighbour_distances(x, k) for x in (real, fake)
    )
    between = peer.compute_pairwise_distance(real, fake)  # (real, fake)
    in_real = (between < real_radii[:, None]) | (between == 0)
    in_fake = (between < fake_radii[None]) | (between == 0)
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": in_fake.any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / k,
        "coverage": in_real.any(axis=1).mean(),
    }


def test_prdc_published_example():
    """The example in prdc's README: two draws of 10,000 from N(0, I) in 1,000-d.

    It prints .4772, .4705, 1.0555 and .9735, of one draw without a seed. Over four
    seeds these vary with a standard deviation of .018, .005, .066 and .008 (on the
    same draw prdc and we agree in every digit); allowed here are about four of them.
    """
    real, fake = np.random.default_rng(0).normal(size=(2, 10_000, 1000))
    precision, recall = metrics.precision_recall(real, fake, k=5)
    density, coverage = metrics.density_coverage(real, fake)
    assert precision == pytest.approx(0.4772, abs=0.07)
    assert recall == pytest.approx(0.4705, abs=0.02)
    assert density == pytest.approx(1.0555, abs=0.26)
    assert coverage == pytest.approx(0.9735, abs=0.03)


@each_pair
def test_frechet_distance_of_tensorflow_gan(real, fake):
    theirs = peers.tensorflow_gan().frechet_classifier_distance_from_activations(
        real, fake
    )
    ours = metrics.frechet_distance(real, fake)
    assert ours == pytest.approx(float(theirs), rel=1e-5)


@each_pair
def test_kernel_distance_of_tensorflow_gan(real, fake):
    import tensorflow as tf

    # In one block, where its estimator is the full one.
    theirs = peers.tensorflow_gan().kernel_classifier_distance_from_activations(
        tf.constant(real), tf.constant(fake), max_block_size=1000
    )
    ours = metrics.kernel_distance_unbiased(real, fake)
    assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_classifier_score_of_tensorflow_gan():
    logits = 4 * np.random.default_rng(0).normal(size=(203, 30))
    theirs = peers.tensorflow_gan().classifier_score_from_logits(logits)
    ours, _ = metrics.inception_score(logits, splits=1)
    assert ours == pytest.approx(float(theirs), rel=1e-5)


class TestImages:
    def images(self, shape=(40, 33, 3)):
        rng = np.random.default_rng(0)
        ramp = np.linspace(0, 1, shape[0])[:, None, None]
        a = (0.7 * ramp + 0.3 * rng.random(shape)).astype("float64")
        return a, (a + 0.05 * rng.normal(size=shape)).clip(0, 1)

    def test_psnr_of_scikit_image(self):
        skimage = pytest.importorskip("skimage.metrics")
        a, b = self.images()
        theirs = skimage.peak_signal_noise_ratio(a, b, data_range=1)
        assert metrics.psnr(a, b) == pytest.approx(theirs, rel=1e-6)

    @pytest.mark.parametrize("shape", [(40, 33, 3), (11, 11, 1), (64, 64)])
    def test_ssim_of_scikit_image(self, shape):
        skimage = pytest.importorskip("skimage.metrics")
        a, b = self.images(shape if len(shape) == 3 else (*shape, 1))
        theirs = skimage.structural_similarity(
            a,
            b,
            data_range=1,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        if len(shape) == 2:
            a, b = a[..., 0], b[..., 0]
        assert metrics.ssim(a, b) == pytest.approx(theirs, rel=1e-6)

    def test_luma_of_scikit_image(self):
        color = pytest.importorskip("skimage.color")
        a, _ = self.images()
        theirs = color.rgb2ycbcr(a)[..., :1] / 255
        from zoo.metrics.image_quality import luma

        np.testing.assert_allclose(luma(a), theirs, rtol=1e-9)

    def test_ms_ssim_of_tensorflow(self):
        import tensorflow as tf

        a, b = self.images((192, 177, 3))
        theirs = tf.image.ssim_multiscale(a, b, 1.0)
        assert metrics.ms_ssim(a, b) == pytest.approx(float(theirs), rel=1e-4)
