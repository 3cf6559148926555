"""Points in the plane whose modes can be counted: where collapse is seen at once.

Metz et al. 2017 (unrolled GAN), https://arxiv.org/abs/1611.02163, section 3.1, for the
ring; Lin et al. 2018 (PacGAN), https://arxiv.org/abs/1712.04086, section 4.2, for both.
"""

from typing import NamedTuple

import numpy as np


class Coverage(NamedTuple):
    """What a sample covers of a mixture.

    Attributes:
        modes: How many modes the sample covers.
        quality: Share of high-quality points: those within three standard deviations
            of a mode's centre. Of real points it is 0.989.
    """

    modes: int
    quality: float


class Mixture(NamedTuple):
    """Equal Gaussians around known centres.

    Attributes:
        centres: `(modes, 2)`.
        stddev: Of each Gaussian, in each direction.
    """

    centres: np.ndarray
    stddev: float

    def sample(self, count, seed=0):
        """Samples `(count, 2)` float32 points; the same seed gives the same."""
        rng = np.random.default_rng(seed)
        modes = rng.integers(len(self.centres), size=count)  # (count,)
        centres = self.centres[modes]  # (count, 2)
        return (centres + self.stddev * rng.normal(size=(count, 2))).astype("float32")

    def nearest(self, points):
        """Returns `(modes, distances)` of points: the nearest centre, how far it is."""
        gaps = points[:, None] - self.centres  # (count, modes, 2)
        gaps = np.linalg.norm(gaps, axis=-1)  # (count, modes)
        modes = gaps.argmin(axis=1)
        return modes, gaps[np.arange(len(points)), modes]

    def coverage(self, points, minimum=20):
        """Counts the modes that a sample covers and its high-quality points.

        Args:
            points: `(count, 2)`, the sample.
            minimum: High-quality points from which on a mode counts as covered.

        Returns:
            A `Coverage`.

        Source:
            PacGAN, section 4.2, for the three standard deviations.
        """
        modes, distances = self.nearest(points)
        near = distances <= 3.0 * self.stddev  # (count,)
        counts = np.bincount(modes[near], minlength=len(self.centres))  # (modes,)
        return Coverage(int((counts >= minimum).sum()), float(near.mean()))


def ring(modes=8, radius=2.0, stddev=0.02):
    """Returns Gaussians equally spaced on a circle."""
    angles = 2.0 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), stddev)


def grid(side=5, spacing=2.0, stddev=0.05):
    """Returns Gaussians on a square grid around 0."""
    steps = spacing * (np.arange(side) - (side - 1) / 2.0)
    return Mixture(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2), stddev)
