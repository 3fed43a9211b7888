"""Legends of land-cover maps: class codes with names, colours and definitions, and what they are in other legends.

A legend is a JSON file: ``name``, ``title``, ``source``, ``classes`` (``code`` 1…254, ``name``, ``color`` as
``#rrggbb``, ``definition``), ``to`` (name of another legend → code here → code there, 0 where there is none) and
``notes`` that say what a mapping gives up. 0 is unknown and 255 is not observed in every legend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.errors import ParameterError
from engine.resources import resource_folders

UNKNOWN, NOT_OBSERVED = 0, 255
UNKNOWN_NAME, NOT_OBSERVED_NAME = "unknown", "not observed"
UNKNOWN_COLOR = (96, 96, 96, 255)

Code = Annotated[int, Field(ge=1, le=254)]
U8 = NDArray[np.uint8]


class LegendClass(BaseModel):
    """One class of a legend."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Code
    name: Annotated[str, Field(min_length=1)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
    definition: str = ""

    @property
    def rgba(self) -> tuple[int, int, int, int]:
        """The colour, 0…255 each, opaque."""
        red, green, blue = (int(self.color[i : i + 2], 16) for i in (1, 3, 5))
        return red, green, blue, 255


class Legend(BaseModel):
    """A legend; ``classes`` in its own order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: Annotated[str, Field(min_length=1)]
    title: Annotated[str, Field(min_length=1)]
    source: str = ""
    classes: Annotated[tuple[LegendClass, ...], Field(min_length=1)]
    to: dict[str, dict[int, Annotated[int, Field(ge=0, le=254)]]] = {}
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _different(self) -> Legend:
        codes = [one.code for one in self.classes]
        if len(set(codes)) != len(codes):
            raise ValueError(f"class codes stand more than once: {codes}")
        return self

    @property
    def codes(self) -> tuple[int, ...]:
        """Codes of the classes, in the legend's order."""
        return tuple(one.code for one in self.classes)

    @property
    def names(self) -> dict[int, str]:
        """Code → name, with unknown and not observed."""
        own = {one.code: one.name for one in self.classes}
        return {UNKNOWN: UNKNOWN_NAME, **own, NOT_OBSERVED: NOT_OBSERVED_NAME}

    @property
    def colors(self) -> dict[int, tuple[int, int, int, int]]:
        """Code → red, green, blue, alpha, with unknown (grey) and not observed (transparent)."""
        own = {one.code: one.rgba for one in self.classes}
        return {UNKNOWN: UNKNOWN_COLOR, **own, NOT_OBSERVED: (0, 0, 0, 0)}

    def mapping_to(self, other: Legend) -> dict[int, int]:
        """Code here → code there, for every class and code named in the mapping; the same legend maps to itself.

        Raises ParameterError where no mapping is written down, or it leaves a class out.
        """
        if other.name == self.name:
            return {code: code for code in self.codes}
        given = self.to.get(other.name)
        if given is None:
            raise ParameterError(
                f"There is no mapping from the legend {self.name} to {other.name}; there are mappings to "
                f"{', '.join(self.to) or 'none'}.",
                remedy="Write one under 'to' in a legend file of your own.",
            )
        missing = [code for code in self.codes if code not in given]
        strange = sorted(set(given.values()) - {UNKNOWN, *other.codes})
        if missing or strange:
            what = f"says nothing of {missing}" if missing else f"gives {strange}, which {other.name} does not have"
            raise ParameterError(f"The mapping from the legend {self.name} to {other.name} {what}.")
        return dict(given)


def lookup_table(mapping: Mapping[int, int]) -> U8:
    """(256,) uint8: code → code; codes that ``mapping`` does not name become unknown, not observed stays."""
    table = np.full(256, UNKNOWN, np.uint8)
    for code, value in mapping.items():
        table[code] = value
    table[NOT_OBSERVED] = NOT_OBSERVED
    return table


def legend_folders() -> list[Path]:
    """Where legends lie: ``resources/legends`` beside the engine, then that of the Python environment."""
    return resource_folders("legends")


def list_legends() -> dict[str, Path]:
    """Name → file of the legends that ship, sorted."""
    found: dict[str, Path] = {}
    for folder in legend_folders():
        if folder.is_dir():
            for path in sorted(folder.glob("*.json")):
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def find_legend(name_or_path: str) -> Legend:
    """The legend of that name, or of a JSON file. Raises ParameterError: unknown (names are listed), or not valid."""
    known = list_legends()
    path = known.get(name_or_path, Path(name_or_path).expanduser())
    try:
        return Legend.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        if name_or_path not in known and not path.suffix:
            raise ParameterError(
                f"There is no legend {name_or_path!r}; there are {', '.join(known)}.",
                remedy="Give one of these names, or a JSON file.",
            ) from error
        why = getattr(error, "strerror", None) or error
        raise ParameterError(f"{path}: the legend cannot be read ({why}).", remedy="Check the path.") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "file"
        raise ParameterError(
            f"{path}: not a legend: {where}: {fault['msg']}.", remedy="See resources/legends for examples."
        ) from error
