"""What is told of a model from labels: ``figures`` of result.json, and the card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.models.card import BandInput
from engine.sensors import SENSORS
from engine.training.calibration import holding
from engine.training.labels.fit import Fitted
from engine.training.labels.trunk import Trunk

_HELD_OUT = "held-out spatial blocks of the labels (a convenience sample: indicative)"


def figures_of(fitted: Fitted, trunk: Trunk, *, unknown_share: float) -> dict[str, Any]:
    """``overall_accuracy``, ``miou``, ``ece`` with intervals over blocks, ``classes`` with counts and their own
    figures, ``confusion`` by truth and map, and how the split was made."""
    data, blocks, measured = fitted.data, fitted.blocks, fitted.measured
    pixels = np.bincount(data.klass, minlength=len(data.table))
    features = data.features()
    classes = []
    for number, one in enumerate(data.table.classes):
        classes.append(
            {
                "value": one.code,
                "name": one.name,
                "color": one.color,
                "label": one.value,
                "pixels": int(pixels[number]),
                "features": int(features[number]),
                "blocks": int(blocks.class_blocks[number]),
                "judged": bool(measured.judged[number]),
                **measured.of_class(number),
            }
        )
    return {
        **measured.figures(),
        "classes": classes,
        "confusion": measured.matrices.sum(0).tolist(),
        "temperature": measured.temperature,
        "unknown_below": measured.unknown_below(unknown_share),
        "legend": data.table.legend,
        "head": "pixel",
        "penalty": fitted.choice.penalty,
        "cosines": fitted.choice.waves,
        "pretrained": trunk.name,
        "pretrained_note": trunk.note,
        "bands": {s: [b.name for b in trunk.inputs if b.sensor == s] for s in data.scenes[0].sensors},
        "pixels": int(pixels.sum()),
        "fitted_pixels": fitted.fitted_to,
        "features": int(features.sum()),
        "blocks": blocks.count,
        "block_m": round(blocks.side_m, 3),
        "folds": blocks.folds,
        "left_out": list(data.ignored),
    }


def doubts(fitted: Fitted) -> list[str]:
    """What the reader must know of the split: classes that cannot be judged, few blocks."""
    blocks, table = fitted.blocks, fitted.data.table
    found = []
    if blocks.folds < 2:
        found.append(
            f"All labels lie in one block of {blocks.side_m:,.0f} m, so nothing could be held out: there are no "
            "figures and probabilities are not calibrated. Label more places."
        )
        return found
    alone = [one.name for one, judged in zip(table.classes, fitted.measured.judged, strict=True) if not judged]
    if alone:
        found.append(
            f"Labels of {', '.join(alone)} lie in one block only: the figures do not cover "
            f"{'it' if len(alone) == 1 else 'them'}. Label more places of {'it' if len(alone) == 1 else 'them'}."
        )
    if len(fitted.measured.matrices) < 8:
        found.append(
            f"Only {len(fitted.measured.matrices)} blocks hold labels that can be judged: intervals over so few are "
            "too narrow."
        )
    return found


def card_of(fitted: Fitted, trunk: Trunk, *, name: str, licence: str, figures: dict[str, Any]) -> dict[str, Any]:
    """``card.json`` as :func:`engine.models.bundle.save_bundle` completes it."""
    data = fitted.data
    downs, alongs = zip(*(scene.grid.gsd_m() for scene in data.scenes), strict=True)
    titles = [SENSORS[sensor].title for sensor in data.scenes[0].sensors]
    measured = [
        {"metric": metric, **holding(figures[metric]), "data": _HELD_OUT}
        for metric in ("overall_accuracy", "miou", "ece")
        if figures[metric]["value"] is not None and figures[metric]["n"] > 1
    ]
    measured += [
        {"metric": f"iou_{one['value']}", **holding(one["iou"]), "data": _HELD_OUT}
        for one in figures["classes"]
        if one["iou"]["value"] is not None and one["iou"]["n"] > 1
    ]
    start = f" on features of the model {trunk.name}" if trunk.name else ""
    return {
        "name": name,
        "title": f"Land cover from {' and '.join(titles)}, from own labels",
        "description": f"A linear layer over pixels and their neighbourhoods{start}, trained by 'engine finetune' on "
        f"{figures['features']:,} labelled features ({figures['pixels']:,} pixels).",
        "licence": licence,
        "task": "landcover",
        "bands": [_band(one) for one in trunk.inputs],
        "gsd_m": [min(*downs, *alongs) * 0.99, max(*downs, *alongs) * 1.01],
        "classes": [{"value": c.code, "name": c.name, "color": c.color} for c in data.table.classes],
        "legend": data.table.legend,
        "unknown_below": figures["unknown_below"],
        "activation": "softmax",
        "temperature": figures["temperature"],
        "network": {},
        "tile": 256,
        "overlap": 64 if trunk.segmenter is not None else 32,
        "trained_on": _sources(data.layers, trunk),
        "figures": measured,
    }


def _band(one: BandInput) -> dict[str, Any]:
    return one.model_dump()


def _sources(layers: Sequence[Any], trunk: Trunk) -> list[dict[str, str]]:
    found = [
        {"name": f"labels {layer.path.replace(chr(92), '/').rpartition('/')[2]}", "licence": "unstated"}
        for layer in layers
    ]
    if trunk.name:
        found.append({"name": f"model {trunk.name} (frozen features)", "licence": "see its card"})
    return found
