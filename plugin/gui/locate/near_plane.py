"""The plane that touches the Earth at a place, and one that is good for a whole region."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.core import Qgis, QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsPointXY, QgsProject

from ...compat import scoped

_STEP_DEG = 0.01
_REVERSE = scoped((Qgis, "TransformDirection.Reverse"), (QgsCoordinateTransform, "ReverseTransform"))


def plane_at(lon: float, lat: float) -> QgsCoordinateReferenceSystem:
    """The plane that touches the Earth at a place: metres to the east and to the north of it."""
    return QgsCoordinateReferenceSystem.fromProj(
        f"+proj=aeqd +lat_0={lat:.9f} +lon_0={lon:.9f} +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
    )


@dataclass(frozen=True)
class NearPlane:
    """The plane at a round place within a kilometre: making one takes up to 0.1 s, and the candidates of a region are
    close to each other. In it north is off by less than 0.01°, lengths by less than a millionth."""

    at: tuple[float, float]
    crs: QgsCoordinateReferenceSystem

    @staticmethod
    def round(place: QgsPointXY) -> tuple[float, float]:
        """Longitude and latitude of the plane for a place (degrees, EPSG:4326)."""
        return round(place.x() / _STEP_DEG) * _STEP_DEG, round(place.y() / _STEP_DEG) * _STEP_DEG

    @classmethod
    def near(cls, place: QgsPointXY) -> NearPlane:
        """The plane for a place (degrees, EPSG:4326)."""
        at = cls.round(place)
        return cls(at, plane_at(*at))

    def of(self, place: QgsPointXY) -> QgsPointXY:
        """A place (degrees, EPSG:4326) in the plane, in metres."""
        return self._turn().transform(place)

    def beside(self, place: QgsPointXY, east_m: float, north_m: float) -> QgsPointXY:
        """The place so many metres to the east and north of another, both in degrees."""
        there = self.of(place)
        return self._turn().transform(QgsPointXY(there.x() + east_m, there.y() + north_m), _REVERSE)

    def offset(self, place: QgsPointXY, other: QgsPointXY) -> tuple[float, float]:
        """How many metres ``other`` is to the east and north of a place, both in degrees."""
        here, there = self.of(place), self.of(other)
        return there.x() - here.x(), there.y() - here.y()

    def _turn(self) -> QgsCoordinateTransform:
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        return QgsCoordinateTransform(degrees, self.crs, QgsProject.instance().transformContext())
