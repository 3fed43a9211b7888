"""A photo's file with another position and heading in its metadata; its pixels are the same bytes."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass, replace

from PIL import Image

from engine.errors import DamagedFileError, InputError
from engine.panorama.photo_metadata import ExifFacts, PanoFacts, read_exif, read_gpano
from engine.panorama.photo_view import Shown, shown_by
from engine.photos import exif_gps, xmp
from engine.photos.jpeg import EXIF, MOST_BYTES, XMP, Jpeg, is_jpeg, read_jpeg

NEARBY_M = 200.0
"""An altitude is kept where the file's own position is no farther away."""
_DEGREE_M = 111_320.0
_NOWHERE_DEG = 1e-8


@dataclass(frozen=True)
class Place:
    """Where a photo was taken: ``lon``, ``lat`` in degrees EPSG:4326; ``heading_deg`` compass direction of the image's
    middle column, or None to leave what the file says; ``accuracy_m``: by how much the place may be off, or None."""

    lon: float
    lat: float
    heading_deg: float | None = None
    accuracy_m: float | None = None


def placed(data: bytes, place: Place, *, name: str) -> tuple[bytes, list[str]]:
    """The bytes of a JPEG photo with ``place`` in its EXIF and, for a panorama, the heading in its XMP GPano.

    Everything else of the metadata stays, as far as it does not describe the earlier position; the pixels are not
    encoded again. The lines say what was done beyond that. ``name`` is the file in messages. Raises InputError for what
    is no JPEG, for metadata without room and for 0° N 0° E, and DamagedFileError. The new file is read again before it
    is given back.
    """
    if not is_jpeg(data):
        raise InputError(
            f"{name}: a position can be written into JPEG photos alone.", remedy="Export the photo as JPEG first."
        )
    if max(abs(place.lon), abs(place.lat)) < _NOWHERE_DEG:
        raise InputError(
            f"{name}: 0° N 0° E is what cameras write that know no position; it would be read as none.",
            remedy="Give the photo's own place.",
        )
    jpeg = read_jpeg(data, name=name)
    before = _read(data, name)
    notes: list[str] = []
    centre = None
    if place.heading_deg is not None:
        # Both places hold the direction of the full panorama's middle; a crop's own middle may look elsewhere.
        centre = round((place.heading_deg - before.offset_deg) * 100) % 36000 / 100
    changed = _with_xmp(_with_exif(jpeg, place, centre, before, notes, name), place, centre, before, notes, name)
    made = changed.to_bytes()
    _check(made, jpeg.image, place, name)
    return made, notes


@dataclass(frozen=True)
class _Read:
    """What a file says: ``size`` (width, height), and by how much its middle column is turned from the middle of the
    full panorama that it was cut from."""

    exif: ExifFacts
    pano: PanoFacts
    shown: Shown
    size: tuple[int, int]

    @property
    def offset_deg(self) -> float:
        headless = replace(self.exif, direction_deg=None), replace(self.pano, heading_deg=None)
        return shown_by(self.size, *headless, []).view.heading_deg


def _read(data: bytes, name: str) -> _Read:
    told: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                exif, pano = read_exif(image, told), read_gpano(image, told)
                return _Read(exif, pano, shown_by(image.size, exif, pano, told), image.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DamagedFileError(f"{name}: the photo is damaged: {error}.", remedy="Copy or export it again.") from error


def _with_exif(jpeg: Jpeg, place: Place, centre: float | None, before: _Read, notes: list[str], name: str) -> Jpeg:
    near = before.exif.position is not None and _apart_m(before.exif.position, place) <= NEARBY_M
    if before.exif.altitude_m is not None and not near:
        notes.append("The altitude in its EXIF belonged to another position: it is left out.")

    def written(block: bytes | None) -> bytes:
        return exif_gps.with_position(
            block,
            lon=place.lon,
            lat=place.lat,
            heading_deg=centre,
            accuracy_m=place.accuracy_m,
            keep_altitude=near,
        )

    try:
        block = written(jpeg.content(EXIF))
    except exif_gps.ExifDamagedError as damage:
        notes.append(f"Its EXIF is damaged ({damage}): the copy has a new one, with position and heading alone.")
        block = written(None)
    return jpeg.with_content(EXIF, block, name=name)


def _with_xmp(jpeg: Jpeg, place: Place, centre: float | None, before: _Read, notes: list[str], name: str) -> Jpeg:
    packet = jpeg.content(XMP)
    pose = {} if centre is None else {"PoseHeadingDegrees": f"{centre:.2f}"}
    if packet is not None:
        packet = xmp.replaced(packet, {**_xmp_position(place, centre), **{f"GPano:{k}": v for k, v in pose.items()}})
    if pose and before.shown.is_panorama:
        properties = {**_full_panorama(before, notes), **pose}
        try:
            packet = xmp.with_gpano(packet or xmp.new_packet(), properties)
        except xmp.XmpDamagedError as damage:
            notes.append(f"Its XMP is damaged ({damage}): the heading stands in EXIF alone.")
    if packet is None or packet == jpeg.content(XMP):
        return jpeg
    if len(XMP) + len(packet) > MOST_BYTES:
        packet = xmp.without_padding(packet)
    return jpeg.with_content(XMP, packet, name=name)


def _full_panorama(before: _Read, notes: list[str]) -> dict[str, str]:
    """GPano's description of an image that has none and is a panorama by its shape: a pose alone says nothing."""
    if before.pano.full is not None:
        return {}
    notes.append("It had no full GPano metadata: the copy says that it is a full 360° panorama.")
    width, height = map(str, before.size)
    return {
        "ProjectionType": "equirectangular",
        "FullPanoWidthPixels": width,
        "FullPanoHeightPixels": height,
        "CroppedAreaImageWidthPixels": width,
        "CroppedAreaImageHeightPixels": height,
        "CroppedAreaLeftPixels": "0",
        "CroppedAreaTopPixels": "0",
    }


def _xmp_position(place: Place, centre: float | None) -> dict[str, str]:
    """Positions that XMP may hold beside EXIF, so that the two do not disagree."""
    heading = {} if centre is None else {
        "exif:GPSImgDirection": f"{round(centre * 100)}/100", "exif:GPSImgDirectionRef": "T",
    }  # fmt: skip
    return {
        "exif:GPSLatitude": _minutes(place.lat, "N", "S"),
        "exif:GPSLongitude": _minutes(place.lon, "E", "W"),
        "drone-dji:GpsLatitude": f"{place.lat:+.7f}",
        "drone-dji:GpsLongitude": f"{place.lon:+.7f}",
        "drone-dji:GpsLongtitude": f"{place.lon:+.7f}",
        **heading,
    }


def _minutes(degrees: float, positive: str, negative: str) -> str:
    """As XMP has it: degrees, minutes with decimals, letter."""
    millionths = round(abs(degrees) * 60_000_000)
    whole, rest = divmod(millionths, 60_000_000)
    return f"{whole},{rest / 1e6:.6f}{positive if degrees >= 0 else negative}"


def _apart_m(position: tuple[float, float], place: Place) -> float:
    east = (position[0] - place.lon + 180) % 360 - 180
    return _DEGREE_M * math.hypot(position[1] - place.lat, east * math.cos(math.radians(place.lat)))


def _check(made: bytes, image: bytes, place: Place, name: str) -> None:
    """What was written is what is read; a copy that says something else must never be made."""
    after = _read(made, name)
    position = after.exif.position or (0.0, 0.0)
    good = _apart_m(position, place) < 0.05
    if place.heading_deg is not None:
        turned = (after.shown.view.heading_deg - place.heading_deg + 180) % 360 - 180
        good = good and after.shown.heading_known and abs(turned) < 0.05
    if not good or read_jpeg(made, name=name).image != image:
        raise DamagedFileError(
            f"{name}: its metadata is in a state in which position and heading cannot be written.",
            remedy="Remove its metadata with another program, then try again.",
        )
