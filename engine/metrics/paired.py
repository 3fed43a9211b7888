"""Methods that were scored on the same items, each several times: means over repeats and paired differences.

The percentile bootstrap of :mod:`engine.metrics.bootstrap` with the same items drawn for all methods and repeats, so
that what is hard about an item falls out of a difference (Efron and Tibshirani 1993, chapters 8 and 13).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.metrics.bootstrap import DRAWS, LEVEL, SEED, Estimate, Figure, draw_weights


def mean_estimate(
    repeats: ArrayLike, figure: Figure, *, draws: int = DRAWS, seed: int = SEED, level: float = LEVEL
) -> Estimate:
    """The mean over repeats of the figure of the summed items, with its percentile interval over resampled items.

    ``repeats``: (r, n, k) numbers that add up over the n items, for each of r repeats (such as seeds of a training).
    ``figure``: sums (…, k) → (…), NaN where not defined. A repeat without a figure makes the mean None, a draw in
    which one has none is left out. The interval is that of other items for these repeats: it says nothing about
    further repeats. Raises ValueError for another shape.
    """
    return _estimate(_table(repeats), None, figure, draws, seed, level)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    figure: Figure,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    level: float = LEVEL,
) -> Estimate:
    """The mean over repeats of figure(first) − figure(second), with its percentile interval over resampled items.

    ``first``, ``second``: (r, n, k) as for :func:`mean_estimate`; repeat i and item j of both belong together, and
    each draw takes the same items of both. Raises ValueError when the shapes differ.
    """
    one, two = _table(first), _table(second)
    if one.shape != two.shape:
        raise ValueError(f"Paired items have one shape; found {one.shape} and {two.shape}.")
    return _estimate(one, two, figure, draws, seed, level)


def _table(repeats: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(repeats, np.float64)
    if table.ndim != 3:
        raise ValueError(f"Repeats of items are a table (r, n, k); found shape {table.shape}.")
    return table


def _estimate(
    one: NDArray[np.float64], two: NDArray[np.float64] | None, figure: Figure, draws: int, seed: int, level: float
) -> Estimate:
    repeats, n, _ = one.shape
    if repeats == 0 or n == 0:
        return Estimate(None, None, None, n)

    def mean(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(d, n) weights of the items → (d,) means over the repeats."""
        found = figure(weights @ one)
        if two is not None:
            found = found - figure(weights @ two)
        return np.asarray(found.mean(axis=0), np.float64)

    value = float(mean(np.ones((1, n)))[0])
    drawn = mean(draw_weights(n, draws, seed))
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or drawn.size == 0:
        return Estimate(None, None, None, n)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(value, float(low), float(high), n)
