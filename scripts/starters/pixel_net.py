"""A small network on single pixels, for trials of what carries over from place to place. Never shipped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.indices import Indices
from starters.landcover import CODES
from starters.landcover_forest import Floats
from starters.more_places import Pixels

HIDDEN, STEPS, BATCH, RATE, DECAY, SMOOTHING = 64, 800, 1024, 3e-3, 1e-2, 0.05
RAREST = 2e-3
"""Smallest share of a class that is divided by."""
INDICES = Indices(("B01", "B02", "B03", "B04", "B08", "B11", "B12"), (0.0,) * 7, (1.0,) * 7)


def described(reflectance: Tensor) -> Tensor:
    """(n, 7) → (n, 14): logarithms of the bands, and the normalised differences of engine/models/indices.py."""
    differences = INDICES(reflectance[:, :, None, None])[:, 7:, 0, 0]
    return torch.cat([reflectance.clamp(min=0.005).log(), differences], 1)


class PixelNet:
    """``members`` networks of two hidden layers, trained apart and averaged.

    A place of n groups of pixels weighs n^(1 − ``balance``), and ``noise`` standard deviations of noise are added to
    what is known of a pixel, so that no class is told by a thin slice of values.
    """

    def __init__(self, groups: Sequence[Pixels], *, balance: float, noise: float, members: int) -> None:
        self._x = torch.from_numpy(np.concatenate([one.reflectance for one in groups]))
        codes = np.concatenate([one.codes for one in groups])
        self._y = torch.from_numpy(np.searchsorted(CODES, codes))
        _, place, counts = np.unique([one.place for one in groups], return_inverse=True, return_counts=True)
        weights = np.repeat(np.asarray(counts[place], np.float64) ** -balance, [len(one.codes) for one in groups])
        self._weights = torch.from_numpy(weights)
        known = described(self._x)
        self._centre, self._spread = known.mean(0), known.std(0)
        self._noise = noise
        self.shares = np.bincount(self._y.numpy(), weights, len(CODES)) / weights.sum()
        """Share of each code in what is drawn."""
        self._members = [self._member(seed) for seed in range(members)]

    def _member(self, seed: int) -> nn.Module:
        draw = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        parts: list[nn.Module] = [nn.Linear(len(self._centre), HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU()]
        network = nn.Sequential(*parts, nn.Linear(HIDDEN, len(CODES)))
        steps = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        rate = torch.optim.lr_scheduler.OneCycleLR(steps, RATE, STEPS)
        chosen = torch.multinomial(self._weights, STEPS * BATCH, replacement=True, generator=draw).view(STEPS, BATCH)
        for rows in chosen:
            known = (described(self._x[rows]) - self._centre) / self._spread
            known = known + self._noise * torch.randn(known.shape, generator=draw)
            loss = F.cross_entropy(network(known), self._y[rows], label_smoothing=SMOOTHING)
            steps.zero_grad()
            loss.backward()
            steps.step()
            rate.step()
        return network.eval()

    @torch.no_grad()
    def probabilities(self, reflectance: Floats) -> Floats:
        """(n, 7) → (n, codes), missing values as 0."""
        x = torch.from_numpy(np.nan_to_num(reflectance))
        known = (described(x) - self._centre) / self._spread
        return np.asarray(sum(one(known).softmax(1) for one in self._members) / len(self._members), np.float32)
