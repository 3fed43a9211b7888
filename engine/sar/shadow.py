"""Radar shadow from a terrain model: ground that the beam cannot reach stays dark and looks like water."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

INCLINATION_DEG = 98.18
"""Inclination of the Sentinel-1 orbits."""

INCIDENCE_DEG = 46.0
"""Incidence angle at the far edge of the IW swath (29 to 46 degrees), where shadows are longest."""


def look_azimuth(pass_direction: str, latitude_deg: float) -> float | None:
    """Direction in which Sentinel-1 looks, degrees clockwise from north, in 0..360; None for an unknown pass.

    The heading of a circular orbit of inclination i at latitude φ satisfies sin(heading) = cos(i) / cos(φ); Sentinel-1
    looks to the right. ``pass_direction``: a word that begins with ``asc`` or ``desc`` in any case.
    """
    word = pass_direction.strip().lower()
    ratio = math.cos(math.radians(INCLINATION_DEG)) / max(0.15, math.cos(math.radians(latitude_deg)))
    heading = math.degrees(math.asin(max(-1.0, min(1.0, ratio))))
    if word.startswith("asc"):
        return (heading + 90.0) % 360.0
    if word.startswith("desc"):
        return (180.0 - heading + 90.0) % 360.0
    return None


def shadow_reach(relief_m: float, gsd_m: float, *, incidence_deg: float = INCIDENCE_DEG, limit: int = 256) -> int:
    """Pixels over which terrain of ``relief_m`` can cast a shadow: relief · tan(incidence) / gsd, at most ``limit``."""
    return min(limit, max(1, math.ceil(relief_m * math.tan(math.radians(incidence_deg)) / gsd_m)))


def radar_shadow(
    elevation: NDArray[np.float32],
    *,
    step: tuple[float, float],
    distance_m: float,
    reach: int,
    incidence_deg: float = INCIDENCE_DEG,
) -> NDArray[np.bool_]:
    """Where terrain between a pixel and the radar hides it.

    ``elevation`` (rows, columns) in metres, NaN where unknown (casts no shadow and gets none). ``step``: (rows,
    columns) from a pixel towards the radar, a vector whose longer side is 1; ``distance_m``: its ground length.
    A pixel is hidden when, for some k in 1..``reach``, z(k) − z(0) > k · distance / tan(incidence): the beam comes down
    at 90° − incidence above the horizon. Terrain beyond the array is taken as absent.
    """
    rows, cols = elevation.shape
    hidden = np.zeros(elevation.shape, bool)
    rise = distance_m / math.tan(math.radians(incidence_deg))
    for k in range(1, reach + 1):
        down, right = round(k * step[0]), round(k * step[1])
        if abs(down) >= rows or abs(right) >= cols:
            break
        here = (slice(max(0, -down), rows - max(0, down)), slice(max(0, -right), cols - max(0, right)))
        there = (slice(max(0, down), rows + min(0, down)), slice(max(0, right), cols + min(0, right)))
        with np.errstate(invalid="ignore"):
            hidden[here] |= elevation[there] - elevation[here] > k * rise
    return hidden
