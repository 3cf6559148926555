"""VGG16 and VGG19 against those of Keras, with random weights in place of real."""

import keras
import numpy as np
import pytest

from zoo.networks.vgg import vgg16, vgg19

IMAGES = np.random.default_rng(0).random((2, 37, 45, 3)).astype("float32")
PEERS = {
    vgg16: (keras.applications.VGG16, keras.applications.vgg16.preprocess_input),
    vgg19: (keras.applications.VGG19, keras.applications.vgg19.preprocess_input),
}


@pytest.fixture(scope="module", params=PEERS, ids=lambda f: f.__name__)
def saved(request, tmp_path_factory):
    """A builder, and Keras' network, preparation and weights of that name."""
    build = request.param
    application, prepare = PEERS[build]
    peer = application(include_top=False, weights=None)
    for layer in peer.layers:
        if layer.weights:  # biases of 0 would hide a forgotten bias
            layer.bias.assign(0.1 * np.random.default_rng(0).normal(size=layer.filters))
    path = tmp_path_factory.mktemp("vgg") / f"{build.__name__}.weights.h5"
    peer.save_weights(path)
    return build, peer, prepare, path


def test_every_layer_is_that_of_keras(saved):
    build, peer, prepare, path = saved
    names = [layer.name for layer in peer.layers[1:]]
    theirs = keras.Model(
        peer.inputs[0], [peer.get_layer(name).output for name in names]
    )
    expected = theirs(prepare(255.0 * IMAGES))
    found = build(names, path)(IMAGES)
    for name, ours, own in zip(names, found, expected, strict=True):
        scale = np.abs(own).max()
        np.testing.assert_allclose(ours / scale, own / scale, atol=2e-6, err_msg=name)


def test_before_the_activation_is_what_it_cuts_off(saved):
    build, _, _, path = saved
    names = ["block2_conv2_before", "block2_conv2", "block5_conv3_before"]
    before, after, last = build(names, path)(IMAGES)
    assert np.min(before) < 0 and np.min(last) < 0
    np.testing.assert_array_equal(np.maximum(before, 0.0), after)


def test_any_size_will_do_and_one_layer_is_no_list():
    network = vgg16("block3_conv1", weights=None)
    assert network.input_shape == (None, None, None, 3)
    for height, width in ((8, 8), (21, 64), (50, 5)):
        features = network(np.zeros((1, height, width, 3), "float32"))
        assert features.shape == (1, height // 4, width // 4, 256)


def test_is_frozen_and_ends_with_the_last_layer_that_is_wanted():
    network = vgg19(["block1_conv2", "block2_pool"], weights=None)
    assert network.trainable_variables == []
    assert [v.shape[-1] for v in network.variables[::2]] == [64, 64, 128, 128]
    # 3 x 3 x 3 x 64 + 64 and so on, by hand
    assert network.count_params() == 1_792 + 36_928 + 73_856 + 147_584


@pytest.mark.parametrize("outputs", ["block3_conv4", ["block1_conv1", "fc1"], []])
def test_says_what_layers_there_are(outputs):
    missing = outputs if isinstance(outputs, str) else (outputs or ["none"])[-1]
    with pytest.raises(ValueError, match=f"block5_pool.*_before.*Received: {missing}"):
        vgg16(outputs, weights=None)


def test_a_machine_that_cannot_download_says_so(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on https://...: Name or service not known")

    monkeypatch.setattr(keras.applications, "VGG19", offline)
    with pytest.raises(
        OSError, match="imagenet.*URL fetch failure.*pass `weights` the"
    ):
        vgg19("block1_conv1")
    with pytest.raises(OSError, match="no such file.*pass `weights` the path"):
        vgg16("block1_conv1", tmp_path / "no.h5")


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Keras, layer by layer
def test_weights_of_another_network_are_refused(saved, tmp_path):
    build, _, _, path = saved
    other = vgg19 if build is vgg16 else vgg16
    with pytest.raises(ValueError, match="does not hold the weights of VGG1"):
        other("block1_conv1", path)
