"""Classifies sequences, many to one: tells the language of a scrap of text.

    zoo train classify_sequences      embedded English, German and Persian

The encoder of `zoo.networks.recurrent` reads a few letters in both directions; its last
states are the features of a linear classifier. Prints the accuracy on scraps of unseen
pages.
"""

from dataclasses import dataclass

import keras
import numpy as np

from zoo.data import text
from zoo.experiment import report
from zoo.experiment.settings import Settings
from zoo.networks.recurrent import Encoder, Recurrent
from zoo.text.vocabulary import Vocabulary, padded

LANGUAGES = ("English", "German", "Persian")


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    letters: int = 12
    """length of a scrap, from the beginning of a sentence"""
    units: int = 32
    """width of the encoder, in each direction"""
    learning_rate: float = 3e-3
    """Adam's"""
    batch_size: int = 64
    """scraps per step"""
    epochs: int = 3
    """passes over the training scraps"""


def scraps_of(config, split):
    """Returns scraps of text and the numbers of their languages."""
    english, german = zip(*text.load("embedded/en-de", split), strict=True)
    _, persian = zip(*text.load("embedded/en-fa", split), strict=True)
    sides = (english, german, persian)
    scraps = [sentence[: config.letters] for side in sides for sentence in side]
    return scraps, np.repeat(range(len(sides)), [len(side) for side in sides])


def build(config, vocabulary):
    """Returns the compiled model, from ids to logits."""
    ids = keras.Input((None,), dtype="int32")
    lengths = keras.ops.sum(keras.ops.cast(ids != 0, "int32"), axis=1)
    vectors = keras.layers.Embedding(len(vocabulary), config.units)(ids)
    _, last = Encoder(Recurrent(units=config.units))(vectors, lengths)
    model = keras.Model(ids, keras.layers.Dense(len(LANGUAGES))(last))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = keras.optimizers.Adam(config.learning_rate)
    model.compile(adam, loss, metrics=["accuracy"])
    return model


def main(config):
    """Trains and measures; returns the report."""
    keras.utils.set_random_seed(config.seed)
    (train, labels), (test, truth) = (scraps_of(config, s) for s in ("train", "test"))
    vocabulary = Vocabulary.learn(train, 200, "character")
    inputs, others = (padded(vocabulary.encode(side)) for side in (train, test))
    model = build(config, vocabulary)
    model.fit(inputs, labels, config.batch_size, config.epochs, verbose=2)
    logs = model.evaluate(others, truth, 256, verbose=0, return_dict=True)
    print(f"{logs['accuracy']:.1%} of {len(test):,} test scraps are right. Some:")
    found = model.predict(others[::200], verbose=0).argmax(axis=1)
    for scrap, label in zip(test[::200], found, strict=True):
        print(f"  {LANGUAGES[label]:8} {scrap}")
    return report.finish("classify_sequences", config, logs)
