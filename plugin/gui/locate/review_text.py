"""What a review says of the candidate in front, as rich text."""

from __future__ import annotations

from html import escape

from qgis.core import QgsDistanceArea, QgsPointXY
from qgis.PyQt.QtCore import QCoreApplication

from ...photos.facts import Photo
from .answer_text import percent
from .review_walk import BY_HAND, ReviewWalk


def tr(text: str) -> str:
    """The text in the user's language."""
    return QCoreApplication.translate("ReviewText", text)


def title(walk: ReviewWalk) -> str:
    """The photo, and which it is of how many."""
    number, count = walk.photo_number
    name = f"<b>{escape(walk.answer.photo)}</b>"
    return name if count == 1 else f"{name} · {tr('photo {} of {}').format(number, count)}"


def facts_of(walk: ReviewWalk, place: QgsPointXY, photo: Photo | None, *, by_hand: bool) -> str:
    """Rank, probability and score of the candidate, or that the place is one by hand (``place`` in degrees); and how
    far it is from where the photo's file says that it was taken."""
    answer, candidate = walk.answer, walk.candidate
    if by_hand:
        lines = [tr("<b>Proposed place</b> {}, {}.").format(f"{place.y():.6f}", f"{place.x():.6f}")]
    else:
        parts = [
            tr("Candidate {} of {}").format(candidate.rank, len(answer.candidates)),
            tr("{} within {} m").format(escape(percent(candidate.probability)), f"{candidate.radius_m:g}"),
            tr("score {}").format(f"{candidate.score:.2f}"),
        ]
        lines = [f"{', '.join(parts)}."]
        if not answer.match:
            lines.append(f"<b>{tr('Not in this region, as far as can be told.')}</b>")
    lines.append(distance_text(photo, place.x(), place.y()))
    return " ".join(line for line in lines if line)


def decision(walk: ReviewWalk, by_hand: bool) -> str:
    """What was decided of what is in front; empty where nothing was."""
    candidate = walk.candidate
    accepted = walk.accepted.get(candidate.photo)
    if accepted is not None and accepted == (BY_HAND if by_hand else candidate.rank):
        return f'<span style="color:#2b8a3e"><b>✓ {tr("Accepted")}</b></span>'
    if not by_hand and (candidate.photo, candidate.rank) in walk.refused:
        return f'<span style="color:#c92a2a"><b>✗ {tr("Rejected")}</b></span>'
    if accepted is not None:
        where = tr("a place by hand") if accepted == BY_HAND else tr("candidate {}").format(accepted)
        return tr("Accepted for this photo: {}.").format(where)
    return ""


def distance_text(photo: Photo | None, lon: float, lat: float) -> str:
    """How far the place is from the position in the photo's file; empty where it tells none, or it is hidden."""
    if photo is None or photo.lon is None or photo.lat is None:
        return ""
    measure = QgsDistanceArea()
    measure.setEllipsoid("WGS84")
    metres = measure.measureLine(QgsPointXY(photo.lon, photo.lat), QgsPointXY(lon, lat))
    if metres != metres:
        return ""
    text = f"{metres:.0f} m" if metres < 1000 else f"{metres / 1000:.1f} km"
    return tr("{} from the position in the photo's file.").format(text)
