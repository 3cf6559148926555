"""Searches for sentences one token at a time: greedily, by chance, or with a beam.

Any model of the next token can be decoded. It comes as a function

    step(tokens, state, memory) -> (logits, state)

of the rows' last tokens, `(rows,)` int32; of a nested structure of tensors whose first
dimension is `rows`; and of another that no step changes, such as the encoded source,
whose first dimension is that of sentences, unknown where the state's is. It returns the
next token's logits, `(rows, vocabulary)`, and the state after the step. A sentence has
one row or, in a beam search, `beam` adjacent ones.

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
    """Draws every token from the model's distribution, or from its likelier part.

    Args:
        step: As the module describes.
        state: Before the first step.
        memory: What `step` reads besides.
        start: Id of the token that stands before a sentence.
        end: Id of the token that ends one.
        max_length: Steps after which a sentence without end is cut; integer or scalar
            tensor.
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

    # Each place in the batch has its noise, so no sentence may move up.
    return _roll(choose, step, state, memory, start, end, max_length, shrink=False)


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


def _roll(choose, step, state, memory, start, end, max_length, shrink=True):
    """Decodes one row a sentence by `choose(log_probs, time) -> (rows,)` tokens."""
    count = _rows(state)
    times = tf.range(max_length)[None]

    def advance(time, rows, memory):
        logits, state = step(rows["last"], rows["state"], memory)
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        chosen = choose(log_probs, time)
        gained = tf.gather(log_probs, chosen, axis=1, batch_dims=1)
        done = rows["done"]
        chosen = tf.where(done, 0, chosen)
        return {
            "last": chosen,
            "done": done | (chosen == end),
            "tokens": tf.where(times == time, chosen[:, None], rows["tokens"]),
            "scores": rows["scores"] + tf.where(done, 0.0, gained),
            "state": state,
        }

    rows = {
        "last": tf.fill([count], start),
        "done": tf.fill([count], False),
        "tokens": tf.zeros([count, max_length], tf.int32),
        "scores": tf.zeros([count]),
        "state": state,
    }
    _, rows = _until_done(advance, rows, memory, max_length, shrink)
    return Hypotheses(rows["tokens"], rows["scores"])


def _until_done(advance, sentences, memory, max_length, shrink=True):
    """Takes steps until all sentences are done, with ever fewer of them.

    Args:
        advance: `(time, sentences, memory) -> sentences`, one step.
        sentences: `{name: tensors}`, the first dimension that of the sentences; among
            them `done`, which says of each whether further steps leave it alone.
        memory: Of the same first dimension.
        max_length: Largest number of steps.
        shrink: Whether steps may leave out sentences that are done.

    Returns:
        The number of steps, and `sentences` after the last one.
    """

    def steps(time, sentences, memory, enough):
        """Takes steps while more than `enough` sentences are not done."""

        def unfinished(time, sentences):
            left = tf.reduce_sum(tf.cast(~sentences["done"], tf.int32))
            return (time < max_length) & (left > enough)

        def body(time, sentences):
            return time + 1, advance(time, sentences, memory)

        return tf.while_loop(unfinished, body, (time, sentences))

    if not shrink or sentences["done"].shape[0] is not None:
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
        left = tf.where(~sentences["done"])[:, 0]
        places, sentences, memory = tf.nest.map_structure(
            lambda part: tf.gather(part, left), (places, sentences, memory)
        )
        return time, places, sentences, memory, found

    places = tf.range(tf.size(sentences["done"]))
    loop = (0, places, sentences, memory, sentences)
    time, *_, found = tf.while_loop(unfinished, shed, loop)
    return time, found


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


def coverage_penalty(coverage, beta):
    """Returns `beta * sum(log(min(coverage, 1)))`, 0 if all of the source was read.

    Args:
        coverage: `(..., source)`, the attention each source token got from all tokens;
            1 or more where there is no source token.
        beta: 0 for no penalty.

    Returns:
        `(...)`, never positive.

    Source:
        Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14.
    """
    covered = tf.math.log(tf.clip_by_value(coverage, 1e-9, 1.0))
    return beta * tf.reduce_sum(covered, axis=-1)


def beam_search(
    step,
    state,
    memory=(),
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
        memory: What `step` reads besides.
        start: Id of the token that stands before a sentence.
        end: Id of the token that ends one.
        max_length: Steps after which a sentence without end is cut; integer or scalar
            tensor.
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
    times = tf.range(max_length)[None, None]

    def choose(table, places):
        """Gathers `(count, chosen, ...)` from `(count, places, ...)`."""
        return tf.gather(table, places, axis=1, batch_dims=1)

    def split(part):
        """Divides rows into sentences of `beam` rows."""
        return tf.reshape(part, [-1, beam, *_dimensions(part)[1:]])

    def join(part):
        """Undoes `split`."""
        return tf.reshape(part, [-1, *_dimensions(part)[2:]])

    def spread(part):
        """Gives each of the first rows to all of a beam."""
        return tf.tile(part[:, None], [1, beam] + [1] * (part.shape.rank - 1))

    def advance(time, sentences, memory):
        done, alive, greedy_slot = (
            sentences[name] for name in ("done", "alive", "greedy_slot")
        )
        state = tf.nest.map_structure(join, sentences["state"])
        logits, state = step(join(sentences["last"]), state, memory)
        size = logits.shape[-1]
        log_probs = split(tf.nn.log_softmax(tf.cast(logits, tf.float32)))
        totals = tf.reshape(alive[:, :, None] + log_probs, [-1, beam * size])

        # The 2 * beam best continuations: at most half of them can be ends.
        scores, places = _top_k(totals, 2 * beam)
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
            times == time,
            tf.expand_dims(chosen, 2),
            choose(sentences["tokens"], parents),
        )
        is_end = chosen == end

        # Sentences that end here, against those that ended before.
        counts = is_end & ((tf.range(2 * beam)[None] < beam) | is_greedy)
        counts &= (scores > 0.5 * IMPOSSIBLE) & ~tf.expand_dims(done, 1)
        final = scores / length_penalty(time + 1, alpha)
        if bonus is not None:
            final += choose(split(bonus(state)), parents)
        final = tf.where(counts, final, IMPOSSIBLE)
        best, order = tf.math.top_k(tf.concat([sentences["best"], final], 1), beam)
        ended = choose(tf.concat([sentences["ended"], extended], 1), order)

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

        kept = choose(parents, order)
        return {
            "last": choose(chosen, order),
            "greedy_slot": greedy_slot,
            "done": done,
            "alive": alive,
            "tokens": choose(extended, order),
            "best": best,
            "ended": ended,
            "state": tf.nest.map_structure(
                lambda part: choose(split(part), kept), state
            ),
        }

    count = _rows(state)
    only_first = tf.where(tf.range(beam)[None] == 0, 0.0, 2 * IMPOSSIBLE)
    none = tf.zeros([count, beam, max_length], tf.int32)
    sentences = {
        "last": tf.fill([count, beam], start),
        "greedy_slot": tf.fill([count], 0),
        "done": tf.fill([count], False),
        "alive": tf.tile(only_first, [count, 1]),
        "tokens": none,
        "best": tf.fill([count, beam], IMPOSSIBLE),
        "ended": none,
        "state": tf.nest.map_structure(spread, state),
    }
    time, sentences = _until_done(advance, sentences, memory, max_length)
    alive, best = sentences["alive"], sentences["best"]
    cut = alive / length_penalty(time, alpha)
    if bonus is not None:
        state = tf.nest.map_structure(join, sentences["state"])
        cut += split(bonus(state))
    cut = tf.where(alive > 0.5 * IMPOSSIBLE, cut, IMPOSSIBLE)
    scores, order = tf.math.top_k(tf.concat([best, cut], 1), n_best)
    possible = scores > 0.5 * IMPOSSIBLE
    tokens = choose(tf.concat([sentences["ended"], sentences["tokens"]], 1), order)
    tokens = tf.where(tf.expand_dims(possible, 2), tokens, 0)
    return Hypotheses(tokens, tf.where(possible, scores, float("-inf")))


def _top_k(values, count, width=128):
    """Does what `tf.math.top_k` does with `(rows, many)` values, several times faster.

    The best of all are among those blocks whose best is best.
    """
    many = values.shape[-1]
    if many < 4 * count * width:
        return tf.math.top_k(values, count)
    pad = -many % width
    padded = tf.pad(values, [[0, 0], [0, pad]], constant_values=float("-inf"))
    blocks = tf.reshape(padded, [-1, (many + pad) // width, width])
    _, order = tf.math.top_k(tf.reduce_max(blocks, axis=-1), count)
    order = tf.sort(order, axis=-1)  # of equal values the first comes first
    best, within = tf.math.top_k(
        tf.reshape(tf.gather(blocks, order, batch_dims=1), [-1, count * width]), count
    )
    block = tf.gather(order, within // width, batch_dims=1)
    return best, block * width + within % width


def _rows(state):
    """Returns the first dimension of a state, static where it can be."""
    return _dimensions(tf.nest.flatten(state)[0])[0]


def _dimensions(tensor):
    """Returns the list of a tensor's dimensions, static where they can be."""
    shape = tf.shape(tensor)
    return [shape[i] if n is None else n for i, n in enumerate(tensor.shape)]
