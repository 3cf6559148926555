"""Each recipe runs end to end at a size that takes seconds."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from recipes import vae
from zoo.classifier import Classifier
from zoo.cli import commands as cli
from zoo.data import images
from zoo.deploy import presets
from zoo.experiment import quality


@pytest.fixture
def photos(tmp_path):
    """Returns a folder of small colour pictures, as a user would have."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(60):
        image = rng.integers(0, 256, (10, 12, 3), dtype="uint8")
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


def test_vae_recipe_trains_on_a_users_folder_and_can_be_used_again(photos, tmp_path):
    run = tmp_path / "run"
    flags = (
        f"--data {photos} --size 9 12 --epochs 2 --batch-size 8 --widths 4 8".split()
    )
    flags += ["--likelihood", "gaussian", "--run-dir", str(run)]
    assert cli.main(["train", "vae", *flags]) == 0
    for file in (
        "samples.png",
        "samples_gmm.png",
        "reconstructions.png",
        "interpolation.png",
        "traversal.png",
        "model.keras",
        "export/1/saved_model.pb",
        "export/model_float32.tflite",
        "export/model_float16.tflite",
        "export/model_dynamic.tflite",
    ):
        assert (run / file).is_file(), file
    # Six test images are too few to calibrate by some and to compare others.
    assert not (run / "export" / "model_int8.tflite").exists()
    report = json.loads((run / "report.json").read_text())
    assert report["config"]["epochs"] == 2 and report["recipe"] == "vae"
    assert report["metrics"]["best"]["negative_elbo"] == pytest.approx(
        report["metrics"]["best"]["reconstruction"]
        + report["metrics"]["best"]["divergence"],
        abs=1e-3,
    )
    assert report["metrics"]["best"]["epoch"] in (1, 2)
    assert "bits_per_dim" in report["metrics"]["last"]

    out = tmp_path / "metrics.json"
    assert cli.main(["evaluate", str(run), "--out", str(out)]) == 0
    again = json.loads(out.read_text())
    assert again["reconstruction"] == report["metrics"]["best"]["reconstruction"]
    Classifier((9, 12, 3), 3, (4,)).save(tmp_path / "tiny.keras")
    flags = ["--metrics", "fid,modes", "--extractor", str(tmp_path / "tiny.keras")]
    flags += ["--cache", str(tmp_path / "cache"), "--report-dir", str(tmp_path / "r")]
    assert cli.main(["evaluate", str(run), *flags]) == 0
    compared = json.loads((tmp_path / "r" / "report.json").read_text())["metrics"]
    assert compared["fid_tiny"]["real"] == compared["fid_tiny"]["fake"] > 1
    picture = tmp_path / "more.png"
    assert cli.main(["sample", str(run), "--count", "4", "--out", str(picture)]) == 0
    assert picture.is_file()
    target = tmp_path / "out"
    assert cli.main(["export", str(run), str(target), "--formats", "float32"]) == 0
    assert (target / "model_float32.tflite").is_file()
    assert not (target / "model_int8.tflite").exists()


@pytest.fixture
def classes(tmp_path):
    """Returns a folder of small grey pictures with a sub-folder per class."""
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        folder = tmp_path / "classes" / name
        folder.mkdir(parents=True)
        for index in range(40):
            low = 128 * (name == "light")
            image = rng.integers(low, low + 128, (8, 8), dtype="uint8")
            Image.fromarray(image).save(folder / f"{index}.png")
    return tmp_path / "classes"


@pytest.mark.parametrize("recipe", ["gan", "wgan", "cgan"])
def test_adversarial_recipe_trains_resumes_longer_and_can_be_used_again(
    recipe, classes, tmp_path, capsys
):
    run = tmp_path / "run"
    flags = f"--data {classes} --batch-size 8 --widths 4 8 --latent-dim 3".split()
    flags += ["--run-dir", str(run)]
    assert cli.main(["train", recipe, *flags, "--epochs", "1"]) == 0
    longer = ["--run-dir", str(run), "--epochs", "2", "--resume"]
    assert cli.main(["train", recipe, *longer]) == 0  # the other settings are known
    for file in (
        "samples.png",
        "samples/epoch-0002.png",
        "model.keras",
        "export/1/saved_model.pb",
        "export/model_float32.tflite",
        "export/model_float16.tflite",
    ):
        assert (run / file).is_file(), file
    report = json.loads((run / "report.json").read_text())
    assert report["recipe"] == recipe and report["config"]["epochs"] == 2
    log = (run / "log.csv").read_text().splitlines()
    assert len(log) == 3 and "fid_pixels_8x8" in log[0] and "diversity" in log[0]
    assert "val_" not in log[0]  # nothing validates: no columns for it
    picture = tmp_path / "more.png"
    assert cli.main(["sample", str(run), "--count", "4", "--out", str(picture)]) == 0
    assert picture.is_file()
    assert cli.main(["evaluate", str(run)]) == 0
    assert "best: the epoch of the lowest Frechet distance" in capsys.readouterr().out


def test_cgan_recipe_wants_classes(photos, tmp_path, capsys):
    flags = ["--data", str(photos), "--run-dir", str(tmp_path / "run")]
    assert cli.main(["train", "cgan", *flags]) == 1
    assert "has no classes to condition on" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_wgan_recipe_wants_one_way_to_bound_the_slope(tmp_path, capsys):
    flags = ["--clip-weights", "0.01", "--run-dir", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="2"):
        cli.main(["train", "wgan", *flags])
    words = " ".join(capsys.readouterr().err.split())
    assert "Received --penalty 10.0 --clip-weights 0.01" in words
    assert not (tmp_path / "run").exists()


def test_vae_recipe_wants_a_gaussian_to_give_it_a_variance(tmp_path, capsys):
    flags = ["--variance", "0.1", "--run-dir", str(tmp_path / "run")]
    assert cli.main(["train", "vae", *flags]) == 1
    assert "add --likelihood gaussian" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_plain_autoencoder_leaves_its_codes_far_from_the_prior():
    """Why its random samples are worse: nothing pulls codes to where they are drawn."""
    train, _ = vae.load(vae.Config()).train
    images = train[:1000] / np.float32(255.0)
    data = SimpleNamespace(train=(images, None))
    spread = {}
    for deterministic in (False, True):
        keras.utils.set_random_seed(0)
        config = vae.Config(
            deterministic=deterministic,
            beta=0.0 if deterministic else 1.0,
            epochs=4,
            batch_size=50,
        )
        model = vae.build(config, data)
        model.fit(images, batch_size=50, epochs=4, verbose=0)
        codes = np.asarray(model.encode(images)[0])
        spread[deterministic] = np.sqrt(np.mean(np.square(codes)))
    assert spread[False] < 1.2
    assert spread[True] > 2.0 * spread[False]


def test_shipped_vae_measures_as_its_card_says():
    """On the embedded fifth of the test images, so within a few standard errors."""
    config = vae.Config()
    found = vae.score(presets.load("vae_fashion_mnist"), config, vae.load(config))
    card = presets.card("vae_fashion_mnist")["metrics"]["best"]
    for name in ("negative_elbo", "reconstruction", "divergence"):
        assert found[name] == pytest.approx(card[name], rel=0.03), name


@pytest.mark.parametrize("name", ["gan", "wgan_gp", "cgan"])
def test_shipped_gans_measure_as_their_cards_say(name):
    """As the VAE; the distance of fewer images is larger, by a few hundredths here."""
    test, _ = images.load("embedded", "test")
    model = presets.load(f"{name}_fashion_mnist")
    found = quality.score(model, test, "embedded")
    card = presets.card(f"{name}_fashion_mnist")["metrics"]["best"]
    fid = "fid_classifier_fashion_mnist"
    assert found[fid] == pytest.approx(card[fid], rel=0.1, abs=0.1)
    precision = "precision_classifier_fashion_mnist"
    assert found[precision] == pytest.approx(card[precision], abs=0.05)


def test_a_step_shrinks_to_a_small_folder(photos, tmp_path):
    """54 images less 2 that validate; the default takes 192 for three critic steps."""
    flags = ["--data", str(photos), "--size", "8", "8", "--widths", "4"]
    run = tmp_path / "run"
    flags += ["--epochs", "1", "--run-dir", str(run)]
    assert cli.main(["train", "wgan", *flags]) == 0
    report = json.loads((run / "report.json").read_text())
    per_epoch = report["examples_per_second"] * report["wall_seconds"]
    assert per_epoch == pytest.approx(51, abs=3)  # both factors are rounded


def test_more_critic_steps_than_images_are_refused(photos, tmp_path, capsys):
    flags = ["--data", str(photos), "--size", "8", "8", "--critic-steps", "60"]
    assert cli.main(["train", "wgan", *flags, "--run-dir", str(tmp_path / "run")]) == 1
    assert "an image for each of its --critic-steps" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_validation_images_are_not_trained_on():
    train, validation, test = (part for part, _ in vae.load(vae.Config()))
    assert (len(train), len(validation), len(test)) == (9000, 1000, 2000)
    seen = {image.tobytes() for image in train}
    assert not any(image.tobytes() in seen for image in validation)


def test_resume_continues_a_recipe(photos, tmp_path, capsys):
    flags = f"--data {photos} --size 8 8 --batch-size 8 --widths 4 --epochs 1".split()
    flags += ["--run-dir", str(tmp_path / "run")]
    assert cli.main(["train", "vae", *flags]) == 0
    assert cli.main(["train", "vae", *flags]) == 1
    assert "Continue it with --resume" in capsys.readouterr().err
    assert cli.main(["train", "vae", *flags[-2:], "--resume"]) == 0
    assert cli.main(["train", "gan", *flags[-2:], "--resume"]) == 1
    assert "holds a run of vae, not of gan" in capsys.readouterr().err
    assert cli.main(["train", "vae", *flags, "--widths", "8", "--resume"]) == 1
    assert "widths was [4], is [8]" in capsys.readouterr().err
