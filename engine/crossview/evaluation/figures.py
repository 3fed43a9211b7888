"""Figures of a search among overhead images, from the table of scores and headings alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError
from engine.metrics.bootstrap import mean_estimate
from engine.metrics.places import F64, bootstrap_estimate, heading_error, ranks_with_others, roc
from engine.metrics.retrieval import one_percent

WITHIN_DEG = 10.0
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Search:
    """``scores`` (N, M), the higher the better; ``headings`` (N, M) degrees, or None where a method has none.

    ``partners`` (N,) right column of each row, −1 where there is none; ``semi`` (N, M) bool: columns that show the
    place too and are neither right nor wrong; ``truth`` (N,) true heading, NaN where unknown; ``scaled`` (N,) bool: the
    pixel size of the right image is known. Raises ModelError for scores or headings that are not finite.
    """

    names: tuple[str, ...]
    scores: F64
    headings: F64 | None
    partners: NDArray[np.int64]
    semi: Flags
    truth: F64
    scaled: Flags

    def __post_init__(self) -> None:
        for what, table in (("score", self.scores), ("heading", self.headings)):
            if table is not None and not np.isfinite(table).all():
                row, column = np.argwhere(~np.isfinite(table))[0]
                raise ModelError(
                    f"The {what} of {self.names[row]} against overhead image {column} is not a finite number.",
                    remedy="Look for missing pixels in the images, and at the training run of the model.",
                )

    @property
    def matched(self) -> Flags:
        """(N,) bool: rows that have a right column."""
        return self.partners >= 0

    def ranks(self) -> NDArray[np.int64]:
        """(matched rows,) rank of the right column; ties count against, ``semi`` is passed over."""
        rows = self.matched
        right = np.zeros(self.scores[rows].shape, np.bool_)
        right[np.arange(len(right)), self.partners[rows]] = True
        return ranks_with_others(self.scores[rows], right, self.semi[rows])

    def found_headings(self) -> tuple[F64, F64, Flags]:
        """(matched rows,) heading against the right image, its error, and whether it is judged: truth and pixel size
        are known; NaN where not."""
        rows = np.flatnonzero(self.matched)
        if self.headings is None:
            nothing = np.full(len(rows), np.nan)
            return nothing, nothing, np.zeros(len(rows), np.bool_)
        found = self.headings[rows, self.partners[rows]] % 360.0
        error = heading_error(found, self.truth[rows])
        return found, error, np.isfinite(error) & self.scaled[rows]


def items(search: Search) -> list[dict[str, Any]]:
    """One row a panorama: rank, hits, heading and its error against its own overhead image. A panorama without one has
    every figure None and ``n`` 0."""
    hits = _hits(search.ranks(), search.scores.shape[1])
    found, error, judged = search.found_headings()
    ranks, rows, k = search.ranks(), [], 0
    names = ("rank", *hits, "score", "heading_deg", "heading_error_deg")
    for row, name in enumerate(search.names):
        if not search.matched[row]:
            empty = dict.fromkeys((*names, "heading_within_10deg", "heading_top1_within_10deg"))
            rows.append({"name": name, "n": 0, **empty})
            continue
        near = bool(error[k] <= WITHIN_DEG)
        rows.append(
            {"name": name, "n": 1, "rank": int(ranks[k])}
            | {figure: int(values[k]) for figure, values in hits.items()}
            | {
                "score": float(search.scores[row, search.partners[row]]),
                "heading_deg": float(found[k]),
                "heading_error_deg": float(error[k]),
                "heading_within_10deg": int(near) if judged[k] else None,
                "heading_top1_within_10deg": int(near and ranks[k] == 1) if judged[k] else None,
            }
        )
        k += 1
    return rows


def pooled(search: Search) -> dict[str, Any]:
    """Recalls, median rank and headings with percentile intervals over the panoramas; VIGOR's hit rate too where
    several tiles show a place."""
    ranks = search.ranks()
    out: dict[str, Any] = {name: _share(hit) for name, hit in _hits(ranks, search.scores.shape[1]).items()}
    out["median_rank"] = bootstrap_estimate(ranks, lambda drawn: float(np.median(drawn))).plain()
    _, error, judged = search.found_headings()
    near = error[judged] <= WITHIN_DEG
    out["heading_within_10deg"] = _share(near)
    out["heading_top1_within_10deg"] = _share(near & (ranks[judged] == 1))
    rows = search.matched
    if search.semi[rows].any():
        covering = search.semi[rows].copy()
        covering[np.arange(len(covering)), search.partners[rows]] = True
        out["hit_rate"] = _share(ranks_with_others(search.scores[rows], covering) == 1)
    return out


def open_gallery(search: Search) -> dict[str, Any] | None:
    """How well "not here" is told: each panorama is searched once among all overhead images and once among all but
    those of its place; panoramas without an image are absent ones too. ``score``: the best score tells; ``gap``: how
    far the best stands above the second does. AUC with its interval over panoramas, and the curve (false alarms,
    detections) of each. None for fewer than three images."""
    table, rows = search.scores, np.flatnonzero(search.matched)
    if rows.size == 0 or table.shape[1] < 3:
        return None
    absent = table[rows].copy()
    absent[np.arange(len(rows)), search.partners[rows]] = -np.inf
    absent[search.semi[rows]] = -np.inf
    rest = table[~search.matched]
    out: dict[str, Any] = {}
    for name, tell in (("score", _best), ("gap", _gap)):
        both, others = np.stack([tell(table[rows]), tell(absent)], axis=1), tell(rest)
        both = both[np.isfinite(both).all(axis=1)]  # a place that nearly every image shows has no other to compare
        if not len(both):
            continue
        estimate = bootstrap_estimate(both, partial(_auc, others), draws=500)
        curve = roc(both[:, 0], np.concatenate([both[:, 1], others])).curve
        out[name] = {"auc": estimate.plain(), "curve": [list(point) for point in curve]}
    return out


def _auc(others: F64, both: F64) -> float | None:
    return roc(both[:, 0], np.concatenate([both[:, 1], others])).auc


def _best(table: F64) -> F64:
    best: F64 = table.max(axis=1, initial=-np.inf)
    return best


def _gap(table: F64) -> F64:
    two = np.partition(table, table.shape[1] - 2, axis=1)[:, -2:]
    gap: F64 = np.where(np.isfinite(two[:, 0]), two[:, 1] - np.where(np.isfinite(two[:, 0]), two[:, 0], 0), np.nan)
    return gap


def _hits(ranks: NDArray[np.int64], gallery: int) -> dict[str, Flags]:
    cuts = {"r@1": 1, "r@5": 5, "r@10": 10, "r@1%": one_percent(gallery)}
    return {name: ranks <= k for name, k in cuts.items()}


def _share(hit: Flags) -> dict[str, Any]:
    return mean_estimate(hit).plain()
