"""Searches for sentences one token at a time: greedily, by chance, or with a beam.

Any model of the next token can be decoded. It comes as a function

    step(tokens, state) -> (logits, state)

of the rows' last tokens, `(rows,)` int32, and of a nested structure of tensors whose
first dimension is `rows`; it returns the next token's logits, `(rows, vocabulary)`, and
the structure after the step. What all steps share and no row changes, such as the
encoded source, `step` holds itself.

All rows are decoded together, in one `tf.while_loop` that ends when the last row does,
made of operations that LiteRT has too (but for the random numbers of `sample`). A row's
result does not depend on its neighbours.
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


def greedy(step, state, *, start, end, max_length):
    """Takes the most probable token at every step, of equal ones the first.

    Args:
        step: As the module describes.
        state: Before the first step.
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
        start,
        end,
        max_length,
    )


def sample(
    step, state, *, start, end, max_length, seed, temperature=1.0, top_k=0, top_p=1.0
):
    """Draws every token from the model's distribution, or from its likelier part.

    Args:
        step: As the module describes.
        state: Before the first step.
        start: Id of the token that stands before a sentence.
        end: Id of the token that ends one.
        max_length: Steps after which a sentence without end is cut.
        seed: Integer or scalar tensor; the same seed draws the same sentences.
        temperature: Divides the logits; below 1 favours the probable.
        top_k: Draws from so many most probable tokens; 0 means from all.
        top_p: Draws from the fewest most probable tokens that have this probability
            together (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751).

    Returns:
        `Hypotheses` of shape `(rows,)`; scores are of the model's own distribution.

    Raises:
        ValueError: If a number is outside its range.
    """
    if not temperature > 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(
            "`temperature` is above 0, `top_k` 0 or more, `top_p` above 0 and at most "
            f"1. Received temperature={temperature}, top_k={top_k}, top_p={top_p}."
        )
    seed = tf.cast(seed, tf.int32)

    def choose(log_probs, time):
        kept = likeliest(log_probs / temperature, top_k, top_p)
        uniform = tf.random.stateless_uniform(
            tf.shape(kept), tf.stack([seed, time]), minval=1e-20
        )
        gumbel = -tf.math.log(-tf.math.log(uniform))  # the maximum follows softmax
        return tf.argmax(kept + gumbel, axis=-1, output_type=tf.int32)

    return _roll(choose, step, state, start, end, max_length)


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
    if top_k:
        lowest = tf.math.top_k(logits, tf.minimum(top_k, size)).values[:, -1:]
        logits = tf.where(logits < lowest, IMPOSSIBLE, logits)
    if top_p < 1:
        ordered = tf.math.top_k(logits, size).values
        before = tf.cumsum(tf.nn.softmax(ordered), axis=-1, exclusive=True)
        lowest = tf.reduce_min(
            tf.where(before < top_p, ordered, ordered[:, :1]), axis=-1, keepdims=True
        )
        logits = tf.where(logits < lowest, IMPOSSIBLE, logits)
    return logits


def _roll(choose, step, state, start, end, max_length):
    """Decodes one hypothesis a row by `choose(log_probs, time) -> (rows,)` tokens."""
    rows = _rows(state)
    times = tf.range(max_length)[None]

    def body(time, last, done, tokens, scores, state):
        logits, state = step(last, state)
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        chosen = choose(log_probs, time)
        gained = tf.gather(log_probs, chosen, axis=1, batch_dims=1)
        scores += tf.where(done, 0.0, gained)
        chosen = tf.where(done, 0, chosen)
        tokens = tf.where(times == time, tf.expand_dims(chosen, 1), tokens)
        return time + 1, chosen, done | (chosen == end), tokens, scores, state

    def unfinished(time, last, done, *_):
        return (time < max_length) & ~tf.reduce_all(done)

    loop = (
        0,
        tf.fill([rows], start),
        tf.fill([rows], False),
        tf.zeros([rows, max_length], tf.int32),
        tf.zeros([rows]),
        state,
    )
    _, _, _, tokens, scores, _ = tf.while_loop(unfinished, body, loop)
    return Hypotheses(tokens, scores)


def length_penalty(length, alpha):
    """Returns `((5 + length) / 6) ** alpha`, which divides a log-probability.

    Every token lowers the probability of a sentence; this gives longer ones a chance.

    Args:
        length: Tokens, the end included.
        alpha: 0 for no penalty.

    Source:
        Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14.
    """
    return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** alpha


def coverage_penalty(coverage, mask, beta):
    """Returns `beta * sum(log(min(coverage, 1)))`, 0 if all of the source was read.

    Args:
        coverage: `(..., source)`, the attention each source token got from all tokens.
        mask: Broadcasts against it; false where there is no source token.
        beta: 0 for no penalty.

    Returns:
        `(...)`, never positive.

    Source:
        Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14.
    """
    covered = tf.where(mask, tf.clip_by_value(coverage, 1e-9, 1.0), 1.0)
    return beta * tf.reduce_sum(tf.math.log(covered), axis=-1)


def beam_search(
    step,
    state,
    *,
    start,
    end,
    max_length,
    beam,
    alpha=0.0,
    bonus=None,
    n_best=1,
    patient=False,
):
    """Keeps the `beam` most probable beginnings of every sentence at every step.

    A sentence ends when its end token is among the `beam` best continuations. The
    greedy sentence is never dropped on the way, as a beam alone might; so the best
    score is never below the greedy one's where nothing but probability counts
    (`alpha=0`, no bonus), and a beam of 1 is greedy decoding. Sentences without end at
    `max_length` compete as they are.

    Args:
        step: As the module describes. It sees `beam` adjacent rows for each sentence.
        state: Before the first step, of one row per sentence.
        start: Id of the token that stands before a sentence.
        end: Id of the token that ends one.
        max_length: Steps after which a sentence without end is cut.
        beam: Beginnings kept, 1 or more.
        alpha: Of `length_penalty`.
        bonus: `state -> (rows,)`, at most 0, added to the score of a sentence that ends
            after this step, say a `coverage_penalty`.
        n_best: Hypotheses to return, at most `beam`.
        patient: Goes on until no longer sentence can win, however much longer. By
            default the search ends once none would win at its present length. With
            `alpha=0` both are the same.

    Returns:
        `Hypotheses` of shape `(sentences, n_best)`, the best first.

    Raises:
        ValueError: If `n_best` is not from 1 to `beam`.
    """
    if not 1 <= n_best <= beam:
        raise ValueError(
            "`n_best` hypotheses are chosen from a beam at least as wide. Received "
            f"n_best={n_best}, beam={beam}."
        )
    count = _rows(state)
    times = tf.range(max_length)[None, None]
    first_rows = tf.expand_dims(tf.range(count) * beam, 1)

    def choose(table, places):
        """Gathers `(count, chosen, ...)` from `(count, places, ...)`."""
        return tf.gather(table, places, axis=1, batch_dims=1)

    def body(time, last, greedy_slot, done, alive, tokens, best, ended, state):
        logits, state = step(tf.reshape(last, [count * beam]), state)
        size = logits.shape[-1]
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        log_probs = tf.reshape(log_probs, [count, beam, size])
        totals = tf.expand_dims(alive, 2) + log_probs
        totals = tf.reshape(totals, [count, beam * size])

        # The 2 * beam best continuations: at most half of them can be ends.
        scores, places = tf.math.top_k(totals, 2 * beam)
        follows_greedy = tf.expand_dims(tf.maximum(greedy_slot, 0), 1)
        greedy_place = follows_greedy * size + tf.argmax(
            choose(log_probs, follows_greedy), axis=-1, output_type=tf.int32
        )
        lost = (greedy_slot >= 0) & ~tf.reduce_any(places == greedy_place, axis=1)
        replace = tf.expand_dims(lost, 1) & (tf.range(2 * beam)[None] == 2 * beam - 1)
        places = tf.where(replace, greedy_place, places)
        scores = tf.where(replace, choose(totals, greedy_place), scores)
        is_greedy = (places == greedy_place) & tf.expand_dims(greedy_slot >= 0, 1)

        parents, chosen = places // size, places % size
        extended = tf.where(
            times == time, tf.expand_dims(chosen, 2), choose(tokens, parents)
        )
        is_end = chosen == end

        # Sentences that end here, against those that ended before.
        counts = is_end & ((tf.range(2 * beam)[None] < beam) | is_greedy)
        counts &= (scores > 0.5 * IMPOSSIBLE) & ~tf.expand_dims(done, 1)
        final = scores / length_penalty(time + 1, alpha)
        if bonus is not None:
            final += choose(tf.reshape(bonus(state), [count, beam]), parents)
        final = tf.where(counts, final, IMPOSSIBLE)
        best, order = tf.math.top_k(tf.concat([best, final], 1), beam)
        ended = choose(tf.concat([ended, extended], 1), order)

        # Sentences that go on, the greedy one among them.
        going = tf.where(is_end, 2 * IMPOSSIBLE, scores)
        alive, order = tf.math.top_k(going, beam)
        greedy_going = is_greedy & ~is_end
        place = tf.expand_dims(
            tf.argmax(tf.cast(greedy_going, tf.int32), 1, output_type=tf.int32), 1
        )
        goes_on = tf.reduce_any(greedy_going, axis=1, keepdims=True)
        dropped = goes_on & ~tf.reduce_any(order == place, axis=1, keepdims=True)
        replace = dropped & (tf.range(beam)[None] == beam - 1)
        order = tf.where(replace, place, order)
        alive = tf.where(replace, choose(going, place), alive)
        slot = tf.argmax(tf.cast(order == place, tf.int32), 1, output_type=tf.int32)
        greedy_slot = tf.where(goes_on[:, 0], slot, -1)

        alive = tf.where(tf.expand_dims(done, 1), 2 * IMPOSSIBLE, alive)
        length = max_length if patient else time + 1
        bound = alive[:, 0] / length_penalty(length, alpha)
        done |= best[:, n_best - 1] >= tf.maximum(bound, 0.5 * IMPOSSIBLE)
        alive = tf.where(tf.expand_dims(done, 1), 2 * IMPOSSIBLE, alive)

        rows = tf.reshape(first_rows + choose(parents, order), [count * beam])
        state = tf.nest.map_structure(lambda part: tf.gather(part, rows), state)
        last, tokens = choose(chosen, order), choose(extended, order)
        return time + 1, last, greedy_slot, done, alive, tokens, best, ended, state

    def unfinished(time, last, greedy_slot, done, *_):
        return (time < max_length) & ~tf.reduce_all(done)

    only_first = tf.where(tf.range(beam)[None] == 0, 0.0, 2 * IMPOSSIBLE)
    none = tf.zeros([count, beam, max_length], tf.int32)
    loop = (
        0,
        tf.fill([count, beam], start),
        tf.fill([count], 0),
        tf.fill([count], False),
        tf.tile(only_first, [count, 1]),
        none,
        tf.fill([count, beam], IMPOSSIBLE),
        none,
        tf.nest.map_structure(lambda part: repeat(part, beam), state),
    )
    time, _, _, _, alive, tokens, best, ended, state = tf.while_loop(
        unfinished, body, loop
    )
    cut = alive / length_penalty(time, alpha)
    if bonus is not None:
        cut += tf.reshape(bonus(state), [count, beam])
    cut = tf.where(alive > 0.5 * IMPOSSIBLE, cut, IMPOSSIBLE)
    scores, order = tf.math.top_k(tf.concat([best, cut], 1), n_best)
    possible = scores > 0.5 * IMPOSSIBLE
    tokens = choose(tf.concat([ended, tokens], 1), order)
    tokens = tf.where(tf.expand_dims(possible, 2), tokens, 0)
    return Hypotheses(tokens, tf.where(possible, scores, float("-inf")))


def repeat(tensor, times):
    """Returns every row of a tensor `times` times in succession."""
    shape = tf.shape(tensor)
    tiled = tf.tile(tf.expand_dims(tensor, 1), [1, times] + [1] * (tensor.ndim - 1))
    return tf.reshape(tiled, tf.concat([shape[:1] * times, shape[1:]], 0))


def _rows(state):
    """Returns the first dimension of a state, static where it can be."""
    first = tf.nest.flatten(state)[0]
    return first.shape[0] or tf.shape(first)[0]
