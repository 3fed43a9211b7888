"""Photos as a layer of points, with the fields of QGIS's own "Import geotagged photos" and some more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS

from engine.raster.crs import WGS84
from engine.raster.vector import write_layer, write_table

LAYER, OTHERS = "photos", "without_position"


def write_points(path: Path, photos: Sequence[dict[str, Any]]) -> None:
    """Layer ``photos`` (points with altitude, EPSG:4326) and table ``without_position`` of a GeoPackage.

    ``photos``: facts as of :func:`engine.photos.facts.facts_of`. The first nine fields have the names, types and
    meaning of QGIS's algorithm ``native:importphotos``: photo, filename (without ending), directory, altitude (m),
    direction (degrees clockwise from true north), rotation (by EXIF), longitude and latitude (as text), timestamp (UTC
    where the file tells it). Raises OutputError.
    """
    placed = [photo for photo in photos if photo["lon"] is not None and not photo["fault"]]
    others = [photo for photo in photos if photo["lon"] is None or photo["fault"]]
    points = [shapely.Point(p["lon"], p["lat"], p["altitude_m"] or 0.0) for p in placed]
    fields: dict[str, Any] = {
        **_file_fields(placed),
        "altitude": _numbers(placed, "altitude_m"),
        "direction": _numbers(placed, "heading_deg"),
        "rotation": np.array([p["rotation"] for p in placed], np.int32),
        "longitude": _texts(placed, lambda p: repr(p["lon"])),
        "latitude": _texts(placed, lambda p: repr(p["lat"])),
        "timestamp": np.array([_moment(p["taken_at"]) for p in placed], "datetime64[ms]"),
        "kind": _texts(placed, lambda p: p["kind"]),
        "width": np.array([p["width"] for p in placed], np.int32),
        "height": np.array([p["height"] for p in placed], np.int32),
        "hfov_deg": _numbers(placed, "hfov_deg"),
        "vfov_deg": _numbers(placed, "vfov_deg"),
        "camera": _texts(placed, lambda p: p["camera"]),
        "notes": _texts(placed, lambda p: "\n".join(p["notes"])),
    }
    write_layer(path, LAYER, points, fields, crs=CRS.from_user_input(WGS84), geometry_type="Point Z")
    reasons = _texts(others, lambda p: p["fault"] or "The file tells no position.")
    readable = np.array([not p["fault"] for p in others], bool)
    write_table(path, OTHERS, {**_file_fields(others), "readable": readable, "reason": reasons})


def _file_fields(photos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "photo": _texts(photos, lambda p: p["path"]),
        "filename": _texts(photos, lambda p: Path(p["path"]).stem),
        "directory": _texts(photos, lambda p: str(Path(p["path"]).parent)),
    }


def _texts(photos: Sequence[dict[str, Any]], text: Callable[[dict[str, Any]], str]) -> Any:
    return np.array([text(photo) for photo in photos], object)


def _numbers(photos: Sequence[dict[str, Any]], name: str) -> Any:
    return np.array([np.nan if photo[name] is None else photo[name] for photo in photos], np.float64)


def _moment(text: str | None) -> np.datetime64:
    """UTC where the offset is known, else as the camera's clock had it; NaT where unknown."""
    if text is None:
        return np.datetime64("NaT", "ms")
    when = datetime.fromisoformat(text)
    if when.tzinfo is not None:
        when = when.astimezone(timezone.utc).replace(tzinfo=None)
    return np.datetime64(when, "ms")
