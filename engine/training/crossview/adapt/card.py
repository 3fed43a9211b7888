"""The bundle of an adaptation: the trained network under its own name, with a card that says what it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.crossview.reference import Reference
from engine.models.bundle import Bundle, load_bundle
from engine.models.crossview_bundle import save_crossview
from engine.raster.gdal import shown
from engine.training.crossview.adapt.plan import Plan
from engine.training.crossview.adapt.request import CrossviewAdaptRequest


def save_adapted(
    folder: Path,
    trained: Path,
    request: CrossviewAdaptRequest,
    plan: Plan,
    reference: Reference,
    figures: dict[str, Any],
) -> Bundle:
    """Write the network of the bundle ``trained`` to ``folder`` with the card of the adaptation, and with the rings of
    the model that it started from: candidates are verified as before. Names of photos and paths of this machine stay
    out of it. Raises what saving a bundle raises."""
    bundle = load_bundle(trained)
    facts = bundle.card.model_dump(mode="json", exclude={"weights_sha256", "engine_version"})
    believed = figures["believed"]
    said = " ".join(figures["expect"])
    how = "at places that a search found" if believed else "without any pair"
    name = request.register_as or request.name
    learned, tiles = believed or figures["photos"], figures["tiles"]
    facts |= {
        "name": name,
        "title": f"Cross-view model of an area: {name}",
        "description": f"Trained by 'engine crossview adapt' on {learned} photos and {tiles} tiles of one area "
        f"{how}, from {plan.start}. It is meant for that area. {said}",
        "trained_on": [
            *(plan.model.card.model_dump(mode="json")["trained_on"] if plan.model is not None else ()),
            {"name": f"{learned} own photos", "licence": "unstated"},
            {
                "name": f"imagery: {_imagery(request.reference, reference)}",
                "licence": "as its provider states",
                "attribution": request.attribution or "",
            },
        ],
        "figures": _figures(figures),
    }
    network = bundle.crossview()
    if plan.model is not None:
        network.rings = plan.model.network.rings
    return save_crossview(folder, network, facts)


def _imagery(path: str, reference: Reference) -> str:
    return reference.host if reference.host is not None else Path(shown(path)).name


def _figures(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the photos that were kept apart alone: a card's figures are of what was not trained on."""
    apart = figures["measured"].get("apart", {})
    return [
        {"metric": metric, **one, "data": f"own photos kept apart, {how}"}
        for name, how in (("after", "network alone"), ("search_after", "searched and verified"))
        for metric, one in apart.get(name, {}).get("pooled", {}).items()
        if one["value"] is not None and one["low"] is not None
    ]
