import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.cgan import CGAN
from zoo.classifier import Classifier
from zoo.gan import GAN
from zoo.networks.autoencoders import Convolutional, Dense
from zoo.networks.dcgan import MLP
from zoo.training.distributions import Gaussian
from zoo.training.noise import normal, random_states
from zoo.training.optimizers import FusedAdam
from zoo.training.registry import check_counts
from zoo.training.regularizers import R1, GradientPenalty, InstanceNoise
from zoo.training.step import means, minimize, track, unpack
from zoo.vae import VAE
from zoo.wgan import WGAN


def descend(weight, optimizer):
    """Takes a step down the square of a variable."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(weight))
    minimize(loss, tape, [weight], optimizer)


def test_minimize_steps_down_the_gradient():
    weight = keras.Variable([3.0])
    descend(weight, keras.optimizers.SGD(0.1))
    np.testing.assert_allclose(weight, [3.0 - 0.1 * 6.0])


def test_minimize_undoes_its_loss_scale():
    weight = keras.Variable([3.0])
    descend(weight, keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)))
    np.testing.assert_allclose(weight, [3.0 - 0.1 * 6.0], rtol=1e-6)


def test_a_step_skipped_for_an_overflow_logs_no_infinity():
    """Overflows belong to mixed_float16: the scale grows until one happens."""
    weight = keras.Variable([3.0])
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=1e38
    )
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(tf.square(weight)))
    assert float(minimize(loss, tape, [weight], optimizer)) == 0.0
    np.testing.assert_array_equal(weight, [3.0])


def test_minimize_names_a_variable_the_loss_forgot():
    used, forgotten = keras.Variable([1.0]), keras.Variable([1.0], name="forgotten")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(used)
    with pytest.raises(ValueError, match="does not depend on forgotten"):
        minimize(loss, tape, [used, forgotten], keras.optimizers.SGD())


def test_bytes_are_refused_where_images_from_0_to_1_are_meant():
    model = VAE((4, 4, 1), 2, Dense((4,)))
    model.compile("adam")
    with pytest.raises(ValueError, match="divided by 255. Received: uint8"):
        model.fit(np.zeros((4, 4, 4, 1), "uint8"), verbose=0)
    for images in (np.full((4, 4, 4, 1), 255.0), np.full((4, 4, 4, 1), -1.0)):
        with pytest.raises(ValueError, match=r"are in \[0, 1\]: .*Received values"):
            model.fit(images, verbose=0)
    with pytest.raises(ValueError, match=r"has one channel.*Received: \(4, 4\)"):
        model.fit(np.zeros((4, 4, 4)), verbose=0)
    doubles = tf.zeros((2, 3), tf.float64)
    examples, labels = unpack((doubles, tf.constant([1, 2])), (3,))
    assert examples.shape == (2, 3) and labels.shape == (2,)
    assert examples.dtype == tf.float32
    with pytest.raises(ValueError, match="Leave out `sample_weight`"):
        unpack((doubles, None, tf.ones(2)), (3,))


def test_what_a_model_would_not_use_is_refused():
    model = VAE((4, 4, 1), 2, Dense((4,)))
    with pytest.raises(ValueError, match="A VAE has a loss.*Leave out: loss, metrics"):
        model.compile("adam", loss="mse", metrics=["mae"])
    game = GAN((2,), 2, MLP((4,)))
    with pytest.raises(ValueError, match="Leave out: metrics"):
        game.compile("adam", "adam", metrics=["mae"])
    game.compile("adam", "adam")
    before = game.get_weights()
    with pytest.raises(ValueError, match="no loss to validate by"):
        game.fit(np.zeros((8, 2), "float32"), validation_split=0.5, verbose=0)
    for old, new in zip(before, game.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # refused before an epoch is spent


@pytest.mark.parametrize(
    ("made", "old", "new"),
    [
        (lambda: GAN((8, 8, 1), 3), "shape", "image_shape"),
        (lambda: WGAN((8, 8, 1), 3), "shape", "image_shape"),
        (lambda: CGAN((8, 8, 1), 3), "shape", "image_shape"),
        (lambda: VAE((8, 8, 1), 2), "network", "networks"),
        (lambda: Classifier((8, 8, 1), 3), "filters", "widths"),
        (lambda: Convolutional((4, 8)), "filters", "widths"),
        (lambda: Dense((4, 8)), "units", "widths"),
    ],
)
def test_a_configuration_of_before_makes_the_same(made, old, new):
    made = made()
    config = json.loads(json.dumps(made.get_config()))
    before = {old if name == new else name: value for name, value in config.items()}
    assert old in before and new not in before
    again = type(made).from_config(before)
    assert again.get_config() == made.get_config()


def test_evaluates_without_an_optimizer_and_is_no_other_for_it(tmp_path):
    model = VAE((4, 4, 1), 2, Dense((4,)))
    images = np.random.default_rng(0).random((8, 4, 4, 1), dtype="float32")
    logs = model.evaluate(images, verbose=0, return_dict=True)
    assert np.isfinite(logs["negative_elbo"]) and not model.compiled
    model.save(tmp_path / "model.keras")
    assert not keras.saving.load_model(tmp_path / "model.keras").compiled
    with pytest.raises(ValueError, match="must call `compile"):
        model.fit(images, verbose=0)
    model.compile("adam")
    model.fit(images, verbose=0)
    assert model.evaluate(images, verbose=0) and model.compiled


def test_a_schedule_of_beta_without_optimizer_is_at_its_start():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.25, 4, 1.0)
    assert float(VAE((4, 4, 1), 2, beta=schedule).current_beta()) == 0.25


@pytest.mark.parametrize("count", [0, -1, None, 2.5, (8, None), ()])
def test_says_what_is_no_count(count):
    with pytest.raises(ValueError, match="`size` must be counts, all positive. Rece"):
        check_counts(size=count)


def test_model_computes_by_its_own_policy():
    keras.config.set_dtype_policy("float32")
    game = GAN((2,), 2, MLP((4,)), dtype="mixed_bfloat16")
    assert game.generator.layers[1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_callbacks_of_keras_for_its_optimizer_work():
    model = VAE((4, 4, 1), 2, Dense((4,)))
    images = np.random.default_rng(0).random((8, 4, 4, 1), dtype="float32")
    model.compile(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5))
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    slower = keras.callbacks.ReduceLROnPlateau("loss", 0.1, patience=0, min_delta=1e9)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(images, epochs=2, verbose=0, callbacks=[halve, slower, swap])
    # 0.1 / 2, then / 2 and * 0.1 after the second epoch, no better than the first
    np.testing.assert_allclose(model.optimizer.learning_rate, 0.0025, rtol=1e-5)
    assert np.isfinite(model.predict(images, verbose=0)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAE(networks="Dense"), "methods `encoder` and .*Received: 'Dense'"),
        (lambda: VAE(networks=Dense), "`networks` is an object"),
        (lambda: VAE(likelihood="gaussian"), "`likelihood` is an object.*'gaussian'"),
        (lambda: VAE(prior="vamp"), "`prior` is an object such as.*'vamp'"),
        (lambda: VAE(beta=-1), "`beta` is 0 or more.*Received beta=-1"),
        (lambda: VAE(beta=float("nan")), "Received beta=nan"),
        (lambda: VAE(beta="1"), "Received beta='1'"),
        (lambda: VAE(image_shape=28), "Received image_shape=28"),
        (lambda: GAN(networks="DCGAN"), "`networks` is an object.*'DCGAN'"),
        (lambda: GAN(regularizers="r1"), "objects such as R1.*'r'"),
        (lambda: GAN(image_shape=28), "Received image_shape=28"),
        (lambda: GAN(label_smoothing=float("nan")), "Received label_smoothing=nan"),
        (lambda: GAN((2,), 2, MLP((4,)), ema=float("nan")), "`ema` is .*Received nan"),
        (lambda: WGAN(lipschitz="penalty"), "`lipschitz` is .*'penalty'"),
        (lambda: CGAN(conditioning="sum"), "conditioning='sum'"),
        (lambda: Classifier(widths="16"), "Received classes=10, widths=16"),
        (lambda: Classifier(classes="ten"), "Received classes=ten"),
        (lambda: Classifier(label_smoothing=float("nan")), "label_smoothing=nan"),
        (lambda: Classifier(image_shape=28), "Received image_shape=28"),
        (lambda: Gaussian(variance=float("inf")), "Received variance=inf"),
        (lambda: R1(float("nan")), "Received weight=nan"),
        (lambda: GradientPenalty(target=float("nan")), "Received target=nan"),
        (lambda: InstanceNoise(steps=float("nan")), "steps=nan"),
        (lambda: VAE((4, 4, 1), 2).sample(0), "`count` must be counts.*count=0"),
        (lambda: GAN((2,), 2, MLP((4,))).sample(0), "Received count=0"),
        (lambda: CGAN((2,), 2, 2, MLP((4,))).sample(-1), "Received count=-1"),
        (
            lambda: VAE((4, 4, 1), 2).nll(np.zeros((1, 4, 4, 1), "float32"), 0),
            "Received samples=0",
        ),
        (lambda: VAE((4, 4, 1), 2).sample(1, float("nan")), "`temperature` is 0 or"),
    ],
)
def test_says_what_is_wrong_with_a_name_or_a_number(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_keras_export_writes_the_endpoints(tmp_path):
    model = VAE((4, 4, 1), 2, Dense((4,)))
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    assert set(served.signatures) == {"serving_default", "encode", "decode"}
    with pytest.raises(ValueError, match="Use `zoo.deploy.export.export` for LiteRT"):
        model.export(tmp_path / "lite", format="litert")


def test_adversarial_models_train_on_two_replicas():
    """Runs apart, because logical devices must be set before TensorFlow starts."""
    script = """
        import numpy as np, tensorflow as tf, keras
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from zoo.cgan import CGAN
        from zoo.gan import GAN
        from zoo.networks.dcgan import DCGAN
        from zoo.training.optimizers import FusedAdam
        from zoo.wgan import WGAN

        x = np.random.default_rng(0).random((8, 8, 8, 1), dtype="float32")
        two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        for make in (GAN, WGAN, CGAN):
            networks = DCGAN((4,), "none" if make is WGAN else "batch")
            with two.scope():
                model = make((8, 8, 1), latent_dim=3, networks=networks, ema=0.9)
                model.compile(FusedAdam(1e-3), keras.optimizers.Adam(1e-3))
            labels = [np.arange(8)] if make is CGAN else []
            logs = model.fit(x, *labels, batch_size=8, epochs=2, verbose=0).history
            assert all(np.isfinite(values[-1]) for values in logs.values()), logs
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_track_refuses_a_name_it_does_not_know():
    with pytest.raises(ValueError, match=r"Expected \['kl'\], received \['loss'\]"):
        track(means("kl"), {"loss": 1.0})


def test_noise_is_new_at_every_draw_and_repeats_from_its_state():
    generator = keras.random.SeedGenerator(0)
    first, second = normal((1000,), generator), normal((1000,), generator)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    np.testing.assert_allclose([np.mean(first), np.std(first)], [0, 1], atol=0.1)
    np.testing.assert_array_equal(normal((1000,), keras.random.SeedGenerator(0)), first)


def test_random_states_are_found_wherever_they_hide():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5)])
    model = keras.Sequential([inner, keras.layers.GaussianNoise(1.0)])
    assert len(random_states(model)) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"weight_decay": 0.1, "clipnorm": 0.5},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
    ],
)
def test_fused_adam_takes_the_steps_of_keras_adam(settings):
    settings = {"learning_rate": 0.05, **settings}
    start = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    ours, keras_own = keras.Variable(start), keras.Variable(start)
    fused, adam = FusedAdam(**settings), keras.optimizers.Adam(**settings)
    for _ in range(10):
        descend(ours, fused)
        descend(keras_own, adam)
    # ten steps of 0.05; 1 - beta_2^t alone is known to no better than 6e-5 in float32
    np.testing.assert_allclose(ours, keras_own, rtol=1e-4, atol=1e-5)
    for a, b in zip(fused.variables, adam.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_fused_adam_refuses_what_it_does_not_do():
    with pytest.raises(ValueError, match="Use keras.optimizers.Adam"):
        FusedAdam(amsgrad=True)


def test_two_replicas_take_the_step_that_one_would():
    """Runs apart, because logical devices must be set before TensorFlow starts."""
    script = """
        import numpy as np, tensorflow as tf, keras
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        from zoo.networks.autoencoders import Dense
        from zoo.training.noise import normal
        from zoo.training.step import minimize
        from zoo.vae import VAE
        from zoo.data import images

        two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        assert two.num_replicas_in_sync == 2
        x = np.random.default_rng(0).random((8, 4, 4, 1), dtype="float32")

        def weights(strategy):
            keras.utils.set_random_seed(0)
            with strategy.scope():
                # no noise: a step must depend on the batch as a whole alone
                model = VAE((4, 4, 1), 2, Dense((3,)), beta=0.0, deterministic=True)
                model.compile(keras.optimizers.SGD(0.1))
            model.fit(images.batches(x, 8, seed=0), epochs=3, verbose=0, shuffle=False)
            return [v.numpy() for v in model.trainable_variables]

        for a, b in zip(weights(two), weights(tf.distribute.get_strategy())):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

        with two.scope():
            weight = keras.Variable([0.0, 0.0])
            sgd = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
            sgd.build([weight])

        def step():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(weight * [30.0, 40.0])
            minimize(loss, tape, [weight], sgd)

        two.run(tf.function(step))
        np.testing.assert_allclose(weight.numpy(), [-0.6, -0.8], rtol=1e-6)

        with two.scope():
            generator = keras.random.SeedGenerator(0)
        from zoo.training.regularizers import LeCam
        with two.scope():
            lecam = LeCam(weight=1.0, decay=0.5)

        def term():
            here = tf.distribute.get_replica_context().replica_id_in_sync_group
            logits = tf.fill((2, 1), tf.cast(here, tf.float32) * 4.0)  # 0, and 4
            return lecam.penalty(None, None, None, logits, -logits)

        two.run(tf.function(term))
        means = [v.numpy() for v in two.experimental_local_results(
            lecam.real_mean.value)]
        np.testing.assert_allclose(means, [1.0] * len(means))  # half of the mean, 2

        noise = two.run(lambda: normal((1000,), generator)).values
        assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.1, "replicas share noise"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
