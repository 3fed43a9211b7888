"""Runs of pixels, and other numbered things that touch: written out one by one, and joined to what hangs together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]


def counted(start: Ints, length: NDArray[np.integer[Any]]) -> Ints:
    """``start``, ``start`` + 1 … of each run (n,) of ``length`` (n,), one after another."""
    into = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    return np.asarray(np.repeat(start, length) + into)


def connected(pairs: NDArray[np.integer[Any]], count: int) -> tuple[int, NDArray[np.int32]]:
    """(number of components, component of each of ``count`` things) where ``pairs`` (2, n) belong together."""
    if count == 0:
        return 0, np.zeros(0, np.int32)
    # Truth values: a pair that comes 256 times would add up to 0 in bytes.
    graph = coo_array((np.ones(pairs.shape[1], bool), (pairs[0], pairs[1])), shape=(count, count))
    number, of = connected_components(graph, directed=False)
    return int(number), of
