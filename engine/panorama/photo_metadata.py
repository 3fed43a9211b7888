"""What a photo's file says of where, when and how it was taken: EXIF and XMP GPano, whatever state they are in.

EXIF 2.32 (CIPA DC-008) and Google's Photo Sphere XMP (http://ns.google.com/photos/1.0/panorama/). GPano is read by a
pattern, not by an XML reader: its properties are plain numbers and words, packets in the wild are often broken, and
foreign XML has no place in a reader of photos.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from PIL import ExifTags, Image

T = TypeVar("T")


@dataclass(frozen=True)
class ExifFacts:
    """Of EXIF, None where absent or unusable. ``position`` (longitude, latitude) in degrees; ``direction_deg`` compass
    direction of the image centre; ``focal_35mm`` the equivalent focal length in millimetres; ``altitude_m`` above sea
    level; ``orientation`` as :func:`read_orientation` has it; ``camera`` its make and model, may be empty."""

    position: tuple[float, float] | None = None
    direction_deg: float | None = None
    magnetic: bool = False
    taken_at: datetime | None = None
    focal_35mm: float | None = None
    altitude_m: float | None = None
    orientation: int = 1
    camera: str = ""

    @property
    def on_its_side(self) -> bool:
        """Whether the image as it lies in the file is turned by a quarter."""
        return self.orientation >= 5


@dataclass(frozen=True)
class PanoFacts:
    """Of XMP GPano, None where absent or unusable; ``full`` and ``crop_size`` are (width, height) and ``crop_at``
    (left, top) in pixels of the file as it was taken."""

    projection: str | None = None
    full: tuple[int, int] | None = None
    crop_size: tuple[int, int] | None = None
    crop_at: tuple[int, int] | None = None
    heading_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    taken_at: datetime | None = None


def read_exif(image: Image.Image, problems: list[str]) -> ExifFacts:
    """EXIF of an open image; what is damaged is told in ``problems`` and left out."""
    exif = _attempt(image.getexif, "EXIF", problems)
    if not exif:
        return ExifFacts()
    gps = _attempt(lambda: dict(exif.get_ifd(ExifTags.IFD.GPSInfo)), "EXIF GPS", problems) or {}
    more = _attempt(lambda: dict(exif.get_ifd(ExifTags.IFD.Exif)), "EXIF", problems) or {}
    direction = _number(gps.get(ExifTags.GPS.GPSImgDirection))
    if direction is not None and not 0 <= direction <= 360:
        problems.append(f"The direction in EXIF is {direction:g}; expected 0 to 360: it is not used.")
        direction = None
    return ExifFacts(
        position=_position(gps, problems),
        direction_deg=None if direction is None else direction % 360.0,
        magnetic=_text(gps.get(ExifTags.GPS.GPSImgDirectionRef)).upper() == "M",
        taken_at=_taken_at(gps, more),
        focal_35mm=_positive(more.get(ExifTags.Base.FocalLengthIn35mmFilm)),
        altitude_m=_altitude(gps),
        orientation=_orientation(image, exif),
        camera=_camera(_text(exif.get(ExifTags.Base.Make)), _text(exif.get(ExifTags.Base.Model))),
    )


def read_gpano(image: Image.Image, problems: list[str]) -> PanoFacts:
    """GPano of an open image; what is damaged is told in ``problems`` and left out."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    found = dict(re.findall(r"\bGPano:(\w+)\s*=\s*[\"']([^\"'<]{0,100})[\"']", text))
    found |= dict(re.findall(r"<GPano:(\w+)[^>]{0,200}>\s*([^<]{0,100}?)\s*</GPano:", text))

    def number(name: str) -> float | None:
        value = _number(found.get(name))
        if value is None and found.get(name, "").strip():
            problems.append(f"GPano {name} is {found[name]!r}; expected a number: it is not used.")
        return value

    def pair(first: str, second: str, least: int) -> tuple[int, int] | None:
        values = number(first), number(second)
        if values[0] is None or values[1] is None or min(values[0], values[1]) < least or max(values) > 1e6:  # type: ignore[type-var, operator]
            return None
        return int(values[0]), int(values[1])

    return PanoFacts(
        projection=found.get("ProjectionType", "").strip().lower() or None,
        full=pair("FullPanoWidthPixels", "FullPanoHeightPixels", 1),
        crop_size=pair("CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels", 1),
        crop_at=pair("CroppedAreaLeftPixels", "CroppedAreaTopPixels", 0),
        heading_deg=number("PoseHeadingDegrees"),
        pitch_deg=number("PosePitchDegrees"),
        roll_deg=number("PoseRollDegrees"),
        taken_at=_iso(found.get("FirstPhotoDate", "")),
    )


def _attempt(read: Callable[[], T], what: str, problems: list[str]) -> T | None:
    """What ``read`` gives; Pillow raises almost anything on damaged metadata, and a photo is not worth less for it."""
    try:
        return read()
    except Exception as error:
        problems.append(f"The {what} of the file is damaged ({' '.join(str(error).split())[:80]}): it is not used.")
        return None


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _positive(value: Any) -> float | None:
    found = _number(value)
    return found if found is not None and found > 0 else None


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\x00 ")


def _position(gps: Mapping[int, Any], problems: list[str]) -> tuple[float, float] | None:
    degrees = []
    for tag, ref, negative, limit in (
        (ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180.0),
        (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90.0),
    ):
        value = gps.get(tag)
        if value is None:
            return None
        parts = [_number(part) for part in value] if isinstance(value, (tuple, list)) else [_number(value)]
        known = [part for part in parts if part is not None]
        found = sum(part / 60**k for k, part in enumerate(known))
        if len(known) != len(parts) or not parts or abs(found) > limit:
            problems.append("The position in EXIF is not a number of degrees: it is not used.")
            return None
        degrees.append(-found if _text(gps.get(ref)).upper() == negative else found)
    if degrees == [0.0, 0.0]:
        problems.append("The position in EXIF is 0° N 0° E, which cameras write without a fix: it is not used.")
        return None
    return degrees[0], degrees[1]


def _altitude(gps: Mapping[int, Any]) -> float | None:
    found = _number(gps.get(ExifTags.GPS.GPSAltitude))
    ref = gps.get(ExifTags.GPS.GPSAltitudeRef)
    below = (ref[:1] == b"\x01") if isinstance(ref, bytes) else ref == 1
    return found if found is None or not below else -abs(found)


def read_orientation(image: Image.Image) -> int:
    """How an open image must be turned to stand upright, 1 to 8 as EXIF has it; 1 where that is not known or damaged,
    and for TIFF, which Pillow turns itself."""
    exif = _attempt(image.getexif, "EXIF", [])
    return 1 if exif is None else _orientation(image, exif)


def _orientation(image: Image.Image, exif: Image.Exif) -> int:
    found = _number(exif.get(ExifTags.Base.Orientation)) if image.format != "TIFF" else None
    return int(found) if found is not None and 1 <= found <= 8 else 1


def _camera(make: str, model: str) -> str:
    """Make and model; many models begin with the make."""
    return model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def _taken_at(gps: Mapping[int, Any], more: Mapping[int, Any]) -> datetime | None:
    day, clock = _text(gps.get(ExifTags.GPS.GPSDateStamp)), gps.get(ExifTags.GPS.GPSTimeStamp)
    if day and isinstance(clock, (tuple, list)) and len(clock) == 3:
        parts = [_number(part) for part in clock]
        if all(part is not None for part in parts):
            stamp = f"{day} {int(parts[0]):02d}:{int(parts[1]):02d}:{int(parts[2]):02d}"  # type: ignore[arg-type]
            found = _camera_time(stamp)
            if found:
                return found.replace(tzinfo=timezone.utc)
    for tag in (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized):
        found = _camera_time(_text(more.get(tag)))
        if found:
            return found
    return None


def _camera_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:19].replace("-", ":"), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip().replace("Z", "+00:00")) if text.strip() else None
    except ValueError:
        return None
