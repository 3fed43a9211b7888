"""The layers of a change between two land-cover maps."""

from __future__ import annotations

from .change_styles import style_change, style_matrix, style_zones
from .product import Product, Result, Role


def _has_zones(result: Result) -> bool:
    return bool(result.get("figures", {}).get("zones"))


CHANGE_PRODUCT = Product(
    job="landcover-change",
    title="Land-cover change",
    topic="imageryBaseMapsEarthCover",
    keywords=("land cover", "change"),
    attributed=False,
    roles=(
        Role(
            "zones",
            "change.gpkg",
            "Change by zone",
            "Area that changed in each zone, by what became what.",
            style_zones,
            table="zones",
            expanded=True,
            made=_has_zones,
        ),
        Role(
            "change",
            "change.tif",
            "Land-cover change",
            "What became what between two maps; no change is claimed where either map is unknown or not observed.",
            style_change,
            expanded=True,
        ),
        Role(
            "matrix",
            "change.gpkg",
            "Change matrix",
            "Geodesic area of each pair of classes before and after, what stayed included; as mapped, not adjusted for "
            "the errors of the maps.",
            style_matrix,
            table="matrix",
            visible=False,
        ),
    ),
)
