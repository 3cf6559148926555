"""The catalogue of recipes, and how a run or a preset is found and loaded."""

import ast
import contextlib
import dataclasses
import functools
import glob
import importlib.util
import os
import pkgutil
import sys
import types
from pathlib import Path
from typing import NamedTuple

import tyro

from zoo.deploy import presets
from zoo.system import folder_of, read_json, silence


class WrongUse(ValueError):
    """The command was called with a name that does not exist."""


class Trained(NamedTuple):
    """A model with what it was trained by.

    Attributes:
        model: Of the best epoch.
        recipe: The recipe's module.
        config: Its settings, a `Config` of the recipe.
    """

    model: object
    recipe: types.ModuleType
    config: object

    @property
    def name(self):
        """The recipe's name."""
        return self.recipe.__name__.rsplit(".", 1)[-1]


def catalog() -> dict[str, str]:
    """Returns `{recipe name: first line of its docstring}`, importing none."""
    found = {}
    folder = folder_of("recipes")
    for module in pkgutil.iter_modules([str(folder)]):
        source = (folder / f"{module.name}.py").read_text("utf-8")
        found[module.name] = ast.get_docstring(ast.parse(source)).splitlines()[0]
    return found


def known(name: str) -> str:
    """Returns the name of a recipe.

    Raises:
        WrongUse: If there is none, with the nearest names.
    """
    if name not in catalog():
        raise WrongUse(presets.unknown("recipe", name, list(catalog())))
    return name


def settings(name: str, flags: list[str]):
    """Returns the configuration of a recipe that flags stand for.

    With `--resume` all others are by default as the run in `--run-dir` had them.
    """
    recipe = import_recipe(known(name))

    def parsed(**default):
        return tyro.cli(
            recipe.Config,
            prog=f"zoo train {name}",
            args=flags,
            description=recipe.__doc__,
            **default,
        )

    config = parsed()
    file = config.directory(name) / "config.json"
    if getattr(config, "resume", False) and file.is_file():
        config = parsed(default=of_file(recipe, file))
    return config


def of_file(recipe, file):
    """Returns the settings in a `config.json`; of another recipe's, the defaults."""
    from zoo.experiment.settings import restore

    saved = read_json(file)
    if saved.get("recipe", "") != recipe.__name__.rsplit(".", 1)[-1]:
        return recipe.Config()  # the run says what is wrong
    return restore(recipe.Config, saved, file)


def import_recipe(name: str):
    """Imports a recipe, and with it TensorFlow, without its start-up notes."""
    silent_start()
    with silence():
        return importlib.import_module(f"{recipes_package()}.{name}")


def recipes_package():
    """Returns the name to import the zoo's recipes by, whatever else is called so.

    In the repository it is `recipes`, unless a user's own folder of that name comes
    first; there and in an installation, `zoo.recipes`.
    """
    start = folder_of("recipes") / "__init__.py"
    found = importlib.util.find_spec("recipes")
    if found is not None and found.origin == str(start):
        return "recipes"
    if "zoo.recipes" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "zoo.recipes", start, submodule_search_locations=[str(start.parent)]
        )
        module = sys.modules["zoo.recipes"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return "zoo.recipes"


def silent_start():
    """Imports TensorFlow without its start-up notes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silence():
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU, and complains, only once
    prepare_gpus()


#: What Linux shows of NVIDIA cards, with TensorFlow or without.
GPU_FILES = "/dev/nvidia[0-9]*"


@functools.cache
def prepare_gpus():
    """Lets memory of GPUs grow as it is needed, or says that TensorFlow uses none.

    By default the first program takes a card's whole memory, and the second fails.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # this process has used it already
            tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus and glob.glob(GPU_FILES):
        print(
            "zoo: this machine has a GPU, but TensorFlow does not use it. "
            "`pip install 'generative-zoo[gpu]'` brings CUDA; see too that "
            "CUDA_VISIBLE_DEVICES does not hide the card.",
            file=sys.stderr,
        )


def trained(source: str, **changes) -> Trained:
    """Loads a preset by name or a finished run by folder.

    Args:
        source: Of the model.
        **changes: Settings to have instead of its own, such as other `data`; those
            that are `None` or empty change nothing.

    Raises:
        WrongUse: If it is neither, with the nearest preset names, or if its recipe has
            no such setting.
        ValueError: If a file of it is damaged, naming it.
    """
    report = Path(source) / "report.json"
    if report.is_file():
        facts, file = read_json(report), report
        if "recipe" not in facts or not (Path(source) / "model.keras").is_file():
            raise WrongUse(f"The run in {source} has made no model.")
    elif Path(source).is_dir():
        raise WrongUse(
            f"{source} is no finished run: it has no report.json. Finish it with "
            "`zoo train ... --resume`."
        )
    elif source in presets.names():
        facts, file = presets.card(source), f"The card of {source}"
    else:
        raise WrongUse(presets.unknown("preset or run", source, presets.names()))
    recipe = import_recipe(known(facts["recipe"]))
    from zoo.experiment.settings import restore
    from zoo.training.loading import load_model

    config = restore(recipe.Config, facts.get("config"), file)
    changes = {name: value for name, value in changes.items() if value}
    for name in changes:
        if not hasattr(config, name):
            flag = name.replace("_", "-")
            raise WrongUse(
                f"{source} has no setting --{flag}: leave it out. It was trained by "
                f"`zoo train {facts['recipe']}`."
            )
    config = dataclasses.replace(config, **changes)
    if report.is_file():
        model = load_model(Path(source) / "model.keras")
    else:
        model = presets.load(source)
    return Trained(model, recipe, config)


def generative(model, source):
    """Returns the model of a source, which must be one that draws images."""
    if not hasattr(model, "sample"):
        raise WrongUse(f"{source} is no generative model: it draws no images.")
    return model
