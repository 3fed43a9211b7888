"""What the engine is asked about a place that a person proposes, and its answer in words."""

from __future__ import annotations

from html import escape
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

from .answer_text import percent

JOB = "locate-score"
# Of the search's own parameters: a place is scored as the search scored its candidates.
_KEPT = ("method", "hfov", "vfov", "reference", "inside", "verify", "device", "heading", "heading_tolerance",
         "tms", "max_zoom", "tile_cache", "tile_cache_gb", "connections", "per_second")  # fmt: skip


def tr(text: str) -> str:
    """The text in the user's language."""
    return QCoreApplication.translate("ScoreQuestion", text)


def question(
    result: dict[str, Any], out: str, index: str, path: str, lon: float, lat: float, turned_deg: float | None
) -> dict[str, Any]:
    """The request of the job for one photo and place. ``result`` and ``out``: the search; ``turned_deg``: the heading
    that was set by hand, None where it was not."""
    asked = result.get("parameters") or {}
    params = {name: asked[name] for name in _KEPT if asked.get(name) is not None}
    params.update(index=index, panorama=[path], at=[f"{lon:.8f},{lat:.8f}"])
    if turned_deg is not None:
        params["turned"] = round(turned_deg % 360, 2)
    if not asked.get("sequence"):  # scores of a drive are sums over its photos: a single photo's stand apart
        params["results"] = out
    return params


def answer_of(result: dict[str, Any]) -> dict[str, Any]:
    """The one place of the job's result; an empty dict where there is none."""
    photos = (result.get("figures") or {}).get("photos") or [{}]
    return (photos[0].get("places") or [{}])[0]


def answer_text(place: dict[str, Any], heading_deg: float | None) -> str:
    """The answer as rich text. Its links: ``heading`` takes the heading that fits best, ``place`` the place nearby."""
    if place.get("score") is None:
        return escape(tr("No score: {}.").format(place.get("why") or tr("the place cannot be compared")))
    parts = [tr("Score <b>{}</b>").format(f"{place['score']:.2f}")]
    if place.get("rank") is not None:
        stands = tr("would be number {} of {}").format(place["rank"], place["of"])
        likely = escape(percent(place.get("probability_50m") or 0.0))
        parts.append(f"{stands}, {tr('{} within 50 m').format(likely)}")
    lines = [f"{'; '.join(parts)}."]
    best = place.get("heading_deg")
    if place.get("turned_score") is not None and heading_deg is not None:
        lines.append(tr("At your heading of {}°: {}.").format(round(heading_deg) % 360, f"{place['turned_score']:.2f}"))
    if best is not None and (heading_deg is None or abs((best - heading_deg + 180) % 360 - 180) > 3):
        text = tr("Fits best at {}°").format(round(best) % 360)
        lines.append(f'{text}: <a href="heading">{tr("turn so")}</a>.')
    if (place.get("best_m") or 0) > 1:
        text = tr("Fits best {} m away").format(round(place["best_m"]))
        lines.append(f'{text}: <a href="place">{tr("go there")}</a>.')
    return " ".join(lines)
