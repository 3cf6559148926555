"""How different the samples of one set are, and how far they reach around another.

diversity       mean distance between two samples
repeated_share  share of samples that are nearly the same as another one
hull_coverage   share of real samples within the convex hull of the fakes
ms_ssim_diversity   mean similarity of two images: high where a model repeats itself
"""

import numpy as np
from scipy import optimize

from zoo.metrics import checks, neighbors
from zoo.metrics.image_quality import ms_ssim


def diversity(features):
    """Mean Euclidean distance between two different samples.

    Compare it with that of the real set: less means collapse, more means noise.

    Args:
        features: `(count, features)` array.

    Returns:
        A float, 0 or more, in feature units.

    Raises:
        ValueError: If there are fewer than two samples or a value is not finite.

    Example:
        Three points, distances 3, 4 and 5.

        >>> diversity([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
        4.0
    """
    features = checks.features(features, minimum=2)
    centre = features.mean(axis=0, dtype=np.float64)
    total = 0.0
    for i in range(0, len(features), checks.BLOCK):
        a = features[i : i + checks.BLOCK] - centre
        for j in range(i, len(features), checks.BLOCK):
            b = features[j : j + checks.BLOCK] - centre
            squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
            squares -= 2.0 * (a @ b.T)
            if i == j:
                np.fill_diagonal(squares, 0.0)
            # Within a block each pair is met twice, between two blocks once.
            total += np.sqrt(squares.clip(min=0.0)).sum() * (1 if i == j else 2)
    return float(total / (len(features) * (len(features) - 1)))


def repeated_share(real, fake, closeness=0.1):
    """Share of fakes that have a near twin among the fakes.

    A generator that repeats a few images for ever may do so in all classes and as far
    apart as real images are: neither coverage nor `diversity` sees it.

    Args:
        real: `(count, features)` array, two samples or more: half of them have another
            one within some distance, which says what near is.
        fake: `(other_count, features)` array, two samples or more.
        closeness: Share of that distance within which two fakes are twins; less where
            fakes are more than real samples, as then they lie closer by nature.

    Returns:
        A float from 0 to 1; 0 if most real samples repeat themselves.

    Raises:
        ValueError: If there are too few samples, a value is not finite, or the numbers
            of features differ.

    Example:
        >>> real = [[0.0], [1.0], [2.0], [3.0]]
        >>> repeated_share(real, [[0.5], [0.5], [1.5], [2.5]])
        0.5
    """
    real, fake = checks.pair(real, fake, minimum=2)
    space = neighbors.Space(real, fake)
    # (count,), (other_count,): squared distances to the nearest other one of the set
    real_gaps, fake_gaps = (neighbors.kth_squares(space, x, 1) for x in (real, fake))
    # On a line, where that is strongest, n times as many lie n times as close.
    near = closeness * min(1.0, len(real) / len(fake))
    return float((fake_gaps < near**2 * np.median(real_gaps)).mean())


def hull_coverage(real, fake, components=None):
    """Share of real samples inside the convex hull of the fakes.

    In many dimensions nothing is inside a hull of a few thousand points, whatever the
    model: project on a few `components` there, and say so beside the number.

    Args:
        real: `(count, features)` array, the samples to look for.
        fake: `(other_count, features)` array, whose hull is meant.
        components: Principal components of the real set to project both sets on
            first; by default no projection.

    Returns:
        A float from 0 to 1. A point on the surface is inside.

    Raises:
        ValueError: If a set is not finite, the numbers of features differ, or there
            are fewer features or real samples than `components`.

    Example:
        >>> hull_coverage([[0.5], [9.0]], [[0.0], [1.0]])
        0.5
    """
    real, fake = (x.astype(np.float64) for x in checks.pair(real, fake))
    centre = real.mean(axis=0)
    real, fake = real - centre, fake - centre
    if components is not None:
        checks.positive(components=components)
        if components > min(real.shape):
            raise ValueError(
                f"`components` must be at most {min(real.shape)} for real features of "
                f"shape {real.shape}. Received: {components}."
            )
        axes = np.linalg.svd(real, full_matrices=False)[2][:components].T
        real, fake = real @ axes, fake @ axes
    scale = max(np.abs(real).max(), np.abs(fake).max()) or 1.0
    # Outside the box around the fakes needs no further question.
    slack = 1e-9 * scale
    boxed = (real >= fake.min(axis=0) - slack) & (real <= fake.max(axis=0) + slack)
    candidates = real[boxed.all(axis=1)]
    # x is inside if weights w >= 0 exist with sum 1 and w . fakes = x.
    corners = np.vstack([fake.T / scale, np.ones(len(fake))])
    hits = sum(
        optimize.nnls(corners, np.append(point / scale, 1.0))[1] < 1e-8
        for point in candidates
    )
    return float(hits / len(real))


def ms_ssim_diversity(images, pairs=1000, seed=0, **kwargs):
    """Mean multi-scale structural similarity between random pairs of images.

    Meant for the fakes of one class. Higher is *less* diverse; compare it with the
    same number for real images.

    Args:
        images: `(count, height, width, channels)`, at least two.
        pairs: How many pairs of two different images to take.
        seed: Of the pairs.
        **kwargs: For `ms_ssim`: `value_range`, `scales`.

    Returns:
        A float, at most 1.

    Source:
        Odena et al. 2017, https://arxiv.org/abs/1610.09585, section 4.2.
    """
    images = np.asarray(images)
    checks.positive(pairs=pairs)
    if images.ndim != 4 or len(images) < 2:
        raise ValueError(
            "`images` must be two or more, (count, height, width, channels). "
            f"Received: shape {images.shape}."
        )
    rng = np.random.default_rng(seed)
    first = rng.integers(len(images), size=pairs)
    second = (first + rng.integers(1, len(images), size=pairs)) % len(images)
    total = 0.0
    for start in range(0, pairs, 64):
        part = slice(start, start + 64)
        total += ms_ssim(images[first[part]], images[second[part]], **kwargs).sum()
    return float(total / pairs)
