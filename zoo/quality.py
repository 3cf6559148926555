"""How good a generative model's samples are, by the classifier of its data.

    results = negative_elbo_and_such | quality.measure(model, test, "fashion_mnist")

A loss compares a model with others of its kind; these numbers compare any two models of
one data set, so each recipe of a model that has `sample(count, seed=...)` adds them to
its own.
"""

import numpy as np

from zoo import presets
from zoo.metrics import evaluate, extractors

#: Data set: the preset whose features its images and samples are compared by.
CLASSIFIERS = {
    "embedded": "classifier_fashion_mnist",
    "fashion_mnist": "classifier_fashion_mnist",
    "mnist": "classifier_mnist",
}

#: Keys of `zoo.metrics.evaluate.METRICS`.
METRICS = ("fid", "kid", "prdc", "modes")

PROTOCOL = (
    "sample quality: as many samples as test images, at most 10,000, against these, by "
    "the features of the classifier in the name; kid: mean over 100 subsets; precision "
    "to coverage: k = 5; modes: classes that samples fall into"
)


def measure(model, test, dataset, shelf=presets.SHELF):
    """Draws samples of a model and compares them with test images.

    Args:
        model: Any model with `sample(count, seed=...)`, giving images in [0, 1].
        test: `(count, height, width, channels)`, uint8 or floats in [0, 1]; the first
            10,000 count.
        dataset: The images' name, as recipes know it.
        shelf: Directory of presets.

    Returns:
        As `sample_quality`; nothing if no classifier of these images is on the shelf,
        as for a user's own folder.

    Example:
        >>> measure(model, test, "photos/")
        {}
    """
    name = CLASSIFIERS.get(dataset)
    if name not in presets.names(shelf):
        return {}
    real = test[:10_000]
    extractor = extractors.of_model(presets.load(name, shelf), name)
    return sample_quality(real, draw(model, len(real)), extractor)


def sample_quality(real, fake, extractor):
    """Compares two sets of images by the usual metrics.

    Args:
        real: `(count, height, width, channels)`, uint8 or floats in [0, 1].
        fake: The same; sizes and counts may differ.
        extractor: A `zoo.metrics.extractors.Extractor` of a classifier.

    Returns:
        `{metric_extractor: float}`, to four digits: `fid`, `kid`, `precision`,
        `recall`, `density`, `coverage`, `modes` (classes covered) and `reverse_kl`
        (nats).

    Raises:
        ValueError: If a value leaves the range or is NaN, or if there are 5 images or
            fewer.
    """
    outputs = (extractor.extract(np.asarray(images)) for images in (real, fake))
    results = evaluate.measure(*outputs, extractor.name, METRICS)
    return {name: float(f"{entry['value']:.4g}") for name, entry in results.items()}


def draw(model, count, batch_size=500):
    """Returns `count` samples of a model, clipped to [0, 1] as pictures show them."""
    parts = [
        np.asarray(model.sample(min(batch_size, count - start), seed=start))
        for start in range(0, count, batch_size)
    ]
    return np.concatenate(parts).clip(0.0, 1.0)
