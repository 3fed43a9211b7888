"""The land-cover job: from a request to a folder of results."""

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
from engine.mapping.landcover.arrays import unknown_cut
from engine.mapping.landcover.choose import choose_model
from engine.mapping.landcover.classes import ClassTable, class_table
from engine.mapping.landcover.classifier import LandcoverModel
from engine.mapping.landcover.pipeline import LandcoverRule, LandcoverSink, map_classes
from engine.mapping.landcover.rasters import RasterSink
from engine.mapping.landcover.request import LandcoverRequest
from engine.mapping.landcover.scene import LandcoverScene
from engine.mapping.landcover.totals import TotalsSink, ZonesSink
from engine.mapping.report.landcover import write_landcover_report
from engine.mapping.report.pictures import legend_rgb, probability_rgb
from engine.mapping.scene.facts import image_facts, is_simulated, observed_at
from engine.mapping.scene.preview import Preview
from engine.mapping.scene.regions import crop_to, window_of_bounds
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.raster.area import polygon_area_m2
from engine.raster.vector import Regions, read_regions, write_layer, write_table
from engine.result import REPORT, RESULT, job_result, keep
from engine.version import VERSION

TABLES = "landcover.gpkg"


def run(request: LandcoverRequest, reporter: Reporter) -> dict[str, Any]:
    """Map land cover as ``request`` says and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Opening the scene")
    if request.zone_field and request.zones is None:
        raise ParameterError("--zone-field is given without --zones.", remedy="Give the layer, or leave the field out.")
    with LandcoverScene.open(request.scene, scl=request.scl, bands=request.bands, unit=request.units) as whole:
        model = choose_model(request.model, whole.sensors, device=request.device, reporter=reporter)
        table = class_table(model.card, request.legend)
        with ResultFolder(request.out, overwrite=request.overwrite) as results:
            whole.images.reference.raster.require_crs()
            model.check(whole, reporter)
            made = _map(request, whole, model, table, results.path, reporter)
            result = job_result(
                "landcover",
                request,
                command=_command(request),
                outputs=made.outputs,
                inputs=_inputs(request, whole, reporter.part(0.93, 0.96)),
                figures=made.figures,
                reporter=reporter,
                started=started,
                model=model.describe(),
                device=model.facts()["device"],
            )
            reporter.progress(0.97, "report", "Writing the report")
            write_landcover_report(
                results.path / REPORT, result=result, pictures=made.pictures, preview_grid=made.preview.grid
            )
            return keep(results, result, reporter)


@dataclass
class _Made:
    figures: dict[str, Any]
    outputs: dict[str, str]
    preview: Preview
    pictures: dict[str, NDArray[np.uint8]]


def _map(
    request: LandcoverRequest,
    whole: LandcoverScene,
    model: LandcoverModel,
    table: ClassTable,
    folder: Path,
    reporter: Reporter,
) -> _Made:
    crs = whole.grid.crs
    region = read_regions(request.aoi, crs=crs, what="area of interest", grid=whole.grid) if request.aoi else None
    zones = (
        read_regions(request.zones, crs=crs, what="zones", id_field=request.zone_field, grid=whole.grid)
        if request.zones
        else None
    )
    scene = whole.cropped(crop_to(region, whole.grid, str(whole.images.reference.raster.path)))
    if zones is not None and window_of_bounds(zones.bounds, scene.grid).empty:
        reporter.warn("No zone overlaps the mapped area: every zone is reported as not observed.")
    scene.advise(reporter)
    when = observed_at(request.observed_at, scene.images.dated)
    cut = unknown_cut(model, request.unknown_below)
    totals, preview = TotalsSink(table), Preview(scene, prefer_light=True)
    zone_sink = _zone_sink(zones, scene, table) if zones is not None else None
    tags = _tags(request, scene, model, when)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".work-") as work,
        RasterSink(folder, scene.grid, table, tags=tags) as rasters,
    ):
        sinks: list[LandcoverSink] = [rasters, totals, preview, *([zone_sink] if zone_sink else [])]
        map_classes(
            scene,
            model,
            table,
            rule=LandcoverRule(
                unknown_below=cut,
                min_area=request.min_area,
                region=list(region.geometries) if region is not None else [],
            ),
            sinks=sinks,
            folder=Path(work),
            reporter=reporter.part(0.02, 0.87),
            watch=preview.take_light,
        )
        names = rasters.finish(reporter.part(0.87, 0.93))
    rows = zone_sink.rows() if zone_sink else []
    _write_tables(folder, totals, zones, rows, crs)
    if totals.observed_m2 == 0:
        reporter.warn("Nothing was observed: the scene has no valid value in the mapped area.")
    figures = {
        "observed_at": when,
        "model": model.name,
        "legend": table.legend,
        "legend_title": table.title,
        "sensors": [sensor for sensor in model.sensors if sensor in scene.sensors],
        "image_bands": list(preview.bands),
        "clouds": scene.cloud_rule if "s2" in model.sensors else None,
        "unknown_below": cut,
        **totals.figures(),
        "detector": model.facts(),
        "zones": rows,
    }
    pictures = {
        "classes": legend_rgb(preview.codes, table.colors),
        "image": preview.picture,
        "confidence": probability_rgb(preview.probability),
    }
    outputs = {**names, "tables": TABLES, "report": REPORT, "result": RESULT}
    return _Made(figures, outputs, preview, pictures)


def _write_tables(
    folder: Path, totals: TotalsSink, zones: Regions | None, rows: list[dict[str, Any]], crs: Any
) -> None:
    classes = [row for row in totals.classes() if row["pixels"]]
    columns = ("code", "name", "area_m2", "share", "mean_confidence")
    kinds = {"code": np.int64, "area_m2": np.float64, "share": np.float64, "mean_confidence": np.float64}
    fields: dict[str, Any] = {
        name: np.array([row[name] for row in classes], kinds.get(name, object)) for name in columns
    }
    if zones is not None:  # a layer with geometry comes first: what opens the file shows it
        by_zone = {key: [row[key] for row in rows] for key in rows[0]} if rows else {}
        write_layer(folder / TABLES, "zones", zones.geometries, by_zone, crs=crs, geometry_type="MultiPolygon")
    write_table(folder / TABLES, "classes", fields)


def _zone_sink(zones: Regions, scene: LandcoverScene, table: ClassTable) -> ZonesSink:
    return ZonesSink(
        scene.grid,
        table,
        identifiers=zones.ids,
        geometries=list(zones.geometries),
        totals=[polygon_area_m2(geometry, scene.grid.crs) for geometry in zones.geometries],
    )


def _inputs(request: LandcoverRequest, scene: LandcoverScene, reporter: Reporter) -> dict[str, Any]:
    """Facts of every file that was read: path, sha256 (null for remote), and of images what was found in them."""
    files = scene.images.files
    facts: dict[str, Any] = {}
    for number, file in enumerate(files, 1):
        name = "scene" if len(files) == 1 else f"scene_{number}"
        facts[name] = {**fingerprint(str(file.raster.path), reporter), **image_facts(file)}
        if file.sensor == "s2":
            facts[name]["clouds"] = scene.cloud_rule
    if scene.images.scl is not None:
        facts["scl"] = fingerprint(str(scene.images.scl.path), reporter)
    for name in ("aoi", "zones"):
        path = getattr(request, name)
        if path is not None:
            facts[name] = fingerprint(path, reporter)
    return facts


def _command(request: LandcoverRequest) -> str:
    return command_line("landcover", request, positional=("scene",))


def _tags(request: LandcoverRequest, scene: LandcoverScene, model: LandcoverModel, when: str | None) -> dict[str, str]:
    files = scene.images.files
    tags = {
        "TIFFTAG_SOFTWARE": f"SameScene engine {VERSION}",
        "SAMESCENE_COMMAND": _command(request),
        "SAMESCENE_MODEL": model.name,
        "SAMESCENE_SOURCE": " ".join(str(file.raster.path) for file in files),
        "SAMESCENE_UNIT": scene.images.reference.unit_text,
        "PROCESSED": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if when:
        tags["ACQUIRED"] = when
    if any(is_simulated(file) for file in files):
        tags["SIMULATED"] = "yes"
    return tags
