"""Precision and recall of distributions, as a curve.

Both sets are clustered together; the histograms over the clusters are two discrete
distributions P (real) and Q (fake). For each trade-off `slope` the curve has

    precision = sum(min(slope * P, Q))        recall = precision / slope

which is how much of Q can be explained by P, and of P by Q.
"""

import numpy as np

from zoo.metrics import checks


def prd_curve(real, fake, clusters=20, angles=1001, runs=10, seed=0):
    """Precision-recall curve of two sets of features.

    Swapping the arguments swaps precision and recall, up to the clustering.

    Args:
        real: `(count, features)` array.
        fake: `(other_count, features)` array. Unequal counts are allowed, but the
            larger set then has more say in where the clusters lie.
        clusters: Of k-means, on both sets together.
        angles: Points of the curve.
        runs: Clusterings to average the curve over.
        seed: Of the clusterings.

    Returns:
        `(precision, recall)`, each `(angles,)` from 0 to 1. Along the curve the slope
        goes from 0 to infinity: precision rises, recall falls.

    Raises:
        ValueError: If both sets together have fewer samples than `clusters`, a set is
            not finite, or the numbers of features differ.

    Source:
        Sajjadi et al. 2018, https://arxiv.org/abs/1806.00035, section 3.3 and
        algorithm 1.
    """
    from sklearn.cluster import MiniBatchKMeans

    real, fake = checks.pair(real, fake)
    checks.positive(clusters=clusters, runs=runs)
    if len(real) + len(fake) < clusters:
        raise ValueError(
            f"{clusters} clusters need as many samples. Received: {len(real)} real and "
            f"{len(fake)} fake."
        )
    both = np.concatenate([real, fake])  # clustered together, or bins would differ
    curves = []
    for run in range(runs):
        kmeans = MiniBatchKMeans(clusters, n_init=10, random_state=seed + run)
        labels = kmeans.fit_predict(both)
        histograms = [
            np.bincount(part, minlength=clusters)
            for part in (labels[: len(real)], labels[len(real) :])
        ]
        curves.append(prd_of_histograms(*histograms, angles=angles))
    return tuple(np.mean(curves, axis=0))


def prd_of_histograms(real, fake, angles=1001):
    """Precision-recall curve of two discrete distributions.

    Args:
        real: `(bins,)` counts or probabilities.
        fake: `(bins,)` of the same bins.
        angles: Points of the curve, equally spaced in the angle of the slope.

    Returns:
        `(precision, recall)`, as `prd_curve`.

    Raises:
        ValueError: If the shapes differ, or a histogram is empty or negative.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.ndim != 1 or real.shape != fake.shape:
        raise ValueError(
            "`real` and `fake` must be histograms over the same bins. Received: "
            f"shapes {real.shape} and {fake.shape}."
        )
    for name, histogram in (("real", real), ("fake", fake)):
        if not (histogram.min() >= 0 and 0 < histogram.sum() < np.inf):
            raise ValueError(
                f"`{name}` must hold counts of 0 or more that are not all 0. "
                f"Received: {histogram}."
            )
    if angles < 3:
        raise ValueError(f"`angles` must be 3 or more. Received: {angles}.")
    real, fake = real / real.sum(), fake / fake.sum()
    # Evenly spaced in the angle, as precision and recall matter alike: (angles,)
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, angles))
    precision = np.minimum(slopes[:, None] * real, fake).sum(axis=1)
    return precision.clip(0.0, 1.0), (precision / slopes).clip(0.0, 1.0)


def prd_f_scores(precision, recall, beta=8):
    """Largest F_beta and F_1/beta on a curve.

    Args:
        precision: `(angles,)`.
        recall: `(angles,)`.
        beta: How many times as much recall weighs as precision.

    Returns:
        `(F_beta, F_1/beta)`, floats from 0 to 1: the first is near 1 if all of the
        real distribution is covered, the second if all fakes are good.

    Source:
        Sajjadi et al. 2018, https://arxiv.org/abs/1806.00035, section 4.
    """
    precision, recall = np.asarray(precision), np.asarray(recall)

    def largest(beta):
        weighted = beta**2 * precision + recall
        product = (1 + beta**2) * precision * recall
        return float(np.max(product / np.where(weighted > 0, weighted, 1.0)))

    return largest(beta), largest(1.0 / beta)
