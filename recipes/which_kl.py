"""Fits one Gaussian to two modes: what the choice of a divergence decides.

    zoo train which_kl                seconds; writes a picture and report.json

A model that cannot be right must choose how to be wrong. Forward KL pays for data that
the model gives no density, so it covers both modes and the gap between; reverse KL pays
for samples where there are no data, so it seeks one mode. Jensen-Shannon, bounded,
covers near modes and gives one up once they are far; Wasserstein-2, which moves mass,
covers. Maximum likelihood is forward KL; a VAE's posterior is fitted by reverse KL.

Bishop 2006, "Pattern Recognition and Machine Learning", section 10.1.2.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from zoo.experiment import report
from zoo.experiment.panels import Line, Panel, lines, write_panels
from zoo.experiment.settings import Settings
from zoo.training import divergences as d
from zoo.training.transport import sorted_cost

NAMES = ("forward KL", "reverse KL", "Jensen-Shannon", "Wasserstein-2")
STDDEV = 0.5  # of each mode


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    separation: float = 4.0
    """between the two modes, which are both of standard deviation 0.5"""
    share: float = 0.5
    """of the left mode; others show which one is sought"""
    cells: int = 1000
    """of the line, on which densities are compared"""
    largest: float = 5.0
    """separation up to which the switch from both modes to one is looked for"""


class Target:
    """Two modes on a line, cut into cells."""

    def __init__(self, separation, share, cells):
        self.means = separation * np.array([-0.5, 0.5])
        reach = 3.0 * separation + 4.0  # six deviations of what covers both modes
        self.edges = np.linspace(-reach, reach, cells + 1)
        below = stats.norm.cdf(self.edges[:, None], self.means, STDDEV)
        below = below @ [share, 1.0 - share]  # (cells + 1,)
        self.cells = probabilities(below)
        levels = (np.arange(cells) + 0.5) / cells
        self.normal = stats.norm.ppf(levels)[:, None]  # (levels, 1)
        self.quantiles = np.interp(levels, below, self.edges)[:, None]

    def divergence(self, name, mean, stddev):
        """Returns a divergence of a Gaussian from the target."""
        if name == "Wasserstein-2":
            moved = sorted_cost(self.quantiles, mean + stddev * self.normal, order=2)
            return float(moved[0]) ** 0.5
        p, q = self.cells, probabilities(stats.norm.cdf(self.edges, mean, stddev))
        if name == "Jensen-Shannon":
            return float(d.discrete_jensen_shannon(p, q))
        return float(
            d.discrete_kl(p, q) if name == "forward KL" else d.discrete_kl(q, p)
        )

    def fit(self, name):
        """Returns mean and deviation of the best Gaussian, and its divergence."""
        wide = (0.0, np.log(STDDEV + self.means[1]))
        starts = (wide, *((mean, np.log(STDDEV)) for mean in self.means))

        def far(x):
            return self.divergence(name, x[0], np.exp(x[1]))

        fits = (optimize.minimize(far, x, method="Nelder-Mead") for x in starts)
        best = min(fits, key=lambda fit: fit.fun)
        return float(best.x[0]), float(np.exp(best.x[1])), float(best.fun)


def probabilities(below):
    """Returns those of all cells; none is 0, as a Gaussian's tails never end."""
    p = np.maximum(np.diff(below), 1e-300)
    return p / p.sum()


def panels_of(target, fits, separations, spreads):
    """Returns the fitted densities, and their spreads over the modes' separation."""
    x = (target.edges[1:] + target.edges[:-1]) / 2
    curves = {name: stats.norm.pdf(x, *fits[name][:2]) for name in NAMES}
    data = Line(x, target.cells / np.diff(target.edges), "data", "area")
    best, axes = [data, *lines(x, curves)], {"xlabel": "x", "xlim": (-6, 6)}
    spread, label = lines(separations, spreads), {"xlabel": "separation of the modes"}
    title = "its standard deviation"
    return [Panel("best Gaussian by each", best, axes), Panel(title, spread, label)]


def main(config):
    """Fits by each divergence, shows and prints; returns the report."""
    if not 0 < config.share < 1 or min(config.separation, config.largest) <= 0:
        raise ValueError(f"--share is in (0, 1), distances are above 0. {config}.")
    target = Target(config.separation, config.share, config.cells)
    fits = {name: target.fit(name) for name in NAMES}
    separations = np.linspace(0.0, config.largest, 17)
    spreads = {name: [] for name in NAMES}
    for separation in separations:
        near = Target(separation, config.share, config.cells)
        for name in NAMES:
            spreads[name].append(near.fit(name)[1])
    path = config.directory("which_kl") / "which_kl.png"
    panels = panels_of(target, fits, separations, spreads)
    write_panels(path, panels, legend_below=True)
    for name, (mean, stddev, value) in fits.items():
        print(
            f"{name:15} mean {mean:6.3f}, stddev {stddev:.3f}, divergence {value:.3f}"
        )
    results = {"fits": fits, "separations": separations.tolist(), "stddevs": spreads}
    return report.finish("which_kl", config, results, [path])
