"""The base of every model: a Keras model with a loss and logs of its own."""

import contextlib
import inspect

import keras
import numpy as np
import tensorflow as tf

import zoo.training.optimizers  # noqa: F401  a saved model may have been trained by one
from zoo.system import whole
from zoo.training.inputs import Place, form, look, plainly
from zoo.training.parts import freeze, frozen_parts
from zoo.training.registry import restore
from zoo.training.saved_model import write_saved_model
from zoo.training.step import unpack


class Model(keras.Model):
    """A Keras model whose `train_step` knows its own loss and logs.

    Subclasses write `train_step`, `test_step` where there is something to validate by,
    `export_signatures` and `get_config`. Their sub-networks are functional and made in
    `__init__`, inside `with policy_of(self)`; so a loaded model needs no first call.
    """

    #: Arguments that had another name in older files: `{"old": "new"}`.
    renamed = {}
    #: Whether `__call__` takes images; a generator's takes noise.
    reads_images = False

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

    def save(self, filepath, *args, **kwargs):
        """Saves as `keras.Model.save` does, to a `.keras` file.

        Raises:
            ValueError: If it is another kind of file.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                "HDF5 keeps no second optimizer and no objects as arguments. "
                "Save to a `.keras` file; `save_weights` writes `.weights.h5`. "
                f"Received: {filepath}."
            )
        super().save(filepath, *args, **kwargs)

    def get_compile_config(self):
        """Returns what `model.save` keeps of `compile`, and which parts are frozen."""
        config = super().get_compile_config()
        return config and {**config, "frozen": frozen_parts(self, self.optimizer)}

    def compile_from_config(self, config):
        """Recompiles on load and creates the slots that the file will fill.

        Parts frozen since the optimizer was built have slots there, and the file too.
        """
        config = dict(config)
        frozen = config.pop("frozen", [])
        freeze(self, frozen, held=False)
        self.recompile(config)
        freeze(self, frozen, held=True)

    def recompile(self, config):
        """Calls `compile` with what `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    # -------------------------------------------------------------- what comes in

    def vectors(self, labels):
        """Returns labels as training takes them; here none are read."""
        return labels

    def look(self, x, y):
        """Checks examples and labels in memory, before a step is spent on them.

        Raises:
            ValueError: If they are not what the model trains on.
        """
        streams = hasattr(x, "element_spec") or isinstance(x, keras.utils.PyDataset)
        if x is None or streams or not hasattr(self, "image_shape"):
            return
        if hasattr(x, "__next__") or type(x).__module__.startswith("torch"):
            return  # Keras makes batches of it; the step looks at each
        look(x, self.image_shape)
        self.vectors(y)

    def _renew(self, step, *data):
        """Drops a compiled step that was made for batches of another form."""
        now = form(*data)
        if self.__dict__.get(f"_form_of_{step}") != now:
            setattr(self, f"{step}_function", None)
            self.__dict__[f"_form_of_{step}"] = now

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
            ValueError: If examples or labels are not what the model trains on; of those
                that come in batches, with the step.
        """
        self.look(x, y)
        self._renew("train", x, y)
        # What comes in batches shuffles itself, and Keras would warn.
        if isinstance(x, tf.data.Dataset) or inspect.isgenerator(x):
            kwargs.setdefault("shuffle", False)
        place = Place()
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(place)
        else:
            callbacks = [*tf.nest.flatten(callbacks or []), place]
        with plainly(place):
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def train_on_batch(self, x, y=None, *args, **kwargs):
        """Takes a step as `keras.Model.train_on_batch` does."""
        self.look(x, y)
        self._renew("train", x, y)
        return super().train_on_batch(x, y, *args, **kwargs)

    def test_on_batch(self, x, y=None, *args, **kwargs):
        """Measures a batch as `keras.Model.test_on_batch` does."""
        self.look(x, y)
        self._renew("test", x, y)
        return super().test_on_batch(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Measures as `keras.Model.evaluate` does, also a model that is not compiled.

        Keras insists on `compile`, but a preset comes without optimizer and needs none
        to be measured. Afterwards it is again a model that was never compiled.

        Raises:
            ValueError: If examples or labels are not what the model trains on.
        """
        self.look(x, y)
        self._renew("test", x, y)
        never = not self.compiled
        if never:
            super().compile(optimizer=None)  # no state that a file would then hold
        try:
            with plainly():
                return super().evaluate(x, y, *args, **kwargs)
        finally:
            if never:
                self.compiled = False

    def predict(self, x, *args, **kwargs):
        """Computes outputs as `keras.Model.predict` does.

        Raises:
            ValueError: If it reads images, and these are none.
        """
        if self.reads_images and isinstance(x, (np.ndarray, tf.Tensor, list, dict)):
            look(x, self.image_shape)
        self._renew("predict", x)
        with plainly():
            return super().predict(x, *args, **kwargs)

    def predict_step(self, data):
        """Computes the outputs of a batch of `predict`."""
        if self.reads_images:
            data = unpack(data, self.image_shape)[0]
        return super().predict_step(data)

    # --------------------------------------------------------------- what goes out

    def export_inputs(self):
        """Returns how the inputs of `export_signatures` are distributed.

        `{input name: function of (generator, shape)}`, see
        `zoo.training.export_inputs`, for those that need no data, such as noise. Only
        real ones can stand for any other, such as images.
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
