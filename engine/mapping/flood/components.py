"""Connected components of a mask that is seen strip by strip: region growing and minimum area without the whole map.

First pass: :meth:`StripComponents.add` labels each strip and notes which labels touch across the seam. Then
:meth:`StripComponents.resolve` joins them (one sparse graph), and the second pass asks, strip by strip, which pixels
belong to a component that stays. Equal to labelling the whole mask at once, for any cut into strips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.raster.runs import connected

Mask = NDArray[np.bool_]

_EIGHT = np.ones((3, 3), bool)


class StripComponents:
    """Collects the 8-connected components of a mask given in strips from the top."""

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._count = 0
        self._areas: list[NDArray[np.float64]] = []
        self._seeded: list[Mask] = []
        self._pairs: list[NDArray[np.int64]] = []
        self._last_row: NDArray[np.int64] | None = None

    def add(self, mask: Mask, seeds: Mask, areas: NDArray[np.float64]) -> None:
        """Add the next strip.

        ``mask`` (rows, columns): pixels that may belong; ``seeds``: pixels of which a component needs one to stay;
        ``areas``: m² of each pixel, broadcastable to the strip.
        """
        labels, count = ndimage.label(mask, structure=_EIGHT)
        inside = np.flatnonzero(mask)
        of_pixel = labels.ravel()[inside]
        weights = np.broadcast_to(areas, mask.shape)[mask]
        self._areas.append(np.bincount(of_pixel, weights, count + 1)[1:].astype(np.float64))
        seeded = np.zeros(count + 1, bool)
        seeded[of_pixel[seeds.ravel()[inside]]] = True
        self._seeded.append(seeded[1:])
        offset = self._count
        self._offsets.append(offset)
        self._join(self._numbered(labels[0], offset))
        self._last_row = self._numbered(labels[-1], offset)
        self._count += count

    @staticmethod
    def _numbered(row: NDArray[np.int32], offset: int) -> NDArray[np.int64]:
        """Scene-wide component numbers of a row, −1 outside the mask."""
        return np.where(row > 0, row.astype(np.int64) - 1 + offset, -1)

    def _join(self, top: NDArray[np.int64]) -> None:
        if self._last_row is None:
            return
        above = self._last_row
        for a, b in ((above, top), (above[1:], top[:-1]), (above[:-1], top[1:])):
            touching = (a >= 0) & (b >= 0)
            if touching.any():
                self._pairs.append(np.unique(np.stack((a[touching], b[touching])), axis=1))

    def resolve(self, *, min_area: float) -> KeptComponents:
        """Decide which components stay: those with a seed whose area is at least ``min_area`` m²."""
        count = self._count
        if count == 0:
            return KeptComponents(self._offsets, np.zeros(0, bool))
        pairs = np.concatenate(self._pairs, axis=1) if self._pairs else np.zeros((2, 0), np.int64)
        number, of_label = connected(pairs, count)
        area = np.bincount(of_label, np.concatenate(self._areas), number)
        seeded = np.zeros(number, bool)
        seeded[of_label[np.concatenate(self._seeded)]] = True
        # The sum over strips may differ from the exact area in the last bits; a body of exactly min_area stays.
        return KeptComponents(self._offsets, (seeded & (area >= min_area * (1 - 1e-9)))[of_label])


class KeptComponents:
    """The answer of :meth:`StripComponents.resolve`."""

    def __init__(self, offsets: list[int], kept: Mask) -> None:
        self._offsets, self._kept = offsets, kept

    def select(self, strip: int, mask: Mask) -> Mask:
        """Pixels of ``mask`` that stay; ``mask`` must be what :meth:`StripComponents.add` got as number ``strip``."""
        labels, count = ndimage.label(mask, structure=_EIGHT)
        offset = self._offsets[strip]
        table = np.zeros(count + 1, bool)
        table[1:] = self._kept[offset : offset + count]
        selected: Mask = table[labels]
        return selected
