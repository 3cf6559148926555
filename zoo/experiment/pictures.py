"""Images as pictures for people: grids, rows with a caption, curves.

All take and return arrays; only the `write_` functions touch files. Pillow writes
PNGs, so a picture of images costs no plotting library.
"""

import math
import warnings

import numpy as np
from PIL import Image

from zoo.system import whole


def grid(images, columns=None):
    """Tiles images into one, row by row, with a thin light line between.

    Args:
        images: `(count, height, width, channels)` floats in [0, 1]; values outside
            are clipped. One or three channels.
        columns: Images per row; by default as square as can be.

    Returns:
        uint8 array `(rows * (height + gap) - gap, ..., channels)`; unused places are
        filled with the line's colour.

    Raises:
        ValueError: If the shape is not that of one or more such images.
    """
    images = np.asarray(images, "float32")
    if images.ndim != 4 or len(images) == 0 or images.shape[-1] not in (1, 3):
        raise ValueError(
            "Expected (count, height, width, channels) images with 1 or 3 channels, "
            f"received shape {images.shape}."
        )
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    gap = max(1, height // 28)
    sheet = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 0.8
    )
    # (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    for index, image in enumerate(images):
        top, left = (
            (index // columns) * (height + gap),
            (index % columns) * (width + gap),
        )
        sheet[top : top + height, left : left + width] = image
    return np.rint(255.0 * np.clip(sheet, 0.0, 1.0)).astype("uint8")


def write_grid(path, images, columns=None, scale=None):
    """Writes `grid(images, columns)` as a PNG file, enlarged to be seen.

    Args:
        path: Of the file.
        images: As for `grid`.
        columns: As for `grid`.
        scale: Whole-number magnification without smoothing; by default such that the
            picture is about 600 pixels wide.
    """
    sheet = grid(images, columns)
    scale = scale or max(1, round(600 / sheet.shape[1]))
    sheet = sheet.repeat(scale, axis=0).repeat(scale, axis=1)
    with whole(path) as beside:
        Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(beside)


def write_grids(directory, sheets):
    """Writes several grids into a folder.

    Args:
        directory: The folder.
        sheets: `{file name: (images, columns)}`, as for `write_grid`.

    Returns:
        The files' paths.
    """
    for name, (images, columns) in sheets.items():
        write_grid(directory / name, images, columns)
    return [directory / name for name in sheets]


def pairs(first, second):
    """Interleaves two batches in rows: each of `first` above its partner.

    Args:
        first: `(count, ...)`, say originals.
        second: Same shape, say reconstructions.

    Returns:
        `(2 * count, ...)`, to be shown with `columns=count`.
    """
    return np.concatenate([np.asarray(first), np.asarray(second)])


def alike(images, shape, value_range=None):
    """Returns images of any sizes and channels as one array, to be shown together.

    Args:
        images: List of `(height, width, channels)`, uint8 or floats in [0, 1].
        shape: `(height, width, channels)` of all, or more channels if one has more.
        value_range: `(low, high)` of black and white, if another.

    Returns:
        `(count, height, width, channels)` float32 in [0, 1], up to a resize's swing.
    """
    import tensorflow as tf

    from zoo.metrics import checks

    height, width, channels = shape
    channels = max(channels, *(image.shape[-1] for image in images))
    out = []
    for image in images:
        image = checks.images(image, value_range).astype(np.float32)
        if image.shape[:2] != (height, width):
            image = tf.image.resize(image, (height, width), antialias=True).numpy()
        out.append(np.broadcast_to(image, (height, width, channels)))
    return np.stack(out)


def write_figure(path, figure):
    """Writes a matplotlib figure as a PNG file."""
    with whole(path) as beside:
        figure.savefig(beside)


def write_animation(path, figures, milliseconds=150):
    """Writes matplotlib figures of one size as a GIF file that repeats for ever.

    Args:
        path: Of the file.
        figures: An iterable, a figure per frame.
        milliseconds: Each is shown; the last ten times as long.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    frames = []
    for figure in figures:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        frame = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        frames.append(frame.quantize(64))
    shown = [milliseconds] * (len(frames) - 1) + [10 * milliseconds]
    with whole(path) as beside:
        frames[0].save(
            beside, save_all=True, append_images=frames[1:], duration=shown, loop=0
        )


def write_alignment(path, weights, source_pieces, target_pieces):
    """Writes attention weights as a picture: dark where a target piece looked.

    Matplotlib (3.11 or newer) shapes each piece in the direction of its script; the
    order of the pieces stays that of time, from left to right and from top to bottom.
    A script of which the machine has no font is drawn as boxes.

    Args:
        path: Of the PNG file.
        weights: `(target, source)`, from 0 to 1.
        source_pieces: A string for each column.
        target_pieces: A string for each row.

    Raises:
        ValueError: The shape of the weights is not that of the pieces.

    Source:
        Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473, figure 3.

    Example:
        write_alignment("cat.png", [[0.9, 0.1], [0, 1]], ["a", "cat"], ["un", "chat"])
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    weights = np.asarray(weights, "float32")
    expected = (len(target_pieces), len(source_pieces))
    if weights.shape != expected or 0 in expected:
        raise ValueError(
            "weights must have a row for each target piece and a column for each "
            f"source piece, {expected}. Received shape: {weights.shape}."
        )
    rows, columns = expected
    fonts = ["DejaVu Sans", "Noto Sans CJK JP", "Noto Sans Devanagari", "Noto Sans"]
    figure = Figure((2.0 + 0.3 * columns, 1.6 + 0.3 * rows), dpi=120)
    # A piece may be a dollar, which would begin a formula.
    settings = {"font.family": _installed(fonts), "text.parse_math": False}
    with rc_context(settings), whole(path) as beside, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        axes = figure.add_subplot()
        axes.imshow(weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="equal")
        axes.set_xticks(range(columns), source_pieces)
        axes.set_yticks(range(rows), target_pieces)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        for label in axes.get_xticklabels():  # a letter on its side is hard to read
            label.set_rotation(0 if len(label.get_text()) == 1 else 90)
        FigureCanvasAgg(figure)
        figure.savefig(beside, bbox_inches="tight")


def _installed(fonts):
    """Returns those of some font families that this machine has."""
    from matplotlib import font_manager

    have = {font.name for font in font_manager.fontManager.ttflist}
    return [font for font in fonts if font in have]
