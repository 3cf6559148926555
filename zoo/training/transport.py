"""Distances that move mass: Wasserstein-1 and -2, the Frechet distance, Sinkhorn.

A divergence of densities says only that two distributions do not overlap; moving the
mass of one to the other costs the more the farther they are apart. For Gaussians there
are closed forms, on a line sorted values match, small sets have an exact optimum, and
larger ones an approximate one by Sinkhorn's algorithm. Everything is NumPy in float64,
a distance is in units of the data.

The sliced distance of many dimensions stands in `zoo.metrics.sliced_wasserstein`, the
Frechet distance of samples in `zoo.metrics.frechet_distance`; both take the formulas
they share with this module from here.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse, spatial, special

from zoo.training.divergences import distribution, two_samples
from zoo.training.gaussians import (
    covariance_root,
    one_dimension,
    same_dimension,
    trace_of_root,
)

# ------------------------------------------------------------------------ Gaussians


def gaussian_frechet(p, q):
    """Returns the Frechet distance, which is the square of the Wasserstein-2 distance.

    `|m - n|^2 + tr(P + Q - 2 sqrt(PQ))`, finite whatever the supports are.
    `zoo.metrics.frechet_distance` is this between Gaussians fitted to samples.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of the same dimension.

    Returns:
        A float, in squared units of the data.

    Source:
        Dowson & Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X; as W2,
        Givens & Shortt 1984, https://doi.org/10.1307/mmj/1029003026, proposition 7.
    """
    same_dimension(p, q)
    gap = p.mean - q.mean
    roots = trace_of_root(covariance_root(p.covariance), covariance_root(q.covariance))
    spread = np.trace(p.covariance) + np.trace(q.covariance) - 2.0 * roots
    return max(float(gap @ gap + spread), 0.0)


def gaussian_wasserstein_2(p, q):
    """Returns the Wasserstein-2 distance, the root of `gaussian_frechet`.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of the same dimension.

    Returns:
        A float, in units of the data.
    """
    return math.sqrt(gaussian_frechet(p, q))


def gaussian_wasserstein_1(p, q):
    """Returns the Wasserstein-1 distance, where a closed form exists.

    In one dimension the sorted values of both are `m + s z` and `n + t z` of one
    standard normal `z`: the mean of `|(m - n) + (s - t) z|`, a folded normal. With
    equal covariances it is the distance of the means.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of one dimension, or of the same covariance.

    Returns:
        A float, in units of the data.

    Raises:
        ValueError: If the covariances differ in more than one dimension.

    Source:
        Leone et al. 1961, https://doi.org/10.1080/00401706.1961.10489974, equation 4.
    """
    same_dimension(p, q)
    distance = float(np.linalg.norm(p.mean - q.mean))
    if np.array_equal(p.covariance, q.covariance):
        return distance
    one_dimension(p, "Wasserstein-1 distance")
    spread = abs(math.sqrt(p.covariance[0, 0]) - math.sqrt(q.covariance[0, 0]))
    ratio = distance / spread
    tails = math.sqrt(2.0 / math.pi) * spread * math.exp(-0.5 * ratio**2)
    return tails + distance * math.erf(ratio / math.sqrt(2.0))


# -------------------------------------------------------------------------- samples


def sorted_cost(x, y, order=1):
    """Returns the cost of moving one sample to another on a line, column by column.

    There the best transport matches the smallest to the smallest: the mean of
    `|gap|^order` between the two quantile functions. Its root is the distance.

    Args:
        x: `(count, columns)`.
        y: `(other_count, columns)`; the counts may differ.
        order: The power, 1 or 2.

    Returns:
        `(columns,)`, in units of the data to the power of `order`.

    Source:
        Peyre & Cuturi 2019, https://arxiv.org/abs/1803.00567, section 2.6.
    """
    # Row of each set, and length, of every piece on which both quantile functions are
    # constant; in units of 1 / (count * other_count), so that the steps are integers.
    m, n = len(x), len(y)
    steps = np.union1d(np.arange(m + 1) * n, np.arange(n + 1) * m)
    starts, lengths = steps[:-1], np.diff(steps) / (m * n)
    gaps = np.sort(x, axis=0)[starts // n]  # (pieces, columns)
    gaps -= np.sort(y, axis=0)[starts // m]
    return lengths @ np.abs(gaps) ** order


class Transport(NamedTuple):
    """A way to move one distribution to another.

    Attributes:
        cost: Of all that is moved, a float in the unit of the costs.
        plan: `(count, other_count)`, how much goes from where to where; its sums over
            columns and rows are the two distributions.
    """

    cost: float
    plan: np.ndarray


def costs(x, y, order=2):
    """Returns the distances of all pairs to a power, `(count, other_count)`.

    Args:
        x: `(count, dim)`.
        y: `(other_count, dim)`.
        order: 1 or 2.

    Raises:
        ValueError: If `order` is neither, or the samples do not match.
    """
    if order not in (1, 2):
        raise ValueError(f"`order` must be 1 or 2. Received: {order}.")
    x, y = two_samples(x, y, minimum=1)
    return spatial.distance.cdist(x, y, "sqeuclidean" if order == 2 else "euclidean")


def exact_transport(p, q, costs):
    """Finds the cheapest way to move `p` to `q`, as a linear program.

    Args:
        p: `(count,)`, probabilities.
        q: `(other_count,)`.
        costs: `(count, other_count)`, of moving one unit; finite.

    Returns:
        A `Transport`. Time grows with the third power of the counts: some hundreds.

    Raises:
        ValueError: If an argument is no distribution, or the shapes do not match.

    Source:
        Peyre & Cuturi 2019, https://arxiv.org/abs/1803.00567, equation 2.11.
    """
    p, q, costs = _problem(p, q, costs)
    rows = sparse.kron(sparse.eye_array(len(p)), np.ones((1, len(q))))
    columns = sparse.kron(np.ones((1, len(p))), sparse.eye_array(len(q)))
    found = optimize.linprog(
        costs.ravel(),
        A_eq=sparse.vstack([rows, columns]).tocsr()[:-1],  # the last follows
        b_eq=np.concatenate([p / p.sum(), q / q.sum()])[:-1],
        method="highs",
    )
    return Transport(float(found.fun), found.x.reshape(costs.shape))


def exact_wasserstein(x, y, order=2):
    """Returns the Wasserstein distance of two small sets, every point weighing alike.

    Args:
        x: `(count, dim)`.
        y: `(other_count, dim)`. Equal counts are matched one to one, which takes a
            second for 2,000; others are a linear program, for some hundreds.
        order: 1 or 2, the power of the distances that is averaged.

    Returns:
        A float, in units of the data. Between distributions it is biased upwards, by
        `count^(-1 / dim)` times a constant in three dimensions and more.

    Source:
        Peyre & Cuturi 2019, https://arxiv.org/abs/1803.00567, proposition 2.1.
    """
    table = costs(x, y, order)
    if len(x) == len(y):
        cost = table[optimize.linear_sum_assignment(table)].mean()
    else:
        weights = (np.full(count, 1.0 / count) for count in table.shape)
        cost = exact_transport(*weights, table).cost
    return max(float(cost), 0.0) ** (1.0 / order)


def discrete_wasserstein(p, q, points, order=1):
    """Returns the Wasserstein distance of two distributions over the same few points.

    Args:
        p: `(count,)`, probabilities.
        q: `(count,)`.
        points: `(count, dim)`, where the categories lie.
        order: 1 or 2, the power of the distances that is averaged.

    Returns:
        A float, in units of the points.

    Source:
        Peyre & Cuturi 2019, https://arxiv.org/abs/1803.00567, equation 2.18.
    """
    cost = exact_transport(p, q, costs(points, points, order)).cost
    return max(cost, 0.0) ** (1.0 / order)


def sinkhorn(p, q, costs, epsilon, iterations=10_000, tolerance=1e-9):
    """Finds a cheap way to move `p` to `q` that spreads mass, much faster.

    The entropy of the plan, weighed by `epsilon`, makes the problem strictly convex:
    rescaling rows and columns in turn converges to its optimum. In logarithms, so that
    a small `epsilon` neither overflows nor loses the plan.

    Args:
        p: `(count,)`, probabilities.
        q: `(other_count,)`.
        costs: `(count, other_count)`, of moving one unit.
        epsilon: Weight of the entropy, in the unit of the costs. Towards 0 the plan
            becomes the exact one and takes more iterations; towards infinity it becomes
            `p q'`.
        iterations: At most so many.
        tolerance: Largest error of a row's mass at the end, a probability.

    Returns:
        A `Transport`, whose cost is that of the plan, without the entropy: never below
        the exact one.

    Raises:
        ValueError: If `epsilon` is not positive, an argument is no distribution, or
            the iterations do not suffice.

    Source:
        Cuturi 2013, https://arxiv.org/abs/1306.0895, algorithm 1; in logarithms, Peyre
        & Cuturi 2019, https://arxiv.org/abs/1803.00567, section 4.4.

    Example:
        >>> halves, points = [0.5, 0.5], [[0.0], [1.0]]
        >>> round(sinkhorn(halves, halves, costs(points, points), 0.01).cost, 6)
        0.0
    """
    p, q, costs = _problem(p, q, costs)
    if not epsilon > 0:
        raise ValueError(f"`epsilon` must be positive. Received: {epsilon}.")
    scaled, other = -costs / epsilon, np.zeros(len(q))
    with np.errstate(divide="ignore"):  # no mass: nothing goes there
        log_p, log_q = np.log(p), np.log(q)
    for _ in range(iterations):
        one = log_p - special.logsumexp(scaled + other, axis=1)
        other = log_q - special.logsumexp(scaled + one[:, None], axis=0)
        plan = np.exp(scaled + one[:, None] + other)
        error = np.abs(plan.sum(axis=1) - p).max()
        if error <= tolerance:
            return Transport(float((plan * costs).sum()), plan)
    raise ValueError(
        f"After {iterations} iterations a row's mass is wrong by {error:.1e}. Raise "
        "`epsilon`, `iterations` or `tolerance`. Received: "
        f"epsilon={epsilon}, costs up to {costs.max():.3g}."
    )


def _problem(p, q, costs):
    """Returns the arguments of a transport problem in float64, checked."""
    costs = np.asarray(costs, np.float64)
    if costs.shape != (np.size(p), np.size(q)) or not np.isfinite(costs).all():
        raise ValueError(
            "`costs` must be finite and have a row for each entry of `p`, a column for "
            f"each of `q`. Received: shape {costs.shape} for {np.size(p)} and "
            f"{np.size(q)} entries."
        )
    return distribution(p, "p"), distribution(q, "q"), costs
