"""What the codes of a variational autoencoder carry.

Functions of arrays: the posterior of each image, a code sampled from it, and the
prior's log-density there.
"""

import numpy as np
from scipy.special import logsumexp

LOG_2PI = np.log(2.0 * np.pi)


def kl_decomposition(mean, log_variance, codes, log_prior, *, dataset_size=None):
    """Splits the average KL divergence from the prior into what it pays for.

    `KL(q(z|x) || p(z))`, averaged over images, is the mutual information of image and
    code plus the divergence of the average posterior from the prior. The second part
    is what makes samples from the prior bad; the first is what codes are for.

    The information found saturates at the log of the number of images averaged over,
    as no more can be told apart: 7.6 nats for 2,000.

    Args:
        mean: `(count, latent_dim)` of the posteriors.
        log_variance: `(count, latent_dim)`, natural log.
        codes: `(count, latent_dim)`, one sample of each posterior.
        log_prior: `(count,)`, the prior's log-density at `codes`, nats.
        dataset_size: If the rows are a minibatch of a larger set, its size: the
            average posterior is then estimated by minibatch-stratified sampling.
            `None` averages over the rows themselves.

    Returns:
        Dict of floats, nats: `mutual_information` and `marginal_kl`, which add up to
        `kl`; and `total_correlation`, the share of `marginal_kl` that is dependence
        between the entries of a code.

    Raises:
        ValueError: If the shapes do not match or `dataset_size` is below the count.

    Source:
        Hoffman & Johnson 2016, "ELBO surgery", section 2; Chen et al. 2018,
        https://arxiv.org/abs/1802.04942, section 3 and appendix C.2.
    """
    mean, log_variance, codes, log_prior = (
        np.asarray(a, "float64") for a in (mean, log_variance, codes, log_prior)
    )
    count = len(mean)
    if not mean.shape == log_variance.shape == codes.shape or log_prior.shape != (
        count,
    ):
        raise ValueError(
            "Expected three (count, latent_dim) arrays and one (count,), received "
            f"{mean.shape}, {log_variance.shape}, {codes.shape} and {log_prior.shape}."
        )
    log_weights = _log_weights(count, dataset_size)

    posterior, average, factorised = np.empty((3, count))
    for row in range(count):
        # Log-density of this code under each posterior, entry by entry:
        # (count, latent_dim)
        terms = -0.5 * (
            np.square(codes[row] - mean) * np.exp(-log_variance)
            + log_variance
            + LOG_2PI
        )
        weights = np.roll(log_weights, row)  # (count,), the own posterior's first
        joint = terms.sum(axis=1)  # (count,): of whole codes
        posterior[row] = joint[row]  # log q(z|x)
        average[row] = logsumexp(joint + weights)  # log q(z)
        # log of the product of q(z_j): entries averaged one by one, then multiplied
        factorised[row] = logsumexp(terms + weights[:, None], axis=0).sum()
    return {
        "kl": float(np.mean(posterior - log_prior)),
        "mutual_information": float(np.mean(posterior - average)),
        "marginal_kl": float(np.mean(average - log_prior)),
        "total_correlation": float(np.mean(average - factorised)),
    }


def _log_weights(count, dataset_size):
    """Returns the log weight of each posterior in the average, own one first."""
    if dataset_size is None:
        return np.full(count, -np.log(count))
    if dataset_size < count or count < 3:
        raise ValueError(
            "Stratified sampling takes a minibatch of 3 rows or more and no more than "
            f"`dataset_size`. Received {count} rows, dataset_size={dataset_size}."
        )
    others = count - 1
    weights = np.full(count, 1.0 / others)
    weights[0] = 1.0 / dataset_size
    # Stands for all the images that are not in the minibatch; 0 when none is missing.
    weights[1] = max(dataset_size - others, 0) / (dataset_size * others)
    return np.log(weights)


def active_units(mean, threshold=0.01):
    """Counts the entries of a code that depend on the image at all.

    Args:
        mean: `(count, latent_dim)`, posterior means of as many images.
        threshold: Smallest variance over images that counts as active.

    Returns:
        An int from 0 to `latent_dim`; what is missing has collapsed to the prior.

    Source:
        Burda et al. 2016, https://arxiv.org/abs/1509.00519, section 5.2.
    """
    return int(np.sum(np.var(np.asarray(mean, "float64"), axis=0) > threshold))
