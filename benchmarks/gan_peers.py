"""The contestants of `gan_vs_peers`: our GAN recipes and the field's usual programs.

These are written anew after eriklindernoren/PyTorch-GAN on GitHub and keras.io/examples
/generative, with architecture, losses, order of updates, and faults:

- PyTorch-GAN: batch normalization's epsilon is 0.8 (meant as its momentum); the
  generator's backward pass also fills gradients of the discriminator that are thrown
  away; samples take the batch statistics of training mode. That its critic's backward
  pass runs on through the generator, for nothing, is spared here.
- Keras' WGAN-GP: see the comments; all three critic steps see the same real images, and
  moving statistics (momentum 0.99) lag behind a short training.
"""

import importlib
import itertools
from collections import namedtuple
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
import torch
from keras import layers
from torch import nn
from torch.nn import functional

from zoo.networks.layers import BatchNormalization, LeakyReLU

CLASSES = 10
SHAPE = (28, 28, 1)

#: A program that trains: the real images of one step; functions `ready(images, labels)`
#: from images in [0, 1] to arguments of `step`, `step`, and `sample(labels, seed)`; the
#: trained variables of generator and discriminator.
Entrant = namedtuple("Entrant", "batch_size ready step sample weights")


#: What the contest of speed changes of our recipes' settings: all see equal batches,
#: and the discriminator no wrong conditions, which the peers' steps lack.
STEP = {
    "gan": {"batch_size": 64},
    "cgan": {"batch_size": 64, "mismatch": 0.0},
    "wgan": {"batch_size": 64, "critic_steps": 3},
}


def recipe(kind, **changes):
    """Returns a recipe's configuration, and a function that builds its model."""
    module = importlib.import_module(f"recipes.{kind}")
    config = module.Config(data="fashion_mnist", **changes)
    data = SimpleNamespace(train=(np.empty((0, *SHAPE)), None), classes=CLASSES)
    return config, partial(module.build, config, data)


def ours(kind, **changes):
    """Returns the entrant of one of our recipes: its compiled `train_step`."""
    config, build = recipe(kind, **changes)
    model = build()
    weights = model.generator_variables, model.discriminator_variables
    model.generator_optimizer.build(weights[0])
    model.discriminator_optimizer.build(weights[1])
    train = tf.function(model.train_step, autograph=False)

    def ready(images, labels):
        return [(tf.constant(images), tf.constant(labels))]

    def sample(labels, seed):
        asked = {"conditions": labels} if kind == "cgan" else {}
        return model.sample(len(labels), seed=seed, **asked)

    size = config.batch_size * getattr(config, "critic_steps", 1)
    return Entrant(size, ready, train, sample, weights)


def step_of_ours(kind, **changes):
    """Returns the same for the contest of speed."""
    return ours(kind, **STEP[kind], **changes)


# -------------------------------------------------------------------- PyTorch-GAN

leaky = partial(nn.LeakyReLU, 0.2, inplace=True)


class Network(nn.Module):
    """Layers in a row; codes of labels may join their inputs, or point out features."""

    def __init__(self, *parts, code=None, directions=None):
        super().__init__()
        self.trunk, self.head = nn.Sequential(*parts[:-1]), parts[-1]
        self.code, self.directions = code, directions

    def forward(self, inputs, labels):
        """Returns the outputs."""
        if self.code is not None:
            inputs = torch.cat([self.code(labels), inputs.flatten(1)], dim=1)
        features = self.trunk(inputs)
        outputs = self.head(features)
        if self.directions is not None:
            outputs = outputs + (self.directions(labels) * features).sum(1, True)
        return outputs


def to_torch(images, size, layout=torch.contiguous_format):
    """Returns `(batch, 28, 28, 1)` in [0, 1] as `(batch, 1, size, size)` in [-1, 1]."""
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    if size != 28:
        images = functional.interpolate(images, size=(size, size), mode="bilinear")
    return (2.0 * images - 1.0).clone(memory_format=layout)


def from_torch(images):
    """Returns the way back, as an array."""
    if images.shape[-1] != 28:
        resize = partial(functional.interpolate, mode="bicubic", antialias=True)
        images = resize(images, size=(28, 28))
    return (0.5 * images + 0.5).clamp(0.0, 1.0).permute(0, 2, 3, 1).numpy()


def torch_entrant(
    generator, judge, error=None, critic_steps=5, size=28, latent=100, tuned=False
):
    """Returns the entrant of two networks that take labels as well.

    With an `error` of the judge's answers their step is that of `dcgan.py` and
    `cgan.py`; without, the judge is a critic and the step that of `wgan_gp.py`.
    """
    layout = torch.channels_last if tuned else torch.contiguous_format
    networks = [network.to(memory_format=layout) for network in (generator, judge)]
    weights = [list(network.parameters()) for network in networks]
    adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999), fused=tuned or None)
    optimizers, steps = [adam(group) for group in weights], itertools.count()

    def descend(index, loss):
        optimizers[index].zero_grad()
        loss.backward()
        optimizers[index].step()

    def game(real, labels):
        one, zero = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        asked = torch.randint(CLASSES, (len(real),))
        fake = generator(torch.randn(len(real), latent), asked)
        descend(0, error(judge(fake, asked), one))  # the generator moves first
        found_real = error(judge(real, labels), one)
        descend(1, (found_real + error(judge(fake.detach(), asked), zero)) / 2)

    def wasserstein(real, labels):
        noise = torch.randn(len(real), latent)
        fake, share = generator(noise, labels).detach(), torch.rand(len(real), 1, 1, 1)
        between = (share * real + (1.0 - share) * fake).requires_grad_()
        outputs = judge(between, labels).sum()
        slopes = torch.autograd.grad(outputs, between, create_graph=True)[0]
        penalty = 10.0 * (slopes.flatten(1).norm(dim=1) - 1.0).square().mean()
        distance = judge(real, labels).mean() - judge(fake, labels).mean()
        descend(1, penalty - distance)
        if next(steps) % critic_steps == 0:
            descend(0, -judge(generator(noise, labels), labels).mean())

    def ready(images, labels):
        return to_torch(images, size, layout), torch.from_numpy(labels)

    def sample(labels, seed):
        torch.manual_seed(seed)
        with torch.no_grad():
            noise = torch.randn(len(labels), latent)
            return from_torch(generator(noise, torch.from_numpy(labels)))

    return Entrant(64, ready, game if error else wasserstein, sample, weights)


def perceptron(*widths, middle=lambda width: []):
    """Returns dense layers; `middle(width)` comes before all activations but one."""
    parts = [nn.Linear(*widths[:2]), leaky()]
    for before, after in itertools.pairwise(widths[1:]):
        parts += [nn.Linear(before, after), *middle(after), leaky()]
    return parts


def dense_generator(inputs, side, **code):
    """Returns the perceptron that PyTorch-GAN generates with."""
    widths = inputs, 128, 256, 512, 1024
    parts = perceptron(*widths, middle=lambda width: [nn.BatchNorm1d(width, 0.8)])
    parts += [nn.Linear(1024, side * side), nn.Tanh(), nn.Unflatten(1, (1, side, side))]
    return Network(*parts, **code)


def torch_dcgan():
    """Returns the entrant of `dcgan.py`."""
    parts = [nn.Linear(100, 128 * 8 * 8), nn.Unflatten(1, (128, 8, 8))]
    parts += [nn.BatchNorm2d(128)]
    for before, after in ((128, 128), (128, 64)):
        parts += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1)]
        parts += [nn.BatchNorm2d(after, 0.8), leaky()]
    generator = Network(*parts, nn.Conv2d(64, 1, 3, 1, 1), nn.Tanh())
    parts = []
    for before, after in itertools.pairwise((1, 16, 32, 64, 128)):
        parts += [nn.Conv2d(before, after, 3, 2, 1), leaky(), nn.Dropout2d(0.25)]
        parts += [nn.BatchNorm2d(after, 0.8)] if before > 1 else []
    parts += [nn.Flatten(), nn.Linear(128 * 2 * 2, 1), nn.Sigmoid()]
    judge = Network(*parts)
    for module in (*generator.modules(), *judge.modules()):
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            mean = 0.0 if isinstance(module, nn.Conv2d) else 1.0
            nn.init.normal_(module.weight, mean, 0.02)
    return torch_entrant(generator, judge, nn.BCELoss(), size=32)


def torch_cgan():
    """Returns the entrant of `cgan.py`."""
    codes = [nn.Embedding(CLASSES, CLASSES) for _ in range(2)]
    widths = CLASSES + 32 * 32, 512, 512, 512
    parts = perceptron(*widths, middle=lambda width: [nn.Dropout(0.4)])
    judge = Network(*parts, nn.Linear(512, 1), code=codes[1])
    generator = dense_generator(CLASSES + 100, 32, code=codes[0])
    return torch_entrant(generator, judge, nn.MSELoss(), size=32)


def torch_wgan_gp():
    """Returns the entrant of `wgan_gp.py`."""
    critic = [nn.Flatten(), *perceptron(28 * 28, 512, 256), nn.Linear(256, 1)]
    return torch_entrant(dense_generator(100, 28), Network(*critic))


def torch_twin(kind, tuned=False):
    """Returns the entrant of PyTorch-GAN's step on the networks of our recipe."""
    config, _ = recipe(kind, **STEP[kind])
    conditional, critic, latent = kind == "cgan", kind == "wgan", config.latent_dim
    narrow, wide = config.widths
    inputs, features = latent + CLASSES * conditional, wide * 7 * 7
    parts = [nn.Linear(inputs, features, bias=False), nn.Unflatten(1, (wide, 7, 7))]
    for before, after in ((wide, narrow), (narrow, 1)):
        parts += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
        parts += [nn.ConvTranspose2d(before, after, 4, 2, 1)]
    code = partial(functional.one_hot, num_classes=CLASSES) if conditional else None
    generator = Network(*parts, nn.Tanh(), code=code)
    parts = [nn.Conv2d(1, narrow, 4, 2, 1), leaky(), nn.Conv2d(narrow, wide, 4, 2, 1)]
    parts += [] if critic else [nn.BatchNorm2d(wide)]
    parts += [leaky(), nn.Flatten(), nn.Linear(features, 1, bias=not critic)]
    directions = nn.Embedding(CLASSES, features) if conditional else None
    judge = Network(*parts, directions=directions)
    game = [None, config.critic_steps] if critic else [nn.BCEWithLogitsLoss()]
    return torch_entrant(generator, judge, *game, latent=latent, tuned=tuned)


# ------------------------------------------------------------ Keras' documentation


def keras_entrant(
    generator, judge, adam, cut=None, pair=None, size=64, latent=128, low=0.0
):
    """Returns the entrant of two networks.

    Without `cut` their step is that of `conditional_gan`; with it, the judge is a
    critic, `cut(batch)` what its steps see, and the step that of `wgan_gp`. With
    labels, the judge takes `pair(images, one-hot labels)`. Black is `low`, white 1.
    """
    weights = generator.trainable_variables, judge.trainable_variables
    optimizers = [keras.optimizers.Adam(*adam) for _ in weights]
    for optimizer, group in zip(optimizers, weights, strict=True):
        optimizer.build(group)
    error = keras.losses.BinaryCrossentropy(from_logits=True)

    def generate(labels, training=True):
        noise = tf.random.normal((len(labels), latent))
        inputs = tf.concat([noise, labels], axis=1) if pair else noise
        return generator(inputs, training=training)

    def logits(images, labels):
        return judge(pair(images, labels) if pair else images, training=True)

    def descend(index, loss, *arguments):
        with tf.GradientTape() as tape:
            value = loss(*arguments)
        gradients = tape.gradient(value, weights[index])
        optimizers[index].apply_gradients(zip(gradients, weights[index], strict=True))

    def game(real, labels):
        both = tf.concat([generate(labels), real], 0), tf.concat([labels, labels], 0)
        answers = tf.repeat([[1.0], [0.0]], len(real), axis=0)  # here 1 says fake
        descend(1, lambda: error(answers, logits(*both)))
        wanted = answers[len(real) :]
        descend(0, lambda: error(wanted, logits(generate(labels), labels)))

    def critic_loss(real, labels):
        fake = generate(labels)
        share = tf.random.normal((len(real), 1, 1, 1))  # uniform is meant
        between = real + share * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            outputs = logits(between, labels)
        squares = tf.square(tape.gradient(outputs, between))
        norms = tf.sqrt(tf.reduce_sum(squares, axis=(1, 2, 3)))  # slope infinite at 0
        penalty = 10.0 * tf.reduce_mean(tf.square(norms - 1.0))
        found = [tf.reduce_mean(logits(images, labels)) for images in (fake, real)]
        return found[0] - found[1] + penalty

    def wasserstein(real, labels):
        parts = cut(labels)  # no more is read from them than their number
        for part, asked in zip(cut(real), parts, strict=True):
            descend(1, critic_loss, part, asked)
        descend(0, lambda: -tf.reduce_mean(logits(generate(parts[0]), parts[0])))

    def ready(images, labels):
        return tf.constant(images * (1.0 - low) + low), tf.one_hot(labels, CLASSES)

    def sample(labels, seed):
        tf.random.set_seed(seed)
        images = generate(tf.one_hot(labels, CLASSES), training=False)
        return (images - low) / (1.0 - low)

    step = tf.function(wasserstein if cut else game)
    return Entrant(size, ready, step, sample, weights)


def strided(size, *widths, layer=layers.Conv2D):
    """Yields convolutions with their activations."""
    for width in widths:
        yield layer(width, size, strides=2, padding="same")
        yield layers.LeakyReLU(0.2)


def keras_cgan():
    """Returns the entrant of `conditional_gan`: labels as channels of every pixel."""
    inputs = 128 + CLASSES
    stack = [keras.Input((inputs,)), layers.Dense(7 * 7 * inputs)]
    stack += [layers.LeakyReLU(0.2), layers.Reshape((7, 7, inputs))]
    stack += strided(4, 128, 128, layer=layers.Conv2DTranspose)
    stack += [layers.Conv2D(1, 7, padding="same", activation="sigmoid")]
    generator = keras.Sequential(stack)
    stack = [keras.Input((28, 28, 1 + CLASSES)), *strided(3, 64, 128)]
    stack += [layers.GlobalMaxPooling2D(), layers.Dense(1)]

    def pair(images, labels):
        maps = tf.tile(labels[:, None, None], (1, 28, 28, 1))
        return tf.concat([images, maps], axis=-1)

    return keras_entrant(generator, keras.Sequential(stack), [3e-4], pair=pair)


def keras_wgan_gp():
    """Returns the entrant of `wgan_gp`."""
    stack = [keras.Input((128,)), layers.Dense(4 * 4 * 256, use_bias=False)]
    stack += [layers.BatchNormalization(), layers.LeakyReLU(0.2)]
    stack += [layers.Reshape((4, 4, 256))]
    for width in (128, 64, 1):
        convolution = layers.Conv2D(width, 3, padding="same", use_bias=False)
        stack += [layers.UpSampling2D(), convolution, layers.BatchNormalization()]
        stack += [layers.LeakyReLU(0.2) if width > 1 else layers.Activation("tanh")]
    generator = keras.Sequential([*stack, layers.Cropping2D(2)])
    stack = [keras.Input(SHAPE), layers.ZeroPadding2D(2)]
    stack += [*strided(5, 64, 128), layers.Dropout(0.3)]
    stack += [*strided(5, 256), layers.Dropout(0.3), *strided(5, 512)]
    stack += [layers.Flatten(), layers.Dropout(0.2), layers.Dense(1)]
    networks, cut = (generator, keras.Sequential(stack)), lambda batch: [batch] * 3
    return keras_entrant(*networks, (2e-4, 0.5, 0.9), cut, size=512, low=-1.0)


def in_keras(layer):
    """Returns a new layer of Keras in place of ours, which are quicker."""
    if isinstance(layer, LeakyReLU):
        return layers.LeakyReLU(0.2)
    if isinstance(layer, BatchNormalization):
        return layers.BatchNormalization.from_config(layer.get_config())
    return layer.__class__.from_config(layer.get_config())


def keras_twin(kind):
    """Returns the entrant of Keras' step on the networks of our recipe, all Keras'."""
    config, build = recipe(kind, **STEP[kind], ema=0.0)
    model, options = build(), {"latent": config.latent_dim}
    twin = partial(keras.models.clone_model, clone_function=in_keras)
    if kind == "cgan":
        options["pair"] = lambda images, labels: [images, labels]
    if kind != "wgan":
        networks = twin(model.generator), twin(model.discriminator)
        return keras_entrant(*networks, (2e-4,), **options)
    steps = config.critic_steps
    options |= {"cut": lambda batch: tf.split(batch, steps), "size": 64 * steps}
    return keras_entrant(twin(model.generator), twin(model.critic), (2e-4,), **options)


#: Contest of quality, name: function that returns the entrant.
QUALITY = {kind: partial(ours, kind) for kind in ("gan", "wgan", "cgan")}
QUALITY |= {f.__name__: f for f in (torch_dcgan, torch_cgan, torch_wgan_gp)}
QUALITY |= {f.__name__: f for f in (keras_cgan, keras_wgan_gp)}

#: Contest of speed, name: function of a kind of model that returns the entrant.
SPEED = {"ours": partial(step_of_ours, ema=0.0), "averaged": step_of_ours}
SPEED["torch"] = torch_twin
SPEED |= {"tuned": partial(torch_twin, tuned=True), "keras": keras_twin}
