"""Trains a translator of sentences: recurrent networks with attention.

    zoo train translate                          embedded English-German
    zoo train translate --data embedded/en-fa --persian
    zoo train translate --data handbook/en-de    the TFDS set, once prepared
    zoo train translate --data 'corpus.{en,de}'    your own: also .tsv, .csv, .tmx
    zoo train translate --no-attention           the baseline: one vector a sentence
    zoo train translate --sampling linear --sampling-epochs 20
    zoo translate runs/translate "The package is installed." --beam 5

Writes into --run-dir the trained model, `alignment_*.png` (which source pieces each
target piece looked at), `translations.tsv` (test sentences, references, translations),
`report.json`, logs, and `export/` with the SavedModel (strings in, strings out), the
LiteRT files and the vocabularies.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from zoo.experiment import corpus
from zoo.experiment.run import Run
from zoo.experiment.settings import Training
from zoo.metrics.text import bleu, chrf
from zoo.networks.recurrent import Recurrent
from zoo.seq2seq import Seq2Seq, Teaching
from zoo.training.optimizers import FusedAdam


@dataclass(frozen=True)
class Config(Training):
    """Every number this recipe depends on, and why."""

    renamed = {"clip": "clip_norm"}

    data: str = "embedded/en-de"
    """embedded/en-de, embedded/en-fa, a TFDS name, a file, two files or a folder"""
    languages: tuple[str, str] | None = None
    """codes of source and target, where the data needs them"""
    level: Literal["subword", "word", "character"] = "subword"
    """what a token is; subwords need no word for what is unknown"""
    source_vocabulary: int = 1700
    """most tokens to know of the source; the text is small"""
    target_vocabulary: int = 1700
    """most tokens to know of the target"""
    persian: bool = False
    """unify the spelling of a Persian target"""
    cell: Literal["lstm", "gru"] = "lstm"
    """kind of recurrent layer"""
    layers: int = 1
    """recurrent layers of encoder and decoder, 1 to 4"""
    residual: bool = False
    """add each layer's input to its output, for several layers"""
    embedding_dim: int = 80
    """width of a token's vector"""
    encoder_units: int = 96
    """width of the encoder, in each direction"""
    decoder_units: int = 160
    """width of the decoder and the attention"""
    attention: bool = True
    """look back at the source; without it long sentences fail"""
    tied: Literal["none", "decoder"] = "decoder"
    """whether the output layer is the table of token vectors, which saves weights"""
    dropout: float = 0.3
    """share of each layer's inputs set to 0 in training: few pairs, many epochs"""
    label_smoothing: float = 0.1
    """share of a label's weight spread over all tokens"""
    sampling: Literal["none", "linear", "exponential", "inverse_sigmoid"] = "none"
    """how scheduled sampling shows fewer true tokens"""
    sampling_epochs: float = 10.0
    """after how many none is shown (linear), half are (inverse_sigmoid), 37 % are"""
    learning_rate: float = 2e-3
    """Adam's, at the start; falls to nothing along half a cosine"""
    clip_norm: float = 1.0
    """largest norm of the gradient of all weights together, against explosions"""
    batch_tokens: int = 3000
    """places in a batch, padding included, of the longer side"""
    beam: int = 5
    """hypotheses kept in the search; also measured with 1; exports keep 5"""
    alpha: float = 0.6
    """exponent of the length penalty, as Wu et al. 2016 found it; 0.6 in exports"""
    epochs: int = 30
    """passes over the training pairs"""


def load(config):
    """Returns pairs of sentences with their vocabularies."""
    return corpus.Corpus(config, config.level, config.persian)


def build(config, data):
    """Returns the compiled model."""
    shape = (config.layers, config.dropout, config.residual)
    model = Seq2Seq(
        *data.vocabularies,
        config.embedding_dim,
        Recurrent(config.cell, config.encoder_units, *shape),
        Recurrent(config.cell, config.decoder_units, *shape),
        config.attention,
        config.tied,
        Teaching(
            config.label_smoothing,
            config.sampling,
            max(1, round(config.sampling_epochs * data.steps_per_epoch)),
        ),
    )
    rate = keras.optimizers.schedules.CosineDecay(
        config.learning_rate, config.epochs * data.steps_per_epoch
    )
    model.compile(FusedAdam(rate, global_clipnorm=config.clip_norm))
    return model


def score(model, config, data):
    """Measures a trained model on the test pairs.

    Returns:
        `{metric: value}`: nats per token of the references, perplexity, and BLEU and
        chrF, greedy and by a beam.
    """
    sources, targets = data.test
    metrics = corpus.likelihood(model, data.test)
    metrics = {name: round(float(value), 4) for name, value in metrics.items()}
    for name, beam in (("greedy", 1), (f"beam_{config.beam}", config.beam)):
        found = model.translate(sources, beam=beam, alpha=config.alpha)
        for judge in (bleu, chrf):
            value, signature = judge(found, targets)
            metrics[f"{judge.__name__}_{name}"] = round(value, 2)
            metrics[f"{judge.__name__}_signature"] = signature
    return metrics


def examples(model, config, data):
    """Returns real inputs for `zoo.deploy.export`: sentences that fit on a device."""
    return corpus.examples(model, data)


PROTOCOL = (
    "test pairs; loss, nll in nats per token of the references, end included; BLEU and "
    "chrF of detokenised text, signatures beside; best: the epoch of the lowest nll on "
    "validation pairs"
)


def pictures(model, config, data, directory):
    """Writes translations and alignments; returns the paths."""
    return corpus.pictures(model, config, data, directory)


def main(config):
    """Trains, scores, shows and exports; returns the report."""
    bleu(["."], ["."])  # tells of a missing sacrebleu before the training
    return corpus.train(Run(__name__, config), load(config), build)
