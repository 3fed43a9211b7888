"""Which method a name means: the describers of an index, and how its candidates are compared."""

from __future__ import annotations

from dataclasses import dataclass

from engine.crossview.describer import Describer
from engine.crossview.index.card import IndexCard
from engine.crossview.search.tables import RINGS
from engine.crossview.wants import AUTO, FUSED, GEOMETRIC, STARTER, resolved
from engine.device import Device
from engine.errors import ModelError, ParameterError

WORTH = (
    "The geometric method was not trained: it compares the ground around the camera with the imagery. It narrows a "
    "search down where ground and imagery are alike (roads, markings, squares) and is often wrong at the first guess."
)


def describers_for(method: str, *, device: Device, precision: str = "float16") -> tuple[str, list[Describer]]:
    """The method that ``method`` means and its describers, the one that candidates are found by first.

    ``auto`` is fused where the starter model is installed, else geometric. Raises ModelError for an unknown model.
    """
    from engine.crossview.geometric_describer import GeometricDescriber
    from engine.crossview.learned_describer import LearnedDescriber

    method = resolved(method)
    if method == GEOMETRIC:
        return GEOMETRIC, [GeometricDescriber(device)]
    name = STARTER if method == FUSED else method
    learned = LearnedDescriber.load(name, device=device, precision=precision)
    if method == FUSED:
        return FUSED, [learned, GeometricDescriber(device)]
    return learned.model.name, [learned]


def is_starter(describer: Describer) -> bool:
    """Is it of the starter model that ships, rings and all, whatever else has its name?"""
    from engine.models.bundle import find_model, shipped_folders

    try:
        return find_model(STARTER, folders=shipped_folders()).sha256 == describer.bundle_sha256
    except ModelError:
        return False


def verifier_for(device: Device, *, tolerance_deg: float, primary: Describer | None = None) -> Describer:
    """What candidates are verified by: the rings of the model that cells are compared by where it has learned any, else
    what was not trained. With rings the sun is a compass (:mod:`engine.crossview.sun`)."""
    from engine.crossview.geometric.ring_matcher import RingMatcher
    from engine.crossview.geometric_describer import GeometricDescriber
    from engine.crossview.sun import shipped_compass

    rings = primary.rings if primary is not None else None
    if rings is None:
        return GeometricDescriber(device, tolerance_deg=tolerance_deg)
    matcher = RingMatcher(rings, device=device.torch)
    return GeometricDescriber(device, tolerance_deg=tolerance_deg, matcher=matcher, compass=shipped_compass())


@dataclass(frozen=True)
class SearchMethod:
    """``primary`` compares all cells; ``verifying`` candidates (None: nothing does), by the model's rings or by
    geometry, as ``verified_by`` says; ``name`` for people."""

    name: str
    primary: Describer
    verifying: Describer | None
    verified_by: str


def search_method(card: IndexCard, asked: str, *, device: Device, verify: bool, tolerance_deg: float) -> SearchMethod:
    """How an index of ``card`` is searched. Raises ParameterError where it lacks what was asked for, ModelError when
    the model is not the one that described the cells."""
    name = card.method if asked == AUTO else asked
    if name == FUSED and card.method != FUSED:
        raise ParameterError(
            f"The index was made by {card.method}; expected fused.", remedy="Search with --method auto, or index again."
        )
    if name == GEOMETRIC and card.layer(GEOMETRIC) is None:
        raise ParameterError(
            f"The index was made by {card.method} and has no geometric description.",
            remedy="Search with --method auto, or make an index with --method geometric.",
        )
    try:
        _, describers = describers_for(name, device=device)
    except ModelError as error:
        if asked != AUTO or card.method in (GEOMETRIC, FUSED):
            raise
        raise ModelError(
            f"The index was made by the model {card.method}, which is not installed here.",
            remedy="Name its folder with --method FOLDER.",
        ) from error
    primary = describers[0]
    facts = card.layer(primary.layer)
    if facts is None:
        raise ParameterError(
            f"The index was made by {card.method}; it has no {primary.layer} description.",
            remedy="Search with --method auto, or index again.",
        )
    if not primary.described(facts.model) or facts.dim != primary.dim:
        made = facts.model.name if facts.model else "no model"
        raise ModelError(
            f"The index was made by {made}; the model given has other weights.",
            remedy="Search with the model that made the index, or make another index.",
        )
    if primary.layer == GEOMETRIC:
        primary = verifier_for(device, tolerance_deg=tolerance_deg)
    verifying = verifier_for(device, tolerance_deg=tolerance_deg, primary=primary) if verify else None
    return SearchMethod(name, primary, verifying, GEOMETRIC if primary.rings is None else RINGS)
