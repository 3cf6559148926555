"""The engine: what an epoch is, of one set, of pairs and of unpaired sets."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.data import epochs, images

HORSES, ZEBRAS = np.arange(7), np.arange(100, 123)  # 7 and 23


def indices_of(counts, batch_size, **options):
    """A dataset of the indices themselves."""
    return epochs.batches(lambda *indices: indices[:-1], counts, batch_size, **options)


def walked(data, count):
    """The examples of `count` epochs: one array `(epochs, examples)` a set."""
    epochs = [
        [np.concatenate(side) for side in zip(*data.as_numpy_iterator(), strict=True)]
        for _ in range(count)
    ]
    return [np.stack(side) for side in zip(*epochs, strict=True)]


def unpaired(**options):
    return images.batches((HORSES, ZEBRAS), 4, paired=False, **options)


def test_an_epoch_is_as_long_as_the_longest_set():
    assert len(unpaired(seed=0)) == 23 // 4
    assert len(unpaired()) == -(-23 // 4)
    data = images.batches((ZEBRAS, HORSES), 4, paired=False, seed=0)
    assert len(data) == 23 // 4
    assert [spec.shape for spec in data.element_spec] == [(4,), (4,)]


@pytest.mark.parametrize("sides", [(HORSES, ZEBRAS), (ZEBRAS, HORSES)])
def test_the_longer_set_is_seen_once_an_epoch_and_the_shorter_equally_often(sides):
    data = images.batches(sides, 4, paired=False, seed=3)
    seen = walked(data, 7 * 5)  # 35 epochs of 20: 100 times 7
    longer, shorter = sorted(seen, key=np.max, reverse=True)
    for epoch in longer:
        assert len(set(epoch)) == 20  # the rest is dropped, another one each time
    counts = np.unique(longer, return_counts=True)[1]
    assert len(counts) == 23 and counts.min() > 0.7 * 700 / 23
    np.testing.assert_array_equal(np.unique(shorter, return_counts=True)[1], [100] * 7)
    for walk in shorter.reshape(100, 7):  # each time through the whole set
        np.testing.assert_array_equal(np.sort(walk), HORSES)
    orders = {tuple(walk) for walk in shorter.reshape(100, 7)}
    assert len(orders) > 90  # of 5,040 possible ones


def test_sets_of_one_length_have_an_order_each():
    both = images.batches((HORSES, HORSES), 7, paired=False, seed=0)
    first, second = walked(both, 20)
    assert not np.array_equal(first, second)
    for side in (first, second):
        np.testing.assert_array_equal(np.sort(side, axis=1), [HORSES] * 20)


def test_the_longest_set_comes_as_it_does_alone():
    """A second set changes nothing for the first."""
    alone = images.batches(ZEBRAS, 4, seed=5)
    together = images.batches((ZEBRAS, HORSES), 4, paired=False, seed=5)
    expected = [np.concatenate(list(alone.as_numpy_iterator())) for _ in range(3)]
    np.testing.assert_array_equal(walked(together, 3)[0], expected)


@pytest.mark.parametrize("first_epoch", [1, 5, 8])
def test_unpaired_sets_resume_exactly(first_epoch):
    def noisy(horse, zebra, seed):
        noise = tf.random.stateless_uniform((), seed, maxval=1000, dtype=tf.int64)
        return horse, 1000 * zebra + noise

    whole = walked(unpaired(seed=2, augment=noisy), 9)
    resumed = unpaired(seed=2, augment=noisy, first_epoch=first_epoch)
    next(iter(resumed))  # an iteration given up does not count
    for side, expected in zip(walked(resumed, 9 - first_epoch), whole, strict=True):
        np.testing.assert_array_equal(side, expected[first_epoch:])


def test_fit_trains_and_resumes_on_unpaired_sets():
    class Recorder(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.seen, self.weight = [], self.add_weight(shape=())

        def train_step(self, batch):
            tf.py_function(lambda *b: self.seen.append(np.stack(b)), batch, [])
            return {"output": tf.constant(0.0)}

    def trained(first_epoch):
        model = Recorder()
        model.compile("sgd")
        model.fit(
            unpaired(seed=4, first_epoch=first_epoch),
            initial_epoch=first_epoch,
            epochs=4,
            shuffle=False,
            verbose=0,
        )
        return np.array(model.seen)  # (steps, sets, batch)

    whole = trained(0)
    assert whole.shape == (4 * 5, 2, 4)
    np.testing.assert_array_equal(trained(3), whole[3 * 5 :])


def test_evaluation_keeps_every_example_in_order_and_begins_anew():
    data = unpaired()
    for horses, zebras in [walked(data, 1), walked(data, 1)]:
        np.testing.assert_array_equal(zebras[0], ZEBRAS)
        np.testing.assert_array_equal(horses[0], np.resize(HORSES, 23))


def test_a_set_of_one_and_a_batch_larger_than_the_shorter_set():
    one, many = walked(indices_of([1, 11], 5, seed=0), 4)
    assert one.shape == many.shape == (4, 10) and not one.any()


def test_three_sets():
    counts = [
        np.bincount(side.ravel())
        for side in walked(indices_of([2, 3, 6], 3, seed=0), 6)
    ]
    assert [list(count) for count in counts] == [[18] * 2, [12] * 3, [6] * 6]


def test_files_larger_than_the_memory_are_cropped_as_they_are_read(tmp_path):
    """What a caller fetches need not be in memory: here random crops of files."""
    files = []
    for number in range(6):
        pixels = np.full((9, 9, 1), 40 * number, "uint8")
        pixels[:, :, 0] += np.arange(9, dtype="uint8")  # the column
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels[..., 0]).save(files[-1])
    names = tf.constant(files)

    def crop(index_and_seed):
        index, seed = index_and_seed
        image = tf.io.decode_png(tf.io.read_file(names[index]), channels=1)
        return tf.image.stateless_random_crop(image, (4, 4, 1), seed)

    def fetch(indices, seeds):
        return tf.map_fn(crop, (indices, seeds), fn_output_signature=tf.uint8)

    data = epochs.batches(fetch, [6], 3, seed=0)
    first, second = [np.concatenate(list(data.as_numpy_iterator())) for _ in range(2)]
    assert first.shape == (6, 4, 4, 1)
    for epoch in (first, second):  # each file once
        np.testing.assert_array_equal(np.sort(epoch[:, 0, 0, 0] // 40), range(6))
    corners = np.concatenate([first, second])[:, 0, 0, 0] % 40
    assert len(set(corners)) > 2 and corners.max() <= 5
    resumed = epochs.batches(fetch, [6], 3, seed=0, first_epoch=1)
    np.testing.assert_array_equal(
        np.concatenate(list(resumed.as_numpy_iterator())), second
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": [3, 0]}, r"There must be examples. Received: \[3, 0\]"),
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
        ({"batch_size": 9, "seed": 0}, "There are 5 examples.*batch_size=5 or less"),
        ({"first_epoch": -1}, "first_epoch must be at least 0. Received: -1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        indices_of(**{"counts": [3, 5], "batch_size": 2, **arguments})


def test_unpaired_arrays_need_examples():
    with pytest.raises(ValueError, match=r"at least 1.*Received: \[7, 0\]"):
        images.batches((HORSES, ZEBRAS[:0]), 4, paired=False)
