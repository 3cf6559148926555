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

from zoo.data import images
from zoo.experiment.callbacks import Checkpoint, Samples, StopAtNaN
from zoo.experiment.run import Run
from zoo.experiment.settings import Training
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
            sample=lambda model: model.sample(4, seed=0), monitor="val_negative_elbo"
        ),
    )
    return run, model


def test_a_run_leaves_a_folder_that_explains_itself(tmp_path):
    run, model = train(Training(run_dir=str(tmp_path), epochs=2))
    report = run.finish(model, {"best": {}, "last": {}, "protocol": ""}, 8)
    assert {p.name for p in tmp_path.iterdir()} == {
        ".lock",
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
        "epoch-0001",
        "epoch-0002",
    ]
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert report["examples_per_second"] > 0
    assert report["versions"].keys() >= {"tensorflow", "keras", "python"}
    best = run.best_model()
    data = np.zeros((1, 4, 4, 1), "float32")
    assert best(data).shape == (1, 4, 4, 1)


def test_best_is_the_epoch_of_the_lowest_value(tmp_path):
    run, _ = train(Training(run_dir=str(tmp_path), epochs=3))
    rows = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    assert run.checkpoint.best_epoch == np.argmin(rows["val_negative_elbo"])
    assert run.checkpoint.best == pytest.approx(rows["val_negative_elbo"].min())


def test_refuses_to_overwrite_or_to_resume_something_else(tmp_path):
    config = Training(run_dir=str(tmp_path), epochs=1)
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
    config = Training(run_dir=str(tmp_path), epochs=1)
    Run("vae", config).model(build)
    again = dataclasses.replace(config, resume=True)
    assert Run("vae", again).first_epoch == 0
    with pytest.raises(ValueError, match="holds a run of vae, not of gan"):
        Run("gan", again)
    with pytest.raises(ValueError, match="seed was 0, is 5"):
        Run("vae", dataclasses.replace(again, seed=5))


@pytest.mark.parametrize("file", ["model.keras", "state.json"])
def test_a_damaged_epoch_costs_one_epoch(file, tmp_path, capsys):
    """And ends as if nothing had happened."""
    config = Training(run_dir=str(tmp_path / "run"), epochs=2)
    train(config)
    last = tmp_path / "run" / "checkpoint" / "epoch-0002" / file
    last.write_bytes(last.read_bytes()[:-40])
    longer = dataclasses.replace(config, epochs=3, resume=True)
    run, model = train(longer)
    assert run.first_epoch == 1
    out = capsys.readouterr().out
    assert f"epoch-0002/{file}" in out and "Going on from epoch-0001 instead" in out
    _, whole = train(Training(run_dir=str(tmp_path / "whole"), epochs=3))
    for a, b in zip(model.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_without_a_whole_epoch_says_so(tmp_path):
    config = Training(run_dir=str(tmp_path), epochs=1)
    train(config)
    (tmp_path / "checkpoint" / "epoch-0001" / "state.json").write_text("{}")
    with pytest.raises(ValueError, match="No epoch .* can be continued.*epochs_done"):
        Run("vae", dataclasses.replace(config, resume=True))
    (tmp_path / "config.json").write_text('{"seed": ')
    with pytest.raises(ValueError, match="config.json is damaged.*Restore it"):
        Run("vae", dataclasses.replace(config, resume=True))


def test_two_programs_do_not_run_in_one_folder(tmp_path):
    script = """
        import sys
        from zoo.system import lock
        lock(sys.argv[1])
        print("locked", flush=True)
        sys.stdin.read()
    """
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(ValueError, match=f"at work in .*: process {other.pid}. Wait"):
        Run("vae", Training(run_dir=str(tmp_path), epochs=1))
    other.kill()  # death releases it
    other.wait()
    run = Run("vae", Training(run_dir=str(tmp_path), epochs=1))
    run.model(build)
    Run("vae", Training(run_dir=str(tmp_path), epochs=1))  # the same program may


def test_a_start_clears_what_killed_programs_left(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    checkpoint = tmp_path / "checkpoint"
    (checkpoint / f".{dead.pid}.epoch-0001").mkdir(parents=True)
    (checkpoint / f".{dead.pid}.old.epoch-0002").mkdir()
    (tmp_path / f".{dead.pid}.config.json").write_text("{")
    (tmp_path / f".{os.getpid()}.report.json").write_text("being written")
    (tmp_path / ".mine").write_text("a user's")
    with pytest.raises(ValueError, match="already holds a run"):
        Run("vae", Training(run_dir=str(tmp_path), epochs=1))
    assert {p.name for p in tmp_path.iterdir()} == {
        ".lock",
        ".mine",
        f".{os.getpid()}.report.json",
        "checkpoint",
    }
    # Killed in the moment between two renames: the old folder is the only one.
    assert [p.name for p in checkpoint.iterdir()] == ["epoch-0002"]


def test_a_log_with_a_stray_line_is_mended(tmp_path):
    train(Training(run_dir=str(tmp_path), epochs=1))
    log = tmp_path / "log.csv"
    log.write_text(log.read_text() + "what,is\n\n7\n")
    train(Training(run_dir=str(tmp_path), epochs=2, resume=True))
    epochs = [line.split(",")[0] for line in log.read_text().splitlines()]
    assert epochs == ["epoch", "0", "1"]


def test_without_a_monitor_the_last_epoch_counts(tmp_path):
    run = Run("vae", Training(run_dir=str(tmp_path), epochs=2))
    model = run.model(build)
    data = np.random.default_rng(0).random((8, 4, 4, 1), dtype="float32")
    run.fit(model, images.batches(data, 4, seed=0))
    assert run.checkpoint.best_epoch is None
    names = {p.name for p in (tmp_path / "checkpoint").iterdir()}
    assert names == {"epoch-0001", "epoch-0002"}


def test_a_best_value_that_is_no_number_is_beaten_by_any(tmp_path):
    model = build()
    checkpoint = Checkpoint(str(tmp_path), "loss")
    checkpoint.set_model(model)
    for epoch, loss in enumerate([np.nan, 2.0, np.nan, 3.0]):
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": loss})
    assert (checkpoint.best, checkpoint.best_epoch) == (2.0, 1)


def test_a_log_ahead_of_its_checkpoint_is_cut_back(tmp_path):
    train(Training(run_dir=str(tmp_path), epochs=1))
    log = tmp_path / "log.csv"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines, lines[1].replace("0,", "1,", 1)]) + "\n")
    train(Training(run_dir=str(tmp_path), epochs=2, resume=True))
    epochs = [line.split(",")[0] for line in log.read_text().splitlines()]
    assert epochs == ["epoch", "0", "1"]


def test_an_unknown_monitor_names_the_logs(tmp_path):
    run = Run("vae", Training(run_dir=str(tmp_path), epochs=1))
    data = np.zeros((4, 4, 4, 1), "float32")
    with pytest.raises(ValueError, match="no log named 'val_fid'.*Logs: .*loss"):
        run.model(build).fit(
            data, verbose=0, callbacks=run.callbacks(monitor="val_fid")
        )


def test_nan_stops_the_run_and_says_where():
    class Poison(keras.callbacks.Callback):
        """Makes a weight NaN before the third step, as a step too long would."""

        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                weight = self.model.decoder.trainable_variables[-1]
                weight.assign(np.full(weight.shape, np.nan))

    data = np.zeros((12, 4, 4, 1), "float32")
    message = r"became nan at epoch 1, step 3. Last finite values: \{.*'loss': \d"
    with pytest.raises(FloatingPointError, match=message):
        build().fit(
            data,
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[Poison(), StopAtNaN()],
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
        from zoo.experiment.settings import Training
        from tests import test_run

        class Slow(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                time.sleep(0.1)

        callbacks = test_run.Run.callbacks
        test_run.Run.callbacks = lambda *a, **k: [Slow(), *callbacks(*a, **k)]
        test_run.train(Training(run_dir=sys.argv[1], epochs=500))
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
    config = Training(run_dir=str(tmp_path / "run"), epochs=500)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["epochs"] == 500
    resumed = dataclasses.replace(config, epochs=done + 2, resume=True)
    run, model = train(resumed)
    assert run.first_epoch == done
    _, whole = train(Training(run_dir=str(tmp_path / "whole"), epochs=done + 2))
    for a, b in zip(model.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    kept = sorted(p for p in os.listdir(checkpoints) if p.startswith("epoch-"))
    assert kept == [f"epoch-{done + 1:04d}", f"epoch-{done + 2:04d}"]


def test_set_random_seed_decides_the_first_weights(tmp_path):
    runs = [
        Run("vae", Training(run_dir=str(tmp_path / str(i)), epochs=1, seed=i // 2))
        for i in range(3)
    ]
    first, same, other = (r.model(build).get_weights()[0] for r in runs)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert keras.config.floatx() == "float32"
