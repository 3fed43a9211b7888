"""Directions in the world to pixels of an image, and reading it there without a seam."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import ParameterError
from engine.panorama.view import PanoramaView


def level_grid(azimuth: Tensor, pitch: Tensor, views: Sequence[PanoramaView]) -> Tensor:
    """(V, …, 2) positions in the images of ``views`` of directions by compass ``azimuth`` and ``pitch`` (…), radians.

    Positions are shares of the image from its upper left corner: x 0…1 from the left edge to the right one, y down.
    A closed panorama's x goes round. Directions outside the image have positions outside 0…1.
    """
    if all(view.level for view in views):  # cheap and exact: azimuth is the heading's, pitch the camera's
        shape = (len(views), *[1] * azimuth.dim())
        heading = _column(views, "heading_deg", azimuth).view(shape)
        return _positions(azimuth - heading, pitch.expand(len(views), *pitch.shape), views)
    flat = torch.cos(pitch)
    return direction_grid(
        torch.stack([torch.sin(azimuth) * flat, torch.cos(azimuth) * flat, torch.sin(pitch)], dim=-1), views
    )


def direction_grid(directions: Tensor, views: Sequence[PanoramaView]) -> Tensor:
    """(V, …, 2) positions, as :func:`level_grid` has them, of ``directions`` (…, 3): east, north, up, of any length."""
    turns = torch.stack([torch.as_tensor(view.rotation(), dtype=directions.dtype) for view in views])
    camera = torch.einsum("vij,...j->v...i", turns.to(directions.device), directions)
    right, forward, up = camera.unbind(-1)
    return _positions(torch.atan2(right, forward), torch.atan2(up, torch.hypot(right, forward)), views)


def _positions(azimuth: Tensor, pitch: Tensor, views: Sequence[PanoramaView]) -> Tensor:
    shape = (len(views), *[1] * (azimuth.dim() - 1))
    hfov, vfov, middle = (_column(views, n, azimuth).view(shape) for n in ("hfov_deg", "vfov_deg", "pitch_center_deg"))
    azimuth = torch.remainder(azimuth + math.pi, 2 * math.pi) - math.pi  # −π…π around the image centre
    return torch.stack([azimuth / hfov + 0.5, 0.5 - (pitch - middle) / vfov], dim=-1)


def _column(views: Sequence[PanoramaView], name: str, like: Tensor) -> Tensor:
    values = [math.radians(getattr(view, name)) for view in views]
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def inside(grid: Tensor, closed: bool) -> Tensor:
    """(…) bool: positions that lie in the image; a closed one has no left and right edge."""
    x, y = grid.unbind(-1)
    seen = (y >= 0) & (y <= 1)
    return seen if closed else seen & (x >= 0) & (x <= 1)


def checked_images(images: Tensor) -> Tensor:
    """``images`` (N, C, H, W) as floats; raises ParameterError for another shape or for integers."""
    if images.dim() != 4 or not images.is_floating_point():
        raise ParameterError(
            f"Panoramas are a float tensor (N, C, rows, columns); found {tuple(images.shape)} of {images.dtype}.",
            remedy="Divide bytes by 255 first.",
        )
    return images


class Sampler:
    """Reads images of one size at fixed positions: the grid is made once and used for any number of batches.

    ``grid`` (V, rows, columns, 2): positions as :func:`level_grid` gives them, of one view (V = 1) for all images or
    one for each; ``closed``: whether columns go round; ``mask`` (V, rows, columns) what is kept, the rest becomes 0.
    Only the rows that are read are looked at, and nothing is copied to close the seam: the few positions within half a
    column of it are read again from the last and the first column side by side.
    """

    def __init__(self, grid: Tensor, *, height: int, width: int, closed: bool, mask: Tensor | None = None) -> None:
        self.size = (height, width)
        seen = inside(grid, closed)
        self.mask = (seen if mask is None else seen & mask).unsqueeze(1)
        rows = grid[..., 1][self.mask[:, 0]] * height
        # One row more on each side than bilinear reading needs: rounding must not move what is read.
        first = max(0, int(rows.min().item()) - 2) if rows.numel() else 0
        last = min(height, int(rows.max().item()) + 3) if rows.numel() else height
        self.rows = slice(min(first, height - 1), max(last, min(first, height - 1) + 1))
        x = grid[..., 0] * width
        y = (grid[..., 1] * height - self.rows.start) * (2 / (self.rows.stop - self.rows.start)) - 1
        self._grid = torch.stack([x * (2 / width) - 1, y], dim=-1)
        self._whole = bool(self.mask.all())
        self._seam: list[tuple[Tensor, Tensor]] = []  # for each view: places (K,) of the result, grid (1, 1, K, 2)
        if closed:
            past = x % width
            near = (past < 0.5) | (past > width - 0.5)
            # In the strip of the last column and the first the seam lies at 1 of 2.
            across = torch.where(past < 0.5, past + 1, past + 1 - width) - 1
            for k in range(len(grid)):
                at = near[k].flatten().nonzero()[:, 0]
                self._seam.append((at, torch.stack([across[k].flatten()[at], y[k].flatten()[at]], dim=-1)[None, None]))

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``images`` (N, C, H, W) float → ((N, C, rows, columns), mask (N, 1, rows, columns) bool); 0 where not seen.

        Bilinear; differentiable in ``images``. Raises ParameterError for images of another size.
        """
        count, channels, height, width = checked_images(images).shape
        if (height, width) != self.size or self._grid.shape[0] not in (1, count):
            raise ParameterError(
                f"The grid was made for {self._grid.shape[0]} views of {self.size[0]} x {self.size[1]} pixels; found "
                f"{count} images of {height} x {width}."
            )
        part = images[:, :, self.rows]
        work = part.float() if part.dtype in (torch.float16, torch.bfloat16) else part
        grid = self._grid.to(work.dtype)
        if len(grid) == 1:  # one grid for all: images become channels, and positions are worked out once
            work = work.reshape(1, count * channels, *work.shape[2:])
        read = F.grid_sample(work, grid, mode="bilinear", padding_mode="border", align_corners=False)
        if self._seam:
            ends = torch.cat([work[..., -1:], work[..., :1]], dim=-1)
            flat = read.flatten(2)
            for k, (at, where) in enumerate(self._seam):
                across = F.grid_sample(
                    ends[k : k + 1], where.to(work.dtype), padding_mode="border", align_corners=False
                )
                flat[k : k + 1].index_copy_(2, at, across[:, :, 0])
            read = flat.view_as(read)
        read = read.view(count, channels, *read.shape[2:]).to(images.dtype)
        if not self._whole:
            read = read * self.mask.to(read.dtype)
        return read, self.mask.expand(count, -1, -1, -1)
