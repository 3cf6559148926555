"""GANs beside the field's usual programs: sample quality, and training speed.

    pip install torch                                      the peers run on PyTorch
    python -m benchmarks.gan_vs_peers --contest quality --images 57000
    python -m benchmarks.gan_vs_peers --contest speed --threads 2

Quality compares whole programs: our recipes `gan`, `wgan` and `cgan` with their default
settings, average included, those of PyTorch-GAN (`torch_...`) and those of Keras'
documentation (`keras_...`), see `gan_peers`. Each is shown as many of the same 55,000
training images of Fashion-MNIST; one counts once, however many critic steps are taken
on it. Then 10,000 samples of its last weights meet the 10,000 test images in the
features of `classifier_fashion_mnist`. Classes are asked for in turn; accuracy is the
share that the classifier finds to be as asked. `real` are training images, which a
perfect model could equal; `real_resized` the same after what happens to the images of
`torch_dcgan` and `torch_cgan`: to 32 pixels (bilinear) and back (bicubic, antialiased).
What the file of results has is not computed again.

Speed compares steps on the same work: the networks of our recipe (numbers of weights
must agree), batches of 64 that lie in memory; a WGAN-GP takes three critic steps for
one of the generator, each on 64 other images. Contestants have a process each, on the
same cores of the CPU, and take turns, a round each; the first (tracing, caches) is not
counted. Medians of the others, and their ratios.

    ours, averaged    compiled `train_step` with its logs, without and with the average
                      of the generator that only we keep
    torch             the step of PyTorch-GAN's `dcgan.py`, `cgan.py` or `wgan_gp.py`
    tuned             the same, channels-last and fused Adam
    keras             that of Keras' `conditional_gan` (for `gan` without labels) or
                      `wgan_gp`: two Keras Adams, no logs; compiled

In `gan` and `cgan`, ours and torch's draw fakes once for both networks, Keras' twice.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import time
from pathlib import Path

import numpy as np

COLUMNS = ("fid", "kid", "precision", "recall", "coverage", "modes", "accuracy")


def peers(threads):
    """Returns `gan_peers`, both frameworks limited to so many threads of the CPU."""
    import torch

    # Loads the rest of torch, which after TensorFlow may crash (torch 2.14).
    torch.optim.Adam([torch.zeros(1)])
    import tensorflow as tf

    # Before either has started: hence no such import above.
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    torch.set_num_threads(threads)
    from benchmarks import gan_peers

    return gan_peers


def train_and_sample(entrant, images, labels, asked, budget, seed):
    """Trains an entrant; returns samples of the classes asked for, and facts."""
    rng, size = np.random.default_rng(seed), entrant.batch_size
    per_epoch, steps = len(images) // size, max(1, budget // size)
    start = time.perf_counter()
    for step in range(steps):
        if step % per_epoch == 0:
            order = rng.permutation(len(images))  # an epoch drops its partial batch
        rows = order[step % per_epoch * size :][:size]
        entrant.step(*entrant.ready(images[rows], labels[rows]))
    seconds = round(time.perf_counter() - start, 1)
    facts = {"images": steps * size, "steps": steps, "seconds": seconds}
    starts = range(0, len(asked), 500)
    fake = [np.asarray(entrant.sample(asked[i : i + 500], i)) for i in starts]
    return np.concatenate(fake), facts


def quality(args, names, programs):
    """Runs what the file of results lacks, and prints the table."""
    import keras

    from zoo.data import images
    from zoo.experiment.quality import extractor_of, score_samples
    from zoo.system import write_json

    train, _, test = images.splits("fashion_mnist")
    train = train[0].astype("float32") / 255.0, train[1]
    asked = np.arange(len(test[0])) % programs.CLASSES
    extractor = extractor_of("fashion_mnist")
    results = json.loads(args.out.read_text("utf-8")) if args.out.exists() else {}
    table = [f"\n{'':14}seed{''.join(f'{column:>10}' for column in COLUMNS)}"]
    for seed, name in itertools.product(args.seeds, names):
        key, row = f"{name} images={args.images} seed={seed}", {}
        if key not in results:
            keras.utils.set_random_seed(seed)
            programs.torch.manual_seed(seed)
            if name in programs.QUALITY:
                entrant = programs.QUALITY[name]()
                fake, row = train_and_sample(entrant, *train, asked, args.images, seed)
                row["conditional"] = "cgan" in name.split("_")  # no part of "dcgan"
            else:
                order = np.random.default_rng(seed).permutation(len(train[0]))
                fake = train[0][order[: len(asked)]]
            if name == "real_resized":
                fake = programs.from_torch(programs.to_torch(fake, 32))
            if np.isfinite(fake).all():
                fake = fake.clip(0.0, 1.0)
                found = score_samples(test[0], fake, extractor)
                row |= {k.removesuffix(f"_{extractor.name}"): found[k] for k in found}
                if row.get("conditional"):
                    classes = extractor.extract(fake).logits.argmax(axis=1)
                    row["accuracy"] = round(float((classes == asked).mean()), 4)
            else:
                row["diverged"] = True
            results[key] = row
            write_json(args.out, results)
            print(f"{key}: {row}", flush=True)
        cells = [f"{results[key].get(column, '-'):>10}" for column in COLUMNS]
        table.append(f"{name:14}{seed:4}{''.join(cells)}")
    print("\n".join(table))


def serve(name, threads, images, labels, pipe):
    """Runs one contestant: builds each kind it is sent, times a round at each "go"."""
    if hasattr(os, "sched_setaffinity"):  # TensorFlow's two pools get no more cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    build = peers(threads).SPEED[name]
    while word := pipe.recv():
        if word != "go":
            entrant = build(word)
            size, weights = entrant.batch_size, entrant.weights
            slices = [slice(i, i + size) for i in range(0, len(images), size)]
            batches = [entrant.ready(images[s], labels[s]) for s in slices]
            pipe.send([sum(int(np.prod(v.shape)) for v in part) for part in weights])
            continue
        start = time.perf_counter()
        for batch in batches:
            entrant.step(*batch)
        pipe.send(time.perf_counter() - start)


def speed(args, kinds, programs):
    """Lets the contestants take turns, one kind of model after the other."""
    from zoo.data import images
    from zoo.system import write_json

    shown = args.images // 960 * 960 or 960  # whole batches for 1, 3 or 5 critic steps
    pixels, labels = images.load("fashion_mnist", "train")
    data = pixels[:shown].astype("float32") / 255.0, labels[:shown]
    context, pipes, results = multiprocessing.get_context("spawn"), {}, {}
    for name in programs.SPEED:
        pipes[name], theirs = context.Pipe()
        arguments = name, args.threads, *data, theirs
        context.Process(target=serve, args=arguments, daemon=True).start()
        theirs.close()  # so that its end is seen

    def ask(name, word):
        pipes[name].send(word)
        return pipes[name].recv()

    for kind in kinds:
        weights = {name: ask(name, kind) for name in pipes}
        if any(numbers != weights["ours"] for numbers in weights.values()):
            raise ValueError(f"The networks of {kind} are not the same: {weights}.")
        rounds = [{n: ask(n, "go") for n in pipes} for _ in range(args.repetitions + 1)]
        rates = {n: [shown / seconds[n] for seconds in rounds[1:]] for n in pipes}
        results[kind] = {"weights": weights["ours"], "images_per_second": rates}
        write_json(args.out, vars(args) | {"out": str(args.out), "results": results})
        median = {name: statistics.median(rate) for name, rate in rates.items()}
        peer = max("torch", "tuned", key=median.get)
        print(
            f"\n{kind}: {' + '.join(f'{n:,}' for n in weights['ours'])} weights, "
            f"{args.threads} threads, {args.repetitions} rounds of {shown:,} images\n"
            f"{'':9}{'images/s':>9}  {'lowest-highest':15}{'of ' + peer:>8}  of keras"
        )
        for name, rate in rates.items():
            spread = f"{min(rate):,.0f}-{max(rate):,.0f}"
            ratios = [f"{median[name] / median[n]:9.2f}" for n in (peer, "keras")]
            line = f"{name:9}{median[name]:9,.0f}  {spread:14}{' '.join(ratios)}"
            print(line, flush=True)
    for pipe in pipes.values():
        pipe.send("")


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contest", choices=("quality", "speed"), required=True)
    parser.add_argument("--images", type=int, help="of each (120,000); a round (3,840)")
    parser.add_argument("--only", nargs="+", help="entrants, or kinds of model")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of quality")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds, of speed")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="runs/gan_<contest>.json")
    args = parser.parse_args()
    args.out = args.out or Path(f"runs/gan_{args.contest}.json")
    args.images = args.images or {"quality": 120_000, "speed": 3_840}[args.contest]
    programs = peers(args.threads)
    if args.contest == "quality":
        contest, known = quality, [*programs.QUALITY, "real", "real_resized"]
    else:
        contest, known = speed, ["gan", "cgan", "wgan"]
    if unknown := set(args.only or ()) - set(known):
        parser.error(f"--only takes {', '.join(known)}, not {', '.join(unknown)}")
    contest(args, args.only or known, programs)
