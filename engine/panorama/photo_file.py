"""An image file of a photo: opened with care, decoded at the size that is needed. No torch."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import DamagedFileError, MissingFileError
from engine.panorama.photo_metadata import read_orientation

MOST_PIXELS = 179_000_000
"""What is larger is refused before it is decoded, as Pillow does by itself; panoramas of 18,900 columns still pass."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What stands an image upright, by EXIF's orientation. Not ImageOps.exif_transpose: it writes the whole EXIF anew, and
fails on what is damaged in it."""


def open_photo(path: str | os.PathLike[str]) -> Image.Image:
    """The image at ``path``, not decoded yet: a context manager. Raises MissingFileError, and DamagedFileError for what
    is no image and for more than :data:`MOST_PIXELS`."""
    name = os.fspath(path)
    if not Path(name).is_file():
        raise MissingFileError(f"{name}: there is no such photo.", remedy="Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes (see below) and of damaged metadata, told in ``problems``
            image = Image.open(name)
    except Image.DecompressionBombError as error:
        raise _too_large(name, str(error)) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DamagedFileError(
            f"{name}: this is no image that can be read; expected a JPEG, PNG, TIFF or WebP photo.",
            remedy="Open it in an image viewer, or export it again.",
        ) from error
    if image.size[0] * image.size[1] > MOST_PIXELS:
        image.close()
        raise _too_large(name, f"{image.size[0]} x {image.size[1]} pixels")
    return image


def _too_large(name: str, found: str) -> DamagedFileError:
    return DamagedFileError(
        f"{name}: the photo is too large to be read safely ({found}).", remedy="Export it with fewer pixels."
    )


def decoded(
    image: Image.Image, path: str | os.PathLike[str], *, width: int | None = None, upright: bool
) -> NDArray[np.uint8]:
    """(rows, columns, 3) uint8 of an open image, at most ``width`` columns wide as it lies in the file, never enlarged;
    ``upright`` turns it as EXIF says. Raises DamagedFileError, for a file that is cut off too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turn = _TURNS.get(read_orientation(image))  # before the image is another, without its metadata
            if width is not None and image.size[0] > width:
                height = max(1, round(image.size[1] * width / image.size[0]))
                image.draft("RGB", (width, height))  # JPEG: decoded at a half, a quarter or an eighth
                small = image.resize((width, height), Image.Resampling.BOX) if image.mode == "RGB" else None
                image = small or _rgb(image).resize((width, height), Image.Resampling.BOX)
            if upright and turn is not None:
                image = image.transpose(turn)
            values = np.asarray(_rgb(image), np.uint8)
    except Image.DecompressionBombError as error:
        raise _too_large(os.fspath(path), str(error)) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises almost anything on damaged files
        raise DamagedFileError(
            f"{os.fspath(path)}: the photo is damaged: {error}.", remedy="Copy or export it again."
        ) from error
    return values


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits of grey: Pillow would clip them at 255
        values = np.asarray(image, np.float64) / 257.0
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
