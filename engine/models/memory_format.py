"""How images lie in memory before a convolution."""

from __future__ import annotations

import torch
from torch import Tensor


def layout_on(device: str) -> torch.memory_format:
    """How images should lie on a kind of device (``cpu``, ``cuda``, ``mps``): :func:`channels_last` says why."""
    return torch.contiguous_format if device == "mps" else torch.channels_last


def channels_last(images: Tensor) -> Tensor:
    """The same (N, C, H, W) values, the channels of a pixel beside each other.

    Convolutions of a processor then take 1.3 to 2 times as many images, forward and backward, and tensor cores want it
    so (``scripts/bench/memory_format``, docs/benchmarks.md; a ConvNeXt gains nothing: it turns its features anyway).
    As they are on Apple's GPU, whose kernels do not gain, and while a network is exported, where memory has no meaning.
    """
    if torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export():
        return images
    return images.contiguous(memory_format=layout_on(images.device.type))
