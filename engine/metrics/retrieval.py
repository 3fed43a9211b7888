"""Is the right item found among many? Ranks and recall at k of a search by similarity.

The usual figures of image retrieval (Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008,
chapter 8), with three rules that tools get wrong: what is as similar as the right item stands before it, so that an
embedding that is constant finds nothing; a number that is not finite is an error; R@1 % rounds its k up.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import ModelError

CHUNK = 4096
TIE = 1e-6
"""Cosines closer than this are equal: embeddings are float32, and a sum depends on the order of its parts."""


def cosine_ranks(
    queries: ArrayLike, gallery: ArrayLike, partners: ArrayLike | None = None, *, chunk: int = CHUNK
) -> NDArray[np.int64]:
    """(N,) rank of each query's partner among the gallery by cosine, 1 the best; ties count against.

    ``queries`` (N, D) and ``gallery`` (M, D) of any length other than 0; ``partners`` (N,) row of the gallery that is
    right for each query, default the row of the same number. Memory grows with ``chunk`` × M; the answer does not
    depend on ``chunk``. Raises ModelError for embeddings that are not finite, ValueError for shapes and partners that
    do not fit.
    """
    a, b = _unit(queries, "query"), _unit(gallery, "gallery item")
    right = np.arange(len(a)) if partners is None else np.asarray(partners, np.int64)
    if a.shape[1:] != b.shape[1:] or right.shape != (len(a),):
        raise ValueError(f"Queries {a.shape}, gallery {b.shape} and partners {right.shape} do not fit.")
    if right.size and (right.min() < 0 or right.max() >= len(b)):
        raise ValueError(f"Partners reach from {right.min()} to {right.max()}; the gallery has {len(b)} items.")
    ranks = np.empty(len(a), np.int64)
    for start in range(0, len(a), max(1, chunk)):
        part = slice(start, start + max(1, chunk))
        ranks[part] = ranks_of_scores(a[part] @ b.T, right[part], tie=TIE)
    return ranks


def cosines(queries: ArrayLike, gallery: ArrayLike) -> NDArray[np.float64]:
    """(N, M) cosines of ``queries`` (N, D) and ``gallery`` (M, D) of any length other than 0. Raises ModelError for
    embeddings that are not finite, ValueError for shapes that do not fit."""
    a, b = _unit(queries, "query"), _unit(gallery, "gallery item")
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"Queries {a.shape} and gallery {b.shape} do not fit.")
    found: NDArray[np.float64] = a @ b.T
    return found


def place_similarity(
    queries: ArrayLike,
    gallery: ArrayLike,
    queries_valid: ArrayLike | None = None,
    gallery_valid: ArrayLike | None = None,
    *,
    chunk: int = CHUNK,
) -> NDArray[np.float64]:
    """(N, M) mean over places of the cosine of two maps of embeddings at the same place, −1 to 1, the larger the more
    alike: what tells images apart by their layout, where pooled embeddings keep only what is in them.

    ``queries`` (N, D, h, w) and ``gallery`` (M, D, h, w), of any length at each place (0 counts as a cosine of 0);
    ``queries_valid`` (N, h, w) and ``gallery_valid`` (M, h, w) bool leave out the places where either is false. Two
    images without a common valid place have −1, so that they are never preferred. Memory grows with ``chunk`` × M; the
    answer does not depend on ``chunk``. Raises ModelError where a valid place is not finite, ValueError for shapes
    that do not fit.
    """
    (a, a_valid), (b, b_valid) = (
        _unit_places(queries, queries_valid, "query"),
        _unit_places(gallery, gallery_valid, "gallery item"),
    )
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"Maps of {np.shape(queries)[1:]} and {np.shape(gallery)[1:]} do not fit.")
    scores = np.empty((len(a), len(b)))
    items, places = b.reshape(len(b), -1).T, b_valid.astype(np.float64).T
    for start in range(0, len(a), max(1, chunk)):
        part = slice(start, start + max(1, chunk))
        common = a_valid[part].astype(np.float64) @ places
        total = a[part].reshape(len(a[part]), -1) @ items
        scores[part] = np.divide(total, common, out=np.full_like(total, -1.0), where=common > 0)
    return scores


def ranks_of_scores(scores: ArrayLike, partners: ArrayLike, *, tie: float = 0.0) -> NDArray[np.int64]:
    """(N,) rank of column ``partners`` (N,) in each row of ``scores`` (N, M), the larger the better. All others within
    ``tie`` of it or above stand before it. Raises ModelError for scores that are not finite."""
    table = np.asarray(scores, np.float64)
    right = np.asarray(partners, np.int64)
    if not np.isfinite(table).all():
        raise ModelError("A similarity is not a finite number, so nothing can be ranked by it.")
    own = np.take_along_axis(table, right[:, np.newaxis], axis=1)
    before: NDArray[np.int64] = (table >= own - tie).sum(axis=1)
    return before  # the partner itself is one of them, which makes the first rank 1


def recall_at(ranks: ArrayLike, k: int) -> float | None:
    """Share of ``ranks`` that are at most ``k``; None without any."""
    found = np.asarray(ranks)
    return float((found <= k).mean()) if found.size else None


def one_percent(gallery: int) -> int:
    """The k of R@1 % in a gallery of that many items, rounded up: 1 for 1 to 100, 2 for 101."""
    return max(1, math.ceil(gallery / 100))


def _unit(rows: ArrayLike, what: str) -> NDArray[np.float64]:
    found = np.asarray(rows, np.float64)
    if found.ndim != 2:
        raise ValueError(f"Embeddings are a table (N, D); found shape {found.shape}.")
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if bad.size:
        raise ModelError(
            f"The embedding of {what} {bad[0]} is not finite ({bad.size} of {len(found)} are not).",
            remedy="Look for missing pixels in its image, and at the training run.",
        )
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, length, out=np.zeros_like(found), where=length > 0)


def _unit_places(maps: ArrayLike, valid: ArrayLike | None, what: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N, places, D) at unit length, 0 where not valid, and (N, places) validity."""
    found = np.asarray(maps, np.float64)
    if found.ndim != 4:
        raise ValueError(f"Maps of embeddings are (N, D, h, w); found shape {found.shape}.")
    count, dimensions, height, width = found.shape
    mask = np.ones((count, height, width), np.bool_) if valid is None else np.asarray(valid, np.bool_)
    if mask.shape != (count, height, width):
        raise ValueError(f"The mask is {mask.shape} for maps of {found.shape}.")
    rows = np.moveaxis(found, 1, 3).reshape(-1, dimensions)
    rows = _unit(np.where(mask.reshape(-1, 1), rows, 0.0), f"{what} place")
    return rows.reshape(count, height * width, dimensions), mask.reshape(count, -1)
