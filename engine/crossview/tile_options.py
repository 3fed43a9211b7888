"""Options of references that are tile servers: what every request that reads a reference has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TileOptions(BaseModel):
    """How tiles are asked for and kept; the field descriptions are the help texts of the commands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tms: bool = Field(False, description="Rows of the tiles count from the south though the address says {y}.")
    max_zoom: int | None = Field(
        None, ge=0, le=24, description="Highest zoom that the tile server has; default 19, or what QGIS's address says."
    )
    tile_cache: str | None = Field(None, description="Folder where fetched tiles are kept; default: the user's cache.")
    tile_cache_gb: float = Field(2.0, gt=0, le=10_000, description="Most gigabytes of tiles that are kept.")
    connections: int = Field(2, ge=1, le=8, description="Connections to the tile server at once.")
    per_second: float = Field(10.0, gt=0, le=1000, description="Most tiles a second that are asked for.")
