"""How many points a sample needs and how they are shared out between strata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["proportional", "equal", "optimal"]


def points_for_standard_error(
    target: float, *, weights: Sequence[float], accuracies: Sequence[float], pixels: int | None = None
) -> int:
    """Points for a standard error ``target`` of overall accuracy (Olofsson et al. 2014, equation 13; Cochran 1977).

    ``weights``: share of the area by stratum; ``accuracies``: user's accuracy that is expected in each, 0…1;
    ``pixels`` of the map, for the correction of a finite population. At least 2. Raises ValueError for a target that
    is not above 0.
    """
    if target <= 0:
        raise ValueError("The target is a standard error above 0.")
    w, u = np.asarray(weights, np.float64), np.asarray(accuracies, np.float64)
    w = w / w.sum()
    spread = np.sqrt(u * (1 - u))
    below = target**2 + (0.0 if pixels is None else float((w * spread**2).sum()) / pixels)
    return max(2, math.ceil(float((w * spread).sum()) ** 2 / below - 1e-9))


def allocate(
    points: int,
    *,
    rule: Rule,
    areas: Sequence[float],
    pixels: Sequence[int],
    least: int = 0,
    accuracies: Sequence[float] | None = None,
) -> list[int]:
    """Points by stratum, ``points`` in all, none above the stratum's ``pixels``.

    ``proportional`` to area, ``equal``, or ``optimal`` (Neyman: area times √(U (1 − U)) of the expected user's
    ``accuracies``). ``least``: fewest in a stratum (all its pixels where it has fewer); the other strata share the
    rest. Raises ValueError when ``points`` are more than all pixels, or fewer than the least ones need.
    """
    size, room = np.asarray(areas, np.float64), np.asarray(pixels, np.int64)
    if points > int(room.sum()):
        raise ValueError(f"{points} points are more than the {int(room.sum())} pixels that there are")
    floor = np.minimum(np.full(len(room), 0 if rule == "equal" else least), room)
    if int(floor.sum()) > points:
        raise ValueError(f"{points} points are too few for {least} in each of {len(room)} strata ({int(floor.sum())})")
    if rule == "equal":
        wish = np.ones(len(room))
    elif rule == "proportional":
        wish = size
    else:
        u = np.asarray(accuracies if accuracies is not None else np.full(len(room), 0.5), np.float64)
        wish = size * np.sqrt(u * (1 - u))
        if wish.sum() <= 0:
            wish = size
    return _shared(points, wish, floor, room)


def _shared(points: int, wish: NDArray[np.float64], floor: NDArray[np.int64], room: NDArray[np.int64]) -> list[int]:
    """Shares by ``wish``; strata that would fall below ``floor`` or above ``room`` are held there, the rest is shared
    again among the others."""
    held = np.full(len(room), -1, np.int64)
    while True:
        free = held < 0
        left = points - int(held[~free].sum())
        if not free.any():
            return [int(n) for n in held]
        weight = wish[free] if wish[free].sum() > 0 else np.ones(int(free.sum()))
        share = np.zeros(len(room))
        share[free] = left * weight / weight.sum()
        low, high = free & (share < floor), free & (share > room)
        # Hold the side that is further out, so that the sum can still be met.
        short, over = float((floor - share)[low].sum()), float((share - room)[high].sum())
        if low.any() and short >= over:
            held[low] = floor[low]
        elif high.any():
            held[high] = room[high]
        else:
            return _rounded(left, share, held, floor, room)


def _rounded(
    left: int,
    share: NDArray[np.float64],
    held: NDArray[np.int64],
    floor: NDArray[np.int64],
    room: NDArray[np.int64],
) -> list[int]:
    """Whole numbers by largest remainder, within floor and room."""
    out = np.where(held >= 0, held, np.floor(share + 1e-9).astype(np.int64))
    free = np.flatnonzero(held < 0)
    missing = left - int(out[free].sum())
    order = free[np.argsort(-(share - np.floor(share + 1e-9))[free], kind="stable")]
    for index in order:
        if missing > 0 and out[index] < room[index]:
            out[index] += 1
            missing -= 1
    return [int(n) for n in out]
