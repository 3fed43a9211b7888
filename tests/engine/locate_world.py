"""A flat world for tests of ``engine locate``: an orthophoto, panoramas taken on it, and a small describer of both."""

from __future__ import annotations

import math

import numpy as np
import rasterio
import torch
import torch.nn.functional as F
from affine import Affine

from engine.crossview.cells import METRES_PER_DEGREE
from engine.crossview.describer import VectorQuery
from engine.crossview.index.card import ModelFacts
from engine.panorama.birdseye import birds_eye
from engine.panorama.view import PanoramaView
from engine.raster.crs import Transformation

LON, LAT, GSD, SIDE = 9.18, 48.78, 0.5, 800
BOX = "9.1785,48.7791,9.1815,48.7809"


def ground(seed=0):
    """(3, SIDE, SIDE) uint8: noise of several sizes, different everywhere."""
    generator = torch.Generator().manual_seed(seed)
    out = torch.zeros(3, SIDE, SIDE)
    for size, weight in ((25, 0.5), (80, 0.35), (200, 0.2)):
        noise = torch.rand(1, 3, size, size, generator=generator)
        out += weight * F.interpolate(noise, size=(SIDE, SIDE), mode="bicubic", align_corners=False)[0]
    return (out * 255).clamp(0, 255).to(torch.uint8).numpy()


def transform():
    x, y = Transformation("EPSG:4326", "EPSG:32632")(np.array([LON]), np.array([LAT]))
    half = SIDE * GSD / 2
    return Affine(GSD, 0, x[0] - half, 0, -GSD, y[0] + half)


def write_reference(path, seed=0, *, nodata_columns=0):
    values = ground(seed)
    if nodata_columns:
        values[:, :, :nodata_columns] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=SIDE, width=SIDE, count=3, dtype="uint8", crs="EPSG:32632",
        transform=transform(), tiled=True, blockxsize=128, blockysize=128, nodata=0 if nodata_columns else None,
    ) as target:  # fmt: skip
        target.write(values)
    return str(path)


def panorama(values, lon, lat, heading=0.0, *, rows=128, height_m=2.5):
    """(3, rows, 2 rows) uint8: what a level camera sees of the flat ground; the sky is light."""
    pitch = np.radians(90 - (np.arange(rows) + 0.5) * 180 / rows)[:, None]
    azimuth = np.radians(heading + (np.arange(2 * rows) + 0.5) * 180 / rows - 180)[None]
    with np.errstate(divide="ignore"):
        far = np.where(pitch < 0, height_m / np.tan(np.maximum(-pitch, 1e-6)), np.inf)
    x, y = Transformation("EPSG:4326", "EPSG:32632")(np.array([lon]), np.array([lat]))
    col, row = ~transform() @ (x[0] + far * np.sin(azimuth), y[0] + far * np.cos(azimuth))
    seen = (far < 60) & (col >= 0) & (col < SIDE - 1) & (row >= 0) & (row < SIDE - 1)
    i, j = np.where(seen, row, 0).astype(int), np.where(seen, col, 0).astype(int)
    return np.where(seen, values[:, i, j], 230).astype(np.uint8)


def write_panorama(path, values):
    with rasterio.open(
        path, "w", driver="PNG", height=values.shape[1], width=values.shape[2], count=3, dtype="uint8"
    ) as target:
        target.write(values)
    return str(path)


def at(east_m, north_m):
    """Longitude and latitude of a place near the middle."""
    return LON + east_m / METRES_PER_DEGREE / math.cos(math.radians(LAT)), LAT + north_m / METRES_PER_DEGREE


class SmallDescriber:
    """A fixed random layer on crops of 32 m, and the bird's-eye view turned to 24 headings as the query."""

    layer, linear, one_scale, dtype, side, scales_m = "learned", True, False, "float16", 32, (1.0,)
    model = ModelFacts(name="small", sha256="0" * 64)
    bundle_sha256 = rings = None
    dim, headings = 96, 24

    def __init__(self, slow=0.0):
        generator = torch.Generator().manual_seed(3)
        self._weights = torch.randn(3 * 16 * 16, self.dim, generator=generator)
        steps = (torch.arange(16) - 7.5) / 7.5
        self._disc = ((steps[:, None] ** 2 + steps[None] ** 2) < 1.1).float()
        self._slow = slow

    def described(self, made_by):
        return made_by == self.model

    def _embedded(self, pixels):
        small = F.interpolate(pixels, size=(16, 16), mode="bilinear", antialias=True, align_corners=False)
        small = (small - small.mean(dim=(2, 3), keepdim=True)) * self._disc
        return F.normalize(small.flatten(1) @ self._weights, dim=1).numpy()

    def describe(self, pixels, gsd_m):
        if self._slow:
            import time

            time.sleep(self._slow)
        return self._embedded(pixels).astype(self.dtype)

    def query(self, image):
        turns = [360 * k / self.headings for k in range(self.headings)]
        if image.heading_known:
            turns = [image.view.heading_deg]
        views = [PanoramaView(heading_deg=t, hfov_deg=image.view.hfov_deg, vfov_deg=image.view.vfov_deg) for t in turns]
        pixels = image.pixels[None].float().div(255).expand(len(views), -1, -1, -1)
        seen, _ = birds_eye(pixels, views, side=32, half_width_m=16.0)
        return VectorQuery(self._embedded(seen).astype(np.float32), np.array(turns, np.float32))

    def ready(self, codes):
        return np.asarray(codes, np.float32)

    def scores(self, queries, ready, gsd_m):
        tables = [ready @ query.vectors.T for query in queries]
        headings = [query.headings[table.argmax(axis=1)] for query, table in zip(queries, tables, strict=True)]
        return np.stack([table.max(axis=1) for table in tables]), np.stack(headings)
