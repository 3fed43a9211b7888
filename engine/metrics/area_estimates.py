"""Accuracy of a map and areas of classes from a stratified sample of reference points, with standard errors.

Sources. Stehman 2014, "Estimating area and map accuracy for stratified random sampling when the strata are different
from the map classes" (Int. J. Remote Sensing 35, 4923–4939): totals by equations 2 and 3, variance of a mean by 25
and 26, ratios by 27, their variance by 28 and 29. Where the strata are the classes of the map these are the formulas
of Olofsson et al. 2014, "Good practices for estimating area and assessing accuracy of land change" (Remote Sensing of
Environment 148, 42–57), equations 1 to 11. F1 = 2 Σy / (Σx + Σz) is a ratio of two totals as well (y: map and
reference agree on the class, x: mapped so, z: so in the reference): its variance is that of equation 28.

Intervals are value ± 1.96 standard errors, cut to what is possible. Where all points agree the formulas give an error
of zero: then the interval is the exact binomial one (Clopper and Pearson 1934), or none where there is no such. No
kappa: it tells nothing that these do not (Olofsson et al. 2014, section 4.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.stratified_sample import StratifiedSample

Z95 = 1.96
"""Half width of the 95 % interval in standard errors, as both papers have it."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SampleEstimate:
    """``value`` with standard error ``se`` and 95 % interval ``low … high``; None where it cannot be estimated.

    ``n``: the points that it rests on. ``why``: the reason where something is None, or what to know; else empty.
    """

    value: float | None
    se: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""

    def plain(self) -> dict[str, Any]:
        """As it stands in JSON; ``why`` only where there is a reason."""
        fields = {"value": self.value, "se": self.se, "low": self.low, "high": self.high, "n": self.n}
        return {**fields, "why": self.why} if self.why else fields

    def scaled(self, factor: float) -> SampleEstimate:
        """All of it times ``factor``: a share of the area as square metres."""
        value, se, low, high = (None if v is None else v * factor for v in (self.value, self.se, self.low, self.high))
        return SampleEstimate(value, se, low, high, self.n, self.why)


@dataclass(frozen=True)
class AccuracyEstimates:
    """What a sample says about a map; tuples have one entry a class, in the sample's order.

    ``proportions`` (classes, classes): estimated share of the area by map class (rows) and reference class (columns);
    sums to 1. ``counts``: the points themselves. ``area``: shares of the area by reference class.
    """

    overall: SampleEstimate
    users: tuple[SampleEstimate, ...]
    producers: tuple[SampleEstimate, ...]
    f1: tuple[SampleEstimate, ...]
    area: tuple[SampleEstimate, ...]
    proportions: FloatArray
    counts: NDArray[np.int64]
    total_area: float


def estimate_accuracy(sample: StratifiedSample) -> AccuracyEstimates:
    """All estimates from a sample; strata without a point count for nothing (see :meth:`StratifiedSample.covered`).

    Raises ValueError when no stratum has a point.
    """
    ratios = _Ratios(sample)
    mapped = [sample.mapped == k for k in range(sample.classes)]
    truth = [sample.reference == k for k in range(sample.classes)]
    everywhere = np.ones(len(sample.stratum), bool)
    users, producers, f1, area = [], [], [], []
    for k in range(sample.classes):
        both = mapped[k] & truth[k]
        users.append(ratios.of(both, mapped[k], empty="no point lies in the mapped class", map_class=k))
        producers.append(ratios.of(both, truth[k], empty="no point has this class in the reference"))
        f1.append(
            ratios.of(
                2.0 * both,
                mapped[k].astype(float) + truth[k],
                empty="no point has this class in map or reference",
                points=int(np.count_nonzero(mapped[k] | truth[k])),
            )
        )
        area.append(ratios.of(truth[k], everywhere, empty=""))
    flat = sample.mapped * sample.classes + sample.reference
    cells = np.bincount(flat, ratios.weights / ratios.weights.sum(), sample.classes**2)
    counts = np.bincount(flat, minlength=sample.classes**2)
    shape = (sample.classes, sample.classes)
    return AccuracyEstimates(
        overall=ratios.of(sample.mapped == sample.reference, everywhere, empty=""),
        users=tuple(users),
        producers=tuple(producers),
        f1=tuple(f1),
        area=tuple(area),
        proportions=np.asarray(cells.reshape(shape), np.float64),
        counts=counts.reshape(shape).astype(np.int64),
        total_area=ratios.total,
    )


class _Ratios:
    """Ratios of totals over one sample (Stehman 2014, equations 27 to 29; with x = 1 they are means, 3 and 25)."""

    def __init__(self, sample: StratifiedSample) -> None:
        self._sample = sample
        self._points = np.bincount(sample.stratum, minlength=len(sample.area))
        covered = self._points > 0
        if not covered.any():
            raise ValueError("The sample has no point.")
        self.total = float(sample.area[covered].sum())
        # Area that each point stands for.
        self.weights = sample.area[sample.stratum] / self._points[sample.stratum]

    def of(
        self, y: Any, x: Any, *, empty: str, map_class: int | None = None, points: int | None = None
    ) -> SampleEstimate:
        """Σy / Σx. ``map_class``: both are 0 outside of that class, so strata of other classes do not matter."""
        y, x = np.asarray(y, np.float64), np.asarray(x, np.float64)
        below = float(self.weights @ x)
        n = int(np.count_nonzero(x)) if points is None else points
        if below <= 0:
            return SampleEstimate(None, None, None, None, n, empty)
        value = float(self.weights @ y) / below
        if abs(value - round(value)) < 1e-12:  # sums of the same weights may differ by a bit
            value = float(round(value))
        variance, why = self._variance(y - value * x, map_class)
        if variance is None:
            return SampleEstimate(value, None, None, None, n, why)
        se = math.sqrt(variance) / below
        if se == 0 and not self._whole(map_class):
            return self._agreeing(value, n, x, map_class)
        return SampleEstimate(value, se, max(0.0, value - Z95 * se), min(1.0, value + Z95 * se), n)

    def _whole(self, map_class: int | None) -> bool:
        """Is every pixel that could matter in the sample, so that there is no sampling error?"""
        sample = self._sample
        if sample.pixels is None:
            return False
        known = sample.stratum_class
        matters = self._points > 0
        if map_class is not None and known is not None:
            matters &= (known == map_class) | (known < 0)
        return bool((self._points[matters] == sample.pixels[matters]).all())

    def _agreeing(self, value: float, n: int, x: FloatArray, map_class: int | None) -> SampleEstimate:
        """All points agree, and the formula gives no error: that is no certainty.

        Where the points are one simple random sample (one stratum) the interval is the exact one of a share of 0 or 1
        of n (Clopper and Pearson 1934); else there is none.
        """
        known = self._sample.stratum_class
        in_one = len(np.unique(self._sample.stratum[x > 0])) == 1
        alone = len(self._sample.area) == 1 or (map_class is not None and known is not None and map_class in known)
        if in_one and alone and bool((x[x > 0] == 1).all()) and value in (0.0, 1.0):
            reach = float(0.025 ** (1 / n))
            why = "all points agree: exact binomial interval"
            low, high = (reach, 1.0) if value == 1.0 else (0.0, 1.0 - reach)
            return SampleEstimate(value, 0.0, low, high, n, why)
        return SampleEstimate(value, 0.0, None, None, n, "all points agree: they tell no error, which is no certainty")

    def _variance(self, rest: FloatArray, map_class: int | None) -> tuple[float | None, str]:
        """Variance of the total of ``rest`` (y − R x), and why there is none."""
        sample, total = self._sample, 0.0
        for stratum, n in enumerate(self._points):
            pixels = None if sample.pixels is None else int(sample.pixels[stratum])
            whole = sample.stratum_class[stratum] if sample.stratum_class is not None else -1
            elsewhere = map_class is not None and whole >= 0 and whole != map_class
            if n == 0 or n == pixels or elsewhere:
                continue
            if n == 1:
                return None, f"stratum {sample.names[stratum]} has one point, which gives no variance"
            inside = rest[sample.stratum == stratum]
            if np.ptp(inside) == 0:
                continue  # exactly no variance, which the mean of equal numbers may miss by a bit
            finite = 1.0 if pixels is None else 1.0 - n / pixels
            total += float(sample.area[stratum] ** 2 * finite * inside.var(ddof=1) / n)
        return total, ""
