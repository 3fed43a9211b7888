"""Percentile bootstrap over items: the interval of a pooled figure when the items, not the pixels, are the sample.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Pixels of one chip are not independent, so
whole chips are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
SEED = 0
LEVEL = 0.95

Figure = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """``value`` with its interval ``low … high`` and the number ``n`` of items; None where not defined."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def plain(self) -> dict[str, float | int | None]:
        """As it stands in JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def pooled_estimate(
    items: ArrayLike, figure: Figure, *, draws: int = DRAWS, seed: int = SEED, level: float = LEVEL
) -> Estimate:
    """The figure of the summed items, with the percentile interval over ``draws`` resamples of the items.

    ``items``: (n, k) numbers that add up over items, such as confusion counts. ``figure``: sums (…, k) → (…), NaN
    where not defined; such draws are left out of the percentiles. The same seed gives the same interval.
    """
    table = np.asarray(items, np.float64)
    if table.ndim != 2:
        raise ValueError(f"Items are a table (n, k); found shape {table.shape}.")
    n = len(table)
    if n == 0:
        return Estimate(None, None, None, 0)
    value = float(figure(table.sum(axis=0)))
    weights = draw_weights(n, draws, seed)
    drawn = figure(weights @ table)
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or drawn.size == 0:
        return Estimate(None, None, None, n)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(value, float(low), float(high), n)


def mean_estimate(values: ArrayLike) -> Estimate:
    """The mean of ``values`` (n,), of hits their share, with its interval over them."""
    own = np.asarray(values, np.float64)
    return pooled_estimate(np.column_stack([own, np.ones(len(own))]), lambda sums: sums[..., 0] / sums[..., 1])


def draw_weights(n: int, draws: int, seed: int) -> NDArray[np.float64]:
    """(draws, n): how often each item stands in each resample of n items with replacement."""
    chosen = np.random.default_rng(seed).integers(0, n, size=(draws, n))
    offsets = np.arange(draws)[:, np.newaxis] * n
    return np.bincount((chosen + offsets).ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
