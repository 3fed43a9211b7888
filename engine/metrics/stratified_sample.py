"""A sample of reference points with the strata that it was drawn from: what the estimators take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class StratifiedSample:
    """Points drawn at random within strata; a simple random sample has one stratum.

    ``area`` (strata,): size of each stratum, in any unit. ``stratum``, ``mapped``, ``reference`` (points,): the
    stratum, map class and reference class of each point as indices from 0. ``classes``: number of classes.
    ``names``: of the strata, for reasons. ``pixels`` (strata,): pixels of each stratum, for the correction of a finite
    population (Stehman 2014, equation 25); None leaves it out, as Olofsson et al. 2014 do. ``stratum_class``: map
    class of the stratum where all of it has one, −1 else; None where nothing is known.
    """

    area: NDArray[np.float64]
    stratum: IntArray
    mapped: IntArray
    reference: IntArray
    classes: int
    names: tuple[str, ...]
    pixels: IntArray | None = None
    stratum_class: IntArray | None = None

    def __post_init__(self) -> None:
        if not len(self.stratum) == len(self.mapped) == len(self.reference):
            raise ValueError("Stratum, map class and reference class are given for every point.")
        for name, values, stop in (
            ("stratum", self.stratum, len(self.area)),
            ("mapped", self.mapped, self.classes),
            ("reference", self.reference, self.classes),
        ):
            if len(values) and not 0 <= int(values.min()) <= int(values.max()) < stop:
                raise ValueError(f"{name} goes from 0 to {stop - 1}.")
        if (np.asarray(self.area) < 0).any():
            raise ValueError("Areas of strata are not negative.")

    @property
    def points(self) -> IntArray:
        """(strata,): points in each stratum."""
        return np.bincount(self.stratum, minlength=len(self.area)).astype(np.int64)

    @property
    def covered(self) -> float:
        """Share of the area that lies in strata with at least one point: what the estimates speak of."""
        total = float(self.area.sum())
        return float(self.area[self.points > 0].sum()) / total if total > 0 else 0.0


def post_stratified(
    *,
    area: NDArray[np.float64],
    pixels: IntArray | None,
    mapped: IntArray,
    reference: IntArray,
    names: tuple[str, ...],
    classes: int | None = None,
    known: IntArray | None = None,
) -> StratifiedSample:
    """A simple random (or systematic) sample as one stratified after the drawing, by classes whose areas are known.

    ``area``, ``pixels``, ``names``: of each such class. ``known`` (points,): that class of each point; None: it is the
    map class that is assessed. ``classes``: number of classes of ``mapped`` and ``reference``; None: as many as areas.
    Knowing the areas makes the estimates more exact (Olofsson et al. 2014, section 4.2; Card 1982). Classes with fewer
    than two points are joined, the smallest first, until each stratum has two, so that every stratum gives a variance.
    """
    by = mapped if known is None else known
    points = np.bincount(by, minlength=len(area))
    group = np.arange(len(area))
    groups = [[k] for k in range(len(area)) if area[k] > 0 or points[k] > 0]
    while len(groups) > 1:
        groups.sort(key=lambda one: (points[one].sum() >= 2, area[one].sum()))
        if points[groups[0]].sum() >= 2:
            break
        groups[1] = [*groups[0], *groups[1]]
        groups = groups[1:]
    groups.sort(key=min)
    for number, one in enumerate(groups):
        group[one] = number
    return StratifiedSample(
        area=np.array([area[one].sum() for one in groups], np.float64),
        stratum=group[by].astype(np.int64),
        mapped=mapped,
        reference=reference,
        classes=len(area) if classes is None else classes,
        names=tuple(" + ".join(names[k] for k in sorted(one)) for one in groups),
        pixels=None if pixels is None else np.array([pixels[one].sum() for one in groups], np.int64),
        stratum_class=np.array([one[0] if len(one) == 1 else -1 for one in groups], np.int64)
        if known is None
        else None,
    )
