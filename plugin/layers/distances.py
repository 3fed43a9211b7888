"""How far places are apart, in metres and in words."""

from __future__ import annotations

import math

EARTH_M = 6_371_008.8


def distance_m(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """Metres between two places in degrees along a sphere of the Earth's mean radius; within 0.6 % of the ellipsoid."""
    a, b = math.radians(lat), math.radians(other_lat)
    turn = math.radians(other_lon - lon)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(turn / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(half)))


def distance_text(metres: float) -> str:
    """``"34 m"``, ``"1.2 km"``, ``"340 km"``."""
    if metres < 999.5:
        return f"{metres:.0f} m"
    return f"{metres / 1000:.1f} km" if metres < 99_950 else f"{metres / 1000:,.0f} km"
