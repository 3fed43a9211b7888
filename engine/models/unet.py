"""U-Net decoder over the features of an encoder (Ronneberger et al. 2015), with nearest upsampling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DecoderBlock(nn.Module):
    """Doubles rows and columns, joins the skip features, then two 3 × 3 convolutions."""

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in + channels_skip, channels_out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)))


class UNetDecoder(nn.Module):
    """From features at strides 2…32 (finest first) to features of ``channels[-1]`` channels at stride 1.

    ``encoder_channels`` are those of :attr:`engine.models.resnet.ResNet.channels`; rows and columns of the input must
    be multiples of 32.
    """

    def __init__(self, encoder_channels: Sequence[int], channels: Sequence[int] = (256, 128, 64, 32, 16)) -> None:
        super().__init__()
        skips = [*reversed(encoder_channels[:-1]), 0]
        before = encoder_channels[-1]
        blocks = []
        for skip, out in zip(skips, channels, strict=True):
            blocks.append(DecoderBlock(before, skip, out))
            before = out
        self.blocks = nn.ModuleList(blocks)
        self.channels_out = before
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x = features[-1]
        skips: list[Tensor | None] = [*reversed(features[:-1]), None]
        for block, skip in zip(self.blocks, skips, strict=True):
            x = block(x, skip)
        return x
