"""What the command does about GPUs, on a machine that may have none."""

import pytest
import tensorflow as tf

from zoo.cli import recipes


@pytest.fixture(autouse=True)
def anew():
    recipes.prepare_gpus.cache_clear()
    yield
    recipes.prepare_gpus.cache_clear()


def pretend(monkeypatch, gpus, files):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: gpus)
    monkeypatch.setattr(recipes.glob, "glob", lambda pattern: files)


def test_memory_grows_on_every_gpu(monkeypatch, capsys):
    grown = []

    def grow(gpu, enable):
        grown.append((gpu, enable))
        if gpu == "GPU:1":
            raise RuntimeError("cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    pretend(monkeypatch, ["GPU:0", "GPU:1", "GPU:2"], ["/dev/nvidia0"])
    recipes.silent_start()
    recipes.silent_start()
    assert grown == [("GPU:0", True), ("GPU:1", True), ("GPU:2", True)]
    assert capsys.readouterr().err == ""


def test_a_gpu_that_is_not_used_is_named_once(monkeypatch, capsys):
    pretend(monkeypatch, [], ["/dev/nvidia0"])
    recipes.silent_start()
    recipes.silent_start()
    err = capsys.readouterr().err
    assert err.count("has a GPU, but TensorFlow does not use it") == 1
    assert "pip install 'generative-zoo[gpu]'" in err


def test_without_a_gpu_nothing_is_said(monkeypatch, capsys):
    pretend(monkeypatch, [], [])
    recipes.silent_start()
    assert capsys.readouterr().err == ""
