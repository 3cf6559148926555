"""Gaussians of any covariance, and what their divergences and distances share."""

from typing import NamedTuple

import numpy as np
from scipy import linalg

EPSILON = np.finfo(np.float64).eps


class Gaussian(NamedTuple):
    """A Gaussian of any covariance, a singular one included; `gaussian` checks it.

    Attributes:
        mean: `(dim,)`.
        covariance: `(dim, dim)`.
    """

    mean: np.ndarray
    covariance: np.ndarray


def gaussian(mean, covariance):
    """Returns a `Gaussian`, in float64.

    Args:
        mean: `(dim,)`, or a number.
        covariance: `(dim, dim)`, `(dim,)` for a diagonal one, or a number.

    Raises:
        ValueError: If the shapes do not match or the covariance is not symmetric and
            positive semi-definite.
    """
    mean = np.atleast_1d(np.asarray(mean, np.float64))
    covariance = np.atleast_1d(np.asarray(covariance, np.float64))
    covariance = np.diag(covariance) if covariance.ndim == 1 else covariance
    if mean.ndim != 1 or covariance.shape != 2 * mean.shape:
        raise ValueError(
            "A Gaussian has a `(dim,)` mean and a `(dim, dim)` covariance. Received: "
            f"shapes {mean.shape} and {covariance.shape}."
        )
    finite = np.isfinite(mean).all() and np.isfinite(covariance).all()
    if not finite or not np.allclose(covariance, covariance.T):
        raise ValueError(
            f"A covariance is symmetric, and all is finite. Received: {covariance}."
        )
    values = linalg.eigvalsh(covariance)
    if values[0] < -1e-9 * max(values[-1], 0.0):
        raise ValueError(
            "A covariance has no negative eigenvalue. Received one with "
            f"{values[0]:.3g}."
        )
    return Gaussian(mean, covariance)


def same_dimension(p, q):
    """Checks that two Gaussians are of the same dimension."""
    if len(p.mean) != len(q.mean):
        raise ValueError(
            "Two Gaussians must be of the same dimension. Received: "
            f"{len(p.mean)} and {len(q.mean)}."
        )


def one_dimension(p, what):
    """Checks that a Gaussian is of one dimension, where a formula needs it."""
    if len(p.mean) != 1:
        raise ValueError(
            f"The {what} of Gaussians has a formula in one dimension or with equal "
            f"covariances. Received: {len(p.mean)} dimensions, two covariances. "
            "Estimate it from samples."
        )


def range_of(covariance):
    """Returns the eigenvalues that are not rounding, `(rank,)`, and their vectors."""
    values, vectors = linalg.eigh(covariance, lower=True, check_finite=False)
    # Below this a value is rounding; its square root would be a visible error.
    kept = values > len(values) * EPSILON * max(values[-1], 0.0)
    return values[kept], vectors[:, kept]


def covariance_root(covariance):
    """Returns `R`, `(rank, dim)`, with `R'R` the covariance; its lower triangle counts.

    Args:
        covariance: `(dim, dim)`, symmetric, positive semi-definite.
    """
    values, vectors = range_of(covariance)
    return np.sqrt(values)[:, None] * vectors.T  # (rank, dim)


def trace_of_root(p_root, q_root):
    """Returns the trace of the square root of the product of two covariances.

    With `P = R'R` and `Q = S'S` it is the sum of the singular values of `RS'`: exact
    for singular covariances, and never complex.

    Args:
        p_root: `(rank, dim)`, of `covariance_root`, or centred rows of samples.
        q_root: `(other_rank, dim)`.
    """
    product = p_root @ q_root.T  # (rank, other_rank)
    return float(linalg.svdvals(product).sum()) if product.size else 0.0
