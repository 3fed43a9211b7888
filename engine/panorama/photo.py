"""A photo as it comes from a camera: its pixels at a working size, and what its file says of the view."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import ParameterError
from engine.panorama.photo_file import decoded, open_photo
from engine.panorama.photo_metadata import read_exif, read_gpano
from engine.panorama.photo_view import shown_by
from engine.panorama.view import PanoramaView

WIDTH = 2048
"""Working width of panoramas: 5.7 columns a degree, finer than the ground is seen 20 m away from 2.5 m above it."""


@dataclass(frozen=True)
class Photo:
    """``pixels`` (3, H, W) uint8; ``view`` what they show; ``position`` (longitude, latitude) EPSG:4326.

    ``is_panorama`` False: an ordinary photo of one lens, whose ``view`` spans its angles but whose pixels are those of
    a plane (:func:`engine.panorama.perspective.equirectangular` lays them on the sphere). ``heading_known`` False:
    ``view.heading_deg`` is 0 for want of better. ``problems``: one line each on what was missing, odd or damaged.
    """

    pixels: Tensor
    view: PanoramaView
    is_panorama: bool
    position: tuple[float, float] | None
    heading_known: bool
    taken_at: datetime | None
    problems: tuple[str, ...]


def read_photo(
    path: str | os.PathLike[str],
    *,
    width: int = WIDTH,
    hfov_deg: float | None = None,
    vfov_deg: float | None = None,
    pitch_center_deg: float | None = None,
) -> Photo:
    """The photo at ``path``, at most ``width`` columns wide (never enlarged).

    The view is that of XMP GPano; without it an image twice as wide as high is a full panorama. ``hfov_deg``,
    ``vfov_deg`` and ``pitch_center_deg`` say what a strip without metadata shows, and stand before what its file says.
    Raises MissingFileError, DamagedFileError (no image, truncated, too large) and ParameterError.
    """
    if width < 8:
        raise ParameterError(f"The working width is {width}; expected at least 8 pixels.")
    problems: list[str] = []
    with open_photo(path) as image:
        exif, pano = read_exif(image, problems), read_gpano(image, problems)
        shown = shown_by(
            image.size,
            exif,
            pano,
            problems,
            hfov_deg=hfov_deg,
            vfov_deg=vfov_deg,
            pitch_center_deg=pitch_center_deg,
        )
        pixels = _tensor(decoded(image, path, width=width, upright=not shown.is_panorama))
    taken_at = exif.taken_at or pano.taken_at
    return Photo(pixels, shown.view, shown.is_panorama, exif.position, shown.heading_known, taken_at, tuple(problems))


def read_pixels(path: str | os.PathLike[str], *, width: int | None = None) -> Tensor:
    """(3, H, W) uint8 of an image file, at most ``width`` columns wide, turned as EXIF says; nothing else is read.
    Raises MissingFileError and DamagedFileError."""
    with open_photo(path) as image:
        return _tensor(decoded(image, path, width=width, upright=True))


def _tensor(values: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
