"""Mode collapse, seen by a classifier: which classes a generator makes, how often."""

from typing import NamedTuple

import numpy as np

from zoo.metrics import checks


class Modes(NamedTuple):
    """What `mode_coverage` found.

    Attributes:
        covered: Number of classes that were generated.
        coverage: `covered / classes`, from 0 to 1.
        reverse_kl: `KL(generated || expected)` of the class frequencies, in nats; 0
            if they agree, at most the log of `classes` if those are expected equal.
        collapse: "complete" if all samples are of one class, "partial" if some class
            is missing, else "none".
        missing: The classes that were not generated.
    """

    covered: int
    coverage: float
    reverse_kl: float
    collapse: str
    missing: tuple


def mode_coverage(labels, classes, expected=None, minimum=1):
    """Counts the classes among generated samples, and names a collapse.

    Args:
        labels: `(count,)` integers from 0: the classes that a classifier sees in the
            fakes.
        classes: Number of classes there are.
        expected: `(classes,)` counts or frequencies in the real data, all above 0; by
            default equal.
        minimum: Samples from which on a class counts as covered.

    Returns:
        A `Modes`.

    Raises:
        ValueError: If labels are not integers in range, are none, or `expected` does
            not fit.

    Source:
        Lin et al. 2018 (PacGAN), https://arxiv.org/abs/1712.04086, section 4.1.

    Example:
        Classes 0 and 1 of four, equally often: log(4 / 2) nats from uniform.

        >>> modes = mode_coverage([0, 1, 0, 1], classes=4)
        >>> modes.covered, modes.collapse, round(modes.reverse_kl, 4)
        (2, 'partial', 0.6931)
    """
    checks.positive(classes=classes, minimum=minimum)
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) == 0 or labels.dtype.kind not in "iu":
        raise ValueError(
            "`labels` must be one integer per sample; of logits take the argmax. "
            f"Received: shape {labels.shape}, dtype {labels.dtype}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"`labels` must lie from 0 to {classes - 1} for classes={classes}. "
            f"Received: values from {labels.min()} to {labels.max()}."
        )
    expected = np.ones(classes) if expected is None else np.asarray(expected, float)
    if expected.shape != (classes,) or not (expected > 0).all():
        raise ValueError(
            f"`expected` must hold {classes} frequencies above 0. Received: {expected}."
        )
    counts = np.bincount(labels, minlength=classes)
    seen = counts > 0
    p, q = expected / expected.sum(), counts / counts.sum()
    reverse_kl = float((q[seen] * np.log(q[seen] / p[seen])).sum())
    covered = int((counts >= minimum).sum())
    if covered == classes:
        collapse = "none"
    else:
        collapse = "complete" if seen.sum() == 1 else "partial"
    return Modes(
        covered=covered,
        coverage=covered / classes,
        reverse_kl=max(0.0, reverse_kl),
        collapse=collapse,
        missing=tuple(np.flatnonzero(counts < minimum).tolist()),
    )
