"""What a land-cover change is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LandcoverChangeRequest(BaseModel):
    """Parameters of ``engine landcover-change``; the field descriptions are its help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    map_a: str = Field(description="Land-cover map of the earlier date: landcover.tif, or any raster of class codes.")
    map_b: str = Field(description="Land-cover map of the later date; any grid that overlaps MAP_A.")
    out: str = Field(description="Folder for the results; made if absent.")
    legend: str | None = Field(
        None,
        description="Legend that both maps are brought to: worldcover, dfc2020, dynamic-world, esri-lulc or a JSON "
        "file; default: the legend that the maps name, worldcover where they name none.",
    )
    aoi: str | None = Field(None, description="Area of interest: a vector file, or W,S,E,N in degrees (EPSG:4326).")
    zones: str | None = Field(None, description="Polygons (for example districts) to report change by.")
    zone_field: str | None = Field(None, description="Field of ZONES that identifies a zone; default: the feature id.")
    min_area: float = Field(
        0.0, ge=0, description="Patches of change smaller than this (m²) count as no change; 0: every pixel counts."
    )
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")
