"""The Inception Score: how sure a classifier is of each image, and how varied overall.

Any classifier will do, but the number then says what that classifier knows; name it.
"""

import numpy as np
from scipy import special

from zoo.metrics import checks

LOG_OF_ZERO = np.float32(-1e30)


def inception_score(logits, splits=10, seed=None):
    """Exponential of the mean KL divergence from the marginal to each prediction.

    It looks at fakes only, so that it cannot tell a model that memorised the training
    set, and rewards one confident image per class.

    Args:
        logits: `(count, classes)` before the softmax, of fake images. Probabilities
            go in as their logarithm, that of 0 as well.
        splits: Parts to score one by one, contiguous and equal to within one row.
        seed: Shuffles by `RandomState(seed)` first, if given: needed where images
            come sorted by class. torch-fidelity shuffles with 2020.

    Returns:
        `(mean, std)` over the splits, floats from 1 to `classes`.

    Raises:
        ValueError: If there are fewer rows than splits, or a logit is NaN, infinite,
            or minus infinity for all classes of a sample.

    Source:
        Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 4.

    Example:
        Two classes, each predicted for certain and equally often: a score of 2.

        >>> inception_score([[900.0, 0.0], [0.0, 900.0]], splits=1)
        (2.0, 0.0)
    """
    checks.positive(splits=splits)
    logits = np.asarray(logits)
    if logits.dtype.kind == "f" and logits.ndim == 2:
        nothing = np.isneginf(logits)  # the logarithm of a probability of 0
        certain = nothing.any(axis=1) & ~nothing.all(axis=1)
        # As good as that, and a number: its share of a sum is 0 all the same.
        logits = np.where(nothing & certain[:, None], LOG_OF_ZERO, logits)
    logits = checks.features(logits, "logits", minimum=splits).astype(np.float64)
    if seed is not None:
        logits = logits[np.random.RandomState(seed).permutation(len(logits))]
    edges = np.arange(splits + 1) * len(logits) // splits
    scores = np.array(
        [_score(logits[i:j]) for i, j in zip(edges[:-1], edges[1:], strict=True)]
    )
    return float(scores.mean()), float(scores.std())


def _score(logits):
    log_p = special.log_softmax(logits, axis=1)  # (count, classes)
    p = np.exp(log_p)
    marginal = p.mean(axis=0)  # (classes,): what is predicted over all samples
    # The mean KL is the entropy of the mean less the mean entropy; xlogy(0, 0) is 0.
    mean_kl = (p * log_p).sum(axis=1).mean() - special.xlogy(marginal, marginal).sum()
    return np.exp(mean_kl)
