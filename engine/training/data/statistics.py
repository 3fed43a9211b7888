"""Means and spreads of bands over many arrays, in one pass.

Counts, means and sums of squared deviations of parts are merged by Chan, Golub and LeVeque (1979), "Updating formulae
and a pairwise algorithm for computing sample variances"; for parts of one value this is Welford's (1962) update. NaN
and infinite values never enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import DamagedFileError
from engine.models.card import BandInput

SMALLEST_STD = 1e-6


@dataclass(frozen=True)
class BandStatistics:
    """Mean, standard deviation (of the population) and number of valid values of each band."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: tuple[int, ...]

    def inputs(self, sensor: str) -> tuple[BandInput, ...]:
        """The bands as a model card describes its inputs."""
        unit: Literal["db", "reflectance"] = "db" if sensor == "s1" else "reflectance"
        return tuple(
            BandInput(sensor=sensor, name=name, unit=unit, mean=mean, std=max(std, SMALLEST_STD))
            for name, mean, std in zip(self.names, self.mean, self.std, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Lists, for JSON."""
        return {"names": list(self.names), "mean": list(self.mean), "std": list(self.std), "count": list(self.count)}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> BandStatistics:
        """The reverse of :meth:`to_dict`; raises DamagedFileError."""
        try:
            made = cls(
                tuple(str(n) for n in found["names"]),
                tuple(float(m) for m in found["mean"]),
                tuple(float(s) for s in found["std"]),
                tuple(int(c) for c in found["count"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFileError(
                f"The band statistics cannot be read ({type(error).__name__}: {error}).", remedy="Pack the data again."
            ) from error
        if len({len(made.names), len(made.mean), len(made.std), len(made.count)}) != 1:
            raise DamagedFileError(
                "The band statistics have lists of different lengths.", remedy="Pack the data again."
            )
        return made


class RunningStatistics:
    """Statistics that grow: :meth:`add` arrays, :meth:`merge` what other processes gathered."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._count = np.zeros(len(self.names), np.int64)
        self._mean = np.zeros(len(self.names), np.float64)
        self._squares = np.zeros(len(self.names), np.float64)

    def add(self, values: ArrayLike) -> None:
        """Take in an array (bands, …); NaN and infinities are passed over."""
        array = np.asarray(values)
        if array.shape[0] != len(self.names):
            raise ValueError(f"The array has {array.shape[0]} bands; expected {len(self.names)}.")
        flat = array.reshape(array.shape[0], -1).astype(np.float64)
        valid = np.isfinite(flat)
        count = valid.sum(axis=1)
        safe = np.maximum(count, 1)
        mean = np.where(valid, flat, 0.0).sum(axis=1) / safe
        squares = (np.where(valid, flat - mean[:, None], 0.0) ** 2).sum(axis=1)
        self._merge(count.astype(np.int64), mean, squares)

    def merge(self, other: RunningStatistics) -> None:
        """Take in what ``other`` gathered."""
        if other.names != self.names:
            raise ValueError(f"The bands differ: {self.names} and {other.names}.")
        self._merge(other._count, other._mean, other._squares)

    def _merge(self, count: NDArray[np.int64], mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        total = self._count + count
        safe = np.maximum(total, 1)
        delta = mean - self._mean
        self._squares = self._squares + squares + delta**2 * (self._count * (count / safe))
        self._mean = np.where(total > 0, self._mean + delta * (count / safe), 0.0)
        self._count = total

    def result(self) -> BandStatistics:
        """Mean and spread so far; a band without a value has mean 0, spread 1 and count 0."""
        std = np.sqrt(self._squares / np.maximum(self._count, 1))
        std = np.where(self._count > 0, std, 1.0)
        return BandStatistics(
            self.names,
            tuple(float(m) for m in self._mean),
            tuple(float(s) for s in std),
            tuple(int(c) for c in self._count),
        )

    def state(self) -> dict[str, Any]:
        """What :meth:`from_state` goes on from; numbers as JSON holds them exactly."""
        return {
            "names": list(self.names),
            "count": [int(c) for c in self._count],
            "mean": [float(m) for m in self._mean],
            "squares": [float(s) for s in self._squares],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> RunningStatistics:
        """The reverse of :meth:`state`."""
        made = cls(state["names"])
        made._count = np.asarray(state["count"], np.int64)
        made._mean = np.asarray(state["mean"], np.float64)
        made._squares = np.asarray(state["squares"], np.float64)
        return made


def merged(parts: Sequence[BandStatistics]) -> BandStatistics:
    """The statistics of all values behind ``parts``, which have the same bands."""
    whole = RunningStatistics(parts[0].names)
    for part in parts:
        if part.names != whole.names:
            raise ValueError(f"The bands differ: {whole.names} and {part.names}.")
        count = np.asarray(part.count, np.int64)
        whole._merge(count, np.asarray(part.mean), np.asarray(part.std) ** 2 * count)
    return whole.result()
