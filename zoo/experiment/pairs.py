"""Two folders of images compared file by file: outputs of a model, and their truths.

`zoo evaluate --real TRUTHS --fake OUTPUTS --paired` is `compare_folders`.
"""

from pathlib import Path

import numpy as np

from zoo.data import image_files
from zoo.experiment import pictures
from zoo.metrics.paired import first_of, measure_pairs
from zoo.system import write_json


def compare_folders(
    real, fake, metrics=("psnr", "ssim"), *, directory=None, rows=8, **settings
):
    """Compares the images of two folders that have equal names.

    Args:
        real: Folder of the truths.
        fake: Folder of the outputs, with a file of the same name, suffix aside, for
            each: `a.jpg` and `a.png` are a pair. Sizes may differ from pair to pair.
        metrics: Keys of `zoo.metrics.paired.METRICS`.
        directory: Where to write `report.json`, which has the value of each pair, and
            `pairs.png`, the worst by the first metric; `None` writes nothing.
        rows: Pairs to show.
        **settings: For `zoo.metrics.paired.measure_pairs`: `channel`, `crop`,
            `scales`, `distance`, `resamples`.

    Returns:
        As `measure_pairs`, without `values`.

    Raises:
        ValueError: If a name is in one of the folders only or the sizes of a pair
            differ, with the first of them; or as `measure_pairs`.
        OSError: If weights for "perceptual" cannot be had.
    """
    names, truths, outputs = read_folders(real, fake)
    results = measure_pairs(outputs, truths, metrics, names=names, **settings)
    if directory is not None:
        directory = Path(directory)
        report = {
            "real_images": str(real),
            "fake_images": str(fake),
            "names": [str(name) for name in names],
            "metrics": {name: _plain(entry) for name, entry in results.items()},
        }
        write_json(directory / "report.json", report)
        values = next(iter(results.values()))["values"]
        order = np.argsort(values, kind="stable")  # worst first
        if metrics[0] == "perceptual":  # a distance: the largest is the worst
            order = order[::-1]
        worst = [(outputs[i], truths[i]) for i in order[:rows]]
        write_pairs(directory / "pairs.png", worst)
    return {
        name: {key: value for key, value in entry.items() if key != "values"}
        for name, entry in results.items()
    }


def _plain(entry):
    """Returns a result as JSON can hold it: no number, where the PSNR is infinite."""

    def plain(value):
        return value if np.isfinite(value) else None

    values = [plain(value) for value in entry["values"]]
    return {**entry, "value": plain(entry["value"]), "values": values}


def read_folders(real, fake):
    """Reads the images of two folders that have equal names.

    Args:
        real: Folder of the truths.
        fake: Folder of the outputs.

    Returns:
        `(names, truths, outputs)`: sorted names without suffix, and two lists of uint8
        `(height, width, 1 or 3)`. Of a pair of which one is grey and the other is not,
        the grey one is repeated.

    Raises:
        ValueError: If a folder holds no image or two of one name, or a name is in one
            of the folders only.
    """
    paths = [_by_name(Path(folder)) for folder in (real, fake)]
    alone = [
        f"{name} (only in {folder})"
        for folder, here, there in ((real, *paths), (fake, *paths[::-1]))
        for name in sorted(here.keys() - there.keys())
    ]
    if alone:
        raise ValueError(
            "Pairs have equal names in both folders, suffix aside: rename, or remove "
            f"what has no partner. Received {first_of(alone)}."
        )
    names = sorted(paths[0])
    pairs = [[image_files.decode(files[name]) for files in paths] for name in names]
    for pair in pairs:
        channels = max(image.shape[-1] for image in pair)
        pair[:] = [np.repeat(x, channels // x.shape[-1], axis=-1) for x in pair]
    return names, *(list(images) for images in zip(*pairs, strict=True))


def _by_name(folder):
    """Returns `{name without suffix: path}` of the images of a folder."""
    found = {}
    for path in image_files.find(folder):
        name = path.with_suffix("").as_posix()
        if name in found:
            raise ValueError(
                f"{folder} holds two images of one name, which tell no pair apart. "
                f"Received: {found[name].name} and {path.name}."
            )
        found[name] = folder / path
    return found


def write_pairs(path, pairs):
    """Shows pairs of images in rows, each output beside its truth.

    Args:
        path: Of the PNG file.
        pairs: List of `(output, truth)`, uint8 `(height, width, 1 or 3)`; all are
            shown at the size of the first.
    """
    shape = pairs[0][0].shape
    sheet = [image for pair in pairs for image in pair]
    pictures.write_grid(path, pictures.alike(sheet, shape), columns=2)
