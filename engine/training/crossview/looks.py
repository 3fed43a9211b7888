"""Stronger changes of either view by itself, for pictures that look unlike those that a network is trained on: other
sensors, seasons and light, and cameras that are not held level.

Pure torch; everything is drawn from the generator that is given.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.training.crossview.augment import chance, uniform

GAMMA, MIXTURE, LIGHT, HAZE, NOISE = 0.6, 0.3, 0.35, 0.3, 0.05
"""At strength 1: largest logarithm of the gamma, deviation of how colours mix, of the logarithm of the light over the
image, largest share of haze, largest deviation of noise."""


def disguised(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Images (N, 3, H, W) of 0…1 as another sensor may have taken them in another season: gamma, colours mixed with
    each other, light that changes over the image, haze, pixels twice as coarse for some, noise; 0…1. ``strength`` 0…1
    (0: unchanged)."""
    if not strength:
        return images
    n, _, rows, columns = images.shape
    device = generator.device
    images = images.clamp(min=1e-4) ** torch.exp(strength * GAMMA * uniform(n, -1, 1, generator))
    mixture = strength * MIXTURE * torch.randn(n, 3, 3, generator=generator, device=device)
    mixture = torch.eye(3, device=device) + mixture - mixture.mean(2, keepdim=True)  # grey stays grey
    gains = torch.exp(0.4 * strength * MIXTURE * torch.randn(n, 3, 1, generator=generator, device=device))
    images = torch.einsum("nij,njrc->nirc", mixture * gains, images)
    light = strength * LIGHT * torch.randn(n, 1, 3, 4, generator=generator, device=device)
    images = images * F.interpolate(light, size=(rows, columns), mode="bilinear", align_corners=True).exp()
    share = strength * HAZE * uniform(n, 0, 1, generator) * chance(n, 0.5, generator)
    images = images * (1 - share) + share * uniform(n, 0.5, 0.95, generator)
    coarse = F.interpolate(F.avg_pool2d(images, 2, ceil_mode=True), size=(rows, columns), mode="bilinear")
    images = torch.where(chance(n, 0.35 * strength, generator), coarse, images)
    grain = torch.randn(images.shape, generator=generator, device=device)
    return (images + strength * NOISE * uniform(n, 0, 1, generator) * grain).clamp(0, 1)


def tilted(panoramas: Tensor, mask: Tensor, rows: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Panoramas (N, C, H, W) and their masks (N, 1, H, W) bool as a camera shows them that is tilted, or stands on
    ground that rises or falls: rows move by up to ``rows``, by half of it all round and by half along one wave, and
    what lies off the middle row by up to a tenth more or less. What comes in from beyond is not shown."""
    n, _, height, width = panoramas.shape
    device = generator.device
    around = torch.arange(width, device=device) * (2 * math.pi / width)
    phase = uniform(n, 0, 2 * math.pi, generator)[:, 0]
    wave = uniform(n, 0, 1, generator)[:, 0] * torch.cos(around - phase)
    move = rows / 2 * (uniform(n, -1, 1, generator)[:, 0] + wave)
    stretch = uniform(n, 0.9, 1.1, generator)[:, 0]
    y = (torch.arange(height, device=device) + 0.5) * (2 / height) - 1
    y = y[None, :, None] * stretch + move * (2 / height)
    x = ((torch.arange(width, device=device) + 0.5) * (2 / width) - 1).expand(n, height, width)
    grid = torch.stack([x, y.expand(n, height, width)], dim=-1)
    moved = F.grid_sample(panoramas, grid, mode="bilinear", padding_mode="border", align_corners=False)
    shown = F.grid_sample(mask.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False) > 0.5
    return moved, shown
