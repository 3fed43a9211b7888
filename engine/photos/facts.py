"""All that is known of one photo: what it shows, where and when it was taken, and a small picture of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import DamagedFileError, EngineError
from engine.panorama.photo_file import decoded, open_photo
from engine.panorama.photo_metadata import ExifFacts, read_exif, read_gpano
from engine.panorama.photo_view import Shown, shown_by
from engine.resultfile import write_whole

PANORAMA, STRIP, FLAT = "panorama", "strip", "photo"
ROTATIONS = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
_GEOREFERENCED = (33550, 34264, 34735)  # scale, transformation, keys of a GeoTIFF
_QUALITY = 85


def facts_of(
    path: str,
    *,
    thumbnails: Path | None = None,
    size: int = 256,
    large: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> dict[str, Any]:
    """The facts of the photo at ``path``, JSON-able; a photo that cannot be used has one line in ``fault``.

    Keys: ``path``; ``width``, ``height`` in pixels (upright for photos of one lens; panoramas are as they lie in the
    file); ``kind`` (``panorama``: 360° round; ``strip``: equirectangular, a part of the sphere; ``photo``: flat);
    ``hfov_deg``, ``vfov_deg``, ``pitch_center_deg``, ``pitch_deg``, ``roll_deg`` of the view; ``heading_deg`` the
    compass direction of the middle column or None; ``lon``, ``lat`` (EPSG:4326), ``altitude_m``, ``taken_at`` (ISO
    8601) or None; ``camera``; ``rotation`` (0, 90, 180, 270 by EXIF's orientation); ``thumbnail`` (path) or None;
    ``notes`` (lines) and ``fault``.

    The whole file is decoded, so that one that is cut off is found here. ``thumbnails``: folder, which exists, for a
    JPEG at most ``size`` pixels long, named by path, time and size of the file: one that is there is not made again.
    ``large()`` is entered while an image is decoded that cannot be decoded small. Raises OutputError alone, where the
    small picture cannot be written.
    """
    empty = {
        "path": path, "width": 0, "height": 0, "kind": FLAT, "hfov_deg": 0.0, "vfov_deg": 0.0, "pitch_center_deg": 0.0,
        "heading_deg": None, "pitch_deg": 0.0, "roll_deg": 0.0, "lon": None, "lat": None, "altitude_m": None,
        "taken_at": None, "camera": "", "rotation": 0, "thumbnail": None, "notes": [], "fault": "",
    }  # fmt: skip
    notes: list[str] = []
    try:
        with open_photo(path) as image:
            _refuse_maps(image, path)
            exif, pano = read_exif(image, notes), read_gpano(image, notes)
            shown = shown_by(image.size, exif, pano, notes)
            upright = exif.on_its_side and not shown.is_panorama
            width, height = image.size[::-1] if upright else image.size
            small = _thumbnail_path(thumbnails, path, size)
            if small is None or not small.is_file():
                with nullcontext() if image.format == "JPEG" else large():
                    pixels = decoded(image, path, width=_columns(image.size, size), upright=not shown.is_panorama)
                if small is not None:
                    write_whole(small, _jpeg(pixels))
    except EngineError as error:
        if isinstance(error, DamagedFileError) or error.kind in ("missing-file", "parameter"):
            return {**empty, "fault": error.line}
        raise
    taken_at = exif.taken_at or pano.taken_at
    return {
        **empty,
        "width": width,
        "height": height,
        **_view_facts(shown),
        **_place_facts(exif),
        "taken_at": taken_at.isoformat() if taken_at else None,
        "camera": exif.camera,
        "rotation": ROTATIONS.get(exif.orientation, 0),
        "thumbnail": str(small) if small is not None else None,
        "notes": notes,
    }


def _view_facts(shown: Shown) -> dict[str, Any]:
    view = shown.view
    return {
        "kind": FLAT if not shown.is_panorama else PANORAMA if view.closed else STRIP,
        "hfov_deg": view.hfov_deg,
        "vfov_deg": view.vfov_deg,
        "pitch_center_deg": view.pitch_center_deg,
        "heading_deg": view.heading_deg if shown.heading_known else None,
        "pitch_deg": view.pitch_deg,
        "roll_deg": view.roll_deg,
    }


def _place_facts(exif: ExifFacts) -> dict[str, Any]:
    lon, lat = exif.position or (None, None)
    return {"lon": lon, "lat": lat, "altitude_m": exif.altitude_m if exif.position else None}


def _refuse_maps(image: Image.Image, path: str) -> None:
    tags = getattr(image, "tag_v2", None)
    if tags is not None and any(tag in tags for tag in _GEOREFERENCED):
        raise DamagedFileError(
            f"{path}: this is a georeferenced raster; expected a photo.", remedy="Add it to the project as a layer."
        )


def _columns(shape: tuple[int, int], size: int) -> int:
    """Columns of an image whose longer side becomes ``size``."""
    return max(1, min(shape[0], round(shape[0] * size / max(shape))))


def _thumbnail_path(folder: Path | None, path: str, size: int) -> Path | None:
    if folder is None:
        return None
    state = Path(path).stat()
    name = hashlib.sha256(f"{path}|{state.st_mtime_ns}|{state.st_size}|{size}".encode("utf-8", "replace"))
    return folder / f"{name.hexdigest()[:32]}.jpg"


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
