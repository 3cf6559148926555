"""What attention, scheduled sampling and a beam are worth, by length, over seeds.

    python -m benchmarks.seq2seq_ablation               lists of dates, 40 minutes
    python -m benchmarks.seq2seq_ablation --data handbook/en-de --seeds 0   README

Trains the same model, at one size, without attention, with it, and with attention and
scheduled sampling, for each seed; the last one also decodes by a beam of 5. Prints BLEU
on test pairs, in thirds by the length of the source, mean and standard deviation over
the seeds. By default a pair is a list of one to four dates, "5 March 2024, 12 May 1999"
to ISO 8601, letter by letter: a translation short of words, so that minutes suffice,
whose sources are long enough to overflow a single vector.
"""

import argparse
import calendar
import os

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from recipes import translate
from zoo.data import text
from zoo.metrics.text import bleu

SETTINGS = {
    "no attention": {"attention": False},
    "attention": {},
    "+ scheduled sampling": {"sampling": "inverse_sigmoid"},
}
BEAM = 5


def lists(split):
    """Returns lists of one to four embedded dates, in English and in ISO 8601."""
    rng = np.random.default_rng(["train", "validation", "test"].index(split))
    dates = [iso for _, iso in text.load("embedded/dates", split)]
    months = calendar.month_name
    parts = [date.split("-") for date in dates]
    words = [f"{int(d)} {months[int(m)]} {y}" for y, m, d in parts]
    sources, targets, start = [], [], 0
    while start < min(len(dates), 20_000):
        end = start + rng.integers(1, 5)
        sources.append(", ".join(words[start:end]))
        targets.append(", ".join(dates[start:end]))
        start = end
    return sources, targets


def train(config, load):
    """Returns the model after the last epoch, without anything written."""
    keras.utils.set_random_seed(config.seed)
    pairs = load("train")
    vocabularies = translate.learn(config, pairs)
    ids = translate.encode(vocabularies, pairs)
    batches = text.batches(*ids, tokens=config.batch_tokens, seed=config.seed)
    model = translate.build(config, vocabularies, len(batches))
    model.fit(batches, epochs=config.epochs, shuffle=False, verbose=0)
    return model


def thirds(sources):
    """Returns the rows of the short, the middle and the long sources."""
    order = np.argsort([len(source) for source in sources], kind="stable")
    return np.array_split(order, 3)


def score(found, targets, rows):
    """Returns the BLEU of all rows and of each third."""
    parts = [range(len(found)), *rows]
    return [bleu([found[i] for i in p], [targets[i] for i in p]).value for p in parts]


def main(data, epochs, seeds):
    """Trains, prints each result as it comes, then the table."""
    settings = {"data": data, "epochs": epochs, "sampling_epochs": max(1, epochs / 6)}
    if data == "lists":
        settings |= {"level": "character", "embedding_dim": 32, "encoder_units": 64}
        settings |= {"decoder_units": 96, "dropout": 0.0, "label_smoothing": 0.0}
        settings |= {"learning_rate": 4e-3, "batch_tokens": 3000}
    config = translate.Config(**settings)

    def load(split):
        return lists(split) if data == "lists" else translate.load(config, split)

    sources, targets = load("test")
    rows = thirds(sources)
    results = {}
    for seed in seeds:
        for name, change in SETTINGS.items():
            model = train(translate.Config(**settings, **change, seed=seed), load)
            beams = {name: 1}
            if name == list(SETTINGS)[-1]:
                beams[f"+ beam {BEAM}"] = BEAM
            for label, beam in beams.items():
                found = model.translate(sources, beam=beam, alpha=config.alpha)
                results.setdefault(label, []).append(score(found, targets, rows))
                line = ", ".join(f"{value:.1f}" for value in results[label][-1])
                print(f"seed {seed}, {label}: {line}", flush=True)

    lengths = [np.mean([len(sources[row]) for row in part]) for part in rows]
    heads = ["all", *(f"about {length:.0f} letters" for length in lengths)]
    print(f"\nBLEU on {len(sources)} pairs of {data}, {epochs} epochs, seeds {seeds}")
    print(f"{'':22}" + "".join(f"{head:>20}" for head in heads))
    for label, values in results.items():
        means, spreads = np.mean(values, axis=0), np.std(values, axis=0)
        cells = (f"{m:.1f} ± {s:.1f}" for m, s in zip(means, spreads, strict=True))
        print(f"{label:22}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="lists", help="lists, or as for translate")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    main(**vars(parser.parse_args()))
