"""What checking and packing of training data are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.sensors import SENSORS
from engine.training.data.items import S1_BANDS, S2_BANDS, Labels

if TYPE_CHECKING:
    from engine.training.data.dataset import Cutting
    from engine.training.data.reading import Rules

PLACE = (
    "KIND:PATH[@SPLIT] with KIND folder, ssl4eo-s12, sen12ms, bigearthnet-mm, sen1floods11, dfc2020 or simulated; "
    "without KIND a folder of NAME_S1.tif with NAME_S2.tif or NAME_label.tif, of NAME.tif with NAME_worldcover.tif, "
    "or a pairs.csv"
)
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Rules(BaseModel):
    """When an item is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_days: float = Field(30.0, ge=0, allow_inf_nan=False, description="Most days between S1 and S2 of a pair.")
    max_missing: Share = Field(0.2, description="Largest share of missing pixels (NaN, nodata) of a sensor, 0 to 1.")
    max_cloud: Share = Field(0.5, description="Largest share of S2 pixels that look like cloud, 0 to 1; 1 allows all.")

    def rules(self) -> Rules:
        """The fields as reading takes them."""
        from engine.training.data.reading import Rules  # here, so that --help needs no rasters

        cloud = None if self.max_cloud >= 1 else self.max_cloud
        return Rules(max_days=self.max_days, max_missing=self.max_missing, max_cloud=cloud)


class DataCheckRequest(_Rules):
    """Parameters of ``engine data check``; the field descriptions are its help texts; unknown ones are refused."""

    path: str = Field(description=f"{PLACE}; or a pack.")
    out: str | None = Field(None, description="JSON file for what was found; replaced if it exists.")
    limit: int | None = Field(
        None, ge=1, description="Read only this many items, evenly spread; default: every one. Finding covers all."
    )


class DataPackRequest(_Rules):
    """Parameters of ``engine data pack``; the field descriptions are its help texts; unknown ones are refused."""

    path: str = Field(description=f"{PLACE}.")
    out: str = Field(description="Folder for the pack; one that was begun with the same settings is gone on with.")
    overwrite: bool = Field(False, description="Replace a pack that is there.")
    labels: Labels = Field("flood", description="Labels that are packed where a data set has both.")
    need: Literal["any", "pairs", "labels"] = Field(
        "any", description="pairs: only items with both sensors; labels: only labelled ones."
    )
    crop: int = Field(256, ge=16, le=4096, description="Side of the squares that items are cut into, in pixels.")
    s2_bands: str = Field(
        ",".join(S2_BANDS), description="Sentinel-2 bands to keep, separated by commas; B10 is in L1C alone."
    )
    max_broken: Share = Field(0.1, description="Refuse when a larger share of the items is broken, 0 to 1.")
    workers: int = Field(2, ge=0, le=64, description="Threads that read items ahead; the pack is the same with any.")
    shard: int = Field(256, ge=1, le=65_536, description="Samples in a file of the pack.")

    @field_validator("s2_bands")
    @classmethod
    def _known(cls, value: str) -> str:
        names = [part.strip().upper() for part in value.split(",") if part.strip()]
        every = [band.name for band in SENSORS["s2"].bands]
        strange = [name for name in names if name not in every]
        if strange or not names or len(set(names)) != len(names):
            raise ValueError(f"expected different names among {', '.join(every)}")
        return ",".join(names)

    def cutting(self) -> Cutting:
        """The fields as packing takes them."""
        from engine.training.data.dataset import Cutting

        return Cutting(side=self.crop, rules=self.rules(), s1_bands=S1_BANDS, s2_bands=tuple(self.s2_bands.split(",")))
