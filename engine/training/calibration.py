"""Validation of a network: confusion matrices, the temperature that calibrates it, and how well that keeps."""

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
Tables = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Probabilities (n, classes) and labels (n,) of pixels → the probability (n,) whose calibration counts, and whether it
came true."""

_NUMBERS = 2_000_000


@dataclass(frozen=True)
class Calibrated:
    """``temperature``; for each sample ``matrices`` (n, classes, classes), pixels by truth and map, and ``tables``,
    (2, 101) pixels by whether it came true and the probability in per cent (of water, or of the class mapped)."""

    temperature: float
    matrices: NDArray[np.int64]
    tables: list[NDArray[np.int64]]

    @property
    def counts(self) -> Counts:
        """Of two classes: (tp, fp, fn, tn) of the second for each sample."""
        return [(int(m[1, 1]), int(m[0, 1]), int(m[1, 0]), int(m[0, 0])) for m in self.matrices]

    @property
    def reliability(self) -> PercentCalibration:
        """Of all samples together."""
        whole = PercentCalibration()
        for table in self.tables:
            whole.add_table(table)
        return whole

    def seen(self) -> Calibrated:
        """Without the samples in which nothing was counted."""
        kept = [i for i, matrix in enumerate(self.matrices) if matrix.sum()]
        return Calibrated(self.temperature, self.matrices[kept], [self.tables[i] for i in kept])


def water_probability(probability: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """P(water) of two classes, and where there is water."""
    return probability[:, 1], label == 1


def confidence(probability: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The largest probability, and where its class is the right one."""
    most, which = probability.max(1)
    return most, which == label


@torch.no_grad()
def calibrate(
    network: Network,
    data: PairDataset,
    indices: Sequence[int],
    *,
    tables: Tables = water_probability,
    sensors: Sequence[str] | None = None,
    fit: bool = True,
    temperature: float = 1.0,
    at_once: int = 8,
    truths: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Calibrated:
    """What ``network`` makes of the labelled, valid pixels of samples ``indices``, ``at_once`` of them at a time.

    Matrices and ``tables`` are of what the network tells from all ``sensors`` together (default: those of the data).
    The temperature is fitted on at most two million probabilities, evenly spread, of the answers from both sensors and
    from each alone: one card serves all three; the tables are of the same pixels. With nothing to fit on it is 1;
    without ``fit`` it is ``temperature``, and every pixel is in the tables. ``truths``: how many classes labels have
    where the network does not know the last of them (without ``fit`` alone); matrices are (n, truths, classes) then.
    """
    whole = tuple(sensors or data.bands)
    ways = [whole, *([(s,) for s in whole] if fit and len(whole) > 1 else [])]
    device = next(network.parameters()).device
    every = max(1, len(ways) * len(indices) * data.side**2 * network.classes // _NUMBERS) if fit else 1
    pool: list[tuple[Tensor, Tensor]] = []
    kept: list[tuple[Tensor, Tensor]] = []
    rows = network.classes if truths is None else truths
    matrices = [np.zeros((0, rows, network.classes), np.int64)]
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(indices), at_once):
        check()
        batch = whole_cells(data.batch(indices[start : start + at_once], sensors=whole))
        there = {name: value.to(device) for name, value in batch.items() if name != "index"}
        for way in ways:
            logits = predicted(network, there, way).float().cpu()
            label = known_label(batch, way)
            thinned = _known(logits, label, every)
            if way == whole:
                matrices.append(_confusion(logits, label, rows))
                kept += thinned
            pool += thinned if fit else []
        if not fit:
            found += [_table(*pixels, temperature, tables) for pixels in kept]
            kept = []
    if pool:
        fitted = fit_temperature(torch.cat([logits for logits, _ in pool]), torch.cat([labels for _, labels in pool]))
        temperature = round(fitted, 4)
        found = [_table(*pixels, temperature, tables) for pixels in kept]
    return Calibrated(1.0 if fit and not pool else temperature, np.concatenate(matrices), found)


def _known(logits: Tensor, label: Tensor, every: int) -> list[tuple[Tensor, Tensor]]:
    """For each sample the logits (n, classes) and labels (n,) of one in ``every`` labelled pixel."""
    found = []
    for values, truth in zip(logits.movedim(1, 3), label, strict=True):
        known = truth != IGNORE
        found.append((values[known][::every], truth[known][::every]))
    return found


def _confusion(logits: Tensor, label: Tensor, rows: int) -> NDArray[np.int64]:
    """(N, rows, K) pixels by truth and by the class with the largest logit, the first of equals."""
    classes = logits.shape[1]
    truth, mapped = label.numpy(), logits.argmax(1).numpy()
    found = np.zeros((len(truth), rows, classes), np.int64)
    for into, right, told in zip(found, truth, mapped, strict=True):
        known = right != IGNORE
        into += np.bincount(right[known] * classes + told[known], minlength=rows * classes).reshape(rows, classes)
    return found


def _table(logits: Tensor, labels: Tensor, temperature: float, tables: Tables) -> NDArray[np.int64]:
    probability, true = tables((logits / temperature).softmax(1), labels)
    percent = (100 * probability).round().to(torch.uint8)
    return PercentCalibration.of(percent.numpy(), true.numpy()).table()


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
