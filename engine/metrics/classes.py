"""Figures of a map of many classes from its confusion matrix; None, never NaN, where a figure is not defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.metrics.segmentation import ratio_or_nan

FloatArray = NDArray[np.float64]


@dataclass
class ClassConfusion:
    """Pixels by true class (rows) and mapped class (columns, one more for any code that is none of ``codes``, such as
    unknown): that column counts as wrong. Adds up with ``+`` over maps of the same ``codes``."""

    codes: tuple[int, ...]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 1), np.int64))

    def __post_init__(self) -> None:
        if self.counts.shape == (0, 1):
            self.counts = np.zeros((len(self.codes), len(self.codes) + 1), np.int64)
        if self.counts.shape != (len(self.codes), len(self.codes) + 1):
            raise ValueError(f"A matrix of {len(self.codes)} classes cannot be {self.counts.shape}.")

    @classmethod
    def of(
        cls, codes: Sequence[int], *, mapped: NDArray[np.uint8], truth: NDArray[np.uint8], scored: NDArray[np.bool_]
    ) -> ClassConfusion:
        """Count the pixels of ``scored``; all arrays have one shape; truth there must be one of ``codes``."""
        if not mapped.shape == truth.shape == scored.shape:
            raise ValueError(f"Shapes differ: map {mapped.shape}, truth {truth.shape}, scored {scored.shape}.")
        place = np.full(256, len(codes), np.int64)
        place[list(codes)] = np.arange(len(codes))
        row, col = place[truth[scored]], place[mapped[scored]]
        if row.size and int(row.max()) == len(codes):
            raise ValueError("Truth holds a code that is no class.")
        number = len(codes) + 1
        return cls(tuple(codes), np.bincount(row * number + col, minlength=len(codes) * number).reshape(-1, number))

    def __add__(self, other: ClassConfusion) -> ClassConfusion:
        if self.codes != other.codes:
            raise ValueError("Matrices of different classes do not add up.")
        return ClassConfusion(self.codes, self.counts + other.counts)

    @property
    def n(self) -> int:
        """Pixels in all."""
        return int(self.counts.sum())

    @property
    def unknown_share(self) -> float | None:
        """Share of pixels mapped as none of the classes."""
        return float(self.counts[:, -1].sum()) / self.n if self.n else None

    def figure(self, name: str) -> float | None:
        """``overall_accuracy``, ``miou`` or ``iou_CODE``; None where not defined."""
        value = float(class_figure(name, self.codes)(self.counts.ravel().astype(np.float64)))
        return value if np.isfinite(value) else None

    def figures(self) -> dict[str, float | None]:
        """Every figure."""
        return {name: self.figure(name) for name in figure_names(self.codes)}


def figure_names(codes: Sequence[int]) -> tuple[str, ...]:
    """``overall_accuracy``, ``miou``, then ``iou_CODE`` of each class."""
    return ("overall_accuracy", "miou", *(f"iou_{code}" for code in codes))


def class_figure(name: str, codes: Sequence[int]) -> Callable[[FloatArray], FloatArray]:
    """The figure of many matrices at once, flat counts (…, classes × (classes + 1)) → (…), NaN where not defined.

    ``overall_accuracy``: share of pixels whose class is right. ``iou_CODE``: intersection over union, not defined for a
    class that is neither in truth nor in the map. ``miou``: the mean of it over the classes that are in truth.
    """
    size = len(codes)

    def ious(counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        table = counts.reshape(*counts.shape[:-1], size, size + 1)
        right = np.diagonal(table[..., :size], axis1=-2, axis2=-1)
        truth, mapped = table.sum(axis=-1), table[..., :size].sum(axis=-2)
        return ratio_or_nan(right, truth + mapped - right), truth

    def accuracy(counts: FloatArray) -> FloatArray:
        table = counts.reshape(*counts.shape[:-1], size, size + 1)
        return ratio_or_nan(np.trace(table[..., :size], axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))

    def mean(counts: FloatArray) -> FloatArray:
        iou, truth = ious(counts)
        there = truth > 0
        return ratio_or_nan(np.where(there, iou, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))

    if name == "overall_accuracy":
        return accuracy
    if name == "miou":
        return mean
    index = [f"iou_{code}" for code in codes].index(name)
    return lambda counts: np.asarray(ious(counts)[0][..., index])
