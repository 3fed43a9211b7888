"""Changes from class to class: sums over two maps, and the codes, names and colours of the from-to raster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.legends import NOT_OBSERVED
from engine.mapping.landcover.naming import Naming
from engine.raster.classes import Color

U8 = NDArray[np.uint8]
NO_CHANGE, NOT_COMPARABLE = 0, 255
MOST = 254
"""Changes that can have a code of their own; where more occur the last code is "other changes"."""
_NO_CHANGE_COLOR, _OTHER_COLOR = (236, 236, 231, 255), (120, 84, 60, 255)


def pair_sums(one: U8, other: U8, areas: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pixels and m² by pair of codes, (256, 256) each; ``areas`` is broadcastable to the maps' shape."""
    pairs = (one.astype(np.int32) << 8 | other).ravel()
    pixels = np.bincount(pairs, minlength=65536).reshape(256, 256)
    weights = np.broadcast_to(areas, one.shape).ravel()
    sums = np.bincount(pairs, weights, 65536).reshape(256, 256)
    return pixels.astype(np.int64), np.asarray(sums, np.float64)


@dataclass
class ChangeSums:
    """Pixels and m² by class before (rows) and after (columns); 255 where a map has no class."""

    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((256, 256), np.int64))
    area: NDArray[np.float64] = field(default_factory=lambda: np.zeros((256, 256)))

    def add(self, one: U8, other: U8, areas: NDArray[np.float64]) -> None:
        """Add a strip."""
        pixels, area = pair_sums(one, other, areas)
        self.pixels += pixels
        self.area += area

    def mapped(self, tables: tuple[U8, U8]) -> ChangeSums:
        """The same sums in other codes."""
        out = ChangeSums()
        for a, b in zip(*np.nonzero(self.pixels), strict=True):
            at = tables[0][a], tables[1][b]
            out.pixels[at] += self.pixels[a, b]
            out.area[at] += self.area[a, b]
        return out

    @property
    def codes(self) -> list[int]:
        """Classes that occur in either map where both have one."""
        inside = self.pixels[:NOT_OBSERVED, :NOT_OBSERVED]
        return [int(c) for c in np.flatnonzero(inside.sum(axis=0) + inside.sum(axis=1))]

    @property
    def compared(self) -> float:
        """m² where both maps have a class."""
        return float(self.area[:NOT_OBSERVED, :NOT_OBSERVED].sum())

    @property
    def changed(self) -> float:
        """m² where the classes differ."""
        inside = self.area[:NOT_OBSERVED, :NOT_OBSERVED]
        return float(inside[~np.eye(len(inside), dtype=bool)].sum())

    def rows(self, naming: Naming) -> list[dict[str, Any]]:
        """One row a pair that occurs, what stayed included, in the order of the codes."""
        return [
            {
                "from_code": a,
                "from_name": naming.name(a),
                "to_code": b,
                "to_name": naming.name(b),
                "pixels": int(self.pixels[a, b]),
                "area_m2": round(float(self.area[a, b]), 2),
            }
            for a in self.codes
            for b in self.codes
            if self.pixels[a, b]
        ]

    def classes(self, naming: Naming) -> list[dict[str, Any]]:
        """Area before and after, gain and loss of every class."""
        inside = self.area[:NOT_OBSERVED, :NOT_OBSERVED]
        rows = []
        for code in self.codes:
            others = np.arange(len(inside)) != code
            loss, gain = inside[code, others].sum(), inside[others, code].sum()
            kept = inside[code, code]
            rows.append(
                {
                    "code": code,
                    "name": naming.name(code),
                    "color": "#" + "".join(f"{c:02x}" for c in naming.color(code)[:3]),
                    "before_m2": round(float(kept + loss), 2),
                    "after_m2": round(float(kept + gain), 2),
                    "gain_m2": round(float(gain), 2),
                    "loss_m2": round(float(loss), 2),
                    "net_m2": round(float(gain - loss), 2),
                }
            )
        return rows


class TransitionCodes:
    """The codes of a from-to raster: 1 for the largest change, 2 for the next …; 0 no change, 255 not comparable.

    Where more than :data:`MOST` changes occur, the smaller ones share the last code.
    """

    def __init__(self, sums: ChangeSums, naming: Naming) -> None:
        self._naming = naming
        area = sums.area.copy()
        area[NOT_OBSERVED], area[:, NOT_OBSERVED] = 0, 0
        np.fill_diagonal(area, 0)
        occurs = [(float(-area[a, b]), int(a), int(b)) for a, b in zip(*np.nonzero(area > 0), strict=True)]
        ordered = [(a, b) for _, a, b in sorted(occurs)]
        self.crowded = len(ordered) > MOST
        self.pairs = ordered[: MOST - 1] if self.crowded else ordered
        self.table = np.full((256, 256), MOST, np.uint8)
        for number, (a, b) in enumerate(self.pairs, start=1):
            self.table[a, b] = number
        np.fill_diagonal(self.table, NO_CHANGE)
        self.table[NOT_OBSERVED], self.table[:, NOT_OBSERVED] = NOT_COMPARABLE, NOT_COMPARABLE

    def of(self, one: U8, other: U8) -> U8:
        """Codes of the from-to raster for class codes before and after."""
        return np.asarray(self.table[one, other], np.uint8)

    @property
    def names(self) -> dict[int, str]:
        """Names of the codes, such as "Tree cover → Cropland"."""
        own = {
            number: f"{self._naming.name(a)} → {self._naming.name(b)}"
            for number, (a, b) in enumerate(self.pairs, start=1)
        }
        other = {MOST: "other changes"} if self.crowded else {}
        return {NO_CHANGE: "no change", **own, **other, NOT_COMPARABLE: "not comparable"}

    @property
    def colors(self) -> dict[int, Color]:
        """Colours of the codes: mostly that of the class after, with some of that before."""
        own = {}
        for number, (a, b) in enumerate(self.pairs, start=1):
            before, after = self._naming.color(a), self._naming.color(b)
            mixed = [round(0.72 * to + 0.28 * was) for was, to in zip(before[:3], after[:3], strict=True)]
            own[number] = (mixed[0], mixed[1], mixed[2], 255)
        other = {MOST: _OTHER_COLOR} if self.crowded else {}
        return {NO_CHANGE: _NO_CHANGE_COLOR, **own, **other, NOT_COMPARABLE: (0, 0, 0, 0)}
