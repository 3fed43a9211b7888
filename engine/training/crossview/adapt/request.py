"""What ``engine crossview adapt`` is asked; the field descriptions are the help texts of the command."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from engine.crossview.tile_options import TileOptions
from engine.models.names import PhotoEncoderName

TAKEN = ("auto", "geometric", "fused", "random", "crossview")
"""Names that mean something else where a method or a start is named; the last is that of the starter model."""
Metres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CrossviewAdaptRequest(TileOptions):
    """Parameters of ``engine crossview adapt``."""

    photos: list[str] = Field(
        min_length=1, description="Own 360° photos of the area: files, or folders of them; JPEG, PNG, TIFF, WebP."
    )
    reference: str = Field(
        description="Imagery seen from above: a raster file, a VRT, or the address of map tiles with {z}, {x} and {y}."
    )
    region: str = Field(
        description="The area to learn: polygons in any vector file, or W,S,E,N in degrees (EPSG:4326)."
    )
    out: str = Field(description="Folder for the model, its report and result.json; made if absent.")
    name: str = Field("my-area", description="Name of the model: small letters, digits, '.', '_' and '-'.")
    register_as: str | None = Field(
        None, description="Add the model to the user's own models under this name, so that 'locate' finds it by name."
    )
    start: str = Field(
        "auto",
        description="Where the weights start: the name or folder of a cross-view model, random, or auto: the starter "
        "model where it is installed, else random.",
    )
    size: Literal["small", "medium", "large"] = Field(
        "small",
        description="Network that starts at random: small for a processor, medium and large for a GPU and hundreds of "
        "photos. A model to start from keeps its own.",
    )
    encoder: PhotoEncoderName | None = Field(None, description="Encoder of that network; default: as the size says.")
    width: float | None = Field(None, gt=0, le=4, description="Factor of its channel counts; likewise.")
    steps: int | None = Field(
        None, ge=10, le=1_000_000, description="Steps of the training; default: by the number of photos, at least 250."
    )
    batch: int | None = Field(None, ge=4, le=1024, description="Photos a step; default: as the size says.")
    heading: Literal["auto", "known", "unknown"] = Field(
        "auto",
        description="Are the photos' headings to be believed? auto: where four of five photos tell one. Headings that "
        "are not known are looked for together with the tiles.",
    )
    cell: float = Field(30.0, ge=5, le=1000, description="Metres between the tiles that are cut from the imagery.")
    extent: Metres | None = Field(
        None, description="Metres from edge to edge of a tile; default: that of the model to start from, else 64."
    )
    most_tiles: int = Field(20_000, ge=24, description="Refuse a region that has more tiles than this to learn from.")
    camera_height: Metres = Field(2.5, description="Height of the camera above the ground, in metres.")
    positions: str | None = Field(
        None, description="Table photo,lon,lat,heading_deg of photos; default: what their files say."
    )
    ignore_positions: bool = Field(
        False, description="Do not read the positions in the photos' files; those of --positions alone are known."
    )
    apart: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the photos with a position that is kept out of the training, to measure what it was "
        "worth; 0: none. Positions are never learned from.",
    )
    max_tiles: int = Field(
        50_000, ge=1, description="Refuse a region that needs more map tiles than this: providers limit bulk downloads."
    )
    attribution: str | None = Field(None, description="Whom the imagery's licence asks to name; kept in the card.")
    memory: float = Field(0.4, ge=0.05, le=1000, description="Gigabytes of imagery that are kept decoded.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of weights, order and of what is kept apart.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    overwrite: bool = Field(False, description="Replace results that are in OUT, and a model of this name.")

    @field_validator("name", "register_as")
    @classmethod
    def _free_name(cls, value: str | None) -> str | None:
        if value in TAKEN:
            raise ValueError(f"{', '.join(TAKEN)} mean something else; choose another name")
        return value
