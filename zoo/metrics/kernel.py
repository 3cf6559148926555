"""The kernel distance: squared maximum mean discrepancy with a cubic kernel.

With Inception v3 pool features this is the KID (Bińkowski et al. 2018,
https://arxiv.org/abs/1801.01401). Its estimator is unbiased, so that, unlike the
Fréchet distance, values of different counts can be compared.
"""

import numpy as np

from zoo.metrics import checks


def kernel_distance(real, fake, subsets=100, subset_size=1000, seed=0):
    """Mean and spread of the unbiased kernel distance over random subsets.

    The protocol is the usual one: `subsets` times `subset_size` rows without
    replacement from each set by NumPy's `RandomState(seed)`, real before fake. The
    spread is that of one subset, not the error of the mean.

    Args:
        real: `(count, features)` array.
        fake: `(other_count, features)` array.
        subsets: How many.
        subset_size: Rows of each, at most the smaller count.
        seed: Of the subsets.

    Returns:
        `(mean, std)`, floats; the mean may be slightly negative. No unit: the kernel
        divides by the number of features. KID is often printed times 1000.

    Raises:
        ValueError: If a set is smaller than `subset_size` or not finite, or if the
            numbers of features differ.

    Source:
        Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401, section 4.
    """
    real, fake = checks.pair(real, fake, minimum=2)
    checks.positive(subsets=subsets, subset_size=subset_size)
    if not 2 <= subset_size <= min(len(real), len(fake)):
        raise ValueError(
            "`subset_size` must be at least 2 and at most the smaller set. Received: "
            f"subset_size={subset_size} for {len(real)} real and {len(fake)} fake."
        )
    rng = np.random.RandomState(seed)
    values = np.empty(subsets)
    for index in range(subsets):
        a = real[rng.choice(len(real), subset_size, replace=False)]
        b = fake[rng.choice(len(fake), subset_size, replace=False)]
        values[index] = _unbiased(a, b)
    return float(values.mean()), float(values.std())


def kernel_distance_unbiased(real, fake):
    """Unbiased squared maximum mean discrepancy between all of two sets.

    The kernel is `(x . y / features + 1)^3`. Symmetric in its arguments. Memory is
    constant beyond the features; time grows with the product of the counts: two sets
    of 50,000 x 2048 are 20 Tflop.

    Args:
        real: `(count, features)` array.
        fake: `(other_count, features)` array.

    Returns:
        A float, 0 on average for equal distributions and so sometimes negative.

    Raises:
        ValueError: If a set has fewer than two samples or is not finite, or if the
            numbers of features differ.

    Source:
        Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, equation 3.

    Example:
        k(0,0) = 1, k(0,1) = 1, k(1,1) = 8: 1 + 8 - 2 * 1 = 7.

        >>> kernel_distance_unbiased([[0.0], [0.0]], [[1.0], [1.0]])
        7.0
    """
    return _unbiased(*checks.pair(real, fake, minimum=2))


def _unbiased(real, fake):
    m, n = len(real), len(fake)
    within_real = _sum_of_others(real) / (m * (m - 1))
    within_fake = _sum_of_others(fake) / (n * (n - 1))
    return within_real + within_fake - 2.0 * _sum(real, fake) / (m * n)


def _sum(a, b):
    """Sums the kernel over all pairs, a block at a time."""
    return sum(_block_sum(x, y) for x in _blocks(a) for y in _blocks(b))


def _sum_of_others(a):
    """Sums the kernel over all pairs of two different rows, each computed once."""
    total = 0.0
    for i, x in enumerate(_blocks(a)):
        norms = np.einsum("ij,ij->i", x, x)
        total += _block_sum(x, x) - _cubes(norms / x.shape[1] + 1.0)
        total += 2.0 * sum(_block_sum(x, y) for y in _blocks(a, i + 1))
    return total


def _blocks(a, first=0):
    """Yields blocks of rows as float64."""
    for start in range(first * checks.BLOCK, len(a), checks.BLOCK):
        yield a[start : start + checks.BLOCK].astype(np.float64, copy=False)


def _block_sum(x, y):
    gram = x @ y.T  # NumPy computes only one triangle if y is x
    gram /= x.shape[1]
    gram += 1.0
    return _cubes(gram)


def _cubes(values):
    """Sum of cubes, as one dot product: `values ** 3` alone costs a product more."""
    return float(np.dot((values * values).ravel(), values.ravel()))
