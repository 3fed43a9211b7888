"""What a flood model makes of labelled samples: counts of its map, and how well its probabilities are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration, ece_of_tables

Counts = tuple[int, int, int, int]
Plain = dict[str, float | int | None]


@dataclass(frozen=True)
class Calibrated:
    """``temperature``; for each sample ``counts``, (tp, fp, fn, tn) of water, and ``tables``, (2, 101) pixels by truth
    and P(water) in per cent."""

    temperature: float
    counts: list[Counts]
    tables: list[NDArray[np.int64]]

    @property
    def reliability(self) -> PercentCalibration:
        """Of all samples together."""
        whole = PercentCalibration()
        for table in self.tables:
            whole.add_table(table)
        return whole


def percent_table(logits: Tensor, labels: Tensor, temperature: float) -> NDArray[np.int64]:
    """(2, 101) pixels by truth and P(water) in per cent; ``logits`` (n, 2), ``labels`` (n,)."""
    water = torch.sigmoid((logits[:, 1] - logits[:, 0]) / temperature)  # the softmax of two classes
    percent = (100 * water).round().to(torch.uint8)
    return PercentCalibration.of(percent.numpy(), (labels == 1).numpy()).table()


def ece_estimate(tables: Sequence[NDArray[np.int64]]) -> Plain:
    """The expected calibration error of all samples, with its bootstrap interval over samples, for JSON."""
    rows = np.asarray(tables, np.float64).reshape(len(tables), 2 * 101)
    return pooled_estimate(rows, lambda sums: ece_of_tables(sums.reshape(*sums.shape[:-1], 2, -1))).plain()


def holding(estimate: Plain) -> Plain:
    """The estimate with an interval that holds its value: resamples of few samples have a larger calibration error
    than the whole, and the interval of their percentiles may lie above it."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None or low is None or high is None:
        return estimate
    return {**estimate, "low": min(low, value), "high": max(high, value)}
