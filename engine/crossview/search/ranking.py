"""From scores of cells to ranked places: what speaks for a cell, and one candidate for each place.

A cell is believed for three reasons: it stands out of the region (its score in standard deviations above the mean), its
neighbours, which show much of the same ground, stand out too, and turning the photo's view over it fits. What is far
above the next other place is unique: that gap is the strongest sign that the first guess is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import CellLayout, Degrees, Ids, distance_m

APART_CELLS = 1.6
"""Cells nearer to each other than this many cell sizes are one place: diagonal neighbours are."""


Evidence = TypeVar("Evidence", float, NDArray[np.float64])


@dataclass(frozen=True)
class Weights:
    """How much a standard deviation counts of a cell's own score, of its neighbours' and of the verification's."""

    own: float = 1.0
    neighbours: float = 0.3
    verified: float = 0.7

    def total(self, own: Evidence, neighbours: Evidence, verified: Evidence | None) -> Evidence:
        """What candidates are ranked by, of numbers or arrays of them. ``verified`` None: nothing was turned over the
        imagery, so that what was compared first must do, and counts at least once."""
        if verified is None:
            return max(1.0, self.own) * own + self.neighbours * neighbours
        return self.own * own + self.neighbours * neighbours + self.verified * verified


@dataclass(frozen=True)
class Background:
    """Mean and spread of a photo's scores over the region: what a score is measured against."""

    mean: float
    spread: float

    @classmethod
    def of(cls, scores: NDArray[np.floating]) -> Background:
        """From scores of all cells or of a sample; a constant has the spread 1, so that nothing stands out."""
        spread = float(np.std(scores, dtype=np.float64))
        return cls(float(np.mean(scores, dtype=np.float64)), spread if spread > 1e-9 else 1.0)

    def z(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Standard deviations above the mean."""
        return np.asarray((np.asarray(scores, np.float64) - self.mean) / self.spread)


@dataclass(frozen=True)
class Places:
    """Candidates of one photo, the best first: ``cells`` their numbers, ``score`` what they are ranked by, ``gap`` that
    score less the best score of another place, ``heading`` degrees or NaN."""

    cells: NDArray[np.int64]
    score: NDArray[np.float64]
    gap: NDArray[np.float64]
    heading: NDArray[np.float64]


def neighbour_mean(
    layout: CellLayout, ids: Ids, sorted_ids: Ids, order: NDArray[np.int64], z: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N,) mean ``z`` of the cells around each of ``ids`` that the index has; 0 where it has none.

    ``sorted_ids`` = all ids sorted, ``order`` their numbers; ``z`` by number.
    """
    around = np.delete(layout.neighbours(ids), 4, axis=1)
    at = np.minimum(np.searchsorted(sorted_ids, around), len(sorted_ids) - 1)
    there = sorted_ids[at] == around
    values = np.where(there, z[order[at]], 0.0)
    return np.asarray(values.sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def distinct(
    cells: NDArray[np.int64],
    score: NDArray[np.float64],
    heading: NDArray[np.float64],
    lon: Degrees,
    lat: Degrees,
    *,
    apart_m: float,
    most: int,
) -> Places:
    """One candidate for each place: the best cell, and no other within ``apart_m`` of it. Of equals the lower number is
    first.

    ``lon``, ``lat`` of the cells. Places are found until there are ``most`` and one more, from which the last gap is
    known.
    """
    order = np.lexsort((cells, -score))
    free = np.ones(len(order), np.bool_)
    chosen: list[int] = []
    for position, k in enumerate(order):
        if not free[position]:
            continue
        chosen.append(int(k))
        if len(chosen) > most:
            break
        free &= distance_m(lon[order], lat[order], lon[k], lat[k]) > apart_m
    ranked = score[chosen]
    best, second = ranked[:1], ranked[1:2]
    gap = np.full(len(ranked), np.inf)
    if len(ranked) > 1:
        gap = ranked - best
        gap[0] = (best - second)[0]
    gap = np.where(np.isfinite(gap), gap, ranked)  # the only place of a region: against nothing
    keep = slice(0, most)
    picked = np.array(chosen, np.int64)[keep]
    return Places(cells[picked], ranked[keep], gap[keep], heading[picked])
