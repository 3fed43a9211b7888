"""Every cell compared with every photo, block by block: exact but for the last bit of rounding, ties in a fixed
order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.crossview.describer import Describer, GroundView, Scores, VectorQuery
from engine.crossview.search.gallery import Gallery
from engine.crossview.search.products import Products, tensor_of
from engine.errors import ModelError
from engine.events import Reporter

_STEP = 16_384
"""Cells between two looks for a cancel; where photos are turned, cells times photos."""
_LEAST = 512
_OWN_ROWS = 2048
"""Descriptions that are fetched at once for the photos that they were proposed to."""


@dataclass(frozen=True)
class AllScores:
    """(photos, cells) ``scores`` and, where comparing tells them anyway, compass ``headings`` of each photo's centre;
    for vectors they are told of few cells by :func:`own_scores`."""

    scores: Scores
    headings: Scores | None


def asked(describer: Describer, images: Sequence[GroundView], reporter: Reporter) -> list[Any]:
    """What photos ask, one after another; raises Cancelled between them, and what describing raises."""
    queries = []
    for number, image in enumerate(images):
        reporter.progress(0.0, "search", f"Reading photo {number + 1} of {len(images)}")
        queries.append(describer.query(image))
    return queries


def all_scores(index: Gallery, describer: Describer, queries: Sequence[Any], reporter: Reporter) -> AllScores:
    """Scores of all cells: the best over scales. 4 bytes a photo and cell, 8 with headings.

    Raises ModelError for scores that are not finite (a damaged model or index), Cancelled.
    """
    facts = index.layer(describer.layer)
    scores = np.empty((len(queries), index.cells), np.float32)
    products = Products(queries, scales=len(facts.scales_m), dim=facts.dim) if describer.linear else None
    headings = None if products is not None else np.empty((len(queries), index.cells), np.float32)
    step = _STEP if products is not None else max(_LEAST, _STEP // max(1, len(queries)))
    for first, codes in index.shards(describer.layer):
        for start in range(0, len(codes), step):
            part = codes[start : start + step]
            place = slice(first + start, first + start + len(part))
            own, turned = scores[:, place], None if headings is None else headings[:, place]
            if products is not None:
                products.fill(tensor_of(part), own)
            elif turned is not None:
                own[:], turned[:] = scored(describer, queries, part, facts.scales_m)
            _require_finite(own, index)
            reporter.progress(place.stop / index.cells, "search", f"{place.stop} of {index.cells} cells")
    return AllScores(scores, None if headings is None or np.isnan(headings).all() else headings)


def scores_at(index: Gallery, layer: str, queries: Sequence[VectorQuery], cells: NDArray[np.int64]) -> Scores:
    """(photos, N) scores of the same ``cells`` for all photos, the best over scales; errors as :func:`all_scores`."""
    facts = index.layer(layer)
    products = Products(queries, scales=len(facts.scales_m), dim=facts.dim)
    scores = np.empty((len(queries), len(cells)), np.float32)
    for start in range(0, len(cells), _STEP):
        part = slice(start, start + _STEP)
        products.fill(torch.from_numpy(index.take(layer, cells[part])), scores[:, part])
    _require_finite(scores, index)
    return scores


def own_scores(
    index: Gallery, layer: str, queries: Sequence[VectorQuery], cells: Sequence[NDArray[np.int64]]
) -> list[tuple[Scores, Scores]]:
    """For each photo: (N,) scores of its own ``cells`` alone, the best over scales, and headings (NaN where none).

    Photos are taken together while their descriptions fit the processor's cache: they are fetched at once. Scores that
    are not finite raise ModelError."""
    facts = index.layer(layer)
    scales = len(facts.scales_m)
    counts = [len(one) for one in cells]
    found: list[tuple[Scores, Scores]] = []
    start = 0
    while start < len(queries):
        stop, held = start + 1, counts[start]
        while stop < len(queries) and (held + counts[stop]) * scales <= _OWN_ROWS:
            held += counts[stop]
            stop += 1
        products = Products(queries[start:stop], scales=scales, dim=facts.dim, blocks=False)
        codes = index.take(layer, np.concatenate(cells[start:stop]))
        scores, headings = products.apart(torch.from_numpy(codes), counts[start:stop])
        _require_finite(scores, index)
        place = 0
        for count in counts[start:stop]:
            found.append((scores[place : place + count], headings[place : place + count]))
            place += count
        start = stop
    return found


def _require_finite(scores: Scores, index: Gallery) -> None:
    if not np.isfinite(scores).all():
        raise ModelError(
            f"{index.place}: a score is not a finite number, so nothing can be ranked by it.",
            remedy="Check the index with --check, and the model.",
        )


def scored(
    describer: Describer, queries: Sequence[Any], codes: NDArray[Any], scales_m: Sequence[float]
) -> tuple[Scores, Scores]:
    """(photos, N) scores of codes (N, scales, dim), the best over scales, and headings (NaN where the method tells
    none)."""
    best = np.full((len(queries), len(codes)), -np.inf, np.float32)
    headings = np.full(best.shape, np.nan, np.float32)
    for s, scale in enumerate(scales_m):
        found, turned = describer.scores(queries, describer.ready(codes[:, s]), scale)
        better = ~(found <= best)
        best[better] = found[better]
        if turned is not None:
            headings[better] = turned[better]
    return best, headings


def top_cells(scores: Scores, k: int) -> NDArray[np.int64]:
    """Numbers of the ``k`` best, best first; of equals the lower number comes first. Scores are finite."""
    if k >= len(scores) or len(scores) <= 1024:
        return np.argsort(-scores, kind="stable")[:k]
    members = np.arange(len(scores))
    if (groups := max(512, 4 * k)) * 4 < len(scores):
        # The best of a group: k of them are at least as good as the k-th of these, so the k best of all are, too.
        rows = len(scores) // groups
        best = scores[: rows * groups].reshape(rows, groups).max(axis=0)
        members = np.flatnonzero(scores >= np.partition(best, groups - k)[groups - k])
    # The k-th best and its equals, of which the lowest numbers are taken.
    own = scores[members]
    least = np.partition(own, len(own) - k)[len(own) - k]
    above, equal = members[own > least], members[own == least]
    chosen = np.sort(np.concatenate([above, equal[: k - len(above)]]))
    return chosen[np.argsort(-scores[chosen], kind="stable")]
