"""Images: `load` brings a data set into memory, `batches` turns it into batches.

from zoo.data import images
train, labels = images.load("embedded", "train")
model.fit(images.batches(train, 64, seed=0), epochs=10)
"""

import difflib
import functools
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo.data import downloads, epochs, image_files
from zoo.data.splits import Splits

_SPLITS = ("train", "test")


def load(data, split, *, size=None, channels=None, data_dir=None):
    """Loads one split of an image data set into memory.

    Args:
        data: One of
            `"embedded"`: 10,000 training and 2,000 test images of Fashion-MNIST that
            come with the package.
            A TFDS name such as `"mnist"`, `"fashion_mnist"` or `"cifar10"`.
            A folder of PNG, JPEG, WebP, BMP or GIF files (a GIF's first frame), sought
            in sub-folders and through links too. Its sub-folders `train` and `test` are
            the splits; where there are none, a tenth of the files, chosen by a hash of
            their names, is the test split. A folder with the name of a data set is
            written `./name`.
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
    if _is_of_tfds(data):
        return _load_tfds(tfds.builder(data, data_dir=data_dir), split, size, channels)
    if Path(data).is_dir():
        return _load_folder(Path(data), split, size, channels)
    if isinstance(data, Path) or os.path.basename(data) != data:
        raise FileNotFoundError(
            f"{str(data)!r} is not an existing folder. Give a folder of images, a TFDS "
            "name such as 'mnist', or 'embedded'."
        )
    names = ["embedded", *tfds.list_builders(with_community_datasets=False)]
    close = difflib.get_close_matches(data, names)
    raise ValueError(
        f"There is no data set or folder {data!r}. "
        + (f"Did you mean {' or '.join(map(repr, close))}? " if close else "")
        + "Give 'embedded', a TFDS name such as 'mnist', or a folder of images."
    )


class ImageSplits(Splits):
    """Training, validation and test images, each `(images, labels)`."""

    @functools.cached_property
    def classes(self):
        """Number of classes: one more than the largest label of the training images."""
        _, labels = self.train
        return int(labels.max()) + 1


def splits(name, size=None, channels=None, share=0.05):
    """Returns what a run needs: images to train, to validate and to test with.

    Training and validation share one reading of the training images. Images that two
    parts of a folder share are warned of.

    Args:
        name: As `data` of `load`.
        size: As for `load`.
        channels: As for `load`.
        share: Of the training images, which of them is held out to validate with: the
            best epoch is chosen on it, so that the test images are for the end. At
            least 2, which have a variance, and at most 100,000 times this share;
            always the same images.

    Returns:
        `zoo.data.splits.Splits` of pairs `(images, labels)`, as `load` returns them.

    Example:
        parts = splits("photos", size=64)
        model.fit(batches(parts.train[0], 64, seed=0))
    """

    @functools.cache
    def training():
        pixels, labels = load(name, "train", size=size, channels=channels)
        order = np.random.default_rng(0).permutation(len(labels))
        count = max(2, min(round(100_000 * share), int(len(labels) * share + 1e-9)))
        parts = {"train": order[count:], "validation": order[:count]}
        return {part: (pixels[at], labels[at]) for part, at in parts.items()}

    def read(split):
        if split in ("train", "validation"):
            return training()[split]
        return load(name, split, size=size, channels=channels)

    def identify(part):
        return [hashlib.sha256(image.tobytes()).digest() for image in part[0]]

    # What others have divided is theirs to vouch for; a folder is the user's own.
    folder = name != "embedded" and not _is_of_tfds(name)
    return ImageSplits(read, identify=identify if folder else None, name=str(name))


def batches(
    examples,
    batch_size,
    *,
    seed=None,
    transform=None,
    augment=None,
    paired=True,
    first_epoch=0,
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
        examples: Array or tuple of arrays whose first dimensions agree if `paired`.
        batch_size: Examples per batch, over all replicas together.
        seed: Integer that shuffles and augments; `None` does neither.
        transform: Function of a batch's arrays (as positional arguments) returning
            what the model takes, without randomness. Default: `to_unit_range` of all
            arrays but those of one number an example, which are labels.
        augment: Function of one example's arrays and a `(2,)` int32 seed for
            `tf.image.stateless_random_*` and the like, different for each example and
            epoch; it returns the arrays, of unchanged dtype. It needs `seed`.
        paired: Whether entries of one number belong together, as an image and its
            label. If not, as the two sets of CycleGAN, each array has an order of its
            own and may have its own length: an epoch is as long as the longest, and
            the others are walked through anew, in a new order, whenever they end.
        first_epoch: The epoch to begin with, counted from 0.

    Returns:
        A finite `tf.data.Dataset` of known cardinality, for `fit` or a `for` loop.

    Raises:
        ValueError: There are no examples, the lengths of paired arrays differ,
            `batch_size` exceeds them in training, `augment` comes without `seed` or
            changes a dtype.

    Example:
        flip = tf.image.stateless_random_flip_left_right
        batches(images, 64, seed=0, augment=lambda image, seed: flip(image, seed))
    """
    arrays = examples if isinstance(examples, tuple) else (examples,)
    lengths = [len(array) for array in arrays]
    if paired and len(set(lengths)) > 1 or not min(lengths):
        raise ValueError(
            "The arrays of a data set need one length, at least 1, unless paired=False "
            f"says that their entries do not belong together. Received: {lengths}."
        )
    if augment is not None and seed is None:
        raise ValueError("augment draws random numbers: give batches a seed as well.")
    transform = transform or _fractions
    with tf.device("CPU:0"):  # where tf.data runs; captured, not copied into the graph
        arrays = [tf.constant(array) for array in arrays]

    def fetch(*indices_and_seeds):
        *indices, seeds = indices_and_seeds
        if paired:  # one set, whatever it is made of
            indices = indices * len(arrays)
        out = [
            tf.gather(array, index)  # (batch, ...)
            for array, index in zip(arrays, indices, strict=True)
        ]
        if augment is not None:
            out = _augmented(augment, out, seeds)
        return transform(*out)

    counts = lengths[:1] if paired else lengths
    return epochs.batches(fetch, counts, batch_size, seed=seed, first_epoch=first_epoch)


def to_unit_range(pixels):
    """Returns bytes as float32 in [0, 1], and anything else as it is.

    Args:
        pixels: Array or tensor of any shape.

    Returns:
        An array or a tensor, as it was given.
    """
    if pixels.dtype != "uint8":
        return pixels
    if tf.is_tensor(pixels):
        return tf.cast(pixels, tf.float32) / 255.0
    return pixels / np.float32(255.0)


def _fractions(*arrays):
    """Scales bytes, but not the labels that some keep in bytes."""
    scaled = tuple(a if a.shape.rank == 1 else to_unit_range(a) for a in arrays)
    return scaled if len(scaled) > 1 else scaled[0]


def _augmented(augment, arrays, seeds):
    """Returns arrays `(batch, ...)` of examples that `augment` changed one by one."""
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


def _is_of_tfds(data):
    if not isinstance(data, str):
        return False
    name = data.split("/")[0].split(":")[0]  # of name/config:version
    return name in tfds.list_builders(with_community_datasets=False)


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
        image_files.fit(image_files.to_uint8(image, builder.name), size)
        for batch, _ in parts
        for image in batch
    ]
    names = [f"{builder.name}/{split}/{i}" for i in range(len(images))]
    labels = np.concatenate([labels for _, labels in parts])
    return image_files.stack(images, names, channels), labels


def _load_folder(folder, split, size, channels):
    if split not in (*_SPLITS, "all"):
        raise _no_split(folder, split, (*_SPLITS, "all"))
    names = image_files.find(folder)
    if any((folder / name).is_dir() for name in _SPLITS):
        # What lies beside `train` and `test` belongs to neither.
        chosen = [name for name in names if name.parts[0] == split]
        names = [name for name in names if name.parts[0] in _SPLITS]
        class_at = 1  # train/cat/1.png
    else:
        # By hash, not by name: names are often sorted by class or by date.
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

    def read(path):
        return image_files.fit(image_files.decode(path), size)

    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's lock
        images = list(pool.map(read, paths))
    return image_files.stack(images, paths, channels), np.array(labels, "int64")


def _hash(name):
    return hashlib.sha256(name.as_posix().encode()).digest()


def _no_split(name, split, splits):
    return ValueError(
        f"{str(name)!r} has no split {split!r}. Use one of: {', '.join(splits)}."
    )
