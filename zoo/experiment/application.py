"""Applies a model to what a user has: text to a translator, image files to any other.

What a model does with an input is told by its methods:

    translate(sentences, beam=, alpha=) -> sentences     a line of text for each
    transform(images) -> images                          an image file for each
    classify(images) -> (labels, probabilities)          a row of `labels.csv` for each
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.data import image_files, images
from zoo.experiment.pictures import write_grid
from zoo.system import whole

#: Images that go through a model at once.
ROWS = 64


class Applied(NamedTuple):
    """What came of it.

    Attributes:
        results: Texts, for inputs that were no files; in their order.
        written: Paths of the files.
        failed: `(path, why)` of inputs that could not be read.
    """

    results: list
    written: list
    failed: list


def apply(model, inputs, out=None, *, progress=None, **options):
    """Applies a model to inputs, and goes on where one of them cannot be read.

    Args:
        model: With one of the methods that the module describes.
        inputs: Strings: sentences or text files for a translator, image files or
            folders of them for others.
        out: Folder to write to; of a single text file also the file. A translator's
            results can do without.
        progress: Function of (inputs done, in all).
        **options: Of `translate`.

    Returns:
        `Applied`.

    Raises:
        ValueError: If the model takes no input, or `out` is missing or no folder.
    """
    if hasattr(model, "translate"):
        return _translate(model, inputs, out, progress, options)
    if not hasattr(model, "transform") and not hasattr(model, "classify"):
        raise ValueError(
            f"A {type(model).__name__} takes no images and no text: it makes them from "
            "noise. Use `zoo sample`."
        )
    if out is None or (Path(out).exists() and not Path(out).is_dir()):
        raise ValueError(f"Say which folder to write to: --out DIR. Received: {out}.")
    return _see(model, list(_image_paths(inputs)), Path(out), progress)


def _translate(model, inputs, out, progress, options):
    """Translates sentences, and text files line by line; empty lines stay empty."""
    done = Applied([], [], [])
    for index, given in enumerate(inputs):
        path = Path(given)
        if not _is_file(path):
            done.results.extend(translate_lines(model, [given], **options))
        elif out is None:
            raise ValueError(
                f"Say where the translation of {path} goes: --out FILE, or a folder."
            )
        else:
            target = Path(out)
            if len(inputs) > 1 or target.is_dir() or not target.suffix:
                target = target / path.name
            try:
                lines = path.read_text("utf-8").removesuffix("\n").split("\n")
            except UnicodeDecodeError:
                done.failed.append((path, "it is no UTF-8 text"))
                continue
            found = translate_lines(model, lines, **options)
            with whole(target) as beside:
                beside.write_text("\n".join(found) + "\n", "utf-8")
            done.written.append(target)
        if progress:
            progress(index + 1, len(inputs))
    return done


def translate_lines(model, lines, **options):
    """Returns the translation of each line; an empty line stays one."""
    found = iter(model.translate([line for line in lines if line.strip()], **options))
    return [next(found) if line.strip() else "" for line in lines]


def _is_file(path):
    try:
        return path.is_file()
    except OSError:  # a sentence may be too long to be a path
        return False


def _image_paths(inputs):
    """Yields `(path, name to write under)` of all image files."""
    for given in map(Path, inputs):
        if given.is_dir():
            yield from ((given / name, name) for name in image_files.find(given))
        else:
            yield given, Path(given.name)


def _see(model, paths, out, progress):
    """Applies a model of images of one size, so many files at a time."""
    done = Applied([], [], [])
    rows = []
    for start in range(0, len(paths), ROWS):
        batch, names = [], []
        for path, name in paths[start : start + ROWS]:
            try:
                pixels = image_files.decode(path)
            except ValueError as error:
                done.failed.append((path, str(error)))
                continue
            height, width, channels = model.image_shape
            pixels = image_files.fit(pixels, (height, width))
            batch.append(image_files.recolour(pixels, channels))
            names.append(name)
        if batch:  # (files, height, width, channels)
            found = images.to_unit_range(np.stack(batch))
            if hasattr(model, "transform"):
                done.written.extend(_write(out, names, model.transform(found)))
            else:
                labels, shares = model.classify(found)
                rows += zip(names, np.array(labels), np.array(shares), strict=True)
        if progress:
            progress(min(start + ROWS, len(paths)), len(paths))
    if rows:
        done.written.append(out / "labels.csv")
        with whole(out / "labels.csv") as beside, beside.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["file", "label", "probability"])
            table.writerows((str(n), int(k), f"{p:.4f}") for n, k, p in rows)
    return done


def _write(out, names, results):
    """Writes images as PNG files of the inputs' names; yields the paths."""
    for name, image in zip(names, np.asarray(results), strict=True):
        path = (out / name).with_suffix(".png")
        write_grid(path, image[None], scale=1)
        yield path
