import json
import subprocess
import sys
import textwrap
import warnings

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from tests.contract import ModelContract, Variant
from zoo.deploy import export
from zoo.networks.recurrent import Recurrent
from zoo.seq2seq import Seq2Seq, before
from zoo.text.endpoints import DEVICE_LENGTH
from zoo.text.translation import MAX_SOURCE
from zoo.text.vocabulary import END, PADDING, START, Vocabulary, padded
from zoo.training.optimizers import FusedAdam
from zoo.training.teaching import Teaching

LETTERS = Vocabulary.learn(["a b c d e f"], size=11, level="character")
SIZE = len(LETTERS)


def reversals(count, seed=0, shortest=2, longest=6):
    """Returns sentences of letters and the same read backwards."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, count)
    forward = ["".join(rng.choice(list("abcdef"), length)) for length in lengths]
    return forward, [sentence[::-1] for sentence in forward]


def ids(pairs):
    return tuple(padded(LETTERS.encode(side)).numpy() for side in pairs)


def on_device(sentences):
    """Returns ids of the fixed length of the LiteRT files."""
    some = LETTERS.encode(sentences)
    return padded([s + [0] * (DEVICE_LENGTH - len(s)) for s in some]).numpy()


def tiny(**settings):
    settings = {
        "encoder": Recurrent(units=5),
        "decoder": Recurrent(units=6),
        **settings,
    }
    model = Seq2Seq(LETTERS, LETTERS, embedding_dim=4, **settings)
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=1.0))
    return model


class Seq2SeqContract(ModelContract):
    formats = export.LOOP_FORMATS
    settings = {}

    def model(self):
        return tiny(**self.settings)

    def examples(self):
        return ids(reversals(16))

    def batch(self):
        return tf.data.Dataset.from_tensors(self.examples())

    def inputs(self):
        return self.examples()

    def export_examples(self):  # few: an untrained model never ends a sentence
        sentences, _ = reversals(2)
        return {"source": on_device(sentences), "sentences": np.array(sentences)}


# an LSTM layer: 4 gates of units from its inputs, its output and a bias
ENCODER = 2 * 4 * 5 * (4 + 5 + 1)
# reads the last token (4) and readout (6); first states of both kinds from 10
DECODER = 4 * 6 * (4 + 6 + 6 + 1) + 10 * 2 * 6
# keys from 10, query, score; readout from the output and the context
ATTENTION = 10 * 6 + 6 * 6 + 6 + (6 + 10) * 6 + 6
OUTPUT = 6 * SIZE + SIZE


class TestSeq2Seq(Seq2SeqContract):
    parameters = 2 * 4 * SIZE + ENCODER + DECODER + ATTENTION + OUTPUT


class TestWithoutAttention(Variant, Seq2SeqContract):
    settings = {"attention": False}
    # no readout is read back
    parameters = 2 * 4 * SIZE + ENCODER + DECODER - 4 * 6 * 6 + 6 * 6 + 6 + OUTPUT

    def test_cannot_align(self):
        with pytest.raises(ValueError, match="Only a model with attention"):
            self.model().align(["ab"], ["ba"])
        with pytest.raises(ValueError, match="Received beta=0.1"):
            self.model().translate(["ab"], beam=2, beta=0.1)


@pytest.mark.slow
class TestDeepTiedGRU(Variant, Seq2SeqContract):
    settings = {
        "encoder": Recurrent("gru", 5, layers=2, dropout=0.2, residual=True),
        "decoder": Recurrent("gru", 6, layers=3, dropout=0.2, residual=True),
        "tied": "all",
        "teaching": Teaching(0.1, "inverse_sigmoid", steps=3),
    }
    # 3 gates; the readout is as wide as a token's vector, 4
    parameters = (
        4 * SIZE
        + 2 * 3 * 5 * ((4 + 5 + 1) + (10 + 5 + 1))
        + 3 * 6 * ((4 + 4 + 6 + 1) + 2 * (6 + 6 + 1))
        + 10 * 3 * 6
        + (10 * 6 + 6 * 6 + 6 + (6 + 10) * 4 + 4)
        + SIZE
    )

    def model(self):
        model = super().model()
        model.compile(FusedAdam(1e-2, global_clipnorm=1.0))
        return model


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = Seq2Seq(
        LETTERS, LETTERS, 16, Recurrent(units=24), Recurrent(units=32), tied="all"
    )
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=1.0))
    model.fit(*ids(reversals(2000)), batch_size=50, epochs=5, verbose=0)
    return model


def test_learns_to_reverse_words_it_never_saw(trained):
    sentences, expected = reversals(200, seed=1)
    found = trained.translate(sentences)
    assert np.mean(np.array(found) == expected) > 0.9  # chance is below 1 in 6


def test_attention_runs_backwards_when_words_are_reversed(trained):
    ((weights, source, target),) = trained.align(["abcdef"], ["fedcba"])
    assert (len(target), len(source)) == weights.shape == (7, 7)
    assert source[:-1] == list("abcdef") and target[:-1] == list("fedcba")
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    focus = (weights[:6] @ np.arange(7)).round(1)
    assert np.corrcoef(focus, np.arange(6)[::-1])[0, 1] > 0.9


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_padding_changes_no_number(attention, cell):
    model = tiny(
        attention=attention,
        encoder=Recurrent(cell, 5, layers=2),
        decoder=Recurrent(cell, 6, layers=2),
    )
    source, target = ids(reversals(8, longest=9))
    together = model((source, target))
    losses = model.losses_on(source, target, shifted(target), training=False)
    nll = iter(np.split(losses["nll"], np.cumsum((target != 0).sum(1))[:-1]))
    for row in range(8):
        s, t = source[row][source[row] != 0], target[row][target[row] != 0]
        alone = model((s[None], t[None]))
        np.testing.assert_allclose(together[row, : len(t)], alone[0], atol=1e-6)
        own = model.losses_on(s[None], t[None], shifted(t[None]), training=False)
        np.testing.assert_allclose(next(nll), own["nll"], atol=1e-6)

    sentences, _ = reversals(8, longest=9)
    for options in ({"beam": 1}, {"beam": 4, "alpha": 0.6}):
        options |= {"max_length": 12}
        alone = [model.hypotheses([one], **options)[0][0] for one in sentences]
        for one, (other,) in zip(
            alone, model.hypotheses(sentences, **options), strict=True
        ):
            assert one.text == other.text
            assert one.score == pytest.approx(other.score, abs=1e-5)


def shifted(target):
    """Returns the token before each, 2 before the first."""
    return np.concatenate([np.full((len(target), 1), 2), target[:, :-1]], axis=1)


def test_losses_are_nats_per_real_token():
    model = tiny(teaching=Teaching(label_smoothing=0.1))
    source, target = ids(reversals(8))
    logits = np.asarray(model((source, target)), "float64")
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    smooth = np.eye(SIZE)[target] * 0.9 + 0.1 / SIZE
    real = target != 0
    expected = -(smooth * log_probs).sum(-1)[real].mean()
    nll = -np.take_along_axis(log_probs, target[..., None], -1)[..., 0][real].mean()

    shown = shifted(target)
    losses = model.losses_on(source, target, shown, training=True)
    assert np.mean(losses["loss"]) == pytest.approx(expected, rel=1e-5)
    assert np.mean(losses["nll"]) == pytest.approx(nll, rel=1e-5)
    logs = model.evaluate(source, target, batch_size=3, verbose=0, return_dict=True)
    assert logs["nll"] == logs["loss"] == pytest.approx(nll, rel=1e-5)
    assert logs["perplexity"] == pytest.approx(np.exp(nll), rel=1e-5)
    hits = (logits.argmax(-1) == target)[real].mean()
    assert logs["accuracy"] == pytest.approx(hits, rel=1e-5)


def test_score_of_a_greedy_translation_is_its_log_probability(trained):
    for text, (found,) in zip(
        ["abc", "fade"], trained.hypotheses(["abc", "fade"], beam=1), strict=True
    ):
        source, target = ids(([text], [found.text]))
        logits = trained((source, target)).numpy()
        logits[..., [PADDING, START]] = -np.inf  # which no search writes
        found_logs = tf.gather(tf.nn.log_softmax(logits), target, axis=2, batch_dims=2)
        assert found.score == pytest.approx(np.sum(found_logs), abs=1e-4)


K = scipy.optimize.brentq(lambda k: k * np.log(k) - 4, 1, 9)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("none", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.1]),
        ("exponential", [1, np.exp(-0.25), np.exp(-0.5), np.exp(-2)]),
        # k / (k + exp(i / k)), the paper's formula; k ln k = 4
        ("inverse_sigmoid", [K / (K + np.exp(i / K)) for i in (0, 1, 2, 8)]),
    ],
)
def test_truth_is_shown_less_and_less(kind, expected):
    teaching = Teaching(sampling=kind, steps=4, floor=0.1)
    assert kind != "inverse_sigmoid" or float(teaching.truth(4)) == pytest.approx(0.5)
    found = [float(teaching.truth(step)) for step in (0, 1, 2, 8)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scheduled_sampling_draws_each_token_from_the_model(trained):
    """Where the model is sure, what it draws is what it would write."""
    source, target = ids(reversals(100, seed=2))
    model = Seq2Seq.from_config(
        trained.get_config()
        | {"teaching": keras.saving.serialize_keras_object(Teaching(sampling="linear"))}
    )
    model.set_weights(trained.get_weights())
    model.compile("adam")
    true = shifted(target)
    np.testing.assert_array_equal(model.shown(source, target), true)  # at step 0
    model.optimizer.iterations.assign(500)
    model.output_bias.assign(np.eye(SIZE)[5] * 100.0)  # now it says 5, always
    shown = np.asarray(model.shown(source, target))
    np.testing.assert_array_equal(shown[:, 0], true[:, 0])
    replaced = shown[:, 1:] != true[:, 1:]
    assert np.all(shown[:, 1:][replaced] == 5)
    share = (shown[:, 1:] == 5).mean()
    own = (true[:, 1:] == 5).mean()
    assert share == pytest.approx(own + 0.5 * (1 - own), abs=0.05)
    assert np.any(np.asarray(model.shown(source, target)) != shown)


def test_scheduled_sampling_draws_anew_at_each_step_and_token():
    """Not what the step before drew for another token."""
    model = tiny(teaching=Teaching(sampling="linear", steps=1))
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(5)  # nothing true is shown
    source, target = ids((["ab"] * 400, ["abcdef"] * 400))
    drawn = [np.asarray(model.shown(source, target))[:, 1:] for _ in range(3)]
    columns = np.concatenate(drawn, axis=1).T
    same = np.mean(columns[:, None] == columns, axis=-1)[np.tril_indices(18, -1)]
    assert same.max() < 0.4  # 1 in 8 by chance; an untrained model is near that


def test_weights_of_examples_and_other_losses_are_refused():
    model, examples = tiny(), ids(reversals(4))
    with pytest.raises(ValueError, match="Leave out `sample_weight`"):
        model.fit(*examples, sample_weight=np.ones(4), verbose=0)
    with pytest.raises(ValueError, match="A Seq2Seq has a loss.*: loss, metrics"):
        model.compile("adam", loss="mse", metrics=["mae"])


def test_numpys_own_integers_train_with_scheduled_sampling():
    model = tiny(teaching=Teaching(sampling="linear", steps=1))
    examples = [side.astype("int64") for side in ids(reversals(4))]
    assert np.isfinite(model.fit(*examples, verbose=0).history["loss"][0])


def test_imagined_translations_follow_the_seed(trained):
    sentences, expected = reversals(50, seed=3)
    first, again, other = (
        trained.imagine(sentences, seed=s, temperature=3.0) for s in (1, 1, 2)
    )
    assert first == again != other
    twice = trained.imagine(sentences[:4] * 2, seed=1, temperature=3.0, batch_size=4)
    assert twice[:4] != twice[4:]  # each batch draws anew
    cold = trained.imagine(sentences, seed=1, temperature=1e-3)
    assert [one.text for one in cold] == trained.translate(sentences)


def test_numbers_are_inputs_of_a_graph_and_make_none_of_their_own(trained, monkeypatch):
    """Traced anew for each value, a preset kept 8 MB for each."""
    model = Seq2Seq.from_config(trained.get_config())  # has searched for nothing yet
    model.set_weights(trained.get_weights())
    traced, stepper = [], Seq2Seq.stepper

    def counted(self, source, cover=False):
        traced.append(source)
        return stepper(self, source, cover)

    monkeypatch.setattr(Seq2Seq, "stepper", counted)
    sentences, _ = reversals(8, seed=5)
    numbers = ((0.0, 0.1, 9), (0.6, 0.2, 8), (1, 0.3, 3), (2.0, 0.4, 5))
    options = [
        {"beam": 3, "alpha": alpha, "beta": beta, "max_length": length}
        for alpha, beta, length in numbers
    ]
    found = [model.hypotheses(sentences, **some) for some in options]
    assert len(traced) == 1
    for some, texts in zip(options, found, strict=True):
        tokens, scores = model.search(padded(LETTERS.encode(sentences)), **some)
        assert [row[0].text for row in texts] == LETTERS.decode(tokens[:, 0].numpy())
        np.testing.assert_allclose([row[0].score for row in texts], scores[:, 0], 1e-4)

    traced.clear()
    found = [
        model.imagine(sentences, seed=1, temperature=heat, top_k=top_k, top_p=top_p)
        for heat, top_k, top_p in ((3.0, 1, 0.9), (3.0, 7, 0.01), (0.01, 7, 0.99))
    ]
    assert len(traced) == 1
    for texts in found:  # each leaves nothing but the likeliest
        assert [one.text for one in texts] == trained.translate(sentences)


@pytest.mark.parametrize(
    "how", [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 4}]
)
def test_trains_however_it_is_asked_to_run(how):
    losses = []
    for options in ({}, how):
        keras.utils.set_random_seed(0)
        model = tiny(teaching=Teaching(0.1, "linear", steps=2))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model.compile(keras.optimizers.Adam(1e-2), **options)
        history = model.fit(*ids(reversals(16)), batch_size=4, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    assert not model.jit_compile
    warned = any("doesn't support `jit_compile" in str(w.message) for w in said)
    assert warned == ("jit_compile" in how)
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_gpu_does_not_make_keras_compile_it(monkeypatch):
    """By default Keras compiles what can be compiled as soon as it sees one."""
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [gpu])
    dense = keras.Sequential([keras.layers.Dense(1)])
    dense.compile("sgd")
    assert dense.jit_compile and not tiny().jit_compile


def test_says_what_is_wrong_with_a_search(trained):
    """In its own words, not wrapped by those of a graph."""
    for options, error, message in (
        ({"beam": 2, "n_best": 3}, ValueError, "^`n_best` hypotheses are chosen"),
        ({"beam": 0}, ValueError, "^`beam` is 1 or more.*Received beam=0"),
        ({"beta": -1.0}, ValueError, "^`beam` is 1 or more.*beta=-1.0"),
        ({"max_length": -1}, ValueError, "^`max_length` is 1 or more. Received: -1"),
        ({"lenght": 3}, TypeError, "unexpected keyword argument 'lenght'$"),
    ):
        with pytest.raises(error, match=message):
            trained.translate(["abc"], **options)
    with pytest.raises(ValueError, match="^`temperature` is above 0"):
        trained.imagine(["abc"], seed=0, temperature=0.0)
    with pytest.raises(ValueError, match="Texts are strings.*b'abc'"):
        trained.translate([b"abc"])
    with pytest.raises(ValueError, match="`zoo.text.vocabulary.Vocabulary`. Received"):
        Seq2Seq("en", "de")
    with pytest.raises(ValueError, match="`encoder` is a `Recurrent`.*Received: 'gru'"):
        tiny(encoder="gru")
    with pytest.raises(ValueError, match="`teaching` is a `Teaching`, such as Teach"):
        tiny(teaching={"label_smoothing": 0.1})


def test_n_best_are_different_and_in_order(trained):
    (found,) = trained.hypotheses(["abcd"], beam=5, n_best=5, alpha=0.0)
    assert len({one.text for one in found}) == 5
    assert [one.score for one in found] == sorted(
        (o.score for o in found), reverse=True
    )
    assert found[0].text == "dcba"


def test_empty_sentences_stay_empty(trained):
    """Nothing became "1971-01-06"."""
    found = trained.hypotheses(["", " ", "\N{GRINNING FACE}", "abc"], beam=3)
    assert found[0] == found[1] == [("", 0.0)]
    assert found[2][0].score < 0 and found[3][0].text == "cba"
    assert trained.translate([""]) == [""]
    (drawn,) = trained.imagine([""], seed=0)
    assert drawn == ("", 0.0)
    assert trained.translate([]) == []


def test_texts_that_are_too_long_are_left_out(trained):
    long = "a" * MAX_SOURCE  # and the end
    with pytest.warns(UserWarning, match="1 of 3 texts have more than 256 tokens"):
        found = trained.hypotheses([long, "abc", long[1:]])
    assert found[0] == [("", -np.inf)]
    assert found[1][0].text == "cba" and np.isfinite(found[2][0].score)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained.translate(["abc", ""]) == ["cba", ""]


def test_a_server_does_not_wait_for_what_it_does_not_translate(trained, monkeypatch):
    """Ten thousand letters took seven seconds, and everybody in their batch with them.

    Counted in steps of the encoder, for no time is certain.
    """
    (function, specs) = trained.export_signatures()["translate"]
    times, encode = [], Seq2Seq.encode

    def counting(self, source, **options):
        tf.py_function(lambda n: times.append(int(n)), [tf.shape(source)[1]], [])
        return encode(self, source, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Seq2Seq, "encode", counting)
        graph = tf.function(function, input_signature=specs)
        sentences = ["", "abc", "a" * 10_000, "ab", " ", "a" * MAX_SOURCE]
        found = graph(sentences=tf.constant(sentences))
    assert times == [4]  # "abc" and the end
    texts = [text.decode() for text in found["translations"].numpy()]
    assert texts == ["", "cba", "", "ba", "", ""]
    scores = found["scores"].numpy()
    np.testing.assert_array_equal(scores[[0, 4]], 0.0)
    np.testing.assert_array_equal(scores[[2, 5]], -np.inf)
    expected = trained.hypotheses(["abc", "ab"], beam=5)
    np.testing.assert_allclose(
        scores[[1, 3]], [best.score for best, *_ in expected], atol=1e-5
    )
    for nothing in ([], [""], ["", "a" * 10_000]):
        found = function(sentences=tf.constant(nothing, tf.string))
        assert found["translations"].numpy().tolist() == [b""] * len(nothing)


def test_a_single_string_is_refused(trained):
    with pytest.raises(ValueError, match="Several strings are needed"):
        trained.translate("abc")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tied": "encoder"}, "'none', 'decoder' or 'all'.*tied='encoder'"),
        ({"embedding_dim": 0}, "embedding_dim=0"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        Seq2Seq(LETTERS, LETTERS, **settings)


def test_tying_all_needs_one_vocabulary():
    other = Vocabulary.learn(["x y z"], size=7, level="character")
    with pytest.raises(ValueError, match="they must be the same"):
        Seq2Seq(LETTERS, other, tied="all")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_smoothing": 1.0}, "from 0 to below 1.*label_smoothing=1.0"),
        ({"sampling": "often"}, "one of none, linear.*sampling='often'"),
        ({"floor": 2.0}, "floor=2.0"),
        ({"sampling": "linear", "steps": 0}, "`steps` 1 or more.*steps=0"),
    ],
)
def test_says_what_is_wrong_with_the_teaching(settings, message):
    with pytest.raises(ValueError, match=message):
        Teaching(**settings)


def test_penalties_are_of_beams(trained):
    sentences, expected = reversals(100, seed=4)
    plain, covered = (
        trained.hypotheses(sentences, beam=3, alpha=0.0, beta=beta) for beta in (0, 0.1)
    )
    found = [best.text for best, *_ in covered]
    assert np.mean(np.array(found) == expected) > 0.9  # as without
    # A penalty, but none that grows with what another sentence is padded by.
    (alone,) = trained.hypotheses(sentences[:1], beam=3, alpha=0.0, beta=0.1)
    assert alone[0].score == pytest.approx(covered[0][0].score, rel=1e-4)
    assert covered[0][0].score < plain[0][0].score


def test_exported_files_write_the_same_sentences(trained, tmp_path):
    sentences, _ = reversals(40, seed=4)
    source = on_device(sentences)
    artifacts = export.export(
        trained, tmp_path, {"source": source, "sentences": np.array(sentences)}
    )
    # A search loops, which int8 does not survive.
    assert {a.format for a in artifacts} == {"saved_model", *export.LOOP_FORMATS}
    assert {a.endpoint for a in artifacts} == {
        "translate",
        "encode",
        "decode_step",
        "greedy",
        "beam",
    }
    assert all(a.agreement == 1 for a in artifacts if a.format == "float32")
    with pytest.raises(
        ValueError, match="a model that loops to int8.*Received: .'int8'"
    ):
        export.export(trained, tmp_path / "other", formats=["int8"])

    script = (
        "import sys\n"
        "sys.modules.update(keras=None, zoo=None)\n"
        "import json, tensorflow as tf\n"
        f"served = tf.saved_model.load({str(tmp_path / '1')!r}).signatures\n"
        "served['translate'](sentences=tf.constant([], tf.string))\n"
        f"found = served['translate'](sentences=tf.constant({sentences[:9]}))\n"
        "print(json.dumps([t.decode() for t in found['translations'].numpy()]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == trained.translate(sentences[:9], beam=5)

    run = export.interpreter(tmp_path / "model_float32.tflite")
    beam = run.get_signature_runner("beam")
    for ids in ([END], [PADDING]):
        empty = np.array([ids + [PADDING] * (DEVICE_LENGTH - 1)], "int32")
        assert LETTERS.decode(beam(source=empty)["tokens"]) == [""]
    found = [beam(source=source[i : i + 1])["tokens"][0] for i in range(40)]
    assert LETTERS.decode(found) == trained.translate(sentences, beam=5)
    for side in ("source", "target"):
        saved = Vocabulary.load(tmp_path / f"{side}_vocabulary.json")
        assert saved.pieces == LETTERS.pieces


def test_two_replicas_take_the_step_that_one_would():
    """With so uneven numbers of tokens that a mean of means would be another step."""
    script = """
        import numpy as np, tensorflow as tf, keras
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from tests.test_seq2seq import LETTERS, ids
        from zoo.data import images
        from zoo.networks.recurrent import Recurrent
        from zoo.seq2seq import Seq2Seq

        two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        words = ["a", "b", "c", "d", "abcdef", "fedcba", "badcfe", "cdefab"]
        data = ids((words, words))

        def weights(strategy):
            keras.utils.set_random_seed(0)
            with strategy.scope():
                three = Recurrent(units=3)
                model = Seq2Seq(LETTERS, LETTERS, 4, three, three)
                model.compile(keras.optimizers.SGD(1.0))
            history = model.fit(tf.data.Dataset.from_tensor_slices(data).batch(8),
                                epochs=2, verbose=0, shuffle=False).history
            return [v.numpy() for v in model.trainable_variables], history["nll"]

        (one, logs), (both, same) = weights(tf.distribute.get_strategy()), weights(two)
        for a, b in zip(one, both):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(logs, same, rtol=1e-5)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_scheduled_sampling_flips_a_coin_for_each_token():
    """One for each sentence would leave it whole, or sample all of it."""
    model = tiny(teaching=Teaching(sampling="linear", steps=2))
    model.optimizer.iterations.assign(1)  # a half is left
    source, target = map(tf.constant, ids(reversals(200, shortest=6, longest=6)))
    shown, true = model.shown(source, target), before(target)
    changed = np.asarray(shown != true)[:, 1:]  # the start token is always shown
    share = changed.mean(axis=1)
    # By a coin a token 2 ** -6 of the sentences are whole, by one a sentence half.
    assert (share == 0).mean() < 0.2
    assert 0.3 < changed.mean() < 0.6
