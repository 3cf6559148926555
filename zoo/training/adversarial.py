"""What all adversarial models share: two optimizers, two updates, who is winning."""

import keras
import numpy as np
import tensorflow as tf

from zoo.training import export_inputs
from zoo.training.average import Average
from zoo.training.model import Model, policy_of
from zoo.training.noise import normal
from zoo.training.parts import frozen_parts
from zoo.training.registry import as_tuple, check_counts
from zoo.training.regularizers import check
from zoo.training.step import in_parts, means, minimize

#: What the judge of a game logs; a critic has others.
LOGS = (
    "discriminator_loss",
    "generator_loss",
    "penalty",
    "accuracy",
    "generator_gradient",
)


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
    )  # (batch,) each
    # Each real one against each fake one: 1 if it wins, 0 for a draw, -1.
    wins = tf.sign(tf.cast(real[:, None] - fake[None], tf.float32))  # (batch, batch)
    return 0.5 + 0.5 * tf.reduce_mean(wins)


def refuse_callbacks(callbacks):
    """Refuses callbacks of Keras that change `model.optimizer`: a game has two others.

    Raises:
        ValueError: If there is one, with what to do instead.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if not isinstance(callbacks, (list, tuple)):
        callbacks = [callbacks]
    instead = {
        "ReduceLROnPlateau": "give each a `keras.optimizers.schedules` object as rate",
        "LearningRateScheduler": "give each a `keras.optimizers.schedules` object as "
        "rate",
        "SwapEMAWeights": "average the generator by `ema=0.999` of the model",
    }
    for callback in callbacks:
        for name, advice in instead.items():
            if isinstance(callback, getattr(keras.callbacks, name)):
                raise ValueError(
                    f"{name} changes a model's one optimizer; a game has two. Leave "
                    f"it out and {advice}."
                )


class AdversarialModel(Model):
    """A model with an optimizer for generators and one for discriminators.

    Subclasses make `self.generator` and `self.discriminator` and write a `train_step`
    that ends in `update`. Where there are several of either, or one has another name,
    they say what its variables are:

        @property
        def generator_variables(self):
            return [*self.paint.trainable_variables, *self.erase.trainable_variables]

    This class makes `compile`, `save` and `load_model` carry both optimizers, so that a
    loaded model resumes with its Adam moments intact. Every `Average` that a model
    holds follows its network by itself. A subclass that has something to validate by,
    such as pairs, writes a `test_step`.
    """

    #: Of `zoo.training.regularizers`, all of discriminators.
    regularizers = ()

    @property
    def generator_variables(self):
        """Variables that the generator's optimizer updates."""
        return self.generator.trainable_variables

    @property
    def discriminator_variables(self):
        """Variables that the discriminator's optimizer updates."""
        return self.discriminator.trainable_variables

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """Trains as `keras.Model.fit` does.

        Raises:
            ValueError: If there is something to validate on and no `test_step` to do
                it, if a callback changes the one optimizer that a game does not have,
                or if examples are not what the model trains on.
        """
        refuse_callbacks(callbacks)
        validates = kwargs.get("validation_data") is not None
        validates = validates or kwargs.get("validation_split")
        if validates and type(self).test_step is AdversarialModel.test_step:
            self.test_step(None)  # refuses now, before an epoch is spent
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def test_step(self, data):
        """Refuses: the losses of a game do not say how good its examples are."""
        raise ValueError(
            "There is no loss to validate by. Leave out `validation_data` and "
            "`validation_split`, and measure samples instead: by `zoo evaluate`, or "
            "after each epoch by the callback `zoo.metrics.streaming.Evaluate`."
        )

    # ---------------------------------------------------------------- two updates

    def update(self, tape, generator_loss, discriminator_loss):
        """Takes a step of both players, each down its own loss.

        Both gradients are those at the weights of the forward pass on the tape: the
        generator's does not see what the discriminator has learnt in this step.

        Args:
            tape: Persistent `tf.GradientTape` that recorded both losses.
            generator_loss: Scalar, averaged over the replica's batch.
            discriminator_loss: Likewise, with all penalties.

        Returns:
            Norm of the generator's gradient, a scalar.
        """
        self.update_discriminator(tape, discriminator_loss)
        return self.update_generator(tape, generator_loss)

    def update_discriminator(self, tape, loss):
        """Takes a step of the discriminators alone; returns the gradient's norm."""
        variables = self.discriminator_variables
        norm = minimize(loss, tape, variables, self.discriminator_optimizer)
        for regularizer in self.regularizers:
            regularizer.constrain(variables)
        return norm

    def update_generator(self, tape, loss):
        """Takes a step of the generators alone; returns the gradient's norm."""
        optimizer = self.generator_optimizer
        norm = minimize(loss, tape, self.generator_variables, optimizer)
        for layer in self.layers:
            if isinstance(layer, Average):
                layer.update(optimizer.iterations)
        return norm

    # ------------------------------------------------------------- two optimizers

    def compile(self, generator_optimizer, discriminator_optimizer, **kwargs):
        """Sets both optimizers; other arguments are those of `keras.Model.compile`.

        There is no `model.optimizer`, so Keras' callbacks for learning rates are
        refused: give an optimizer a `keras.optimizers.schedules` object as its rate.

        Raises:
            ValueError: If both are the same object or average weights by themselves, or
                if losses or metrics are given.
        """
        super().compile(optimizer=None, **kwargs)  # Keras would know one at most
        self.generator_optimizer = self._own(generator_optimizer)
        self.discriminator_optimizer = self._own(discriminator_optimizer)
        if self.generator_optimizer is self.discriminator_optimizer:
            raise ValueError(
                "Generator and discriminator need an optimizer each: one keeps the "
                "moments of one set of weights. Received the same object twice."
            )
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            if getattr(optimizer, "inner_optimizer", optimizer).use_ema:
                raise ValueError(
                    "`use_ema` of an optimizer would change the weights of one player "
                    "in the middle of the game. Leave it out and average the generator "
                    "beside: `ema=0.999` of the model. Received: "
                    f"{type(optimizer).__name__} with use_ema=True."
                )
        # Now: on several replicas no slot can be made inside a step.
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator_variables)

    def _own(self, optimizer):
        optimizer = keras.optimizers.get(optimizer)
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        # As Keras does for the one it knows: small gradients vanish in half precision.
        if self.dtype_policy.name == "mixed_float16" and not scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    def get_compile_config(self):
        """Returns both optimizers' settings for `model.save`, `None` without them."""
        if not self.compiled:
            return None
        serialize = keras.optimizers.serialize
        both = self.generator_optimizer, self.discriminator_optimizer
        return {
            "generator_optimizer": serialize(both[0]),
            "discriminator_optimizer": serialize(both[1]),
            "frozen": frozen_parts(self, *both),
            "steps_per_execution": self.steps_per_execution,
        }

    def recompile(self, config):
        """Calls `compile`, which creates the slots that the file will fill."""
        deserialize = keras.optimizers.deserialize
        self.compile(
            deserialize(config["generator_optimizer"]),
            deserialize(config["discriminator_optimizer"]),
            steps_per_execution=config["steps_per_execution"],
        )


class FromNoise(AdversarialModel):
    """An adversarial model whose generator turns noise into examples.

    Subclasses make their networks between `super().__init__(...)` and `ready(...)`.

    Args:
        image_shape: Of an example: `(height, width, channels)` of an image, or `(dim,)`
            of a point.
        latent_dim: Length of a noise vector.
        networks: A `zoo.networks.dcgan.Networks`.
        regularizers: List of `zoo.training.regularizers`.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If one of them is not what it should be, or they do not go together.
    """

    renamed = {"shape": "image_shape"}

    def __init__(self, image_shape, latent_dim, networks, regularizers, **kwargs):
        check_counts(image_shape=as_tuple(image_shape), latent_dim=latent_dim)
        check(regularizers, networks)
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.latent_dim = latent_dim
        self.networks = networks
        self.regularizers = list(regularizers)

    def ready(self, ema, logs=LOGS):
        """Ends `__init__`, once the networks are made.

        Args:
            ema: Decay of the average of the generator that samples are drawn from; 0
                for none.
            logs: Names of what `train_step` returns.
        """
        self.ema = ema
        with policy_of(self):
            self.averaged_generator = Average(self.generator, ema) if ema else None
        self.seed_generator = keras.random.SeedGenerator()
        self.trackers = means(*logs)
        self.built = True  # all networks are functional: their weights exist now

    # ---------------------------------------------------------------- inference

    @property
    def sampler(self):
        """The network to draw with: the average if there is one."""
        return self.averaged_generator or self.generator

    def call(self, latents, training=False):
        """Returns the examples of `(batch, latent_dim)` noise."""
        # Always as in inference: one example does not depend on the others drawn.
        return self.sampler(latents, training=False)  # (batch, *image_shape)

    def sample(self, count, seed=None):
        """Draws examples.

        Args:
            count: Number of examples.
            seed: Integer; the same seed gives the same examples.

        Returns:
            `(count, *image_shape)`.

        Raises:
            ValueError: If `count` is no positive count.
        """
        check_counts(count=count)
        return in_parts(self, self.latents(count, seed))

    def latents(self, count, seed):
        """Returns the `(count, latent_dim)` noise of a seed, drawn by NumPy."""
        noise = np.random.default_rng(seed).standard_normal((count, self.latent_dim))
        return tf.cast(noise, tf.float32)

    def noise(self, count):
        """Returns `(count, latent_dim)` standard normal noise of a training step."""
        return normal((count, self.latent_dim), self.seed_generator)

    # -------------------------------------------------------- saving and export

    def export_signatures(self):
        """Returns `{endpoint: (function, input specs)}` for `zoo.deploy.export`."""
        latents = tf.TensorSpec((None, self.latent_dim), tf.float32, name="latents")
        return {"generate": (lambda latents: {"images": self(latents)}, [latents])}

    def export_inputs(self):
        """Returns how inputs that need no data are distributed: noise is normal."""
        return {"latents": export_inputs.normal}

    def get_config(self):
        """Returns the arguments of `__init__`, under their own names."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "latent_dim": self.latent_dim,
            "networks": serialize(self.networks),
            "regularizers": [serialize(one) for one in self.regularizers],
            "ema": self.ema,
        }
