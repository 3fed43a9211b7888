"""A finished flood run in one line."""

from __future__ import annotations

from typing import Any


def flood_headline(figures: dict[str, Any]) -> str:
    """What was found, for the message bar; never calls what was not seen dry, nor water flood without a reference."""
    areas = {name: value or 0.0 for name, value in (figures.get("area_m2") or {}).items()}
    flood, water, reference = (areas.get(name, 0.0) for name in ("flood", "water", "reference_water"))
    if not any(areas.get(name) for name in ("dry", "flood", "water", "reference_water", "excluded")):
        return "nothing was observed: the scene has no valid value here."
    if flood:
        return f"{flood / 1e6:.2f} km² flooded."
    if water:
        return f"{water / 1e6:.2f} km² of water (no reference)."
    return "no flood, only reference water." if reference else "no water found."
