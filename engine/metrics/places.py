"""How well a search for places did: headings, distances, the area that was searched, and "not here".

Headings are angles in degrees clockwise from north; distances are metres. Everything is numpy and pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import ModelError
from engine.metrics.bootstrap import DRAWS, LEVEL, SEED, Estimate
from engine.metrics.retrieval import CHUNK

F64 = NDArray[np.float64]


def heading_error(found: ArrayLike, true: ArrayLike) -> F64:
    """Degrees between directions, 0 to 180, whatever way round; NaN where either is NaN."""
    apart: F64 = np.abs((np.asarray(found, np.float64) - np.asarray(true, np.float64) + 180.0) % 360.0 - 180.0)
    return apart


def ranks_with_others(
    scores: ArrayLike, positives: ArrayLike, also: ArrayLike | None = None, *, tie: float = 0.0
) -> NDArray[np.int64]:
    """(N,) rank of the best right item of each row of ``scores`` (N, M), the larger the better; ties count against.

    ``positives`` (N, M) bool: right items, at least one a row. ``also`` (N, M) bool: items that are neither right nor
    wrong (VIGOR's semi-positives), which are passed over. Every wrong item within ``tie`` of the best right one or
    above stands before it. Raises ModelError for scores that are not finite, ValueError for a row without a right item.
    """
    table, right = _finite(scores), np.asarray(positives, np.bool_)
    if right.shape != table.shape or not right.any(axis=1).all():
        raise ValueError(f"Every row of {table.shape} scores needs a right item; found {right.sum(axis=1).tolist()}.")
    wrong = ~right if also is None else ~right & ~np.asarray(also, np.bool_)
    best = np.where(right, table, -np.inf).max(axis=1, keepdims=True)
    found: NDArray[np.int64] = 1 + ((table >= best - tie) & wrong).sum(axis=1)
    return found


def hit_rate(scores: ArrayLike, covering: ArrayLike, *, tie: float = 0.0) -> float | None:
    """VIGOR's hit rate: the share of rows whose first item is among ``covering`` (N, M) bool, the tiles that show the
    place at all; a wrong item as good as the best of them stands before it. None without rows."""
    if len(np.asarray(scores)) == 0:
        return None
    return float((ranks_with_others(scores, covering, tie=tie) == 1).mean())


def chunked_ranks(
    score: Callable[[slice], ArrayLike], partners: ArrayLike, *, chunk: int = CHUNK, tie: float = 0.0
) -> NDArray[np.int64]:
    """(N,) ranks as :func:`engine.metrics.retrieval.ranks_of_scores` has them, with ``score(rows)`` asked for the rows
    (n, M) of one chunk at a time: exact, and memory grows with ``chunk`` × M alone."""
    right = np.asarray(partners, np.int64)
    out = np.empty(len(right), np.int64)
    for start in range(0, len(right), max(1, chunk)):
        part = slice(start, min(len(right), start + max(1, chunk)))
        table = _finite(score(part))
        own = np.take_along_axis(table, right[part][:, np.newaxis], axis=1)
        out[part] = (table >= own - tie).sum(axis=1)
    return out


def recall_within(distances_m: ArrayLike, k: int, radius_m: float) -> float | None:
    """recall@k < r: the share of queries with a candidate among the first ``k`` that lies within ``radius_m``.

    ``distances_m`` (N, K) from the true place, candidates in the order of their rank, NaN where there are fewer than K.
    None without queries."""
    table = np.asarray(distances_m, np.float64)
    if table.size == 0:
        return None
    return float((table[:, :k] <= radius_m).any(axis=1).mean())


def searched_area(ranks: ArrayLike, cell_m2: float, *, levels: ArrayLike = (0.5, 0.8, 0.9)) -> list[dict[str, float]]:
    """How much must be looked at: for each share of ``levels`` the area, in m², of the candidates that have to be
    searched in the order of their rank until that share of the queries is found. ``ranks`` (N,), ``cell_m2`` of one
    candidate."""
    found = np.sort(np.asarray(ranks, np.int64))
    if not found.size:
        return []
    rows = []
    for level in np.asarray(levels, np.float64):
        k = int(found[max(0, math.ceil(level * len(found)) - 1)])
        rows.append({"recall": float(level), "candidates": k, "area_m2": k * cell_m2})
    return rows


@dataclass(frozen=True)
class Roc:
    """How well a number tells present from absent. ``auc``: the chance that a present one has the larger number, ties
    half. ``curve``: (false alarms, detections) from the strictest cut to the loosest."""

    auc: float | None
    curve: tuple[tuple[float, float], ...]


def roc(present: ArrayLike, absent: ArrayLike) -> Roc:
    """The receiver operating characteristic of two samples; ``auc`` None where one is empty. Raises ModelError for
    numbers that are not finite."""
    a, b = _finite(present), _finite(absent)
    if not (a.size and b.size):
        return Roc(None, ())
    order = np.sort(b)
    below = np.searchsorted(order, a, side="left") + np.searchsorted(order, a, side="right")
    cuts = np.unique(np.concatenate([a, b]))[::-1]
    curve = [(0.0, 0.0)] + [(float((b >= cut).mean()), float((a >= cut).mean())) for cut in cuts]
    return Roc(float(below.mean() / (2 * b.size)), tuple(curve))


def bootstrap_estimate(
    items: ArrayLike,
    figure: Callable[[F64], float | None],
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    level: float = LEVEL,
) -> Estimate:
    """Any figure of a sample with its percentile interval over resamples of its items: for medians and curves, which do
    not add up over items. ``items`` (n, …); ``figure`` takes a resample of the same shape, and gives None where it is
    not defined. The same seed gives the same interval."""
    table = np.asarray(items, np.float64)
    n = len(table)
    value = figure(table) if n else None
    if value is None:
        return Estimate(None, None, None, n)
    generator = np.random.default_rng(seed)
    drawn = [figure(table[generator.integers(0, n, n)]) for _ in range(draws)]
    kept = [one for one in drawn if one is not None]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(kept, [tail, 100 - tail])
    return Estimate(float(value), float(low), float(high), n)


def _finite(values: ArrayLike) -> F64:
    table = np.asarray(values, np.float64)
    if not np.isfinite(table).all():
        raise ModelError("A similarity is not a finite number, so nothing can be ranked by it.")
    return table
