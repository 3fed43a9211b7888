"""What a land-cover map in another legend is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LandcoverLegendRequest(BaseModel):
    """Parameters of ``engine landcover-legend``; the field descriptions are its help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    map: str = Field(description="Land-cover map: landcover.tif, or any raster of class codes from 0 to 254.")
    out: str = Field(description="Folder for the results; made if absent.")
    legend: str | None = Field(
        None,
        description="Legend of the new map: worldcover, dfc2020, dynamic-world, esri-lulc or a JSON file; default: the "
        "map's own.",
    )
    source_legend: str | None = Field(
        None, description="Legend that MAP is in; default: the one that it names, worldcover where its codes fit."
    )
    merge: str | None = Field(
        None, description="Classes to merge, in codes of the new map, for example 20+30=30,90+95=90."
    )
    mapping: str | None = Field(
        None,
        description='JSON file with new codes by code of MAP, for example {"1": 10, "2": 10, "3": 0}, instead of the '
        "mapping that the legends have; 0 is unknown.",
    )
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")
