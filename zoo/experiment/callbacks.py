"""What goes along with a training run: checkpoints, sample grids, logs, NaN guard."""

import shutil
import time
from pathlib import Path

import keras
import numpy as np

from zoo.experiment import pictures
from zoo.system import whole, write_json
from zoo.training.noise import random_states


class Checkpoint(keras.callbacks.Callback):
    """Saves after each epoch all that an exact continuation needs, and the best model.

    The folder holds `epoch-0007/` with `model.keras` (weights and optimizers) and
    `state.json` (what that file leaves out: random generators, the best value so far,
    seconds of training), the epoch before likewise, should a file be damaged, and
    `best.keras`. Each appears by a rename and only then is what is older removed, so a
    kill at any moment costs at most the current epoch.

    Args:
        directory: Where to write.
        monitor: The log whose lowest value is best; `None` keeps no best model.
        state: `state.json` of the run to continue; `None` starts afresh.
    """

    #: What `state.json` must hold to continue.
    STATE = frozenset({"epochs_done", "random_states"})

    def __init__(self, directory, monitor="val_loss", state=None):
        super().__init__()
        self.directory = Path(directory)
        self.monitor = monitor
        state = state or {}
        self.best = state.get("best")
        self.best_epoch = state.get("best_epoch")
        self.seconds = state.get("seconds", 0.0)

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock: saving and drawing are not training time."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Writes the checkpoint; `epoch` counts from 0."""
        self.seconds += time.perf_counter() - self._started
        if self.monitor:
            if self.monitor not in (logs or {}):
                raise ValueError(
                    f"There is no log named {self.monitor!r} to choose the best model "
                    f"by. Logs: {', '.join(logs or {})}. Pass validation_data or "
                    "another `monitor`."
                )
            value = float(logs[self.monitor])
            if self.best is None or value < self.best or np.isnan(self.best):
                self.best, self.best_epoch = value, epoch
                with whole(self.directory / "best.keras") as path:
                    self.model.save(path)
        before = sorted(self.directory.glob("epoch-*"))
        with whole(self.directory / f"epoch-{epoch + 1:04d}") as folder:
            folder.mkdir()
            self.model.save(folder / "model.keras")
            write_json(folder / "state.json", self.state(epoch))
        for folder in before[:-1]:
            shutil.rmtree(folder)

    def state(self, epoch):
        """Returns what `model.keras` does not hold, ready for JSON."""
        return {
            "epochs_done": epoch + 1,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "seconds": round(self.seconds, 3),
            "random_states": [
                np.asarray(s).tolist() for s in random_states(self.model)
            ],
        }


class Samples(keras.callbacks.Callback):
    """Writes a grid of images after each epoch, always from the same latents.

    Args:
        directory: Receives `epoch-0001.png` and so on, and, below `tensorboard`, the
            same for TensorBoard.
        sample: `model -> (count, height, width, channels)` images in [0, 1].
        tensorboard: Log folder of TensorBoard; `None` writes PNG files only.
    """

    def __init__(self, directory, sample, tensorboard=None):
        super().__init__()
        self.directory = Path(directory)
        self.sample = sample
        self.tensorboard = tensorboard

    def on_epoch_end(self, epoch, logs=None):
        """Writes the model's present samples."""
        images = np.asarray(self.sample(self.model))
        pictures.write_grid(self.directory / f"epoch-{epoch + 1:04d}.png", images)
        if self.tensorboard:
            import tensorflow as tf

            writer = tf.summary.create_file_writer(str(self.tensorboard))
            with writer.as_default(step=epoch):
                tf.summary.image("samples", pictures.grid(images)[None])
            writer.close()


class StopAtNaN(keras.callbacks.Callback):
    """Aborts at the first loss that is not a number, saying where and from what."""

    def __init__(self):
        super().__init__()
        self.last = None
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Checks every value logged at this step.

        Raises:
            FloatingPointError: If one is NaN or infinite, with the step and the last
                values (means over the epoch so far) that were still finite.
        """
        bad = [name for name, value in logs.items() if not np.isfinite(value)]
        if bad:
            last = self.last or "none: this was the first step"
            raise FloatingPointError(
                f"{', '.join(bad)} became {float(logs[bad[0]])} at epoch "
                f"{self.epoch + 1}, step {batch + 1}. Last finite values: {last}. "
                "Lower the learning rate, clip gradients (clipnorm=1.0 in the "
                "optimizer), or check the input for NaN and for its range."
            )
        self.last = {name: round(float(value), 6) for name, value in logs.items()}


class EpochLog(keras.callbacks.CSVLogger):
    """Keras' table of logs, without empty `val_` columns where nothing validates."""

    def on_epoch_end(self, epoch, logs=None):
        """Writes a row; the first one decides the columns."""
        self.keys = self.keys or sorted(logs)
        super().on_epoch_end(epoch, logs)
