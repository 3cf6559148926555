"""Metrics of image pairs by name: an output of a model, and the truth that it is for.

    measure_pairs(outputs, truths, ("psnr", "ssim"), channel="y", crop=4)

Where each output has one right answer, as in super-resolution, colorization or
denoising, a distance between two sets (`zoo.metrics.suite`) tells too little: it would
not notice outputs that changed places. Everything that moves a number joins its name.
"""

import numpy as np

from zoo.metrics import image_quality
from zoo.metrics.intervals import confidence_interval


def _psnr(outputs, truths, settings):
    return image_quality.psnr(outputs, truths, **settings.pixels)


def _ssim(outputs, truths, settings):
    return image_quality.ssim(outputs, truths, **settings.pixels)


def _ms_ssim(outputs, truths, settings):
    return image_quality.ms_ssim(
        outputs, truths, scales=settings.scales, **settings.pixels
    )


def _perceptual(outputs, truths, settings):
    return settings.distance(
        outputs, truths, value_range=settings.pixels["value_range"]
    )


#: What can be asked for: each gives `(count,)` numbers of as many pairs.
METRICS = {
    "psnr": _psnr,
    "ssim": _ssim,
    "ms_ssim": _ms_ssim,
    "perceptual": _perceptual,
}
TOGETHER = 32  # pairs of one size at once


def measure_pairs(
    outputs,
    truths,
    metrics=("psnr", "ssim"),
    *,
    channel="rgb",
    crop=0,
    scales=5,
    value_range=None,
    distance=None,
    resamples=1000,
    names=None,
):
    """Compares each output with its truth, by metrics of pairs.

    Args:
        outputs: `(count, height, width, channels)`, uint8 or floats in [0, 1]; or a
            list of `(height, width, channels)`, whose sizes may differ.
        truths: The same, each of its output's shape.
        metrics: Keys of `METRICS`. "ms_ssim" takes images of `11 * 2**(scales - 1)`
            pixels or more, "perceptual" of 32 or more.
        channel: "rgb", or "y" for luma, as papers on super-resolution do; not for
            "perceptual".
        crop: Pixels to leave out at every border; those papers leave out the scale.
            Not for "perceptual".
        scales: Of "ms_ssim", 1 to 5.
        value_range: `(low, high)` of black and white in both, if another.
        distance: For "perceptual": a `zoo.metrics.perceptual.VGG16Distance`, or any
            function of two batches with a `name`; by default the first, with the
            weights that Keras downloads.
        resamples: Of the pairs, with replacement, for a 95 % interval around the mean
            (`zoo.metrics.confidence_interval`); 0 for none. Fewer than 4 pairs have
            none.
        names: What to call each pair in an error; by default its number.

    Returns:
        `{name: {"value": mean, "pairs": count, "values": one for each, "interval":
        [low, high]}}`. The name tells the settings: `psnr`, `psnr_y_crop4`, `ms_ssim_3`
        of 3 scales, `vgg16_distance`. The PSNR of equal images is infinite: its mean is
        that of the pairs that differ, and `equal` says how many do not.

    Raises:
        ValueError: If a metric is unknown, the numbers of images or the shapes of a
            pair differ, there is no pair, or values leave their range.
        TypeError: If the images' types imply different ranges, or none.
        OSError: If weights for "perceptual" cannot be had.

    Source:
        Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 6.2.

    Example:
        Errors of 1/10 and 1/100 everywhere: 20 and 40 dB.

        >>> black = np.zeros((2, 8, 8, 1))
        >>> outputs = black + np.array([0.1, 0.01])[:, None, None, None]
        >>> round(measure_pairs(outputs, black, ("psnr",))["psnr"]["value"], 6)
        30.0
    """
    check_pairs(outputs, truths, metrics, names)
    if "perceptual" in metrics and distance is None:
        from zoo.metrics.perceptual import VGG16Distance

        distance = VGG16Distance()
    settings = _Settings(
        {"channel": channel, "crop": crop, "value_range": value_range}, scales, distance
    )
    results = {}
    for metric in metrics:
        parts = [METRICS[metric](a, b, settings) for a, b in _batches(outputs, truths)]
        values = np.concatenate(parts)  # (count,)
        results[settings.name(metric)] = _summary(values, resamples)
    return results


def check_pairs(outputs, truths, metrics, names=None):
    """Raises the `ValueError` of `measure_pairs`, before anything is computed."""
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ValueError(
            f"`metrics` of pairs are any of {', '.join(METRICS)}. Received: "
            f"{', '.join(unknown) or 'none'}."
        )
    if len(outputs) != len(truths) or not len(outputs):
        raise ValueError(
            "Each output needs its truth, and there must be one pair at least. "
            f"Received: {len(outputs)} outputs and {len(truths)} truths."
        )
    names = range(len(outputs)) if names is None else names
    unequal = [
        f"{name} (output {np.shape(a)}, truth {np.shape(b)})"
        for name, a, b in zip(names, outputs, truths, strict=True)
        if np.shape(a) != np.shape(b)
    ]
    if unequal:
        raise ValueError(
            "An output and its truth have the same height, width and channels: resize "
            f"or crop first. Received {first_of(unequal)}."
        )


def first_of(offenders, count=3):
    """Returns the first few of a list in words, and how many more there are."""
    words = ", ".join(map(str, offenders[:count]))
    more = len(offenders) - count
    return f"{words} and {more:,} more" if more > 0 else words


class _Settings:
    """What moves the numbers, and joins their names."""

    def __init__(self, pixels, scales, distance):
        self.pixels = pixels
        self.scales = scales
        self.distance = distance

    def name(self, metric):
        """Returns what to call the numbers of one of `METRICS`."""
        if metric == "perceptual":
            return getattr(self.distance, "name", metric)
        name = metric
        if metric == "ms_ssim" and self.scales != 5:
            name += f"_{self.scales}"
        if self.pixels["channel"] != "rgb":
            name += f"_{self.pixels['channel']}"
        return name + (f"_crop{self.pixels['crop']}" if self.pixels["crop"] else "")


def _batches(outputs, truths):
    """Yields `(count, height, width, channels)` pairs of batches, each of one size."""
    if hasattr(outputs, "shape") and hasattr(truths, "shape"):
        for start in range(0, len(outputs), TOGETHER):
            part = slice(start, start + TOGETHER)
            yield outputs[part], truths[part]
    else:
        for output, truth in zip(outputs, truths, strict=True):
            yield np.asarray(output)[None], np.asarray(truth)[None]


def _summary(values, resamples):
    """Returns the mean of pairs, its interval, and the pairs' own values."""
    finite = values[np.isfinite(values)]
    summary = {
        "value": float(finite.mean()) if len(finite) else float("inf"),
        "pairs": len(values),
        "values": [float(value) for value in values],
    }
    if len(finite) < len(values):
        summary["equal"] = len(values) - len(finite)
    if resamples and len(finite) >= 4:
        around = confidence_interval(np.mean, finite, resamples=resamples, replace=True)
        summary["interval"] = [around.low, around.high]
    return summary
