"""The folder that a training run writes, and how to continue from it.

    runs/vae/
      config.json        the settings, so that a resumed run cannot differ
      checkpoint/        epoch-0007/ (all that is needed to go on), best.keras
      log.csv            a row per epoch     tensorboard/   the same, and the samples
      samples/           a grid per epoch from one fixed latent
      model.keras        the finished model  report.json    what it is and how good

A recipe opens a `Run`, asks it for the model, and leaves to it what all recipes do:
`run.fit(...)` trains and checkpoints, `run.conclude(...)` measures, draws, exports and
reports.
"""

import csv
import dataclasses
import json
import sys
import time
from pathlib import Path

import keras

from zoo.deploy import export
from zoo.experiment import callbacks, report
from zoo.system import whole, write_json
from zoo.training.noise import random_states


class Run:
    """One training run and its folder.

    Args:
        recipe: Name of the recipe, for the report.
        config: Frozen dataclass with at least `run_dir`, `epochs`, `seed`, `resume`.
        may_change: Names of settings that a resumed run may change: `("epochs",)`
            where no schedule spans them.

    Attributes:
        directory: `pathlib.Path` of the folder.
        first_epoch: Epochs already done; 0 unless resuming.

    Raises:
        ValueError: If `epochs` is below 1 or what a run to resume has done, if a
            learning rate is not positive, if the folder holds a run and `resume` is
            off, if there is none to resume, or if its settings were others.
    """

    def __init__(self, recipe, config, may_change=()):
        if config.epochs < 1:
            raise ValueError(f"--epochs must be 1 or more. Received {config.epochs}.")
        for name, value in dataclasses.asdict(config).items():
            if name.endswith("_rate") and not value > 0:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag} must be above 0. Received {value}.")
        self.recipe = recipe
        self.config = dataclasses.asdict(config)
        self.directory = Path(config.run_dir)
        self.state = self._previous({"resume", "run_dir", *may_change})
        self.first_epoch = self.state["epochs_done"] if self.state else 0
        if config.epochs < self.first_epoch:
            raise ValueError(
                f"The run in {self.directory} has {self.first_epoch} epochs already. "
                f"Resume it with as many or more. Received --epochs {config.epochs}."
            )

    def _previous(self, may_change):
        saved = sorted((self.directory / "checkpoint").glob("epoch-*/state.json"))
        if not self.config["resume"]:
            if saved:
                raise ValueError(
                    f"{self.directory} already holds a run. Continue it with --resume, "
                    "or give the new one another --run-dir."
                )
            return None
        if not (self.directory / "config.json").exists():
            raise ValueError(
                f"There is no run to resume in {self.directory}. Leave out --resume to "
                "start one."
            )
        before = json.loads((self.directory / "config.json").read_text("utf-8"))
        recipe = before.pop("recipe", self.recipe)
        if recipe != self.recipe:
            raise ValueError(
                f"{self.directory} holds a run of {recipe}, not of {self.recipe}."
            )
        now = json.loads(json.dumps(self.config))
        changed = {
            name: (before.get(name), now.get(name))
            for name in before.keys() | now.keys()
            if name not in may_change and before.get(name) != now.get(name)
        }
        if changed:
            difference = "; ".join(
                f"{k} was {a!r}, is {b!r}" for k, (a, b) in sorted(changed.items())
            )
            raise ValueError(
                f"The run in {self.directory} had other settings: {difference}. Resume "
                "with the same ones, or start afresh in another --run-dir."
            )
        if not saved:
            return None  # killed before its first epoch was over
        self.checkpoint_folder = saved[-1].parent
        return json.loads(saved[-1].read_text("utf-8"))

    def model(self, build):
        """Returns the model to train: `build()`, or the one saved by the last epoch."""
        keras.utils.set_random_seed(self.config["seed"])
        if self.state is None:
            model = build()
            # Only now: settings that build no model leave no folder behind.
            self._write_settings()
            return model
        self._write_settings()
        model = keras.saving.load_model(self.checkpoint_folder / "model.keras")
        saved = self.state["random_states"]
        for variable, value in zip(random_states(model), saved, strict=True):
            variable.assign(value)
        return model

    def _write_settings(self):
        settings = {"recipe": self.recipe, **self.config}
        write_json(self.directory / "config.json", settings)

    def callbacks(self, draw=None, monitor="val_loss"):
        """Returns the callbacks of a run: checkpoints, logs, samples, NaN guard.

        Args:
            draw: `model -> images` in [0, 1], always from the same latents.
            monitor: The log whose lowest value marks the best model; `None` for none.
        """
        self._trim_log()
        tensorboard = self.directory / "tensorboard"
        self.checkpoint = callbacks.Checkpoint(
            self.directory / "checkpoint", monitor, self.state
        )
        watchers = [callbacks.StopAtNaN()]
        if draw is not None:
            watchers.append(
                callbacks.Samples(
                    self.directory / "samples", draw, tensorboard / "train"
                )
            )
        return [
            *watchers,
            callbacks.EpochLog(self.directory / "log.csv", append=True),
            keras.callbacks.TensorBoard(tensorboard, write_graph=False),
            self.checkpoint,  # last: an epoch counts once all the others have seen it
        ]

    def fit(self, model, batches, validation=None, draw=None, monitor=None, watch=()):
        """Trains a model for the epochs that are left.

        Args:
            model: What `model` returned.
            batches: Dataset to train on, begun at `first_epoch`.
            validation: Dataset to validate on; its logs begin with `val_`.
            draw: As for `callbacks`.
            monitor: As for `callbacks`.
            watch: More callbacks; what they log is there for all others.
        """
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=self.first_epoch,
            epochs=self.config["epochs"],
            shuffle=False,  # the data set does it
            verbose=1 if sys.stdout.isatty() else 2,  # a bar, or a line per epoch
            callbacks=[*watch, *self.callbacks(draw, monitor)],
        )

    def _trim_log(self):
        """Drops what a killed run logged of the epoch that will now be repeated."""
        log = self.directory / "log.csv"
        if not log.exists():
            return
        with log.open(newline="") as file:
            rows = list(csv.DictReader(file))
        kept = [row for row in rows if int(row["epoch"]) < self.first_epoch]
        with whole(log) as beside, beside.open("w", newline="") as file:
            if kept:
                writer = csv.DictWriter(file, fieldnames=rows[0].keys())
                writer.writeheader()
                writer.writerows(kept)

    def best_model(self):
        """Returns the model of the best epoch."""
        return keras.saving.load_model(self.directory / "checkpoint" / "best.keras")

    def conclude(
        self, model, *, measure, draw, examples, protocol, examples_per_epoch, hints=()
    ):
        """Measures, draws, exports and reports; says what is where and what comes next.

        Args:
            model: The trained model, of the last epoch.
            measure: `model -> {metric: value}` on test data.
            draw: `model -> paths` of the pictures it wrote.
            examples: `model -> {input name: array}`, real inputs for
                `zoo.deploy.export`.
            protocol: How `measure` measures, in words.
            examples_per_epoch: Training examples that an epoch went through.
            hints: Commands to try next.

        Returns:
            The report.
        """
        best, last = self.checkpoint.best_epoch + 1, self.config["epochs"]
        chosen = self.best_model()
        found = measure(chosen)
        metrics = {
            "best": found | {"epoch": best},
            "last": (found if best == last else measure(model)) | {"epoch": last},
            "protocol": protocol,
        }
        table = report.table(metrics["best"].items())
        print(f"\nTest data, best epoch:\n{table}\n{report.remark(protocol)}\n")
        paths = draw(chosen)
        facts = self.finish(chosen, metrics, examples_per_epoch)
        folder = self.directory / "export"
        artifacts = export.export(chosen, folder, examples(chosen))
        print(
            f"Exported, run, and compared with the model:\n{export.describe(artifacts)}"
        )
        written = ("model.keras", "report.json", "export")
        paths = [*paths, *(self.directory / name for name in written)]
        print("\nWrote\n" + "\n".join(f"  {path}" for path in paths))
        hints = [*hints, f"tensorboard --logdir {self.directory}/tensorboard"]
        print("\nNext\n" + "\n".join(f"  {hint}" for hint in hints))
        return facts

    def finish(self, model, metrics, examples_per_epoch, **facts):
        """Writes `model.keras` and `report.json`; returns the report.

        Args:
            model: The model to keep.
            metrics: `{"best": {...}, "last": {...}, "protocol": "..."}`.
            examples_per_epoch: Training examples that an epoch went through.
            **facts: More for the report.
        """
        with whole(self.directory / "model.keras") as path:
            model.save(path)
        seconds = self.checkpoint.seconds
        epochs = self.config["epochs"]
        facts = {
            "recipe": self.recipe,
            "config": self.config,
            "seed": self.config["seed"],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "wall_seconds": round(seconds, 1),
            "examples_per_second": round(epochs * examples_per_epoch / seconds, 1),
            "parameters": model.count_params(),
            "metrics": metrics,
            **facts,
            **report.environment(),
        }
        write_json(self.directory / "report.json", facts)
        return facts
