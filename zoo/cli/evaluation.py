"""`zoo evaluate`: measures a preset or a run, or compares two folders of images."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from zoo.cli.recipes import WrongUse, generative, silent_start, trained
from zoo.deploy import presets
from zoo.experiment import report
from zoo.system import write_json

Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME-OR-DIR")]
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
    paired: bool = False,
    count: int = 10_000,
    intervals: int = 0,
    cache: Path = CACHE,
    report_dir: Path = Path("evaluation"),
    out: Path | None = None,
) -> None:
    """Measures a preset or a run, or compares two folders of images.

    By its recipe: `zoo evaluate vae_fashion_mnist`. Its samples against the test
    images: `zoo evaluate vae_fashion_mnist --metrics fid,kid,prd`. Any images:
    `zoo evaluate --real DIR --fake DIR --extractor inception_v3_keras`. Outputs and
    their truths, file by file: `zoo evaluate --real DIR --fake DIR --paired`.

    Args:
        source: name of a preset, or folder of a run
        data: other data than the source was trained on, whose test part to measure
            it by
        languages: codes of source and target, where other data needs them
        real: folder of real images, without a source
        fake: folder of generated images, without a source
        metrics: of fid, fid_infinity, kid, is, prdc, prd, swd, diversity, modes; of
            pairs psnr, ssim, ms_ssim, perceptual
        extractor: preset of a classifier, inception_v3_keras, inception_2015,
            efficientnet_lite0, a .keras file or a SavedModel; by default what a source
            was measured by after its training
        weights: file of the extractor's weights, where it needs one
        resize: how images are brought to the extractor's size
        size: height and width that folders of several sizes are cropped to
        paired: compare each fake image with the real one of the same name
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
    if paired and source:
        raise WrongUse("--paired compares two folders: give --real DIR and --fake DIR.")
    if paired:
        silent_start()
        from zoo.experiment.pairs import compare_folders

        results = compare_folders(
            real,
            fake,
            wanted or ("psnr", "ssim"),
            directory=report_dir,
            resamples=intervals,
        )
        show(results)
        print(f"Wrote {report_dir}")
    elif source and not (wanted or extractor or intervals):
        model, recipe, config = trained(
            source, data=data, languages=languages, size=size
        )
        results = recipe.score(model, config, recipe.load(config))
        print(f"Test data of {config.data}:")
        print(report.table(results.items()))
        print(report.remark(recipe.PROTOCOL))
    else:
        silent_start()
        from zoo.data import images
        from zoo.experiment import quality
        from zoo.experiment.comparison import compare
        from zoo.metrics.suite import check

        wanted = wanted or ["fid", "kid", "prdc", "prd"]
        check(wanted, intervals)
        if source:
            model, recipe, config = trained(source, data=data, size=size)
            generative(model, source)
            reals, _ = recipe.load(config).test
            fakes = quality.sample(model, min(count, len(reals)))
            names = {"real_images": config.data, "fake_images": source}
        else:
            reals, fakes = (images.load(d, "all", size=size)[0] for d in (real, fake))
            names = {"real_images": str(real), "fake_images": str(fake)}
        if source and not extractor:  # as after training
            by = quality.extractor_of(config.data)
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
            **names,
        )
        show(results)
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


def show(results):
    """Prints a table of metrics."""
    print(report.table((name, measured(entry)) for name, entry in results.items()))


def find_extractor(name, weights, resize):
    """Returns the extractor that a name on the command line means."""
    from zoo.metrics import extractors, known

    if not name:
        raise WrongUse(
            "No classifier of these images ships with the zoo: give --extractor, for "
            "photographs inception_v3_keras."
        )
    if name in presets.names() or (Path(name) / "report.json").is_file():
        model = trained(name).model
        return extractors.of_model(model, Path(name).name, resize=resize)
    return known.by_name(name, weights, resize)


def progress_bars():
    """Returns a function of (what, images done, in all) that shows a bar for each."""
    bars = {}

    def update(name, done, total):
        if name not in bars:
            print(f"Features of the {name} images")
            bars[name] = progress_bar("image")
        bars[name](done, total)

    return update


def progress_bar(unit):
    """Returns a function of (done, in all) that shows a bar."""
    import keras

    bars = []

    def update(done, total):
        if not bars:
            verbose = 1 if sys.stdout.isatty() else 2  # a line at the end
            bars.append(keras.utils.Progbar(total, unit_name=unit, verbose=verbose))
        bars[0].update(done)

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
