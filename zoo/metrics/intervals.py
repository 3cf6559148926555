"""Confidence intervals for any metric that is a function of sample arrays."""

from typing import NamedTuple

import numpy as np

from zoo.metrics import checks


class Interval(NamedTuple):
    """A metric's value on all samples, and the interval around it."""

    value: float
    low: float
    high: float


def confidence_interval(
    metric, *samples, level=0.95, resamples=100, replace=False, seed=0
):
    """Interval that covers the sampling error of a metric.

    By default every resample is a random half of each array, without replacement (a
    delete-half jackknife). The spread among halves equals, to first order, that of
    fresh samples of full size, and a half repeats no sample. The classical bootstrap
    (`replace=True`) does, and repeats ruin metrics that look at neighbours or at pairs:
    every repeated sample has a neighbour at 0, and a kernel distance gains a bias.

    What it contains is the mean of the metric over fresh samples of these counts. For
    an unbiased metric, such as the kernel distance, that is the value of endless
    samples. For the Fréchet distance it is not: of 500 samples of 64 features it lies
    far above, and so does the whole interval. There, compare intervals of equal counts.

    Args:
        metric: Function of as many arrays, returning a float, a tuple of floats of
            which the first is meant, or a dict of floats.
        *samples: Arrays whose rows are the samples, each resampled on its own: real
            and fake, or logits alone. Where a sample is spread over several arrays,
            give its index: `np.arange(count)`.
        level: Share of intervals that contain the metric's mean over fresh samples of
            as many rows.
        resamples: Times to evaluate the metric; 100 give an end point of the interval
            to about a tenth of its length.
        replace: Whether to take full-size samples with replacement instead.
        seed: Of the resamples.

    Returns:
        An `Interval` of floats; of a dict, a dict of them.

    Raises:
        ValueError: If there are no samples or too few, or an argument is out of range.

    Source:
        Efron & Tibshirani 1993, "An Introduction to the Bootstrap", sections 8.4 and
        13.4; Politis & Romano 1994, https://doi.org/10.1214/aos/1176325770 (halves).

    Example:
        >>> confidence_interval(np.mean, np.arange(100.0), seed=1).value
        49.5
    """
    samples = [np.asarray(array) for array in samples]
    if not samples or min(len(array) for array in samples) < 4:
        raise ValueError(
            "Resampling needs arrays of 4 rows or more. Received: shapes "
            f"{[array.shape for array in samples]}."
        )
    checks.positive(resamples=resamples)
    if not 0 < level < 1 or resamples < 2:
        raise ValueError(
            "`level` must lie between 0 and 1 and `resamples` be 2 or more. Received: "
            f"level={level}, resamples={resamples}."
        )

    def evaluate(*arrays):
        value = metric(*arrays)
        if isinstance(value, tuple):
            value = value[0]
        return value if isinstance(value, dict) else {None: value}

    rng = np.random.default_rng(seed)

    def resample(array):
        if replace:
            return array[rng.integers(len(array), size=len(array))]
        return array[rng.permutation(len(array))[: len(array) // 2]]

    values = evaluate(*samples)
    again = [evaluate(*map(resample, samples)) for _ in range(resamples)]
    intervals = {}
    for name, value in values.items():
        # Only the spread of the resamples is used: their mean has the bias of halves.
        error = np.array([one[name] for one in again], np.float64)
        error -= error.mean()
        upper, lower = np.quantile(error, [(1 + level) / 2, (1 - level) / 2])
        intervals[name] = Interval(*map(float, (value, value - upper, value - lower)))
    return intervals.get(None, intervals)
