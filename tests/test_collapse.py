"""The guard against collapse, with games that fail on purpose."""

import re

import keras
import numpy as np
import pytest

from zoo.data import images
from zoo.deploy import presets
from zoo.experiment.collapse import CollapseWatch
from zoo.gan import GAN
from zoo.metrics import compare_classes
from zoo.metrics.extractors import of_model
from zoo.networks.dcgan import MLP

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]], "float32")


def extract(points):
    """Calls four clusters classes: a logit falls with the distance to its centre."""
    return points, -np.linalg.norm(points[:, None] - CENTRES, axis=-1)


def clusters(*which, count=400, spread=0.5, seed=0):
    rng = np.random.default_rng(seed)
    centres = CENTRES[rng.choice(which, count)]
    return (centres + spread * rng.normal(size=(count, 2))).astype("float32")


def watch(samples, **settings):
    guard = CollapseWatch(extract, clusters(0, 1, 2, 3), lambda _: samples, **settings)
    model = GAN((2,), 2, MLP((4,)))
    model.compile("adam", "adam")
    guard.set_model(model)
    return guard


HEALTHY = {"generator_gradient": 1.0, "accuracy": 0.7}


def test_a_healthy_game_is_left_in_peace(capsys):
    guard = watch(clusters(0, 1, 2, 3, seed=1))
    logs = dict(HEALTHY)
    guard.on_epoch_end(0, logs)
    assert guard.warnings == [] and capsys.readouterr().out == ""
    assert logs["modes"] == 4
    assert logs["diversity"] == pytest.approx(1.0, abs=0.05)
    assert logs["class_entropy"] == pytest.approx(np.log(4), abs=0.02)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (clusters(2), "complete collapse: every sample is of class 2"),
        (clusters(0, 3), "partial collapse: no samples of classes 1, 2"),
        (clusters(0, 1, 2), "partial collapse: no samples of class 3"),
        (
            np.float32([5, 5]) + 0.01 * clusters(0, 1, 2, 3),
            "complete collapse: two samples differ by 1.0% of what two real ones do",
        ),
        (
            np.float32([5, 5]) + 0.3 * (clusters(0, 1, 2, 3) - 5),
            "partial collapse: two samples differ by 30% of what two real ones do",
        ),
    ],
)
def test_a_collapse_is_named(samples, words, capsys):
    guard = watch(samples)
    guard.on_epoch_end(0, dict(HEALTHY))
    assert [w for _, w in guard.warnings] == [words]
    assert f"step 0: {words}" in capsys.readouterr().out


def test_a_vanished_gradient_is_told_from_a_small_one():
    guard = watch(clusters(0, 1, 2, 3, seed=1))
    guard.on_epoch_end(0, HEALTHY | {"generator_gradient": 2.0})
    guard.on_epoch_end(1, HEALTHY | {"generator_gradient": 0.02})
    assert guard.warnings == []
    guard.on_epoch_end(2, HEALTHY | {"generator_gradient": 0.001})
    ((_, words),) = guard.warnings
    assert words.startswith("the generator's gradient has vanished (norm 1.0e-03)")


def test_a_gradient_that_vanishes_between_two_looks_is_noticed():
    """Logs are means over the epoch, in which ten good steps would hide a hundred."""
    guard = watch(clusters(0, 1, 2, 3, seed=1), every=10)
    guard.on_epoch_begin(0)
    guard.next_look = 0  # as no step is taken here
    for step in (10, 20):
        guard.on_train_batch_end(step - 1, HEALTHY | {"generator_gradient": 10 / step})
        guard.next_look = 0
    ((_, words),) = guard.warnings
    assert words.startswith("the generator's gradient has vanished")


def test_a_discriminator_that_has_won_is_noticed():
    guard = watch(clusters(0, 1, 2, 3, seed=1))
    guard.on_epoch_end(0, HEALTHY | {"accuracy": 0.997})
    ((_, words),) = guard.warnings
    assert words.startswith("the discriminator has won: it tells 99.7% of all pairs")


def test_stops_after_several_bad_looks_in_a_row():
    guard = watch(clusters(1), action="stop", patience=2)
    guard.on_epoch_end(0, dict(HEALTHY))
    assert not guard.model.stop_training
    guard.on_epoch_end(1, dict(HEALTHY))
    assert guard.model.stop_training


def test_restores_the_best_weights(tmp_path):
    guard = watch(clusters(1), action="restore", patience=1, best=tmp_path / "b.keras")
    guard.model.fit(clusters(0), verbose=0)
    best = guard.model.get_weights()
    guard.model.save(tmp_path / "b.keras")
    guard.model.fit(clusters(0), verbose=0)
    guard.WARM_UP = 0
    guard.on_epoch_end(0, dict(HEALTHY))
    assert guard.model.stop_training
    for old, new in zip(best, guard.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_stops_where_there_is_nothing_to_restore_yet(tmp_path, capsys):
    best = tmp_path / "best.keras"
    guard = watch(clusters(0), action="restore", patience=1, best=best)
    guard.on_epoch_end(0, dict(HEALTHY))
    assert guard.model.stop_training
    assert f"stopped; there is no {best} yet" in capsys.readouterr().out


def test_real_examples_must_differ():
    with pytest.raises(ValueError, match="all alike. Received: 3 examples"):
        CollapseWatch(extract, np.ones((3, 2), "float32"), None)


def test_looks_every_so_many_steps_and_tells_the_step():
    real = clusters(0, 1, 2, 3)
    guard = CollapseWatch(extract, real, lambda _: clusters(1), every=5)
    model = GAN((2,), 2, MLP((4,)))
    model.compile("adam", "adam")
    history = model.fit(real, batch_size=25, epochs=2, verbose=0, callbacks=[guard])
    assert [step for step, _ in guard.warnings] == [5, 10, 15, 20, 25, 30]
    assert history.history["modes"] == [1, 1]


def test_a_real_collapse_is_found_in_training(capsys):
    """A generator without noise to speak of can only draw one point."""
    keras.utils.set_random_seed(0)
    real = clusters(0, 1, 2, 3)
    model = GAN((2,), 1, MLP((8,)))
    kernel = model.generator.layers[1].kernel
    kernel.assign(keras.ops.zeros_like(kernel))
    kernel.trainable = False
    model.compile(*(keras.optimizers.SGD(0.0) for _ in range(2)))
    guard = CollapseWatch(extract, real, lambda m: np.asarray(m.sample(100, seed=0)))
    guard.WARM_UP = 10  # of the 13 steps
    model.fit(real, verbose=0, callbacks=[guard])
    assert "complete collapse" in capsys.readouterr().out


def test_four_steps_of_a_tiny_run_are_no_collapse():
    """Its samples are still all alike, which they would be in any run."""
    real = clusters(0, 1, 2, 3)
    model = GAN((2,), 1, MLP((8,)))
    model.compile(*(keras.optimizers.SGD(0.0) for _ in range(2)))
    guard = CollapseWatch(extract, real, lambda _: clusters(1))
    history = model.fit(real, batch_size=100, verbose=0, callbacks=[guard]).history
    assert guard.warnings == [] and guard.bad_looks == 0
    assert history["modes"] == [1]  # but logged it is
    model.generator_optimizer.iterations.assign(guard.WARM_UP)
    guard.on_epoch_end(1, dict(HEALTHY))
    assert [words.split(":")[0] for _, words in guard.warnings] == ["complete collapse"]


def test_logs_that_a_game_does_not_have_are_not_missed():
    guard = watch(clusters(0, 1, 2, 3, seed=1))
    for logs in ({}, {"loss": 1.0}, {"accuracy": 0.6}, {"class_accuracy": 1.0}, None):
        guard.on_epoch_end(0, logs)
    assert guard.warnings == []
    guard.on_epoch_end(0, {"accuracy": 0.995})
    assert "has won" in guard.warnings[0][1]


def test_a_model_of_one_optimizer_or_none_has_steps_too():
    guard = CollapseWatch(extract, clusters(0, 1, 2, 3), lambda _: clusters(1))
    guard.set_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
    guard.on_train_batch_end(0)
    guard.on_train_batch_end(149)
    guard.on_epoch_end(0, {})
    guard.model.compile("sgd", "mse")
    guard.model.optimizer.iterations.assign(700)
    guard.on_epoch_end(1, {})
    assert [step for step, _ in guard.warnings] == [150, 700]


def test_each_of_several_generators_is_judged():
    guard = watch(clusters(0, 1, 2, 3, seed=1))
    names = ("generator_gradient_photos", "generator_gradient_maps")
    guard.on_epoch_end(0, dict.fromkeys(names, 1.0))
    guard.on_epoch_end(1, dict(zip(names, (1.0, 1e-4), strict=True)))
    assert len(guard.warnings) == 1 and "norm 1.0e-04" in guard.warnings[0][1]


def test_a_guard_of_one_of_several_generators_has_its_name():
    guard = watch(clusters(2), name="maps")
    logs = {"accuracy_photos": 1.0, "accuracy_maps": 0.7}
    guard.on_epoch_end(0, logs)
    assert guard.warnings == [
        (0, "complete collapse: every sample is of class 2 (maps)")
    ]
    assert logs["modes_maps"] == 1 and "modes" not in logs and "diversity_maps" in logs
    guard.on_epoch_end(1, {"accuracy_photos": 0.7, "accuracy_maps": 1.0})
    assert "has won" in guard.warnings[-1][1]


@pytest.fixture(scope="module")
def found():
    """Features, logits and true labels of real images."""
    extractor = of_model(presets.load("classifier_fashion_mnist"), "classifier")
    pixels, labels = images.load("embedded", "train")
    pixels, labels = pixels[:7500], labels[:7500]
    outputs = extractor.extract(pixels, batch_size=500)
    return outputs.features, outputs.logits, labels


class TestOfRealImages:
    """The classifier that ships, real images as samples, and what is done to them.

    It reads 6 % of them as another class than they are: shirts above all.
    """

    @pytest.fixture
    def judged(self, found):
        """Returns what the guard says of samples, given by their numbers."""
        features, logits, _ = found
        samples = []
        guard = CollapseWatch(
            lambda rows: (features[rows], logits[rows]),
            np.arange(1000),  # held out
            lambda _: samples[-1],
        )

        def judge(rows):
            samples.append(rows)
            return [*guard.of_samples()]

        return judge

    @pytest.fixture
    def choose(self, found):
        """Returns numbers of random images of some classes, none of those held out."""
        rng = np.random.default_rng(0)

        def choose(classes, count=1000):
            rows = np.flatnonzero(np.isin(found[2], list(classes)))
            return rng.choice(rows[rows >= 1000], count, replace=False)

        return choose

    def test_a_hundred_healthy_looks_raise_no_alarm(self, judged, choose):
        for _ in range(100):
            assert judged(choose(range(10))) == []

    @pytest.mark.parametrize("left_out", [*((c,) for c in range(10)), (0, 6), (2, 4)])
    def test_missing_classes_are_noticed(self, judged, choose, left_out):
        (words,) = judged(choose(set(range(10)) - set(left_out)))
        kind = "class" if len(left_out) == 1 else "classes"
        names = ", ".join(map(str, left_out))
        assert words.endswith(f"samples of {kind} {names}")
        assert words.startswith(("partial collapse: no ", "partial collapse: hardly "))

    @pytest.mark.parametrize("label", range(10))
    def test_one_class_alone_is_complete_and_most_of_one_is_partial(
        self, judged, choose, label
    ):
        alone = choose([label], 500)
        words = f"complete collapse: every sample is of class {label}"
        assert judged(alone) == [words]
        others = choose(set(range(10)) - {label}, 55)
        (words,) = judged(np.concatenate([alone, others]))
        expected = (
            rf"partial collapse: 9\d% .* of class {label}, of the real ones 1?\d%"
        )
        assert re.fullmatch(expected, words)

    def test_few_images_for_ever_are_noticed(self, judged, choose):
        (words,) = judged(np.tile(choose(range(10), 50), 20))
        assert words == (
            "partial collapse: 100% of the samples are nearly the same as another one"
        )

    def test_a_class_that_takes_over_is_noticed_before_others_are_gone(
        self, judged, choose
    ):
        (words,) = judged(np.concatenate([choose([3], 550), choose(range(10), 450)]))
        assert words.startswith("partial collapse: samples are as uneven as 4.9 ")

    def test_one_class_beside_itself_is_no_collapse(self, found, choose):
        for label in (1, 6):
            logits = found[1][choose([label], 300)]
            modes = compare_classes(logits, logits)
            assert (modes.collapse, modes.missing) == ("none", ())

    def test_a_misread_sample_covers_no_class(self, found, choose):
        _, logits, _ = found
        rows = np.append(choose(set(range(10)) - {5}, 999), choose([5], 1))
        modes = compare_classes(logits[:1000], logits[rows])
        assert modes.covered == 9 and modes.missing == (5,)


def test_works_without_classes():
    guard = CollapseWatch(
        lambda x: (x, None), clusters(0, 1), lambda _: clusters(0, spread=0.01)
    )
    guard.set_model(GAN((2,), 2, MLP((4,))))
    guard.model.compile("adam", "adam")
    logs = dict(HEALTHY)
    guard.on_epoch_end(0, logs)
    assert "modes" not in logs and "complete collapse" in guard.warnings[0][1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"action": "panic"}, "Received action='panic'"),
        ({"action": "restore"}, "Received action='restore', best=None"),
        ({"best": "b.keras"}, "Received action='warn', best='b.keras'"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        CollapseWatch(extract, clusters(0), None, **settings)
