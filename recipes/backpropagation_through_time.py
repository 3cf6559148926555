"""Takes backpropagation through time apart: three steps by hand, then a hundred.

    zoo train backpropagation_through_time   seconds; a picture and report.json

A recurrent network uses one matrix at every step, so its gradient is a sum of a term
for each: written out in NumPy for three steps, it is what automatic differentiation
gives. The term of a step far back holds a product of Jacobians. Its singular values are
powers of the matrix's own in a linear cell, less where tanh saturates, and last along
an LSTM's cell whose forget gates are open. Clipping bounds the gradient's norm and
keeps its direction; nothing that vanished comes back.

Werbos 1990, https://doi.org/10.1109/5.58337; Pascanu et al. 2013,
https://arxiv.org/abs/1211.5063, sections 2 and 3.2; for the open forget gate,
Jozefowicz et al. 2015, https://proceedings.mlr.press/v37/jozefowicz15.html.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from zoo.experiment import report
from zoo.experiment.panels import Line, Panel, write_panels
from zoo.experiment.settings import Settings


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
    """Returns what each of three steps adds to the gradient of the error, for `w`.

    `h(t) = tanh(w h(t-1) + u x(t))` from 0; the error is half the square of h(3) - y.
    """
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
    plain, lstm = keras.layers.SimpleRNNCell, keras.layers.LSTMCell
    found = {}
    for gain, function in ((gains[0], None), (gains[1], None), (gains[1], "tanh")):
        matrix = keras.initializers.Orthogonal(gain, seed)
        settings = {"recurrent_initializer": matrix, "dtype": "float64"}
        name = f"{function or 'linear'}, {gain:g}"
        found[name] = plain(units, function, **settings)
    for name, open_by in (("LSTM", 1.0), ("LSTM, gates open", 5.0)):
        biases = np.repeat([0.0, open_by, 0.0, 0.0], units)  # the second: forget gates
        settings = {"bias_initializer": keras.initializers.Constant(biases)}
        found[name] = lstm(units, unit_forget_bias=False, dtype="float64", **settings)
    return found


def singular_values(cell, x):
    """Returns the largest and the smallest of each product of Jacobians, `(steps, 2)`.

    Of the state, of an LSTM its cell, by that at the start.
    """
    states = cell.get_initial_state(1)
    count = len(states) if isinstance(states, list) else 1
    flat = tf.zeros((1, count * cell.units), tf.float64)

    @tf.function
    def step(row, flat):
        with tf.GradientTape() as tape:
            tape.watch(flat)
            _, after = cell(row[None], tf.split(flat, count, axis=1))
            after = tf.concat(after, axis=-1)  # (1, count * units)
        return after, tape.batch_jacobian(after, flat)[0]

    found, product = [], np.eye(count * cell.units)
    for row in tf.constant(x):
        flat, jacobian = step(row, flat)
        product = jacobian.numpy() @ product
        block = product[-cell.units :, -cell.units :]  # (units, units)
        found.append(np.linalg.svd(block, compute_uv=False)[[0, -1]])
    return np.array(found)


def panels_of(terms, whole, products, gains, norms, clipped):
    """Returns the three terms, singular values over steps, and norms over gains."""
    whole, last = whole.ravel(), terms[2].ravel()
    hand = [Line(whole, last, "last step alone", "C1.")]
    hand.append(Line(whole, terms.sum(axis=0).ravel(), "all three", "C0."))
    values = []
    for index, (name, both) in enumerate(products.items()):
        for column, label, style in ((0, name, "-"), (1, "", ":")):
            y = both[:, column]
            values.append(Line(np.arange(1, len(y) + 1), y, label, f"C{index}{style}"))
    norm = [Line(gains, norms, "as it is", "o-"), Line(gains, clipped, "clipped", "s-")]
    logs = {"yscale": "log", "ylim": (1e-9, 1e9), "xlabel": "steps"}
    gain = {"yscale": "log", "xlabel": "singular values of the matrix"}
    labels = {"xlabel": "automatic", "ylabel": "by hand"}
    return [
        Panel("gradient over three steps", hand, labels),
        Panel("singular values; smallest dotted", values, logs),
        Panel("gradient's norm, linear cell", norm, gain),
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
    norms = [float(tf.norm(g)) for g in found]
    clipped = [float(tf.norm(tf.clip_by_norm(g, config.clip_norm))) for g in found]
    name = "backpropagation_through_time"
    path = config.directory(name) / f"{name}.png"
    write_panels(path, panels_of(terms, whole, products, gains, norms, clipped))
    last = {k: v[-1].tolist() for k, v in products.items()}
    error = float(np.abs(terms.sum(axis=0) - whole).max())
    print(f"By hand and automatic differ by {error:.0e} at most.")
    print(
        "Singular values:", *(f"{k}: {a:.1e} to {b:.1e};" for k, (b, a) in last.items())
    )
    print(
        f"Norms from {min(norms):.1e} to {max(norms):.1e}; clipped {max(clipped):.3g}."
    )
    results = {"difference": error, "singular_values": last}
    results |= {"gains": gains.tolist(), "norms": norms, "clipped": clipped}
    return report.finish(name, config, results, [path])
