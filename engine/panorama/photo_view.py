"""What a photo shows, told from its size and its metadata: of a panorama, a strip, or a photo of one lens. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.panorama.photo_metadata import ExifFacts, PanoFacts
from engine.panorama.view import PanoramaView

LENS_DEG = 65.0
"""Horizontal angle of view where a lens says nothing: that of a phone's main camera held level."""


@dataclass(frozen=True)
class Shown:
    """``view`` of the image; ``heading_known`` False: its heading is 0 for want of better. ``is_panorama`` False: the
    pixels are those of a plane, and belong upright (EXIF's orientation)."""

    view: PanoramaView
    heading_known: bool
    is_panorama: bool


def shown_by(
    size: tuple[int, int],
    exif: ExifFacts,
    pano: PanoFacts,
    problems: list[str],
    *,
    hfov_deg: float | None = None,
    vfov_deg: float | None = None,
    pitch_center_deg: float | None = None,
) -> Shown:
    """What an image of ``size`` (width, height; as it lies in the file) shows.

    ``hfov_deg``, ``vfov_deg`` and ``pitch_center_deg`` say what a strip without metadata shows, and stand before what
    its file says. What was missing, odd or damaged is told in ``problems``. Raises ParameterError for angles that
    cannot be.
    """
    strip = hfov_deg is not None or vfov_deg is not None
    if not (strip or pano.projection == "equirectangular" or _twice_as_wide(size)):
        upright = size[::-1] if exif.on_its_side else size
        view, known = _lens_view((upright[0], upright[1]), exif, pano, problems)
        return Shown(view, known, False)
    view, known = _panorama_view(size, exif, pano, problems)
    asked = {"hfov_deg": hfov_deg, "vfov_deg": vfov_deg, "pitch_center_deg": pitch_center_deg}
    if strip:
        if hfov_deg is None:
            asked["hfov_deg"] = min(360.0, float(vfov_deg or 180.0) * size[0] / size[1])
        if vfov_deg is None:
            asked["vfov_deg"] = min(180.0, float(hfov_deg or 360.0) * size[1] / size[0])
        asked["pitch_center_deg"] = pitch_center_deg or 0.0
    return Shown(_with(view, {k: v for k, v in asked.items() if v is not None}), known, True)


def _twice_as_wide(size: tuple[int, int]) -> bool:
    return abs(size[0] / size[1] - 2.0) <= 0.02


def _panorama_view(
    size: tuple[int, int], exif: ExifFacts, pano: PanoFacts, problems: list[str]
) -> tuple[PanoramaView, bool]:
    """The view of an equirectangular image and whether its heading is known."""
    if pano.projection not in (None, "equirectangular"):
        problems.append(f"GPano says the projection is {pano.projection}; by its shape it is taken as equirectangular.")
    if pano.projection is None:
        problems.append("No GPano metadata: taken as a full panorama by its shape, twice as wide as high.")
    heading, known = _heading(exif, pano, problems)
    pitch, roll = pano.pitch_deg or 0.0, pano.roll_deg or 0.0
    if abs(pitch) > 90 or abs(roll) > 180:
        problems.append(f"GPano has a pitch of {pitch:g}° and a roll of {roll:g}°, which cannot be: taken as level.")
        pitch = roll = 0.0
    view = PanoramaView(heading_deg=heading, pitch_deg=pitch, roll_deg=roll)
    full, part, at = pano.full, pano.crop_size or size, pano.crop_at or (0, 0)
    if full is None:
        if not _twice_as_wide(size):
            problems.append("GPano names no full size, and the image is not twice as wide as high: taken as full.")
        return view, known
    shape_fits = abs(part[0] / part[1] - size[0] / size[1]) <= 0.02 * size[0] / size[1]
    if at[0] + part[0] > full[0] or at[1] + part[1] > full[1] or not shape_fits:
        problems.append("The crop in GPano does not fit the image: taken as a full panorama.")
        return view, known
    middle = (at[0] + part[0] / 2) / full[0] * 360 - 180
    turned = view.centred_at(middle) if abs(middle) > 1e-9 else view
    return _with(
        turned,
        {
            "hfov_deg": 360 * part[0] / full[0],
            "vfov_deg": 180 * part[1] / full[1],
            "pitch_center_deg": 90 - 180 * (at[1] + part[1] / 2) / full[1],
        },
    ), known


def _heading(exif: ExifFacts, pano: PanoFacts, problems: list[str]) -> tuple[float, bool]:
    """Compass direction of the (full) image's centre and whether it is known."""
    written = pano.heading_deg
    if written == 0.0 and not pano.pitch_deg and not pano.roll_deg:
        written = None  # cameras without a compass write three zeros
        if exif.direction_deg is None:
            problems.append("GPano has the heading 0 with pitch and roll 0, which cameras write that know none.")
    if exif.magnetic and exif.direction_deg is not None and written is None:
        problems.append("The direction is from magnetic north, which may be several degrees off true north.")
    if written is not None and exif.direction_deg is not None:
        apart = abs((written - exif.direction_deg + 180) % 360 - 180)
        if apart > 5:
            problems.append(f"GPano and EXIF name directions {apart:.0f}° apart: that of GPano is used.")
    found = written if written is not None else exif.direction_deg
    return (0.0, False) if found is None else (found % 360.0, True)


def _lens_view(
    size: tuple[int, int], exif: ExifFacts, pano: PanoFacts, problems: list[str]
) -> tuple[PanoramaView, bool]:
    width, height = size
    ratio = width / height
    if ratio > 2.1:
        problems.append(
            "Not a full panorama: a strip whose field of view the file does not tell. Give hfov_deg and vfov_deg."
        )
    if exif.focal_35mm:
        half_width = 43.27 / 2 * width / math.hypot(width, height)  # the diagonal of 24 × 36 mm
        hfov = 2 * math.degrees(math.atan(half_width / exif.focal_35mm))
        problems.append(f"Not a panorama: a photo of one lens, {hfov:.0f}° wide by its focal length.")
    else:
        hfov = LENS_DEG
        problems.append(f"Not a panorama: a photo of one lens, taken as {hfov:.0f}° wide for want of a focal length.")
    vfov = 2 * math.degrees(math.atan(math.tan(math.radians(hfov) / 2) / ratio))
    heading, known = _heading(exif, pano, problems)
    return PanoramaView(heading_deg=heading, hfov_deg=hfov, vfov_deg=vfov), known


def _with(view: PanoramaView, changes: dict[str, float]) -> PanoramaView:
    values = {name: getattr(view, name) for name in PanoramaView.__dataclass_fields__}
    return PanoramaView(**(values | changes))
