"""What a land-cover map is made from: the one request that command line, worker, QGIS and Dask fill."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.sensors import Unit

Percent = Annotated[int, Field(ge=0, le=99)]


class LandcoverRequest(BaseModel):
    """Parameters of ``engine landcover``; the field descriptions are its help texts. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scene: tuple[str, ...] = Field(
        min_length=1,
        description="Sentinel-2 image (Level-1C or 2A, named bands), Sentinel-1 scene (VV, VH), or both; the bands of "
        "one sensor may lie in several files of one date. Raster files, VRTs or http(s) addresses.",
    )
    out: str = Field(description="Folder for the results; made if absent.")
    scl: str | None = Field(
        None,
        description="Scene classification (SCL) of the Sentinel-2 image: cloud and cloud shadow become unknown; "
        "default: thick cloud by a simple test of brightness.",
    )
    aoi: str | None = Field(None, description="Area of interest: a vector file, or W,S,E,N in degrees (EPSG:4326).")
    zones: str | None = Field(None, description="Polygons (for example districts) to report areas of classes by.")
    zone_field: str | None = Field(None, description="Field of ZONES that identifies a zone; default: the feature id.")
    model: str = Field("auto", description="auto, or a model: a name from 'engine models list' or a folder.")
    legend: str | None = Field(
        None,
        description="Legend of the map: worldcover, dfc2020, dynamic-world, esri-lulc or a JSON file; default: the "
        "model's own.",
    )
    unknown_below: Percent | None = Field(
        None, description="Unknown where the confidence is below this per cent; default: the model's own threshold."
    )
    min_area: float = Field(
        1000.0,
        ge=0,
        description="Minimum mapping unit in square metres: smaller patches go to their neighbours; 0: none.",
    )
    units: Unit | None = Field(
        None,
        description="Unit of Sentinel-1: db, power or amplitude; default: found from metadata and values, refused "
        "when unclear.",
    )
    bands: str | None = Field(
        None, description="Band numbers where names are missing, for example B02=1,B03=2,B04=3,B08=4 or VV=1,VH=2."
    )
    observed_at: str | None = Field(None, description="Acquisition time (ISO 8601) where the files do not tell.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")

    @field_validator("scene", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value
