"""Panoramas rendered from an overhead image: its ground, with walls and trees that stand on it, on another day.

Along every azimuth the ground is walked outwards; what rises higher than all before is seen (as voxel terrain is
drawn). Light, season, shadows, parked cars and slope are drawn anew, so that the colours of the overhead image are no
sure guide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from starters.aerial import GROUND, GSD_M, ROOF, TREE, Aerial

F32 = NDArray[np.float32]
CAR = 3
ROWS, COLUMNS, VFOV_DEG = 128, 512, 65.45
_STEPS_M = np.concatenate([np.arange(1.0, 8.0, 0.1), 8.0 * 1.021 ** np.arange(120)]).astype(np.float32)


@dataclass(frozen=True)
class Day:
    """The ground of an image as it is on a day: albedo times light, what stands there and how high, relief, the sky."""

    image: F32
    kind: NDArray[np.uint8]
    height_m: F32
    relief_m: F32
    walls: F32
    haze_m: float
    zenith: F32
    horizon: F32


def day_of(aerial: Aerial, rng: np.random.Generator) -> Day:
    """A day drawn from ``rng``."""
    image, kind, height = aerial.image.copy(), aerial.kind.copy(), aerial.height_m.copy()
    image = _brightened(aerial, image, float(rng.uniform(0.3, 1.0)))
    image = _another_season(aerial, image, rng)
    _park(image, kind, height, aerial, rng)
    image *= np.exp(0.12 * _smooth(rng, kind.shape, 8.0))[..., None]
    if rng.random() < 0.75:
        image *= 1 - float(rng.uniform(0.25, 0.65)) * _shadow(height, rng)[..., None]
    slope = rng.normal(0, 0.03, 2)
    rows, columns = (np.arange(n, dtype=np.float32) * GSD_M for n in kind.shape)
    relief = (
        slope[0] * rows[:, None]
        + slope[1] * columns[None, :]
        + 0.7 * float(rng.random()) * _smooth(rng, kind.shape, 45.0)
    )
    overcast = float(rng.random())
    zenith = (1 - overcast) * np.array([0.25, 0.45, 0.8]) + overcast * np.array([0.75, 0.78, 0.82])
    horizon = (1 - overcast) * np.array([0.7, 0.8, 0.92]) + overcast * np.array([0.85, 0.87, 0.9])
    walls = (
        rng.uniform(0.25, 0.9, (64, 1))
        + rng.normal(0, 0.025, (64, 3))
        + rng.uniform(0, 0.1, (64, 1)) * np.array([1, 0, -1])
    )
    return Day(
        np.clip(image, 0, 1).astype(np.float32), kind, height, relief.astype(np.float32), walls.astype(np.float32),
        float(np.exp(rng.uniform(np.log(80), np.log(1500)))), zenith.astype(np.float32), horizon.astype(np.float32),
    )  # fmt: skip


def _brightened(aerial: Aerial, image: F32, share: float) -> F32:
    """Shadows of the overhead image lifted by ``share`` of what they lack: the street is seen under another sun."""
    if not aerial.dark.any() or aerial.dark.all():
        return image
    soft = ndimage.gaussian_filter(aerial.dark.astype(np.float32), 0.5 / GSD_M)[..., None]
    open_ = ~aerial.dark & ~aerial.plants & (aerial.kind == GROUND)
    usual = np.median(image[open_], axis=0) if open_.any() else np.median(image.reshape(-1, 3), axis=0)
    factor = usual / np.maximum(np.median(image[aerial.dark], axis=0), 0.02)
    return image * (1 + soft * share * (np.clip(factor, 1, 5) - 1)).astype(np.float32)


def _another_season(aerial: Aerial, image: F32, rng: np.random.Generator) -> F32:
    """Plants and ground with other colours, and a light of its own over all."""
    plants = ndimage.gaussian_filter(aerial.plants.astype(np.float32), 0.4 / GSD_M)[..., None]
    grey = image.mean(2, keepdims=True)
    tints = np.array([[0.75, 1.1, 0.6], [1.15, 1.05, 0.6], [1.25, 1.0, 0.7], [0.9, 1.0, 0.75], [0.8, 1.25, 0.5]])
    tint = tints[int(rng.integers(len(tints)))] * np.exp(rng.normal(0, 0.08, 3))
    dry = float(rng.uniform(0, 1))
    green = grey * tint * float(rng.uniform(0.8, 1.9))
    other = grey + (image - grey) * float(rng.uniform(0.2, 1.4))
    image = plants * (dry * green + (1 - dry) * image * float(rng.uniform(0.8, 1.6))) + (1 - plants) * other
    gain = float(rng.uniform(0.9, 1.6)) * np.exp(rng.normal(0, 0.06, 3))
    return np.asarray(np.clip(image * gain, 0, 1.5) ** float(np.exp(rng.normal(0, 0.2))), np.float32)


def _park(image: F32, kind: NDArray[np.uint8], height: F32, aerial: Aerial, rng: np.random.Generator) -> None:
    """Cars on open ground, which are elsewhere than in the overhead image."""
    rows, columns = np.nonzero((kind == GROUND) & ~aerial.plants)
    if not len(rows):
        return
    for _ in range(int(rng.integers(5, 40))):
        k, turn = int(rng.integers(len(rows))), float(rng.uniform(0, math.pi))
        r, c = np.mgrid[-8:9, -8:9].astype(np.float32) * GSD_M
        along, across = c * math.cos(turn) + r * math.sin(turn), -c * math.sin(turn) + r * math.cos(turn)
        body = (abs(along) < 2.2) & (abs(across) < 0.9)
        own_r, own_c = rows[k] + np.nonzero(body)[0] - 8, columns[k] + np.nonzero(body)[1] - 8
        ok = (own_r >= 0) & (own_r < kind.shape[0]) & (own_c >= 0) & (own_c < kind.shape[1])
        own_r, own_c = own_r[ok], own_c[ok]
        if (kind[own_r, own_c] == GROUND).all():
            kind[own_r, own_c], height[own_r, own_c] = CAR, float(rng.uniform(1.3, 1.9))
            image[own_r, own_c] = rng.uniform(0.05, 0.95) * np.exp(rng.normal(0, 0.12, 3))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], scale_m: float) -> F32:
    """Noise of deviation 1 that changes over ``scale_m``."""
    step = scale_m / GSD_M
    coarse = rng.normal(0, 1, [int(n / step) + 4 for n in shape])
    found = ndimage.zoom(coarse, step, order=3)[tuple(slice(0, n) for n in shape)]
    return np.asarray(found / max(float(found.std()), 1e-6), np.float32)


def _shadow(height: F32, rng: np.random.Generator) -> F32:
    """0…1 where the sun, drawn from ``rng``, does not reach the ground."""
    azimuth, rise = rng.uniform(0, 2 * math.pi), math.tan(math.radians(float(rng.uniform(18, 65))))
    shade = np.zeros(height.shape, np.float32)
    for step in range(1, 45):
        moved = ndimage.shift(height, (step * math.cos(azimuth), step * math.sin(azimuth)), order=0, mode="nearest")
        shade = np.maximum(shade, (moved - step * GSD_M * rise > height).astype(np.float32))
        if step * GSD_M * rise > float(height.max()):
            break
    return ndimage.gaussian_filter(shade, 0.8)


def panorama(day: Day, row: float, column: float, camera_m: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(:data:`ROWS`, :data:`COLUMNS`, 3) around a place, the middle column looking north, camera ``camera_m`` above the
    ground; what lies beyond the image's edge is mirrored."""
    azimuth = ((np.arange(COLUMNS, dtype=np.float32) + 0.5) / COLUMNS - 0.5)[:, None] * np.float32(2 * math.pi)
    pitch = np.radians((0.5 - (np.arange(ROWS, dtype=np.float32) + 0.5) / ROWS) * VFOV_DEG)
    r = row - 0.5 - np.cos(azimuth) * _STEPS_M / GSD_M
    c = column - 0.5 + np.sin(azimuth) * _STEPS_M / GSD_M
    shape = day.kind.shape
    ri, ci = (_mirrored(np.rint(v).astype(np.int32), n) for v, n in ((r, shape[0]), (c, shape[1])))
    base = day.relief_m[ri, ci] - day.relief_m[min(int(row), shape[0] - 1), min(int(column), shape[1] - 1)]
    top = base + day.height_m[ri, ci]
    tangent = (top - camera_m) / _STEPS_M
    highest = np.maximum.accumulate(tangent, axis=1)
    slopes = np.tan(pitch)
    hit = (highest[:, None, :] < slopes[None, :, None]).sum(-1)  # (COLUMNS, ROWS): the first that reaches so high
    sky = hit == len(_STEPS_M)
    hit = np.minimum(hit, len(_STEPS_M) - 1)
    column_ = np.arange(COLUMNS)[:, None]
    reach = _STEPS_M[hit]
    z = camera_m + reach * slopes[None, :]
    kind = day.kind[ri[column_, hit], ci[column_, hit]]
    face = (kind != GROUND) & (z < top[column_, hit] - 0.25)
    # On open ground the ray meets it between two steps.
    level = base[column_, hit]
    exact = np.where(slopes[None, :] < -1e-3, (camera_m - level) / np.maximum(-slopes[None, :], 1e-3), reach)
    walked = np.where(kind == GROUND, np.clip(exact, _STEPS_M[np.maximum(hit - 1, 0)], reach), reach)
    rr, cc = row - 0.5 - np.cos(azimuth) * walked / GSD_M, column - 0.5 + np.sin(azimuth) * walked / GSD_M
    colour = np.stack(
        [ndimage.map_coordinates(day.image[..., k], [rr, cc], order=1, mode="mirror") for k in range(3)], -1
    )
    grain = rng.normal(0, 1, (COLUMNS, ROWS)).astype(np.float32)
    colour *= 1 + 0.05 * ndimage.gaussian_filter(grain, 0.7)[..., None]
    above = z - level
    _faces(colour, face, kind, above, rr, cc, day, rng)
    clear = np.exp(-walked / day.haze_m)[..., None]
    colour = colour * clear + day.horizon * (1 - clear)
    up = np.clip(np.degrees(pitch) / 40, 0, 1)[None, :, None] ** 0.6
    clouds = ndimage.gaussian_filter(rng.normal(0, 1, (COLUMNS, ROWS)), (14, 5), mode="wrap") * 9
    heaven = day.horizon + (day.zenith - day.horizon) * up + (np.clip(clouds - 0.5, 0, 1)[..., None] * 0.3)
    colour = np.where(sky[..., None], heaven, colour)
    return (np.clip(colour, 0, 1) * 255).round().astype(np.uint8).transpose(1, 0, 2)


def _faces(
    colour: F32, face: NDArray[np.bool_], kind: NDArray[np.uint8], above: F32, rr: F32, cc: F32, day: Day,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Paint what is seen from the side: crowns over trunks, walls with windows, cars."""
    tree = face & (kind == TREE)
    leaf = ndimage.gaussian_filter(rng.normal(0, 1, face.shape), 1.0).astype(np.float32) * 3.0
    green = np.array([0.9, 1.08, 0.7], np.float32) ** np.float32(rng.uniform(0, 1.5))
    crown = colour * green * np.clip(0.75 + 0.2 * leaf, 0.3, 1.5)[..., None]
    trunk = np.clip((1.4 - above) / 0.8, 0, 1)[..., None] * float(rng.uniform(0.2, 0.8))
    colour[tree] = (crown * (1 - trunk) + 0.35 * crown * trunk * np.array([1.1, 1.0, 0.8], np.float32))[tree]
    wall = face & (kind == ROOF)
    number = (np.floor(rr / 40) * 7 + np.floor(cc / 40) * 13).astype(np.int64) % len(day.walls)
    along = (rr + cc) * GSD_M
    window = ((along % 3.1) < 1.3) & ((above % 2.9) > 0.9) & ((above % 2.9) < 2.1)
    painted = day.walls[number] * np.where(window, 0.35, 1.0)[..., None]
    colour[wall] = painted[wall]
    car = face & (kind == CAR)
    colour[car] = (colour * np.where(above > 0.9, 0.35, 0.85)[..., None])[car]


def _mirrored(index: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Indices brought into 0…count by mirroring at the edges."""
    index = np.abs(index) % (2 * count - 2)
    return np.where(index < count, index, 2 * count - 2 - index)
