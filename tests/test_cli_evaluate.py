"""`zoo evaluate` on images: two folders, or samples of a model."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from zoo.classifier import Classifier
from zoo.cli import commands as cli
from zoo.cli import evaluation
from zoo.data import images
from zoo.deploy import presets
from zoo.gan import GAN
from zoo.networks.dcgan import DCGAN


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for name, high in (("real", 256), ("fake", 128)):
        (tmp_path / name).mkdir()
        for index in range(30):
            image = rng.integers(0, high, (8, 8), dtype="uint8")
            Image.fromarray(image).save(tmp_path / name / f"{index}.png")
    return tmp_path


def test_two_folders_are_compared_by_one_command(folders, capsys):
    Classifier((8, 8, 1), 3, (4,)).save(folders / "tiny.keras")
    out = folders / "out"
    flags = {
        "--real": folders / "real",
        "--fake": folders / "fake",
        "--extractor": folders / "tiny.keras",
        "--metrics": "fid,kid,is,prdc,prd,modes",
        "--report-dir": out,
        "--intervals": 3,
        "--cache": folders / "cache",
        "--out": folders / "numbers.json",
    }
    words = [str(word) for pair in flags.items() for word in pair]
    assert cli.main(["evaluate", *words]) == 0
    printed = capsys.readouterr().out
    for which in ("real", "fake"):
        assert f"Features of the {which} images" in printed
    assert "30/30" in printed  # of the bar
    assert re.search(r"fid_tiny +\S+ \[\S+, \S+\]\n", printed)
    assert re.search(r"modes_tiny .* of 3, collapse: ", printed)
    assert "(30 real and 30 fake images)" in printed
    assert "Fewer than 2,000 images" in printed
    report = json.loads((out / "report.json").read_text())
    assert report["metrics"] == json.loads((folders / "numbers.json").read_text())
    assert report["fake_images"] == str(folders / "fake")
    assert (out / "prd.png").is_file() and (out / "neighbors.png").is_file()
    assert len(list((folders / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "Give one preset or run, or else"),
        (("vae", "--real", "x"), "Give one preset or run, or else"),
        (("--real", "x"), "Give one preset or run, or else"),
    ],
)
def test_wrong_use_of_evaluate(flags, message, capsys):
    assert cli.main(["evaluate", *flags]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--metrics", "fid,foo"), "any of fid, .* Received: foo"),
        (("--intervals", "1"), "takes 2 resamples or more"),
        (("--extractor", "vae_fashion_mnist"), "is no classifier and has no one input"),
        (("--extractor", "inception_2015"), "its weights \\(--weights\\)"),
    ],
)
def test_what_cannot_be_measured_is_said_first(folders, flags, message, capsys):
    pair = ["--real", str(folders / "real"), "--fake", str(folders / "fake")]
    if "--extractor" not in flags:
        flags = (*flags, "--extractor", "classifier_mnist")
    assert cli.main(["evaluate", *pair, *flags]) == 1
    printed = capsys.readouterr()
    assert re.search(message, printed.err)
    assert "Features of" not in printed.out


def test_a_file_that_is_no_model_is_said_to_be_none(folders, capsys):
    (folders / "not.keras").write_text("words")
    pair = ["--real", str(folders / "real"), "--fake", str(folders / "fake")]
    flags = [*pair, "--extractor", str(folders / "not.keras")]
    assert cli.main(["evaluate", *flags]) == 1
    assert "it is no .keras archive" in capsys.readouterr().err


def test_a_folder_must_be_there(folders, capsys):
    assert cli.main(["evaluate", "--real", "nowhere", "--fake", str(folders)]) == 2
    assert "There is no folder nowhere." in capsys.readouterr().err


def test_a_saved_model_is_named_after_its_folder_not_its_version():
    extractor = evaluation.find_extractor(
        str(presets.SHELF / "classifier_mnist" / "1"), None, "clean"
    )
    assert extractor.name == "classifier_mnist"


def test_a_file_of_the_zoo_registers_its_own_class():
    """In a new program, which has imported no model yet."""
    path = presets.SHELF / "classifier_mnist" / "model.keras"
    script = (
        "from zoo.cli import evaluation\n"
        f"print(evaluation.find_extractor({str(path)!r}, None, 'clean').channels)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1"


def test_a_run_on_own_images_is_measured_as_after_its_training(folders, capsys):
    run = folders / "run"
    run.mkdir()
    GAN((8, 8, 1), 2, DCGAN((4,))).save(run / "model.keras")
    config = {"data": str(folders / "real"), "size": None, "channels": None}
    (run / "report.json").write_text(json.dumps({"recipe": "gan", "config": config}))
    flags = ["--cache", str(folders / "cache"), "--report-dir", str(folders / "out")]
    assert cli.main(["evaluate", str(run), "--metrics", "fid", *flags]) == 0
    assert "fid_pixels_8x8" in capsys.readouterr().out


def test_folders_need_an_extractor(folders, capsys):
    flags = ["--real", str(folders / "real"), "--fake", str(folders / "fake")]
    assert cli.main(["evaluate", *flags]) == 2
    assert "give --extractor" in capsys.readouterr().err


def test_all_images_of_a_folder_are_those_of_its_splits(folders):
    everything = images.load(folders / "real", "all")[0]
    parts = [images.load(folders / "real", split)[0] for split in ("train", "test")]
    assert len(everything) == 30 == sum(map(len, parts))
