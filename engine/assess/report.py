"""The job ``assess-report``: accuracy and areas from labelled points."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.assess.design import SampleDesign
from engine.assess.figures import Assessment, assess_convenience, assess_design
from engine.assess.labels import Labelled, classes_at, of_convenience, of_design, open_sample
from engine.assess.points import LabelledPoints
from engine.assess.population import Population
from engine.assess.report_page import write_report_page
from engine.assess.requests import ReportRequest
from engine.assess.tables import write_tables
from engine.command_line import command_line
from engine.errors import EngineError, InputError, ParameterError
from engine.events import Reporter
from engine.legends import find_legend
from engine.mapping.landcover.naming import Naming, naming_of, of_legend
from engine.mapping.report.page import hex_color
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.raster.classes import MISSING, CodedRaster
from engine.raster.read import open_raster
from engine.raster.vector import read_regions
from engine.result import REPORT, RESULT, job_result, keep


def run(request: ReportRequest, reporter: Reporter) -> dict[str, Any]:
    """Assess a map as ``request`` says and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Reading the points")
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        points, design = open_sample(request.sample)
        if design is None:
            labelled, assessment, naming = _convenience(request, points, reporter)
        else:
            labelled, assessment, naming = _designed(request, points, design, reporter)
        files = {"sample": fingerprint(points.path.partition("|")[0], reporter)}
        if request.map is not None:
            files["map"] = fingerprint(request.map, reporter)
        elif design is not None:
            files["map"] = design.map.model_dump()
        figures = assessment.figures(naming.names, {c: hex_color(naming.color(c)) for c in assessment.codes if c >= 0})
        figures = {
            "kind": "convenience" if design is None else "probability",
            "design": None if design is None else design.design,
            "legend": naming.legend.name if naming.legend else None,
            "points": {
                "drawn": labelled.drawn,
                "used": len(labelled),
                "missing": labelled.drawn - len(labelled),
                "not_confident": labelled.doubtful,
            },
            **figures,
        }
        _warn(figures, labelled, design, request, reporter)
        reporter.progress(0.9, "tables", "Writing tables")
        outputs = write_tables(results.path, figures)
        result = job_result(
            "assess-report",
            request,
            command=command_line("assess report", request, positional=("sample",)),
            outputs={**outputs, "report": REPORT, "result": RESULT},
            inputs=files,
            figures=figures,
            reporter=reporter,
            started=started,
        )
        write_report_page(results.path / REPORT, result=result)
        return keep(results, result, reporter)


def _designed(
    request: ReportRequest, points: LabelledPoints, design: SampleDesign, reporter: Reporter
) -> tuple[Labelled, Assessment, Naming]:
    labelled = of_design(
        points,
        design,
        field=request.label_field,
        confident_only=request.confident_only,
        reporter=reporter,
    )
    naming = _naming_of_design(design, request.legend)
    if request.map is None or _same_file(request.map, design):
        return labelled, assess_design(labelled, design, mapped_m2=None), naming
    with open_raster(request.map, what="map") as raster:
        raster.require_crs()
        coded = CodedRaster(raster)
        own = naming_of(raster, request.legend)
        mapped, outside = classes_at(points, coded)
        mapped = mapped[labelled.index]
        nothing = [code for code in {int(c) for c in mapped} if own.says_nothing(code)]
        mapped[np.isin(mapped, nothing)] = MISSING
        if (mapped == MISSING).all():
            raise InputError(
                f"{request.map}: no labelled point lies on a pixel with a class; {int(outside.sum())} of {len(points)} "
                "points lie outside of the map.",
                remedy="Give a map of the place where the sample was drawn.",
            )
        lost = int((mapped == MISSING).sum())
        if lost:
            reporter.warn(
                f"{lost} labelled points lie outside of {request.map} or where it has no class: they count as wrong "
                f"in the overall accuracy."
            )
        areas = _areas_of_other(request, design, own, reporter.part(0.2, 0.85))
    labelled = replace(labelled, mapped=mapped)
    merged = Naming(own.legend or naming.legend, {**own.names, **naming.names}, {**own.colors, **naming.colors})
    found = assess_design(labelled, design, mapped_m2=areas or {})
    return labelled, found, merged


def _naming_of_design(design: SampleDesign, given: str | None) -> Naming:
    if given is not None:
        return of_legend(find_legend(given))
    names = {one.code: one.name for one in design.map_classes} | {one.code: one.name for one in design.classes}
    colors = {one.code: (*(int(one.color[i : i + 2], 16) for i in (1, 3, 5)), 255) for one in design.classes}
    legend = None
    if design.legend is not None:
        try:
            legend = find_legend(design.legend)
        except ParameterError:
            legend = None  # one of another machine; names and colours stand in the design
    return Naming(legend, names, colors)  # type: ignore[arg-type]


def _same_file(path: str, design: SampleDesign) -> bool:
    try:
        if Path(path).resolve() == Path(design.map.path).resolve():
            return True
    except OSError:
        return False
    found = fingerprint(path, Reporter())
    return found["sha256"] is not None and found["sha256"] == design.map.sha256


def _areas_of_other(
    request: ReportRequest, design: SampleDesign, naming: Naming, reporter: Reporter
) -> dict[int, float] | None:
    """m² by class of the map that is assessed, over the area that was sampled; None where that cannot be read."""
    try:
        with Population(design.map.path, strata=request.map) as population:
            population.exclude = frozenset(design.excluded_codes)
            if design.aoi is not None:
                region = read_regions(
                    design.aoi.path, crs=population.grid.crs, what="area of interest", grid=population.grid
                )
                population.region = list(region.geometries)
            census = population.census(reporter)
    except EngineError as error:
        if error.kind == "cancelled":
            raise
        reporter.warn(
            f"The mapped areas of {request.map} are not told: the map that the sample was drawn for cannot be read "
            f"({error.message})"
        )
        return None
    return {code: area for code, (_, area) in census.strata.items() if not naming.says_nothing(code)}


def _convenience(
    request: ReportRequest, points: LabelledPoints, reporter: Reporter
) -> tuple[Labelled, Assessment, Naming]:
    if request.map is None:
        raise ParameterError(
            f"{points.path}: these points were not drawn by 'engine assess sample' (no design.json beside them), so "
            "the map must be named.",
            remedy="Give --map.",
        )
    with Population(request.map) as population:
        naming = naming_of(population.raster, request.legend)
        population.exclude = naming.no_classes
        census = population.census(reporter.part(0.1, 0.8))
        naming = naming.fitted(census.mapped)
        classes = {code: name for code, name in naming.names.items() if not naming.says_nothing(code)}
        labelled, outside, blank = of_convenience(
            points,
            CodedRaster(population.raster),
            classes,
            field=request.label_field,
            confident_only=request.confident_only,
            strict=naming.legend is not None,
            reporter=reporter,
        )
    if outside or blank:
        reporter.warn(f"Left out: {outside} points outside of the map and {blank} on pixels without a class.")
    areas = {code: area for code, (_, area) in census.mapped.items()}
    return labelled, assess_convenience(labelled, mapped_m2=areas), naming


def _warn(
    figures: dict[str, Any], labelled: Labelled, design: SampleDesign | None, request: ReportRequest, reporter: Reporter
) -> None:
    if design is None:
        reporter.warn(
            "These points are a convenience sample: nobody knows with which chance a place came into it. The figures "
            "are indicative; they have no interval, and areas cannot be corrected by them."
        )
    elif labelled.drawn > len(labelled):
        reporter.warn(
            f"{labelled.drawn - len(labelled)} of {labelled.drawn} points have no label"
            f"{' that is confident' if request.confident_only else ''} and count as not drawn. That is right if they "
            "were left at random; if they were the hard ones, the figures are too good."
        )
    if design is not None and figures["covered_share"] < 1 - 1e-9:
        seen = set() if labelled.stratum is None else {int(c) for c in labelled.stratum}
        empty = sorted({one.code for one in design.strata} - seen)
        reporter.warn(
            f"No labelled point in {'stratum' if len(empty) == 1 else 'strata'} {', '.join(map(str, empty))}: the "
            f"figures speak of the other {100 * figures['covered_share']:.1f} % of the area only."
        )
    if len({int(c) for c in labelled.reference}) == 1:
        code = int(labelled.reference[0])
        reporter.warn(
            f"All labels are of one class ({code}): of the others only that no point shows them can be said, and "
            "producer's accuracy is known for this one alone."
        )
