"""One segmentation network for Sentinel-1, Sentinel-2 or both: a sensor that is missing is masked, never faked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.names import EncoderName
from engine.models.resnet import ResNet
from engine.models.segmenter import decoder_channels
from engine.models.unet import UNetDecoder


class TwoSensorSegmenter(nn.Module):
    """A ResNet for each sensor, features joined at every stride, a U-Net decoder and a 1 × 1 head.

    At each stride a 1 × 1 convolution of each sensor leads to common channels; the join is their mean, weighted by the
    share of valid pixels under each cell. So a cell that one sensor does not see (missing, or under cloud) is told by
    the other alone, at the same scale. Images that lack a sensor do not pass its encoder: neither their values nor
    a stand-in reach the result or the statistics of normalisations.
    """

    divisor = 32

    def __init__(
        self,
        *,
        s1_bands: int,
        s2_bands: int,
        classes: int,
        encoder: EncoderName = "resnet18",
        width: float = 1.0,
        features: int = 4,
    ) -> None:
        super().__init__()
        self.features = features
        self.s1_bands, self.s2_bands, self.classes = s1_bands, s2_bands, classes
        self.s1 = ResNet(encoder, bands=s1_bands, width=width)
        self.s2 = ResNet(encoder, bands=s2_bands, width=width)
        channels = self.s1.channels
        self.s1_join = nn.ModuleList(nn.Conv2d(c, c, 1, bias=False) for c in channels)
        self.s2_join = nn.ModuleList(nn.Conv2d(c, c, 1, bias=False) for c in channels)
        self.decoder = UNetDecoder(channels, decoder_channels(width, features))
        self.head = nn.Conv2d(self.decoder.channels_out, classes, 1)

    @property
    def bands(self) -> int:
        """Bands of both sensors."""
        return self.s1_bands + self.s2_bands

    def settings(self) -> dict[str, Any]:
        """The arguments that build an equal network, JSON-able."""
        return {
            "s1_bands": self.s1_bands,
            "s2_bands": self.s2_bands,
            "classes": self.classes,
            "encoder": self.s1.name,
            "width": self.s1.width,
            "features": self.features,
        }

    def forward(
        self,
        s1: Tensor | None = None,
        s2: Tensor | None = None,
        s1_valid: Tensor | None = None,
        s2_valid: Tensor | None = None,
    ) -> Tensor:
        """Normalised values (N, bands, H, W) of either sensor or both → logits (N, classes, H, W).

        ``s1_valid`` and ``s2_valid`` are bool, (N,) for whole images or (N, 1, H, W) for pixels; None: all of it is
        valid. Values at invalid pixels are not looked at and may be NaN. H and W are multiples of 32. Where neither
        sensor is valid the logits say nothing. Raises ParameterError when no sensor is given, or sizes differ.
        """
        given = [x for x in (s1, s2) if x is not None]
        if not given or len({(len(x), *map(int, x.shape[2:])) for x in given}) != 1:
            sizes = " and ".join(str(tuple(x.shape)) for x in given) or "none"
            raise ParameterError(f"Give Sentinel-1, Sentinel-2 or both, of one number and size; found {sizes}.")
        sums: list[Tensor] = []
        totals: list[Tensor] = []
        idle: list[nn.Module] = []
        for encoder, join, x, valid in ((self.s1, self.s1_join, s1, s1_valid), (self.s2, self.s2_join, s2, s2_valid)):
            mask = None if x is None else _mask(x, valid)
            if x is None or mask is None or not bool(mask.any()):
                idle += [encoder, join]
                continue
            features = _of_those_seen(encoder, join, x, mask)
            weights = [F.avg_pool2d(mask.to(f.dtype), 2 ** (level + 1)) for level, f in enumerate(features)]
            weighted = [f * w for f, w in zip(features, weights, strict=True)]
            sums = [a + b for a, b in zip(sums, weighted, strict=True)] if sums else weighted
            totals = [a + b for a, b in zip(totals, weights, strict=True)] if totals else weights
        if sums:
            joined = [
                torch.where(t > 0, s / t.clamp(min=1e-6), torch.zeros_like(s))
                for s, t in zip(sums, totals, strict=True)
            ]
        else:
            joined = [given[0].new_zeros(self._shape(given[0], level)) for level in range(5)]
        logits: Tensor = self.head(self.decoder(joined))
        if self.training and idle:  # every parameter gets a gradient, as DistributedDataParallel expects
            logits = logits + 0 * torch.stack([p.sum() for module in idle for p in module.parameters()]).sum()
        return logits

    def _shape(self, x: Tensor, level: int) -> tuple[int, int, int, int]:
        stride = 2 ** (level + 1)
        return len(x), self.s1.channels[level], x.shape[2] // stride, x.shape[3] // stride


def _mask(x: Tensor, valid: Tensor | None) -> Tensor:
    """(N, 1, H, W) bool."""
    shape = (len(x), 1, *map(int, x.shape[2:]))  # numbers also where a tracer has tensors for them
    if valid is None:
        return torch.ones(shape, dtype=torch.bool, device=x.device)
    if valid.dtype != torch.bool or tuple(valid.shape) not in (shape, (len(x),)):
        raise ParameterError(
            f"Validity must be bool of {(len(x),)} or {shape}, found {valid.dtype} {tuple(valid.shape)}."
        )
    return valid if valid.ndim == 4 else valid[:, None, None, None].expand(shape)


def _of_those_seen(encoder: ResNet, join: nn.ModuleList, x: Tensor, mask: Tensor) -> list[Tensor]:
    """Joinable features at every stride; zeros for images without a valid pixel, which do not pass the encoder."""
    seen = mask.flatten(1).any(1)
    everything = bool(seen.all())
    x = torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device))
    if not everything:
        x = x[seen]
    features = [layer(f) for layer, f in zip(join, encoder(x), strict=True)]
    if everything:
        return features
    rows = seen.nonzero()[:, 0]
    return [f.new_zeros((len(seen), *f.shape[1:])).index_copy(0, rows, f) for f in features]
