"""Do probabilities mean what they say? Expected calibration error, reliability table, Brier score.

Guo et al., On Calibration of Modern Neural Networks (2017), equation 3, for the probability of one class; Brier,
Verification of Forecasts Expressed in Terms of Probability (1950).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Pixels whose probability is in ``low … high``: how many, their mean probability, the share that is positive."""

    low: float
    high: float
    n: int
    mean_probability: float | None
    observed_share: float | None

    def plain(self) -> dict[str, float | int | None]:
        """As it stands in JSON."""
        return {
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "mean_probability": self.mean_probability,
            "observed_share": self.observed_share,
        }


@dataclass
class PercentCalibration:
    """Collects probabilities in whole per cent, 0 to 100, with their truth; every figure is exact for these."""

    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 101), np.int64))

    def add(self, percent: NDArray[np.uint8], truth: NDArray[np.bool_]) -> None:
        """Take pixels; both arrays have one shape. Raises ValueError for a value above 100."""
        if percent.shape != truth.shape:
            raise ValueError(f"Shapes differ: probability {percent.shape}, truth {truth.shape}.")
        if percent.size and int(percent.max()) > 100:
            raise ValueError(f"A probability is 0 to 100 per cent; found {int(percent.max())}.")
        for positive in (0, 1):
            self._counts[positive] += np.bincount(percent[truth == bool(positive)].ravel(), minlength=101)

    @classmethod
    def of(cls, percent: NDArray[np.uint8], truth: NDArray[np.bool_]) -> PercentCalibration:
        """Of these pixels; errors as :meth:`add`."""
        made = cls()
        made.add(percent, truth)
        return made

    def add_table(self, table: ArrayLike) -> None:
        """Take in the :meth:`table` of other pixels. Raises ValueError for another shape."""
        counts = np.asarray(table, np.int64)
        if counts.shape != (2, 101):
            raise ValueError(f"A table of percentages has 2 x 101 counts; found shape {counts.shape}.")
        self._counts += counts

    def table(self) -> NDArray[np.int64]:
        """(2, 101) pixels by truth and per cent: all that the figures come from."""
        return self._counts.copy()

    @property
    def n(self) -> int:
        """Pixels taken."""
        return int(self._counts.sum())

    def bins(self, number: int = BINS) -> list[Bin]:
        """Equal bins of 0 … 1, closed on the left (the last on both sides)."""
        percents = np.arange(101)
        which = np.minimum(percents * number // 100, number - 1)
        table = []
        for i in range(number):
            inside = which == i
            n = int(self._counts[:, inside].sum())
            total = float((self._counts[:, inside].sum(axis=0) * percents[inside]).sum()) / 100
            positives = int(self._counts[1, inside].sum())
            mean, share = (total / n, positives / n) if n else (None, None)
            table.append(Bin(i / number, (i + 1) / number, n, mean, share))
        return table

    def ece(self, number: int = BINS) -> float | None:
        """Mean of |mean probability − observed share| over bins, weighted by pixels; None without pixels."""
        if self.n == 0:
            return None
        gaps = [
            b.n * abs(b.mean_probability - b.observed_share)
            for b in self.bins(number)
            if b.mean_probability is not None and b.observed_share is not None
        ]
        return sum(gaps) / self.n

    def brier(self) -> float | None:
        """Mean of (probability − truth)²; None without pixels."""
        if self.n == 0:
            return None
        p = np.arange(101) / 100
        return float((self._counts[1] * (1 - p) ** 2 + self._counts[0] * p**2).sum() / self.n)


def ece_of_tables(tables: NDArray[np.float64], number: int = BINS) -> NDArray[np.float64]:
    """The :meth:`PercentCalibration.ece` of many tables at once: (…, 2, 101) → (…), NaN without pixels."""
    percents = np.arange(101)
    inside = (np.minimum(percents * number // 100, number - 1)[:, np.newaxis] == np.arange(number)).astype(np.float64)
    both = tables.sum(axis=-2)
    gaps = np.abs((both * (percents / 100)) @ inside - tables[..., 1, :] @ inside)  # |mean p − share| × pixels
    total = both.sum(axis=-1)
    return np.divide(gaps.sum(axis=-1), total, out=np.full(np.shape(total), np.nan), where=total > 0)
