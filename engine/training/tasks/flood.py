"""Fine-tuning for floods: water and dry ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from engine.errors import ParameterError
from engine.sensors import SENSORS
from engine.training.calibration import Calibrated, calibration_error, holding, water_iou, water_probability
from engine.training.data.dataset import Batch, PairDataset
from engine.training.data.items import Labels
from engine.training.data.labels import told
from engine.training.report.samples import prediction_samples
from engine.training.tasks.task import Measured, Picture, TaskClass, shown

CLASSES = (TaskClass(0, "dry"), TaskClass(1, "water"))

WATER_BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Sentinel-2 bands where nothing else is asked for: those of 10 m and the short-wave infrared, in which water is
darkest; Level-1C, Level-2A and harmonised products all have them."""


class FloodTask:
    """See :class:`engine.training.tasks.task.Task`."""

    labels: Labels = "flood"
    noun = "Flood"
    reliability = "share that is water"
    features = 4
    s2_bands: tuple[str, ...] = WATER_BANDS

    def prepared(self, data: PairDataset, place: str) -> PairDataset:
        """``data`` as it is; ParameterError for labels of land cover."""
        if data.legend is not None:
            raise ParameterError(
                f"{place}: the labels tell {told(data.legend)}; expected water (1) and dry ground (0).",
                remedy="Use --task landcover, or give labels of water.",
            )
        return data

    def classes(self, sets: Sequence[PairDataset]) -> tuple[TaskClass, ...]:
        """Dry ground and water, whatever the data hold."""
        return CLASSES

    def tables(self, probability: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """P(water), and where there is water."""
        return water_probability(probability, label)

    def on_the_way(self, checked: Calibrated) -> dict[str, float]:
        """``iou`` of water."""
        iou = water_iou(checked.counts)["value"]
        return {} if iou is None else {"iou": iou}

    def figures(self, measured: Measured, classes: Sequence[TaskClass]) -> dict[str, Any]:
        """``validation_iou`` of water, and ``validation_iou_alone`` by sensor."""
        return {
            "validation_iou": water_iou(measured.whole.counts),
            "validation_iou_alone": {
                way: water_iou(one.counts) for way, one in measured.checked.items() if way != measured.sensors
            },
        }

    def card(self, measured: Measured, classes: Sequence[TaskClass], sensors: Sequence[str]) -> dict[str, Any]:
        """Classes 0 and 1, with IoU and calibration error of water."""
        titles = [SENSORS[sensor].title for sensor in sensors]
        return {
            "task": "flood",
            "title": f"Water from {' and '.join(titles)}" + (", or either alone" if len(titles) > 1 else ""),
            "classes": [one.plain() for one in classes],
            "figures": self._card_figures(measured),
        }

    def _card_figures(self, measured: Measured) -> list[dict[str, Any]]:
        found = []
        for way, one in measured.checked.items():
            alone = f", from {way} alone" if measured.sensors == "both" and way != "both" else ""
            data = f"{measured.what}, squares, which calibrated the temperature too{alone}"
            for metric, figure in (("iou", water_iou(one.counts)), ("ece", calibration_error(one.tables))):
                if figure["value"] is not None and (figure["n"] or 0) > 1:
                    found.append({"metric": metric, **holding(figure), "data": data})
        return found

    def tiles(self, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
        """IoU of water."""
        return [
            ("Water IoU on validation squares", shown(figures["validation_iou"])),
            *((f"From {s.upper()} alone", shown(iou)) for s, iou in figures["validation_iou_alone"].items()),
        ]

    def sample_rows(
        self, data: PairDataset, indices: Sequence[int], probability: Tensor, batch: Batch, classes: Sequence[TaskClass]
    ) -> list[list[Picture]]:
        """Images, label, and the probability of water."""
        return prediction_samples(data, list(indices), probability[:, 1], batch)
