"""`zoo apply`: files in, files out, and what cannot be read is left out by name."""

import csv

import numpy as np
import pytest
from PIL import Image

from zoo.cli import commands as cli
from zoo.deploy import presets
from zoo.experiment.application import apply


class Inverts:
    """A model of 4 x 6 grey images that makes them negative."""

    image_shape = (4, 6, 1)

    def transform(self, images):
        return 1.0 - images


@pytest.fixture
def photos(tmp_path):
    """Returns a folder with a picture, one below it, and one that is none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    pixels = np.arange(24, dtype="uint8").reshape(4, 6)
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(np.full((8, 12, 3), 200, "uint8")).save(folder / "more" / "b.webp")
    (folder / "c.png").write_text("no picture")
    return folder


def test_images_come_out_beside_what_could_not_be_read(photos, tmp_path):
    steps = []
    out = tmp_path / "out"
    done = apply(
        Inverts(), [str(photos)], out, progress=lambda *counts: steps.append(counts)
    )
    assert {str(p.relative_to(out)) for p in done.written} == {"a.png", "more/b.png"}
    ((path, why),) = done.failed
    assert path.name == "c.png" and "cannot be read as an image" in why
    assert steps == [(3, 3)]
    found = np.asarray(Image.open(out / "a.png"))
    np.testing.assert_array_equal(found, 255 - np.arange(24).reshape(4, 6))
    assert np.asarray(Image.open(out / "more" / "b.png")).tolist() == [[55] * 6] * 4


def test_a_classifier_writes_a_table(photos, tmp_path, capsys):
    """Two embedded test images, as the shipped classifier reads them."""
    from zoo.data import images

    pixels, labels = images.load("embedded", "test")
    for index in range(2):
        Image.fromarray(pixels[index, ..., 0]).save(photos / f"{index}.png")
    inputs = [str(photos / "0.png"), str(photos / "1.png"), str(photos / "c.png")]
    out = tmp_path / "out"
    words = ["apply", "classifier_fashion_mnist", *inputs, "--out", str(out)]
    assert cli.main(words) == 0
    assert "left out" in capsys.readouterr().err
    rows = list(csv.DictReader((out / "labels.csv").open()))
    logits = presets.load("classifier_fashion_mnist").predict(pixels[:2] / 255.0)
    assert [int(row["label"]) for row in rows] == logits.argmax(axis=1).tolist()
    assert all(0.1 < float(row["probability"]) <= 1.0 for row in rows)


def test_an_autoencoder_writes_what_its_code_keeps(photos, tmp_path):
    out = tmp_path / "out"
    words = ["apply", "vae_fashion_mnist", str(photos / "a.png"), "--out", str(out)]
    assert cli.main(words) == 0
    assert Image.open(out / "a.png").size == (28, 28)


def test_sentences_are_printed_and_files_translated_line_by_line(tmp_path, capsys):
    file = tmp_path / "dates.txt"
    file.write_text("3 March 2024\n\n14 juillet 1989\n", "utf-8")
    assert cli.main(["apply", "dates_to_iso", "4 May 2020"]) == 0
    assert capsys.readouterr().out == "2020-05-04\n"
    out = tmp_path / "iso.txt"
    assert cli.main(["apply", "dates_to_iso", str(file), "--out", str(out)]) == 0
    assert out.read_text("utf-8") == "2024-03-03\n\n1989-07-14\n"
    assert cli.main(["apply", "dates_to_iso", str(file), str(out)]) == 1
    assert "Say where the translation of" in capsys.readouterr().err
    folder = tmp_path / "both"
    words = ["apply", "dates_to_iso", str(file), str(out), "--out", str(folder)]
    assert cli.main(words) == 0
    assert {p.name for p in folder.iterdir()} == {"dates.txt", "iso.txt"}


def test_a_model_that_draws_from_noise_takes_no_input(photos, tmp_path, capsys):
    words = ["apply", "gan_fashion_mnist", str(photos), "--out", str(tmp_path / "o")]
    assert cli.main(words) == 1
    assert "takes no images and no text" in capsys.readouterr().err


def test_a_folder_to_write_to_is_needed(photos):
    with pytest.raises(ValueError, match="Say which folder to write to: --out DIR"):
        apply(Inverts(), [str(photos)])


def test_nothing_readable_is_a_failure(photos, tmp_path, capsys):
    out = str(tmp_path / "o")
    words = ["apply", "vae_fashion_mnist", str(photos / "c.png"), "--out", out]
    assert cli.main(words) == 1
    assert "None of the inputs could be read" in capsys.readouterr().err
