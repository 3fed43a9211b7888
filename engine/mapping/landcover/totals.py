"""Sums over a land-cover map: pixels, areas and confidence by class, and areas by zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.legends import NOT_OBSERVED, UNKNOWN
from engine.mapping.landcover.classes import ClassTable
from engine.mapping.landcover.pipeline import LandcoverStrip
from engine.raster.grid import Grid
from engine.raster.vector import ZoneLayers

_CACHED_PIXELS = 1 << 17


class TotalsSink:
    """Adds up a whole map: ``pixels``, ``areas`` (m²) and ``confidence`` (sum of per cent) of the codes 0…255."""

    def __init__(self, table: ClassTable) -> None:
        self._table = table
        self.pixels = np.zeros(256, np.int64)
        self.areas, self.confidence = np.zeros((2, 256))
        self.outside_m2 = 0.0

    def add(self, strip: LandcoverStrip) -> None:
        """Add one strip."""
        table = _pairs(strip.codes, strip.confidence)
        pixels = table.sum(axis=1)
        self.pixels += pixels
        self.confidence += table @ np.arange(256)
        self.areas += strip.areas.sums(strip.codes, 256, present=np.flatnonzero(pixels))
        if strip.outside is not None:
            self.outside_m2 += float(strip.areas.sums(strip.outside.view(np.uint8), 2)[1])

    @property
    def observed_m2(self) -> float:
        """Area with a class or unknown."""
        return float(self.areas.sum() - self.areas[NOT_OBSERVED])

    def classes(self) -> list[dict[str, Any]]:
        """One row a class of the map, in the legend's order, then unknown: ``code``, ``name``, ``color``, ``pixels``,
        ``area_m2``, ``share`` of the observed area and ``mean_confidence`` (per cent); None where there is nothing."""
        observed = self.observed_m2
        rows = []
        for code in (*self._table.codes, UNKNOWN):
            pixels, area = int(self.pixels[code]), float(self.areas[code])
            rows.append(
                {
                    "code": code,
                    "name": self._table.names[code],
                    "color": "#" + "".join(f"{v:02x}" for v in self._table.colors[code][:3]),
                    "pixels": pixels,
                    "area_m2": round(area, 1),
                    "share": round(area / observed, 6) if observed > 0 else None,
                    "mean_confidence": round(float(self.confidence[code]) / pixels, 2) if pixels else None,
                }
            )
        return rows

    def figures(self) -> dict[str, Any]:
        """The area part of ``result.json``. ``observed_percent``: share of the area of interest (the whole grid when
        there is none) that is observed; ``unknown_percent``: share of what is observed that is unknown."""
        observed = self.observed_m2
        total = float(self.areas.sum()) - self.outside_m2
        codes = (*self._table.codes, UNKNOWN, NOT_OBSERVED)
        return {
            "area_m2": {str(code): round(float(self.areas[code]), 1) for code in codes},
            "pixels": {str(code): int(self.pixels[code]) for code in codes},
            "classes": self.classes(),
            "observed_percent": round(100.0 * observed / total, 3) if total > 0 else None,
            "unknown_percent": round(100.0 * float(self.areas[UNKNOWN]) / observed, 3) if observed > 0 else None,
            "outside_m2": round(self.outside_m2, 1),
        }


def _pairs(codes: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(256, 256): how many pixels have a code and another, in parts that stay in a processor's cache."""
    table = np.zeros(1 << 16, np.int64)
    first, second = codes.ravel(), others.ravel()
    for start in range(0, first.size, _CACHED_PIXELS):
        part = slice(start, start + _CACHED_PIXELS)
        table += np.bincount((first[part].astype(np.uint16) << 8) | second[part], minlength=1 << 16)
    return table.reshape(256, 256)


class ZonesSink:
    """Adds up a map by zone; zones may overlap each other and reach over the scene's edge."""

    def __init__(
        self,
        grid: Grid,
        table: ClassTable,
        *,
        identifiers: Sequence[Any],
        geometries: Sequence[Any],
        totals: Sequence[float],
    ) -> None:
        """``geometries`` in the grid's CRS; ``totals``: geodesic m² of each whole zone."""
        self._table, self._identifiers, self._totals = table, tuple(identifiers), tuple(totals)
        self._layers = ZoneLayers(geometries, grid)
        self._areas = np.zeros((len(self._identifiers), 256))

    def add(self, strip: LandcoverStrip) -> None:
        """Add one strip."""
        for zone_of in self._layers.read(strip.window):
            inside = zone_of >= 0
            if inside.any():
                key = zone_of[inside].astype(np.int64) * 256 + strip.codes[inside]
                areas = strip.areas.at(*np.nonzero(inside))
                self._areas += np.bincount(key, areas, self._areas.size).reshape(self._areas.shape)

    def rows(self) -> list[dict[str, Any]]:
        """One row a zone, in the order given: the fields of layer ``zones``: ``zone_id``, ``observed_percent``,
        ``unknown_m2`` and ``class_CODE_m2`` of every class of the map."""
        rows = []
        for identifier, areas, whole in zip(self._identifiers, self._areas, self._totals, strict=True):
            observed = float(areas.sum() - areas[NOT_OBSERVED])
            rows.append(
                {
                    "zone_id": identifier,
                    "observed_percent": round(min(100.0, 100.0 * observed / whole), 2) if whole > 0 else 0.0,
                    "unknown_m2": round(float(areas[UNKNOWN]), 1),
                    **{f"class_{code}_m2": round(float(areas[code]), 1) for code in self._table.codes},
                }
            )
        return rows
