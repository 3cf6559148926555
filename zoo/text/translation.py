"""Translates sentences with any model of the next token: searches, samples, aligns.

`Translator` gives a model that knows two vocabularies and a step its public methods.
How sentences are searched for is in `zoo.text.decoding` and `zoo.text.beam`, what a
program without the zoo gets of them in `zoo.text.endpoints`.
"""

import functools
import warnings
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from zoo.text import decoding
from zoo.text.beam import beam_search, coverage_penalty
from zoo.text.vocabulary import END, START, padded
from zoo.training.export_inputs import token_ids

#: Tokens after which a translation is cut, unless another number is asked for.
MAX_LENGTH = 128
#: Tokens, the end included, up to which a text is translated. One that is longer would
#: keep a whole batch waiting, and none was in training: it is no sentence.
MAX_SOURCE = 256
#: What a search takes.
IDS = tf.TensorSpec((None, None), tf.int32, name="source")


class Translation(NamedTuple):
    """One hypothesis: its text and its score, as of `zoo.text.decoding.Hypotheses`."""

    text: str
    score: float


class Translator:
    """What a model can do once it can tell the next token; a base beside `Model`.

    A search is traced once for each set of options that give it another form; numbers
    such as `alpha` are inputs of its graph.

    Attributes:
        source_vocabulary: `zoo.text.vocabulary.Vocabulary` of what is read.
        target_vocabulary: Of what is written.
        attention: Whether each step says where in the source it looked.
    """

    def stepper(self, source, cover=False):
        """Returns `(step, state, memory)` for `zoo.text.decoding`; the model's own.

        Args:
            source: `(batch, time)` ids.
            cover: Whether to add up, as `state["coverage"]`, the attention that each
                source token got: `(rows, time)`, 1 and more where there is none.
        """
        raise NotImplementedError

    def search(
        self, source, beam=1, n_best=1, alpha=0.6, beta=0.0, max_length=MAX_LENGTH
    ):
        """Searches for translations of token ids, in one graph.

        Args:
            source: `(batch, time)` int32 ids, padded with 0.
            beam: 1 for greedy decoding.
            n_best: Hypotheses for each sentence.
            alpha: Exponent of the length penalty, 0 or more; see `zoo.text.beam`.
                Greedy decoding uses neither penalty.
            beta: Weight of the coverage penalty, 0 or more; needs attention.
            max_length: Tokens after which a translation is cut, an integer.

        Returns:
            `zoo.text.decoding.Hypotheses` of shape `(batch, n_best)`.

        Raises:
            ValueError: If `beta` is not 0 for a model without attention, `n_best` is
                not from 1 to `beam`, or another number is outside its range.
        """
        cover = self._check_search(beam, alpha, beta, max_length)
        return self._search(source, alpha, beta, max_length, beam, n_best, cover)

    def sample_tokens(
        self,
        source,
        seed,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_length=MAX_LENGTH,
    ):
        """Samples a translation of token ids, in one graph.

        Args:
            source: `(batch, time)` int32 ids, padded with 0.
            seed: Integer or scalar tensor; the same one samples the same translations
                of the same batch.
            temperature: As for `zoo.text.decoding.sample`; so are `top_k` and `top_p`.
            top_k: Samples from so many most probable tokens; 0 means from all.
            top_p: Samples from the fewest tokens that have this probability together.
            max_length: Tokens after which a translation is cut, an integer.

        Returns:
            `zoo.text.decoding.Hypotheses` of shape `(batch, 1)`.

        Raises:
            ValueError: If `max_length` is below 1 or an option outside its range.
        """
        check_length(max_length)
        return self._sample(source, seed, temperature, top_k, top_p, max_length)

    def hypotheses(
        self,
        sentences,
        batch_size=64,
        beam=1,
        n_best=1,
        alpha=0.6,
        beta=0.0,
        max_length=MAX_LENGTH,
    ):
        """Translates sentences, each into its best few translations.

        Sentences of about one length share a batch; results come in the order given.
        An empty sentence stays empty, with score 0. One of more than `MAX_SOURCE`
        tokens is left out, with a warning: its translation is empty, its score -inf.

        Args:
            sentences: List of strings.
            batch_size: Sentences searched at once.
            beam: As for `search`; so are the others.
            n_best: Hypotheses for each sentence.
            alpha: Exponent of the length penalty.
            beta: Weight of the coverage penalty.
            max_length: Tokens after which a translation is cut.

        Returns:
            For each sentence a list of `Translation`, the best first.

        Raises:
            ValueError: As `search`.
        """
        cover = self._check_search(beam, alpha, beta, max_length)
        numbers = [
            tf.constant(alpha, tf.float32),
            tf.constant(beta, tf.float32),
            tf.constant(max_length, tf.int32),
        ]
        graph = self._graph("_search", numbers, beam=beam, n_best=n_best, cover=cover)
        return self._by_batches(sentences, batch_size, lambda ids: graph(ids, *numbers))

    def translate(self, sentences, beam=1, **options):
        """Translates sentences, but for those that are empty or too long.

        Args:
            sentences: List of strings.
            beam: Hypotheses kept at each step; 1 for greedy decoding.
            **options: Of `hypotheses`.

        Returns:
            List of strings; empty where `hypotheses` finds nothing to translate.

        Example:
            model.translate(["3 March 2024"], beam=5)  # ["2024-03-03"]
        """
        found = self.hypotheses(sentences, beam=beam, **options)
        return [best.text for best, *_ in found]

    def imagine(
        self,
        sentences,
        seed,
        batch_size=64,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_length=MAX_LENGTH,
    ):
        """Samples a translation of each sentence.

        Args:
            sentences: List of strings.
            seed: Integer; the same one samples the same translations of the same list
                in batches of the same size.
            batch_size: Sentences sampled at once.
            temperature: As for `sample_tokens`; so are the others.
            top_k: Samples from so many most probable tokens; 0 means from all.
            top_p: Samples from the fewest tokens that have this probability together.
            max_length: Tokens after which a translation is cut.

        Returns:
            List of `Translation`.

        Raises:
            ValueError: As `sample_tokens`.
        """
        check_length(max_length)
        decoding.check_sampling(temperature, top_k, top_p)
        seeds = np.random.default_rng(seed)  # one a batch, or all would sample the same
        numbers = [
            tf.constant(temperature, tf.float32),
            tf.constant(top_k, tf.int32),
            tf.constant(top_p, tf.float32),
            tf.constant(max_length, tf.int32),
        ]
        # A limit that is none is left out of the graph: it would sort the vocabulary.
        limits = {"few": top_k > 0, "likely": top_p < 1}
        seeded = [tf.constant(0, tf.int32), *numbers]
        graph = self._graph("_sample", seeded, **limits)

        def search(source):
            seed = tf.constant(seeds.integers(2**31), tf.int32)
            return graph(source, seed, *numbers)

        return [one for (one,) in self._by_batches(sentences, batch_size, search)]

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
            step, state, memory = self.stepper(padded([source]), cover=True)
            nothing = tf.zeros_like(state["coverage"])  # (1, source)
            rows = []
            for token in [START, *target[:-1]]:  # the token before each
                # Begun at 0 anew, the sum over steps is the attention of this step.
                state["coverage"] = nothing
                _, state = step(tf.constant([token]), state, memory)
                rows.append(state["coverage"][0])  # (source,)
            pieces = [
                [vocabulary.pieces[number] for number in ids]
                for vocabulary, ids in (
                    (self.source_vocabulary, source),
                    (self.target_vocabulary, target),
                )
            ]
            found.append((np.stack(rows), *pieces))
        return found

    def export_inputs(self):
        """Returns how inputs that need no data are distributed: ids of pieces."""
        return {
            "source": token_ids(self.source_vocabulary),
            "tokens": token_ids(self.target_vocabulary),
        }

    def _check_search(self, beam, alpha, beta, max_length):
        """Returns whether a search adds up attention; refuses a wrong number."""
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
        check_length(max_length)
        return bool(beta)

    def _search(self, source, alpha, beta, max_length, beam, n_best, cover):
        """Does the work of `search`; the first four may be tensors."""
        step, state, memory = self.stepper(source, cover)
        ends = {"start": START, "end": END, "max_length": max_length}
        if beam == 1 and n_best == 1:
            found = decoding.greedy(step, state, memory, **ends)
            return _one_each(found)

        def bonus(state):
            return coverage_penalty(state["coverage"], beta)

        return beam_search(
            step,
            state,
            memory,
            **ends,
            beam=beam,
            alpha=alpha,
            bonus=bonus if cover else None,
            n_best=n_best,
        )

    def _sample(
        self,
        source,
        seed,
        temperature,
        top_k,
        top_p,
        max_length,
        few=True,
        likely=True,
    ):
        """Does the work of `sample_tokens`; all but the last two may be tensors."""
        step, state, memory = self.stepper(source)
        found = decoding.sample(
            step,
            state,
            memory,
            start=START,
            end=END,
            max_length=max_length,
            seed=seed,
            temperature=temperature,
            top_k=top_k if few else 0,
            top_p=top_p if likely else 1.0,
        )
        return _one_each(found)

    @functools.cached_property
    def _graphs(self):
        """What `_graph` has made; not an attribute that Keras would look through."""
        return {}

    def _graph(self, name, numbers, **form):
        """Returns a method as a graph of ids and numbers, made once for each form."""
        key, method = (name, *form.items()), getattr(self, name)
        if key not in self._graphs:
            specs = [IDS, *(tf.TensorSpec((), number.dtype) for number in numbers)]
            # Without autograph, which would wrap the words of an error.
            self._graphs[key] = tf.function(
                lambda *inputs: method(*inputs, **form), specs, autograph=False
            )
        return self._graphs[key]

    def _by_batches(self, sentences, batch_size, search):
        """Returns a list of `Translation` for each sentence."""
        ids = self.source_vocabulary.encode(sentences)
        lengths = [len(some) for some in ids]  # the end included: 1 of an empty one
        found = [[Translation("", 0.0 if n == 1 else -np.inf)] for n in lengths]
        kept = [row for row, n in enumerate(lengths) if 1 < n <= MAX_SOURCE]
        order = sorted(kept, key=lambda row: lengths[row])
        long = sum(n > MAX_SOURCE for n in lengths)
        if long:
            warnings.warn(
                f"{long} of {len(ids)} texts have more than {MAX_SOURCE} tokens and "
                "are not translated. Split them into sentences.",
                stacklevel=4,
            )
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            # (batch, n_best, max_length) and (batch, n_best)
            tokens, scores = search(padded([ids[row] for row in rows]))
            for row, some, values in zip(
                rows, tokens.numpy(), scores.numpy(), strict=True
            ):
                texts = self.target_vocabulary.decode(some)
                found[row] = [
                    Translation(text, float(value))
                    for text, value in zip(texts, values, strict=True)
                    if np.isfinite(value)  # fewer sentences may exist than asked for
                ]
        return found


def check_length(max_length):
    """Refuses a length that leaves no room for a token.

    Raises:
        ValueError: If `max_length` is below 1.
    """
    if max_length < 1:
        raise ValueError(f"`max_length` is 1 or more. Received: {max_length}.")


def _one_each(found):
    """Returns hypotheses of shape `(batch,)` as `(batch, 1)`."""
    return decoding.Hypotheses(*(tf.expand_dims(part, 1) for part in found))
