"""What a simulated city and its pictures are made from: the one request that command line, worker and tests fill."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:  # numpy would make --help slow
    from engine.simulate.city.character import Character


class SimulateCityRequest(BaseModel):
    """Parameters of ``engine simulate city``; the field descriptions are help texts. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: str = Field(description="Folder for the results; made if absent.")
    overwrite: bool = Field(False, description="Replace results that are in OUT already.")
    seed: int = Field(0, ge=0, lt=2**63, description="The same seed and parameters give the same pictures.")
    size: float = Field(400.0, ge=60, le=5000, description="Side of the city in metres.")
    character: Literal["any", "rural", "suburb", "town", "centre"] = Field(
        "any", description="Open country to dense centre; any: drawn from the seed."
    )
    panoramas: int = Field(50, ge=0, le=1_000_000, description="How many panoramas to take on its streets.")
    heading: Literal["random", "north"] = Field(
        "random", description="Where the middle of a panorama looks: any direction, or north."
    )
    pano_size: str = Field("512x256", description="Columns x rows of a panorama.")
    vfov: float = Field(180.0, gt=5, le=180, description="Vertical field of view in degrees; CVUSA's strip is 65.45.")
    camera_height: float = Field(2.5, ge=0.5, le=30, description="Height of the camera above the street in metres.")
    overhead_gsd: float = Field(0.25, ge=0.05, le=5, description="Metres per pixel of tiles and overhead image.")
    tile_size: int = Field(256, ge=16, le=4096, description="Pixels of a side of the tile of each panorama.")
    offset: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="The camera stands up to so many metres east or north off the middle of its tile.",
    )
    same_day: bool = Field(
        False, description="Take the overhead image on the day of the panoramas: the same sun, season and cars."
    )
    samples: int = Field(2, ge=1, le=8, description="Rays along each side of a pixel; 1 is fast and rough.")
    image_format: Literal["jpg", "png"] = Field("jpg", description="Format of panoramas and tiles.")
    split: str = Field("train", description="What stands in the column 'split' of pairs.csv.")

    @field_validator("pano_size")
    @classmethod
    def _is_size(cls, value: str) -> str:
        match = re.fullmatch(r"(\d{1,5})[x×,](\d{1,5})", value.strip().lower())
        if match is None or not all(8 <= int(n) <= 16384 for n in match.groups()):
            raise ValueError("expected COLUMNSxROWS such as 512x256, each 8 to 16384")
        return f"{int(match[1])}x{int(match[2])}"

    @field_validator("split")
    @classmethod
    def _is_word(cls, value: str) -> str:
        if not re.fullmatch(r"[\w-]{1,40}", value):
            raise ValueError("expected one word such as train, val or test")
        return value

    @property
    def pano_shape(self) -> tuple[int, int]:
        """Rows and columns of a panorama."""
        width, height = self.pano_size.split("x")
        return int(height), int(width)

    @property
    def fixed_character(self) -> Character | None:
        """The character that was asked for, None where the seed decides."""
        return None if self.character == "any" else self.character
