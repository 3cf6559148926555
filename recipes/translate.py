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

import shlex
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np

from zoo.data import text
from zoo.experiment import pictures
from zoo.experiment.run import Run
from zoo.metrics.text import bleu, chrf
from zoo.networks.recurrent import Recurrent
from zoo.seq2seq import Seq2Seq, Teaching
from zoo.system import whole
from zoo.text.endpoints import DEVICE_LENGTH
from zoo.text.vocabulary import Vocabulary, padded
from zoo.training.optimizers import FusedAdam


@dataclass(frozen=True)
class Config:
    """Every number this recipe depends on."""

    data: str = "embedded/en-de"
    """embedded/en-de, embedded/en-fa, a TFDS name, a file, two files or a folder"""
    languages: tuple[str, str] | None = None
    """codes of source and target, where the data needs them"""
    level: Literal["subword", "word", "character"] = "subword"
    """what a token is"""
    source_vocabulary: int = 1700
    """most tokens to know of the source"""
    target_vocabulary: int = 1700
    """most tokens to know of the target"""
    persian: bool = False
    """unify the spelling of a Persian target"""
    cell: Literal["lstm", "gru"] = "lstm"
    """kind of recurrent layer"""
    layers: int = 1
    """recurrent layers of encoder and decoder, 1 to 4"""
    residual: bool = False
    """add each layer's input to its output"""
    embedding_dim: int = 80
    """width of a token's vector"""
    encoder_units: int = 96
    """width of the encoder, in each direction"""
    decoder_units: int = 160
    """width of the decoder and the attention"""
    attention: bool = True
    """look back at the source"""
    tied: Literal["none", "decoder"] = "decoder"
    """whether the output layer is the table of token vectors"""
    dropout: float = 0.3
    """share of each layer's inputs set to 0 in training"""
    label_smoothing: float = 0.1
    """share of a label's weight spread over all tokens"""
    sampling: Literal["none", "linear", "exponential", "inverse_sigmoid"] = "none"
    """how scheduled sampling shows fewer true tokens"""
    sampling_epochs: float = 10.0
    """after how many none is shown (linear), half are (inverse_sigmoid), 37 % are"""
    learning_rate: float = 2e-3
    """Adam's, at the start; falls to nothing along half a cosine"""
    clip: float = 1.0
    """largest norm of the gradient of all weights together"""
    batch_tokens: int = 3000
    """places in a batch, padding included, of the longer side"""
    beam: int = 5
    """hypotheses kept in the search; also measured with 1; exports keep 5"""
    alpha: float = 0.6
    """exponent of the length penalty; 0.6 in exports"""
    epochs: int = 30
    """passes over the training pairs"""
    seed: int = 0
    """of weights, noise and order"""
    run_dir: str = "runs/translate"
    """where to write; made if missing"""
    resume: bool = False
    """continue the run in run_dir where it stopped"""


def load(config, split):
    """Returns the sources and the targets of one split."""
    pairs = text.load(config.data, split, languages=config.languages)
    return tuple(list(side) for side in zip(*pairs, strict=True))


def load_all(config):
    """Returns the sources and the targets of training, validation and test."""
    parts = text.splits(config.data, languages=config.languages)
    return [tuple(list(side) for side in zip(*part, strict=True)) for part in parts]


def learn(config, train):
    """Returns the vocabularies of source and target, from the training pairs."""
    sizes = (config.source_vocabulary, config.target_vocabulary)
    return [
        Vocabulary.learn(side, size, config.level, persian=persian)
        for side, size, persian in zip(
            train, sizes, (False, config.persian), strict=True
        )
    ]


def encode(vocabularies, pairs):
    """Returns the token ids of sources and targets."""
    return [
        vocabulary.encode(side)
        for vocabulary, side in zip(vocabularies, pairs, strict=True)
    ]


def build(config, vocabularies, steps_per_epoch):
    """Returns the compiled model."""
    shape = (config.layers, config.dropout, config.residual)
    model = Seq2Seq(
        *vocabularies,
        config.embedding_dim,
        Recurrent(config.cell, config.encoder_units, *shape),
        Recurrent(config.cell, config.decoder_units, *shape),
        config.attention,
        config.tied,
        Teaching(
            config.label_smoothing,
            config.sampling,
            max(1, round(config.sampling_epochs * steps_per_epoch)),
        ),
    )
    rate = keras.optimizers.schedules.CosineDecay(
        config.learning_rate, config.epochs * steps_per_epoch
    )
    model.compile(FusedAdam(rate, global_clipnorm=config.clip))
    return model


def evaluate(model, config):
    """Measures a trained model on the test pairs.

    Returns:
        `{metric: value}`: nats per token of the references, perplexity, and BLEU and
        chrF, greedy and by a beam.
    """
    test = load(config, "test")
    print(f"Measuring on the {len(test[0]):,} test pairs of {config.data}.")
    return measure(model, config, test)


def likelihood(model, pairs):
    """Returns the logs of `evaluate` on sources and their targets."""
    if not model.compiled:  # a preset comes without optimizer; `evaluate` insists
        model.compile()
    ids = encode((model.source_vocabulary, model.target_vocabulary), pairs)
    return model.evaluate(text.batches(*ids, 64), verbose=0, return_dict=True)


def measure(model, config, test):
    """Does the work of `evaluate` on pairs already loaded."""
    sources, targets = test
    metrics = likelihood(model, test)
    metrics = {name: round(float(value), 4) for name, value in metrics.items()}
    for name, beam in (("greedy", 1), (f"beam_{config.beam}", config.beam)):
        found = model.translate(sources, beam=beam, alpha=config.alpha)
        for score in (bleu, chrf):
            value, signature = score(found, targets)
            metrics[f"{score.__name__}_{name}"] = round(value, 2)
            metrics[f"{score.__name__}_signature"] = signature
    return metrics


def examples(model, config, count=200):
    """Returns real inputs for `zoo.deploy.export`: sentences that fit on a device."""
    sources, targets = load(config, "test")
    ids = zip(model.source_vocabulary.encode(sources), sources, strict=True)
    kept = [(some, one) for some, one in ids if len(some) <= DEVICE_LENGTH][:count]
    if not kept:  # cut then, as a device would have to
        ids = model.source_vocabulary.encode(sources[:count], DEVICE_LENGTH)
        kept = list(zip(ids, sources[:count], strict=True))
    source = [some + [0] * (DEVICE_LENGTH - len(some)) for some, _ in kept]
    return {
        "source": padded(source).numpy(),
        "sentences": np.array([sentence for _, sentence in kept]),
        "tokens": padded(model.target_vocabulary.encode(targets[:count])).numpy()[:, 0],
    }


PROTOCOL = (
    "test pairs; loss, nll in nats per token of the references, end included; BLEU and "
    "chrF of detokenised text, signatures beside; best: the epoch of the lowest nll on "
    "validation pairs"
)


def draw(model, config, test, directory, count=3):
    """Writes alignments of test sentences, and all translations; returns the paths."""
    sources, targets = test
    found = model.translate(sources, beam=config.beam, alpha=config.alpha)
    paths = [directory / "translations.tsv"]
    with whole(paths[0]) as beside:
        rows = (
            "\t".join(" ".join(side.split()) for side in row)
            for row in zip(sources, targets, found, strict=True)
        )
        beside.write_text("\n".join(rows) + "\n", "utf-8")
    if not model.attention:
        return paths
    lengths = np.array([len(source) for source in sources])
    typical = np.argsort(np.abs(lengths - np.median(lengths)), kind="stable")[:count]
    pairs = [[side[row] for row in typical] for side in (sources, found)]
    for row, (weights, source, target) in enumerate(model.align(*pairs)):
        paths.append(directory / f"alignment_{row}.png")
        pictures.write_alignment(paths[-1], weights, source, target)
    return paths


def main(config):
    """Trains, measures, draws and exports; returns the report."""
    bleu(["."], ["."])  # tells of a missing sacrebleu before the training
    return train("translate", config, measure, PROTOCOL)


def train(recipe, config, measure, protocol):
    """Does the work of `main`, measuring by `measure(model, config, test)`."""
    if config.beam < 1:
        raise ValueError(f"--beam is 1 or more. Received {config.beam}.")
    run = Run(recipe, config)
    pairs, validation, test = load_all(config)
    vocabularies = learn(config, pairs)
    ids = encode(vocabularies, pairs)
    batches = text.batches(
        *ids, tokens=config.batch_tokens, seed=config.seed, first_epoch=run.first_epoch
    )
    real = sum(map(len, ids[0])) + sum(map(len, ids[1]))
    print(
        f"Training on {len(pairs[0]):,} pairs of {config.data}, {real:,} tokens of "
        f"{' + '.join(str(len(v)) for v in vocabularies)} kinds; validating on "
        f"{len(validation[0]):,}."
    )
    model = run.model(lambda: build(config, vocabularies, len(batches)))
    known = model.source_vocabulary.pieces, model.target_vocabulary.pieces
    steps = int(model.optimizer.iterations)
    same = known == tuple(v.pieces for v in vocabularies)
    if not same or steps != run.first_epoch * len(batches):
        raise ValueError(
            f"{config.data} has other pairs than when the run in {run.directory} "
            "began. Restore them, or start afresh in another --run-dir."
        )
    run.fit(
        model,
        batches,
        validation=text.batches(*encode(vocabularies, validation), 64),
        monitor="val_nll",
    )
    return run.conclude(
        model,
        measure=lambda model: measure(model, config, test),
        draw=lambda model: draw(model, config, test, run.directory),
        examples=lambda model: examples(model, config),
        protocol=protocol,
        examples_per_epoch=len(pairs[0]),
        hints=[f"zoo translate {run.directory} {shlex.quote(test[0][0])} --beam 5"],
    )
