import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks.recurrent import Decoder, Encoder, Recurrent, attend


def sentences(count=3, time=6, width=4, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, time, width)).astype("float32")
    return tf.constant(vectors), tf.constant([6, 3, 1][:count])


def keras_bidirectional(cell, encoder):
    """Returns Keras' own layer with the weights of one layer of ours."""
    units = encoder.recurrent.units
    layer = (
        keras.layers.LSTM(units, return_sequences=True)
        if cell == "lstm"
        else keras.layers.GRU(units, return_sequences=True, reset_after=False)
    )
    both = keras.layers.Bidirectional(layer)
    both.build((None, None, 4))
    weights = []
    for kernel, bias, matrices in encoder.cells[0]:
        found = [
            kernel.numpy(),
            np.concatenate([m.numpy() for m in matrices], 1),
            bias.numpy(),
        ]
        if cell == "gru":  # Keras has the update gate first
            order = [
                *range(units, 2 * units),
                *range(units),
                *range(2 * units, 3 * units),
            ]
            found = [part[..., order] for part in found]
        weights.extend(found)
    both.set_weights(weights)
    return both


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("training", [False, True])
def test_encoder_and_its_gradient_equal_keras(cell, training):
    encoder = Encoder(Recurrent(cell, units=5))
    vectors, lengths = sentences()
    encoder(vectors, lengths)
    for _, bias, _ in encoder.cells[0]:  # so that a misplaced bias shows
        bias.assign(np.linspace(-1, 1, bias.shape[0]))
    peer = keras_bidirectional(cell, encoder)
    mask = tf.sequence_mask(lengths)
    weigh = tf.random.stateless_normal((3, 6, 10), (0, 1)) * tf.cast(
        mask[..., None], tf.float32
    )

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(vectors)
        outputs, last = encoder(vectors, lengths, training=training)
        expected = peer(vectors, mask=mask)
        ours, theirs = (tf.reduce_sum(weigh * out) for out in (outputs, expected))
    real = mask.numpy()
    np.testing.assert_allclose(outputs[real], expected[real], atol=1e-6)
    np.testing.assert_allclose(
        last[:, :5], [expected[i, n - 1, :5] for i, n in enumerate(lengths)], atol=1e-6
    )
    np.testing.assert_allclose(last[:, 5:], expected[:, 0, 5:], atol=1e-6)

    np.testing.assert_allclose(
        tape.gradient(ours, vectors), tape.gradient(theirs, vectors), atol=1e-5
    )
    for place, (kernel, bias, matrices) in enumerate(encoder.cells[0]):
        found = [tape.gradient(ours, v.value) for v in (kernel, *matrices, bias)]
        wanted = [tape.gradient(theirs, v.value) for v in peer.trainable_variables]
        wanted = wanted[3 * place : 3 * place + 3]
        if cell == "gru":
            order = [*range(5, 10), *range(5), *range(10, 15)]
            wanted = [part.numpy()[..., order] for part in wanted]
        np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)
        np.testing.assert_allclose(
            np.concatenate(found[1:-1], axis=1), wanted[1], atol=1e-5
        )
        np.testing.assert_allclose(found[-1], wanted[2], atol=1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def decode_by_hand(decoder, vectors, last, outputs, lengths):
    """The docstring of `Decoder` for one LSTM layer, in NumPy and float64."""
    (kernel, bias, (recurrent,)), *_ = decoder.cells
    kernel, bias, recurrent = (
        w.numpy().astype("float64") for w in (kernel, bias, recurrent)
    )
    names = ("bridge", "keys", "query", "score", "view", "view_bias")
    bridge, keys, query, score, view, view_bias = (
        getattr(decoder, name).numpy().astype("float64") for name in names
    )
    readouts, alignments = [], []
    for x, end, h, length in zip(vectors, last, outputs, lengths, strict=True):
        h = h[:length]
        s, c = np.split(np.tanh(end @ bridge), 2)
        readout = np.zeros(decoder.readout)
        for vector in x:
            gates = vector @ kernel + bias + np.concatenate([readout, s]) @ recurrent
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            s = sigmoid(o) * np.tanh(c)
            energy = np.tanh(s @ query + h @ keys) @ score[:, 0]
            weights = np.exp(energy) / np.exp(energy).sum()
            readout = np.tanh(np.concatenate([s, weights @ h]) @ view + view_bias)
            readouts.append(readout)
            alignments.append(np.pad(weights, (0, outputs.shape[1] - length)))
    shape = (len(vectors), len(vectors[0]), -1)
    return np.reshape(readouts, shape), np.reshape(alignments, shape)


@pytest.fixture
def task():
    rng = np.random.default_rng(1)
    vectors = tf.constant(rng.normal(size=(3, 4, 4)), tf.float32)
    last = tf.constant(rng.normal(size=(3, 10)), tf.float32)
    outputs = tf.constant(rng.normal(size=(3, 6, 10)), tf.float32)
    return vectors, last, outputs, tf.constant([6, 3, 1])


@pytest.mark.parametrize("training", [False, True])
def test_decoder_computes_its_formulas(task, training):
    decoder = Decoder(Recurrent(units=5), readout=3)
    readouts = decoder(*task, training=training)
    expected, alignments = decode_by_hand(decoder, *(np.array(part) for part in task))
    np.testing.assert_allclose(readouts, expected, atol=1e-6)

    vectors, last, outputs, lengths = task
    states, memory = decoder.start(last), decoder.memory(outputs, lengths)
    for place in range(4):
        readout, weights, states = decoder.step(vectors[:, place], states, memory)
        np.testing.assert_allclose(readout, expected[:, place], atol=1e-6)
        np.testing.assert_allclose(weights, alignments[:, place], atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("attention", [True, False])
def test_hoisted_gradient_equals_that_of_the_plain_loop(task, cell, attention):
    decoder = Decoder(Recurrent(cell, 5, layers=3, residual=True), attention)
    vectors, last, outputs, lengths = task
    given = (outputs, lengths) if attention else ()
    gradients = []
    for training in (False, True):  # only training hoists
        with tf.GradientTape() as tape:
            tape.watch([vectors, last, outputs])
            out = decoder(vectors, last, *given, training=training)
            loss = tf.reduce_sum(out * tf.cos(10 * out))
        sources = [vectors, last, *decoder.trainable_variables]
        gradients.append(tape.gradient(loss, sources + [outputs] * attention))
    for plain, hoisted in zip(*gradients, strict=True):
        assert np.abs(plain).max() > 1e-3
        np.testing.assert_allclose(hoisted, plain, rtol=1e-4, atol=1e-5)


def test_each_gate_starts_as_a_matrix_of_its_own():
    """Keras' initializer, of all gates at once, would start them at half the size."""
    decoder = Decoder(Recurrent(units=64))
    decoder.build((None, None, 64), (None, 64), (None, None, 64))
    alone = keras.initializers.GlorotUniform(seed=0)((64, 64)).numpy().std()
    matrices = {w.path.split("/")[-1]: w.numpy() for w in decoder.weights}
    for name in ("layer_0_kernel", "bridge"):
        assert matrices[name].std() == pytest.approx(alone, rel=0.05)
    # the recurrent one reads the last readout too: twice the inputs
    spread = matrices["layer_0_recurrent_0"].std()
    assert spread == pytest.approx(alone * np.sqrt(2 / 3), rel=0.05)


def test_no_sentence_at_all_is_no_crash():
    """As a replica's share of a small batch may be; sizes unknown, as in `fit`."""
    shapes = [(None, 3), (None, None, 3), (None, None, 4), (None, None), (3, 1)]

    @tf.function(input_signature=[tf.TensorSpec(shape) for shape in shapes])
    def run(*tensors):
        return attend(*tensors)

    sizes = [(0, 3), (0, 5, 3), (0, 5, 4), (0, 5), (3, 1)]
    mean, weights = run(*map(tf.zeros, sizes))
    assert mean.shape == (0, 4) and weights.shape == (0, 5)


def test_one_sentence_may_have_several_rows(task):
    decoder = Decoder(Recurrent(units=5))
    vectors, last, outputs, lengths = task
    decoder(*task)
    memory = decoder.memory(outputs, lengths)
    twice = tuple(tf.repeat(s, 2, axis=0) for s in decoder.start(last))
    rows = tf.reshape(vectors[:, :2], (6, 4))
    both, _, _ = decoder.step(rows, twice, memory)
    for place in range(2):
        one, _, _ = decoder.step(vectors[:, place], decoder.start(last), memory)
        np.testing.assert_allclose(both[place::2], one, atol=1e-6)


def test_dropout_is_of_training_alone(task):
    decoder = Decoder(Recurrent(units=8, layers=2, dropout=0.5))
    first, again = decoder(*task, training=True), decoder(*task, training=True)
    assert np.any(np.abs(first - again) > 1e-3)
    assert 0.3 < np.mean(first == 0) < 0.7  # the readouts are dropped too
    np.testing.assert_array_equal(decoder(*task), decoder(*task))


def test_dropout_keeps_the_mean():
    layer = Decoder(Recurrent(units=8, dropout=0.25))
    dropped = np.asarray(layer.dropout(tf.ones((300, 100)), training=True))
    np.testing.assert_allclose(np.unique(dropped), [0.0, 1 / 0.75], rtol=1e-6)
    np.testing.assert_allclose(dropped.mean(), 1.0, atol=0.02)


def test_dropout_is_of_what_a_layer_reads_not_of_what_it_is_added_to(task):
    vectors, last, _, _ = task
    decoder = Decoder(Recurrent(units=8, layers=2, residual=True), attention=False)
    decoder(vectors, last)
    decoder.bridge.assign(tf.zeros_like(decoder.bridge))
    for weight in decoder.weights:
        if "layer_1" in weight.path:  # this layer's output is 0 now
            weight.assign(tf.zeros_like(weight))
    readouts = []
    for masks in ((), (tf.zeros((3, 8)),)):
        pairs = zip(decoder.matrices(), decoder.offsets(vectors[:, 0]), strict=True)

        def product(x, pairs=pairs):
            matrix, offset = next(pairs)
            return x @ matrix + offset

        _, readout, _ = decoder.advance(product, decoder.start(last), (), masks)
        readouts.append(readout.numpy())
    assert np.abs(readouts[0]).max() > 0.1
    np.testing.assert_array_equal(*readouts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "rnn"}, "'lstm' or 'gru'.*Received: .*cell='rnn'"),
        ({"layers": 5}, "`layers` from 1 to 4. Received: .*layers=5"),
        ({"dropout": 1.0}, "from 0 to below 1. Received: .*dropout=1.0"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(**settings)
