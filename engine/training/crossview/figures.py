"""Retrieval figures of a trained network on test pairs, for its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.data.items import CrossViewSet
from engine.errors import ParameterError
from engine.metrics.bootstrap import mean_estimate
from engine.metrics.retrieval import TIE, cosines, one_percent, ranks_of_scores, recall_at
from engine.models.crossview import CrossViewNetwork
from engine.training.crossview.embed import embed_grounds, embed_overheads, embed_rounds
from engine.training.crossview.images import FrameStore
from engine.training.crossview.turns import exactly_round
from engine.training.distributed import World
from engine.training.rng import derive_seed

_PART = 256
"""Panoramas whose scores are held at a time."""


def retrieval_figures(
    network: CrossViewNetwork,
    store: FrameStore,
    world: World,
    *,
    batch: int,
    workers: int,
    turned: bool,
    seed: int,
    headings: int = 1,
) -> tuple[dict[str, Any], dict[str, int]]:
    """Figures of the panoramas of the store that have a tile, against all of its tiles, and the rank of each by name.

    ``r@1``, ``r@5``, ``r@10``, ``r@1%`` with intervals over panoramas, and ``median_rank``; semi-positives stand out of
    the way. ``turned``: every panorama is rolled at random first, and then asked for at so many ``headings``, evenly
    round the circle, of which the best counts (1: a network of unknown heading). Ties count against. Raises
    ParameterError without pairs.
    """
    data: CrossViewSet = store.data
    rows = [i for i, match in enumerate(data.matches) if match.positive is not None]
    if not rows:
        raise ParameterError(f"{data.place}: holds no panorama with its tile to test with.")
    rolls: Sequence[int] | None = None
    if turned:
        width = store.framing.ground.size[1]
        rolls = [derive_seed(seed, "turned", data.grounds[i].name) % width for i in rows]
    b = embed_overheads(network, store, range(len(data.overheads)), world, batch=batch, workers=workers).numpy()
    right = np.asarray([data.matches[i].positive for i in rows], np.int64)
    ranks = np.empty(len(rows), np.int64)
    how: dict[str, Any] = {"batch": batch, "workers": workers}
    for start in range(0, len(rows), _PART):
        part = slice(start, start + _PART)
        own = None if rolls is None else rolls[part]
        if turned and headings > 1:
            a = embed_rounds(network, store, rows[part], world, exactly_round(network, headings), rolls=own, **how)
        else:
            a = embed_grounds(network, store, rows[part], world, rolls=own, **how)[:, None]
        flat = a.flatten(0, 1).numpy()
        scores = cosines(flat, b).reshape(a.shape[0], a.shape[1], len(b)).max(axis=1)
        before = _semi_before(scores, right[part], data, rows[part])
        ranks[part] = ranks_of_scores(scores, right[part], tie=TIE) - before
    found: dict[str, Any] = {"n": len(rows), "gallery": len(b), "median_rank": float(np.median(ranks))}
    found |= {"turned": turned, "headings": headings if turned else 1}
    for name, k in (("r@1", 1), ("r@5", 5), ("r@10", 10), ("r@1%", one_percent(len(b)))):
        found[name] = mean_estimate(ranks <= k).plain()
        found[name]["value"] = recall_at(ranks, k)
    return found, {data.grounds[i].name: int(rank) for i, rank in zip(rows, ranks, strict=True)}


def _semi_before(
    scores: NDArray[np.float64], right: NDArray[np.int64], data: CrossViewSet, rows: Sequence[int]
) -> NDArray[np.int64]:
    """How many semi-positives stand before the positive of each panorama."""
    out = np.zeros(len(rows), np.int64)
    for place, i in enumerate(rows):
        semi = [tile for tile in dict.fromkeys(data.matches[i].semi) if tile != right[place]]
        out[place] = int((scores[place, semi] >= scores[place, right[place]] - TIE).sum())
    return out
