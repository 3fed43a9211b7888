"""A finished run in one line, for the message bar; never says more than was seen."""

from __future__ import annotations

from typing import Any


def headline(job: str, figures: dict[str, Any]) -> str:
    """What a run of ``job`` found; empty where there is nothing short to say."""
    tell = {
        "flood": flood_headline,
        "landcover": landcover_headline,
        "landcover-change": change_headline,
        "assess-sample": _sample,
        "assess-report": _accuracy,
        "finetune": _accuracy,
        "locate-index": _index,
        "locate-search": search_headline,
    }.get(job)
    return tell(figures) if tell is not None else ""


def flood_headline(figures: dict[str, Any]) -> str:
    """Never calls what was not seen dry, nor water flood without a reference."""
    areas = {name: value or 0.0 for name, value in (figures.get("area_m2") or {}).items()}
    flood, water, reference = (areas.get(name, 0.0) for name in ("flood", "water", "reference_water"))
    if not any(areas.get(name) for name in ("dry", "flood", "water", "reference_water", "excluded")):
        return "nothing was observed: the scene has no valid value here."
    if flood:
        return f"{flood / 1e6:.2f} km² flooded."
    if water:
        return f"{water / 1e6:.2f} km² of water (no reference)."
    return "no flood, only reference water." if reference else "no water found."


def landcover_headline(figures: dict[str, Any]) -> str:
    """The three largest classes by their share of what was observed, and how much is unknown."""
    rows = [row for row in figures.get("classes") or () if isinstance(row, dict) and row.get("share")]
    if not rows:
        return "nothing was observed: the scene has no valid value here."
    known = sorted((row for row in rows if row.get("code")), key=lambda row: -row["share"])[:3]
    told = [f"{row['name']} {100 * row['share']:.0f} %" for row in known]
    unknown = next((row["share"] for row in rows if not row.get("code")), 0)
    return ", ".join([*told, *([f"unknown {100 * unknown:.0f} %"] if unknown >= 0.005 else [])]) + "."


def change_headline(figures: dict[str, Any]) -> str:
    """The area that changed, and its share of what could be compared."""
    changed, percent = figures.get("changed_m2"), figures.get("changed_percent")
    if changed is None:
        return "nothing could be compared: either map is unknown or not observed everywhere."
    share = f" ({percent:.1f} % of what could be compared)" if percent is not None else ""
    return f"{changed / 1e6:.2f} km² changed{share}."


def search_headline(figures: dict[str, Any]) -> str:
    """How many photos have a match; "no match" is an answer too."""
    photos = [photo for photo in figures.get("photos") or () if isinstance(photo, dict)]
    if not photos:
        return ""
    found = sum(bool(photo.get("match")) for photo in photos)
    if not found:
        return "no match in this region."
    return f"{found} of {len(photos)} photos have a match in this region." if len(photos) > 1 else "found."


def _index(figures: dict[str, Any]) -> str:
    return f"{figures['cells']:,} cells are described." if isinstance(figures.get("cells"), int) else ""


def _sample(figures: dict[str, Any]) -> str:
    return f"{figures['points']} points to label." if isinstance(figures.get("points"), int) else ""


def _accuracy(figures: dict[str, Any]) -> str:
    overall = figures.get("overall_accuracy")
    value, low, high = ((overall or {}).get(key) for key in ("value", "low", "high")) if overall else (None,) * 3
    if value is None:
        return ""
    interval = f" ({100 * low:.0f}–{100 * high:.0f} %)" if low is not None and high is not None else ""
    return f"overall accuracy {100 * value:.0f} %{interval}."
