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
