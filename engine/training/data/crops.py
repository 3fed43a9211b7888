"""Squares cut from items, coded as 16-bit integers: what shards hold and batches are drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Grid, Window
from engine.training.data.items import IGNORE, PairItem
from engine.training.data.reading import ItemArrays

Codes = NDArray[np.int16]

NODATA = -32768
SCALES = {"s1": 0.002, "s2": 1e-4}
"""Decibel and reflectance of one step: ±65 dB, and −3.2 to 3.2 with the precision of the products themselves."""

MOST_LEFT_OUT = 0.25
"""How much of a square's side may be left over at an item's edges before one more row of squares is cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One square. ``spot`` is equal for squares that show the same ground at several dates; dates are ISO, UTC."""

    name: str
    group: str
    spot: str
    s1_date: str | None = None
    s2_date: str | None = None
    has_s1: bool = True
    has_s2: bool = True
    labelled: bool = False
    gsd_m: float | None = None
    """The side of a pixel on the ground in metres; None where there is no georeference."""


@dataclass(frozen=True)
class Crop:
    """A sample with its codes: (bands, side, side) int16, :data:`NODATA` where invalid; label (side, side), −1 none."""

    sample: Sample
    s1: Codes | None
    s2: Codes | None
    label: Codes | None


def encode(values: NDArray[np.float32], sensor: str) -> Codes:
    """int16 codes of dB or reflectance; NaN becomes NODATA, what is out of range the nearest code."""
    steps = np.rint(np.asarray(values, np.float64) / SCALES[sensor])
    out = np.clip(np.where(np.isfinite(steps), steps, NODATA), NODATA + 1, 32767).astype(np.int16)
    out[~np.isfinite(values)] = NODATA
    return out


def decode(codes: Codes, sensor: str) -> NDArray[np.float32]:
    """dB or reflectance as float32, NaN where the code is NODATA."""
    out = codes.astype(np.float32) * np.float32(SCALES[sensor])
    out[codes == NODATA] = np.nan
    return out


def windows(height: int, width: int, side: int, *, every_pixel: bool = False) -> list[Window]:
    """Squares of ``side`` that cover an item, evenly spread and without overlap where it is large enough.

    Up to a quarter of a side may be left out at the edges in all; an item smaller than ``side`` gives one window that
    reaches over its edges. With ``every_pixel`` each pixel is in one window and in no other; the last reach over.
    """
    if every_pixel:
        return [Window(row, col, side, side) for row in range(0, height, side) for col in range(0, width, side)]

    def starts(length: int) -> list[int]:
        if length <= side:
            return [0]
        count = max(1, math.ceil((length - MOST_LEFT_OUT * side) / side))
        if count == 1:
            return [(length - side) // 2]
        return [round(i * (length - side) / (count - 1)) for i in range(count)]

    return [Window(row, col, side, side) for row in starts(height) for col in starts(width)]


def cut(
    item: PairItem, arrays: ItemArrays, *, side: int, max_missing: float, every_pixel: bool = False
) -> tuple[list[Crop], int]:
    """The crops of an item, and how many squares were left out: more than ``max_missing`` of a sensor's pixels (of
    those inside the item) invalid, or no labelled pixel in a labelled item. ``every_pixel``: as in :func:`windows`."""
    crops, empty = [], 0
    gsd = None if arrays.grid.crs is None else round(math.sqrt(math.prod(arrays.grid.gsd_m())), 3)
    for window in windows(*arrays.grid.shape, side, every_pixel=every_pixel):
        inside = window.intersect(arrays.grid.window)
        here = inside.within(arrays.grid.window)
        planes = {s: a[(slice(None), *here)] for s, a in (("s1", arrays.s1), ("s2", arrays.s2)) if a is not None}
        label = None if arrays.label is None else arrays.label[here]
        bad = any(1.0 - np.isfinite(p).all(axis=0).mean() > max_missing for p in planes.values())
        if bad or (label is not None and not (label != IGNORE).any()):
            empty += 1
            continue
        there = inside.within(window)
        coded: dict[str, Codes] = {}
        for sensor, plane in planes.items():
            coded[sensor] = np.full((plane.shape[0], side, side), NODATA, np.int16)
            coded[sensor][(slice(None), *there)] = encode(plane, sensor)
        truth = None
        if label is not None:
            truth = np.full((side, side), IGNORE, np.int16)
            truth[there] = label
        sample = Sample(
            name=f"{item.name}/{window.row},{window.col}",
            group=item.group,
            spot=_spot(item, arrays.grid, window),
            s1_date=_date(arrays.s1_acquired),
            s2_date=_date(arrays.s2_acquired),
            has_s1="s1" in coded,
            has_s2="s2" in coded,
            labelled=truth is not None,
            gsd_m=gsd,
        )
        crops.append(Crop(sample, coded.get("s1"), coded.get("s2"), truth))
    return crops, empty


def _date(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _spot(item: PairItem, grid: Grid, window: Window) -> str:
    """Equal for windows that agree to a tenth of a pixel."""
    if grid.crs is None:
        return f"{item.name}@{window.row},{window.col}"
    moved = grid.crop(window).transform
    step = 0.1 * math.sqrt(abs(moved.determinant))
    corner = f"{round(moved.c / step)},{round(moved.f / step)}"
    return f"{item.group}@{corner}"
