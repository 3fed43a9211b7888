"""The photos of an adaptation: found, read once, checked, and kept as small copies that a training reads quickly."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError, InputError, ParameterError
from engine.events import Reporter
from engine.panorama.photo import Photo, read_photo
from engine.panorama.view import PanoramaView

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
WIDTH = 1024
"""Columns of the copies: a network's frame has 512 at most, and the ground is seen no better 20 m away."""
FEWEST = 24
"""With fewer photos nothing can be learned without pairs, and the run is refused."""
_QUALITY = 92
Known = tuple[float, float, float | None]
"""Longitude, latitude, and the compass direction of the photo's centre where it is told."""


@dataclass(frozen=True)
class OwnPhoto:
    """A photo that can be learned from: ``copy`` its small picture, ``view`` what it shows (heading 0 where
    ``heading_known`` is False), ``position`` (longitude, latitude) where it is known."""

    path: str
    name: str
    copy: Path
    view: PanoramaView
    heading_known: bool
    position: tuple[float, float] | None


@dataclass(frozen=True)
class LeftOut:
    """A photo that cannot be learned from, and why, in one line."""

    path: str
    why: str


def find_photos(places: Sequence[str]) -> list[Path]:
    """The picture files among ``places`` (files as they are given, folders searched through their sub-folders), each
    once, by path. Raises InputError for a place that does not exist, or when there is none."""
    found: dict[Path, None] = {}
    for place in places:
        path = Path(place).expanduser()
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            found |= dict.fromkeys(
                sorted(p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts))
            )
        elif path.exists():
            found[path] = None
        else:
            raise InputError(f"{path}: there is no such photo or folder.", remedy="Check the path.")
    if not found:
        raise InputError(
            f"{places[0]}: holds no photo; expected files that end in {', '.join(SUFFIXES)}.",
            remedy="Give photos, or a folder of them.",
        )
    return list(found)


def read_positions(path: str) -> dict[str, Known]:
    """Photo name → longitude, latitude and heading of a table with columns photo (or panorama), lon, lat and, where
    there is one, heading_deg. Raises InputError."""
    try:
        with Path(path).expanduser().open(encoding="utf-8-sig", newline="") as file:
            found: dict[str, Known] = {}
            for row in csv.DictReader(file):
                heading = (row.get("heading_deg") or "").strip()
                name = Path(row.get("photo") or row["panorama"]).name
                found[name] = (float(row["lon"]), float(row["lat"]), float(heading) % 360 if heading else None)
            return found
    except OSError as error:
        raise InputError(
            f"{path}: the positions cannot be read ({error.strerror}).", remedy="Check the path."
        ) from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}: no table with the columns photo (or panorama), lon and lat ({error}).",
            remedy="Write one line a photo, in degrees (EPSG:4326); heading_deg is optional.",
        ) from error


def read_photos(
    paths: Sequence[Path],
    folder: Path,
    positions: dict[str, Known],
    reporter: Reporter,
    *,
    from_files: bool = True,
) -> tuple[list[OwnPhoto], list[LeftOut]]:
    """The photos that show the full circle, copied to ``folder`` at :data:`WIDTH` columns, and those that cannot be
    used. Copies that are there already are taken as they are. ``positions`` stand before those of the files, which are
    not looked at without ``from_files``. Raises OSError where the folder cannot be written."""
    good: list[OwnPhoto] = []
    left: list[LeftOut] = []
    for number, path in enumerate(paths):
        reporter.progress(number / len(paths), "photos", f"Reading photo {number + 1} of {len(paths)}")
        try:
            photo = read_photo(path, width=WIDTH)
        except EngineError as error:
            left.append(LeftOut(str(path), error.message))
            continue
        if not photo.view.closed or not photo.is_panorama:
            left.append(LeftOut(str(path), _narrow(path, photo)))
            continue
        copy = folder / f"{number:05d}.jpg"
        if not copy.is_file():
            _write(copy, photo)
        good.append(_own(path, f"{number:05d}", copy, photo, positions.get(path.name), from_files))
    return good, left


def check_enough_files(paths: Sequence[Path]) -> None:
    """Raise ParameterError, before any photo is read, where there are fewer than :data:`FEWEST`."""
    if len(paths) < FEWEST:
        raise _too_few(len(paths), "")


def check_enough(photos: Sequence[OwnPhoto], left: Sequence[LeftOut]) -> None:
    """Raise ParameterError where fewer than :data:`FEWEST` photos can be learned from."""
    if len(photos) < FEWEST:
        raise _too_few(len(photos), f" {len(left)} were left out, the first: {left[0].why}" if left else "")


def pair_row(photo: OwnPhoto, root: Path, heading_deg: float | None) -> dict[str, Any]:
    """A line of a pairs.csv in ``root`` for a photo without a tile, with this heading."""
    view = photo.view
    return {
        "pair_id": f"photo-{photo.name}",
        "panorama": photo.copy.relative_to(root).as_posix(),
        "heading_deg": "" if heading_deg is None else heading_deg,
        "hfov_deg": view.hfov_deg,
        "vfov_deg": view.vfov_deg,
        "pitch_center_deg": view.pitch_center_deg,
        "pitch_deg": view.pitch_deg,
        "roll_deg": view.roll_deg,
    }


def pair_rows(photos: Sequence[OwnPhoto], root: Path, *, headings: bool) -> list[dict[str, Any]]:
    """Lines of a pairs.csv in ``root`` for photos without a tile; no position is told, and no heading without
    ``headings``."""
    known = (photo.view.heading_deg if headings and photo.heading_known else None for photo in photos)
    return [pair_row(photo, root, heading) for photo, heading in zip(photos, known, strict=True)]


def _too_few(count: int, why: str) -> ParameterError:
    return ParameterError(
        f"There are {count} photos to learn from; expected at least {FEWEST} full 360° panoramas.{why}",
        remedy="Give more photos of the area; with few, search by the geometric method, which needs no training.",
    )


def _own(path: Path, name: str, copy: Path, photo: Photo, told: Known | None, from_files: bool) -> OwnPhoto:
    view, known, position = photo.view, photo.heading_known, photo.position if from_files else None
    if told is not None:
        position = told[:2]
        if told[2] is not None:
            view, known = replace(view, heading_deg=told[2]), True
    return OwnPhoto(str(path), name, copy, view, known, position)


def _narrow(path: Path, photo: Photo) -> str:
    kind = "a part of a panorama" if photo.is_panorama else "a photo of one lens"
    return f"{path}: is {kind}, {photo.view.hfov_deg:.0f}° wide; only full panoramas are learned from."


def _write(path: Path, photo: Photo) -> None:
    from PIL import Image

    partial = path.with_name(f".{path.name}.partial")
    pixels = np.ascontiguousarray(photo.pixels.movedim(0, 2).numpy())
    Image.fromarray(pixels).save(partial, format="JPEG", quality=_QUALITY, subsampling=0)
    partial.replace(path)
