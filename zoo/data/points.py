"""Points in the plane whose modes can be counted: where collapse is seen at once.

Metz et al. 2017 (unrolled GAN), https://arxiv.org/abs/1611.02163, section 3.1, for the
ring; Lin et al. 2018 (PacGAN), https://arxiv.org/abs/1712.04086, section 4.2, for both.
"""

from typing import NamedTuple

import numpy as np


class Mixture(NamedTuple):
    """Equal Gaussians around known centres.

    Attributes:
        centres: `(modes, 2)`.
        stddev: Of each Gaussian, in each direction.
    """

    centres: np.ndarray
    stddev: float

    def draw(self, count, seed=0):
        """Returns `(count, 2)` float32 points."""
        rng = np.random.default_rng(seed)
        centres = self.centres[rng.integers(len(self.centres), size=count)]
        return (centres + self.stddev * rng.normal(size=(count, 2))).astype("float32")

    def nearest(self, points):
        """Returns `(modes, distances)` of points: the nearest centre, how far it is."""
        gaps = np.linalg.norm(points[:, None] - self.centres, axis=-1)
        modes = gaps.argmin(axis=1)
        return modes, gaps[np.arange(len(points)), modes]

    def coverage(self, points, minimum=20):
        """Counts covered modes and good points.

        Args:
            points: `(count, 2)`.
            minimum: Good points from which on a mode counts as covered.

        Returns:
            `(covered, quality)`: modes, and the share of points within three standard
            deviations of a centre; of real points it is 0.989.
        """
        modes, distances = self.nearest(points)
        good = distances <= 3.0 * self.stddev
        counts = np.bincount(modes[good], minlength=len(self.centres))
        return int((counts >= minimum).sum()), float(good.mean())


def ring(modes=8, radius=2.0, stddev=0.02):
    """Returns Gaussians equally spaced on a circle."""
    angles = 2.0 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), stddev)


def grid(side=5, spacing=2.0, stddev=0.05):
    """Returns Gaussians on a square grid around 0."""
    steps = spacing * (np.arange(side) - (side - 1) / 2.0)
    return Mixture(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2), stddev)
