"""The job ``locate-plan``: what an index of a region would hold and cost, and whether the imagery serves it.

It reads headers only: no pixel is decoded, no tile is fetched, no network is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.crossview.cells import METRES_PER_DEGREE, CellLayout
from engine.crossview.index.card import CELL_DTYPE
from engine.crossview.index.reader import CellIndex
from engine.crossview.reference import check_overlap, licence_note, read_region, refuse_many_tiles, tiles_needed
from engine.crossview.resolution import COARSER, GridPlace, served_scales
from engine.crossview.wants import Wanted, asked_scales, default_cell_m, resolved, wanted_by
from engine.errors import EngineError
from engine.events import Reporter
from engine.locate.requests import LocatePlanRequest
from engine.raster.read import open_raster
from engine.raster.xyz import gsd_at, is_template, parse_template, zoom_for

COUNTED = 2_000_000
"""Up to so many cells are counted one by one; more are told from the area."""
_TILE_PX = 256


@dataclass(frozen=True)
class _Imagery:
    """Metres of a pixel at the region (None: not known), zoom, tiles and host of a tile server, and what is wrong."""

    gsd_m: float | None = None
    zoom: int | None = None
    tiles: int | None = None
    host: str | None = None
    problems: tuple[EngineError, ...] = ()


def run(request: LocatePlanRequest, reporter: Reporter) -> dict[str, Any]:
    """What ``locate-index`` would do: figures, and as ``problems`` (message, remedy) what it would refuse.

    ``finest_m`` is the pixel that the method makes full use of, ``coarsest_m`` the largest that it takes, ``reach_m``
    how far beyond the region imagery is used. ``seconds`` are of one core (and of a polite use of the tile server), a
    guess to the nearest factor of two or three. Raises EngineError for a region or method that cannot be planned with.
    """
    reporter.progress(0.0, "plan", "Reading the region")
    geometry, _ = read_region(request.region)
    method = resolved(request.method)
    wanted = wanted_by(method, precision=request.precision)
    asked = asked_scales(request.scales)
    scales = [asked or one.scales_m for one in wanted]
    finest = min(min(s) for s in scales)
    layout = CellLayout(request.cell or default_cell_m(method))
    cells, new, counted = _cells(layout, geometry, request.index, reporter)
    imagery = _imagery(request, geometry, scales, finest)
    served = [_served(imagery.gsd_m, s, one_scale=one.one_scale) for s, one in zip(scales, wanted, strict=True)]
    per_cell = CELL_DTYPE.itemsize + sum(one.scale_bytes * len(s) for one, s in zip(wanted, served, strict=True))
    computing = sum(new * len(s) / one.crops_per_s for one, s in zip(wanted, served, strict=True))
    fetching = (imagery.tiles or 0) / request.per_second if imagery.host not in (None, "this machine") else 0.0
    note = licence_note(imagery.host, request.attribution)
    west, south, east, north = (float(v) for v in geometry.bounds)
    reporter.progress(1.0, "done", "Done")
    return {
        "method": method,
        "region": [west, south, east, north],
        "area_m2": float(geometry.area * METRES_PER_DEGREE**2 * np.cos(np.radians((south + north) / 2))),
        "cell_m": layout.size_m,
        "cells": cells,
        "new_cells": new,
        "counted": counted,
        "finest_m": finest,
        "coarsest_m": round(min(max(s) for s in scales) * COARSER, 4),
        "gsd_m": None if imagery.gsd_m is None else round(imagery.gsd_m, 4),
        "scales_m": {one.layer: list(s) for one, s in zip(wanted, served, strict=True)},
        "reach_m": max(_reach_m(one, s) for one, s in zip(wanted, served, strict=True)) + layout.size_m,
        "bytes": new * per_cell,
        "bytes_per_cell": per_cell,
        "tiles": imagery.tiles,
        "zoom": imagery.zoom,
        "seconds": max(computing, fetching),
        "note": note,
        "problems": [{"message": e.message, "remedy": e.remedy} for e in imagery.problems],
    }


def _cells(layout: CellLayout, geometry: Any, index: str | None, reporter: Reporter) -> tuple[int, int, bool]:
    """How many cells the region has, how many of them an index lacks, and whether they were counted."""
    about = layout.about(geometry)
    if about > COUNTED:
        return about, about, False
    known = None
    if index is not None:
        opened = CellIndex(Path(index).expanduser())
        known = opened.ids() if opened.card.cell_m == layout.size_m else None
    cells = new = 0
    for ids in layout.in_region(geometry):
        reporter.check()
        cells += len(ids)
        new += len(ids) if known is None else int((~np.isin(ids, known)).sum())
    return cells, new, True


def _imagery(request: LocatePlanRequest, geometry: Any, scales: list[tuple[float, ...]], finest_m: float) -> _Imagery:
    if request.reference is None:
        return _Imagery()
    try:
        if is_template(request.reference):
            return _tiles(request, geometry, scales, finest_m)
        with open_raster(request.reference, what="reference") as raster:
            raster.require_crs()
            check_overlap(geometry, raster)
            place = geometry.representative_point()
            gsd = GridPlace(raster.grid).gsd_m(place.x, place.y)
            return _Imagery(gsd, problems=_too_coarse(gsd, scales, name=raster.path))
    except EngineError as error:
        return _Imagery(problems=(error,))


def _tiles(request: LocatePlanRequest, geometry: Any, scales: list[tuple[float, ...]], finest_m: float) -> _Imagery:
    template = parse_template(str(request.reference), tms=request.tms, zoom_max=request.max_zoom)
    place = geometry.representative_point()
    zoom = min(max(zoom_for(finest_m, place.y, _TILE_PX), template.zoom_min), template.zoom_max)
    gsd, tiles = gsd_at(zoom, place.y, _TILE_PX), tiles_needed(geometry, zoom, _TILE_PX)
    problems = _too_coarse(gsd, scales, name=template.name())
    if not template.local:
        try:
            refuse_many_tiles(tiles, request.max_tiles, zoom=zoom, name=template.name())
        except EngineError as error:
            problems = (*problems, error)
    return _Imagery(gsd, zoom, tiles, template.host, problems)


def _too_coarse(gsd_m: float, scales: list[tuple[float, ...]], *, name: str) -> tuple[EngineError, ...]:
    try:
        for wanted in scales:
            served_scales(gsd_m, wanted, name=name)
    except EngineError as error:
        return (error,)
    return ()


def _served(gsd_m: float | None, scales: tuple[float, ...], *, one_scale: bool) -> tuple[float, ...]:
    """The scales that would be used; where the imagery serves none, or is not known, those that are wanted."""
    served = tuple(s for s in sorted(scales) if gsd_m is None or gsd_m <= s * COARSER) or tuple(sorted(scales))
    return served[:1] if one_scale else served


def _reach_m(wanted: Wanted, scales: tuple[float, ...]) -> float:
    return wanted.side * max(scales) / 2
