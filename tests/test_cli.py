"""The command as a newcomer meets it, wrong words included."""

import io
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from zoo.cli import commands as cli
from zoo.data import images
from zoo.deploy import presets
from zoo.experiment import report


def run(*argv):
    """Returns (exit status, what was printed to standard output and error)."""
    try:
        return cli.main(list(argv))
    except SystemExit as stop:
        return stop.code


def test_list_names_recipes_and_presets(capsys):
    assert run("list") == 0
    out = capsys.readouterr().out
    assert "vae " in out and "Trains a variational autoencoder" in out
    assert all(name in out for name in presets.names())


@pytest.mark.parametrize(
    "argv",
    [
        ("--help",),
        ("list", "--help"),
        ("train", "--help"),
        ("evaluate", "--help"),
        ("sample", "--help"),
        ("translate", "--help"),
        ("export", "--help"),
        ("info", "--help"),
        ("ship", "--help"),
        ("data", "--help"),
    ],
)
def test_every_command_helps(argv, capsys):
    assert run(*argv) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_a_recipes_help_shows_each_setting_with_its_default(capsys):
    assert run("train", "vae", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--latent-dim INT length of a code; of more on Fashion-MNIST" in text
    assert "zoo train vae" in text


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("train", "vea"), "No recipe named 'vea'. Did you mean vae?"),
        (("sample", "no_such"), "No preset or run named 'no_such'."),
        (("sample", "vae_fashion_mnist", "--count", "0"), "--count must be 1 or more"),
        (("sample", "vae_fashion_mnist", "--out", "x.jpg"), "a .png file or a folder"),
        (("sample", "vae_fashion_mnist", "--label", "3"), "leave --label out"),
        (("sample", "dates_to_iso"), "it draws no images"),
        (("translate", "vae_fashion_mnist", "hello"), "does not translate"),
        (("nonsense",), "nonsense"),
        (("train", "vae", "--epoch", "3"), "--epochs"),
        (("train", "vae", "--epochs", "many"), "many"),
        (("train", "vae", "--epochs", "0"), "--epochs must be 1 or more"),
        (("train", "vae", "--beta", "nan"), "--beta must be a finite number"),
        (("train", "dates", "--beam", "0"), "--beam must be 1 or more. Received 0"),
        (("evaluate", "vae_fashion_mnist", "--languages", "a", "b"), "--languages"),
        (("evaluate", "dates_to_iso", "--size", "9", "9"), "no setting --size"),
        (
            ("evaluate", "vae_fashion_mnist", "--paired"),
            "--paired compares two folders",
        ),
        (("apply", "vae_fashion_mnist"), "Give files, folders or sentences"),
        ((), "Missing subcommand"),
    ],
)
def test_wrong_use_exits_with_2_and_a_hint(argv, message, capsys):
    assert run(*argv) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_folder_without_a_finished_run_is_wrong_use(tmp_path, capsys):
    assert run("evaluate", str(tmp_path)) == 2
    assert "no report.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("info", "nothing"), "No preset named 'nothing'"),
        (("train", "vae", "--data", "/no/such/folder"), "/no/such/folder"),
        (("train", "vae", "--deterministic"), "pass beta=0"),
        (("data", "prepare", "mnist", "--from", "/no/such"), "/no/such"),
    ],
)
def test_failure_exits_with_1_and_one_message(argv, message, capsys, tmp_path):
    folder = {"train": "--run-dir", "data": "--data-dir"}.get(argv[0])
    if folder:
        argv = (*argv, folder, str(tmp_path / "new"))
    assert run(*argv) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "new").exists()  # nothing half done is left


def test_version_is_that_of_the_package(capsys):
    assert run("--help") == 0
    assert "--version" in capsys.readouterr().out
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == version("generative-zoo")


def test_samples_come_in_one_picture_or_a_file_each(tmp_path):
    flags = ("cgan_fashion_mnist", "--count", "3", "--label", "7", "--out")
    assert run("sample", *flags, str(tmp_path / "all.png")) == 0
    assert run("sample", *flags, str(tmp_path / "each.v2")) == 0
    names = [path.name for path in sorted((tmp_path / "each.v2").iterdir())]
    assert names == ["00000.png", "00001.png", "00002.png"]
    found, _ = images.load(tmp_path / "each.v2", "all")
    model = presets.load("cgan_fashion_mnist")
    expected = np.asarray(model.sample(3, [7, 7, 7], seed=0)).clip(0.0, 1.0)
    np.testing.assert_allclose(found / 255.0, expected, atol=0.51 / 255.0)


def test_translates_arguments_and_lines_of_standard_input(capsys, monkeypatch):
    assert run("translate", "dates_to_iso", "3 March 2024") == 0
    assert capsys.readouterr().out == "2024-03-03\n"
    # only line feeds part lines, and there are as many after as before
    lines = "3 March\u2028 2024\n\n14 juillet\x0c 1989"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    assert run("translate", "dates_to_iso") == 0
    assert capsys.readouterr().out == "2024-03-03\n\n1989-07-14\n"
    flags = ("--beam", "2", "--n-best", "2")
    assert run("translate", "dates_to_iso", "3 March 2024", "4 May 2020", *flags) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[3]] == ["3 March 2024", "4 May 2020"]
    assert lines[1].endswith("  2024-03-03") and lines[4].endswith("  2020-05-04")
    assert run("translate", "dates_to_iso", "1", "--beam", "0") == 1
    assert "zoo: `beam` is 1 or more" in capsys.readouterr().err


def test_an_interrupted_run_is_told_how_to_go_on_if_it_can(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.cli.commands.run_recipe", interrupt)
    assert run("train", "gan", "--epochs", "1") == 130
    assert capsys.readouterr().err.endswith("--resume continues the run.\n")
    assert run("train", "mode_collapse", "--steps", "1") == 130
    assert capsys.readouterr().err == "zoo: interrupted.\n"


def test_a_preset_whose_data_are_elsewhere_can_be_exported(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.setattr(images, "load", missing)
    flags = ("--formats", "float32")
    assert run("export", "vae_fashion_mnist", str(tmp_path / "out"), *flags) == 0
    out = capsys.readouterr().out
    assert "fashion_mnist is not at hand" in out
    assert "not written" not in out  # nothing that was asked for
    assert (tmp_path / "out" / "model_float32.tflite").is_file()


def missing(*_, **__):
    raise ValueError("No such data.")


@pytest.mark.parametrize("argv", [["list"], ["--help"]])
def test_answers_without_tensorflow(argv):
    script = (
        "import sys\nfrom zoo.cli.commands import main\n"
        f"try:\n    main({argv})\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", presets.names())
def test_info_shows_the_card(name, capsys):
    assert run("info", name) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 120
    out = " ".join(out.split())  # long lines are wrapped
    facts = presets.card(name)
    for fact in ("summary", "data_licence", "licence", "command", "intended_use"):
        assert facts[fact] in out
    assert facts["metrics"]["protocol"] in out


def test_table_aligns_names_and_rounds_numbers():
    assert report.table([("a", 1.23456), ("long", 7)]) == "  a     1.235\n  long  7"
