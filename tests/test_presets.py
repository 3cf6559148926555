import configparser
import dataclasses
import glob
import json
import shlex
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from zoo.cli import commands as cli
from zoo.deploy import presets
from zoo.networks.autoencoders import Convolutional
from zoo.system import size
from zoo.vae import VAE

MIB = 2**20


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    model = VAE((8, 8, 1), 3, Convolutional((4,)))
    model.compile("adam")
    model.fit(np.zeros((4, 8, 8, 1), "float32"), verbose=0)
    examples = {"images": np.random.default_rng(0).random((8, 8, 8, 1))}
    presets.save(model, "tiny", folder, examples, recipe="vae", summary="A test.")
    return folder, model


@pytest.fixture
def shelf(built, tmp_path):
    folder, model = built
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path, model


def test_what_is_loaded_is_what_was_saved(shelf):
    folder, model = shelf
    loaded = presets.load("tiny", folder)
    inputs = np.random.default_rng(1).random((2, 8, 8, 1), dtype="float32")
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def test_a_preset_is_complete_and_carries_no_optimizer(shelf):
    folder, _ = shelf
    card = presets.card("tiny", folder)
    assert {"model.keras", "1/saved_model.pb"} < card["files"].keys()
    assert {"model_float16.tflite", "model_dynamic.tflite"} < card["files"].keys()
    assert card["parameters"] and card["bytes"] and card["summary"] == "A test."
    assert not list(folder.glob(".*"))
    loaded = keras.saving.load_model(folder / "tiny" / "model.keras")
    assert getattr(loaded, "optimizer", None) is None


@pytest.mark.parametrize("file", ["model.keras", "1/saved_model.pb"])
def test_a_changed_or_missing_file_is_an_error(shelf, file):
    folder, _ = shelf
    path = folder / "tiny" / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match=f"{path} is not the file its card describes"):
        presets.load("tiny", folder)
    path.unlink()
    with pytest.raises(ValueError, match="found no such file. Reinstall"):
        presets.load("tiny", folder)


def test_an_unknown_name_gets_the_nearest(shelf):
    folder, _ = shelf
    with pytest.raises(ValueError, match="No preset named 'tony'. Did you mean tiny?"):
        presets.load("tony", folder)


# ------------------------------------------------------------- what really ships


@pytest.mark.parametrize("name", presets.names())
def test_shipped_preset_is_whole_light_and_honest(name):
    presets.verify(name)
    card = presets.card(name)
    assert size(presets.SHELF / name) <= 12 * MIB
    facts = (
        "summary",
        "recipe",
        "config",
        "command",
        "data",
        "data_licence",
        "licence",
        "seed",
        "parameters",
        "metrics",
        "exports",
        "intended_use",
    )
    for fact in facts:
        assert card[fact] not in ("", None), fact
    assert card["metrics"].keys() >= {"best", "last", "protocol"}
    model = presets.load(name)
    assert model.count_params() == card["parameters"]
    json.dumps(card)


@pytest.mark.parametrize("name", presets.names())
def test_a_cards_command_gives_its_settings(name):
    """It names what differs from the recipe's defaults, which may change one day."""
    card = presets.card(name)
    zoo, train, recipe, *flags = shlex.split(card["command"])
    assert (zoo, train, recipe) == ("zoo", "train", card["recipe"])
    config = dataclasses.asdict(cli.settings(recipe, flags))
    config = json.loads(json.dumps(config))  # tuples become lists
    assert {key: config[key] for key in card["config"]} == card["config"]


def test_every_file_of_every_preset_is_packaged():
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[1] / "setup.cfg")
    patterns = settings["options.package_data"]["zoo.saved_models"].split(", ")
    packaged = set()
    for pattern in patterns:
        packaged.update(glob.glob(pattern, root_dir=presets.SHELF, recursive=True))
    for name in presets.names():
        files = ("card.json", *presets.card(name)["files"])
        assert {f"{name}/{file}" for file in files} <= packaged


def test_a_name_cannot_leave_the_shelf(shelf):
    folder, model = shelf
    with pytest.raises(ValueError, match="small letters, digits and _. Received: '../"):
        presets.save(model, "../evil", folder, {})


def test_the_shelf_fits_into_a_wheel():
    assert size(presets.SHELF) <= 90 * MIB
