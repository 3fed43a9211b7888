"""Change by zone: sums for polygons that may overlap each other and reach over the maps' edge."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.legends import NOT_OBSERVED
from engine.mapping.landcover.naming import Naming
from engine.raster.area import polygon_area_m2
from engine.raster.grid import Grid, Window
from engine.raster.vector import Regions, ZoneLayers

U8 = NDArray[np.uint8]


class ChangeZones:
    """Adds up m² by zone and pair of classes. ``zones`` in the grid's CRS."""

    def __init__(self, zones: Regions, grid: Grid) -> None:
        self.zones = zones
        self._layers = ZoneLayers(list(zones.geometries), grid)
        self._whole = [polygon_area_m2(geometry, grid.crs) for geometry in zones.geometries]
        self._sums: dict[int, float] = {}

    def add(self, window: Window, one: U8, other: U8, areas: NDArray[np.float64]) -> None:
        """Add a strip of classes before and after."""
        spread = np.broadcast_to(areas, one.shape)
        seen = (one != NOT_OBSERVED) & (other != NOT_OBSERVED)
        for zone_of in self._layers.read(window):
            chosen = seen & (zone_of >= 0)
            if not chosen.any():
                continue
            pair = one[chosen].astype(np.int64) << 8 | other[chosen]
            keys, place = np.unique(zone_of[chosen].astype(np.int64) << 16 | pair, return_inverse=True)
            for key, area in zip(keys, np.bincount(place, spread[chosen]), strict=True):
                self._sums[int(key)] = self._sums.get(int(key), 0.0) + float(area)

    def rows(self, naming: Naming) -> list[dict[str, Any]]:
        """One row a zone, in the order given: fields of layer ``zones``."""
        compared, changed = np.zeros((2, len(self.zones)))
        largest: dict[int, tuple[float, int]] = {}
        for key, area in self._sums.items():
            zone, pair = key >> 16, key & 0xFFFF
            compared[zone] += area
            if pair >> 8 != pair & 0xFF:
                changed[zone] += area
                largest[zone] = max(largest.get(zone, (0.0, 0)), (area, pair))
        rows = []
        for zone, name in enumerate(self.zones.ids):
            area, pair = largest.get(zone, (0.0, 0))
            whole = self._whole[zone]
            rows.append(
                {
                    "zone_id": name,
                    "compared_m2": round(float(compared[zone]), 1),
                    "changed_m2": round(float(changed[zone]), 1),
                    "changed_percent": round(100 * changed[zone] / compared[zone], 3) if compared[zone] > 0 else None,
                    "compared_percent": round(min(100.0, 100 * compared[zone] / whole), 2) if whole > 0 else 0.0,
                    "largest_change": f"{naming.name(pair >> 8)} → {naming.name(pair & 0xFF)}" if area else None,
                    "largest_change_m2": round(area, 1),
                }
            )
        return rows

    def changes(self, naming: Naming) -> list[dict[str, Any]]:
        """One row a zone and pair of classes that occurs in it, what stayed included."""
        return [
            {
                "zone_id": self.zones.ids[key >> 16],
                "from_code": key >> 8 & 0xFF,
                "from_name": naming.name(key >> 8 & 0xFF),
                "to_code": key & 0xFF,
                "to_name": naming.name(key & 0xFF),
                "area_m2": round(area, 1),
            }
            for key, area in sorted(self._sums.items())
        ]
