"""Figures of a two-class map from its confusion matrix; None, never NaN, where a figure is not defined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIGURES = ("iou", "f1", "precision", "recall")


@dataclass(frozen=True)
class Confusion:
    """Pixels by truth and map: true and false positives and negatives. Adds up with ``+``."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(cls, *, mapped: NDArray[np.bool_], truth: NDArray[np.bool_], scored: NDArray[np.bool_]) -> Confusion:
        """Count the pixels of ``scored``; all three arrays have one shape."""
        if not mapped.shape == truth.shape == scored.shape:
            raise ValueError(f"Shapes differ: map {mapped.shape}, truth {truth.shape}, scored {scored.shape}.")
        mapped, truth = mapped[scored], truth[scored]
        tp = int(np.count_nonzero(mapped & truth))
        positives, water = int(np.count_nonzero(mapped)), int(np.count_nonzero(truth))
        return cls(tp, positives - tp, water - tp, mapped.size - positives - water + tp)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def n(self) -> int:
        """Pixels in all."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def positive_share(self) -> float | None:
        """Share of pixels that are positive in truth."""
        return _ratio(self.tp + self.fn, self.n)

    @property
    def iou(self) -> float | None:
        """Intersection over union: tp / (tp + fp + fn); None without a positive in truth or map."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn); None where :attr:`iou` is."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float | None:
        """tp / (tp + fp); None when nothing is mapped positive."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """tp / (tp + fn); None when nothing is positive in truth."""
        return _ratio(self.tp, self.tp + self.fn)

    def figures(self) -> dict[str, float | None]:
        """``iou, f1, precision, recall``."""
        return {name: getattr(self, name) for name in FIGURES}

    def counts(self) -> tuple[int, int, int, int]:
        """(tp, fp, fn, tn)."""
        return self.tp, self.fp, self.fn, self.tn


def figures_of_counts(name: str, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The figure ``name`` of many matrices at once: (…, 4) counts tp, fp, fn, tn → (…), NaN where not defined."""
    tp, fp, fn, _ = np.moveaxis(counts, -1, 0)
    above, below = {
        "iou": (tp, tp + fp + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
    }[name]
    return ratio_or_nan(above, below)


def ratio_or_nan(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Element by element, NaN where ``below`` is 0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _ratio(above: int, below: int) -> float | None:
    return above / below if below else None
