"""What an accuracy assessment is made from: the sample's design, and the report on its labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

StandardError = Annotated[float, Field(gt=0, lt=0.5)]


class SampleRequest(BaseModel):
    """Parameters of ``engine assess sample``; the field descriptions are its help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    map: str = Field(description="Map to be assessed: a raster of class codes, such as landcover.tif or flood.tif.")
    out: str = Field(description="Folder for points.gpkg and design.json; made if absent.")
    design: Literal["stratified", "simple", "systematic"] = Field(
        "stratified", description="stratified by map class, simple random, or systematic with a random start."
    )
    points: int = Field(500, ge=2, le=1_000_000, description="Number of points.")
    target_se: StandardError | None = Field(
        None,
        description="Standard error of overall accuracy to aim at, for example 0.01: the number of points is computed "
        "from it and --expected (0.8 where not given) instead of --points.",
    )
    allocation: str = Field(
        "proportional",
        description="Points by stratum: proportional, equal, optimal (from --expected), or numbers such as "
        "10=75,40=75,50=50.",
    )
    min_points: int | None = Field(
        None,
        ge=0,
        description="Fewest points in a stratum of a proportional or optimal allocation; default: 50, or fewer so that "
        "no more than half of the points are shared out so.",
    )
    expected: str | None = Field(
        None,
        description="Expected user's accuracy by class for an optimal allocation or --target-se, for example "
        "10=.9,50=.7.",
    )
    strata: str | None = Field(
        None, description="Raster of strata on any grid that overlaps MAP; default: the map's own classes."
    )
    exclude: str | None = Field(
        None,
        description="Codes that are left out of the sampled area, for example 0,254, or none; default: codes that "
        "are no class, such as unknown and set aside.",
    )
    legend: str | None = Field(None, description="Legend of the map; default: the one that it names.")
    aoi: str | None = Field(None, description="Area of interest: a vector file, or W,S,E,N in degrees (EPSG:4326).")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the drawing; the same seed gives the same points.")
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")


class ReportRequest(BaseModel):
    """Parameters of ``engine assess report``; the field descriptions are its help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample: str = Field(
        description="Labelled sample: a folder of 'engine assess sample', or a layer of points (then a convenience "
        "sample, whose figures are indicative only)."
    )
    out: str = Field(description="Folder for report.html, matrix.csv, accuracy.csv, area.csv and result.json.")
    map: str | None = Field(
        None, description="Map that is assessed; default: the map that the sample was drawn for. Strata may differ."
    )
    label_field: str = Field("label", description="Field of the points that holds the reference class code, or name.")
    legend: str | None = Field(None, description="Legend for class names; default: the one that the map names.")
    confident_only: bool = Field(
        False, description="Leave out points whose field 'confident' is false, as if they were not labelled."
    )
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")
