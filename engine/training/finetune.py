"""The ``finetune`` job: a flood model from labelled chips, on pretrained encoders or from nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine import plainjson
from engine.command_line import command_line
from engine.events import Reporter
from engine.models.bundle import CARD, Bundle, save_bundle
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.calibration import Calibrated, calibrate, calibration_error, water_iou
from engine.training.distributed import World, joined_world
from engine.training.flood_card import CLASSES, flood_card
from engine.training.flood_data import SENSOR_SETS, Split, choose_bands, open_labelled, split
from engine.training.loop import TrainingLoop, explain_out_of_memory
from engine.training.metrics_log import METRICS, read_metrics
from engine.training.optimiser import freeze
from engine.training.pretrain import (
    cut_batches,
    last_figures,
    loop_settings,
    run_facts,
    total_steps,
    training_order,
    warn_of_data,
)
from engine.training.report import svg
from engine.training.report.reliability import Reliability
from engine.training.report.run import run_report_html
from engine.training.report.samples import prediction_samples, spread
from engine.training.requests import FinetuneRequest
from engine.training.rng import derive_seed, seed_everything
from engine.training.run_folder import REPORT, RESULT, RunFolder, check_free, resolve
from engine.training.segmentation import Network, Segmentation, Variation, encoders_of, predicted, whole_cells
from engine.training.segmentation_losses import class_weights
from engine.training.start import Start, find_start
from engine.version import VERSION

__all__ = ["Start", "calibrate", "find_start", "run"]

_MODEL = "model"


def run(request: FinetuneRequest, reporter: Reporter, *, brief: bool = False) -> dict[str, Any]:
    """Train as ``request`` says, calibrate on validation data, write the model, and return ``result.json``'s content;
    raises EngineError, Cancelled among them. A run that was cancelled or killed is gone on with by ``resume``.
    ``brief``: no validation on the way and no report, for runs that are many; the model is the same."""
    request = resolve(request, "finetune")
    check_free(request)
    try:
        with joined_world(request.device) as world:
            own = reporter if world.main else Reporter(token=reporter.token)
            return _run(request, world, own, brief=brief)
    except torch.OutOfMemoryError as error:
        raise explain_out_of_memory(error) or error from error


def _run(request: FinetuneRequest, world: World, reporter: Reporter, *, brief: bool) -> dict[str, Any]:
    started = time.monotonic()
    reporter.progress(0.0, "data", "Looking for data")
    start = find_start(request)
    parts = _open(request, start, reporter)
    data = parts.train
    seed_everything(derive_seed(request.seed, "rank", world.rank))
    objective = _objective(request, start, parts)
    hold = _frozen(objective.network, request)
    smaller = _fitting(request, len(parts.train_indices), world, reporter)
    order = training_order(smaller, data, world, parts.train_indices)
    settings = loop_settings(request, total_steps(request, order), layer_decay=request.layer_decay)
    with RunFolder(request, job="finetune", main=world.main) as folder:
        world.wait()
        loop = TrainingLoop(
            objective,
            cut_batches(data, order, smaller, world, sensors=objective.sensors),
            settings=settings,
            world=world,
            folder=folder.path,
            reporter=reporter.part(0.1, 0.9),
            samples=smaller.batch * world.size,
            facts={**run_facts(smaller, data), "train": parts.train_indices, "start": start.sha256},
            after_train_mode=hold,
            validate=_validator(objective.network, parts) if parts.check_indices and not brief else None,
        )
        loop.run(resume=request.resume)
        if not world.main:
            return {"job": "finetune", "rank": world.rank, "out": str(folder.path)}
        if loop.average is not None:
            objective.load_state_dict(loop.average.values)
        reporter.progress(0.92, "calibrate", "Calibrating on validation data")
        network = objective.network.eval()
        checked = _validated(network, request, parts, reporter)
        whole = checked[request.sensors]
        if not parts.check_indices:
            reporter.warn("There is one event only, so nothing was held out: probabilities are not calibrated.")
        figures = {
            "steps": settings.steps,
            "training_seconds": round(loop.seconds, 2),
            "precision": loop.precision,
            "start": start.name,
            "sensors": request.sensors,
            "bands": {sensor: list(names) for sensor, names in data.bands.items()},
            "squares": len(parts.train_indices),
            "events": len({data.samples[i].group for i in parts.train_indices}),
            "validation_squares": len(parts.check_indices),
            "temperature": whole.temperature,
            "validation_iou": water_iou(whole.counts),
            "validation_iou_alone": {s: water_iou(one.counts) for s, one in checked.items() if s != request.sensors},
            "validation_ece": calibration_error(whole.tables),
            "left_out": [one.why for one in data.left_out],
        }
        reporter.progress(0.95, "save", "Writing the model")
        samples = [] if brief else _samples(network, parts, whole.temperature)
        bundle = save_bundle(folder.path / _MODEL, network.cpu(), flood_card(request, data, checked))
        rows = read_metrics(folder.path / METRICS)
        result = _result(request, world, figures | last_figures(rows), reporter, bundle)
        result["seconds"] = round(time.monotonic() - started, 2)
        if brief:
            del result["outputs"]["report"]
        else:
            html = run_report_html(
                result=result,
                rows=rows,
                title=f"Flood model {request.model_name}",
                cards=_cards(figures),
                samples=samples,
                samples_title="Predictions for validation squares" if parts.check_indices else "Predictions",
                reliability=_reliability(request, checked),
            )
            folder.write(REPORT, html)
        folder.write(RESULT, plainjson.dumps(result, indent=2) + "\n")
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(request.out).expanduser().absolute())}


def _open(request: FinetuneRequest, start: Start, reporter: Reporter) -> Split:
    bands = choose_bands(
        SENSOR_SETS[request.sensors], request.data, known=start.statistics, optical=request.optical_bands
    )
    part = reporter.part(0.0, 0.1)
    data = open_labelled(request.data, bands, side=request.crop, broken=request.broken, reporter=part.part(0.0, 0.7))
    known = {sensor: start.statistics.get(sensor, data.statistics[sensor]) for sensor in bands}
    data = data.normalised_by(known)
    check = None
    if request.validation:
        check = open_labelled(
            request.validation, bands, side=request.crop, broken=request.broken, reporter=part.part(0.7, 1.0)
        ).normalised_by(known)
    warn_of_data(request, data, reporter)
    return split(data, check, labels=request.labels, seed=request.seed)


def _objective(request: FinetuneRequest, start: Start, parts: Split) -> Segmentation:
    torch.manual_seed(derive_seed(request.seed, "weights"))
    data = parts.train
    first = next(iter(start.encoders.values()), None)
    name, width = (first.name, first.width) if first is not None else (request.architecture, request.width)
    network: Network
    if request.sensors == "both":
        network = TwoSensorSegmenter(
            s1_bands=len(data.bands["s1"]),
            s2_bands=len(data.bands["s2"]),
            classes=len(CLASSES),
            encoder=name,
            width=width,
        )
    else:
        network = Segmenter(bands=len(data.bands[request.sensors]), classes=len(CLASSES), encoder=name, width=width)
    for encoder, known in zip(encoders_of(network), start.encoders.values(), strict=False):
        encoder.load_state_dict(known.state_dict())
    if start.network is not None:
        network.load_state_dict(start.network.state_dict())
    weights = None
    if request.class_weights == "balanced":
        weights = class_weights(data.label_counts(parts.train_indices), len(CLASSES))
    variation = Variation(
        jitter=request.jitter,
        common_jitter=request.common_jitter,
        gain=request.gain,
        scale=request.scale,
        drop_sensor=request.drop_sensor,
    )
    return Segmentation(
        network, sensors=SENSOR_SETS[request.sensors], loss=request.loss, weights=weights, variation=variation
    )


def _frozen(network: Network, request: FinetuneRequest) -> Callable[[], None]:
    holds = [freeze(encoder, request.freeze) for encoder in encoders_of(network)]

    def hold() -> None:
        for one in holds:
            one()

    return hold


def _fitting(request: FinetuneRequest, count: int, world: World, reporter: Reporter) -> FinetuneRequest:
    """The request with a batch that ``count`` squares can fill."""
    most = max(request.accumulate, count // world.size // request.accumulate * request.accumulate)
    if request.batch <= most:
        return request
    reporter.log(f"{count} squares: the batch is {most} instead of {request.batch}.")
    return request.model_copy(update={"batch": most})


def _validator(network: Network, parts: Split) -> Callable[[int], dict[str, float]]:
    def validate(step: int) -> dict[str, float]:
        iou = water_iou(calibrate(network, parts.check, parts.check_indices, fit=False).counts)["value"]
        return {} if iou is None else {"iou": iou}

    return validate


def _validated(network: Network, request: FinetuneRequest, parts: Split, reporter: Reporter) -> dict[str, Calibrated]:
    """By what was mapped from: all sensors, and each of two alone where a square has it."""
    data, indices = parts.check, parts.check_indices
    whole = calibrate(network, data, indices, check=reporter.check)
    found: dict[str, Calibrated] = {request.sensors: whole}
    if request.sensors == "both":
        for sensor in SENSOR_SETS["both"]:
            alone = calibrate(
                network,
                data,
                indices,
                sensors=(sensor,),
                fit=False,
                temperature=whole.temperature,
                check=reporter.check,
            )
            found[sensor] = alone.seen()
    return found


def _reliability(request: FinetuneRequest, checked: dict[str, Calibrated]) -> list[Reliability]:
    names = {way: "validation data" if len(checked) == 1 else f"from {way}" for way in checked}
    drawn = zip(checked.items(), svg.COLORS, svg.MARKERS, strict=False)  # three ways at most
    return [Reliability(names[way], one.reliability, color, marker) for (way, one), color, marker in drawn]


@torch.no_grad()
def _samples(network: Network, parts: Split, temperature: float) -> list[Any]:
    data, indices = (parts.check, parts.check_indices) if parts.check_indices else (parts.train, parts.train_indices)
    chosen = [indices[i] for i in spread(len(indices), 6)]
    batch = whole_cells(data.batch(chosen))
    device = next(network.parameters()).device
    there = {name: value.to(device) for name, value in batch.items()}
    probability = (predicted(network, there, tuple(data.bands)).float() / temperature).softmax(1)[:, 1]
    return prediction_samples(data, chosen, probability, batch)


def _cards(figures: dict[str, Any]) -> list[tuple[str, str]]:
    def shown(iou: dict[str, Any]) -> str:
        return "–" if iou["value"] is None else f"{iou['value']:.3f} ({iou['low']:.3f} to {iou['high']:.3f})"

    ece = figures["validation_ece"]["value"]
    return [
        ("Water IoU on validation squares", shown(figures["validation_iou"])),
        *((f"From {s.upper()} alone", shown(iou)) for s, iou in figures["validation_iou_alone"].items()),
        ("Squares", f"{figures['squares']:,}"),
        ("Events", f"{figures['events']:,}"),
        ("Steps", f"{figures['steps']:,}"),
        ("Temperature", f"{figures['temperature']:.2f}"),
        ("Calibration error on validation squares", "–" if ece is None else f"{ece:.3f}"),
    ]


def _result(
    request: FinetuneRequest, world: World, figures: dict[str, Any], reporter: Reporter, bundle: Bundle
) -> dict[str, Any]:
    places = {f"data{number or ''}": place for number, place in enumerate(request.data)}
    places |= {f"validation{number or ''}": place for number, place in enumerate(request.validation)}
    return {
        "job": "finetune",
        "outputs": {
            "model": f"{_MODEL}/{CARD}",
            "metrics": METRICS,
            "report": REPORT,
            "result": RESULT,
        },
        "inputs": {name: {"path": place, "sha256": None} for name, place in places.items()},
        "parameters": request.model_dump(mode="json"),
        "model": {"name": bundle.name, "sha256": bundle.sha256},
        "engine_version": VERSION,
        "command": command_line("finetune", request, positional=()),
        "seconds": 0.0,
        "device": str(world.device) + (f", {world.size} processes" if world.size > 1 else ""),
        "warnings": list(reporter.warnings),
        "figures": figures,
    }
