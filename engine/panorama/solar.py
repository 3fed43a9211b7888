"""Where the sun can stand: its azimuth and elevation by day, hour and latitude."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

_LOWEST_DEG, _LONGEST_H = 10.0, 5.0
"""Photos of streets are taken when the sun stands higher than this, so many hours before or after noon."""
_SPREAD_DEG = 6


def sun_position(day_of_year: int, hours_from_noon: float, latitude: float) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the sun in degrees (Cooper's declination; solar time)."""
    tilt = math.radians(23.45) * math.sin(2 * math.pi * (284 + day_of_year) / 365)
    hour, phi = math.radians(15 * hours_from_noon), math.radians(latitude)
    east = -math.cos(tilt) * math.sin(hour)
    north = math.sin(tilt) * math.cos(phi) - math.cos(tilt) * math.sin(phi) * math.cos(hour)
    up = math.sin(tilt) * math.sin(phi) + math.cos(tilt) * math.cos(phi) * math.cos(hour)
    return math.degrees(math.atan2(east, north)) % 360, math.degrees(math.asin(max(-1.0, min(1.0, up))))


@cache
def sun_azimuths(latitude: int) -> NDArray[np.float64]:
    """(360,) how likely the sun stands at azimuth 0.5°, 1.5°, … when a photo is taken, together 1: any day of the year,
    any time within five hours of noon at which it is at least 10° high."""
    found = np.zeros(360)
    for day in range(3, 366, 5):
        for hours in np.arange(-_LONGEST_H, _LONGEST_H + 1e-6, 0.125):
            azimuth, elevation = sun_position(day, float(hours), float(latitude))
            if elevation >= _LOWEST_DEG:
                found[int(azimuth) % 360] += 1
    # Days and hours are steps; the sun is not.
    smooth = sum(np.roll(found, k) for k in range(-_SPREAD_DEG, _SPREAD_DEG + 1))
    kept = np.asarray(smooth / np.sum(smooth))
    kept.setflags(write=False)
    return kept
