"""Shows what each divergence tells a generator that starts far away.

    zoo train divergences             seconds; writes divergences.png and report.json

The data lie on a segment, what the generator makes on a parallel one at distance theta:
two supports of no width in the plane, as images are in the space of all pixels. The KL
divergence is infinite, Jensen-Shannon log 2, whatever theta is, and both jump to 0 at
theta = 0; the Wasserstein distance is |theta|. Noise on both makes them overlap: then
every divergence has a slope, but one that dies out over some widths of the noise, or,
for the KL divergence, grows without bound.

Arjovsky, Chintala & Bottou 2017, https://arxiv.org/abs/1701.07875, example 1; the
noise, Arjovsky & Bottou 2017, https://arxiv.org/abs/1701.04862, section 3.
"""

import math
from dataclasses import dataclass

import numpy as np

from zoo.experiment import report
from zoo.experiment.panels import Line, Panel, write_panels
from zoo.experiment.settings import Settings
from zoo.training import divergences as d
from zoo.training import transport as t
from zoo.training.gaussians import gaussian


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    points: int = 40
    """on each segment: transport between them is exact, so it takes few"""
    noise: float = 0.2
    """standard deviation added to both, in lengths of a segment"""
    start: float = 1.0
    """theta at which the slopes are compared: five widths of the noise"""


def segments(theta, points):
    """Returns the divergences of the two segments, without noise."""
    heights = (np.arange(points) + 0.5) / points
    real = np.stack([np.zeros(points), heights], axis=1)  # (points, 2)
    fake = real + [theta, 0.0]
    # The categories are all places of both; at theta = 0 they are the same.
    places, at = np.unique(np.concatenate([real, fake]), axis=0, return_inverse=True)
    p, q = (np.bincount(a, minlength=len(places)) / points for a in np.split(at, 2))
    return {
        "KL": float(d.discrete_kl(p, q)),
        "Jensen-Shannon": float(d.discrete_jensen_shannon(p, q)),
        "total variation": float(d.discrete_total_variation(p, q)),
        "Cauchy-Schwarz": float(d.discrete_cauchy_schwarz(p, q)),
        "Wasserstein-1": t.exact_wasserstein(real, fake, order=1),
    }


def with_noise(theta, noise):
    """Returns the same of noisy segments, across them: along them nothing differs."""
    p, q = gaussian(0.0, noise**2), gaussian(theta, noise**2)
    return {
        "KL": d.gaussian_kl(p, q),
        "Jensen-Shannon": d.gaussian_jensen_shannon(p, q),
        "total variation": d.gaussian_total_variation(p, q),
        "Cauchy-Schwarz": d.gaussian_cauchy_schwarz(p, q),
        "Wasserstein-1": t.gaussian_wasserstein_1(p, q),
    }


def slopes(theta, noise, step=1e-4):
    """Returns the derivative of each with respect to theta, by central differences."""
    right, left = with_noise(theta + step, noise), with_noise(theta - step, noise)
    return {name: (right[name] - left[name]) / (2 * step) for name in right}


def panel(title, thetas, found, low, high, **axes):
    """Returns all divergences over theta as a panel."""
    lines = []
    for name in found[0]:
        values = np.array([each[name] for each in found])
        values[np.isinf(values)] = high  # above all that is finite
        if title == "two segments":
            values[thetas == 0.0] = np.nan  # a jump is no line
        style = "--" if name == "Cauchy-Schwarz" else "-"  # may lie upon KL
        lines.append(Line(thetas, values, name, style))
    return Panel(title, lines, {"ylim": (low, 1.05 * high), "xlabel": "theta", **axes})


def main(config):
    """Measures over theta, shows and prints; returns the report."""
    if min(config.points, config.noise, config.start) <= 0:
        raise ValueError(f"All numbers of --help must be above 0. Received {config}.")
    thetas = config.start * np.arange(-48, 49) / 40
    hard = [segments(theta, config.points) for theta in thetas]
    soft, slope = ([f(x, config.noise) for x in thetas] for f in (with_noise, slopes))
    ticks = {"yticks": [0, math.log(2), 1, 1.5]}
    ticks["yticklabels"] = ["0", "log 2", "1", "infinity"]
    panels = [
        panel("two segments", thetas, hard, -0.05, 1.5, **ticks),
        panel(f"noise of {config.noise:g} on both", thetas, soft, -0.05, 1.5),
        panel("slope with that noise", thetas, slope, -3.0, 3.0),
    ]
    panels[0].lines.append(Line([0.0], [0.0], "all, at theta = 0", "ko"))
    path = config.directory("divergences") / "divergences.png"
    write_panels(path, panels, legend_below=True)
    found = {
        "segments": segments(config.start, config.points),
        "with_noise": with_noise(config.start, config.noise),
        "slopes": slopes(config.start, config.noise),
    }
    for name, values in found.items():
        print(f"{name:10}", *(f"{k} {v:.3g}," for k, v in values.items()))
        # JSON has no infinity; float("inf") reads it back
        found[name] = {k: "inf" if v == math.inf else v for k, v in values.items()}
    return report.finish("divergences", config, found, [path])
