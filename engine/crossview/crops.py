"""Crops of the reference around points: north up, in metres, at a chosen scale, whatever the reference's grid is.

A crop's pixels lie on the plane that touches the ground at its centre: column by column to the east, row by row to the
south. Its corners are brought to the reference's grid exactly and the pixels between them linearly; over a kilometre
that is off by less than a tenth of a metre. Pixels are bilinear samples of the level whose pixels are at most the
crop's; beside missing pixels, of those that are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.cells import Degrees
from engine.crossview.imagery import LEVELS, Imagery
from engine.crossview.resolution import GridPlace, moved
from engine.crossview.samples import Crops, Samples
from engine.raster.grid import Window

_MARGIN = 2
_MAX_MOSAIC = 1 << 25


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

    def of_side(self, side: int) -> Cropper:
        """The same with crops of other pixels."""
        return Cropper(self.imagery, side=side)

    def gsd_m(self, lon: float, lat: float) -> float:
        """Metres of a pixel of the reference at a point: the longer side."""
        return self._place.gsd_m(lon, lat)

    def cut(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Crops:
        """Crops around points (N,) at ``gsd_m`` metres a pixel; ``turn_deg`` (N,) turns them so that this compass
        direction is up. But for rounding, the pixels do not depend on which crops are cut together."""
        count = len(lon)
        pixels, observed = torch.zeros(count, 3, self.side, self.side), np.zeros(count, np.float32)
        for group, samples in self._groups(lon, lat, gsd_m, turn_deg):
            crops = samples.crops()
            if len(group) == count:
                return crops
            pixels[group], observed[group] = crops.pixels, crops.observed
        return Crops(pixels, observed)

    def sample(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Samples:
        """What :meth:`cut` makes crops of; points without an image in the reference's CRS have no weight."""
        count = len(lon)
        colors, weight = torch.zeros(count, 3, self.side, self.side), torch.zeros(count, 1, self.side, self.side)
        whole = 0
        for group, samples in self._groups(lon, lat, gsd_m, turn_deg):
            if len(group) == count:
                return samples
            colors[group] = samples.colors
            weight[group] = 1.0 if samples.weight is None else samples.weight
            whole += len(group) if samples.weight is None else 0
        return Samples(colors, None if whole == count else weight)

    def _groups(
        self, lon: Degrees, lat: Degrees, gsd_m: float, turn_deg: Degrees | None
    ) -> Iterator[tuple[NDArray[np.intp], Samples]]:
        """Numbers and samples of crops that lie close together: they share a mosaic."""
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
        cols, rows = cols / (1 << level), rows / (1 << level)
        good = np.flatnonzero(np.isfinite(cols).all(axis=1) & np.isfinite(rows).all(axis=1))
        for group in _groups(good, cols, rows):
            everything = len(group) == len(cols)
            yield group, self._group(cols if everything else cols[group], rows if everything else rows[group], level)

    def _group(self, cols: Degrees, rows: Degrees, level: int) -> Samples:
        """Samples between the corners (N, 4), in pixels of ``level``."""
        top, left = math.floor(rows.min()) - _MARGIN, math.floor(cols.min()) - _MARGIN
        window = Window(top, left, math.ceil(rows.max()) + _MARGIN - top, math.ceil(cols.max()) + _MARGIN - left)
        colors, valid = self.imagery.mosaic(window, level)
        if not valid.any():
            return Samples(
                torch.zeros(len(cols), 3, self.side, self.side), torch.zeros(len(cols), 1, self.side, self.side)
            )
        whole = bool(valid.all())
        image = torch.from_numpy(colors if whole else np.concatenate([colors, valid[None].astype(np.uint8) * 255]))
        image = image[None].float().mul_(1 / 255).expand(len(cols), -1, -1, -1)
        grid = self._between(
            np.stack([(cols - left) * (2 / window.width) - 1, (rows - top) * (2 / window.height) - 1], axis=-1)
        )
        samples = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return Samples(samples) if whole else Samples(samples[:, :3], samples[:, 3:])

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
