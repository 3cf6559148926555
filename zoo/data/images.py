"""Images: `load` brings a data set into memory, `batches` turns it into batches.

from zoo.data import images
train, labels = images.load("embedded", "train")
model.fit(images.batches(train, 64, seed=0), epochs=10)
"""

import difflib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from zoo.data import downloads

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_SPLITS = ("train", "test")


def load(data, split, *, size=None, channels=None, data_dir=None):
    """Loads one split of an image data set into memory.

    Args:
        data: One of
            `"embedded"`: 10,000 training and 2,000 test images of Fashion-MNIST that
            come with the package.
            A TFDS name such as `"mnist"`, `"fashion_mnist"` or `"cifar10"`.
            A folder of PNG, JPEG, WebP, BMP or GIF files (a GIF's first frame), sought
            in sub-folders too. Its sub-folders `train` and `test` are the splits; where
            there are none, a tenth of the files, chosen by a hash of their names, is
            the test split. A folder with the name of a data set is written `./name`.
        split: `"train"`, `"test"`, or `"all"` for both; for TFDS any of the data set's,
            slices included.
        size: Height and width in pixels, one number or two. Images are cropped around
            the centre to that shape and resampled with an antialiasing filter.
            `None` keeps the size, which must then be common to all.
        channels: 1 or 3. `None` keeps what the files hold: 1 if all are grey. Colour
            becomes grey by luma; transparency is laid over white.
        data_dir: TFDS data directory; `None` means TFDS's default.

    Returns:
        `(images, labels)`: uint8 `(count, height, width, channels)` and int64
        `(count,)`. A folder's labels number its class sub-folders by name, from 0;
        images without a class have label 0.

    Raises:
        FileNotFoundError: The folder is missing, or TFDS cannot download the data set.
        ValueError: The name or split is unknown, a file is no readable image, sizes
            differ and none was asked for, or a split has fewer than 2 images.

    Example:
        images, labels = load("photos", "train", size=64)
    """
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1, 3 or None. Received: {channels!r}.")
    if size is not None:
        size = (size, size) if isinstance(size, int) else tuple(size)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(
                "size must be one positive number of pixels or two (height, width). "
                f"Received: {size}."
            )
    if data == "embedded":
        return _load_embedded(split, size, channels)
    known = tfds.list_builders(with_community_datasets=False)
    if isinstance(data, str) and data.split("/")[0].split(":")[0] in known:
        return _load_tfds(tfds.builder(data, data_dir=data_dir), split, size, channels)
    if Path(data).is_dir():
        return _load_folder(Path(data), split, size, channels)
    if isinstance(data, Path) or os.path.basename(data) != data:
        raise FileNotFoundError(
            f"{str(data)!r} is not an existing folder. Give a folder of images, a TFDS "
            "name such as 'mnist', or 'embedded'."
        )
    close = difflib.get_close_matches(data, ["embedded", *known])
    raise ValueError(
        f"There is no data set or folder {data!r}. "
        + (f"Did you mean {' or '.join(map(repr, close))}? " if close else "")
        + "Give 'embedded', a TFDS name such as 'mnist', or a folder of images."
    )


def splits(name, size=None, channels=None, share=0.05):
    """Loads what a training run needs: images to train, to validate and to test with.

    Args:
        name: As for `load`.
        size: As for `load`.
        channels: As for `load`.
        share: Of the training images, which of them is held out to validate with: the
            best epoch is chosen on it, so that the test images are for the end. At
            least 2, which have a variance, and at most 100,000 times this share;
            always the same images.

    Returns:
        Three pairs `(images, labels)`, as `load` returns them.
    """
    settings = {"size": size, "channels": channels}
    pixels, labels = load(name, "train", **settings)
    order = np.random.default_rng(0).permutation(len(labels))
    count = max(2, min(round(100_000 * share), int(len(labels) * share + 1e-9)))
    train, validation = order[count:], order[:count]
    return (
        (pixels[train], labels[train]),
        (pixels[validation], labels[validation]),
        load(name, "test", **settings),
    )


def batches(
    examples, batch_size, *, seed=None, transform=None, augment=None, first_epoch=0
):
    """Returns a dataset of batches, one epoch long each time it is iterated.

    The order is: decode, hold in memory, shuffle, augment, batch, transform, prefetch.
    `load` does the first two, once. Augmentation must come after what is kept: before
    it, one epoch's random crops would be replayed for ever. Whole batches are gathered
    by index, since passing images one by one costs more than most augmentation.

    With `seed`, for training, each epoch has a new order and drops its last partial
    batch, and its stream depends on `(seed, epoch)` alone: a run resumed with
    `first_epoch=e` sees what an uninterrupted one would have seen from epoch `e` on.
    Without, for evaluation, the order and every example are kept.

    An epoch counts once its last batch is handed out. An iteration given up before
    that (Keras looks at a first batch to build a distributed model) is begun again.

    Args:
        examples: Array or tuple of arrays whose first dimensions agree.
        batch_size: Examples per batch, over all replicas together.
        seed: Integer that shuffles and augments; `None` does neither.
        transform: Function of a batch's arrays (as positional arguments) returning
            what the model takes, without randomness. Default: uint8 arrays become
            float32 in [0, 1], others stay.
        augment: Function of one example's arrays and a `(2,)` int32 seed for
            `tf.image.stateless_random_*` and the like, different for each example and
            epoch; it returns the arrays, of unchanged dtype. It needs `seed`.
        first_epoch: The epoch to begin with, counted from 0.

    Returns:
        A finite `tf.data.Dataset` of known cardinality, for `fit` or a `for` loop.

    Raises:
        ValueError: The arrays' lengths differ or are 0, `batch_size` exceeds them in
            training, `augment` comes without `seed` or changes a dtype.

    Example:
        flip = tf.image.stateless_random_flip_left_right
        batches(images, 64, seed=0, augment=lambda image, seed: flip(image, seed))
    """
    arrays = examples if isinstance(examples, tuple) else (examples,)
    lengths = [len(array) for array in arrays]
    count = lengths[0]
    training = seed is not None
    if set(lengths) != {count} or not count:
        raise ValueError(
            "The arrays of a data set need one length, at least 1. Received lengths: "
            f"{lengths}."
        )
    if batch_size < 1 or (training and batch_size > count):
        raise ValueError(
            f"batch_size must be from 1 to the {count} examples: a training epoch "
            f"drops its last partial batch. Received: {batch_size}."
        )
    if first_epoch < 0:
        raise ValueError(f"first_epoch must be at least 0. Received: {first_epoch}.")
    if augment is not None and not training:
        raise ValueError("augment draws random numbers: give batches a seed as well.")
    steps = count // batch_size if training else -(-count // batch_size)
    transform = transform or _to_unit_range
    with tf.device("CPU:0"):  # where tf.data runs; captured, not copied into the graph
        arrays = [tf.constant(array) for array in arrays]
        next_epoch = tf.Variable(first_epoch, dtype=tf.int64, trainable=False)

    def begin(_):
        """Fixes an epoch's order and seeds as its iteration begins."""
        epoch = next_epoch.read_value()
        order, seeds = tf.range(count), tf.zeros((count, 0), tf.int32)
        if training:
            keys = tf.random.split([tf.constant(seed, tf.int64), epoch])
            order = tf.random.experimental.stateless_shuffle(order, keys[0])
        if augment is not None:
            seeds = tf.random.stateless_uniform(
                (count, 2), keys[1], None, None, "int32"
            )

        def batch(step):
            here = slice(step * batch_size, (step + 1) * batch_size)
            indices = order[here]
            indices.set_shape([batch_size if training else None])
            out = [tf.gather(array, indices) for array in arrays]
            if augment is not None:
                out = _augmented(augment, out, seeds[here])
            return epoch + (step + 1) // steps, transform(*out)

        steps_of_epoch = tf.data.Dataset.range(steps)
        return steps_of_epoch.map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    def hand_out(epoch_after, batch):
        """Runs as the consumer takes the batch, so prefetching does not count."""
        next_epoch.assign(epoch_after)
        return batch

    data = tf.data.Dataset.range(1).flat_map(begin).prefetch(tf.data.AUTOTUNE)
    return data.map(hand_out).apply(tf.data.experimental.assert_cardinality(steps))


def _to_unit_range(*arrays):
    scaled = tuple(
        tf.cast(a, tf.float32) / 255.0 if a.dtype == tf.uint8 else a for a in arrays
    )
    return scaled if len(scaled) > 1 else scaled[0]


def _augmented(augment, arrays, seeds):
    dtypes = tuple(array.dtype for array in arrays)

    def one(example):
        out = augment(*example)
        out = out if isinstance(out, tuple) else (out,)
        received = tuple(tf.convert_to_tensor(array).dtype for array in out)
        if received != dtypes:
            raise ValueError(
                "augment must keep dtypes: cast back, transform follows it. Expected: "
                f"{[d.name for d in dtypes]}. Received: {[d.name for d in received]}."
            )
        return out

    return tf.map_fn(one, (*arrays, seeds), fn_output_signature=dtypes)


def _load_embedded(split, size, channels):
    with resources.as_file(resources.files(__package__) / "embedded") as folder:
        builder = tfds.builder_from_directory(folder / "fashion_mnist_subset" / "1.0.0")
        return _load_tfds(builder, split, size, channels)


def _load_tfds(builder, split, size, channels):
    features = dict(builder.info.features)
    keys = [k for k, v in features.items() if isinstance(v, tfds.features.Image)]
    if len(keys) != 1 or features[keys[0]].shape[-1] not in (None, 1, 3):
        raise ValueError(
            f"{builder.name!r} is no set of single grey or colour images. Choose one "
            f"with exactly one image feature. Received features: {features}."
        )
    if not builder.is_prepared():
        downloads.download(builder)
    if split.split("[")[0] not in (*builder.info.splits, "all"):
        raise _no_split(builder.name, split, builder.info.splits)
    (key,) = keys
    labelled = isinstance(features.get("label"), tfds.features.ClassLabel)
    data = builder.as_dataset(split=split).map(
        lambda e: (e[key], e["label"] if labelled else tf.constant(0, tf.int64))
    )
    one_size = None not in features[key].shape
    parts = list(data.batch(1024 if one_size else 1).as_numpy_iterator())
    images = [
        _fit(_to_uint8(image, builder.name), size)
        for batch, _ in parts
        for image in batch
    ]
    names = [f"{builder.name}/{split}/{i}" for i in range(len(images))]
    labels = np.concatenate([labels for _, labels in parts])
    return _stack(images, names, channels), labels


def _load_folder(folder, split, size, channels):
    if split not in (*_SPLITS, "all"):
        raise _no_split(folder, split, (*_SPLITS, "all"))
    names = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
    if not names:
        raise ValueError(
            f"{str(folder)!r} holds no images. Looked for {', '.join(_SUFFIXES)}."
        )
    if any((folder / name).is_dir() for name in _SPLITS):
        chosen = [name for name in names if name.parts[0] == split]
        names = [name for name in names if name.parts[0] in _SPLITS]
        class_at = 1  # train/cat/1.png
    else:
        test = set(sorted(names, key=_hash)[::10])
        chosen = [name for name in names if (name in test) == (split == "test")]
        class_at = 0  # cat/1.png
    if split == "all":
        chosen = names
    if len(chosen) < 2:
        raise ValueError(
            f"The {split} split of {str(folder)!r} has too few images: {len(chosen)}, "
            "where statistics need at least 2. Put more into its sub-folder "
            f"{split!r}, or without sub-folders 'train' and 'test' give at least 11 "
            "images in all: every tenth goes to 'test'."
        )
    classes = sorted({name.parts[class_at:-1][:1] for name in names})
    labels = [classes.index(name.parts[class_at:-1][:1]) for name in chosen]
    paths = [folder / name for name in chosen]
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's lock
        images = list(pool.map(lambda path: _fit(_decode(path), size), paths))
    return _stack(images, paths, channels), np.array(labels, "int64")


def _hash(name):
    return hashlib.sha256(name.as_posix().encode()).digest()


def _no_split(name, split, splits):
    return ValueError(
        f"{str(name)!r} has no split {split!r}. Use one of: {', '.join(splits)}."
    )


def _decode(path):
    """Returns an image file as uint8 `(height, width, 1 or 3)`, upright and opaque."""
    try:
        with Image.open(path) as image:
            image.load()
            image = ImageOps.exif_transpose(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        Image.DecompressionBombError,
    ) as e:
        raise ValueError(
            f"{str(path)!r} cannot be read as an image ({e}). Replace or remove it."
        ) from e
    if image.mode.startswith("I"):  # 16 bits of grey; Pillow's own conversion clips
        return _to_uint8(np.asarray(image).astype("uint16")[..., None], path)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    grey = image.mode in ("1", "L")
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def _to_uint8(pixels, source):
    if pixels.dtype == np.uint16:
        return np.round(pixels / 257.0).astype("uint8")  # 65,535 becomes 255
    if pixels.dtype == np.bool_:
        return pixels * np.uint8(255)
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"{str(source)!r} needs images of type uint8, uint16 or bool. Received: "
            f"{pixels.dtype}."
        )
    return pixels


def _fit(pixels, size):
    """Crops around the centre to the shape of `size`, then resamples."""
    if size is None or pixels.shape[:2] == size:
        return pixels
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    fitted = np.asarray(ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS))
    return fitted.reshape(*size, pixels.shape[-1])


def _stack(images, names, channels):
    """Returns one array of images that must agree in size, given equal channels."""
    for image, name in zip(images, names, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            raise ValueError(
                "Images of different sizes need size=. Received (height, width): "
                f"{str(names[0])!r} of {images[0].shape[:2]}, {str(name)!r} of "
                f"{image.shape[:2]}."
            )
    channels = channels or max(image.shape[-1] for image in images)
    return np.stack([_recolour(image, channels) for image in images])


def _recolour(pixels, channels):
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
