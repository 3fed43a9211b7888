"""The job ``landcover-legend``: a land-cover map in another legend, or with classes merged, without the model."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.command_line import command_line
from engine.errors import InputError, MissingFileError, ParameterError
from engine.events import Reporter
from engine.legends import (
    NOT_OBSERVED,
    NOT_OBSERVED_NAME,
    UNKNOWN,
    UNKNOWN_COLOR,
    UNKNOWN_NAME,
    Legend,
    find_legend,
    lookup_table,
)
from engine.mapping.landcover.legend_request import LandcoverLegendRequest
from engine.mapping.landcover.naming import LEGEND_TAG, Naming, naming_of, of_legend
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.raster.area import PixelAreas
from engine.raster.classes import MISSING, CodedRaster
from engine.raster.read import Raster, open_raster
from engine.raster.write import CogWriter
from engine.result import RESULT, job_result, keep
from engine.version import VERSION

U8 = NDArray[np.uint8]


def run(request: LandcoverLegendRequest, reporter: Reporter) -> dict[str, Any]:
    """Write the map that ``request`` describes and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Opening the map")
    if request.legend is None and request.merge is None and request.mapping is None:
        raise ParameterError("Nothing is asked for.", remedy="Give --legend, --merge or --mapping.")
    with (
        ResultFolder(request.out, overwrite=request.overwrite) as results,
        open_raster(request.map, what="map") as raster,
    ):
        coded = CodedRaster(raster)
        found = _codes(coded, reporter.part(0.0, 0.3))
        table, naming = _plan(request, raster, found)
        counts, areas = np.zeros(256, np.int64), np.zeros(256)
        pixel_areas = PixelAreas(raster.grid)
        used = sorted({int(table[code]) for code in found} | {UNKNOWN, NOT_OBSERVED})
        names = {code: naming.name(code) for code in (*naming.names, *used)}
        with CogWriter(
            results.path / "landcover.tif",
            raster.grid,
            dtype="uint8",
            nodata=NOT_OBSERVED,
            band_names=["land cover"],
            colors={code: naming.color(code) for code in names},
            class_names=names,
            tags=_tags(request, raster, naming),
            overview_resampling="mode",
        ) as writer:
            for window in coded.strips():
                codes = table[_bytes(coded.read(window))]
                writer.write(window, codes)
                counts += np.bincount(codes.ravel(), minlength=256)
                areas += pixel_areas.sums(window, codes, 256)
                reporter.progress(0.3 + 0.6 * window.row_stop / raster.grid.height, "write", "Writing the map")
        result = job_result(
            "landcover-legend",
            request,
            command=command_line("landcover-legend", request, positional=("map",)),
            outputs={"landcover": "landcover.tif", "result": RESULT},
            inputs={"map": fingerprint(request.map, reporter)},
            figures={
                "legend": naming.legend.name if naming.legend else None,
                "codes": {str(code): int(table[code]) for code in found},
                "classes": [
                    {
                        "code": int(code),
                        "name": naming.name(int(code)),
                        "pixels": int(counts[code]),
                        "area_m2": round(float(areas[code]), 2),
                    }
                    for code in np.flatnonzero(counts)
                ],
            },
            reporter=reporter,
            started=started,
        )
        return keep(results, result, reporter)


def _bytes(codes: NDArray[np.int32]) -> U8:
    return np.where(codes == MISSING, NOT_OBSERVED, codes).astype(np.uint8)


def _codes(coded: CodedRaster, reporter: Reporter) -> list[int]:
    """Codes that occur, without those of missing values; raises InputError for codes above 254."""
    seen = np.zeros(1, bool)
    for window in coded.strips():
        codes = coded.read(window)
        count = np.bincount(codes[codes != MISSING]) > 0
        if len(count) > len(seen):
            seen = np.pad(seen, (0, len(count) - len(seen)))
        seen[: len(count)] |= count
        reporter.progress(window.row_stop / coded.grid.height, "count", "Looking for classes")
    found = [int(code) for code in np.flatnonzero(seen)]
    if found and found[-1] > NOT_OBSERVED:
        raise InputError(
            f"{coded.raster.path}: the map has class code {found[-1]}; expected 0 to 254.",
            remedy="Give a land-cover map with codes of one byte.",
        )
    return [code for code in found if code != NOT_OBSERVED]


def _plan(request: LandcoverLegendRequest, raster: Raster, found: list[int]) -> tuple[U8, Naming]:
    """(256,) new code by old code, and the naming of the new codes."""
    source = naming_of(raster, request.source_legend).fitted(found)
    if request.mapping is not None:
        given = _read_mapping(Path(request.mapping))
        missing = [code for code in found if code not in given and not source.says_nothing(code)]
        if missing:
            raise ParameterError(
                f"{request.mapping}: says nothing of the codes {', '.join(map(str, missing))} of {raster.path}.",
                remedy="Name every code; 0 is unknown.",
            )
        table = lookup_table(given)
        target = of_legend(find_legend(request.legend)) if request.legend else Naming()
    elif request.legend is not None:
        legend = find_legend(request.legend)
        target = of_legend(legend)
        table = lookup_table(_source(raster, source, found).mapping_to(legend))
    else:
        target = source
        table = np.arange(256, dtype=np.uint8)
    merged, names = _merged(request.merge, target)
    strange = {int(table[code]) for code in found} - {UNKNOWN, NOT_OBSERVED, *target.names}
    if target.legend is not None and strange:
        raise ParameterError(
            f"{request.mapping or raster.path}: {', '.join(map(str, sorted(strange)))} are no classes of the legend "
            f"{target.legend.name}.",
            remedy="Correct the codes, or name another legend.",
        )
    # A map with merged classes is in no legend that another file could be brought to.
    legend_left = None if request.merge else target.legend
    colors = {UNKNOWN: UNKNOWN_COLOR, **target.colors, NOT_OBSERVED: (0, 0, 0, 0)}
    named = {UNKNOWN: UNKNOWN_NAME, **target.names, **names, NOT_OBSERVED: NOT_OBSERVED_NAME}
    return merged[table], Naming(legend_left, named, colors)


def _source(raster: Raster, source: Naming, found: list[int]) -> Legend:
    if source.legend is None:
        raise ParameterError(
            f"{raster.path}: names no legend, and its codes {', '.join(map(str, found[:12]))} are not those of "
            "worldcover.",
            remedy="Name its legend with --source-legend, or give the new codes with --mapping.",
        )
    return source.legend


def _merged(text: str | None, naming: Naming) -> tuple[U8, dict[int, str]]:
    """(256,) code → code after merging, and names of the codes that others went into."""
    table = np.arange(256, dtype=np.uint8)
    names: dict[int, str] = {}
    for part in (text or "").split(",") if text else []:
        match = re.fullmatch(r"\s*(\d+(?:\s*\+\s*\d+)*)\s*=\s*(\d+)\s*", part)
        codes = [int(code) for code in match[1].split("+")] if match else []
        into = int(match[2]) if match else -1
        if match is None or not all(0 < code < NOT_OBSERVED for code in codes) or not 0 <= into < NOT_OBSERVED:
            raise ParameterError(
                f"--merge {text!r}: {part.strip()!r} is no CODE+CODE=CODE with codes of 1 to 254.",
                remedy="Write for example 20+30=30.",
            )
        if naming.names and (strange := [code for code in codes if code not in naming.names]):
            raise ParameterError(
                f"--merge names {', '.join(map(str, strange))}; the classes are "
                f"{', '.join(str(c) for c in naming.names if 0 < c < NOT_OBSERVED)}.",
                remedy="Name codes of the new map.",
            )
        table[codes] = into
        if into != UNKNOWN:
            names[into] = " or ".join(dict.fromkeys(naming.name(code) for code in sorted({*codes, into} - {UNKNOWN})))
    return table, names


def _read_mapping(path: Path) -> dict[int, int]:
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingFileError(f"{path}: the mapping cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise ParameterError(f"{path}: the mapping is no JSON ({error}).", remedy='Write {"1": 10, "2": 0}.') from error
    try:
        found = {int(code): int(value) for code, value in given.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ParameterError(f"{path}: expected codes by code.", remedy='Write {"1": 10, "2": 0}.') from error
    if not all(0 <= v < NOT_OBSERVED for pair in found.items() for v in pair):
        raise ParameterError(f"{path}: codes go from 0 to 254.")
    return found


def _tags(request: LandcoverLegendRequest, raster: Raster, naming: Naming) -> dict[str, str]:
    kept: dict[str, str] = {
        key: raster.tags[key] for key in ("ACQUIRED", "SAMESCENE_MODEL", "SIMULATED") if key in raster.tags
    }
    tags: dict[str, str] = {
        **kept,
        "TIFFTAG_SOFTWARE": f"SameScene engine {VERSION}",
        "SAMESCENE_COMMAND": command_line("landcover-legend", request, positional=("map",)),
        "SAMESCENE_SOURCE": str(raster.path),
        "PROCESSED": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if naming.legend is not None:
        tags[LEGEND_TAG] = naming.legend.name
    return tags
