"""Normalised differences of reflectance as further inputs of a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

PAIRS = (
    ("B08", "B04"),
    ("B03", "B08"),
    ("B03", "B11"),
    ("B11", "B08"),
    ("B11", "B12"),
    ("B04", "B02"),
    ("B11", "B04"),
)
"""(a − b) / (a + b) of near infrared and red (NDVI, Rouse et al. 1974), green and near infrared (NDWI, McFeeters 1996),
green and short-wave infrared (MNDWI, Xu 2006), short-wave and near infrared (NDBI, Zha et al. 2003), the two
short-wave bands (NDTI, Van Deventer et al. 1997), red and blue, short-wave infrared and red. Where both bands are."""

FLOOR, LARGEST, GAIN = 0.01, 2.0, 3.0
"""Smallest |a + b| that is divided by; differences are bounded to ±2, and multiplied by 3 to a spread of about one."""


class Indices(nn.Module):
    """(batch, bands, rows, columns) normalised reflectance → the same bands with their normalised differences behind.

    A difference does not change with the brightness of the light, and a network that sees bands alone does not find it
    from a few places. Computed from reflectance, ρ = z · ``std`` + ``mean``, ``names`` being the bands' standard names.
    """

    def __init__(self, names: Sequence[str], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        where = {name: number for number, name in enumerate(names)}
        self.pairs = [(where[a], where[b]) for a, b in PAIRS if a in where and b in where]
        self.names, self.mean, self.std = tuple(names), tuple(mean), tuple(std)
        shape = (1, len(self.names), 1, 1)
        # The card has them: they are no weights.
        self.register_buffer("_mean", torch.tensor(self.mean, dtype=torch.float32).view(shape), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std, dtype=torch.float32).view(shape), persistent=False)
        self._mean: Tensor
        self._std: Tensor

    @property
    def count(self) -> int:
        """Channels that are added."""
        return len(self.pairs)

    def forward(self, x: Tensor) -> Tensor:
        rho = x * self._std + self._mean
        first, second = rho[:, [a for a, _ in self.pairs]], rho[:, [b for _, b in self.pairs]]
        differences = (first - second) / (first + second).abs().clamp(min=FLOOR)
        return torch.cat([x, GAIN * differences.clamp(-LARGEST, LARGEST)], dim=1)
