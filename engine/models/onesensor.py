"""The part of a two-sensor network that sees one sensor, as an ordinary segmenter that gives the same values."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter


@torch.no_grad()
def one_sensor(network: TwoSensorSegmenter, sensor: Literal["s1", "s2"]) -> Segmenter:
    """A :class:`Segmenter` that answers as ``network`` does from ``sensor`` alone where all of its pixels are valid.

    Exact, but for rounding: the 1 × 1 convolutions that lead to common channels have no bias and commute with nearest
    upsampling and with padding by zeros, so they are folded into the decoder's first convolutions.
    """
    encoder, join = (network.s1, network.s1_join) if sensor == "s1" else (network.s2, network.s2_join)
    made = Segmenter(
        bands=encoder.bands,
        classes=network.classes,
        encoder=encoder.name,
        width=encoder.width,
        features=network.features,
    )
    made.encoder.load_state_dict(encoder.state_dict())
    made.decoder.load_state_dict(network.decoder.state_dict())
    made.head.load_state_dict(network.head.state_dict())
    levels = [layer for layer in join if isinstance(layer, nn.Conv2d)]
    before = levels[-1].weight.shape[0]
    for number, block in enumerate(made.decoder.blocks):
        conv = block.get_submodule("conv1")
        if not isinstance(conv, nn.Conv2d):
            raise TypeError("A decoder block begins with a convolution.")
        weight = conv.weight
        if number == 0:  # the deepest features come upsampled, before the skip
            weight[:, :before] = _led(weight[:, :before], levels[-1])
        skip = len(levels) - 2 - number
        if skip >= 0:
            channels = levels[skip].weight.shape[0]
            weight[:, -channels:] = _led(weight[:, -channels:], levels[skip])
    return made.train(network.training)


def _led(weight: torch.Tensor, lead: nn.Conv2d) -> torch.Tensor:
    """The convolution by ``weight`` after the 1 × 1 convolution ``lead``, as one."""
    return torch.einsum("ojhw,jc->ochw", weight, lead.weight[:, :, 0, 0])
