"""Thresholds between two classes from histograms: Otsu, Kittler and Illingworth, a test of bimodality, aggregation.

All functions take ``counts`` (…, bins) and ``edges`` (bins + 1) with equal steps, so that many tiles are done at once;
the classes are the bins below and from the threshold on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Two classes of one histogram or of many (arrays of the same leading shape).

    ``threshold``: an edge; the low class lies below it. ``low_share``: the low class's share 0..1.
    ``between``: variance between the classes over the whole variance, 0..1 (Otsu's η; HYDRAFloods' bmax).
    ``ashman_d``: distance of the means over their pooled spread, √2·|μ1 − μ2| / √(σ1² + σ2²); two normal modes are
    distinct above 2 (Ashman, Bird and Zepf 1994). ``valley``: the emptiest place between the means over the lower of
    both peaks, 0 (separate) to 1 (no valley). All NaN where a histogram has fewer than two occupied bins.
    """

    threshold: F64
    low_mean: F64
    high_mean: F64
    low_sd: F64
    high_sd: F64
    low_share: F64
    between: F64
    ashman_d: F64
    valley: F64


def otsu(counts: ArrayLike, edges: ArrayLike) -> Split:
    """The split with the largest variance between the classes (Otsu 1979)."""
    return _split(counts, edges, lambda m: -m.p0 * m.p1 * (m.m1 - m.m0) ** 2)


def kittler_illingworth(counts: ArrayLike, edges: ArrayLike) -> Split:
    """The split of least error for two normal classes (Kittler and Illingworth 1986).

    Minimises J(T) = 1 + 2 (P0 ln σ0 + P1 ln σ1) − 2 (P0 ln P0 + P1 ln P1); a class narrower than a bin counts with the
    bin's own spread, step² / 12.
    """

    def criterion(m: _Moments) -> F64:
        return 1 + m.p0 * np.log(m.v0) + m.p1 * np.log(m.v1) - 2 * (m.p0 * np.log(m.p0) + m.p1 * np.log(m.p1))

    return _split(counts, edges, criterion)


@dataclass(frozen=True)
class Bimodality:
    """When the two classes of a split count as two modes: the test that chooses tiles.

    A tile passes with ``between`` (normalised between-class variance), ``ashman_d`` and the smaller class's ``share``
    at least, ``valley`` at most, the values here, and means at least ``distance`` dB apart.
    """

    between: float = 0.65
    ashman_d: float = 2.0
    share: float = 0.10
    valley: float = 0.85
    distance: float = 4.0

    def passes(self, split: Split) -> NDArray[np.bool_]:
        """True where a split passes; False where it is NaN."""
        with np.errstate(invalid="ignore"):
            passed: NDArray[np.bool_] = (
                (split.between >= self.between)
                & (split.ashman_d >= self.ashman_d)
                & (np.minimum(split.low_share, 1 - split.low_share) >= self.share)
                & (split.valley <= self.valley)
                & (split.high_mean - split.low_mean >= self.distance)
            )
        return passed


def shrink(values: ArrayLike, *, prior: float, prior_weight: float) -> float:
    """Median of ``values`` (one per tile) drawn towards ``prior``, which counts as ``prior_weight`` tiles.

    The posterior mean of a normal level whose prior is as certain as that many tiles; without a value the prior, with
    an infinite weight the prior too. The median keeps single odd tiles from leading.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    if array.size == 0 or np.isinf(prior_weight):
        return prior
    return float((prior_weight * prior + array.size * np.median(array)) / (prior_weight + array.size))


@dataclass
class _Moments:
    """Shares, means, variances of the classes below (0) and from (1) each inner edge: (…, bins − 1)."""

    p0: F64
    p1: F64
    m0: F64
    m1: F64
    v0: F64
    v1: F64


def _split(counts: ArrayLike, edges: ArrayLike, criterion: Callable[[_Moments], F64]) -> Split:
    h = np.asarray(counts, dtype=np.float64)
    e = np.asarray(edges, dtype=np.float64)
    if h.ndim < 1 or h.shape[-1] < 2 or e.shape != (h.shape[-1] + 1,):
        raise ValueError(f"Counts {h.shape} need at least 2 bins and one edge more than bins, not {e.shape}.")
    centres = 0.5 * (e[:-1] + e[1:])
    # Moments about the middle of the axis: no cancellation for values far from 0.
    middle = 0.5 * (e[0] + e[-1])
    x = centres - middle
    floor = (e[1] - e[0]) ** 2 / 12
    n, s, q = (np.cumsum(h * f, axis=-1) for f in (1.0, x, x * x))
    all_n, all_s, all_q = n[..., -1:], s[..., -1:], q[..., -1:]
    n0, s0, q0 = n[..., :-1], s[..., :-1], q[..., :-1]
    n1, s1, q1 = all_n - n0, all_s - s0, all_q - q0
    possible = (n0 > 0) & (n1 > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        m0, m1 = s0 / n0, s1 / n1
        v0 = np.maximum(q0 / n0 - m0 * m0, 0) + floor
        v1 = np.maximum(q1 / n1 - m1 * m1, 0) + floor
        moments = _Moments(n0 / all_n, n1 / all_n, m0, m1, v0, v1)
        cost = np.where(possible, criterion(moments), np.inf)
    best = _middle_of_minimum(cost)
    found = possible.any(axis=-1)

    def at(values: F64) -> F64:
        return np.where(found, np.take_along_axis(values, best[..., None], axis=-1)[..., 0], np.nan)

    low_share, high_share = at(moments.p0), at(moments.p1)
    low_mean, high_mean, low_var, high_var = at(m0), at(m1), at(v0), at(v1)
    with np.errstate(divide="ignore", invalid="ignore"):
        total_var = (all_q / all_n - (all_s / all_n) ** 2)[..., 0] + floor
        between = low_share * high_share * (high_mean - low_mean) ** 2 / total_var
        ashman = np.sqrt(2) * (high_mean - low_mean) / np.sqrt(low_var + high_var)
    return Split(
        threshold=np.where(found, e[best + 1], np.nan),
        low_mean=low_mean + middle,
        high_mean=high_mean + middle,
        low_sd=np.sqrt(low_var),
        high_sd=np.sqrt(high_var),
        low_share=low_share,
        between=between,
        ashman_d=ashman,
        valley=_valley(h, best, found),
    )


def _middle_of_minimum(cost: F64) -> NDArray[np.intp]:
    """Index of the least cost; the middle one where empty bins between the modes make a plateau."""
    least = cost.min(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        flat = cost <= least + 1e-9 * np.maximum(1, np.abs(least))
    first = np.argmax(flat, axis=-1)
    # Only the run of equal costs that starts at the first one counts.
    after = np.arange(cost.shape[-1]) >= first[..., None]
    broken = after & ~flat
    stop = np.where(broken.any(axis=-1), np.argmax(broken, axis=-1), cost.shape[-1])
    middle: NDArray[np.intp] = (first + stop - 1) // 2
    return middle


def _valley(h: F64, best: NDArray[np.intp], found: NDArray[np.bool_]) -> F64:
    """The emptiest of the smoothed bins between both peaks over the lower peak."""
    smooth = np.maximum(uniform_filter1d(h, 5, axis=-1, mode="constant"), 0)
    bins = np.arange(h.shape[-1])
    below = bins <= best[..., None]
    low_at = np.argmax(np.where(below, smooth, -1), axis=-1)
    high_at = np.argmax(np.where(below, -1, smooth), axis=-1)
    inside = (bins >= low_at[..., None]) & (bins <= high_at[..., None])
    bottom = np.where(inside, smooth, np.inf).min(axis=-1)
    peak = np.minimum(
        np.take_along_axis(smooth, low_at[..., None], axis=-1)[..., 0],
        np.take_along_axis(smooth, high_at[..., None], axis=-1)[..., 0],
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(found & (peak > 0), bottom / peak, np.nan)
