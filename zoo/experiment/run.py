"""The folder that a training run writes, and how to continue from it.

    runs/vae/
      config.json        the settings, so that a resumed run cannot differ
      checkpoint/        the last two epochs (all that is needed to go on), best.keras
      log.csv            a row per epoch     tensorboard/   the same, and the samples
      samples/           a grid per epoch from one fixed latent
      model.keras        the finished model  report.json    what it is and how good

A recipe opens a `Run`, asks it for the model, and leaves to it what all recipes do:
`run.fit(...)` trains and checkpoints, `run.conclude(...)` scores, shows, exports and
reports. A training in two stages is two recipes, the second of which starts from the
folder of the first.
"""

import csv
import dataclasses
import importlib
import json
import sys
import time

import keras

from zoo.deploy import export
from zoo.experiment import callbacks, report
from zoo.experiment.settings import current
from zoo.system import lock, read_json, sweep, whole, write_json
from zoo.training.loading import load_model
from zoo.training.noise import random_states


class Run:
    """One training run and its folder.

    Args:
        recipe: The recipe's module by name, its own `__name__`; see
            `zoo.experiment.recipe`.
        config: Its settings, a `zoo.experiment.settings.Training`.
        may_change: Names of settings that a resumed run may change: `("epochs",)`
            where no schedule spans them.

    Attributes:
        directory: `pathlib.Path` of the folder.
        first_epoch: Epochs already done; 0 unless resuming.

    Raises:
        ValueError: If `epochs` is below what a run to resume has done, if the folder
            holds a run and `resume` is off, if there is none to resume, if its settings
            were others or its files are damaged, or if another program is at work in
            it.
    """

    def __init__(self, recipe, config, may_change=()):
        self.module = recipe
        self.name = recipe.rsplit(".", 1)[-1]
        self.settings = config
        self.directory = config.directory(self.name)
        self.config = dataclasses.asdict(config) | {"run_dir": str(self.directory)}
        if self.directory.is_dir():
            self._occupy()
        self.state = self._previous({"resume", "run_dir", *may_change})
        self.first_epoch = self.state["epochs_done"] if self.state else 0
        if config.epochs < self.first_epoch:
            raise ValueError(
                f"The run in {self.directory} has {self.first_epoch} epochs already. "
                f"Resume it with as many or more. Received --epochs {config.epochs}."
            )

    def _occupy(self):
        """Locks the folder, and clears it of what killed runs left half-written."""
        lock(self.directory)
        for folder in (self.directory, *self.directory.glob("*/")):
            sweep(folder)

    def _previous(self, may_change):
        """Returns the state of the run to resume, `None` before its first epoch."""
        saved = sorted((self.directory / "checkpoint").glob("epoch-*"))
        if not self.settings.resume:
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
        before = read_json(self.directory / "config.json")
        recipe = before.pop("recipe", self.name)
        if recipe != self.name:
            raise ValueError(
                f"{self.directory} holds a run of {recipe}, not of {self.name}."
            )
        before = current(type(self.settings), before)
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
        return self._last_whole(saved)

    def _last_whole(self, saved):
        """Returns the state of the last epoch whose files are whole; loads its model.

        Raises:
            ValueError: If there are epochs, and none is whole.
        """
        troubles = []
        for folder in reversed(saved):
            try:
                state = read_json(folder / "state.json")
                if missing := sorted(callbacks.Checkpoint.STATE - state.keys()):
                    raise ValueError(
                        f"{folder / 'state.json'} lacks {', '.join(missing)}."
                    )
                self._restored = load_model(folder / "model.keras")
            except (ValueError, OSError) as error:
                troubles.append(str(error))
                continue
            if troubles:
                print(f"{troubles[0]}\nGoing on from {folder.name} instead.")
            return state
        if troubles:
            raise ValueError(
                f"No epoch of the run in {self.directory} can be continued. "
                f"{troubles[0]} Or start afresh in another --run-dir."
            )
        return None  # killed before its first epoch was over

    def model(self, build):
        """Returns the model to train: `build()`, or the one saved by the last epoch."""
        keras.utils.set_random_seed(self.settings.seed)
        if self.state is None:
            model = build()
            # Only now: settings that build no model leave no folder behind.
            self.directory.mkdir(parents=True, exist_ok=True)
            self._occupy()
            self._write_settings()
            return model
        self._write_settings()
        states = random_states(self._restored)
        for variable, value in zip(states, self.state["random_states"], strict=True):
            variable.assign(value)
        return self._restored

    def _write_settings(self):
        settings = {"recipe": self.name, **self.config}
        write_json(self.directory / "config.json", settings)

    def callbacks(self, sample=None, monitor="val_loss"):
        """Returns the callbacks of a run: checkpoints, logs, samples, NaN guard.

        Args:
            sample: `model -> images` in [0, 1], always from the same latents.
            monitor: The log whose lowest value marks the best model; `None` where no
                log does, and the last epoch counts.
        """
        self._trim_log()
        tensorboard = self.directory / "tensorboard"
        self.checkpoint = callbacks.Checkpoint(
            self.directory / "checkpoint", monitor, self.state
        )
        watchers = [callbacks.StopAtNaN()]
        if sample is not None:
            watchers.append(
                callbacks.Samples(
                    self.directory / "samples", sample, tensorboard / "train"
                )
            )
        return [
            *watchers,
            callbacks.EpochLog(self.directory / "log.csv", append=True),
            keras.callbacks.TensorBoard(tensorboard, write_graph=False),
            self.checkpoint,  # last: an epoch counts once all the others have seen it
        ]

    def fit(self, model, batches, validation=None, sample=None, monitor=None, watch=()):
        """Trains a model for the epochs that are left.

        Args:
            model: What `model` returned.
            batches: Dataset to train on, begun at `first_epoch`.
            validation: Dataset to validate on; its logs begin with `val_`.
            sample: As for `callbacks`.
            monitor: As for `callbacks`.
            watch: More callbacks; what they log is there for all others.
        """
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=self.first_epoch,
            epochs=self.settings.epochs,
            shuffle=False,  # the data set does it
            verbose=1 if sys.stdout.isatty() else 2,  # a bar, or a line per epoch
            callbacks=[*watch, *self.callbacks(sample, monitor)],
        )

    def _trim_log(self):
        """Drops what a killed run logged of the epoch that will now be repeated."""
        log = self.directory / "log.csv"
        if not log.exists():
            return
        kept, names = [], None
        with log.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = csv.DictReader(file)
            names = rows.fieldnames
            for row in rows:
                epoch = row.get("epoch") or ""
                whole_row = None not in row and None not in row.values()
                if whole_row and epoch.isdigit() and int(epoch) < self.first_epoch:
                    kept.append(row)
        with whole(log) as beside, beside.open("w", newline="") as file:
            if kept:
                writer = csv.DictWriter(file, fieldnames=names)
                writer.writeheader()
                writer.writerows(kept)

    def best_model(self):
        """Returns the model of the best epoch."""
        return load_model(self.directory / "checkpoint" / "best.keras")

    def conclude(self, model, data, *, examples_per_epoch, hints=()):
        """Scores, shows, exports and reports; says what is where and what comes next.

        Args:
            model: The trained model, of the last epoch.
            data: What the recipe's `load` returned.
            examples_per_epoch: Training examples that an epoch went through.
            hints: Commands to try next.

        Returns:
            The report.
        """
        recipe = importlib.import_module(self.module)
        last = self.settings.epochs
        monitored = self.checkpoint.best_epoch is not None
        best = self.checkpoint.best_epoch + 1 if monitored else last
        chosen = self.best_model() if monitored else model
        found = recipe.score(chosen, self.settings, data)
        if best != last:
            of_last = recipe.score(model, self.settings, data)
        metrics = {
            "best": found | {"epoch": best},
            "last": (found if best == last else of_last) | {"epoch": last},
            "protocol": recipe.PROTOCOL,
        }
        table = report.table(metrics["best"].items())
        print(f"\nTest data, best epoch:\n{table}\n{report.remark(recipe.PROTOCOL)}\n")
        paths = recipe.pictures(chosen, self.settings, data, self.directory)
        facts = self.finish(chosen, metrics, examples_per_epoch)
        folder = self.directory / "export"
        inputs = recipe.examples(chosen, self.settings, data)
        artifacts = export.export(chosen, folder, inputs)
        print(
            f"Exported, run, and compared with the model:\n{export.describe(artifacts)}"
        )
        written = ("model.keras", "report.json", "export")
        paths = [*paths, *(self.directory / name for name in written)]
        hints = [*hints, f"tensorboard --logdir {self.directory}/tensorboard"]
        print(report.wrote(paths, hints))
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
        epochs = self.settings.epochs
        facts = {
            "recipe": self.name,
            "config": self.config,
            "seed": self.settings.seed,
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
