"""Each lesson's numbers, on a run of its own, against something nobody here wrote."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special, stats
from scipy.spatial.distance import jensenshannon

from recipes import (
    autoencoder_or_vae,
    backpropagation_through_time,
    divergences,
    elbo_surgery,
    exposure_bias,
    gradient_estimators,
    optimal_discriminator,
    which_kl,
)

LESSONS = (
    autoencoder_or_vae,
    backpropagation_through_time,
    divergences,
    elbo_surgery,
    exposure_bias,
    gradient_estimators,
    optimal_discriminator,
    which_kl,
)
PAGES = Path(__file__).parents[1] / "docs" / "lessons"


def run(lesson, path, **settings):
    """Runs a lesson; returns its report, having looked for the files it names."""
    found = lesson.main(lesson.Config(run_dir=str(path), **settings))
    assert (path / "report.json").is_file() and list(path.glob("*.png"))
    return found


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda m: m.__name__)
def test_a_lesson_has_a_page_with_its_picture(lesson):
    name = lesson.__name__.split(".")[1]
    page = (PAGES / f"{name}.md").read_text("utf-8")
    assert f"zoo train {name}" in page and "## Source" in page
    assert f"({name}.md)" in (PAGES / "README.md").read_text("utf-8")
    shown = [
        line.split("](")[1].rstrip(")") for line in page.splitlines() if "![" in line
    ]
    assert shown
    for picture in shown:
        assert (PAGES / picture).stat().st_size < 150_000, picture


# --------------------------------------------------------------------- divergences


def test_segments_are_arjovskys_and_noise_makes_them_gaussians(tmp_path):
    found = run(divergences, tmp_path, points=8, noise=0.3, start=0.9)
    assert found["segments"] == {
        "KL": "inf",
        "Jensen-Shannon": pytest.approx(math.log(2.0)),
        "total variation": 1.0,
        "Cauchy-Schwarz": "inf",
        "Wasserstein-1": pytest.approx(0.9),
    }
    grid = np.linspace(-4, 5, 200_001)
    p, q = stats.norm(0, 0.3).pdf(grid), stats.norm(0.9, 0.3).pdf(grid)
    cosine = (p @ q) / math.sqrt((p @ p) * (q @ q))
    assert found["with_noise"] == {
        "KL": pytest.approx(stats.entropy(p, q), rel=1e-6),
        "Jensen-Shannon": pytest.approx(jensenshannon(p, q) ** 2, rel=1e-6),
        "total variation": pytest.approx(2 * stats.norm.cdf(1.5) - 1),
        "Cauchy-Schwarz": pytest.approx(-math.log(cosine), rel=1e-6),
        "Wasserstein-1": pytest.approx(0.9),
    }
    # By theta: of theta^2 / 2 s^2, of 2 Phi(theta / 2 s) - 1, of theta^2 / 4 s^2.
    slopes = found["slopes"]
    assert slopes["KL"] == pytest.approx(0.9 / 0.09)
    assert slopes["Cauchy-Schwarz"] == pytest.approx(0.9 / 0.18)
    assert slopes["total variation"] == pytest.approx(stats.norm.pdf(1.5) / 0.3)
    assert slopes["Wasserstein-1"] == pytest.approx(1.0)


def test_far_away_jensen_shannon_teaches_nothing_and_wasserstein_the_same():
    slopes = [divergences.slopes(theta, 0.2) for theta in (0.4, 1.0, 2.0)]
    dying = [each["Jensen-Shannon"] for each in slopes]
    assert dying[0] > 5 * dying[1] > 500 * dying[2] >= 0
    for each in slopes:
        assert each["Wasserstein-1"] == pytest.approx(1.0)


# ----------------------------------------------------------------- discriminators


def test_a_discriminator_comes_to_the_ratio_of_densities(tmp_path):
    found = run(optimal_discriminator, tmp_path, steps=200, batch_size=512)
    p, q = stats.norm(0, 1).pdf, stats.norm(2, 0.7).pdf

    def value(x):
        return sum(f(x) * np.log(f(x) / (p(x) + q(x))) for f in (p, q) if f(x) > 0)

    expected = integrate.quad(value, -12, 14, points=[0, 1, 2], limit=200)[0]
    assert found["best_value"] == pytest.approx(expected, abs=1e-7)
    assert found["value"] == pytest.approx(expected, abs=0.04)
    assert found["error"] < 0.06
    assert found["saturating"] == pytest.approx(-special.expit(-8), rel=1e-5)
    assert found["non_saturating"] == pytest.approx(special.expit(-8) - 1, rel=1e-5)


# ------------------------------------------------------------- gradient estimators


def test_estimators_have_the_means_and_variances_of_theory(tmp_path):
    settings = {"draws": 40_000, "samples": (1, 100), "reach": 2.0}
    found = run(gradient_estimators, tmp_path, **settings)
    mu = np.array(found["mu"])
    square, jump = found["z^2"], found["z > 0"]
    score = mu**4 + 14 * mu**2 + 15
    for name, variance in (
        ("pathwise", 4 + 0 * mu),
        ("score function", score),
        ("measure valued", mu**2 * (16 / math.pi - 4)),
    ):
        error = 4.5 * np.sqrt(variance / 40_000) + 1e-9
        assert (np.abs(square["mean"][name] - 2 * mu) < error).all(), name
        np.testing.assert_allclose(
            square["variance"][name], variance, rtol=0.1, atol=1e-9
        )
    density, below = stats.norm.pdf(mu), stats.norm.cdf(mu)
    assert not np.any(jump["mean"]["pathwise"])  # as wrong as can be
    for name in ("score function", "measure valued"):
        assert np.abs(jump["mean"][name] - density).max() < 0.03
    np.testing.assert_allclose(
        jump["variance"]["score function"],
        below - mu * density - density**2,
        atol=0.05,
    )
    share = np.exp(-(mu**2) / 2)
    expected = stats.bernoulli(share).var() / (2 * math.pi)
    np.testing.assert_allclose(jump["variance"]["measure valued"], expected, atol=2e-3)
    over_n = square["over_n"]["score function"]
    assert over_n[0] == pytest.approx(30, rel=0.1)  # 1 + 14 + 15
    assert over_n[1] == pytest.approx(0.3, rel=0.3)


# -------------------------------------------------------------------------- which KL


def test_fits_are_those_of_moments_of_one_mode_and_of_quantiles(tmp_path):
    found = run(which_kl, tmp_path, cells=400, largest=4.8)
    fits = found["fits"]
    mean, stddev, _ = fits["forward KL"]  # moments; cells add a twelfth of their width
    assert mean == pytest.approx(0.0, abs=2e-3)
    assert stddev == pytest.approx(math.hypot(2.0, 0.5), abs=2e-3)
    mean, stddev, value = fits["reverse KL"]  # far modes: log 2 for leaving one out
    assert abs(mean) == pytest.approx(2.0, abs=0.01)
    assert stddev == pytest.approx(0.5, abs=0.01)
    assert value == pytest.approx(math.log(2.0), abs=2e-3)

    def below(x):
        return 0.5 * stats.norm.cdf(x, -2, 0.5) + 0.5 * stats.norm.cdf(x, 2, 0.5)

    x = np.linspace(-6, 6, 200_001)
    density = 0.5 * stats.norm.pdf(x, -2, 0.5) + 0.5 * stats.norm.pdf(x, 2, 0.5)
    z = stats.norm.ppf(np.clip(below(x), 1e-15, 1 - 1e-15))
    mean, stddev, _ = fits["Wasserstein-2"]  # E[quantile * z]
    assert mean == pytest.approx(0.0, abs=2e-3)
    assert stddev == pytest.approx(integrate.trapezoid(x * z * density, x), abs=5e-3)
    spreads = found["stddevs"]
    at_end = {name: values[-1] for name, values in spreads.items()}
    assert at_end["forward KL"] == pytest.approx(math.hypot(2.4, 0.5), abs=5e-3)
    assert at_end["Wasserstein-2"] > 2.0
    for name in ("reverse KL", "Jensen-Shannon"):  # both have let one go by 4.8
        assert at_end[name] == pytest.approx(0.5, abs=0.02)
    start = [values[0] for values in spreads.values()]  # one mode: nothing to choose
    np.testing.assert_allclose(start, 0.5, atol=2e-3)


def test_jensen_shannon_is_scipys():
    target = which_kl.Target(3.0, 0.4, 200)
    q = np.diff(stats.norm.cdf(target.edges, 0.3, 1.1))
    expected = jensenshannon(target.cells, q) ** 2
    assert target.divergence("Jensen-Shannon", 0.3, 1.1) == pytest.approx(expected)


# ---------------------------------------------------------------------- ELBO surgery


def test_the_kl_term_is_information_and_a_marginal_part(tmp_path):
    """The shipped VAE's KL by its closed form; information at most the log of N."""
    found = run(elbo_surgery, tmp_path, weights=(), components=20, steps=5)
    parts, count = found["priors"], found["images"]
    own = parts["its own"]
    for part in parts.values():
        total = part["mutual_information"] + part["marginal_kl"]
        assert part["kl"] == pytest.approx(total)
        assert part["mutual_information"] == own["mutual_information"]
    assert 7.0 < own["mutual_information"] <= math.log(count)
    from zoo.data import images
    from zoo.deploy import presets

    test, _ = images.load("embedded", "test")
    encoded = presets.load("vae_fashion_mnist").encode(test / np.float32(255.0))
    mean, variance = np.asarray(encoded[0]), np.exp(encoded[1])
    closed = 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(axis=1)
    error = 4 * math.sqrt(5.0 / count)  # half of ten chi-squares: variance 5
    assert own["kl"] == pytest.approx(closed.mean(), abs=error)
    assert parts["mixture"]["kl"] < own["kl"]


# ------------------------------------------------------ backpropagation through time


def test_three_steps_by_hand_are_what_automatic_differentiation_finds(tmp_path):
    settings = {"units": 6, "steps": 40, "gains": (0.8, 1.3), "clip_norm": 0.5}
    found = run(backpropagation_through_time, tmp_path, **settings)
    assert found["difference"] < 1e-14
    values = found["singular_values"]
    for gain in (0.8, 1.3):  # of an orthogonal matrix all are the same
        np.testing.assert_allclose(values[f"linear, {gain:g}"], gain**40, rtol=1e-6)
    assert values["tanh, 1.3"][0] < 1.3**40 / 1e3
    assert values["LSTM, gates open"][0] > 0.1 > 100 * values["LSTM"][0]
    np.testing.assert_allclose(found["clipped"], np.minimum(found["norm"], 0.5))


def test_terms_of_the_gradient_are_finite_differences():
    """What each step adds, by moving the matrix of that step alone."""
    rng = np.random.default_rng(0)
    w, u = rng.normal(size=(2, 3, 3))
    x, y = rng.normal(size=(3, 3)), rng.normal(size=3)

    def loss(matrices):
        h = np.zeros(3)
        for matrix, row in zip(matrices, x, strict=True):
            h = np.tanh(matrix @ h + u @ row)
        return 0.5 * np.sum((h - y) ** 2)

    terms = backpropagation_through_time.by_hand(w, u, x, y)
    for step, row, column in np.ndindex(3, 3, 3):
        moved = np.zeros((3, 3, 3))
        moved[step, row, column] = 1e-5
        expected = (loss(w + moved) - loss(w - moved)) / 2e-5
        assert terms[step, row, column] == pytest.approx(expected, abs=1e-8)


# -------------------------------------------------------------- autoencoder or VAE


@pytest.mark.slow
def test_a_plain_autoencoder_leaves_holes(tmp_path):
    """Both reconstruct better than the best linear map to two numbers, scikit-learn's.

    By squared error; the plain one's codes are further from normal, by SciPy's test.
    """
    found = run(autoencoder_or_vae, tmp_path, epochs=3)
    plain, vae = found["autoencoder"], found["VAE"]
    assert plain["parameters"] == vae["parameters"]
    assert plain["reconstruction"] < vae["reconstruction"]
    assert plain["distance from the prior"] > 2 * vae["distance from the prior"]
    assert plain["holes"] > 2 * vae["holes"]
    assert plain["frechet of samples"] > vae["frechet of samples"]


# --------------------------------------------------------------------- exposure bias


def test_shares_of_errors_worked_by_hand():
    own = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    found = exposure_bias.shares(np.zeros_like(own), own)
    # After the first error there are 2 letters, one wrong; before it 10, 2 wrong.
    assert found["after an error of its own"] == pytest.approx(1 / 2)
    assert found["before any"] == pytest.approx(2 / 10)
    assert found["its own read"] == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert found["dates wrong"] == pytest.approx(2 / 3)
    assert found["true letters read"] == [0, 0, 0, 0]
    assert found["cost of its own"] == pytest.approx(3 / 12)


@pytest.mark.slow
def test_scheduled_sampling_lowers_what_reading_its_own_words_costs(tmp_path):
    """The claim of Bengio et al. 2015, section 4, on dates."""
    found = run(exposure_bias, tmp_path)
    forced, sampled = found["teacher forcing"], found["scheduled sampling"]
    assert forced["cost of its own"] > 2 * sampled["cost of its own"] > -0.02
    for each in found["teacher forcing"], found["scheduled sampling"]:
        assert each["after an error of its own"] > each["before any"]
