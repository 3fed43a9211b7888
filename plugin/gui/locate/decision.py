"""What is written down when a place is accepted or refused."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsPointXY
from qgis.PyQt.QtCore import QCoreApplication

from ...layers.index_imagery import IndexImagery
from ...layers.located import BY_HAND, LocatedPhoto, now, reviewer
from .place_score import Proposal
from .review_walk import ReviewWalk

BY_HAND_RADIUS_M = 50.0
"""The radius that the probability of a proposed place is about."""


def tr(text: str) -> str:
    """The text in the user's language."""
    return QCoreApplication.translate("Decision", text)


def located_photo(
    walk: ReviewWalk,
    result: dict[str, Any],
    place: QgsPointXY,
    heading_deg: float | None,
    *,
    proposal: Proposal | None,
    turned_by_hand: bool,
    imagery: IndexImagery | None,
) -> LocatedPhoto:
    """What is in front of the review, with all that is known of it. ``place`` in degrees (EPSG:4326); ``proposal``:
    the place is one by hand, with what the engine told of it."""
    answers, answer, candidate = walk.answers, walk.answer, walk.candidate
    if proposal is not None:
        how, told = BY_HAND, proposal.told
        rank, score, probability = told.get("rank"), told.get("score"), told.get("probability_50m")
        radius = BY_HAND_RADIUS_M if probability is not None else None
    else:
        how = f"candidate {candidate.rank}" + (", heading by hand" if turned_by_hand else "")  # data: not translated
        rank, score, probability = candidate.rank, candidate.score, candidate.probability
        radius = candidate.radius_m
    known = (result.get("inputs") or {}).get(answer.photo) or {}
    return LocatedPhoto(
        photo=answer.photo,
        path=answer.path,
        sha256=str(known.get("sha256") or ""),
        lon=place.x(),
        lat=place.y(),
        heading_deg=None if heading_deg is None else round(heading_deg, 2),
        how=how,
        rank=rank,
        score=score,
        probability=probability,
        radius_m=radius,
        index=answers.index,
        method=answers.method,
        imagery=imagery.shown if imagery is not None else "",
        imagery_date=imagery.date if imagery is not None else "",
        result=answers.folder,
        reviewer=reviewer(),
        decided_at=now(),
    )
