import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.data import downloads, image_files, images

NUMBERS = np.arange(22, dtype="int64")


def epochs(data, count):
    """The examples of `count` epochs, each as one array."""
    return [np.concatenate(list(data.as_numpy_iterator())) for _ in range(count)]


def noisy(image, seed):
    return image + tf.random.stateless_uniform(image.shape, seed)


def paint(path, size=(8, 6), colour=0, mode="L", **options):
    """Writes a picture of one colour; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def split_of(tmp_path, **options):
    """The training split of a folder that holds `train/`."""
    return images.load(tmp_path, "train", **options)


# batches: what an epoch is


def test_training_shows_every_example_once_an_epoch_in_a_new_order():
    first, second = epochs(images.batches(NUMBERS, 11, seed=0), 2)
    np.testing.assert_array_equal(np.sort(first), NUMBERS)
    np.testing.assert_array_equal(np.sort(second), NUMBERS)
    assert not np.array_equal(first, second)


def test_training_drops_the_last_partial_batch_and_knows_its_length():
    data = images.batches(NUMBERS, 4, seed=0)
    assert len(data) == 5
    assert [len(batch) for batch in data] == [4] * 5
    assert data.element_spec.shape == (4,)


def test_evaluation_keeps_order_and_every_example():
    data = images.batches(NUMBERS, 4)
    assert len(data) == 6
    for epoch in epochs(data, 2):
        np.testing.assert_array_equal(epoch, NUMBERS)


def test_the_seed_decides_the_stream():
    one, same, other = (
        np.stack(epochs(images.batches(NUMBERS, 2, seed=seed), 3)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_every_epoch_is_augmented_anew_from_unchanged_examples():
    zeros = np.zeros((6, 2, 2, 1), "float32")
    first, second = epochs(images.batches(zeros, 3, seed=0, augment=noisy), 2)
    assert len(np.unique(np.concatenate([first, second]))) > 40  # of 48: all differ
    assert not zeros.any()


def test_a_resumed_run_sees_what_an_uninterrupted_one_would_have_seen():
    data = NUMBERS.astype("float32")
    uninterrupted = epochs(images.batches(data, 4, seed=3, augment=noisy), 4)
    resumed = images.batches(data, 4, seed=3, augment=noisy, first_epoch=2)
    np.testing.assert_array_equal(epochs(resumed, 2), uninterrupted[2:])


def test_an_iteration_given_up_is_begun_again():
    data = images.batches(NUMBERS, 4, seed=0)
    peeked = next(iter(data)).numpy()
    np.testing.assert_array_equal(next(iter(data)).numpy(), peeked)


class Recorder(tf.keras.Model):
    """Keeps the values of each training batch, as one sorted list a step."""

    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(1)
        self.seen = []

    def call(self, batch):
        return self.dense(batch)

    def train_step(self, batch):
        tf.py_function(
            lambda b: self.seen.append(b.numpy().ravel().tolist()), [batch], []
        )
        return {"output": tf.reduce_mean(self(batch))}

    def test_step(self, batch):
        return {"output": tf.reduce_mean(self(batch))}


@pytest.mark.parametrize("first_epoch", [0, 2], ids=["whole", "resumed"])
def test_fit_sees_the_same_epochs_as_a_loop(first_epoch):
    data = np.arange(32, dtype="float32")[:, None]
    expected = epochs(images.batches(data, 8, seed=5), 4)[first_epoch:]
    model = Recorder()
    model.compile("sgd")
    history = model.fit(
        images.batches(data, 8, seed=5, first_epoch=first_epoch),
        validation_data=images.batches(data, 5),
        initial_epoch=first_epoch,
        epochs=4,
        shuffle=False,
        verbose=0,
    )
    np.testing.assert_array_equal(np.ravel(model.seen), np.ravel(expected))
    assert len(history.history["val_output"]) == 4 - first_epoch


# batches: transform, augment and wrong arguments


def test_by_default_bytes_become_fractions_and_labels_stay():
    pixels = np.array([0, 51, 255], "uint8").reshape(3, 1, 1, 1)
    batch, labels = next(iter(images.batches((pixels, np.array([4, 5, 6])), 3)))
    np.testing.assert_allclose(np.ravel(batch), [0, 0.2, 1], rtol=1e-6)
    assert batch.dtype == tf.float32
    np.testing.assert_array_equal(labels, [4, 5, 6])


def test_to_unit_range_takes_bytes_alone():
    grey = np.arange(256, dtype="uint8")
    expected = np.arange(256) / 255
    for pixels in (grey, tf.constant(grey)):
        scaled = images.to_unit_range(pixels)
        assert scaled.dtype == "float32" and tf.is_tensor(scaled) == tf.is_tensor(
            pixels
        )
        np.testing.assert_allclose(scaled, expected, rtol=1e-6)
        assert images.to_unit_range(scaled) is scaled


def test_labels_in_bytes_are_no_pixels():
    examples = np.zeros((3, 2, 2, 1), "uint8"), np.array([0, 1, 255], "uint8")
    _, labels = next(iter(images.batches(examples, 3)))
    np.testing.assert_array_equal(labels, [0, 1, 255])


def test_transform_takes_a_batch_and_augment_one_example():
    def augment(image, label, seed):
        assert image.shape == (2, 2, 1) and label.shape == () and seed.shape == (2,)
        return image, label + 1

    def transform(image, label):
        assert image.shape == (3, 2, 2, 1)
        return {"image": tf.cast(image, tf.float32) / 127.5 - 1, "label": label}

    examples = np.zeros((3, 2, 2, 1), "uint8"), np.zeros(3, "int64")
    data = images.batches(examples, 3, seed=0, augment=augment, transform=transform)
    batch = next(iter(data))
    assert batch["image"].numpy().max() == -1
    np.testing.assert_array_equal(batch["label"], [1, 1, 1])


def test_examples_and_labels_stay_together():
    pairs = images.batches((NUMBERS, NUMBERS * 10), 4, seed=0)
    assert all((labels == 10 * numbers).numpy().all() for numbers, labels in pairs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"examples": (NUMBERS, NUMBERS[:3])},
            r"one length.*paired=False.*Received: \[22, 3\]",
        ),
        ({"examples": NUMBERS[:0]}, r"at least 1.*Received: \[0\]"),
        (
            {"batch_size": 23, "seed": 0},
            "are 22 examples.*give batch_size=22 or less. Received: 23",
        ),
        ({"batch_size": 0}, "Received: 0"),
        ({"first_epoch": -1}, "first_epoch must be at least 0. Received: -1"),
        ({"augment": noisy}, "give batches a seed"),
        (
            {"augment": lambda x, seed: tf.cast(x, tf.float32), "seed": 0},
            "augment must keep dtypes.*float32",
        ),
    ],
)
def test_wrong_arguments_of_batches(arguments, message):
    with pytest.raises(ValueError, match=message):
        images.batches(**{"examples": NUMBERS, "batch_size": 4, **arguments})


# load: the user's own folder


def test_sub_folders_are_splits_and_classes(tmp_path):
    for i in range(2):
        paint(tmp_path / f"train/cat/{i}.png", colour=10)
        paint(tmp_path / f"train/dog/more/{i}.PNG", colour=20)
        paint(tmp_path / f"test/dog/{i}.png", colour=30)
    (tmp_path / "train/cat/._0.png").write_bytes(b"what macOS leaves on a USB stick")
    pixels, labels = images.load(tmp_path, "train")
    assert pixels.shape == (4, 6, 8, 1) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], [10, 10, 20, 20])
    np.testing.assert_array_equal(labels, [0, 0, 1, 1])
    _, labels = images.load(tmp_path, "test")
    np.testing.assert_array_equal(labels, [1, 1])  # numbered as in training
    assert labels.dtype == np.int64


def test_a_flat_folder_is_split_in_tenths_for_good(tmp_path):
    for i in range(30):
        paint(tmp_path / f"{i}.png", colour=i)
    train, labels = images.load(str(tmp_path), "train")
    test, _ = images.load(tmp_path, "test")
    again, _ = images.load(tmp_path, "test")
    assert len(train) == 27 and not labels.any()
    np.testing.assert_array_equal(test, again)
    values = np.concatenate([train, test])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(values), np.arange(30))


def test_each_file_is_decoded_once_however_many_epochs(tmp_path, monkeypatch):
    for i in range(3):
        paint(tmp_path / f"train/{i}.png")
    decoded, decode = [], image_files.decode
    monkeypatch.setattr(
        image_files, "decode", lambda path: (decoded.append(path.name), decode(path))[1]
    )
    pixels, _ = split_of(tmp_path)
    epochs(images.batches(pixels, 1, seed=0), 3)
    assert sorted(decoded) == ["0.png", "1.png", "2.png"]


def test_links_to_folders_are_followed_and_circles_end(tmp_path):
    for i in range(2):
        paint(tmp_path / f"elsewhere/{i}.png", colour=10 + i)
        paint(tmp_path / f"photos/train/own/{i}.png", colour=20 + i)
    (tmp_path / "photos/train/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/train/own/up").symlink_to(tmp_path / "photos")
    pixels, labels = images.load(tmp_path / "photos", "train")
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], [10, 11, 20, 21])
    np.testing.assert_array_equal(labels, [0, 0, 1, 1])


# splits: each part when it is needed, and once


def test_training_and_validation_share_one_reading(tmp_path, monkeypatch):
    for i in range(40):
        paint(tmp_path / f"train/{i % 2}/{i}.png", colour=i)
    paint(tmp_path / "test/0/a.png", colour=100)
    paint(tmp_path / "test/1/b.png", colour=101)
    read, load = [], images.load
    monkeypatch.setattr(
        images, "load", lambda *a, **k: (read.append(a[1]), load(*a, **k))[1]
    )
    parts = images.splits(tmp_path, share=0.1)
    assert read == []
    validation, labels = parts.validation
    assert validation.shape == (4, 6, 8, 1) and labels.shape == (4,)
    assert parts.train is parts.split("train") and len(parts.train[0]) == 36
    assert read == ["train"]
    both = np.concatenate([parts.train[0], validation])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(both), np.arange(40))
    train, _, test = parts
    assert train is parts.train and len(test[0]) == 2 and read == ["train", "test"]


def test_pictures_that_a_folder_trains_and_tests_with_are_named(tmp_path):
    for i in range(30):
        paint(tmp_path / f"train/{i}.png", colour=i)
    for i in (5, 6, 100):
        paint(tmp_path / f"test/copy-{i}.png", colour=i)
    parts = images.splits(tmp_path)
    assert len(parts.train[0]) == 28
    held_out = set(parts.validation[0][:, 0, 0, 0])
    assert not held_out & {5, 6}
    with pytest.warns(UserWarning, match="2 of 3 test examples are in its train part"):
        parts.split("test")


def test_unknown_split_of_splits():
    with pytest.raises(ValueError, match="no split 'dev'. Use one of: "):
        images.splits("embedded").split("dev")


# load: pixels


def colours(tmp_path, **options):
    """Colour of the top left pixel of each image."""
    return split_of(tmp_path, **options)[0][:, 0, 0].tolist()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    (tmp_path / "train").mkdir()
    for i, value in enumerate([0, 32_896, 65_535]):  # 32,896 = 257 * 128
        deep = np.full((6, 8), value, "uint16")
        Image.fromarray(deep).save(tmp_path / f"train/{i}.png")
    assert colours(tmp_path) == [[0], [128], [255]]


def test_palette_alpha_cmyk_bilevel_and_animation(tmp_path):
    red = (255, 0, 0)
    paint(tmp_path / "train/alpha.png", mode="RGBA", colour=(255, 0, 0, 0))
    paint(tmp_path / "train/bilevel.png", mode="1", colour=1)
    paint(tmp_path / "train/cmyk.jpg", mode="CMYK", colour=(0, 0, 0, 255))
    frames = [Image.new("RGB", (8, 6), colour) for colour in (red, (0, 255, 0))]
    frames[0].save(tmp_path / "train/gif.gif", save_all=True, append_images=frames[1:])
    frames[0].convert("P").save(tmp_path / "train/palette.png")
    paint(tmp_path / "train/web.webp", mode="RGB", colour=red, lossless=True)
    white, black = [255, 255, 255], [0, 0, 0]
    expected = [white, white, black, [*red], [*red], [*red]]
    assert colours(tmp_path) == expected


def test_grey_pictures_with_alpha_are_grey(tmp_path):
    paint(tmp_path / "train/0.png", mode="LA", colour=(40, 255))
    paint(tmp_path / "train/1.png", mode="LA", colour=(40, 0))  # lets the white through
    paint(tmp_path / "train/2.png", mode="LA", colour=(0, 51))  # 51 / 255: a fifth
    paint(tmp_path / "train/3.png", mode="L", colour=7, transparency=7)
    assert colours(tmp_path) == [[40], [255], [204], [255]]


def test_photographs_are_turned_upright(tmp_path):
    sideways = Image.new("L", (8, 6))
    sideways.putpixel((0, 5), 255)  # bottom left: top left once turned clockwise
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees clockwise to view
    (tmp_path / "train").mkdir()
    for i in range(2):
        sideways.save(tmp_path / f"train/{i}.png", exif=exif)
    pixels, _ = split_of(tmp_path)
    assert pixels.shape == (2, 8, 6, 1)
    assert pixels[0, 0, 0, 0] == 255


def test_size_crops_the_centre_and_antialiases(tmp_path):
    stripes = np.zeros((32, 64), "uint8")
    stripes[:, ::2] = 255
    stripes[:, :16] = stripes[:, 48:] = 7  # outside the central square
    (tmp_path / "train").mkdir()
    Image.fromarray(stripes).save(tmp_path / "train/stripes.png")
    paint(tmp_path / "train/other.png", size=(5, 9))
    pixels, _ = split_of(tmp_path, size=4)
    assert pixels.shape == (2, 4, 4, 1)
    middle = pixels[1, :, 1:3]  # picking single pixels would give 0 or 255
    assert middle.min() > 110 and middle.max() < 145
    assert split_of(tmp_path, size=(3, 5))[0].shape == (2, 3, 5, 1)


def test_channels_converts_both_ways(tmp_path):
    paint(tmp_path / "train/0.png", colour=9)
    paint(tmp_path / "train/1.png", mode="RGB", colour=(0, 255, 0))
    assert colours(tmp_path) == [[9, 9, 9], [0, 255, 0]]
    assert colours(tmp_path, channels=1) == [[9], [150]]  # 0.587 * 255


def test_mixed_sizes_need_a_size(tmp_path):
    paint(tmp_path / "train/a.png")
    paint(tmp_path / "train/b.png", size=(7, 7))
    with pytest.raises(
        ValueError, match=r"give `size`, height.*a.png' of \(6, 8\).*b.png'"
    ):
        split_of(tmp_path)


def test_a_truncated_image_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), "uint8")
    for name in ("a.png", "b.png"):
        paint(tmp_path / "train" / name)
    Image.fromarray(noise).save(tmp_path / "train/b.png")
    whole = (tmp_path / "train/b.png").read_bytes()
    (tmp_path / "train/b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="b.png' cannot be read as an image"):
        split_of(tmp_path)


def test_a_text_file_called_an_image_is_named(tmp_path):
    paint(tmp_path / "train/a.png")
    (tmp_path / "train/b.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match="b.jpg' cannot be read as an image"):
        split_of(tmp_path)


def test_too_few_images(tmp_path):
    paint(tmp_path / "a.png")
    paint(tmp_path / "b.png")
    with pytest.raises(ValueError, match="too few images: 1.*every tenth"):
        images.load(tmp_path, "test")


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(ValueError, match="holds no images. Looked for .png"):
        images.load(tmp_path, "train")


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere' is not an existing folder"):
        images.load(tmp_path / "nowhere", "train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "fashion_mnits"}, "Did you mean 'fashion_mnist'"),
        ({"data": "embeded"}, "Did you mean 'embedded'"),
        ({"data": "iris"}, "no set of single grey or colour images.*features"),
        ({"split": "validation"}, "no split 'validation'. Use one of: train, test"),
        ({"channels": 2}, "channels must be 1, 3 or None. Received: 2"),
        ({"size": 0}, "size must be one positive number.*Received"),
    ],
)
def test_wrong_arguments_of_load(arguments, message):
    with pytest.raises(ValueError, match=message):
        images.load(**{"data": "embedded", "split": "train", **arguments})


def test_unknown_split_of_a_folder(tmp_path):
    paint(tmp_path / "train/a.png")
    with pytest.raises(ValueError, match="no split 'valid'. Use one of: train, test"):
        images.load(tmp_path, "valid")


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    def unreachable(*_):
        raise OSError("Name or service not known")

    monkeypatch.setattr(downloads.urllib.request, "getproxies", dict)
    monkeypatch.setattr(downloads.socket, "getaddrinfo", unreachable)
    with pytest.raises(FileNotFoundError, match="zoo data prepare mnist --from DIR"):
        images.load("mnist", "train", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="network, or copy that folder"):
        images.load("cifar10", "train", data_dir=tmp_path)
