"""Metrics of two sets of features by name, each with its counts and intervals."""

import numpy as np

from zoo.metrics.diversity import diversity
from zoo.metrics.extractors import Outputs
from zoo.metrics.frechet import frechet_distance, frechet_distance_infinity
from zoo.metrics.inception_score import inception_score
from zoo.metrics.intervals import confidence_interval
from zoo.metrics.kernel import kernel_distance
from zoo.metrics.manifold import prdc
from zoo.metrics.modes import compare_classes, mode_coverage
from zoo.metrics.prd import prd_curve, prd_f_scores
from zoo.metrics.wasserstein import sliced_wasserstein


def _fid(real, fake):
    return {"fid": {"value": frechet_distance(real.features, fake.features)}}


def _fid_infinity(real, fake):
    value = frechet_distance_infinity(real.features, fake.features)
    return {"fid_infinity": {"value": value}}


def _kid(real, fake):
    size = min(1000, len(real.features), len(fake.features))
    mean, std = kernel_distance(real.features, fake.features, subset_size=size)
    return {"kid": {"value": mean, "std": std, "subset_size": size}}


def _inception_score(real, fake):
    splits = min(10, len(fake.features))
    mean, std = inception_score(_logits(fake), splits, seed=0)
    of_real, _ = inception_score(_logits(real), min(10, len(real.features)), seed=0)
    return {"inception_score": {"value": mean, "std": std, "of_real": of_real}}


def _prdc(real, fake):
    values = prdc(real.features, fake.features, k=5)
    return {name: {"value": value, "k": 5} for name, value in values.items()}


def _prd(real, fake):
    precision, recall = prd_curve(real.features, fake.features)
    f8, f1_8 = prd_f_scores(precision, recall)
    points = zip(recall[::10], precision[::10], strict=True)
    curve = [[round(float(r), 4), round(float(p), 4)] for r, p in points]
    return {"prd_f8": {"value": f8, "curve": curve}, "prd_f1_8": {"value": f1_8}}


def _swd(real, fake):
    return {"swd": {"value": sliced_wasserstein(real.features, fake.features)}}


def _diversity(real, fake):
    value = {
        "value": diversity(fake.features),
        "of_real": diversity(real.features),
    }
    return {"diversity": value}


def _modes(real, fake):
    of_real, of_fake = _logits(real), _logits(fake)
    found = compare_classes(of_real, of_fake)
    classes = of_fake.shape[1]
    seen = np.bincount(of_real.argmax(axis=1), minlength=classes)
    # A class that real images lack can still be generated: give it a share to lose.
    labels = of_fake.argmax(axis=1)
    reverse_kl = mode_coverage(labels, classes, np.maximum(seen, 0.5)).reverse_kl
    return {
        "modes": {
            "value": found.covered,
            "of": classes,
            "collapse": found.collapse,
            "missing": list(found.missing),
        },
        "reverse_kl": {"value": reverse_kl, "unit": "nats"},
    }


#: What can be asked for: each gives one result or several.
METRICS = {
    "fid": _fid,
    "fid_infinity": _fid_infinity,
    "kid": _kid,
    "is": _inception_score,
    "prdc": _prdc,
    "prd": _prd,
    "swd": _swd,
    "diversity": _diversity,
    "modes": _modes,
}


def measure(
    real, fake, extractor_name, metrics=("fid", "kid", "prdc", "prd"), resamples=0
):
    """Computes metrics of features already extracted.

    Args:
        real: `Outputs` of an extractor.
        fake: `Outputs` of the same.
        extractor_name: Its name.
        metrics: Keys of `METRICS`.
        resamples: Times to compute each metric again, of random halves of both sets,
            for a 95 % interval around it (`zoo.metrics.confidence_interval`): of what
            other samples of these counts would give, the bias of a Fréchet distance
            included. 100 are usual, and cost as much as 25 to 100 times the metric.

    Returns:
        `{metric_extractor: {"value": ..., "real": count, "fake": count, ...}}`, with
        `interval` if there are resamples, `std` (over subsets or splits) where there is
        one, `of_real` where the real set has a value of its own, and for PRD the
        `curve`.

    Raises:
        ValueError: If a metric is unknown, needs logits and there are none, or needs
            more samples.
    """
    check(metrics, resamples, min(len(real.features), len(fake.features)))
    results = {}
    counts = {"real": len(real.features), "fake": len(fake.features)}
    for metric in metrics:
        entries = METRICS[metric](real, fake)
        around = _intervals(METRICS[metric], real, fake, resamples) if resamples else {}
        for name, entry in entries.items():
            results[f"{name}_{extractor_name}"] = entry | around.get(name, {}) | counts
    return results


#: Samples of either set that a metric needs: `k + 1` neighbours, a sample a cluster.
LEAST = {"prdc": 6, "prd": 10}


def check(metrics, resamples, count=None):
    """Raises the `ValueError` of `measure`, before anything is computed.

    Args:
        metrics: As for `measure`.
        resamples: As for `measure`.
        count: Of the smaller set, if it is known.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ValueError(
            f"`metrics` are any of {', '.join(METRICS)}. Received: "
            f"{', '.join(unknown) or 'none'}."
        )
    if resamples != 0 and resamples < 2:
        raise ValueError(
            f"An interval takes 2 resamples or more, 100 as a rule. Received: "
            f"{resamples}."
        )
    halves = 2 if resamples else 1  # of which an interval is made
    for metric in metrics:
        if count is not None and count < LEAST.get(metric, 0) * halves:
            raise ValueError(
                f"{metric} needs {LEAST[metric] * halves} samples or more of each set"
                f"{', as an interval is made of halves' if resamples else ''}. Give "
                f"more, or leave it out of the metrics. Received: {count}."
            )


def _intervals(metric, real, fake, resamples):
    """Returns `{name: {"interval": [low, high]}}` of one of `METRICS`."""

    def values(*rows):
        halves = (
            Outputs(*(None if x is None else x[index] for x in outputs))
            for outputs, index in zip((real, fake), rows, strict=True)
        )
        return {name: entry["value"] for name, entry in metric(*halves).items()}

    rows = (np.arange(len(outputs.features)) for outputs in (real, fake))
    found = confidence_interval(values, *rows, resamples=resamples)
    return {name: {"interval": [i.low, i.high]} for name, i in found.items()}


def _logits(outputs):
    if outputs.logits is None:
        raise ValueError(
            "This metric needs a classifier: the extractor gives features but no "
            "logits. Leave `is` and `modes` out, or take another extractor."
        )
    return outputs.logits
