"""What of the ground looks alike from a street and from the air: channels of ring images, the same on both sides."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS = ("light", "green-red", "blue-yellow", "edges")


def channels(lab_rings: Tensor, covered: Tensor) -> Tensor:
    """(N, 3, R, A) ring images in L*a*b* and (N, R, A) shares covered → (N, K, R, A), one channel each of
    :data:`CHANNELS`. Cells that are not covered get their image's mean, which says nothing either way."""
    known = (covered > 0.25).unsqueeze(1).to(lab_rings.dtype)
    count = known.sum(dim=(-2, -1), keepdim=True).clamp(min=1.0)
    mean = (lab_rings * known).sum(dim=(-2, -1), keepdim=True) / count
    filled = torch.where(known > 0, lab_rings, mean)
    return torch.cat([filled, edges(filled[:, :1])], dim=1)


def edges(light: Tensor) -> Tensor:
    """(N, 1, R, A) steepness of light: differences to the neighbours around and outwards, with the square root taken so
    that one bright border does not outweigh all others. Cells are as deep as wide, so both count alike."""
    around = (torch.roll(light, -1, dims=-1) - torch.roll(light, 1, dims=-1)) / 2
    padded = F.pad(light, (0, 0, 1, 1), mode="replicate")
    outwards = (padded[..., 2:, :] - padded[..., :-2, :]) / 2
    return (around.square() + outwards.square() + 1e-6) ** 0.25
