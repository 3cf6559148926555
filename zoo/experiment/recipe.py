"""What a recipe is: a module of `recipes` with the names below.

A recipe of a model is a `Recipe`; a lesson, which shows something and keeps no model,
is a `Lesson`. A test holds each recipe against its protocol, names of arguments too.
"""

import typing


class Lesson(typing.Protocol):
    """A recipe that shows something in a few minutes.

    Attributes:
        Config: Its settings, a subclass of `zoo.experiment.settings.Settings`.
    """

    Config: type

    def main(config):
        """Shows it; writes pictures and `report.json`, returns the report."""


class Recipe(Lesson, typing.Protocol):
    """A recipe of a model, from data to report.

    Attributes:
        Config: Its settings, a subclass of `zoo.experiment.settings.Training`.
        PROTOCOL: How `score` measures, in a sentence for reports and cards.
    """

    PROTOCOL: str

    def load(config):
        """Returns the data, parts `train`, `validation` and `test`, each read once."""

    def build(config, data):
        """Returns the compiled model that these settings and data ask for."""

    def score(model, config, data):
        """Returns `{metric: value}` of a trained model on the test data."""

    def examples(model, config, data):
        """Returns `{input name: array}`, real inputs for `zoo.deploy.export`."""

    def pictures(model, config, data, directory):
        """Writes what people would rather look at; returns the files' paths."""

    def main(config):
        """Trains, scores, shows and exports; returns the report."""
