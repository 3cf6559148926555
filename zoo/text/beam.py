"""Beam search: keeps the most probable beginnings of every sentence at every step.

    beam_search(step, state, memory, start=2, end=3, max_length=128, beam=5)

`step`, `state` and `memory` are those of `zoo.text.decoding`. Read `beam_search` first:
its inner `advance` is the algorithm, one numbered line each; the functions below it are
those lines. What is called `(sentences, beam, ...)` is `(sentences * beam, ...)` for
`step`, whose rows of one sentence are adjacent.
"""

from typing import NamedTuple

import tensorflow as tf

from zoo.text.decoding import IMPOSSIBLE, Hypotheses, dimensions, rows_of, until_done

#: Scores a beginning that is none. Lower than anything that is only forbidden, and two
#: added up are still far from the end of float32.
NONE = 2 * IMPOSSIBLE


class Beams(NamedTuple):
    """Beginnings of every sentence that go on, and the best that have ended.

    Attributes:
        tokens: `(sentences, beam, max_length)` int32, the beginnings, padded with 0.
        last: `(sentences, beam)` int32, the last token of each.
        alive: `(sentences, beam)` float32, their log-probabilities, the best first;
            `NONE` or less where there is no beginning.
        greedy_slot: `(sentences,)` int32, where among them the greedy one is; -1 once
            it has ended.
        ended: `(sentences, beam, max_length)` int32, sentences that have ended.
        best: `(sentences, beam)` float32, their scores, the best first; `IMPOSSIBLE`
            where there is none.
        done: `(sentences,)` bool, whether no beginning can still win.
        state: Of `step`, each tensor `(sentences, beam, ...)`.
    """

    tokens: tf.Tensor
    last: tf.Tensor
    alive: tf.Tensor
    greedy_slot: tf.Tensor
    ended: tf.Tensor
    best: tf.Tensor
    done: tf.Tensor
    state: object


class Grown(NamedTuple):
    """The `2 * beam` best continuations of a sentence's beam by one token.

    Attributes:
        parents: `(sentences, 2 * beam)` int32, the beginning that each continues.
        chosen: `(sentences, 2 * beam)` int32, the token it adds.
        scores: `(sentences, 2 * beam)` float32, log-probabilities.
        tokens: `(sentences, 2 * beam, max_length)` int32, all its tokens.
        greedy: `(sentences, 2 * beam)` bool, whether it continues the greedy sentence.
    """

    parents: tf.Tensor
    chosen: tf.Tensor
    scores: tf.Tensor
    tokens: tf.Tensor
    greedy: tf.Tensor


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
        step: As `zoo.text.decoding` describes. It sees `beam` adjacent rows for each
            sentence.
        state: Before the first step, of one row per sentence.
        memory: What `step` reads besides.
        start: Id of the token that stands before a sentence.
        end: Id of the token that ends one.
        max_length: Steps after which a sentence without end is cut; integer or scalar
            tensor.
        beam: Beginnings kept, 1 or more.
        alpha: Of `length_penalty`; number or scalar tensor.
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

    def penalised(log_probabilities, length, state, parents=None):
        """Returns the scores of sentences that end after `length` tokens."""
        scores = log_probabilities / length_penalty(length, alpha)
        if bonus is None:
            return scores
        added = split(bonus(state), beam)  # (sentences, beam)
        return scores + (added if parents is None else choose(added, parents))

    def advance(time, beams, memory):
        # 1. How probable is each token after each beginning?
        rows = tf.nest.map_structure(join, beams.state)  # (sentences * beam, ...)
        logits, rows = step(join(beams.last), rows, memory)
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        # 2. The best continuations of all beginnings of a sentence together.
        grown = grow(time, beams, split(log_probs, beam))
        # 3. Those that end here, against those that ended before.
        ends = grown.chosen == end  # (sentences, 2 * beam)
        final = penalised(grown.scores, time + 1, rows, grown.parents)
        best, ended = finish(beams, grown, ends, final)
        # 4. The best of the others go on, the greedy one among them.
        order, alive, greedy_slot = go_on(grown, ends)
        # 5. Is a sentence done? Its best beginning only loses from here on: by
        # probability, but for what a longer sentence gains by the length penalty.
        alive = tf.where(column(beams.done), NONE, alive)
        bound = alive[:, 0] / length_penalty(max_length if patient else time + 1, alpha)
        # At least half of IMPOSSIBLE: nothing that has ended is no reason to be done.
        worst_returned = best[:, n_best - 1]
        done = beams.done | (worst_returned >= tf.maximum(bound, 0.5 * IMPOSSIBLE))
        kept = choose(grown.parents, order)  # (sentences, beam)
        return Beams(
            tokens=choose(grown.tokens, order),
            last=choose(grown.chosen, order),
            alive=tf.where(column(done), NONE, alive),  # nothing more of it counts
            greedy_slot=greedy_slot,
            ended=ended,
            best=best,
            done=done,
            state=tf.nest.map_structure(
                lambda part: choose(split(part, beam), kept), rows
            ),
        )

    beams = first(state, start, max_length, beam)
    time, beams = until_done(advance, beams, memory, max_length)

    # What was cut at `max_length` competes as it is.
    rows = tf.nest.map_structure(join, beams.state)
    cut = penalised(beams.alive, time, rows)
    cut = tf.where(beams.alive > 0.5 * IMPOSSIBLE, cut, IMPOSSIBLE)
    scores, order = tf.math.top_k(tf.concat([beams.best, cut], 1), n_best)
    tokens = choose(tf.concat([beams.ended, beams.tokens], 1), order)
    possible = scores > 0.5 * IMPOSSIBLE  # (sentences, n_best)
    tokens = tf.where(tf.expand_dims(possible, 2), tokens, 0)
    return Hypotheses(tokens, tf.where(possible, scores, float("-inf")))


def first(state, start, max_length, beam):
    """Returns the beams before the first step: one beginning each, the empty one."""
    count = rows_of(state)
    # All slots hold it; were more than one alive, a beam would fill with its copies.
    alive = tf.where(tf.range(beam)[None] == 0, 0.0, NONE)  # (1, beam)
    nothing = tf.zeros([count, beam, max_length], tf.int32)

    def spread(part):
        """Gives each of the first rows to all of a beam."""
        return tf.tile(part[:, None], [1, beam] + [1] * (part.shape.rank - 1))

    return Beams(
        tokens=nothing,
        last=tf.fill([count, beam], start),
        alive=tf.tile(alive, [count, 1]),
        greedy_slot=tf.fill([count], 0),
        ended=nothing,
        best=tf.fill([count, beam], IMPOSSIBLE),
        done=tf.fill([count], False),
        state=tf.nest.map_structure(spread, state),  # (sentences, beam, ...)
    )


def grow(time, beams, log_probs):
    """Returns the best continuations, `Grown`, that of the greedy sentence among them.

    Twice as many as the beam is wide: at most half of them can be ends, as each
    beginning has one, so that enough are left to go on.

    Args:
        time: Tokens so far.
        beams: `Beams`.
        log_probs: `(sentences, beam, vocabulary)` of each next token.
    """
    _, beam, size = log_probs.shape
    totals = beams.alive[:, :, None] + log_probs  # (sentences, beam, vocabulary)
    totals = tf.reshape(totals, [-1, beam * size])
    scores, places = top_k(totals, 2 * beam)  # a place is beginning * size + token

    # The greedy sentence takes the likeliest token after its own beginning. Where that
    # is not among the best, it has the last place of them.
    follows = beams.greedy_slot >= 0  # (sentences,)
    slot = column(tf.maximum(beams.greedy_slot, 0))  # (sentences, 1)
    token = tf.argmax(choose(log_probs, slot), axis=-1, output_type=tf.int32)
    place = slot * size + token  # (sentences, 1)
    lost = follows & ~tf.reduce_any(places == place, axis=1)
    replace = column(lost) & (tf.range(2 * beam)[None] == 2 * beam - 1)
    places = tf.where(replace, place, places)
    scores = tf.where(replace, choose(totals, place), scores)

    parents, chosen = places // size, places % size  # (sentences, 2 * beam)
    now = tf.range(dimensions(beams.tokens)[-1]) == time  # (max_length,)
    tokens = tf.where(now, tf.expand_dims(chosen, 2), choose(beams.tokens, parents))
    greedy = (places == place) & column(follows)
    return Grown(parents, chosen, scores, tokens, greedy)


def finish(beams, grown, ends, final):
    """Returns the scores and the tokens of the best sentences that have ended.

    An end counts among the `beam` best continuations: a worse one would not have gone
    on either. The greedy sentence's counts anywhere.

    Args:
        beams: `Beams` before this step.
        grown: `Grown`.
        ends: `(sentences, 2 * beam)` bool, whether a continuation ends here.
        final: `(sentences, 2 * beam)` float32, its score if it does.

    Returns:
        `(sentences, beam)` and `(sentences, beam, max_length)`, the best first.
    """
    beam = beams.last.shape[1]
    counts = ends & ((tf.range(2 * beam)[None] < beam) | grown.greedy)
    counts &= (grown.scores > 0.5 * IMPOSSIBLE) & ~column(beams.done)
    final = tf.where(counts, final, IMPOSSIBLE)
    scores = tf.concat([beams.best, final], 1)  # (sentences, 3 * beam)
    best, order = tf.math.top_k(scores, beam)
    return best, choose(tf.concat([beams.ended, grown.tokens], 1), order)


def go_on(grown, ends):
    """Chooses the continuations that go on, the greedy one among them.

    Args:
        grown: `Grown`.
        ends: `(sentences, 2 * beam)` bool, whether a continuation ends here.

    Returns:
        `(order, alive, greedy_slot)`: which of the continuations, `(sentences, beam)`
        int32; their log-probabilities, the best first; and where among them the greedy
        one is, `(sentences,)` int32, -1 if it ends.
    """
    beam = ends.shape[1] // 2
    going = tf.where(ends, NONE, grown.scores)
    alive, order = tf.math.top_k(going, beam)

    greedy = grown.greedy & ~ends  # (sentences, 2 * beam), one of them at most
    goes_on = tf.reduce_any(greedy, axis=1, keepdims=True)  # (sentences, 1)
    place = column(tf.argmax(tf.cast(greedy, tf.int32), 1, output_type=tf.int32))
    # Where it fell out of the beam, it has the last slot.
    dropped = goes_on & ~tf.reduce_any(order == place, axis=1, keepdims=True)
    replace = dropped & (tf.range(beam)[None] == beam - 1)  # (sentences, beam)
    order = tf.where(replace, place, order)
    alive = tf.where(replace, choose(going, place), alive)
    slot = tf.argmax(tf.cast(order == place, tf.int32), 1, output_type=tf.int32)
    return order, alive, tf.where(goes_on[:, 0], slot, -1)


# ------------------------------------------------------------------------ penalties


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
    # Not below 1e-9: a token that nothing looked at would make the score -inf.
    covered = tf.math.log(tf.clip_by_value(coverage, 1e-9, 1.0))
    return beta * tf.reduce_sum(covered, axis=-1)  # (..., source) -> (...)


# ------------------------------------------------------- tensors of rows and of beams


def choose(table, places):
    """Gathers `(sentences, chosen, ...)` from `(sentences, places, ...)`."""
    return tf.gather(table, places, axis=1, batch_dims=1)


def column(values):
    """Returns `(sentences, 1)` of `(sentences,)`.

    Not by `values[:, None]`, which LiteRT cannot always do.
    """
    return tf.expand_dims(values, 1)


def split(part, beam):
    """Divides rows into sentences: `(sentences, beam, ...)`."""
    return tf.reshape(part, [-1, beam, *dimensions(part)[1:]])


def join(part):
    """Undoes `split`: `(sentences * beam, ...)`."""
    return tf.reshape(part, [-1, *dimensions(part)[2:]])


def top_k(values, count, width=128):
    """Does what `tf.math.top_k` does with `(rows, many)` values, several times faster.

    The best of all are among those blocks whose best is best.
    """
    many = values.shape[-1]
    if many < 4 * count * width:
        return tf.math.top_k(values, count)
    pad = -many % width
    padded = tf.pad(values, [[0, 0], [0, pad]], constant_values=float("-inf"))
    blocks = tf.reshape(padded, [-1, (many + pad) // width, width])
    _, order = tf.math.top_k(tf.reduce_max(blocks, axis=-1), count)  # (rows, count)
    order = tf.sort(order, axis=-1)  # of equal values the first comes first
    candidates = tf.gather(blocks, order, batch_dims=1)  # (rows, count, width)
    candidates = tf.reshape(candidates, [-1, count * width])
    best, within = tf.math.top_k(candidates, count)  # places among the candidates
    block = tf.gather(order, within // width, batch_dims=1)
    return best, block * width + within % width
