"""What changes on the ground between an overhead image and a photo taken years before or after it.

A view rendered from an image shares with it every stain of the road, every parked car and every branch, and a network
learns to compare those, which no photo of another year has. What stays is where things lie: kerbs, drives, houses, most
trees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from starters.aerial import GROUND, GSD_M, ROOF, TREE, Aerial

F32 = NDArray[np.float32]
_CAR_M = 4.4
"""A median over so many metres each way leaves no car."""
_LEVELS = 7
"""Steps of brightness by which open ground falls into pieces."""


@dataclass(frozen=True)
class Surfaces:
    """An image, with what every year uses: ``calm`` is it without cars and marks, ``bare`` the ground where
    trees stand, ``pieces`` (rows, columns) are numbers of surfaces of one colour."""

    aerial: Aerial
    calm: F32
    bare: F32
    pieces: NDArray[np.int64]
    crowns: NDArray[np.int32]
    roofs: NDArray[np.int32]


def surfaces_of(aerial: Aerial) -> Surfaces:
    """What is the same for every year that is drawn of an image."""
    side = round(_CAR_M / GSD_M) | 1
    calm = ndimage.median_filter(aerial.image, (side, side, 1), mode="mirror")
    open_ = ((aerial.kind == GROUND) & ~aerial.dark).astype(np.float32)
    bare = _soft(calm * open_[..., None], 2.5) / (ndimage.gaussian_filter(open_, 2.5 / GSD_M) + 1e-4)[..., None]
    light = ndimage.gaussian_filter(calm.mean(2), 0.4 / GSD_M)
    edges = np.quantile(light, np.linspace(0, 1, _LEVELS + 1)[1:-1])
    level = np.digitize(light, edges) * 6 + aerial.kind.clip(0, 2) * 2 + aerial.plants
    pieces, count = np.zeros(light.shape, np.int64), 0
    for number in np.unique(level):
        labels, found = ndimage.label(level == number)
        pieces[labels > 0] = labels[labels > 0] + count
        count += found
    crowns, _ = ndimage.label(aerial.kind == TREE)
    roofs, _ = ndimage.label(aerial.kind == ROOF)
    return Surfaces(aerial, calm, bare.astype(np.float32), pieces, crowns, roofs)


def another_year(surfaces: Surfaces, rng: np.random.Generator) -> Aerial:
    """The image as it was in another year, drawn from ``rng``: without its cars and stains, with surfaces of other
    albedo and texture, roofs of other colours, trees felled, grown and planted."""
    aerial = surfaces.aerial
    kind, height, plants = aerial.kind.copy(), aerial.height_m.copy(), aerial.plants.copy()
    image = _without_marks(surfaces, rng)
    felled = np.flatnonzero(rng.random(surfaces.crowns.max() + 1) < 0.2)
    gone = np.isin(surfaces.crowns, felled[felled > 0])
    image[gone] = surfaces.bare[gone] * (1 + 0.06 * rng.normal(0, 1, (int(gone.sum()), 1)))
    kind[gone], height[gone] = GROUND, 0
    plants &= ~gone | (rng.random() < 0.5)
    grown = rng.uniform(0.75, 1.4, surfaces.crowns.max() + 1)
    built = rng.uniform(0.8, 1.25, surfaces.roofs.max() + 1)
    height = height * np.where(kind == TREE, grown[surfaces.crowns], built[surfaces.roofs] * (kind == ROOF))
    _repaint(image, surfaces, rng)
    _plant(image, kind, height, plants, rng)
    image = _other_texture(image, rng)
    return replace(
        aerial,
        image=np.clip(image, 0, 1).astype(np.float32),
        kind=kind,
        height_m=height.astype(np.float32),
        plants=plants,
    )


def _soft(image: F32, scale_m: float) -> F32:
    """Blurred by ``scale_m`` metres, each colour for itself."""
    return np.asarray(ndimage.gaussian_filter(image, (scale_m / GSD_M, scale_m / GSD_M, 0)), np.float32)


def _without_marks(surfaces: Surfaces, rng: np.random.Generator) -> F32:
    """Cars, stains and marks of open ground give way to what lies around them."""
    image, open_ = surfaces.aerial.image, (surfaces.aerial.kind == GROUND) & ~surfaces.aerial.plants
    unlike = np.abs(image - surfaces.calm).max(2) > float(rng.uniform(0.05, 0.15))
    marks = ndimage.binary_dilation(unlike & open_, iterations=1)
    share = ndimage.gaussian_filter((marks & open_).astype(np.float32), 0.3 / GSD_M)[..., None]
    return image * (1 - share) + surfaces.calm * share


def _repaint(image: F32, surfaces: Surfaces, rng: np.random.Generator) -> None:
    """Each surface has another albedo; half of the roofs have another colour altogether."""
    count = int(surfaces.pieces.max()) + 1
    size = np.bincount(surfaces.pieces.ravel(), minlength=count) * GSD_M**2
    strength = float(rng.uniform(0.1, 0.4)) * (size > 4)
    factor = np.exp(strength[:, None] * (rng.normal(0, 0.8, (count, 1)) + rng.normal(0, 0.2, (count, 3))))
    change = factor[surfaces.pieces].astype(np.float32)
    image *= _soft(change, 0.3)
    for number, window in enumerate(ndimage.find_objects(surfaces.roofs), start=1):
        if rng.random() < 0.5:
            own = surfaces.roofs[window] == number
            colour = rng.uniform(0.15, 0.8) * np.exp(rng.normal(0, 0.12, 3))
            image[window][own] *= colour / np.maximum(image[window][own].mean(0), 0.02)


def _plant(
    image: F32, kind: NDArray[np.uint8], height: NDArray[np.floating], plants: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Up to a dozen trees on what is green."""
    rows, columns = np.nonzero(plants & (kind == GROUND))
    if not len(rows):
        return
    for _ in range(int(rng.integers(0, 13))):
        k, radius = int(rng.integers(len(rows))), float(rng.uniform(1.2, 3.5))
        reach = int(radius / GSD_M) + 1
        r0, r1 = max(0, rows[k] - reach), min(kind.shape[0], rows[k] + reach + 1)
        c0, c1 = max(0, columns[k] - reach), min(kind.shape[1], columns[k] + reach + 1)
        r, c = np.mgrid[r0:r1, c0:c1]
        inner = 1 - np.hypot(r - rows[k], c - columns[k]) * GSD_M / radius
        own = (inner > 0) & (kind[r0:r1, c0:c1] == GROUND)
        tall = float(rng.uniform(3, 9)) * np.sqrt(np.clip(inner[own], 0.05, 1))
        green = float(rng.uniform(0.12, 0.35)) * np.array([0.85, 1.1, 0.7]) * np.exp(rng.normal(0, 0.1, 3))
        height[r0:r1, c0:c1][own], kind[r0:r1, c0:c1][own] = tall, TREE
        image[r0:r1, c0:c1][own] = green * rng.uniform(0.7, 1.3, (int(own.sum()), 1))


def _other_texture(image: F32, rng: np.random.Generator) -> F32:
    """What is finer than about a metre is lessened, and other grain of as much strength put in its place."""
    scale_m = float(rng.uniform(0.3, 0.9))
    low = _soft(image, scale_m)
    detail = image - low
    strength = np.sqrt(ndimage.gaussian_filter((detail**2).mean(2), 3 * scale_m / GSD_M))
    grain = ndimage.gaussian_filter(rng.normal(0, 1, image.shape[:2]), 0.5 * scale_m / GSD_M)
    grain = grain / max(float(grain.std()), 1e-6) * strength
    kept = float(rng.uniform(0, 0.6))
    return np.asarray(low + kept * detail + (1 - kept) * grain[..., None], np.float32)
