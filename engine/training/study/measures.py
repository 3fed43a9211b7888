"""What a study measures, by task: the numbers of a chip that add up, scores of their sums, and the words for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.metrics.bootstrap import Figure
from engine.metrics.segmentation import figures_of_counts, ratio_or_nan
from engine.training.requests import FinetuneRequest
from engine.training.tasks.find import find_task
from engine.training.tasks.flood import CLASSES
from engine.training.tasks.landcover import LandcoverTask, mean_iou, overall_accuracy
from engine.training.tasks.task import Task

MIN_WATER_SHARE = 0.01
"""``mean_iou`` is over the chips with at least this share of water in their scored pixels, as in evaluation."""

Rows = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Estimate = dict[str, Any]


@dataclass(frozen=True)
class Score:
    """A score of counts by chip: ``rows`` (…, n, w) → (…, n, k) that add up over chips, ``figure`` of their sums."""

    title: str
    rows: Rows
    figure: Figure


class Measure(Protocol):
    """What the study of one task is about."""

    task: Task
    scores: Mapping[str, Score]
    """By name; the first is shown where none is asked for."""
    values: tuple[int, ...]
    """What labels of test data may be."""
    reliability: str
    """Of the pixels that were given a probability, that share …"""
    undefined: str
    """Why there is no score, where there is none."""
    checked: tuple[str, ...]
    """Names of :meth:`validation`."""

    def counts(self, matrix: NDArray[np.int64], values: Sequence[int]) -> list[int]:
        """The numbers of a chip. ``matrix`` (t, c): pixels by truth and map; ``values`` (t) what truths stand for, the
        first c of them what was mapped too."""

    def validation(self, figures: Mapping[str, Any]) -> dict[str, Estimate]:
        """What fine-tuning measured on its validation data."""

    def facts(self, counts: NDArray[np.float64]) -> dict[str, int]:
        """Of test chips (n, w): facts for study.json, the same for every model."""

    def cards(self, test: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Label and value of these facts, for the report."""


def find_measure(options: FinetuneRequest) -> Measure:
    """That of the task of ``options``; raises ParameterError for a legend that is none."""
    task = find_task(options)
    return LandcoverMeasure(task) if isinstance(task, LandcoverTask) else FloodMeasure(task)


def _same(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts


def _wet(counts: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(…, n): chips with enough water."""
    water = counts[..., 0] + counts[..., 2]
    return (water > 0) & (water >= MIN_WATER_SHARE * counts.sum(axis=-1))


def _ious_of_wet_chips(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(IoU, 1) of chips with enough water, (0, 0) of the others."""
    wet = _wet(counts)
    ious = figures_of_counts("iou", counts)
    return np.stack([np.where(wet, ious, 0.0), wet.astype(np.float64)], axis=-1)


FLOOD_SCORES: dict[str, Score] = {
    "iou": Score("Water IoU, all chips together", _same, partial(figures_of_counts, "iou")),
    "f1": Score("Water F1, all chips together", _same, partial(figures_of_counts, "f1")),
    "mean_iou": Score(
        "Mean water IoU of chips with water",
        _ious_of_wet_chips,
        lambda sums: ratio_or_nan(sums[..., 0], sums[..., 1]),
    ),
}
LANDCOVER_SCORES: dict[str, Score] = {
    "miou": Score("Mean IoU of the classes, all chips together", _same, mean_iou),
    "overall_accuracy": Score("Overall accuracy, all chips together", _same, overall_accuracy),
}


class FloodMeasure:
    """Water: (tp, fp, fn, tn) of a chip. See :class:`Measure`."""

    scores: Mapping[str, Score] = FLOOD_SCORES
    values: tuple[int, ...] = tuple(one.value for one in CLASSES)
    reliability = "is water"
    undefined = "there is no water in the test data, and none was mapped"
    checked: tuple[str, ...] = ("validation_iou",)

    def __init__(self, task: Task) -> None:
        self.task = task

    def counts(self, matrix: NDArray[np.int64], values: Sequence[int]) -> list[int]:
        """See :class:`Measure`."""
        dry, wet = list(values).index(0), list(values).index(1)
        return [int(matrix[t, m]) for t, m in ((wet, wet), (dry, wet), (wet, dry), (dry, dry))]

    def validation(self, figures: Mapping[str, Any]) -> dict[str, Estimate]:
        """See :class:`Measure`."""
        return {"validation_iou": figures["validation_iou"]}

    def facts(self, counts: NDArray[np.float64]) -> dict[str, int]:
        """See :class:`Measure`."""
        return {"with_water": int(_wet(counts).sum())}

    def cards(self, test: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See :class:`Measure`."""
        return [("of them with water", f"{test['with_water']}")]


class LandcoverMeasure:
    """Land cover: pixels of a chip by truth and map, both in the order of the legend, row after row. What a model does
    not know it never maps, so all of it is wrong. See :class:`Measure`."""

    scores: Mapping[str, Score] = LANDCOVER_SCORES
    reliability = "is of the class that was mapped"
    undefined = "no pixel of the test data was scored"
    checked: tuple[str, ...] = ("validation_miou", "validation_overall_accuracy")

    def __init__(self, task: LandcoverTask) -> None:
        self.task: Task = task
        self.values = task.legend.codes

    def counts(self, matrix: NDArray[np.int64], values: Sequence[int]) -> list[int]:
        """See :class:`Measure`."""
        place = [self.values.index(value) for value in values]
        whole = np.zeros((len(self.values), len(self.values)), np.int64)
        whole[np.ix_(place, place[: matrix.shape[1]])] = matrix
        return [int(number) for number in whole.ravel()]

    def validation(self, figures: Mapping[str, Any]) -> dict[str, Estimate]:
        """See :class:`Measure`."""
        found = figures["validation"]
        return {name: found[name.removeprefix("validation_")] for name in self.checked}

    def facts(self, counts: NDArray[np.float64]) -> dict[str, int]:
        """See :class:`Measure`."""
        square = counts.sum(axis=0).reshape(len(self.values), len(self.values))
        return {"classes": int((square.sum(axis=1) > 0).sum())}

    def cards(self, test: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See :class:`Measure`."""
        return [("Classes in them", f"{test['classes']}")]
