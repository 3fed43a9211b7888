"""One legend for two maps: which it is, and what the codes of each map are in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import ParameterError
from engine.legends import NOT_OBSERVED, UNKNOWN, Legend, find_legend, lookup_table
from engine.mapping.landcover.naming import (
    DEFAULT_LEGEND,
    Naming,
    fits,
    known_codes,
    named_legend,
    naming_of,
    of_legend,
)
from engine.raster.read import Raster

U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class CommonLegend:
    """``naming`` of the common codes; ``tables``: for each map (256,) uint8 from its codes to them, 255 for what is no
    class (unknown, not observed). ``notes``: what was brought from where."""

    naming: Naming
    tables: tuple[U8, U8]
    notes: tuple[str, ...] = ()


def common_legend(rasters: tuple[Raster, Raster], codes: tuple[set[int], set[int]], given: str | None) -> CommonLegend:
    """The legend that both maps are brought to.

    ``given`` (name or file) if there is one; else the legend that the files name (the first map's where they differ);
    else ESA WorldCover where all codes are its classes; else the codes as they are, with the names in the files.
    ``codes``: those found in each map. Raises ParameterError where a map cannot be brought there.
    """
    own = named_legend(rasters[0]), named_legend(rasters[1])
    target = find_legend(given) if given is not None else _of_files(own)
    if target is None:
        named = naming_of(rasters[0]), naming_of(rasters[1])
        if not (named[0].names or named[1].names) and fits(find_legend(DEFAULT_LEGEND), codes[0] | codes[1]):
            target = find_legend(DEFAULT_LEGEND)
        else:
            _require_same_names(rasters, named, codes[0] & codes[1])
            naming = Naming(None, {**named[1].names, **named[0].names}, {**named[1].colors, **named[0].colors})
            table = np.arange(256, dtype=np.uint8)
            for code in range(256):
                if naming.says_nothing(code):
                    table[code] = NOT_OBSERVED
            return CommonLegend(naming, (table, table))
    tables, notes = [], []
    for raster, legend, found in zip(rasters, own, codes, strict=True):
        source = legend or _assumed(raster, found, target)
        if source.name != target.name:
            notes.append(f"{raster.path}: brought from the legend {source.name} to {target.name}.")
        strange = sorted(found - known_codes(source))
        if strange:
            raise ParameterError(
                f"{raster.path}: the codes {_listed(strange)} are no classes of the legend {source.name}.",
                remedy="Give a legend file of your own with --legend.",
            )
        tables.append(class_table(source.mapping_to(target)))
    return CommonLegend(of_legend(target), (tables[0], tables[1]), tuple(notes))


def class_table(mapping: dict[int, int]) -> U8:
    """(256,) uint8 code → code; 255 for what is unknown there, not observed, or not in the mapping."""
    table = lookup_table(mapping)
    table[table == UNKNOWN] = NOT_OBSERVED
    return table


def _require_same_names(rasters: tuple[Raster, Raster], named: tuple[Naming, Naming], codes: set[int]) -> None:
    """Maps without a known legend are compared code by code: a code must have one name."""
    for code in sorted(codes):
        one, other = (naming.names.get(code, "").strip().lower() for naming in named)
        if one and other and one != other:
            raise ParameterError(
                f"Code {code} is {named[0].names[code]!r} in {rasters[0].path} and {named[1].names[code]!r} in "
                f"{rasters[1].path}.",
                remedy="Bring both to one legend first with 'engine landcover-legend --mapping'.",
            )


def _of_files(own: tuple[Legend | None, Legend | None]) -> Legend | None:
    first, second = own
    if first is None or second is None or first.name == second.name:
        return first or second
    try:
        second.mapping_to(first)
    except ParameterError:
        first.mapping_to(second)  # its error is the one to tell
        return second
    return first


def _assumed(raster: Raster, codes: Iterable[int], target: Legend) -> Legend:
    """The legend of a map that names none: the target where its codes fit, else ESA WorldCover."""
    found = set(codes)
    candidates = {legend.name: legend for legend in (target, find_legend(DEFAULT_LEGEND))}
    for legend in candidates.values():
        if fits(legend, found):
            return legend
    raise ParameterError(
        f"{raster.path}: names no legend, and its codes {_listed(sorted(found - {NOT_OBSERVED}))} are not those of "
        f"{' or '.join(candidates)}.",
        remedy="Bring it to that legend first with 'engine landcover-legend', or give a legend file with --legend.",
    )


def _listed(codes: list[int]) -> str:
    return ", ".join(map(str, codes[:12])) + (f" and {len(codes) - 12} more" if len(codes) > 12 else "")
