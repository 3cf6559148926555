"""Takes backpropagation through time apart: three steps by hand, then a hundred.

    zoo train backpropagation_through_time   seconds; a picture and report.json

The gradient of a recurrent matrix is a sum over steps; that of a step far back holds a
product of Jacobians. Its singular values are powers in a linear cell, less where tanh
saturates, and last along an LSTM whose forget gates are open. Clipping bounds the norm.

Werbos 1990, https://doi.org/10.1109/5.58337; Pascanu et al. 2013,
https://arxiv.org/abs/1211.5063, sections 2 and 3.2.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from zoo.experiment import report
from zoo.experiment.panels import Panel, lines, write_panels
from zoo.experiment.settings import Settings
from zoo.networks.jacobians import singular_values


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    units: int = 32
    """of each cell"""
    steps: int = 100
    """over which Jacobians are multiplied"""
    gains: tuple[float, float] = (0.9, 1.2)
    """singular values of two recurrent matrices: gradients vanish, and explode"""
    clip_norm: float = 1.0
    """largest norm of a gradient once it is clipped"""


def by_hand(w, u, x, y):
    """Returns the terms of three steps in the gradient of `|h(3) - y|^2 / 2` by `w`."""
    h0 = np.zeros(len(w))
    h1 = np.tanh(w @ h0 + u @ x[0])  # (units,)
    h2 = np.tanh(w @ h1 + u @ x[1])
    h3 = np.tanh(w @ h2 + u @ x[2])
    # A delta is the error's slope before tanh, whose own slope is 1 - tanh^2.
    delta3 = (h3 - y) * (1.0 - h3**2)
    delta2 = (w.T @ delta3) * (1.0 - h2**2)  # one Jacobian further back
    delta1 = (w.T @ delta2) * (1.0 - h1**2)
    return np.stack([np.outer(delta1, h0), np.outer(delta2, h1), np.outer(delta3, h2)])


def automatic(w, u, x, y, activation=tf.tanh):
    """Returns the whole gradient as TensorFlow finds it, for any number of steps."""
    w, h = tf.constant(w), tf.zeros(len(y), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(w)
        for row in x:
            h = activation(tf.linalg.matvec(w, h) + u @ row)
        loss = 0.5 * tf.reduce_sum((h - y) ** 2)
    return tape.gradient(loss, w)  # (units, units)


def cells(units, gains, seed):
    """Returns `{name: cell}`, in float64, as products get small."""
    found, (low, high) = {}, gains
    for gain, function in ((low, None), (high, None), (high, "tanh")):
        cell = keras.layers.SimpleRNNCell(units, function, dtype="float64")
        cell.recurrent_initializer = keras.initializers.Orthogonal(gain, seed)
        found[f"{function or 'linear'}, {gain:g}"] = cell
    for name, bias in (("LSTM", 1.0), ("LSTM, gates open", 5.0)):
        found[name] = keras.layers.LSTMCell(units, dtype="float64")
        found[name].build((1, units))
        of_forget = np.arange(4 * units) // units == 1  # the second of four gates
        found[name].bias.assign(bias * of_forget)
    return found


def panels_of(terms, whole, products, gains, norms):
    """Returns the terms, the singular values over steps, and the norms over gains."""
    hand = {"last step alone": terms[2].ravel(), "all three": terms.sum(axis=0).ravel()}
    largest, smallest = ({k: v[:, c] for k, v in products.items()} for c in (0, 1))
    steps = np.arange(1, len(largest["LSTM"]) + 1)
    curves = lines(steps, largest)
    curves += [line._replace(label="") for line in lines(steps, smallest, ":")]
    logs = {"yscale": "log", "ylim": (1e-9, 1e9), "xlabel": "steps"}
    gain = {"yscale": "log", "xlabel": "singular values of the matrix"}
    labels = {"xlabel": "automatic", "ylabel": "by hand"}
    return [
        Panel("gradient over three steps", lines(whole.ravel(), hand, "."), labels),
        Panel("singular values; smallest dotted", curves, logs),
        Panel("gradient's norm, linear cell", lines(gains, norms, "o-"), gain),
    ]


def main(config):
    """Differentiates, multiplies, clips, shows and prints; returns the report."""
    keras.utils.set_random_seed(config.seed)
    rng, units = np.random.default_rng(config.seed), config.units
    x, y = rng.normal(size=(config.steps, units)), rng.normal(size=units)
    u, w = rng.normal(size=(2, units, units)) / units**0.5
    terms, whole = by_hand(w, u, x[:3], y), automatic(w, u, x[:3], y).numpy()
    chosen = cells(units, config.gains, config.seed)
    products = {name: singular_values(cell, x) for name, cell in chosen.items()}
    gains, turn = np.linspace(*config.gains, 13), np.linalg.qr(w)[0]
    found = [automatic(gain * turn, u, x, y, tf.identity) for gain in gains]
    clipped = [tf.clip_by_norm(g, config.clip_norm) for g in found]
    norms = {"norm": found, "clipped": clipped}
    norms = {k: [float(tf.norm(g)) for g in some] for k, some in norms.items()}
    name = "backpropagation_through_time"
    path = config.directory(name) / f"{name}.png"
    write_panels(path, panels_of(terms, whole, products, gains, norms))
    last = {k: v[-1].tolist() for k, v in products.items()}
    error = float(np.abs(terms.sum(axis=0) - whole).max())
    print(f"By hand and automatic differ by {error:.0e} at most.")
    ends = (f"{k}: {b:.0e} to {a:.0e};" for k, (a, b) in last.items())
    print("Singular values", *ends)
    print("Largest gradient:", *(f"{k} {max(v):.2g}" for k, v in norms.items()))
    results = {"difference": error, "singular_values": last, **norms}
    return report.finish(name, config, results, [path])
