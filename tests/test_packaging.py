"""What an installation has, and that it takes no name but `zoo`."""

import configparser
import glob
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = configparser.ConfigParser()
SETTINGS.read(ROOT / "setup.cfg")


def listed(section, key):
    return SETTINGS[section][key].split()


def test_every_folder_of_code_is_a_package():
    folders = {path.parent for path in (ROOT / "zoo").rglob("*.py")}
    found = {".".join(path.relative_to(ROOT).parts) for path in folders}
    assert found | {"zoo.recipes", "zoo.saved_models"} == set(
        listed("options", "packages")
    )


def test_only_zoo_is_on_the_path():
    places = dict(
        line.split(" = ")
        for line in SETTINGS["options"]["package_dir"].strip().splitlines()
    )
    assert places == {
        "zoo": "zoo",
        "zoo.recipes": "recipes",
        "zoo.saved_models": "saved_models",
    }
    assert all(n.split(".")[0] == "zoo" for n in listed("options", "packages"))


def test_licences_of_what_is_embedded_are_in_the_metadata():
    found = set()
    for pattern in listed("metadata", "license_files"):
        found.update(glob.glob(pattern, root_dir=ROOT))
    embedded = ROOT / "zoo" / "data" / "embedded"
    expected = {f"zoo/data/embedded/{p.name}/LICENSE" for p in embedded.iterdir()}
    assert found == {"LICENSE"} | expected


def test_the_source_distribution_has_what_the_tests_need():
    manifest = (ROOT / "MANIFEST.in").read_text("utf-8").splitlines()
    grafted = {line.split()[1] for line in manifest if line.startswith("graft")}
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] != "."}
    passing = {"runs", "build", "dist", "evaluation", "shared", "__pycache__"}
    assert grafted == {n for n in folders - passing if not n.endswith(".egg-info")}
    assert "include CONTRIBUTING.md Makefile" in manifest


def test_a_users_own_recipes_do_not_hide_the_zoos(tmp_path):
    """`python -m zoo` puts the working folder first: lists were empty."""
    for name in ("recipes", "saved_models"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    script = (
        "from zoo.cli import commands, recipes\n"
        "commands.main(['list'])\n"
        "print(recipes.recipes_package())\n"
        "import recipes\n"
        "print(recipes.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "\n  vae  " in done.stdout and "\n  vae_fashion_mnist " in done.stdout
    *_, package, theirs = done.stdout.splitlines()
    assert package == "zoo.recipes"
    assert theirs == str(tmp_path / "recipes" / "__init__.py")
