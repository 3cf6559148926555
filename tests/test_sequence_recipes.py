"""The recipes around `zoo.networks.recurrent`, at sizes that take seconds."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from recipes import classify_sequences, generate_sequences, gradient_flow
from tests.test_vocabulary import ODD, TEXTS
from zoo.cli import commands as cli
from zoo.data import text
from zoo.deploy import presets
from zoo.experiment import callbacks
from zoo.text.endpoints import DEVICE_BEAM, DEVICE_LENGTH
from zoo.text.vocabulary import Vocabulary

ROOT = Path(__file__).parents[1]


def test_gradients_vanish_explode_and_jump_by_attention(tmp_path):
    config = gradient_flow.Config(steps=40, units=32, run_dir=str(tmp_path))
    facts = gradient_flow.main(config)
    facts.pop("recipe"), facts.pop("config")
    ratios = {name: fact["first_to_last"] for name, fact in facts.items()}
    # a linear network with an orthogonal matrix stretched by 1.5 multiplies each step
    assert ratios["simple, stretched"] == pytest.approx(1.5**39, rel=1e-3)
    assert ratios["simple"] < 0.9**39  # tanh only shrinks further
    assert ratios["LSTM with attention"] > 100 * ratios["LSTM"]
    assert facts["simple, stretched"]["clipped"] == pytest.approx(1.0, rel=1e-4)
    assert facts["LSTM"]["clipped"] == facts["LSTM"]["weights"] < 1.0
    assert (tmp_path / "gradient_flow.png").is_file()
    assert json.loads((tmp_path / "report.json").read_text())["GRU"]


def test_the_program_for_devices_encodes_as_the_vocabulary_does():
    path = ROOT / "docs" / "on_device_translate.py"
    spec = importlib.util.spec_from_file_location("on_device", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    for preset in ("dates_to_iso", "translate_en_de"):
        file = presets.SHELF / preset / "source_vocabulary.json"
        pieces = json.loads(file.read_text("utf-8"))
        known = Vocabulary.load(file)
        for sentence in [*TEXTS, *ODD, "<s> a </s> <pad>", "a\u200bb", "\ufeffa"]:
            (ids,) = program.encode(sentence, pieces, 64)
            (expected,) = known.encode([sentence], max_length=64)
            assert ids[: len(expected)].tolist() == expected, sentence
            assert not ids[len(expected) :].any()


def test_gradients_beyond_a_float_are_refused(tmp_path):
    settings = {"steps": 300, "run_dir": str(tmp_path)}
    with pytest.raises(
        ValueError, match="'simple, stretched' is beyond.*Lower --steps"
    ):
        gradient_flow.main(gradient_flow.Config(**settings))
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="--symbols must be 2 or more. Received 1"):
        gradient_flow.main(gradient_flow.Config(symbols=1))


def test_the_program_for_devices_refuses_what_it_would_read_wrongly(tmp_path):
    Vocabulary.learn(["the cat sat"], 9, "word").save(
        tmp_path / "source_vocabulary.json"
    )
    Vocabulary.learn(["x"], 9, "character").save(tmp_path / "target_vocabulary.json")
    program = [sys.executable, ROOT / "docs" / "on_device_translate.py"]
    done = subprocess.run([*program, tmp_path, "the cats"], capture_output=True)
    assert done.returncode == 1 and b"Not for words" in done.stderr


def test_language_is_told_from_twelve_letters(tmp_path):
    config = classify_sequences.Config(epochs=1, run_dir=str(tmp_path))
    logs = classify_sequences.main(config)
    assert json.loads((tmp_path / "report.json").read_text())["config"]["seed"] == 0
    assert logs["accuracy"] > 0.8  # English alone is 0.36


def test_dates_are_written_from_numbers(tmp_path):
    config = generate_sequences.Config(examples=3000, epochs=4, run_dir=str(tmp_path))
    assert generate_sequences.main(config)["right"] > 0.5


@pytest.fixture
def pairs(tmp_path):
    """Returns a folder of parallel text, as a user would have."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for split, count in (("train", 200), ("validation", 20), ("test", 20)):
        lines = (f"{a}\t{b}" for a, b in text.load("embedded/dates", split)[:count])
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


SMALL = "--embedding-dim 8 --encoder-units 8 --decoder-units 8"


def expect_files(run):
    for file in (
        "alignment_0.png",
        "translations.tsv",
        "model.keras",
        "export/1/saved_model.pb",
        "export/model_dynamic.tflite",
        "export/source_vocabulary.json",
    ):
        assert (run / file).is_file(), file


def kill_after_first_epoch(monkeypatch, argv):
    """Ends a training when its second epoch begins, as Ctrl-C would."""
    begin = callbacks.Checkpoint.on_epoch_begin

    def killed(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Checkpoint, "on_epoch_begin", killed)
        assert cli.main(argv) == 130


def test_dates_are_killed_resumed_exported_and_used_again(
    pairs, tmp_path, capsys, monkeypatch
):
    """One training for all of this: most of its time goes into the exports."""
    run = tmp_path / "run"
    argv = f"train dates --data {pairs} --epochs 2 --beam 2 {SMALL} --run-dir {run}"
    argv = argv.split()
    kill_after_first_epoch(monkeypatch, argv)
    text_of = (pairs / "train.tsv").read_text("utf-8")
    for more in ("\u4e00\t2020-01-01\n", "1 1 2020\t2020-01-01\n" * 500):
        (pairs / "train.tsv").write_text(text_of + more, "utf-8")
        assert cli.main([*argv, "--resume"]) == 1
        assert "has other pairs than when the run" in capsys.readouterr().err
    (pairs / "train.tsv").write_text(text_of, "utf-8")
    assert cli.main([*argv, "--resume"]) == 0
    expect_files(run)
    report = json.loads((run / "report.json").read_text())
    assert "exact_beam_2" in report["metrics"]["best"]

    capsys.readouterr()
    assert cli.main(["translate", str(run), "3 March 2024", "--n-best", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    words = ["evaluate", str(run), "--data", str(pairs)]
    assert cli.main([*words, "--languages", "en", "de"]) == 1  # the table names none
    assert "no columns en and de" in capsys.readouterr().err

    # Three long test pairs are enough: an export compares 5 rows a step, of at most 64
    # tokens.
    lines = (pairs / "test.tsv").read_text("utf-8").splitlines()
    long = "\n".join(
        " ".join([left] * 9) + "\t" + right
        for left, right in (line.split("\t") for line in lines[:3])
    )
    (pairs / "test.tsv").write_text(long + "\n", "utf-8")
    assert cli.main(words) == 0
    assert f"Test data of {pairs}" in capsys.readouterr().out
    target = str(tmp_path / "out")
    assert cli.main(["export", str(run), target, "--formats", "float32"]) == 0
    assert "not at hand" not in capsys.readouterr().out


def test_translations_are_trained_exported_and_written_on_a_device(
    pairs, tmp_path, capsys
):
    run = tmp_path / "run"
    flags = f"--data {pairs} --epochs 1 --beam 2 {SMALL} --run-dir {run}"
    argv = ["train", "translate", *flags.split(), "--level", "character"]
    assert cli.main(argv) == 0
    expect_files(run)
    report = json.loads((run / "report.json").read_text())
    assert "bleu_beam_2" in report["metrics"]["best"]
    capsys.readouterr()
    assert cli.main(["translate", "vae_fashion_mnist", "a"]) == 2
    assert "does not translate" in capsys.readouterr().err

    program = ROOT / "docs" / "on_device_translate.py"
    sentence = "The 3 packages of March."
    done = subprocess.run(
        [sys.executable, program, run / "export", sentence],
        check=True,
        capture_output=True,
        text=True,
    )
    model = keras.saving.load_model(run / "model.keras")
    found = model.translate([sentence], beam=DEVICE_BEAM, max_length=DEVICE_LENGTH)
    assert done.stdout == found[0] + "\n"
    assert len(program.read_text().splitlines()) <= 60
