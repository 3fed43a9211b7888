"""A network for a handful of labels: a linear layer over what is known of each pixel and its close neighbourhood."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.names import EncoderName
from engine.models.segmenter import Segmenter

NEAR, WIDE = 3, 7
"""Sides of the neighbourhoods in pixels."""


class PixelSegmenter(nn.Module):
    """(batch, bands, rows, columns) normalised values → (batch, classes, rows, columns) logits.

    What is known of a pixel (:meth:`describe`): its bands, their means over 3 × 3 and 7 × 7 pixels, their spread over
    7 × 7, and, with ``encoder``, the features that a :class:`~engine.models.segmenter.Segmenter` of that size makes
    before its head (``trunk``, trained before and frozen). Each is standardised by ``centre`` and ``spread``. With
    ``waves`` so many random cosines of them are added (Rahimi and Recht 2007, "Random Features for Large-Scale Kernel
    Machines"), then comes one linear layer. Rows and columns must be multiples of :attr:`divisor` where there is a
    trunk.
    """

    divisor = 32

    def __init__(
        self,
        *,
        bands: int,
        classes: int,
        encoder: EncoderName | None = None,
        width: float = 1.0,
        features: int = 4,
        waves: int = 0,
    ) -> None:
        super().__init__()
        self.bands, self.classes, self.waves = bands, classes, waves
        self.trunk = None
        if encoder is not None:
            self.trunk = Segmenter(bands=bands, classes=1, encoder=encoder, width=width, features=features)
            self.trunk.head = nn.Identity()  # type: ignore[assignment]
        known = 4 * bands + (self.trunk.decoder.channels_out if self.trunk is not None else 0)
        self.known = known
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(known))
        self.register_buffer("spread", torch.ones(known))
        self.wave = nn.Conv2d(known, waves, 1) if waves else None
        self.head = nn.Conv2d(known + waves, classes, 1)

    def describe(self, x: Tensor) -> Tensor:
        """(batch, :attr:`known`, rows, columns): what is known of each pixel, not standardised yet."""
        wide = mean_around(x, WIDE)
        # The mean of squares less the square of the mean: normalised values are of the order of one.
        spread = (mean_around(x * x, WIDE) - wide * wide).clamp(min=0).sqrt()
        parts = [x, mean_around(x, NEAR), wide, spread]
        if self.trunk is not None:
            parts.append(self.trunk(x))
        return torch.cat(parts, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        z = (self.describe(x) - self.centre[:, None, None]) / self.spread[:, None, None]
        if self.wave is not None:
            z = torch.cat([z, math.sqrt(2 / self.waves) * torch.cos(self.wave(z))], dim=1)
        logits: Tensor = self.head(z)
        return logits

    def settings(self) -> dict[str, Any]:
        """The arguments that build an equal network, JSON-able."""
        trunk = self.trunk
        return {
            "bands": self.bands,
            "classes": self.classes,
            "encoder": trunk.encoder.name if trunk is not None else None,
            "width": trunk.encoder.width if trunk is not None else 1.0,
            "features": trunk.features if trunk is not None else 4,
            "waves": self.waves,
        }


def mean_around(x: Tensor, side: int) -> Tensor:
    """The mean over ``side`` × ``side`` pixels around each, of those inside the image."""
    return F.avg_pool2d(x, side, stride=1, padding=side // 2, count_include_pad=False)
