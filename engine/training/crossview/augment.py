"""Variation of ground and overhead images, and the moves that both must make together.

The middle column of a panorama looks north and the top of a tile is north, so a quarter turn of the tile against the
clock (``rot90``) is a roll of the panorama by −W/4: what was east is then ahead of both. Pure torch; everything is
drawn from the generator that is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, which published weights were trained with."""


@dataclass(frozen=True)
class Variation:
    """How much images are varied: ``colour`` the largest change of brightness, contrast and saturation, ``tint`` that
    of each channel, ``blur`` and ``grey`` shares of the images that are blurred and grey, ``erase`` the share of images
    that lose a rectangle. All 0: none."""

    colour: float = 0.3
    tint: float = 0.08
    blur: float = 0.2
    grey: float = 0.1
    erase: float = 0.5


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """(count, 1, 1, 1) numbers drawn evenly from ``low`` to ``high``."""
    return torch.rand(count, 1, 1, 1, generator=generator, device=generator.device) * (high - low) + low


def chance(count: int, share: float, generator: torch.Generator) -> Tensor:
    """(count, 1, 1, 1) bool, true for about ``share``."""
    return uniform(count, 0, 1, generator) < share


def flipped(images: Tensor, which: Tensor) -> Tensor:
    """Images (N, C, H, W) mirrored left to right where ``which`` (N,) is true: east and west change places."""
    out = images.clone()
    out[which] = images[which].flip(3)
    return out


def turned(tiles: Tensor, quarters: Tensor) -> Tensor:
    """Square tiles (N, C, S, S) turned by 90° · ``quarters`` (N,) against the clock."""
    out = tiles.clone()
    for r in (1, 2, 3):
        rows = (quarters == r).nonzero()[:, 0]
        if len(rows):
            out[rows] = torch.rot90(tiles[rows], r, dims=(2, 3))
    return out


def rolled(panoramas: Tensor, columns: Tensor) -> Tensor:
    """Panoramas (N, C, H, W) that go all the way round, moved right by ``columns`` (N,) whole columns."""
    width = panoramas.shape[3]
    source = (torch.arange(width, device=panoramas.device)[None] - columns[:, None]) % width
    return panoramas.gather(3, source[:, None, None, :].expand(-1, panoramas.shape[1], panoramas.shape[2], -1))


def quarter_rolls(quarters: Tensor, width: int) -> Tensor:
    """(N,) columns to roll a panorama by for quarter turns of its tile: −W/4 · r."""
    return -torch.div(quarters * width, 4, rounding_mode="floor")


def spun(tiles: Tensor, degrees: Tensor) -> Tensor:
    """Tiles (N, C, S, S) turned by any angle (N,) against the clock about their middle; what comes in from beyond is
    0."""
    a = torch.deg2rad(degrees)
    zero = torch.zeros_like(a)
    # A pixel is read where the turn brings it from: clockwise, in image axes (y down).
    matrix = torch.stack(
        [torch.stack([a.cos(), -a.sin(), zero], dim=1), torch.stack([a.sin(), a.cos(), zero], dim=1)], dim=1
    )
    grid = F.affine_grid(matrix, list(tiles.shape), align_corners=False)
    return F.grid_sample(tiles, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def varied(images: Tensor, how: Variation, generator: torch.Generator) -> Tensor:
    """Images (N, 3, H, W) of 0…1 with other light and colours, blurred or grey; 0…1."""
    n = len(images)
    light = uniform(n, 1 - how.colour, 1 + how.colour, generator) if how.colour else 1.0
    images = images * light  # the others change this copy in place: a batch is too large for the caches
    if how.colour:
        for dims in ((1, 2, 3), (1,)):  # contrast, saturation
            centre = images.mean(dims, keepdim=True)
            images.sub_(centre).mul_(uniform(n, 1 - how.colour, 1 + how.colour, generator)).add_(centre)
    if how.tint:
        gains = torch.rand(n, 3, 1, 1, generator=generator, device=generator.device)
        images.mul_(1 + how.tint * (2 * gains - 1))
    if how.grey:
        some = chance(n, how.grey, generator).flatten()
        images[some] = images[some].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    if how.blur:
        some = chance(n, how.blur, generator).flatten()
        images[some] = F.avg_pool2d(F.pad(images[some], (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return images.clamp_(0, 1)


def erased(mask: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """``mask`` (N, 1, H, W) bool with a rectangle of a tenth to a third of either side taken out of ``share`` of the
    images."""
    n, _, rows, columns = mask.shape
    hit = chance(n, share, generator)
    inside = torch.ones_like(mask)
    for axis, size in ((2, rows), (3, columns)):
        length = uniform(n, 0.1, 1 / 3, generator) * size
        start = uniform(n, 0, 1, generator) * (size - length)
        at = torch.arange(size, device=mask.device).view([-1 if d == axis else 1 for d in range(4)])
        inside = inside & (at >= start) & (at < start + length)
    return mask & ~(inside & hit)


def normal(images: Tensor, mask: Tensor) -> Tensor:
    """Less :data:`MEAN`, divided by :data:`STD`; 0 where ``mask`` is false."""
    mean, std = (torch.tensor(v, dtype=images.dtype, device=images.device)[:, None, None] for v in (MEAN, STD))
    return (images - mean).div_(std).mul_(mask)
