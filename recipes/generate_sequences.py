"""Generates sequences, one to many: writes a date in English from its numbers.

    zoo train generate_sequences      embedded dates

The decoder of `zoo.networks.recurrent`, without attention, starts from a vector of
year, month and day and writes letters. Prints how many unseen dates come out right.
"""

import calendar
from dataclasses import dataclass

import keras
import numpy as np

from zoo.data import text
from zoo.experiment import report
from zoo.experiment.settings import Settings
from zoo.networks.recurrent import Decoder, Recurrent
from zoo.seq2seq import before
from zoo.text import decoding
from zoo.text.vocabulary import END, START, Vocabulary, padded


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    examples: int = 5000
    """dates to train with"""
    units: int = 64
    """width of the decoder"""
    epochs: int = 8
    """passes over the training dates"""


def dates_of(split, count, unlike=()):
    """Returns ISO dates and the same as "5 March 2024"."""
    dates = [iso for _, iso in text.load("embedded/dates", split) if iso not in unlike]
    words = [f"{int(d[8:])} {calendar.month_name[int(d[5:7])]} {d[:4]}" for d in dates]
    return dates[:count], words[:count]


def vectors(dates):
    """Returns `(count, 83)`: the digits of the year, the month and the day, one-hot."""
    rows = [[10 * k + int(date[k]) for k in range(4)] for date in dates]
    ends = [[39 + int(date[5:7]), 51 + int(date[8:])] for date in dates]
    return np.eye(83, dtype="float32")[np.hstack([rows, ends])].sum(axis=1)


def main(config):
    """Trains and measures; returns the report, with the share of dates `right`."""
    keras.utils.set_random_seed(config.seed)
    test, expected = dates_of("test", 200)
    train, written = dates_of("train", config.examples, unlike=test)
    letters = Vocabulary.learn(written, 60, "character")
    targets, size = padded(letters.encode(written)), len(letters)
    table = keras.layers.Embedding(size, config.units)
    decoder = Decoder(Recurrent(units=config.units), attention=False)
    output = keras.layers.Dense(size)
    vector, shown = keras.Input((83,)), keras.Input((None,), dtype="int32")
    model = keras.Model([vector, shown], output(decoder(table(shown), vector)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(5e-3), loss)
    model.fit([vectors(train), before(targets)], targets, 32, config.epochs, verbose=2)

    def step(tokens, state, memory):
        readouts, _, state = decoder.step(table(tokens), state, memory)
        return output(readouts), state

    first = decoder.start(vectors(test))
    found = decoding.greedy(step, first, start=START, end=END, max_length=30)
    texts = letters.decode(found.tokens.numpy())
    print(*zip(test[:5], texts[:5], strict=True), sep="\n")
    right = float(np.mean(np.array(texts) == expected))
    print(f"{right:.1%} of {len(test)} unseen dates are right")
    return report.finish("generate_sequences", config, {"right": right})
