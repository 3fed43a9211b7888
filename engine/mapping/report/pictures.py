"""Arrays to pictures: (rows, columns, 3) uint8 RGB, ready to be drawn or saved. Pure; nothing is opened here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.mapping.flood.classes import CLASS_COLORS, DRY, NOT_OBSERVED

RGB = NDArray[np.uint8]

PAPER = (255, 255, 255)
UNSEEN = (226, 226, 222)
"""Colour of pixels without a valid value: a light grey that neither water, flood nor land has."""

VV_RANGE_DB = (-22.0, -2.0)
VH_RANGE_DB = (-29.0, -8.0)
RATIO_RANGE_DB = (2.0, 14.0)
BRIGHT = 0.35
"""Reflectance that is drawn as full brightness."""

# Steps of a sequential scale from near white to dark blue: even in lightness, safe for colour-blind readers.
_PROBABILITY = np.array(
    [(247, 247, 242), (214, 226, 238), (164, 197, 222), (100, 158, 202), (48, 110, 173), (16, 60, 122), (6, 28, 74)],
    np.float64,
)


def backscatter_rgb(vv_db: ArrayLike, vh_db: ArrayLike) -> RGB:
    """A colour composite of sigma0 in dB: red VV, green VH, blue their ratio; water is dark blue, cities pinkish.

    ``vv_db``, ``vh_db``: (rows, columns), NaN where there is no value. Stretches are fixed (−22…−2, −29…−8 dB and
    2…14 dB), so pictures of different scenes compare. With one polarisation everywhere NaN the picture is grey; where
    nothing is finite it is :data:`UNSEEN`.
    """
    vv, vh = np.asarray(vv_db, np.float32), np.asarray(vh_db, np.float32)
    has_vv, has_vh = np.isfinite(vv), np.isfinite(vh)
    red, green = _stretch(vv, VV_RANGE_DB), _stretch(vh, VH_RANGE_DB)
    if has_vv.any() and has_vh.any():
        both = has_vv & has_vh
        ratio = np.subtract(vv, vh, out=np.zeros(vv.shape, np.float32), where=both)
        blue = _stretch(ratio, RATIO_RANGE_DB)
        # Dark ground stays dark whatever its ratio is.
        blue = blue * np.clip(0.25 + red + green, 0, 1)
        picture = np.stack([red, green, blue], axis=-1)
        lone = has_vv ^ has_vh
        grey = np.where(has_vv, red, green)
        picture[lone] = grey[lone][:, None]
        seen = has_vv | has_vh
    else:
        grey = red if has_vv.any() else green
        seen = has_vv if has_vv.any() else has_vh
        picture = np.repeat(grey[..., None], 3, axis=-1)
    result = np.rint(picture * 255).astype(np.uint8)
    result[~seen] = UNSEEN
    return result


def reflectance_rgb(values: NDArray[np.float32]) -> RGB:
    """Reflectance (3, rows, columns), or (1, …) for grey, as a picture: 0 to :data:`BRIGHT`, darker tones spread; NaN
    is :data:`UNSEEN`."""
    seen = np.isfinite(values).all(axis=0)
    tones = np.clip(np.nan_to_num(values) / BRIGHT, 0, 1) ** (1 / 1.6)
    picture = np.rint(np.moveaxis(tones, 0, -1) * 255).astype(np.uint8)
    picture = np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture
    picture[~seen] = UNSEEN
    return picture


def class_rgb(codes: NDArray[np.uint8], backdrop: RGB) -> RGB:
    """Flood classes over a picture, which is turned to pale grey and shows through dry land.

    ``codes``: (rows, columns) of flood.tif; ``backdrop``: RGB of the same size. Pixels of code 255 are :data:`UNSEEN`.
    """
    grey = backdrop.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    pale = 118 + 0.52 * grey
    picture = np.repeat(np.rint(np.minimum(pale, 252))[..., None], 3, axis=-1).astype(np.uint8)
    for code, color in CLASS_COLORS.items():
        if code not in (DRY, NOT_OBSERVED):
            picture[codes == code] = color[:3]
    picture[codes == NOT_OBSERVED] = UNSEEN
    return picture


def legend_rgb(codes: NDArray[np.uint8], colors: Mapping[int, tuple[int, int, int, int]]) -> RGB:
    """Classes in the colours of their legend; 255 and codes that ``colors`` does not name are :data:`UNSEEN`."""
    table = np.empty((256, 3), np.uint8)
    table[:] = UNSEEN
    for code, color in colors.items():
        if code != NOT_OBSERVED:
            table[code] = color[:3]
    return np.asarray(table[codes], np.uint8)


def probability_rgb(percent: NDArray[np.uint8]) -> RGB:
    """Per cent 0…100 from near white to dark blue; 255 and other values above 100 are :data:`UNSEEN`."""
    table = np.empty((256, 3), np.uint8)
    table[:] = UNSEEN
    table[:101] = probability_colors()
    return np.asarray(table[percent], np.uint8)


def probability_colors() -> RGB:
    """(101, 3): the colours of 0…100 per cent, for colour bars."""
    steps = np.linspace(0, len(_PROBABILITY) - 1, 101)
    channels = [np.interp(steps, np.arange(len(_PROBABILITY)), _PROBABILITY[:, k]) for k in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _stretch(db: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.float32]:
    """0…1 over ``limits``; 0 where there is no value."""
    low, high = limits
    scaled = (np.nan_to_num(db, nan=low, posinf=high, neginf=low) - low) / (high - low)
    return np.clip(scaled, 0, 1).astype(np.float32)
