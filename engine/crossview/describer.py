"""What describes a crop and a photo so that the two can be compared: the joint between methods and index.

A describer turns crops of the reference into rows of numbers that an index keeps, a photo into a query, and scores
rows against a query. Where the score is an inner product the index may be searched by approximate structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.index.card import LayerFacts, ModelFacts
from engine.models.rings import RingNetwork

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class GroundView:
    """A photo as a describer takes it: ``pixels`` (3, H, W) uint8 equirectangular, ``view`` a
    :class:`engine.panorama.view.PanoramaView`; ``heading_known`` whether the view's heading means anything."""

    pixels: Tensor
    view: Any
    heading_known: bool
    name: str = ""
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class VectorQuery:
    """``vectors`` (Q, dim) float32 of unit length; ``headings`` (Q,) the compass direction of the photo's centre that
    each stands for, None where a vector says nothing of it. The score of a cell is its best."""

    vectors: NDArray[np.float32]
    headings: NDArray[np.float32] | None


class Describer(Protocol):
    """``layer`` names the description in an index. ``side`` and ``scales_m``: the crops that it wants."""

    @property
    def layer(self) -> str:
        """Name of the layer of an index: "learned" or "geometric"."""

    @property
    def model(self) -> ModelFacts | None:
        """Name and digest of the weights; None where there are none."""

    @property
    def bundle_sha256(self) -> str | None:
        """Digest of the model's file, rings and all; None where there is none."""

    @property
    def rings(self) -> RingNetwork | None:
        """What the model verifies candidates by, where it has learned any."""

    def described(self, made_by: ModelFacts | None) -> bool:
        """Are descriptions of which a card says ``made_by`` those of this describer?"""

    @property
    def side(self) -> int:
        """Pixels of a crop's side."""

    @property
    def scales_m(self) -> tuple[float, ...]:
        """Metres a pixel of the crops, the finest first."""

    @property
    def dim(self) -> int:
        """Numbers of a description."""

    @property
    def dtype(self) -> str:
        """How they are kept: float16, float32, uint8 or int8."""

    @property
    def linear(self) -> bool:
        """Is the score the best inner product of a :class:`VectorQuery` and a description?"""

    @property
    def one_scale(self) -> bool:
        """Are the scales alternatives, of which the finest that the reference serves is enough?"""

    def describe(self, pixels: Tensor, gsd_m: float) -> NDArray[Any]:
        """(N, dim) descriptions of crops (N, 3, S, S) float 0..1 at ``gsd_m`` metres a pixel."""

    def query(self, image: GroundView) -> Any:
        """What a photo asks: a :class:`VectorQuery` where the method is linear."""

    def ready(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Of descriptions (N, dim) what no photo changes, (N, …), made once for all photos that they are compared with;
        the descriptions themselves where there is nothing to make."""

    def scores(self, queries: Sequence[Any], ready: NDArray[Any], gsd_m: float) -> tuple[Scores, Scores | None]:
        """(Q, N) scores of photos and of what :meth:`ready` gave of N descriptions, higher is better, and (Q, N)
        compass headings in degrees of each photo's centre where the method tells them."""


def layer_facts(describer: Describer, scales_m: tuple[float, ...]) -> LayerFacts:
    """What a card says of a describer that was given crops of these scales."""
    return LayerFacts.model_validate(
        {
            "name": describer.layer,
            "model": describer.model,
            "side": describer.side,
            "scales_m": scales_m,
            "dim": describer.dim,
            "dtype": describer.dtype,
            "linear": describer.linear,
        }
    )
