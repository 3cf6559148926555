"""The blank that CONTRIBUTING walks through is itself a model of the zoo."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BLANK = Path(__file__).parents[1] / "docs" / "blank"
sys.path.insert(0, str(BLANK))

from test_linear_autoencoder import *  # noqa: E402, F403  the blank's own tests


@pytest.fixture
def recipe():
    return importlib.import_module("recipe")


def test_the_recipe_trains_exports_and_reports(recipe, tmp_path):
    config = recipe.Config(epochs=1, latent_dim=4, run_dir=str(tmp_path))
    facts = recipe.main(config)
    assert 0 < facts["metrics"]["best"]["loss"] < 0.1  # of grey it is about 0.12
    for file in ("reconstructions.png", "export/1/saved_model.pb", "model.keras"):
        assert (tmp_path / file).is_file(), file
    assert json.loads((tmp_path / "report.json").read_text())["recipe"] == "recipe"
