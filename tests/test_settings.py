"""Settings are written once, checked at every door, and restored from any version."""

import dataclasses
import json

import pytest

from recipes import classifier, dates, translate, vae, wgan
from zoo.experiment.settings import ImageTraining, Training, command, restore, saved


def test_what_was_saved_is_restored():
    config = vae.Config(widths=(8, 16), size=(9, 12), variance=None, beta=2)
    values = json.loads(json.dumps(saved(config)))
    assert restore(vae.Config, values, "a card") == config


#: As the presets' cards had them before settings got the names of today.
BEFORE = {
    "wgan": {"penalty": 10.0, "clip": 0.0, "critic_rate": 0.003, "epochs": 8},
    "classifier": {"filters": [20, 48, 96], "epochs": 30},
    "vae": {"network": "dense", "latent_dim": 4},
    "translate": {"clip": 2.0, "level": "word", "languages": ["en", "de"]},
    "dates": {"clip": 2.0, "level": "character", "dropout": 0.0, "tied": "decoder"},
}


def test_settings_in_the_words_of_older_versions_are_understood():
    found = restore(wgan.Config, BEFORE["wgan"], "a card")
    assert (found.discriminator_rate, found.clip_weights) == (0.003, 0.0)
    assert restore(classifier.Config, BEFORE["classifier"], "").widths == (20, 48, 96)
    assert restore(vae.Config, BEFORE["vae"], "").networks == "dense"
    assert restore(translate.Config, BEFORE["translate"], "").clip_norm == 2.0
    assert restore(dates.Config, BEFORE["dates"], "").clip_norm == 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latent": 3}, "runs/x has settings that this version does not know: latent"),
        ({"latent_dim": "3"}, "of a wrong type: latent_dim is int. Received: '3'"),
        ({"latent_dim": True}, "latent_dim is int. Received: True"),
        ({"widths": [8, 1.5]}, r"widths is tuple\[int, ...\]. Received: \[8, 1.5\]"),
        ({"prior": "gamma"}, "prior is Literal"),
        ({"size": [1, 2, 3]}, "size is tuple"),
        ({"epochs": 0}, "--epochs must be 1 or more. Received 0"),
        ([1], r"runs/x holds no settings. Received: \[1\]"),
    ],
)
def test_unknown_and_wrong_settings_are_named_with_their_file(values, message):
    with pytest.raises(ValueError, match=message):
        restore(vae.Config, values, "runs/x")


def test_a_choice_that_is_gone_is_restored_if_it_was_as_it_is_now():
    with pytest.raises(ValueError, match="does not know: dropout"):
        restore(dates.Config, {"dropout": 0.1}, "runs/dates")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 0.0}, "--learning-rate must be above 0. Received 0.0"),
        ({"beta": float("nan")}, "--beta must be a finite number. Received nan"),
        ({"batch_size": 0}, "--batch-size must be 1 or more. Received 0"),
    ],
)
def test_numbers_that_train_nothing_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        vae.Config(**values)


def test_a_rate_that_is_no_speed_of_learning_may_be_0():
    @dataclasses.dataclass(frozen=True)
    class Config(Training):
        dropout_rate: float = 0.0

    assert Config().dropout_rate == 0.0


def test_a_step_takes_no_more_images_than_there_are():
    config = ImageTraining(batch_size=100)
    assert config.batch(range(60)) == 60 and config.batch(range(600)) == 100


def test_the_command_names_what_is_not_by_default():
    config = classifier.Config(widths=(8, 16), flip=False, run_dir="x", resume=True)
    assert command("classifier", config) == (
        "zoo train classifier --widths 8 16 --no-flip"
    )


def test_a_run_is_named_after_its_recipe_unless_it_is_told():
    assert str(vae.Config().directory("vae")) == "runs/vae"
    assert str(vae.Config(run_dir="x/y").directory("vae")) == "x/y"
