"""Sequence to sequence: recurrent networks with attention, from sentence to sentence.

Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly Learning to Align
and Translate", https://arxiv.org/abs/1409.0473, with the attention fed to the next step
as in Luong et al. 2015, https://arxiv.org/abs/1508.04025, section 3.3. With
`attention=False` the encoder-decoder of Sutskever et al. 2014,
https://arxiv.org/abs/1409.3215, which must squeeze a sentence into one vector.

    source --encoder--> outputs, last states --decoder, a token a step--> target

The networks are in `zoo.networks.recurrent`, how a trained model translates in
`zoo.text.translation`, how sentences become numbers in `zoo.text.vocabulary`; here is
the model that joins the networks and trains them.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo.networks.recurrent import Decoder, Encoder, Recurrent
from zoo.text import endpoints
from zoo.text.decoding import IMPOSSIBLE
from zoo.text.translation import MAX_SOURCE, Translator
from zoo.text.vocabulary import PADDING, START, Vocabulary
from zoo.training.model import Model, policy_of
from zoo.training.noise import next_seed, uniform
from zoo.training.registry import register
from zoo.training.step import mean_over_replicas, means, minimize, split, track
from zoo.training.teaching import Teaching


@register
class Perplexity(keras.metrics.Mean):
    """Logs the exponential of the mean of what it is given, nats per token."""

    def result(self):
        """Returns the effective number of tokens that the model hesitates between."""
        return tf.exp(super().result())


@register
class Seq2Seq(Translator, Model):
    """Learns to turn sentences into sentences.

    Args:
        source_vocabulary: `zoo.text.vocabulary.Vocabulary` of what is read.
        target_vocabulary: Of what is written.
        embedding_dim: Width of a token's vector, in both.
        encoder: A `Recurrent`; its units are of each direction.
        decoder: A `Recurrent`; its units are also those of the attention.
        attention: Whether the decoder looks back at the source.
        tied: Which tables of token vectors are one: `"none"`, `"decoder"` (its output
            layer is the table of its inputs; Press & Wolf 2017,
            https://arxiv.org/abs/1608.05859) or `"all"` (the encoder's too, for one
            vocabulary).
        teaching: A `Teaching`: label smoothing, scheduled sampling.
        **kwargs: Passed to `keras.Model`.

    Shapes:
        in: `(source, target)`, token ids `(batch, time)` each, int32, with the end
            token, without start, padded with 0 behind; a batch of `fit` likewise.
            Padding changes no number.
        out: `(batch, target time, target vocabulary)` float32 logits of each target
            token, given the source and the target before it.

    Raises:
        ValueError: If an argument is not one of the above, naming it.

    Logs:
        loss: Cross-entropy, nats per token over real tokens, in training against
            smoothed labels.
        nll: The same against the labels themselves.
        perplexity: `exp(nll)`, a number of tokens.
        accuracy: Share of the real tokens whose logit is the largest.

    Source:
        See the module; clip gradients by the optimizer's `global_clipnorm` (Pascanu et
        al. 2013, https://arxiv.org/abs/1211.5063).

    Example:
        >>> vocabulary = Vocabulary.learn(["one two", "1 2"], size=20)
        >>> model = Seq2Seq(vocabulary, vocabulary, embedding_dim=32, tied="all")
        >>> model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0))
        >>> ids = [vocabulary.encode(side) for side in (["one two"], ["1 2"])]
        >>> history = model.fit(text.batches(*ids, batch_size=1, seed=0), epochs=10)
        >>> model.translate(["one two"], beam=5)
    """

    #: LiteRT unpacks float16 weights anew at every token: several times as slow.
    preset_formats = ("float32", "dynamic")

    def __init__(
        self,
        source_vocabulary,
        target_vocabulary,
        embedding_dim=256,
        encoder=None,
        decoder=None,
        attention=True,
        tied="none",
        teaching=None,
        **kwargs,
    ):
        vocabularies = source_vocabulary, target_vocabulary
        if not all(isinstance(one, Vocabulary) for one in vocabularies):
            raise ValueError(
                "`source_vocabulary` and `target_vocabulary` are each a "
                f"`zoo.text.vocabulary.Vocabulary`. Received: {vocabularies}."
            )
        if tied not in ("none", "decoder", "all") or embedding_dim < 1:
            raise ValueError(
                "`tied` is 'none', 'decoder' or 'all', and `embedding_dim` a count. "
                f"Received tied={tied!r}, embedding_dim={embedding_dim}."
            )
        for name, given, kind in (
            ("encoder", encoder, Recurrent),
            ("decoder", decoder, Recurrent),
            ("teaching", teaching, Teaching),
        ):
            if given is not None and not isinstance(given, kind):
                raise ValueError(
                    f"`{name}` is a `{kind.__name__}`, such as {kind()}. Received: "
                    f"{given!r}."
                )
        if tied == "all" and source_vocabulary.pieces != target_vocabulary.pieces:
            raise ValueError(
                "tied='all' shares one table between both vocabularies: they must be "
                f"the same. Received {len(source_vocabulary)} and "
                f"{len(target_vocabulary)} pieces that differ."
            )
        super().__init__(**kwargs)
        self.source_vocabulary = source_vocabulary
        self.target_vocabulary = target_vocabulary
        self.embedding_dim = embedding_dim
        self.encoder_settings = encoder or Recurrent(units=256)
        self.decoder_settings = decoder or Recurrent(units=512)
        self.attention = attention
        self.tied = tied
        self.teaching = teaching or Teaching()

        with policy_of(self):
            size = len(target_vocabulary)
            # Vectors of about length 1: as an output layer's too, they start logits
            # at about 1.
            scale = keras.initializers.RandomNormal(stddev=embedding_dim**-0.5)
            self.target_table = layers.Embedding(
                size, embedding_dim, scale, name="target"
            )
            self.target_table.build(None)
            self.source_table = self.target_table
            if tied != "all":
                self.source_table = layers.Embedding(
                    len(source_vocabulary), embedding_dim, scale, name="source"
                )
                self.source_table.build(None)
            self.encoder = Encoder(self.encoder_settings, name="encoder")
            # A table can be the output layer's if readouts are as wide as its rows.
            readout = None if tied == "none" else embedding_dim
            self.decoder = Decoder(self.decoder_settings, attention, readout)
            vectors = (None, None, embedding_dim)  # (batch, time, embedding_dim)
            width = 2 * self.encoder_settings.units  # both directions
            self.encoder.build(vectors)
            self.encoder.built = True
            self.decoder.build(vectors, (None, width), (None, None, width))
            self.decoder.built = True
        if tied == "none":
            self.output_kernel = self.add_weight(
                (self.decoder.readout, size), "glorot_uniform", name="output_kernel"
            )
        self.output_bias = self.add_weight((size,), "zeros", name="output_bias")
        self.seed_generator = keras.random.SeedGenerator()
        self.trackers = means("loss", "nll", "accuracy")
        self.trackers["perplexity"] = Perplexity(name="perplexity")
        self.built = True

    # ---------------------------------------------------------------- the networks

    def encode(self, source, training=False):
        """Returns what the decoder needs of `(batch, time)` ids.

        The encoder's outputs `(batch, time, 2 * units)`, its last states
        `(batch, 2 * units)` and the source's lengths `(batch,)` int32.
        """
        lengths = tf.reduce_sum(tf.cast(source != PADDING, tf.int32), axis=1)
        vectors = self.source_table(source)  # (batch, time, embedding_dim)
        return *self.encoder(vectors, lengths, training=training), lengths

    def readouts(self, source, shown, training=False):
        """Returns the `(batch, target time, readout)` after each token shown."""
        outputs, last, lengths = self.encode(source, training)
        vectors = self.target_table(shown)  # (batch, target time, embedding_dim)
        return self.decoder(vectors, last, outputs, lengths, training=training)

    def output_weights(self):
        """Returns what makes logits of readouts, in the dtype of computation.

        A matrix `(readout, vocabulary)` and a bias `(vocabulary,)`.
        """
        if self.tied == "none":
            kernel = self.output_kernel
        else:
            kernel = tf.transpose(self.target_table.embeddings)
        parts = kernel, self.output_bias
        return (tf.cast(part, self.compute_dtype) for part in parts)

    def logits(self, readouts):
        """Returns the `(rows, vocabulary)` float32 logits of `(rows, readout)`."""
        kernel, bias = self.output_weights()
        # float32 from here on: half precision would round probabilities away.
        return tf.cast(tf.matmul(readouts, kernel) + bias, tf.float32)

    def call(self, inputs, training=False):
        """Returns the logits of all target tokens."""
        source, target = inputs
        readouts = self.readouts(source, before(target), training)
        # One product for all tokens: (batch * target time, readout) -> vocabulary.
        flat = self.logits(tf.reshape(readouts, (-1, self.decoder.readout)))
        return tf.reshape(flat, (*tf.unstack(tf.shape(target)), flat.shape[-1]))

    # ----------------------------------------------------------------- training

    def losses_on(self, source, target, shown, training):
        """Returns the values to log, each of one entry per real token of the batch.

        Args:
            source: `(batch, time)` ids.
            target: `(batch, target time)` ids, to be predicted.
            shown: Of the same shape, what the decoder reads before each of them.
            training: Whether to drop inputs and to smooth labels.
        """
        readouts = self.readouts(source, shown, training)
        real = target != PADDING  # (batch, target time)
        # Padding goes before the widest product of the model, not after it.
        labels = tf.boolean_mask(target, real)  # (real tokens,)
        logits = self.logits(tf.boolean_mask(readouts, real))  # (real tokens, vocab.)
        nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        of_label = tf.gather(logits, labels, axis=1, batch_dims=1)  # (real tokens,)
        loss = nll
        if training and self.teaching.label_smoothing:
            # Against (1 - share) * label + share * uniform the cross-entropy is
            # nll + share * (logit of the label - mean logit): no softmax is needed.
            surplus = of_label - tf.reduce_mean(logits, axis=-1)
            loss += self.teaching.label_smoothing * surplus
        hits = of_label >= tf.reduce_max(logits, axis=-1)
        return {
            "loss": loss,
            "nll": nll,
            "perplexity": nll,  # the exponential is of the mean, see `Perplexity`
            "accuracy": tf.cast(hits, tf.float32),
        }

    def shown(self, source, target):
        """Returns what the decoder reads in training, `(batch, target time)` ids.

        The true tokens or, by scheduled sampling, some that it samples itself. For them
        it runs freely once, without gradient. Given its inputs it is deterministic, so
        the pass with gradient that follows takes the very steps it would have taken
        sampling them on the way (but for dropout), and stays as fast as teacher
        forcing.
        """
        true = before(target)
        if self.teaching.sampling == "none":
            return true
        # A coin for each token, not one for each sentence (Bengio et al., section 2.4).
        chance = self.teaching.truth(self.optimizer.iterations)
        keep = uniform(tf.shape(true), self.seed_generator) < chance
        seed = next_seed(self.seed_generator)
        step, state, memory = self.stepper(source)
        columns = tf.range(tf.shape(true)[1])[None]  # (1, target time)

        def body(time, last, shown, state):
            logits, state = step(last, state, memory)  # (batch, vocabulary)
            # Folded in, not added: the next step's seed is this one's plus a little.
            here = tf.random.experimental.stateless_fold_in(seed, time)
            sampled = tf.random.stateless_categorical(logits, 1, here, tf.int32)
            # (batch, 1) into the column of the next input, where its coin says so.
            sampled = tf.where(columns == time + 1, sampled, shown)
            shown = tf.where(keep, shown, sampled)
            return time + 1, tf.gather(shown, time + 1, axis=1), shown, state

        _, _, shown, _ = tf.while_loop(
            lambda time, *_: time < tf.shape(true)[1] - 1,  # the last predicts no input
            body,
            (0, true[:, 0], true, state),  # the start token is always shown
        )
        return shown

    def train_step(self, data):
        """Updates all weights on one batch of source and target sentences."""
        source, target = pair(data)
        shown = self.shown(source, target)
        with tf.GradientTape() as tape:
            losses = self.losses_on(source, target, shown, training=True)
            loss = mean_over_replicas(losses["loss"])
        minimize(loss, tape, self.trainable_variables, self.optimizer)
        return track(self.trackers, losses)

    def test_step(self, data):
        """Measures the same, with the true tokens shown, without smoothing."""
        source, target = pair(data)
        losses = self.losses_on(source, target, before(target), training=False)
        return track(self.trackers, losses)

    # ---------------------------------------------------------------- translation

    def stepper(self, source, cover=False):
        """Returns `(step, state, memory)`, see `zoo.text.translation.Translator`."""
        outputs, last, lengths = self.encode(source)
        memory = self.decoder.memory(outputs, lengths)
        state = {"recurrent": self.decoder.start(last)}
        if cover:  # padding counts as covered, so that no sentence pays for it
            state["coverage"] = tf.cast(source == PADDING, tf.float32)
        return self.next_token(), state, memory

    def next_token(self):
        """Returns the step of `zoo.text.decoding`; its memory is the decoder's."""
        kernel, bias = self.output_weights()  # here, not at every step
        # A sentence has neither in it, whatever an untrained model thinks.
        never = np.zeros(len(self.target_vocabulary), "float32")
        never[[PADDING, START]] = IMPOSSIBLE

        def step(tokens, state, memory):
            readouts, weights, recurrent = self.decoder.step(
                tf.gather(self.target_table.embeddings, tokens),  # (rows, width)
                state["recurrent"],
                memory,
            )
            # (rows, readout) -> (rows, vocabulary)
            logits = tf.cast(tf.matmul(readouts, kernel) + bias, tf.float32)
            after = {"recurrent": recurrent}
            if "coverage" in state:
                after["coverage"] = state["coverage"] + weights  # (rows, time)
            return logits + never, after

        return step

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`.

        `translate` takes and returns strings, of up to `MAX_SOURCE` tokens; `encode`
        and `decode_step` are its parts, for a search of one's own.
        """
        return endpoints.served(self, MAX_SOURCE) | endpoints.steps(
            self, None, None, None
        )

    def device_signatures(self):
        """Returns the endpoints of the LiteRT files, of fixed sizes.

        Token ids instead of strings; one sentence at a time for `greedy` and `beam`,
        whole searches; and the parts, `DEVICE_BEAM` rows a step.
        """
        sizes = (1, endpoints.DEVICE_LENGTH, endpoints.DEVICE_BEAM)
        return endpoints.on_device(self) | endpoints.steps(self, *sizes)

    def export_assets(self):
        """Returns `{file name: function that writes it}`, what devices need beside."""
        return {
            "source_vocabulary.json": self.source_vocabulary.save,
            "target_vocabulary.json": self.target_vocabulary.save,
        }

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "source_vocabulary": serialize(self.source_vocabulary),
            "target_vocabulary": serialize(self.target_vocabulary),
            "embedding_dim": self.embedding_dim,
            "encoder": serialize(self.encoder_settings),
            "decoder": serialize(self.decoder_settings),
            "attention": self.attention,
            "tied": self.tied,
            "teaching": serialize(self.teaching),
        }


def before(target):
    """Returns the token before each target token, `START` before the first."""
    start = tf.fill([tf.shape(target)[0], 1], tf.constant(START, target.dtype))
    return tf.concat([start, target[:, :-1]], axis=1)  # (batch, target time)


def pair(data):
    """Returns source and target of a batch of `fit`, as `(x, y)` or as one `x`."""
    source, target = split(data)
    sides = source if target is None else (source, target)
    return tuple(tf.cast(side, tf.int32) for side in sides)  # NumPy's are int64
