"""Trains a variational autoencoder on small images.

    zoo train vae                              embedded Fashion-MNIST, 2 minutes
    zoo train vae --data fashion_mnist --epochs 40      the preset's settings
    zoo train vae --data DIR --size 64 64 --channels 3  your own images
    zoo train vae --deterministic --beta 0     a plain autoencoder: look at samples.png

With seed 0 the test negative ELBO ends at 248.0 nats per image with the defaults and at
239.0 with the preset's settings, in the best epoch as in the last.

Writes into --run-dir the trained model, `samples.png`, `samples_gmm.png` (codes drawn
from a Gaussian mixture fitted to those of the training images instead of the prior: a
plain autoencoder needs it, as nothing keeps its codes near the prior), side by side
`reconstructions.png`, `interpolation.png`, `traversal.png`, `report.json`, logs, and
`export/` with the SavedModel and the LiteRT files.
"""

from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np

from zoo.data import images
from zoo.experiment import quality, report
from zoo.experiment.pictures import pairs, write_grids
from zoo.experiment.run import Run
from zoo.experiment.settings import ImageTraining
from zoo.metrics.latent import active_units, kl_decomposition
from zoo.networks.autoencoders import Convolutional, Dense
from zoo.training.distributions import (
    Bernoulli,
    Gaussian,
    MixtureOfGaussians,
    StandardNormal,
    VampPrior,
)
from zoo.training.noise import reseed
from zoo.vae import VAE


@dataclass(frozen=True)
class Config(ImageTraining):
    """Every number this recipe depends on, and why."""

    renamed = {"network": "networks"}

    latent_dim: int = 10
    """length of a code; of more on Fashion-MNIST, some carry nothing"""
    networks: Literal["convolutional", "dense"] = "convolutional"
    """kind of encoder and decoder"""
    widths: tuple[int, ...] = (32, 64)
    """channels or units of each stage, from the image inwards"""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """of the pixels; gaussian learns its variance unless one is given"""
    variance: float | None = None
    """of a gaussian pixel, squared grey values on [0, 1]"""
    prior: Literal["normal", "mixture", "vamp"] = "normal"
    """of the codes; the last two are learned"""
    components: int = 50
    """Gaussians in a learned prior"""
    divergence: Literal["kl", "cauchy_schwarz"] = "kl"
    """of the posterior from the prior"""
    beta: float = 1.0
    """weight of the divergence; 1 bounds the likelihood"""
    warm_up: float = 0.0
    """epochs over which beta rises from 0, against codes that carry nothing"""
    deterministic: bool = False
    """plain autoencoder; needs --beta 0"""
    learning_rate: float = 1e-3
    """Adam's, at the start; falls to nothing along half a cosine"""
    epochs: int = 20
    """passes over the training images; the preset takes 40, for 9 nats less"""


def load(config):
    """Returns training, validation and test images.

    A tenth of the training images, at most 10,000, validates: the best epoch is chosen
    on it, and the test images are looked at once, at the end.
    """
    return images.splits(config.data, config.size, config.channels, share=0.1)


def build(config, data):
    """Returns the compiled model."""
    train, _ = data.train
    steps_per_epoch = len(train) // config.batch(train)
    beta = config.beta
    schedules = keras.optimizers.schedules
    if config.warm_up:
        steps = round(config.warm_up * steps_per_epoch)
        beta = schedules.PolynomialDecay(0.0, steps, config.beta)
    priors = {
        "normal": StandardNormal,
        "mixture": lambda: MixtureOfGaussians(config.components),
        "vamp": lambda: VampPrior(config.components),
    }
    networks = {"convolutional": Convolutional, "dense": Dense}
    gaussian = config.likelihood == "gaussian"
    if config.variance and not gaussian:
        raise ValueError(
            "--variance is that of a Gaussian: add --likelihood gaussian. Received "
            f"--variance {config.variance} --likelihood {config.likelihood}."
        )
    model = VAE(
        train.shape[1:],
        config.latent_dim,
        networks[config.networks](config.widths),
        Gaussian(config.variance) if gaussian else Bernoulli(),
        None if config.deterministic else priors[config.prior](),
        config.divergence,
        beta,
        config.deterministic,
    )
    rate = schedules.CosineDecay(config.learning_rate, config.epochs * steps_per_epoch)
    # A step takes milliseconds: ten at once spare Keras' time between them.
    model.compile(keras.optimizers.Adam(rate), steps_per_execution=10)
    return model


def score(model, config, data):
    """Measures a trained model on the test images.

    Returns:
        `{metric: value}`: the losses in nats per image, of up to 2,000 images the
        parts of the divergence and the active units of the code, and the quality of
        samples (`zoo.experiment.quality`).
    """
    test, _ = data.test
    reseed(model, 0)
    logs = model.evaluate(images.batches(test, 500), verbose=0, return_dict=True)
    some = images.to_unit_range(test[:2000])
    mean, log_variance = model.encode(some)
    metrics = logs | {"active_units": active_units(mean)}
    if not model.deterministic:
        codes = model.sample_posterior(mean, log_variance)
        log_prior = model.prior.log_density(codes, model.encode)
        parts = kl_decomposition(
            mean, log_variance, codes, log_prior, dataset_size=len(test)
        )
        metrics |= {name: parts[name] for name in ("mutual_information", "marginal_kl")}
    metrics = {name: round(float(value), 4) for name, value in metrics.items()}
    return metrics | quality.score(model, test, config.data)


def examples(model, config, data):
    """Returns real inputs for `zoo.deploy.export`: test images.

    And their codes if nothing keeps these near the prior; else they are drawn from it.
    """
    some = images.to_unit_range(data.test[0][:400])
    codes = {"codes": np.asarray(model.encode(some)[0])} if model.deterministic else {}
    return {"images": some, **codes}


PROTOCOL = (
    "test images, nats per image, one code drawn per image; mutual_information (at "
    "most the log of their number) and marginal_kl by stratified sampling from 2,000 "
    "of them; best: the epoch of the lowest negative ELBO on held-out training images; "
    + quality.PROTOCOL
)


def pictures(model, config, data, directory):
    """Writes the grids that the head of this file names; returns their paths."""
    few = images.to_unit_range(data.test[0][:10])
    others = np.roll(few, -2, axis=0)
    train, _ = data.train
    sampler = model.fit_sampler(
        images.to_unit_range(train[:10_000]), components=min(10, len(train))
    )
    between = flat(model.interpolate(few[:8], others[:8], steps=10))
    sheets = {
        "samples.png": (model.sample(64, seed=0), 8),
        "samples_gmm.png": (model.sample(64, seed=0, sampler=sampler), 8),
        "reconstructions.png": (pairs(few, model(few)), len(few)),
        "interpolation.png": (between, 10),
        "traversal.png": (flat(model.traverse(few[0])), 7),
    }
    return write_grids(directory, sheets)


def flat(table):
    """Joins the first two axes of a table of images: one long row for a grid."""
    return np.reshape(table, (-1, *table.shape[2:]))


def main(config):
    """Trains, scores, shows and exports; returns the report."""
    run = Run(__name__, config)
    data = load(config)
    (train, _), (validation, _) = data.train, data.validation
    batches = images.batches(
        train, config.batch(train), seed=config.seed, first_epoch=run.first_epoch
    )
    print(report.training_on(config.data, train, validation))
    model = run.model(lambda: build(config, data))
    run.fit(
        model,
        batches,
        validation=images.batches(validation, 500),
        sample=lambda model: model.sample(64, seed=0),
        monitor="val_negative_elbo",
    )
    return run.conclude(
        model,
        data,
        examples_per_epoch=len(batches) * config.batch(train),
        hints=[
            f"zoo sample {run.directory} --count 100 --out more.png",
            "zoo info vae_fashion_mnist              the trained preset",
        ],
    )
