"""How good a model is on blocks that were held out: figures with intervals over blocks, temperature, threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration, ece_of_tables
from engine.metrics.segmentation import ratio_or_nan
from engine.training.tasks.landcover import mean_iou, overall_accuracy
from engine.training.temperature import fit_temperature
from engine.training.unknown import unknown_threshold

Plain = dict[str, float | int | None]
Ints = NDArray[np.int64]
Sums = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """What held-out pixels tell. ``matrices`` (blocks, classes, classes) pixels by truth and map; ``tables`` (blocks,
    2, 101) pixels by right or wrong and confidence in per cent, calibrated without their fold; ``judged``: the classes
    that lie in several folds, and so can be judged."""

    temperature: float
    matrices: Ints
    tables: Ints
    judged: NDArray[np.bool_]

    @property
    def reliability(self) -> PercentCalibration:
        """Of all blocks together."""
        whole = PercentCalibration()
        whole.add_table(self.tables.sum(0))
        return whole

    def unknown_below(self, share: float) -> float:
        """See :func:`engine.training.unknown.unknown_threshold`."""
        return unknown_threshold(self.reliability, share=share)

    def figures(self) -> dict[str, Any]:
        """``overall_accuracy``, ``miou``, ``ece``: value, low, high and n (blocks); None where nothing was held out."""
        side = self.matrices.shape[1]
        rows = self.matrices.reshape(len(self.matrices), side * side)

        ece = pooled_estimate(
            self.tables.reshape(len(self.tables), 2 * 101),
            lambda sums: ece_of_tables(sums.reshape(*sums.shape[:-1], 2, 101)),
        ).plain()
        return {
            "overall_accuracy": pooled_estimate(rows, overall_accuracy).plain(),
            "miou": pooled_estimate(rows, mean_iou).plain(),
            "ece": ece,
        }

    def of_class(self, number: int) -> dict[str, Plain]:
        """``precision``, ``recall``, ``f1`` and ``iou`` of a class; every value None where it is not judged."""
        table = self.matrices.astype(np.float64)
        both = table[:, number, number]
        counts = np.stack([both, table[:, :, number].sum(1) - both, table[:, number].sum(1) - both], 1)
        parts: dict[str, Callable[[Sums, Sums, Sums], tuple[Sums, Sums]]] = {
            "precision": lambda tp, fp, fn: (tp, tp + fp),
            "recall": lambda tp, fp, fn: (tp, tp + fn),
            "f1": lambda tp, fp, fn: (2 * tp, 2 * tp + fp + fn),
            "iou": lambda tp, fp, fn: (tp, tp + fp + fn),
        }
        if not self.judged[number]:
            return {name: {"value": None, "low": None, "high": None, "n": len(counts)} for name in parts}
        return {
            name: pooled_estimate(counts, lambda sums, p=part: ratio_or_nan(*p(*np.moveaxis(sums, -1, 0)))).plain()  # type: ignore[misc]
            for name, part in parts.items()
        }


def held_out(scores: Sums, labels: Ints, fold: Ints, block: Ints, classes: int) -> HeldOut:
    """Measure ``scores`` (n, classes), logits of pixels, each from a head that did not see its fold, with their
    ``labels``, ``fold`` and ``block`` (n,).

    Pixels of a class that lies in one fold only are left out: no head could know it there. The temperature is of all
    pixels; the confidences of each fold are calibrated by that of the others. Logits that are NaN (nothing was held
    out) give a temperature of 1 and empty figures.
    """
    truth = labels
    in_fold = np.zeros((int(fold.max()) + 1 if len(fold) else 1, classes), bool)
    in_fold[fold, truth] = True
    judged = in_fold.sum(0) > 1
    blocks = int(block.max()) + 1 if len(block) else 0
    seen = np.flatnonzero(judged[truth] & np.isfinite(scores).all(1))
    if len(seen) == 0:
        nothing = np.zeros((0, classes, classes), np.int64)
        return HeldOut(1.0, nothing, np.zeros((0, 2, 101), np.int64), np.zeros(classes, bool))
    truth, fold, block = truth[seen], fold[seen], block[seen]
    logits = torch.from_numpy(scores[seen])
    matrices = np.zeros((blocks, classes, classes), np.int64)
    mapped = logits.argmax(1).numpy()
    np.add.at(matrices, (block, truth, mapped), 1)
    tables = np.zeros((blocks, 2, 101), np.int64)
    for one in np.unique(fold):
        others = torch.from_numpy(np.flatnonzero(fold != one))
        own = np.flatnonzero(fold == one)
        temperature = fit_temperature(logits[others], torch.from_numpy(truth)[others])
        highest = (logits[torch.from_numpy(own)] / temperature).softmax(1).amax(1)
        percent = (100 * highest).round().to(torch.int64).numpy()
        np.add.at(tables, (block[own], (mapped[own] == truth[own]).astype(np.int64), percent), 1)
    kept = matrices.sum((1, 2)) > 0
    temperature = round(fit_temperature(logits, torch.from_numpy(truth)), 4)
    return HeldOut(temperature, matrices[kept], tables[kept], judged)
