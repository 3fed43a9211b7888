"""The minimum mapping unit: patches that are too small go to their neighbours, without the whole map in memory.

A patch is an 8-connected group of pixels of one class. A patch smaller than the unit takes the class, among its
neighbours, with which it shares the longest border (pixel sides, in metres; of equals the lower code). Neighbours
count once they are settled: large patches at first, then, round by round, small ones that got their class in the round
before; so a cluster of small patches is eaten from its rim. Unknown and not observed are no classes here: they are
never filled and never grow, and a small patch among nothing else stays.

First pass: :meth:`StripPatches.add` finds what may be small in each strip
(:mod:`engine.mapping.landcover.smallpatches`) and what touches across the seam. :meth:`StripPatches.resolve` joins it
and decides; the second pass asks strip by strip. Equal to looking at the whole map at once, for any cut into strips.
Memory grows with the number of small patches, not of pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.legends import NOT_OBSERVED, UNKNOWN
from engine.mapping.landcover.smallpatches import MASSES, Borders, PointAreas, small_patches, summed
from engine.raster.runs import connected, counted

U8 = NDArray[np.uint8]
Ints = NDArray[np.int64]
_NO_CLASS = np.zeros(256, bool)
_NO_CLASS[[UNKNOWN, NOT_OBSERVED]] = True


class _Runs(NamedTuple):
    """Runs of a strip that may change: ``start`` in its flat pixels, ``length``, and ``patch`` in the strip."""

    start: Ints
    length: NDArray[np.int32]
    patch: NDArray[np.int32]


class StripPatches:
    """Collects the patches of a class map given in strips from the top.

    ``side_m``: length in metres of a pixel's side (down a column, along a row). ``min_area``: m².
    """

    def __init__(self, *, side_m: tuple[float, float], min_area: float) -> None:
        # A sum over strips may differ from the exact area in the last bits; a patch of exactly the unit stays.
        self._side, self._min_area = side_m, min_area * (1 - 1e-9)
        self._offsets: list[int] = []
        self._count = MASSES
        self._areas: list[NDArray[np.float64]] = [np.full(MASSES, np.inf)]
        self._codes: list[U8] = [np.arange(MASSES, dtype=np.uint8)]
        self._joined: list[Ints] = []
        self._borders: list[Borders] = []
        self._last: tuple[U8, Ints] | None = None
        self._doubtful: list[_Runs] = []

    def add(self, codes: U8, areas: PointAreas) -> None:
        """Add the next strip: ``codes`` (rows, columns), ``areas`` of its pixels."""
        strip = small_patches(codes, areas, self._min_area)
        offset = self._count - MASSES
        self._offsets.append(self._count)
        self._areas.append(strip.area)
        self._codes.append(strip.code)
        patch, other = (_moved(number, offset) for number in strip.borders[:2])
        self._borders.append(Borders(patch, other, *strip.borders[2:]))
        self._doubtful.append(_Runs(strip.start, strip.length, strip.patch))
        if self._last is not None:
            self._seam(*self._last, codes[0], _moved(strip.top, offset))
        self._last = (codes[-1].copy(), _moved(strip.bottom, offset))
        self._count += len(strip.code)

    def _seam(self, above: U8, upper: Ints, below: U8, lower: Ints) -> None:
        """What touches between two rows of codes, whose pixels are of patches ``upper`` and ``lower``."""
        width = len(above)
        for left, right in ((0, 0), (0, 1), (1, 0)):
            up, down = slice(left, width - right), slice(right, width - left)
            same = (above[up] == below[down]) & (upper[up] != lower[down])
            self._joined.append(np.stack((upper[up][same], lower[down][same])))
        known = (above != below) & ~_NO_CLASS[above] & ~_NO_CLASS[below]
        for patch, other in ((upper, lower), (lower, upper)):
            at = np.flatnonzero(known & (patch >= MASSES))
            self._borders.append(summed(patch[at], other[at], np.zeros(len(at), bool)))

    def resolve(self) -> SettledPatches:
        """Decide which class every patch has."""
        pairs = np.concatenate([np.zeros((2, 0), np.int64), *self._joined], axis=1)
        number, found = connected(pairs, self._count)
        of_label = found.astype(np.int64)
        area = np.bincount(of_label, np.concatenate(self._areas), number)
        codes = np.concatenate(self._codes)
        code = np.zeros(number, np.uint8)
        code[of_label] = codes
        small = (area < self._min_area) & ~_NO_CLASS[code]
        borders = [np.concatenate([np.zeros(0, np.int64), *side]) for side in zip(*self._borders, strict=True)]
        patch, other, along, down = borders or np.zeros((4, 0), np.int64)
        final = self._settle(code, small, of_label[patch], of_label[other], along, down)
        return SettledPatches(self._offsets, self._doubtful, final[of_label], (final != code)[of_label])

    def _settle(self, code: U8, small: NDArray[np.bool_], patch: Ints, other: Ints, along: Ints, down: Ints) -> U8:
        wanted = small[patch] & ~_NO_CLASS[code[other]]
        patch, other, along, down = (x[wanted] for x in (patch, other, along, down))
        final, settled = code.copy(), ~small
        while True:
            ready = settled[other]
            if not ready.any():
                return final
            key, place = np.unique(patch[ready] * 256 + final[other[ready]], return_inverse=True)
            length = (
                np.bincount(place, along[ready], len(key)) * self._side[1]
                + np.bincount(place, down[ready], len(key)) * self._side[0]
            )
            whose, what = key >> 8, (key & 255).astype(np.uint8)
            order = np.lexsort((what, -length, whose))  # the longest border first, of equals the lower code
            first = order[np.unique(whose[order], return_index=True)[1]]
            final[whose[first]] = what[first]
            settled[whose[first]] = True
            waiting = ~settled[patch]
            patch, other, along, down = (x[waiting] for x in (patch, other, along, down))


class SettledPatches:
    """The answer of :meth:`StripPatches.resolve`."""

    def __init__(self, offsets: list[int], runs: list[_Runs], final: U8, changed: NDArray[np.bool_]) -> None:
        self._offsets, self._runs, self._final, self._changed = offsets, runs, final, changed

    def apply(self, strip: int, codes: U8) -> tuple[U8, NDArray[np.bool_] | None]:
        """The classes of a strip, and where they changed (None: nowhere); ``codes`` must be what
        :meth:`StripPatches.add` got as number ``strip``."""
        start, length, patch = self._runs[strip]
        number = patch + self._offsets[strip]
        wanted = self._changed[number]
        if not wanted.any():
            return codes, None
        start, length, number = start[wanted], length[wanted], number[wanted]
        pixels = counted(start, length)
        settled, changed = codes.copy().ravel(), np.zeros(codes.size, bool)
        settled[pixels] = np.repeat(self._final[number], length)
        changed[pixels] = True
        return settled.reshape(codes.shape), changed.reshape(codes.shape)


def _moved(numbers: Ints, offset: int) -> Ints:
    """Numbers of a strip's patches as those of the map; masses keep theirs."""
    return np.where(numbers >= MASSES, numbers + offset, numbers)
