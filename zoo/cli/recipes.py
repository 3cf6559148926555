"""The catalogue of recipes, and how a run or a preset is found and loaded."""

import ast
import dataclasses
import importlib
import json
import os
import pkgutil
from pathlib import Path

import tyro

import recipes
from zoo.deploy import presets
from zoo.system import silence


def generative(model, source):
    """Returns the model of a source, which must be one that draws images."""
    if not hasattr(model, "sample"):
        raise WrongUse(f"{source} is no generative model: it draws no images.")
    return model


def flag(name, value):
    """Returns the words that give a setting a value: `--filters 16 32`, `--no-flip`."""
    name = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    values = value if isinstance(value, tuple) else (value,)
    return " ".join([f"--{name}", *map(str, values)])


def catalog() -> dict[str, str]:
    """Returns `{recipe name: first line of its docstring}`, importing none."""
    found = {}
    for module in pkgutil.iter_modules(recipes.__path__):
        source = Path(recipes.__path__[0], f"{module.name}.py").read_text("utf-8")
        found[module.name] = ast.get_docstring(ast.parse(source)).splitlines()[0]
    return found


def settings(name: str, flags: list[str], **default):
    """Returns the configuration of a recipe that flags stand for."""
    recipe = import_recipe(name)
    return tyro.cli(
        recipe.Config,
        prog=f"zoo train {name}",
        args=flags,
        description=recipe.__doc__,
        **default,
    )


def begun(config):
    """Returns the settings that the run in `run_dir` has, if `config` could be its."""
    file = Path(config.run_dir) / "config.json"
    known = {field.name for field in dataclasses.fields(config)}
    saved = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    if saved.keys() - {"recipe"} != known:
        return config  # the recipe says what is wrong
    return type(config)(**tuples({name: saved[name] for name in known}))


def import_recipe(name: str):
    """Imports a recipe, and with it TensorFlow, without its start-up notes."""
    silent_start()
    with silence():
        return importlib.import_module(f"recipes.{name}")


def silent_start():
    """Imports TensorFlow without its start-up notes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silence():
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU, and complains, only once


def load(source: str):
    """Loads a preset by name or a finished run by folder.

    Returns:
        `(model, recipe name, settings)`.

    Raises:
        WrongUse: If it is neither, with the nearest preset names.
    """
    report = Path(source) / "report.json"
    if report.is_file():
        facts = json.loads(report.read_text("utf-8"))
        if "recipe" not in facts or not (Path(source) / "model.keras").is_file():
            raise WrongUse(f"The run in {source} has made no model.")
        import_recipe(facts["recipe"])  # registers the model's class
        import keras

        model = keras.saving.load_model(Path(source) / "model.keras")
    elif Path(source).is_dir():
        raise WrongUse(
            f"{source} is no finished run: it has no report.json. Finish it with "
            "`zoo train ... --resume`."
        )
    elif source in presets.names():
        facts = presets.card(source)
        import_recipe(facts["recipe"])
        model = presets.load(source)
    else:
        raise WrongUse(presets.unknown("preset or run", source, presets.names()))
    return model, facts["recipe"], facts["config"]


class WrongUse(ValueError):
    """The command was called with a name that does not exist."""


def tuples(config):
    """Turns the lists that JSON made of tuples back."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
