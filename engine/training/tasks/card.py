"""The card of a fine-tuned model, as far as all tasks have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.training.data.dataset import PairDataset
from engine.training.pretrain import trained_on
from engine.training.requests import FinetuneRequest


def model_card(request: FinetuneRequest, data: PairDataset, gsd_m: tuple[float, float]) -> dict[str, Any]:
    """``card.json`` as :func:`engine.models.bundle.save_bundle` completes it, without what the task says. ``gsd_m``:
    the finest and coarsest pixel size of the training data; magnifying and reducing widen the range that is stated."""
    hidden = request.hidden_bands if "s2" in data.bands else frozenset()
    bands = [b for sensor in data.bands for b in data.statistics[sensor].inputs(sensor)]
    return {
        "name": request.model_name,
        "description": f"Fine-tuned by 'engine finetune' from {Path(request.encoder).name}.",
        "licence": request.licence,
        "bands": [b.model_dump() | {"optional": b.sensor == "s2" and b.name in hidden} for b in bands],
        "gsd_m": [round(gsd_m[0] / request.scale, 3), round(gsd_m[1] * request.shrink, 3)],
        "activation": "softmax",
        "tile": max(256, data.side // 32 * 32),
        "overlap": 64,
        "trained_on": trained_on(request.data),
    }
