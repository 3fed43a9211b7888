"""A photo of any kind as a lens sees it, and as seen from above: numpy arrays in, numpy arrays out, no Qt.

The geometry is that of the engine's ``engine/panorama`` (docs/panorama.md), which works on torch; tests hold the two to
each other. A panorama or a strip of one is equirectangular: columns are equal steps of azimuth, rows of pitch. A flat
photo is that of a pinhole camera. Reading is bilinear; at the seam of a full panorama the last and the first column
are neighbours. All angles are degrees; azimuths are compass directions, clockwise from true north.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .facts import Photo

CAMERA_HEIGHT_M = 2.5
"""Of the cars and helmets that street panoramas are taken from, as the engine has it."""
FULL_CIRCLE = 359.99
"""An image that spans at least this many degrees has no left and right edge."""
_AT_ONCE = 1 << 16  # points worked on at once: what they need stays in the processor's cache


def perspective(
    pixels: np.ndarray,
    photo: Photo,
    azimuth: float,
    pitch: float,
    fov: float,
    size: tuple[int, int],
    heading_deg: float | None = None,
) -> np.ndarray:
    """What a level lens at the camera's place sees that looks to ``azimuth`` and ``pitch`` (up), ``fov`` wide.

    ``pixels`` (rows, columns, 3 or 4) uint8, the photo at any size; ``size`` (rows, columns) of the answer, which is
    uint8 (rows, columns, 4): red, green, blue and alpha, 0 where the photo shows nothing, else 255. ``heading_deg`` of
    the photo's middle stands before the photo's own; where neither is known azimuths count from the photo's middle.
    Raises ValueError for an angle of view outside (0°, 180°) and for pixels of another shape.
    """
    if not 0 < fov < 180:
        raise ValueError(f"the angle of view is {fov:g}°; a lens sees more than 0° and less than 180°")
    rows, columns = size
    focal = columns / 2 / math.tan(math.radians(fov) / 2)
    turn = rotation(azimuth, pitch, 0.0)  # rows: right, forward, up of the lens in the world
    across = (np.arange(columns, dtype=np.float32) + np.float32(0.5 - columns / 2)) / np.float32(focal)
    reader = _Reader(pixels, photo, heading_deg)
    answer = np.empty((rows, columns, 4), np.uint8)
    step = max(1, _AT_ONCE // max(1, columns))
    for top in range(0, rows, step):
        here = np.arange(top, min(top + step, rows), dtype=np.float32)
        down = ((rows / 2 - 0.5 - here) / np.float32(focal))[:, None]
        world = [across * turn[0, k] + (down * turn[2, k] + turn[1, k]) for k in range(3)]
        answer[top : top + len(here)] = reader.read(*world)
    return answer


def birds_eye(
    pixels: np.ndarray,
    photo: Photo,
    heading_deg: float | None,
    half_width_m: float,
    side: int,
    camera_height_m: float = CAMERA_HEIGHT_M,
) -> np.ndarray:
    """The ground around the camera from above, north up: uint8 (``side``, ``side``, 4), alpha 0 where it is not seen.

    ``half_width_m`` metres from the camera, in the middle, to an edge. The ground is taken as flat and level,
    ``camera_height_m`` below the camera; upright things smear outwards from their foot. ``pixels`` and ``heading_deg``
    as for :func:`perspective`: without a heading the photo's middle is up. Raises ValueError for lengths that are not
    positive.
    """
    if side < 1 or not (0 < half_width_m < math.inf and 0 < camera_height_m < math.inf):
        raise ValueError(f"a view from above of {side} pixels, {half_width_m} m and {camera_height_m} m high")
    steps = ((np.arange(side) + 0.5 - side / 2) * (2 * half_width_m / side)).astype(np.float32)
    reader = _Reader(pixels, photo, heading_deg)
    answer = np.empty((side, side, 4), np.uint8)
    step = max(1, _AT_ONCE // side)
    for top in range(0, side, step):
        north = -steps[top : top + step][:, None]
        flat = np.broadcast_to(np.float32(-camera_height_m), (len(north), side))
        answer[top : top + len(north)] = reader.read(steps[None, :], north, flat)
    return answer


def rotation(heading_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """(3, 3) float32: rows right, forward and up of a camera in the world's frame east, north, up.

    Pitch: nose up. Roll: clockwise as seen from behind, as GPano has it.
    """
    h, p, r = (math.radians(angle) for angle in (heading_deg, pitch_deg, roll_deg))
    ahead = np.array([math.sin(h), math.cos(h), 0.0])
    side = np.array([math.cos(h), -math.sin(h), 0.0])
    sky = np.array([0.0, 0.0, 1.0])
    forward = math.cos(p) * ahead + math.sin(p) * sky
    lifted = -math.sin(p) * ahead + math.cos(p) * sky
    right = math.cos(r) * side - math.sin(r) * lifted
    up = math.sin(r) * side + math.cos(r) * lifted
    return np.stack([right, forward, up]).astype(np.float32)


def columns_for_lens(photo: Photo, fov: float, columns: int) -> int:
    """How wide the photo must be read so that a lens ``fov`` wide on ``columns`` pixels is sharp in its middle."""
    focal = columns / 2 / math.tan(math.radians(fov) / 2)
    if photo.kind == "photo":
        return math.ceil(focal * 2 * math.tan(math.radians(photo.hfov_deg) / 2))
    return math.ceil(focal * math.radians(photo.hfov_deg))


def columns_from_above(photo: Photo, metres_per_pixel: float, camera_height_m: float = CAMERA_HEIGHT_M) -> int:
    """How wide the photo must be read for a view from above: sharp from the camera's height away from its foot on."""
    return columns_for_lens(photo, 90.0, math.ceil(4 * camera_height_m / metres_per_pixel))


class _Reader:
    """Reads one photo in directions of the world."""

    def __init__(self, pixels: np.ndarray, photo: Photo, heading_deg: float | None) -> None:
        if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype != np.uint8 or not pixels.size:
            raise ValueError(f"pixels are uint8 (rows, columns, 3 or 4); found {pixels.shape} of {pixels.dtype}")
        heading = photo.heading_deg if heading_deg is None else heading_deg
        self._camera = rotation(heading or 0.0, photo.pitch_deg, photo.roll_deg)
        self._flat = photo.kind == "photo"
        self._closed = not self._flat and photo.hfov_deg >= FULL_CIRCLE
        self._hfov, self._vfov = math.radians(photo.hfov_deg), math.radians(photo.vfov_deg)
        self._middle = math.radians(photo.pitch_center_deg)
        self._pixels = pixels
        self._packed = np.ascontiguousarray(pixels).view(np.uint32).reshape(-1) if pixels.shape[2] == 4 else None

    def read(self, east: np.ndarray, north: np.ndarray, up: np.ndarray) -> np.ndarray:
        """(rows, columns, 4) uint8 of directions of any length, which broadcast to (rows, columns)."""
        right, forward, above = (
            (east * turn[0] + north * turn[1]) + up * turn[2] for turn in self._camera
        )  # float32 all along
        if self._flat:
            ahead = forward > 1e-6
            depth = np.where(ahead, forward, np.float32(1))
            x = right / depth * np.float32(0.5 / math.tan(self._hfov / 2)) + np.float32(0.5)
            y = np.float32(0.5) - above / depth * np.float32(0.5 / math.tan(self._vfov / 2))
            seen = ahead & (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        else:
            pitch = np.arctan2(above, np.hypot(right, forward))
            x = np.arctan2(right, forward) * np.float32(1 / self._hfov) + np.float32(0.5)
            y = np.float32(0.5) - (pitch - np.float32(self._middle)) * np.float32(1 / self._vfov)
            seen = (y >= 0) & (y <= 1)
            if not self._closed:
                seen &= (x >= 0) & (x <= 1)
        answer = self._bilinear(x, y)
        if answer.shape[2] == 4:
            answer[..., 3] = np.where(seen, np.uint8(255), np.uint8(0))
        answer[~seen] = 0
        return answer

    def _bilinear(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(…, 4) uint8 at shares of the image, clamped to its edges, around where it is closed; alpha is not set."""
        height, width = self._pixels.shape[:2]
        x = x * np.float32(width) - np.float32(0.5)
        y = np.clip(y * np.float32(height) - np.float32(0.5), 0, height - 1)
        if not self._closed:
            x = np.clip(x, 0, width - 1)
        left, top = np.floor(x), np.floor(y)
        dx, dy = (x - left)[..., None], (y - top)[..., None]
        left, top = left.astype(np.int64), top.astype(np.int64)
        if self._closed:
            left, after = left % width, (left + 1) % width
        else:
            after = np.minimum(left + 1, width - 1)
        first, second = top * width, np.minimum(top + 1, height - 1) * width
        upper = self._at(first + left) * (1 - dx) + self._at(first + after) * dx
        lower = self._at(second + left) * (1 - dx) + self._at(second + after) * dx
        mixed = upper + (lower - upper) * dy + np.float32(0.5)
        return mixed.astype(np.uint8)

    def _at(self, places: np.ndarray) -> np.ndarray:
        """(…, 4) float32 of flat indices of pixels."""
        if self._packed is not None:
            return self._packed.take(places).view(np.uint8).reshape(*places.shape, 4).astype(np.float32)
        answer = np.zeros((*places.shape, 4), np.float32)
        answer[..., :3] = self._pixels.reshape(-1, 3)[places]
        return answer
