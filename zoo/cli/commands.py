"""Train, measure, sample and export the generative models of the zoo.

Each subcommand is a function below.

Subcommands import what they need when they run: `zoo list` and `zoo --help` load
neither TensorFlow nor NumPy.
"""

import dataclasses
import importlib
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Annotated, Literal

import tyro

import zoo
from zoo.cli.recipes import (
    WrongUse,
    begun,
    catalog,
    flag,
    generative,
    import_recipe,
    load,
    settings,
    silent_start,
    tuples,
)
from zoo.deploy import presets
from zoo.experiment import report
from zoo.system import write_json

Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]


Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]


Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME-OR-DIR")]


def list_() -> None:
    """Lists recipes and presets."""
    print("Recipes: zoo train NAME --help")
    for name, summary in catalog().items():
        print(f"  {name:24} {summary}")
    print("\nPresets: zoo info NAME")
    for name in presets.names():
        print(f"  {name:24} {presets.card(name)['summary']}")


def train(recipe: Name) -> None:
    """Trains a model: `zoo train vae --help` tells its settings.

    Args:
        recipe: as listed by `zoo list`; the recipe's own flags follow it
    """
    # Reached without flags only; `main` hands any others to the recipe itself.
    run_recipe(recipe, [])


#: Images below which a distance says more of their number than of their quality.
FEW = 2000


#: Keeps features of real images from one comparison to the next.
CACHE = Path.home() / ".cache" / "generative-zoo"


def evaluate(
    source: Source = "",
    data: str = "",
    languages: tuple[str, str] | None = None,
    real: Path | None = None,
    fake: Path | None = None,
    metrics: str = "",
    extractor: str = "",
    weights: Path | None = None,
    resize: Literal["clean", "legacy_pytorch", "legacy_tensorflow"] = "clean",
    size: tuple[int, int] | None = None,
    count: int = 10_000,
    intervals: int = 0,
    cache: Path = CACHE,
    report_dir: Path = Path("evaluation"),
    out: Path | None = None,
) -> None:
    """Measures a preset or a run, or compares two folders of images.

    By its recipe: `zoo evaluate vae_fashion_mnist`. Its samples against the test
    images: `zoo evaluate vae_fashion_mnist --metrics fid,kid,prd`. Any images:
    `zoo evaluate --real DIR --fake DIR --extractor inception_v3_keras`.

    Args:
        source: name of a preset, or folder of a run
        data: other data than the source was trained on, whose test part to measure
            it by
        languages: codes of source and target, where other data needs them
        real: folder of real images, without a source
        fake: folder of generated images, without a source
        metrics: of fid, fid_infinity, kid, is, prdc, prd, swd, diversity, modes
        extractor: preset of a classifier, inception_v3_keras, inception_2015,
            efficientnet_lite0, a .keras file or a SavedModel; by default what a source
            was measured by after its training
        weights: file of the extractor's weights, where it needs one
        resize: how images are brought to the extractor's size
        size: height and width that folders of several sizes are cropped to
        count: samples to draw from a source, at most as many as its test images
        intervals: resamples for a 95 % interval around each number, such as 100, each a
            quarter or more of the metrics' own time
        cache: folder that keeps the real images' features for the next time
        report_dir: where a comparison writes report.json and its pictures
        out: JSON file to write the numbers to
    """
    if bool(source) == bool(real or fake) or bool(real) != bool(fake):
        raise WrongUse("Give one preset or run, or else --real DIR and --fake DIR.")
    if missing := [str(d) for d in (real, fake) if d and not d.is_dir()]:
        raise WrongUse(f"There is no folder {' and no '.join(missing)}.")
    if count < 1:
        raise WrongUse(f"--count must be 1 or more. Received {count}.")
    wanted = [name.strip() for name in metrics.split(",") if name.strip()]
    compares = not source or wanted or extractor or intervals
    if source:
        model, recipe, config = load(source)
        config |= {"data": data} if data else {}
        if languages:
            if "languages" not in config:
                raise WrongUse(f"{source} does not translate: leave --languages out.")
            config["languages"] = languages
        module = import_recipe(recipe)
    if not compares:
        results = module.evaluate(model, module.Config(**tuples(config)))
        print(report.table(results.items()))
        print(report.remark(module.PROTOCOL))
    else:
        silent_start()
        from zoo.data import images
        from zoo.experiment import quality
        from zoo.experiment.comparison import compare
        from zoo.metrics.suite import check

        wanted = wanted or ["fid", "kid", "prdc", "prd"]
        check(wanted, intervals)
        if source:
            generative(model, source)
            shape = {name: config.get(name) for name in ("size", "channels")}
            reals, _ = images.load(config["data"], "test", **shape)
            fakes = quality.draw(model, min(count, len(reals)))
            extractor = extractor or quality.CLASSIFIERS.get(config["data"], "")
        else:
            reals, fakes = (images.load(d, "all", size=size)[0] for d in (real, fake))
        if source and not extractor:  # as after training
            by = quality.extractor_of(config["data"])
        else:
            by = find_extractor(extractor, weights, resize)
        results = compare(
            reals,
            fakes,
            by,
            wanted,
            resamples=intervals,
            cache=cache,
            directory=report_dir,
            progress=progress_bars(),
            real_images=config["data"] if source else str(real),
            fake_images=source or str(fake),
        )
        print(report.table((name, measured(entry)) for name, entry in results.items()))
        print(f"({len(reals):,} real and {len(fakes):,} fake images)")
        if min(len(reals), len(fakes)) < FEW:
            print(
                f"Fewer than {FEW:,} images: distances come out far too large, and "
                "compare only with those of as many."
            )
        print(f"Wrote {report_dir}")
    if out:
        write_json(out, results)
        print(f"Wrote {out}")


def find_extractor(name, weights, resize):
    """Returns the extractor that a name on the command line means."""
    from zoo.metrics import extractors
    from zoo.metrics import known as networks

    if not name:
        raise WrongUse(
            "No classifier of these images ships with the zoo: give --extractor, for "
            "photographs inception_v3_keras."
        )
    if name in presets.names() or (Path(name) / "report.json").is_file():
        model, _, _ = load(name)
        return extractors.of_model(model, Path(name).name, resize=resize)
    if Path(name).suffix == ".keras" and Path(name).is_file():
        register_class(name)
    return networks.by_name(name, weights, resize)


def register_class(path):
    """Imports the module of a saved model's class if it is one of this zoo."""
    if not zipfile.is_zipfile(path):
        raise WrongUse(f"{path} is no model that Keras saved: it is no .keras archive.")
    with zipfile.ZipFile(path) as archive:
        module = json.loads(archive.read("config.json")).get("module") or ""
    if module.split(".")[0] == "zoo":
        importlib.import_module(module)


def progress_bars():
    """Returns a function of (what, images done, in all) that shows a bar for each."""
    import keras

    bars = {}

    def update(name, done, total):
        if name not in bars:
            print(f"Features of the {name} images")
            verbose = 1 if sys.stdout.isatty() else 2
            bars[name] = keras.utils.Progbar(total, unit_name="image", verbose=verbose)
        bars[name].update(done)

    return update


def measured(entry):
    """Returns a result of `zoo.metrics.suite.measure` as text."""
    text = f"{entry['value']:.4g}"
    if "interval" in entry:
        text += " [{:.4g}, {:.4g}]".format(*entry["interval"])
    if "std" in entry:
        text += f" (std {entry['std']:.2g})"
    if "collapse" in entry:
        text += f" of {entry['of']}, collapse: {entry['collapse']}"
    return text


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
    if out.suffix.lower() not in ("", ".png"):
        raise WrongUse(f"--out is a .png file or a folder. Received {out}.")
    model = generative(load(source)[0], source)
    from zoo.experiment import pictures, quality

    asked = {}
    if label is not None:
        if not hasattr(model, "condition_dim"):
            raise WrongUse(f"{source} draws no classes: leave --label out.")
        asked["conditions"] = [label] * count
    images = quality.draw(model, count, seed=seed, **asked)
    if out.suffix:
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
    model, _, config = load(source)
    if not hasattr(model, "translate"):
        raise WrongUse(f"{source} does not translate.")
    lines = list(sentences) or [line.rstrip("\n") for line in sys.stdin]
    options = {
        "beam": config["beam"] if beam is None else beam,
        "alpha": config["alpha"] if alpha is None else alpha,
    }
    full = [line for line in lines if line.strip()]
    found = iter(model.hypotheses(full, n_best=n_best, **options))
    for line in lines:
        if n_best > 1 and len(lines) > 1:
            print(line)
        for text, score in next(found) if line.strip() else [("", 0.0)]:
            print(text if n_best == 1 else f"{score:9.3f}  {text}")


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
    model, recipe, config = load(source)
    from zoo.deploy import export as exporter

    module = import_recipe(recipe)
    try:
        examples = module.examples(model, module.Config(**tuples(config)))
    except (ValueError, OSError, AssertionError):
        print(f"{config['data']} is not at hand: files are compared on drawn inputs.")
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
    model, recipe, config = load(str(run))
    facts = json.loads((Path(run) / "report.json").read_text("utf-8"))
    module = import_recipe(recipe)
    config = {k: v for k, v in config.items() if k not in ("run_dir", "resume")}
    settings = module.Config(**tuples(config))
    default = dataclasses.asdict(module.Config())
    flags = " ".join(
        flag(key, value)
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
    "export": export,
    "info": info,
    "ship": ship,
    "data": data,
}


def run_recipe(name: str, flags: list[str]) -> None:
    """Runs a recipe with its flags, as `python -m recipes.NAME` does."""
    if name not in catalog():
        raise WrongUse(presets.unknown("recipe", name, list(catalog())))
    config = settings(name, flags)
    if getattr(config, "resume", False):
        config = settings(name, flags, default=begun(config))
    import_recipe(name).main(config)


def resumable(argv: list[str]) -> bool:
    """Returns whether a command line trains by a recipe that knows `--resume`."""
    return (
        argv[:1] == ["train"]
        and argv[1:2] != []
        and argv[1] in catalog()
        and hasattr(importlib.import_module(f"recipes.{argv[1]}").Config, "resume")
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
            tyro.extras.subcommand_cli_from_dict(
                COMMANDS, prog="zoo", args=argv, description=__doc__.splitlines()[0]
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
