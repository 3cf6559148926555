"""The command as a newcomer meets it, wrong words included."""

import subprocess
import sys

import pytest

from zoo import cli, presets, report


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
    assert "--latent-dim INT length of a code (default: 10)" in text
    assert "zoo train vae" in text


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("train", "vea"), "No recipe named 'vea'. Did you mean vae?"),
        (("sample", "no_such"), "No preset or run named 'no_such'."),
        (("nonsense",), "nonsense"),
        (("train", "vae", "--epoch", "3"), "--epochs"),
        (("train", "vae", "--epochs", "many"), "many"),
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
        (("train", "vae", "--epochs", "0"), "--epochs must be 1 or more"),
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


@pytest.mark.parametrize("argv", [["list"], ["--help"]])
def test_answers_without_tensorflow(argv):
    script = (
        "import sys\nfrom zoo.cli import main\n"
        f"try:\n    main({argv})\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", presets.names())
def test_info_shows_the_card(name, capsys):
    assert run("info", name) == 0
    out = capsys.readouterr().out
    facts = presets.card(name)
    for fact in ("summary", "data_licence", "licence", "command", "intended_use"):
        assert facts[fact] in out
    assert facts["metrics"]["protocol"] in out


def test_table_aligns_names_and_rounds_numbers():
    assert report.table([("a", 1.23456), ("long", 7)]) == "  a     1.235\n  long  7"
