import json

import numpy as np
import pytest
from PIL import Image

from zoo.cli import commands as cli
from zoo.data import points


def test_ring_lies_on_its_circle():
    ring = points.ring(modes=8, radius=2.0)
    assert ring.centres.shape == (8, 2)
    np.testing.assert_allclose(np.linalg.norm(ring.centres, axis=1), 2.0)
    gaps = np.linalg.norm(ring.centres - np.roll(ring.centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 4.0 * np.sin(np.pi / 8))  # the chord


def test_grid_is_centred():
    grid = points.grid(side=5, spacing=2.0)
    assert grid.centres.shape == (25, 2)
    np.testing.assert_allclose(grid.centres.mean(axis=0), 0.0)
    assert set(np.unique(grid.centres)) == {-4.0, -2.0, 0.0, 2.0, 4.0}


def test_samples_equally_from_all_modes_and_follows_the_seed():
    ring = points.ring()
    sampled = ring.sample(8000, seed=1)
    modes, _ = ring.nearest(sampled)
    np.testing.assert_allclose(np.bincount(modes) / 8000, 1 / 8, atol=0.02)
    np.testing.assert_array_equal(sampled, ring.sample(8000, seed=1))
    assert not np.array_equal(sampled, ring.sample(8000, seed=2))


def test_real_points_cover_all_modes_with_the_quality_of_a_gaussian():
    covered, quality = points.grid().coverage(points.grid().sample(20_000))
    assert covered == 25
    assert quality == pytest.approx(1 - np.exp(-4.5), abs=0.003)  # Rayleigh, 3 sigma


def test_a_mode_needs_enough_good_points():
    ring = points.ring()
    few = np.repeat(ring.centres[:2], [20, 19], axis=0)
    bad = np.repeat(ring.centres[2:3] * 0.5, 100, axis=0)  # far from every centre
    covered, quality = ring.coverage(np.concatenate([few, bad]))
    assert (covered, quality) == (1, pytest.approx(39 / 139))


def test_recipe_compares_settings_and_goes_on_where_it_stopped(tmp_path, capsys):
    flags = "--steps 4 --looks 2 --batch-size 16 --settings saturating wasserstein"
    command = ["train", "mode_collapse", *flags.split(), "--run-dir", str(tmp_path)]
    assert cli.main(command) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["runs"]) == {"saturating/0", "wasserstein/0"}
    assert len(report["runs"]["saturating/0"]["modes"]) == 2
    with Image.open(tmp_path / "samples.gif") as animation:
        assert animation.n_frames == 2
    assert (tmp_path / "modes.png").is_file()
    before = report["runs"]["saturating/0"]
    assert cli.main([*command, "--seeds", "2"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["runs"]) == 4 and report["runs"]["saturating/0"] == before
    assert (
        "saturating       covers all modes in 0 of 2 seeds" in capsys.readouterr().out
    )
    assert cli.main([*command, "--steps", "6"]) == 1
    assert "Give another --run-dir" in capsys.readouterr().err


def test_recipe_names_a_setting_it_does_not_know(tmp_path, capsys):
    command = ["train", "mode_collapse", "--run-dir", str(tmp_path), "--settings", "js"]
    with pytest.raises(SystemExit, match="2"):
        cli.main(command)
    assert "--settings are any of" in " ".join(capsys.readouterr().err.split())
