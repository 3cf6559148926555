"""Train, measure, sample and export the generative models of the zoo.

Each subcommand is a function below.

Subcommands import what they need when they run: `zoo list` and `zoo --help` load
neither TensorFlow nor NumPy.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

import zoo
from zoo.cli.evaluation import Source, evaluate, progress_bar
from zoo.cli.recipes import (
    WrongUse,
    catalog,
    generative,
    import_recipe,
    settings,
    silent_start,
    trained,
)
from zoo.deploy import presets
from zoo.experiment import report
from zoo.system import read_json

Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
#: Files that `zoo sample` does not write; any other name is a folder's.
OTHER_IMAGES = (".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff")
Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]


def list_() -> None:
    """Lists recipes and presets."""
    print("Recipes: zoo train NAME --help")
    for name, summary in catalog().items():
        print(f"  {name:24} {summary}")
    print("\nPresets: zoo info NAME")
    for name in presets.names():
        try:
            summary = presets.card(name)["summary"]
        except (ValueError, KeyError) as error:  # the others are still of use
            summary = f"damaged: {error}"
        print(f"  {name:24} {summary}")


def train(recipe: Name) -> None:
    """Trains a model: `zoo train vae --help` tells its settings.

    Args:
        recipe: as listed by `zoo list`; the recipe's own flags follow it
    """
    # Reached without flags only; `main` hands any others to the recipe itself.
    run_recipe(recipe, [])


def sample(
    source: Source,
    count: int = 64,
    label: int | None = None,
    seed: int = 0,
    out: Path = Path("samples.png"),
) -> None:
    """Draws images from a preset or a finished run, into one picture or many files.

    Args:
        source: name of a preset, or folder of a run
        count: number of images
        label: class to draw, of a conditional model; each in turn by default
        seed: the same seed draws the same images
        out: PNG file of all, or a folder for a PNG file of each
    """
    if count < 1 or seed < 0:
        raise WrongUse(
            "--count must be 1 or more and --seed 0 or more. Received "
            f"--count {count} --seed {seed}."
        )
    if out.suffix.lower() in OTHER_IMAGES:
        raise WrongUse(f"--out is a .png file or a folder. Received {out}.")
    model = generative(trained(source).model, source)
    from zoo.experiment import pictures, quality

    asked = {}
    if label is not None:
        if not hasattr(model, "condition_dim"):
            raise WrongUse(f"{source} draws no classes: leave --label out.")
        asked["conditions"] = [label] * count
    images = quality.sample(model, count, seed=seed, **asked)
    if out.suffix.lower() == ".png":
        pictures.write_grid(out, images)
    else:
        for index, image in enumerate(images):
            pictures.write_grid(out / f"{index:05d}.png", image[None], scale=1)
    print(f"Wrote {out}")


def translate(
    source: Source,
    sentences: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    beam: int | None = None,
    n_best: int = 1,
    alpha: float | None = None,
) -> None:
    """Translates sentences: `zoo translate runs/dates "3 March 2024"`.

    An empty line stays one.

    Args:
        source: name of a preset, or folder of a run
        sentences: to translate, each in quotes; by default lines of standard input
        beam: hypotheses kept in the search, 1 for greedy; as it was measured by default
        n_best: translations to show of each, with their scores in nats
        alpha: exponent of the length penalty; as it was measured by default
    """
    if not sentences and sys.stdin.isatty():
        raise WrongUse("Give sentences, each in quotes, or lines on standard input.")
    model, _, config = trained(source)
    if not hasattr(model, "translate"):
        raise WrongUse(f"{source} does not translate.")
    lines = list(sentences) or [line.rstrip("\n") for line in sys.stdin]
    options = {
        "beam": config.beam if beam is None else beam,
        "alpha": config.alpha if alpha is None else alpha,
    }
    full = [line for line in lines if line.strip()]
    found = iter(model.hypotheses(full, n_best=n_best, **options))
    for line in lines:
        if n_best > 1 and len(lines) > 1:
            print(line)
        for text, score in next(found) if line.strip() else [("", 0.0)]:
            print(text if n_best == 1 else f"{score:9.3f}  {text}")


def apply(
    source: Source,
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional],
    out: Path | None = None,
) -> None:
    """Applies a model to files: `zoo apply SOURCE photos/ --out results/`.

    A translator takes sentences too, or text files, a sentence per line; a model of
    images takes image files and folders of them.

    Args:
        source: name of a preset, or folder of a run
        inputs: files, folders, or sentences, each in quotes
        out: folder to write to, made if missing; or the file, of a single text file
    """
    if not inputs:
        raise WrongUse("Give files, folders or sentences to apply the model to.")
    model, _, config = trained(source)
    from zoo.experiment import application

    search = {name: getattr(config, name, None) for name in ("beam", "alpha")}
    options = search if hasattr(model, "translate") else {}
    files = [name for name in inputs if os.path.exists(name)]
    progress = progress_bar("input") if files else None  # a sentence takes no time
    done = application.apply(model, inputs, out, progress=progress, **options)
    for text in done.results:
        print(text)
    for path, why in done.failed:
        print(f"zoo: left out {path}: {why}", file=sys.stderr)
    if done.written:
        print(report.wrote(done.written[:5]))
        if len(done.written) > 5:
            print(f"  and {len(done.written) - 5:,} more")
    if done.failed and not done.written and not done.results:
        raise ValueError("None of the inputs could be read.")


def export(
    source: Source,
    directory: Folder,
    formats: tuple[str, ...] | None = None,
    version: int = 1,
) -> None:
    """Writes SavedModel and LiteRT files and prints how far each is from the model.

    Args:
        source: name of a preset, or folder of a run
        directory: where to write; made if missing
        formats: of float32, float16, dynamic, int8; by default all that come out close
            enough to the model
        version: folder of the SavedModel, as TF Serving numbers them
    """
    model, recipe, config = trained(source)
    from zoo.deploy import export as exporter

    try:
        examples = recipe.examples(model, config, recipe.load(config))
    except (ValueError, OSError):
        print(f"{config.data} is not at hand: noise stands for it.")
        examples = {}
    artifacts = exporter.export(model, directory, examples, formats, version)
    print(exporter.describe(artifacts, formats))
    print(f"Wrote {directory}")


def info(name: Name) -> None:
    """Shows the card of a preset.

    Args:
        name: of the preset, as listed by `zoo list`
    """
    print(report.card(presets.card(name)))


def ship(
    run: Folder,
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
    model, recipe, config = found = trained(str(run))
    from zoo.experiment.settings import command, saved

    facts = read_json(Path(run) / "report.json")
    folder = presets.save(
        model,
        name,
        shelf,
        recipe.examples(model, config, recipe.load(config)),
        summary=summary,
        recipe=found.name,
        command=command(found.name, config),
        config=saved(config),
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
        name: fashion_mnist, mnist, handbook or one language of it as handbook/en-de
        source: folder that holds the four original files, gzipped or not; for handbook
            the folder that Debian's packages were unpacked into
        data_dir: TFDS data directory; its own default if not given
    """
    silent_start()
    from zoo.data import builders

    print(f"Prepared {builders.prepare(name, source, data_dir)}")


COMMANDS = {
    "list": list_,
    "train": train,
    "evaluate": evaluate,
    "sample": sample,
    "translate": translate,
    "apply": apply,
    "export": export,
    "info": info,
    "ship": ship,
    "data": data,
}


def run_recipe(name: str, flags: list[str]) -> None:
    """Runs a recipe with its flags."""
    config = settings(name, flags)
    import_recipe(name).main(config)


def resumable(argv: list[str]) -> bool:
    """Returns whether a command line trains by a recipe that knows `--resume`."""
    return (
        argv[:1] == ["train"]
        and argv[1:2] != []
        and argv[1] in catalog()
        and hasattr(import_recipe(argv[1]).Config, "resume")
    )


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        Exit status: 0, or 1 after a failure, or 2 after wrong use.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        if argv == ["--version"]:
            print(zoo.__version__)
        elif argv[:1] == ["train"] and argv[1:] and not argv[1].startswith("-"):
            run_recipe(argv[1], argv[2:])
        else:
            summary = __doc__.splitlines()[0]
            tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="zoo",
                args=argv,
                description=f"{summary} `zoo --version` prints the version.",
            )
        sys.stdout.flush()
    except WrongUse as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # as in `zoo list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, ImportError, ArithmeticError) as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = " --resume continues the run." if resumable(argv) else ""
        print(f"zoo: interrupted.{hint}", file=sys.stderr)
        return 130
    return 0
