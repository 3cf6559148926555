"""Trains a translator of dates as people write them into ISO 8601, letter by letter.

    zoo train dates                              4 minutes of two cores: 92 % right
    zoo train dates --epochs 15                  the preset: 99.85 %, 20 minutes
    zoo translate runs/dates "3 March 2024" "14 juillet 1989"

A task whose every answer can be checked: what is measured is the share of dates that
are exactly right, of the test split and of locales whose ways of writing dates were
never seen. Files are those of `zoo train translate`, which also has more settings.
"""

from dataclasses import dataclass

import keras
import numpy as np

from zoo.experiment import corpus
from zoo.experiment.run import Run
from zoo.experiment.settings import Training
from zoo.networks.recurrent import Recurrent
from zoo.seq2seq import Seq2Seq
from zoo.training.optimizers import FusedAdam


@dataclass(frozen=True)
class Config(Training):
    """Every number this recipe depends on, and why."""

    renamed = {"clip": "clip_norm"}
    #: What older runs could choose, and how it is here.
    fixed = {
        "level": "character",
        "persian": False,
        "cell": "lstm",
        "layers": 1,
        "residual": False,
        "attention": True,
        "tied": "decoder",
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "sampling": "none",
        "sampling_epochs": 10.0,
    }

    data: str = "embedded/dates"
    """embedded/dates, or files of your own pairs"""
    languages: tuple[str, str] | None = None
    """codes of source and target, where the data needs them"""
    source_vocabulary: int = 2000
    """most characters to know of written dates; 341 locales have many scripts"""
    target_vocabulary: int = 20
    """most characters to know of ISO dates: digits and a hyphen"""
    embedding_dim: int = 64
    """width of a character's vector"""
    encoder_units: int = 96
    """width of the encoder, in each direction"""
    decoder_units: int = 96
    """width of the decoder and the attention"""
    learning_rate: float = 4e-3
    """Adam's, at the start; falls to nothing along half a cosine"""
    clip_norm: float = 1.0
    """largest norm of the gradient of all weights together, against explosions"""
    batch_tokens: int = 4000
    """places in a batch, padding included, of the longer side"""
    beam: int = 5
    """hypotheses kept in the search; also measured with 1; exports keep 5"""
    alpha: float = 0.0
    """exponent of the length penalty: dates are of one length"""
    epochs: int = 3
    """passes over the training pairs; the preset takes 15"""


def load(config):
    """Returns pairs of dates with their vocabularies, of characters."""
    return corpus.Corpus(config, "character")


def build(config, data):
    """Returns the compiled model."""
    model = Seq2Seq(
        *data.vocabularies,
        config.embedding_dim,
        Recurrent("lstm", config.encoder_units),
        Recurrent("lstm", config.decoder_units),
        tied="decoder",
    )
    rate = keras.optimizers.schedules.CosineDecay(
        config.learning_rate, config.epochs * data.steps_per_epoch
    )
    model.compile(FusedAdam(rate, global_clipnorm=config.clip_norm))
    return model


def score(model, config, data):
    """Measures a trained model on the test dates and the unseen formats.

    Returns:
        `{metric: value}`: nats per character, and shares of dates exactly right.
    """
    logs = corpus.likelihood(model, data.test)
    metrics = {name: round(float(value), 5) for name, value in logs.items()}
    splits = {"exact": data.test}
    if config.data == "embedded/dates":
        splits["exact_unseen"] = data.split("unseen")
    for split, (sources, targets) in splits.items():
        for name, beam in (("", 1), (f"_beam_{config.beam}", config.beam)):
            found = model.translate(sources, beam=beam, alpha=config.alpha)
            right = np.array(found) == np.array(targets)
            metrics[split + name] = round(float(right.mean()), 5)
    return metrics


def examples(model, config, data):
    """Returns real inputs for `zoo.deploy.export`: dates that fit on a device."""
    return corpus.examples(model, data)


PROTOCOL = (
    "test dates: nll in nats per character, exact: share of dates that are right in "
    "every character, greedily and by a beam; exact_unseen: of locales whose formats "
    "training has not; best: the epoch of the lowest nll on validation dates"
)


def pictures(model, config, data, directory):
    """Writes translations and alignments; returns the paths."""
    return corpus.pictures(model, config, data, directory)


def main(config):
    """Trains, scores, shows and exports; returns the report."""
    return corpus.train(Run(__name__, config), load(config), build)
