"""The ground as a picture: material numbers and paint burnt once, coloured once a day, read at any scale.

Ground is level (z = 0), so what lies on it is a function of the place alone: panorama and overhead image look up
the same marks. Beyond the built square the picture goes on mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio.features
from affine import Affine
from numpy.typing import NDArray

from engine.raster.grid import Window
from engine.simulate.city.character import MARGIN_M, Brief
from engine.simulate.city.contents import Contents
from engine.simulate.city.day import Day
from engine.simulate.city.materials import MATERIALS, TYRE, WHITE, YELLOW, albedo
from engine.simulate.city.texture import grain
from engine.simulate.noise import derive, lattice_noise

FloatArray = NDArray[np.float32]
_PAINTS = {"white": 1, "yellow": 2, "tyre": 3}
_STRIP = 32


@dataclass(frozen=True)
class _Kind:
    """One burnt material: its name, tone and direction."""

    name: str
    tone: float
    angle: float


class Ground:
    """Material numbers at ``gsd_m`` over the built square; ``colored(day)`` gives the picture of a day."""

    def __init__(self, seed: int, brief: Brief, size_m: float, contents: Contents, gsd_m: float) -> None:
        self.seed, self.brief, self.gsd_m = seed, brief, gsd_m
        self.origin = (-MARGIN_M, size_m + MARGIN_M)
        self.side = int(np.ceil((size_m + 2 * MARGIN_M) / gsd_m))
        numbers: dict[_Kind, int] = {_Kind("grass" if brief.character != "centre" else "slabs", 1.0, 0.0): 0}
        shapes = []
        for patch in contents.patches:
            if patch.shape.is_empty:
                continue
            rows = MATERIALS[patch.kind].rows > 0
            kind = _Kind(patch.kind, round(patch.tone * 16) / 16, round(patch.angle, 2) if rows else 0.0)
            shapes.append((patch.shape, numbers.setdefault(kind, len(numbers))))
        self.kinds = list(numbers)
        transform = Affine(gsd_m, 0, self.origin[0], 0, -gsd_m, self.origin[1])
        self.numbers: NDArray[np.uint16] = _burnt(shapes, (self.side, self.side), transform, "uint16")
        fine = Affine(gsd_m / 2, 0, self.origin[0], 0, -gsd_m / 2, self.origin[1])
        # As plain GeoJSON, and tyre marks first: paint lies on them.
        lines = []
        for paint in ("tyre", "white", "yellow"):
            rings = [ring for quads, own in contents.lines if own == paint for ring in quads.tolist()]
            if rings:
                shape = {"type": "MultiPolygon", "coordinates": [[[*ring, ring[0]]] for ring in rings]}
                lines.append((shape, _PAINTS[paint]))
        self.paint = _coverage(_burnt(lines, (2 * self.side, 2 * self.side), fine, "uint8"))
        self.edges = _edges(self.numbers)

    def colored(self, day: Day) -> GroundPicture:
        """The ground's albedo on that day."""
        names = [MATERIALS[k.name] for k in self.kinds]
        dry = self.brief.dryness
        base = np.array(
            [
                albedo(m, dry, day.autumn, day.winter, day.spring) * k.tone
                for m, k in zip(names, self.kinds, strict=True)
            ],
            np.float32,
        )
        patches, mottle, grain, green = (
            np.array([getattr(m, field) for m in names], np.float32)
            for field in ("patches", "mottle", "grain", "green")
        )
        depth = np.array([m.depth for m in names], np.float32)
        pitch = np.array([2 * np.pi / m.rows if m.rows else 0.0 for m in names], np.float32)
        turn = np.array([k.angle for k in self.kinds], np.float32)
        wave_x, wave_y = -np.sin(turn) * pitch, np.cos(turn) * pitch
        picture = np.empty((self.side, self.side, 4), np.uint8)
        wet = np.array([255 if k.name == "water" else 0 for k in self.kinds], np.uint8)
        picture[..., 3] = wet[self.numbers]
        east = (np.arange(self.side, dtype=np.float32) + np.float32(0.5)) * np.float32(self.gsd_m)
        scale = 0.2 / self.gsd_m
        for row in range(0, self.side, _STRIP):
            window = Window(row, 0, min(_STRIP, self.side - row), self.side)
            rows = slice(row, row + window.height)
            n = self.numbers[rows]
            slow = self._noise("patches", window, max(2, round(64 * scale)))
            middle = self._noise("mottle", window, max(2, round(8 * scale)))
            fast = self._noise("grain", window, 2)
            factor = 1 + patches[n] * slow + mottle[n] * middle + 1.7 * grain[n] * fast
            ruled = depth[n] > 0
            if ruled.any():
                r, c = np.nonzero(ruled)
                k = n[r, c]
                north = (r + row).astype(np.float32) * np.float32(self.gsd_m)
                factor[r, c] += depth[k] * np.sin(wave_x[k] * east[c] - wave_y[k] * north)
            np.clip(factor, 0.35, 2.2, out=factor)
            color = base[n] * factor[..., None]
            # Growth yellows where the ground is poor: more red, less blue, following the broad patches.
            yellowing = green[n] * np.clip(slow + 0.5 * middle, -1, 1.6)
            color[..., 0] *= 1 + 0.45 * yellowing
            color[..., 1] *= 1 + 0.08 * yellowing
            np.clip(color, 0, 1, out=color)
            picture[rows, :, :3] = np.sqrt(color) * np.float32(255) + np.float32(0.5)
        _softened(picture, self.edges)
        self._painted(picture)
        return GroundPicture(picture, self.gsd_m, self.origin)

    def _painted(self, picture: NDArray[np.uint8]) -> None:
        """Lay the paint of lines on the picture, worn in places."""
        flat = picture.reshape(-1, 4)
        noise = grain()
        for color, strength, (index, cover) in zip((WHITE, YELLOW, TYRE), (1.0, 1.0, 0.22), self.paint, strict=True):
            row, column = np.divmod(index, self.side)
            worn = np.clip(0.85 + 0.13 * noise.at(column, row) + 0.08 * noise.at(column / 16, row / 16), 0.2, 1.0)
            share = (cover * worn * np.float32(strength))[:, None]
            light = (flat[index, :3] / np.float32(255)) ** 2
            light = light * (1 - share) + np.array(color, np.float32) * share
            flat[index, :3] = np.sqrt(light) * np.float32(255) + np.float32(0.5)

    def _noise(self, name: str, window: Window, period: int) -> FloatArray:
        return lattice_noise(derive(self.seed, "ground", name), window, period)


class GroundPicture:
    """Albedo of the ground with all its coarser versions, looked up by place and size of the pixel that asks."""

    def __init__(self, picture: NDArray[np.uint8], gsd_m: float, origin: tuple[float, float]) -> None:
        self.gsd_m, self.origin = gsd_m, origin
        levels = [picture]
        while min(levels[-1].shape[:2]) >= 16 and len(levels) < 7:
            last = levels[-1][: levels[-1].shape[0] // 2 * 2, : levels[-1].shape[1] // 2 * 2]
            total = last[0::2, 0::2].astype(np.uint16)
            total += last[1::2, 0::2]
            total += last[0::2, 1::2]
            total += last[1::2, 1::2]
            levels.append(((total + 2) >> 2).astype(np.uint8))
        sides = np.array([level.shape[1] for level in levels], np.int64)
        self._sides = sides.astype(np.int32)
        self._starts = np.concatenate([[0], np.cumsum([level.shape[0] * level.shape[1] for level in levels])])[:-1]
        self._pixels = np.concatenate([np.ascontiguousarray(level).reshape(-1, 4) for level in levels]).view(np.uint32)[
            :, 0
        ]

    def at(self, x: FloatArray, y: FloatArray, footprint_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Albedo (n, 3) at places (n,) as a pixel of ``footprint_m`` (n,) sees it, and its share of water (n,).

        Bilinear in the level that fits the pixel.
        """
        level = np.clip(np.log2(np.maximum(footprint_m, 1e-3) / self.gsd_m) + 0.2, 0, len(self._sides) - 1).astype(
            np.int32
        )
        side, start = self._sides[level], self._starts[level]
        scale = (1.0 / (self.gsd_m * (1 << np.arange(len(self._sides))))).astype(np.float32)[level]
        column = (x - np.float32(self.origin[0])) * scale - np.float32(0.5)
        row = (np.float32(self.origin[1]) - y) * scale - np.float32(0.5)
        c, r = np.floor(column), np.floor(row)
        fc, fr = (column - c)[:, None], (row - r)[:, None]
        ci, ri = c.astype(np.int32), r.astype(np.int32)
        c0, c1 = _mirrored(ci, side), _mirrored(ci + 1, side)
        r0, r1 = (
            start + _mirrored(ri, side).astype(np.int64) * side,
            start + _mirrored(ri + 1, side).astype(np.int64) * side,
        )
        top = _channels(self._pixels[r0 + c0]) * (1 - fc) + _channels(self._pixels[r0 + c1]) * fc
        low = _channels(self._pixels[r1 + c0]) * (1 - fc) + _channels(self._pixels[r1 + c1]) * fc
        mixed = (top * (1 - fr) + low * fr) * np.float32(1 / 255)
        return mixed[:, :3] ** 2, mixed[:, 3]


def _channels(pixels: NDArray[np.uint32]) -> FloatArray:
    return pixels.view(np.uint8).reshape(-1, 4).astype(np.float32)


def _mirrored(index: NDArray[np.int32], side: Any) -> NDArray[np.int32]:
    inside = index % (2 * side)
    return np.minimum(inside, 2 * side - 1 - inside)


def _coverage(paint: NDArray[np.uint8]) -> list[tuple[NDArray[np.int64], FloatArray]]:
    """For each paint the pixels of half the resolution that have any, and how much of them it covers."""
    row, column = np.divmod(np.flatnonzero(paint), paint.shape[1])
    pixel = (row // 2) * (paint.shape[1] // 2) + column // 2
    found = []
    for code in _PAINTS.values():
        index, count = np.unique(pixel[paint[row, column] == code], return_counts=True)
        found.append((index, (count / 4).astype(np.float32)))
    return found


def _edges(numbers: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Flat indices of inner pixels beside another material."""
    other = np.zeros(numbers.shape, np.bool_)
    other[1:] |= numbers[1:] != numbers[:-1]
    other[:-1] |= other[1:]
    across = numbers[:, 1:] != numbers[:, :-1]
    other[:, 1:] |= across
    other[:, :-1] |= across
    other[[0, -1]] = False
    other[:, [0, -1]] = False
    return np.flatnonzero(other)


def _softened(picture: NDArray[np.uint8], edges: NDArray[np.int64]) -> None:
    """Pixels at borders become the mean of their surroundings: no stairs where the street bends."""
    flat = picture.reshape(-1, 4)
    side = picture.shape[1]
    total = np.zeros((len(edges), 4), np.uint16)
    for step in (-side - 1, -side, -side + 1, -1, 0, 1, side - 1, side, side + 1):
        total += flat[edges + step]
    flat[edges] = (total // 9).astype(np.uint8)


def _burnt(shapes: list[tuple[Any, int]], shape: tuple[int, int], transform: Affine, dtype: str) -> NDArray[Any]:
    if not shapes:
        return np.zeros(shape, dtype)
    return rasterio.features.rasterize(shapes, out_shape=shape, transform=transform, fill=0, dtype=dtype)
