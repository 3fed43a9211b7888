"""Where water runs: a river network over a coarse plan of the scene.

Rivers follow the steepest way out of a fractal surface whose depressions are filled by priority flood (Barnes, Lehman
and Mulla 2014); every cell drains to the scene's low edge. Widths grow with the drained area, water levels fall
monotonically downstream.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Window
from engine.simulate.noise import derive, fractal_noise, lattice_noise

FloatArray = NDArray[np.float32]

_MAX_CELLS = 40_000
_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Rivers:
    """Points along all rivers, dense enough that neighbours touch.

    ``rows``, ``cols``: places in pixels; ``half_width``: pixels; ``level``: water surface in metres; ``size``: 0..1,
    the river's share of the largest one's width.
    """

    rows: FloatArray
    cols: FloatArray
    half_width: FloatArray
    level: FloatArray
    size: FloatArray


def plan_cell(height: int, width: int) -> int:
    """Side of a plan cell in pixels, a multiple of 8, so that the plan has at most 40,000 cells."""
    return 8 * max(1, math.ceil(math.sqrt(height * width / _MAX_CELLS) / 8))


def river_width(drained: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width in pixels of a river that drains so many pixels: hydraulic geometry with exponent 1/4, none below 3."""
    width = 0.9 * np.sqrt(np.sqrt(drained)) - 9.0
    return np.where(width < 3.0, 0.0, np.minimum(width, 90.0))


def make_rivers(seed: int, height: int, width: int, *, gsd: float) -> Rivers:
    """The river network of a scene of ``height`` x ``width`` pixels; the same for the same arguments."""
    cell = plan_cell(height, width)
    rows, cols = -(-height // cell) + 2, -(-width // cell) + 2
    surface = _plan_surface(seed, rows, cols, cell)
    receiver, order = _drain(surface)
    drained = np.full(rows * cols, float(cell * cell))
    for index in order[::-1]:
        if receiver[index] >= 0:
            drained[receiver[index]] += drained[index]
    # A small scene is a piece of a larger catchment: its rivers come from outside.
    wide = river_width(drained * max(1.0, 6.0e5 / (height * width)))
    row, col = np.divmod(np.arange(rows * cols), cols)
    place = np.stack([(row - 0.5) * cell, (col - 0.5) * cell]).astype(np.float64)
    place += _meander(seed, rows, cols, cell)
    _smooth_courses(place, receiver, drained)
    level = _levels(order, receiver, wide, place, gsd)
    return _points(place, receiver, wide, level)


def _plan_surface(seed: int, rows: int, cols: int, cell: int) -> NDArray[np.float64]:
    window = Window(0, 0, rows, cols)
    longest = 2 ** max(2, math.floor(math.log2(max(4, min(max(rows, cols) / 2, 3000 / cell)))))
    surface = fractal_noise(derive(seed, "plan"), window, longest, 2, gain=0.55).astype(np.float64)
    # A slope to one edge, so that there is a way out and a main direction.
    side = derive(seed, "outlet") % 4
    down = np.linspace(1, 0, rows)[:, None] if side in (0, 1) else np.linspace(1, 0, cols)[None, :]
    slope = 1 - down if side in (1, 3) else down
    return np.asarray(surface + 1.2 * (max(rows, cols) / longest) * slope, np.float64)


def _drain(surface: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Receiver of every cell (−1 at the outlet) and all cells in an order in which receivers come first."""
    rows, cols = surface.shape
    edge = np.full(surface.shape, np.inf)
    for part in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        edge[part] = surface[part]
    # One way out for a small scene; about one for each 60 cells of the lowest edge for a large one.
    outlet = int(np.argmin(edge))
    starts = [outlet]
    r, c = divmod(outlet, cols)
    line = [(r, x) for x in range(cols)] if r in (0, rows - 1) else [(y, c) for y in range(rows)]
    for k in range(0, len(line) - 59, 60):
        y, x = min(line[k : k + 60], key=lambda p: surface[p])
        if abs(y - r) + abs(x - c) > 30:
            starts.append(y * cols + x)
    heights = surface.ravel().tolist()
    receiver = [-2] * (rows * cols)
    heap = []
    for s in starts:
        receiver[s] = -1
        heap.append((heights[s], s))
    heapq.heapify(heap)
    order: list[int] = []
    while heap:
        filled, index = heapq.heappop(heap)
        order.append(index)
        y, x = divmod(index, cols)
        for dy, dx in _NEIGHBOURS:
            ny, nx = y + dy, x + dx
            if 0 <= ny < rows and 0 <= nx < cols:
                other = ny * cols + nx
                if receiver[other] == -2:
                    receiver[other] = index
                    heapq.heappush(heap, (max(filled, heights[other]), other))
    return receiver, order


def _meander(seed: int, rows: int, cols: int, cell: int) -> NDArray[np.float64]:
    window = Window(0, 0, rows, cols)
    shift = [
        0.9 * cell * lattice_noise(derive(seed, "meander", axis), window, 4)
        + 0.45 * cell * lattice_noise(derive(seed, "meander", axis, 1), window, 2)
        for axis in (0, 1)
    ]
    return np.stack(shift).reshape(2, -1).astype(np.float64)


def _smooth_courses(place: NDArray[np.float64], receiver: list[int], drained: NDArray[np.float64]) -> None:
    """Round the corners of the 8-direction courses: each point moves between its main donor and its receiver."""
    receivers = np.array(receiver)
    inner = np.flatnonzero(receivers >= 0)
    donor = np.full(len(receivers), -1)
    ranked = inner[np.argsort(drained[inner], kind="stable")]
    donor[receivers[ranked]] = ranked  # the last write, of the largest donor, stays
    moving = np.flatnonzero((receivers >= 0) & (donor >= 0))
    for _ in range(4):
        place[:, moving] = 0.5 * place[:, moving] + 0.25 * place[:, receivers[moving]] + 0.25 * place[:, donor[moving]]


def _levels(
    order: list[int], receiver: list[int], wide: NDArray[np.float64], place: NDArray[np.float64], gsd: float
) -> NDArray[np.float64]:
    """Water levels in metres, rising upstream: 0.2 m a kilometre in the largest rivers, 8 in the smallest."""
    gradient = 0.008 / (1.0 + wide**1.2)
    gradient = np.maximum(gradient, 0.0002)
    level = np.full(len(receiver), 20.0)
    for index in order:
        to = receiver[index]
        if to >= 0:
            length = gsd * math.hypot(place[0, index] - place[0, to], place[1, index] - place[1, to])
            level[index] = level[to] + gradient[index] * length
    return level


def _points(
    place: NDArray[np.float64], receiver: list[int], wide: NDArray[np.float64], level: NDArray[np.float64]
) -> Rivers:
    receivers = np.array(receiver)
    start = np.flatnonzero((receivers >= 0) & (wide > 0))
    if len(start) == 0:
        start = np.flatnonzero(receivers >= 0)[:0]
    stop = receivers[start]
    length = np.hypot(*(place[:, stop] - place[:, start]))
    count = np.maximum(2, np.ceil(length / 3.0).astype(np.int64) + 1)
    which = np.repeat(np.arange(len(start)), count)
    step = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    t = step / np.repeat(np.maximum(count - 1, 1), count)
    a, b = start[which], stop[which]

    def along(values: NDArray[np.float64]) -> FloatArray:
        return (values[a] * (1 - t) + values[b] * t).astype(np.float32)

    to = np.where(wide[b] > 0, wide[b], wide[a])
    half = ((wide[a] * (1 - t) + to * t) / 2).astype(np.float32)
    largest = float(half.max()) if len(half) else 1.0
    return Rivers(along(place[0]), along(place[1]), half, along(level), half / np.float32(largest))
