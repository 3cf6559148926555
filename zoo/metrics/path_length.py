"""Perceptual path length: how abruptly images change along a path of codes."""

import numpy as np

from zoo.metrics import checks


def perceptual_path_length(
    generate,
    distance,
    latent_dim,
    samples=1000,
    interpolation="slerp",
    epsilon=1e-4,
    path="full",
    trim=0.01,
    batch_size=100,
    seed=0,
):
    """Mean perceptual change per unit of path length, squared.

    Codes are interpolated in float64 and handed over in float32, where a step of 1e-4
    is about 800 roundings of a coordinate near 1: smaller steps measure rounding.
    Compare only values of one `distance`, `epsilon` and interpolation.

    Args:
        generate: Function of float32 codes `(batch, latent_dim)`, giving images.
        distance: Function of two batches of images, giving `(batch,)` distances that
            grow with the square of the change, as LPIPS does.
        latent_dim: Length of a code; codes are standard normal.
        samples: Number of paths.
        interpolation: "slerp" along the sphere, for normal codes, or "lerp" straight.
        epsilon: Step along the path, of which 1 is the whole length.
        path: "full" steps anywhere on a path, "end" at its beginning.
        trim: Share of the lowest and of the highest values left out of the mean.
        batch_size: Codes per call of `generate`.
        seed: Of the codes.

    Returns:
        `(mean, std)`, floats, in units of `distance`.

    Raises:
        ValueError: If an argument is out of range, or `distance` does not return one
            finite value per image.

    Source:
        Karras et al. 2019, https://arxiv.org/abs/1812.04948, section 4.1.
    """
    checks.positive(latent_dim=latent_dim, samples=samples, batch_size=batch_size)
    if interpolation not in ("slerp", "lerp") or path not in ("full", "end"):
        raise ValueError(
            '`interpolation` is "slerp" or "lerp" and `path` is "full" or "end". '
            f"Received: {interpolation!r} and {path!r}."
        )
    if not (0 < epsilon < 1 and 0 <= trim < 0.5):
        raise ValueError(
            "`epsilon` must lie between 0 and 1 and `trim` from 0 to below 0.5. "
            f"Received: epsilon={epsilon}, trim={trim}."
        )
    between = slerp if interpolation == "slerp" else lerp
    rng = np.random.default_rng(seed)
    starts = rng.standard_normal((samples, latent_dim))
    ends = rng.standard_normal((samples, latent_dim))
    times = rng.random((samples, 1)) if path == "full" else np.zeros((samples, 1))
    values = []
    for first in range(0, samples, batch_size):
        part = slice(first, first + batch_size)
        a, b, t = starts[part], ends[part], times[part]
        # (batch, height, width, channels) each, a step of epsilon apart
        near, far = (
            np.asarray(generate(between(a, b, u).astype(np.float32)))
            for u in (t, t + epsilon)
        )
        values.append(np.asarray(distance(near, far), np.float64))
        if values[-1].shape != (len(a),) or not np.isfinite(values[-1]).all():
            raise ValueError(
                "`distance` must return one finite value per image. Received: shape "
                f"{values[-1].shape} for {len(a)} images, or NaN."
            )
    values = np.concatenate(values) / epsilon**2
    low, high = np.quantile(values, [trim, 1.0 - trim])
    values = values[(low <= values) & (values <= high)]
    return float(values.mean()), float(values.std())


def lerp(a, b, t):
    """Interpolates straight from `a` (at `t` 0) to `b` (at 1), row by row."""
    return a + (b - a) * t


def slerp(a, b, t):
    """Interpolates along the great circle from `a` to `b`, row by row.

    The length goes from that of `a` to that of `b`: a normal code has nearly the same
    length as any other, and a straight path would cut through the middle, where a
    generator was never trained. Opposite or equal directions give a straight path.

    Args:
        a: `(batch, latent_dim)`.
        b: `(batch, latent_dim)`.
        t: `(batch, 1)`, 0 for `a`, 1 for `b`.

    Source:
        White 2016, https://arxiv.org/abs/1609.04468, section 2.1.
    """
    a, b, t = (np.asarray(x, np.float64) for x in (a, b, t))
    a_length = np.linalg.norm(a, axis=-1, keepdims=True)
    b_length = np.linalg.norm(b, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = ((a / a_length) * (b / b_length)).sum(axis=-1, keepdims=True)
        angle = np.arccos(cosine.clip(-1.0, 1.0))
        sine = np.sin(angle)
        direction = np.sin((1 - t) * angle) / sine * (a / a_length)
        direction += np.sin(t * angle) / sine * (b / b_length)
        curved = direction * lerp(a_length, b_length, t)
    return np.where(np.abs(sine) > 1e-8, curved, lerp(a, b, t))
