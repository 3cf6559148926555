import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.deploy import export
from zoo.networks.autoencoders import Convolutional
from zoo.vae import VAE


def model():
    return VAE((8, 8, 1), 3, Convolutional((4, 8)))


def test_every_format_of_every_endpoint_is_run_and_compared(tmp_path):
    images = np.random.default_rng(0).random((16, 8, 8, 1), dtype="float32")
    artifacts = export.export(model(), tmp_path, {"images": images}, version=3)
    assert {(a.format, a.endpoint) for a in artifacts} == {
        (format, endpoint)
        for format in ("saved_model", *export.LITERT_FORMATS)
        for endpoint in ("encode", "decode")
    }
    assert {p.name for p in tmp_path.iterdir()} == {
        "3",
        *(f"model_{format}.tflite" for format in export.LITERT_FORMATS),
    }
    assert all(a.path.exists() and a.bytes > 0 for a in artifacts)
    assert "model_int8.tflite" in export.describe(artifacts)


def test_lite_rt_takes_any_batch_size_by_name(tmp_path):
    vae = model()
    export.export(vae, tmp_path, formats=("float32",))
    run = export.interpreter(tmp_path / "model_float32.tflite").get_signature_runner(
        "decode"
    )
    for count in (1, 5):
        codes = np.full((count, 3), 0.5, "float32")
        np.testing.assert_allclose(
            run(codes=codes)["images"], vae.decode(codes), atol=1e-5
        )


def test_saved_model_serves_named_inputs_and_stores_each_weight_once(tmp_path):
    vae = model()
    export.export(vae, tmp_path, formats=())
    served = tf.saved_model.load(str(tmp_path / "1"))
    default = served.signatures["serving_default"].structured_input_signature[1]
    assert default["codes"].shape.as_list() == [None, 3]
    assert default["codes"].dtype == tf.float32
    stored = tf.train.list_variables(str(tmp_path / "1" / "variables" / "variables"))
    shapes = [tuple(s) for name, s in stored if "object_graph" not in name.lower()]
    assert sorted(map(str, shapes)) == sorted(
        str(tuple(w.shape)) for w in vae.trainable_variables
    )


class Wrong:
    """An exportable whose function answers otherwise once it is traced."""

    def __init__(self, error):
        self.error = error
        self.variables = []

    def export_signatures(self):
        def double(x):
            extra = 0.0 if tf.executing_eagerly() else self.error
            return {"y": 2.0 * x + extra}

        return {"double": (double, [tf.TensorSpec((None, 2), tf.float32, name="x")])}


@pytest.mark.parametrize("error", [1e-2, float("nan")])
def test_a_file_that_differs_is_not_written(tmp_path, error):
    with pytest.raises(ValueError, match="Not exported: these differ"):
        export.export(Wrong(error), tmp_path / "out", formats=("float32",))
    assert list((tmp_path / "out").iterdir()) == []
    assert export.export(Wrong(0.0), tmp_path / "out", formats=("float32",))


class Only(Wrong):
    """An exportable of one function."""

    def __init__(self, function):
        super().__init__(0.0)
        self.function = function

    def export_signatures(self):
        spec = tf.TensorSpec((None, 2, 2), tf.float32, name="x")
        return {"f": (lambda x: {"y": self.function(x)}, [spec])}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (tf.linalg.inv, "built-in operations alone"),
        (tf.math.lgamma, "converts, but its endpoint f does not run"),
    ],
)
def test_what_lite_rt_cannot_do_is_an_error(tmp_path, function, message):
    with pytest.raises(ValueError, match=message):
        export.export(Only(function), tmp_path, formats=("float32",))
    assert list(tmp_path.iterdir()) == []


MASK = np.where(np.arange(512) % 2, -1e9, 0.0).astype("float32")  # no float16


class Loop(keras.Model):
    """Multiplies by its weights until the time is up."""

    def __init__(self):
        super().__init__()
        start = np.random.default_rng(0).normal(size=(64, 64)) / 8
        self.matrix = self.add_weight((64, 64), lambda *_, **__: start)
        self.built = True

    def export_signatures(self):
        def run(x):
            for _ in tf.range(5):
                x = tf.tanh(x @ self.matrix) + x
            return {"y": x, "masked": tf.maximum(tf.tile(x, [1, 8]), MASK)}

        return {"run": (run, [tf.TensorSpec((1, 64), name="x")])}


def test_half_precision_survives_a_loop(tmp_path):
    artifacts = export.export(Loop(), tmp_path, formats=("float32", "float16"))
    sizes = {a.format: a.bytes for a in artifacts}
    assert sizes["float16"] < 0.7 * sizes["float32"]
    run, whole = (
        export.interpreter(tmp_path / f"model_{format}.tflite")
        for format in ("float16", "float32")
    )
    assert run.get_signature_list() == whole.get_signature_list()
    call = run.get_signature_runner("run")
    x = np.random.default_rng(1).normal(size=(1, 64)).astype("float32")
    (function, _) = Loop().export_signatures()["run"]
    for _ in range(3):  # also when called again
        for name, value in function(x).items():
            np.testing.assert_allclose(call(x=x)[name], value, rtol=0, atol=1e-2)


def test_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="Formats: float32, float16, dynamic, int8"):
        export.export(model(), tmp_path, formats=("onnx",))


def test_difference_is_a_share_of_the_largest_value():
    expected = {"a": np.array([0.0, 4.0]), "b": np.array([1.0])}
    actual = {"a": np.array([1.0, 4.0]), "b": np.array([1.0])}
    largest, rms = export.difference(expected, actual)
    assert largest == 0.25
    assert rms == pytest.approx(0.25 / np.sqrt(2))
    actual["b"] = np.array([np.nan])
    assert np.isnan(export.difference(expected, actual)).all()


def test_a_rounded_format_that_is_too_far_off_is_an_error_or_left_out(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(export.TOLERANCES, "dynamic", 0.0)
    with pytest.raises(ValueError, match="differ from the model"):
        export.export(model(), tmp_path, formats=("float16", "dynamic"))
    assert list(tmp_path.iterdir()) == []
    artifacts = export.export(
        model(), tmp_path, formats=("float16", "dynamic"), strict=False
    )
    assert {a.format for a in artifacts} == {"saved_model", "float16"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "model_float16.tflite"]
    monkeypatch.setitem(export.TOLERANCES, "saved_model", -1.0)
    with pytest.raises(ValueError, match="differ from the model"):
        export.export(model(), tmp_path, formats=("float16",), strict=False)
