"""Image files and their pixels: what is found in a folder, decoded, fitted, stacked.

Everything comes out as uint8 `(height, width, 1 or 3)`, upright and opaque.
"""

import os

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def find(folder):
    """Finds the images below a folder, in its sub-folders and through links too.

    Args:
        folder: A `Path`.

    Returns:
        Their paths relative to the folder, sorted; hidden files are left out.

    Raises:
        ValueError: There are none.
    """
    names = sorted(path.relative_to(folder) for path in _walk(folder, set()))
    if not names:
        raise ValueError(
            f"{str(folder)!r} holds no images. Looked for {', '.join(SUFFIXES)}."
        )
    return names


def _walk(folder, above):
    """Yields the images below a folder that is reached through the folders `above`."""
    above = above | {folder.resolve()}
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.is_dir():
                if path.resolve() not in above:  # a link to where it lies has no end
                    yield from _walk(path, above)
            elif path.suffix.lower() in SUFFIXES and not entry.name.startswith("."):
                yield path


def decode(path):
    """Returns an image file as uint8 `(height, width, 1 or 3)`, upright and opaque.

    Args:
        path: Of the file.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        with Image.open(path) as image:
            image.load()
            image = ImageOps.exif_transpose(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        Image.DecompressionBombError,
    ) as e:
        raise ValueError(
            f"{str(path)!r} cannot be read as an image ({e}). Replace or remove it."
        ) from e
    if image.mode.startswith("I"):  # 16 bits of grey; Pillow's own conversion clips
        return to_uint8(np.asarray(image).astype("uint16")[..., None], path)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels  # (height, width, 1 or 3)


def to_uint8(pixels, source):
    """Returns pixels of 1, 8 or 16 bits as uint8, of the same shape.

    Args:
        pixels: Array of type bool, uint8 or uint16.
        source: Where they are from, for the error.

    Raises:
        ValueError: They are of another type.
    """
    if pixels.dtype == np.uint16:
        return np.round(pixels / 257.0).astype("uint8")  # 65,535 becomes 255
    if pixels.dtype == np.bool_:
        return pixels * np.uint8(255)
    if pixels.dtype != np.uint8:
        raise ValueError(
            f"{str(source)!r} needs images of type uint8, uint16 or bool. Received: "
            f"{pixels.dtype}."
        )
    return pixels


def fit(pixels, size):
    """Crops around the centre to the shape of `size`, then resamples.

    Args:
        pixels: uint8 `(height, width, 1 or 3)`.
        size: `(height, width)`, or `None` to keep the pixels as they are.
    """
    if size is None or pixels.shape[:2] == size:
        return pixels
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    fitted = np.asarray(ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS))
    return fitted.reshape(*size, pixels.shape[-1])


def stack(images, names, channels):
    """Stacks images that must agree in size, after giving them equal channels.

    Args:
        images: List of uint8 `(height, width, 1 or 3)`.
        names: As many, for the error.
        channels: 1 or 3; `None` means 1 if all are grey.

    Returns:
        uint8 `(count, height, width, channels)`.

    Raises:
        ValueError: Their sizes differ.
    """
    for image, name in zip(images, names, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            raise ValueError(
                "Images of different sizes need a common one: give `size`, height and "
                "width in pixels. Received (height, width): "
                f"{str(names[0])!r} of {images[0].shape[:2]}, {str(name)!r} of "
                f"{image.shape[:2]}."
            )
    channels = channels or max(image.shape[-1] for image in images)
    return np.stack([recolour(image, channels) for image in images])


def recolour(pixels, channels):
    """Returns uint8 pixels with 1 or 3 channels: grey by luma, or grey thrice."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)  # (height, width, 3)
    # Pillow's "L": ITU-R BT.601 luma.
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
