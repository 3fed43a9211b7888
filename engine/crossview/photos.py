"""Photos as queries: equirectangular pixels of a working size and the view that they show."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engine.crossview.describer import GroundView
from engine.panorama.perspective import equirectangular
from engine.panorama.photo import read_photo
from engine.panorama.view import PanoramaView

WIDTH = 1024
_DEGREES_PER_COLUMN = 360 / WIDTH


@dataclass(frozen=True)
class QueryPhoto:
    """A photo to be searched: ``name`` for files and tables, ``position`` (longitude, latitude) where its file tells,
    ``narrow`` when it shows less than the full circle, ``problems`` one line each."""

    path: str
    name: str
    image: GroundView
    position: tuple[float, float] | None
    narrow: bool
    problems: tuple[str, ...]


def read_query(
    path: str | os.PathLike[str],
    *,
    hfov_deg: float | None = None,
    vfov_deg: float | None = None,
    heading_deg: float | None = None,
) -> QueryPhoto:
    """The photo at ``path``. A photo of one lens is laid on the sphere. ``heading_deg`` stands before what the file
    says.

    Raises MissingFileError, DamagedFileError and ParameterError as :func:`engine.panorama.photo.read_photo`.
    """
    photo = read_photo(path, width=WIDTH, hfov_deg=hfov_deg, vfov_deg=vfov_deg)
    view, pixels = photo.view, photo.pixels
    known = photo.heading_known or heading_deg is not None
    if heading_deg is not None:
        view = replace(view, heading_deg=heading_deg % 360)
    if not photo.is_panorama:
        height = max(8, round(view.vfov_deg / _DEGREES_PER_COLUMN))
        width = max(8, round(view.hfov_deg / _DEGREES_PER_COLUMN))
        # Directions are those of the photo's own middle: the heading is put in afterwards, as for panoramas.
        level = PanoramaView(hfov_deg=view.hfov_deg, vfov_deg=view.vfov_deg)
        laid, _ = equirectangular(
            pixels[None].float() / 255, hfov_deg=view.hfov_deg, view=level, height=height, width=width
        )
        pixels = (laid[0] * 255).round().clamp(0, 255).to(torch.uint8)
    name = Path(os.fspath(path)).stem
    image = GroundView(pixels, view, known, name)
    return QueryPhoto(os.fspath(path), name, image, photo.position, view.hfov_deg < 359.9, photo.problems)


def unique_names(photos: list[QueryPhoto]) -> list[QueryPhoto]:
    """The photos with names that are legal in file names and differ from each other."""
    taken: set[str] = set()
    out = []
    for photo in photos:
        base = "".join(c if c.isalnum() or c in "-_." else "_" for c in photo.name).strip(".") or "photo"
        name, k = base[:80], 2
        while name.lower() in taken:
            name, k = f"{base[:76]}-{k}", k + 1
        taken.add(name.lower())
        out.append(replace(photo, name=name))
    return out
