"""Cells and photos compared without training: the photo's bird's-eye view is turned over the crop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.describer import GroundImage, Scores
from engine.crossview.geometric.matcher import GeometricMatcher
from engine.device import Device

SIDE = 160
SCALES_M = (0.3, 0.4, 0.6, 0.8)
_BLOCK = 4096


class GeometricDescriber:
    """The describer of :class:`engine.crossview.geometric.matcher.GeometricMatcher`; the finest scale that the
    reference serves is taken."""

    layer = "geometric"
    linear = False
    one_scale = True
    model = None
    side = SIDE
    scales_m = SCALES_M

    def __init__(self, device: Device) -> None:
        self._matcher = GeometricMatcher()
        self._device = device.torch
        sample = self._codes(torch.zeros(1, 3, SIDE, SIDE), SCALES_M[0])
        self.dim, self.dtype = int(sample.shape[1]), str(sample.dtype)

    def describe(self, pixels: Tensor, gsd_m: float) -> NDArray[Any]:
        """See :class:`engine.crossview.describer.Describer`."""
        return self._codes(pixels, gsd_m)

    def query(self, image: GroundImage) -> Any:
        """The matcher's template of the photo."""
        return self._matcher.template(image.pixels, image.view)

    def score(self, query: Any, codes: NDArray[Any], gsd_m: float) -> tuple[Scores, Scores | None]:
        """See :class:`engine.crossview.describer.Describer`."""
        scores, headings = np.empty(len(codes), np.float32), np.empty(len(codes), np.float32)
        with torch.inference_mode():
            for start in range(0, len(codes), _BLOCK):
                part = slice(start, start + _BLOCK)
                found = self._matcher.score(query, torch.from_numpy(np.array(codes[part])).to(self._device))
                scores[part], headings[part] = (t.float().cpu().numpy() for t in found)
        return scores, headings

    def _codes(self, pixels: Tensor, gsd_m: float) -> NDArray[Any]:
        with torch.inference_mode():
            return np.asarray(self._matcher.codes(pixels.to(self._device), gsd_m).cpu().numpy())
