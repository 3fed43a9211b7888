"""The job ``locate-search``: where photos were taken, in the region of an index."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from engine.command_line import command_line
from engine.crossview.index.reader import CellIndex
from engine.crossview.photos import QueryPhoto, read_query, unique_names
from engine.crossview.search.calibration import RADII_M
from engine.crossview.search.heatmap import heat_grid, relative_likelihood, write_heatmap
from engine.crossview.search.searcher import Found
from engine.crossview.search.sequence import offsets_m
from engine.errors import EngineError, InputError, ParameterError
from engine.events import Reporter
from engine.locate import methods
from engine.locate.report import MOST_PICTURES, photo_section, section_cropper, write_search_report
from engine.locate.requests import LocateSearchRequest
from engine.locate.session import Session, open_session
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.raster.crs import WGS84, Transformation
from engine.raster.vector import write_layer
from engine.result import REPORT, RESULT, job_result, keep

CANDIDATES = "candidates.gpkg"
RADIUS_M = 50.0
"""The radius that ``probability`` is about."""


def run(request: LocateSearchRequest, reporter: Reporter) -> dict[str, Any]:
    """Search as ``request`` says and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Reading the index")
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        if request.check:
            CellIndex(Path(request.index).expanduser()).verify(reporter.part(0.0, 0.05))
        photos, skipped = _photos(request, reporter)
        offsets = _offsets(request, photos) if request.sequence else None
        with open_session(
            request, reporter, tolerance_deg=request.heading_tolerance, exact=request.sequence
        ) as session:
            reporter.log(f"Search: {session.choice.kind} ({session.choice.why}).")
            if session.method.primary.layer == methods.GEOMETRIC:
                reporter.warn(methods.WORTH)
            crs = _crs(session)
            found, sections = _search(request, session, photos, offsets, crs, results.path, reporter.part(0.05, 0.85))
            reporter.progress(0.87, "write", "Writing candidates")
            write_candidates(results.path / CANDIDATES, photos, found, crs)
            outputs = {"candidates": CANDIDATES}
            outputs |= {f"heatmap_{photo.name}": _heat_name(photo) for photo in photos}
            figures = {**_figures(request, session, photos, found), "skipped": skipped}
            model = session.index.layer(session.method.primary.layer).model
            result = job_result(
                "locate-search",
                request,
                command=command_line("locate search", request, positional=("index", "panorama")),
                outputs={**outputs, "report": REPORT, "result": RESULT},
                inputs={
                    "index": {"path": str(session.index.folder), "sha256": None},
                    **{photo.name: fingerprint(photo.path, reporter) for photo in photos},
                },
                figures=figures,
                model=model.model_dump() if model else None,
                reporter=reporter,
                started=started,
                device=str(session.device),
            )
            result["match"] = any(one.match for one in found)
            reporter.progress(0.92, "report", "Writing the report")
            write_search_report(
                results.path / REPORT, result=result, session=session, sections=sections, photos=photos, found=found
            )
        return keep(results, result, reporter)


def _search(
    request: LocateSearchRequest,
    session: Session,
    photos: list[QueryPhoto],
    offsets: NDArray[np.float64] | None,
    crs: Any,
    folder: Path,
    reporter: Reporter,
) -> tuple[list[Found], list[dict[str, Any]]]:
    """The places of all photos, without z of all cells, and the report's sections of the first: heat maps are written
    into ``folder`` as photos are done."""
    found: list[Found] = []
    sections: list[dict[str, Any]] = []
    cropper = section_cropper(session)
    images = [photo.image for photo in photos]
    answers = session.searcher.each(images, reporter, top=request.top, verify=request.verify, offsets=offsets)
    for photo, one in zip(photos, answers, strict=True):
        reporter.check()
        _write_heat(folder / _heat_name(photo), session, one, crs, photo)
        if len(sections) < MOST_PICTURES:
            sections.append(photo_section(photo, one, session, cropper))
        found.append(replace(one, z=None))
    return found, sections


def write_candidates(path: Path, photos: list[QueryPhoto], found: list[Found], crs: Any) -> None:
    """The layer ``candidates``: points in ``crs``. Raises OutputError."""
    fields: dict[str, list[Any]] = {
        name: []
        for name in (
            "photo",
            "rank",
            "score",
            "probability",
            "heading_deg",
            "radius_m",
            "probability_25m",
            "probability_100m",
            "lon",
            "lat",
        )
    }
    points: list[Any] = []
    move = Transformation(WGS84, crs)
    for photo, one in zip(photos, found, strict=True):
        x, y = move(one.lon, one.lat)
        points += list(shapely.points(x, y))
        count = len(x)
        heading = one.places.heading
        fields["photo"] += [photo.name] * count
        fields["rank"] += list(range(1, count + 1))
        fields["score"] += [round(float(v), 4) for v in one.places.score]
        fields["probability"] += [_share(v) for v in one.probability[RADIUS_M]]
        fields["heading_deg"] += [None if np.isnan(v) else round(float(v) % 360, 1) for v in heading]
        fields["radius_m"] += [RADIUS_M] * count
        fields["probability_25m"] += [_share(v) for v in one.probability[RADII_M[0]]]
        fields["probability_100m"] += [_share(v) for v in one.probability[RADII_M[2]]]
        fields["lon"] += [round(float(v), 7) for v in one.lon]
        fields["lat"] += [round(float(v), 7) for v in one.lat]
    columns: dict[str, Any] = dict(fields)
    columns["heading_deg"] = np.array([np.nan if v is None else v for v in fields["heading_deg"]], np.float64)
    write_layer(path, "candidates", points, columns, crs=crs, geometry_type="Point")


def _share(value: Any) -> float:
    """A probability with four digits that count: the unlikely is not written as impossible."""
    return float(f"{float(value):.4g}")


def _photos(request: LocateSearchRequest, reporter: Reporter) -> tuple[list[QueryPhoto], list[dict[str, str]]]:
    """The photos that can be read, and (name, why) of the others. Raises what the first says where there is none."""
    photos: list[QueryPhoto] = []
    skipped: list[dict[str, str]] = []
    first: EngineError | None = None
    for path in request.panorama:
        reporter.check()
        try:
            photo = read_query(path, hfov_deg=request.hfov, vfov_deg=request.vfov, heading_deg=request.heading)
        except EngineError as error:
            first = first or error
            skipped.append({"name": path, "why": error.message})
            continue
        if request.ignore_heading and request.heading is None:
            image = replace(photo.image, view=replace(photo.image.view, heading_deg=0.0), heading_known=False)
            photo = replace(photo, image=image)
        tell = reporter.warn if photo.narrow else reporter.log
        for line in photo.problems:
            tell(f"{path}: {line}")
        photos.append(photo)
    if first is not None and not photos:
        raise first
    for one in skipped:
        reporter.warn(f"{one['why']} It is left out.")
    return unique_names(photos), skipped


def _offsets(request: LocateSearchRequest, photos: list[QueryPhoto]) -> NDArray[np.float64]:
    """Metres east and north of the photos from the first, by --track or by what their files say of their positions."""
    if len(photos) < 2:
        raise ParameterError("A sequence is at least two photos.", remedy="Name more photos, or leave --sequence out.")
    if request.track is not None:
        return _track(request.track, photos)
    lacking = [photo.path for photo in photos if photo.position is None]
    if lacking:
        raise InputError(
            f"{lacking[0]}: the photo's file tells no position; --sequence needs where the photos were taken apart.",
            remedy="Give a table with --track: photo,east_m,north_m.",
        )
    return offsets_m(np.array([photo.position for photo in photos], np.float64))


def _track(path: str, photos: list[QueryPhoto]) -> NDArray[np.float64]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = {Path(r["photo"]).name: (float(r["east_m"]), float(r["north_m"])) for r in csv.DictReader(file)}
    except OSError as error:
        raise InputError(f"{path}: the track cannot be read: {error.strerror}.", remedy="Check the path.") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}: the track is no table with the columns photo, east_m and north_m ({error}).",
            remedy="Write one line a photo, metres from any place.",
        ) from error
    names = [Path(photo.path).name for photo in photos]
    lacking = [name for name in names if name not in rows]
    if lacking:
        raise InputError(f"{path}: the track lacks the photo {lacking[0]}.", remedy="Add a line for it.")
    found = np.array([rows[name] for name in names], np.float64)
    if not np.isfinite(found).all():
        raise InputError(f"{path}: the track holds a value that is not a number.", remedy="Write metres.")
    return np.asarray(found - found[0])


def _crs(session: Session) -> Any:
    if session.references:
        return session.references[0].raster.grid.crs
    return CRS.from_user_input(
        session.index.card.imagery[0].crs if session.index.card.imagery[0].crs.startswith("EPSG") else WGS84
    )


def _heat_name(photo: QueryPhoto) -> str:
    return f"heatmap_{photo.name}.tif"


def _write_heat(path: Path, session: Session, one: Found, crs: Any, photo: QueryPhoto) -> None:
    """All cells where the search was exact; else the candidates alone."""
    index = session.index
    slope = session.calibration.choices[RADIUS_M].sharpness
    ids = index.ids()
    z = one.z
    if z is None:
        z = np.full(index.cells, one.places.score.min() - 8.0, np.float32)
        z[one.places.cells] = one.places.score
    grid = heat_grid(session.searcher.lon, session.searcher.lat, crs, index.card.cell_m)
    tags = {"PHOTO": photo.name, "VALUES": "per cent of the likeliest cell's odds before verification"}
    write_heatmap(path, grid, index.layout, ids, relative_likelihood(z, slope), tags=tags)


def _figures(
    request: LocateSearchRequest, session: Session, photos: list[QueryPhoto], found: list[Found]
) -> dict[str, Any]:
    card = session.index.card
    return {
        "method": session.method.name,
        "search": session.choice.kind,
        "search_why": session.choice.why,
        "cells": session.index.cells,
        "calibration": session.calibration.source,
        "attribution": card.attribution,
        "imagery_date": card.imagery_date,
        "imagery": card.told_imagery(),
        "sequence": request.sequence,
        "photos": [
            {
                "photo": photo.name,
                "path": photo.path,
                "match": one.match,
                "best": _best(one),
                "candidates": len(one.places.cells),
                "panorama": not photo.narrow,
                "heading_known": photo.image.heading_known,
                "problems": list(photo.problems),
            }
            for photo, one in zip(photos, found, strict=True)
        ],
    }


def _best(one: Found) -> dict[str, Any]:
    heading = float(one.places.heading[0])
    return {
        "lon": float(one.lon[0]),
        "lat": float(one.lat[0]),
        "score": float(one.places.score[0]),
        "gap": float(one.places.gap[0]),
        "heading_deg": None if np.isnan(heading) else heading % 360,
        **{f"probability_{radius:.0f}m": float(one.probability[radius][0]) for radius in RADII_M},
    }
