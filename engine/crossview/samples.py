"""Samples of imagery that may lack pixels: joined with those of other images, then made into crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_LEAST = 1e-3
"""Smaller weights are what rounding leaves."""


@dataclass(frozen=True)
class Crops:
    """``pixels`` (N, 3, S, S) float32 0..1; missing pixels have the crop's mean colour. ``observed`` (N,) float32: the
    share of pixels that are there."""

    pixels: Tensor
    observed: NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """``colors`` (N, 3, S, S) float32 0..1 times ``weight`` (N, 1, S, S) float32 0..1: which part of the pixels that a
    sample lies between is there. Colours of pixels without a value have no part in it. None: all is there."""

    colors: Tensor
    weight: Tensor | None = None

    def crops(self) -> Crops:
        """Colours of what is there: samples of which more than half is, by that part alone; the others are missing."""
        observed = np.ones(len(self.colors), np.float32)
        lacking = self.lacking()
        if self.weight is None or not len(lacking):
            return Crops(self.colors, observed)
        at = slice(None) if len(lacking) == len(observed) else torch.from_numpy(lacking)
        colors, weight = self.colors[at], self.weight[at]
        seen = (weight > 0.5).float()
        colored = torch.where(weight > _LEAST, colors / weight.clamp_min(_LEAST), colors)
        mean = (colored * seen).sum(dim=(2, 3), keepdim=True) / seen.sum(dim=(2, 3), keepdim=True).clamp_min(1)
        made = torch.where(seen > 0, colored, mean).clamp_(0, 1)
        observed[lacking] = seen.mean(dim=(1, 2, 3)).numpy()
        if len(lacking) == len(observed):
            return Crops(made, observed)
        pixels = self.colors.clone()
        pixels[at] = made
        return Crops(pixels, observed)

    def lacking(self) -> NDArray[np.intp]:
        """Numbers of the crops that lack something."""
        if self.weight is None:
            return np.zeros(0, np.intp)
        return np.flatnonzero((self.weight.flatten(1) < 1 - _LEAST).any(dim=1).numpy())

    def joined(self, at: NDArray[np.intp], other: Samples) -> Samples:
        """With what ``other`` has of the crops ``at``. A sample stays where as much of it is there as of the other's,
        or as nearly; where both are whole, the crop's samples that show more of it win, of equals these. What a sample
        lacks of the weight comes from the other as far as that has it: so two images that have a pixel each, side by
        side, give between them what one image of both pixels gives."""
        if self.weight is None or not len(at) or (other.weight is not None and not other.weight.any()):
            return self
        mine, weight = self.colors[at], self.weight[at]
        theirs, found = other.colors, torch.ones_like(weight) if other.weight is None else other.weight
        fuller = (found > 0.5).sum(dim=(1, 2, 3)) > (weight > 0.5).sum(dim=(1, 2, 3))
        better = found > weight + torch.where(fuller, -_LEAST, _LEAST)[:, None, None, None]
        above, below = torch.where(better, theirs, mine), torch.where(better, mine, theirs)
        held, offered = torch.where(better, found, weight), torch.where(better, weight, found)
        taken = torch.minimum(1 - held, offered).clamp_min_(0)
        colors, weights = self.colors.clone(), self.weight.clone()
        colors[at] = above + below * (taken / offered.clamp_min(_LEAST))
        weights[at] = held + taken
        return Samples(colors, weights)
