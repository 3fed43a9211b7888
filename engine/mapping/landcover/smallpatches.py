"""The patches of one strip of a class map that may be too small, and what they touch.

Most pixels lie in patches that are plainly large enough: in a rectangle of one class that alone reaches the unit. Only
the others are looked at one by one, as runs of equal pixels in a row: what touches a plainly large patch of its class
belongs to it, the rest is joined to patches. So the work goes with the number of doubtful pixels, not of all.

Patches are numbered. All patches of a class that are large enough are one here, numbered by its code: which of them a
small patch lies at makes no difference to it.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.legends import NOT_OBSERVED, UNKNOWN
from engine.raster.runs import connected, counted

U8 = NDArray[np.uint8]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MASSES = 256
"""Numbers below are classes: all that is large enough of one."""
_ROUNDS = 6


class PointAreas(Protocol):
    """Areas of the pixels of a strip."""

    @property
    def least(self) -> float:
        """m² that no pixel is below."""

    def at(self, rows: Ints, cols: NDArray[np.float64]) -> NDArray[np.float64]:
        """m² of single pixels, or between two of a row."""


class Borders(NamedTuple):
    """Sides of pixels that a small patch shares with another class: numbers of the ``patch`` and of the ``other``, how
    many sides lie ``along`` rows and ``down`` columns."""

    patch: Ints
    other: Ints
    along: Ints
    down: Ints


class SmallPatches(NamedTuple):
    """Patches of a strip that are small as far as it shows, numbered from :data:`MASSES`: ``code`` and ``area`` (m²) of
    each, ``borders``; their pixels as runs from ``start`` (in the flat pixels of the strip) of ``length``, each of
    ``patch`` (from 0). ``top``, ``bottom``: the number of each pixel in the first and the last row."""

    code: U8
    area: NDArray[np.float64]
    borders: Borders
    start: Ints
    length: NDArray[np.int32]
    patch: NDArray[np.int32]
    top: Ints
    bottom: Ints


def small_patches(codes: U8, areas: PointAreas, min_area: float) -> SmallPatches:
    """Look through a strip: ``codes`` (rows, columns); patches below ``min_area`` m² are small."""
    rows, width = codes.shape
    frame = _Frame(codes)
    enough = math.ceil(min_area / areas.least) if areas.least > 0 else codes.size + 1
    large = frame.plainly_large(enough)
    runs = _runs(frame, ~large & (frame.codes != UNKNOWN))
    which, patch = _joined(frame, runs, large)
    # What is large enough by its number of pixels, or then by its area, belongs to the mass of its class.
    which, patch = _only(which, patch, np.bincount(patch, runs.length[which]) < enough)
    row, col = np.divmod(runs.first[which], frame.stride)
    middle = col - 1 + (runs.length[which] - 1) / 2  # over some pixels of a row areas change evenly
    area = np.asarray(np.bincount(patch, runs.length[which] * areas.at(row - 1, middle)), np.float64)
    small = area < min_area
    start = ((row - 1) * width + col - 1)[small[patch]]
    which, patch = _only(which, patch, small)
    code = np.zeros(int(small.sum()), np.uint8)
    code[patch] = runs.code[which]
    of_run = runs.code.astype(np.int64)
    of_run[which] = patch + MASSES
    borders = _borders(frame, runs, which, of_run, large)
    top, bottom = (_numbers(frame, runs, of_run, line) for line in (0, rows - 1))
    length = runs.length[which].astype(np.int32)
    return SmallPatches(code, area[small], borders, start, length, patch, top, bottom)


def _only(which: Ints, patch: NDArray[np.int32], stays: Mask) -> tuple[Ints, NDArray[np.int32]]:
    """Runs ``which`` of patches that stay, and their patches, numbered anew."""
    chosen = stays[patch]
    return which[chosen], (np.cumsum(stays, dtype=np.int32) - np.int32(1))[patch[chosen]]


class _Frame:
    """A strip with a rim of no class, flat: ``stride`` pixels from row to row. No class is 0, :data:`UNKNOWN`; not
    observed becomes it."""

    def __init__(self, codes: U8) -> None:
        self.rows, width = codes.shape
        self.stride = width + 1
        # One column of rim serves both ends of a row; the last pixel's neighbour lies one beyond the last row.
        self.codes = np.full((self.rows + 2) * self.stride + 1, UNKNOWN, np.uint8)
        inner = self.codes[self.stride : -self.stride - 1].reshape(self.rows, self.stride)[:, 1:]
        np.multiply(codes, (codes != NOT_OBSERVED).view(np.uint8), out=inner)

    def plainly_large(self, pixels: int) -> Mask:
        """Where a pixel lies in an upright rectangle of one class with at least ``pixels`` pixels, or touches one."""
        size = self.codes.size
        if pixels <= 1:
            return np.ones(size, bool)
        tall = math.isqrt(pixels)
        wide = -(-pixels // tall)
        beside, below = self.codes[1:] == self.codes[:-1], self.codes[self.stride :] == self.codes[: -self.stride]
        found = np.zeros(size, bool)
        for down, along in {(tall, wide), (wide, tall)}:
            if down > self.rows or along >= self.stride:
                continue
            same = _all_of(_all_of(beside, along - 1, 1), down, self.stride)
            same &= _all_of(below, down - 1, self.stride)[: same.size]
            found |= _spread(_spread(same, along, 1), down, self.stride)[:size]
        return found | _beside(self.codes, self.only(found), self.stride)

    def only(self, mask: Mask) -> U8:
        """The codes where ``mask`` is, elsewhere none."""
        return self.codes * mask.view(np.uint8)


def _all_of(mask: Mask, count: int, step: int) -> Mask:
    """True where ``mask`` is at ``count`` places, ``step`` apart, from there on (and as short as that makes it)."""
    if count == 0:
        return np.ones(mask.size + step, bool)
    reach = 1
    while reach < count:
        more = min(reach, count - reach)
        mask = mask[: -more * step] & mask[more * step :]
        reach += more
    return mask


def _spread(mask: Mask, count: int, step: int) -> Mask:
    """True at ``count`` places, ``step`` apart, from each place on where ``mask`` is (and as long as that makes it)."""
    reach = 1
    while reach < count:
        more = min(reach, count - reach)
        longer = np.zeros(mask.size + more * step, bool)
        longer[: mask.size] = mask
        longer[more * step :] |= mask
        mask, reach = longer, reach + more
    return mask


class _Runs(NamedTuple):
    """Doubtful ``pixels`` (of the frame, ascending) as runs: ``of`` the run of each pixel, ``at`` the same for every
    pixel of the frame (anything where it is not doubtful); ``first`` pixel, ``length`` and ``code`` of each run."""

    pixels: Ints
    of: NDArray[np.int32]
    at: NDArray[np.int32]
    first: Ints
    length: Ints
    code: U8


def _runs(frame: _Frame, doubtful: Mask) -> _Runs:
    pixels = np.flatnonzero(doubtful)
    codes = frame.codes[pixels]
    begins = np.ones(len(pixels), bool)
    begins[1:] = (np.diff(pixels) != 1) | (codes[1:] != codes[:-1])
    of = np.cumsum(begins, dtype=np.int32)
    of -= 1
    start = np.flatnonzero(begins)
    at = np.empty(frame.codes.size, np.int32)
    at[pixels] = of
    return _Runs(pixels, of, at, pixels[start], np.diff(start, append=len(pixels)), codes[start])


def _joined(frame: _Frame, runs: _Runs, large: Mask) -> tuple[Ints, NDArray[np.int32]]:
    """Runs that touch nothing large of their class, not by other runs either, and the patch of each (from 0)."""
    pixels, count, stride = runs.pixels, len(runs.first), frame.stride
    own, sure = frame.codes[pixels], frame.only(large)
    touches = np.zeros(len(pixels), bool)
    for step in (1, stride - 1, stride, stride + 1):
        touches |= sure[pixels - step] == own
        touches |= sure[pixels + step] == own
    settled = np.zeros(count, bool)
    settled[runs.of[np.flatnonzero(touches)]] = True
    first, second = _touching_runs(frame, runs, own)
    for _ in range(_ROUNDS):  # what is settled settles what it touches
        one, other = settled[first], settled[second]
        settled[second[one]] = True
        settled[first[other]] = True
        waiting = ~(one | other)
        first, second = first[waiting], second[waiting]
    which = np.flatnonzero(~settled)
    new = np.zeros(count, np.int32)
    new[which] = np.arange(len(which), dtype=np.int32)
    one, other = settled[first], settled[second]
    free = ~(one | other)
    number, patch = connected(np.stack((new[first[free]], new[second[free]])), len(which))
    stays = np.ones(number, bool)
    stays[patch[new[np.concatenate((first[other & ~one], second[one & ~other]))]]] = False
    return _only(which, patch, stays)


def _touching_runs(frame: _Frame, runs: _Runs, own: U8) -> NDArray[np.int32]:
    """(2, n): pairs of runs of one class (``own`` of each of their pixels) that touch from row to row."""
    codes = np.full(frame.codes.size, UNKNOWN, np.uint8)
    codes[runs.pixels] = own
    straight = codes[runs.pixels + frame.stride] == own
    pairs = []
    for slant in (0, -1, 1):
        step = frame.stride + slant
        # A corner counts where they do not touch by a side too; runs with several sides in common do so once.
        same = straight if slant == 0 else (codes[runs.pixels + step] == own) & ~straight
        place = np.flatnonzero(same)
        pair = np.stack((runs.of[place], runs.at[runs.pixels[place] + step]))
        fresh = np.ones(len(place), bool)
        fresh[1:] = (pair[:, 1:] != pair[:, :-1]).any(axis=0)
        pairs.append(pair[:, fresh])
    return np.concatenate(pairs, axis=1)


def _beside(codes: U8, others: U8, stride: int) -> Mask:
    """Where one of the eight pixels around has of ``others`` the code that ``codes`` has."""
    found = np.zeros(codes.size, bool)
    for step in (1, stride - 1, stride, stride + 1):
        found[step:] |= codes[step:] == others[:-step]
        found[:-step] |= codes[:-step] == others[step:]
    return found


def _borders(frame: _Frame, runs: _Runs, kept: Ints, of_run: Ints, large: Mask) -> Borders:
    """Between the small patches of the runs ``kept`` and what lies beside; ``of_run`` is the number of every run."""
    length = runs.length[kept]
    pixels, patch = counted(runs.first[kept], length), np.repeat(of_run[kept], length)
    own = frame.codes[pixels]
    patches, others, downs = [], [], []
    for step in (-1, 1, -frame.stride, frame.stride):
        there = pixels + step
        code = frame.codes[there]
        wanted = (code != own) & (code != UNKNOWN)
        there, other = there[wanted], code[wanted].astype(np.int64)
        doubtful = ~large[there]
        other[doubtful] = of_run[runs.at[there[doubtful]]]
        patches.append(patch[wanted])
        others.append(other)
        downs.append(np.full(len(other), abs(step) == 1))
    return summed(np.concatenate(patches), np.concatenate(others), np.concatenate(downs))


def summed(patch: Ints, other: Ints, down: Mask) -> Borders:
    """Sides between patches, each one pixel's: ``down`` a column or along a row."""
    count = int(max(patch.max(initial=0), other.max(initial=0))) + 1
    key, place = np.unique(patch * count + other, return_inverse=True)
    downs = np.bincount(place[down], minlength=len(key))
    return Borders(key // count, key % count, np.bincount(place, minlength=len(key)) - downs, downs)


def _numbers(frame: _Frame, runs: _Runs, of_run: Ints, line: int) -> Ints:
    """The number of each pixel of a row of the strip."""
    start = (line + 1) * frame.stride
    numbers = frame.codes[start + 1 : start + frame.stride].astype(np.int64)
    a, b = np.searchsorted(runs.pixels, (start, start + frame.stride))
    numbers[runs.pixels[a:b] - start - 1] = of_run[runs.of[a:b]]
    return numbers
