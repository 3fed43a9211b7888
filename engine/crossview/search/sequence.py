"""Photos of one drive searched jointly: where they were taken apart from each other is known, where they are is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import METRES_PER_DEGREE, CellLayout, Ids
from engine.errors import ParameterError

ABSENT = -1.0
"""What a photo counts, in standard deviations, whose place lies outside of the region."""


def offsets_m(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) metres east and north of the first of (N, 2) longitudes and latitudes. Raises ParameterError for photos
    that lie more than 50 km apart: that is no sequence."""
    lon, lat = positions.T
    turn = (lon - lon[0] + 180) % 360 - 180
    east = turn * METRES_PER_DEGREE * np.cos(np.radians(lat[0]))
    north = (lat - lat[0]) * METRES_PER_DEGREE
    if float(np.hypot(east, north).max()) > 50_000:
        raise ParameterError(
            "The photos lie more than 50 km apart; expected those of one drive.", remedy="Leave --sequence out."
        )
    return np.column_stack([east, north])


def joint_scores(
    layout: CellLayout, ids: Ids, z: NDArray[np.float64], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(photos, cells) standard deviations of the sequence, if that photo was taken in that cell.

    ``ids`` of all cells by number, ``z`` (photos, cells), ``offsets`` (photos, 2) metres. The other photos' cells are
    found by their offsets; of their own cell and the eight around it the best counts, since offsets and cells do not
    meet exactly. The sum is divided by the root of the number of photos: independent photos keep a spread of 1.
    """
    order = np.argsort(ids)
    ordered = ids[order]
    lon, lat = layout.centres(ids)
    wide = METRES_PER_DEGREE * np.cos(np.radians(lat))
    smooth = np.stack([_best_around(layout, ids, ordered, order, row) for row in z])
    joint = np.empty_like(z)
    for k in range(len(z)):
        total = z[k].copy()
        for other in range(len(z)):
            if other == k:
                continue
            east, north = offsets[other] - offsets[k]
            at = _find(layout.ids_at(lon + east / wide, lat + north / METRES_PER_DEGREE), ordered)
            total += np.where(at >= 0, smooth[other][order[np.maximum(at, 0)]], ABSENT)
        joint[k] = total / np.sqrt(len(z))
    return joint


def _best_around(
    layout: CellLayout, ids: Ids, ordered: Ids, order: NDArray[np.int64], row: NDArray[np.float64]
) -> NDArray[np.float64]:
    at = _find(layout.neighbours(ids), ordered)
    values = np.where(at >= 0, row[order[np.maximum(at, 0)]], -np.inf)
    return np.asarray(values.max(axis=1))


def _find(wanted: Ids, ordered: Ids) -> NDArray[np.int64]:
    """Where each id stands among the ordered ones; −1 where it does not."""
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.where(ordered[at] == wanted, at, -1)
