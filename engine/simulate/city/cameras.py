"""Rays of cameras: equirectangular spheres and strips, perspective pictures, and the overhead view.

World: x east, y north, z up. A camera that looks north has its right east. Heading is clockwise from north, pitch
positive up, roll positive when the camera's right side goes down. Pixel centres lie at half numbers.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def turned(directions: FloatArray, heading_deg: float, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> FloatArray:
    """Directions (n, 3) of a camera that looks north, held level, as those of one held so."""
    h, p, r = np.radians([heading_deg, pitch_deg, roll_deg])
    level = np.array([[np.cos(r), 0, np.sin(r)], [0, 1, 0], [-np.sin(r), 0, np.cos(r)]])
    up = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    round_ = np.array([[np.cos(h), np.sin(h), 0], [-np.sin(h), np.cos(h), 0], [0, 0, 1]])
    m = (round_ @ up @ level).astype(np.float32)
    # Written out: three sums are faster than a matrix product of this shape, and start no threads.
    x, y, z = directions[:, 0], directions[:, 1], directions[:, 2]
    out = np.empty_like(directions)
    for k in range(3):
        out[:, k] = m[k, 0] * x + m[k, 1] * y + m[k, 2] * z
    return out


@lru_cache(maxsize=8)
def equirectangular(height: int, width: int, hfov_deg: float, vfov_deg: float, pitch_center_deg: float) -> FloatArray:
    """Unit directions (height · width, 3) of a sphere or strip whose middle column looks north, rows from the top."""
    azimuth = np.radians(((np.arange(width) + 0.5) / width - 0.5) * hfov_deg)[None, :]
    pitch = np.radians(pitch_center_deg + (0.5 - (np.arange(height) + 0.5) / height) * vfov_deg)[:, None]
    x, y = np.sin(azimuth) * np.cos(pitch), np.cos(azimuth) * np.cos(pitch)
    z = np.broadcast_to(np.sin(pitch), x.shape)
    return np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)


@lru_cache(maxsize=8)
def pinhole(height: int, width: int, hfov_deg: float) -> FloatArray:
    """Unit directions (height · width, 3) of a perspective picture that looks north."""
    focal = width / 2 / np.tan(np.radians(hfov_deg) / 2)
    x = (np.arange(width) + 0.5 - width / 2)[None, :]
    z = (height / 2 - np.arange(height) - 0.5)[:, None]
    x, z = np.broadcast_arrays(x, z)
    rays = np.stack([x, np.full(x.shape, focal), z], axis=-1).reshape(-1, 3)
    return (rays / np.linalg.norm(rays, axis=1, keepdims=True)).astype(np.float32)
