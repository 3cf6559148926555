"""What every metric demands of its arguments, said once and in the same words.

A check returns the argument as an array, so that a metric's first line both refuses
what it cannot measure and prepares what it can.
"""

import numpy as np

BLOCK = 2048  # rows handled at once: 2048 x 2048 float64 is 32 MiB


def features(array, name="features", minimum=1):
    """Returns `array` as a finite `(count, features)` float array.

    float32 and float64 stay as they are, so that 50,000 feature vectors are not
    copied; every other real type becomes float64.

    Args:
        array: `(count, features)`, real numbers.
        name: What to call it in an error: "real", "fake" or "logits".
        minimum: The fewest rows the metric is defined for.

    Raises:
        TypeError: If the values are not real numbers.
        ValueError: If the rank is not 2, rows are too few, or a value is NaN or
            infinite.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"`{name}` must hold real numbers. Received: dtype {array.dtype}."
        )
    if array.ndim != 2 or array.shape[1] == 0:
        hint = " One feature per sample is `array[:, None]`." if array.ndim == 1 else ""
        raise ValueError(
            f"`{name}` must be a (count, features) array.{hint} "
            f"Received: shape {array.shape}."
        )
    if len(array) < minimum:
        raise ValueError(
            f"`{name}` must hold at least {minimum} samples. Received: {len(array)}."
        )
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    for start in range(0, len(array), BLOCK):
        finite = np.isfinite(array[start : start + BLOCK])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                f"`{name}` must be finite: a NaN or infinity here usually means that "
                f"the generator or the extractor diverged. Received: "
                f"{array[start + row, column]} in row {start + row}, column {column}."
            )
    return array


def pair(real, fake, minimum=1):
    """Returns real and fake features, checked each and against one another.

    Raises:
        ValueError: As `features`, and if the two differ in their number of features.
    """
    real = features(real, "real", minimum)
    fake = features(fake, "fake", minimum)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            "`real` and `fake` must have the same number of features, from one "
            f"extractor. Received: shapes {real.shape} and {fake.shape}."
        )
    return real, fake


def neighbors(k, real, fake):
    """Checks that both sets have `k` neighbours beside the sample itself."""
    fewest = min(len(real), len(fake))
    if not 1 <= k < fewest:
        raise ValueError(
            f"`k` must be at least 1 and less than the number of samples ({fewest}). "
            f"Received: k={k}."
        )


def positive(**arguments):
    """Checks that each named argument is a whole number of 1 or more."""
    for name, value in arguments.items():
        if value != int(value) or value < 1:
            raise ValueError(
                f"`{name}` must be a whole number of 1 or more. Received: {value}."
            )


def images(array, value_range=None, name="images"):
    """Returns images as float64 in [0, 1].

    The range is never guessed from the values: a dark image in [-1, 1] looks like one
    in [0, 1], and an error of two in the range is an error of 6 dB in the PSNR.

    Args:
        array: Any shape. uint8 is read as [0, 255], bool as [0, 1], floats as [0, 1].
        value_range: `(low, high)` of black and white, if it is another one.
        name: What to call it in an error.

    Raises:
        TypeError: If the values are not real numbers, or are integers other than
            uint8 without a `value_range`.
        ValueError: If a value is not finite or lies outside the range.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"`{name}` must hold real numbers. Received: dtype {array.dtype}."
        )
    if value_range is None:
        if array.dtype.kind in "iu" and array.dtype != np.uint8:
            raise TypeError(
                f"`{name}` of type {array.dtype} needs a `value_range`, for example "
                "(0, 65535). Received: value_range=None."
            )
        value_range = (0, 255) if array.dtype == np.uint8 else (0, 1)
    low, high = map(float, value_range)
    if not high > low:
        raise ValueError(
            f"`value_range` must be (low, high), low first. Received: {value_range}."
        )
    array = array.astype(np.float64)
    smallest, largest = (array.min(), array.max()) if array.size else (low, high)
    slack = 1e-6 * (high - low)  # a float32 resize overshoots by its rounding
    if not (low - slack <= smallest and largest <= high + slack):
        raise ValueError(
            f"`{name}` must lie in [{low:g}, {high:g}]. Images in [0, 255] or [-1, 1] "
            "need `value_range=(0, 255)` or `value_range=(-1, 1)`. Received: values "
            f"from {smallest:g} to {largest:g}."
        )
    return (array - low) / (high - low)


def image_pair(a, b, value_range=None):
    """Returns two images, or two batches of them, as batches that can be compared.

    Args:
        a: `(height, width)`, `(height, width, channels)` or `(count, height, width,
            channels)`, as for `images`.
        b: The same shape.
        value_range: As for `images`.

    Returns:
        `(a, b, single)`: `(count, height, width, channels)` float64 in [0, 1], and
        whether each was a single image.

    Raises:
        ValueError: If shapes differ or are not those of images, or values leave their
            range.
        TypeError: If the types of `a` and `b` imply different ranges.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim not in (2, 3, 4):
        raise ValueError(
            "Two images, or two batches of images, of the same shape are needed: "
            "(height, width), (height, width, channels) or (count, height, width, "
            f"channels). Received: shapes {a.shape} and {b.shape}."
        )
    if a.ndim == 3 and a.shape[-1] not in (1, 2, 3, 4):
        raise ValueError(
            "A single image has 1 to 4 channels, last; a batch of grey images is "
            f"(count, height, width, 1). Received: shape {a.shape}."
        )
    if value_range is None and (a.dtype.kind == "f") != (b.dtype.kind == "f"):
        raise TypeError(
            "One image of floats in [0, 1] and one of integers in [0, 255] cannot be "
            f"told to match: convert one. Received: dtypes {a.dtype} and {b.dtype}."
        )
    single = a.ndim < 4
    a, b = images(a, value_range, "a"), images(b, value_range, "b")
    if a.ndim == 2:
        a, b = a[..., None], b[..., None]
    return (a[None], b[None], True) if single else (a, b, False)
