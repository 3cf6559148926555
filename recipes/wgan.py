"""Trains a Wasserstein generative adversarial network on small images.

    zoo train wgan                             embedded Fashion-MNIST, gradient penalty
    zoo train wgan --data fashion_mnist --epochs 8      the preset's settings
    zoo train wgan --clip 0.01 --penalty 0 --critic-steps 5     the first paper's bound
    zoo train wgan --data DIR --size 64 64 --widths 32 64 128 256  your own images

After each epoch the Frechet distance to held-out training images is measured, which
chooses the best epoch, and a guard warns of collapse.

Data, measurement and pictures are those of `recipes.gan`.

Writes into --run-dir the trained model, `samples.png`, a grid of samples after each
epoch, `report.json`, logs, and `export/` with the SavedModel and the LiteRT files.
"""

from dataclasses import dataclass
from typing import Literal

from recipes import gan
from recipes.gan import PROTOCOL, evaluate, examples  # noqa: F401  `zoo` asks for them
from zoo.experiment import pictures
from zoo.networks.dcgan import DCGAN
from zoo.training.optimizers import FusedAdam
from zoo.training.regularizers import GradientPenalty, WeightClipping
from zoo.wgan import WGAN


@dataclass(frozen=True)
class Config:
    """Every number this recipe depends on."""

    data: str = "embedded"
    """embedded, a TFDS name such as mnist, or a folder of images"""
    size: tuple[int, int] | None = None
    """height and width to resize to, pixels; as they are by default"""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; as they are by default"""
    latent_dim: int = 64
    """length of a noise vector"""
    widths: tuple[int, ...] = (32, 64)
    """channels of each stage, from the image inwards; each halves both sides"""
    penalty: float = 10.0
    """weight of the gradient penalty"""
    one_sided: bool = False
    """leave slopes below 1 alone"""
    clip: float = 0.0
    """clip weights to this size instead; needs --penalty 0"""
    critic_steps: int = 3
    """updates of the critic for one of the generator"""
    ema: float = 0.999
    """decay of the average of the generator that samples are drawn from; 0 for none"""
    generator_rate: float = 2e-3
    """learning rate of the generator's Adam"""
    critic_rate: float = 1e-3
    """learning rate of the critic's Adam"""
    batch_size: int = 64
    """images per update of the critic"""
    epochs: int = 30
    """passes over the training images"""
    seed: int = 0
    """of weights, noise and order"""
    run_dir: str = "runs/wgan"
    """where to write; made if missing"""
    resume: bool = False
    """continue the run in run_dir where it stopped, for more epochs if you like"""


def build(config, shape):
    """Returns the compiled model."""
    if bool(config.penalty) == bool(config.clip):
        raise ValueError(
            "Choose one: a gradient penalty, or --clip with --penalty 0. Received "
            f"--penalty {config.penalty} --clip {config.clip}."
        )
    if config.clip:
        lipschitz = WeightClipping(config.clip)
    else:
        lipschitz = GradientPenalty(config.penalty, one_sided=config.one_sided)
    model = WGAN(
        shape,
        config.latent_dim,
        DCGAN(config.widths, "none"),
        lipschitz,
        config.critic_steps,
        ema=config.ema,
    )
    # Gulrajani et al. 2017 (algorithm 1) take beta_1 = 0, 5 critic steps and 1e-4; in
    # one epoch on Fashion-MNIST these settings came closer to the held-out images.
    model.compile(
        FusedAdam(config.generator_rate, beta_1=0.5, beta_2=0.9),
        FusedAdam(config.critic_rate, beta_1=0.5, beta_2=0.9),
    )
    return model


def draw(model, directory):
    """Writes the picture; returns its path."""
    pictures.write_grid(directory / "samples.png", model.sample(100, seed=0), 10)
    return [directory / "samples.png"]


def main(config):
    """Trains, measures, draws and exports; returns the report."""
    images_per_step = config.batch_size * config.critic_steps
    if images_per_step < 1:
        raise ValueError(
            "--batch-size and --critic-steps are 1 or more. Received "
            f"{config.batch_size} and {config.critic_steps}."
        )
    return gan.train("wgan", config, build, draw, images_per_step)
