"""A place on the canvas and its surroundings: what is which way from it, and how large."""

from __future__ import annotations

import math

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QPointF

_A, _E2 = 6378137.0, 0.0066943799901413165  # WGS 84
_STEP_M = 50.0


class MapPlace:
    """A point of any CRS, seen on a canvas of any CRS and rotation. Azimuths are clockwise from true north.

    Raises QgsCsException where the point cannot be brought to longitude and latitude.
    """

    def __init__(self, canvas: QgsMapCanvas, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> None:
        if not crs.isValid():
            raise QgsCsException("a CRS is missing")
        self._canvas = canvas
        to_degrees = QgsCoordinateTransform(crs, _degrees(), QgsProject.instance())
        self._place = _checked(to_degrees.transform(point))
        bend = 1 - _E2 * math.sin(math.radians(self._place.y())) ** 2
        self._north_m = math.radians(1) * _A * (1 - _E2) / bend**1.5
        self._east_m = max(1e-6, math.radians(1) * _A / math.sqrt(bend) * math.cos(math.radians(self._place.y())))

    @property
    def lon_lat(self) -> QgsPointXY:
        """Longitude and latitude, EPSG:4326."""
        return self._place

    def map_point(self) -> QgsPointXY:
        """Where it is in the canvas's CRS; raises QgsCsException where that has no such place."""
        return self._on_map(self._place)

    def pixel(self) -> QPointF:
        """Where it is on the canvas, in pixels; raises QgsCsException."""
        return self._pixel_of(self._place)

    def direction(self, azimuth_deg: float) -> tuple[float, float]:
        """Unit vector on the canvas (right, down) that points to the azimuth there; raises QgsCsException."""
        here, there = self.pixel(), self._pixel_of(self.away(azimuth_deg, _STEP_M))
        right, down = there.x() - here.x(), there.y() - here.y()
        length = math.hypot(right, down)
        if not length > 0:
            raise QgsCsException("the canvas has no size")
        return right / length, down / length

    def azimuth(self, pixel: QPointF) -> float:
        """The azimuth, 0…360, at which a place of the canvas is seen from here; raises QgsCsException."""
        settings = self._canvas.mapSettings()
        to_map, _ = settings.mapToPixel().transform().inverted()
        clicked = QgsPointXY(to_map.map(pixel))
        to_degrees = QgsCoordinateTransform(settings.destinationCrs(), _degrees(), QgsProject.instance())
        there = _checked(to_degrees.transform(clicked))
        east = (there.x() - self._place.x() + 180) % 360 - 180
        north = there.y() - self._place.y()
        return math.degrees(math.atan2(east * self._east_m, north * self._north_m)) % 360.0

    def away(self, azimuth_deg: float, metres: float) -> QgsPointXY:
        """The longitude and latitude so far away (some hundred metres at most)."""
        angle = math.radians(azimuth_deg)
        return QgsPointXY(
            self._place.x() + metres * math.sin(angle) / self._east_m,
            self._place.y() + metres * math.cos(angle) / self._north_m,
        )

    def metres_per_pixel(self) -> float:
        """Metres on the ground that a pixel of the canvas spans here; raises QgsCsException."""
        here = self.pixel()
        spans = []
        for azimuth in (0.0, 90.0):
            there = self._pixel_of(self.away(azimuth, _STEP_M))
            spans.append(math.hypot(there.x() - here.x(), there.y() - here.y()))
        if not min(spans) > 0:
            raise QgsCsException("the canvas has no size")
        return _STEP_M / math.sqrt(spans[0] * spans[1])

    def _pixel_of(self, degrees: QgsPointXY) -> QPointF:
        pixel = self._canvas.mapSettings().mapToPixel().transform(self._on_map(degrees))
        return QPointF(pixel.x(), pixel.y())

    def _on_map(self, degrees: QgsPointXY) -> QgsPointXY:
        canvas_crs = self._canvas.mapSettings().destinationCrs()
        if not canvas_crs.isValid():
            raise QgsCsException("the map has no CRS")
        return _checked(QgsCoordinateTransform(_degrees(), canvas_crs, QgsProject.instance()).transform(degrees))


def _checked(point: QgsPointXY) -> QgsPointXY:
    """Some transforms give infinite coordinates for what they do not know."""
    if not (math.isfinite(point.x()) and math.isfinite(point.y())):
        raise QgsCsException("there is no such place")
    return point


def _degrees() -> QgsCoordinateReferenceSystem:
    return QgsCoordinateReferenceSystem("EPSG:4326")
