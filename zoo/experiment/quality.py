"""How good a generative model's samples are, by the features of its data.

    results = losses | quality.score(model, test_images, "fashion_mnist")

A loss compares a model with others of its kind; these numbers compare any two models of
one data set, so each recipe of a model that has `sample(count, seed=...)` adds them to
its own.
"""

import numpy as np
import tensorflow as tf

from zoo.deploy import presets
from zoo.experiment.classifiers import classifier_of
from zoo.experiment.collapse import CollapseWatch
from zoo.metrics import density_coverage, extractors, frechet_distance, streaming, suite
from zoo.metrics.paired import measure_pairs

#: Held-out images below which their distance tells a good epoch from a bad one about
#: as well as a coin.
FEW = 100

#: Keys of `zoo.metrics.suite.METRICS`.
METRICS = ("fid", "kid", "prdc", "modes")

PROTOCOL = (
    "sample quality: as many samples as test images, at most 10,000, against these, by "
    "the features of the classifier in the name; kid: mean over 100 subsets; precision "
    "to coverage: k = 5; modes: classes that samples fall into"
)


CLASS_PROTOCOL = (
    "by class: as many samples of each class as test images, at most 1,000; accuracy: "
    "share that the classifier finds to be of the class asked for; covered: coverage "
    "of the class's test images, as a share of that by as many training images of it"
)


def extractor_of(dataset, shelf=presets.SHELF):
    """Returns what images of a data set are compared by.

    Args:
        dataset: The images' name, as recipes know it.
        shelf: Directory of presets.

    Returns:
        The `zoo.metrics.extractors.Extractor` of their classifier or, without one, as
        for a user's own folder, `pixels_8x8`: the image itself, reduced.
    """
    name = classifier_of(dataset, shelf)
    if name:
        return extractors.of_model(presets.load(name, shelf), name)
    return extractors.Extractor("pixels_8x8", pixels)


def pixels(images):
    """Returns images as rows of `8 * 8 * channels` means over an area."""
    small = tf.image.resize(images, (8, 8), "area")  # (batch, 8, 8, channels)
    return tf.reshape(small, (tf.shape(small)[0], 64 * images.shape[-1]))


def score(model, test_images, dataset, shelf=presets.SHELF):
    """Samples a model and compares the samples with test images.

    Args:
        model: Any model with `sample(count, seed=...)`, giving images in [0, 1].
        test_images: `(count, height, width, channels)`, uint8 or floats in [0, 1]; the
            first 10,000 count.
        dataset: The images' name, as recipes know it.
        shelf: Directory of presets.

    Returns:
        As `score_samples`; nothing if there are too few test images for it.

    Example:
        >>> score(model, test_images, "photos/")["fid_pixels_8x8"]
        3.217
    """
    real = test_images[:10_000]
    if len(real) <= 5:  # the fifth neighbour of an image is a sixth one
        return {}
    return score_samples(real, sample(model, len(real)), extractor_of(dataset, shelf))


def score_classes(model, test, train, dataset, shelf=presets.SHELF):
    """Samples each class of a model and compares it with real images of that class.

    Args:
        model: A conditional model with `sample(count, conditions, seed=...)`.
        test: `(images, labels)`.
        train: `(images, labels)`, whose coverage of the test images is what a perfect
            model could reach.
        dataset: The images' name, as recipes know it.
        shelf: Directory of presets.

    Returns:
        `{name_extractor: value}`: `class_accuracy`, the mean over classes, and, in the
        order of the classes, `accuracy`, `fid` and `covered`, as text. Nothing if no
        classifier of these images is on the shelf.
    """
    if not classifier_of(dataset, shelf):
        return {}
    extractor = extractor_of(dataset, shelf)
    rows = []
    for label in range(model.condition_dim):
        real, other = (x[y == label][:1000] for x, y in (test, train))
        asked = np.full(len(real), label)
        fake = np.asarray(model.sample(len(real), asked, seed=label))
        real, fake, other = (extractor.extract(x) for x in (real, fake, other))
        # Of few test images even a perfect model covers some only: hence the share.
        covered, possible = (
            density_coverage(real.features, x.features)[1] for x in (fake, other)
        )
        rows.append(
            {
                "accuracy": (fake.logits.argmax(axis=1) == label).mean(),
                "fid": frechet_distance(real.features, fake.features),
                "covered": covered / possible,
            }
        )
    accuracy = float(np.mean([row["accuracy"] for row in rows]))
    name = extractor.name
    return {f"class_accuracy_{name}": round(accuracy, 4)} | {
        f"{key}_by_class_{name}": " ".join(f"{row[key]:.3g}" for row in rows)
        for key in rows[0]
    }


def score_samples(real, fake, extractor):
    """Compares two sets of images by the usual metrics.

    Args:
        real: `(count, height, width, channels)`, uint8 or floats in [0, 1].
        fake: The same; sizes and counts may differ.
        extractor: A `zoo.metrics.extractors.Extractor`.

    Returns:
        `{metric_extractor: float}`, to four digits: `fid`, `kid`, `precision`,
        `recall`, `density`, `coverage` and, if the extractor is a classifier, `modes`
        (classes covered) and `reverse_kl` (nats).

    Raises:
        ValueError: If a value leaves the range or is NaN, or if there are 5 images or
            fewer.
    """
    outputs = [extractor.extract(np.asarray(images)) for images in (real, fake)]
    metrics = METRICS if outputs[1].logits is not None else METRICS[:-1]
    results = suite.measure(*outputs, extractor.name, metrics)
    return {name: float(f"{entry['value']:.4g}") for name, entry in results.items()}


def score_pairs(outputs, truths, metrics=("psnr", "ssim"), **settings):
    """Compares each output of a model with its truth, where there is one right answer.

    Args:
        outputs: `(count, height, width, channels)`, uint8 or floats in [0, 1]; or a
            list of images, whose sizes may differ.
        truths: The same, each of its output's shape.
        metrics: Keys of `zoo.metrics.paired.METRICS`: psnr, ssim, ms_ssim, perceptual.
        **settings: For `zoo.metrics.paired.measure_pairs`: `channel`, `crop`,
            `scales`, `distance`, `value_range`.

    Returns:
        `{metric: float}`, means over the pairs, to four digits: `psnr` (dB), `ssim`.
        Settings join the names: `psnr_y_crop4`.

    Raises:
        ValueError: If there is no pair, shapes differ or a value leaves the range.

    Example:
        >>> score_pairs(model.predict(grey), colour)
        {'psnr': 23.41, 'ssim': 0.8973}
    """
    found = measure_pairs(outputs, truths, metrics, resamples=0, **settings)
    return {name: float(f"{entry['value']:.4g}") for name, entry in found.items()}


def watch(real, dataset, shelf=presets.SHELF):
    """Returns what an adversarial model, whose losses tell nothing, is watched by.

    Args:
        real: Images held out of training, `(count, height, width, channels)`.
        dataset: Their name, as recipes know it.
        shelf: Directory of presets.

    Returns:
        `(callbacks, monitor)`: a measurement of the Frechet distance after each epoch,
        the guard against collapse, and the name under which the distance is logged.
    """
    extractor = extractor_of(dataset, shelf)
    if len(real) < FEW:
        print(
            f"Only {len(real)} images are held out: which epoch is best is largely "
            f"chance. Give {20 * FEW:,} images or more, or look at the samples."
        )
    # Many, where real ones are few: then at least the fakes' part is not chance.
    count = max(len(real), 2000)
    callbacks = [
        streaming.Evaluate(real, extractor, lambda model: sample(model, count)),
        CollapseWatch(extractor.extract, real, lambda model: sample(model, 1000)),
    ]
    return callbacks, f"fid_{extractor.name}"


def sample(model, count, seed=0, conditions=None, batch_size=500):
    """Samples a model in batches, as many images as wanted.

    Args:
        model: Any model with `sample(count, seed=...)`.
        count: Number of samples.
        seed: Integer; the same one gives the same samples.
        conditions: Of a conditional model, `count` of them; each class in turn by
            default.
        batch_size: Samples made at once.

    Returns:
        `(count, height, width, channels)`, clipped to [0, 1] as pictures show them.
    """
    if conditions is None and hasattr(model, "condition_dim"):
        conditions = np.arange(count) % model.condition_dim  # in turn, over all parts
    parts = []
    for start in range(0, count, batch_size):
        size = min(batch_size, count - start)
        asked = {}
        if conditions is not None:
            asked["conditions"] = conditions[start : start + size]
        # A seed for each part, or all parts would be the same images.
        parts.append(np.asarray(model.sample(size, seed=seed + start, **asked)))
    return np.concatenate(parts).clip(0.0, 1.0)
