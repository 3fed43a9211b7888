"""The card of a fine-tuned flood model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.sensors import SENSORS
from engine.training.calibration import Calibrated, calibration_error, holding, water_iou
from engine.training.data.dataset import PairDataset
from engine.training.pretrain import trained_on
from engine.training.requests import FinetuneRequest

CLASSES = ({"value": 0, "name": "dry"}, {"value": 1, "name": "water"})


def flood_card(request: FinetuneRequest, data: PairDataset, checked: Mapping[str, Calibrated]) -> dict[str, Any]:
    """``card.json`` as :func:`engine.models.bundle.save_bundle` completes it. ``checked``: validation samples, by
    what they were mapped from ("s1", "s2", "both")."""
    titles = [SENSORS[sensor].title for sensor in data.bands]
    return {
        "name": request.model_name,
        "title": f"Water from {' and '.join(titles)}" + (", or either alone" if len(titles) > 1 else ""),
        "description": f"Fine-tuned by 'engine finetune' from {Path(request.encoder).name}.",
        "licence": request.licence,
        "task": "flood",
        "bands": [b.model_dump() for sensor in data.bands for b in data.statistics[sensor].inputs(sensor)],
        "gsd_m": [8.0 / request.scale, 12.5],
        "classes": list(CLASSES),
        "activation": "softmax",
        "temperature": checked[request.sensors].temperature,
        "tile": max(256, data.side // 32 * 32),
        "overlap": 64,
        "trained_on": trained_on(request.data),
        "figures": _figures(request, checked),
    }


def _figures(request: FinetuneRequest, checked: Mapping[str, Calibrated]) -> list[dict[str, Any]]:
    what = "validation data" if request.validation else "held-out events of the training data"
    found = []
    for way, one in checked.items():
        alone = f", from {way} alone" if request.sensors == "both" and way != "both" else ""
        data = f"{what}, squares, which calibrated the temperature too{alone}"
        for metric, figure in (("iou", water_iou(one.counts)), ("ece", calibration_error(one.tables))):
            if figure["value"] is not None and (figure["n"] or 0) > 1:
                found.append({"metric": metric, **holding(figure), "data": data})
    return found
