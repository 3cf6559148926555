"""Trains a Wasserstein generative adversarial network on small images.

    zoo train wgan                             embedded Fashion-MNIST, gradient penalty
    zoo train wgan --data fashion_mnist --epochs 8      the preset's settings
    zoo train wgan --clip-weights 0.01 --penalty 0 --critic-steps 5  first paper's bound
    zoo train wgan --data DIR --size 64 64 --widths 32 64 128 256  your own images

How the best epoch is chosen and what watches the game: `zoo.experiment.games`.

Writes into --run-dir the trained model, `samples.png`, a grid of samples after each
epoch, `report.json`, logs, and `export/` with the SavedModel and the LiteRT files.
"""

from dataclasses import dataclass

from zoo.data import images
from zoo.experiment import games, quality
from zoo.experiment.pictures import write_grids
from zoo.experiment.run import Run
from zoo.experiment.settings import ImageTraining
from zoo.networks.dcgan import DCGAN
from zoo.training.optimizers import FusedAdam
from zoo.training.regularizers import GradientPenalty, WeightClipping
from zoo.wgan import WGAN


@dataclass(frozen=True)
class Config(ImageTraining):
    """Every number this recipe depends on, and why."""

    renamed = {"critic_rate": "discriminator_rate", "clip": "clip_weights"}

    latent_dim: int = 64
    """length of a noise vector"""
    widths: tuple[int, ...] = (32, 64)
    """channels of each stage, from the image inwards; each halves both sides"""
    penalty: float = 10.0
    """weight of the gradient penalty; the paper's"""
    one_sided: bool = False
    """leave slopes below 1 alone"""
    clip_weights: float = 0.0
    """largest weight of the critic instead; needs --penalty 0"""
    critic_steps: int = 3
    """updates of the critic for one of the generator; the paper's 5 learn slower"""
    ema: float = 0.999
    """decay of the average of the generator that samples are drawn from; 0 for none"""
    generator_rate: float = 2e-3
    """Adam's; twice the critic's, which takes more steps"""
    discriminator_rate: float = 1e-3
    """Adam's, of the critic"""
    batch_size: int = 64
    """images per update of the critic; fewer where there are not enough"""
    epochs: int = 30
    """passes over the training images"""

    def __post_init__(self):
        super().__post_init__()
        if bool(self.penalty) == bool(self.clip_weights):
            raise ValueError(
                "Choose one: a gradient penalty, or --clip-weights with --penalty 0. "
                f"Received --penalty {self.penalty} --clip-weights "
                f"{self.clip_weights}."
            )
        if self.critic_steps < 1:
            raise ValueError(
                f"--critic-steps must be 1 or more. Received {self.critic_steps}."
            )


def load(config):
    """Returns training, validation and test images."""
    return images.splits(config.data, config.size, config.channels)


def build(config, data):
    """Returns the compiled model."""
    if config.clip_weights:
        lipschitz = WeightClipping(config.clip_weights)
    else:
        lipschitz = GradientPenalty(config.penalty, one_sided=config.one_sided)
    model = WGAN(
        data.train[0].shape[1:],
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
        FusedAdam(config.discriminator_rate, beta_1=0.5, beta_2=0.9),
    )
    return model


def score(model, config, data):
    """Returns the quality of samples against test images (`zoo.experiment.quality`)."""
    return quality.score(model, data.test[0], config.data)


def examples(model, config, data):
    """Returns real inputs for `zoo.deploy.export`: noise."""
    return {"latents": games.noise(model)}


PROTOCOL = games.PROTOCOL


def pictures(model, config, data, directory):
    """Writes samples; returns the path."""
    return write_grids(directory, {"samples.png": (model.sample(100, seed=0), 10)})


def main(config):
    """Trains, scores, shows and exports; returns the report."""
    run = Run(__name__, config, may_change=("epochs",))
    data = load(config)
    count = len(data.train[0])
    if count < config.critic_steps:
        raise ValueError(
            f"A step takes an image for each of its --critic-steps, and {config.data} "
            f"has {count} to train on. Received --critic-steps {config.critic_steps}."
        )
    each = min(config.batch_size, count // config.critic_steps)
    return games.play(
        run,
        data,
        build,
        batch_size=each * config.critic_steps,
        sample=lambda model: model.sample(64, seed=0),
    )
