"""The GPS directory of an EXIF block, written anew while every other byte stays where it is.

EXIF 2.32 (CIPA DC-008) is a TIFF file in small. Maker notes hold offsets into the block that only their makers know:
so nothing moves. The new directory is put behind the block's end, and the one pointer to it is changed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from PIL.ExifTags import GPS, IFD

Order = Literal["little", "big"]
BYTE, ASCII, LONG, RATIONAL, UNDEFINED = 1, 2, 4, 5, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_KEPT = (GPS.GPSTimeStamp, GPS.GPSDateStamp)
_KEPT_NEARBY = (GPS.GPSAltitudeRef, GPS.GPSAltitude)
_DIRECTION = (GPS.GPSImgDirectionRef, GPS.GPSImgDirection)
_SECOND = 100_000
"""Parts of an arc second that are written: 0.3 mm."""


class ExifDamagedError(ValueError):
    """The block is no EXIF that can be changed."""


@dataclass(frozen=True)
class _Entry:
    """A value of a directory; ``data`` in the block's byte order."""

    kind: int
    count: int
    data: bytes


def with_position(
    block: bytes | None,
    *,
    lon: float,
    lat: float,
    heading_deg: float | None,
    accuracy_m: float | None,
    keep_altitude: bool,
) -> bytes:
    """The EXIF block (after ``Exif 00 00``; None for none) with this position, in degrees EPSG:4326.

    ``heading_deg``: direction of the image from true north; None keeps the one that is there. Kept are the time of the
    GPS and, with ``keep_altitude``, the altitude; what else described another fix (speed, satellites, …) goes. The
    position is marked as found by hand (GPSProcessingMethod MANUAL), ``accuracy_m`` is GPSHPositioningError. Raises
    ExifDamagedError.
    """
    data = block if block else b"II*\x00\x08\x00\x00\x00" + bytes(6)
    order = _order(data)
    first = int.from_bytes(data[4:8], order)
    entries, following = _directory(data, first, order)
    old = _old_gps(data, entries, order)
    kept = (*_KEPT, *(_KEPT_NEARBY if keep_altitude else ()), *(_DIRECTION if heading_deg is None else ()))
    gps = {tag: old[tag] for tag in kept if tag in old} | _position_entries(lon, lat, heading_deg, accuracy_m, order)
    out = bytearray(data + bytes(len(data) % 2))
    at = len(out)
    out += _serialised(gps, at, order)
    pointer = at.to_bytes(4, order)
    if IFD.GPSInfo in entries:
        where = _place_of(data, first, IFD.GPSInfo, order)
        out[where : where + 8] = struct.pack(_format("HHI", order), IFD.GPSInfo, LONG, 1)
        out[where + 8 : where + 12] = pointer
    else:
        entries[IFD.GPSInfo] = _Entry(LONG, 1, pointer)
        out += bytes(len(out) % 2)
        out[4:8] = len(out).to_bytes(4, order)
        out += _serialised(entries, len(out), order, following=following)
    return bytes(out)


def _order(data: bytes) -> Order:
    orders: dict[bytes, Order] = {b"II*\x00": "little", b"MM\x00*": "big"}
    if data[:4] not in orders or len(data) < 8:
        raise ExifDamagedError("the header is not that of a TIFF")
    return orders[data[:4]]


def _format(text: str, order: Order) -> str:
    return ("<" if order == "little" else ">") + text


def _directory(data: bytes, at: int, order: Order) -> tuple[dict[int, _Entry], int]:
    """Entries by tag, and the offset of the directory that follows."""
    count = int.from_bytes(data[at : at + 2], order)
    end = at + 2 + 12 * count
    if at < 8 or end > len(data):
        raise ExifDamagedError(f"the directory at byte {at} is cut off")
    entries = {}
    for place in range(at + 2, end, 12):
        tag, kind, number = struct.unpack(_format("HHI", order), data[place : place + 8])
        size = _SIZES.get(kind, 0) * number
        start = place + 8 if size <= 4 else int.from_bytes(data[place + 8 : place + 12], order)
        # Values of unknown kind or outside of the block stay what they are: four bytes.
        known = size > 0 and start + size <= len(data)
        entries[tag] = _Entry(kind, number, data[start : start + size] if known else data[place + 8 : place + 12])
    return entries, int.from_bytes(data[end : end + 4], order)


def _place_of(data: bytes, at: int, tag: int, order: Order) -> int:
    count = int.from_bytes(data[at : at + 2], order)
    places = range(at + 2, at + 2 + 12 * count, 12)
    return next(place for place in reversed(places) if int.from_bytes(data[place : place + 2], order) == tag)


def _old_gps(data: bytes, entries: Mapping[int, _Entry], order: Order) -> dict[int, _Entry]:
    if IFD.GPSInfo not in entries:
        return {}
    try:
        return _directory(data, int.from_bytes(entries[IFD.GPSInfo].data[:4], order), order)[0]
    except ExifDamagedError:  # nothing of it can be kept, and nothing of it could be read
        return {}


def _position_entries(
    lon: float, lat: float, heading_deg: float | None, accuracy_m: float | None, order: Order
) -> dict[int, _Entry]:
    entries = {
        GPS.GPSVersionID: _Entry(BYTE, 4, b"\x02\x03\x00\x00"),
        GPS.GPSLatitudeRef: _text(b"N" if lat >= 0 else b"S"),
        GPS.GPSLatitude: _angle(lat, order),
        GPS.GPSLongitudeRef: _text(b"E" if lon >= 0 else b"W"),
        GPS.GPSLongitude: _angle(lon, order),
        GPS.GPSMapDatum: _text(b"WGS-84"),
        GPS.GPSProcessingMethod: _Entry(UNDEFINED, 14, b"ASCII\x00\x00\x00MANUAL"),
    }
    if heading_deg is not None:
        entries[GPS.GPSImgDirectionRef] = _text(b"T")
        entries[GPS.GPSImgDirection] = _rationals([(round(heading_deg * 100) % 36000, 100)], order)
    if accuracy_m is not None:
        entries[GPS.GPSHPositioningError] = _rationals([(round(accuracy_m * 100), 100)], order)
    return {int(tag): entry for tag, entry in entries.items()}


def _text(value: bytes) -> _Entry:
    return _Entry(ASCII, len(value) + 1, value + b"\x00")


def _angle(degrees: float, order: Order) -> _Entry:
    parts = round(abs(degrees) * 3600 * _SECOND)
    minutes, seconds = divmod(parts, 60 * _SECOND)
    return _rationals([(minutes // 60, 1), (minutes % 60, 1), (seconds, _SECOND)], order)


def _rationals(values: list[tuple[int, int]], order: Order) -> _Entry:
    flat = [number for pair in values for number in pair]
    return _Entry(RATIONAL, len(values), struct.pack(_format(f"{len(flat)}I", order), *flat))


def _serialised(entries: Mapping[int, _Entry], at: int, order: Order, *, following: int = 0) -> bytes:
    """A directory that will stand at byte ``at``, its values behind it."""
    head = struct.pack(_format("H", order), len(entries))
    values = b""
    start = at + 2 + 12 * len(entries) + 4
    for tag in sorted(entries):
        entry = entries[tag]
        field = entry.data.ljust(4, b"\x00")
        if len(entry.data) > 4:
            field = (start + len(values)).to_bytes(4, order)
            values += entry.data + bytes(len(entry.data) % 2)
        head += struct.pack(_format("HHI", order), tag, entry.kind, entry.count) + field
    return head + following.to_bytes(4, order) + values
