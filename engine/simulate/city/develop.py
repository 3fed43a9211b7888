"""From radiance to the bytes of a picture: exposure, white balance, tone curve, saturation, sRGB."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.simulate.city.day import Camera
from engine.simulate.city.mesh import FloatArray

_STEPS = 4096


def develop(radiance: FloatArray, gain: float, camera: Camera) -> NDArray[np.uint8]:
    """uint8 (n, 3) from linear radiance (n, 3): highlights roll off as in a photo (extended Reinhard, white at 2.6)."""
    x = radiance * (np.asarray(camera.balance, np.float32) * np.float32(gain))
    x *= (np.float32(1.5) + x * np.float32(1.5 / 2.6**2)) / (1 + x)
    grey = (np.float32(0.2126) * x[:, 0] + np.float32(0.7152) * x[:, 1] + np.float32(0.0722) * x[:, 2])[:, None]
    x -= grey
    x *= np.float32(camera.saturation)
    x += grey
    np.maximum(x, 0, out=x)
    np.minimum(x, 1, out=x)
    np.sqrt(x, out=x)
    x *= np.float32(_STEPS - 1)
    return _curve(camera.gamma)[x.astype(np.int32)]


@lru_cache(maxsize=64)
def _curve(gamma: float) -> NDArray[np.uint8]:
    """sRGB of linear light by its square root, with a gentle contrast."""
    light = (np.arange(_STEPS, dtype=np.float64) / (_STEPS - 1)) ** 2
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) ** gamma
    contrast = srgb + 0.10 * np.sin(2 * np.pi * (srgb - 0.5)) / (2 * np.pi) * 2
    return np.clip(np.round(contrast * 255), 0, 255).astype(np.uint8)
