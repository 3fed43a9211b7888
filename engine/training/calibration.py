"""Validation of a flood network: counts of water, the temperature that calibrates it, and how well that keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration, ece_of_tables
from engine.metrics.segmentation import figures_of_counts
from engine.training.data.dataset import PairDataset
from engine.training.data.items import IGNORE
from engine.training.segmentation import Network, known_label, predicted, whole_cells
from engine.training.temperature import fit_temperature

Counts = list[tuple[int, int, int, int]]
Plain = dict[str, float | int | None]
_PIXELS = 1_000_000


@dataclass(frozen=True)
class Calibrated:
    """``temperature``; for each sample ``counts``, (tp, fp, fn, tn) of water, and ``tables``, (2, 101) pixels by truth
    and P(water) in per cent."""

    temperature: float
    counts: Counts
    tables: list[NDArray[np.int64]]

    @property
    def reliability(self) -> PercentCalibration:
        """Of all samples together."""
        whole = PercentCalibration()
        for table in self.tables:
            whole.add_table(table)
        return whole

    def seen(self) -> Calibrated:
        """Without the samples in which nothing was counted."""
        kept = [i for i, row in enumerate(self.counts) if sum(row)]
        return Calibrated(self.temperature, [self.counts[i] for i in kept], [self.tables[i] for i in kept])


@torch.no_grad()
def calibrate(
    network: Network,
    data: PairDataset,
    indices: Sequence[int],
    *,
    sensors: Sequence[str] | None = None,
    fit: bool = True,
    temperature: float = 1.0,
    at_once: int = 8,
    check: Callable[[], None] = lambda: None,
) -> Calibrated:
    """What ``network`` makes of the labelled, valid pixels of samples ``indices``, ``at_once`` of them at a time.

    Counts and tables are of what the network tells from all ``sensors`` together (default: those of the data). The
    temperature is fitted on at most a million pixels, evenly spread, of the answers from both sensors and from each
    alone: one card serves all three; the tables are of the same pixels. With nothing to fit on it is 1; without
    ``fit`` it is ``temperature``, and every pixel is in the tables.
    """
    whole = tuple(sensors or data.bands)
    ways = [whole, *([(s,) for s in whole] if fit and len(whole) > 1 else [])]
    device = next(network.parameters()).device
    every = max(1, len(ways) * len(indices) * data.side**2 // _PIXELS) if fit else 1
    pool: list[tuple[Tensor, Tensor]] = []
    kept: list[tuple[Tensor, Tensor]] = []
    counts: Counts = []
    tables: list[NDArray[np.int64]] = []
    for start in range(0, len(indices), at_once):
        check()
        batch = whole_cells(data.batch(indices[start : start + at_once], sensors=whole))
        there = {name: value.to(device) for name, value in batch.items() if name != "index"}
        for way in ways:
            logits = predicted(network, there, way).float().cpu()
            label = known_label(batch, way)
            thinned = _known(logits, label, every)
            if way == whole:
                counts += _counted(logits, label)
                kept += thinned
            pool += thinned if fit else []
        if not fit:
            tables += [_table(*pixels, temperature) for pixels in kept]
            kept = []
    if pool:
        fitted = fit_temperature(torch.cat([logits for logits, _ in pool]), torch.cat([labels for _, labels in pool]))
        temperature = round(fitted, 4)
        tables = [_table(*pixels, temperature) for pixels in kept]
    return Calibrated(1.0 if fit and not pool else temperature, counts, tables)


def _known(logits: Tensor, label: Tensor, every: int) -> list[tuple[Tensor, Tensor]]:
    """For each sample the logits (n, 2) and labels (n,) of one in ``every`` labelled pixel."""
    found = []
    for values, truth in zip(logits.movedim(1, 3), label, strict=True):
        known = truth != IGNORE
        found.append((values[known][::every], truth[known][::every]))
    return found


def _counted(logits: Tensor, label: Tensor) -> Counts:
    mapped = logits[:, 1] > logits[:, 0]
    found: Counts = []
    for truth, water in zip(label, mapped, strict=True):
        wet, dry = truth == 1, truth == 0
        pairs = (water & wet, water & dry, ~water & wet, ~water & dry)
        found.append(tuple(int(p.sum()) for p in pairs))  # type: ignore[arg-type]
    return found


def _table(logits: Tensor, labels: Tensor, temperature: float) -> NDArray[np.int64]:
    water = torch.sigmoid((logits[:, 1] - logits[:, 0]) / temperature)  # the softmax of two classes
    percent = (100 * water).round().to(torch.uint8)
    return PercentCalibration.of(percent.numpy(), (labels == 1).numpy()).table()


def water_iou(counts: Counts) -> Plain:
    """IoU of water of the summed counts, with its interval over samples: value, low, high, n."""
    table = np.asarray(counts, np.float64).reshape(-1, 4)
    return pooled_estimate(table, lambda sums: figures_of_counts("iou", sums)).plain()


def calibration_error(tables: Sequence[NDArray[np.int64]]) -> Plain:
    """The expected calibration error of all samples, with its interval over samples: value, low, high, n."""
    rows = np.asarray(tables, np.float64).reshape(len(tables), 2 * 101)
    return pooled_estimate(rows, lambda sums: ece_of_tables(sums.reshape(*sums.shape[:-1], 2, 101))).plain()


def holding(estimate: Plain) -> Plain:
    """The estimate with an interval that holds its value: resamples of few samples have a larger calibration error
    than the whole, and the interval of their percentiles may lie above it."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None or low is None or high is None:
        return estimate
    return {**estimate, "low": min(low, value), "high": max(high, value)}
