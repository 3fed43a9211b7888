"""The flood job: from a request to a folder of results."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.command_line import command_line
from engine.errors import ParameterError
from engine.events import Reporter
from engine.mapping.flood.classes import CLASS_NAMES, FLOOD, REFERENCE_WATER, WATER
from engine.mapping.flood.detector import WaterDetector
from engine.mapping.flood.methods import choose_detector, describe_model, require_fit
from engine.mapping.flood.pipeline import FloodSink, FloodStrip, WaterRule, map_water
from engine.mapping.flood.rasters import RasterSink
from engine.mapping.flood.request import FloodRequest
from engine.mapping.flood.scene import FloodScene
from engine.mapping.flood.surroundings import Surroundings
from engine.mapping.flood.totals import TotalsSink, ZonesSink
from engine.mapping.report.flood import write_flood_report
from engine.mapping.report.pictures import class_rgb, probability_rgb
from engine.mapping.scene.facts import image_facts, is_simulated, iso_time, observed_at
from engine.mapping.scene.opening import ImageFile
from engine.mapping.scene.preview import Preview
from engine.mapping.scene.regions import crop_to, window_of_bounds
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.raster.area import polygon_area_m2
from engine.raster.vector import Regions, StripPolygons, read_regions, write_layer
from engine.result import REPORT, RESULT, job_result, keep
from engine.version import VERSION


def run(request: FloodRequest, reporter: Reporter) -> dict[str, Any]:
    """Map flood as ``request`` says and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Opening the scene")
    detector = choose_detector(request.method, device=request.device, reporter=reporter)
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        with FloodScene.open(
            request.post,
            before=request.before,
            s2=request.s2,
            scl=request.scl,
            bands=request.bands,
            unit=request.units,
        ) as whole:
            whole.post.raster.require_crs()
            require_fit(detector, whole)
            figures, outputs = _map(request, whole, detector, results.path, reporter)
            result = job_result(
                "flood",
                request,
                command=command_line("flood", request, positional=("post",)),
                outputs=outputs,
                inputs=_inputs(request, whole, reporter.part(0.93, 0.96)),
                figures=figures.json,
                reporter=reporter,
                started=started,
                model=describe_model(detector),
                device=detector.diagnostics().get("device", "cpu"),
            )
        reporter.progress(0.97, "report", "Writing the report")
        write_flood_report(
            results.path / REPORT,
            result=result,
            pictures=figures.pictures,
            preview_grid=figures.preview.grid,
            zones=figures.json["zones"],
        )
        return keep(results, result, reporter)


@dataclass
class _Figures:
    json: dict[str, Any]
    preview: Preview
    pictures: dict[str, NDArray[np.uint8]]


def _map(
    request: FloodRequest, whole: FloodScene, detector: WaterDetector, folder: Path, reporter: Reporter
) -> tuple[_Figures, dict[str, str]]:
    region = (
        read_regions(request.aoi, crs=whole.grid.crs, what="area of interest", grid=whole.grid) if request.aoi else None
    )
    zones = (
        read_regions(request.zones, crs=whole.grid.crs, what="zones", id_field=request.zone_field, grid=whole.grid)
        if request.zones
        else None
    )
    if request.zone_field and zones is None:
        raise ParameterError("--zone-field is given without --zones.", remedy="Give the layer, or leave the field out.")
    scene = whole.cropped(crop_to(region, whole.grid, whole.post.raster.path))
    if zones is not None and window_of_bounds(zones.bounds, scene.grid).empty:
        reporter.warn("No zone overlaps the mapped area: every zone is reported as not observed.")
    scene.advise(reporter)
    when = observed_at(request.observed_at, whole.post)
    totals = TotalsSink(cut=request.probability)
    preview = Preview(scene)
    zone_sink = _zone_sink(zones, scene, request) if zones is not None else None
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".work-") as work,
        Surroundings.open(
            scene.grid,
            reference_water=request.reference_water,
            dem=request.dem,
            hand=request.hand,
            region=list(region.geometries) if region is not None else [],
            look=scene.look_azimuth,
            max_hand=request.max_hand,
            max_slope=request.max_slope,
            folder=Path(work),
            reporter=reporter.part(0.02, 0.08),
        ) as surroundings,
    ):
        polygons = StripPolygons(
            scene.grid,
            path=folder / "flood.gpkg",
            class_names={code: CLASS_NAMES[code] for code in (REFERENCE_WATER, FLOOD, WATER)},
            observed_at=when,
        )
        tags = _tags(request, whole.post, detector, when)
        with RasterSink(folder, scene.grid, tags=tags) as rasters, polygons:
            sinks: list[FloodSink] = [
                rasters,
                _PolygonSink(polygons),
                totals,
                preview,
                *([zone_sink] if zone_sink else []),
            ]
            map_water(
                scene,
                detector,
                surroundings,
                rule=WaterRule(cut=request.probability, min_area=request.min_area),
                sinks=sinks,
                folder=Path(work),
                reporter=reporter.part(0.08, 0.85),
            )
            reporter.progress(0.86, "polygons", "Joining polygons")
            polygons.finish()
            names = rasters.finish(reporter.part(0.87, 0.93))
    rows = zone_sink.rows() if zone_sink else []
    if zones is not None:
        columns = {key: [row[key] for row in rows] for key in rows[0]} if rows else {}
        write_layer(
            folder / "flood.gpkg", "zones", zones.geometries, columns, crs=scene.grid.crs, geometry_type="MultiPolygon"
        )
    if totals.pixels[255] == scene.grid.height * scene.grid.width:
        reporter.warn("Nothing was observed: the scene has no valid value in the mapped area.")
    picture = preview.picture
    figures = {
        "observed_at": when,
        "before_observed_at": iso_time(whole.before.acquired) if whole.before else None,
        "days_between": _days_between(whole),
        "method": detector.name,
        "image_bands": list(preview.bands),
        **totals.figures(),
        "detector": detector.diagnostics(),
        "zones": rows,
    }
    pictures = {
        "image" if preview.bands else "backscatter": picture,
        "classes": class_rgb(preview.codes, picture),
        "probability": probability_rgb(preview.probability),
    }
    outputs = {**names, "polygons": "flood.gpkg", "report": REPORT, "result": RESULT}
    return _Figures(figures, preview, pictures), outputs


class _PolygonSink:
    """Hands the water classes of each strip to the polygoniser."""

    def __init__(self, polygons: StripPolygons) -> None:
        self._polygons = polygons

    def add(self, strip: FloodStrip) -> None:
        self._polygons.add(strip.window, strip.codes, strip.probability)


def _zone_sink(zones: Regions, scene: FloodScene, request: FloodRequest) -> ZonesSink:
    return ZonesSink(
        scene.grid,
        identifiers=zones.ids,
        geometries=list(zones.geometries),
        totals=[polygon_area_m2(geometry, scene.grid.crs) for geometry in zones.geometries],
        cut=request.probability,
    )


def _days_between(scene: FloodScene) -> int | None:
    if scene.before is None or scene.before.acquired is None or scene.post.acquired is None:
        return None
    return (scene.post.acquired.date() - scene.before.acquired.date()).days


def _inputs(request: FloodRequest, scene: FloodScene, reporter: Reporter) -> dict[str, Any]:
    """Facts of every file that was read: path, sha256 (null for remote), and of scenes what was found in them."""
    facts: dict[str, Any] = {}
    for name in ("post", "before", "s2", "scl", "reference_water", "dem", "hand", "aoi", "zones"):
        path = getattr(request, name)
        if path is not None:
            facts[name] = fingerprint(path, reporter)
    for name, file in (("post", scene.post), ("before", scene.before), ("s2", scene.light)):
        if file is not None:
            facts[name] |= image_facts(file)
    return facts


def _tags(request: FloodRequest, post: ImageFile, detector: WaterDetector, when: str | None) -> dict[str, str]:
    tags = {
        "TIFFTAG_SOFTWARE": f"SameScene engine {VERSION}",
        "SAMESCENE_COMMAND": command_line("flood", request, positional=("post",)),
        "SAMESCENE_METHOD": detector.name,
        "SAMESCENE_SOURCE": str(post.raster.path),
        "SAMESCENE_UNIT": post.unit_text,
        "PROCESSED": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if when:
        tags["ACQUIRED"] = when
    if is_simulated(post):
        tags["SIMULATED"] = "yes"
    return tags
