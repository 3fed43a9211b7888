"""Batches of pairs that are hard to tell apart (Deuser et al. 2023, "Sample4Geo: Hard Negative Sampling for Cross-View
Geo-Localisation"): a pair drawn at random comes with the pairs whose tiles are most like its panorama."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def mined_batches(
    grounds: Sequence[int],
    tiles: Sequence[int],
    near: Indices | None,
    *,
    batch: int,
    count: int,
    neighbours: int,
    generator: np.random.Generator,
) -> Indices:
    """(``count``, ``batch``) numbers of pairs: pair p is (``grounds[p]``, ``tiles[p]``).

    No batch has a ground image or a tile twice, as long as there are enough of others, and all pairs come before one
    comes again. ``near`` (pairs, k): for each pair the tiles most like its ground image, best first; a pair that is
    drawn brings along pairs of at most ``neighbours`` of these tiles: the nearest half of that number, and as many
    drawn from the rest of the k. None: all at random. Equal generators give equal batches. Raises ValueError without
    pairs.
    """
    if not len(grounds):
        raise ValueError("There are no pairs to make batches of.")
    pool = _Pool([int(g) for g in grounds], [int(t) for t in tiles], generator)
    out = np.empty((count, batch), np.int64)
    for row in range(count):
        out[row] = pool.batch(batch, near, neighbours)
    return out


class _Pool:
    """The pairs that are still to come in this round, and the batch that is being filled."""

    def __init__(self, grounds: list[int], tiles: list[int], generator: np.random.Generator) -> None:
        self._grounds, self._tiles, self._generator = grounds, tiles, generator
        self._by_tile: dict[int, list[int]] = {}
        for pair, tile in enumerate(tiles):
            self._by_tile.setdefault(tile, []).append(pair)
        self._used = np.ones(len(grounds), np.bool_)  # all: a round begins with the first batch
        self._left: list[int] = []
        self._chosen: list[int] = []
        self._there: set[tuple[str, int]] = set()

    def batch(self, size: int, near: Indices | None, neighbours: int) -> list[int]:
        self._chosen, self._there = [], set()
        waiting: list[int] = []
        rounds = 0
        while len(self._chosen) < size:
            if not self._left:
                if rounds == 1:
                    break  # fewer images than the batch takes
                rounds += 1
                self._used[:] = False
                self._used[self._chosen] = True
                late = set(waiting)
                fresh = self._generator.permutation(len(self._used)).tolist()
                self._left = [p for p in fresh if not self._used[p] and p not in late]
                continue
            pair = self._left.pop()
            if self._used[pair]:
                continue
            if not self._take(pair):
                waiting.append(pair)
            elif near is not None:
                self._bring(near[pair].tolist(), size, neighbours)
        while len(self._chosen) < size:
            self._chosen.append(int(self._generator.integers(len(self._grounds))))
        self._left += waiting  # they come first in the next batch
        return self._chosen

    def _take(self, pair: int) -> bool:
        keys = {("ground", self._grounds[pair]), ("tile", self._tiles[pair])}
        if self._used[pair] or keys & self._there:
            return False
        self._there |= keys
        self._chosen.append(pair)
        self._used[pair] = True
        return True

    def _bring(self, close: list[int], size: int, neighbours: int) -> None:
        half = max(1, neighbours // 2)
        rest = self._generator.permutation(close[half:])[: max(0, neighbours - half)].tolist()
        for tile in (*close[:half], *rest):
            if len(self._chosen) == size:
                return
            for other in self._by_tile.get(int(tile), ()):
                if self._take(other):
                    break
