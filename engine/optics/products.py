"""Which bands the published Sentinel-2 products hold, in file order."""

from __future__ import annotations

from engine.sensors import SENTINEL2

LEVEL_1C = tuple(band.name for band in SENTINEL2.bands)
LEVEL_2A = tuple(name for name in LEVEL_1C if name != "B10")


def bands_by_number(count: int) -> tuple[str, ...] | None:
    """Names of bands that a file leaves unnamed, where their number tells: 13 of Level-1C, 12 of Level-2A."""
    return {len(LEVEL_1C): LEVEL_1C, len(LEVEL_2A): LEVEL_2A}.get(count)
