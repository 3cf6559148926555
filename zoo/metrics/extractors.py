"""How images become the features that metrics are computed on.

    images --range, channels, resize--> network --> features (and logits) --> metrics

One pass of an `Extractor` feeds every metric. Its name ends up in the name of each
number made with it, `fid_classifier_mnist`: values from different networks, weights or
ways to resize measure different things and must not meet in one column.

Any network will do here; those that the field knows by name are in
`zoo.metrics.known`. Unlike the statistics both need TensorFlow, so `zoo.metrics`
imports neither:

    from zoo.metrics import extractors
    classifier = zoo.deploy.presets.load("classifier_mnist")
    extractor = extractors.of_model(classifier, "classifier_mnist")
    features, logits = extractor.extract(digits)
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from zoo.metrics import checks
from zoo.metrics.frechet import Moments
from zoo.system import whole


class Outputs(NamedTuple):
    """What an extractor found in images.

    Attributes:
        features: `(count, features)` float32.
        logits: `(count, classes)` float32, or `None` if the network has no classes.
    """

    features: np.ndarray
    logits: np.ndarray | None


def clean(images, size):
    """Resizes as clean-fid does: bicubic, low-pass filtered, clipped, not rounded.

    Without the filter, reducing an image keeps every n-th pixel: fine texture turns
    into noise, on which networks and hence metrics depend. Beside an edge the bicubic
    filter swings beyond black and white, where no network was trained.

    Args:
        images: `(batch, height, width, channels)` in [0, 1].
        size: Height and width.

    Source:
        Parmar et al. 2022, https://arxiv.org/abs/2104.11222, section 3.
    """
    resized = tf.image.resize(images, size, "bicubic", antialias=True)
    return tf.clip_by_value(resized, 0.0, 1.0)


def legacy_pytorch(images, size):
    """Resizes as pytorch-fid and torch's `interpolate` do: bilinear, no filter."""
    return tf.image.resize(images, size, "bilinear", antialias=False)


def legacy_tensorflow(images, size):
    """Resizes as the first FID program and TensorFlow 1 do.

    Bilinear, no filter, and a grid that is off by up to half a pixel.
    """
    return tf.raw_ops.ResizeBilinear(images=images, size=size)


#: Ways to resize, by name; all but the first join the extractor's name.
RESIZES = {f.__name__: f for f in (clean, legacy_pytorch, legacy_tensorflow)}


class Extractor:
    """A network together with all that images go through before it.

    Args:
        name: What metrics made with it are called after: network and weights.
        network: Function of a float32 tensor `(batch, height, width, channels)`,
            giving features, a pair (features, logits), or a dict of these names.
            Features are `(batch, features)`, or a map to be averaged over.
        size: Height and width that images are resized to; `None` keeps theirs.
        channels: 1 or 3: grey images are repeated, colour becomes luma. `None` keeps.
        value_range: `(low, high)` of black and white that the network wants.
        resize: A key of `RESIZES`.
        fingerprint: Of the weights, any string; cached features are found by it.

    Attributes:
        preprocessing: What images go through, for people and for `Moments`.

    Example:
        >>> brightness = Extractor("mean", lambda x: tf.reduce_mean(x, [1, 2]))
        >>> brightness.extract(np.full((2, 4, 4, 1), 255, "uint8")).features
        array([[1.],
               [1.]], dtype=float32)
    """

    def __init__(
        self,
        name,
        network,
        *,
        size=None,
        channels=None,
        value_range=(0.0, 1.0),
        resize="clean",
        fingerprint="",
    ):
        if resize not in RESIZES:
            raise ValueError(
                f"`resize` is one of {', '.join(RESIZES)}. Received: {resize!r}."
            )
        if channels not in (None, 1, 3):
            raise ValueError(f"`channels` is 1, 3 or None. Received: {channels!r}.")
        self.name = name if resize == "clean" else f"{name}_{resize}"
        self.network = network
        self.size = None if size is None else tuple(size)
        self.channels = channels
        self.value_range = tuple(map(float, value_range))
        self.resize = resize
        self.fingerprint = fingerprint
        # Features kept since before `clean` was clipped must not be found by it.
        how = "clean, clipped" if resize == "clean" else resize
        self.preprocessing = (
            f"size={self.size} channels={channels} range={self.value_range} {how}"
        )
        self._graph = tf.function(self._run)

    def extract(self, images, *, value_range=None, batch_size=64, progress=None):
        """Passes images through the network, a batch at a time.

        Args:
            images: `(count, height, width, channels)`, uint8 or floats in [0, 1]; or
                an iterable of such batches, as a generator makes them.
            value_range: `(low, high)` of black and white, if another, such as (-1, 1).
            batch_size: Images at once, of an array.
            progress: Function of (images done, images in all or `None`), called after
                each batch.

        Returns:
            `Outputs`.

        Raises:
            ValueError: If there are no images, their shape is not that of images, a
                value leaves the range, or the network gives no features.
            TypeError: If their type implies no range.
        """
        parts = self._batches(images, value_range, batch_size, progress)
        features, logits = zip(*parts, strict=True)
        return Outputs(
            np.concatenate(features),
            None if logits[0] is None else np.concatenate(logits),
        )

    def moments(self, images, *, dataset="", value_range=None, batch_size=64):
        """Returns the `Moments` of any number of images, in constant memory.

        They know what they are of, so that they can be saved, merged with those of
        another process, and be refused where they do not fit.

        Args:
            images: As for `extract`.
            dataset: What the images are, such as "fashion_mnist/test".
            value_range: As for `extract`.
            batch_size: As for `extract`.
        """
        moments = Moments(
            dataset=dataset, extractor=self.name, preprocessing=self.preprocessing
        )
        for outputs in self._batches(images, value_range, batch_size, None):
            moments.update(outputs.features)
        return moments

    def _batches(self, images, value_range, batch_size, progress):
        """Yields the `Outputs` of each batch."""
        done, total = 0, None
        if hasattr(images, "shape"):
            array, total = images, len(images)
            images = (array[i : i + batch_size] for i in range(0, total, batch_size))
        for batch in images:
            yield self._batch(np.asarray(batch), value_range)
            done += len(batch)
            if progress:
                progress(done, total)
        if not done:
            raise ValueError("There are no images to extract features from.")

    def _batch(self, batch, value_range):
        if batch.ndim != 4 or batch.shape[-1] not in (1, 3):
            raise ValueError(
                "Images are (count, height, width, channels) with 1 or 3 channels. "
                f"Received: shape {batch.shape}."
            )
        unit = checks.images(batch, value_range).astype(np.float32)
        # Any number of images, so that a last short batch needs no second graph.
        spec = tf.TensorSpec((None, *unit.shape[1:]), tf.float32)
        outputs = self._graph.get_concrete_function(spec)(tf.constant(unit))
        logits = outputs.get("logits")
        return Outputs(
            outputs["features"].numpy(), None if logits is None else logits.numpy()
        )

    def _run(self, images):
        """Maps images in [0, 1] to a dict of features and perhaps logits."""
        if self.channels == 3 and images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)  # (batch, height, width, 3)
        elif self.channels == 1 and images.shape[-1] == 3:
            images = tf.image.rgb_to_grayscale(images)  # (batch, height, width, 1)
        if self.size is not None and images.shape[1:3] != self.size:
            images = RESIZES[self.resize](images, self.size)
        low, high = self.value_range
        outputs = self.network(low + (high - low) * images)
        if isinstance(outputs, (tuple, list)):
            outputs = dict(zip(("features", "logits"), outputs, strict=True))
        elif not isinstance(outputs, dict):
            outputs = {"features": outputs}
        if "features" not in outputs:
            raise ValueError(
                f"The network of {self.name!r} must return 'features'. Received: "
                f"outputs {', '.join(outputs)}."
            )
        features = outputs["features"]
        if features.shape.rank == 4:
            features = tf.reduce_mean(features, (1, 2))  # (batch, features)
        if features.shape.rank != 2:
            raise ValueError(
                f"The features of {self.name!r} must be (batch, features) or a map "
                f"(batch, height, width, features). Received: shape {features.shape}."
            )
        chosen = {"features": features, "logits": outputs.get("logits")}
        return {k: tf.cast(v, tf.float32) for k, v in chosen.items() if v is not None}


# ----------------------------------------------------------------- any network


def of_model(model, name, *, layer=None, value_range=(0.0, 1.0), resize="clean"):
    """Returns the extractor that a Keras model makes.

    Args:
        model: A model of this zoo that exports `classify`, such as the presets
            `classifier_mnist` and `classifier_fashion_mnist`; or any functional or
            built Keras model of one image input.
        name: Of the extractor.
        layer: Name of the layer whose output are the features, those of the model
            then being logits. By default the model's output are the features.
        value_range: As for `Extractor`.
        resize: As for `Extractor`.

    Example:
        >>> images = keras.Input((4, 4, 1))
        >>> model = keras.Model(images, keras.layers.Flatten()(images))
        >>> of_model(model, "pixels").extract(np.zeros((2, 4, 4, 1))).features.shape
        (2, 16)
    """
    signatures = getattr(model, "export_signatures", dict)()
    if "classify" in signatures:
        network, (spec,) = signatures["classify"]
        shape = tuple(spec.shape)
    else:
        shape = getattr(model, "input_shape", ())
        if signatures or not isinstance(shape, tuple) or len(shape) != 4:
            raise ValueError(
                f"{name} is no classifier and has no one input of images, so it gives "
                "no features. Give a classifier, or a Keras model from images to them."
            )
        if layer is not None:
            outputs = [model.get_layer(layer).output, model.output]
            model = keras.Model(model.inputs, outputs)

        def network(images):
            return model(images, training=False)

    return Extractor(
        name,
        network,
        size=None if None in shape[1:3] else shape[1:3],
        channels=shape[3],
        value_range=value_range,
        resize=resize,
        fingerprint=digest(np.asarray(v).tobytes() for v in model.variables),
    )


def of_saved_model(
    path, name, *, signature="serving_default", value_range=(0.0, 1.0), resize="clean"
):
    """Returns the extractor that a SavedModel makes, Keras or not.

    Args:
        path: Folder of the SavedModel.
        name: Of the extractor.
        signature: Which to call: one image input; an output `features`, or one output
            of any name; `logits` are optional.
        value_range: As for `Extractor`.
        resize: As for `Extractor`.

    Raises:
        ValueError: If there is no such signature or it takes more than images.
    """
    loaded = tf.saved_model.load(str(path))
    if signature not in loaded.signatures:
        raise ValueError(
            f"{path} has no signature {signature!r}. Received: "
            f"{', '.join(loaded.signatures)}."
        )
    run = loaded.signatures[signature]
    specs = run.structured_input_signature[1]
    if len(specs) != 1:
        raise ValueError(
            f"Signature {signature!r} of {path} must take images alone. Received: "
            f"inputs {', '.join(specs)}."
        )
    ((key, spec),) = specs.items()
    shape = tuple(spec.shape)

    def network(images, loaded=loaded):  # the signature alone does not keep variables
        outputs = run(**{key: images})
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    files = sorted(p for p in Path(path).rglob("*") if p.is_file())
    return Extractor(
        name,
        network,
        size=None if None in shape[1:3] else shape[1:3],
        channels=shape[3],
        value_range=value_range,
        resize=resize,
        fingerprint=digest(file.read_bytes() for file in files),
    )


def digest(parts):
    """Returns a short hash of byte strings."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def cached(images, extractor, folder, *, value_range=None, progress=None):
    """Returns what an extractor finds in images, from a file if it was there before.

    Args:
        images: As for `Extractor.extract`, an array.
        extractor: An `Extractor`.
        folder: Of the files; `None` always extracts.
        value_range: As for `Extractor.extract`.
        progress: As for `Extractor.extract`.
    """
    if folder is None:
        return extractor.extract(images, value_range=value_range, progress=progress)
    key = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    for part in (images.shape, images.dtype, value_range, extractor.preprocessing):
        key.update(str(part).encode())
    key.update(extractor.fingerprint.encode())
    path = Path(folder) / f"{extractor.name}-{key.hexdigest()[:20]}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as saved:
            return Outputs(saved["features"], saved.get("logits"))
    outputs = extractor.extract(images, value_range=value_range, progress=progress)
    arrays = {k: v for k, v in outputs._asdict().items() if v is not None}
    with whole(path) as beside:
        np.savez(beside, **arrays)
    return outputs
