"""Writes a model as a SavedModel and as LiteRT files, and proves them equal to it.

A model says *what* can be exported by its method `export_signatures()`:

    {endpoint name: (function of tensors -> dict of tensors, [tf.TensorSpec, ...])}

and how those inputs are distributed that need no data, such as noise, by
`export_inputs() -> {input name: function of (generator, shape)}`. What LiteRT cannot
do so, because sizes must be fixed or there are strings, a model gives in another form
by `device_signatures()`, and the files that a program on the device needs beside by
`export_assets() -> {file name: function that writes a path}`. This module knows *how*.
Nothing here names a model, and no model names a format.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from zoo.deploy.inputs import FEWEST, cases
from zoo.system import silence, size, whole
from zoo.training.saved_model import write_saved_model

#: Largest difference from the model that a format may show, as a share of the largest
#: value of that output. float32 leaves room for a different order of summation alone.
#: Of a rounded model that loops it is reported only: one gate of a recurrent network
#: that falls to the other side makes another state.
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


#: The share of rows that a rounded file must answer with the model's own whole numbers
#: and strings. A search among rounded probabilities often finds another sentence, as
#: good as the model's; where it hardly ever finds the same, something is broken.
LEAST_AGREEMENT = 0.25


LITERT_FORMATS = ("float32", "float16", "dynamic", "int8")


#: Those that a model with a loop can have: with TensorFlow 2.21, int8 ends the whole
#: program, and float16 takes the way of `zoo.deploy.half`.
LOOP_FORMATS = ("float32", "float16", "dynamic")


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
        agreement: Share of the rows whose whole numbers and strings are the model's;
            1 if there are none. float32 leaves no room here.
        bytes: Size on disk.
        rows: Different rows of inputs that this was measured on.
        stand_ins: Names of the inputs that were neither given nor could be drawn as
            they are distributed, so that noise stood for them.
    """

    path: Path
    format: str
    endpoint: str
    largest: float
    rms: float
    agreement: float
    bytes: int
    rows: int = 0
    stand_ins: tuple = ()

    def within_tolerance(self, loops=False):
        """Whether the differences are finite and small enough for the format.

        Args:
            loops: Whether the model loops.
        """
        rounded = self.format not in ("saved_model", "float32")
        largest = np.inf if rounded and loops else TOLERANCES[self.format]
        return (
            self.largest <= largest
            and self.rms <= RMS_TOLERANCES[self.format]
            and self.agreement >= (LEAST_AGREEMENT if rounded else 1.0)
        )


def export(model, directory, examples=None, formats=None, version=1, strict=None):
    """Exports every endpoint of `model`, runs every file, and compares the results.

    Writes `directory/<version>/`, the SavedModel in the layout that TF Serving scans,
    and `directory/model_<format>.tflite`, each with all endpoints as signatures. The
    LiteRT files use built-in operations only, so plain LiteRT loads them.

    Args:
        model: A built model with `export_signatures()`.
        directory: Where to write; made if missing.
        examples: `{input name: array}` of real inputs, 8 rows or more, better 400: up
            to 200 are what the files are compared on, and as many others what int8
            takes its value ranges from. Inputs left out are drawn as the model's
            `export_inputs` says. For any other, such as images, noise from [0, 1) and
            whole numbers from 0 to 3 stand in; int8 is not to be had of these.
        formats: Any of `LITERT_FORMATS`; by default all the model can have, which is
            `LOOP_FORMATS` if it loops.
        version: Folder name of the SavedModel, a whole number.
        strict: Whether a rounded format that is too far from the model is an error, as
            it is by default if `formats` names it; otherwise it is left out. Sharp
            edges in a generator's images are where "dynamic" and "int8" may fail.
            Formats unfit for a model that loops are left out likewise, and int8
            without real inputs.

    Returns:
        List of `Artifact`, one for each file and endpoint.

    Raises:
        ValueError: If a format is unknown or unfit for a model that loops, int8 is
            named for one whose inputs must be real and are not given, or a file
            cannot be converted without operations foreign to LiteRT, does not run, or
            differs from the model by more than its format's tolerance. Then nothing is
            written.
    """
    unknown = set(formats or ()) - set(LITERT_FORMATS)
    if unknown:
        raise ValueError(
            f"Unknown formats {sorted(unknown)}. Formats: {', '.join(LITERT_FORMATS)}."
        )
    if not str(version).isdigit():
        raise ValueError(
            "`version` is a whole number, as TF Serving looks for its folder. "
            f"Received: {version!r}."
        )
    if strict is None:
        strict = formats is not None
    directory = Path(directory)
    served = on_device = model.export_signatures()
    if hasattr(model, "device_signatures"):
        on_device = model.device_signatures()
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".export") as beside:
        beside = Path(beside)
        saved_model = convertible = beside / str(version)
        loops = write_saved_model(model, served, saved_model)
        if on_device is not served:
            convertible = beside / "device"
            loops = write_saved_model(model, on_device, convertible)
        unfit = set(LITERT_FORMATS) - set(LOOP_FORMATS) if loops else set()
        if strict and unfit & set(formats or ()):
            raise ValueError(
                "Converting a model that loops to int8 ends the whole program. Use "
                f"formats of {LOOP_FORMATS}. Received: {formats}."
            )
        if formats is None:
            formats = LITERT_FORMATS
        formats = [format for format in formats if format not in unfit]
        inputs = {
            (name, signatures is served): cases(
                specs,
                examples or {},
                getattr(model, "export_inputs", dict)(),
                calibrate="int8" in formats,
            )
            for signatures in (served, on_device)
            for name, (_, specs) in signatures.items()
        }
        lacking = [
            name
            for name in on_device
            if not inputs[name, on_device is served].calibrating
        ]
        if "int8" in formats and lacking:
            if strict:
                names = inputs[lacking[0], on_device is served].stand_ins
                raise ValueError(
                    "int8 takes the range of every value from real inputs, "
                    f"{FEWEST} rows or more. Give `examples` of "
                    f"{', '.join(names) or 'more rows'}, or leave int8 out of "
                    "`formats`."
                )
            formats.remove("int8")
        jobs = [(saved_model, "saved_model", served)]
        jobs += [(beside / f"model_{f}.tflite", f, on_device) for f in formats]

        artifacts, expected = [], {}
        for path, format, signatures in jobs:
            for name, (function, _) in signatures.items():
                key = name, signatures is served
                if key not in expected:
                    # A loop that runs eagerly takes minutes.
                    model_itself = tf.function(function) if loops else function
                    expected[key] = _run(model_itself, inputs[key].compared)
            here = {name: inputs[name, signatures is served] for name in signatures}
            if format == "saved_model":
                runner = tf.saved_model.load(str(path)).signatures.__getitem__
            else:
                ranges = {name: some.calibrating for name, some in here.items()}
                path.write_bytes(convert(convertible, ranges, format, loops))
                runner = interpreter(path).get_signature_runner
            for name, some in here.items():
                try:
                    with silence():
                        actual = _run(runner(name), some.compared)
                except RuntimeError as error:
                    raise ValueError(
                        f"Not exported: {path.name} converts, but its endpoint {name} "
                        f"does not run: {error}"
                    ) from error
                wanted = expected[name, signatures is served]
                artifacts.append(
                    Artifact(
                        directory / path.name,
                        format,
                        name,
                        *difference(wanted, actual),
                        agreement(wanted, actual),
                        size(path),
                        some.rows,
                        some.stand_ins,
                    )
                )
        wrong = [a for a in artifacts if not a.within_tolerance(loops)]
        if not strict:
            rounded = {a.format for a in wrong} - {"saved_model", "float32"}
            wrong = [a for a in wrong if a.format not in rounded]
            artifacts = [a for a in artifacts if a.format not in rounded]
            jobs = [job for job in jobs if job[1] not in rounded]
        if wrong:
            raise ValueError(
                "Not exported: these differ from the model by more than their format "
                f"allows.\n{describe(wrong)}\nLeave the format out of `formats`, or "
                "look for an operation it rounds badly."
            )
        for path, _, _ in jobs:
            with whole(directory / path.name) as place:
                path.rename(place)
        for name, write in getattr(model, "export_assets", dict)().items():
            write(directory / name)
    return artifacts


def convert(saved_model, calibrating, format, loops=False):
    """Converts a SavedModel's endpoints into one LiteRT file.

    Args:
        saved_model: Folder of the SavedModel.
        calibrating: `{endpoint: [{input name: array}, ...]}`; int8 takes value ranges
            from it.
        format: One of `LITERT_FORMATS`.
        loops: Whether any endpoint loops.

    Returns:
        The file's bytes.

    Raises:
        ValueError: If the graph needs operations that plain LiteRT lacks.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=list(calibrating)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    by_cast = format == "float16" and loops
    if format != "float32" and not by_cast:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if format == "float16" and not by_cast:
        converter.target_spec.supported_types = [tf.float16]
    if format == "int8":
        # Inputs and outputs stay float32: the file is a drop-in for the others.
        converter.representative_dataset = lambda: (
            (name, {key: value[i : i + 1] for key, value in inputs.items()})
            for name, batches in calibrating.items()
            for inputs in batches
            for i in range(len(next(iter(inputs.values()))))
        )
    try:
        with silence():
            file = converter.convert()
    except Exception as error:
        raise ValueError(
            f"This model does not convert to LiteRT {format} with built-in operations "
            f"alone: {error}"
        ) from error
    if by_cast:
        from zoo.deploy.half import (
            half_weights,
        )  # needs ai-edge-litert, as running does

        return half_weights(file)
    return file


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
        output, as shares of that output's largest expected value; NaN if any is. Only
        outputs of real numbers count; `agreement` compares the others.
    """
    largest, rms = [0.0], [0.0]
    for name, wanted in expected.items():
        if _discrete(wanted):
            continue
        found = actual[name].astype("float64")
        with np.errstate(invalid="ignore"):  # infinities of one sign are the same
            gap = np.where(found == wanted, 0.0, found - wanted)
        finite = np.abs(wanted[np.isfinite(wanted)])
        scale = np.max(finite, initial=np.finfo("float32").tiny)
        largest.append(np.abs(gap).max() / scale)
        rms.append(np.sqrt(np.mean(np.square(gap))) / scale)
    return float(np.max(largest)), float(np.max(rms))


def agreement(expected, actual):
    """Returns the share of rows whose whole numbers and strings are all as expected."""
    same = [
        (actual[name] == wanted).reshape(len(wanted), -1).all(axis=1)
        for name, wanted in expected.items()
        if _discrete(wanted)
    ]
    return float(np.mean(np.all(same, axis=0))) if same else 1.0


def describe(artifacts, formats=None):
    """Returns one aligned line for each artifact, and what is missing, for people.

    Args:
        artifacts: What `export` returned.
        formats: What it was asked for.
    """
    lines = [
        f"  {_label(a):22} {a.endpoint:11} {a.bytes / 2**20:6.2f} MiB   " + _compared(a)
        for a in artifacts
    ]
    made = {artifact.format for artifact in artifacts}
    left_out = [f for f in formats or LITERT_FORMATS if f not in made]
    if left_out:
        lines.append(
            f"  not written: {', '.join(left_out)} (too far from the model, unfit for "
            "its loops or, int8, without real inputs)"
        )
    return "\n".join(lines)


def _compared(artifact):
    """Returns in words how far an artifact is from the model, and on what."""
    words = f"largest difference {artifact.largest:.1e}, rms {artifact.rms:.1e}"
    if artifact.agreement < 1:
        same = f"{artifact.agreement:.0%} of rows the same"
        # Whole numbers alone have no difference, and a 0 would seem to say something.
        words = f"{words}, {same}" if artifact.largest else same
    if artifact.stand_ins:
        words += f" (noise for {', '.join(artifact.stand_ins)})"
    return words


def _label(artifact):
    prefix = "SavedModel " if artifact.format == "saved_model" else ""
    return prefix + artifact.path.name


def _discrete(array):
    return array.dtype.kind not in "fc"


def _run(function, batches):
    """Returns a function's outputs for all batches, one after the other."""
    outputs = [function(**inputs) for inputs in batches]
    return {
        name: np.concatenate([np.asarray(output[name]) for output in outputs])
        for name in outputs[0]
    }
