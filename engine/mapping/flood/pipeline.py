"""From probabilities of water to a flood map, strip by strip.

Passes over the scene, each in memory of one strip:

1. the detector's probabilities (after, and before where there is such a scene) go to spools of per cent, and their
   connected components are collected;
2. components that stay (region growing, minimum area) become water; with the reference each pixel gets its class;
3. slivers of flood along reference water are given to it, implausible water is set aside, and the sinks are fed.

Law: outside reference water taken from a mask, a pixel is water exactly where its probability is at least the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.events import Reporter
from engine.mapping.flood.classes import DRY, FLOOD, NOT_OBSERVED, OUTSIDE, REFERENCE_WATER, SET_ASIDE, WATER
from engine.mapping.flood.components import KeptComponents, StripComponents
from engine.mapping.flood.detector import FloatArray, SceneReader, WaterDetector
from engine.mapping.flood.surroundings import REFERENCE, UNKNOWN, Surroundings
from engine.mapping.scene.spool import RowSpool
from engine.raster.area import PixelAreas
from engine.raster.grid import Grid, Window

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

ASSUMED_GSD_M = 10.0
"""Metres a pixel of a chip without georeference."""


@dataclass(frozen=True)
class FloodStrip:
    """One finished strip: ``codes`` and ``probability`` as in the output files; ``reasons`` as in excluded.tif.

    ``areas``: m² of each pixel, broadcastable to the window's shape.
    """

    window: Window
    codes: U8
    probability: U8
    reasons: U8
    areas: NDArray[np.float64]


class FloodSink(Protocol):
    """Takes finished strips in order from the top."""

    def add(self, strip: FloodStrip) -> None:
        """Take one strip."""


@dataclass(frozen=True, kw_only=True)
class WaterRule:
    """Water where the probability is at least ``cut`` per cent, in bodies of at least ``min_area`` m²."""

    cut: int = 50
    min_area: float = 2000.0


def map_water(
    scene: SceneReader,
    detector: WaterDetector,
    surroundings: Surroundings,
    *,
    rule: WaterRule,
    sinks: Sequence[FloodSink],
    folder: Path,
    reporter: Reporter,
) -> None:
    """Run all passes and feed ``sinks``; scratch files go to ``folder``. Raises what detector and sinks raise."""
    areas = pixel_areas(scene.grid)
    with ExitStack() as stack:
        share = 0.45 if scene.has_before else 0.75
        now = stack.enter_context(_WaterPass(scene.grid.width, folder, rule, detector.grow_percent, areas))
        now.consume(detector.probabilities(scene, reporter.part(0.0, share)))
        before = None
        if scene.has_before:
            before = stack.enter_context(_WaterPass(scene.grid.width, folder, rule, detector.grow_percent, areas))
            before.consume(detector.probabilities_before(scene, reporter.part(share, 0.75)))
        classified = stack.enter_context(RowSpool(scene.grid.width, folder))
        slivers = _classify(now, before, surroundings, areas, classified, rule, reporter.part(0.75, 0.85))
        _finish(now, surroundings, areas, classified, slivers, rule, sinks, reporter.part(0.85, 1.0))


def pixel_areas(grid: Grid) -> PixelAreas:
    """Geodesic areas; a chip without CRS counts as :data:`ASSUMED_GSD_M` pixels, Sentinel-1's usual spacing."""
    if grid.crs is not None:
        return PixelAreas(grid)
    return PixelAreas(Grid(grid.height, grid.width, Affine.scale(ASSUMED_GSD_M, -ASSUMED_GSD_M), None))


class _WaterPass:
    """Spools one stream of probabilities and answers which pixels are water."""

    def __init__(self, width: int, folder: Path, rule: WaterRule, grow_percent: int, areas: PixelAreas) -> None:
        self._spool = RowSpool(width, folder)
        self._cut, self._weak = rule.cut, min(rule.cut, grow_percent)
        self._min_area, self._areas = rule.min_area, areas
        self._components = StripComponents()
        self._kept: KeptComponents | None = None
        self.windows: list[Window] = []

    def consume(self, strips: object) -> None:
        for window, probability in strips:  # type: ignore[attr-defined]
            percent = to_percent(probability)
            self._spool.write(window, percent)
            self._components.add(self._candidates(percent), self._seeds(percent), self._areas.of(window))
            self.windows.append(window)
        self._kept = self._components.resolve(min_area=self._min_area)

    def _candidates(self, percent: U8) -> Mask:
        mask: Mask = (percent >= self._weak) & (percent <= 100)
        return mask

    def _seeds(self, percent: U8) -> Mask:
        mask: Mask = (percent >= self._cut) & (percent <= 100)
        return mask

    def percent(self, index: int) -> U8:
        return self._spool.read(self.windows[index])

    def water(self, index: int, percent: U8) -> Mask:
        if self._kept is None:
            raise ValueError("consume() comes first.")
        return self._kept.select(index, self._candidates(percent))

    def __enter__(self) -> _WaterPass:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()


def to_percent(probability: FloatArray) -> U8:
    """Probability 0..1 (NaN: not observed) as whole per cent 0..100, 255 where not observed."""
    percent = np.rint(np.clip(probability, 0.0, 1.0) * 100)
    return np.where(np.isnan(percent), NOT_OBSERVED, percent).astype(np.uint8)


def _classify(
    now: _WaterPass,
    before: _WaterPass | None,
    surroundings: Surroundings,
    areas: PixelAreas,
    classified: RowSpool,
    rule: WaterRule,
    reporter: Reporter,
) -> KeptComponents | None:
    """Give every pixel its class; returns the flood bodies that stay flood (None when there is no reference)."""
    flood = StripComponents() if before is not None or surroundings.has_reference else None
    for index, window in enumerate(now.windows):
        percent = now.percent(index)
        water = now.water(index, percent)
        codes = np.where(percent == NOT_OBSERVED, NOT_OBSERVED, DRY).astype(np.uint8)
        reference = surroundings.reference_water(window)
        codes[water] = np.where(reference[water] == UNKNOWN, WATER, FLOOD)
        if before is not None:
            past = before.percent(index)
            known = water & (past != NOT_OBSERVED) & (reference != REFERENCE)
            codes[known] = np.where(before.water(index, past)[known], REFERENCE_WATER, FLOOD)
        codes[(reference == REFERENCE) & (percent != NOT_OBSERVED)] = REFERENCE_WATER
        classified.write(window, codes)
        if flood is not None:
            mask = codes == FLOOD
            flood.add(mask, mask, areas.of(window))
        reporter.progress(window.row_stop / now.windows[-1].row_stop, "classify", "Telling flood from reference water")
    return flood.resolve(min_area=rule.min_area) if flood is not None else None


def _finish(
    now: _WaterPass,
    surroundings: Surroundings,
    areas: PixelAreas,
    classified: RowSpool,
    slivers: KeptComponents | None,
    rule: WaterRule,
    sinks: Sequence[FloodSink],
    reporter: Reporter,
) -> None:
    for index, window in enumerate(now.windows):
        percent, codes = now.percent(index), classified.read(window)
        if slivers is not None:
            flood = codes == FLOOD
            # A body of water is large enough as a whole, so a small flooded part of it touches its reference water:
            # misregistration and speckle at the shore, not flood.
            codes[flood & ~slivers.select(index, flood)] = REFERENCE_WATER
        water = (codes == FLOOD) | (codes == WATER) | (now.water(index, percent) & (codes == REFERENCE_WATER))
        percent[water] = np.maximum(percent[water], rule.cut)
        dry = codes == DRY
        percent[dry] = np.minimum(percent[dry], rule.cut - 1)
        reasons = _reasons(codes, surroundings, window)
        codes[(reasons != 0) & (reasons != NOT_OBSERVED)] = SET_ASIDE
        percent[(codes == SET_ASIDE) | (codes == NOT_OBSERVED)] = NOT_OBSERVED
        strip = FloodStrip(window, codes, percent, reasons, areas.of(window))
        for sink in sinks:
            sink.add(strip)
        reporter.progress(window.row_stop / now.windows[-1].row_stop, "write", "Writing maps and polygons")


def _reasons(codes: U8, surroundings: Surroundings, window: Window) -> U8:
    """Why pixels are set aside: new water that terrain makes implausible, and all outside the area of interest."""
    reasons = np.zeros(window.shape, np.uint8)
    if surroundings.has_terrain:
        doubtful = (codes == FLOOD) | (codes == WATER)
        if doubtful.any():
            reasons = surroundings.terrain_reason(window, doubtful)
    outside = surroundings.outside(window)
    if outside is not None:
        reasons[outside] = OUTSIDE
    reasons[codes == NOT_OBSERVED] = NOT_OBSERVED
    return reasons
