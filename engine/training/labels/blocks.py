"""Spatial blocks of labels and the folds made of them: what is validated never lies beside what was trained on.

Pixels near each other are alike, so a split by pixel flatters (Roberts et al. 2017, "Cross-validation strategies for
data with temporal, spatial, hierarchical, or phylogenetic structure"). Here whole blocks of ground go to one fold, and
a feature goes whole to the block of its middle.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.labels.pixels import LabelPixels

FOLDS = 5
WANTED_BLOCKS = 10
_PIECES = (3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64)
_SMALLEST_PX = 8
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """``block`` and ``fold`` of each labelled pixel of all scenes in turn (numbers from 0), the ``side_m`` of a block,
    the number of ``folds`` (0 where everything lies in one block), and for each class in how many blocks and folds it
    occurs."""

    block: Int
    fold: Int
    side_m: float
    folds: int
    class_blocks: Int
    class_folds: Int

    @property
    def count(self) -> int:
        """Number of blocks with labels."""
        return int(self.block.max()) + 1 if len(self.block) else 0


def split_by_block(
    scenes: Sequence[LabelPixels], classes: int, *, side_m: float | None = None, seed: int = 0
) -> Blocks:
    """Blocks of ``side_m`` metres (default: :func:`block_side`) and up to :data:`FOLDS` folds of them.

    A block's fold depends on ``seed`` and its place; the classes in the fewest blocks are spread first, so that every
    class that lies in two blocks or more is on both sides of a split where that can be done. Pixels of one unit (a
    feature, or features that share pixels) are always in one block.
    """
    side = block_side(scenes, classes) if side_m is None else side_m
    number, places = _blocks(scenes, side)
    klass = np.concatenate([pixels.klass for pixels in scenes])
    has = np.zeros((len(places), classes), bool)
    has[number, klass] = True
    folds = min(FOLDS, len(places))
    if folds < 2:
        folds = 0
        fold = np.zeros(len(klass), np.int64)
    else:
        fold = _folds(has, places, folds, seed)[number]
    in_fold = np.zeros((max(folds, 1), classes), bool)
    in_fold[fold, klass] = True
    return Blocks(number, fold, side, folds, has.sum(0).astype(np.int64), in_fold.sum(0).astype(np.int64))


def block_side(scenes: Sequence[LabelPixels], classes: int) -> float:
    """The largest side (m) of blocks that gives at least :data:`WANTED_BLOCKS` of them with every class of several
    units in at least two (three, if it has as many units); where none does, the one that comes nearest."""
    extents, pixel_m = [], 0.0
    units = np.zeros(classes, np.int64)
    for pixels in scenes:
        down, along = pixels.grid.gsd_m()
        pixel_m = max(pixel_m, down, along)
        if len(pixels):
            extents += [(float(np.ptp(pixels.row)) + 1) * down, (float(np.ptp(pixels.col)) + 1) * along]
        units += [len(np.unique(pixels.unit[pixels.klass == k])) for k in range(classes)]
    klass = np.concatenate([pixels.klass for pixels in scenes])
    extent = max([*extents, pixel_m])
    wanted = np.minimum(units, 3)
    best, best_score = extent, (-1.0, -1)
    for pieces in _PIECES:
        side = extent / pieces
        if side < _SMALLEST_PX * pixel_m and best_score[0] >= 0:
            break
        number, places = _blocks(scenes, side)
        has = np.zeros((len(places), classes), bool)
        has[number, klass] = True
        spread = np.minimum(has.sum(0), wanted) / np.maximum(wanted, 1)
        score = (float(spread.sum()), min(len(places), WANTED_BLOCKS))
        if score > best_score:
            best, best_score = side, score
        if score == (float(np.sum(wanted > 0)), WANTED_BLOCKS):
            break
    return float(best)


def _blocks(scenes: Sequence[LabelPixels], side_m: float) -> tuple[Int, list[tuple[int, int, int]]]:
    """The block number of each pixel, that of its unit's middle, and the place (scene, row, column) of each block."""
    found = []
    for scene, pixels in enumerate(scenes):
        down, along = pixels.grid.gsd_m()
        units, unit = np.unique(pixels.unit, return_inverse=True)
        count = np.bincount(unit, minlength=len(units))
        row = np.floor(np.bincount(unit, pixels.row + 0.5) / count * down / side_m).astype(np.int64)
        col = np.floor(np.bincount(unit, pixels.col + 0.5) / count * along / side_m).astype(np.int64)
        found.append(np.stack([np.full(len(units), scene, np.int64), row, col], 1)[unit])
    places, number = np.unique(np.concatenate(found), axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64), [(int(s), int(r), int(c)) for s, r, c in places]


def _folds(has: NDArray[np.bool_], places: list[tuple[int, int, int]], folds: int, seed: int) -> Int:
    """The fold of each block; see :func:`split_by_block`."""

    def drawn(block: int) -> bytes:
        return hashlib.sha256("/".join(map(str, (seed, *places[block]))).encode()).digest()

    order = sorted(range(len(places)), key=drawn)
    fold = np.full(len(places), -1, np.int64)
    sizes: Counter[int] = Counter()
    for klass in np.argsort(has.sum(0), kind="stable"):
        for block in (b for b in order if has[b, klass] and fold[b] < 0):
            held = Counter(fold[has[:, klass] & (fold >= 0)].tolist())
            fold[block] = min(range(folds), key=lambda f: (held[f], sizes[f], f))
            sizes[int(fold[block])] += 1
    return fold
