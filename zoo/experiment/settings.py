"""A recipe's settings: each written once, with a line of help, and restored from JSON.

A recipe's `Config` is a frozen dataclass that extends one of these. The command makes a
flag of each field (`--batch-size`), `config.json` of a run and the card of a preset
hold them, and `restore` reads them back, also in the words of an older version.
"""

import dataclasses
import math
import types
import typing
from pathlib import Path
from typing import ClassVar, Literal

#: Settings of which there is one at least.
COUNTS = ("epochs", "batch_size", "batch_tokens", "beam", "steps", "units")
#: Settings of a speed of learning: 0 would train nothing.
LEARNING_RATES = ("learning_rate", "generator_rate", "discriminator_rate")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What every recipe is told.

    Raises:
        ValueError: If a number is NaN or infinite, or a learning rate or one of
            `COUNTS` is not positive.
    """

    seed: int = 0
    """of weights, noise and order"""
    run_dir: str = ""
    """where to write, made if missing; by default runs/ and the recipe's name"""

    #: Settings that had other names: `{name before: name now}`.
    renamed: ClassVar[dict[str, str]] = {}
    #: Settings that are no longer to choose: `{name: its one value}`.
    fixed: ClassVar[dict[str, object]] = {}

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            flag = "--" + name.replace("_", "-")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{flag} must be a finite number. Received {value}.")
            if name in LEARNING_RATES and not value > 0:
                raise ValueError(f"{flag} must be above 0. Received {value}.")
            if name in COUNTS and value < 1:
                raise ValueError(f"{flag} must be 1 or more. Received {value}.")

    def directory(self, recipe):
        """Returns the folder of a run of a recipe, a `Path`."""
        return Path(self.run_dir or f"runs/{recipe}")


@dataclasses.dataclass(frozen=True)
class Training(Settings):
    """What every training on a data set is told besides."""

    data: str = "embedded"
    """what to train on"""
    epochs: int = 30
    """passes over the training examples"""
    resume: bool = False
    """continue the run in run_dir where it stopped"""


@dataclasses.dataclass(frozen=True)
class ImageTraining(Training):
    """What every training on images is told besides."""

    data: str = "embedded"
    """embedded, a TFDS name such as mnist, or a folder of images"""
    size: tuple[int, int] | None = None
    """height and width to resize to, pixels; as they are by default"""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; as they are by default"""
    batch_size: int = 100
    """images per step; all of them where there are fewer"""

    def batch(self, images):
        """Returns the images that a step on some takes: `batch_size`, or all."""
        return min(self.batch_size, len(images))


def restore(kind, values, source):
    """Returns the settings that a JSON file holds, in the words of today.

    A setting that came later than the file takes its default.

    Args:
        kind: The recipe's `Config`.
        values: `{name: value}`; lists stand for tuples, and a `recipe` is no setting.
        source: Where they come from, for errors.

    Raises:
        ValueError: If a setting is unknown or of a wrong type, naming it.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{source} holds no settings. Received: {values!r:.80}.")
    hints = typing.get_type_hints(kind)
    hints = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    given = current(kind, values)
    if unknown := sorted(given.keys() - hints.keys()):
        raise ValueError(
            f"{source} has settings that this version does not know: "
            f"{', '.join(unknown)}. Use the version of the zoo that wrote it, or train "
            "anew."
        )
    for name, value in given.items():
        given[name] = tuple(value) if isinstance(value, list) else value
        if not fits(given[name], hints[name]):
            raise ValueError(
                f"{source} has a setting of a wrong type: {name} is "
                f"{_words(hints[name])}. Received: {value!r}."
            )
    return kind(**given)


def current(kind, values):
    """Returns saved settings under their names of today, without what is fixed now.

    Args:
        kind: The recipe's `Config`.
        values: `{name: value}` as JSON has it.
    """
    given = {kind.renamed.get(k, k): v for k, v in values.items() if k != "recipe"}
    return {k: v for k, v in given.items() if k not in kind.fixed or kind.fixed[k] != v}


def fits(value, hint):
    """Returns whether a value is of the type that a setting is annotated with."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[1:] == (...,):
            return all(fits(one, arguments[0]) for one in value)
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    if hint is float:  # JSON writes 1.0 as 1
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def flag(name, value):
    """Returns the words that give a setting a value: `--widths 16 32`, `--no-flip`."""
    name = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    values = value if isinstance(value, tuple) else (value,)
    return " ".join([f"--{name}", *map(str, values)])


def command(recipe, config):
    """Returns the command that trains with these settings: those not by default.

    Args:
        recipe: Its name.
        config: Its settings.
    """
    default = saved(type(config)())
    flags = [
        flag(name, value)
        for name, value in saved(config).items()
        if value != default[name]
    ]
    return " ".join(["zoo train", recipe, *flags])


def saved(config):
    """Returns `{name: value}` of the settings that a model depends on."""
    values = dataclasses.asdict(config)
    return {k: v for k, v in values.items() if k not in ("run_dir", "resume")}


def _words(hint):
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
