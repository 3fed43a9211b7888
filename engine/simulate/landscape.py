"""What grows and stands on the ground: kinds of surface, and parcels that share a crop."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Window
from engine.simulate.noise import derive, fractal_noise, hash_integers, lattice_noise, mix, uniform_of
from engine.simulate.terrain import Ground

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]

LOT = 1024
_REGION = 384


class Kind(IntEnum):
    """Kinds of surface; finer than land cover, because radar sees tarmac and roofs differently."""

    WATER = 0
    FOREST = 1
    SHRUB = 2
    GRASS = 3
    CROP = 4
    BUILT = 5
    ROCK = 6
    SAND = 7
    TARMAC = 8
    WETLAND = 9


WORLDCOVER = np.array([80, 10, 20, 30, 40, 50, 60, 60, 50, 90], np.uint8)
"""ESA WorldCover code of each kind."""

WORLDCOVER_CLASSES: dict[int, tuple[str, tuple[int, int, int, int]]] = {
    10: ("tree cover", (0, 100, 0, 255)),
    20: ("shrubland", (255, 187, 34, 255)),
    30: ("grassland", (255, 255, 76, 255)),
    40: ("cropland", (240, 150, 255, 255)),
    50: ("built-up", (250, 0, 0, 255)),
    60: ("bare or sparse vegetation", (180, 180, 180, 255)),
    80: ("permanent water", (0, 100, 200, 255)),
    90: ("herbaceous wetland", (0, 150, 160, 255)),
}
"""Name and official colour of the WorldCover codes that occur."""


class Landscape(NamedTuple):
    """Surface of a window, all (height, width).

    ``kind``: :class:`Kind` codes. ``parcel``: a hash that all pixels of one field share. ``canopy``: height in metres
    of plants or buildings. ``patch``: smooth noise (mean 0, variance 1) of growth and moisture within a kind.
    """

    kind: ByteArray
    parcel: NDArray[np.uint32]
    canopy: FloatArray
    patch: FloatArray


def make_landscape(
    seed: int,
    window: Window,
    ground: Ground,
    slope: FloatArray,
    shape: tuple[int, int],
    *,
    towns: bool,
    lookalikes: bool = True,
) -> Landscape:
    """The surface of a window; ``shape`` is the scene's (height, width), ``slope`` in degrees. ``lookalikes``: with
    dune fields and airstrips."""
    parcel = _parcels(seed, window)
    patch = fractal_noise(derive(seed, "patch"), window, 32, 4, gain=0.7)
    wood = fractal_noise(derive(seed, "wood"), window, 128, 8, gain=0.6) + np.float32(0.12) * patch
    hand = ground.hand
    wild = wood + np.clip(hand / 60, 0, 1.2) + np.clip((slope - 5) / 12, 0, 1.5)
    choice = uniform_of(parcel, 3)
    kind = np.where(choice < 0.16, Kind.GRASS, Kind.CROP).astype(np.uint8)
    kind[wild > 0.75] = Kind.SHRUB
    kind[wild > 0.95] = Kind.FOREST
    kind[(slope > 38) | ((hand > 420) & (patch > 0))] = Kind.ROCK
    damp = lattice_noise(derive(seed, "damp"), window, 48)
    kind[(ground.distance < 9) & (damp > 0.7)] = Kind.WETLAND
    kind[(ground.distance < 5 + 4 * damp) & (damp < -0.9)] = Kind.SAND
    if towns:
        settled = fractal_noise(derive(seed, "towns"), window, 256, 16, gain=0.6) + np.float32(0.1) * patch
        kind[(settled > 1.55) & (slope < 8) & (hand > 0.8) & (hand < 60)] = Kind.BUILT
        gardens = (kind == Kind.BUILT) & (uniform_of(town_blocks(seed, window), 0) < 0.22)
        kind[gardens] = Kind.GRASS
    flat = slope < 4
    for lot_row, lot_col, height, width in _lots(window, shape) if lookalikes else ():
        _paint_lot(kind, seed, window, lot_row, lot_col, height, width, flat & (ground.distance > 12), towns)
    kind[ground.distance < 0] = Kind.WATER
    canopy = _canopy(kind, parcel, patch)
    return Landscape(kind, parcel, canopy, patch)


def wet_fields(
    seed: int, window: Window, land: Landscape, slope: FloatArray, share: float
) -> tuple[NDArray[np.bool_], FloatArray]:
    """(where, depth in metres) of fields that stand under water by themselves: about ``share`` of the level fields,
    in neighbourhoods, each field as a whole."""
    near = lattice_noise(derive(seed, "wet fields"), window, 96)
    key = mix(land.parcel ^ np.uint32(0x5BD1E995))
    level = ((land.kind == Kind.CROP) | (land.kind == Kind.GRASS)) & (slope < 3)
    wet = level & (uniform_of(key, 1) < np.float32(share) * np.clip(1 + near, 0, 2))
    return wet, np.asarray(np.float32(0.2) + np.float32(1.2) * uniform_of(key, 2), np.float32)


def bright_fields(land: Landscape, share: float) -> tuple[NDArray[np.bool_], tuple[FloatArray, FloatArray]]:
    """(where, 0..1 how bright in each polarisation) of about ``share`` of the fields: those under greenhouses and
    halls."""
    key = mix(land.parcel ^ np.uint32(0x7F4A7C15))
    field = (land.kind == Kind.CROP) | (land.kind == Kind.GRASS)
    return field & (uniform_of(key, 1) < np.float32(share)), (uniform_of(key, 2), uniform_of(key, 3))


def town_blocks(seed: int, window: Window) -> NDArray[np.uint32]:
    """Hashes of town blocks of 3 x 3 pixels: houses and gardens."""
    rows = np.arange(window.row, window.row_stop) // 3
    cols = np.arange(window.col, window.col_stop) // 3
    blocks = hash_integers(
        derive(seed, "houses"), np.arange(rows[0], rows[-1] + 1)[:, None], np.arange(cols[0], cols[-1] + 1)[None, :]
    )
    return np.asarray(blocks[(rows - rows[0])[:, None], (cols - cols[0])[None, :]])


def _parcels(seed: int, window: Window) -> NDArray[np.uint32]:
    """Hashes of field parcels: rectangles 10 to 40 pixels wide, turned alike within a village's land."""
    stream = derive(seed, "parcels")
    y = np.arange(window.row, window.row_stop, dtype=np.float32)[:, None]
    x = np.arange(window.col, window.col_stop, dtype=np.float32)[None, :]
    # Village borders: a square lattice bent by noise.
    bent_y = y + np.float32(90) * lattice_noise(derive(stream, 1), window, 192)
    bent_x = x + np.float32(90) * lattice_noise(derive(stream, 2), window, 192)
    row = np.floor(bent_y / _REGION).astype(np.int32)
    col = np.floor(bent_x / _REGION).astype(np.int32)
    first_row, first_col = int(row.min()), int(col.min())
    size = (int(row.max()) - first_row + 1, int(col.max()) - first_col + 1)
    region = (row - first_row) * size[1] + (col - first_col)
    keys = hash_integers(
        derive(stream, 3), first_row + np.arange(size[0])[:, None], first_col + np.arange(size[1])[None, :]
    ).ravel()
    angle = uniform_of(keys, 0) * np.float32(math.pi / 2)
    across, along = 10 + 16 * uniform_of(keys, 1) ** 2, 18 + 34 * uniform_of(keys, 2)
    cos, sin = np.cos(angle), np.sin(angle)
    u = x * (cos / across)[region] + y * (sin / across)[region]
    iu = np.floor(u).astype(np.int32)
    strip = mix(iu.view(np.uint32) * np.uint32(0x9E3779B1) ^ keys[region])
    offset = uniform_of(strip, 0)
    v = y * (cos / along)[region] - x * (sin / along)[region] + offset
    return mix(strip ^ np.floor(v).astype(np.int32).view(np.uint32) * np.uint32(0x85EBCA77))


def _lots(window: Window, shape: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """(row, col, height, width) of the lots that a window touches: the scene in parts of about 1024 pixels."""
    height, width = shape
    down, across = max(1, round(height / LOT)), max(1, round(width / LOT))
    rows = [(height * k // down, height * (k + 1) // down) for k in range(down)]
    cols = [(width * k // across, width * (k + 1) // across) for k in range(across)]
    return [
        (a, c, b - a, d - c)
        for a, b in rows
        if a < window.row_stop + 1 and b > window.row - 1
        for c, d in cols
        if c < window.col_stop + 1 and d > window.col - 1
    ]


def _paint_lot(
    kind: ByteArray,
    seed: int,
    window: Window,
    row: int,
    col: int,
    height: int,
    width: int,
    dry: NDArray[np.bool_],
    towns: bool,
) -> None:
    """One dune field and one airstrip per lot, wholly inside it: dark to radar and no water."""
    key = hash_integers(derive(seed, "lot"), np.array([row]), np.array([col]))
    more = hash_integers(derive(seed, "lot", 1), np.array([row]), np.array([col]))
    share = [float(uniform_of(k, b)[0]) for k in (key, more) for b in range(4)]
    span = min(height, width)
    radius = span * (0.035 + 0.04 * share[0])
    y0, x0 = row + height * (0.2 + 0.6 * share[1]), col + width * (0.2 + 0.6 * share[2])
    _paint(
        kind,
        window,
        dry,
        Kind.SAND,
        (y0, x0),
        1.5 * radius,
        lambda y, x, box: (
            np.hypot(y, 0.7 * x) < radius * (1 + 0.4 * lattice_noise(derive(seed, "dunes", row, col), box, 16))
        ),
    )
    if not towns:
        return
    length, angle = span * (0.06 + 0.05 * share[3]), math.pi * share[4]
    y0, x0 = row + height * (0.2 + 0.6 * share[5]), col + width * (0.2 + 0.6 * share[6])
    cos, sin = math.cos(angle), math.sin(angle)

    def strip(y: FloatArray, x: FloatArray, box: Window) -> NDArray[np.bool_]:
        u, v = x * cos + y * sin, y * cos - x * sin
        runway = (np.abs(u) < length) & (np.abs(v) < 2.6)
        apron = (np.abs(u - 0.3 * length) < 0.22 * length) & (np.abs(v - 9) < 6.5)
        return np.asarray(runway | apron)

    _paint(kind, window, dry, Kind.TARMAC, (y0, x0), length + 20, strip)


def _paint(
    kind: ByteArray,
    window: Window,
    dry: NDArray[np.bool_],
    value: Kind,
    centre: tuple[float, float],
    reach: float,
    inside: Callable[[FloatArray, FloatArray, Window], NDArray[np.bool_]],
) -> None:
    """Set ``kind`` where ``inside`` (offsets in rows and columns from ``centre``, their window) and ``dry`` hold."""
    row, col, size = math.floor(centre[0] - reach), math.floor(centre[1] - reach), math.ceil(2 * reach) + 1
    box = Window(row, col, size, size).intersect(window)
    if box.empty:
        return
    y = (np.arange(box.row, box.row_stop) - centre[0]).astype(np.float32)[:, None]
    x = (np.arange(box.col, box.col_stop) - centre[1]).astype(np.float32)[None, :]
    here = box.within(window)
    kind[here] = np.where(inside(y, x, box) & dry[here], np.uint8(value), kind[here])


_CANOPY_M = np.array([0, 14, 1.6, 0.25, 0.7, 8, 0, 0, 0, 1.0], np.float32)


def _canopy(kind: ByteArray, parcel: NDArray[np.uint32], patch: FloatArray) -> FloatArray:
    height = _CANOPY_M[kind] * (1 + np.float32(0.15) * patch)
    crop = kind == Kind.CROP
    # Fields from stubble to tall maize.
    height = np.where(crop, np.float32(0.05) + np.float32(1.3) * uniform_of(parcel, 2) ** 2, height)
    return np.maximum(height, 0).astype(np.float32)
