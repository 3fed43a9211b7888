"""What a simulated scene is made from: the one request that command line, worker and tests fill."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Product = Literal["s1", "s2", "landcover", "dem", "water", "truth", "labels", "vectors"]
PRODUCTS: tuple[Product, ...] = ("s1", "s2", "landcover", "dem", "water", "truth", "labels", "vectors")
Share = Annotated[float, Field(ge=0, le=0.9)]


class SceneSettings(BaseModel):
    """What a simulated scene looks like; the field descriptions are help texts. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, ge=0, lt=2**63, description="The same seed and parameters give the same pixels.")
    width: int = Field(1024, ge=64, le=200_000, description="Columns of the scene.")
    height: int = Field(1024, ge=64, le=200_000, description="Rows of the scene.")
    gsd: float = Field(10.0, gt=0.1, le=100, description="Ground sampling distance in metres.")
    crs: str = Field(
        "EPSG:32633",
        description="CRS of the scene, projected or geographic; the scene lies in the middle of its area of use.",
    )
    flood: float = Field(
        2.5, ge=0, le=20, description="How far the rivers rise above their banks, in metres; 0 is no flood."
    )
    clouds: Share = Field(0.0, description="Share of the optical image under clouds, 0 to 0.9.")
    wind: Share = Field(0.1, description="Share of the water that wind roughens (bright in VV), 0 to 0.9.")
    looks: float = Field(
        4.4, ge=1, le=500, description="Equivalent number of looks of the speckle; 4.4 is that of Sentinel-1 GRD."
    )
    relief: float = Field(
        250.0,
        ge=0,
        le=3000,
        description="Height of the hills above the valleys in metres; steep hills cast radar shadow.",
    )
    towns: bool = Field(True, description="Build towns, airstrips and their bright echoes.")
    lookalikes: bool = Field(True, description="Lay out dune fields and airstrips: dark to radar and no water.")
    wet_fields: Share = Field(
        0.0, description="Share of the fields under water by themselves, away from rivers: rice, ponds, rain on clay."
    )
    bright_fields: Share = Field(
        0.0, description="Share of the fields under greenhouses and halls: smooth and bright to radar."
    )
    border: bool = Field(False, description="Leave a slanted edge of nodata, like the edge of a real swath.")
    observed_at: str = Field(
        "2021-06-17T05:27:41Z", description="Acquisition time written to the scene after the event (ISO 8601)."
    )
    before_observed_at: str | None = Field(
        None, description="Acquisition time of the scene before the event; default: 12 days earlier."
    )
    products: str = Field(
        "all", description=f"Which files to make: all, or names divided by commas: {', '.join(PRODUCTS)}."
    )

    @field_validator("products")
    @classmethod
    def _known_products(cls, value: str) -> str:
        names = [n for n in re.split(r"[\s,]+", value.strip().lower()) if n]
        unknown = sorted(set(names) - {*PRODUCTS, "all"})
        if unknown or not names:
            raise ValueError(f"unknown product {', '.join(unknown) or '(none)'}; known are all, {', '.join(PRODUCTS)}")
        return "all" if "all" in names else ",".join(p for p in PRODUCTS if p in names)

    @field_validator("observed_at", "before_observed_at")
    @classmethod
    def _is_time(cls, value: str | None) -> str | None:
        if value is not None:
            parse_time(value)
        return value

    @model_validator(mode="after")
    def _in_order(self) -> SceneSettings:
        if self.before_observed_at is not None and self.before_time >= parse_time(self.observed_at):
            raise ValueError("before_observed_at must be earlier than observed_at")
        return self

    @property
    def makes(self) -> frozenset[str]:
        """The names of the products to make."""
        return frozenset(PRODUCTS) if self.products == "all" else frozenset(self.products.split(","))

    @property
    def before_time(self) -> datetime:
        """Acquisition time of the scene before the event."""
        if self.before_observed_at is not None:
            return parse_time(self.before_observed_at)
        return parse_time(self.observed_at) - timedelta(days=12)


class SceneRequest(SceneSettings):
    """Parameters of ``engine simulate scene``."""

    out: str = Field(description="Folder for the results; made if absent.")
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")


def parse_time(text: str) -> datetime:
    """The UTC time of an ISO 8601 text (a date alone is midnight, no zone is UTC); ValueError where it is none."""
    from datetime import timezone

    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise ValueError(f"{text!r} is not an ISO 8601 time such as 2021-06-17T05:27:41Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)
