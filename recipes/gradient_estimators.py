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
from scipy.stats import bernoulli, norm

from zoo.experiment import report
from zoo.experiment.panels import Line, Panel, write_panels
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


def panels_of(means, results, samples):
    """Yields means and variances over mu, and variances over N, of each function."""
    for name, found in results.items():
        theory = THEORY[name]
        of_mean = [Line(means, y, k, "o") for k, y in found["mean"].items()]
        of_mean.append(Line(means, FUNCTIONS[name][2](means), "theory", "k-"))
        spread = [Line(means, y, k, "o") for k, y in found["variance"].items()]
        spread += [Line(means, theory[k](means), style="k-") for k in theory]
        over_n = [
            Line(samples[-len(y) :], y, k, "o-") for k, y in found["over_n"].items()
        ]
        logs = {"xscale": "log", "yscale": "log", "xlabel": "N"}
        yield Panel(f"f = {name}: mean of a draw", of_mean, {"xlabel": "mu"})
        limits = {"yscale": "log", "ylim": (1e-3, None)}
        yield Panel("variance of a draw", spread, {"xlabel": "mu", **limits})
        yield Panel("variance of a mean over N, mu = 1", over_n, logs)


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
        results[name]["over_n"] = {
            k: [float(one[k].var()) for one in over_n if k in one] for k in over_n[-1]
        }
        last = (f"{k} {v.var():.2g};" for k, v in over_n[-1].items())
        print(f"Variance at mu = 1, N = {max(config.samples)}, f = {name}:", *last)
    wrong = np.abs(results["z > 0"]["mean"]["pathwise"]).max()
    print(f"Of the jump the pathwise gradient is {wrong:g} everywhere, and wrong.")
    path = config.directory("gradient_estimators") / "gradient_estimators.png"
    panels = list(panels_of(means, results, sorted(config.samples)))
    write_panels(path, panels, columns=3, legend_below=True)
    results["mu"] = means.tolist()
    return report.finish("gradient_estimators", config, results, [path])
