"""Divergences that compare two densities: closed forms, and estimates from samples.

Three families, told apart by the first word of a name:

    discrete_*    probabilities, `(..., categories)`; a fine grid of a density is one
    gaussian_*    two `zoo.training.gaussians.Gaussian`, full covariance
    the others    from samples, `(count, dim)`, named by how they estimate

Everything is NumPy in float64. KL, Jensen-Shannon and Cauchy-Schwarz are in nats, total
variation is a probability. The reverse KL divergence is `kl(q, p)`. What is infinite is
`inf`, never NaN.

Distances that move mass, which know how far apart two points are, stand in
`zoo.training.transport`; the KL and Cauchy-Schwarz terms of a VAE, diagonal and
differentiable, in `zoo.training.densities`; the kernel distance of many features in
`zoo.metrics`.
"""

import math

import numpy as np
from scipy import integrate, linalg, spatial, special

from zoo.training.gaussians import EPSILON, one_dimension, range_of, same_dimension

# ------------------------------------------------------------------------- discrete


def discrete_kl(p, q):
    """Returns the Kullback-Leibler divergence `sum p log(p / q)`.

    Args:
        p: `(..., categories)`, probabilities.
        q: The same shape, or one that broadcasts.

    Returns:
        `(...)`, nats; infinite where `p` has mass that `q` has not.

    Raises:
        ValueError: If an argument is no distribution, or the shapes do not match.

    Source:
        Cover & Thomas 2006, "Elements of Information Theory", equation 2.26.

    Example:
        >>> float(discrete_kl([0.5, 0.5], [1.0, 0.0]))
        inf
    """
    return np.maximum(special.rel_entr(*distributions(p, q)).sum(axis=-1), 0.0)


def discrete_jensen_shannon(p, q):
    """Returns the mean KL divergence of two distributions from their average.

    Args:
        p: `(..., categories)`, probabilities.
        q: The same shape, or one that broadcasts.

    Returns:
        `(...)`, nats, from 0 to log 2, which it is wherever the supports are disjoint.

    Source:
        Lin 1991, https://doi.org/10.1109/18.61115, section 4.
    """
    p, q = distributions(p, q)
    middle = 0.5 * (p + q)
    both = special.rel_entr(p, middle) + special.rel_entr(q, middle)
    return np.maximum(0.5 * both.sum(axis=-1), 0.0)


def discrete_total_variation(p, q):
    """Returns the largest difference of the probabilities of one event.

    Args:
        p: `(..., categories)`, probabilities.
        q: The same shape, or one that broadcasts.

    Returns:
        `(...)`, a probability: half the sum of absolute differences.

    Source:
        Levin, Peres & Wilmer 2009, "Markov Chains and Mixing Times", proposition 4.2.
    """
    p, q = distributions(p, q)
    return 0.5 * np.abs(p - q).sum(axis=-1)


def discrete_cauchy_schwarz(p, q):
    """Returns minus the log of the cosine of the angle between two distributions.

    Args:
        p: `(..., categories)`, probabilities.
        q: The same shape, or one that broadcasts.

    Returns:
        `(...)`, nats, symmetric; infinite where the supports are disjoint.

    Source:
        Jenssen et al. 2006, https://doi.org/10.1016/j.jfranklin.2006.03.018, section 2.
    """
    p, q = distributions(p, q)
    cross, within = (p * q).sum(axis=-1), (p * p).sum(axis=-1) * (q * q).sum(axis=-1)
    with np.errstate(divide="ignore"):  # the log of 0 is meant
        return np.maximum(0.5 * np.log(within) - np.log(cross), 0.0)


def discrete_mmd(p, q, kernel):
    """Returns the squared maximum mean discrepancy `(p - q)' K (p - q)`.

    Args:
        p: `(..., categories)`, probabilities.
        q: The same shape, or one that broadcasts.
        kernel: `(categories, categories)`, positive semi-definite: how alike two are.

    Returns:
        `(...)`, in units of the kernel, which has none.

    Source:
        Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, lemma 6.
    """
    p, q = distributions(p, q)
    return np.maximum(np.einsum("...i,ij,...j->...", p - q, kernel, p - q), 0.0)


def distribution(p, name="p"):
    """Returns probabilities as float64, checked.

    Raises:
        ValueError: If they are negative or do not add up to 1 over the last axis.
    """
    p = np.asarray(p, np.float64)
    good = p.ndim > 0 and np.isfinite(p).all() and (p >= 0).all()
    if not good or (np.abs(p.sum(axis=-1) - 1.0) > 1e-6).any():
        raise ValueError(
            f"`{name}` must hold probabilities that add up to 1 over the last axis; "
            f"divide by the sum. Received: {p}."
        )
    return p


def distributions(p, q):
    """Returns two `distribution`s over the same categories."""
    p, q = distribution(p, "p"), distribution(q, "q")
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(
            "`p` and `q` must be over the same categories. Received: shapes "
            f"{p.shape} and {q.shape}."
        )
    return p, q


# ------------------------------------------------------------------------ Gaussians


def gaussian_kl(p, q):
    """Returns the Kullback-Leibler divergence of `p` from `q`.

    `(tr(Q^-1 P) + d' Q^-1 d - dim + log(|Q| / |P|)) / 2` with `d` the difference of
    the means: quadratic in it, so it grows without bound, but never vanishes.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of the same dimension.

    Returns:
        A float, nats; infinite unless both fill the same subspace.

    Source:
        Duchi 2007, "Derivations for Linear Algebra and Optimization", section 9.
    """
    both = _on_one_support(p, q)
    if both is None:
        return math.inf
    gap, p, q = both
    variances = q.diagonal()  # all there is of it, in these coordinates
    squares = (p.diagonal() + gap * gap) / variances - 1.0 + np.log(variances)
    return max(float(0.5 * (squares.sum() - np.linalg.slogdet(p)[1])), 0.0)


def gaussian_cauchy_schwarz(p, q):
    """Returns the Cauchy-Schwarz divergence, `-log(<p, q> / sqrt(<p, p> <q, q>))`.

    With equal variances in one dimension it is `+(m - n)^2 / (4 variance)`, half the KL
    divergence: not negative, as a derivation in circulation has it.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of the same dimension.

    Returns:
        A float, nats, symmetric; infinite unless both fill the same subspace.

    Source:
        Jenssen et al. 2006, https://doi.org/10.1016/j.jfranklin.2006.03.018, section
        2; that the product of two Gaussians integrates to a third, Petersen & Pedersen
        2012, "The Matrix Cookbook", section 8.1.8.
    """
    both = _on_one_support(p, q)
    if both is None:
        return math.inf
    gap, p, q = both
    logs = [np.linalg.slogdet(c)[1] for c in (p + q, 2.0 * p, 2.0 * q)]
    squares = 0.5 * gap @ linalg.solve(p + q, gap, assume_a="pos") if len(gap) else 0.0
    return max(float(squares + 0.5 * logs[0] - 0.25 * (logs[1] + logs[2])), 0.0)


def gaussian_total_variation(p, q):
    """Returns the total variation distance, where a closed form exists.

    With equal covariances it is `2 Phi(d / 2) - 1`, with `d` the distance of the means
    in standard deviations; in one dimension the probabilities are compared between the
    two points where the densities cross.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of one dimension, or of the same covariance.

    Returns:
        A float, a probability; 1 unless both fill the same subspace.

    Raises:
        ValueError: If the covariances differ in more than one dimension.

    Source:
        Devroye et al. 2018, https://arxiv.org/abs/1810.08693, section 1.
    """
    line = _on_a_line(p, q, "total variation")
    if line is None:
        return 1.0
    gap, ratio = line  # N(0, 1) against N(gap, ratio^2)
    if ratio == 1.0:
        return float(2.0 * special.ndtr(abs(gap) / 2.0) - 1.0)
    cross = _crossings(gap, ratio)
    inside = np.diff(special.ndtr(cross)) - np.diff(special.ndtr((cross - gap) / ratio))
    return float(abs(inside[0]))


def gaussian_jensen_shannon(p, q):
    """Returns the Jensen-Shannon divergence, by quadrature: it has no closed form.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of one dimension, or of the same covariance.

    Returns:
        A float, nats, to about 1e-8; log 2 unless both fill the same subspace.

    Raises:
        ValueError: If the covariances differ in more than one dimension.

    Source:
        As an expected logistic loss, Goodfellow et al. 2014,
        https://arxiv.org/abs/1406.2661, theorem 1.
    """
    line = _on_a_line(p, q, "Jensen-Shannon divergence")
    if line is None:
        return math.log(2.0)
    gap, ratio = line

    def integrand(x, mean, stddev, sign):
        """Density times what the best discriminator loses there."""
        z = (x - gap) / ratio
        logit = 0.5 * (z * z - x * x) + math.log(ratio)  # log p(x) - log q(x)
        density = math.exp(-0.5 * ((x - mean) / stddev) ** 2) / stddev
        return density * np.logaddexp(0.0, sign * logit)

    loss = 0.0
    cross = [] if ratio == 1.0 else list(_crossings(gap, ratio))
    for mean, stddev, sign in ((0.0, 1.0, -1.0), (gap, ratio, 1.0)):
        ends = mean - 12.0 * stddev, mean + 12.0 * stddev
        bends = [x for x in (mean, 0.5 * gap, *cross) if ends[0] < x < ends[1]]
        settings = {"args": (mean, stddev, sign), "points": bends, "limit": 500}
        loss += integrate.quad(integrand, *ends, **settings)[0]
    found = math.log(2.0) - 0.5 * loss / math.sqrt(2.0 * math.pi)
    return min(max(found, 0.0), math.log(2.0))


def gaussian_mmd(p, q, bandwidth):
    """Returns the squared maximum mean discrepancy of the kernel `gaussian_kernel`.

    Args:
        p: A `zoo.training.gaussians.Gaussian`.
        q: A `Gaussian` of the same dimension.
        bandwidth: Of the kernel, in units of the data.

    Returns:
        A float, from 0 to 2; it flattens once the two are some bandwidths apart.

    Source:
        Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, lemma 6.
    """
    same_dimension(p, q)

    def expected(a, b):
        """Mean of the kernel over independent pairs: a Gaussian integral."""
        spread = a.covariance + b.covariance + bandwidth**2 * np.eye(len(a.mean))
        gap = a.mean - b.mean
        log_det = np.linalg.slogdet(spread / bandwidth**2)[1]
        return math.exp(-0.5 * (gap @ linalg.solve(spread, gap) + log_det))

    return max(expected(p, p) + expected(q, q) - 2.0 * expected(p, q), 0.0)


def _on_one_support(p, q):
    """Writes two Gaussians in coordinates of the subspace that both fill.

    Returns:
        `(difference of means, covariance of p, covariance of q)`, of full rank, that of
        q diagonal; or `None` if one gives no mass to where the other is, so that a
        density is infinite.
    """
    same_dimension(p, q)
    (p_values, _), (q_values, basis) = range_of(p.covariance), range_of(q.covariance)
    gap = p.mean - q.mean
    outside = gap - basis @ (basis.T @ gap)
    spread = p.covariance - basis @ (basis.T @ p.covariance)
    scale = np.abs([*p.mean, *q.mean, *np.sqrt(p_values), *np.sqrt(q_values)]).max()
    slack = 64 * len(gap) * EPSILON
    apart = np.abs(outside).max() > slack * scale
    if apart or np.abs(spread).max() > slack * max(p_values.max(initial=0.0), 1e-300):
        return None
    if len(p_values) != len(q_values):
        return None
    return basis.T @ gap, basis.T @ p.covariance @ basis, np.diag(q_values)


def _on_a_line(p, q, what):
    """Returns `(gap, ratio)`: the two are as far apart as N(0, 1), N(gap, ratio^2)."""
    equal = np.array_equal(p.covariance, q.covariance)
    if not equal:
        one_dimension(p, what)
    both = _on_one_support(p, q)
    if both is None:
        return None
    gap, p, q = both
    if equal:  # whitened, one coordinate alone differs: that along the gap
        return float(np.linalg.norm(gap / np.sqrt(q.diagonal()))), 1.0
    return float(-gap[0] / np.sqrt(p[0, 0])), float(np.sqrt(q[0, 0] / p[0, 0]))


def _crossings(gap, ratio):
    """Returns where the densities of N(0, 1) and N(gap, ratio^2) are equal, sorted."""
    constant = gap**2 + 2.0 * ratio**2 * math.log(ratio)
    return np.sort(np.roots([1.0 - ratio**2, -2.0 * gap, constant]).real)


# --------------------------------------------------------------------- from samples


def neighbor_kl(x, y, k=5):
    """Estimates the KL divergence from distances to the k-th nearest neighbours.

    A point's k-th nearest neighbour is far where the density is small, so the ratio of
    its distances within its own sample and to the other one stands for the ratio of
    the densities. Consistent, but biased: towards 0 where the two hardly overlap, as no
    sample sees far into a tail, and the more the more dimensions.

    Args:
        x: `(count, dim)`, independent samples of `p`.
        y: `(other_count, dim)`, of `q`, independent of `x`.
        k: Which neighbour; more is smoother, less follows finer detail.

    Returns:
        A float, nats, of `p` from `q`; by chance it may be negative.

    Raises:
        ValueError: If `k` is not from 1 to `count - 1` and `other_count`, or a point
            occurs more than `k` times: then there is no density.

    Source:
        Wang, Kulkarni & Verdu 2009, https://doi.org/10.1109/TIT.2009.2016060, section
        II; Perez-Cruz 2008, https://doi.org/10.1109/ISIT.2008.4595271.
    """
    x, y = two_samples(x, y)
    if not 1 <= k <= min(len(x) - 1, len(y)):
        raise ValueError(
            "`k` is at least 1 and at most the number of other points. Received: "
            f"k={k} for {len(x)} and {len(y)} points."
        )
    within = spatial.cKDTree(x).query(x, [k + 1])[0][:, 0]  # the nearest is itself
    across = spatial.cKDTree(y).query(x, [k])[0][:, 0]
    if min(within.min(), across.min()) == 0.0:
        raise ValueError(
            f"More than k={k} points are equal: these are no independent samples of a "
            "density. Remove duplicates, or use `discrete_kl` on their frequencies. "
            f"Received: {np.sum((within == 0) | (across == 0))} such points."
        )
    ratio = x.shape[1] * np.mean(np.log(across / within))
    return float(ratio + math.log(len(y) / (len(x) - 1)))


def gaussian_kernel(bandwidth):
    """Returns the kernel `exp(-|x - y|^2 / (2 bandwidth^2))` as a function.

    Args:
        bandwidth: In units of the data: about the distance at which two points cease
            to be alike. The median distance of all points is a usual choice.

    Raises:
        ValueError: If it is not positive.
    """
    if not bandwidth > 0:
        raise ValueError(f"`bandwidth` must be positive. Received: {bandwidth}.")
    return lambda x, y: np.exp(
        -spatial.distance.cdist(x, y, "sqeuclidean") / (2.0 * bandwidth**2)
    )


def kernel_mmd(x, y, kernel):
    """Estimates the squared maximum mean discrepancy without bias.

    `zoo.metrics.kernel_distance_unbiased` is this with a cubic kernel, in blocks.

    Args:
        x: `(count, dim)`, samples of `p`, at least 2.
        y: `(other_count, dim)`, of `q`, at least 2.
        kernel: `(x, y) -> (count, other_count)`, such as `gaussian_kernel(1.0)`.

    Returns:
        A float, 0 on average for equal distributions and so sometimes negative.

    Source:
        Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, equation 3.
    """
    x, y = two_samples(x, y)

    def others(a):
        """Mean over all pairs of two different rows."""
        table = kernel(a, a)
        return (table.sum() - np.trace(table)) / (len(a) * (len(a) - 1))

    return float(others(x) + others(y) - 2.0 * kernel(x, y).mean())


def two_samples(x, y, minimum=2):
    """Returns two sets of samples in float64, checked each and against one another.

    Raises:
        ValueError: If a set is not `(count, dim)`, not finite or too small, or the
            dimensions differ.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    for name, one in (("x", x), ("y", y)):
        if one.ndim != 2 or len(one) < minimum or not np.isfinite(one).all():
            raise ValueError(
                f"`{name}` must hold at least {minimum} finite samples, `(count, "
                "dim)`; samples of one number are `array[:, None]`. Received: shape "
                f"{one.shape}, {np.sum(~np.isfinite(one))} values not finite."
            )
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            "`x` and `y` must be of the same dimension. Received: shapes "
            f"{x.shape} and {y.shape}."
        )
    return x, y
