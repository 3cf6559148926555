import numpy as np
import pytest
from PIL import Image

from zoo.experiment.pictures import grid, pairs, write_alignment, write_grid


def test_grid_reads_left_to_right_then_down():
    images = np.arange(4, dtype="float32").reshape(4, 1, 1, 1) / 3
    sheet = grid(images, columns=2)[::2, ::2, 0]  # every other line parts two images
    np.testing.assert_array_equal(sheet, [[0, 85], [170, 255]])


def test_grid_clips_and_fills_up():
    sheet = grid(np.full((3, 1, 1, 3), 7.0))
    assert sheet.shape == (3, 3, 3) and sheet.dtype == np.uint8
    assert (sheet[0, 0] == 255).all() and (sheet[2, 2] == 204).all()


def test_pairs_stand_one_above_the_other():
    first, second = np.zeros((2, 1, 1, 1)), np.ones((2, 1, 1, 1))
    sheet = grid(pairs(first, second), columns=2)[::2, ::2, 0]
    np.testing.assert_array_equal(sheet, [[0, 0], [255, 255]])


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_written_grid_is_a_png_to_look_at(tmp_path, channels, mode):
    write_grid(tmp_path / "new" / "grid.png", np.zeros((4, 8, 8, channels)))
    with Image.open(tmp_path / "new" / "grid.png") as picture:
        assert picture.mode == mode and 500 < picture.width < 700


@pytest.mark.parametrize("shape", [(8, 8, 1), (0, 8, 8, 1), (2, 8, 8, 2)])
def test_grid_says_what_it_takes(shape):
    with pytest.raises(ValueError, match="1 or 3 channels, received shape"):
        grid(np.zeros(shape))


# Alignments


def alignment(path, weights, sources, targets):
    write_alignment(path, weights, sources, targets)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def test_weights_are_shades(tmp_path):
    weights = [[1.0, 0.0], [0.0, 0.5]]
    picture = alignment(
        tmp_path / "new" / "a.png", weights, ["$a", "b$"], ["c", "</s>"]
    )
    spines = [
        np.flatnonzero(dark > 0.8 * dark.max())[[0, -1]]
        for dark in ((picture < 128).sum(axis=axis) for axis in (1, 0))
    ]
    (top, bottom), (left, right) = spines
    at = [
        picture[top + (bottom - top) * row // 4, left + (right - left) * column // 4]
        for row in (1, 3)
        for column in (1, 3)
    ]
    # Black, white, white and the middle of matplotlib's "Greys".
    assert at[0] < 5 and at[1:3] == [255, 255] and 140 < at[3] < 160


def test_right_to_left_letters_are_joined(tmp_path):
    """Four Arabic letters that join take less room than the same four kept apart."""
    joined, apart = (
        alignment(tmp_path / "a.png", [[1.0]], ["a"], [between.join("ببببببببب")])
        for between in ("", "\N{ZERO WIDTH NON-JOINER}")
    )
    assert joined.shape[1] < 0.8 * apart.shape[1]


def test_right_to_left_begins_at_the_right(tmp_path):
    """The dots of sheen, the first letter, stand at the right end of the word."""
    word = "\u0634" + 4 * "\u0640"  # and a long line, which has no dots
    picture = alignment(tmp_path / "a.png", [[0.0]], ["."], [word])
    label = picture[:, : np.flatnonzero((picture < 128).sum(axis=0) > 25)[0] - 2]
    height = (label < 128).sum(axis=0)[(label < 128).any(axis=0)]
    assert height[len(height) // 2 :].max() > height[: len(height) // 2].max()


def test_alignment_says_what_it_takes(tmp_path):
    with pytest.raises(ValueError, match=r"\(2, 1\). Received shape: \(1, 2\)"):
        write_alignment(tmp_path / "a.png", [[0.0, 1.0]], ["a"], ["b", "c"])
    with pytest.raises(ValueError, match="weights must have a row"):
        write_alignment(tmp_path / "a.png", np.zeros((0, 0)), [], [])
