"""What models with several generators and discriminators, or with pairs, build on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.contract import optimizers
from zoo.data import images
from zoo.experiment.run import Run
from zoo.experiment.settings import Training
from zoo.gan import GAN
from zoo.networks.dcgan import MLP
from zoo.training.adversarial import AdversarialModel
from zoo.training.average import Average
from zoo.training.losses import least_squares_discriminator as judge
from zoo.training.losses import least_squares_generator as fool
from zoo.training.pool import Pool
from zoo.training.registry import register
from zoo.training.step import means, track, unpack


@register
class Cycle(AdversarialModel):
    """Two generators, two discriminators, two averages and two pools, on points."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        networks = MLP((4,))
        self.there, self.back = (networks.generator(2, (2,)) for _ in range(2))
        self.judges = [networks.discriminator((2,)) for _ in range(2)]
        self.averages = [Average(one, 0.5) for one in (self.there, self.back)]
        self.pools = [Pool(8, (2,)) for _ in range(2)]
        self.trackers = means("generator_loss", "discriminator_loss", "gap")
        self.built = True

    @property
    def generator_variables(self):
        return [*self.there.trainable_variables, *self.back.trainable_variables]

    @property
    def discriminator_variables(self):
        return [v for one in self.judges for v in one.trainable_variables]

    def losses_on(self, points, query):
        fakes = self.there(points), self.back(points)
        gap = tf.reduce_mean(tf.square(self.back(fakes[0]) - points))
        shown = [
            query(pool, fake) for pool, fake in zip(self.pools, fakes, strict=True)
        ]
        generator = discriminator = 0.0
        for one, fake, old in zip(self.judges, fakes, shown, strict=True):
            generator += tf.reduce_mean(fool(one(fake)))
            discriminator += tf.reduce_mean(judge(one(points), one(old)))
        return {
            "generator_loss": generator + gap,
            "discriminator_loss": discriminator,
            "gap": gap,
        }

    def train_step(self, data):
        points, _ = unpack(data, (2,))
        with tf.GradientTape(persistent=True) as tape:
            losses = self.losses_on(points, Pool.query)
        self.update(tape, losses["generator_loss"], losses["discriminator_loss"])
        return track(self.trackers, losses)

    def test_step(self, data):
        points, _ = unpack(data, (2,))
        return track(self.trackers, self.losses_on(points, lambda pool, fake: fake))


def points(count=32):
    return np.random.default_rng(0).normal(size=(count, 2)).astype("float32")


def made():
    model = Cycle()
    model.compile(keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-2))
    return model


def train(directory, epochs, resume=False):
    keras.utils.clear_session(free_memory=False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    settings = Training(run_dir=str(directory), epochs=epochs, resume=resume)
    run = Run("cycle", settings, ("epochs",))
    model = run.model(made)
    model.fit(
        images.batches(points(), 8, seed=1, first_epoch=run.first_epoch),
        initial_epoch=run.first_epoch,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=run.callbacks(monitor=None),
    )
    return model


def test_a_game_of_four_resumes_bit_for_bit_with_its_pools_and_averages(tmp_path):
    whole = train(tmp_path / "whole", 4)
    train(tmp_path / "parts", 2)
    parts = train(tmp_path / "parts", 4, resume=True)
    pairs = list(zip(whole.variables, parts.variables, strict=True))
    for name, optimizer in optimizers(whole).items():
        resumed = optimizers(parts)[name].variables
        pairs += zip(optimizer.variables, resumed, strict=True)
    for ours, theirs in zip(whole.pools, parts.pools, strict=True):
        pairs += zip(ours.state(), theirs.state(), strict=True)
    for old, new in pairs:
        np.testing.assert_array_equal(old, new)
    for average, network in zip(whole.averages, (whole.there, whole.back), strict=True):
        gaps = [
            np.abs(mean - value).max()
            for mean, value in zip(
                average.get_weights(), network.get_weights(), strict=True
            )
        ]
        assert 0 < max(gaps) < 0.1  # behind, and following


def test_is_validated_where_it_can_be():
    history = made().fit(points(), validation_data=points(8), verbose=0).history
    assert np.isfinite(history["val_gap"][0])
    logs = Cycle().evaluate(points(8), verbose=0, return_dict=True)
    assert np.isfinite(logs["gap"])


def test_update_takes_both_gradients_at_the_weights_before():
    """Two steps of SGD of one tape, against gradients taken before either."""
    model = GAN((2,), 2, MLP((4,)))
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    real, noise = points(6), points(6)
    with tf.GradientTape(persistent=True) as tape:
        real_logits = model.discriminator(real)
        fake_logits = model.discriminator(model.generator(noise))
        d_loss = tf.reduce_mean(judge(real_logits, fake_logits))
        g_loss = tf.reduce_mean(fool(fake_logits))
    groups = model.discriminator_variables, model.generator_variables
    expected = [
        value.numpy() - 0.1 * gradient
        for loss, group in zip((d_loss, g_loss), groups, strict=True)
        for value, gradient in zip(group, tape.gradient(loss, group), strict=True)
    ]
    norm = model.update(tape, g_loss, d_loss)
    assert float(norm) > 0
    for variable, wanted in zip((*groups[0], *groups[1]), expected, strict=True):
        np.testing.assert_allclose(variable, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("callback", "advice"),
    [
        (keras.callbacks.ReduceLROnPlateau("gap"), "optimizers.schedules` object"),
        (keras.callbacks.LearningRateScheduler(lambda epoch: 0.1), "schedules` object"),
        (keras.callbacks.SwapEMAWeights(), "average the generator by `ema=0.999`"),
    ],
)
def test_refuses_a_callback_for_the_one_optimizer_it_does_not_have(callback, advice):
    for given in (callback, [callback], keras.callbacks.CallbackList([callback])):
        with pytest.raises(ValueError, match=f"a game has two. Leave it out.*{advice}"):
            made().fit(points(), verbose=0, callbacks=given)


def test_refuses_an_optimizer_that_averages():
    adam = keras.optimizers.Adam(use_ema=True)
    with pytest.raises(ValueError, match="ema=0.999.*Received: Adam with use_ema"):
        Cycle().compile("adam", adam)


def test_needs_an_optimizer_for_each_side():
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="Received the same object twice"):
        Cycle().compile(adam, adam)
