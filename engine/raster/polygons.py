"""Polygons of a class raster that comes strip by strip: exact, joined across strips, in bounded memory.

A polygon is a 4-connected region of pixels with one code. (With 8-connected regions two pixels that touch at a corner
would share one ring that touches itself: an invalid geometry.) The result does not depend on how the strips are cut
and is the same as polygonising the whole raster at once.

Method. A strip is cut into runs of equal code along rows; overlapping runs of consecutive rows are linked, and the
regions are the connected components of runs and of the regions still open from the strips above. Of the outlines only
the corners are kept: sorted along each line of the pixel lattice, a region's corners pair up to the edges of its
rings. A region that no longer touches the last row is closed: its rings are traced and handed on at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.raster.area import PixelAreas
from engine.raster.grid import Grid, Window
from engine.raster.rings import EAST, SOUTH, START, Corners, IntArray, trace
from engine.raster.runs import connected, counted

_NO_PROBABILITY = 101
_CHUNK = 50_000


@dataclass(frozen=True)
class PolygonBatch:
    """Finished regions; all arrays have one entry a region.

    ``geometries`` valid shapely polygons in the grid's CRS, ``codes`` uint8, ``area_m2`` geodesic, ``mean_probability``
    0–100 over the pixels that have one (NaN where none has), ``pixels`` their number.
    """

    geometries: NDArray[Any]
    codes: NDArray[np.uint8]
    area_m2: NDArray[np.float64]
    mean_probability: NDArray[np.float64]
    pixels: IntArray

    def __len__(self) -> int:
        return len(self.geometries)


@dataclass
class _Open:
    """Regions that touch the last row seen: sums by region, runs of that row, corners so far."""

    code: NDArray[np.uint8]
    pixels: IntArray
    area: NDArray[np.float64]
    probability: NDArray[np.float64]
    known: IntArray
    run_start: IntArray
    run_stop: IntArray
    run_region: IntArray
    corners: Corners

    @classmethod
    def nothing(cls) -> _Open:
        none, real = np.zeros(0, np.int64), np.zeros(0)
        return cls(np.zeros(0, np.uint8), none, real, real, none, none, none, none, Corners.nothing())


class RegionOutlines:
    """Polygonises strips of ``grid`` from the top; ``sink`` gets a :class:`PolygonBatch` whenever regions are done.

    ``codes`` are the classes that become polygons. Call :meth:`add` for full-width windows, contiguous from row 0,
    then :meth:`finish`. Memory is bounded by one strip and the outlines of the regions that are still open.
    """

    def __init__(self, grid: Grid, *, sink: Callable[[PolygonBatch], None], codes: Sequence[int] = (1, 2, 3)) -> None:
        self.grid, self._sink = grid, sink
        self._wanted = np.zeros(256, bool)
        self._wanted[list(codes)] = True
        self._areas = PixelAreas(grid)
        self._next_row = 0
        self._open = _Open.nothing()

    def add(self, window: Window, codes: NDArray[np.uint8], probability: NDArray[np.uint8] | None = None) -> None:
        """The next strip: ``codes`` (rows, columns) and per cent probability (0–100; more means unknown)."""
        if window.row != self._next_row or window.col != 0 or window.width != self.grid.width:
            raise ValueError(f"Expected a full-width strip from row {self._next_row}, not {window}.")
        if codes.shape != window.shape or (probability is not None and probability.shape != window.shape):
            raise ValueError(f"The arrays do not have the window's shape {window.shape}.")
        self._next_row = window.row_stop
        if window.height:
            self._advance(window, codes, probability)

    def finish(self) -> None:
        """Close what is still open; the strips must have reached the grid's last row."""
        if self._next_row != self.grid.height:
            raise ValueError(f"Only {self._next_row} of {self.grid.height} rows were added.")
        below = Window(self.grid.height, 0, 1, self.grid.width)
        self._advance(below, np.zeros(below.shape, np.uint8), None)

    def _advance(self, window: Window, codes: NDArray[np.uint8], probability: NDArray[np.uint8] | None) -> None:
        height, width = window.shape
        before = self._open
        # The codes that are not asked for count as one: nothing.
        plain = np.where(self._wanted[codes], codes, np.uint8(0)) if not self._wanted.all() else codes
        starts, stops, all_starts = _runs(plain)
        if not len(starts) and not len(before.code):
            return
        run_code = plain.ravel()[starts]
        known = len(before.code)
        region, count = _regions(before, starts, stops, run_code, width)
        merged, of_run = region[:known], region[known:]
        state = self._sums(window, codes, probability, starts, stops, run_code, before, merged, of_run, count)
        labels = _label_image(before, merged, of_run, starts, all_starts, stops, height, width)
        fresh = _find_corners(labels, before, starts, stops, window.row, width)
        old = before.corners
        moved = Corners(merged[old.region].astype(np.int32), old.row, old.col, old.flags)
        corners = Corners.joined([moved, fresh])

        last = (height - 1) * width
        at_end = starts >= last
        is_open = np.zeros(count, bool)
        is_open[of_run[at_end]] = True
        number = np.where(is_open, np.cumsum(is_open) - 1, np.cumsum(~is_open) - 1)
        open_corner = is_open[corners.region]
        code, pixels, area, probability_sum, known_sum = (values[is_open] for values in state)
        self._open = _Open(
            code,
            pixels,
            area,
            probability_sum,
            known_sum,
            run_start=starts[at_end] - last,
            run_stop=stops[at_end] - last,
            run_region=number[of_run[at_end]],
            corners=corners.pick(open_corner, number),
        )
        if not is_open.all():
            self._emit(tuple(values[~is_open] for values in state), corners.pick(~open_corner, number))

    def _sums(
        self,
        window: Window,
        codes: NDArray[np.uint8],
        probability: NDArray[np.uint8] | None,
        starts: IntArray,
        stops: IntArray,
        run_code: NDArray[np.uint8],
        before: _Open,
        merged: IntArray,
        of_run: IntArray,
        count: int,
    ) -> tuple[NDArray[Any], ...]:
        """(code, pixels, area, probability, known) by region."""
        lengths = stops - starts
        areas = self._areas.of(window)
        if areas.shape[1] == 1:
            rows = np.broadcast_to(areas[:, 0], (window.height,))
            run_area = lengths * rows[starts // window.width]
        else:
            run_area = _run_sums(areas.ravel(), starts, stops)
        if probability is None:
            run_probability, run_known = np.zeros(len(starts)), np.zeros(len(starts), np.int64)
        else:
            valid = probability < _NO_PROBABILITY
            everywhere = bool(valid.all())
            values = probability if everywhere else np.where(valid, probability, np.uint8(0))
            run_probability = _run_sums(values.ravel(), starts, stops, dtype=np.int64)
            run_known = lengths if everywhere else _run_sums(valid.ravel(), starts, stops, dtype=np.int64)

        def total(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.float64]:
            groups = np.concatenate([merged, of_run])
            sums = np.bincount(groups, weights=np.concatenate([old, new]), minlength=count)
            return np.asarray(sums, np.float64)

        code = np.zeros(count, np.uint8)
        code[merged] = before.code
        code[of_run] = run_code
        return (
            code,
            total(before.pixels, lengths).astype(np.int64),
            total(before.area, run_area),
            total(before.probability, run_probability),
            total(before.known, run_known).astype(np.int64),
        )

    def _emit(self, state: tuple[NDArray[Any], ...], corners: Corners) -> None:
        """Trace the closed regions and hand them on, some ten thousand at a time: geometries are large."""
        code, pixels, area, probability, known = state
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known > 0, probability / known, np.nan)
        order = np.argsort(corners.region, kind="stable")
        firsts = range(0, len(code), _CHUNK)
        bounds = np.append(np.searchsorted(corners.region[order], firsts), len(order))
        for i, first in enumerate(firsts):
            part = slice(first, first + _CHUNK)
            count = len(code[part])
            own = corners.pick(order[bounds[i] : bounds[i + 1]], np.arange(len(code)) - first)
            geometries = trace(own, count, self.grid)
            self._sink(PolygonBatch(geometries, code[part], area[part], mean[part], pixels[part]))


def _runs(codes: NDArray[np.uint8]) -> tuple[IntArray, IntArray, IntArray]:
    """Starts and stops (flat) of the runs of codes other than 0, and the starts of all runs; rows are apart."""
    edges = np.empty(codes.shape, bool)
    edges[:, 0] = True
    np.not_equal(codes[:, 1:], codes[:, :-1], out=edges[:, 1:])
    all_starts = np.flatnonzero(edges)
    stops = np.append(all_starts[1:], codes.size)
    wanted = codes.ravel()[all_starts] != 0
    return all_starts[wanted], stops[wanted], all_starts


def _regions(
    before: _Open, starts: IntArray, stops: IntArray, run_code: NDArray[np.uint8], width: int
) -> tuple[IntArray, int]:
    """Region of every open region of before and then of every run, and the number of regions."""
    known = len(before.code)
    node = np.concatenate([before.run_region, known + np.arange(len(starts))])
    code = np.concatenate([before.code[before.run_region], run_code])
    begin = np.concatenate([before.run_start - width, starts])
    end = np.concatenate([before.run_stop - width, stops])
    first = np.searchsorted(end, starts - width, side="right")
    past = np.searchsorted(begin, stops - width, side="left")
    # Pairs of a run with every run above it that it overlaps.
    times = np.maximum(past - first, 0)
    below = np.repeat(np.arange(len(starts)), times)
    above = counted(first, times)
    alike = code[above] == run_code[below]
    total = known + len(starts)
    count, labels = connected(np.stack((node[above[alike]], known + below[alike])), total)
    return labels.astype(np.int64), count


def _run_sums(values: NDArray[Any], starts: IntArray, stops: IntArray, dtype: Any = None) -> NDArray[Any]:
    if not len(starts):
        return np.zeros(0, dtype or values.dtype)
    places = np.column_stack([starts, stops]).ravel()
    if places[-1] == len(values):
        places = places[:-1]
    return np.asarray(np.add.reduceat(values, places, dtype=dtype)[::2])


def _label_image(
    before: _Open,
    merged: IntArray,
    of_run: IntArray,
    starts: IntArray,
    all_starts: IntArray,
    stops: IntArray,
    height: int,
    width: int,
) -> NDArray[np.int32]:
    """Region + 1 of every pixel, 0 for none: (height + 1, width + 2), the row above first, zeros left and right."""
    labels = np.zeros((height + 1, width + 2), np.int32)
    for start, stop, region in zip(before.run_start, before.run_stop, merged[before.run_region], strict=True):
        labels[0, 1 + start : 1 + stop] = region + 1
    value = np.zeros(len(all_starts), np.int32)
    value[np.searchsorted(all_starts, starts)] = of_run + 1
    lengths = np.diff(np.append(all_starts, height * width))
    labels[1:, 1:-1] = np.repeat(value, lengths).reshape(height, width)
    return labels


def _find_corners(
    labels: NDArray[np.int32], before: _Open, starts: IntArray, stops: IntArray, top: int, width: int
) -> Corners:
    """Corners of all regions on the lattice lines above each row of the strip (not below the last)."""
    height = labels.shape[0] - 1
    marked = np.zeros((height, width + 1), bool)
    row = starts // width
    left, right = starts - row * width, stops - row * width
    marked[row, left] = marked[row, right] = True
    lower = row + 1 < height
    marked[row[lower] + 1, left[lower]] = marked[row[lower] + 1, right[lower]] = True
    marked[0, before.run_start] = marked[0, before.run_stop] = True
    line, col = np.nonzero(marked)
    corners = [labels[line + i, col + j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))]
    found = []
    for quadrant, own in enumerate(corners):
        beside, across, opposite = corners[quadrant ^ 1], corners[quadrant ^ 2], corners[quadrant ^ 3]
        flags = (EAST if quadrant & 1 else 0) | (SOUTH if quadrant & 2 else 0)
        diagonal = quadrant in (0, 3)
        alone = (own != 0) & (own != beside) & (own != across)
        notch = (beside != 0) & (beside == across) & (beside == opposite) & (own != beside)
        for where, region, start in ((alone, own, diagonal), (notch, beside, not diagonal)):
            at = np.flatnonzero(where)
            found.append(
                Corners(
                    region[at] - np.int32(1),
                    (line[at] + top).astype(np.int32),
                    col[at].astype(np.int32),
                    np.full(len(at), flags | (START if start else 0), np.uint8),
                )
            )
    return Corners.joined(found)
