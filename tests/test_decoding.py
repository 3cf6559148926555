import itertools

import numpy as np
import pytest
import tensorflow as tf

from zoo.text import decoding
from zoo.text.beam import beam_search, coverage_penalty, length_penalty, top_k

START, END = 1, 2


class Toy:
    """A random recurrent network of few tokens, whose sentences can all be listed."""

    def __init__(self, seed, size=5, end_bias=0.0):
        rng = np.random.default_rng(seed)
        self.size = size
        self.table = rng.normal(size=(size, 6)).astype("float32")
        self.recurrent = rng.normal(size=(6, 6)).astype("float32")
        self.output = (2 * rng.normal(size=(6, size))).astype("float32")
        self.bias = np.zeros(size, "float32")
        self.bias[[0, START]] = -1e9
        self.bias[END] = end_bias

    def step(self, tokens, state, memory):
        hidden = tf.tanh(state["h"] @ self.recurrent + tf.gather(self.table, tokens))
        read = {"h": hidden, "coverage": state["coverage"] + tf.nn.softmax(hidden)}
        return hidden @ self.output + self.bias, read

    def state(self, count):
        start = np.linspace(-1, 1, count * 6, dtype="float32").reshape(count, 6)
        return {"h": tf.constant(start), "coverage": tf.zeros((count, 6))}

    def log_probability(self, row, tokens, count=1):
        """Returns that of one sentence by NumPy in float64, and its coverage."""
        h = np.asarray(self.state(count)["h"], "float64")[row]
        last, total, coverage = START, 0.0, 0.0
        for token in tokens:
            h = np.tanh(h @ self.recurrent + self.table[last])
            coverage = coverage + np.exp(h) / np.exp(h).sum()
            logits = h @ self.output + self.bias
            total += logits[token] - np.log(np.exp(logits - logits.max()).sum())
            total -= logits.max()
            last = token
        return total, coverage

    def sentences(self, max_length):
        """Lists all sentences: those that end in time and those that are cut."""
        words = [t for t in range(self.size) if t not in (0, START, END)]
        for length in range(max_length):
            for beginning in itertools.product(words, repeat=length):
                yield (*beginning, END)
        yield from itertools.product(words, repeat=max_length)


ENDS = {"start": START, "end": END}


def trimmed(tokens):
    return tuple(int(t) for t in tokens if t)


def test_greedy_takes_the_likeliest_token_and_stops_at_the_end():
    toy = Toy(0)
    found = decoding.greedy(toy.step, toy.state(3), **ENDS, max_length=6)
    for row in range(3):
        tokens = trimmed(found.tokens[row])
        for place, token in enumerate(tokens):
            options = [
                toy.log_probability(row, (*tokens[:place], other), 3)[0]
                for other in range(toy.size)
            ]
            assert token == np.argmax(options)
        assert END not in tokens[:-1] and (tokens[-1] == END or len(tokens) == 6)
        score, _ = toy.log_probability(row, tokens, 3)
        np.testing.assert_allclose(found.scores[row], score, rtol=1e-5, atol=1e-6)


def test_a_sentence_may_end_at_its_first_token():
    toy = Toy(0, end_bias=50.0)
    tokens, scores = decoding.greedy(toy.step, toy.state(2), **ENDS, max_length=4)
    np.testing.assert_array_equal(tokens, [[END, 0, 0, 0]] * 2)
    np.testing.assert_allclose(scores, 0.0, atol=1e-6)
    found = beam_search(toy.step, toy.state(2), **ENDS, max_length=4, beam=3, n_best=2)
    np.testing.assert_array_equal(found.tokens[:, 0], [[END, 0, 0, 0]] * 2)


def test_of_equal_tokens_the_first_is_taken():
    def step(tokens, state, memory):
        return tf.zeros((tf.shape(tokens)[0], 4)) + [-1e9, -1e9, -1e9, 0.0], state

    def level(tokens, state, memory):
        return tf.zeros((tf.shape(tokens)[0], 4)) + [-1e9, -1e9, 0.0, 0.0], state

    state = tf.zeros((1, 1))
    for beam in (1, 3):
        found = beam_search(step, state, **ENDS, max_length=3, beam=beam)
        np.testing.assert_array_equal(found.tokens[0, 0], [3, 3, 3])
        np.testing.assert_allclose(found.scores, 0.0)
        found = beam_search(level, state, **ENDS, max_length=3, beam=beam)
        np.testing.assert_array_equal(found.tokens[0, 0], [END, 0, 0])
    np.testing.assert_array_equal(
        decoding.greedy(level, state, **ENDS, max_length=3).tokens, [[END, 0, 0]]
    )


@pytest.mark.parametrize("seed", range(5))
def test_beam_of_one_is_greedy(seed):
    toy = Toy(seed, size=7)
    greedy = decoding.greedy(toy.step, toy.state(8), **ENDS, max_length=9)
    beam = beam_search(toy.step, toy.state(8), **ENDS, max_length=9, beam=1)
    np.testing.assert_array_equal(beam.tokens[:, 0], greedy.tokens)
    np.testing.assert_allclose(beam.scores[:, 0], greedy.scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beam", [2, 3, 5])
def test_beam_is_never_worse_than_greedy(beam):
    for seed in range(20):
        toy = Toy(seed, size=9, end_bias=-1.0)
        options = {**ENDS, "max_length": 8}
        greedy = decoding.greedy(toy.step, toy.state(16), **options)
        best = beam_search(toy.step, toy.state(16), **options, beam=beam)
        assert np.all(best.scores[:, 0] >= greedy.scores - 1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.8])
@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_wide_beam_finds_what_exhaustive_search_finds(alpha, beta):
    """Three words and five steps: 364 sentences, fewer than the beam keeps."""
    for seed in range(4):
        toy = Toy(seed, size=6, end_bias=-1.0)
        everything = []
        for tokens in toy.sentences(5):
            score, coverage = toy.log_probability(1, tokens, 2)
            score /= ((5 + len(tokens)) / 6) ** alpha
            score += beta * np.log(np.minimum(coverage, 1)).sum()
            everything.append((score, tokens))
        everything.sort(reverse=True)

        def bonus(state):
            return coverage_penalty(state["coverage"], beta)

        found = beam_search(
            toy.step,
            toy.state(2),
            **ENDS,
            max_length=5,
            beam=400,
            n_best=4,
            alpha=alpha,
            bonus=bonus if beta else None,
            patient=True,
        )
        np.testing.assert_allclose(
            found.scores[1], [score for score, _ in everything[:4]], rtol=1e-4
        )
        assert [trimmed(t) for t in found.tokens[1]] == [t for _, t in everything[:4]]


def test_a_row_does_not_depend_on_its_neighbours():
    toy = Toy(3, size=7)
    state = toy.state(6)
    together = beam_search(
        toy.step, state, **ENDS, max_length=8, beam=3, n_best=3, alpha=0.7
    )
    for row in range(6):
        own = tf.nest.map_structure(lambda part: part[row : row + 1], state)  # noqa: B023
        alone = beam_search(
            toy.step, own, **ENDS, max_length=8, beam=3, n_best=3, alpha=0.7
        )
        np.testing.assert_array_equal(alone.tokens[0], together.tokens[row])
        np.testing.assert_allclose(alone.scores[0], together.scores[row], rtol=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_sentences_that_ended_take_no_further_steps(beam):
    """With a batch of any size, the graph leaves them out, and finds the same."""
    toy, rows = Toy(4, size=7), []

    def step(tokens, state, memory):
        tf.py_function(lambda t: rows.append(len(t)), [tokens], [])
        read, shift = toy.step(tokens, state, ())[1], tf.repeat(memory, beam)[:, None]
        return (read["h"] + shift) @ toy.output + toy.bias, read

    def search(state, memory):
        options = {**ENDS, "max_length": 12}
        if beam == 1:
            return decoding.greedy(step, state, memory, **options)
        return beam_search(
            step, state, memory, **options, beam=beam, n_best=2, alpha=0.7
        )

    inputs = toy.state(40), tf.linspace(-1.0, 1.0, 40)
    fixed, all_rows = search(*inputs), sum(rows)
    rows.clear()
    free = [tf.TensorSpec((None, *part.shape[1:])) for part in tf.nest.flatten(inputs)]
    free = tf.nest.pack_sequence_as(inputs, free)
    found = tf.function(search, input_signature=free)(*inputs)
    np.testing.assert_array_equal(found.tokens, fixed.tokens)
    np.testing.assert_allclose(found.scores, fixed.scores, rtol=1e-5)
    needed = beam * np.count_nonzero(np.reshape(fixed.tokens, (40, -1, 12))[:, 0])
    assert needed <= sum(rows) < 0.75 * all_rows
    assert rows == sorted(rows, reverse=True) and rows[0] == 40 * beam


def test_top_k_in_blocks_is_that_of_all():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 5003)).astype("float32")
    values[:, 7::900] = 9.0  # equal ones: the first comes first
    values[:10, 1700] = 10.0  # also where they are not the best of their block
    values[0, :-3] = -np.inf
    for count in (1, 4, 9):
        best, places = top_k(tf.constant(values), count)
        expected = tf.math.top_k(values, count)
        np.testing.assert_array_equal(best, expected.values)
        np.testing.assert_array_equal(places, expected.indices)


@pytest.mark.parametrize("size", [50, 1100])
def test_a_step_may_forbid_tokens_by_minus_infinity(size):
    def step(tokens, state, memory):
        only = tf.where(tf.range(size) == END, 0.0, float("-inf"))
        return tf.tile(only[None], [tf.shape(tokens)[0], 1]), state

    found = beam_search(step, tf.zeros((2, 1)), **ENDS, max_length=4, beam=3, n_best=2)
    np.testing.assert_array_equal(found.tokens[:, 0], [[END, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(found.scores, [[0.0, -np.inf]] * 2)


def test_missing_hypotheses_score_minus_infinity():
    toy = Toy(0, size=4)  # one word: at two steps, three sentences
    found = beam_search(toy.step, toy.state(1), **ENDS, max_length=2, beam=5, n_best=5)
    assert np.isfinite(found.scores).sum() == 3
    assert np.all(np.isneginf(found.scores[0, 3:]))
    assert not np.any(found.tokens[0, 3:])
    assert len({trimmed(t) for t in found.tokens[0, :3]}) == 3


def test_search_stops_when_all_have_ended():
    calls = []

    def step(tokens, state, memory):
        tf.py_function(lambda: calls.append(1), [], [])
        return tf.zeros((tf.shape(tokens)[0], 4)) + [-1e9, -1e9, 9.0, 0.0], state

    decoding.greedy(step, tf.zeros((2, 1)), **ENDS, max_length=50)
    assert len(calls) == 1
    beam_search(step, tf.zeros((2, 1)), **ENDS, max_length=50, beam=2)
    assert len(calls) <= 3


def test_samples_follow_the_distribution_and_the_seed():
    toy = Toy(1, size=6)
    many = tf.nest.map_structure(lambda x: tf.repeat(x, 4000, 0), toy.state(1))
    options = {**ENDS, "max_length": 1}
    drawn = decoding.sample(toy.step, many, **options, seed=3)
    again = decoding.sample(toy.step, many, **options, seed=3)
    other = decoding.sample(toy.step, many, **options, seed=4)
    np.testing.assert_array_equal(drawn.tokens, again.tokens)
    assert np.any(drawn.tokens != other.tokens)
    expected = [np.exp(toy.log_probability(0, (t,))[0]) for t in range(6)]
    shares = np.bincount(drawn.tokens[:, 0], minlength=6) / 4000
    np.testing.assert_allclose(shares, expected, atol=0.03)
    chosen = int(drawn.tokens[0, 0])
    np.testing.assert_allclose(drawn.scores[0], np.log(expected[chosen]), rtol=1e-4)

    cold = decoding.sample(toy.step, many, **options, seed=3, temperature=1e-3)
    np.testing.assert_array_equal(cold.tokens, np.argmax(expected))
    few = decoding.sample(toy.step, many, **options, seed=3, top_k=2)
    assert set(few.tokens.numpy().ravel()) == set(np.argsort(expected)[-2:])


def test_likeliest_keeps_the_smallest_set_of_enough_probability():
    logits = np.log([[0.5, 0.05, 0.3, 0.15]]).astype("float32")

    def kept(**options):
        return list(np.flatnonzero(decoding.likeliest(logits, **options)[0] > -1e8))

    assert kept(top_k=3) == [0, 2, 3]
    assert kept(top_p=0.5) == [0]
    assert kept(top_p=0.51) == [0, 2]
    assert kept(top_p=0.94) == [0, 2, 3]
    assert kept(top_k=2, top_p=0.7) == [0, 2]
    assert kept(top_k=2, top_p=0.6) == [0]
    assert kept(top_k=9) == [0, 1, 2, 3]
    # The first alone has all the probability that is asked for: the second is too many.
    sure = np.array([[0.0, -1000.0]], "float32")
    after = decoding.likeliest(sure, top_p=tf.constant(1.0))[0]
    np.testing.assert_array_equal(after > -1e8, [True, False])


def test_penalties_are_those_of_gnmt():
    np.testing.assert_allclose(length_penalty(7, 0.6), (12 / 6) ** 0.6, rtol=1e-6)
    coverage = [[0.5, 2.0, 0.25, 1.0]]
    np.testing.assert_allclose(
        coverage_penalty(coverage, 0.2),
        [0.2 * (np.log(0.5) + np.log(0.25))],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("search", "settings", "message"),
    [
        (decoding.sample, {"seed": 0, "temperature": 0}, "Received temperature=0"),
        (decoding.sample, {"seed": 0, "top_p": 0}, "at most 1. Received .*top_p=0"),
        (decoding.sample, {"seed": 0, "top_k": -1}, "Received .*top_k=-1"),
        (beam_search, {"beam": 2, "n_best": 3}, "n_best=3, beam=2"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(search, settings, message):
    toy = Toy(0)
    with pytest.raises(ValueError, match=message):
        search(toy.step, toy.state(1), **ENDS, max_length=3, **settings)
