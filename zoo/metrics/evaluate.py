"""Two sets of images compared by every metric wanted, from one pass over each.

    classifier = zoo.presets.load("classifier_mnist")
    extractor = extractors.of_model(classifier, "classifier_mnist")
    compare(real, fake, extractor, ("fid", "kid", "prdc"), directory="report")

A result is named after metric and extractor, `fid_classifier_mnist`, and carries the
counts of images: neither number means anything without them.
"""

import hashlib
from pathlib import Path

import numpy as np

from zoo import pictures
from zoo.files import whole, write_json
from zoo.metrics.diversity import diversity
from zoo.metrics.extractors import Outputs
from zoo.metrics.frechet import frechet_distance, frechet_distance_infinity
from zoo.metrics.inception_score import inception_score
from zoo.metrics.intervals import confidence_interval
from zoo.metrics.kernel import kernel_distance
from zoo.metrics.manifold import prdc
from zoo.metrics.modes import mode_coverage
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
    logits = _logits(fake)
    classes = logits.shape[1]
    seen = np.bincount(_logits(real).argmax(axis=1), minlength=classes)
    # A class that real images lack can still be generated: give it a share to lose.
    modes = mode_coverage(logits.argmax(axis=1), classes, np.maximum(seen, 0.5))
    return {
        "modes": {
            "value": modes.covered,
            "of": classes,
            "collapse": modes.collapse,
            "missing": list(modes.missing),
        },
        "reverse_kl": {"value": modes.reverse_kl, "unit": "nats"},
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
            for a 95 % interval around it (`zoo.metrics.confidence_interval`); 100 are
            usual, and cost as much as 25 to 100 times the metric.

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


def compare(
    real,
    fake,
    extractor,
    metrics=("fid", "kid", "prdc", "prd"),
    *,
    resamples=0,
    value_range=None,
    cache=None,
    directory=None,
    progress=None,
    **facts,
):
    """Compares two sets of images by several metrics.

    Args:
        real: `(count, height, width, channels)`, uint8 or floats in [0, 1].
        fake: The same; counts and sizes may differ.
        extractor: A `zoo.metrics.extractors.Extractor`.
        metrics: Keys of `METRICS`.
        resamples: For an interval around each number, as for `measure`.
        value_range: `(low, high)` of black and white in both, if another.
        cache: Folder that keeps the features of `real` for the next comparison; they
            are found by the images, the extractor's weights and its preprocessing.
        directory: Where to write `report.json`, `prd.png` (if "prd" is asked for) and
            `neighbors.png`; `None` writes nothing.
        progress: Function of ("real" or "fake", images done, images in all).
        **facts: For the report, such as where the images came from.

    Returns:
        As `measure`.

    Raises:
        ValueError: As `measure` and `Extractor.extract`.
        TypeError: If the images' type implies no range.

    Example:
        The one feature is the brightness, which differs by 1/2.

        >>> from zoo.metrics.extractors import Extractor
        >>> extractor = Extractor("brightness", lambda images: images[:, 0, 0])
        >>> black, grey = np.zeros((9, 2, 2, 1)), np.full((9, 2, 2, 1), 0.5)
        >>> compare(black, grey, extractor, ("fid",))["fid_brightness"]["value"]
        0.25
    """
    real, fake = np.asarray(real), np.asarray(fake)
    check(metrics, resamples, min(len(real), len(fake)))

    def reporter(name):
        return (lambda *counts: progress(name, *counts)) if progress else None

    settings = {"value_range": value_range}
    found = {
        "real": cached(real, extractor, cache, progress=reporter("real"), **settings),
        "fake": extractor.extract(fake, progress=reporter("fake"), **settings),
    }
    both = found["real"], found["fake"]
    results = measure(*both, extractor.name, metrics, resamples)
    if directory is not None:
        directory = Path(directory)
        report = {
            **facts,
            "extractor": extractor.name,
            "weights": extractor.fingerprint,
            "preprocessing": extractor.preprocessing,
            "metrics": results,
        }
        write_json(directory / "report.json", report)
        features = (outputs.features for outputs in both)
        if "prd" in metrics:
            curve = results[f"prd_f8_{extractor.name}"]["curve"]
            write_prd(directory / "prd.png", curve)
        write_neighbors(directory / "neighbors.png", real, fake, *features, value_range)
    return results


def cached(images, extractor, folder, *, value_range=None, progress=None):
    """Returns what an extractor finds in images, from a file if it was there before.

    Args:
        images: As for `Extractor.extract`, an array.
        extractor: An `Extractor`.
        folder: Of the files; `None` always extracts.
        value_range: As for `Extractor.extract`.
        progress: As for `Extractor.extract`.
    """
    if folder is None:
        return extractor.extract(images, value_range=value_range, progress=progress)
    key = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    for part in (images.shape, images.dtype, value_range, extractor.preprocessing):
        key.update(str(part).encode())
    key.update(extractor.fingerprint.encode())
    path = Path(folder) / f"{extractor.name}-{key.hexdigest()[:20]}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as saved:
            return Outputs(saved["features"], saved.get("logits"))
    outputs = extractor.extract(images, value_range=value_range, progress=progress)
    arrays = {k: v for k, v in outputs._asdict().items() if v is not None}
    with whole(path) as beside:
        np.savez(beside, **arrays)
    return outputs


# -------------------------------------------------------------------- pictures


def write_prd(path, curve):
    """Draws a list of (recall, precision), as `measure` returns it, as a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot(
        xlabel="recall (of the real images)",
        ylabel="precision (of the fakes)",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        aspect="equal",
    )
    axes.plot(*zip(*curve, strict=True))
    axes.grid(alpha=0.3)
    with whole(path) as beside:
        figure.savefig(beside)


def write_neighbors(
    path, real, fake, real_features, fake_features, value_range=None, rows=10, k=5
):
    """Draws fakes, each followed by the real images nearest to it in feature space.

    A fake that looks the same as its first neighbour was memorised.

    Args:
        path: Of the PNG file.
        real: Images, as for `compare`.
        fake: Images; the first `rows` are shown.
        real_features: `(count, features)` of `real`.
        fake_features: `(count, features)` of `fake`.
        value_range: As for `compare`.
        rows: Number of fakes.
        k: Neighbours of each.
    """
    rows, k = min(rows, len(fake)), min(k, len(real))
    sheet = []
    for index in range(rows):
        gaps = real_features - fake_features[index]
        nearest = np.argsort(np.einsum("ij,ij->i", gaps, gaps), kind="stable")[:k]
        sheet += [fake[index], *real[nearest]]
    pictures.write_grid(path, _alike(sheet, fake.shape[1:], value_range), k + 1)


def _alike(images, shape, value_range):
    """Returns images of any sizes and channels as one array in [0, 1]."""
    import tensorflow as tf

    from zoo.metrics import checks

    height, width, channels = shape
    channels = max(channels, *(image.shape[-1] for image in images))
    out = []
    for image in images:
        image = checks.images(image, value_range).astype(np.float32)
        if image.shape[:2] != (height, width):
            image = tf.image.resize(image, (height, width), antialias=True).numpy()
        out.append(np.broadcast_to(image, (height, width, channels)))
    return np.stack(out)


def _logits(outputs):
    if outputs.logits is None:
        raise ValueError(
            "This metric needs a classifier: the extractor gives features but no "
            "logits. Leave `is` and `modes` out, or take another extractor."
        )
    return outputs.logits
