"""Shows exposure bias: errors by position of a translator that reads its own words.

    zoo train exposure_bias           2 minutes; writes a picture and report.json

Teacher forcing trains a decoder on true prefixes; translating, it reads its own, errors
included, which training has not shown it. So an error makes further ones likelier. Two
small translators of dates into ISO 8601, one trained with scheduled sampling, are
measured letter by letter: reading the true date so far, and reading their own.

Ranzato et al. 2016, https://arxiv.org/abs/1511.06732, section 1; scheduled sampling,
Bengio et al. 2015, https://arxiv.org/abs/1506.03099, section 2.4.
"""

from dataclasses import dataclass

import keras
import numpy as np

from zoo.data import text
from zoo.experiment import report
from zoo.experiment.panels import Panel, lines, write_panels
from zoo.experiment.settings import Settings
from zoo.networks.recurrent import Recurrent
from zoo.seq2seq import Seq2Seq, Teaching
from zoo.text.vocabulary import Vocabulary

LETTERS = len("2024-12-31")


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    pairs: int = 8_000
    """of dates to train on: few, so that errors are left to look at"""
    tests: int = 500
    """of dates to measure on: a share of errors to within two hundredths"""
    epochs: int = 4
    """passes over the pairs"""
    units: int = 64
    """of encoder and decoder"""
    learning_rate: float = 4e-3
    """Adam's, at the start; falls to nothing along half a cosine"""
    batch_tokens: int = 4000
    """places in a batch, padding included"""


def train(teaching, vocabularies, batches, config):
    """Returns a translator trained one way."""
    keras.utils.set_random_seed(config.seed)
    encoder, decoder = (Recurrent("lstm", config.units) for _ in range(2))
    model = Seq2Seq(*vocabularies, 64, encoder, decoder, teaching=teaching)
    steps = config.epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0))
    model.fit(batches, epochs=config.epochs, shuffle=False, verbose=0)
    return model


def errors(model, sources, targets):
    """Returns which letters are wrong, reading the true ones and its own: booleans."""

    def padded(ids, length=None):
        return keras.utils.pad_sequences(ids, length, padding="post", truncating="post")

    source = padded(model.source_vocabulary.encode(sources))
    target = padded(model.target_vocabulary.encode(targets), LETTERS)
    logits = model.predict((source, target), batch_size=250, verbose=0)
    forced = np.argmax(logits, axis=-1) != target
    found = model.target_vocabulary.encode(model.translate(list(sources)))
    return forced, padded(found, LETTERS) != target


def shares(forced, own):
    """Returns what the errors say, as shares by letter and over all."""
    before = np.cumsum(own, axis=1) - own > 0  # an error somewhere before this letter
    return {
        "true letters read": forced.mean(axis=0).tolist(),
        "its own read": own.mean(axis=0).tolist(),
        "after an error of its own": float(own[before].mean()) if before.any() else 0.0,
        "before any": float(own[~before].mean()),
        "dates wrong": float(own.any(axis=1).mean()),
        "cost of its own": float(own.mean() - forced.mean()),
    }


def panel(name, found):
    """Returns the errors by letter of one translator."""
    letters = np.arange(1, LETTERS + 1)
    curves = {k: np.broadcast_to(found[k], LETTERS) for k in list(found)[:4]}
    axes = {"xlabel": "letter of YYYY-MM-DD", "xticks": letters}
    return Panel(f"share of errors: {name}", lines(letters, curves, ".-"), axes)


def main(config):
    """Trains both, measures, shows and prints; returns the report."""
    rng = np.random.default_rng(config.seed)
    pairs, test = (text.load("embedded/dates", part) for part in ("train", "test"))
    chosen = rng.permutation(len(pairs))[: config.pairs]
    sides = list(zip(*(pairs[index] for index in chosen), strict=True))
    tests = list(zip(*test[: config.tests], strict=True))
    vocabularies = [Vocabulary.learn(side, 2000, "character") for side in sides]
    ids = [v.encode(side) for v, side in zip(vocabularies, sides, strict=True)]
    batches = text.batches(*ids, tokens=config.batch_tokens, seed=config.seed)
    half = config.epochs * len(batches) // 2
    ways = {
        "teacher forcing": Teaching(),
        "scheduled sampling": Teaching(sampling="inverse_sigmoid", steps=half),
    }
    found = {}
    for name, teaching in ways.items():
        model = train(teaching, vocabularies, batches, config)
        found[name] = shares(*errors(model, *tests))
        print(name, *(f"{k} {v:.3f};" for k, v in list(found[name].items())[2:]))
    path = config.directory("exposure_bias") / "exposure_bias.png"
    panels = [panel(name, each) for name, each in found.items()]
    write_panels(path, panels, legend_below=True)
    return report.finish("exposure_bias", config, found, [path])
