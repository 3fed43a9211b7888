"""A two-sensor network behind one tensor, as streaming inference feeds networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.models.two_sensor import TwoSensorSegmenter

VALIDITY_BANDS = 2


class StackedSensors(nn.Module):
    """(N, s1 bands + s2 bands + 2, H, W): normalised values of both sensors, then 1 where Sentinel-1 is valid and 1
    where Sentinel-2 is, else 0 → the logits of ``network``. Where neither is valid they say nothing."""

    def __init__(self, network: TwoSensorSegmenter) -> None:
        super().__init__()
        self.network = network
        self.classes = network.classes

    def forward(self, x: Tensor) -> Tensor:
        first, last = self.network.s1_bands, self.network.bands
        valid = x[:, last:] > 0.5
        s1, s2 = x[:, :first].contiguous(), x[:, first:last].contiguous()
        logits: Tensor = self.network(s1=s1, s2=s2, s1_valid=valid[:, :1], s2_valid=valid[:, 1:])
        return logits.contiguous(memory_format=torch.contiguous_format)
