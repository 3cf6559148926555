"""Writes a model as a SavedModel and as LiteRT files, and proves them equal to it.

A model says *what* can be exported by its method `export_signatures()`:

    {endpoint name: (function of tensors -> dict of tensors, [tf.TensorSpec, ...])}

This module knows *how*. Nothing here names a model, and no model names a format.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from zoo.files import size, whole
from zoo.terminal import silence

#: Largest difference from the model that a format may show, as a share of the largest
#: value of that output. float32 leaves room for a different order of summation alone.
TOLERANCES = {
    "saved_model": 1e-5,
    "float32": 1e-4,
    "float16": 2e-2,
    "dynamic": 0.1,
    "int8": 0.25,
}
#: The root-mean-square difference allowed, as the same share: a quantized file may be
#: off in one pixel, but not in all of them.
RMS_TOLERANCES = {
    "saved_model": 1e-6,
    "float32": 1e-5,
    "float16": 1e-3,
    "dynamic": 2e-2,
    "int8": 5e-2,
}
LITERT_FORMATS = ("float32", "float16", "dynamic", "int8")


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One endpoint of one exported file, compared with the model.

    Attributes:
        path: The file, or the SavedModel's folder.
        format: A key of `TOLERANCES`.
        endpoint: Name of the signature.
        largest: Largest difference in any output, as a share of the output's largest
            value.
        rms: Root-mean-square difference, as the same share.
        bytes: Size on disk.
    """

    path: Path
    format: str
    endpoint: str
    largest: float
    rms: float
    bytes: int

    @property
    def within_tolerance(self):
        """Whether both differences are finite and small enough for the format."""
        return (
            self.largest <= TOLERANCES[self.format]
            and self.rms <= RMS_TOLERANCES[self.format]
        )


def export(
    model, directory, examples=None, formats=LITERT_FORMATS, version=1, strict=True
):
    """Exports every endpoint of `model`, runs every file, and compares the results.

    Writes `directory/<version>/`, the SavedModel in the layout that TF Serving scans,
    and `directory/model_<format>.tflite`, each with all endpoints as signatures. The
    LiteRT files use built-in operations only, so plain LiteRT loads them.

    Args:
        model: A built model with `export_signatures()`.
        directory: Where to write; made if missing.
        examples: `{input name: array}` of real inputs, 8 rows or more: what the files
            are compared on, and what int8 takes its value ranges from. Inputs left
            out are drawn uniformly from [0, 1).
        formats: Any of `LITERT_FORMATS`.
        version: Folder name of the SavedModel, a whole number.
        strict: Whether a rounded format that is too far from the model is an error;
            otherwise it is left out. Sharp edges in a generator's images are where
            "dynamic" and "int8" may fail.

    Returns:
        List of `Artifact`, one for each file and endpoint.

    Raises:
        ValueError: If a format is unknown, or a file cannot be converted without
            operations foreign to LiteRT, does not run, or differs from the model by
            more than its format's tolerance. Then nothing is written.
    """
    unknown = set(formats) - set(LITERT_FORMATS)
    if unknown:
        raise ValueError(
            f"Unknown formats {sorted(unknown)}. Formats: {', '.join(LITERT_FORMATS)}."
        )
    directory = Path(directory)
    signatures = model.export_signatures()
    cases = {
        name: _inputs(specs, examples or {}) for name, (_, specs) in signatures.items()
    }
    expected = {
        name: _numpy(function(**cases[name]))
        for name, (function, _) in signatures.items()
    }

    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".export") as beside:
        beside = Path(beside)
        saved_model = beside / str(version)
        write_saved_model(model, signatures, saved_model)
        served = tf.saved_model.load(str(saved_model))
        runners = [(saved_model, "saved_model", served.signatures.__getitem__)]
        for format in formats:
            path = beside / f"model_{format}.tflite"
            path.write_bytes(convert(saved_model, cases, format))
            runners.append((path, format, interpreter(path).get_signature_runner))

        artifacts = []
        for path, format, runner in runners:
            for name, inputs in cases.items():
                try:
                    with silence():
                        actual = _numpy(runner(name)(**inputs))
                except RuntimeError as error:
                    raise ValueError(
                        f"Not exported: {path.name} converts, but its endpoint {name} "
                        f"does not run: {error}"
                    ) from error
                largest, rms = difference(expected[name], actual)
                where = directory / path.name
                artifacts.append(
                    Artifact(where, format, name, largest, rms, size(path))
                )
        wrong = [a for a in artifacts if not a.within_tolerance]
        if not strict:
            rounded = {a.format for a in wrong} - {"saved_model", "float32"}
            wrong = [a for a in wrong if a.format not in rounded]
            artifacts = [a for a in artifacts if a.format not in rounded]
            runners = [job for job in runners if job[1] not in rounded]
        if wrong:
            raise ValueError(
                "Not exported: these differ from the model by more than their format "
                f"allows.\n{describe(wrong)}\nLeave the format out of `formats`, or "
                "look for an operation it rounds badly."
            )
        for path, _, _ in runners:
            with whole(directory / path.name) as place:
                path.rename(place)
    return artifacts


def write_saved_model(model, signatures, directory):
    """Writes all endpoints into one SavedModel, loadable by TensorFlow alone.

    Only variables that some endpoint reads are stored, each once, and the first
    endpoint also answers to `serving_default`.

    Args:
        model: The model; its variables are looked through.
        signatures: What its `export_signatures` returned.
        directory: Of the SavedModel.
    """
    module = tf.Module()
    endpoints = {}
    for name, (function, specs) in signatures.items():
        endpoints[name] = tf.function(function, input_signature=specs)
    concrete = {name: f.get_concrete_function() for name, f in endpoints.items()}
    used = {id(t) for c in concrete.values() for t, _ in c.graph.captures}
    module.weights = [v.value for v in model.variables if id(v.value.handle) in used]
    first = next(iter(concrete.values()))
    tf.saved_model.save(
        module, str(directory), signatures={"serving_default": first, **concrete}
    )


def convert(saved_model, cases, format):
    """Converts a SavedModel's endpoints into one LiteRT file.

    Args:
        saved_model: Folder of the SavedModel.
        cases: `{endpoint: {input name: array}}`; int8 takes value ranges from it.
        format: One of `LITERT_FORMATS`.

    Returns:
        The file's bytes.

    Raises:
        ValueError: If the graph needs operations that plain LiteRT lacks.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=list(cases)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if format != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if format == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if format == "int8":
        # Inputs and outputs stay float32: the file is a drop-in for the others.
        converter.representative_dataset = lambda: (
            (name, {key: value[i : i + 1] for key, value in inputs.items()})
            for name, inputs in cases.items()
            for i in range(len(next(iter(inputs.values()))))
        )
    try:
        with silence():
            return converter.convert()
    except Exception as error:
        raise ValueError(
            f"This model does not convert to LiteRT {format} with built-in operations "
            f"alone: {error}"
        ) from error


def interpreter(path):
    """Returns a LiteRT interpreter of a file.

    Raises:
        ImportError: If `ai-edge-litert` is missing, with the line that installs it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            "Running LiteRT files needs `pip install ai-edge-litert`."
        ) from error
    with silence():
        return Interpreter(str(path))


def difference(expected, actual):
    """Compares two dicts of arrays of the same names and shapes.

    Returns:
        `(largest, rms)`: the largest and the root-mean-square difference of the worst
        output, as shares of that output's largest expected value; NaN if any is.
    """
    largest, rms = [], []
    for name, wanted in expected.items():
        gap = actual[name].astype("float64") - wanted
        scale = max(np.abs(wanted).max(), np.finfo("float32").tiny)
        largest.append(np.abs(gap).max() / scale)
        rms.append(np.sqrt(np.mean(np.square(gap))) / scale)
    return float(np.max(largest)), float(np.max(rms))


def describe(artifacts):
    """Returns one aligned line for each artifact, for people."""
    return "\n".join(
        f"  {_label(a):22} {a.endpoint:10} {a.bytes / 2**20:6.2f} MiB   "
        f"largest difference {a.largest:.1e}, rms {a.rms:.1e}"
        for a in artifacts
    )


def _label(artifact):
    prefix = "SavedModel " if artifact.format == "saved_model" else ""
    return prefix + artifact.path.name


def _numpy(outputs):
    return {name: np.asarray(value) for name, value in outputs.items()}


def _inputs(specs, examples, rows=32):
    """Returns `{input name: array}` for one endpoint, `rows` at most."""
    rng = np.random.default_rng(0)
    given = [len(examples[s.name]) for s in specs if s.name in examples]
    rows = min([rows, *given])
    inputs = {}
    for spec in specs:
        shape = [rows if side is None else side for side in spec.shape]
        value = (
            examples[spec.name][:rows] if spec.name in examples else rng.random(shape)
        )
        inputs[spec.name] = np.asarray(value).astype(spec.dtype.as_numpy_dtype)
    return inputs
