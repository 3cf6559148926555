"""What every model of the zoo promises, checked once for all of them.

A model's test file subclasses `ModelContract`, says how to make a tiny instance, and
inherits the tests; what is peculiar to that model it tests beside them.
"""

import inspect
import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.data import images
from zoo.deploy import export
from zoo.experiment.run import Run
from zoo.experiment.settings import Training

#: Models whose SavedModel a process of its own has loaded; to start one takes longer
#: than all the rest of the test, and variants of a model differ in nothing it sees.
loaded_alone = set()
#: Models and ways of running that were tried; compilation by XLA takes long.
ran = set()


class ModelContract:
    """Subclass as `TestX` with the four members below."""

    parameters: int  #: trainable parameters of `model()`, worked out by hand
    formats = ("float32", "float16", "dynamic")  #: of LiteRT, that the model can have
    policies = ("mixed_bfloat16", "mixed_float16")  #: it trains in

    def model(self):
        """Returns a tiny, compiled model."""
        raise NotImplementedError

    def examples(self):
        """Returns 16 training examples: an array or a tuple of arrays."""
        raise NotImplementedError

    def batch(self):
        """Returns one batch in the form that `fit` takes."""
        return self.examples()

    def inputs(self):
        """Returns one batch in the form that `__call__` takes."""
        return self.batch()

    def export_examples(self):
        """Returns real inputs by name for the comparison of exported files."""
        return {}

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls):
        """A model after one step, its weights before, and the logs of that step."""
        keras.utils.set_random_seed(0)
        model = cls().model()
        before = [v.numpy().copy() for v in model.trainable_variables]
        history = model.fit(cls().batch(), verbose=0).history
        return model, before, {name: values[-1] for name, values in history.items()}

    # ------------------------------------------------------------ what it is

    def test_parameter_count(self):
        trainable = self.model().trainable_variables
        assert sum(int(np.prod(v.shape)) for v in trainable) == self.parameters

    def test_has_at_most_eight_arguments(self):
        arguments = inspect.signature(type(self.model()).__init__).parameters
        assert len(arguments.keys() - {"self", "kwargs"}) <= 8

    def test_config_is_json_and_names_every_argument(self):
        model = self.model()
        config = json.loads(json.dumps(model.get_config()))
        arguments = set(inspect.signature(type(model).__init__).parameters)
        assert arguments - {"self", "kwargs"} <= config.keys()
        again = type(model).from_config(config)
        assert again.get_config() == model.get_config()

    # --------------------------------------------------------- how it trains

    def test_one_step_moves_every_trainable_variable(self, trained):
        model, before, _ = trained
        still = [
            v.path
            for v, old in zip(model.trainable_variables, before, strict=True)
            if np.array_equal(v, old)
        ]
        assert not still

    def test_logs_are_finite_and_documented(self, trained):
        model, _, logs = trained
        section = inspect.getdoc(type(model)).split("Logs:")[1].split("\n\n")[0]
        documented = re.findall(r"^    (\w+):", section, flags=re.MULTILINE)
        assert logs.keys() <= set(documented)
        assert logs.keys() == model.trackers.keys()
        assert all(np.isfinite(value) for value in logs.values())

    def test_logs_restart_each_epoch(self, trained):
        model, _, _ = trained
        model.fit(self.batch(), verbose=0)
        counts = [tracker.count.numpy() for tracker in model.trackers.values()]
        model.fit(self.batch(), verbose=0)
        assert [t.count.numpy() for t in model.trackers.values()] == counts

    @pytest.mark.parametrize(
        "how", ["jit_compile", "run_eagerly", "steps_per_execution"]
    )
    def test_trains_however_keras_runs_it(self, how):
        """Keras compiles by XLA by itself where it sees a GPU; none is needed here.

        A layer that cannot be compiled says `supports_jit = False`, and Keras does not.
        """
        model = self.model()
        if (type(model), how) in ran:
            pytest.skip("variants of a model run alike")
        ran.add((type(model), how))
        clones = [
            type(o).from_config(o.get_config()) for o in optimizers(model).values()
        ]
        model.compile(*clones, **{how: 4 if how == "steps_per_execution" else True})
        before = [v.numpy().copy() for v in model.trainable_variables]
        batches = images.batches(self.examples(), 4, seed=1)
        logs = model.fit(batches, verbose=0, shuffle=False).history
        assert all(np.isfinite(values[-1]) for values in logs.values())
        assert 4 in [int(o.iterations) for o in optimizers(model).values()]
        moved = [
            not np.array_equal(v, old)
            for v, old in zip(model.trainable_variables, before, strict=True)
        ]
        assert all(moved)

    def test_trains_in_half_precision(self, policy, tmp_path):
        keras.config.set_dtype_policy(policy)
        model = self.model()
        history = model.fit(self.batch(), verbose=0).history
        assert all(np.isfinite(values[-1]) for values in history.values())
        assert keras.backend.standardize_dtype(model(self.inputs()).dtype) == "float32"
        for function, specs in model.export_signatures().values():
            tf.function(function, input_signature=specs).get_concrete_function()
        model.save(tmp_path / "model.keras")
        keras.config.set_dtype_policy("float32")  # a saved model keeps its own
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(model(self.inputs()), loaded(self.inputs()))

    # ------------------------------------------------------- how it is saved

    def test_saved_model_computes_the_same_and_resumes(self, tmp_path):
        model = self.model()
        model.fit(self.batch(), verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")

        inputs = self.inputs()
        np.testing.assert_array_equal(model(inputs), loaded(inputs))
        assert optimizers(model).keys() == optimizers(loaded).keys() != set()
        for name, optimizer in optimizers(model).items():
            restored = optimizers(loaded)[name]
            assert len(optimizer.variables) > 2  # it has slots to lose
            for old, new in zip(optimizer.variables, restored.variables, strict=True):
                np.testing.assert_array_equal(old, new, err_msg=f"{name} {old.path}")
        loaded.fit(self.batch(), verbose=0)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_frozen_part_stays_frozen_in_a_file(self, when, tmp_path):
        """Before the optimizer was built it has no slots of the part, after it has."""
        model = self.model()
        part = max(model.layers, key=lambda layer: len(layer.trainable_weights))
        if when == "after":
            model.fit(self.batch(), verbose=0)
        part.trainable = False
        if when == "before":
            new = [
                type(o).from_config(o.get_config()) for o in optimizers(model).values()
            ]
            model.compile(*new)
        else:
            model.fit(self.batch(), verbose=0)
        frozen = part.get_weights()
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert len(loaded.trainable_variables) == len(model.trainable_variables)
        for name, optimizer in optimizers(model).items():
            if not optimizer.built:
                continue
            restored = optimizers(loaded)[name]
            for old, new in zip(optimizer.variables, restored.variables, strict=True):
                np.testing.assert_array_equal(old, new, err_msg=f"{name} {old.path}")
        again = loaded.layers[model.layers.index(part)]
        for old, new in zip(frozen, again.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_says_that_another_file_would_not_hold_it(self, tmp_path):
        with pytest.raises(ValueError, match="Save to a `.keras` file"):
            self.model().save(tmp_path / "model.h5")

    def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(self, tmp_path):
        """Killed after two epochs of four: its folder as it was then goes on."""
        copied = []

        def copy(epoch, logs=None):
            if epoch == 1:
                shutil.copytree(tmp_path / "whole", tmp_path / "parts")
                copied.append(tmp_path / "parts")

        killed = keras.callbacks.LambdaCallback(on_epoch_end=copy)
        whole = self.train(tmp_path / "whole", watch=[killed])
        parts = self.train(*copied, resume=True)

        for old, new in zip(whole.variables, parts.variables, strict=True):
            np.testing.assert_array_equal(old, new, err_msg=old.path)
        for name, optimizer in optimizers(whole).items():
            resumed = optimizers(parts)[name].variables
            for old, new in zip(optimizer.variables, resumed, strict=True):
                np.testing.assert_array_equal(old, new, err_msg=f"{name} {old.path}")
        logs = [
            np.genfromtxt(tmp_path / run / "log.csv", delimiter=",", skip_header=1)
            for run in ("whole", "parts")
        ]
        assert logs[0].shape[0] == 4
        # TensorFlow may add up a log in another order each time it traces the step,
        # which shows in the last bit of the log and nowhere else.
        np.testing.assert_allclose(logs[0], logs[1], rtol=1e-6)

    def train(self, directory, resume=False, watch=()):
        """Runs four epochs of shuffled training as a recipe does.

        Without TensorFlow's optimizer of graphs: about one trace in ten of the same
        step it turns into another order of summation, and here what counts is that
        nothing of the state is lost.
        """
        keras.utils.clear_session(free_memory=False)  # as in a new process
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        config = Training(run_dir=str(directory), epochs=4, resume=resume)
        run = Run("contract", config)
        model = run.model(self.model)
        model.fit(
            images.batches(self.examples(), 4, seed=1, first_epoch=run.first_epoch),
            initial_epoch=run.first_epoch,
            epochs=4,
            verbose=0,
            shuffle=False,
            callbacks=[*run.callbacks(monitor=None), *watch],
        )
        return model

    # ---------------------------------------------------- how it is exported

    def test_exports_agree_and_load_without_keras_or_zoo(self, tmp_path, trained):
        model, _, _ = trained
        artifacts = export.export(
            model, tmp_path, self.export_examples(), formats=self.formats
        )
        served = on_device = len(model.export_signatures())
        if hasattr(model, "device_signatures"):
            on_device = len(model.device_signatures())
        assert len(artifacts) == served + len(self.formats) * on_device

        if type(model) in loaded_alone:
            return
        loaded_alone.add(type(model))
        script = (
            "import sys\n"
            "sys.modules.update(keras=None, zoo=None)  # importing either now fails\n"
            "import tensorflow as tf\n"
            f"print(sorted(tf.saved_model.load({str(tmp_path / '1')!r}).signatures))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
        names = sorted(["serving_default", *model.export_signatures()])
        assert done.stdout.strip() == str(names)


class Variant:
    """Put before a contract: a model that another class has tested, set differently.

    Its files and its half precision differ in nothing that the other's would not show,
    so one of each is enough; all else is tested again.
    """

    formats = ("float32",)
    policies = ("mixed_float16",)  # the one that overflows


def optimizers(model):
    """Returns the optimizers of a model by attribute name."""
    names = ("optimizer", "generator_optimizer", "discriminator_optimizer")
    found = {name: getattr(model, name, None) for name in names}
    return {name: optimizer for name, optimizer in found.items() if optimizer}
