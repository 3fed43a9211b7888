"""The minimum mapping unit: patches that are too small go to their neighbours, without the whole map in memory.

A patch is an 8-connected group of pixels of one class. A patch smaller than the unit takes the class, among its
neighbours, with which it shares the longest border (pixel sides, in metres; of equals the lower code). Neighbours
count once they are settled: large patches at first, then, round by round, small ones that got their class in the round
before; so a cluster of small patches is eaten from its rim. Unknown and not observed are no classes here: they are
never filled and never grow, and a small patch among nothing else stays.

First pass: :meth:`StripPatches.add` finds the patches of each strip from the runs of equal pixels in its rows, and what
touches across the seam. :meth:`StripPatches.resolve` joins them and decides; the second pass asks strip by strip. Equal
to looking at the whole map at once, for any cut into strips. Memory grows with the number of patches, not of pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.legends import NOT_OBSERVED, UNKNOWN

U8 = NDArray[np.uint8]
Ints = NDArray[np.int64]
_NO_CLASS = np.zeros(256, bool)
_NO_CLASS[[UNKNOWN, NOT_OBSERVED]] = True


class _Touching(NamedTuple):
    """Pairs of things (runs or patches) that touch: ``joined`` (2, n) of one class; ``borders`` (2, n) of two classes,
    with the number of pixel sides ``along`` rows and ``down`` columns between them."""

    joined: Ints
    borders: Ints
    along: Ints
    down: Ints


class _Labelled(NamedTuple):
    """A strip's patches: ``of_run`` patch of each run, ``number`` of them, ``code`` of each, ``run`` of each pixel;
    ``starts``: where runs begin in the flat pixels."""

    starts: Ints
    of_run: NDArray[np.int32]
    number: int
    code: U8
    run: NDArray[np.int32]
    touching: _Touching


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
        self._count = 0
        self._areas: list[NDArray[np.float64]] = []
        self._codes: list[U8] = []
        self._joined: list[Ints] = []
        self._borders: list[Ints] = []
        self._last: tuple[U8, Ints] | None = None
        self._doubtful: list[_Runs] = []

    def add(self, codes: U8, areas: NDArray[np.float64]) -> None:
        """Add the next strip: ``codes`` (rows, columns), ``areas`` m² of each pixel, broadcastable to it."""
        strip = _label(codes)
        offset = self._count
        self._offsets.append(offset)
        starts = strip.starts
        flat = np.ascontiguousarray(np.broadcast_to(areas, codes.shape)).ravel()
        area = np.bincount(strip.of_run, np.add.reduceat(flat, starts), strip.number).astype(np.float64)
        self._areas.append(area)
        self._codes.append(strip.code)
        self._keep_borders(strip.touching, area, offset)
        # Only what is small so far can change: its runs are kept, so that the second pass looks for nothing.
        runs = np.flatnonzero((area < self._min_area)[strip.of_run])
        length = np.diff(starts, append=codes.size)[runs]
        self._doubtful.append(_Runs(starts[runs], length.astype(np.int32), strip.of_run[runs]))
        top, bottom = (strip.of_run[strip.run[row]].astype(np.int64) + offset for row in (0, -1))
        if self._last is not None:
            above, numbers = self._last
            seam = _touching(np.stack((above, codes[0])), np.stack((numbers, top)))
            self._joined.append(np.unique(seam.joined, axis=1))
            self._borders.append(_summed(seam, 0, self._count + strip.number))
        self._last = (codes[-1].copy(), bottom)
        self._count += strip.number

    def _keep_borders(self, touching: _Touching, area: NDArray[np.float64], offset: int) -> None:
        """Borders between two patches that are large enough already will never matter."""
        small = area < self._min_area
        wanted = small[touching.borders].any(axis=0)
        kept = _Touching(touching.joined, touching.borders[:, wanted], touching.along[wanted], touching.down[wanted])
        self._borders.append(_summed(kept, offset, len(area)))

    def resolve(self) -> SettledPatches:
        """Decide which class every patch has."""
        if self._count == 0:
            return SettledPatches(self._offsets, self._doubtful, np.zeros(0, np.uint8), np.zeros(0, bool))
        pairs = np.concatenate([np.zeros((2, 0), np.int64), *self._joined], axis=1)
        number, of_label = _components(pairs, self._count)
        area = np.bincount(of_label, np.concatenate(self._areas), number)
        codes = np.concatenate(self._codes)
        code = np.zeros(number, np.uint8)
        code[of_label] = codes
        first, second, along, down = np.concatenate([np.zeros((4, 0), np.int64), *self._borders], axis=1)
        small = (area < self._min_area) & ~_NO_CLASS[code]
        final = self._settle(code, small, of_label[first], of_label[second], along, down)
        return SettledPatches(self._offsets, self._doubtful, final[of_label], (final != code)[of_label])

    def _settle(self, code: U8, small: NDArray[np.bool_], a: Ints, b: Ints, along: Ints, down: Ints) -> U8:
        patch, other = np.concatenate((a, b)), np.concatenate((b, a))
        along, down = np.concatenate((along, along)), np.concatenate((down, down))
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
        # Pixels of the runs: each run's first, repeated, plus how far each pixel is into its run.
        into = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
        pixels = np.repeat(start, length) + into
        settled, changed = codes.copy().ravel(), np.zeros(codes.size, bool)
        settled[pixels] = np.repeat(self._final[number], length)
        changed[pixels] = True
        return settled.reshape(codes.shape), changed.reshape(codes.shape)


def _starts(codes: U8) -> NDArray[np.bool_]:
    """Where a run of equal pixels begins in its row."""
    starts = np.ones(codes.shape, bool)
    np.not_equal(codes[:, 1:], codes[:, :-1], out=starts[:, 1:])
    return starts


def _label(codes: U8) -> _Labelled:
    starts = _starts(codes)
    run = np.cumsum(starts.ravel(), dtype=np.int32).reshape(codes.shape) - np.int32(1)
    first = np.flatnonzero(starts)
    of = codes.ravel()[first]
    touching = _touching(codes, run, starts)
    beside = np.flatnonzero(first % codes.shape[1])  # runs with a neighbour on their left
    count, of_run = _components(touching.joined, len(of))
    code = np.zeros(count, np.uint8)
    code[of_run] = of
    borders = np.concatenate((of_run[touching.borders], of_run[np.stack((beside - 1, beside))]), axis=1)
    none = np.zeros(len(beside), np.int64)
    along, down = np.concatenate((touching.along, none)), np.concatenate((touching.down, none + 1))
    known = ~_NO_CLASS[code[borders]].any(axis=0)
    whole = _Touching(touching.joined, borders[:, known].astype(np.int64), along[known], down[known])
    return _Labelled(first, of_run.astype(np.int32), count, code, run, whole)


def _touching(codes: U8, numbers: NDArray[np.integer], starts: NDArray[np.bool_] | None = None) -> _Touching:
    """What touches from row to row: ``numbers`` (rows, columns) of runs or patches of a class map ``codes``."""
    begins = _starts(codes) if starts is None else starts
    fresh = (begins[:-1] | begins[1:]).ravel()
    at = np.flatnonzero(fresh)
    upper, lower = numbers[:-1].ravel()[at], numbers[1:].ravel()[at]
    code_upper, code_lower = codes[:-1].ravel()[at], codes[1:].ravel()[at]
    length = np.diff(at, append=fresh.size)
    same = code_upper == code_lower
    corner = begins[:-1, 1:] & begins[1:, 1:]  # elsewhere a corner touches by a side too
    falling = corner & (codes[:-1, :-1] == codes[1:, 1:])
    rising = corner & (codes[:-1, 1:] == codes[1:, :-1])
    joined = np.concatenate(
        (
            np.stack((upper[same], lower[same])),
            np.stack((numbers[:-1, :-1][falling], numbers[1:, 1:][falling])),
            np.stack((numbers[:-1, 1:][rising], numbers[1:, :-1][rising])),
        ),
        axis=1,
    )
    known = ~same & ~_NO_CLASS[code_upper] & ~_NO_CLASS[code_lower]
    borders = np.stack((upper[known], lower[known])).astype(np.int64)
    return _Touching(joined.astype(np.int64), borders, length[known], np.zeros(int(known.sum()), np.int64))


def _summed(touching: _Touching, offset: int, count: int) -> Ints:
    """(4, n): pairs of patches numbered from ``offset``, lower first, with the sides along and down between them."""
    low, high = touching.borders.min(axis=0), touching.borders.max(axis=0)
    key, place = np.unique(low * count + high, return_inverse=True)
    along, down = (np.bincount(place, sides, len(key)).astype(np.int64) for sides in (touching.along, touching.down))
    return np.stack((key // count + offset, key % count + offset, along, down))


def _components(pairs: Ints, count: int) -> tuple[int, NDArray[np.int32]]:
    graph = coo_array((np.ones(pairs.shape[1], np.int8), (pairs[0], pairs[1])), shape=(count, count))
    number, of = connected_components(graph, directed=False)
    return int(number), of
