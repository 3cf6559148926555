"""Trains a translator of dates as people write them into ISO 8601, letter by letter.

    zoo train dates                              4 minutes of two cores: 92 % right
    zoo train dates --epochs 15                  the preset: 99.85 %, 20 minutes
    zoo translate runs/dates "3 March 2024" "14 juillet 1989"

A task whose every answer can be checked. Settings, files and everything else are those
of `recipes.translate`; what is measured is the share of dates that are exactly right,
of the test split and of locales whose ways of writing dates were never seen.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recipes import translate
from recipes.translate import examples  # noqa: F401  as `zoo export` asks for it


@dataclass(frozen=True)
class Config(translate.Config):
    """Every number this recipe depends on."""

    data: str = "embedded/dates"
    """embedded/dates, or files of your own pairs"""
    level: Literal["subword", "word", "character"] = "character"
    """what a token is"""
    source_vocabulary: int = 2000
    """most characters to know of written dates"""
    target_vocabulary: int = 20
    """most characters to know of ISO dates"""
    embedding_dim: int = 64
    """width of a character's vector"""
    encoder_units: int = 96
    """width of the encoder, in each direction"""
    decoder_units: int = 96
    """width of the decoder and the attention"""
    dropout: float = 0.0
    """share of each layer's inputs set to 0 in training"""
    label_smoothing: float = 0.0
    """share of a label's weight spread over all tokens"""
    learning_rate: float = 4e-3
    """Adam's, at the start; falls to nothing along half a cosine"""
    batch_tokens: int = 4000
    """places in a batch, padding included, of the longer side"""
    alpha: float = 0.0
    """exponent of the length penalty: dates are of one length"""
    epochs: int = 3
    """passes over the training pairs"""
    run_dir: str = "runs/dates"
    """where to write; made if missing"""


def evaluate(model, config):
    """Measures a trained model on the test dates and the unseen formats.

    Returns:
        `{metric: value}`: nats per character, and shares of dates exactly right.
    """
    test = translate.load(config, "test")
    print(f"Measuring on the {len(test[0]):,} test dates of {config.data}.")
    return measure(model, config, test)


def measure(model, config, test):
    """Does the work of `evaluate` on pairs already loaded."""
    logs = translate.likelihood(model, test)
    metrics = {name: round(float(value), 5) for name, value in logs.items()}
    splits = {"exact": test}
    if config.data == "embedded/dates":
        splits["exact_unseen"] = translate.load(config, "unseen")
    for split, (sources, targets) in splits.items():
        for name, beam in (("", 1), (f"_beam_{config.beam}", config.beam)):
            found = model.translate(sources, beam=beam, alpha=config.alpha)
            right = np.array(found) == np.array(targets)
            metrics[split + name] = round(float(right.mean()), 5)
    return metrics


PROTOCOL = (
    "test dates: nll in nats per character, exact: share of dates that are right in "
    "every character, greedily and by a beam; exact_unseen: of locales whose formats "
    "training has not; best: the epoch of the lowest nll on validation dates"
)


def main(config):
    """Trains, measures, draws and exports; returns the report."""
    return translate.train("dates", config, measure, PROTOCOL)
