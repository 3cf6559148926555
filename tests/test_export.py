from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.data import images
from zoo.deploy import export, inputs, presets
from zoo.networks.autoencoders import Convolutional
from zoo.training.export_inputs import normal, one_hot, token_ids, uniform
from zoo.vae import VAE


def model():
    return VAE((8, 8, 1), 3, Convolutional((4, 8)))


def test_every_format_of_every_endpoint_is_run_and_compared(tmp_path):
    some = np.random.default_rng(0).random((16, 8, 8, 1), dtype="float32")
    artifacts = export.export(model(), tmp_path, {"images": some}, version=3)
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


# --------------------------------------------- what files are compared on


def truth(path, endpoint, function, inputs):
    """Largest and rms difference of a LiteRT file from a function, on given inputs."""
    run = export.interpreter(path).get_signature_runner(endpoint)
    actual = run(**inputs)
    wanted = {name: np.asarray(value) for name, value in function(**inputs).items()}
    return export.difference(wanted, actual)


def test_without_examples_a_gan_is_calibrated_and_compared_on_normal_noise(tmp_path):
    """On uniform noise int8 was reported 2.3e-2 from the model, and was 0.26."""
    gan = presets.load("gan_fashion_mnist")
    found = {a.format: a for a in export.export(gan, tmp_path)}
    assert "saved_model" in found and "float16" in found
    assert all(a.rows == 200 and not a.stand_ins for a in found.values())
    function, _ = gan.export_signatures()["generate"]
    latents = np.random.default_rng(9).standard_normal((200, 64), "float32")
    for format in found.keys() - {"saved_model"}:
        path = tmp_path / f"model_{format}.tflite"
        _, rms = truth(path, "generate", function, {"latents": latents})
        assert rms <= export.RMS_TOLERANCES[format]
        assert rms == pytest.approx(found[format].rms, rel=0.5)
    for format in export.LITERT_FORMATS:  # left out is not written either
        assert (tmp_path / f"model_{format}.tflite").exists() == (format in found)


def test_int8_of_images_needs_real_ones(tmp_path):
    """A VAE calibrated on uniform noise was 0.011 from itself there, 0.208 in truth."""
    vae = presets.load("vae_fashion_mnist")
    artifacts = export.export(vae, tmp_path / "none")
    assert "int8" not in {a.format for a in artifacts}
    assert not (tmp_path / "none" / "model_int8.tflite").exists()
    assert {a.stand_ins for a in artifacts} == {(), ("images",)}
    assert "noise for images" in export.describe(artifacts)
    assert "int8, without real inputs" in export.describe(artifacts)
    with pytest.raises(ValueError, match="Give `examples` of images, or leave int8"):
        export.export(vae, tmp_path / "named", formats=["int8"])
    few = {"images": np.zeros((7, 28, 28, 1), "float32")}
    with pytest.raises(ValueError, match="8 rows or more. Give `examples` of more"):
        export.export(vae, tmp_path / "few", few, formats=["int8"])

    pixels, _ = images.load("embedded", "test")
    real = {"images": images.to_unit_range(pixels[:400])}
    artifacts = export.export(vae, tmp_path / "real", real, formats=["int8"])
    found = {a.endpoint: a for a in artifacts if a.format == "int8"}
    assert {a.rows for a in found.values()} == {200}
    codes = np.random.default_rng(9).standard_normal((200, 10)).astype("float32")
    others = {"images": images.to_unit_range(pixels[400:600])}
    path = tmp_path / "real" / "model_int8.tflite"
    for endpoint, given in (("decode", {"codes": codes}), ("encode", others)):
        function, _ = vae.export_signatures()[endpoint]
        _, rms = truth(path, endpoint, function, given)
        assert rms == pytest.approx(found[endpoint].rms, rel=0.5)
        assert rms < export.RMS_TOLERANCES["int8"]


def spec(name, *shape, dtype="float32"):
    return tf.TensorSpec(shape, dtype, name=name)


def test_what_calibrates_is_not_what_compares():
    rows = np.arange(500.0, dtype="float32")[:, None]
    found = inputs.cases([spec("x", None, 1)], {"x": rows}, {}, calibrate=True)
    (compared,), (calibrating,) = found.compared, found.calibrating
    both = [set(some["x"][:, 0]) for some in (compared, calibrating)]
    assert [len(some) for some in both] == [200, 200] and not both[0] & both[1]
    assert found.rows == 200
    # However they are ordered, both see all of them.
    assert all(abs(np.mean(list(some)) - 199.5) < 20 for some in both)

    (all_of_them,) = inputs.cases([spec("x", None, 1)], {"x": rows}, {}, False).compared
    np.testing.assert_array_equal(all_of_them["x"], rows[:200])


def test_rows_that_belong_together_stay_together():
    given = {"x": np.arange(30.0), "y": 2 * np.arange(40.0)}
    found = inputs.cases([spec("x", None), spec("y", None)], given, {}, calibrate=True)
    for (batch,) in (found.compared, found.calibrating):
        np.testing.assert_array_equal(batch["y"], 2 * batch["x"])
        assert len(batch["x"]) == 15


def test_inputs_are_drawn_as_the_model_says():
    names = {"a": normal, "b": uniform, "c": one_hot, "d": token_ids(range(9))}
    specs = [
        spec("a", None, 20),
        spec("b", None),
        spec("c", None, 5),
        spec("d", None, None, dtype="int32"),
        spec("e", None, 2),
    ]
    found = inputs.cases(specs, {}, names, calibrate=True)
    assert found.stand_ins == ("e",) and found.calibrating == []
    (batch,) = found.compared
    assert {len(value) for value in batch.values()} == {200}
    assert abs(batch["a"].mean()) < 0.1 and abs(batch["a"].std() - 1) < 0.05
    assert 0 <= batch["b"].min() < 0.1 < 0.9 < batch["b"].max() < 1
    np.testing.assert_array_equal(batch["c"].sum(axis=1), 1)
    assert (batch["c"].sum(axis=0) > 20).all()
    assert (
        set(batch["d"][:, :-1].flat) == {4, 5, 6, 7, 8}
        and (batch["d"][:, -1] == 3).all()
    )


def test_endpoints_of_fixed_sizes_get_as_many_batches_as_rows_fill():
    specs = [spec("x", 5, 1), spec("m", 1, 2)]
    rows = np.arange(12.0)[:, None]
    found = inputs.cases(specs, {"x": rows}, {}, calibrate=False)
    assert [batch["x"].shape for batch in found.compared] == [(5, 1)] * 2
    assert [batch["m"].shape for batch in found.compared] == [(1, 2)] * 2
    few = inputs.cases(specs, {"x": rows[:3]}, {}, calibrate=False)
    (batch,) = few.compared
    np.testing.assert_array_equal(batch["x"][:, 0], [0, 1, 2, 0, 1])
    assert len(inputs.cases(specs, {}, {}, calibrate=False).compared) == 32
    with pytest.raises(ValueError, match="Examples have rows. Received none"):
        inputs.cases(specs, {"x": rows[:0]}, {}, calibrate=False)


def artifact(format, **facts):
    standard = {"largest": 0.0, "rms": 0.0, "agreement": 1.0, "rows": 200}
    return export.Artifact(Path("out"), format, "f", bytes=1, **standard | facts)


def test_a_file_of_which_a_tenth_of_the_rows_agree_is_none():
    """It was written beside "largest difference 0.0"."""
    for format in ("float16", "dynamic", "int8"):
        assert not artifact(format, agreement=0.1).within_tolerance(loops=True)
        assert artifact(format, agreement=0.5).within_tolerance(loops=True)
    assert not artifact("float32", agreement=0.99).within_tolerance()
    text = export.describe([artifact("dynamic", agreement=0.5)])
    assert "50% of rows the same" in text and "difference" not in text


@pytest.mark.parametrize("format", export.TOLERANCES)
@pytest.mark.parametrize("loops", [False, True])
def test_nan_never_passes(format, loops):
    nan = float("nan")
    assert not artifact(format, largest=nan, rms=nan).within_tolerance(loops)
    assert not artifact(format, agreement=nan).within_tolerance(loops)
    for wanted, actual in ((1.0, nan), (nan, 1.0), (nan, nan)):
        parts = {"x": np.array([[wanted]])}, {"x": np.array([[actual]])}
        assert np.isnan(export.difference(*parts)).all()
    lost = {"x": np.array([1.0, -np.inf])}
    assert export.difference(lost, lost) == (0.0, 0.0)  # no answer, by both
    assert export.difference(lost, {"x": np.array([1.0, 2.0])})[0] == np.inf
