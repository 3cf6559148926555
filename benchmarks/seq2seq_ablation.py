"""What attention, scheduled sampling and a beam are worth, by length, over seeds.

    python -m benchmarks.seq2seq_ablation                    100 minutes of one core
    python -m benchmarks.seq2seq_ablation --data embedded/en-de --epochs 2    a look

Trains the same model, at one size, without attention, with it, and with attention and
scheduled sampling, for each seed; the last one also decodes by a beam of 5. Prints BLEU
on test pairs, in thirds by the length of the source, mean and standard deviation over
the seeds.
"""

import argparse
import os

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from recipes import translate
from zoo.metrics.text import bleu

SETTINGS = {
    "no attention": {"attention": False},
    "attention": {},
    "+ scheduled sampling": {"sampling": "inverse_sigmoid"},
}
BEAM = 5


def train(config):
    """Returns the model after the last epoch, without anything written."""
    keras.utils.set_random_seed(config.seed)
    data = translate.load(config)
    model = translate.build(config, data)
    model.fit(data.batches(), epochs=config.epochs, shuffle=False, verbose=0)
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
    settings = {"data": data, "epochs": epochs, "sampling_epochs": epochs}
    config = translate.Config(**settings)
    sources, targets = translate.load(config).test
    rows = thirds(sources)
    results = {}
    for seed in seeds:
        for name, change in SETTINGS.items():
            model = train(translate.Config(**settings, **change, seed=seed))
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
    parser.add_argument("--data", default="handbook/en-de")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    main(**vars(parser.parse_args()))
