"""The Fréchet distance between Gaussians fitted to two sets of features.

With Inception v3 pool features this is the FID (Heusel et al. 2017,
https://arxiv.org/abs/1706.08500). No general matrix square root is taken anywhere, so
that a result can be neither complex nor NaN:

    features --update--> Moments (count, mean, scatter) --merge--> Moments
    two Moments, or two arrays --frechet_distance--> |m - n|^2 + tr(A + B - 2 sqrt(AB))

`sqrt(AB)` needs only its trace. With `A = L L'` and `B = M M'` that is the sum of the
square roots of the eigenvalues of `L'BL`, and also the sum of the singular values of
`L'M`: the first is fast, the second is exact when a covariance is singular.
"""

from pathlib import Path

import numpy as np
from scipy import linalg
from scipy.linalg import blas, lapack

from zoo.metrics import checks
from zoo.training.gaussians import covariance_root, trace_of_root

EPSILON = np.finfo(np.float64).eps
BLOCK = 1024  # vectors centred at once; 16 MiB for 2,048 features, more is not faster


class Moments:
    """Mean and covariance of any number of feature vectors, in constant memory.

    Batches come in by `update`, the results of several processes by `merge`; both use
    the pairwise update of Chan, Golub & LeVeque, which centres before it squares and
    so loses nothing when the mean is large beside the spread.

    Args:
        dataset: What the features are of, such as "fashion_mnist/train".
        extractor: What computed them.
        preprocessing: What the images went through before it.

    Attributes:
        count: Vectors seen.
        mean: `(features,)` float64; `None` before the first.

    Source:
        Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance",
        https://doi.org/10.1080/00031305.1983.10483115, equation 1.5.

    Example:
        >>> moments = Moments(dataset="counting")
        >>> moments.update([[1.0], [2.0]]).update([[3.0]]).covariance()
        array([[1.]])
    """

    def __init__(self, *, dataset="", extractor="", preprocessing=""):
        self.dataset = dataset
        self.extractor = extractor
        self.preprocessing = preprocessing
        self.count = 0
        self.mean = None
        self._scatter = None  # lower triangle of the sum of (x - mean)(x - mean)'

    def update(self, features):
        """Takes in a `(batch, features)` array, float32 or float64; returns itself."""
        features = checks.features(features)
        self._match(features.shape[1], "features")
        rows = np.empty((min(BLOCK, len(features)) + 1, features.shape[1]))
        for start in range(0, len(features), BLOCK):
            block = features[start : start + BLOCK]
            count, mean = len(block), block.mean(axis=0, dtype=np.float64)
            np.subtract(block, mean, out=rows[:count])
            self._add(count, mean, rows[: count + 1])
        return self

    def merge(self, other):
        """Takes in what another one has seen; returns itself.

        Raises:
            ValueError: If the other was made by another extractor or preprocessing,
                or of vectors of another length.
        """
        comparable(self, other)
        if other.count:
            self._match(len(other.mean), "moments")
            self._add(other.count, other.mean, np.empty((1, len(other.mean))))
            self._scatter += other._scatter
        return self

    def covariance(self):
        """Returns the `(features, features)` covariance with divisor `count - 1`."""
        lower = np.tril(self.lower())
        return lower + np.tril(lower, -1).T

    def lower(self):
        """Returns the covariance with only its lower triangle meant, as LAPACK does."""
        if self.count < 2:
            raise ValueError(
                f"A covariance needs at least 2 samples. Received: {self.count}."
            )
        return self._scatter / (self.count - 1)

    def save(self, path):
        """Writes an `.npz` file, which `load` and other FID programs (mu, sigma) read.

        Returns:
            The path written, with its `.npz`.
        """
        path = Path(path)
        if path.suffix != ".npz":  # NumPy would add it without telling
            path = path.with_name(path.name + ".npz")
        np.savez(
            path,
            mu=self.mean,
            sigma=self.covariance(),
            count=self.count,
            dataset=self.dataset,
            extractor=self.extractor,
            preprocessing=self.preprocessing,
        )
        return path

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote.

        Raises:
            ValueError: If the file lacks an entry. Statistics of unknown origin or
                count can be neither compared nor merged honestly.
        """
        names = ("dataset", "extractor", "preprocessing")
        with np.load(path, allow_pickle=False) as saved:
            missing = {"mu", "sigma", "count", *names} - set(saved.files)
            if missing:
                raise ValueError(
                    f"{path} is not a file of Moments: it lacks {sorted(missing)}. "
                    f"Received: entries {saved.files}."
                )
            origin = {name: str(saved[name]) for name in names}
            count = int(saved["count"])
            scatter = saved["sigma"].astype(np.float64) * (count - 1)
            return cls.of(count, saved["mu"], scatter, **origin)

    @classmethod
    def of(cls, count, mean, scatter, **origin):
        """Returns the moments that were computed elsewhere.

        Args:
            count: Vectors seen.
            mean: `(features,)`.
            scatter: `(features, features)`, the sum of `(x - mean)(x - mean)'`.
            **origin: `dataset`, `extractor` and `preprocessing`, as for the class.
        """
        moments = cls(**origin)
        moments.count = int(count)
        moments.mean = np.array(mean, np.float64)
        moments._scatter = np.array(scatter, np.float64, order="F")
        return moments

    def _match(self, dim, what):
        if self.mean is None:
            self.mean = np.zeros(dim)
            self._scatter = np.zeros((dim, dim), order="F")
        elif len(self.mean) != dim:
            raise ValueError(
                f"These moments are of {len(self.mean)} features per sample. "
                f"Received: {what} of {dim}."
            )

    def _add(self, count, mean, rows):
        """Adds `count` vectors: their mean, and rows whose squares are their scatter.

        The distance of the two means is one row more of that kind, which saves a
        second pass over the matrix; the last of `rows` is free for it.
        """
        total = self.count + count
        shift = mean - self.mean
        rows[-1] = np.sqrt(self.count * count / total) * shift
        self._scatter = blas.dsyrk(
            1.0, rows.T, beta=1.0, c=self._scatter, lower=1, overwrite_c=1
        )
        self.mean = self.mean + shift * (count / total)
        self.count = total


def comparable(a, b):
    """Checks that two moments came from one extractor and one preprocessing."""
    for name in ("extractor", "preprocessing"):
        if getattr(a, name) != getattr(b, name):
            raise ValueError(
                f"Statistics can be compared or merged only if they share their "
                f"{name}. Received: {getattr(a, name)!r} and {getattr(b, name)!r}."
            )


def frechet_distance(real, fake):
    """Fréchet distance between Gaussians fitted to two sets of features.

    Symmetric in its arguments. It is biased upwards, by about one part in the number
    of samples times a constant that depends on the features: compare only values of
    equal counts, report the count, or use `frechet_distance_infinity`.

    Args:
        real: `(count, features)` array, or `Moments`.
        fake: The same; the counts may differ.

    Returns:
        A float, 0 or more, in squared feature units.

    Raises:
        ValueError: If a set has fewer than two samples or is not finite, if the
            numbers of features differ, or if moments of different extractors meet.

    Source:
        Heusel et al. 2017, https://arxiv.org/abs/1706.08500, section 2, equation 6;
        Dowson & Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X.

    Example:
        Variances 1 and 4, means 0 and 3: 3^2 + 1 + 4 - 2 sqrt(1 * 4) = 10.

        >>> frechet_distance([[-1.0], [0.0], [1.0]], [[1.0], [3.0], [5.0]])
        10.0
    """
    if isinstance(real, Moments) and isinstance(fake, Moments):
        comparable(real, fake)
    scale = max(_scale(real), _scale(fake))
    real, fake = _Gaussian(real, "real", scale), _Gaussian(fake, "fake", scale)
    if len(real.mean) != len(fake.mean):
        raise ValueError(
            "`real` and `fake` must have the same number of features, from one "
            f"extractor. Received: {len(real.mean)} and {len(fake.mean)}."
        )
    shift = real.mean - fake.mean
    spread = real.trace + fake.trace - 2.0 * _trace_of_root(real, fake)
    distance = max(0.0, float(shift @ shift + spread))  # rounding may leave -1e-13
    squared = scale * scale * distance
    if distance and not 0 < squared < np.inf:
        raise ValueError(
            "The distance is beyond the numbers that there are: multiply both sets by "
            "the same constant first, and divide the result by its square. Received: "
            f"features of up to {scale:.0e}."
        )
    return squared


def frechet_distance_infinity(
    real, fake, points=15, smallest=None, seed=0, return_fit=False
):
    """Fréchet distance extrapolated to infinitely many fakes.

    The bias of the distance is linear in 1 / count. The fakes are subsampled at
    several counts, a line is fitted, and its value at 0 is returned. `real` stays
    whole: its own bias remains, the same for every generator.

    Args:
        real: `(count, features)` array, or `Moments`.
        fake: `(other_count, features)` array.
        points: Counts to fit through, evenly spaced up to all of `fake`.
        smallest: The smallest count; by default a tenth of `fake`, at least 2.
        seed: Of the subsamples.
        return_fit: Whether to return the counts and distances too, for a plot.

    Returns:
        A float, which may be slightly negative; or `(float, counts, distances)`.

    Source:
        Chong & Forsyth 2020, https://arxiv.org/abs/1911.07023, section 3.
    """
    fake = checks.features(fake, "fake", minimum=3)
    checks.positive(points=points)
    smallest = max(2, len(fake) // 10) if smallest is None else smallest
    if points < 2 or not 2 <= smallest < len(fake):
        raise ValueError(
            "A line needs `points` of 2 or more and 2 <= `smallest` < the number of "
            f"fakes. Received: points={points}, smallest={smallest}, {len(fake)} fakes."
        )
    if not isinstance(real, Moments):
        real = Moments().update(checks.features(real, "real", minimum=2))
    rng = np.random.default_rng(seed)
    counts = np.unique(np.linspace(smallest, len(fake), points).astype(int))
    distances = np.array(
        [
            frechet_distance(real, fake[rng.permutation(len(fake))[:count]])
            for count in counts
        ]
    )
    _, intercept = np.polyfit(1.0 / counts, distances, 1)
    return (float(intercept), counts, distances) if return_fit else float(intercept)


#: Features between these sizes have squares of squares that float64 can hold.
SMALL, LARGE = 1e-60, 1e60


def _scale(source):
    """Returns a power of two to divide features by: 1 unless they are extreme."""
    if isinstance(source, Moments):
        moments = [] if source.mean is None else [source.mean, source._scatter]
        if not all(np.isfinite(x).all() for x in moments):
            raise ValueError(
                "These moments have overflowed: features of 1e150 and more have no "
                "squares. Divide all features by a constant before `update`."
            )
        sizes = [np.abs(x).max(initial=0.0) for x in moments]
        largest = max(sizes[0], np.sqrt(sizes[1])) if sizes else 0.0
    else:
        array = np.asarray(source)
        number = array.dtype.kind in "fiu" and array.size
        largest = max(float(array.max()), -float(array.min())) if number else 1.0
    if SMALL < largest < LARGE or not 0 < largest < np.inf:  # others are refused later
        return 1.0
    return float(2.0 ** np.frexp(largest)[1])  # which rounds nothing


class _Gaussian:
    """Mean and covariance; that of few feature vectors stays factored.

    `lower` is the covariance with its lower triangle meant, `None` if factored.
    """

    def __init__(self, source, name, scale=1.0):
        self.lower = self._rows = None
        if isinstance(source, Moments):
            self.mean, self.lower = source.mean, source.lower()
            if scale != 1.0:
                self.mean = self.mean / scale
                self.lower = self.lower / scale / scale  # (features, features)
        else:
            source = checks.features(source, name, minimum=2)  # (count, features)
            if scale != 1.0:
                source = source / np.float64(scale)
            if len(source) <= source.shape[1]:
                self.mean = source.mean(axis=0, dtype=np.float64)
                self._rows = (source - self.mean) / np.sqrt(len(source) - 1)
                self.trace = float(np.square(self._rows).sum())
                return
            moments = Moments().update(source)
            self.mean, self.lower = moments.mean, moments.lower()
        self.trace = float(np.trace(self.lower))

    def root(self):
        """Returns `R` of shape `(rank, features)` with `R'R` the covariance."""
        if self._rows is not None:
            return self._rows
        return covariance_root(self.lower)


def _trace_of_root(a, b):
    """Trace of the square root of the product of two covariances."""
    trace = None
    if a.lower is not None and b.lower is not None:
        trace = _trace_by_cholesky(a.lower, b.lower, a.trace + b.trace)
    if trace is None:
        trace = trace_of_root(a.root(), b.root())
    return float(trace)


def _trace_by_cholesky(a, b, scale):
    """The same of two lower triangles; `None` where it would not be accurate.

    An eigenvalue comes out wrong by a few roundings of the largest one, `noise`. Its
    square root is then wrong by `noise / (2 sqrt(value))`, at most `sqrt(noise)`. If
    these add up to more than 1e-8 of `scale`, the caller must take the exact way.
    """
    factor, failed = lapack.dpotrf(a, lower=1, clean=0)  # L of A = LL'
    if failed:
        return None
    product, _ = lapack.dsygst(b, factor, itype=2, lower=1)  # L'BL, one triangle
    values = linalg.eigvalsh(
        product, overwrite_a=True, check_finite=False, driver="evd"
    ).clip(min=0.0)
    noise = 10 * EPSILON * values[-1]
    roots = np.sqrt(values)
    if (noise / np.maximum(2 * roots, np.sqrt(noise) + 1e-300)).sum() > 1e-8 * scale:
        return None
    return roots.sum()
