"""The bundle of a cross-view run, with a card that says what it was trained on and with what."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from engine.models.bundle import Bundle
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_bundle import save_crossview
from engine.panorama.circle import FULL_CIRCLE
from engine.training.crossview.augment import MEAN, STD
from engine.training.crossview.images import Framing
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.pretrain import trained_on

_USUAL_EXTENT_M = 70.0
"""Of a tile whose scale nothing tells; the card's range is then wide."""


def save_model(
    folder: Path, network: CrossViewNetwork, request: CrossViewTrainRequest, frames: Framing, figures: dict[str, Any]
) -> Bundle:
    """Write the network's bundle; raises what :func:`engine.models.crossview_bundle.save_crossview` raises."""
    extent, side = frames.overhead.extent_m, frames.overhead.size[0]
    gsd = (extent or _USUAL_EXTENT_M) / side
    slack = 1.25 if extent is not None else 4.0
    labels = "no labels" if request.labels == 0 else f"{100 * request.labels:g} % of the true pairs"
    headings = {"known": "headings of the data", "unknown": "any heading", "found": "headings that were found"}[
        request.heading
    ]
    narrow = request.hfov < FULL_CIRCLE
    card = {
        "name": "crossview",
        "title": f"Cross-view network with {request.encoder} encoders",
        "description": f"Trained by 'engine crossview train' with {labels}, {headings}, stages "
        f"{', '.join(request.stage_names)}.",
        "licence": "unstated",
        "gsd_m": (gsd / slack, gsd * slack),
        "crossview": {
            "ground": {
                "size": network.ground_size,
                "hfov_deg": request.hfov if narrow else 360.0,
                "vfov_deg": frames.ground.vfov_deg,
                "pitch_center_deg": frames.ground.pitch_center_deg,
                "heading": "any" if narrow or request.heading == "unknown" else "north",
                "mean": MEAN,
                "std": STD,
            },
            "overhead": {"size": network.overhead_size, "extent_m": extent, "mean": MEAN, "std": STD},
        },
        "trained_on": trained_on(request.data),
        "figures": [
            {"metric": name, "value": one["value"], "low": one["low"], "high": one["high"], "n": one["n"],
             "data": Path(place).name or place}
            for place, found in figures["test"].items()
            for name, one in found.items()
            if isinstance(one, dict) and one["value"] is not None and one["low"] is not None
        ],
    }  # fmt: skip
    return save_crossview(folder, copy.deepcopy(network).eval().cpu(), card)
