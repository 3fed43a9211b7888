"""Overviews of a flat pixel file, level by level, in memory that does not depend on its rows.

Made here because GDAL holds about a third of a byte a pixel while it builds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Window
from engine.raster.rawfile import RawFile

OverviewResampling = Literal["mode", "nearest", "average"]
_CHUNK_PIXELS = 4_000_000


def overview_shapes(height: int, width: int, *, smallest: int = 512) -> Iterator[tuple[int, int]]:
    """(height, width) of the levels, each half of the one before (rounded up), until both sides fit ``smallest``."""
    while max(height, width) > smallest:
        height, width = (height + 1) // 2, (width + 1) // 2
        yield height, width


def make_overview(
    source: Path,
    shape: tuple[int, int, int],
    target: Path,
    *,
    dtype: np.dtype[Any],
    nodata: float | None,
    how: OverviewResampling,
) -> tuple[int, int, int]:
    """Write the half-size level of the flat file ``source`` (bands, rows, columns) to ``target``; returns its shape."""
    bands, height, width = shape
    half = (bands, (height + 1) // 2, (width + 1) // 2)
    level = RawFile(target, half, dtype, fill=0)
    step = max(1, _CHUNK_PIXELS // (2 * width * bands))
    try:
        for row in range(0, half[1], step):
            count = min(step, half[1] - row)
            rows = min(2 * count, height - 2 * row)
            block = np.empty((bands, rows, width), dtype)
            for band in range(bands):
                start = (band * height + 2 * row) * width * dtype.itemsize
                block[band] = np.fromfile(source, dtype, rows * width, offset=start).reshape(rows, width)
            level.write(Window(row, 0, count, half[2]), halved(block, nodata=nodata, how=how))
    finally:
        level.close()
    return half


def halved(values: NDArray[Any], *, nodata: float | None, how: OverviewResampling) -> NDArray[Any]:
    """(bands, rows, columns) at half size (rounded up), from cells of 2 × 2; a last odd row or column stands twice.

    ``nearest`` the upper-left pixel; ``mode`` the most frequent valid value (the first of equals); ``average`` the
    mean of the valid ones, rounded for integers. ``nodata`` (NaN too) where none is valid.
    """
    odd = ((0, 0), (0, values.shape[1] % 2), (0, values.shape[2] % 2))
    even = np.pad(values, odd, mode="edge") if values.shape[1] % 2 or values.shape[2] % 2 else values
    cells = [even[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    if how == "nearest":
        return np.ascontiguousarray(cells[0])
    valid = [_valid(cell, nodata) for cell in cells]
    return _mode(cells, valid) if how == "mode" else _average(cells, valid, nodata)


def _valid(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    good = np.ones(values.shape, bool) if values.dtype.kind != "f" else ~np.isnan(values)
    if nodata is not None and not np.isnan(nodata):
        good &= values != values.dtype.type(nodata)
    return good


def _mode(cells: list[NDArray[Any]], valid: list[NDArray[np.bool_]]) -> NDArray[Any]:
    counts = [good.astype(np.uint8) for good in valid]
    for i in range(4):
        for j in range(i + 1, 4):
            same = (cells[i] == cells[j]) & valid[i]
            counts[i] += same
            counts[j] += same
    best, most = cells[0].copy(), counts[0]
    for cell, count in zip(cells[1:], counts[1:], strict=True):
        better = count > most
        best[better] = cell[better]
        most = np.maximum(most, count)
    return best


def _average(cells: list[NDArray[Any]], valid: list[NDArray[np.bool_]], nodata: float | None) -> NDArray[Any]:
    dtype = cells[0].dtype
    count = sum(good.astype(np.float64) for good in valid)
    total = sum(np.where(good, cell, 0).astype(np.float64) for cell, good in zip(cells, valid, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.asarray(total / count)
    if dtype.kind != "f":
        mean = np.floor(mean + 0.5)
    empty = count == 0
    mean[empty] = np.nan if dtype.kind == "f" and nodata is None else (nodata or 0)
    return mean.astype(dtype)
