"""A photo as it comes from a camera: its pixels at a working size, and what its file says of the view."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.panorama.photo_metadata import ExifFacts, PanoFacts, read_exif, read_gpano
from engine.panorama.view import PanoramaView

WIDTH = 2048
"""Working width of panoramas: 5.7 columns a degree, finer than the ground is seen 20 m away from 2.5 m above it."""
MOST_PIXELS = 179_000_000
"""What is larger is refused before it is decoded, as Pillow does by itself; panoramas of 18,900 columns still pass."""
LENS_DEG = 65.0
"""Horizontal angle of view where a lens says nothing: that of a phone's main camera held level."""


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
    with _open(path) as image:
        exif, pano = read_exif(image, problems), read_gpano(image, problems)
        size = image.size
        strip = hfov_deg is not None or vfov_deg is not None
        full = strip or pano.projection == "equirectangular" or _twice_as_wide(size)
        pixels = _pixels(image, path, width, upright=not full)
    if full:
        view, known = _panorama_view(size, exif, pano, problems)
        asked = {"hfov_deg": hfov_deg, "vfov_deg": vfov_deg, "pitch_center_deg": pitch_center_deg}
        if strip:
            if hfov_deg is None:
                asked["hfov_deg"] = min(360.0, float(vfov_deg or 180.0) * size[0] / size[1])
            if vfov_deg is None:
                asked["vfov_deg"] = min(180.0, float(hfov_deg or 360.0) * size[1] / size[0])
            asked["pitch_center_deg"] = pitch_center_deg or 0.0
        view = _with(view, {k: v for k, v in asked.items() if v is not None})
    else:
        view, known = _lens_view((pixels.shape[2], pixels.shape[1]), exif, pano, problems)
    return Photo(pixels, view, full, exif.position, known, exif.taken_at or pano.taken_at, tuple(problems))


def read_pixels(path: str | os.PathLike[str], *, width: int | None = None) -> Tensor:
    """(3, H, W) uint8 of an image file, at most ``width`` columns wide, turned as EXIF says; nothing else is read.
    Raises MissingFileError and DamagedFileError."""
    with _open(path) as image:
        return _pixels(image, path, width, upright=True)


def _open(path: str | os.PathLike[str]) -> Image.Image:
    name = os.fspath(path)
    if not Path(name).is_file():
        raise MissingFileError(f"{name}: there is no such photo.", remedy="Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes (see below) and of damaged metadata, told in ``problems``
            image = Image.open(name)
    except Image.DecompressionBombError as error:
        raise _too_large(name, str(error)) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DamagedFileError(
            f"{name}: this is no image that can be read; expected a JPEG, PNG, TIFF or WebP photo.",
            remedy="Open it in an image viewer, or export it again.",
        ) from error
    if image.size[0] * image.size[1] > MOST_PIXELS:
        image.close()
        raise _too_large(name, f"{image.size[0]} x {image.size[1]} pixels")
    return image


def _too_large(name: str, found: str) -> DamagedFileError:
    return DamagedFileError(
        f"{name}: the photo is too large to be read safely ({found}).", remedy="Export it with fewer pixels."
    )


def _pixels(image: Image.Image, path: str | os.PathLike[str], width: int | None, *, upright: bool) -> Tensor:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if width is not None and image.size[0] > width:
                height = max(1, round(image.size[1] * width / image.size[0]))
                image.draft("RGB", (width, height))  # JPEG: decoded at a half, a quarter or an eighth
                small = image.resize((width, height), Image.Resampling.BOX) if image.mode == "RGB" else None
                image = small or _rgb(image).resize((width, height), Image.Resampling.BOX)
            if upright:
                image = ImageOps.exif_transpose(image)
            values = np.asarray(_rgb(image), np.uint8)
    except Image.DecompressionBombError as error:
        raise _too_large(os.fspath(path), str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DamagedFileError(
            f"{os.fspath(path)}: the photo is damaged: {error}.", remedy="Copy or export it again."
        ) from error
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits of grey: Pillow would clip them at 255
        values = np.asarray(image, np.float64) / 257.0
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


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
