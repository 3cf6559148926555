"""Sliced Wasserstein distance: how far one set must be moved to become the other.

Along one direction the best transport just matches sorted values, so a few hundred
random directions replace an assignment problem of cubic cost.
"""

import numpy as np

from zoo.metrics import checks
from zoo.training.transport import sorted_cost


def sliced_wasserstein(real, fake, projections=512, order=2, seed=0):
    """Wasserstein distance averaged over random directions.

    Symmetric in its arguments. For two sets that differ by a shift of length `s` in
    `d` dimensions it is `s / sqrt(d)` with order 2.

    Args:
        real: `(count, features)` array.
        fake: `(other_count, features)` array; the counts may differ.
        projections: Directions, uniform on the sphere.
        order: 1 or 2, the power of the distances that is averaged.
        seed: Of the directions.

    Returns:
        A float, 0 or more, in feature units.

    Raises:
        ValueError: If a set is not finite or the numbers of features differ, or if
            `order` is not 1 or 2.

    Source:
        Rabin et al. 2011, https://doi.org/10.1007/978-3-642-24785-9_37, section 2.

    Example:
        >>> sliced_wasserstein([[0.0], [1.0]], [[3.0], [2.0]])
        2.0
    """
    real, fake = checks.pair(real, fake)
    checks.positive(projections=projections)
    if order not in (1, 2):
        raise ValueError(f"`order` must be 1 or 2. Received: {order}.")
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((real.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    total = 0.0
    for first in range(0, projections, 64):
        part = directions[:, first : first + 64]
        total += sorted_cost(real @ part, fake @ part, order).sum()
    return float((total / projections) ** (1.0 / order))
