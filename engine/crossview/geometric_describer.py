"""Cells and photos compared by turning: the photo's ground in rings is turned over the crop's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.describer import GroundView, Scores
from engine.crossview.geometric.matcher import GeometricMatcher
from engine.crossview.geometric.turning import TurningMatcher
from engine.crossview.index.card import ModelFacts
from engine.crossview.sun import SunCompass, SunSight
from engine.crossview.wants import GEOMETRIC_SCALES_M
from engine.device import Device


@dataclass(frozen=True)
class TurningQuery:
    """A photo's ``template`` with north ahead, which is turned in ``turns`` steps; the ``heading_deg`` of its centre
    where it is known; ``sun``: where it stands, where the heading is not; ``leaning`` (turns,): what is added to the
    score at each turn."""

    template: Any
    heading_deg: float | None
    turns: int
    sun: SunSight | None = None
    leaning: NDArray[np.float64] | None = None

    def leant(self, latitude: float, spread: float) -> TurningQuery:
        """The same with what the sun says of headings at ``latitude``: a unit of the logarithm of the odds counts as a
        standard deviation (``spread``) of the photo's scores. Itself where the sun was not looked for."""
        if self.sun is None:
            return self
        return replace(self, leaning=spread * self.sun.leaning(latitude, self.turns))


class GeometricDescriber:
    """The describer of ``matcher`` (None: :class:`engine.crossview.geometric.matcher.GeometricMatcher`, which was not
    trained); the finest scale that the reference serves is taken. A known heading may be wrong by ``tolerance_deg``.
    All such matchers keep the same of a cell, so that one layer of an index serves them. ``compass``: sees where the
    sun stands in photos of unknown heading (None: it is not looked for)."""

    layer = "geometric"
    linear = False
    one_scale = True
    model = bundle_sha256 = rings = None
    scales_m = GEOMETRIC_SCALES_M
    dtype = "uint8"

    def __init__(
        self,
        device: Device,
        *,
        tolerance_deg: float = 15.0,
        matcher: TurningMatcher[Any] | None = None,
        compass: SunCompass | None = None,
    ) -> None:
        self._matcher: TurningMatcher[Any] = matcher or GeometricMatcher(device=device.torch)
        self._tolerance, self._compass = tolerance_deg, compass
        self.side = 8 * math.ceil(2 * self._matcher.radius_m / GEOMETRIC_SCALES_M[0] / 8)
        self.dim = self._matcher.code_length

    def described(self, made_by: ModelFacts | None) -> bool:
        """See :class:`engine.crossview.describer.Describer`."""
        return made_by is None

    def describe(self, pixels: Tensor, gsd_m: float) -> NDArray[Any]:
        """See :class:`engine.crossview.describer.Describer`."""
        with torch.inference_mode():
            return np.asarray(self._matcher.codes(pixels, gsd_m).cpu().numpy())

    def query(self, image: GroundView) -> TurningQuery:
        """See :class:`engine.crossview.describer.Describer`."""
        with torch.inference_mode():
            template = self._matcher.template(image.pixels, replace(image.view, heading_deg=0.0))
        turns = self._matcher.layout.sectors
        if image.heading_known:
            return TurningQuery(template, image.view.heading_deg, turns)
        sun = self._compass.sight(image.pixels, image.view) if self._compass is not None else None
        return TurningQuery(template, None, turns, sun)

    def ready(self, codes: NDArray[Any]) -> NDArray[Any]:
        """See :class:`engine.crossview.describer.Describer`."""
        with torch.inference_mode():
            return np.asarray(self._matcher.ready(torch.from_numpy(np.array(codes))).cpu().numpy())

    def scores(
        self, queries: Sequence[TurningQuery], ready: NDArray[Any], gsd_m: float
    ) -> tuple[Scores, Scores | None]:
        """See :class:`engine.crossview.describer.Describer`."""
        with torch.inference_mode():
            found, headings = self._matcher.scores(
                [query.template for query in queries],
                torch.from_numpy(np.array(ready)),
                headings_deg=[query.heading_deg for query in queries],
                tolerance_deg=self._tolerance,
                leanings=[None if one.leaning is None else torch.from_numpy(one.leaning) for one in queries],
            )
        return found.float().cpu().numpy(), headings.float().cpu().numpy()
