"""What the codes of a map are called: by a legend that is given, one that the file names, or names in the file."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.errors import ParameterError
from engine.legends import NOT_OBSERVED, UNKNOWN, Legend, find_legend
from engine.raster.classes import Color, file_classes
from engine.raster.read import Raster

LEGEND_TAG = "SAMESCENE_LEGEND"
DEFAULT_LEGEND = "worldcover"
_NO_CLASS = ("unknown", "not observed", "no data", "nodata", "unclassified", "set aside", "not comparable")


@dataclass(frozen=True)
class Naming:
    """Names and colours of codes; ``legend`` where they come from one."""

    legend: Legend | None = None
    names: dict[int, str] = field(default_factory=dict)
    colors: dict[int, Color] = field(default_factory=dict)

    def name(self, code: int) -> str:
        """The code's name; "class CODE" where it has none."""
        return self.names.get(code) or f"class {code}"

    def color(self, code: int) -> Color:
        """The code's colour; one of its own where none is given."""
        if code in self.colors:
            return self.colors[code]
        red, green, blue = colorsys.hsv_to_rgb((code * 0.61803398875) % 1.0, 0.55, 0.85)
        return round(255 * red), round(255 * green), round(255 * blue), 255

    def says_nothing(self, code: int) -> bool:
        """Is the code no class but "unknown", "not observed", "set aside" or the like?"""
        if self.legend is not None and code not in self.names:
            return code in known_codes(self.legend)  # such as cloud in a legend that has no class for it
        return self.names.get(code, "").strip().lower().startswith(_NO_CLASS)

    @property
    def no_classes(self) -> frozenset[int]:
        """Codes of which :meth:`says_nothing` is true."""
        listed = {*self.names, *(known_codes(self.legend) if self.legend is not None else ())}
        return frozenset(code for code in listed if self.says_nothing(code))

    def fitted(self, codes: Iterable[int]) -> Naming:
        """This naming; where it has no names and all ``codes`` are codes of ESA WorldCover, that legend."""
        if self.names:
            return self
        return of_legend(find_legend(DEFAULT_LEGEND)) if fits(find_legend(DEFAULT_LEGEND), codes) else self


def of_legend(legend: Legend) -> Naming:
    """Names and colours of a legend."""
    return Naming(legend, legend.names, legend.colors)


def fits(legend: Legend, codes: Iterable[int]) -> bool:
    """Are all ``codes`` known to the legend?"""
    return set(codes) <= known_codes(legend)


def known_codes(legend: Legend) -> frozenset[int]:
    """The legend's classes, unknown, not observed, and codes that its mappings know though they are no class."""
    return frozenset({UNKNOWN, NOT_OBSERVED, *legend.codes, *(code for to in legend.to.values() for code in to)})


def named_legend(raster: Raster) -> Legend | None:
    """The legend that the file names in its tag SAMESCENE_LEGEND, if there is one of that name."""
    name = raster.tags.get(LEGEND_TAG)
    if not name:
        return None
    try:
        return find_legend(name)
    except ParameterError:
        return None  # one of another machine: the names stand in the file


def naming_of(raster: Raster, given: str | None = None) -> Naming:
    """The naming of a map's codes: ``given`` (name or file of a legend), else the file's legend, else its own names.

    Raises ParameterError for a given legend that does not exist.
    """
    legend = find_legend(given) if given is not None else named_legend(raster)
    if legend is not None:
        return of_legend(legend)
    found = file_classes(raster.path)
    names = {code: name for code, name in found.names.items() if name}
    return Naming(None, names, found.colors)
