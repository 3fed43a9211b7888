"""Cells around a camera: rings of metres and sectors of azimuth, in which ground and overhead images are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.device import off_apple
from engine.panorama.ground import ground_sampler
from engine.panorama.polar import polar_rings
from engine.panorama.view import PanoramaView, views_of

OWN_M = 1.5


@dataclass(frozen=True)
class RingLayout:
    """``rings`` between ``near_m`` and ``far_m``, each wider than the last by the same factor, as the
    ground is seen; ``sectors`` of azimuth, the first around north, clockwise. A cell is the mean of ``depth`` ×
    ``breadth`` places."""

    near_m: float = 3.0
    far_m: float = 36.0
    rings: int = 16
    sectors: int = 120
    depth: int = 2
    breadth: int = 2

    @property
    def edges_m(self) -> tuple[float, ...]:
        """Borders of the rings, from near to far."""
        return tuple(float(e) for e in np.geomspace(self.near_m, self.far_m, self.rings + 1))

    @property
    def distances_m(self) -> tuple[float, ...]:
        """Of the places that are read, ``depth`` a ring."""
        edges = self.edges_m
        return tuple(a + (k + 0.5) / self.depth * (b - a) for a, b in pairwise(edges) for k in range(self.depth))

    def ground(
        self,
        images: Tensor,
        view: PanoramaView | Sequence[PanoramaView],
        camera_height_m: float,
        *,
        right_m: float = 0.0,
        forward_m: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Panoramas (N, C, H, W) float → ((N, C, rings, sectors) means of what is seen, (N, rings, sectors) share of a
        cell that is seen), around a point ``right_m`` (east where the heading is 0) and ``forward_m`` (north) of the
        camera. What lies within :data:`OWN_M` of the camera is its own car or tripod and counts as not seen."""
        height, width = images.shape[2:]
        azimuth = torch.arange(self.sectors * self.breadth, device=images.device) * (
            2 * math.pi / (self.sectors * self.breadth)
        )
        ring = torch.tensor(self.distances_m, device=images.device)[:, None]
        east, north = right_m + ring * torch.sin(azimuth), forward_m + ring * torch.cos(azimuth)
        reach = torch.hypot(east, north)
        read = ground_sampler(
            torch.atan2(east, north),
            reach,
            views_of(view, len(images)),
            height=height,
            width=width,
            camera_height_m=camera_height_m,
        )
        values, seen = read(images)
        return self._means(values, seen & (reach >= OWN_M))

    def overhead(self, images: Tensor, gsd_m: float) -> tuple[Tensor, Tensor]:
        """Overhead images (N, C, S, S) float, north up, at ``gsd_m`` metres a pixel → the same as :meth:`ground`."""
        finest = max(0.15, (self.edges_m[1] - self.edges_m[0]) / self.depth)
        if gsd_m < finest / 2:  # read as means: single pixels of a fine image are noise at this scale
            side = [max(2, round(n * gsd_m / finest)) for n in images.shape[2:]]
            gsd_m = gsd_m * images.shape[3] / side[1]
            # An Apple GPU takes means of whole numbers of pixels alone.
            images = F.interpolate(off_apple(images), size=side, mode="area").to(images.device)
        return self._means(*polar_rings(images, self.distances_m, columns=self.sectors * self.breadth, gsd_m=gsd_m))

    def _means(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        count = len(values)
        shape = (count, -1, self.rings, self.depth, self.sectors, self.breadth)
        half = (self.breadth - 1) // 2  # the places of a sector stand around its middle
        weights = mask.to(values.dtype)
        total = torch.roll(values * weights, half, dims=-1).view(shape).mean(dim=(3, 5))
        share = torch.roll(weights, half, dims=-1).view(shape).mean(dim=(3, 5))
        return total / share.clamp(min=1e-6), share[:, 0]
