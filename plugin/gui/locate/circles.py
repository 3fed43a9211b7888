"""Circles on the Earth: the ground within so many metres of places."""

from __future__ import annotations

import math

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
)

CORNERS = 72
WGS84 = "EPSG:4326"


def circle(lon: float, lat: float, radius_m: float) -> QgsGeometry:
    """A polygon of :data:`CORNERS` corners, each ``radius_m`` metres from the place on the ellipsoid, in EPSG:4326.

    Of places whose circle holds a pole or crosses the antimeridian the polygon is not one that can be used; raises
    ValueError for them, and for what is no place on the Earth.
    """
    if not (-180 <= lon <= 180 and -90 < lat < 90 and radius_m > 0):
        raise ValueError(f"no place on the Earth: {lon}, {lat}")
    local = QgsCoordinateReferenceSystem()
    local.createFromProj(f"+proj=aeqd +lat_0={lat!r} +lon_0={lon!r} +datum=WGS84 +units=m +no_defs")
    turn = QgsCoordinateTransform(local, QgsCoordinateReferenceSystem(WGS84), QgsProject.instance().transformContext())
    steps = (2 * math.pi * k / CORNERS for k in range(CORNERS))
    ring = [turn.transform(QgsPointXY(radius_m * math.sin(a), radius_m * math.cos(a))) for a in steps]
    if max(abs(point.x() - lon) for point in ring) > 90:
        raise ValueError("the circle crosses the antimeridian or holds a pole")
    return QgsGeometry.fromPolygonXY([ring])


def circles(places: list[tuple[float, float]], radius_m: float) -> QgsGeometry:
    """The ground within ``radius_m`` of any of ``places`` (longitude, latitude), in EPSG:4326; raises ValueError."""
    return QgsGeometry.unaryUnion([circle(lon, lat, radius_m) for lon, lat in places])
