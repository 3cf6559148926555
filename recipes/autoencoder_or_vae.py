"""Compares a plain autoencoder's latent space with a VAE's: where are the holes?

    zoo train autoencoder_or_vae      a minute; writes pictures and report.json

The same two networks with a code of two numbers, trained with and without the noise and
the KL term. The autoencoder reconstructs a little better, and nothing tells where its
codes lie: far from the prior, with gaps between, so that most random codes are far from
any image's. The VAE packs its codes where the prior has its mass.

Kingma & Welling 2013, https://arxiv.org/abs/1312.6114, figure 4; for samples of plain
autoencoders, Ghosh et al. 2020, https://arxiv.org/abs/1903.12436, section 4.
"""

from dataclasses import dataclass

import keras
import numpy as np
from scipy import spatial, stats

from zoo.data import images
from zoo.experiment import quality, report
from zoo.experiment.panels import Line, Panel, write_panels
from zoo.experiment.pictures import write_grid
from zoo.experiment.settings import Settings
from zoo.metrics import frechet_distance
from zoo.networks.autoencoders import Convolutional
from zoo.vae import VAE

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt")
CLASSES += ("sneaker", "bag", "ankle boot")


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    widths: tuple[int, ...] = (16, 32)
    """filters of each stage, of both models"""
    epochs: int = 4
    """passes over 10,000 images, of both models"""
    batch_size: int = 100
    """images per step"""
    side: int = 11
    """images on a side of the map of the latent space"""


def train(plain, pixels, config):
    """Returns a trained model: a plain autoencoder or a VAE."""
    keras.utils.set_random_seed(config.seed)
    choice = {"beta": 0.0, "deterministic": True} if plain else {}
    model = VAE(pixels.shape[1:], 2, Convolutional(config.widths), **choice)
    model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=10)
    model.fit(pixels, batch_size=config.batch_size, epochs=config.epochs, verbose=0)
    return model


def measure(model, pixels, codes, real, extract):
    """Returns what tells the two latent spaces apart."""
    logs = model.evaluate(pixels, batch_size=500, verbose=0, return_dict=True)
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=codes.shape)  # where samples are drawn from
    far = spatial.cKDTree(codes).query(wanted)[0]
    distances = (stats.kstest(column, "norm").statistic for column in codes.T)
    fake = extract(np.asarray(model.sample(len(pixels), seed=0))).features
    half = codes[rng.permutation(len(codes))] / 2 + codes / 2
    between = extract(np.asarray(model.decode(half.astype("float32")))).features
    return {
        "parameters": model.count_params(),
        "reconstruction": float(logs["reconstruction"]),
        "distance from the prior": float(max(distances)),
        "holes": float(np.mean(far > 0.1)),
        "frechet of samples": frechet_distance(real, fake),
        "frechet half-way": frechet_distance(real, between),
    }


def map_of(model, codes, side):
    """Decodes a lattice over the middle 95 % of the codes, top to bottom."""
    low, high = np.quantile(codes, [0.025, 0.975], axis=0)
    x, y = (np.linspace(a, b, side) for a, b in zip(low, high, strict=True))
    lattice = np.stack(np.meshgrid(x, y[::-1]), axis=-1).reshape(-1, 2)
    return np.asarray(model.decode(lattice.astype("float32")))


def main(config):
    """Trains both, measures, shows and prints; returns the report."""
    (pixels, _), (test, labels) = map(images.load, 2 * ["embedded"], ["train", "test"])
    pixels, test = (x.astype("float32") / 255.0 for x in (pixels, test))
    extract = quality.extractor_of("embedded").extract
    real = extract(test).features
    found, panels, maps, samples = {}, [], [], []
    for name in ("autoencoder", "VAE"):
        model = train(name == "autoencoder", pixels, config)
        mean, log_variance = (np.asarray(x) for x in model.encode(test))
        noise = np.random.default_rng(1).normal(size=mean.shape)
        codes = mean + (name == "VAE") * np.exp(0.5 * log_variance) * noise
        found[name] = measure(model, test, codes, real, extract)
        lines = [
            Line(*codes[labels == k].T, label, f"C{k}.")
            for k, label in enumerate(CLASSES)
        ]
        circle = 2.0 * np.exp(2j * np.pi * np.linspace(0, 1, 100))
        lines.append(Line(circle.real, circle.imag, "86 % of the prior", "k-"))
        panels.append(Panel(f"codes of the {name}", lines, {"aspect": "equal"}))
        maps.append(map_of(model, codes, config.side))
        few = test[:2], test[2:4]
        samples += [model.sample(10, seed=0), *model.interpolate(*few, steps=10)]
        print(f"{name:12}", *(f"{k} {v:.4g}," for k, v in found[name].items()))
    directory = config.directory("autoencoder_or_vae")
    paths = [directory / f"{name}.png" for name in ("codes", "maps", "samples")]
    write_panels(paths[0], panels, legend_below=True)
    rows = [m.reshape(config.side, config.side, *m.shape[1:]) for m in maps]
    gap = np.ones_like(rows[0][:, :1])
    both = np.concatenate([rows[0], gap, rows[1]], axis=1)  # side by side, row by row
    both = both.reshape(-1, *both.shape[2:])
    write_grid(paths[1], both, 2 * config.side + 1, scale=1)
    write_grid(paths[2], np.concatenate(samples), 10, scale=2)
    return report.finish("autoencoder_or_vae", config, found, paths)
