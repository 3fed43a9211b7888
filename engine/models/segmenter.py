"""A segmentation network: ResNet encoder, U-Net decoder and a 1 × 1 head."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from torch import Tensor, nn

from engine.models.indices import Indices
from engine.models.names import EncoderName
from engine.models.resnet import ResNet
from engine.models.unet import UNetDecoder


class Segmenter(nn.Module):
    """(batch, bands, rows, columns) normalised values → (batch, classes, rows, columns) logits.

    Rows and columns must be multiples of :attr:`divisor`. ``encoder.*`` holds the encoder's published parameter
    names. ``width`` scales encoder and decoder channels; no block of the decoder has fewer than ``features``: what few
    channels of the last one hold, the head cannot tell into many classes. With ``indices`` the encoder sees normalised
    differences of the bands too.
    """

    divisor = 32

    def __init__(
        self,
        *,
        bands: int,
        classes: int,
        encoder: EncoderName = "resnet18",
        width: float = 1.0,
        features: int = 4,
        indices: Indices | None = None,
    ) -> None:
        super().__init__()
        self.bands, self.classes, self.features, self.indices = bands, classes, features, indices
        self.encoder = ResNet(encoder, bands=bands + (indices.count if indices is not None else 0), width=width)
        self.decoder = UNetDecoder(self.encoder.channels, decoder_channels(width, features))
        self.head = nn.Conv2d(self.decoder.channels_out, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = x if self.indices is None else self.indices(x)
        logits: Tensor = self.head(self.decoder(self.encoder(seen)))
        return logits

    def settings(self) -> dict[str, Any]:
        """The arguments that build an equal network, JSON-able."""
        return {
            "bands": self.bands,
            "classes": self.classes,
            "encoder": self.encoder.name,
            "width": self.encoder.width,
            "features": self.features,
        }


def decoder_channels(width: float, features: int) -> list[int]:
    """Channels of the decoder's blocks, the deepest first."""
    return [max(features, round(c * width)) for c in (256, 128, 64, 32, 16)]


def fuse_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in evaluation mode with every batch normalisation folded into the convolution before it.

    Pairs are found by name, as this package names them: ``convN`` with ``bnN`` in one module, and a convolution
    followed by a normalisation in a ``Sequential``. Equal to the original up to float rounding (Jacob et al. 2018,
    equation 14); other modules stay as they are.
    """
    fused = copy.deepcopy(network).eval()
    for module in list(fused.modules()):
        children = dict(module.named_children())
        pairs = [
            (name, "bn" + name[4:]) for name in children if name.startswith("conv") and "bn" + name[4:] in children
        ]
        if isinstance(module, nn.Sequential):
            names = list(children)
            pairs += list(itertools.pairwise(names))
        for conv_name, norm_name in pairs:
            conv, norm = children[conv_name], children[norm_name]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, torch.nn.utils.fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    return fused
