"""Fidelity and diversity told apart, by balls that reach to the k-th neighbour.

    precision  share of fakes inside the ball of some real sample       quality
    recall     share of real samples inside the ball of some fake       diversity
    density    mean number of real balls around a fake, over k          quality
    coverage   share of real balls that hold a fake                     diversity

Density and coverage put balls around real samples only, which makes them robust to a
few outlying fakes with huge balls. A point on the surface of a ball is outside, its
centre is inside, also of a ball without extent: that of a sample which is there more
than `k` times.
"""

import numpy as np

from zoo.metrics import checks, neighbors


def precision_recall(real, fake, k=3):
    """Improved precision and recall.

    Swapping the arguments swaps the results.

    Args:
        real: `(count, features)` array.
        fake: `(other_count, features)` array.
        k: Which nearest neighbour within the same set, itself not counted, lies on
            the surface of a sample's ball.

    Returns:
        `(precision, recall)`, floats from 0 to 1.

    Raises:
        ValueError: If a set has `k` samples or fewer or is not finite, or if the
            numbers of features differ.

    Source:
        Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, section 2.

    Example:
        The one fake at 0.5 of three lies between the real ones; the ball of the fake
        at 9 reaches back to all of them.

        >>> precision_recall([[0.0], [1.0], [2.0]], [[0.5], [9.0], [50.0]], k=1)
        (0.3333333333333333, 1.0)
    """
    values = prdc(real, fake, k, only=("precision", "recall"))
    return values["precision"], values["recall"]


def density_coverage(real, fake, k=5):
    """Density and coverage.

    Args:
        real: `(count, features)` array; its balls are the manifold.
        fake: `(other_count, features)` array.
        k: As for `precision_recall`.

    Returns:
        `(density, coverage)`: a float from 0, around 1 for equal distributions and
        above it for fakes in the densest places; and one from 0 to 1.

    Raises:
        ValueError: As `precision_recall`.

    Source:
        Naeem et al. 2020, https://arxiv.org/abs/2002.09797, section 3.
    """
    values = prdc(real, fake, k, only=("density", "coverage"))
    return values["density"], values["coverage"]


def prdc(real, fake, k=5, only=("precision", "recall", "density", "coverage")):
    """Precision, recall, density and coverage from one pass over the distances.

    Args:
        real: `(count, features)` array.
        fake: `(other_count, features)` array.
        k: As for `precision_recall`.
        only: Names wanted; without "recall" a third of the work is saved.

    Returns:
        `{name: float}`.

    Raises:
        ValueError: As `precision_recall`.
    """
    real, fake = checks.pair(real, fake, minimum=2)
    checks.neighbors(k, real, fake)
    space = neighbors.Space(real, fake)
    fake_radii = _radii(space, fake, k) if "recall" in only else None
    around_fake, in_real_ball, around_real, _ = neighbors.inside(
        space,
        real,
        fake,
        a_radii=_radii(space, real, k),
        b_radii=fake_radii,
    )
    values = {
        "precision": (around_fake > 0).mean(),
        "density": around_fake.mean() / k,
        "coverage": (in_real_ball > 0).mean(),
    }
    if fake_radii is not None:
        values["recall"] = (around_real > 0).mean()
    return {name: float(values[name]) for name in only}


def _radii(space, rows, k):
    """Returns the squared radius of the ball around each row, above 0."""
    least = np.finfo(np.float64).smallest_subnormal  # of which only 0 is less
    return np.maximum(neighbors.kth_squares(space, rows, k), least)
