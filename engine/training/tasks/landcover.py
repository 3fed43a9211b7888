"""Fine-tuning for land cover: the classes of a legend that the labels hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import ParameterError
from engine.legends import UNKNOWN, Legend, find_legend
from engine.metrics.bootstrap import pooled_estimate
from engine.sensors import SENSORS
from engine.training.calibration import Calibrated, Plain, calibration_error, confidence, holding
from engine.training.data.dataset import Batch, PairDataset
from engine.training.data.items import IGNORE, OWN_LEGEND, Labels
from engine.training.data.labels import told
from engine.training.report.samples import class_samples
from engine.training.tasks.task import Measured, Picture, TaskClass, shown
from engine.training.unknown import unknown_threshold

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Bands that Level-1C, Level-2A and harmonised products of 10 to 30 m all have."""

NEEDED = ("B03", "B04", "B08")
"""The fewest that a scene must have where others may be hidden: vegetation and water are told by these."""


class LandcoverTask:
    """See :class:`engine.training.tasks.task.Task`. ``unknown_share``: the share of validation pixels that the
    threshold of "unknown" may leave unknown."""

    labels: Labels = "landcover"
    noun = "Land-cover"
    reliability = "share that is right"
    features = 24
    s2_bands: tuple[str, ...] = BANDS

    def __init__(self, legend: str, *, unknown_share: float) -> None:
        self.legend: Legend = find_legend(legend)
        self._unknown_share = unknown_share

    def prepared(self, data: PairDataset, place: str) -> PairDataset:
        """Labels with the codes of the legend that is trained for; ParameterError for labels of water, a code that the
        legend lacks, and legends without a mapping."""
        if data.legend is None:
            raise ParameterError(
                f"{place}: the labels tell {told(None)}; expected land cover.",
                remedy="Give NAME_worldcover.tif or NAME_landcover.tif beside the images, or use --task flood.",
            )
        if data.legend == OWN_LEGEND:
            strange = sorted(set(data.label_counts()) - set(self.legend.codes))
            if strange:
                raise ParameterError(
                    f"{place}: the labels have the code {strange[0]}; the legend {self.legend.name} does not have it.",
                    remedy="Give the legend of these labels by --legend.",
                )
            mapping = {code: code for code in self.legend.codes}
        else:
            mapping = find_legend(data.legend).mapping_to(self.legend)
        mapping = {code: IGNORE if value == UNKNOWN else value for code, value in mapping.items()}
        return data.relabelled(mapping, legend=self.legend.name, classes=self.legend.names)

    def classes(self, sets: Sequence[PairDataset]) -> tuple[TaskClass, ...]:
        """The classes of the legend that any of ``sets`` has, in its order; ParameterError for fewer than two."""
        there = {code for data in sets for code in data.label_counts()}
        found = tuple(TaskClass(one.code, one.name, one.color) for one in self.legend.classes if one.code in there)
        if len(found) < 2:
            what = f"one class only, {found[0].value} ({found[0].name})" if found else "no class"
            raise ParameterError(
                f"The labels have {what}; expected at least two classes of the legend {self.legend.name}.",
                remedy="Label more classes.",
            )
        return found

    def tables(self, probability: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """The confidence, and where the class is right."""
        return confidence(probability, label)

    def on_the_way(self, checked: Calibrated) -> dict[str, float]:
        """``miou`` and ``overall_accuracy``."""
        if not len(checked.matrices):
            return {}
        sums = checked.matrices.reshape(len(checked.matrices), -1).sum(0).astype(np.float64)
        found = {"miou": float(mean_iou(sums)), "overall_accuracy": float(overall_accuracy(sums))}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def figures(self, measured: Measured, classes: Sequence[TaskClass]) -> dict[str, Any]:
        """``validation`` and ``validation_alone`` (see :func:`scores`), ``unknown_below``, ``classes`` by code."""
        whole = measured.whole
        return {
            "validation": scores(whole.matrices, classes),
            "validation_alone": {
                way: scores(one.matrices, classes) for way, one in measured.checked.items() if way != measured.sensors
            },
            "unknown_below": unknown_threshold(whole.reliability, share=self._unknown_share),
            "classes": {str(one.value): one.name for one in classes},
        }

    def card(self, measured: Measured, classes: Sequence[TaskClass], sensors: Sequence[str]) -> dict[str, Any]:
        """Classes with colours, legend, the threshold of unknown, and figures by class."""
        titles = [SENSORS[sensor].title for sensor in sensors]
        return {
            "task": "landcover",
            "title": f"Land cover from {' and '.join(titles)}" + (", or either alone" if len(titles) > 1 else ""),
            "classes": [one.plain() for one in classes],
            "legend": self.legend.name,
            "unknown_below": unknown_threshold(measured.whole.reliability, share=self._unknown_share),
            "figures": self._card_figures(measured, classes),
        }

    def _card_figures(self, measured: Measured, classes: Sequence[TaskClass]) -> list[dict[str, Any]]:
        found = []
        for way, one in measured.checked.items():
            alone = f", from {way} alone" if measured.sensors == "both" and way != "both" else ""
            data = f"{measured.what}, squares, which calibrated the temperature too{alone}"
            named = {**scores(one.matrices, classes), "ece": calibration_error(one.tables)}
            for metric, figure in named.items():
                if figure["value"] is not None and (figure["n"] or 0) > 1:
                    found.append({"metric": metric, **holding(figure), "data": data})
        return found

    def tiles(self, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Overall accuracy, mean IoU, IoU by class, and the threshold."""
        names = figures["classes"]
        every = figures["validation"]
        return [
            ("Overall accuracy on validation squares", shown(every["overall_accuracy"])),
            ("Mean IoU", shown(every["miou"])),
            *(
                (f"From {way.upper()} alone: overall accuracy", shown(one["overall_accuracy"]))
                for way, one in figures["validation_alone"].items()
            ),
            *(
                (f"IoU of {names[name.removeprefix('iou_')]}", shown(figure))
                for name, figure in every.items()
                if name.startswith("iou_") and figure["value"] is not None
            ),
            ("Unknown below a confidence of", f"{figures['unknown_below']:.0%}"),
        ]

    def sample_rows(
        self, data: PairDataset, indices: Sequence[int], probability: Tensor, batch: Batch, classes: Sequence[TaskClass]
    ) -> list[list[Picture]]:
        """Images, label, classes and confidence."""
        colors = [(one.color or "#808080", one.name) for one in classes]
        return class_samples(data, list(indices), probability, batch, colors)


Sums = NDArray[np.float64]


def scores(matrices: NDArray[np.int64], classes: Sequence[TaskClass]) -> dict[str, Plain]:
    """``overall_accuracy``, ``miou`` and ``iou_CODE`` of the summed matrices (n, K, K) by truth and map, with intervals
    over the n squares."""
    rows = matrices.reshape(len(matrices), matrices[0].size if len(matrices) else 0)
    found = {
        "overall_accuracy": pooled_estimate(rows, overall_accuracy).plain(),
        "miou": pooled_estimate(rows, mean_iou).plain(),
    }
    for number, one in enumerate(classes):
        present = bool(matrices[:, number, :].sum()) if len(matrices) else False
        figure = pooled_estimate(rows, lambda sums, k=number: ious(sums)[..., k]).plain()  # type: ignore[misc]
        found[f"iou_{one.value}"] = figure if present else {"value": None, "low": None, "high": None, "n": len(rows)}
    return found


def overall_accuracy(sums: Sums) -> Sums:
    """Share of right pixels of (…, K·K) sums, NaN without pixels."""
    square = _square(sums)
    right, every = np.trace(square, axis1=-2, axis2=-1), square.sum((-2, -1))
    return np.divide(right, every, out=np.full(np.shape(every), np.nan), where=every > 0)


def ious(sums: Sums) -> Sums:
    """(…, K) intersection over union by class of (…, K·K) sums, NaN where a class is in neither truth nor map."""
    square = _square(sums)
    both = np.diagonal(square, axis1=-2, axis2=-1)
    either = square.sum(-1) + square.sum(-2) - both
    return np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0)


def mean_iou(sums: Sums) -> Sums:
    """Mean of :func:`ious` over the classes that are in the truth, NaN without any."""
    present = _square(sums).sum(-1) > 0
    total = np.where(present, np.nan_to_num(ious(sums)), 0.0).sum(-1)
    count = present.sum(-1)
    return np.divide(total, count, out=np.full(np.shape(count), np.nan), where=count > 0)


def _square(sums: Sums) -> Sums:
    side = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], side, side)
