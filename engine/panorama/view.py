"""What part of the sphere an image shows, and how the camera was held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from engine.errors import ParameterError
from engine.panorama.circle import FULL_CIRCLE


@dataclass(frozen=True)
class PanoramaView:
    """An equirectangular image, or a part of one: columns are equal steps of azimuth, rows equal steps of pitch.

    All in degrees. ``heading_deg``: compass direction of the image centre, 0 where unknown (the caller knows that it
    is). ``hfov_deg`` (0, 360], ``vfov_deg`` (0, 180]: the spans from edge to edge. ``pitch_center_deg``: pitch of the
    image's middle row in the camera's own frame, positive up. ``pitch_deg`` and ``roll_deg``: the camera's, as GPano
    has them (nose up; turned clockwise as seen from behind, so that the horizon tips the other way). Raises
    ParameterError for values that are not finite or outside these ranges.
    """

    heading_deg: float = 0.0
    hfov_deg: float = 360.0
    vfov_deg: float = 180.0
    pitch_center_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise ParameterError(f"{field.name} of a panorama is {value}; expected a number of degrees.")
        for name, most in (("hfov_deg", 360.0), ("vfov_deg", 180.0)):
            value = getattr(self, name)
            if not 0 < value <= most + 1e-6:
                raise ParameterError(f"{name} of a panorama is {value:g}; expected more than 0 and at most {most:g}.")
        top, bottom = (abs(self.pitch_center_deg + sign * self.vfov_deg / 2) for sign in (1, -1))
        if max(top, bottom) > 90.5:
            raise ParameterError(
                f"A panorama of {self.vfov_deg:g}° around a pitch of {self.pitch_center_deg:g}° reaches past the "
                f"pole; expected −90° to 90°.",
                remedy="Give pitch_center_deg, the pitch of the image's middle row, or a smaller vfov_deg.",
            )

    @property
    def closed(self) -> bool:
        """True where the last column lies beside the first."""
        return self.hfov_deg >= FULL_CIRCLE

    @property
    def level(self) -> bool:
        """True for a camera that was held upright."""
        return self.pitch_deg == 0 and self.roll_deg == 0

    def turned(self, degrees: float) -> PanoramaView:
        """The same image whose centre looks ``degrees`` further clockwise."""
        return replace(self, heading_deg=(self.heading_deg + degrees) % 360.0)

    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) rows right, forward and up of the camera in the world's frame east, north, up."""
        h, p, r = np.radians([self.heading_deg, self.pitch_deg, self.roll_deg])
        ahead = np.array([math.sin(h), math.cos(h), 0.0])
        side = np.array([math.cos(h), -math.sin(h), 0.0])
        sky = np.array([0.0, 0.0, 1.0])
        forward = math.cos(p) * ahead + math.sin(p) * sky
        lifted = -math.sin(p) * ahead + math.cos(p) * sky
        right = math.cos(r) * side - math.sin(r) * lifted
        up = math.sin(r) * side + math.cos(r) * lifted
        return np.stack([right, forward, up])

    def centred_at(self, azimuth_deg: float) -> PanoramaView:
        """The same camera with its forward axis turned by ``azimuth_deg`` about its own up axis: what a crop whose
        middle column stands there is a view of. For a level camera this is :meth:`turned`."""
        a = math.radians(azimuth_deg)
        right, forward, up = self.rotation()
        ahead = math.cos(a) * forward + math.sin(a) * right
        side = math.cos(a) * right - math.sin(a) * forward
        pitch = math.asin(max(-1.0, min(1.0, float(ahead[2]))))
        level_side = np.array([ahead[1], -ahead[0], 0.0])
        length = float(np.linalg.norm(level_side))
        if length < 1e-9:  # looks straight up or down: all the turn is heading
            return replace(self, heading_deg=math.degrees(math.atan2(-side[1], side[0])) % 360.0,
                           pitch_deg=math.degrees(pitch), roll_deg=0.0)  # fmt: skip
        level_side /= length
        lifted = np.cross(level_side, ahead)
        roll = math.atan2(float(up @ level_side), float(up @ lifted))
        return replace(
            self,
            heading_deg=math.degrees(math.atan2(float(ahead[0]), float(ahead[1]))) % 360.0,
            pitch_deg=math.degrees(pitch),
            roll_deg=math.degrees(roll),
        )


def views_of(view: PanoramaView | Sequence[PanoramaView], count: int) -> list[PanoramaView]:
    """One view, or ``count`` views; raises ParameterError for another number of them."""
    views = [view] if isinstance(view, PanoramaView) else list(view)
    if len(views) not in (1, count) or not views:
        raise ParameterError(f"{count} images came with {len(views)} views; expected one view, or one for each.")
    return views[:1] if all(one == views[0] for one in views) else views
