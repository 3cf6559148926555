"""Mode collapse, seen by a classifier: which classes a generator makes, how often.

mode_coverage     counts labels, and takes each at its word
compare_classes   judges fakes beside real samples, as the same classifier reads them
"""

from typing import NamedTuple

import numpy as np
from scipy import special, stats

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


#: A class is missing below this share of its frequency among real samples. A left-out
#: class keeps a tenth or so: samples of others that the classifier misreads.
MISSING = 0.25
#: A class is one of the data from this share of an equal frequency on; below it, real
#: samples read as that class may all be misread ones.
PRESENT = 0.2
#: All samples are of one class from this share on, two thirds make a class dominate.
ALL, DOMINANT = 0.95, 2 / 3
#: Fakes fall into too few classes below this share of the real ones' effective number.
UNEVEN = 2 / 3
#: How often chance may pass for a missing class, over all classes together.
LEVEL = 0.01


class Classes(NamedTuple):
    """What `compare_classes` found.

    Attributes:
        covered: Number of classes that were generated, beyond what misreading gives.
        collapse: "complete" if all samples are of one class and real ones are not;
            "partial" if a class is missing or dominates, or the classes are far less
            even than among real samples; else "none".
        missing: The classes of the data that were not generated.
        largest: The class that most fakes are of.
        real_share: Its share of the real samples.
        fake_share: Its share of the fakes.
        real_effective: `exp(entropy)` of the real classes: as many equally frequent
            ones would be as uneven.
        fake_effective: The same of the fakes.
        entropy: Of the fakes' classes as they are read, nats.
        counts: `(classes,)`, fakes read as each.
    """

    covered: int
    collapse: str
    missing: tuple
    largest: int
    real_share: float
    fake_share: float
    real_effective: float
    fake_effective: float
    entropy: float
    counts: np.ndarray


def compare_classes(real, fake):
    """Compares the classes of fakes with those of real samples, by one classifier.

    A classifier errs, and that decides here: a class that is never generated is still
    read now and then, and of fakes that are all of one class some are read as another.
    So frequencies are judged against those that the same classifier finds among real
    samples, as far as chance allows. How much of the fakes one class makes up is
    estimated from the probabilities, which know what is often mistaken for what.

    Real samples compared with themselves show no collapse, whatever they are.

    Args:
        real: `(count, classes)` logits of real samples.
        fake: `(other_count, classes)` logits of fakes.

    Returns:
        A `Classes`.

    Raises:
        ValueError: If there are no samples, a logit is not finite, or the numbers of
            classes differ.

    Source:
        Saerens, Latinne & Decaestecker 2002,
        https://doi.org/10.1162/089976602753284446, section 2.2, for the shares.

    Example:
        Of four classes only the first two, each for certain.

        >>> real, fake = 9.0 * np.eye(4)[np.arange(400) % 4], 9.0 * np.eye(4)[:2]
        >>> found = compare_classes(real, np.repeat(fake, 200, axis=0))
        >>> found.covered, found.collapse, found.missing
        (2, 'partial', (2, 3))
    """
    real, fake = checks.pair(real, fake)
    classes = real.shape[1]
    counts = [np.bincount(x.argmax(axis=1), minlength=classes) for x in (real, fake)]
    p, q = (count / count.sum() for count in counts)  # (classes,) as they are read
    present = p >= PRESENT / classes
    rare = q < MISSING * np.maximum(p, PRESENT / classes)
    missing = [
        index
        for index in np.flatnonzero(present & rare)
        if _fewer(counts, index) < LEVEL / classes
    ]
    effective = [np.exp(_entropy(count, corrected=True)) for count in counts]

    real_shares, fake_shares = shares(real, fake)  # (classes,) as they are
    largest = int(fake_shares.argmax())
    others = 1.0 - np.array([real_shares[largest], fake_shares[largest]])
    of_two = [  # the largest class and all others, as counts
        np.rint(len(x) * np.array([other, 1.0 - other]))
        for x, other in zip((real, fake), others, strict=True)
    ]
    gone = others[1] < MISSING * others[0] and _fewer(of_two, 0) < LEVEL
    if fake_shares[largest] >= ALL and gone:
        collapse = "complete"
    elif missing or effective[1] < UNEVEN * effective[0]:
        collapse = "partial"
    else:
        collapse = "none"
    return Classes(
        covered=int((~rare & (counts[1] > 0)).sum()),
        collapse=collapse,
        missing=tuple(int(index) for index in missing),
        largest=largest,
        real_share=float(real_shares[largest]),
        fake_share=float(fake_shares[largest]),
        real_effective=float(effective[0]),
        fake_effective=float(effective[1]),
        entropy=_entropy(counts[1]),
        counts=counts[1],
    )


def shares(real, fake, iterations=100):
    """Estimates class frequencies from probabilities rather than from decisions.

    A shirt that is taken for a T-shirt has some probability of being a shirt. Real
    samples say how often that is so, and those frequencies are found under which the
    fakes' probabilities are likeliest (expectation maximization). Where fakes are the
    real samples themselves, so are the frequencies.

    Args:
        real: `(count, classes)` logits.
        fake: `(other_count, classes)` logits.
        iterations: At most.

    Returns:
        `(real_shares, fake_shares)`, each `(classes,)` with a sum of 1.
    """
    real, fake = (special.softmax(x.astype(np.float64), axis=1) for x in (real, fake))
    prior = real.mean(axis=0).clip(min=1e-12)  # (classes,)
    evidence = fake / prior  # (other_count, classes): what a fake says beyond that
    found = prior
    for _ in range(iterations):
        weights = evidence * found
        weights /= weights.sum(axis=1, keepdims=True)
        before, found = found, weights.mean(axis=0)
        if np.abs(found - before).max() < 1e-4:
            break
    return prior / prior.sum(), found


def _fewer(counts, index):
    """Returns how likely chance alone puts so few fakes into a class.

    Of real and fake samples of that class together, as many are fakes as in a random
    choice from all samples: Fisher's exact test, one-sided.
    """
    real, fake = counts
    of_class = int(real[index] + fake[index])
    total, fakes = int(real.sum() + fake.sum()), int(fake.sum())
    return stats.hypergeom.cdf(int(fake[index]), total, of_class, fakes)


def _entropy(counts, corrected=False):
    """Returns the entropy of frequencies, nats; corrected for their finite number."""
    seen = counts[counts > 0]
    frequencies = seen / seen.sum()
    entropy = abs(float((frequencies * np.log(frequencies)).sum()))  # of one class 0
    # A sample of few leaves classes out by chance (Miller 1955, "Note on the bias").
    return entropy + (len(seen) - 1) / (2 * seen.sum()) if corrected else entropy
