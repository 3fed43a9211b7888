"""What an evaluation of flood maps is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.mapping.flood.chips import Sensors
from engine.mapping.flood.request import Percent
from engine.sensors import Unit


class EvaluateFloodRequest(BaseModel):
    """Parameters of ``engine evaluate flood``; the field descriptions are its help texts; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        description="Folder of NAME_S1.tif (VV, VH) or NAME_S2.tif (named bands) with NAME_label.tif (1 water, 0 dry, "
        "-1 ignore), searched through its sub-folders; or KIND:PATH[@SPLIT] with KIND folder or sen1floods11."
    )
    out: str | None = Field(None, description="JSON file for the figures; replaced if it exists.")
    sensors: Sensors | None = Field(
        None, description="Sensors to map from, s2 and both by a model for them; default: s1 where _S1 exists."
    )
    method: str = Field(
        "auto", description="auto, threshold, or a model: a name from 'engine models list' or a folder."
    )
    probability: Percent = Field(50, description="Water where the probability is at least this per cent.")
    min_area: float = Field(2000.0, ge=0, description="Smallest water body kept, in square metres.")
    units: Unit | None = Field(
        None, description="Unit of the chips: db, power or amplitude; default: found, or refused."
    )
    bands: str | None = Field(
        None, description="Band numbers where names are missing, for example VV=1,VH=2 or B03=2,B08=4."
    )
    compare: bool = Field(
        False,
        description="Score plain thresholds beside it: global Otsu and fixed ones (-15 dB VV, -21 dB VH), of "
        "Sentinel-2 the indices NDWI and MNDWI by Otsu and at 0.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps; used by models.")
