"""Train, measure, sample and export the generative models of the zoo.

Each subcommand is a function below.

Subcommands import what they need when they run: `zoo list` and `zoo --help` load
neither TensorFlow nor NumPy.
"""

import ast
import dataclasses
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

import recipes
from zoo import presets, report
from zoo.files import write_json
from zoo.terminal import silence

Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]


def list_() -> None:
    """Lists recipes and presets."""
    print("Recipes: zoo train NAME --help")
    for name, summary in catalog().items():
        print(f"  {name:24} {summary}")
    print("\nPresets: zoo info NAME, zoo sample NAME")
    for name in presets.names():
        print(f"  {name:24} {presets.card(name)['summary']}")


def train(recipe: Name) -> None:
    """Trains a model: `zoo train vae --help` tells its settings.

    Args:
        recipe: as listed by `zoo list`; the recipe's own flags follow it
    """
    # Reached without flags only; `main` hands any others to the recipe itself.
    run_recipe(recipe, [])


def evaluate(source: Name, out: Path | None = None) -> None:
    """Measures a preset or a finished run on its test images.

    Args:
        source: name of a preset, or folder of a run
        out: JSON file to write the numbers to
    """
    model, recipe, config = load(source)
    module = import_recipe(recipe)
    metrics = module.evaluate(model, module.Config(**_tuples(config)))
    print(report.table(metrics.items()))
    print(f"({module.PROTOCOL})")
    if out:
        write_json(out, metrics)
        print(f"Wrote {out}")


def sample(
    source: Name,
    count: int = 64,
    seed: int = 0,
    out: Path = Path("samples.png"),
) -> None:
    """Draws images from a preset or a finished run into one picture.

    Args:
        source: name of a preset, or folder of a run
        count: number of images
        seed: the same seed draws the same images
        out: PNG file to write
    """
    if count < 1:
        raise ValueError(f"--count must be 1 or more. Received {count}.")
    from zoo import pictures

    model, _, _ = load(source)
    pictures.write_grid(out, model.sample(count, seed=seed))
    print(f"Wrote {out}")


def export(
    source: Name,
    directory: Name,
    formats: tuple[str, ...] = ("float32", "float16", "dynamic", "int8"),
    version: int = 1,
) -> None:
    """Writes SavedModel and LiteRT files and prints how far each is from the model.

    Args:
        source: name of a preset, or folder of a run
        directory: where to write; made if missing
        formats: LiteRT files to write
        version: folder of the SavedModel, as TF Serving numbers them
    """
    from zoo import export as exporter

    model, recipe, config = load(source)
    module = import_recipe(recipe)
    examples = module.examples(model, module.Config(**_tuples(config)))
    artifacts = exporter.export(model, directory, examples, formats, version)
    print(exporter.describe(artifacts))
    print(f"Wrote {directory}")


def info(name: Name) -> None:
    """Shows the card of a preset.

    Args:
        name: of the preset, as listed by `zoo list`
    """
    print(report.card(presets.card(name)))


def ship(
    run: Name,
    name: Name,
    summary: str,
    data: str,
    data_licence: str,
    intended_use: str,
    licence: str = "Apache-2.0",
    shelf: Path = presets.SHELF,
) -> None:
    """Makes a preset of a finished run: model, exports and card.

    Args:
        run: folder of the run
        name: of the preset, <model>_<data>
        summary: what it is, in a line
        data: what it was trained on
        data_licence: licence of that data
        intended_use: what it is good for, and what not
        licence: of the weights
        shelf: directory of presets
    """
    model, recipe, config = load(run)
    facts = json.loads((Path(run) / "report.json").read_text("utf-8"))
    module = import_recipe(recipe)
    config = {k: v for k, v in config.items() if k not in ("run_dir", "resume")}
    settings = module.Config(**_tuples(config))
    default = dataclasses.asdict(module.Config())
    flags = " ".join(
        f"--{key.replace('_', '-')} {value}"
        for key, value in dataclasses.asdict(settings).items()
        if value != default[key]
    )
    folder = presets.save(
        model,
        name,
        shelf,
        module.examples(model, settings),
        summary=summary,
        recipe=recipe,
        command=f"zoo train {recipe} {flags}".strip(),
        config=config,
        seed=facts["seed"],
        data=data,
        data_licence=data_licence,
        licence=licence,
        intended_use=intended_use,
        metrics=facts["metrics"],
        versions=facts["versions"],
    )
    print(report.card(presets.card(name, shelf)))
    print(f"Wrote {folder}")


def data(
    action: Annotated[Literal["prepare"], tyro.conf.Positional],
    name: Name,
    source: Annotated[Path, tyro.conf.arg(name="from")],
    data_dir: Path | None = None,
) -> None:
    """Prepares a TFDS data set from files on disk, where TFDS cannot download it.

    Args:
        action: prepare
        name: fashion_mnist or mnist
        source: folder that holds the four original files, gzipped or not
        data_dir: TFDS data directory; its own default if not given
    """
    from zoo.data import builders

    print(f"Prepared {builders.prepare(name, source, data_dir)}")


COMMANDS = {
    "list": list_,
    "train": train,
    "evaluate": evaluate,
    "sample": sample,
    "export": export,
    "info": info,
    "ship": ship,
    "data": data,
}


def catalog() -> dict[str, str]:
    """Returns `{recipe name: first line of its docstring}`, importing none."""
    found = {}
    for module in pkgutil.iter_modules(recipes.__path__):
        source = Path(recipes.__path__[0], f"{module.name}.py").read_text("utf-8")
        found[module.name] = ast.get_docstring(ast.parse(source)).splitlines()[0]
    return found


def run_recipe(name: str, flags: list[str]) -> None:
    """Runs a recipe with its flags, as `python -m recipes.NAME` does."""
    if name not in catalog():
        raise WrongUse(presets.unknown("recipe", name, list(catalog())))
    recipe = import_recipe(name)
    description = recipe.__doc__
    recipe.main(
        tyro.cli(
            recipe.Config, prog=f"zoo train {name}", args=flags, description=description
        )
    )


def import_recipe(name: str):
    """Imports a recipe, and with it TensorFlow, without its start-up notes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silence():
        recipe = importlib.import_module(f"recipes.{name}")
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU, and complains, only once
    return recipe


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


def _tuples(config):
    """Turns the lists that JSON made of tuples back."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        Exit status: 0, or 1 after a failure, or 2 after wrong use.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        if argv[:1] == ["train"] and argv[1:] and not argv[1].startswith("-"):
            run_recipe(argv[1], argv[2:])
        else:
            tyro.extras.subcommand_cli_from_dict(
                COMMANDS, prog="zoo", args=argv, description=__doc__.splitlines()[0]
            )
    except WrongUse as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 2
    except (ValueError, OSError, ImportError, ArithmeticError) as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("zoo: interrupted. --resume continues a training run.", file=sys.stderr)
        return 130
    return 0
