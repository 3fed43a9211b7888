"""A cross-view network and a matcher that turns together: both say how well each heading fits each image.

The network's similarity is known at its headings and drawn between them; the matcher's correlation is known at every
turn. Each is counted in standard deviations above what the photo gets from the gallery, their sum is taken at every
turn, and the best turn is score and heading. So a heading that only one of them believes in loses to one that both do.
Where the latitude is known, and the matcher is that of a model's rings, the sun has a say in headings too
(:mod:`engine.crossview.sun`): the logarithm of its odds counts as a standard deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.describer import VectorQuery
from engine.crossview.evaluation.geometric import Geometric
from engine.crossview.evaluation.learned import Learned
from engine.crossview.geometric.ring_matcher import LAYOUT, RingMatcher
from engine.crossview.search.ranking import Background
from engine.crossview.sun import shipped_compass
from engine.device import Device
from engine.panorama.view import PanoramaView

WEIGHT, RINGS_WEIGHT = 1.0, 2.0
"""How much a standard deviation of the matcher counts beside one of the network: of the one without weights, and of the
model's own rings (docs/studies/cross-view.md)."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FusedQuery:
    """One photo as either method takes it; ``sun``: what it says of the headings (turns,), 0 where it is not told."""

    learned: VectorQuery
    geometric: Any
    sun: Array


class Fused:
    """The network ``model`` (a name or a folder) and the matcher of its rings; where it has none, the geometric one.
    ``sun``: the compass is asked where there is one."""

    def __init__(self, model: str, device: Device, *, weight: float | None = None, sun: bool = True) -> None:
        self._learned = Learned(model, device)
        rings = self._learned.rings
        self._geometric = Geometric(device, None if rings is None else RingMatcher(rings, device=device.torch))
        self.weight = weight if weight is not None else WEIGHT if rings is None else RINGS_WEIGHT
        self._compass = shipped_compass() if sun and rings is not None else None
        self.name = "fused"

    def describe(self) -> dict[str, Any]:
        """Name and sha256 of the network's weights."""
        return self._learned.describe()

    def query(self, pixels: Tensor, view: PanoramaView, latitude: float | None = None) -> FusedQuery:
        """Embeddings and a template, and what the sun says at ``latitude``."""
        sun = np.zeros(LAYOUT.sectors)
        if self._compass is not None and latitude is not None and (sight := self._compass.sight(pixels, view)):
            sun = sight.leaning(latitude, len(sun))
        return FusedQuery(self._learned.query(pixels, view), self._geometric.query(pixels, view), sun)

    def entry(self, pixels: Tensor, gsd_m: float | None) -> tuple[NDArray[np.float32], Tensor]:
        """Embeddings (scales, dim) and codes (scales, K), at the same scales."""
        return self._learned.entry(pixels, gsd_m), self._geometric.entry(pixels, gsd_m)

    def table(
        self, queries: Sequence[FusedQuery], entries: Sequence[tuple[NDArray[np.float32], Tensor]]
    ) -> tuple[Array, Array]:
        """Summed deviations at the best turn and scale of each entry, and the heading there."""
        vectors = np.concatenate([one for one, _ in entries])
        codes = torch.cat([one for _, one in entries])
        parts = list(pairwise(np.cumsum([0, *(len(one) for one, _ in entries)]).tolist()))
        scores = np.empty((len(queries), len(entries)))
        headings = np.empty_like(scores)
        curves = self._geometric.turns([query.geometric for query in queries], codes)
        for row, (query, turns) in enumerate(zip(queries, curves, strict=True)):
            both = at_turns(vectors @ query.learned.vectors.T, query.learned.headings, turns.shape[1])
            joint = standing_out(both) + self.weight * standing_out(turns) + query.sun
            best, where = joint.max(axis=1), joint.argmax(axis=1)
            for column, (start, stop) in enumerate(parts):
                at = start + int(best[start:stop].argmax())
                scores[row, column] = best[at]
                headings[row, column] = where[at] * 360.0 / joint.shape[1]
        return scores, headings


def at_turns(similarity: NDArray[np.floating], headings: NDArray[np.floating] | None, turns: int) -> Array:
    """(N, ``turns``) similarity at headings 0°, 360/turns°, … of one (N, Q) that is known at ``headings`` (Q,): drawn
    between them, round the circle. Without headings the best is that of every turn."""
    if headings is None or len(headings) == 1:
        return np.repeat(np.asarray(similarity, np.float64).max(axis=1, keepdims=True), turns, axis=1)
    order = np.argsort(np.asarray(headings) % 360.0)
    known = np.asarray(headings, np.float64)[order] % 360.0
    values = np.asarray(similarity, np.float64)[:, order]
    known = np.concatenate([known[-1:] - 360.0, known, known[:1] + 360.0])
    values = np.concatenate([values[:, -1:], values, values[:, :1]], axis=1)
    wanted = np.arange(turns) * 360.0 / turns
    right = np.clip(np.searchsorted(known, wanted, side="right"), 1, len(known) - 1)
    share = (wanted - known[right - 1]) / np.maximum(known[right] - known[right - 1], 1e-9)
    return np.asarray(values[:, right - 1] * (1 - share) + values[:, right] * share)


def standing_out(curves: Array) -> Array:
    """(N, turns) in standard deviations above the mean of the N best turns."""
    return Background.of(curves.max(axis=1)).z(curves)
