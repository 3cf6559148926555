"""Shows mode collapse, and what prevents it, on points whose modes can be counted.

    zoo train mode_collapse                    ring of 8 Gaussians, every loss, one seed
    zoo train mode_collapse --data grid        5 x 5 Gaussians
    zoo train mode_collapse --settings recommended --seeds 10   how often it works

A generator may please the discriminator with some of the modes alone; the discriminator
learns to reject these, the generator moves on to others, and they chase each other. The
saturating loss adds that a generator that falls behind gets no gradient. `recommended`
is the non-saturating loss with a penalty on the discriminator's slope at real points
(`R1`), which lets the game converge, and an average of the generator: it covers 8 of 8
modes of the ring in 10 of 10 seeds, 25 of 25 of the grid in 9.

Writes into --run-dir `samples.gif` (samples of every setting over training),
`modes.png` (modes covered and share of good samples over steps) and `report.json`. What
is finished is kept there: the same command goes on after an interruption.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np
from matplotlib.figure import Figure

from zoo.data import points
from zoo.experiment import pictures, report
from zoo.gan import GAN
from zoo.networks.dcgan import MLP
from zoo.system import write_json
from zoo.training.optimizers import FusedAdam
from zoo.training.regularizers import R1
from zoo.wgan import WGAN

SAMPLES = 2500  # PacGAN, section 4.2; 20 good ones cover a mode of the 25
LATENT_DIM = 2
WIDTHS = (128, 128)


def gan(loss, **settings):
    """Returns a function that makes a GAN of points."""
    return lambda: GAN((2,), LATENT_DIM, MLP(WIDTHS), loss, **settings)


SETTINGS = {
    "saturating": gan("saturating"),
    "non_saturating": gan("non_saturating"),
    "least_squares": gan("least_squares"),
    "hinge": gan("hinge"),
    "wasserstein": lambda: WGAN((2,), LATENT_DIM, MLP(WIDTHS)),
    "recommended": gan("non_saturating", regularizers=[R1(0.1)], ema=0.99),
}
DATA = {"ring": points.ring, "grid": points.grid}


@dataclass(frozen=True)
class Config:
    """Every number this recipe depends on."""

    data: Literal["ring", "grid"] = "ring"
    """8 Gaussians on a circle, or 25 on a grid"""
    settings: tuple[str, ...] = tuple(SETTINGS)
    """which to compare, of the losses and `recommended`"""
    seeds: int = 1
    """runs of each, from seed 0"""
    steps: int = 7000
    """updates of the generator"""
    looks: int = 28
    """times that samples are looked at"""
    batch_size: int = 256
    """points per update of the discriminator"""
    learning_rate: float = 2e-3
    """of both networks' Adam"""
    run_dir: str = "runs/mode_collapse"
    """where to write; made if missing"""


def run(name, seed, mixture, config):
    """Trains one setting.

    Returns:
        `{"modes", "quality", "samples"}`, each a list with an entry per look; samples
        to draw are kept of seed 0 alone.
    """
    keras.utils.set_random_seed(seed)
    model = SETTINGS[name]()
    model.compile(
        FusedAdam(config.learning_rate, beta_1=0.5),
        FusedAdam(config.learning_rate, beta_1=0.5),
        steps_per_execution=10,
    )
    batch = config.batch_size * getattr(model, "critic_steps", 1)
    found = {"modes": [], "quality": [], "samples": []}
    steps = config.steps // config.looks
    for look in range(config.looks):
        real = mixture.sample(steps * batch, seed=1000 * seed + look)
        model.fit(real, batch_size=batch, verbose=0)
        samples = np.asarray(model.sample(SAMPLES, seed=0))
        modes, quality = mixture.coverage(samples)
        found["modes"].append(modes)
        found["quality"].append(round(quality, 4))
        if seed == 0:
            found["samples"].append(samples[:500].round(3).tolist())
    return found


def frames(mixture, runs):
    """Yields a figure per look: the samples of every setting side by side."""
    reach = 1.3 * np.abs(mixture.centres).max()
    for look in range(len(next(iter(runs.values()))["modes"])):
        figure = Figure(figsize=(2.2 * len(runs), 2.5), dpi=80, layout="constrained")
        for index, (name, found) in enumerate(runs.items()):
            axes = figure.add_subplot(1, len(runs), index + 1, aspect="equal")
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
            axes.set_title(name.replace("_", " "), fontsize=9)
            axes.set_xlabel(f"{found['modes'][look]} of {len(mixture.centres)} modes")
            axes.scatter(*mixture.centres.T, s=40, c="#ccc")
            axes.scatter(*np.array(found["samples"][look]).T, s=2, c="#c33", alpha=0.6)
        yield figure


def curves(mixture, runs, steps):
    """Returns a figure of modes covered and of good samples over training."""
    figure = Figure(figsize=(9, 3.5), dpi=100, layout="constrained")
    heights = {"modes": len(mixture.centres), "quality": 1.0}
    labels = ("modes covered", "share of good samples")
    for index, (key, label) in enumerate(zip(heights, labels, strict=True)):
        axes = figure.add_subplot(
            1, 2, index + 1, xlabel="step", ylabel=label, ylim=(0, 1.05 * heights[key])
        )
        for name, found in runs.items():
            looks = np.arange(1, len(found[key]) + 1) * steps / len(found[key])
            axes.plot(looks, found[key], label=name.replace("_", " "))
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def main(config):
    """Trains every setting, draws and reports; returns the report."""
    unknown = sorted(set(config.settings) - SETTINGS.keys())
    least = min(config.seeds, config.looks, config.batch_size, config.learning_rate)
    uneven = config.looks > 0 and config.steps % config.looks
    if unknown or not config.settings or least <= 0 or uneven or config.steps < 1:
        raise ValueError(
            f"--settings are any of {', '.join(SETTINGS)}; --seeds, --looks, --steps, "
            "--batch-size and --learning-rate positive, --steps a multiple of --looks. "
            f"Received {config}."
        )
    directory = Path(config.run_dir)
    path = directory / "report.json"
    facts = {"config": dataclasses.asdict(config), "runs": {}}
    if path.is_file():
        before = json.loads(path.read_text("utf-8"))
        same = ("data", "steps", "looks", "batch_size", "learning_rate")
        if any(before["config"][k] != facts["config"][k] for k in same):
            raise ValueError(
                f"{directory} holds runs with other settings: {before['config']}. Give "
                "another --run-dir."
            )
        facts["runs"] = before["runs"]
    mixture = DATA[config.data]()
    for name in config.settings:
        for seed in range(config.seeds):
            key = f"{name}/{seed}"
            if key not in facts["runs"]:
                facts["runs"][key] = run(name, seed, mixture, config)
                write_json(path, facts | report.environment())
            last = facts["runs"][key]
            print(
                f"{name:16} seed {seed}: {last['modes'][-1]:2} of "
                f"{len(mixture.centres)} modes, {last['quality'][-1]:.1%} good samples"
            )
    first = {name: facts["runs"][f"{name}/0"] for name in config.settings}
    pictures.write_animation(directory / "samples.gif", frames(mixture, first))
    pictures.write_figure(directory / "modes.png", curves(mixture, first, config.steps))
    for name in config.settings:
        finals = [
            facts["runs"][f"{name}/{s}"]["modes"][-1] for s in range(config.seeds)
        ]
        whole = sum(modes == len(mixture.centres) for modes in finals)
        print(f"{name:16} covers all modes in {whole} of {config.seeds} seeds")
    names = ("samples.gif", "modes.png", "report.json")
    print("\nWrote\n" + "\n".join(f"  {directory / name}" for name in names))
    return facts
