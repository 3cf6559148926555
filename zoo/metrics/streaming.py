"""Metrics while a model trains: as `keras.metrics.Metric`s and as a callback of `fit`.

The metrics take features batch by batch in constant memory, in `compile(metrics=...)`
or by hand. The callback samples the model after an epoch and writes any metric of
`zoo.metrics.suite` into the logs, where CSV files, TensorBoard and checkpoints that
look for the best epoch find it.
"""

import keras
import numpy as np
import tensorflow as tf

from zoo.metrics import suite
from zoo.metrics.extractors import cached
from zoo.metrics.frechet import Moments, frechet_distance

register = keras.saving.register_keras_serializable(package="zoo")


@register
class FrechetDistance(keras.metrics.Metric):
    """Fréchet distance of all features seen since the last reset, in float64.

    Args:
        features: Length of a feature vector.
        name: Of the metric; name the extractor in it.
        **kwargs: Passed to `keras.metrics.Metric`.

    Shapes:
        in: Two `(batch, features)` tensors; their batches may differ. After
            `set_real`, the first is ignored.
        out: Scalar, squared feature units; NaN before two samples of each.

    Source:
        Chan, Golub & LeVeque 1983, https://doi.org/10.1080/00031305.1983.10483115,
        equation 1.5, for the update; `zoo.metrics.frechet` for the distance.

    Example:
        >>> metric = FrechetDistance(1)
        >>> metric.update_state([[-1.0], [0.0], [1.0]], [[1.0], [3.0], [5.0]])
        >>> float(metric.result())
        10.0
    """

    def __init__(self, features, name="frechet_distance", **kwargs):
        super().__init__(name=name, **{"dtype": "float64", **kwargs})
        self.features = features
        self.fixed = False
        self.real = self._moments("real")
        self.fake = self._moments("fake")

    def _moments(self, who):
        shapes = {
            "count": (),
            "mean": (self.features,),
            "scatter": (self.features,) * 2,
        }
        return {
            part: self.add_variable(
                shape, "zeros", dtype="float64", name=f"{who}_{part}"
            )
            for part, shape in shapes.items()
        }

    def set_real(self, moments):
        """Takes the real statistics from `Moments`, once for all resets to come."""
        if not isinstance(moments, Moments) or moments.count < 2:
            raise ValueError(
                f"`moments` must be Moments of 2 samples or more. Received: {moments}."
            )
        self.real["count"].assign(moments.count)
        self.real["mean"].assign(moments.mean)
        self.real["scatter"].assign(moments.covariance() * (moments.count - 1))
        self.fixed = True

    def update_state(self, real, fake, sample_weight=None):
        """Takes in a batch of features each."""
        if sample_weight is not None:
            raise ValueError("A Fréchet distance takes no `sample_weight`.")
        if not self.fixed:
            _update(self.real, real)
        _update(self.fake, fake)

    def result(self):
        """Returns the distance so far."""
        parts = [*self.real.values(), *self.fake.values()]
        parts = [tf.convert_to_tensor(part) for part in parts]
        return tf.ensure_shape(tf.numpy_function(_distance, parts, tf.float64), ())

    def reset_state(self):
        """Forgets the fakes, and the real ones unless `set_real` gave them."""
        forgotten = [self.fake] if self.fixed else [self.fake, self.real]
        for variables in forgotten:
            for variable in variables.values():
                variable.assign(tf.zeros(variable.shape, tf.float64))

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {**super().get_config(), "features": self.features}


def _update(moments, batch):
    """Adds a batch to count, mean and scatter, centred before it is squared."""
    batch = tf.cast(batch, tf.float64)  # (batch, features)
    count = tf.cast(tf.shape(batch)[0], tf.float64)
    mean = tf.math.divide_no_nan(tf.reduce_sum(batch, axis=0), count)  # may be empty
    centred = batch - mean
    before = tf.convert_to_tensor(moments["count"])
    total = before + count
    shift = mean - moments["mean"]
    scatter = tf.matmul(centred, centred, transpose_a=True)  # (features, features)
    # Within the batch, and between its mean and that of all before it.
    share = tf.math.divide_no_nan(count, total)
    scatter += before * share * tf.tensordot(shift, shift, axes=0)
    moments["scatter"].assign(moments["scatter"] + scatter)
    moments["mean"].assign(moments["mean"] + share * shift)
    moments["count"].assign(total)


def _distance(*parts):
    """Returns the Fréchet distance of (count, mean, scatter) of real and of fake."""
    sides = []
    for count, mean, scatter in (parts[:3], parts[3:]):
        if count < 2:
            return np.float64(np.nan)
        if not np.isfinite(scatter).all():
            raise ValueError(
                "Features must be finite: a NaN or infinity here usually means that "
                "the generator or the extractor diverged."
            )
        sides.append(Moments.of(count, mean, scatter))
    return np.float64(frechet_distance(*sides))


@register
class KernelDistance(keras.metrics.Metric):
    """Kernel distance averaged over batches.

    Each batch gives an unbiased estimate, so their mean is one too, in memory that no
    number of samples changes; its error is larger than that of all pairs.

    Args:
        name: Of the metric; name the extractor in it.
        **kwargs: Passed to `keras.metrics.Metric`.

    Shapes:
        in: Two `(batch, features)` tensors, at least two rows each.
        out: Scalar, without unit; may be slightly negative.

    Source:
        Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401, section 4.
    """

    def __init__(self, name="kernel_distance", **kwargs):
        super().__init__(name=name, **{"dtype": "float64", **kwargs})
        self.total = self.add_variable((), "zeros", dtype="float64", name="total")
        self.count = self.add_variable((), "zeros", dtype="float64", name="count")

    def update_state(self, real, fake, sample_weight=None):
        """Takes in a batch of features each."""
        if sample_weight is not None:
            raise ValueError("A kernel distance takes no `sample_weight`.")
        real, fake = tf.cast(real, tf.float64), tf.cast(fake, tf.float64)

        def kernel(a, b):
            dim = tf.cast(tf.shape(a)[1], tf.float64)
            return (tf.matmul(a, b, transpose_b=True) / dim + 1.0) ** 3

        def of_others(a):
            gram = kernel(a, a)  # (batch, batch)
            count = tf.cast(tf.shape(a)[0], tf.float64)
            # No row is compared with itself: that is what makes it unbiased.
            others = tf.reduce_sum(gram) - tf.linalg.trace(gram)
            return others / (count * (count - 1.0))

        value = of_others(real) + of_others(fake)
        value -= 2.0 * tf.reduce_mean(kernel(real, fake))
        self.total.assign(self.total + value)
        self.count.assign(self.count + 1.0)

    def result(self):
        """Returns the mean over batches; NaN before the first."""
        return tf.convert_to_tensor(self.total) / tf.convert_to_tensor(self.count)


class Evaluate(keras.callbacks.Callback):
    """Measures samples after an epoch and logs the results.

    Put it before callbacks that read logs: `CSVLogger`, `TensorBoard`, checkpoints.
    Between measurements the last values are repeated, so that every row has them.

    Args:
        real: Images to compare with; their features are computed once.
        extractor: A `zoo.metrics.extractors.Extractor`.
        sample: `model -> images`, float in [0, 1], always from the same latents if the
            epochs are to be compared.
        metrics: Keys of `zoo.metrics.suite.METRICS`.
        every: Epochs from one measurement to the next; the first is always measured.
        cache: As for `zoo.experiment.comparison.compare`.

    Logs:
        `<metric>_<extractor>`, as `zoo.metrics.suite.measure` names them.

    Example:
        >>> from zoo.metrics.extractors import Extractor
        >>> extractor = Extractor("brightness", lambda images: images[:, 0, 0])
        >>> black, white = np.zeros((9, 2, 2, 1)), np.ones((9, 2, 2, 1))
        >>> watch = Evaluate(black, extractor, sample=lambda model: white)
        >>> watch.on_epoch_end(0, logs := {})
        >>> logs
        {'fid_brightness': 1.0}
    """

    def __init__(self, real, extractor, sample, metrics=("fid",), every=1, cache=None):
        super().__init__()
        self.extractor = extractor
        self.sample = sample
        self.metrics = metrics
        self.every = every
        self.real = cached(np.asarray(real), extractor, cache)
        self.values = None

    def on_epoch_end(self, epoch, logs=None):
        """Measures, if it is time to, and adds to `logs`."""
        if self.values is None or (epoch + 1) % self.every == 0:
            fake = self.extractor.extract(np.asarray(self.sample(self.model)))
            results = suite.measure(self.real, fake, self.extractor.name, self.metrics)
            self.values = {name: entry["value"] for name, entry in results.items()}
        if logs is not None:
            logs.update(self.values)
