import numpy as np
import pytest
from PIL import Image

from zoo.pictures import grid, pairs, write_grid


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
