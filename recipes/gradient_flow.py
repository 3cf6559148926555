"""Measures how far back gradients reach: simple, GRU and LSTM networks, and attention.

    zoo train gradient_flow           writes gradient_flow.png and report.json

A long-memory task: the first of `steps` symbols is to be named at the end, what lies
between is noise. At initialisation, the norm of the loss's gradient with respect to the
state after step t shows whether a mistake at the end can teach the beginning: it dies
out (Bengio et al. 1994), blows up where the recurrent matrix is stretched, and jumps
over the distance by attention. Clipping by the norm of the whole gradient (Pascanu et
al. 2013, https://arxiv.org/abs/1211.5063, section 3.2) bounds the explosion, but brings
back nothing that has vanished.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from zoo.experiment import report
from zoo.experiment.pictures import write_figure
from zoo.experiment.settings import Settings


@dataclass(frozen=True)
class Config(Settings):
    """Every number this recipe depends on, and why."""

    renamed = {"clip": "clip_norm"}

    steps: int = 100
    """length of a sequence"""
    units: int = 64
    """width of the networks"""
    symbols: int = 8
    """kinds of inputs, one-hot"""
    batch_size: int = 64
    """sequences that a norm is averaged over"""
    stretch: float = 1.5
    """factor on the recurrent matrix, where it shall explode"""
    clip_norm: float = 1.0
    """largest norm of the gradient of all weights together"""


def networks(config):
    """Returns `{name: (cell, whether attention reads all states)}`, fresh."""
    layers, units = keras.layers, config.units
    stretched = keras.initializers.Orthogonal(config.stretch, seed=config.seed)
    linear = {"activation": "linear", "recurrent_initializer": stretched}
    shrunk = keras.initializers.Orthogonal(0.9, seed=config.seed)
    return {
        "simple": (layers.SimpleRNNCell(units, recurrent_initializer=shrunk), False),
        "simple, stretched": (layers.SimpleRNNCell(units, **linear), False),
        "GRU": (layers.GRUCell(units), False),
        "LSTM": (layers.LSTMCell(units), False),
        "LSTM with attention": (layers.LSTMCell(units), True),
    }


def flow(config, cell, attention):
    """Measures one network on one batch.

    Args:
        config: A `Config`.
        cell: A Keras recurrent cell.
        attention: Whether the last state attends to all, by scaled dot products,
            instead of being all the classifier sees.

    Returns:
        `(norms, before, after)`: the mean norm of the gradient with respect to the
        output after each step, `(steps,)`, and the norm of that of all weights before
        and after clipping.
    """
    symbols = tf.random.stateless_uniform(
        (config.batch_size, config.steps), (config.seed, 0), 0, config.symbols, tf.int32
    )
    inputs = tf.one_hot(symbols, config.symbols)
    classify = keras.layers.Dense(config.symbols)
    with tf.GradientTape() as tape:
        state = cell.get_initial_state(config.batch_size)
        state, outputs = state if isinstance(state, list) else [state], []
        for step in range(config.steps):
            output, state = cell(inputs[:, step], state)
            outputs.append(output)
        last = outputs[-1]
        if attention:
            table = tf.stack(outputs, axis=1)
            scores = tf.einsum("bu,btu->bt", last, table) / config.units**0.5
            last += tf.einsum("bt,btu->bu", tf.nn.softmax(scores), table)
        loss = keras.ops.mean(
            keras.losses.sparse_categorical_crossentropy(
                symbols[:, 0], classify(last), from_logits=True
            )
        )
    weights = cell.trainable_variables + classify.trainable_variables
    found = tape.gradient(loss, [*outputs, *(w.value for w in weights)])
    of_outputs, of_weights = found[: config.steps], found[config.steps :]
    # In float64: the square of a norm of 1e-23 is 0 in float32.
    doubles = [tf.cast(g, tf.float64) for g in of_outputs]
    norms = np.array([np.mean(tf.norm(g, axis=1)) for g in doubles])
    clipped, before = tf.clip_by_global_norm(of_weights, config.clip_norm)
    return norms, float(before), float(tf.linalg.global_norm(clipped))


def figure_of(norms):
    """Returns the norms of all networks over time as a figure."""
    figure = Figure((7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for name, values in norms.items():
        axes.semilogy(range(1, len(values) + 1), values, label=name)
    axes.set(xlabel="step t", ylabel="norm of dLoss / dh(t)")
    axes.legend()
    return figure


def main(config):
    """Measures all networks, prints and shows; returns the report."""
    if config.symbols < 2:
        raise ValueError(f"--symbols must be 2 or more. Received {config.symbols}.")
    keras.utils.set_random_seed(config.seed)
    results, norms = {}, {}
    print(f"{'':20} {'first / last norm':>18} {'weights':>10} {'clipped':>8}")
    for name, (cell, attention) in networks(config).items():
        norms[name], before, after = flow(config, cell, attention)
        if not np.isfinite([*norms[name], before]).all():
            raise ValueError(
                f"The gradient of {name!r} is beyond what a float holds. Lower --steps "
                f"or --stretch. Received {config.steps}, {config.stretch}."
            )
        ratio = float(norms[name][0] / norms[name][-1])
        results[name] = {"first_to_last": ratio, "weights": before, "clipped": after}
        print(f"{name:20} {ratio:18.2e} {before:10.2e} {after:8.2e}")
    path = config.directory("gradient_flow") / "gradient_flow.png"
    write_figure(path, figure_of(norms))
    return report.finish("gradient_flow", config, results, [path])
