"""Where tiles lie: a lattice along each axis that depends on the size of the scene, the tile and the stride alone.

Strips, columns, batches and workers never move a tile, so they cannot change a result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lattice:
    """Tiles of ``tile`` pixels every ``stride`` pixels along an axis of ``size`` pixels.

    The last tile is moved back to end at the edge. An axis shorter than a tile has one tile that starts at 0 and
    reaches over the edge. Every pixel lies in at least one tile.
    """

    size: int
    tile: int
    stride: int

    def __post_init__(self) -> None:
        if self.size < 1 or self.tile < 1 or not 1 <= self.stride <= self.tile:
            raise ValueError(f"Not a lattice: {self}.")

    def __len__(self) -> int:
        return 1 + math.ceil(max(0, self.size - self.tile) / self.stride)

    def start(self, index: int) -> int:
        """First pixel of a tile."""
        return max(0, min(index * self.stride, self.size - self.tile))

    def stop(self, index: int) -> int:
        """First pixel after a tile; more than ``size`` where the axis is shorter than the tile."""
        return self.start(index) + self.tile

    def touching(self, start: int, stop: int) -> range:
        """Indexes of the tiles that have a pixel in ``start … stop``."""
        hits = [i for i in range(len(self)) if self.start(i) < stop and self.stop(i) > start]
        return range(hits[0], hits[-1] + 1) if hits else range(0)


@dataclass(frozen=True)
class Share:
    """A tile's part in the blend along one axis.

    Pixels ``0 … earlier`` of the tile are in an earlier tile too, ``later … tile`` in a later one (``later`` is where
    the next tile starts, ``tile`` for the last); with strides below half a tile the two ranges overlap. ``weights``
    (tile,) float32 are exactly 1 where the tile is alone; over all tiles they sum to 1 at every pixel of the axis.
    """

    earlier: int
    later: int
    weights: NDArray[np.float32]


def window_function(tile: int, overlap: int) -> NDArray[np.float64]:
    """(tile,) positive weights of one tile before normalisation: a raised cosine over the overlap, 1 between."""
    ramp = min(overlap, tile // 2)
    window = np.ones(tile)
    if ramp:
        rise = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / ramp) ** 2
        window[:ramp], window[tile - ramp :] = rise, rise[::-1]
    return window


def shares(lattice: Lattice) -> Iterator[Share]:
    """The share of every tile of the lattice, in order.

    Each window function is divided by the sum of all at that pixel, edges and corners included (there the sum is
    that of the fewer tiles), so nothing fades where tiles are missing. Made one after another: memory is a few tiles.
    """
    window = window_function(lattice.tile, lattice.tile - lattice.stride)
    count, tile = len(lattice), lattice.tile
    for index in range(count):
        start, total = lattice.start(index), np.zeros(tile)
        for other in _neighbours(lattice, index):
            offset = lattice.start(other) - start
            low, high = max(0, offset), min(tile, offset + tile)
            total[low:high] += window[low - offset : high - offset]
        earlier = max(0, lattice.stop(index - 1) - start) if index else 0
        later = min(tile, lattice.start(index + 1) - start) if index + 1 < count else tile
        yield Share(earlier, later, (window / total).astype(np.float32))


def _neighbours(lattice: Lattice, index: int) -> Iterator[int]:
    # Ascending, so that the sum at a pixel is the same number whichever of its tiles asks.
    start, stop = lattice.start(index), lattice.stop(index)
    first = index
    while first > 0 and lattice.stop(first - 1) > start:
        first -= 1
    last = index
    while last + 1 < len(lattice) and lattice.start(last + 1) < stop:
        last += 1
    yield from range(first, last + 1)
