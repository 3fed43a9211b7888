"""Drawing pixels at random while a map goes by in strips: the same seed gives the same pixels however it is cut.

Every pixel has a number u from its seed and row alone. Within a stratum the pixels with the smallest −ln(1 − u) / area
are taken (Efraimidis and Spirakis 2006: drawing one after another without replacement, each with probability in
proportion to its area). Where pixels are equally large this is simple random sampling within the stratum; in degrees,
where they shrink towards the poles, a place and not a pixel has the same chance, so that the area of a stratum is what
its points stand for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.assess.population import Census, Population, PopulationStrip
from engine.events import Reporter
from engine.raster.classes import MISSING, MOST_CODES

IntArray = NDArray[np.int64]
_ORDER, _START = 1 << 40, 1 << 41
"""Keys of the streams of the order of points and of the start of a systematic sample, beyond all row numbers."""


@dataclass(frozen=True)
class DrawnPoints:
    """Drawn pixels, one entry a point: ``row``, ``col``, ``stratum`` and ``mapped`` (codes)."""

    row: IntArray
    col: IntArray
    stratum: IntArray
    mapped: IntArray

    def __len__(self) -> int:
        return len(self.row)

    def shuffled(self, seed: int) -> DrawnPoints:
        """In random order: the order tells nothing of the stratum, and any first part of it is a sample too."""
        order = _stream(seed, _ORDER).permutation(len(self.row))
        return DrawnPoints(self.row[order], self.col[order], self.stratum[order], self.mapped[order])


def draw_random(
    population: Population, census: Census, wanted: Mapping[int, int], *, seed: int, reporter: Reporter
) -> DrawnPoints:
    """``wanted`` points of each stratum (code → number), or of everything where the only key is MISSING.

    No stratum may be asked for more pixels than it has. Points come stratum by stratum.
    """
    pooled = set(wanted) == {MISSING}
    sizes = {MISSING: (census.pixels, census.area)} if pooled else census.strata
    limits = {code: _limit(n, *sizes[code]) for code, n in wanted.items() if n > 0}
    while True:
        kept = _pass(population, wanted, limits, seed=seed, reporter=reporter)
        short = [code for code in limits if len(kept[code][0]) < wanted[code]]
        if not short:
            break
        limits.update(dict.fromkeys(short, math.inf))  # as rare as a row of very few small numbers
    parts = [part for code in sorted(limits) for part in [kept[code]]]
    joined = [np.concatenate([part[i] for part in parts]) if parts else np.zeros(0) for i in range(5)]
    row, col, stratum, mapped = (column.astype(np.int64) for column in joined[1:])
    return DrawnPoints(row, col, stratum, mapped)


def draw_systematic(
    population: Population, census: Census, points: int, *, seed: int, reporter: Reporter
) -> DrawnPoints:
    """About ``points`` pixels on a lattice with a random start.

    Lines are evenly spaced; the spacing along a line is such that every point stands for the same area, also where
    pixels shrink towards the poles.
    """
    cell = census.area / points
    grid = population.grid
    down = max(1.0, math.sqrt(cell) / max(grid.gsd_m()[0], 1e-9))
    phase_row, phase_col = _stream(seed, _START).random(2)
    found: list[list[IntArray]] = []
    for strip in population.strips():
        window = strip.window
        reporter.progress(window.row_stop / grid.height, "draw", "Drawing points")
        number = math.ceil(window.row / down - phase_row) if window.row else 0
        while (row := math.floor((phase_row + number) * down)) < window.row_stop:
            number += 1
            if row < window.row:
                continue
            line = np.broadcast_to(strip.areas, window.shape)[row - window.row]
            along = max(1.0, cell / (down * max(float(line[window.width // 2]), 1e-9)))
            cols = np.floor((phase_col + np.arange(math.ceil(window.width / along) + 1)) * along).astype(np.int64)
            cols = cols[cols < window.width]
            strata = strip.strata[row - window.row, cols]
            cols = cols[strata != MISSING]
            at = row - window.row, cols
            found.append(
                [
                    np.full(len(cols), row, np.int64),
                    cols,
                    strip.strata[at].astype(np.int64),
                    strip.mapped[at].astype(np.int64),
                ]
            )
    if not found:
        return DrawnPoints(*(np.zeros(0, np.int64) for _ in range(4)))
    return DrawnPoints(*(np.concatenate([part[i] for part in found]) for i in range(4)))


def _limit(n: int, pixels: int, area: float) -> float:
    """A value of −ln(1 − u) / area below which enough pixels of the stratum lie, all but surely."""
    share = (n + 6 * math.sqrt(n) + 20) / pixels
    return math.inf if share > 0.5 or area <= 0 else -math.log1p(-share) / (area / pixels) * 1.05


def _pass(
    population: Population, wanted: Mapping[int, int], limits: Mapping[int, float], *, seed: int, reporter: Reporter
) -> dict[int, list[NDArray[np.float64]]]:
    """The smallest keys of each stratum: arrays key, row, col, stratum, mapped."""
    pooled = set(wanted) == {MISSING}
    table = np.full(MOST_CODES + 1, math.inf if pooled else 0.0)  # its last entry is MISSING's
    for code, limit in limits.items():
        table[slice(None) if code == MISSING else code] = limit
    table[MISSING] = 0.0
    kept = {code: [np.zeros(0) for _ in range(5)] for code in limits}
    height = population.grid.height
    for strip in population.strips():
        reporter.progress(strip.window.row_stop / height, "draw", "Drawing points")
        found = _candidates(strip, table, seed)
        for code, before in kept.items():
            own = slice(None) if pooled else found[3] == code
            joined = [np.concatenate([old, new[own]]) for old, new in zip(before, found, strict=True)]
            order = np.argsort(joined[0], kind="stable")[: wanted[code]]
            kept[code] = [column[order] for column in joined]
    return kept


def _candidates(strip: PopulationStrip, table: NDArray[np.float64], seed: int) -> list[NDArray[np.float64]]:
    window = strip.window
    largest = float(np.max(strip.areas)) if strip.areas.size else 0.0
    bound = table * largest
    rows, cols, numbers = [], [], []
    for row in range(window.height):
        codes = strip.strata[row]
        u = _stream(seed, window.row + row).random(window.width)
        # 1 - exp(-x) <= x: what lies above cannot be below the limit.
        at = np.flatnonzero((u < bound[codes]) & (codes != MISSING))
        if len(at):
            rows.append(np.full(len(at), row))
            cols.append(at)
            numbers.append(u[at])
    if not rows:
        return [np.zeros(0) for _ in range(5)]
    lines, at = np.concatenate(rows), np.concatenate(cols)
    area = np.broadcast_to(strip.areas, window.shape)[lines, at]
    key = -np.log1p(-np.concatenate(numbers)) / np.maximum(area, 1e-12)
    strata = strip.strata[lines, at]
    below = key < table[strata]
    columns = key, lines + window.row, at, strata, strip.mapped[lines, at]
    return [np.asarray(column[below], np.float64) for column in columns]


def _stream(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, number], np.uint64)))
