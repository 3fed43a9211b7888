"""What a flood map is made from: the one request that command line, worker, QGIS and Dask fill."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from engine.sensors import Unit

Percent = Annotated[int, Field(ge=1, le=99)]


class FloodRequest(BaseModel):
    """Parameters of ``engine flood``; the field descriptions are its help texts. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    post: str = Field(
        description="Sentinel-1 scene during or after the event: a raster file, VRT or http(s) address with bands VV "
        "and VH (either alone is enough); or, with a model for it, a Sentinel-2 image with named bands."
    )
    out: str = Field(description="Folder for the results; made if absent.")
    before: str | None = Field(
        None,
        description="Scene before the event, of the same sensor and best of the same relative orbit; any grid that "
        "overlaps POST.",
    )
    s2: str | None = Field(
        None, description="Sentinel-2 image beside a Sentinel-1 POST, for models that map from both; any grid."
    )
    scl: str | None = Field(
        None,
        description="Scene classification (SCL) of the Sentinel-2 image (POST or --s2): what it calls cloud or cloud "
        "shadow is not mapped from that image; default: no cloud mask.",
    )
    reference_water: str | None = Field(
        None, description="Raster of permanent water: 1 water, 0 land, or per cent occurrence (50 and more is water)."
    )
    dem: str | None = Field(
        None, description="Digital elevation model in metres: slope, and height above drainage unless --hand is given."
    )
    hand: str | None = Field(None, description="Raster of height above nearest drainage in metres.")
    aoi: str | None = Field(None, description="Area of interest: a vector file, or W,S,E,N in degrees (EPSG:4326).")
    zones: str | None = Field(None, description="Polygons (for example districts) to report flooded area by.")
    zone_field: str | None = Field(None, description="Field of ZONES that identifies a zone; default: the feature id.")
    method: str = Field(
        "auto",
        description="auto, threshold, a model (a name from 'engine models list' or a folder), or threshold+MODEL: "
        "both together.",
    )
    units: Unit | None = Field(
        None,
        description="Unit of Sentinel-1 POST and BEFORE: db, power or amplitude; default: found from metadata and "
        "values, refused when unclear.",
    )
    bands: str | None = Field(
        None, description="Band numbers where names are missing, for example VV=1,VH=2 or B03=2,B08=4."
    )
    probability: Percent = Field(50, description="Water where the probability is at least this per cent.")
    min_area: float = Field(2000.0, ge=0, description="Smallest water body kept, in square metres.")
    max_hand: float = Field(
        15.0, gt=0, description="Water higher above the nearest drainage than this (m) is set aside."
    )
    max_slope: float = Field(5.0, gt=0, le=90, description="Water on slopes steeper than this (degrees) is set aside.")
    observed_at: str | None = Field(
        None, description="Acquisition time of POST (ISO 8601) where the file does not tell."
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps; used by models.")
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")
