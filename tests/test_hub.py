"""Presets on the hub, without it: folders, and a download that is none."""

import json
import re
import sys
import types

import keras
import numpy as np
import pytest

import zoo.classifier
from zoo.deploy import hub, presets

NAME = "classifier_mnist"  # the smallest


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "5f2a9c"  # as snapshots are called
    presets.for_hub(NAME, folder)
    return folder


def test_keras_alone_loads_what_is_uploaded(uploaded):
    """`load_model("hf://...")` downloads such a folder and goes on as here."""
    assert zoo.classifier.Classifier  # imported, so that Keras knows the class
    images = np.random.default_rng(0).random((4, 28, 28, 1), dtype="float32")
    loaded = keras.saving.load_model(uploaded)
    np.testing.assert_array_equal(loaded(images), presets.load(NAME)(images))


def test_a_preset_is_loaded_by_its_address(uploaded, monkeypatch):
    asked = []

    def snapshot_download(repository, library_name):
        asked.append(repository)
        return str(uploaded)

    fake = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    loaded = presets.load("hf://somebody/digits")
    assert asked == ["somebody/digits"]
    assert loaded.count_params() == presets.card(NAME)["parameters"]

    (uploaded / "1" / "saved_model.pb").rename(uploaded / "moved")
    with pytest.raises(ValueError, match="found no such file"):
        presets.load("hf://somebody/digits")
    (uploaded / "moved").rename(uploaded / "1" / "saved_model.pb")


def test_says_what_is_wrong_with_an_address(tmp_path, monkeypatch):
    for wrong in ("hf://digits", "hf://a/b/c", "hf:///digits"):
        with pytest.raises(ValueError, match="is hf://OWNER/NAME. Received"):
            presets.load(wrong)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface-hub"):
        presets.load("hf://somebody/digits")
    fake = types.SimpleNamespace(snapshot_download=lambda *_, **__: str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    with pytest.raises(ValueError, match="no preset of the zoo: it has no card.json"):
        presets.load("hf://somebody/digits")


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_has_the_page_of_its_card(name):
    page = (presets.SHELF / name / "README.md").read_text("utf-8")
    card = presets.card(name)
    assert page == hub.model_card(card)
    _, head, body = page.split("---\n", 2)
    assert "license: apache-2.0\nlibrary_name: keras\n" in head
    assert f"- name: {name}\n" in head and f"# {name}\n" in body
    found = dict(re.findall(r'^    - {type: "(\w+)", value: (.*)}$', head, re.M))
    best = {key: card["metrics"]["best"][key] for key in found}
    assert {key: json.loads(value) for key, value in found.items()} == best
    assert found.keys() == card["metrics"]["best"].keys() - {"epoch"}
    assert card["intended_use"] in body and card["data_licence"] in body


def test_the_head_is_yaml():
    yaml = pytest.importorskip("yaml")
    for name in presets.names():
        head = hub.model_card(presets.card(name)).split("---\n", 2)[1]
        facts = yaml.safe_load(head)
        (index,) = facts["model-index"]
        assert index["results"][0]["metrics"] and facts["tags"]
