"""Sequence to sequence: recurrent networks with attention, from sentence to sentence.

Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly Learning to Align
and Translate", https://arxiv.org/abs/1409.0473, with the attention fed to the next step
as in Luong et al. 2015, https://arxiv.org/abs/1508.04025, section 3.3. With
`attention=False` the encoder-decoder of Sutskever et al. 2014,
https://arxiv.org/abs/1409.3215, which must squeeze a sentence into one vector.

    source --encoder--> outputs, last states --decoder, a token a step--> target

The networks are in `zoo.networks.recurrent`, how sentences are searched for in
`zoo.text.decoding`, how they become numbers in `zoo.text.vocabulary`; here is the model
that joins and trains them.
"""

import dataclasses
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from scipy.special import lambertw

from zoo.networks.recurrent import Decoder, Encoder, Recurrent
from zoo.text import decoding
from zoo.text.vocabulary import END, PADDING, START, Vocabulary
from zoo.training.model import Model, policy_of
from zoo.training.noise import next_seed, uniform
from zoo.training.registry import Settings, register
from zoo.training.step import mean_over_replicas, means, minimize, split, track

#: Tokens after which a translation is cut, unless another number is asked for.
MAX_LENGTH = 128
#: Tokens of a sentence on a device, where sizes are fixed: in the source and after.
DEVICE_LENGTH = 64
#: Rows of a step on a device, and the width of its beam.
DEVICE_BEAM = 5
#: What a search takes.
IDS = tf.TensorSpec((None, None), tf.int32, name="source")


@register
@dataclasses.dataclass(frozen=True)
class Teaching(Settings):
    """What the decoder is shown and asked for in training.

    Args:
        label_smoothing: Share of the label's weight, from 0 to below 1, that is spread
            over all tokens (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567).
        sampling: Scheduled sampling (Bengio et al. 2015,
            https://arxiv.org/abs/1506.03099): the decoder reads the true last token
            with a probability that falls in training, and otherwise one drawn from its
            own distribution, as it will when it translates. How that probability falls:
            `"none"`: it stays 1 (teacher forcing).
            `"linear"`: by `1 / steps` at each step.
            `"exponential"`: as `exp(-step / steps)`.
            `"inverse_sigmoid"`: as `k / (k + exp(step / k))`, where `k` is such that
            half are left after `steps`: `k ln k = steps`.
        steps: Time scale of that fall, in steps of the optimizer.
        floor: Where it ends, a probability.
    """

    label_smoothing: float = 0.0
    sampling: str = "none"
    steps: int = 1000
    floor: float = 0.0

    def __post_init__(self):
        if not 0 <= self.label_smoothing < 1 or not 0 <= self.floor <= 1:
            raise ValueError(
                "`label_smoothing` is a share from 0 to below 1 and `floor` a "
                f"probability. Received: {self}."
            )
        kinds = ("none", "linear", "exponential", "inverse_sigmoid")
        if self.sampling not in kinds or self.steps < 1:
            raise ValueError(
                f"`sampling` is one of {', '.join(kinds)} and `steps` 1 or more. "
                f"Received: {self}."
            )

    def truth(self, step):
        """Returns the probability of reading the true token at a step, a scalar."""
        time = tf.cast(step, tf.float32) / self.steps
        steepness = float(lambertw(self.steps).real)  # ln k, as k ln k = steps
        share = {
            "none": lambda: tf.ones(()),
            "linear": lambda: 1.0 - time,
            "exponential": lambda: tf.exp(-time),
            "inverse_sigmoid": lambda: tf.sigmoid((1.0 - time) * steepness),
        }[self.sampling]()
        return tf.maximum(share, self.floor)


@register
class Perplexity(keras.metrics.Mean):
    """Logs the exponential of the mean of what it is given, nats per token."""

    def result(self):
        """Returns the effective number of tokens that the model hesitates between."""
        return tf.exp(super().result())


class Translation(NamedTuple):
    """One hypothesis: its text and its score, as of `zoo.text.decoding.Hypotheses`."""

    text: str
    score: float


@register
class Seq2Seq(Model):
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
            readout = None if tied == "none" else embedding_dim
            self.decoder = Decoder(self.decoder_settings, attention, readout)
            vectors = (None, None, embedding_dim)
            width = 2 * self.encoder_settings.units
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
        self.searches = {}  # traced once for each set of options
        self.built = True

    # ---------------------------------------------------------------- the networks

    def encode(self, source, training=False):
        """Returns the encoder's outputs, its last states, and the source's lengths."""
        lengths = tf.reduce_sum(tf.cast(source != PADDING, tf.int32), axis=1)
        vectors = self.source_table(source)
        return *self.encoder(vectors, lengths, training=training), lengths

    def readouts(self, source, shown, training=False):
        """Returns the `(batch, time, readout)` after each token shown."""
        outputs, last, lengths = self.encode(source, training)
        vectors = self.target_table(shown)
        return self.decoder(vectors, last, outputs, lengths, training=training)

    def output_weights(self):
        """Returns the matrix and the bias that make logits of readouts."""
        kernel = (
            self.output_kernel
            if self.tied == "none"
            else tf.transpose(self.target_table.embeddings)
        )
        return (
            tf.cast(part, self.compute_dtype) for part in (kernel, self.output_bias)
        )

    def logits(self, readouts):
        """Returns the `(rows, vocabulary)` float32 logits of `(rows, readout)`."""
        kernel, bias = self.output_weights()
        return tf.cast(tf.matmul(readouts, kernel) + bias, tf.float32)

    def call(self, inputs, training=False):
        """Returns the logits of all target tokens."""
        source, target = inputs
        readouts = self.readouts(source, before(target), training)
        flat = self.logits(tf.reshape(readouts, (-1, self.decoder.readout)))
        return tf.reshape(flat, (*tf.unstack(tf.shape(target)), flat.shape[-1]))

    # ----------------------------------------------------------------- training

    def losses_on(self, source, target, shown, training):
        """Returns the values to log, each of one entry per real token of the batch."""
        readouts = self.readouts(source, shown, training)
        real = target != PADDING  # nothing is spent on predicting padding
        labels = tf.boolean_mask(target, real)
        logits = self.logits(tf.boolean_mask(readouts, real))
        nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        of_label = tf.gather(logits, labels, axis=1, batch_dims=1)
        loss = nll
        if training and self.teaching.label_smoothing:
            # cross-entropy against (1 - share) * label + share * uniform
            surplus = of_label - tf.reduce_mean(logits, axis=-1)
            loss += self.teaching.label_smoothing * surplus
        hits = of_label >= tf.reduce_max(logits, axis=-1)
        return {
            "loss": loss,
            "nll": nll,
            "perplexity": nll,
            "accuracy": tf.cast(hits, tf.float32),
        }

    def shown(self, source, target):
        """Returns what the decoder reads in training: the true tokens, or some drawn.

        The decoder runs freely once, without gradient, to draw them. Given its inputs
        it is deterministic, so the pass with gradient that follows takes the very
        steps it would have taken drawing them itself (but for dropout), and stays as
        fast as teacher forcing.
        """
        true = before(target)
        if self.teaching.sampling == "none":
            return true
        chance = self.teaching.truth(self.optimizer.iterations)
        keep = uniform(tf.shape(true), self.seed_generator) < chance
        seed = next_seed(self.seed_generator)
        step, state, memory = self.stepper(source)
        columns = tf.range(tf.shape(true)[1])[None]

        def body(time, last, shown, state):
            logits, state = step(last, state, memory)
            # Folded in, not added: the next step's seed is this one's plus a little.
            here = tf.random.experimental.stateless_fold_in(seed, time)
            drawn = tf.random.stateless_categorical(logits, 1, here, tf.int32)
            drawn = tf.where(columns == time + 1, drawn, shown)
            shown = tf.where(keep, shown, drawn)
            return time + 1, tf.gather(shown, time + 1, axis=1), shown, state

        _, _, shown, _ = tf.while_loop(
            lambda time, *_: time < tf.shape(true)[1] - 1,
            body,
            (0, true[:, 0], true, state),
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
        """Returns `(step, state, memory)` for `zoo.text.decoding`.

        Args:
            source: `(batch, time)` ids.
            cover: Whether to add up, as `state["coverage"]`, the attention that each
                source token got: `(rows, time)`, 1 and more where there is none.
        """
        outputs, last, lengths = self.encode(source)
        memory = self.decoder.memory(outputs, lengths)
        state = {"recurrent": self.decoder.start(last)}
        if cover:
            state["coverage"] = tf.cast(source == PADDING, tf.float32)
        return self.next_token(), state, memory

    def next_token(self):
        """Returns the step of `zoo.text.decoding`; its memory is the decoder's."""
        kernel, bias = self.output_weights()
        never = np.zeros(len(self.target_vocabulary), "float32")
        never[[PADDING, START]] = decoding.IMPOSSIBLE

        def step(tokens, state, memory):
            readouts, weights, recurrent = self.decoder.step(
                tf.gather(self.target_table.embeddings, tokens),
                state["recurrent"],
                memory,
            )
            logits = tf.cast(tf.matmul(readouts, kernel) + bias, tf.float32)
            after = {"recurrent": recurrent}
            if "coverage" in state:
                after["coverage"] = state["coverage"] + weights
            return logits + never, after

        return step

    def search(
        self, source, beam=1, n_best=1, alpha=0.6, beta=0.0, max_length=MAX_LENGTH
    ):
        """Searches for translations of token ids, in one graph.

        Args:
            source: `(batch, time)` int32 ids, padded with 0.
            beam: 1 for greedy decoding.
            n_best: Hypotheses for each sentence.
            alpha: Exponent of the length penalty, 0 or more; see `zoo.text.decoding`.
                Greedy decoding uses neither penalty.
            beta: Weight of the coverage penalty, 0 or more; needs attention.
            max_length: Tokens after which a translation is cut, an integer.

        Returns:
            `zoo.text.decoding.Hypotheses` of shape `(batch, n_best)`.

        Raises:
            ValueError: If `beta` is not 0 for a model without attention, `n_best` is
                not from 1 to `beam`, or another number is outside its range.
        """
        if beam < 1 or alpha < 0 or beta < 0:
            raise ValueError(
                "`beam` is 1 or more, `alpha` and `beta` are 0 or more. Received "
                f"beam={beam}, alpha={alpha}, beta={beta}."
            )
        if beta and not self.attention:
            raise ValueError(
                "A coverage penalty adds up attention. Leave `beta` at 0 for a model "
                f"without. Received beta={beta}."
            )
        step, state, memory = self.stepper(source, cover=bool(beta))
        bounds = ends(max_length)
        if beam == 1 and n_best == 1:
            found = decoding.greedy(step, state, memory, **bounds)
            return decoding.Hypotheses(*(tf.expand_dims(part, 1) for part in found))

        def bonus(state):
            return decoding.coverage_penalty(state["coverage"], beta)

        return decoding.beam_search(
            step,
            state,
            memory,
            **bounds,
            beam=beam,
            alpha=alpha,
            bonus=bonus if beta else None,
            n_best=n_best,
        )

    def hypotheses(self, sentences, batch_size=64, **options):
        """Translates sentences, each into its best few translations.

        Sentences of about one length share a batch; results come in the order given.

        Args:
            sentences: List of strings.
            batch_size: Sentences searched at once.
            **options: Of `search`.

        Returns:
            For each sentence a list of `Translation`, the best first.

        Raises:
            ValueError: As `search`.
        """
        search = self._compiled("search", [IDS], **options)
        return self._by_batches(sentences, batch_size, search)

    def translate(self, sentences, beam=1, **options):
        """Translates sentences.

        Args:
            sentences: List of strings.
            beam: Hypotheses kept at each step; 1 for greedy decoding.
            **options: Of `hypotheses`.

        Returns:
            List of strings.

        Example:
            model.translate(["3 March 2024"], beam=5)  # ["2024-03-03"]
        """
        found = self.hypotheses(sentences, beam=beam, **options)
        return [best.text for best, *_ in found]

    def imagine(self, sentences, seed, batch_size=64, max_length=MAX_LENGTH, **options):
        """Draws a translation of each sentence by chance.

        Args:
            sentences: List of strings.
            seed: Integer; the same one draws the same translations of the same list in
                batches of the same size.
            batch_size: Sentences drawn at once.
            max_length: Tokens after which a translation is cut.
            **options: `temperature`, `top_k`, `top_p` of `zoo.text.decoding.sample`.

        Returns:
            List of `Translation`.
        """
        inputs = [IDS, tf.TensorSpec((), tf.int32)]
        draw = self._compiled("draw", inputs, max_length=max_length, **options)
        seeds = np.random.default_rng(seed)  # one a batch, or all would draw the same

        def search(source):
            return draw(source, tf.constant(seeds.integers(2**31), tf.int32))

        return [one for (one,) in self._by_batches(sentences, batch_size, search)]

    def draw(self, source, seed, max_length=MAX_LENGTH, **options):
        """Draws a translation of token ids, in one graph.

        Args:
            source: `(batch, time)` int32 ids, padded with 0.
            seed: Integer or scalar tensor; the same one draws the same translations of
                the same batch.
            max_length: Tokens after which a translation is cut, an integer.
            **options: `temperature`, `top_k`, `top_p` of `zoo.text.decoding.sample`.

        Returns:
            `zoo.text.decoding.Hypotheses` of shape `(batch, 1)`.

        Raises:
            ValueError: If `max_length` is below 1 or an option outside its range.
        """
        step, state, memory = self.stepper(source)
        options |= ends(max_length)
        drawn = decoding.sample(step, state, memory, seed=seed, **options)
        return decoding.Hypotheses(*(tf.expand_dims(part, 1) for part in drawn))

    def _compiled(self, name, inputs, **options):
        """Returns a method with some options as a graph, made once for each set."""
        key, method = (name, *sorted(options.items())), getattr(self, name)
        if key not in self.searches:
            # Without autograph, which would wrap the words of an error.
            self.searches[key] = tf.function(
                lambda *inputs: method(*inputs, **options), inputs, autograph=False
            )
        return self.searches[key]

    def _by_batches(self, sentences, batch_size, search):
        """Returns a list of `Translation` for each sentence."""
        ids = self.source_vocabulary.encode(sentences)
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        found = [None] * len(ids)
        for start in range(0, len(ids), batch_size):
            rows = order[start : start + batch_size]
            tokens, scores = search(padded([ids[row] for row in rows]))
            for row, some, values in zip(
                rows, tokens.numpy(), scores.numpy(), strict=True
            ):
                texts = self.target_vocabulary.decode(some)
                found[row] = [
                    Translation(text, float(value))
                    for text, value in zip(texts, values, strict=True)
                    if np.isfinite(value)
                ]
        return found

    def align(self, sentences, translations):
        """Returns the attention with which each translation is written.

        Args:
            sentences: List of strings.
            translations: As many, made by the model or not.

        Returns:
            For each pair `(weights, source pieces, target pieces)`: an array of shape
            `(target, source)` whose rows sum to 1, and what rows and columns stand for.

        Raises:
            ValueError: If the model has no attention.
        """
        if not self.attention:
            raise ValueError("Only a model with attention can align.")
        found = []
        for sentence, translation in zip(sentences, translations, strict=True):
            (source,) = self.source_vocabulary.encode([sentence])
            (target,) = self.target_vocabulary.encode([translation])
            outputs, last, lengths = self.encode(padded([source]))
            memory, states = (
                self.decoder.memory(outputs, lengths),
                self.decoder.start(last),
            )
            rows = []
            for token in [START, *target[:-1]]:
                vectors = tf.gather(self.target_table.embeddings, [token])
                _, weights, states = self.decoder.step(vectors, states, memory)
                rows.append(weights[0])
            found.append(
                (
                    np.stack(rows),
                    [self.source_vocabulary.pieces[i] for i in source],
                    [self.target_vocabulary.pieces[i] for i in target],
                )
            )
        return found

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`.

        `translate` takes and returns strings, by a beam of 5 and a length penalty of
        0.6, whatever a recipe measures with; `encode` and `decode_step` are its parts,
        for a search of one's own.
        """

        def translate(sentences):
            source = self.source_vocabulary.encode_tf(sentences)
            found = self.search(source, beam=5)
            texts = self.target_vocabulary.decode_tf(found.tokens[:, 0])
            return {"translations": texts, "scores": found.scores[:, 0]}

        sentences = tf.TensorSpec((None,), tf.string, name="sentences")
        return {
            "translate": (translate, [sentences]),
            **self.step_signatures(None, None, None),
        }

    def device_signatures(self):
        """Returns the endpoints of the LiteRT files, of fixed sizes.

        Token ids instead of strings; one sentence at a time for `greedy` and `beam`,
        whole searches; and the parts, `DEVICE_BEAM` rows a step.
        """
        shape = (1, DEVICE_LENGTH)
        source = tf.TensorSpec(shape, tf.int32, name="source")

        def greedy(source):
            return {
                "tokens": self.search(source, max_length=DEVICE_LENGTH).tokens[:, 0]
            }

        def beam(source):
            found = self.search(source, beam=DEVICE_BEAM, max_length=DEVICE_LENGTH)
            return {"tokens": found.tokens[:, 0]}

        return {
            "greedy": (greedy, [source]),
            "beam": (beam, [source]),
            **self.step_signatures(*shape, DEVICE_BEAM),
        }

    def export_assets(self):
        """Returns `{file name: function that writes it}`, what devices need beside."""
        return {
            "source_vocabulary.json": self.source_vocabulary.save,
            "target_vocabulary.json": self.target_vocabulary.save,
        }

    def step_signatures(self, batch, time, rows):
        """Returns `encode` and `decode_step` for tensors of these sizes or any.

        All that changes from step to step is one tensor, `state`.
        """
        units, layers = self.decoder_settings.units, self.decoder_settings.layers
        widths = [units] * layers * self.decoder.cell.states
        widths += [self.decoder.readout] * self.attention

        def encode(source):
            outputs, last, lengths = self.encode(source)
            state = tf.concat(self.decoder.start(last), axis=-1)
            memory = self.decoder.memory(outputs, lengths)
            parts = dict(zip(("keys", "values", "padding"), memory, strict=False))
            parts = {"state": state} | parts
            return {name: tf.cast(part, tf.float32) for name, part in parts.items()}

        def decode_step(tokens, state, *memory):
            before = {"recurrent": tf.split(self.decoder.value(state), widths, axis=-1)}
            logits, after = self.next_token()(tokens, before, memory)
            return {
                "log_probabilities": tf.nn.log_softmax(logits),
                "state": tf.cast(tf.concat(after["recurrent"], axis=-1), tf.float32),
            }

        def with_attention(tokens, state, keys, values, padding):
            keys, values = self.decoder.value(keys), self.decoder.value(values)
            return decode_step(tokens, state, keys, values, padding)

        def without_attention(tokens, state):
            return decode_step(tokens, state)

        def spec(shape, name, dtype=tf.float32):
            return tf.TensorSpec(shape, dtype, name=name)

        inputs = [
            spec((rows,), "tokens", tf.int32),
            spec((rows, sum(widths)), "state"),
        ]
        if self.attention:
            inputs += [
                spec((batch, time, units), "keys"),
                spec((batch, time, 2 * self.encoder_settings.units), "values"),
                spec((batch, time), "padding"),
            ]
        step = with_attention if self.attention else without_attention
        return {
            "encode": (encode, [spec((batch, time), "source", tf.int32)]),
            "decode_step": (step, inputs),
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

    @classmethod
    def from_config(cls, config):
        """Returns a model with the settings that `get_config` described."""
        deserialize = keras.saving.deserialize_keras_object
        nested = {k: deserialize(v) for k, v in config.items() if isinstance(v, dict)}
        return cls(**{**config, **nested})


def before(target):
    """Returns the token before each target token, `START` before the first."""
    start = tf.fill([tf.shape(target)[0], 1], tf.constant(START, target.dtype))
    return tf.concat([start, target[:, :-1]], axis=1)


def ends(max_length):
    """Returns where all searches begin and end, as `zoo.text.decoding` takes it.

    Raises:
        ValueError: If `max_length` is below 1.
    """
    if max_length < 1:
        raise ValueError(f"`max_length` is 1 or more. Received: {max_length}.")
    return {"start": START, "end": END, "max_length": max_length}


def pair(data):
    """Returns source and target of a batch of `fit`, as `(x, y)` or as one `x`."""
    source, target = split(data)
    sides = source if target is None else (source, target)
    return tuple(tf.cast(side, tf.int32) for side in sides)  # NumPy's are int64


def padded(ids):
    """Returns lists of ids as `(batch, time)` int32, padded with 0."""
    table = np.full((len(ids), max(map(len, ids))), PADDING, "int32")
    for row, some in zip(table, ids, strict=True):
        row[: len(some)] = some
    return tf.constant(table)
