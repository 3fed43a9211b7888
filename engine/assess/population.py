"""What is sampled: the pixels of a map inside an area of interest that have a class, counted and read in strips."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import GridError
from engine.events import Reporter
from engine.raster.area import PixelAreas
from engine.raster.classes import MISSING, CodedRaster, Codes, strips_of
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster, open_raster
from engine.raster.vector import burn

_PREVIEW = 1000


class PopulationStrip(NamedTuple):
    """One strip: ``strata`` and ``mapped`` int32 (rows, columns); strata MISSING outside of the population.

    ``mapped`` is MISSING there as well. ``areas``: m² of each pixel, broadcastable to the window's shape.
    """

    window: Window
    strata: Codes
    mapped: Codes
    areas: NDArray[np.float64]


@dataclass
class Census:
    """Pixels and m² by code of strata and of map classes, and a small picture of where the population lies.

    ``joint``: pixels by (stratum, map class). ``inside``: bool, every ``step``-th pixel.
    """

    strata: dict[int, tuple[int, float]] = field(default_factory=dict)
    mapped: dict[int, tuple[int, float]] = field(default_factory=dict)
    joint: dict[tuple[int, int], int] = field(default_factory=dict)
    inside: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    step: int = 1

    def without(self, codes: set[int]) -> None:
        """Take map classes out of the counts; for strata that are the map's classes only."""
        for table in (self.strata, self.mapped):
            for code in codes & set(table):
                del table[code]
        self.joint = {pair: n for pair, n in self.joint.items() if pair[1] not in codes}

    @property
    def pixels(self) -> int:
        """All pixels of the population."""
        return sum(n for n, _ in self.strata.values())

    @property
    def area(self) -> float:
        """Its m²."""
        return sum(area for _, area in self.strata.values())


class Population:
    """The population of a sample. Use it as a context manager.

    ``path``: raster of class codes with a CRS; ``strata``: another raster of codes, laid on the map's grid by nearest
    pixel; ``exclude``: codes of the map that do not belong, and ``region``: polygons in the map's CRS, are set before
    anything is counted.
    """

    def __init__(self, path: str, *, strata: str | None = None) -> None:
        self._stack = ExitStack()
        self.raster: Raster = self._stack.enter_context(open_raster(path, what="map"))
        try:
            self.raster.require_crs()
            self._map = CodedRaster(self.raster)
            self._strata: CodedRaster | None = None
            if strata is not None:
                own = self._stack.enter_context(open_raster(strata, what="raster of strata"))
                own.require_crs()
                self._strata = CodedRaster(own.onto(self.raster.grid))
        except BaseException:
            self._stack.close()
            raise
        self.exclude: frozenset[int] = frozenset()
        self.region: list[Any] = []
        self._areas = PixelAreas(self.raster.grid)

    @property
    def grid(self) -> Grid:
        """The map's grid."""
        return self.raster.grid

    @property
    def has_strata(self) -> bool:
        """True when the strata are a raster of their own."""
        return self._strata is not None

    def areas(self, window: Window) -> NDArray[np.float64]:
        """m² of pixels, broadcastable to the window."""
        return self._areas.of(window)

    def strips(self) -> Iterator[PopulationStrip]:
        """The population from the top."""
        for window in strips_of(self.grid, self.raster.block[0]):
            mapped = self._map.read(window)
            if self.region:
                mapped[~burn(self.region, self.grid, window)] = MISSING
            for code in self.exclude:
                mapped[mapped == code] = MISSING
            strata = mapped
            if self._strata is not None:
                strata = self._strata.read(window)
                strata[mapped == MISSING] = MISSING
                mapped[strata == MISSING] = MISSING
            yield PopulationStrip(window, strata, mapped, self._areas.of(window))

    def census(self, reporter: Reporter) -> Census:
        """Count everything once; raises GridError when nothing is left."""
        step = max(1, math.ceil(max(self.grid.shape) / _PREVIEW))
        found = Census(step=step)
        found.inside = np.zeros((math.ceil(self.grid.height / step), math.ceil(self.grid.width / step)), bool)
        for strip in self.strips():
            reporter.progress(strip.window.row_stop / self.grid.height, "count", "Counting pixels by class")
            inside = strip.strata != MISSING
            first = -strip.window.row % step
            rows = np.arange(first, strip.window.height, step)
            found.inside[(rows + strip.window.row) // step] = inside[rows][:, ::step]
            if not inside.any():
                continue
            areas = np.broadcast_to(strip.areas, inside.shape)[inside]
            mapped, strata = strip.mapped[inside], strip.strata[inside]
            _add(found.mapped, mapped, areas)
            if self._strata is None:
                continue
            _add(found.strata, strata, areas)
            pairs, counts = np.unique(strata.astype(np.int64) << 16 | mapped, return_counts=True)
            for pair, count in zip(pairs, counts, strict=True):
                key = int(pair >> 16), int(pair & 0xFFFF)
                found.joint[key] = found.joint.get(key, 0) + int(count)
        if self._strata is None:
            found.strata = dict(found.mapped)
            found.joint = {(code, code): n for code, (n, _) in found.mapped.items()}
        if not found.strata:
            what = "the area of interest and the strata" if self.region or self.has_strata else "what is left out"
            raise GridError(
                f"{self.raster.path}: the map has no pixel with a class after {what}.",
                remedy="Check the map, --aoi, --strata and --exclude.",
            )
        found.strata = dict(sorted(found.strata.items()))
        found.mapped = dict(sorted(found.mapped.items()))
        return found

    def __enter__(self) -> Population:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _add(into: dict[int, tuple[int, float]], codes: Codes, areas: NDArray[np.float64]) -> None:
    counts, sums = np.bincount(codes), np.bincount(codes, areas)
    for code in np.flatnonzero(counts):
        pixels, area = into.get(int(code), (0, 0.0))
        into[int(code)] = pixels + int(counts[code]), area + float(sums[code])
