"""What stands on the ground of an overhead image, guessed: trees, buildings, and where a car could drive.

A guess is good enough here: views are rendered from it (:mod:`starters.streetview`) for a network to learn from, and
whatever stands where, the ground between is that of a real image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
GSD_M = 0.4
"""Every image is brought to this pixel size first."""
EDGE_M = 34.0
"""A camera stands at least so far from the edge of an image."""
GROUND, TREE, ROOF = 0, 1, 2


@dataclass(frozen=True)
class Aerial:
    """An overhead image (rows, columns, 3) of 0…1 at :data:`GSD_M`, north up, and what its pixels are."""

    name: str
    image: F32
    plants: Mask
    kind: NDArray[np.uint8]
    height_m: F32
    dark: Mask
    """Ground that lies in shadow."""


def read_aerial(path: Path, gsd_m: float) -> Aerial:
    """The image file (three bands of colour, and near infrared where there are four) and its guessed content. What is
    drawn of it (heights) follows from its name alone."""
    with rasterio.open(path) as source:
        bands = source.read().astype(np.float32) / 255
    factor = gsd_m / GSD_M
    bands = np.stack(
        [np.clip(ndimage.zoom(band, factor, order=1, grid_mode=True, mode="nearest"), 0, 1) for band in bands]
    )
    image = np.ascontiguousarray(bands[:3].transpose(1, 2, 0))
    red, green, blue = bands[:3]
    light = ndimage.gaussian_filter(bands[:3].mean(0), 0.6 / GSD_M)
    if len(bands) > 3:
        greenness = ndimage.gaussian_filter((bands[3] - red) / (bands[3] + red + 0.02), 0.5 / GSD_M)
        plants = greenness > max(0.08, float(np.quantile(greenness, 0.35)))
    else:
        greenness = ndimage.gaussian_filter((2 * green - red - blue) / (red + green + blue + 0.05), 0.5 / GSD_M)
        plants = greenness > 0.06
    dark = (light < 0.55 * np.median(light)) & ~plants
    rng = np.random.default_rng(int.from_bytes(path.stem.encode()[-7:], "big"))
    kind = np.full(light.shape, GROUND, np.uint8)
    height = np.zeros(light.shape, np.float32)
    rough = np.sqrt(
        np.maximum(
            ndimage.gaussian_filter(bands[:3].mean(0) ** 2, 1.2 / GSD_M)
            - ndimage.gaussian_filter(bands[:3].mean(0), 1.2 / GSD_M) ** 2,
            0,
        )
    )
    tall = (
        plants & ((rough > np.median(rough[plants])) | (light < np.quantile(light[plants], 0.35)))
        if plants.any()
        else plants
    )
    tall = _opened(ndimage.binary_closing(tall, iterations=2), 1.0, 5.0)
    crowns, count = ndimage.label(tall)
    inner = ndimage.distance_transform_edt(tall).astype(np.float32) * GSD_M
    low, high = rng.uniform(2.5, 6, count + 1), rng.uniform(1.2, 2.6, count + 1)
    dome = np.minimum(low[crowns] + high[crowns] * np.sqrt(inner), 14.0)
    dome = dome * np.clip(1 + 0.25 * ndimage.gaussian_filter(rng.normal(0, 4, dome.shape), 1.2 / GSD_M), 0.6, 1.4)
    kind[tall], height[tall] = TREE, dome[tall].astype(np.float32)
    for roof in _roofs(image, light, plants | dark):
        kind[roof] = ROOF
        height[roof] = float(rng.uniform(2.8, 7.5) if roof.sum() * GSD_M**2 < 350 else rng.uniform(4, 12))
    return Aerial(path.stem, image, plants, kind, height, dark)


def _opened(mask: Mask, radius_m: float, area_m2: float) -> Mask:
    """Without what is thinner than twice ``radius_m`` or smaller than ``area_m2``."""
    kept = ndimage.distance_transform_edt(mask) * GSD_M > radius_m
    kept = ndimage.distance_transform_edt(~kept) * GSD_M <= radius_m
    labels, count = ndimage.label(kept & mask)
    areas = ndimage.sum_labels(np.ones_like(labels), labels, np.arange(count + 1)) * GSD_M**2
    areas[0] = 0
    return np.asarray(areas[labels] >= area_m2)


def _roofs(image: F32, light: F32, other: Mask) -> list[Mask]:
    """Compact pieces of one colour, of 30 to 2,500 m²: roofs, and here and there a yard."""
    soft = ndimage.median_filter(image, size=(3, 3, 1))
    steep = np.sqrt(sum(ndimage.gaussian_gradient_magnitude(soft[..., c], 0.45 / GSD_M) ** 2 for c in range(3)))
    brighter = light > np.quantile(light[~other], 0.3) if (~other).any() else ~other
    flat = ~other & brighter & (steep < np.quantile(steep, 0.6))
    pieces, _ = ndimage.label(_opened(flat, 1.0, 30.0))
    found = []
    for number, window in enumerate(ndimage.find_objects(pieces), start=1):
        own = pieces[window] == number
        area = own.sum() * GSD_M**2
        rows, columns = np.nonzero(own)
        try:
            hull = ConvexHull(np.stack([rows, columns], axis=1))
        except QhullError:
            continue
        spread = np.linalg.eigvalsh(np.cov(np.stack([rows, columns]).astype(np.float64)))
        if 30 <= area <= 2500 and own.sum() > 0.72 * hull.volume and spread[1] < 9 * max(spread[0], 1e-6):
            mask = np.zeros(pieces.shape, np.bool_)
            mask[window] = ndimage.binary_dilation(np.pad(own, 2), iterations=1)[2:-2, 2:-2]
            found.append(mask & ~other)
    return found


def places(aerial: Aerial, count: int, spacing_m: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Up to ``count`` (n, 2) rows and columns on open ground without plants, road-like first, ``spacing_m`` apart."""
    grey = aerial.image.max(2) - aerial.image.min(2)
    open_ = (aerial.kind == GROUND) & ~aerial.plants
    room = ndimage.distance_transform_edt(aerial.kind == GROUND) * GSD_M
    paved = ndimage.distance_transform_edt(open_) * GSD_M
    edge = round(EDGE_M / GSD_M)
    inside = np.zeros_like(open_)
    inside[edge:-edge, edge:-edge] = True
    good = open_ & inside & (room > 2.4) & (paved > 1.0)
    rows, columns = np.nonzero(good)
    worth = np.minimum(paved[good], 3.0) - 12 * grey[good] + 2.0 * rng.random(len(rows))
    chosen: list[tuple[int, int]] = []
    for k in np.argsort(-worth):
        spot = (int(rows[k]), int(columns[k]))
        if all((spot[0] - r) ** 2 + (spot[1] - c) ** 2 >= (spacing_m / GSD_M) ** 2 for r, c in chosen):
            chosen.append(spot)
            if len(chosen) == count:
                break
    return np.array(chosen, np.float64).reshape(-1, 2) + 0.5


def crop(aerial: Aerial, row: float, column: float, side: int, gsd_m: float) -> NDArray[np.uint8]:
    """(side, side, 3) of the image around a place, mirrored beyond its edge."""
    ticks = (np.arange(side) + 0.5 - side / 2) * gsd_m / GSD_M
    r, c = np.meshgrid(row + ticks - 0.5, column + ticks - 0.5, indexing="ij")
    found = [ndimage.map_coordinates(aerial.image[..., k], [r, c], order=1, mode="mirror") for k in range(3)]
    return (np.clip(np.stack(found, -1), 0, 1) * 255).round().astype(np.uint8)


def save(path: Path, picture: NDArray[np.uint8]) -> None:
    """As JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=88)
