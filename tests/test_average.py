import keras
import numpy as np
import pytest

from zoo.networks.dcgan import DCGAN
from zoo.training.average import Average


def network():
    """Returns a network with weights and with batch statistics."""
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4)(inputs)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def shift(model, amount):
    """Adds a number to every weight and statistic."""
    model.set_weights([weight + amount for weight in model.get_weights()])


def test_follows_by_hand():
    """Start w, then w + 1 twice: decays 2/11 and 3/12 are below 0.9 at first."""
    followed = network()
    average = Average(followed, 0.9)
    start = followed.get_weights()
    shift(followed, 1.0)
    gap = 1.0  # of the network from the average
    for step in (1, 2):
        average.update(step)
        gap *= (1 + step) / (10 + step)
    for old, mean in zip(start, average.get_weights(), strict=True):
        np.testing.assert_allclose(mean, old + 1.0 - gap, rtol=1e-5, atol=1e-6)
    average.update(10**6)
    mean = average.get_weights()[0]
    np.testing.assert_allclose(mean, start[0] + 1.0 - 0.9 * gap, rtol=1e-5)


def test_is_called_like_the_network_and_not_trained():
    followed = network()
    average = Average(followed, 0.5)
    inputs = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(average(inputs), followed(inputs))
    assert not average.trainable_variables
    assert followed.trainable_variables  # still


class TwoNetworks(keras.Model):
    """A model that averages two of its networks and none of a third."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.networks = [network(), DCGAN((4,)).generator(3, (4, 4, 1))]
        self.averages = [Average(one, 0.5) for one in self.networks]
        self.other = network()
        self.built = True

    def get_config(self):
        return {}


def test_a_model_may_hold_several_and_they_are_saved(tmp_path):
    model = TwoNetworks()
    for one in model.networks:
        shift(one, 1.0)
    for average in model.averages:
        average.update(100)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(
        tmp_path / "model.keras", custom_objects={"TwoNetworks": TwoNetworks}
    )
    for before, after in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(before, after, err_msg=before.path)
    shift(loaded.networks[0], 1.0)  # and goes on following the network beside it
    before = loaded.averages[0].get_weights()[0]
    loaded.averages[0].update(10**6)
    gap = loaded.networks[0].get_weights()[0] - before
    np.testing.assert_allclose(
        loaded.averages[0].get_weights()[0], before + 0.5 * gap, rtol=1e-5
    )


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1])
def test_says_what_is_wrong_with_its_decay(decay):
    with pytest.raises(ValueError, match=f"decay from 0 to below 1. Received {decay}"):
        Average(network(), decay)
