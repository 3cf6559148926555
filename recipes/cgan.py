"""Trains a conditional generative adversarial network on small labelled images.

    zoo train cgan                             embedded Fashion-MNIST, a row per class
    zoo train cgan --data fashion_mnist --epochs 20     the preset's settings
    zoo train cgan --conditioning concatenation         as in the first paper
    zoo train cgan --data DIR --size 32 32     your own images, a folder per class

With the preset's settings `fid_classifier_fashion_mnist` to the test images is 0.227,
0.226 and 0.219 for seeds 0 to 2, in the best epoch as in the last, the twentieth, and
97.6, 98.0 and 97.2 % of samples are classified as what was asked for.

After each epoch the Frechet distance to held-out training images is measured, which
chooses the best epoch, and a guard warns of collapse, of a vanished gradient and of a
discriminator that has won.

Writes into --run-dir the trained model, `samples.png` (a row per class), a grid of
samples after each epoch, `report.json`, logs, and `export/` with the SavedModel and the
LiteRT files.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from zoo.cgan import CGAN, Concatenation, Projection
from zoo.data import images
from zoo.experiment import pictures, quality
from zoo.experiment.run import Run
from zoo.networks.dcgan import DCGAN
from zoo.training.optimizers import FusedAdam
from zoo.training.regularizers import R1, DiffAugment, LeCam


@dataclass(frozen=True)
class Config:
    """Every number this recipe depends on."""

    data: str = "embedded"
    """embedded, a TFDS name such as mnist, or a folder with a sub-folder a class"""
    size: tuple[int, int] | None = None
    """height and width to resize to, pixels; as they are by default"""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; as they are by default"""
    latent_dim: int = 64
    """length of a noise vector"""
    widths: tuple[int, ...] = (32, 64)
    """channels of each stage, from the image inwards; each halves both sides"""
    normalization: Literal["batch", "spectral", "none"] = "batch"
    """of the discriminator"""
    conditioning: Literal["projection", "concatenation"] = "projection"
    """how the discriminator learns of the class"""
    mismatch: float = 0.5
    """share of real images beside a wrong class among what it is to call wrong"""
    loss: Literal["non_saturating", "saturating", "least_squares", "hinge"] = (
        "non_saturating"
    )
    """of the game"""
    r1: float = 0.0
    """weight of the squared slope at real images; not with batch normalization"""
    lecam: float = 0.0
    """weight of the pull of logits to their running means; for few images"""
    augment: tuple[Literal["color", "translation", "cutout"], ...] = ()
    """what DiffAugment does to what the discriminator sees; for few images"""
    ema: float = 0.999
    """decay of the average of the generator that samples are drawn from; 0 for none"""
    generator_rate: float = 1e-3
    """learning rate of the generator's Adam"""
    discriminator_rate: float = 1e-3
    """learning rate of the discriminator's Adam"""
    batch_size: int = 64
    """images per step"""
    epochs: int = 30
    """passes over the training images"""
    seed: int = 0
    """of weights, noise and order"""
    run_dir: str = "runs/cgan"
    """where to write; made if missing"""
    resume: bool = False
    """continue the run in run_dir where it stopped, for more epochs if you like"""


def build(config, shape, classes):
    """Returns the compiled model."""
    conditioning = {"projection": Projection, "concatenation": Concatenation}
    wanted = {R1: config.r1, LeCam: config.lecam, DiffAugment: config.augment}
    model = CGAN(
        shape,
        classes,
        config.latent_dim,
        DCGAN(config.widths, config.normalization),
        conditioning[config.conditioning](config.mismatch),
        config.loss,
        [make(value) for make, value in wanted.items() if value],
        config.ema,
    )
    model.compile(
        FusedAdam(config.generator_rate, beta_1=0.5),  # DCGAN, section 4
        FusedAdam(config.discriminator_rate, beta_1=0.5),
    )
    return model


def evaluate(model, config):
    """Measures a trained model.

    Returns:
        `{metric: value}`: the quality of samples against test images
        (`zoo.experiment.quality`), and per class what `quality.score_classes` finds.
    """
    train, _, test = images.splits(config.data, config.size, config.channels)
    return measure(model, train, test, config.data)


def measure(model, train, test, dataset):
    """Does the work of `evaluate` on images and labels already loaded."""
    results = quality.score(model, test[0], dataset)
    return results | quality.score_classes(model, test, train, dataset)


def examples(model, config, count=100):
    """Returns real inputs for `zoo.deploy.export`: noise, and each class in turn."""
    rng = np.random.default_rng(0)
    classes = np.arange(count) % model.condition_dim
    return {
        "latents": rng.standard_normal((count, model.latent_dim), "float32"),
        "conditions": np.eye(model.condition_dim, dtype="float32")[classes],
    }


PROTOCOL = (
    "best: the epoch of the lowest Frechet distance to held-out training images; "
    f"{quality.PROTOCOL}; {quality.CLASS_PROTOCOL}"
)


def draw(model, directory):
    """Writes the picture, a row per class; returns its path."""
    classes = np.repeat(np.arange(model.condition_dim), 10)
    samples = model.sample(len(classes), classes, seed=0)
    pictures.write_grid(directory / "samples.png", samples, 10)
    return [directory / "samples.png"]


def main(config):
    """Trains, measures, draws and exports; returns the report."""
    run = Run("cgan", config, may_change=("epochs",))
    train, validation, test = images.splits(config.data, config.size, config.channels)
    classes = int(train[1].max()) + 1
    if classes < 2:
        raise ValueError(
            f"{config.data} has no classes to condition on. A folder needs a folder "
            "inside for each; `zoo train gan` does without."
        )
    batches = images.batches(
        train, config.batch_size, seed=config.seed, first_epoch=run.first_epoch
    )
    print(
        f"Training on {len(train[0]):,} images of {config.data}, "
        f"{' x '.join(map(str, train[0].shape[1:]))}, in {classes} classes; validating "
        f"on {len(validation[0]):,}."
    )
    watch, monitor = quality.watch(validation[0], config.data)
    model = run.model(lambda: build(config, train[0].shape[1:], classes))
    run.fit(
        model,
        batches,
        draw=lambda model: model.sample(10 * classes, seed=0),
        monitor=monitor,
        watch=watch,
    )
    return run.conclude(
        model,
        measure=lambda model: measure(model, train, test, config.data),
        draw=lambda model: draw(model, run.directory),
        examples=lambda model: examples(model, config),
        protocol=PROTOCOL,
        examples_per_epoch=len(batches) * config.batch_size,
        hints=[f"zoo sample {run.directory} --count 100 --out more.png"],
    )
