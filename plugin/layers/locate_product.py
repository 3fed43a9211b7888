"""The layers of locating photos: the area of an index; candidates as arrows, and one heat map a photo."""

from __future__ import annotations

from .locate_styles import photo_rows, style_area, style_candidates, style_heatmap
from .product import Product, Result, Role


def heatmap_roles(result: Result) -> tuple[Role, ...]:
    """One role a photo, in the order of the photos; the first is drawn, the others would cover it."""
    made = result.get("outputs") or {}
    names = [str(row.get("photo")) for row in photo_rows(result)]
    return tuple(
        Role(
            f"heatmap_{name}",
            str(made[f"heatmap_{name}"]),
            "Heat map",
            f"How likely each cell of the index is for the photo {name}: per cent of the likeliest cell's odds, before "
            "verification. No value where no cell is.",
            style_heatmap,
            visible=name == names[0],
            label=f"Heat map – {name}",
        )
        for name in names
        if f"heatmap_{name}" in made
    )


INDEX_PRODUCT = Product(
    job="locate-index",
    title="Index",
    topic="location",
    keywords=("geolocation", "index"),
    attributed=False,
    roles=(
        Role(
            "area",
            "area.geojson",
            "Indexed area",
            "Where photos can be located with the index: the regions that it was made of.",
            style_area,
            table="area",
        ),
    ),
)

LOCATE_PRODUCT = Product(
    job="locate-search",
    title="Located",
    topic="location",
    keywords=("geolocation", "panorama"),
    attributed=False,
    roles=(
        Role(
            "candidates",
            "candidates.gpkg",
            "Candidates",
            "Places where the photos may have been taken, the likeliest first: estimated heading of the photo's middle "
            "(clockwise from true north) and calibrated probability that it was taken within radius_m. A first guess "
            "proves nothing: compare it with the photo.",
            style_candidates,
            table="candidates",
            expanded=True,
        ),
    ),
    more=heatmap_roles,
)
