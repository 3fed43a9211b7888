"""What the branches of a cross-view network are given: any photo or tile brought to the frame that it was trained with.

A frame of the ground is equirectangular: columns are equal steps of azimuth, rows of pitch. A frame from above is north
up, so many metres wide, its middle the place. What an image does not show is masked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ParameterError

_CLOSED = 359.99
_FINER = 1.25
"""A source with so many times the pixels of the frame is averaged down first, so that nothing is skipped over."""


class View(Protocol):
    """What is used of an :class:`engine.panorama.view.PanoramaView`, which see."""

    @property
    def heading_deg(self) -> float:
        """Compass direction of the image's centre."""

    @property
    def hfov_deg(self) -> float:
        """Span in azimuth."""

    @property
    def vfov_deg(self) -> float:
        """Span in pitch."""

    @property
    def pitch_center_deg(self) -> float:
        """Pitch of the middle row."""

    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) rows right, forward, up of the camera in the frame east, north, up."""


@dataclass(frozen=True)
class GroundFrame:
    """An equirectangular frame of ``size`` (rows, columns) that spans ``hfov_deg`` × ``vfov_deg`` around the pitch
    ``pitch_center_deg``. Its middle column looks north where it goes all the way round, else where the photo looks."""

    size: tuple[int, int]
    hfov_deg: float = 360.0
    vfov_deg: float = 180.0
    pitch_center_deg: float = 0.0

    def put(self, images: Tensor, views: View | Sequence[View]) -> tuple[Tensor, Tensor]:
        """``images`` (N, 3, H, W) uint8 or float 0…1 and one view for all or for each → ((N, 3, *size) float 0…1, 0
        where not shown; mask (N, 1, *size) bool: shown). Raises ParameterError for other shapes."""
        images = as_float(images)
        each = list(views) if isinstance(views, Sequence) else [views] * len(images)
        if len(each) != len(images):
            raise ParameterError(f"{len(images)} images came with {len(each)} views; expected one for each.")
        groups: dict[View, list[int]] = {}
        for number, view in enumerate(each):
            groups.setdefault(view, []).append(number)
        out = images.new_zeros((len(images), 3, *self.size))
        mask = torch.zeros((len(images), 1, *self.size), dtype=torch.bool, device=images.device)
        for view, numbers in groups.items():
            grid, seen = self._grid(view)
            part = self._fitted(images[numbers], view)
            if view.hfov_deg >= _CLOSED:
                part = F.pad(part, (1, 1, 0, 0), mode="circular")
                grid[..., 0] *= (part.shape[3] - 2) / part.shape[3]
            where = torch.from_numpy(grid).to(part)[None].expand(len(part), -1, -1, -1)
            shown = torch.from_numpy(seen).to(part.device)
            found = F.grid_sample(part, where, mode="bilinear", padding_mode="border", align_corners=False)
            out[numbers] = found * shown
            mask[numbers] = shown[None, None]
        return out, mask

    def _fitted(self, images: Tensor, view: View) -> Tensor:
        rows, columns = images.shape[2:]
        finer = [
            (rows / view.vfov_deg) / (self.size[0] / self.vfov_deg),
            (columns / view.hfov_deg) / (self.size[1] / self.hfov_deg),
        ]
        if max(finer) <= _FINER:
            return images
        size = [max(2, round(n / max(1.0, f))) for n, f in zip((rows, columns), finer, strict=True)]
        return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)

    def _grid(self, view: View) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(rows, columns, 2) where to read the image, x and y of −1 to 1, and what it shows."""
        rows, columns = self.size
        middle = 0.0 if self.hfov_deg >= _CLOSED else view.heading_deg
        azimuth = np.radians(middle + ((np.arange(columns) + 0.5) / columns - 0.5) * self.hfov_deg)[None, :]
        pitch = np.radians(self.pitch_center_deg + (0.5 - (np.arange(rows) + 0.5) / rows) * self.vfov_deg)[:, None]
        flat = np.cos(pitch)
        world = np.stack([np.sin(azimuth) * flat, np.cos(azimuth) * flat, np.sin(pitch) + 0 * azimuth], axis=-1)
        right, forward, up = np.moveaxis(world @ view.rotation().T, -1, 0)
        x = np.degrees(np.arctan2(right, forward)) / (view.hfov_deg / 2)
        y = (view.pitch_center_deg - np.degrees(np.arcsin(np.clip(up, -1, 1)))) / (view.vfov_deg / 2)
        seen = (np.abs(y) <= 1 + 1e-9) & ((np.abs(x) <= 1 + 1e-9) | (view.hfov_deg >= _CLOSED))
        return np.stack([x, y], axis=-1).astype(np.float32), seen


@dataclass(frozen=True)
class OverheadFrame:
    """A frame from above of ``size`` pixels, ``extent_m`` from edge to edge (None: the whole image, whatever its
    scale)."""

    size: tuple[int, int]
    extent_m: float | None = None

    def put(self, images: Tensor, gsd_m: float | Sequence[float | None] | None = None) -> tuple[Tensor, Tensor]:
        """``images`` (N, 3, S, S) uint8 or float 0…1, north up, with metres a pixel for all or for each (None: not
        known, the whole image is taken) → ((N, 3, *size) float 0…1, mask (N, 1, *size)). Raises ParameterError."""
        images = as_float(images)
        each = list(gsd_m) if isinstance(gsd_m, Sequence) else [gsd_m] * len(images)
        if len(each) != len(images):
            raise ParameterError(f"{len(images)} tiles came with {len(each)} pixel sizes; expected one for each.")
        groups: dict[float | None, list[int]] = {}
        for number, gsd in enumerate(each):
            if gsd is not None and not (math.isfinite(gsd) and gsd > 0):
                raise ParameterError(f"The pixels of a tile measure {gsd} m; expected more than 0.")
            groups.setdefault(gsd if self.extent_m is not None else None, []).append(number)
        out = images.new_zeros((len(images), 3, *self.size))
        mask = torch.zeros((len(images), 1, *self.size), dtype=torch.bool, device=images.device)
        for gsd, numbers in groups.items():
            out[numbers], mask[numbers] = self._one(images[numbers], gsd)
        return out, mask

    def _one(self, images: Tensor, gsd: float | None) -> tuple[Tensor, Tensor]:
        rows, columns = images.shape[2:]
        wanted = [1.0, 1.0]  # share of the image's height and width that the frame spans
        if gsd is not None and self.extent_m is not None:
            wanted = [self.extent_m / (gsd * rows), self.extent_m / (gsd * columns)]
        finer = [n * share / size for n, share, size in zip((rows, columns), wanted, self.size, strict=True)]
        part = images
        if max(finer) > _FINER:
            size = [max(2, round(n / max(1.0, f))) for n, f in zip((rows, columns), finer, strict=True)]
            part = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        y, x = (
            ((torch.arange(size, device=images.device, dtype=part.dtype) + 0.5) * (2 / size) - 1) * share
            for size, share in zip(self.size, wanted, strict=True)
        )
        grid = torch.stack([x[None, :].expand(*self.size), y[:, None].expand(*self.size)], dim=-1)
        shown = (grid.abs() <= 1).all(-1)
        found = F.grid_sample(
            part, grid[None].expand(len(part), -1, -1, -1), mode="bilinear", padding_mode="border", align_corners=False
        )
        return found * shown, shown[None, None].expand(len(part), -1, -1, -1)


def as_float(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8, or float of 0…1 as it is, → float32 of 0…1. Raises ParameterError for other shapes and
    types."""
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 1:
        raise ParameterError(f"Photos are (N, 3, rows, columns); found {tuple(images.shape)}.")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ParameterError(f"Photos are uint8 or floats of 0 to 1; found {images.dtype}.")
    return images.float()


def normalised(images: Tensor, mask: Tensor | None, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(N, 3, H, W) of 0…1 less ``mean``, divided by ``std``; 0 where ``mask`` (N, 1, H, W) is false."""
    centre, spread = (torch.tensor(tuple(v), dtype=images.dtype, device=images.device) for v in (mean, std))
    out = (images - centre[:, None, None]) / spread[:, None, None]
    return out if mask is None else out * mask
