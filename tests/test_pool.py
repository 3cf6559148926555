import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.training.model import Model
from zoo.training.noise import uniform
from zoo.training.pool import Pool
from zoo.training.registry import register


def numbered(*values):
    """Returns images of one pixel, which is their number."""
    return tf.reshape(tf.constant(values, tf.float32), (-1, 1, 1, 1))


def numbers(images):
    return np.asarray(images).ravel().tolist()


def test_returns_what_it_is_given_until_it_is_full():
    pool = Pool(4, (1, 1, 1))
    assert numbers(pool.query(numbered(1, 2, 3))) == [1, 2, 3]
    assert numbers(pool.query(numbered(4))) == [4]
    assert numbers(pool.state()[0]) == [1, 2, 3, 4]


@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_then_swaps_half_of_the_images_one_after_the_other(how):
    """The rule as the original has it, in Python, fed with the same random numbers."""

    def made(function):
        return function if how == "eager" else tf.function(function, jit_compile=xla)

    xla = how == "xla"  # which draws other numbers than TensorFlow does
    pool, rng = Pool(5, (1, 1, 1)), keras.random.SeedGenerator(0)
    pool.seed_generator.state.assign(rng.state)
    query, draw = made(pool.query), made(lambda: uniform((8,), rng))
    kept, old = [], 0
    for batch in range(30):
        images = [10.0 * batch + n for n in range(8)]
        swaps, places = draw().numpy() < 0.5, draw().numpy()
        expected = []
        for image, swap, place in zip(images, swaps, places, strict=True):
            if len(kept) < 5:
                kept.append(image)
                expected.append(image)
            elif swap:
                place = int(place * 5)
                expected.append(kept[place])
                kept[place] = image
            else:
                expected.append(image)
        found = numbers(query(numbered(*images)))
        assert found == expected
        assert numbers(pool.state()[0]) == kept
        old += sum(number not in images for number in found)
    # Half, if no earlier swap of the same batch has put a new one in that place.
    share = 0.5 * np.mean(0.9 ** np.arange(8)) * 29 / 30
    assert old / (30 * 8) == pytest.approx(share, abs=0.09)  # three deviations


def test_no_gradient_goes_through():
    images = numbered(1, 2)
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(Pool(2, (1, 1, 1)).query(images))
    assert tape.gradient(loss, images) is None


@register
class WithPool(Model):
    """A model whose step shows past images."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pool = Pool(3, (1, 1, 1))
        self.built = True

    def train_step(self, data):
        return {"shown": tf.reduce_sum(self.pool.query(data))}


def test_survives_saving_bit_for_bit_and_is_no_weight(tmp_path):
    model = WithPool()
    assert model.count_params() == 0 and not model.get_weights()
    empty = tmp_path / "empty.keras"
    model.save(empty)
    for filled in (2, 6):  # in part, and full
        model.pool.query(numbered(*range(filled)))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        loaded.pool.seed_generator.state.assign(model.pool.seed_generator.state)
        for ours, theirs in zip(model.pool.state(), loaded.pool.state(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for _ in range(4):
            images = numbered(7, 8, 9)
            assert numbers(model.pool.query(images)) == numbers(
                loaded.pool.query(images)
            )
    assert int(keras.saving.load_model(empty).pool.state()[1]) == 0


def test_each_replica_has_its_own():
    """Runs apart, because logical devices must be set before TensorFlow starts."""
    script = """
        import numpy as np, tensorflow as tf, keras
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from zoo.networks.layers import Dropout
        from zoo.training.pool import Pool

        two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with two.scope():
            pool = Pool(2, (1, 1, 1))
            dropout = Dropout(0.5)

        @tf.function
        def step(start):
            context = tf.distribute.get_replica_context()
            mine = tf.cast(100 * context.replica_id_in_sync_group, tf.float32)
            shown = pool.query(tf.reshape(mine + start + tf.range(4.0), (4, 1, 1, 1)))
            return shown, dropout(tf.ones((1000,)), training=True)

        for start in range(0, 40, 4):
            shown, dropped = two.run(step, [tf.constant(float(start))])
            shown = [np.ravel(part) for part in two.experimental_local_results(shown)]
            assert (shown[0] < 100).all() and (shown[1] >= 100).all(), shown
        assert (shown[0] != shown[1] - 100).any(), "replicas draw the same"
        one, other = two.experimental_local_results(dropped)
        assert 0.4 < np.mean(np.asarray(one) == np.asarray(other)) < 0.6
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_says_what_is_wrong_with_its_size():
    with pytest.raises(ValueError, match="all positive. Received size=0"):
        Pool(0, (8, 8, 3))
