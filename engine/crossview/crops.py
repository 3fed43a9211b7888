"""Crops of the reference around points: north up, in metres, at a chosen scale, whatever the reference's grid is.

A crop's pixels lie on the plane that touches the ground at its centre: column by column to the east, row by row to the
south. Its corners are brought to the reference's grid exactly and the pixels between them linearly; over a kilometre
that is off by less than a tenth of a metre. Pixels are bilinear samples of the level whose pixels are at most the
crop's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.cells import Degrees
from engine.crossview.imagery import LEVELS, Imagery
from engine.crossview.resolution import GridPlace, moved
from engine.raster.grid import Window

_MARGIN = 2
_MAX_MOSAIC = 1 << 25


@dataclass(frozen=True)
class Crops:
    """``pixels`` (N, 3, S, S) float32 0..1; missing pixels have the crop's mean colour. ``observed`` (N,) float32: the
    share of pixels that are there."""

    pixels: Tensor
    observed: NDArray[np.float32]


class Cropper:
    """Cuts crops of ``side`` pixels from ``imagery``. Raises GridError where no transformation to its CRS is known."""

    def __init__(self, imagery: Imagery, *, side: int) -> None:
        self.imagery, self.side = imagery, side
        self._place = GridPlace(imagery.grid)
        self._share = (np.arange(side) + 0.5) / side
        ends = torch.zeros(4, side, 2)
        for axis in (0, 1):
            ends[2 * axis, :, axis] = 1
            ends[2 * axis + 1, :, axis] = torch.from_numpy(self._share)
        self._along = ends.flatten(1)

    def gsd_m(self, lon: float, lat: float) -> float:
        """Metres of a pixel of the reference at a point: the longer side."""
        return self._place.gsd_m(lon, lat)

    def cut(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Crops:
        """Crops around points (N,) at ``gsd_m`` metres a pixel; ``turn_deg`` (N,) turns them so that this compass
        direction is up. But for rounding, the pixels do not depend on which crops are cut together."""
        half = self.side * gsd_m / 2
        if turn_deg is None:
            east, north = np.array([[-half, half, -half, half]]), np.array([[half, half, -half, -half]])
        else:
            a = np.radians(np.asarray(turn_deg, np.float64))[:, None]
            right, up = np.array([[-half, half, -half, half]]), np.array([[half, half, -half, -half]])
            east, north = right * np.cos(a) + up * np.sin(a), up * np.cos(a) - right * np.sin(a)
        cols, rows = self._place.pixels(*moved(np.asarray(lon, np.float64), np.asarray(lat, np.float64), east, north))
        sides = [np.hypot(cols[:, k] - cols[:, 0], rows[:, k] - rows[:, 0]) / self.side for k in (1, 2)]
        size = np.minimum(*sides)
        ratio = float(np.nanmedian(size)) if np.isfinite(size).any() else 1.0
        level = int(np.clip(math.floor(math.log2(max(ratio, 1e-6) * 1.001)), 0, LEVELS))
        return self._sampled(cols / (1 << level), rows / (1 << level), level)

    def _sampled(self, cols: Degrees, rows: Degrees, level: int) -> Crops:
        """Samples between the corners (N, 4), in pixels of ``level``; groups of crops that lie close share a mosaic."""
        count = len(cols)
        good = np.flatnonzero(np.isfinite(cols).all(axis=1) & np.isfinite(rows).all(axis=1))
        groups = _groups(good, cols, rows)
        if len(groups) == 1 and len(good) == count:
            return Crops(*self._group(cols, rows, level))
        pixels = torch.zeros(count, 3, self.side, self.side)
        observed = np.zeros(count, np.float32)
        for group in groups:
            pixels[group], observed[group] = self._group(cols[group], rows[group], level)
        return Crops(pixels, observed)

    def _group(self, cols: Degrees, rows: Degrees, level: int) -> tuple[Tensor, NDArray[np.float32]]:
        top, left = math.floor(rows.min()) - _MARGIN, math.floor(cols.min()) - _MARGIN
        window = Window(top, left, math.ceil(rows.max()) + _MARGIN - top, math.ceil(cols.max()) + _MARGIN - left)
        colors, valid = self.imagery.mosaic(window, level)
        if not valid.any():
            return torch.zeros(len(cols), 3, self.side, self.side), np.zeros(len(cols), np.float32)
        whole = bool(valid.all())
        image = torch.from_numpy(colors if whole else np.concatenate([colors, valid[None].astype(np.uint8) * 255]))
        image = image[None].float().mul_(1 / 255).expand(len(cols), -1, -1, -1)
        grid = self._between(
            np.stack([(cols - left) * (2 / window.width) - 1, (rows - top) * (2 / window.height) - 1], axis=-1)
        )
        samples = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        if whole:
            return samples, np.ones(len(cols), np.float32)
        weight = samples[:, 3:]
        seen = (weight > 0.5).float()
        colored = torch.where(weight > 1e-3, samples[:, :3] / weight.clamp_min(1e-3), samples[:, :3])
        share = seen.mean(dim=(1, 2, 3))
        mean = (colored * seen).sum(dim=(2, 3), keepdim=True) / seen.sum(dim=(2, 3), keepdim=True).clamp_min(1)
        return torch.where(seen > 0, colored, mean).clamp_(0, 1), share.numpy()

    def _between(self, corners: NDArray[np.float64]) -> Tensor:
        """(N, S, S, 2) float32 values at the pixel centres between upper left, upper right, lower left, lower right
        (N, 4, 2)."""
        down = self._share[:, None]
        left = corners[:, None, 0] + (corners[:, None, 2] - corners[:, None, 0]) * down
        right = corners[:, None, 1] + (corners[:, None, 3] - corners[:, None, 1]) * down
        # A row begins at its left end and grows by what it is long: one product makes all, without passes between.
        ends = np.stack([left, right - left], axis=-1).astype(np.float32).reshape(-1, 4)
        return torch.mm(torch.from_numpy(ends), self._along).view(-1, self.side, self.side, 2)


def _groups(members: NDArray[np.intp], cols: Degrees, rows: Degrees) -> list[NDArray[np.intp]]:
    """Neighbours in order whose common box is no larger than needed: crops far apart are not read as one."""
    groups: list[list[int]] = []
    box = (0.0, 0.0, 0.0, 0.0)
    own_area = 0.0
    for i in members:
        own = (rows[i].min(), cols[i].min(), rows[i].max(), cols[i].max())
        area = (own[2] - own[0] + 4) * (own[3] - own[1] + 4)
        joint = (min(box[0], own[0]), min(box[1], own[1]), max(box[2], own[2]), max(box[3], own[3]))
        size = (joint[2] - joint[0] + 4) * (joint[3] - joint[1] + 4)
        if groups and size <= min(1.5 * (own_area + area), _MAX_MOSAIC):
            groups[-1].append(int(i))
            box, own_area = joint, own_area + area
        else:
            groups.append([int(i)])
            box, own_area = own, area
    return [np.array(group) for group in groups]
