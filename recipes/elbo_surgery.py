"""Takes a VAE's KL term apart, and trades reconstruction against samples.

    zoo train elbo_surgery            3 minutes; writes a picture and report.json

The mean KL divergence of a VAE's posteriors from its prior is the mutual information of
images and codes plus the divergence of the average posterior from the prior, which
makes samples bad: the decoder has not seen such codes. A prior fitted to the shipped
model's codes lowers that part alone; the divergence's weight lambda trades the two.

Hoffman & Johnson 2016, "ELBO surgery", section 2; VampPrior, Tomczak & Welling 2018,
https://arxiv.org/abs/1705.07120; Tran et al. 2022, https://arxiv.org/abs/2101.02149.
"""

from dataclasses import dataclass

import keras
import numpy as np
from sklearn.mixture import GaussianMixture

from zoo.data import images
from zoo.deploy import presets
from zoo.experiment import quality, report
from zoo.experiment.panels import Line, Panel, lines, write_panels
from zoo.experiment.settings import Settings
from zoo.metrics import frechet_distance
from zoo.metrics.latent import kl_decomposition
from zoo.networks.autoencoders import Convolutional
from zoo.training.distributions import MixtureOfGaussians, VampPrior
from zoo.vae import VAE


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    components: int = 100
    """of each fitted prior; codes of ten clothes lie in many clusters"""
    steps: int = 200
    """updates of the VampPrior's pseudo-inputs, of 500 codes each"""
    weights: tuple[float, ...] = (0.1, 1.0, 5.0, 20.0)
    """lambda, of the Cauchy-Schwarz divergence in the small models; none skips them"""
    epochs: int = 3
    """passes over 10,000 images for each lambda: they differ long before they end"""


def codes_of(model, pictures, seed):
    """Returns the posteriors' means and log-variances, and a code of each."""
    mean, log_variance = (np.asarray(x) for x in model.encode(pictures))
    noise = np.random.default_rng(seed).normal(size=mean.shape)
    return mean, log_variance, (mean + np.exp(0.5 * log_variance) * noise).astype("f4")


def parts_of(train, test, config):
    """Returns `{prior: parts of the shipped model's KL term on test images}`, nats."""
    model = presets.load("vae_fashion_mnist")
    learned = codes_of(model, train, config.seed)[2]
    *posteriors, codes = codes_of(model, test, config.seed + 1)
    mixture = GaussianMixture(config.components, random_state=config.seed).fit(learned)
    vamp = VampPrior(config.components)
    vamp.attach(train.shape[1:], codes.shape[1])
    vamp.pseudo_inputs.assign(train[: config.components])
    some = np.random.default_rng(config.seed).choice(learned, (config.steps, 500))
    vamp.fit(some, model.encode, keras.optimizers.Adam(3e-2))
    log_priors = {
        "its own": model.prior.log_density(codes, model.encode),
        "mixture": mixture.score_samples(codes),
        "VampPrior": vamp.log_density(codes, model.encode),
    }
    return {k: kl_decomposition(*posteriors, codes, v) for k, v in log_priors.items()}


def trade(train, test, config):
    """Yields reconstruction, nats per image, and Frechet distance for each lambda."""
    extract = quality.extractor_of("embedded").extract
    real = extract(test).features
    for weight in config.weights:
        keras.utils.set_random_seed(config.seed)
        settings = (None, MixtureOfGaussians(50), "cauchy_schwarz", weight)
        model = VAE(test.shape[1:], 10, Convolutional((16, 32)), *settings)
        model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=10)
        model.fit(train, batch_size=100, epochs=config.epochs, verbose=0)
        logs = model.evaluate(test, batch_size=500, verbose=0, return_dict=True)
        fake = extract(np.asarray(model.sample(len(test), seed=0))).features
        yield float(logs["reconstruction"]), float(frechet_distance(real, fake))


def panels_of(parts, traded, weights):
    """Returns the parts of the KL term by prior, and the trade by lambda."""
    names = ("kl", "mutual_information", "marginal_kl")
    curves = {name: [part[name] for part in parts.values()] for name in names}
    axes = {"xticks": range(3), "xticklabels": parts, "ylim": (0, None)}
    pairs = zip(weights, traded, strict=True)
    points = [Line(*np.transpose([at]), f"lambda {w:g}", "o") for w, at in pairs]
    labels = {"xlabel": "reconstruction, nats", "ylabel": "samples: Frechet distance"}
    return [
        Panel("shipped VAE by prior, nats", lines(range(3), curves, "o--"), axes),
        Panel("Cauchy-Schwarz autoencoders", points, labels),
    ]


def main(config):
    """Measures, trains, shows and prints; returns the report."""
    pixels = (images.load("embedded", part)[0] for part in ("train", "test"))
    train, test = (x / np.float32(255.0) for x in pixels)
    parts = parts_of(train, test, config)
    traded = list(trade(train, test, config))
    path = config.directory("elbo_surgery") / "elbo_surgery.png"
    write_panels(path, panels_of(parts, traded, config.weights))
    print(
        "KL {kl:.2f} nats, information {mutual_information:.2f}".format(
            **parts["its own"]
        )
    )
    print("Marginal KL:", *(f"{k} {v['marginal_kl']:.2f}," for k, v in parts.items()))
    rows = zip(config.weights, traded, strict=True)
    print(*(f"lambda {w:g}: {n:.1f} nats, Frechet {d:.2f};" for w, (n, d) in rows))
    results = {"images": len(test), "priors": parts, "trade": traded}
    return report.finish("elbo_surgery", config, results, [path])
