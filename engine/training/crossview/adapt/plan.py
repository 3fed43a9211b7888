"""Which network an adaptation trains, from where it starts, and with what options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from statistics import median
from typing import Any

from engine.crossview.resolution import served_scales
from engine.errors import ParameterError
from engine.models.bundle import list_models
from engine.models.crossview_bundle import CrossViewModel, load_crossview
from engine.panorama.circle import FULL_CIRCLE
from engine.training.crossview.adapt.photos import OwnPhoto
from engine.training.crossview.adapt.request import CrossviewAdaptRequest
from engine.training.crossview.request import CrossViewTrainRequest

AUTO, RANDOM, STARTER = "auto", "random", "crossview"
EXTENT_M = 64.0
"""Of a tile: from 2.5 m above it the ground is seen about so far around."""
MOST_PITCH_DEG = 65.45
"""Of a network that starts at random, as CVUSA's strips: above is sky, below the carrier of the camera."""
LEAST_STEPS = 400
_PASSES = {"intra": 8.0, "cross": 32.0, "curriculum": 40.0}
"""Over the photos, by stage. The cold start has twice its usual share: what comes after it stands on it
(docs/studies/cross-view.md)."""
_FOUND_PASSES, _FOUND_STEPS = 40.0, 250
"""Over the photos whose places a search has found, and the fewest steps."""
_FOUND: dict[str, Any] = {
    "stages": "supervised", "labels": 1.0, "lr": 5e-4, "heading_error": 15.0, "colour": 0.5, "disguise": 0.5,
    "tilt": 2.0, "neighbours": 0, "choose": "last", "validation_share": 0.0,
}  # fmt: skip
"""How they are learned from: as the starter model's last part is trained (scripts/starters/crossview.py), gently.
Neighbours are left out: photos that look most alike may stand at one place."""
_TURNS = 8
_HEADINGS = 0.8
_ENOUGH_TO_CHOOSE = 400
"""From so many photos on a tenth is held out and the weights are chosen by it; agreement among fewer is one photo more
or less, and the last weights are kept."""
SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "encoder": "resnet18", "width": 0.25, "encoder_stages": 3, "ground_size": "64x256", "overhead_size": 128,
        "batch": 32,
    },
    "medium": {
        "encoder": "resnet18", "width": 0.5, "encoder_stages": 4, "ground_size": "96x384", "overhead_size": 160,
        "batch": 64,
    },
    "large": {
        "encoder": "convnext_tiny", "width": 1.0, "encoder_stages": 4, "ground_size": "128x512", "overhead_size": 256,
        "batch": 64,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """``model``: what is started from, None for random weights. ``side`` pixels and ``extent_m`` metres of a tile."""

    model: CrossViewModel | None
    side: int
    extent_m: float
    network: dict[str, Any]

    @property
    def gsd_m(self) -> float:
        """Metres a pixel of a tile."""
        return round(self.extent_m / self.side, 6)

    @property
    def has_rings(self) -> bool:
        """Does the model verify places by itself?"""
        return self.model is not None and self.model.network.rings is not None

    @property
    def start(self) -> str:
        """What the weights start from, in words."""
        return "random weights" if self.model is None else f"the model {self.model.card.name}"


def network_plan(request: CrossviewAdaptRequest) -> Plan:
    """The network of a run: that of the model to start from, or one of the request's size. Raises ModelError for an
    unknown or foreign model, ParameterError for options that a model leaves no choice of."""
    name = request.start
    if name == AUTO:
        name = STARTER if any(model.name == STARTER for model in list_models()) else RANDOM
    if name == RANDOM:
        chosen = dict(SIZES[request.size])
        chosen |= {k: v for k, v in (("encoder", request.encoder), ("width", request.width)) if v is not None}
        side = int(chosen["overhead_size"])
        return Plan(None, side, request.extent or EXTENT_M, {**chosen, "lr": 1.5e-3})
    model = load_crossview(name)
    card, inputs = model.card, model.inputs
    extent = inputs.overhead.extent_m
    given = [k for k in ("encoder", "width") if getattr(request, k) is not None]
    if request.extent is not None and extent is not None and abs(request.extent - extent) > 1e-6:
        given.append("extent")
    if given:
        raise ParameterError(
            f"--{given[0]} cannot be chosen when the training starts from the model {card.name}: it has its own.",
            remedy="Leave the option out, or start with --start random.",
        )
    rows, columns = inputs.ground.size
    return Plan(
        model,
        inputs.overhead.size[0],
        extent or request.extent or EXTENT_M,
        {
            "encoder": card.network.encoder,
            "width": card.network.width,
            "depth": card.network.depth,
            "encoder_stages": card.network.stages,
            "maps": card.network.maps,
            "ground_size": f"{rows}x{columns}",
            "overhead_size": inputs.overhead.size[0],
            "hfov": inputs.ground.hfov_deg,
            "vfov": inputs.ground.vfov_deg,
            "batch": 32 if card.network.encoder == "resnet18" else 64,
            "lr": 3e-4,
            "start": str(model.folder),
        },
    )


def check_resolution(plan: Plan, gsd_m: float, *, name: str) -> None:
    """Raise GridError, with the resolution that is needed, for imagery that is too coarse for the network's tiles."""
    served_scales(gsd_m, (plan.gsd_m,), name=name)


def headings_known(request: CrossviewAdaptRequest, photos: Sequence[OwnPhoto]) -> bool:
    """Whether the photos' headings are believed."""
    if request.heading != "auto":
        return request.heading == "known"
    return sum(photo.heading_known for photo in photos) >= _HEADINGS * len(photos)


def training_request(
    request: CrossviewAdaptRequest, plan: Plan, photos: Sequence[OwnPhoto], *, data: Path, out: Path, found: int = 0
) -> CrossViewTrainRequest:
    """What 'crossview train' is asked: the pairs.csv in ``data``; the run's folder is ``out``.

    ``found`` photos have the places and headings there that a search gave them, and are learned from as if these were
    true. Where it is 0 there are no pairs: headings that are not known are looked for together with the tiles
    (``heading`` found); what is learned is a network that wants north ahead, and the search tries headings. A model
    goes on with the places that it finds itself; to be taken back to its photos' own bird's-eye views undoes what it
    knows (docs/cross-view-training.md).
    """
    options = dict(plan.network)
    count = found or len(photos)
    any_heading = plan.model is not None and plan.model.inputs.ground.heading == "any"
    heading = "unknown" if any_heading else "known" if headings_known(request, photos) else "found"
    stages = list(_PASSES) if plan.model is None else ["curriculum"]
    batch = min(request.batch or int(options["batch"]), max(4, count // 2))
    passes, fewest = sum(_PASSES[stage] for stage in stages), LEAST_STEPS
    if found:
        passes, fewest = _FOUND_PASSES, _FOUND_STEPS
        heading = "unknown" if any_heading else "known"
    steps = request.steps or max(fewest, round(passes * count / batch))
    if "vfov" not in options:
        pitch = abs(median(photo.view.pitch_center_deg for photo in photos))
        least = min(photo.view.vfov_deg for photo in photos)
        options["vfov"] = min(MOST_PITCH_DEG, least, 2 * (90 - pitch))
    return CrossViewTrainRequest.model_validate(
        {
            **options,
            "batch": batch,
            "steps": steps,
            "data": (str(data),),
            "out": str(out),
            "labels": 0.0,
            "extent": plan.extent_m,
            "stages": ",".join(stages),
            "intra_epochs": _PASSES["intra"],
            "cross_epochs": _PASSES["cross"],
            "heading": heading,
            "camera_height": request.camera_height,
            **({} if plan.model is None else {"rehearse": 0.0}),
            **({} if count >= _ENOUGH_TO_CHOOSE else {"choose": "last", "validation_share": 0.0}),
            **({} if not found else _found_options(options, heading)),
            "seed": request.seed,
            "device": request.device,
            "log_every": max(1, steps // 200),
            "checkpoint_every": 100,
            "cache_gb": 1.0,
        }
    )


def _found_options(network: dict[str, Any], heading: str) -> dict[str, Any]:
    """:data:`_FOUND`, with turns compared where the network has a heading and whole features round."""
    columns = int(str(network["ground_size"]).partition("x")[2]) // 2 ** (int(network["encoder_stages"]) + 1)
    turns = gcd(_TURNS, columns) if heading == "known" and network["hfov"] >= FULL_CIRCLE else 1
    return {**_FOUND, "turns": turns}
