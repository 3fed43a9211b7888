"""What the jobs of ``engine locate`` are asked; the field descriptions are the help texts of the commands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.crossview.tile_options import TileOptions as _Tiles

_DEVICE = "auto, cpu, cuda, cuda:N or mps."
Heading = Annotated[float, Field(ge=-360, le=360)]
Degrees = Annotated[float, Field(gt=0, le=360)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocateIndexRequest(_Tiles):
    """Parameters of ``engine locate index``."""

    reference: str = Field(
        description="Imagery seen from above: a raster file, a VRT, or the address of map tiles with {z}, {x} and {y} "
        "(or {-y}), http, https or a folder."
    )
    region: str = Field(description="Where to search: polygons in any vector file, or W,S,E,N in degrees (EPSG:4326).")
    out: str = Field(description="Folder of the index; made if absent.")
    method: str = Field(
        "auto",
        description="How cells are described: geometric (no training), the name or folder of a cross-view model, fused "
        "(both), or auto: fused where the starter model is installed.",
    )
    cell: Annotated[float, Field(ge=5, le=1000)] | None = Field(
        None, description="Metres between cells; default: 30, 20 for the starter model and fused, 10 for geometric."
    )
    scales: str | None = Field(
        None, description="Metres a pixel of the crops, for example 0.2,0.4; default: those that the method wants."
    )
    precision: Literal["float16", "float32"] = Field("float16", description="How embeddings are kept.")
    imagery_date: str | None = Field(None, description="Date of the imagery; default: what the file says.")
    attribution: str | None = Field(None, description="Whom the imagery's licence asks to name; kept and shown.")
    max_tiles: int = Field(
        50_000, ge=1, description="Refuse a region that needs more tiles than this: providers limit bulk downloads."
    )
    memory: float = Field(0.4, ge=0.05, le=1000, description="Gigabytes of imagery that are kept decoded.")
    update: bool = Field(False, description="Add the region's cells that an index in OUT does not have yet.")
    overwrite: bool = Field(False, description="Replace an index that is in OUT already.")
    device: str = Field("auto", description=_DEVICE)


class LocatePlanRequest(_Request):
    """Parameters of ``engine locate plan``."""

    reference: str | None = Field(
        None,
        description="Imagery as for the index. Without it, it is told what imagery the method needs there.",
    )
    region: str = Field(description="Where to search: polygons in any vector file, or W,S,E,N in degrees (EPSG:4326).")
    index: str | None = Field(None, description="An index that would be added to: its cells are not counted again.")
    method: str = Field("auto", description="How cells would be described: auto, geometric, fused or a model.")
    cell: Annotated[float, Field(ge=5, le=1000)] | None = Field(
        None, description="Metres between cells; default: 30, 20 for the starter model and fused, 10 for geometric."
    )
    scales: str | None = Field(
        None, description="Metres a pixel of the crops, for example 0.2,0.4; default: those that the method wants."
    )
    precision: Literal["float16", "float32"] = Field("float16", description="How embeddings would be kept.")
    attribution: str | None = Field(None, description="Whom the imagery's licence asks to name.")
    tms: bool = Field(False, description="Rows of the tiles count from the south though the address says {y}.")
    max_zoom: int | None = Field(None, ge=0, le=24, description="Highest zoom that the tile server has; default 19.")
    per_second: float = Field(10.0, gt=0, le=1000, description="Most tiles a second that would be asked for.")
    max_tiles: int = Field(50_000, ge=1, description="A region that needs more tiles than this is called too large.")


class PhotosRequest(_Tiles):
    """Options of the commands that read photos."""

    index: str = Field(description="Folder of an index made by 'engine locate index'.")
    panorama: list[str] = Field(
        min_length=1, description="Panoramas (equirectangular, 360°) or photos; JPEG, PNG, TIFF, WebP."
    )
    method: str = Field(
        "auto", description="auto (what the index was made with), geometric, fused, or the model's name."
    )
    hfov: Degrees | None = Field(None, description="Degrees across of a panorama strip, where the file does not tell.")
    vfov: Annotated[float, Field(gt=0, le=180)] | None = Field(
        None, description="Degrees from top to bottom, likewise."
    )
    reference: str | None = Field(
        None, description="Imagery for verification and report; default: what the index was made from."
    )
    search: Literal["auto", "exact", "hnsw", "ivfpq"] = Field(
        "auto", description="How the nearest embeddings are found: exact, or approximately in large indexes."
    )
    inside: float = Field(
        0.5,
        gt=0,
        le=1,
        description="How likely it is before the search that a photo was taken in the region: 1 where it is certain.",
    )
    verify: int = Field(100, ge=0, le=5000, description="Candidates that are verified against the imagery.")
    device: str = Field("auto", description=_DEVICE)


class LocateSearchRequest(PhotosRequest):
    """Parameters of ``engine locate search``."""

    out: str = Field(description="Folder for candidates.gpkg, heat maps, report.html and result.json; made if absent.")
    heading: Heading | None = Field(
        None, description="Compass direction of the photo's centre, where it is known and the file does not tell."
    )
    heading_tolerance: float = Field(
        15.0, gt=0, le=180, description="Degrees by which a known heading may be wrong (compasses in cars are)."
    )
    ignore_heading: bool = Field(False, description="Search as if the photos' files told no heading.")
    sequence: bool = Field(
        False, description="The photos belong together (a drive): search them jointly by their positions apart."
    )
    track: str | None = Field(
        None,
        description="Table photo,east_m,north_m of a sequence; default: positions in the photos' files, apart only.",
    )
    top: int = Field(20, ge=1, le=1000, description="Candidates of each photo that are written.")
    check: bool = Field(False, description="Check the index's digests before the search.")
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")


class LocateScoreRequest(PhotosRequest):
    """Parameters of ``engine locate score``."""

    at: list[str] = Field(min_length=1, max_length=1000, description="Places, each as LON,LAT in degrees (EPSG:4326).")
    turned: Heading | None = Field(
        None, description="Compass direction of the photo's centre that a person gave: score the photo turned so, too."
    )
    heading: Heading | None = Field(
        None, description="Compass direction of the photo's centre that the search was told, if it was."
    )
    heading_tolerance: float = Field(15.0, gt=0, le=180, description="Degrees by which that heading may be wrong.")
    results: str | None = Field(
        None, description="Results of a search for the photo: the rank and probability of the places among its own."
    )


class LocateEvaluateRequest(PhotosRequest):
    """Parameters of ``engine locate evaluate``."""

    out: str = Field(description="Folder for report.html, queries.csv and result.json; made if absent.")
    positions: str | None = Field(
        None, description="Table photo,lon,lat,heading_deg of the photos; default: what their files say."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the angle by which each 360° panorama is rolled first.")
    top: int = Field(100, ge=1, le=10_000, description="Candidates of each photo that are scored.")
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")
