"""When an image was taken: from tags or from the name of a Sentinel product."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import NamedTuple

# In order of trust. TIFFTAG_DATETIME comes after the product's name: many programs write the time of processing there.
_TAGS = ("ACQUIRED", "ACQUISITION_TIME", "ACQUISITION_DATETIME", "ACQUISITIONDATETIME", "PRODUCT_START_TIME")
_TAGS_MORE = ("SENSING_TIME", "DATETIME", "START_TIME", "START_DATETIME", "ACQUISITION_DATE")
# S1A_IW_GRDH_1SDV_20211223T051122_…, s1b-iw-grd-vv-20211223t051122-…
# S2A_MSIL2A_20220612T101559_…, T32TNR_20220612T101559_B02…
_PRODUCT = re.compile(
    r"(?:s1[a-d][-_].*?[-_]|s2[a-d]_msil\w\w_|(?<![a-z0-9])t\d{2}[a-z]{3}_)(\d{8})t(\d{6})[-_.z]", re.IGNORECASE
)
_MEASUREMENT = re.compile(r"s1[a-d]-[a-z0-9]{2}-(grd|slc)-[vh]{2}-[^/\\]*$", re.IGNORECASE)
_ISO = re.compile(
    r"^(\d{4})[-:/](\d{2})[-:/](\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$"
)


class Acquired(NamedTuple):
    """``moment`` in UTC; ``date_only`` when only the day is known (then at 00:00)."""

    moment: datetime
    date_only: bool


def parse_time(text: str) -> Acquired | None:
    """An ISO 8601 or TIFF (2021:12:23 05:11:22) date or time; without zone it is UTC. None when it is neither."""
    text = text.strip()
    compact = re.fullmatch(r"(\d{8})(?:T(\d{6}))?Z?", text, re.IGNORECASE)
    try:
        if compact:
            day, clock = compact.groups()
            moment = datetime.strptime(day + (clock or "000000"), "%Y%m%d%H%M%S")
            return Acquired(moment.replace(tzinfo=timezone.utc), clock is None)
        match = _ISO.match(text)
        if match is None:
            return None
        year, month, date, hour, minute, second, fraction, zone = match.groups()
        iso = f"{year}-{month}-{date}T{hour or '00'}:{minute or '00'}:{second or '00'}"
        if fraction:
            iso += f".{fraction[1:7]:0<6}"
        if zone and zone not in ("Z", "UTC"):
            iso += zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
        else:
            iso += "+00:00"
        return Acquired(datetime.fromisoformat(iso).astimezone(timezone.utc), hour is None)
    except (ValueError, OverflowError):
        return None


def is_measurement(path: str) -> bool:
    """True when the path is named as the measurement files inside a Sentinel-1 product are (s1a-iw-grd-vv-…)."""
    return _MEASUREMENT.search(path) is not None


def find_acquired(tags: Mapping[str, str], path: str) -> Acquired | None:
    """The time of acquisition from a file's tags, else from the name of a Sentinel product in its path."""
    upper = {key.upper(): value for key, value in tags.items()}
    named = _PRODUCT.search(path)
    candidates = [upper.get(key, "") for key in _TAGS]
    candidates.append(f"{named[1]}T{named[2]}" if named else "")
    candidates += [upper.get(key, "") for key in (*_TAGS_MORE, "TIFFTAG_DATETIME")]
    return next((found for found in map(parse_time, candidates) if found), None)
