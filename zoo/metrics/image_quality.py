"""PSNR, SSIM and multi-scale SSIM of image pairs, all that moves them an argument.

The same two images have a PSNR several dB apart in RGB and in luma, with and without
their borders, and read as [0, 1] or as [-1, 1]. So the colour, the border and the range
are arguments here, and a range is never guessed.
"""

import numpy as np
from scipy import ndimage

from zoo.metrics import checks

# ITU-R BT.601 luma of RGB in [0, 1], on the studio range 16 to 235 of 255.
LUMA = np.array([65.481, 128.553, 24.966]) / 255.0
LUMA_OFFSET = 16.0 / 255.0
# Weights of the five scales: Wang et al. 2003, section 3.2.
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def luma(images):
    """Converts RGB in [0, 1] to ITU-R BT.601 luma, from 16/255 to 235/255.

    This is MATLAB's `rgb2ycbcr` for floats; nothing is rounded to whole grey levels.

    Args:
        images: `(..., 3)`.

    Returns:
        `(..., 1)` float64.
    """
    images = np.asarray(images, np.float64)
    if images.shape[-1:] != (3,):
        raise ValueError(
            f"Luma needs RGB images, (..., 3). Received: shape {images.shape}."
        )
    return (images @ LUMA + LUMA_OFFSET)[..., None]


def psnr(a, b, *, channel="rgb", crop=0, value_range=None):
    """Peak signal-to-noise ratio.

    Symmetric in its arguments.

    Args:
        a: `(height, width, channels)` or `(count, height, width, channels)`; grey
            images may also be `(height, width)`. uint8 or floats in [0, 1].
        b: The same shape.
        channel: "rgb" takes all channels as they are; "y" converts to luma first, as
            papers on super-resolution do.
        crop: Pixels to leave out at every border; those papers leave out the scale.
        value_range: `(low, high)` of black and white, if another.

    Returns:
        Decibels: a float, or `(count,)` for a batch; infinite for equal images.

    Raises:
        ValueError: If shapes differ, values leave their range, or nothing is left
            after cropping.
        TypeError: If the types of `a` and `b` imply different ranges.

    Example:
        An error of 1/10 everywhere is 20 dB.

        >>> round(psnr(np.zeros((4, 4)), np.full((4, 4), 0.1)), 6)
        20.0
    """
    a, b, single = _prepare(a, b, channel, crop, value_range)
    error = np.square(a - b).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        decibels = -10.0 * np.log10(error)
    return float(decibels[0]) if single else decibels


def ssim(a, b, *, channel="rgb", crop=0, value_range=None):
    """Structural similarity, equal to the authors' MATLAB program.

    A Gaussian window of 11 pixels and sigma 1.5, K1 = 0.01, K2 = 0.03, averaged over
    windows that lie wholly inside the image and over channels.

    Args:
        a: As for `psnr`, at least 11 pixels a side after cropping.
        b: The same shape.
        channel: "rgb" or "y".
        crop: Pixels to leave out at every border.
        value_range: `(low, high)` of black and white, if another.

    Returns:
        A float from -1 to 1, or `(count,)` for a batch; 1 for equal images.

    Raises:
        ValueError: As `psnr`, and if an image is smaller than the window.
        TypeError: As `psnr`.

    Source:
        Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, section III.
    """
    a, b, single = _prepare(a, b, channel, crop, value_range)
    similarity = _structure(a, b)[0].mean(axis=-1)
    return float(similarity[0]) if single else similarity


def ms_ssim(a, b, *, channel="rgb", crop=0, value_range=None, scales=5):
    """Multi-scale structural similarity.

    Args:
        a: As for `psnr`, at least `11 * 2**(scales - 1)` pixels a side.
        b: The same shape.
        channel: "rgb" or "y".
        crop: Pixels to leave out at every border.
        value_range: `(low, high)` of black and white, if another.
        scales: 1 to 5, each half as large as the one before; small images allow only
            fewer. The paper has 5; the weights of fewer are scaled to a sum of 1, and
            such values compare only among themselves.

    Returns:
        A float from 0 to 1, or `(count,)` for a batch.

    Raises:
        ValueError: As `ssim`.
        TypeError: As `psnr`.

    Source:
        Wang, Simoncelli & Bovik 2003, https://doi.org/10.1109/ACSSC.2003.1292216.
    """
    if scales not in range(1, 6):
        raise ValueError(f"`scales` must be 1 to 5. Received: {scales}.")
    a, b, single = _prepare(a, b, channel, crop, value_range)
    weights = np.array(SCALES[:scales]) / sum(SCALES[:scales])
    result = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halve(a), _halve(b)
        whole, contrast = _structure(a, b, scale)
        # Brightness is compared at the coarsest scale alone; (count, channels)
        value = whole if scale == scales - 1 else contrast
        result = result * value.clip(min=0.0) ** weight  # a root of -0.01 is NaN
    similarity = result.mean(axis=-1)
    return float(similarity[0]) if single else similarity


def _prepare(a, b, channel, crop, value_range):
    """Returns two (count, height, width, channels) batches and if they were single."""
    a, b, single = checks.image_pair(a, b, value_range)
    if channel not in ("rgb", "y"):
        raise ValueError(f'`channel` is "rgb" or "y". Received: {channel!r}.')
    height, width = a.shape[1:3]
    if crop < 0 or 2 * crop >= min(height, width):
        raise ValueError(
            f"`crop` must be 0 or more and leave something of {height} x {width} "
            f"pixels. Received: {crop}."
        )
    if channel == "y":
        a, b = luma(a), luma(b)
    inside = slice(crop, -crop or None)
    return a[:, inside, inside], b[:, inside, inside], single


def _structure(a, b, scale=0):
    """Returns mean SSIM and mean contrast-structure term, each `(count, channels)`."""
    if min(a.shape[1:3]) < 11:
        raise ValueError(
            f"SSIM needs 11 x 11 pixels or more. Received: {a.shape[1]} x {a.shape[2]} "
            f"pixels at scale {scale + 1}; fewer `scales` may help."
        )
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(images):
        for axis in (1, 2):  # a Gaussian is the product of one for each side
            images = ndimage.correlate1d(images, window, axis=axis)
        return images[:, 5:-5, 5:-5]  # where the window lies inside the image

    # Each (count, height - 10, width - 10, channels), one number a window.
    mean_a, mean_b = blur(a), blur(b)
    squares = mean_a**2 + mean_b**2
    product = mean_a * mean_b
    variances = blur(a * a + b * b) - squares
    covariance = blur(a * b) - product
    c1, c2 = 0.01**2, 0.03**2  # keep quotients of dark and of flat windows finite
    contrast = (2 * covariance + c2) / (variances + c2)
    whole = (2 * product + c1) / (squares + c1) * contrast
    return whole.mean(axis=(1, 2)), contrast.mean(axis=(1, 2))


def _halve(images):
    """Averages 2 x 2 pixels; an odd last row or column is repeated."""
    _, height, width, _ = images.shape
    pad = [(0, 0), (0, height % 2), (0, width % 2), (0, 0)]
    images = np.pad(images, pad, mode="symmetric")
    rows = images[:, ::2] + images[:, 1::2]  # (count, height / 2, width, channels)
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4.0
