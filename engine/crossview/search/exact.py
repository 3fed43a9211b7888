"""Every cell compared with every photo, block by block: exact, the same whatever the blocks, ties in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.crossview.describer import Describer, Scores, VectorQuery
from engine.crossview.index.reader import CellIndex
from engine.errors import ModelError
from engine.events import Reporter

BLOCK_ROWS = 16_384
"""Descriptions that are compared at once."""


@dataclass(frozen=True)
class AllScores:
    """(photos, cells) ``scores`` and, where the method tells them, compass ``headings`` of each photo's centre."""

    scores: Scores
    headings: Scores | None


def all_scores(index: CellIndex, describer: Describer, queries: Sequence[Any], reporter: Reporter) -> AllScores:
    """Scores of all cells: the best over scales. 8 bytes a photo and cell.

    Raises ModelError for scores that are not finite (a damaged model or index), Cancelled.
    """
    facts = index.layer(describer.layer)
    scores = np.empty((len(queries), index.cells), np.float32)
    headings = np.full((len(queries), index.cells), np.nan, np.float32)
    step = max(1, BLOCK_ROWS // len(facts.scales_m))
    for first, codes in index.shards(describer.layer):
        for start in range(0, len(codes), step):
            part = codes[start : start + step]
            place = slice(first + start, first + start + len(part))
            if describer.linear:
                scores[:, place], headings[:, place] = _products(part, queries)
            else:
                for k, query in enumerate(queries):
                    scores[k, place], headings[k, place] = scored(describer, query, part, facts.scales_m)
            reporter.progress(place.stop / index.cells, "search", f"{place.stop} of {index.cells} cells")
    if not np.isfinite(scores).all():
        raise ModelError(
            f"{index.folder}: a score is not a finite number, so nothing can be ranked by it.",
            remedy="Check the index with --check, and the model.",
        )
    return AllScores(scores, None if np.isnan(headings).all() else headings)


def scored(describer: Describer, query: Any, codes: NDArray[Any], scales_m: Sequence[float]) -> tuple[Scores, Scores]:
    """(N,) scores of codes (N, scales, dim), the best over scales, and headings (NaN where the method tells none)."""
    best = np.full(len(codes), -np.inf, np.float32)
    headings = np.full(len(codes), np.nan, np.float32)
    for s, scale in enumerate(scales_m):
        found, turned = describer.score(query, codes[:, s], scale)
        better = ~(found <= best)
        best[better] = found[better]
        if turned is not None:
            headings[better] = turned[better]
    return best, headings


def top_cells(scores: Scores, k: int) -> NDArray[np.int64]:
    """Numbers of the ``k`` best, best first; of equals the lower number comes first."""
    if k >= len(scores):
        return np.lexsort((np.arange(len(scores)), -scores.astype(np.float64)))
    least = -np.partition(-scores, k - 1)[k - 1]
    above = np.flatnonzero(scores > least)
    equal = np.flatnonzero(scores == least)[: k - len(above)]
    members = np.sort(np.concatenate([above, equal]))
    return members[np.argsort(-scores[members], kind="stable")]


def _products(codes: NDArray[Any], queries: Sequence[VectorQuery]) -> tuple[Scores, Scores]:
    """(photos, N) best inner products over scales and vectors, and the headings that the best vectors stand for."""
    vectors = np.concatenate([query.vectors for query in queries])
    count, scales, dim = codes.shape
    # torch: its conversion of half precision is vectorised; the copy is of one block, which is read-only on the disk.
    rows = torch.from_numpy(np.array(codes.reshape(-1, dim))).float()
    table = (torch.from_numpy(vectors) @ rows.T).numpy()
    if scales > 1:
        table = table.reshape(len(vectors), count, scales).max(axis=2)
    headings = np.full((len(queries), count), np.nan, np.float32)
    if len(vectors) == len(queries):
        for k, query in enumerate(queries):
            if query.headings is not None:
                headings[k] = query.headings[0]
        return table, headings
    scores = np.empty((len(queries), count), np.float32)
    start = 0
    for k, query in enumerate(queries):
        own = table[start : start + len(query.vectors)]
        start += len(query.vectors)
        best = own.argmax(axis=0)
        scores[k] = np.take_along_axis(own, best[None], axis=0)[0]
        if query.headings is not None:
            headings[k] = query.headings[best]
    return scores, headings
