"""Rings from corners: how the outlines of pixel regions are closed and made polygons.

Sorted along each line of the pixel lattice, a region's corners pair up to the edges of its rings; following the edges
gives the rings, their direction tells shells from holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.raster.grid import Grid

IntArray = NDArray[np.int64]
# Flags of a corner: its horizontal edge goes east, its vertical edge goes south, a horizontal edge starts here when
# the outline is followed with the region on the right.
EAST, SOUTH, START = 1, 2, 4


@dataclass
class Corners:
    """Corners of outlines: region number, row and column on the pixel lattice, and flags; one entry a corner."""

    region: NDArray[np.int32]
    row: NDArray[np.int32]
    col: NDArray[np.int32]
    flags: NDArray[np.uint8]

    @classmethod
    def nothing(cls) -> Corners:
        """No corner."""
        none = np.zeros(0, np.int32)
        return cls(none, none, none, np.zeros(0, np.uint8))

    @classmethod
    def joined(cls, parts: Sequence[Corners]) -> Corners:
        """All corners of the parts."""
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("region", "row", "col", "flags")))

    def pick(self, which: NDArray[Any], renumbered: IntArray) -> Corners:
        """Some of the corners, with their regions renumbered."""
        return Corners(
            renumbered[self.region[which]].astype(np.int32), self.row[which], self.col[which], self.flags[which]
        )


def trace(corners: Corners, count: int, grid: Grid) -> NDArray[Any]:
    """Polygons of ``count`` regions from all of their corners."""
    region, row, col = (values.astype(np.int64) for values in (corners.region, corners.row, corners.col))
    east, south = (corners.flags & EAST) != 0, (corners.flags & SOUTH) != 0
    lattice = row * (grid.width + 1) + col
    # Where two pixels of one region touch at a corner only, the outline goes around what is not the region: so the
    # hole that is closed off there gets a ring of its own, and no ring touches itself.
    order = np.lexsort((lattice, region))
    twice = np.flatnonzero((np.diff(region[order]) == 0) & (np.diff(lattice[order]) == 0))
    south[order[twice]] ^= True
    south[order[twice + 1]] ^= True
    along = _partners(region, lattice * 2 + east)
    down = _partners(region, (col * (grid.height + 1) + row) * 2 + south)

    start = np.flatnonzero(corners.flags & START)
    rank = np.empty(len(region), np.int64)
    rank[start] = np.arange(len(start))
    follows = rank[down[along[start]]]
    ring, order = _cycles(follows)
    sequence = start[order]
    points = np.column_stack([sequence, along[sequence]]).ravel()
    ring = np.repeat(ring[order], 2)

    heads = np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))
    sizes = np.diff(np.append(heads, len(ring)))
    # Every ring ends where it began.
    closed = np.insert(points, heads + sizes, points[heads])
    x, y = col[closed], row[closed]
    index = np.repeat(np.arange(len(heads)), sizes + 1)
    cross = np.append(x[:-1] * y[1:] - x[1:] * y[:-1], 0)
    cross[np.cumsum(sizes + 1) - 1] = 0
    shell = np.add.reduceat(cross, np.cumsum(sizes + 1) - (sizes + 1)) > 0
    t = grid.transform
    rings = shapely.linearrings(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f, indices=index)
    owner = region[points[heads]]

    outer = np.empty(count, object)
    outer[owner[shell]] = rings[shell]
    by_owner = np.argsort(owner[~shell], kind="stable")
    polygons = shapely.polygons(outer)
    if len(by_owner):
        holes, holder = rings[~shell][by_owner], owner[~shell][by_owner]
        with_holes = np.unique(holder)
        polygons[with_holes] = _with_holes(outer[with_holes], holes, np.searchsorted(with_holes, holder))
    return np.asarray(polygons, object)


def _with_holes(shells: NDArray[Any], holes: NDArray[Any], owner: IntArray) -> NDArray[Any]:
    bounds = np.searchsorted(owner, np.arange(len(shells) + 1))
    return np.array(
        [shapely.Polygon(shell, list(holes[bounds[i] : bounds[i + 1]])) for i, shell in enumerate(shells)], object
    )


def _partners(region: IntArray, place: IntArray) -> IntArray:
    """The other end of every corner's edge: corners of one region, sorted along the lines, pair up."""
    order = np.lexsort((place, region))
    partner = np.empty(len(order), np.int64)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _cycles(follows: IntArray) -> tuple[IntArray, IntArray]:
    """Cycles of the permutation ``follows``: each entry's cycle (its least entry), and the entries in cyclic order.

    Pointer jumping: the number of passes is the logarithm of the longest cycle.
    """
    size = len(follows)
    leader, jump = np.arange(size), follows.copy()
    while True:
        better = np.minimum(leader, leader[jump])
        if np.array_equal(better, leader):
            break
        leader, jump = better, jump[jump]
    left = np.ones(size, np.int64)  # steps to the leader
    heads = leader == np.arange(size)
    left[heads] = 0
    jump = np.where(heads, np.arange(size), follows)
    active = np.flatnonzero(~heads)
    while len(active):
        left[active], jump[active] = left[active] + left[jump[active]], jump[jump[active]]
        active = active[~heads[jump[active]]]
    # The leader first, then by falling distance to it.
    position = np.where(heads, -size, -left)
    return leader, np.lexsort((position, leader))
