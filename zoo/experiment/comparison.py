"""Two sets of images compared by every metric wanted, from one pass over each.

    classifier = zoo.deploy.presets.load("classifier_mnist")
    extractor = extractors.of_model(classifier, "classifier_mnist")
    compare(real, fake, extractor, ("fid", "kid", "prdc"), directory="report")

A result is named after metric and extractor, `fid_classifier_mnist`, and carries the
counts of images: neither number means anything without them.
"""

from pathlib import Path

import numpy as np

from zoo.experiment import pictures
from zoo.metrics.extractors import cached
from zoo.metrics.suite import check, measure
from zoo.system import whole, write_json


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


# -------------------------------------------------------------------- pictures


def write_prd(path, curve):
    """Plots a list of (recall, precision), as `measure` returns it, as a PNG file."""
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
    """Shows fakes, each followed by the real images nearest to it in feature space.

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
    pictures.write_grid(path, pictures.alike(sheet, fake.shape[1:], value_range), k + 1)
