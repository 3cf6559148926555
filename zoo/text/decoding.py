"""Decodes sentences one token at a time: greedily or by chance.

Any model of the next token can be decoded. It comes as a function

    step(tokens, state, memory) -> (logits, state)

of the rows' last tokens, `(rows,)` int32; of a nested structure of tensors whose first
dimension is `rows`; and of another that no step changes, such as the encoded source,
whose first dimension is that of sentences, unknown where the state's is. It returns the
next token's logits, `(rows, vocabulary)`, and the state after the step. A sentence has
one row or, in the beam search of `zoo.text.beam`, `beam` adjacent ones.

All sentences are decoded together in one graph, made of operations that LiteRT has too
(but for the random numbers of `sample`). Where the number of sentences is not fixed,
those that have ended are left out of further steps, but in `sample`. A sentence's
result does not depend on its neighbours, but what `sample` draws does, on its place.
"""

from typing import NamedTuple

import tensorflow as tf

#: Scores what is no hypothesis, and as a logit forbids a token; finite, so that no
#: difference of two is NaN.
IMPOSSIBLE = -1e9


class Hypotheses(NamedTuple):
    """Sentences as token ids, and how good they are.

    Attributes:
        tokens: `(..., max_length)` int32: the end token included where one came, the
            start token not, padded with 0.
        scores: `(...)` float32, in nats: the log-probability of the tokens, in a beam
            search with its penalties; -inf where there is no further hypothesis.
    """

    tokens: tf.Tensor
    scores: tf.Tensor


def greedy(step, state, memory=(), *, start, end, max_length):
    """Takes the most probable token at every step, of equal ones the first.

    Args:
        step: As the module describes.
        state: Before the first step.
        memory: What `step` reads besides.
        start: Id of the token that stands before a sentence.
        end: Id of the token that ends one.
        max_length: Steps after which a sentence without end is cut; integer or scalar
            tensor.

    Returns:
        `Hypotheses` of shape `(rows,)`.
    """
    return _roll(
        lambda log_probs, _: tf.argmax(log_probs, axis=-1, output_type=tf.int32),
        step,
        state,
        memory,
        start,
        end,
        max_length,
    )


def sample(
    step,
    state,
    memory=(),
    *,
    start,
    end,
    max_length,
    seed,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
):
    """Samples every token from the model's distribution, or from its likelier part.

    Args:
        step: As the module describes.
        state: Before the first step.
        memory: What `step` reads besides.
        start: Id of the token that stands before a sentence.
        end: Id of the token that ends one.
        max_length: Steps after which a sentence without end is cut; integer or scalar
            tensor.
        seed: Integer or scalar tensor; the same seed samples the same sentences.
        temperature: Divides the logits; below 1 favours the probable. This and the next
            two may be scalar tensors, which `check_sampling` does not see.
        top_k: Samples from so many most probable tokens; 0 means from all.
        top_p: Samples from the fewest most probable tokens that have this probability
            together (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751).

    Returns:
        `Hypotheses` of shape `(rows,)`; scores are of the model's own distribution.

    Raises:
        ValueError: If a number is outside its range.
    """
    if not any(map(tf.is_tensor, (temperature, top_k, top_p))):
        check_sampling(temperature, top_k, top_p)
    seed = tf.cast(seed, tf.int32)

    def choose(log_probs, time):
        kept = likeliest(log_probs / temperature, top_k, top_p)  # (rows, vocabulary)
        uniform = tf.random.stateless_uniform(
            tf.shape(kept), tf.stack([seed, time]), minval=1e-20
        )
        # Where the sum with Gumbel noise is largest follows the softmax: one argmax
        # samples all rows, without a sum over the vocabulary.
        gumbel = -tf.math.log(-tf.math.log(uniform))
        return tf.argmax(kept + gumbel, axis=-1, output_type=tf.int32)

    # Each place in the batch has its noise, so no sentence may move up.
    return _roll(choose, step, state, memory, start, end, max_length, shrink=False)


def check_sampling(temperature, top_k, top_p):
    """Refuses settings of `sample` outside their range.

    Raises:
        ValueError: If there is one.
    """
    if not temperature > 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(
            "`temperature` is above 0, `top_k` 0 or more, `top_p` above 0 and at most "
            f"1. Received temperature={temperature}, top_k={top_k}, top_p={top_p}."
        )


def likeliest(logits, top_k=0, top_p=1.0):
    """Makes all but the most probable tokens impossible; keeps ties at the border.

    Args:
        logits: `(rows, vocabulary)`.
        top_k: As for `sample`.
        top_p: As for `sample`, of what `top_k` left.

    Returns:
        Logits of the same shape.
    """
    size = tf.shape(logits)[-1]
    if tf.is_tensor(top_k) or top_k:
        best = tf.math.top_k(logits, tf.minimum(top_k, size)).values  # (rows, top_k)
        lowest = best[:, -1:]
        logits = tf.where(logits < lowest, IMPOSSIBLE, logits)
    if tf.is_tensor(top_p) or top_p < 1:
        ordered = tf.math.top_k(logits, size).values  # (rows, vocabulary), best first
        # The probability of all that is better: below top_p, a token is needed.
        before = tf.cumsum(tf.nn.softmax(ordered), axis=-1, exclusive=True)
        lowest = tf.reduce_min(
            tf.where(before < top_p, ordered, ordered[:, :1]), axis=-1, keepdims=True
        )
        logits = tf.where(logits < lowest, IMPOSSIBLE, logits)
    return logits


class Rows(NamedTuple):
    """Sentences in the making, a row each.

    Attributes:
        tokens: `(rows, max_length)` int32, padded with 0.
        last: `(rows,)` int32, the token before the next one.
        scores: `(rows,)` float32, log-probabilities of the tokens so far.
        done: `(rows,)` bool, whether the end token has come.
        state: Of `step`, each tensor `(rows, ...)`.
    """

    tokens: tf.Tensor
    last: tf.Tensor
    scores: tf.Tensor
    done: tf.Tensor
    state: object


def _roll(choose, step, state, memory, start, end, max_length, shrink=True):
    """Decodes one row a sentence by `choose(log_probs, time) -> (rows,)` tokens."""
    count = rows_of(state)
    times = tf.range(max_length)[None]  # (1, max_length)

    def advance(time, rows, memory):
        logits, state = step(rows.last, rows.state, memory)
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        chosen = choose(log_probs, time)  # (rows,)
        gained = tf.gather(log_probs, chosen, axis=1, batch_dims=1)  # (rows,)
        chosen = tf.where(rows.done, 0, chosen)  # after its end a sentence is padded
        return Rows(
            # Written by a mask: LiteRT has no scatter into one column.
            tokens=tf.where(times == time, chosen[:, None], rows.tokens),
            last=chosen,
            scores=rows.scores + tf.where(rows.done, 0.0, gained),
            done=rows.done | (chosen == end),
            state=state,
        )

    rows = Rows(
        tokens=tf.zeros([count, max_length], tf.int32),
        last=tf.fill([count], start),
        scores=tf.zeros([count]),
        done=tf.fill([count], False),
        state=state,
    )
    _, rows = until_done(advance, rows, memory, max_length, shrink)
    return Hypotheses(rows.tokens, rows.scores)


def until_done(advance, sentences, memory, max_length, shrink=True):
    """Takes steps until all sentences are done, with ever fewer of them.

    Args:
        advance: `(time, sentences, memory) -> sentences`, one step.
        sentences: Named tuple of tensors, the first dimension that of the sentences;
            among them `done`, which says of each whether further steps leave it alone.
        memory: Of the same first dimension.
        max_length: Largest number of steps.
        shrink: Whether steps may leave out sentences that are done.

    Returns:
        The number of steps, and `sentences` after the last one.
    """

    def steps(time, sentences, memory, enough):
        """Takes steps while more than `enough` sentences are not done."""

        def unfinished(time, sentences):
            left = tf.reduce_sum(tf.cast(~sentences.done, tf.int32))
            return (time < max_length) & (left > enough)

        def body(time, sentences):
            return time + 1, advance(time, sentences, memory)

        return tf.while_loop(unfinished, body, (time, sentences))

    # On a device the number of sentences is fixed, and tensors keep their size.
    if not shrink or sentences.done.shape[0] is not None:
        return steps(0, sentences, memory, 0)

    def unfinished(time, places, *_):
        return (time < max_length) & (tf.size(places) > 0)

    def shed(time, places, sentences, memory, found):
        """Takes steps until a quarter is done; `found` has all, at their `places`."""
        enough = 3 * tf.size(places) // 4
        time, sentences = steps(time, sentences, memory, enough)
        found = tf.nest.map_structure(
            lambda all, some: tf.tensor_scatter_nd_update(all, places[:, None], some),
            found,
            sentences,
        )
        left = tf.where(~sentences.done)[:, 0]  # (unfinished,), places among the rows
        places, sentences, memory = tf.nest.map_structure(
            lambda part: tf.gather(part, left), (places, sentences, memory)
        )
        return time, places, sentences, memory, found

    places = tf.range(tf.size(sentences.done))  # where each row stood at first
    loop = (0, places, sentences, memory, sentences)
    time, *_, found = tf.while_loop(unfinished, shed, loop)
    return time, found


def rows_of(state):
    """Returns the first dimension of a state, static where it can be."""
    return dimensions(tf.nest.flatten(state)[0])[0]


def dimensions(tensor):
    """Returns the list of a tensor's dimensions, static where they can be."""
    shape = tf.shape(tensor)
    return [shape[i] if n is None else n for i, n in enumerate(tensor.shape)]
