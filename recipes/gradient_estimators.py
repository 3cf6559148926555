"""Compares three ways to the gradient of an expectation: which one is usable when.

    zoo train gradient_estimators     seconds; writes a picture and report.json

Of E[f(z)] with z from N(mu, 1), with respect to mu, for two functions: a smooth one,
z^2, and a jump, z > 0, which has no slope anywhere but moves its mean all the same.
Pathwise is best where f has a slope and wrong where it jumps; the score function needs
nothing but values of f and pays with the largest spread, less with a baseline; measure
valued is close to the best in both and costs two values of f for each parameter.

Mohamed et al. 2020, https://arxiv.org/abs/1906.10652, section 3; the variances, worked
out, in docs/lessons/gradient_estimators.md.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import bernoulli, norm

from zoo.experiment import report
from zoo.experiment.pictures import write_figure
from zoo.experiment.settings import Settings
from zoo.training import estimators as e

FUNCTIONS = {  # f, its slope, and the gradient of its mean at mu
    "z^2": (lambda z: z[..., 0] ** 2, lambda z: 2.0 * z, lambda mu: 2.0 * mu),
    "z > 0": (lambda z: 1.0 * (z[..., 0] > 0), lambda z: 0.0 * z, norm.pdf),
}
THEORY = {  # variance of a draw
    "z^2": {
        "pathwise": lambda mu: 4.0 + 0.0 * mu,
        "score function": lambda mu: mu**4 + 14.0 * mu**2 + 15.0,
        "measure valued": lambda mu: mu**2 * (16.0 / np.pi - 4.0),
    },
    "z > 0": {
        "pathwise": lambda mu: 0.0 * mu,
        "score function": lambda mu: norm.cdf(mu) - (mu + norm.pdf(mu)) * norm.pdf(mu),
        # The two sides differ, by 1, if a Rayleigh draw exceeds |mu|.
        "measure valued": lambda mu: (
            bernoulli(np.exp(-(mu**2) / 2)).var() / (2 * np.pi)
        ),
    },
}
BASELINE = "score function, leave one out"


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    reach: float = 3.0
    """largest mu, in standard deviations: f is seen from afar and at the jump"""
    draws: int = 20_000
    """independent ones per point: a variance to within some hundredths"""
    samples: tuple[int, ...] = (1, 3, 10, 30, 100, 300, 1000)
    """N, whose mean is an estimate"""


def estimates(name, mu, count, repeats, rng):
    """Returns `{estimator: (repeats,)}`, each a mean over `count` samples."""
    f, slope, _ = FUNCTIONS[name]
    noise = rng.normal(size=(count, repeats, 1))
    rayleigh = e.rayleigh_noise(rng.random(noise.shape))
    at = (mu, 1.0, noise)
    found = {
        "pathwise": e.gaussian_pathwise(slope, *at),
        "score function": e.gaussian_score_function(f, *at),
        # Of the mean alone: the draws for the standard deviation do not matter.
        "measure valued": e.gaussian_measure_valued(f, *at, rayleigh, noise),
    }
    if count > 1:
        found[BASELINE] = e.gaussian_score_function(f, *at, e.leave_one_out)
    return {k: v.mean.mean(axis=0)[:, 0] for k, v in found.items()}


def figure_of(means, results, samples):
    """Returns means and variances over mu for both functions, and variances over N."""
    figure = Figure((11, 6.5), dpi=80, layout="constrained")
    for row, (name, found) in zip(figure.subplots(2, 3), results.items(), strict=True):
        for estimator, theory in THEORY[name].items():
            row[0].plot(means, found["mean"][estimator], "o", ms=4, alpha=0.6)
            row[1].semilogy(means, found["variance"][estimator], "o", ms=4)
            row[1].plot(means, theory(means), "k", lw=0.7)
        row[0].plot(means, FUNCTIONS[name][2](means), "k", lw=0.7)
        for values in found["variance_over_n"].values():
            row[2].loglog(samples[-len(values) :], values, "o-")
        row[0].set(xlabel="mu", title=f"f = {name}: mean of a draw")
        row[1].set(xlabel="mu", title="variance of a draw", ylim=(1e-3, None))
        row[2].set(xlabel="N", title="variance of a mean over N, mu = 1")
        for axes in row:
            axes.grid(alpha=0.3)
    names = [*found["variance_over_n"], "theory"]
    lines = [*row[2].lines, row[1].lines[1]]
    figure.legend(lines, names, loc="outside lower center", ncol=5)
    return figure


def main(config):
    """Measures, compares with theory, shows and prints; returns the report."""
    if config.draws < 2 or min(config.samples, default=0) < 1:
        raise ValueError(f"--draws are 2, --samples 1 or more. Received {config}.")
    rng, results = np.random.default_rng(config.seed), {}
    means = np.linspace(-config.reach, config.reach, 25)
    for name, theory in THEORY.items():
        single = [estimates(name, mu, 1, config.draws, rng) for mu in means]
        repeats = [(n, max(config.draws // n, 200)) for n in sorted(config.samples)]
        over_n = [estimates(name, 1.0, *pair, rng) for pair in repeats]
        results[name] = {
            "mean": {k: [float(one[k].mean()) for one in single] for k in theory},
            "variance": {k: [float(one[k].var()) for one in single] for k in theory},
        }
        results[name]["variance_over_n"] = {
            k: [float(one[k].var()) for one in over_n if k in one] for k in over_n[-1]
        }
        last = (f"{k} {v.var():.2g};" for k, v in over_n[-1].items())
        print(f"Variance at mu = 1, N = {max(config.samples)}, f = {name}:", *last)
    wrong = np.abs(results["z > 0"]["mean"]["pathwise"]).max()
    print(f"Of the jump the pathwise gradient is {wrong:g} everywhere, and wrong.")
    path = config.directory("gradient_estimators") / "gradient_estimators.png"
    write_figure(path, figure_of(means, results, sorted(config.samples)))
    results["mu"] = means.tolist()
    return report.finish("gradient_estimators", config, results, [path])
