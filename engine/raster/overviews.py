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
_CHUNK_BYTES = 1 << 20
"""Of a level that is read at once: it stays in a processor's cache."""
_BOTH = 0x0101
"""Two bytes that are both true."""


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
    step = max(1, _CHUNK_BYTES // (2 * width * bands * dtype.itemsize))
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
    if how == "nearest":
        return np.ascontiguousarray(even[:, ::2, ::2])
    if even.dtype == np.uint8:
        return _halved_bytes(even, nodata, how)
    return _combined([even[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], nodata, how)


def _combined(cells: list[NDArray[Any]], nodata: float | None, how: OverviewResampling) -> NDArray[Any]:
    """Four values of each cell, arrays of any shape, joined to one."""
    valid = [_valid(cell, nodata) for cell in cells]
    return _mode(cells, valid) if how == "mode" else _average(cells, valid, nodata)


def _halved_bytes(even: NDArray[np.uint8], nodata: float | None, how: OverviewResampling) -> NDArray[np.uint8]:
    """The same for bytes, some ten times as fast: as if all were valid, then once more where a cell lacks some."""
    a, b, c, d = (_column(even[:, i::2], j) for i in (0, 1) for j in (0, 1))
    out = _mode_of_valid(a, b, c, d) if how == "mode" else _average_of_valid(a, b, c, d)
    if nodata is None or not 0 <= nodata <= 255 or nodata != int(nodata):
        return out
    hole = even == np.uint8(nodata)
    if hole.any():
        some, full = _pairs(hole[:, ::2] | hole[:, 1::2]), _pairs(hole[:, ::2] & hole[:, 1::2])
        at = np.nonzero((some != 0) & (full != _BOTH))  # where all four lack a value, both rules gave nodata already
        out[at] = _combined([cell[at] for cell in (a, b, c, d)], nodata, how)
    return out


def _pairs(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Neighbours of each row of bytes, two by two, as one number each."""
    return np.ascontiguousarray(values).view(np.uint16)


def _column(rows: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Each second column of bytes, from the first (``side`` 0) or the second: several times as fast as by slicing."""
    pairs = _pairs(rows)
    low = side == 0 if np.little_endian else side == 1
    return pairs.astype(np.uint8) if low else (pairs >> 8).astype(np.uint8)


def _mode_of_valid(
    a: NDArray[np.uint8], b: NDArray[np.uint8], c: NDArray[np.uint8], d: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    # The first stays unless it stands alone and two of the others agree.
    alone = a == b
    alone |= a == c
    alone |= a == d
    np.logical_not(alone, out=alone)
    second = b == c
    second |= b == d
    second &= alone
    third = c == d
    third &= alone
    out = a.copy()
    for chosen, where in ((c, third), (b, second)):  # differing bits are turned: without branches
        out ^= (out ^ chosen) & np.negative(where.view(np.uint8))
    return out


def _average_of_valid(*cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    total = np.add(cells[0], cells[1], dtype=np.uint16)
    total += cells[2]
    total += cells[3]
    total += 2  # halves go up
    total >>= 2
    return total.astype(np.uint8)


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
