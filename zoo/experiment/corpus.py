"""What the recipes of translators share, from pairs of sentences to alignments."""

import functools
import shlex

import numpy as np

from zoo.data import text
from zoo.experiment.pictures import write_alignment
from zoo.system import whole
from zoo.text.endpoints import DEVICE_LENGTH
from zoo.text.vocabulary import Vocabulary, padded


class Corpus:
    """Pairs of sentences and the vocabularies of both sides.

    Each is read or learned when it is first asked for, and once.

    Args:
        config: With `data`, `source_vocabulary`, `target_vocabulary`, `batch_tokens`
            and `seed`, and where the data need them `languages`.
        level: What a token is, for `zoo.text.vocabulary.Vocabulary`.
        persian: Whether to unify the spelling of a Persian target.

    Attributes:
        train: `(sources, targets)`, a list of strings each.
        validation: Likewise.
        test: Likewise.
    """

    def __init__(self, config, level, persian=False):
        self.config = config
        self.level = level
        self.persian = persian
        languages = getattr(config, "languages", None)
        self._splits = text.splits(config.data, languages=languages)

    def split(self, name):
        """Returns the sources and the targets of any split of the data."""
        return self._splits.split(name)

    @property
    def train(self):
        """Pairs to train with."""
        return self._splits.train

    @property
    def validation(self):
        """Pairs on which the best epoch is chosen."""
        return self._splits.validation

    @property
    def test(self):
        """Pairs for the end."""
        return self._splits.test

    @functools.cached_property
    def vocabularies(self):
        """Vocabularies of source and target, learned from the training pairs."""
        sizes = (self.config.source_vocabulary, self.config.target_vocabulary)
        return tuple(
            Vocabulary.learn(side, size, self.level, persian=persian)
            for side, size, persian in zip(
                self.train, sizes, (False, self.persian), strict=True
            )
        )

    @functools.cached_property
    def ids(self):
        """Token ids of the training sources and targets, a list of lists each."""
        return encode(self.vocabularies, self.train)

    def batches(self, first_epoch=0):
        """Returns the training pairs as batches, from an epoch on."""
        config = self.config
        return text.batches(
            *self.ids,
            tokens=config.batch_tokens,
            seed=config.seed,
            first_epoch=first_epoch,
        )

    @functools.cached_property
    def steps_per_epoch(self):
        """Batches of an epoch, for schedules."""
        return len(self.batches())


def encode(vocabularies, pairs):
    """Returns the token ids of sources and targets."""
    return [
        vocabulary.encode(side)
        for vocabulary, side in zip(vocabularies, pairs, strict=True)
    ]


def train(run, data, build):
    """Trains a translator; returns the report.

    Args:
        run: The recipe's `zoo.experiment.run.Run`.
        data: A `Corpus`.
        build: The recipe's.

    Raises:
        ValueError: If a resumed run began with other pairs.
    """
    config = run.settings
    batches = data.batches(run.first_epoch)
    tokens = sum(sum(map(len, side)) for side in data.ids)
    kinds = " + ".join(str(len(vocabulary)) for vocabulary in data.vocabularies)
    print(
        f"Training on {len(data.train[0]):,} pairs of {config.data}, {tokens:,} tokens "
        f"of {kinds} kinds; validating on {len(data.validation[0]):,}."
    )
    model = run.model(lambda: build(config, data))
    known = model.source_vocabulary.pieces, model.target_vocabulary.pieces
    same = known == tuple(v.pieces for v in data.vocabularies)
    if not same or int(model.optimizer.iterations) != run.first_epoch * len(batches):
        raise ValueError(
            f"{config.data} has other pairs than when the run in {run.directory} "
            "began. Restore them, or start afresh in another --run-dir."
        )
    validation = text.batches(*encode(data.vocabularies, data.validation), 64)
    run.fit(model, batches, validation=validation, monitor="val_nll")
    first = shlex.quote(data.test[0][0])
    return run.conclude(
        model,
        data,
        examples_per_epoch=len(data.train[0]),
        hints=[f"zoo translate {run.directory} {first} --beam 5"],
    )


def likelihood(model, pairs):
    """Returns the losses of a translator on sources and their targets.

    Args:
        model: A translator with its vocabularies.
        pairs: `(sources, targets)`.

    Returns:
        `{name: value}`; `nll` in nats per token of the targets.
    """
    ids = encode((model.source_vocabulary, model.target_vocabulary), pairs)
    return model.evaluate(text.batches(*ids, 64), verbose=0, return_dict=True)


def examples(model, data, count=200):
    """Returns real inputs for `zoo.deploy.export`: sentences that fit on a device."""
    sources, targets = data.test
    ids = zip(model.source_vocabulary.encode(sources), sources, strict=True)
    kept = [(some, one) for some, one in ids if len(some) <= DEVICE_LENGTH][:count]
    if not kept:  # cut then, as a device would have to
        ids = model.source_vocabulary.encode(sources[:count], DEVICE_LENGTH)
        kept = list(zip(ids, sources[:count], strict=True))
    some, sentences = zip(*kept, strict=True)
    tokens = padded(model.target_vocabulary.encode(targets[:count])).numpy()[:, 0]
    return {
        "source": padded([i + [0] * (DEVICE_LENGTH - len(i)) for i in some]).numpy(),
        "sentences": np.array(sentences),
        "tokens": tokens,  # the first of each target
    }


def pictures(model, config, data, directory, count=3):
    """Writes all translations of the test sentences, and alignments of some.

    Args:
        model: A translator.
        config: With `beam` and `alpha`.
        data: A `Corpus`.
        directory: Where to write.
        count: Of the alignments; there are none without attention.

    Returns:
        The files' paths.
    """
    sources, targets = data.test
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
    # Sentences of the usual length: neither a word nor a page.
    lengths = np.array([len(source) for source in sources])
    typical = np.argsort(np.abs(lengths - np.median(lengths)), kind="stable")[:count]
    pairs = [[side[row] for row in typical] for side in (sources, found)]
    for row, (weights, source, target) in enumerate(model.align(*pairs)):
        paths.append(directory / f"alignment_{row}.png")
        write_alignment(paths[-1], weights, source, target)
    return paths
