"""The job ``assess-sample``: points at random on a map, blind to its classes."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from engine.assess.design import (
    DESIGN_FILE,
    POINTS_FILE,
    ClassFact,
    FileFact,
    PointFact,
    SampleDesign,
    StratumFact,
)
from engine.assess.drawing import DrawnPoints, draw_random, draw_systematic
from engine.assess.points import write_points
from engine.assess.population import Census, Population
from engine.assess.requests import SampleRequest
from engine.assess.sample_report import write_sample_report
from engine.assess.shares import code_numbers, share_out
from engine.command_line import command_line
from engine.errors import ParameterError
from engine.events import Reporter
from engine.legends import NOT_OBSERVED, UNKNOWN
from engine.mapping.landcover.naming import Naming, naming_of
from engine.mapping.report.page import hex_color
from engine.metrics.allocation import points_for_standard_error
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.raster.classes import MISSING
from engine.raster.crs import crs_name
from engine.raster.read import open_raster
from engine.raster.vector import read_regions
from engine.result import REPORT, RESULT, job_result, keep
from engine.version import VERSION


def run(request: SampleRequest, reporter: Reporter) -> dict[str, Any]:
    """Draw the sample that ``request`` describes and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Opening the map")
    if request.strata is not None and request.design != "stratified":
        raise ParameterError(
            f"--strata is given with the design {request.design}.",
            remedy="Leave it out, or choose --design stratified.",
        )
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        with Population(request.map, strata=request.strata) as population:
            naming = naming_of(population.raster, request.legend)
            region = request.aoi and read_regions(
                request.aoi, crs=population.grid.crs, what="area of interest", grid=population.grid
            )
            population.region = list(region.geometries) if region else []
            population.exclude = _excluded(request.exclude, naming)
            census = population.census(reporter.part(0.02, 0.4))
            naming = _fitted(naming, population, census, request)
            points, wanted, number = _draw(request, population, census, naming, reporter)
            files = {
                name: fingerprint(path, reporter.part(0.85, 0.95))
                for name, path in (("map", request.map), ("strata", request.strata), ("aoi", request.aoi))
                if path is not None
            }
            design = _design(request, population, census, naming, points, wanted, files)
            reporter.progress(0.95, "points", "Writing points")
            write_points(results.path / POINTS_FILE, points, population.grid)
            grid = population.grid
        (results.path / DESIGN_FILE).write_text(design.model_dump_json(indent=1), encoding="utf-8")
        result = job_result(
            "assess-sample",
            request,
            command=command_line("assess sample", request, positional=("map",)),
            outputs={"points": POINTS_FILE, "design": DESIGN_FILE, "report": REPORT, "result": RESULT},
            inputs=files,
            figures={
                "points": len(points),
                "points_wanted": number,
                "design": design.design,
                "legend": design.legend,
                "total_pixels": design.total_pixels,
                "total_area_m2": design.total_area_m2,
                "strata": [{**one.model_dump(), "weight": one.area_m2 / design.total_area_m2} for one in design.strata],
                "classes": [one.model_dump() for one in design.classes],
            },
            reporter=reporter,
            started=started,
        )
        write_sample_report(results.path / REPORT, result=result, design=design, census=census, grid=grid)
        return keep(results, result, reporter)


def _excluded(given: str | None, naming: Naming) -> frozenset[int]:
    if given is None:
        return naming.no_classes
    if given.strip().lower() == "none":
        return frozenset()
    try:
        return frozenset(int(part) for part in given.split(","))
    except ValueError as error:
        raise ParameterError(
            f"--exclude {given!r} is no list of codes.", remedy="Write for example 0,254, or none."
        ) from error


def _fitted(naming: Naming, population: Population, census: Census, request: SampleRequest) -> Naming:
    """Names for a map that has none, if its codes are those of a known legend; unknown is then taken out too."""
    fitted = naming.fitted(census.mapped)
    if fitted is not naming and request.exclude is None and not population.has_strata:
        nothing = {UNKNOWN, NOT_OBSERVED} & set(census.mapped)
        if nothing and set(census.mapped) - nothing:
            population.exclude |= nothing
            census.without(nothing)
    return fitted


def _draw(
    request: SampleRequest, population: Population, census: Census, naming: Naming, reporter: Reporter
) -> tuple[DrawnPoints, dict[int, int], int]:
    """The points in random order, how many each stratum was given, and how many were asked for."""
    number = request.points
    expected = code_numbers(request.expected, option="--expected", low=0.0, high=1.0) if request.expected else {}
    if request.target_se is not None:
        number = points_for_standard_error(
            request.target_se,
            weights=[area for _, area in census.strata.values()],
            accuracies=[expected.get(code, 0.8) for code in census.strata],
            pixels=census.pixels,
        )
    drawing = reporter.part(0.4, 0.85)
    if request.design == "systematic":
        if 4 * number > census.pixels:
            raise ParameterError(
                f"{request.map}: {number} systematic points are too many for {census.pixels} pixels with a class.",
                remedy=f"Ask for at most {census.pixels // 4} points, or choose --design simple.",
            )
        points = draw_systematic(population, census, number, seed=request.seed, reporter=drawing)
        if len(points) < 2:
            raise ParameterError(
                f"{request.map}: a systematic sample of about {number} points met {len(points)} pixels with a class.",
                remedy="Ask for more points, or choose another --seed.",
            )
        return points.shuffled(request.seed), {}, number
    if request.design == "simple":
        if number > census.pixels:
            raise ParameterError(
                f"{request.map}: {number} points are wanted, but only {census.pixels} pixels have a class.",
                remedy="Ask for fewer points.",
            )
        wanted = {MISSING: number}
    else:
        wanted = share_out(request, census, number, expected, reporter)
        number = sum(wanted.values())
    points = draw_random(population, census, wanted, seed=request.seed, reporter=drawing)
    return points.shuffled(request.seed), wanted, number


def _design(
    request: SampleRequest,
    population: Population,
    census: Census,
    naming: Naming,
    points: DrawnPoints,
    wanted: dict[int, int],
    files: dict[str, Any],
) -> SampleDesign:
    strata_naming = naming
    if request.strata is not None:
        with open_raster(request.strata, what="raster of strata") as own:
            strata_naming = naming_of(own).fitted(census.strata)
    if request.design == "stratified":
        strata = [
            StratumFact(
                code=code,
                name=strata_naming.name(code),
                pixels=pixels,
                area_m2=round(area, 2),
                points=wanted.get(code, 0),
            )
            for code, (pixels, area) in census.strata.items()
        ]
    else:
        area = round(census.area, 2)
        strata = [StratumFact(code=0, name="the whole area", pixels=census.pixels, area_m2=area, points=len(points))]
    stratified = request.design == "stratified"
    t = population.grid.transform
    return SampleDesign(
        map=FileFact(**files["map"]),
        strata_map=FileFact(**files["strata"]) if "strata" in files else None,
        legend=naming.legend.name if naming.legend else None,
        classes=label_classes(naming, list(census.mapped)),
        design=request.design,
        allocation=request.allocation if stratified else "none",
        seed=request.seed,
        excluded_codes=tuple(sorted(population.exclude)),
        aoi=FileFact(**files["aoi"]) if "aoi" in files else None,
        crs=crs_name(population.grid.crs),
        crs_wkt=population.grid.crs.to_wkt() if population.grid.crs is not None else "",
        transform=(t.a, t.b, t.c, t.d, t.e, t.f),
        total_pixels=census.pixels,
        total_area_m2=round(census.area, 2),
        strata=tuple(strata),
        map_classes=tuple(
            StratumFact(code=code, name=naming.name(code), pixels=pixels, area_m2=round(area, 2))
            for code, (pixels, area) in census.mapped.items()
        ),
        points=tuple(
            PointFact(point_id=i + 1, stratum=s if stratified else 0, map_class=m, row=r, col=c)
            for i, (s, m, r, c) in enumerate(
                zip(
                    points.stratum.tolist(),
                    points.mapped.tolist(),
                    points.row.tolist(),
                    points.col.tolist(),
                    strict=True,
                )
            )
        ),
        engine_version=VERSION,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def label_classes(naming: Naming, found: list[int]) -> tuple[ClassFact, ...]:
    """The classes that a label may name: those of the legend, else those named in the file or found in the map."""
    definitions = {one.code: one.definition for one in naming.legend.classes} if naming.legend else {}
    codes = [code for code in {**naming.names, **dict.fromkeys(found)} if not naming.says_nothing(code)]
    return tuple(
        ClassFact(
            code=code, name=naming.name(code), color=hex_color(naming.color(code)), definition=definitions.get(code, "")
        )
        for code in sorted(codes)
    )
