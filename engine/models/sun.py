"""Where the sun stands in a panorama, from the sky's brightness and colour, lit walls and shadows.

All rows of an azimuth become features, convolutions that go round compare azimuths: a turned photo has a turned answer.
The cues are those of Lalonde, Efros and Narasimhan 2012, "Estimating the Natural Illumination Conditions from a Single
Outdoor Image"; here one small network weighs them, for a whole circle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.crossview_inputs import GroundFrame, View

SUN_FRAME = GroundFrame((22, 90), 360.0, 66.0)
"""What is looked at: 33° above and below the horizon, in pixels of 3° × 4°."""
AZIMUTHS = SUN_FRAME.size[1]


class SunNetwork(nn.Module):
    """(N, 3, 22, 90) of :data:`SUN_FRAME`, 0…1, and what of it is shown (N, 1, 22, 90) → (N, 90) logits of the sun's
    azimuth, of −178°, −174°, … 178° clockwise from the frame's middle."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        rows = SUN_FRAME.size[0]
        self.rows = nn.Conv1d(4 * rows, width, 1)
        self.near = nn.Conv1d(width, width, 7, padding=3, padding_mode="circular")
        self.wide = nn.Conv1d(width, width, 9, padding=12, dilation=3, padding_mode="circular")
        self.wider = nn.Conv1d(width, width, 9, padding=20, dilation=5, padding_mode="circular")
        self.drop = nn.Dropout(0.2)
        self.out = nn.Conv1d(width, 1, 1)

    def forward(self, images: Tensor, shown: Tensor) -> Tensor:
        x = F.gelu(self.rows(_normal(images, shown).flatten(1, 2)))
        for layer in (self.near, self.wide, self.wider):
            x = x + F.gelu(layer(self.drop(x)))
        return self.out(x)[:, 0]


def framed(images: Tensor, views: View | Sequence[View]) -> tuple[Tensor, Tensor]:
    """Panoramas (N, 3, H, W) that go all the way round, as the network takes them: the frame's middle is the photos'
    own where their views have heading 0."""
    found, shown = SUN_FRAME.put(images, views)
    return found, shown.float()


def azimuths_rad(device: torch.device | str = "cpu") -> Tensor:
    """(90,) what the logits stand for, in radians."""
    return ((torch.arange(AZIMUTHS, device=device) + 0.5) / AZIMUTHS - 0.5) * (2 * math.pi)


def _normal(images: Tensor, shown: Tensor) -> Tensor:
    """(N, 4, R, A): logarithms less their mean over what is shown, by their deviation; and what is shown."""
    light = torch.log(images + 0.03)
    count = shown.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1) * 3
    apart = (light - (light * shown).sum(dim=(1, 2, 3), keepdim=True) / count) * shown
    spread = (apart.square().sum(dim=(1, 2, 3), keepdim=True) / count).sqrt()
    return torch.cat([apart / (spread + 0.05), shown], dim=1)
