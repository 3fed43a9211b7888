"""The cross-view network: a ground image and an overhead image of one place get embeddings that lie close together.

Two encoders whose weights are apart, and for each a head that keeps where things are: the largest value over channels
at each place goes through learned weights to several maps, and the features weighted by each map are the descriptor
(Shi et al. 2019, "Spatial-Aware Feature Aggregation for Cross-View Image Based Geo-Localization").
"""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.convnext import ConvNext
from engine.models.losses.scale import LogitScale
from engine.models.names import ConvNextName, EncoderName, PhotoEncoderName
from engine.models.resnet import ResNet
from engine.models.rings import RingNetwork

MAPS = 8
Side = tuple[int, int]


def photo_encoder(
    name: PhotoEncoderName, *, width: float = 1.0, depth: float = 1.0, stages: int = 4
) -> ResNet | ConvNext:
    """An encoder of three bands by its name; ``depth`` is for ConvNeXt alone. Raises ParameterError."""
    if name in get_args(ConvNextName):
        return ConvNext(name, bands=3, width=width, depth=depth, stages=stages)  # type: ignore[arg-type]
    if name in get_args(EncoderName):
        if depth != 1:
            raise ParameterError(f"The depth of a {name} is fixed; found a factor of {depth:g}.")
        return ResNet(name, bands=3, width=width, stages=stages)  # type: ignore[arg-type]
    raise ParameterError(f"There is no encoder {name!r}; there are {', '.join(get_args(PhotoEncoderName))}.")


class SpatialMaps(nn.Module):
    """(N, C, h, w) features → (N, ``maps`` · C) at unit length; ``size`` is (h, w).

    The largest value over channels at each place → two linear layers (half as many numbers between them) → ``maps``
    weights for each place; the descriptor is the sum of the features by each map's weights.
    """

    def __init__(self, size: Side, *, maps: int = MAPS) -> None:
        super().__init__()
        places = size[0] * size[1]
        between = max(1, places // 2)
        self.size, self.maps = size, maps
        self.inward = nn.Parameter(torch.empty(maps, places, between))
        self.inward_bias = nn.Parameter(torch.full((maps, between), 0.1))
        self.outward = nn.Parameter(torch.empty(maps, between, places))
        self.outward_bias = nn.Parameter(torch.full((maps, places), 0.1))
        for weight, inputs in ((self.inward, places), (self.outward, between)):
            nn.init.trunc_normal_(weight, std=inputs**-0.5)

    def weights(self, features: Tensor) -> Tensor:
        """(N, maps, h · w) weights of the places."""
        highest = features.amax(1).flatten(1)
        between = torch.einsum("np,mpb->nmb", highest, self.inward) + self.inward_bias
        return torch.einsum("nmb,mbp->nmp", between, self.outward) + self.outward_bias

    def forward(self, features: Tensor) -> Tensor:
        if features.shape[2:] != self.size:
            raise ParameterError(
                f"The head takes features of {self.size[0]} × {self.size[1]} places, found "
                f"{features.shape[2]} × {features.shape[3]}."
            )
        found = torch.einsum("nmp,ncp->nmc", self.weights(features), features.flatten(2))
        return F.normalize(found.flatten(1).float(), dim=1)


class CrossViewNetwork(nn.Module):
    """Two encoders and their heads, and the learned temperature of the contrast (``scale``, at least 0.01).

    ``ground_size`` and ``overhead_size`` are (rows, columns) of what the branches take, multiples of :attr:`stride`
    (32, or 4 · 2^(stages−1) with fewer ``stages``); :attr:`dim` = ``maps`` · channels of the last stage. ``rings``: it
    comes with a :class:`~engine.models.rings.RingNetwork` of that width, by which what it proposes is verified (0:
    without). Raises ParameterError for sizes that are none.
    """

    def __init__(
        self,
        encoder: PhotoEncoderName = "convnext_tiny",
        *,
        ground_size: Side,
        overhead_size: Side,
        width: float = 1.0,
        depth: float = 1.0,
        stages: int = 4,
        maps: int = MAPS,
        temperature: float = 0.07,
        rings: int = 0,
    ) -> None:
        super().__init__()
        self.ground_encoder = photo_encoder(encoder, width=width, depth=depth, stages=stages)
        self.overhead_encoder = photo_encoder(encoder, width=width, depth=depth, stages=stages)
        self.stride = self.ground_encoder.stride
        self.ground_size, self.overhead_size = _checked(ground_size, self.stride), _checked(overhead_size, self.stride)
        self.encoder, self.width, self.depth, self.stages, self.maps = encoder, width, depth, stages, maps
        self.ground_head = SpatialMaps(self._grid(ground_size), maps=maps)
        self.overhead_head = SpatialMaps(self._grid(overhead_size), maps=maps)
        self.dim = maps * self.ground_encoder.channels[-1]
        self.scale = LogitScale(temperature)
        self.rings = RingNetwork(rings) if rings else None

    @property
    def side(self) -> dict[str, Side]:
        """(rows, columns) of what each branch takes."""
        return {"ground": self.ground_size, "overhead": self.overhead_size}

    def ground(self, images: Tensor) -> Tensor:
        """(N, 3, *``ground_size``) normalised → (N, dim) at unit length."""
        out: Tensor = self.ground_head(self.ground_encoder(images)[-1])
        return out

    def ground_turned(self, images: Tensor, turns: int) -> Tensor:
        """(N, 3, *``ground_size``) normalised, of the whole way round → (N, ``turns``, dim) at unit length, the k-th as
        of the image rolled right by k/``turns`` of its columns, from one pass of the encoder whose features are rolled.
        ``turns`` divides the columns of the features. The encoder has seen where the image was cut (its padding), so
        that these are not quite the embeddings of rolled images."""
        features = self.ground_encoder(images)[-1]
        step = features.shape[3] // turns
        every = torch.stack([features.roll(turn * step, dims=3) for turn in range(turns)], dim=1)
        out: Tensor = self.ground_head(every.flatten(0, 1)).view(len(images), turns, -1)
        return out

    def overhead(self, images: Tensor) -> Tensor:
        """(N, 3, *``overhead_size``) normalised → (N, dim) at unit length."""
        out: Tensor = self.overhead_head(self.overhead_encoder(images)[-1])
        return out

    def forward(self, ground: Tensor, overhead: Tensor) -> tuple[Tensor, Tensor]:
        return self.ground(ground), self.overhead(overhead)

    def settings(self) -> dict[str, Any]:
        """The arguments that build an equal network, JSON-able."""
        return {
            "encoder": self.encoder,
            "ground_size": list(self.ground_size),
            "overhead_size": list(self.overhead_size),
            "width": self.width,
            "depth": self.depth,
            "stages": self.stages,
            "maps": self.maps,
            "rings": self.rings.width if self.rings is not None else 0,
        }

    def _grid(self, size: Side) -> Side:
        return size[0] // self.stride, size[1] // self.stride


def _checked(size: Side, stride: int) -> Side:
    if len(size) != 2 or any(n < stride or n % stride for n in size):
        raise ParameterError(
            f"An input of {' × '.join(map(str, size))} pixels does not fit the network.",
            remedy=f"Give rows and columns that are multiples of {stride}.",
        )
    return int(size[0]), int(size[1])
