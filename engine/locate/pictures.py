"""Pictures of the report of a search: the photo, imagery turned to its heading, the heat of the region."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engine.crossview.cells import METRES_PER_DEGREE, Degrees

RGB = NDArray[np.uint8]
_HEAT = np.array(
    [(247, 247, 242), (253, 224, 170), (250, 170, 90), (226, 94, 45), (160, 26, 32), (90, 8, 30)], np.float64
)
_EMPTY = (226, 226, 222)
_INK = (27, 42, 53)
_MOST = 420


def jpeg(picture: RGB, quality: int = 85) -> bytes:
    """Bytes of (rows, columns, 3)."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def photo_picture(pixels: torch.Tensor, *, width: int = 900) -> RGB:
    """(3, H, W) uint8 as a picture at most ``width`` wide, with a mark at the middle column: what the heading is
    about."""
    image = pixels[None].float()
    if pixels.shape[2] > width:
        size = (max(1, round(pixels.shape[1] * width / pixels.shape[2])), width)
        image = F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)
    picture = image[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy().copy()
    drawn = Image.fromarray(picture)
    middle = picture.shape[1] // 2
    ImageDraw.Draw(drawn).polygon([(middle - 7, 0), (middle + 7, 0), (middle, 12)], fill=(255, 255, 255), outline=_INK)
    return np.asarray(drawn)


def crop_picture(pixels: torch.Tensor, heading_deg: float, *, side: int = 260) -> RGB:
    """(3, S, S) float 0..1, already turned so that ``heading_deg`` is up, with a cross at the middle and north
    marked."""
    image = F.interpolate(pixels[None], size=(side, side), mode="bilinear", antialias=True, align_corners=False)[0]
    drawn = Image.fromarray((image * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())
    pen = ImageDraw.Draw(drawn)
    half = side / 2
    for width, color in ((3, _INK), (1, (255, 255, 255))):
        pen.line([(half - 8, half), (half + 8, half)], fill=color, width=width)
        pen.line([(half, half - 8), (half, half + 8)], fill=color, width=width)
    angle = math.radians(-heading_deg)
    x, y = half + (half - 16) * math.sin(angle), half - (half - 16) * math.cos(angle)
    pen.ellipse([x - 10, y - 10, x + 10, y + 10], fill=(255, 255, 255), outline=_INK)
    pen.text((x, y), "N", fill=_INK, anchor="mm")
    return np.asarray(drawn)


def heat_picture(
    lon: Degrees, lat: Degrees, values: NDArray[np.floating], places: Sequence[tuple[float, float]], cell_m: float
) -> RGB:
    """Cells coloured by ``values`` (0..1), and the ranks of ``places``; north up, metres on both axes."""
    middle = float(np.mean(lat))
    turned = lon[0] + (lon - lon[0] + 180) % 360 - 180
    x = (turned - turned.min()) * METRES_PER_DEGREE * math.cos(math.radians(middle)) / cell_m
    y = (lat.max() - lat) * METRES_PER_DEGREE / cell_m
    shrink = max(1.0, max(x.max(), y.max()) / _MOST)
    i, j = np.rint(y / shrink).astype(int), np.rint(x / shrink).astype(int)
    width, height = int(j.max()) + 1, int(i.max()) + 1
    table = np.full((height, width), -1.0)
    np.maximum.at(table, (i, j), np.clip(values, 0, 1))
    at = np.clip(table, 0, 1)[..., None] ** 0.5 * (len(_HEAT) - 1)
    low = np.minimum(at.astype(int), len(_HEAT) - 2)
    colors = _HEAT[low[..., 0]] + (at - low) * (_HEAT[low[..., 0] + 1] - _HEAT[low[..., 0]])
    colors[table < 0] = _EMPTY
    scale = max(1, _MOST // max(width, height))
    drawn = Image.fromarray(np.kron(colors.round().astype(np.uint8), np.ones((scale, scale, 1), np.uint8)))
    pen = ImageDraw.Draw(drawn)
    for rank, (place_lon, place_lat) in reversed(list(enumerate(places, 1))):
        east = (lon[0] + (place_lon - lon[0] + 180) % 360 - 180 - turned.min()) * METRES_PER_DEGREE
        px = east * math.cos(math.radians(middle)) / cell_m / shrink * scale + scale / 2
        py = (lat.max() - place_lat) * METRES_PER_DEGREE / cell_m / shrink * scale + scale / 2
        pen.ellipse([px - 8, py - 8, px + 8, py + 8], fill=(255, 255, 255), outline=_INK)
        pen.text((px, py), str(rank), fill=_INK, anchor="mm")
    return np.asarray(drawn)
