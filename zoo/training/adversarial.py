"""What all adversarial models share: two optimizers, an average, who is winning."""

import keras
import tensorflow as tf

from zoo.training.model import Model


def discriminator_accuracy(real_logits, fake_logits):
    """Returns the probability that a real example scores above a fake one.

    The area under the ROC curve: it needs no threshold, so it serves every loss.

    Args:
        real_logits: `(batch, ...)`; of several logits of an example, the mean counts.
        fake_logits: Same shape.

    Returns:
        Scalar: 1/2 if the discriminator cannot tell, 1 if it always can.
    """
    real, fake = (
        tf.reduce_mean(tf.reshape(logits, (tf.shape(logits)[0], -1)), axis=-1)
        for logits in (real_logits, fake_logits)
    )
    wins = tf.sign(tf.cast(real[:, None] - fake[None], tf.float32))
    return 0.5 + 0.5 * tf.reduce_mean(wins)


class AdversarialModel(Model):
    """A model with a generator's optimizer and a discriminator's.

    Subclasses make `self.generator` and `self.discriminator` (or say what its variables
    are) and write their own `train_step`. This class makes `compile`, `save` and
    `load_model` carry both optimizers, so that a loaded model resumes with its Adam
    moments intact, and keeps a running average of the generator.
    """

    @property
    def generator_variables(self):
        """Variables that the generator's optimizer updates."""
        return self.generator.trainable_variables

    @property
    def discriminator_variables(self):
        """Variables that the discriminator's optimizer updates."""
        return self.discriminator.trainable_variables

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does, without validation.

        Raises:
            ValueError: If there is something to validate on, or images in memory have
                values outside [0, 1].
        """
        if kwargs.get("validation_data") is not None or kwargs.get("validation_split"):
            self.test_step(None)
        return super().fit(x, y, *args, **kwargs)

    def test_step(self, data):
        """Refuses: the losses of a game do not say how good its examples are."""
        raise ValueError(
            "There is no loss to validate by. Leave out `validation_data` and "
            "`validation_split`, and measure samples instead: by `zoo evaluate`, or "
            "after each epoch by the callback `zoo.metrics.streaming.Evaluate`."
        )

    # ------------------------------------------------------------- two optimizers

    def compile(self, generator_optimizer, discriminator_optimizer, **kwargs):
        """Sets both optimizers; other arguments are those of `keras.Model.compile`.

        There is no `model.optimizer`, so Keras' callbacks for learning rates do not
        work: give an optimizer a `keras.optimizers.schedules` object as its rate.

        Raises:
            ValueError: If both are the same object, or losses or metrics are given.
        """
        super().compile(optimizer=None, **kwargs)
        self.generator_optimizer = self._own(generator_optimizer)
        self.discriminator_optimizer = self._own(discriminator_optimizer)
        if self.generator_optimizer is self.discriminator_optimizer:
            raise ValueError(
                "Generator and discriminator need an optimizer each: one keeps the "
                "moments of one set of weights. Received the same object twice."
            )
        # Now: on several replicas no slot can be made inside a step.
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator_variables)

    def _own(self, optimizer):
        optimizer = keras.optimizers.get(optimizer)
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self.dtype_policy.name == "mixed_float16" and not scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    def get_compile_config(self):
        """Returns both optimizers' settings for `model.save`, `None` without them."""
        if not self.compiled:
            return None
        serialize = keras.optimizers.serialize
        return {
            "generator_optimizer": serialize(self.generator_optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config):
        """Recompiles on load, which creates the slots that the file will fill."""
        deserialize = keras.optimizers.deserialize
        self.compile(
            deserialize(config["generator_optimizer"]),
            deserialize(config["discriminator_optimizer"]),
            steps_per_execution=config["steps_per_execution"],
        )

    @classmethod
    def from_config(cls, config):
        """Returns a model with the settings that `get_config` described."""
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{name: deserialize(value) for name, value in config.items()})

    # --------------------------------------------------- the average of a generator

    def average(self, decay):
        """Makes the running average of the generator's weights and batch statistics.

        Weights circle around the game's solution; their average lies closer to it.
        Call it once, in `__init__`; without it, `sampler` is the generator itself.

        Args:
            decay: From 0 to below 1: the average's memory is about `1 / (1 - decay)`
                steps, less at the start. 0 keeps none.

        Source:
            Yazici et al. 2019, https://arxiv.org/abs/1806.04498, section 3.
        """
        if not 0 <= decay < 1:
            raise ValueError(f"`ema` is a decay from 0 to below 1. Received {decay}.")
        self.average_decay = decay
        if decay:
            self.averaged_generator = keras.models.clone_model(self.generator)
            self.averaged_generator.set_weights(self.generator.get_weights())
            self.averaged_generator.trainable = False

    def update_average(self):
        """Moves the average towards the generator, after each of its steps."""
        if not self.average_decay:
            return
        step = tf.cast(self.generator_optimizer.iterations, tf.float32)
        decay = tf.minimum(self.average_decay, (1.0 + step) / (10.0 + step))
        pairs = zip(
            self.averaged_generator.variables, self.generator.variables, strict=True
        )
        for mean, value in pairs:
            share = tf.cast(1.0 - decay, mean.dtype)
            mean.assign_add(share * (value - mean))

    @property
    def sampler(self):
        """The network to draw with: the average if there is one."""
        return self.averaged_generator if self.average_decay else self.generator
