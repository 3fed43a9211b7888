"""Where one looks in a photo: the direction, the angle of view, and how far one can turn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .projection import FULL_CIRCLE

if TYPE_CHECKING:
    from .facts import Photo

NARROWEST, WIDEST = 4.0, 120.0
_POINTS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")


@dataclass(frozen=True)
class Sight:
    """``turn``: degrees to the right of the photo's middle, −180…180; ``pitch``: up; ``fov``: horizontal angle."""

    turn: float = 0.0
    pitch: float = 0.0
    fov: float = 90.0

    def degrees_per_pixel(self, columns: int) -> float:
        """Degrees that a pixel in the middle spans, ``columns`` pixels being ``fov`` wide."""
        return math.degrees(2 * math.tan(math.radians(self.fov) / 2) / max(1, columns))

    def dragged(self, right: float, down: float, columns: int) -> Sight:
        """The photo was pulled so many pixels: what was under the pointer follows it."""
        step = self.degrees_per_pixel(columns)
        steep = max(0.2, math.cos(math.radians(self.pitch)))
        return replace(self, turn=self.turn - right * step / steep, pitch=self.pitch + down * step)

    def zoomed(self, factor: float, right: float = 0.0, down: float = 0.0, columns: int = 1) -> Sight:
        """Seen ``factor`` times as large; what stands so many pixels off the middle stays where it is."""
        focal = 1 / math.tan(math.radians(self.fov) / 2)
        closer = replace(self, fov=2 * math.degrees(math.atan(1 / (focal * factor))))
        step = self.degrees_per_pixel(columns) - closer.degrees_per_pixel(columns)
        steep = max(0.2, math.cos(math.radians(self.pitch)))
        return replace(closer, turn=closer.turn + right * step / steep, pitch=closer.pitch - down * step)


@dataclass(frozen=True)
class Reach:
    """How far one can turn in a photo: ``turn`` either way from its middle (None: round), pitches, angles of view."""

    turn: float | None
    lowest: float
    highest: float
    widest: float

    @staticmethod
    def of(photo: Photo) -> Reach:
        """All directions of a panorama; in other photos the middle of the view stays on the photo."""
        if photo.kind == "photo":
            half = min(89.0, photo.vfov_deg / 2)
            return Reach(photo.hfov_deg / 2, photo.pitch_deg - half, photo.pitch_deg + half, 150.0)
        middle, half = photo.pitch_deg + photo.pitch_center_deg, photo.vfov_deg / 2
        turn = None if photo.hfov_deg >= FULL_CIRCLE else photo.hfov_deg / 2
        return Reach(turn, middle - half, middle + half, WIDEST)

    def keep(self, sight: Sight) -> Sight:
        """The nearest sight that can be had."""
        turn = (sight.turn + 180.0) % 360.0 - 180.0
        if self.turn is not None:
            turn = min(max(turn, -self.turn), self.turn)
        pitch = min(max(sight.pitch, self.lowest, -90.0), self.highest, 90.0)
        return Sight(turn, pitch, min(max(sight.fov, NARROWEST), self.widest))


def first_sight(photo: Photo, aspect: float) -> Sight:
    """Where one looks at first in a window ``aspect`` times as wide as high: along the horizon in a panorama, at the
    whole of a flat photo."""
    if photo.kind == "photo":
        across = math.tan(math.radians(photo.hfov_deg) / 2)
        upright = math.tan(math.radians(photo.vfov_deg) / 2) * aspect
        return Reach.of(photo).keep(Sight(0.0, photo.pitch_deg, 2 * math.degrees(math.atan(max(across, upright)))))
    whole = min(90.0, photo.hfov_deg)
    return Reach.of(photo).keep(Sight(0.0, 0.0, whole))


def compass_point(azimuth_deg: float) -> str:
    """One of the sixteen points of the compass, for example ``"ESE"``."""
    return _POINTS[round(azimuth_deg / 22.5) % 16]


def spoken_azimuth(azimuth_deg: float) -> str:
    """``"123° ESE"``; whole degrees from 0 to 359."""
    degrees = round(azimuth_deg) % 360
    return f"{degrees}° {compass_point(degrees)}"
