"""Fine-tuning on one's own labels: the part of the ``finetune`` job for layers of polygons and points."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from engine import plainjson
from engine.command_line import command_line
from engine.device import Device, choose_device
from engine.errors import ModelError, ParameterError
from engine.events import Reporter
from engine.mapping.landcover.choose import automatic
from engine.models.bundle import CARD, Bundle, find_model, list_models, save_bundle
from engine.models.library import check_name, register
from engine.training.data.statistics import BandStatistics, merged
from engine.training.labels.data import LabelData, open_label_data
from engine.training.labels.fit import Fitted, fit_pixel_head
from engine.training.labels.pictures import preview
from engine.training.labels.places import places_of
from engine.training.labels.report import labels_report_html
from engine.training.labels.told import card_of, doubts, figures_of
from engine.training.labels.trunk import Trunk, find_trunk
from engine.training.metrics_log import METRICS, MetricsLog, read_metrics
from engine.training.report.reliability import Reliability, reliability_svg
from engine.training.report.run import svg_uri
from engine.training.requests import FinetuneRequest
from engine.training.run_folder import REPORT, RESULT, RunFolder, check_free, resolve
from engine.version import VERSION

_MODEL = "model"


def run(request: FinetuneRequest, reporter: Reporter) -> dict[str, Any]:
    """Train as ``request`` says and return ``result.json``'s content; raises EngineError, Cancelled among them."""
    request = resolve(request, "finetune")
    _check(request)
    check_free(request)
    started = time.monotonic()
    device = choose_device(request.device)
    reporter.progress(0.0, "data", "Reading labels")
    opening = reporter.part(0.0, 0.15)
    data = open_label_data(
        places_of(request.scene, request.labels_from, request.data),
        class_field=request.class_field,
        class_colors=request.class_colors,
        bands=request.optical_bands,
        point_size=request.point_size,
        told=lambda share, words: opening.progress(share, "data", words),
    )
    try:
        return _run(request, data, device, reporter, started)
    finally:
        data.close()


def _run(
    request: FinetuneRequest, data: LabelData, device: Device, reporter: Reporter, started: float
) -> dict[str, Any]:
    for line in data.ignored:
        reporter.warn(line)
    for scene in data.scenes:
        scene.images.advise(reporter)
    trunk = _trunk(request, data, reporter)
    with RunFolder(request, job="finetune", main=True, keeps=()) as folder:
        with MetricsLog(folder.path, tensorboard=request.tensorboard) as log:
            fitted = fit_pixel_head(
                data,
                trunk,
                block_m=request.block_m,
                seed=request.seed,
                device=device.torch,
                reporter=reporter.part(0.15, 0.85),
                log=log.write,
            )
        for line in (*fitted.data.ignored, *doubts(fitted)):
            reporter.warn(line)
        reporter.progress(0.88, "save", "Writing the model")
        figures = figures_of(fitted, trunk, unknown_share=request.unknown_share)
        name = request.register_as or request.name or "landcover-labels"
        card = card_of(fitted, trunk, name=name, licence=request.licence, figures=figures)
        pictures = _pictures(fitted, trunk, card, device.torch)
        bundle = save_bundle(folder.path / _MODEL, fitted.network.cpu(), card)
        result = _result(request, figures, reporter, bundle, device)
        if request.register_as is not None:
            target = register(folder.path / _MODEL, request.register_as, overwrite=request.overwrite)
            result["registered"] = {"name": request.register_as, "folder": str(target)}
        result["seconds"] = round(time.monotonic() - started, 2)
        diagram = reliability_svg(
            [("After calibration", [Reliability("held-out blocks", fitted.measured.reliability)])],
            share="share that is right",
        )
        html = labels_report_html(
            result=result,
            rows=read_metrics(folder.path / METRICS),
            title=f"Land-cover model {name}",
            pictures=pictures,
            reliability=svg_uri(diagram) if diagram is not None else None,
        )
        folder.write(REPORT, html)
        folder.write(RESULT, plainjson.dumps(result, indent=2) + "\n")
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(request.out).expanduser().absolute())}


def _check(request: FinetuneRequest) -> None:
    if request.task != "landcover":
        raise ParameterError(
            f"finetune: labels from a layer are for land cover; found --task {request.task}.",
            remedy="Use --task landcover.",
        )
    if request.register_as is not None:
        check_name(request.register_as, overwrite=request.overwrite)


def _trunk(request: FinetuneRequest, data: LabelData, reporter: Reporter) -> Trunk:
    statistics: dict[str, BandStatistics] = {}
    each = [scene.statistics() for scene in data.scenes]
    for sensor in data.scenes[0].sensors:
        statistics[sensor] = merged([one[sensor] for one in each])
    bundle: Bundle | None = None
    wanted = request.encoder if "encoder" in request.model_fields_set else "auto"
    if wanted == "auto":
        bundle = _starter(data.scenes[0].sensors)
    elif wanted != "random":
        bundle = find_model(wanted, task="landcover")
    trunk = find_trunk(bundle, data.bands, statistics, data.scenes[0].grid.gsd_m())
    if trunk.segmenter is None:
        reporter.log(f"Pixels and their neighbourhoods alone: {trunk.note}.")
    else:
        reporter.log(f"Features of the model {trunk.name}{' ' + trunk.note if trunk.note else ''}.")
    return trunk


def _starter(sensors: tuple[str, ...]) -> Bundle | None:
    """The installed model that maps from these sensors, where there is one."""
    try:
        return find_model(automatic(sensors, list_models())[0], task="landcover")
    except ModelError:
        return None


def _pictures(fitted: Fitted, trunk: Trunk, card: dict[str, Any], device: torch.device) -> list[tuple[str, Any]]:
    most = max(range(len(fitted.data.scenes)), key=lambda i: len(fitted.data.pixels[i]))
    scene, pixels = fitted.data.scenes[most], fitted.data.pixels[most]
    window, picture, mapped = preview(
        fitted.network,
        scene,
        pixels,
        fitted.data.table,
        trunk,
        temperature=card["temperature"],
        unknown_below=card["unknown_below"],
        device=device,
    )
    where = f"rows {window.row} to {window.row_stop - 1}, columns {window.col} to {window.col_stop - 1}"
    return [(f"The scene with its labels ({where})", picture), ("The map of the same place; labels outlined", mapped)]


def _result(
    request: FinetuneRequest, figures: dict[str, Any], reporter: Reporter, bundle: Bundle, device: Device
) -> dict[str, Any]:
    places = places_of(request.scene, request.labels_from, request.data)
    inputs: dict[str, str] = {}
    for number, place in enumerate(places):
        tail = str(number) if number else ""
        inputs |= {f"scene{tail}{f'_{i}' if i else ''}": path for i, path in enumerate(place.rasters)}
        inputs[f"labels{tail}"] = place.labels
    return {
        "job": "finetune",
        "outputs": {"model": f"{_MODEL}/{CARD}", "metrics": METRICS, "report": REPORT, "result": RESULT},
        "inputs": {name: {"path": path, "sha256": None} for name, path in inputs.items()},
        "parameters": request.model_dump(mode="json"),
        "model": {"name": bundle.name, "sha256": bundle.sha256},
        "engine_version": VERSION,
        "command": command_line("finetune", request, positional=()),
        "seconds": 0.0,
        "device": str(device),
        "warnings": list(reporter.warnings),
        "figures": figures,
    }
