"""What Sentinel-2 would measure: surface reflectance of the 12 bands of Level-2A, with shade, clouds, shadows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Window
from engine.simulate.landscape import Kind, Landscape
from engine.simulate.noise import block_normals, derive, exceeded_by, fractal_noise, uniform_of
from engine.simulate.radar import blur

FloatArray = NDArray[np.float32]

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
"""Standard names of the bands of Level-2A, in file order."""

# Typical surface reflectance by kind (rows as in Kind), rounded from what Sentinel-2 shows of such surfaces.
_REFLECTANCE = np.array(
    [
        [0.055, 0.050, 0.045, 0.035, 0.030, 0.025, 0.023, 0.020, 0.018, 0.015, 0.010, 0.008],  # water
        [0.025, 0.030, 0.050, 0.032, 0.080, 0.200, 0.260, 0.280, 0.300, 0.290, 0.150, 0.070],  # forest
        [0.040, 0.050, 0.080, 0.070, 0.120, 0.200, 0.240, 0.260, 0.280, 0.270, 0.220, 0.130],  # shrub
        [0.040, 0.050, 0.090, 0.060, 0.120, 0.280, 0.340, 0.360, 0.380, 0.370, 0.240, 0.130],  # grass
        [0.035, 0.040, 0.075, 0.045, 0.110, 0.320, 0.410, 0.430, 0.450, 0.440, 0.220, 0.110],  # crop, full cover
        [0.120, 0.130, 0.140, 0.150, 0.160, 0.170, 0.180, 0.190, 0.195, 0.200, 0.210, 0.190],  # built
        [0.120, 0.140, 0.170, 0.200, 0.210, 0.220, 0.230, 0.240, 0.250, 0.250, 0.280, 0.250],  # rock
        [0.200, 0.240, 0.300, 0.360, 0.380, 0.400, 0.410, 0.430, 0.440, 0.440, 0.500, 0.460],  # sand
        [0.080, 0.085, 0.090, 0.095, 0.100, 0.100, 0.105, 0.110, 0.110, 0.110, 0.120, 0.115],  # tarmac
        [0.040, 0.045, 0.070, 0.055, 0.090, 0.170, 0.200, 0.220, 0.230, 0.220, 0.140, 0.080],  # wetland
    ],
    np.float32,
)
_SOIL = np.array([0.080, 0.100, 0.130, 0.170, 0.190, 0.210, 0.230, 0.250, 0.270, 0.280, 0.330, 0.290], np.float32)
_MUDDY = np.array([0.090, 0.100, 0.120, 0.120, 0.115, 0.090, 0.085, 0.080, 0.070, 0.050, 0.020, 0.015], np.float32)
_CLOUD = np.array([0.62, 0.61, 0.60, 0.61, 0.62, 0.63, 0.64, 0.64, 0.64, 0.45, 0.42, 0.34], np.float32)
_SHADOW_ROWS, _SHADOW_COLS = -22, 34
_SHADOW_DEPTH = np.float32(0.6)


def cloud_level(seed: int, shape: tuple[int, int], share: float) -> float:
    """The level of the cloud field above which ``share`` of a scene of ``shape`` lies; infinite for none."""
    if share <= 0:
        return math.inf
    return exceeded_by(derive(seed, "clouds"), shape, 256, 8, share=share, gain=0.6)


def cloud_cover(seed: int, window: Window, level: float) -> FloatArray:
    """Opacity of clouds 0..1 over a window: half of it where the cloud field is at ``level``."""
    if math.isinf(level):
        return np.zeros(window.shape, np.float32)
    field = fractal_noise(derive(seed, "clouds"), window, 256, 8, gain=0.6)
    return np.clip((field - np.float32(level)) / np.float32(0.3) + np.float32(0.5), 0, 1)


def reflectance(
    seed: int,
    block: tuple[int, int],
    window: Window,
    land: Landscape,
    *,
    open_water: FloatArray,
    shade: FloatArray,
    cloud_level: float,
) -> NDArray[np.uint16]:
    """(12, height − 2, width − 2) reflectance × 10,000, 0 kept for nodata (values from 1).

    ``land``, ``open_water`` (share 0..1 of flood water that is seen) and ``shade`` (sunlight, 1 on flat ground) cover
    ``window``, one pixel more on each side than the answer, whose pixels mix with their neighbours.
    """
    green = np.where(land.kind == Kind.CROP, uniform_of(land.parcel, 2) * np.float32(0.9), np.float32(1))
    bright = shade * (1 + np.float32(0.10) * land.patch)
    inner = window.grow(-1)
    cover = cloud_cover(seed, inner, cloud_level)
    dark = 1 - _SHADOW_DEPTH * cloud_cover(seed, inner.shift(-_SHADOW_ROWS, -_SHADOW_COLS), cloud_level)
    out = np.empty((len(BANDS), *inner.shape), np.uint16)
    for k in range(len(BANDS)):
        value = _REFLECTANCE[:, k][land.kind]
        value = (_SOIL[k] + (value - _SOIL[k]) * green) * bright
        value += (_MUDDY[k] - value) * open_water
        mixed = blur(value) * dark
        mixed += (_CLOUD[k] - mixed) * cover
        noise = block_normals(derive(seed, "optical noise", k), block, inner.shape)
        mixed *= 1 + np.float32(0.015) * noise
        out[k] = np.clip(np.rint((mixed + np.float32(0.001)) * np.float32(1e4)), 1, 20_000).astype(np.uint16)
    return out
