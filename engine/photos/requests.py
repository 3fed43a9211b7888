"""What the jobs of ``engine photos`` are asked; the field descriptions are the help texts of the commands."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PhotoFactsRequest(_Request):
    """Parameters of ``engine photos facts``."""

    photos: list[str] = Field(
        min_length=1, description="Photos (JPEG, PNG, TIFF, WebP), or folders that are searched for them."
    )
    recursive: bool = Field(True, description="Search the sub-folders of folders too.")
    thumbnails: str | None = Field(None, description="Folder for small pictures of the photos; made if absent.")
    thumbnail_size: int = Field(256, ge=32, le=2048, description="Longer side of a small picture in pixels.")
    out: str | None = Field(
        None,
        description="Folder for photos.gpkg (points of the photos whose files tell a position) and result.json; made "
        "if absent. Default: none is made.",
    )
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")


class PhotoPlaceRequest(_Request):
    """Parameters of ``engine photos place``."""

    photo: str | None = Field(None, description="JPEG photo that is copied; or name many with --table.")
    lon: Annotated[float, Field(ge=-180, le=180)] | None = Field(
        None, description="Longitude of the place in degrees, EPSG:4326."
    )
    lat: Annotated[float, Field(ge=-90, le=90)] | None = Field(
        None, description="Latitude of the place in degrees, EPSG:4326."
    )
    heading: Annotated[float, Field(ge=-360, le=360)] | None = Field(
        None, description="Compass direction of the image's middle column, clockwise from true north."
    )
    accuracy: Annotated[float, Field(gt=0, le=1_000_000)] | None = Field(
        None, description="Metres by which the place may be off; kept in the copy."
    )
    table: str | None = Field(
        None,
        description="Table photo,lon,lat and optionally heading_deg,accuracy_m: one line a photo, paths absolute or "
        "beside the table.",
    )
    out: str = Field(description="Folder for the copies; made if absent. Other files there stay.")
    overwrite: bool = Field(False, description="Replace copies of the same name in OUT. Originals are never replaced.")

    @model_validator(mode="after")
    def _one_or_many(self) -> PhotoPlaceRequest:
        alone = (self.photo, self.lon, self.lat)
        if self.table is not None:
            if any(value is not None for value in (*alone, self.heading, self.accuracy)):
                raise ValueError("give a table, or one photo with its place, not both")
        elif any(value is None for value in alone):
            raise ValueError("give a photo with lon and lat, or a table")
        return self
