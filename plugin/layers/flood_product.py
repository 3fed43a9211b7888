"""The layers of a flood result."""

from __future__ import annotations

from .flood_styles import (
    run_percent,
    style_excluded,
    style_flood,
    style_polygons,
    style_probability,
    style_zones,
)
from .product import Product, Result, Role

PERCENT_PROPERTY = "samescene/probability"


def _has_zones(result: Result) -> bool:
    return bool(result.get("parameters", {}).get("zones") or result.get("figures", {}).get("zones"))


FLOOD_PRODUCT = Product(
    job="flood",
    title="Flood",
    topic="inlandWaters",
    keywords=("flood",),
    properties=lambda result: {PERCENT_PROPERTY: run_percent(result)},
    roles=(
        Role(
            "zones",
            "flood.gpkg",
            "Flooded area by zone",
            "Flooded area of each zone: best estimate with a low and a high bound, and how much of the zone "
            "was observed.",
            style_zones,
            table="zones",
            expanded=True,
            made=_has_zones,
        ),
        Role(
            "polygons",
            "flood.gpkg",
            "Water polygons",
            "Outlines of water by class with geodesic area and mean water probability.",
            style_polygons,
            table="polygons",
        ),
        Role(
            "flood",
            "flood.tif",
            "Flood",
            "Water and flood by class: 1 reference water (permanent, or before the event), 2 flood, 3 water where no "
            "reference tells flood from permanent water, 254 valid input that was set aside, 0 dry land, 255 not "
            "observed.",
            style_flood,
            expanded=True,
        ),
        Role(
            "probability",
            "water_probability.tif",
            "Water probability",
            "Probability of open water in per cent (0–100); no value where the input was not valid or was set aside. "
            "It comes before growing and the removal of small areas.",
            style_probability,
            visible=False,
        ),
        Role(
            "excluded",
            "excluded.tif",
            "Set aside, by reason",
            "Why valid input was set aside: 1 radar shadow, 2 steep slope, 3 high above drainage, 4 outside the area "
            "of interest.",
            style_excluded,
            visible=False,
        ),
    ),
)
