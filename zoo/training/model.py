"""The base of every model: a Keras model with a loss and logs of its own."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

import zoo.training.optimizers  # noqa: F401  a saved model may have been trained by one
from zoo.system import whole
from zoo.training.registry import restore
from zoo.training.saved_model import write_saved_model


class Model(keras.Model):
    """A Keras model whose `train_step` knows its own loss and logs.

    Subclasses write `train_step`, `test_step` where there is something to validate by,
    `export_signatures` and `get_config`. Their sub-networks are functional and made in
    `__init__`, inside `with policy_of(self)`; so a loaded model needs no first call.
    """

    #: Arguments that had another name in older files: `{"old": "new"}`.
    renamed = {}

    def compile(self, optimizer="rmsprop", **kwargs):
        """Sets the optimizer; other arguments are those of `keras.Model.compile`.

        Raises:
            ValueError: If a loss or metrics are given: the model has its own.
        """
        own = ("loss", "loss_weights", "metrics", "weighted_metrics")
        if unused := [name for name in own if kwargs.get(name)]:
            raise ValueError(
                f"A {type(self).__name__} has a loss and logs of its own. Leave out: "
                f"{', '.join(unused)}."
            )
        super().compile(optimizer, **kwargs)

    def compile_from_config(self, config):
        """Recompiles on load and creates the slots that the file will fill."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does.

        Raises:
            ValueError: If images in memory have values outside [0, 1].
        """
        shape = getattr(x, "shape", ())
        if len(shape) == 4 and shape[0] and tf.as_dtype(x.dtype).is_floating:
            # A look at some: bytes by mistake show at once, all would take long.
            least, most = float(np.min(x[:100])), float(np.max(x[:100]))
            if least < 0 or most > 1:
                raise ValueError(
                    "Images to train on are in [0, 1]. Received values from "
                    f"{least:.3g} to {most:.3g}."
                )
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Measures as `keras.Model.evaluate` does, also a model that is not compiled.

        Keras insists on `compile`, but a preset comes without optimizer and needs none
        to be measured. Afterwards it is again a model that was never compiled.
        """
        if self.compiled:
            return super().evaluate(*args, **kwargs)
        super().compile(optimizer=None)  # no state that a file would then hold
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self.compiled = False

    def export_inputs(self):
        """Returns how the inputs of `export_signatures` are distributed.

        `{input name: function of (generator, shape)}`, see `zoo.training.inputs`, for
        those that need no data, such as noise. Only real ones can stand for any other,
        such as images.
        """
        return {}

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Writes the SavedModel whose endpoints `export_signatures` returns.

        `zoo.deploy.export.export` writes LiteRT files too, and compares all with the
        model.

        Args:
            filepath: Folder to write.
            format: `"tf_saved_model"`.
            **kwargs: None of Keras' other arguments.

        Raises:
            ValueError: If it is another format, or there are other arguments.
        """
        if format != "tf_saved_model" or kwargs:
            raise ValueError(
                "`export` writes a SavedModel with the model's own endpoints. Use "
                "`zoo.deploy.export.export` for LiteRT files. Received: "
                f"{', '.join([f'format={format!r}', *kwargs])}."
            )
        with whole(filepath) as folder:
            write_saved_model(self, self.export_signatures(), folder)

    @classmethod
    def from_config(cls, config):
        """Returns the model that `get_config` described, in this version or before."""
        return restore(cls, config)


@contextlib.contextmanager
def policy_of(model):
    """Makes layers follow a model's dtype policy, not the global one, while it is open.

    So a model that is loaded, or made with `dtype`, computes as it was meant to.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(model.dtype_policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
