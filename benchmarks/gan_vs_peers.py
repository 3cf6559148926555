"""GANs beside the field's usual programs: sample quality, and training speed.

    pip install torch                                      the peers run on PyTorch
    python -m benchmarks.gan_vs_peers --contest quality --seeds 0 1 2
    python -m benchmarks.gan_vs_peers --contest speed --threads 2

Quality. Every entrant trains on the same 55,000 images of Fashion-MNIST until it has
been shown the same number of real images; one counts once, however many critic steps
are taken on it. Then 10,000 samples of its last weights meet the 10,000 test images in
the features of `classifier_fashion_mnist`. Classes are asked for in turn; accuracy is
the share of samples that the classifier finds to be as asked. What is finished is kept
in a JSON file and not computed again, so that the contest can be run in parts.

    gan, wgan, cgan     our recipes with their default settings, average included
    torch_...           eriklindernoren/PyTorch-GAN on GitHub: architecture, losses and
                        order of updates of `dcgan.py`, `cgan.py` and `wgan_gp.py`, with
                        their faults: batch normalization's epsilon is 0.8 (meant as its
                        momentum), and the generator's backward pass also fills
                        gradients of the discriminator that are thrown away
    keras_...           `conditional_gan` and `wgan_gp` of keras.io/examples/generative.
                        Faults of the second: lines between real and fake are cut by a
                        normal instead of a uniform draw, a square root has an infinite
                        slope at 0, all three critic steps see the same real images,
                        moving statistics (momentum 0.99) lag behind a short training
    real, real_resized  no entrants: training images as they are, and taken to 32 pixels
                        and back. What a perfect model could reach

Unlike the originals: PyTorch-GAN and Keras' conditional GAN are published for MNIST,
the latter trained on its test images too, which nobody sees here. `torch_dcgan` and
`torch_cgan` work at 32 pixels: images are enlarged for them (bilinear) and samples
reduced to 28 (bicubic, antialiased). As published, PyTorch-GAN's samples take the batch
statistics of training mode (500 samples), Keras' the moving ones. All is written anew.

Speed. The networks of our recipes (widths 32 and 64, batches of 64; WGAN-GP has five
critic steps) with their losses, on ready batches in memory; counts of weights must
agree. Contestants live in processes of their own and take turns; the first round
(tracing, caches) is not counted; medians of the others.

    ours           compiled `train_step` with its logs, without the average
    averaged       the same with the average of the generator that only we keep
    torch          the step that everyone writes: discriminator on real and on detached
                   fake images, then a new forward of the generator; Adam
    tuned          the same, channels-last and fused Adam
    keras          the same step, as Keras' documentation does it, on our networks: two
                   Keras Adams, no logs; compiled

Torch's generator ends in tanh on [-1, 1], ours in the same curve moved to [0, 1].
"""

import argparse
import importlib
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

CLASSES = 10
SHAPE = (28, 28, 1)
CLASSIFIER = "classifier_fashion_mnist"


def import_torch():
    """Returns PyTorch, which the peers need and the zoo does not."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("The peers run on PyTorch: pip install torch") from error
    return torch


def use_threads(threads):
    """Limits both frameworks, before either has started."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import_torch().set_num_threads(threads)


# -------------------------------------------------------------------- our recipes


class Entrant(NamedTuple):
    """What the contest of quality needs to know.

    Attributes:
        batch_size: Real images of one step.
        step: Function of `(batch, 28, 28, 1)` float32 images in [0, 1] and `(batch,)`
            integer labels.
        sample: Function of labels and a seed, giving as many images, the same way.
        conditional: Whether samples are of the classes asked for.
    """

    batch_size: int
    step: Callable
    sample: Callable
    conditional: bool = False


def recipe_model(name, **settings):
    """Returns a recipe's compiled model, optimizers built, and its configuration."""
    recipe = importlib.import_module(f"recipes.{name}")
    config = recipe.Config(data="fashion_mnist", **settings)
    classes = [CLASSES] if name == "cgan" else []
    model = recipe.build(config, SHAPE, *classes)
    model.generator_optimizer.build(model.generator_variables)
    model.discriminator_optimizer.build(model.discriminator_variables)
    return model, config


def ours(name):
    """Returns the entrant of one of our recipes."""
    import tensorflow as tf

    model, config = recipe_model(name)
    train = tf.function(model.train_step)
    conditional = name == "cgan"

    def sample(labels, seed):
        asked = {"conditions": labels} if conditional else {}
        return model.sample(len(labels), seed=seed, **asked)

    return Entrant(
        config.batch_size * getattr(config, "critic_steps", 1),
        lambda images, labels: train((tf.constant(images), tf.constant(labels))),
        sample,
        conditional,
    )


# ------------------------------------------------------------ PyTorch-GAN's programs


def dense_generator(inputs, outputs, epsilon=0.8):
    """Returns the perceptron that PyTorch-GAN generates with."""
    nn = import_torch().nn
    layers, widths = [nn.Linear(inputs, 128), nn.LeakyReLU(0.2)], (128, 256, 512, 1024)
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after, epsilon)]
        layers += [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(1024, outputs), nn.Tanh())


def torch_adam(network, rate=2e-4, betas=(0.5, 0.999), **settings):
    """Returns the optimizer of a network."""
    adam = import_torch().optim.Adam
    return adam(network.parameters(), lr=rate, betas=betas, **settings)


def descend(optimizer, loss):
    """Takes one step of a torch optimizer."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def to_torch(images, size=28):
    """Returns `(batch, 28, 28, 1)` in [0, 1] as `(batch, 1, size, size)` in [-1, 1]."""
    torch = import_torch()
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    if size != 28:
        resize = torch.nn.functional.interpolate
        images = resize(images, size=(size, size), mode="bilinear")
    return 2.0 * images - 1.0


def torch_entrant(generate, train, size, conditional=False):
    """Returns the entrant of torch functions on `(batch, 1, size, size)` in [-1, 1]."""
    torch = import_torch()
    resize = torch.nn.functional.interpolate

    def step(images, labels):
        train(to_torch(images, size), torch.from_numpy(labels))

    def sample(labels, seed):
        torch.manual_seed(seed)
        with torch.no_grad():
            noise = torch.randn(len(labels), 100)
            images = generate(noise, torch.from_numpy(labels))
            images = images.reshape(-1, 1, size, size)
            if size != 28:
                images = resize(images, size=(28, 28), mode="bicubic", antialias=True)
        return (0.5 * images + 0.5).clamp(0.0, 1.0).permute(0, 2, 3, 1).numpy()

    return Entrant(64, step, sample, conditional)


def torch_game(generator, discriminator, error, conditional):
    """Returns the entrant of `dcgan.py` and `cgan.py`: the generator moves first."""
    torch = import_torch()
    optimizers = [torch_adam(network) for network in (generator, discriminator)]

    def train(real, labels):
        count = len(real)
        one, zero = torch.ones(count, 1), torch.zeros(count, 1)
        wanted = torch.randint(CLASSES, (count,))
        fake = generator(torch.randn(count, 100), wanted)
        descend(optimizers[0], error(discriminator(fake, wanted), one))
        found_real = error(discriminator(real, labels), one)
        found_fake = error(discriminator(fake.detach(), wanted), zero)
        descend(optimizers[1], (found_real + found_fake) / 2)

    return torch_entrant(generator, train, 32, conditional)


def torch_dcgan():
    """Returns the entrant of `dcgan.py`."""
    torch = import_torch()
    nn = torch.nn

    class Unconditional(nn.Sequential):
        def forward(self, inputs, labels):
            return super().forward(inputs)

    def start(module):
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)

    layers = [nn.Linear(100, 128 * 8 * 8), nn.Unflatten(1, (128, 8, 8))]
    layers += [nn.BatchNorm2d(128)]
    for before, after in ((128, 128), (128, 64)):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1)]
        layers += [nn.BatchNorm2d(after, 0.8), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(64, 1, 3, 1, 1), nn.Tanh()]
    generator = Unconditional(*layers).apply(start)

    layers = []
    for before, after in ((1, 16), (16, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)]
        layers += [nn.Dropout2d(0.25)]
        layers += [nn.BatchNorm2d(after, 0.8)] if before > 1 else []
    layers += [nn.Flatten(), nn.Linear(128 * 2 * 2, 1), nn.Sigmoid()]
    discriminator = Unconditional(*layers).apply(start)
    return torch_game(generator, discriminator, nn.BCELoss(), conditional=False)


def torch_cgan():
    """Returns the entrant of `cgan.py`."""
    nn = import_torch().nn
    pixels = 32 * 32

    class Conditional(nn.Module):
        """A network that gets an embedding of the class beside its inputs."""

        def __init__(self, network):
            super().__init__()
            self.embedding, self.network = nn.Embedding(CLASSES, CLASSES), network

        def forward(self, inputs, labels):
            joined = [self.embedding(labels), inputs.flatten(1)]
            return self.network(import_torch().cat(joined, dim=1))

    layers = [nn.Linear(CLASSES + pixels, 512), nn.LeakyReLU(0.2)]
    for _ in range(2):
        layers += [nn.Linear(512, 512), nn.Dropout(0.4), nn.LeakyReLU(0.2)]
    discriminator = Conditional(nn.Sequential(*layers, nn.Linear(512, 1)))
    generator = Conditional(dense_generator(CLASSES + 100, pixels))
    return torch_game(generator, discriminator, nn.MSELoss(), conditional=True)


def torch_penalty(critic, real, fake):
    """Returns the gradient penalty with its weight of 10."""
    torch = import_torch()
    share = torch.rand(len(real), *[1] * (real.dim() - 1))
    between = (share * real + (1.0 - share) * fake).requires_grad_()
    slopes = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
    return 10.0 * (slopes.flatten(1).norm(dim=1) - 1.0).square().mean()


def torch_wgan_gp():
    """Returns the entrant of `wgan_gp.py`: the generator moves every fifth batch."""
    torch = import_torch()
    nn = torch.nn
    generator = dense_generator(100, 28 * 28)
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(28 * 28, 512), nn.LeakyReLU(0.2), nn.Linear(512, 256)
    )
    critic.extend([nn.LeakyReLU(0.2), nn.Linear(256, 1)])
    optimizers = [torch_adam(network) for network in (generator, critic)]
    batches = iter(range(10**9))

    def train(real, labels):
        noise, real = torch.randn(len(real), 100), real.flatten(1)
        fake = generator(noise).detach()
        distance = critic(real).mean() - critic(fake).mean()
        descend(optimizers[1], torch_penalty(critic, real, fake) - distance)
        if next(batches) % 5 == 0:
            descend(optimizers[0], -critic(generator(noise)).mean())

    return torch_entrant(lambda noise, labels: generator(noise), train, 28)


# ------------------------------------------------------ Keras' documentation's programs


def keras_update(optimizer, network, loss, *arguments):
    """Takes a step of a Keras optimizer down `loss(*arguments)`; returns its value."""
    import tensorflow as tf

    variables = network.trainable_variables
    with tf.GradientTape() as tape:
        value = loss(*arguments)
    gradients = tape.gradient(value, variables)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return value


def keras_entrant(batch_size, train, sample, networks, optimizers, conditional=False):
    """Returns the entrant of a compiled step on tensors."""
    import tensorflow as tf

    for network, optimizer in zip(networks, optimizers, strict=True):
        optimizer.build(network.trainable_variables)
    train = tf.function(train)

    def step(images, labels):
        train(tf.constant(images), tf.one_hot(labels, CLASSES))

    return Entrant(batch_size, step, sample, conditional)


def keras_cgan():
    """Returns the entrant of `conditional_gan`: labels as channels of every pixel."""
    import keras
    import tensorflow as tf
    from keras import layers

    def twice(layer, *widths, size):
        for width in widths:
            yield layer(width, size, strides=2, padding="same")
            yield layers.LeakyReLU(0.2)

    inputs = 128 + CLASSES
    generator = keras.Sequential(
        [
            keras.Input((inputs,)),
            layers.Dense(7 * 7 * inputs),
            layers.LeakyReLU(0.2),
            layers.Reshape((7, 7, inputs)),
            *twice(layers.Conv2DTranspose, 128, 128, size=4),
            layers.Conv2D(1, 7, padding="same", activation="sigmoid"),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((28, 28, 1 + CLASSES)),
            *twice(layers.Conv2D, 64, 128, size=3),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1),
        ]
    )
    networks = generator, discriminator
    optimizers = [keras.optimizers.Adam(3e-4) for _ in networks]
    error = keras.losses.BinaryCrossentropy(from_logits=True)

    def generate(labels):
        noise = tf.random.normal((len(labels), 128))
        return generator(tf.concat([noise, labels], axis=1))

    def discriminator_loss(fake, real, maps):  # here 1 says fake
        both = [tf.concat([images, maps], axis=-1) for images in (fake, real)]
        answers = tf.repeat([[1.0], [0.0]], [len(fake), len(real)], axis=0)
        return error(answers, discriminator(tf.concat(both, axis=0)))

    def generator_loss(labels, maps):
        logits = discriminator(tf.concat([generate(labels), maps], axis=-1))
        return error(tf.zeros_like(logits), logits)

    def train(real, labels):
        maps = tf.tile(labels[:, None, None], (1, 28, 28, 1))
        fake = generate(labels)
        keras_update(optimizers[1], discriminator, discriminator_loss, fake, real, maps)
        keras_update(optimizers[0], generator, generator_loss, labels, maps)

    def sample(labels, seed):
        tf.random.set_seed(seed)
        return generate(tf.one_hot(labels, CLASSES))

    return keras_entrant(64, train, sample, networks, optimizers, conditional=True)


def keras_wgan_gp():
    """Returns the entrant of `wgan_gp`."""
    import keras
    import tensorflow as tf
    from keras import layers

    stack = [keras.Input(SHAPE), layers.ZeroPadding2D(2)]
    for width in (64, 128, 256, 512):
        stack += [layers.Conv2D(width, 5, strides=2, padding="same")]
        stack += [layers.LeakyReLU(0.2)]
        stack += [layers.Dropout(0.3)] if width in (128, 256) else []
    stack += [layers.Flatten(), layers.Dropout(0.2), layers.Dense(1)]
    critic = keras.Sequential(stack)

    stack = [keras.Input((128,)), layers.Dense(4 * 4 * 256, use_bias=False)]
    stack += [layers.BatchNormalization(), layers.LeakyReLU(0.2)]
    stack += [layers.Reshape((4, 4, 256))]
    for width in (128, 64, 1):
        stack += [layers.UpSampling2D()]
        stack += [layers.Conv2D(width, 3, padding="same", use_bias=False)]
        stack += [layers.BatchNormalization()]
        stack += [layers.LeakyReLU(0.2) if width > 1 else layers.Activation("tanh")]
    generator = keras.Sequential([*stack, layers.Cropping2D(2)])
    networks = generator, critic
    optimizers = [keras.optimizers.Adam(2e-4, 0.5, 0.9) for _ in networks]

    def penalty(real, fake):
        beyond = tf.random.normal((len(real), 1, 1, 1))  # should be uniform
        between = real + beyond * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            outputs = critic(between, training=True)
        squares = tf.square(tape.gradient(outputs, between))
        norms = tf.sqrt(tf.reduce_sum(squares, axis=(1, 2, 3)))  # should be safe at 0
        return tf.reduce_mean(tf.square(norms - 1.0))

    def generate(count):
        return generator(tf.random.normal((count, 128)), training=True)

    def output(images):
        return tf.reduce_mean(critic(images, training=True))

    def critic_loss(real):
        fake = generate(len(real))
        return output(fake) - output(real) + 10.0 * penalty(real, fake)

    def train(real, labels):
        real = 2.0 * real - 1.0
        for _ in range(3):
            keras_update(optimizers[1], critic, critic_loss, real)
        keras_update(optimizers[0], generator, lambda: -output(generate(len(real))))

    def sample(labels, seed):
        tf.random.set_seed(seed)
        noise = tf.random.normal((len(labels), 128))
        return 0.5 * generator(noise, training=False) + 0.5

    return keras_entrant(512, train, sample, networks, optimizers)


# ----------------------------------------------------------------- quality: the contest

ENTRANTS = {
    "gan": lambda: ours("gan"),
    "wgan": lambda: ours("wgan"),
    "cgan": lambda: ours("cgan"),
} | {
    f.__name__: f
    for f in (torch_dcgan, torch_cgan, torch_wgan_gp, keras_cgan, keras_wgan_gp)
}
REFERENCES = ("real", "real_resized")
KINDS = ("gan", "cgan", "wgan")
COLUMNS = ("fid", "kid", "precision", "recall", "coverage", "modes", "accuracy")


def stream(images, labels, batch_size, steps, seed):
    """Yields shuffled batches, float32 in [0, 1]; an epoch drops its partial batch."""
    rng = np.random.default_rng(seed)
    per_epoch = len(images) // batch_size
    for step in range(steps):
        if step % per_epoch == 0:
            order = rng.permutation(len(images))
        chosen = order[step % per_epoch * batch_size :][:batch_size]
        yield images[chosen].astype("float32") / 255.0, labels[chosen]


def train_and_sample(name, images, labels, asked, budget, seed):
    """Trains an entrant; returns its samples of the classes asked for, and facts."""
    import keras

    if name in REFERENCES:
        chosen = np.random.default_rng(seed).permutation(len(images))[: len(asked)]
        real = images[chosen].astype("float32") / 255.0
        if name == "real_resized":
            resized = torch_entrant(lambda *_: to_torch(real, 32), None, 32)
            return resized.sample(asked, seed), {}
        return real, {}
    keras.utils.set_random_seed(seed)
    import_torch().manual_seed(seed)
    entrant = ENTRANTS[name]()
    steps, start = max(1, budget // entrant.batch_size), time.perf_counter()
    for batch in stream(images, labels, entrant.batch_size, steps, seed):
        entrant.step(*batch)
    seconds = time.perf_counter() - start
    parts = [
        np.asarray(entrant.sample(asked[i : i + 500], i))
        for i in range(0, len(asked), 500)
    ]
    facts = {"images": steps * entrant.batch_size, "steps": steps}
    facts |= {"seconds": round(seconds, 1), "conditional": entrant.conditional}
    return np.concatenate(parts).clip(0.0, 1.0), facts


def quality(args):
    """Runs what the file of results lacks, and prints the table."""
    from zoo import presets
    from zoo.data import images
    from zoo.files import write_json
    from zoo.metrics import extractors
    from zoo.quality import sample_quality

    train, _, test = images.splits("fashion_mnist")
    extractor = extractors.of_model(presets.load(CLASSIFIER), CLASSIFIER)
    results = json.loads(args.out.read_text("utf-8")) if args.out.exists() else {}
    asked = np.arange(len(test[0])) % CLASSES
    names = args.only or [*ENTRANTS, *REFERENCES]
    for seed in args.seeds:
        for name in names:
            key = f"{name} images={args.images} seed={seed}"
            if key in results:
                continue
            fake, row = train_and_sample(name, *train, asked, args.images, seed)
            if np.isfinite(fake).all():
                measured = sample_quality(test[0], fake, extractor)
                row |= {
                    n.removesuffix(f"_{CLASSIFIER}"): v for n, v in measured.items()
                }
                if row.get("conditional"):
                    found = extractor.extract(fake).logits.argmax(axis=1)
                    row["accuracy"] = round(float((found == asked).mean()), 4)
            else:
                row["diverged"] = True
            results[key] = row
            write_json(args.out, results)
            print(f"{key}: {row}", flush=True)

    print(f"\n{'':14} seeds{''.join(f'{c:>10}' for c in COLUMNS)}  lowest-highest fid")
    for name in names:
        rows = [results[f"{name} images={args.images} seed={s}"] for s in args.seeds]
        rows = [row for row in rows if "fid" in row]
        line = f"{name:14} {f'{len(rows)}/{len(args.seeds)}':>5}"
        for column in COLUMNS if rows else ():
            values = [row[column] for row in rows if column in row]
            line += f"{statistics.fmean(values):10.4g}" if values else f"{'-':>10}"
        fids = [row["fid"] for row in rows]
        print(line + (f"  {min(fids):.4g}-{max(fids):.4g}" if rows else "  diverged"))


# --------------------------------------------------------------------------- speed


def count(variables):
    """Returns the number of weights in variables of either framework."""
    return sum(int(np.prod(v.shape)) for v in variables)


def speed_ours(kind, **settings):
    """Returns (make ready, step, counts of weights) for the zoo's own step."""
    import tensorflow as tf

    model, _ = recipe_model(kind, widths=(32, 64), batch_size=64, **settings)
    train = tf.function(model.train_step)
    variables = model.generator_variables, model.discriminator_variables

    def ready(*batch):
        return tuple(map(tf.constant, batch))

    def step(*batch):
        return train(batch)["generator_loss"]

    return ready, step, [count(v) for v in variables]


def usual_step(kind, generate, logits, softplus, mean, penalty, freeze, update):
    """Returns the step that everyone writes, for either framework's functions."""

    def discriminator_loss(real, fake, labels):
        on_real, on_fake = logits(real, labels), logits(fake, labels)
        if kind == "wgan":
            return mean(on_fake) - mean(on_real) + penalty(real, fake)
        return mean(softplus(-on_real)) + mean(softplus(on_fake))

    def generator_loss(labels):
        on_fake = logits(generate(labels), labels)
        return mean(-on_fake if kind == "wgan" else softplus(-on_fake))

    def step(images, labels):
        for i in range(0, len(images), 64):  # five parts for a WGAN, else one
            real, asked = images[i : i + 64], labels[i : i + 64]
            update(1, discriminator_loss, real, freeze(generate(asked)), asked)
        return update(0, generator_loss, asked)

    return step


def speed_keras(kind):
    """Returns the same for a step in the style of Keras' documentation."""
    import keras
    import tensorflow as tf

    model, config = recipe_model(kind, widths=(32, 64), batch_size=64, ema=0.0)
    judge = model.critic if kind == "wgan" else model.discriminator
    networks = model.generator, judge
    optimizers = [keras.optimizers.Adam(1e-3, 0.5) for _ in networks]
    for network, optimizer in zip(networks, optimizers, strict=True):
        optimizer.build(network.trainable_variables)

    def generate(labels):
        noise = tf.random.normal((len(labels), config.latent_dim))
        joined = tf.concat([noise, labels], 1) if kind == "cgan" else noise
        return model.generator(joined, training=True)

    def logits(images, labels):
        return judge([images, labels] if kind == "cgan" else images, training=True)

    def update(index, loss, *arguments):
        return keras_update(optimizers[index], networks[index], loss, *arguments)

    def penalty(real, fake):
        return model.lipschitz.penalty(judge, real, fake, None, None)

    functions = tf.nn.softplus, tf.reduce_mean, penalty, tf.stop_gradient, update
    step = tf.function(usual_step(kind, generate, logits, *functions))

    def ready(images, labels):
        return tf.constant(images), tf.one_hot(labels, CLASSES)

    return ready, step, [count(n.trainable_variables) for n in networks]


def speed_torch(kind, tuned):
    """Returns the same for torch."""
    torch = import_torch()
    nn, latent = torch.nn, 64
    generator = nn.Sequential(
        nn.Linear(latent + CLASSES * (kind == "cgan"), 64 * 7 * 7, bias=False),
        nn.Unflatten(1, (64, 7, 7)),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(64, 32, 4, 2, 1),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(32, 1, 4, 2, 1),
        nn.Tanh(),
    )
    judge = nn.ModuleDict(
        {
            "trunk": nn.Sequential(
                nn.Conv2d(1, 32, 4, 2, 1),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(32, 64, 4, 2, 1),
                nn.Identity() if kind == "wgan" else nn.BatchNorm2d(64),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Flatten(),
            ),
            "head": nn.Linear(64 * 7 * 7, 1, bias=kind != "wgan"),
        }
    )
    if kind == "cgan":
        judge["directions"] = nn.Linear(CLASSES, 64 * 7 * 7, bias=False)
    layout = torch.channels_last if tuned else torch.contiguous_format
    networks = [network.to(memory_format=layout) for network in (generator, judge)]
    optimizers = [torch_adam(n, 1e-3, fused=tuned or None) for n in networks]

    def generate(labels):
        noise = torch.randn(len(labels), latent)
        return generator(torch.cat([noise, labels], 1) if kind == "cgan" else noise)

    def logits(images, labels=None):
        features = judge["trunk"](images)
        outputs = judge["head"](features)
        if kind == "cgan":
            outputs += (judge["directions"](labels) * features).sum(1, keepdim=True)
        return outputs

    def update(index, loss, *arguments):
        value = loss(*arguments)
        descend(optimizers[index], value)
        return value.detach()

    def ready(images, labels):
        labels = nn.functional.one_hot(torch.from_numpy(labels), CLASSES).float()
        return to_torch(images).contiguous(memory_format=layout), labels

    def penalty(real, fake):
        return torch_penalty(logits, real, fake)

    functions = nn.functional.softplus, torch.mean, penalty, torch.Tensor.detach, update
    step = usual_step(kind, generate, logits, *functions)
    return ready, step, [count(n.parameters()) for n in networks]


CONTESTANTS = {
    "ours": lambda kind: speed_ours(kind, ema=0.0),
    "averaged": speed_ours,
    "torch": lambda kind: speed_torch(kind, tuned=False),
    "tuned": lambda kind: speed_torch(kind, tuned=True),
    "keras": speed_keras,
}


def serve(name, kind, threads, images, labels, pipe):
    """Runs one contestant: its counts first, then seconds of a round at each "go"."""
    use_threads(threads)
    ready, step, counts = CONTESTANTS[name](kind)
    size = 320 if kind == "wgan" else 64
    batches = [
        ready(images[i : i + size].astype("float32") / 255.0, labels[i : i + size])
        for i in range(0, len(images), size)
    ]
    pipe.send(counts)
    while pipe.recv() == "go":
        start = time.perf_counter()
        for batch in batches:
            loss = step(*batch)
        float(loss)
        pipe.send(time.perf_counter() - start)


def speed(args):
    """Lets the contestants take turns, one kind of model after the other."""
    from zoo.data import images
    from zoo.files import write_json

    pixels, labels = images.load("fashion_mnist", "train")
    shown = max(320, args.images // 320 * 320)
    data = pixels[:shown], labels[:shown]
    context, results = multiprocessing.get_context("spawn"), {}
    for kind in args.only or KINDS:
        pipes, counts = {}, {}
        for name in CONTESTANTS:
            pipes[name], theirs = context.Pipe()
            arguments = (name, kind, args.threads, *data, theirs)
            context.Process(target=serve, args=arguments, daemon=True).start()
            theirs.close()  # so that its end is seen
            counts[name] = pipes[name].recv()
        assert len(set(map(tuple, counts.values()))) == 1, f"not the same: {counts}"
        seconds = {name: [] for name in pipes}
        for _ in range(args.repetitions + 1):
            for name, pipe in pipes.items():
                pipe.send("go")
                seconds[name].append(pipe.recv())
        for pipe in pipes.values():
            pipe.send("stop")

        rates = {n: [shown / s for s in times[1:]] for n, times in seconds.items()}
        results[kind] = {"weights": counts["ours"], "images_per_second": rates}
        write_json(args.out, vars(args) | {"out": str(args.out), "results": results})
        medians = {name: statistics.median(rate) for name, rate in rates.items()}
        peer = max("torch", "tuned", key=medians.get)
        generator, discriminator = counts["ours"]
        print(
            f"\n{kind}: {generator:,} + {discriminator:,} weights, {args.threads} "
            f"threads, {args.repetitions} rounds of {shown:,} images\n{'':9}"
            f"{'images/s':>9} {'lowest-highest':>15} {'of ' + peer:>9} {'of keras':>9}"
        )
        for name, rate in rates.items():
            spread = f"{min(rate):,.0f}-{max(rate):,.0f}"
            shares = [medians[name] / medians[other] for other in (peer, "keras")]
            print(
                f"{name:9}{medians[name]:9,.0f} {spread:>15} {shares[0]:9.2f} "
                f"{shares[1]:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contest", choices=("quality", "speed"), required=True)
    parser.add_argument(
        "--images", type=int, help="shown to each (120,000), or in a round (12,800)"
    )
    parser.add_argument("--only", nargs="+", help="entrants, or kinds of model")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--repetitions", type=int, default=5, help="rounds, of speed")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="runs/gan_vs_peers_<contest>.json")
    args = parser.parse_args()
    known = KINDS if args.contest == "speed" else (*ENTRANTS, *REFERENCES)
    if unknown := set(args.only or ()) - set(known):
        parser.error(f"--only takes {', '.join(known)}, not {', '.join(unknown)}")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    args.out = args.out or Path(f"runs/gan_vs_peers_{args.contest}.json")
    args.images = args.images or {"quality": 120_000, "speed": 12_800}[args.contest]
    use_threads(args.threads)
    {"quality": quality, "speed": speed}[args.contest](args)
