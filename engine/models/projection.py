"""Heads and encoders of contrastive pretraining: what maps an image to a direction. Dropped once training is done."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.resnet import ResNet

DENSE_LEVEL = 3
"""Features at stride 16 feed the dense head unless told otherwise."""


class ProjectionHead(nn.Module):
    """(N, ``channels_in``) → (N, ``channels_out``) at unit length: linear, ReLU, linear (Chen et al. 2020, MoCo-v2).

    No normalisation over the batch: an embedding depends on its own image alone, so no loss can cheat by statistics
    of the batch and several processes need not share any.
    """

    def __init__(self, channels_in: int, hidden: int | None = None, channels_out: int = 128) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels_in, hidden or channels_in)
        self.out = nn.Linear(hidden or channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.out(F.relu(self.hidden(x))).float(), dim=1)


class DenseHead(nn.Module):
    """:class:`ProjectionHead` at every place of (N, ``channels_in``, h, w) features."""

    def __init__(self, channels_in: int, hidden: int | None = None, channels_out: int = 128) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels_in, hidden or channels_in, 1)
        self.out = nn.Conv2d(hidden or channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.out(F.relu(self.hidden(x))).float(), dim=1)


class Embedding(NamedTuple):
    """Of one sensor: ``pooled`` (N, D) and, with a dense head, ``dense`` (N, D, h, w); both at unit length."""

    pooled: Tensor
    dense: Tensor | None


class PairEmbedding(NamedTuple):
    """Of both sensors; row i of ``s1`` and row i of ``s2`` are of one place."""

    s1: Embedding
    s2: Embedding


class Embedder(nn.Module):
    """An encoder, global average pooling and a projection head; with ``dense`` a dense head beside it, on the features
    number ``dense_level`` of the encoder (0 to 4: strides 2, 4, 8, 16, 32; the finer, the more places).

    :meth:`forward` takes (N, bands, H, W) normalised values and, where pixels may be missing, ``valid``
    (N, 1, H, W) bool: missing pixels enter as 0 (the mean), whatever they hold, and are left out of the pooling.
    Raises ParameterError for a level that the encoder does not have.
    """

    def __init__(
        self,
        encoder: ResNet,
        *,
        hidden: int | None = None,
        dimensions: int = 128,
        dense: bool = False,
        dense_level: int = DENSE_LEVEL,
    ) -> None:
        super().__init__()
        if not 0 <= dense_level < len(encoder.channels):
            raise ParameterError(f"The encoder has levels 0 to {len(encoder.channels) - 1}, found {dense_level}.")
        self.dense_level = dense_level
        self.encoder = encoder
        self.head = ProjectionHead(encoder.channels[-1], hidden, dimensions)
        self.dense_head = DenseHead(encoder.channels[dense_level], hidden, dimensions) if dense else None

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Embedding:
        if valid is not None:
            x = torch.where(valid, x, torch.zeros((), dtype=x.dtype, device=x.device))
        features = self.encoder(x)
        dense = None if self.dense_head is None else self.dense_head(features[self.dense_level])
        return Embedding(self.head(pooled(features[-1], valid)), dense)


class DualEncoder(nn.Module):
    """One :class:`Embedder` for each sensor. :meth:`forward` takes both sensors of N places, and validity or None."""

    def __init__(
        self,
        s1: ResNet,
        s2: ResNet,
        *,
        hidden: int | None = None,
        dimensions: int = 128,
        dense: bool = False,
        dense_level: int = DENSE_LEVEL,
    ) -> None:
        super().__init__()
        self.s1, self.s2 = (
            Embedder(encoder, hidden=hidden, dimensions=dimensions, dense=dense, dense_level=dense_level)
            for encoder in (s1, s2)
        )

    def forward(
        self, s1: Tensor, s2: Tensor, s1_valid: Tensor | None = None, s2_valid: Tensor | None = None
    ) -> PairEmbedding:
        if len(s1) != len(s2):
            raise ParameterError(f"Pairs need as many images of either sensor, found {len(s1)} and {len(s2)}.")
        return PairEmbedding(self.s1(s1, s1_valid), self.s2(s2, s2_valid))


def pooled(features: Tensor, valid: Tensor | None = None) -> Tensor:
    """(N, C, h, w) features → (N, C), the mean over places, weighted by the valid share of the pixels under each
    (``valid`` (N, 1, H, W) bool); the plain mean for an image without a valid pixel."""
    if valid is None:
        return features.mean((2, 3))
    weights = F.adaptive_avg_pool2d(valid.to(features.dtype), (features.shape[2], features.shape[3]))
    total = weights.sum((2, 3))
    mean = (features * weights).sum((2, 3)) / total.clamp(min=torch.finfo(features.dtype).tiny)
    return torch.where(total > 0, mean, features.mean((2, 3)))
