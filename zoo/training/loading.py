"""Loads saved models, or says which file is damaged and what to do."""

import importlib
import json
import zipfile
from pathlib import Path

import keras


def load_model(path):
    """Loads a `.keras` file, whichever model of the zoo it holds.

    Keras finds a class only once the module that defines it was imported; the file
    names that module, and if it is one of the zoo, this imports it.

    Args:
        path: Of the file.

    Returns:
        The model, compiled as it was saved.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no archive of a model, or damaged.

    Example:
        >>> model = load_model("runs/vae/model.keras")
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is no model that Keras saved: it is no .keras archive, or its end "
            "is missing. Restore it, or train anew."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} has another checksum than it had")
            module = json.loads(archive.read("config.json")).get("module") or ""
    except (zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged: {error}. Restore it, or train anew."
        ) from error
    if module.split(".")[0] == "zoo":
        importlib.import_module(module)
    return keras.saving.load_model(path)
