"""Makes other people's metrics importable, so that ours can be tested against them.

Each function returns a module of the peer, unmodified, or skips the test if the peer
is not installed; outside of tests, as in benchmarks, that is an ImportError. What is
worked around is only what stands in the way of importing:

tensorflow-gan 2.1.0    its `__init__` imports `tf.estimator`, which TensorFlow 2.16
                        removed (tensorflow/gan #55): an empty parent package is put in
                        its place. Its metrics import tensorflow-hub only to load
                        networks: a stand-in serves, and spares tf-keras.
torch-fidelity 0.4.0    imports torch and torchvision for its networks. Its FID and KID
                        are NumPy, of torch they use two type checks: without torch,
                        stand-ins serve. The Inception Score needs the real torch.
clean-fid 0.1.35        imports torch for its networks; what resizes by Pillow uses
                        none of it.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import types
from pathlib import Path
from unittest import mock

import numpy as np


def tensorflow_gan(name="eval.classifier_metrics"):
    """Returns `tensorflow_gan.python.<name>`."""
    _spec("tensorflow_probability")
    packages = _packages("tensorflow_gan", "python", name.split(".")[0])
    hub = types.ModuleType("tensorflow_hub")
    with _standing_in(packages | {"tensorflow_hub": hub}):
        return importlib.import_module(f"tensorflow_gan.python.{name}")


def torch_fidelity(name):
    """Returns `torch_fidelity.metric_<name>`, with or without torch."""
    modules = _packages("torch_fidelity")
    modules["torch_fidelity.utils"] = mock.MagicMock()  # networks and image folders
    if not importlib.util.find_spec("torch"):
        modules["torch"] = mock.MagicMock(is_tensor=lambda x: isinstance(x, Tensor))
    with _standing_in(modules):
        return importlib.import_module(f"torch_fidelity.metric_{name}")


def clean_fid():
    """Returns `cleanfid.resize`, with or without torch."""
    modules = _packages("cleanfid")
    if not importlib.util.find_spec("torch"):
        names = ("torch", "torch.nn", "torch.nn.functional", "torch.utils.data")
        modules |= {name: mock.MagicMock() for name in names}
        modules["torch"].utils.data.Dataset = object
    with _standing_in(modules):
        return importlib.import_module("cleanfid.resize")


def _packages(name, *inner):
    """Returns empty packages in the place of `name`, `name.inner` and so on."""
    path, packages = Path(_spec(name).origin).parent, {}
    for part in (None, *inner):
        if part:
            name, path = f"{name}.{part}", path / part
        packages[name] = types.ModuleType(name)
        packages[name].__path__ = [str(path)]
    return packages


def _spec(name):
    """Returns where an installed package lies."""
    spec = importlib.util.find_spec(name)
    if spec is None and "PYTEST_CURRENT_TEST" in os.environ:
        import pytest

        pytest.skip(f"{name} is not installed")
    if spec is None:
        raise ImportError(f"No module named {name!r}", name=name)
    return spec


@contextlib.contextmanager
def _standing_in(modules):
    """Imports find these modules first, for a while."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class Tensor:
    """As much of a `torch.Tensor` as torch-fidelity asks of one before using NumPy."""

    def __init__(self, array):
        self._array = np.asarray(array)
        self.shape = self._array.shape

    def __len__(self):
        return len(self._array)

    def dim(self):
        return self._array.ndim

    def cpu(self):
        return self

    def numpy(self):
        return self._array


def tensor(array):
    """Returns a `torch.Tensor`, or the stand-in where torch is not installed."""
    if not importlib.util.find_spec("torch"):
        return Tensor(array)
    import torch

    return torch.from_numpy(np.ascontiguousarray(array))
