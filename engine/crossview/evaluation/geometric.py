"""The matchers that turn a photo's ground over an image's, as an evaluation asks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.geometric.matcher import GeometricMatcher
from engine.crossview.geometric.turning import CHUNK, TurningMatcher, soft_best
from engine.device import Device
from engine.panorama.view import PanoramaView

ASSUMED_GSD_M = (0.1, 0.15, 0.2, 0.3, 0.4)
"""Tried for an overhead image of unknown pixel size; their scores are averaged as the matcher's guesses are."""

SHARPNESS = 15.0
_TOGETHER = 64
"""Photos that are turned over decoded codes at a time."""


class Geometric:
    """``matcher`` (None: :class:`engine.crossview.geometric.matcher.GeometricMatcher`, which was not trained) with
    scales that are tried where none is known."""

    name = "geometric"

    def __init__(self, device: Device, matcher: TurningMatcher[Any] | None = None) -> None:
        self._matcher: TurningMatcher[Any] = matcher or GeometricMatcher(device=device.torch)

    def describe(self) -> dict[str, Any]:
        """Name alone: there are no weights."""
        return {"name": self.name, "sha256": None}

    def query(self, pixels: Tensor, view: PanoramaView, latitude: float | None = None) -> Any:
        """A template; the latitude plays no part."""
        return self._matcher.template(pixels, view)

    def entry(self, pixels: Tensor, gsd_m: float | None) -> Tensor:
        """(scales, K) codes, one for each scale that is tried."""
        image = pixels[None].float() / 255.0
        scales = ASSUMED_GSD_M if gsd_m is None else (gsd_m,)
        return torch.cat([self._matcher.codes(image, scale) for scale in scales])

    def turns(self, queries: Sequence[Any], codes: Tensor) -> Iterator[NDArray[np.float64]]:
        """For each photo (N, turns) its score with each of ``codes`` (N, K) at headings 0°, 360/turns°, … of its
        centre."""
        for start in range(0, len(queries), _TOGETHER):
            some = queries[start : start + _TOGETHER]
            found = torch.cat([self._matcher.curves(some, part) for part in torch.split(codes, CHUNK)], dim=1)
            for curve in found.cpu():
                yield np.asarray(curve.double().numpy())

    def table(
        self, queries: Sequence[Any], entries: Sequence[Tensor]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores, of several scales softly the best, and headings of the best scale of each entry."""
        codes = torch.cat(list(entries))
        first = np.cumsum([0, *(len(entry) for entry in entries)])
        scores = np.empty((len(queries), len(entries)))
        headings = np.empty_like(scores)
        found, turned = self._matcher.scores(
            queries, self._matcher.ready(codes.to(self._matcher.device)), headings_deg=[None] * len(queries)
        )
        for column, (start, stop) in enumerate(pairwise(first.tolist())):
            own = found[:, start:stop]
            scores[:, column] = soft_best(own.T, SHARPNESS).cpu().numpy()
            best = own.argmax(dim=1, keepdim=True)
            headings[:, column] = turned[:, start:stop].gather(1, best)[:, 0].cpu().numpy()
        return scores, headings
