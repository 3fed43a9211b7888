"""Sums over a flood map: pixels and areas by class, low and high estimates, areas by reason and by zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.mapping.flood.classes import (
    CLASS_NAMES,
    FLOOD,
    NOT_OBSERVED,
    REASON_NAMES,
    REFERENCE_WATER,
    SET_ASIDE,
    WATER,
)
from engine.mapping.flood.pipeline import FloodStrip
from engine.raster.grid import Grid
from engine.raster.vector import ZoneLayers

LOW_CUT, HIGH_CUT = 80, 20
"""Per cent of probability from which a pixel counts in the low and in the high estimate of flooded area."""

CLASS_KEYS = {
    0: "dry",
    REFERENCE_WATER: "reference_water",
    FLOOD: "flood",
    WATER: "water",
    SET_ASIDE: "excluded",
    NOT_OBSERVED: "not_observed",
}


def flooded_estimates(strip: FloodStrip, *, cut: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(best, low, high) masks of flooded pixels: water that is not reference water.

    Best is the map's class. Low takes of it what has at least 80 %; high adds land of at least 20 %. So
    low ⊆ best ⊆ high for every cut.
    """
    best = (strip.codes == FLOOD) | (strip.codes == WATER)
    low = best & (strip.probability >= max(LOW_CUT, cut))
    high = best | ((strip.codes == 0) & (strip.probability >= min(HIGH_CUT, cut)))
    return best, low, high


class TotalsSink:
    """Adds up a whole map."""

    def __init__(self, *, cut: int) -> None:
        self._cut = cut
        self.pixels = dict.fromkeys(CLASS_NAMES, 0)
        self.areas = dict.fromkeys(CLASS_NAMES, 0.0)
        self.reasons = dict.fromkeys((r for r in REASON_NAMES if r not in (0, NOT_OBSERVED)), 0.0)
        self.best = self.low = self.high = 0.0

    def add(self, strip: FloodStrip) -> None:
        """Add one strip."""
        weights = np.broadcast_to(strip.areas, strip.codes.shape).ravel()
        flat = strip.codes.ravel()
        count, area = np.bincount(flat, minlength=256), np.bincount(flat, weights, 256)
        for code in self.pixels:
            self.pixels[code] += int(count[code])
            self.areas[code] += float(area[code])
        if count[SET_ASIDE]:
            by_reason = np.bincount(strip.reasons.ravel(), weights, 256)
            for reason in self.reasons:
                self.reasons[reason] += float(by_reason[reason])
        best, low, high = flooded_estimates(strip, cut=self._cut)
        spread = np.broadcast_to(strip.areas, strip.codes.shape)
        self.best += float(spread[best].sum())
        self.low += float(spread[low].sum())
        self.high += float(spread[high].sum())

    @property
    def observed_percent(self) -> float | None:
        """Per cent of the area of interest (the whole grid when there is none) with a class 0..3; None without area."""
        total = sum(self.areas.values()) - self.reasons[4]
        observed = sum(self.areas[code] for code in (0, REFERENCE_WATER, FLOOD, WATER))
        return 100.0 * observed / total if total > 0 else None

    def figures(self) -> dict[str, Any]:
        """The area part of ``result.json``."""
        observed = self.observed_percent
        return {
            "area_m2": {CLASS_KEYS[code]: round(area, 1) for code, area in self.areas.items()},
            "pixels": {CLASS_KEYS[code]: number for code, number in self.pixels.items()},
            "observed_percent": None if observed is None else round(observed, 3),
            "flooded_low_m2": round(self.low, 1),
            "flooded_best_m2": round(self.best, 1),
            "flooded_high_m2": round(self.high, 1),
            "excluded_m2_by_reason": {REASON_NAMES[r]: round(a, 1) for r, a in self.reasons.items() if a > 0},
        }


class ZonesSink:
    """Adds up a map by zone; zones may overlap each other and reach over the scene's edge."""

    def __init__(
        self, grid: Grid, *, identifiers: Sequence[Any], geometries: Sequence[Any], totals: Sequence[float], cut: int
    ) -> None:
        """``geometries`` in the grid's CRS; ``totals``: geodesic m² of each whole zone."""
        self._cut, self._identifiers, self._totals = cut, tuple(identifiers), tuple(totals)
        self._layers = ZoneLayers(geometries, grid)
        self._observed, self._best, self._low, self._high = np.zeros((4, len(self._identifiers)))

    def add(self, strip: FloodStrip) -> None:
        """Add one strip."""
        best, low, high = flooded_estimates(strip, cut=self._cut)
        observed = (strip.codes != SET_ASIDE) & (strip.codes != NOT_OBSERVED)
        areas = np.broadcast_to(strip.areas, strip.codes.shape)
        for zone_of in self._layers.read(strip.window):
            for total, mask in ((self._observed, observed), (self._best, best), (self._low, low), (self._high, high)):
                chosen = mask & (zone_of >= 0)
                total += np.bincount(zone_of[chosen], areas[chosen], len(total))

    def rows(self) -> list[dict[str, Any]]:
        """One row a zone, in the order given: the fields of layer ``zones``."""
        return [
            {
                "zone_id": identifier,
                "flooded_best_m2": round(float(self._best[i]), 1),
                "flooded_low_m2": round(float(self._low[i]), 1),
                "flooded_high_m2": round(float(self._high[i]), 1),
                "observed_percent": round(min(100.0, 100.0 * float(self._observed[i]) / whole), 2)
                if whole > 0
                else 0.0,
            }
            for i, (identifier, whole) in enumerate(zip(self._identifiers, self._totals, strict=True))
        ]
