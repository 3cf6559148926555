"""Small trained models that ship with the package, under `saved_models/`.

One preset is one folder:

    vae_fashion_mnist/
      model.keras              weights and settings, without optimizer
      1/                       SavedModel, in TF Serving's layout
      model_float16.tflite     LiteRT, half the size; float32 of a model that loops
      model_dynamic.tflite     LiteRT, a quarter of the size
      card.json                what it is, what it was made of and how good it is
      README.md                the same as the page of a hub, see `zoo.deploy.hub`
"""

import difflib
import re
import shutil
import zipfile
from pathlib import Path

from zoo.deploy import hub
from zoo.system import folder_of, read_json, sha256, size, whole, write_json

SHELF = folder_of("saved_models")


def names(shelf=SHELF):
    """Returns the names of all presets, sorted."""
    return sorted(card.parent.name for card in Path(shelf).glob("*/card.json"))


def card(name, shelf=SHELF):
    """Returns the card of a preset; reads no weights and imports no TensorFlow.

    Raises:
        ValueError: If there is no such preset, with the nearest names.
    """
    if name not in names(shelf):
        raise ValueError(unknown("preset", name, names(shelf)))
    return read_json(Path(shelf) / name / "card.json")


def load(name, shelf=SHELF):
    """Returns the trained model, ready to run; `compile` it to train further.

    Args:
        name: As listed by `names()`, or `hf://OWNER/NAME` of the Hugging Face hub.
        shelf: Directory of presets.

    Raises:
        ImportError: If `huggingface-hub` is missing for one from there.
        ValueError: If there is no such preset, or a file of it is missing or not the
            one its card was written for.

    Example:
        >>> model = load("vae_fashion_mnist")
        >>> images = model.sample(16, seed=0)
    """
    from zoo.training.loading import load_model

    if name.startswith(hub.PREFIX):
        folder = hub.fetch(name)
        name, shelf = folder.name, folder.parent
    verify(name, shelf)
    return load_model(Path(shelf) / name / "model.keras")


def verify(name, shelf=SHELF):
    """Checks every file of a preset against the SHA-256 in its card.

    Raises:
        ValueError: Naming the first file that is missing or changed.
    """
    for file, expected in card(name, shelf)["files"].items():
        path = Path(shelf) / name / file
        found = sha256(path) if path.is_file() else "no such file"
        if found != expected:
            raise ValueError(
                f"{path} is not the file its card describes: expected sha256 "
                f"{expected}, found {found}. Reinstall the package or check it out "
                "again."
            )


def save(model, name, shelf, examples, **facts):
    """Puts a model on a shelf, exported and with its card; returns the folder.

    Weights are shipped without their optimizers: Adam's moments, two per weight, would
    triple the file. A preset of that name is replaced, whole or not at all.

    Args:
        model: Any model of this zoo.
        name: Preset name, `<model>_<data>`.
        shelf: Directory to write under.
        examples: Real inputs, as for `zoo.deploy.export.export`.
        **facts: For the card: `summary`, `recipe`, `config`, `data`, `metrics`, ...

    Raises:
        ValueError: If the name has other characters than small letters, digits and _,
            or if an exported file is too far from the model.
    """
    from zoo.deploy import export

    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ValueError(
            f"A preset's name has small letters, digits and _. Received: {name!r}."
        )
    folder = Path(shelf) / name
    with whole(folder) as beside:
        beside.mkdir()
        bare = type(model).from_config(model.get_config())
        bare.set_weights(model.get_weights())
        bare.save(beside / "model.keras")
        formats = getattr(model, "preset_formats", ("float16", "dynamic"))
        artifacts = export.export(bare, beside, examples, formats, strict=False)
        files = sorted(p for p in beside.rglob("*") if p.is_file())
        facts = {
            "name": name,
            **facts,
            "module": type(model).__module__,
            "parameters": model.count_params(),
            "bytes": size(beside),
            "exports": [
                {
                    "file": a.path.name,
                    "endpoint": a.endpoint,
                    "largest_difference": float(f"{a.largest:.2g}"),
                    "rms_difference": float(f"{a.rms:.2g}"),
                    "agreement": round(a.agreement, 4),
                    "rows": a.rows,
                }
                for a in artifacts
            ],
            "files": {str(p.relative_to(beside)): sha256(p) for p in files},
        }
        write_json(beside / "card.json", facts)
        (beside / "README.md").write_text(hub.model_card(facts), "utf-8")
    return folder


def for_hub(name, directory, shelf=SHELF):
    """Writes a preset as a folder to upload to the hub.

    Keras loads by `hf://` what it saves so: the parts of a `.keras` file, unpacked.

    Args:
        name: Of the preset.
        directory: To write, whole or not at all.
        shelf: Where the preset is.

    Raises:
        ValueError: If there is no such preset, or a file of it is damaged.
    """
    verify(name, shelf)
    with whole(directory) as beside:
        shutil.copytree(Path(shelf) / name, beside)
        (beside / "README.md").write_text(hub.model_card(card(name, shelf)), "utf-8")
        with zipfile.ZipFile(beside / "model.keras") as parts:
            parts.extractall(beside)  # config.json, metadata.json, model.weights.h5


def unknown(kind, name, known):
    """Returns the message for a name that does not exist, nearest names first."""
    near = difflib.get_close_matches(name, known, cutoff=0.4)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"No {kind} named {name!r}.{hint} Known: {', '.join(known) or 'none'}."
