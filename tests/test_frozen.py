import keras
import numpy as np
import tensorflow as tf

from zoo.training.frozen import Frozen
from zoo.training.model import Model
from zoo.training.registry import register
from zoo.training.step import means, minimize, track, unpack


def extractor():
    """Returns the same large network each time, as a download would be."""
    big = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(50_000, kernel_initializer="ones"),
            keras.layers.Dropout(0.5),  # which would change training's outputs
        ]
    )
    return big


@register
class Perceptual(Model):
    """Learns a linear map by the features of a network that is not its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
        self.extractor = Frozen(extractor())
        self.trackers = means("loss")
        self.built = True

    def call(self, inputs):
        return self.network(inputs)

    def train_step(self, data):
        inputs, _ = unpack(data, (3,))
        with tf.GradientTape() as tape:
            gap = self.extractor(self.network(inputs)) - self.extractor(inputs)
            loss = tf.reduce_mean(tf.square(gap))
        minimize(loss, tape, self.trainable_variables, self.optimizer)
        return track(self.trackers, {"loss": loss})


def test_is_not_counted_saved_or_shipped(tmp_path):
    model = Perceptual()
    model.compile(keras.optimizers.SGD(0.01))
    assert model.count_params() == 12 and len(model.get_weights()) == 2
    assert extractor().count_params() == 200_000
    model.save(tmp_path / "model.keras")
    assert (
        tmp_path / "model.keras"
    ).stat().st_size < 50_000  # 800,000 bytes of weights
    bare = Perceptual.from_config(model.get_config())
    bare.set_weights(model.get_weights())


def test_guides_training_in_a_graph_and_after_load(tmp_path):
    model = Perceptual()
    model.compile(keras.optimizers.SGD(0.01))
    weights = model.extractor.network.get_weights()
    inputs = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    first = model.fit(inputs, epochs=5, verbose=0).history["loss"]
    assert first[-1] < first[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    second = loaded.fit(inputs, epochs=5, verbose=0).history["loss"]
    assert second[-1] < second[0] < first[-1]
    for old, new in zip(weights, loaded.extractor.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # in no place trained
