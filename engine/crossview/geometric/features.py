"""What of the ground looks alike from a street and from the air: channels of ring images, the same on both sides."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS = ("light", "green-red", "blue-yellow", "edges of light", "edges of green-red", "edges of blue-yellow")


def channels(lab_rings: Tensor, covered: Tensor) -> Tensor:
    """(N, 3, R, A) ring images in L*a*b* and (N, R, A) shares covered → (N, K, R, A), one channel each of
    :data:`CHANNELS`. Cells that are not covered get their image's mean, which says nothing either way."""
    known = (covered > 0.25).unsqueeze(1).to(lab_rings.dtype)
    count = known.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)
    mean = (lab_rings * known).sum(dim=(-2, -1), keepdim=True) / count
    filled = torch.where(known > 0, lab_rings, mean)
    return torch.cat([filled, edges(filled)], dim=1)


def edges(values: Tensor) -> Tensor:
    """(N, C, R, A) steepness of each channel: differences to the neighbours around and outwards, with the square root
    taken so that one bright border does not outweigh all others."""
    around = (torch.roll(values, -1, dims=-1) - torch.roll(values, 1, dims=-1)) / 2
    padded = F.pad(values, (0, 0, 1, 1), mode="replicate")
    outwards = (padded[..., 2:, :] - padded[..., :-2, :]) / 2
    return (around.square() + outwards.square() + 1e-6) ** 0.25
