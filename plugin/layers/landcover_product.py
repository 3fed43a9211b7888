"""The layers of a land-cover map."""

from __future__ import annotations

from .landcover_styles import style_areas, style_confidence, style_landcover, style_zones
from .product import Product, Result, Role


def _has_zones(result: Result) -> bool:
    return bool(result.get("figures", {}).get("zones"))


_MAP = Role(
    "landcover",
    "landcover.tif",
    "Land cover",
    "Land cover by class codes of the legend that the file names; 0 unknown (cloud, or less sure than the threshold), "
    "255 not observed.",
    style_landcover,
    expanded=True,
)

LANDCOVER_PRODUCT = Product(
    job="landcover",
    title="Land cover",
    topic="imageryBaseMapsEarthCover",
    keywords=("land cover",),
    roles=(
        Role(
            "zones",
            "landcover.gpkg",
            "Land cover by zone",
            "Area of each class in each zone, and how much of the zone was observed.",
            style_zones,
            table="zones",
            expanded=True,
            made=_has_zones,
        ),
        _MAP,
        Role(
            "confidence",
            "confidence.tif",
            "Confidence",
            "How sure the model is of the class, in per cent, calibrated on validation data; no value where nothing "
            "was observed.",
            style_confidence,
            visible=False,
        ),
        Role(
            "areas",
            "landcover.gpkg",
            "Area by class",
            "Geodesic area, share and mean confidence of each class as mapped; not adjusted for the map's errors.",
            style_areas,
            table="classes",
            visible=False,
        ),
    ),
)

LEGEND_PRODUCT = Product(
    job="landcover-legend",
    title="Land cover",
    topic="imageryBaseMapsEarthCover",
    keywords=("land cover", "legend"),
    attributed=False,
    roles=(_MAP,),
)
