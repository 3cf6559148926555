"""Recurrent layers: an encoder that reads sequences, a decoder that writes them.

    vectors --Encoder--> outputs, last        a vector a token, and one of the whole
    vectors, last --Decoder--> readouts       with `outputs` if it has attention

Both are a stack of LSTM or GRU layers described by `Recurrent`. Read in order: the
cells, `scan`, which runs them over time, the encoder, the decoder, its attention.
"""

import dataclasses
import math

import keras
import tensorflow as tf
from keras import layers

from zoo.networks.recurrence import CELLS, multiply, scan
from zoo.training.noise import uniform
from zoo.training.registry import Settings, register

#: Added to the attention score of padding.
NEVER = -1e9


@register
@dataclasses.dataclass(frozen=True)
class Recurrent(Settings):
    """Shape of a stack of recurrent layers.

    Args:
        cell: `"lstm"` (Hochreiter & Schmidhuber 1997, with a forget gate) or `"gru"`
            (Cho et al. 2014, https://arxiv.org/abs/1406.1078).
        units: Width of each layer, in an encoder of each direction.
        layers: From 1 to 4.
        dropout: Share of each layer's inputs that training sets to 0.
        residual: Adds the input of each layer but the first to its output.
    """

    cell: str = "lstm"
    units: int = 256
    layers: int = 1
    dropout: float = 0.0
    residual: bool = False

    def __post_init__(self):
        if self.cell not in CELLS or self.units < 1 or not 1 <= self.layers <= 4:
            raise ValueError(
                "`cell` is 'lstm' or 'gru', `units` 1 or more, `layers` from 1 to 4. "
                f"Received: {self}."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"`dropout` is a share from 0 to below 1. Received: {self}."
            )


# ------------------------------------------------------------------ encoder, decoder


def by_gate(inputs, units):
    """Returns the uniform initializer of Glorot & Bengio for each gate by itself.

    For the matrix of all gates Keras' own would count their units together and start
    smaller: a large network then learns little but the frequency of tokens for hundreds
    of steps.

    Args:
        inputs: Rows of the matrix.
        units: Columns of one gate.

    Source:
        Glorot & Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html,
        equation 16.
    """
    limit = math.sqrt(6.0 / (inputs + units))
    return keras.initializers.RandomUniform(-limit, limit)


class RecurrentLayer(layers.Layer):
    """What the encoder and the decoder share: a shape, weights and noise."""

    def __init__(self, recurrent=None, **kwargs):
        super().__init__(**kwargs)
        self.recurrent = recurrent or Recurrent()
        self.cell = CELLS[self.recurrent.cell]
        self.seed_generator = keras.random.SeedGenerator()
        # XLA would compile the loop anew, for seconds, at each length of a batch, as
        # Keras' `jit_compile="auto"` asks for on a GPU; Keras' LSTM says the same.
        self.supports_jit = False

    def add_cell(self, name, inputs, others):
        """Makes the weights of one layer in one direction.

        Args:
            name: Of the layer.
            inputs: Width of what is known for all steps at once; 0 for nothing.
            others: Width of what is read step by step, the layer's own output apart.

        Returns:
            `(kernel, bias, recurrent matrices)`, the first `None` without `inputs`.
        """
        units, gates = self.recurrent.units, sum(self.cell.gates)
        kernel = None
        if inputs:
            shape = (inputs, gates * units)  # all gates side by side: one product
            start = by_gate(inputs, units)
            kernel = self.add_weight(shape, start, name=f"{name}_kernel")
        bias = self.add_weight((gates * units,), self.cell.bias, name=f"{name}_bias")
        matrices = [
            self.add_weight(
                (others + units, count * units),
                by_gate(others + units, units),
                name=f"{name}_recurrent_{index}",
            )
            for index, count in enumerate(self.cell.gates)
        ]
        return kernel, bias, matrices

    def split(self, offset):
        """Splits what all products of a cell add along its last axis."""
        sizes = [count * self.recurrent.units for count in self.cell.gates]
        return tf.split(offset, sizes, axis=-1) if len(sizes) > 1 else [offset]

    def value(self, weight):
        """Returns a weight in the dtype of computation, in `call` or not."""
        return tf.cast(weight, self.compute_dtype)

    def dropout(self, x, training, shape=None):
        """Sets a share of `x` to 0 in training, with a coin for each entry.

        Args:
            x: Any tensor.
            training: Whether to do anything.
            shape: Of the coins, to be broadcast; that of `x` by default.
        """
        rate = self.recurrent.dropout
        if not training or not rate:
            return x
        chance = uniform(tf.shape(x) if shape is None else shape, self.seed_generator)
        # What is kept grows, so that the mean stays what it is without dropout.
        return x * tf.cast(chance >= rate, x.dtype) / (1.0 - rate)

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        recurrent = keras.saving.serialize_keras_object(self.recurrent)
        return {**super().get_config(), "recurrent": recurrent}

    @classmethod
    def from_config(cls, config):
        """Returns a layer with the settings that `get_config` described."""
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{**config, "recurrent": deserialize(config["recurrent"])})


@register
class Encoder(RecurrentLayer):
    """Reads a sequence in both directions.

    Both run in one loop, as a stack of two; the backward one reads each sentence from
    its last token on. Padding stays behind the end in either, so it changes nothing.

    Args:
        recurrent: A `Recurrent`.
        **kwargs: Passed to `keras.layers.Layer`.

    Shapes:
        in: `vectors` `(batch, time, width)` and `lengths` `(batch,)`, integer.
        out: the outputs `(batch, time, 2 * units)`, whatever beyond a length, and the
            last of both directions, `(batch, 2 * units)`.
    """

    def build(self, vectors_shape, lengths_shape=None):
        """Makes the weights."""
        width = vectors_shape[-1]
        self.cells = []
        for layer in range(self.recurrent.layers):
            directions = [
                self.add_cell(f"{direction}_{layer}", width, 0)
                for direction in ("forward", "backward")
            ]
            self.cells.append(directions)
            width = 2 * self.recurrent.units

    def call(self, vectors, lengths, training=False):
        """Returns `(outputs, last)`."""
        # An empty sentence is read as one padding, so that it has a last token.
        lengths = tf.maximum(tf.cast(lengths, tf.int32), 1)
        x = tf.transpose(vectors, (1, 0, 2))  # (time, batch, width)
        units = self.recurrent.units
        # Both directions are a stack of two in one loop: half as many steps.
        state = tf.zeros([2, x.shape[1] or tf.shape(x)[1], units], x.dtype)
        states = (state,) * self.cell.states  # (2, batch, units) each

        def step(product, states, _):
            states = self.cell.step(product, [], states)
            return states, states[0]

        for index, directions in enumerate(self.cells):
            dropped = self.dropout(x, training)
            ways = (dropped, backward(dropped, lengths))
            # What the gates get of the inputs, at all steps at once.
            offset = tf.stack(
                [
                    multiply(way, self.value(kernel)) + self.value(bias)
                    for way, (kernel, bias, _) in zip(ways, directions, strict=True)
                ],
                axis=1,
            )  # (time, 2, batch, gates * units)
            both = zip(*(matrices for _, _, matrices in directions), strict=True)
            weights = [tf.stack([self.value(m) for m in pair]) for pair in both]
            h = scan(step, weights, self.split(offset), states, (), training)
            ahead, back = tf.unstack(h, axis=1)  # (time, batch, units) each
            # Turned round again, so that both speak of the same token.
            both = tf.concat([ahead, backward(back, lengths)], axis=-1)
            x = x + both if self.recurrent.residual and index else both

        # The last that each direction read, the sentence's last token and its first:
        # one gather for both, as each costs a gradient of all of x.
        rows = tf.range(tf.shape(lengths)[0])
        ends = [
            tf.stack([at, rows], axis=1) for at in (lengths - 1, tf.zeros_like(rows))
        ]  # (batch, 2) places in (time, batch), twice
        ahead, back = tf.unstack(tf.gather_nd(x, tf.stack(ends)))
        last = tf.concat([ahead[:, :units], back[:, units:]], axis=-1)
        x = tf.transpose(x, (1, 0, 2))  # (batch, time, 2 * units)
        return tf.ensure_shape(x, (None, None, 2 * units)), last


def backward(x, lengths):
    """Reverses the first `lengths` steps of `(time, batch, width)`."""
    return tf.reverse_sequence(x, lengths, seq_axis=0, batch_axis=1)


@register
class Decoder(RecurrentLayer):
    """Writes a sequence, one vector a token, looking at the encoder's outputs.

    At each step the first layer reads the last token and the last readout; the last
    layer's output `s` weighs the encoder's outputs `h` by the softmax of
    `v' tanh(W s + U h)` (Bahdanau et al. 2015, appendix A.1.2); their mean `c` and `s`
    give the readout `tanh(R [s; c])`, from which the next token is predicted. `U h` is
    computed once for a sentence.

    Args:
        recurrent: A `Recurrent`.
        attention: Whether to look at the outputs; otherwise the readout is
            `tanh(R s)`, and all is known from the first state.
        readout: Width of the readout; `recurrent.units` by default.
        **kwargs: Passed to `keras.layers.Layer`.

    Shapes:
        in: `vectors` `(batch, time, width)` of the tokens before each, `last`
            `(batch, any)`, which makes the first state, and with attention the
            encoder's `outputs` `(batch, source, any)` and `lengths` `(batch,)`.
        out: `(batch, time, readout)`.
    """

    def __init__(self, recurrent=None, attention=True, readout=None, **kwargs):
        super().__init__(recurrent, **kwargs)
        self.attention = attention
        self.readout = readout or self.recurrent.units

    def build(self, vectors_shape, last_shape, outputs_shape=None, lengths_shape=None):
        """Makes the weights."""
        units, glorot = self.recurrent.units, "glorot_uniform"
        below, fed = vectors_shape[-1], self.readout * self.attention
        self.cells = [self.add_cell("layer_0", below, fed)]
        for layer in range(1, self.recurrent.layers):
            self.cells.append(self.add_cell(f"layer_{layer}", 0, units))
        states = self.recurrent.layers * self.cell.states
        shape = (last_shape[-1], states * units)
        start = by_gate(last_shape[-1], units)
        self.bridge = self.add_weight(shape, start, name="bridge")
        seen = units
        if self.attention:
            seen += outputs_shape[-1]
            shape = (outputs_shape[-1], units)
            self.keys = self.add_weight(shape, glorot, name="keys")
            self.query = self.add_weight((units, units), glorot, name="query")
            self.score = self.add_weight((units, 1), glorot, name="score")
        self.view = self.add_weight((seen, self.readout), glorot, name="readout")
        self.view_bias = self.add_weight((self.readout,), "zeros", name="readout_bias")

    def memory(self, outputs, lengths):
        """Returns what all steps of a sentence share, a tuple of `(batch, ...)`."""
        if not self.attention:
            return ()
        outputs = tf.cast(outputs, self.compute_dtype)
        keys = multiply(outputs, self.value(self.keys))  # (batch, source, units)
        mask = tf.sequence_mask(lengths, tf.shape(outputs)[1])  # (batch, source)
        return keys, outputs, tf.where(mask, 0.0, NEVER)

    def scoring(self):
        """Returns what `attend` needs besides the memory."""
        return (self.value(self.score),) if self.attention else ()

    def start(self, last):
        """Returns the state before the first token: a tuple of `(batch, any)`."""
        last = tf.cast(last, self.compute_dtype)
        states = tf.tanh(tf.matmul(last, self.value(self.bridge)))
        count = self.recurrent.layers * self.cell.states
        states = tf.split(states, count, axis=-1)  # (batch, units) each
        if self.attention:  # the readout before the first token: nothing
            rows = last.shape[0] or tf.shape(last)[0]
            states.append(tf.zeros([rows, self.readout], self.compute_dtype))
        return tuple(states)

    def state_widths(self):
        """Returns the width of each tensor that `start` returns."""
        units = [self.recurrent.units] * self.recurrent.layers * self.cell.states
        return units + [self.readout] * self.attention

    def memory_widths(self):
        """Returns the widths of the keys and of the values of `memory`."""
        return self.keys.shape[1], self.keys.shape[0]

    def advance(self, product, states, memory, masks=()):
        """Takes one step of all layers.

        Args:
            product: As for a cell of `zoo.networks.recurrence`.
            states: As `start` returned, or the step before.
            memory: Of `memory`, and of `scoring` behind it.
            masks: Of dropout, `(rows, units)` for each layer but the first.

        Returns:
            `(states, readout (rows, readout), attention (rows, source) or None)`.
        """
        carried, below, after = self.cell.states, [], []
        if self.attention:  # input feeding: the first layer reads the last readout
            *states, fed = states
            below = [fed]  # (rows, readout)
        for layer in range(self.recurrent.layers):
            own = tuple(states[layer * carried : (layer + 1) * carried])
            # Dropped is what a layer reads, not what its output is added to.
            read = [below[0] * masks[layer - 1]] if layer and masks else below
            own = self.cell.step(product, read, own)  # (rows, units) each
            after.extend(own)
            residual = self.recurrent.residual and layer
            below = [own[0] + below[0] if residual else own[0]]
        seen, weights = below[0], None  # (rows, units), the paper's s
        if self.attention:
            context, weights = attend(product(seen), *memory)
            seen = tf.concat([seen, context], axis=-1)  # [s; c]
        readout = tf.tanh(product(seen))  # (rows, readout)
        return (*after, *([readout] if self.attention else [])), readout, weights

    def matrices(self):
        """Returns the weights of all products, in the order `advance` uses them."""
        weights = [matrix for _, _, matrices in self.cells for matrix in matrices]
        weights += [self.query, self.view] if self.attention else [self.view]
        return [self.value(weight) for weight in weights]

    def offsets(self, vectors):
        """Returns what those products add, each `(..., outputs)`, given all tokens."""
        (kernel, bias, _), *others = self.cells
        vectors = tf.cast(vectors, self.compute_dtype)
        first = multiply(vectors, self.value(kernel)) + self.value(bias)
        rows = tf.shape(first)[:-1]  # (time, batch), or of one step (rows,)

        def spread(bias):  # the same at every step: (time, batch, outputs)
            return tf.broadcast_to(
                self.value(bias), tf.concat([rows, tf.shape(bias)], 0)
            )

        offsets = self.split(first)
        for _, bias, _ in others:
            offsets += self.split(spread(bias))
        if self.attention:  # the query has no bias
            offsets.append(spread(tf.zeros((self.recurrent.units,))))
        return [*offsets, spread(self.view_bias)]

    def call(self, vectors, last, outputs=None, lengths=None, training=False):
        """Returns the readouts, all tokens being known."""
        vectors = tf.transpose(vectors, (1, 0, 2))  # (time, batch, width)
        vectors = self.dropout(vectors, training)
        memory, states = self.memory(outputs, lengths), self.start(last)
        memory += self.scoring()
        masks = ()
        if training and self.recurrent.dropout:
            # One for all steps of a sentence (Gal & Ghahramani 2016,
            # https://arxiv.org/abs/1512.05287): noise would pile up in the recurrence.
            masks = tuple(
                self.dropout(tf.ones_like(states[0]), training)
                for _ in range(self.recurrent.layers - 1)
            )

        def step(product, states, constants):
            memory, masks = constants
            states, readout, _ = self.advance(product, states, memory, masks)
            return states, readout

        readouts = scan(
            step,
            self.matrices(),
            self.offsets(vectors),
            states,
            (memory, masks),
            training,
        )
        readouts = self.dropout(readouts, training)
        readouts = tf.transpose(readouts, (1, 0, 2))  # (batch, time, readout)
        return tf.ensure_shape(readouts, (None, None, self.readout))

    def step(self, vectors, states, memory):
        """Takes one step after the tokens with these vectors.

        Args:
            vectors: `(rows, width)`.
            states: As `start` returned, or the step before.
            memory: As `memory` returned, of as many rows or of one for several
                adjacent ones, as in a beam.

        Returns:
            `(readouts (rows, readout), attention (rows, source), states)`; without
            attention, `None` instead of it.
        """
        pairs = iter(zip(self.matrices(), self.offsets(vectors), strict=True))

        def product(x):
            matrix, offset = next(pairs)
            return tf.matmul(x, matrix) + offset

        memory = (*memory, *self.scoring())
        states, readouts, weights = self.advance(product, states, memory)
        return readouts, weights, states

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        return {
            **super().get_config(),
            "attention": self.attention,
            "readout": self.readout,
        }


def attend(query, keys, values, padding, score):
    """Returns the mean of `values` by the softmax of `score' tanh(query + keys)`.

    Args:
        query: `(rows, units)`; rows of one sentence are adjacent.
        keys: `(sentences, source, units)`.
        values: `(sentences, source, width)`.
        padding: `(sentences, source)` float32, `NEVER` where there is no token.
        score: `(units, 1)`.

    Returns:
        `(rows, width)` and the weights, `(rows, source)` float32.

    Source:
        Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473, section 3.1 and
        appendix A.1.2.
    """
    shape = tf.shape(keys)
    # At least 1: a replica's share of a small batch may hold no sentence.
    count = keys.shape[0] or tf.maximum(shape[0], 1)
    source = keys.shape[1] or shape[1]
    rows = query.shape[0] or tf.shape(query)[0]
    each, units = rows // count, keys.shape[-1]  # a beam's rows share their keys
    query = tf.reshape(query, [count, each, 1, units])
    energies = tf.tanh(query + tf.expand_dims(keys, 1))  # (count, each, source, units)
    # Flat: oneDNN's batched product with one column corrupts memory (TensorFlow 2.21).
    energies = tf.reshape(energies, [rows * source, units])
    scores = tf.reshape(tf.matmul(energies, score), [count, each, source])
    # In float32, as NEVER is beyond float16; exp(NEVER) is 0: padding gets no weight.
    scores = tf.cast(scores, tf.float32) + tf.expand_dims(padding, 1)
    weights = tf.nn.softmax(scores)  # (count, each, source), over the source
    # (count, each, source) times (count, source, width): no copy of values per row.
    mean = tf.matmul(tf.cast(weights, values.dtype), values)
    return (
        tf.reshape(mean, [rows, values.shape[-1]]),
        tf.reshape(weights, [rows, source]),
    )
