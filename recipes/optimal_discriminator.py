"""Shows what a discriminator learns, and which loss a generator learns from.

    zoo train optimal_discriminator   half a minute; writes a picture and report.json

Real and fake points come from two known Gaussians. The best discriminator between them
is `p / (p + q)`, of value `-log 4 + 2 JS`; a trained one comes close to both. Through a
logit `a` the generator gets `-sigmoid(a)` from the minimax loss, which vanishes where
fakes are surely recognised, and `-(1 - sigmoid(a))` from the non-saturating one.

Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, sections 3 and 4.1.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from zoo.experiment import report
from zoo.experiment.panels import Line, Panel, lines, write_panels
from zoo.experiment.settings import Settings
from zoo.training import losses
from zoo.training.divergences import gaussian_jensen_shannon
from zoo.training.gaussians import gaussian


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    gap: float = 2.0
    """between the means, in standard deviations of the real points: some overlap"""
    stddev: float = 0.7
    """of the fake points; not 1, so that the best logit is no straight line"""
    steps: int = 1500
    """updates of the discriminator"""
    batch_size: int = 1024
    """points of each kind in an update: noise of the value is a hundredth"""
    learning_rate: float = 3e-3
    """Adam's, at the start; falls to nothing along half a cosine"""


def train(config):
    """Trains a discriminator; returns it and its value at each step, nats."""
    hidden, logit = keras.layers.Dense(64, "gelu"), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((1,)), hidden, logit])
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)

    @tf.function
    def update():
        real, fake = tf.unstack(tf.random.normal((2, config.batch_size, 1)))
        fake = config.gap + config.stddev * fake
        with tf.GradientTape() as tape:
            each = losses.minimax_discriminator(model(real), model(fake))
            loss = tf.reduce_mean(each)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return -loss

    return model, np.array([float(update()) for _ in range(config.steps)])


def slopes(logits):
    """Yields the gradient of each generator's loss with respect to its logits."""
    logit = tf.constant(logits[:, None], tf.float32)
    for loss in (losses.saturating_generator, losses.non_saturating_generator):
        with tf.GradientTape() as tape:
            tape.watch(logit)
            value = loss(logit)
        yield tape.gradient(value, logit)[:, 0].numpy()


def panels_of(x, p, q, trained, values, best, logits):
    """Returns the discriminator, its value over training, and the two gradients."""
    steps, ends = np.arange(len(values)), [0, len(values)]
    saturating, non_saturating = slopes(logits)
    areas = [Line(x, p, "real, p", "area"), Line(x, q, "fake, q", "area")]
    best_d = Line(x, p / (p + q), "p / (p + q)")
    found = Line(x, trained, "trained", "k--")
    value = [
        Line(steps, values, "trained, a batch each"),
        Line(ends, [best, best], "-log 4 + 2 JS", "k--"),
        Line(ends, [-np.log(4)] * 2, "-log 4: it cannot tell", "k:"),
    ]
    sizes = {"saturating": -saturating, "non-saturating": -non_saturating}
    label = {"xlabel": "logit of a fake"}
    return [
        Panel("probability of being real", [*areas, best_d, found], {"xlabel": "x"}),
        Panel("value, nats", value, {"xlabel": "step"}),
        Panel("size of the generator's gradient", lines(logits, sizes), label),
    ]


def main(config):
    """Trains, compares with theory, shows and prints; returns the report."""
    if not config.stddev > 0:
        raise ValueError(f"--stddev must be above 0. Received {config.stddev}.")
    keras.utils.set_random_seed(config.seed)
    model, values = train(config)
    x = np.linspace(-3.0, config.gap + 3.0 * config.stddev, 400)
    p, q = stats.norm.pdf(x), stats.norm.pdf(x, config.gap, config.stddev)
    trained = tf.sigmoid(model(x[:, None]))[:, 0].numpy()
    fake = gaussian(config.gap, config.stddev**2)
    best = 2.0 * gaussian_jensen_shannon(gaussian(0.0, 1.0), fake) - float(np.log(4.0))
    logits = np.linspace(-8.0, 8.0, 201)
    saturating, non_saturating = (float(g[0]) for g in slopes(logits))
    error = float(np.average(np.abs(trained - p / (p + q)), weights=p + q))  # as seen
    value = float(values[-len(values) // 5 :].mean())
    results = {"error": error, "value": value, "best_value": best}
    results |= {"saturating": saturating, "non_saturating": non_saturating}
    path = config.directory("optimal_discriminator") / "optimal_discriminator.png"
    write_panels(path, panels_of(x, p, q, trained, values, best, logits))
    print(f"The discriminator is {error:.4f} from p / (p + q) on average.")
    print(f"Its value is {value:.3f} nats; -log 4 + 2 JS is {best:.3f}.")
    print(f"Gradients at logit -8: {saturating:.1e}; non-saturating {non_saturating}.")
    return report.finish("optimal_discriminator", config, results, [path])
