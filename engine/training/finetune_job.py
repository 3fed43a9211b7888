"""The door of the ``finetune`` job: labelled squares, or a scene with a layer of labels."""

from __future__ import annotations

from typing import Any

from engine.events import Reporter
from engine.training.requests import FinetuneRequest
from engine.training.run_folder import resolve


def run(request: FinetuneRequest, reporter: Reporter) -> dict[str, Any]:
    """Train as ``request`` says and return ``result.json``'s content; raises EngineError, Cancelled among them.

    Labels in a vector layer (``scene`` with ``labels_from``, or folders of NAME.tif with NAME_labels.gpkg) are
    :mod:`engine.training.labels`; everything else is :mod:`engine.training.finetune`.
    """
    whole = resolve(request, "finetune")
    if whole.scene or whole.labels_from or _holds_layers(whole):
        from engine.training.labels.job import run as run_labels

        return run_labels(request, reporter)
    from engine.training.finetune import run as run_squares

    return run_squares(request, reporter)


def _holds_layers(request: FinetuneRequest) -> bool:
    from engine.training.labels.places import pairs_in

    return request.task == "landcover" and any(pairs_in(place) for place in request.data)
