"""design.json: how a sample was drawn, and what stands apart from the points so that the labeller does not see it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import DamagedFileError, MissingFileError

DESIGN_FILE, POINTS_FILE = "design.json", "points.gpkg"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileFact(_Strict):
    """A file as it was when the sample was drawn."""

    path: str
    sha256: str | None = None


class ClassFact(_Strict):
    """A class that may stand in a label: ``color`` is ``#rrggbb``."""

    code: int
    name: str
    color: str
    definition: str = ""


class StratumFact(_Strict):
    """A stratum, or a class of the map, as counted; ``points`` drawn in it (None for map classes)."""

    code: int
    name: str
    pixels: int
    area_m2: float
    points: int | None = None


class PointFact(_Strict):
    """Where a point was drawn: codes of stratum and map, row and column of the map's grid."""

    point_id: int
    stratum: int
    map_class: int
    row: int
    col: int


class SampleDesign(_Strict):
    """The whole of design.json."""

    format: Literal[1] = 1
    map: FileFact
    strata_map: FileFact | None = None
    legend: str | None = None
    classes: tuple[ClassFact, ...]
    design: Literal["stratified", "simple", "systematic"]
    allocation: str
    seed: int
    excluded_codes: tuple[int, ...] = ()
    aoi: FileFact | None = None
    crs: str
    crs_wkt: str
    transform: tuple[float, float, float, float, float, float]
    total_pixels: int
    total_area_m2: float
    strata: tuple[StratumFact, ...]
    map_classes: tuple[StratumFact, ...]
    points: tuple[PointFact, ...]
    engine_version: str
    created: str

    @property
    def strata_are_classes(self) -> bool:
        """True when the strata are the map's own classes."""
        return self.strata_map is None


def read_design(path: Path) -> SampleDesign:
    """The design in a file; raises MissingFileError, or DamagedFileError when it is none."""
    try:
        return SampleDesign.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: the sample's design does not exist.", remedy="Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise DamagedFileError(f"{path}: the sample's design cannot be read ({why}).") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "file"
        raise DamagedFileError(
            f"{path}: not the design of a sample: {where}: {fault['msg']}.",
            remedy="Copy the file again as 'engine assess sample' wrote it.",
        ) from error
