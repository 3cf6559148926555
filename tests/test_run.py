"""Checkpoints, resuming, logs: what a kill may cost and what it may not."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import keras
import numpy as np
import pytest

from tests.contract import RunConfig
from zoo.data import images
from zoo.experiment.callbacks import Checkpoint, Samples, StopAtNaN
from zoo.experiment.run import Run
from zoo.networks.autoencoders import Dense
from zoo.vae import VAE


def build():
    model = VAE((4, 4, 1), 2, Dense((4,)))
    model.compile("adam")
    return model


def train(config, epochs_to_kill=None):
    data = np.random.default_rng(0).random((8, 4, 4, 1), dtype="float32")
    run = Run("vae", config, may_change=("epochs",))
    model = run.model(build)
    model.fit(
        images.batches(data, 4, seed=0, first_epoch=run.first_epoch),
        validation_data=images.batches(data, 4),
        initial_epoch=run.first_epoch,
        epochs=config.epochs,
        verbose=0,
        shuffle=False,
        callbacks=run.callbacks(
            draw=lambda model: model.sample(4, seed=0), monitor="val_negative_elbo"
        ),
    )
    return run, model


def test_a_run_leaves_a_folder_that_explains_itself(tmp_path):
    run, model = train(RunConfig(str(tmp_path), 2))
    report = run.finish(model, {"best": {}, "last": {}, "protocol": ""}, 8)
    assert {p.name for p in tmp_path.iterdir()} == {
        "checkpoint",
        "config.json",
        "log.csv",
        "model.keras",
        "report.json",
        "samples",
        "tensorboard",
    }
    assert [p.name for p in sorted((tmp_path / "samples").iterdir())] == [
        "epoch-0001.png",
        "epoch-0002.png",
    ]
    assert [p.name for p in sorted((tmp_path / "checkpoint").iterdir())] == [
        "best.keras",
        "epoch-0002",
    ]
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert report["examples_per_second"] > 0
    assert report["versions"].keys() >= {"tensorflow", "keras", "python"}
    best = run.best_model()
    data = np.zeros((1, 4, 4, 1), "float32")
    assert best(data).shape == (1, 4, 4, 1)


def test_best_is_the_epoch_of_the_lowest_value(tmp_path):
    run, _ = train(RunConfig(str(tmp_path), 3))
    rows = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    assert run.checkpoint.best_epoch == np.argmin(rows["val_negative_elbo"])
    assert run.checkpoint.best == pytest.approx(rows["val_negative_elbo"].min())


def test_refuses_to_overwrite_or_to_resume_something_else(tmp_path):
    config = RunConfig(str(tmp_path), 1)
    with pytest.raises(ValueError, match="no run to resume in .* Leave out --resume"):
        Run("vae", dataclasses.replace(config, resume=True))
    train(config)
    with pytest.raises(ValueError, match="already holds a run. Continue it with"):
        Run("vae", config)
    with pytest.raises(ValueError, match="other settings: seed was 0, is 5"):
        Run("vae", dataclasses.replace(config, resume=True, seed=5))
    longer = dataclasses.replace(config, resume=True, epochs=2)
    with pytest.raises(ValueError, match="epochs was 1, is 2"):
        Run("vae", longer)
    assert Run("vae", longer, may_change=("epochs",)).first_epoch == 1
    train(dataclasses.replace(config, run_dir=str(tmp_path / "two"), epochs=2))
    shorter = dataclasses.replace(config, run_dir=str(tmp_path / "two"), resume=True)
    with pytest.raises(ValueError, match="has 2 epochs already.* Received --epochs 1"):
        Run("vae", shorter, may_change=("epochs",))


def test_a_run_killed_before_its_first_epoch_keeps_its_settings(tmp_path):
    config = RunConfig(str(tmp_path), 1)
    Run("vae", config).model(build)
    again = dataclasses.replace(config, resume=True)
    assert Run("vae", again).first_epoch == 0
    with pytest.raises(ValueError, match="holds a run of vae, not of gan"):
        Run("gan", again)
    with pytest.raises(ValueError, match="seed was 0, is 5"):
        Run("vae", dataclasses.replace(again, seed=5))


def test_a_learning_rate_is_positive(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Config(RunConfig):
        generator_rate: float = -1.0

    with pytest.raises(ValueError, match="--generator-rate must be above 0.*-1.0"):
        Run("gan", Config(str(tmp_path), 1))


def test_a_best_value_that_is_no_number_is_beaten_by_any(tmp_path):
    model = build()
    checkpoint = Checkpoint(str(tmp_path), "loss")
    checkpoint.set_model(model)
    for epoch, loss in enumerate([np.nan, 2.0, np.nan, 3.0]):
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": loss})
    assert (checkpoint.best, checkpoint.best_epoch) == (2.0, 1)


def test_a_log_ahead_of_its_checkpoint_is_cut_back(tmp_path):
    train(RunConfig(str(tmp_path), 1))
    log = tmp_path / "log.csv"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines, lines[1].replace("0,", "1,", 1)]) + "\n")
    train(RunConfig(str(tmp_path), 2, resume=True))
    epochs = [line.split(",")[0] for line in log.read_text().splitlines()]
    assert epochs == ["epoch", "0", "1"]


def test_an_unknown_monitor_names_the_logs(tmp_path):
    run = Run("vae", RunConfig(str(tmp_path), 1))
    data = np.zeros((4, 4, 4, 1), "float32")
    with pytest.raises(ValueError, match="no log named 'val_fid'.*Logs: .*loss"):
        run.model(build).fit(
            data, verbose=0, callbacks=run.callbacks(monitor="val_fid")
        )


def test_nan_stops_the_run_and_says_where():
    data = np.zeros((12, 4, 4, 1), "float32")
    data[8:] = np.nan
    message = r"became nan at epoch 1, step 3. Last finite values: \{.*'loss': \d"
    with pytest.raises(FloatingPointError, match=message):
        build().fit(
            data, batch_size=4, shuffle=False, verbose=0, callbacks=[StopAtNaN()]
        )


def test_samples_come_from_one_fixed_latent(tmp_path):
    model = build()
    model.optimizer.learning_rate = 0.0
    watcher = Samples(tmp_path, lambda model: model.sample(4, seed=0))
    data = np.zeros((4, 4, 4, 1), "float32")
    model.fit(data, epochs=2, verbose=0, callbacks=[watcher])
    first, second = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert first == second


def test_a_kill_costs_at_most_the_current_epoch(tmp_path):
    """SIGKILL in the middle of training, then --resume, equals never having died."""
    script = """
        import sys, time, keras
        from tests.contract import RunConfig
        from tests import test_run

        class Slow(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                time.sleep(0.1)

        callbacks = test_run.Run.callbacks
        test_run.Run.callbacks = lambda *a, **k: [Slow(), *callbacks(*a, **k)]
        test_run.train(RunConfig(sys.argv[1], 500))
    """
    victim = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "run")]
    )
    checkpoints = tmp_path / "run" / "checkpoint"
    deadline = time.monotonic() + 120
    while len(list(checkpoints.glob("epoch-000[3-9]"))) == 0:
        assert victim.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    done = max(int(p.name[-4:]) for p in checkpoints.glob("epoch-????"))
    config = RunConfig(str(tmp_path / "run"), 500)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["epochs"] == 500
    resumed = dataclasses.replace(config, epochs=done + 2, resume=True)
    run, model = train(resumed)
    assert run.first_epoch == done
    _, whole = train(RunConfig(str(tmp_path / "whole"), done + 2))
    for a, b in zip(model.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not [p for p in os.listdir(checkpoints) if p == f"epoch-{done:04d}"]


def test_set_random_seed_decides_the_first_weights(tmp_path):
    runs = [
        Run("vae", RunConfig(str(tmp_path / str(i)), 1, seed=i // 2)) for i in range(3)
    ]
    first, same, other = (r.model(build).get_weights()[0] for r in runs)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert keras.config.floatx() == "float32"
