"""What an evaluation of land-cover maps is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.mapping.landcover.chips import Sensors
from engine.mapping.landcover.request import Percent
from engine.sensors import Unit


class EvaluateLandcoverRequest(BaseModel):
    """Parameters of ``engine evaluate landcover``; the field descriptions are its help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        description="Folder of NAME.tif (named bands) with NAME_worldcover.tif (ESA WorldCover codes, 0 no label), "
        "searched through its sub-folders; or KIND:PATH[@SPLIT] with KIND folder, dfc2020 or terramesh."
    )
    out: str | None = Field(None, description="JSON file for the figures; replaced if it exists.")
    model: str = Field("auto", description="auto, or a model: a name from 'engine models list' or a folder.")
    sensors: Sensors | None = Field(
        None, description="Sensors to map from where a chip has files of both; default: every file there is."
    )
    legend: str | None = Field(None, description="Legend to score in; default: that of the labels.")
    unknown_below: Percent | None = Field(
        None, description="Unknown where the confidence is below this per cent; default: the model's own threshold."
    )
    min_area: float = Field(1000.0, ge=0, description="Minimum mapping unit in square metres; 0: none.")
    units: Unit | None = Field(
        None, description="Unit of Sentinel-1: db, power or amplitude; default: found, or refused."
    )
    bands: str | None = Field(
        None, description="Band numbers where names are missing, for example B02=1,B03=2,B04=3,B08=4."
    )
    compare: bool = Field(
        False, description="Score beside it a map of one class everywhere: the most frequent one of the labels."
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
