"""The ``finetune`` job: a flood or land-cover model from labelled chips, on pretrained encoders or from nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from engine import plainjson, svg
from engine.errors import ParameterError
from engine.events import Reporter
from engine.models.bundle import CARD, save_bundle
from engine.models.indices import Indices
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.calibration import Calibrated, calibrate, calibration_error
from engine.training.data.dataset import PairDataset
from engine.training.data.sampling import group_weights
from engine.training.daylight import Daylight, Reflectances
from engine.training.distributed import World, joined_world
from engine.training.labelled import SENSOR_SETS, Split, choose_bands, ground_sampling, open_labelled, split
from engine.training.loop import TrainingLoop, explain_out_of_memory
from engine.training.metrics_log import METRICS, last_figures, read_metrics
from engine.training.optimiser import freeze
from engine.training.pretrain import (
    cut_batches,
    loop_settings,
    run_facts,
    total_steps,
    training_order,
    warn_of_data,
)
from engine.training.report.reliability import Reliability
from engine.training.report.run import run_report_html
from engine.training.report.samples import spread
from engine.training.requests import FinetuneRequest
from engine.training.rng import derive_seed, seed_everything
from engine.training.run_folder import REPORT, RESULT, RunFolder, check_free, resolve
from engine.training.run_result import run_result
from engine.training.segmentation import Network, Segmentation, Variation, encoders_of, predicted, whole_cells
from engine.training.segmentation_losses import class_weights
from engine.training.start import Start, carry_over, find_start
from engine.training.tasks.card import model_card
from engine.training.tasks.find import find_task
from engine.training.tasks.task import Measured, Task, TaskClass

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
    task = find_task(request)
    start = find_start(request)
    parts, classes = _open(request, task, start, reporter)
    data = parts.train
    gsd_m = ground_sampling(data, parts.train_indices, given=request.gsd)
    seed_everything(derive_seed(request.seed, "rank", world.rank))
    objective = _objective(request, task, start, parts, classes)
    hold = _frozen(objective.network, request)
    smaller = _fitting(request, len(parts.train_indices), world, reporter)
    _check_normalisation(smaller, data.side)
    weights = group_weights([data.groups[i] for i in parts.train_indices], request.balance) if request.balance else None
    order = training_order(smaller, data, world, parts.train_indices, weights)
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
            validate=_validator(objective.network, task, parts) if parts.check_indices and not brief else None,
        )
        loop.run(resume=request.resume)
        if not world.main:
            return {"job": "finetune", "rank": world.rank, "out": str(folder.path)}
        if loop.average is not None:
            objective.load_state_dict(loop.average.values)
        reporter.progress(0.92, "calibrate", "Calibrating on validation data")
        network = objective.network.eval()
        checked = _validated(network, request, task, parts, reporter)
        measured = Measured(checked, request.sensor_set, len(parts.check_indices), bool(request.validation))
        whole = measured.whole
        if not parts.check_indices:
            reporter.warn(
                "There is one event or place only, so nothing was held out: probabilities are not calibrated."
            )
        figures = {
            "steps": settings.steps,
            "training_seconds": round(loop.seconds, 2),
            "precision": loop.precision,
            "start": start.name,
            "sensors": request.sensor_set,
            "bands": {sensor: list(names) for sensor, names in data.bands.items()},
            "squares": len(parts.train_indices),
            "events": len({data.samples[i].group for i in parts.train_indices}),
            "validation_squares": len(parts.check_indices),
            "temperature": whole.temperature,
            **task.figures(measured, classes),
            "validation_ece": calibration_error(whole.tables),
            "left_out": [one.why for one in data.left_out],
        }
        reporter.progress(0.95, "save", "Writing the model")
        samples = [] if brief else _samples(network, task, parts, classes, whole.temperature)
        card = (
            model_card(request, data, gsd_m)
            | {"temperature": whole.temperature}
            | task.card(measured, classes, tuple(data.bands))
        )
        bundle = save_bundle(folder.path / _MODEL, network.cpu(), card)
        rows = read_metrics(folder.path / METRICS)
        result = run_result(
            "finetune",
            request,
            world,
            outputs={"model": f"{_MODEL}/{CARD}"},
            data={"data": request.data, "validation": request.validation},
            figures=figures | last_figures(rows),
            reporter=reporter,
            started=started,
            model={"name": bundle.name, "sha256": bundle.sha256},
        )
        if brief:
            del result["outputs"]["report"]
        else:
            html = run_report_html(
                result=result,
                rows=rows,
                title=f"{task.noun} model {request.model_name}",
                cards=[*task.tiles(figures), *_tiles(figures)],
                samples=samples,
                samples_title="Predictions for validation squares" if parts.check_indices else "Predictions",
                reliability=_reliability(checked),
                reliability_of=task.reliability,
            )
            folder.write(REPORT, html)
        folder.write(RESULT, plainjson.dumps(result, indent=2) + "\n")
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(request.out).expanduser().absolute())}


def _open(
    request: FinetuneRequest, task: Task, start: Start, reporter: Reporter
) -> tuple[Split, tuple[TaskClass, ...]]:
    """The data, split, with labels as numbers of the classes."""
    bands = choose_bands(
        SENSOR_SETS[request.sensor_set],
        request.data,
        known=start.statistics,
        optical=request.optical_bands,
        default=task.s2_bands,
    )
    part = reporter.part(0.0, 0.1)

    def opened(places: Sequence[str], share: Reporter) -> PairDataset:
        return open_labelled(places, bands, side=request.crop, broken=request.broken, reporter=share, task=task)

    data = opened(request.data, part.part(0.0, 0.7))
    known = {sensor: start.statistics.get(sensor, data.statistics[sensor]) for sensor in bands}
    check = opened(request.validation, part.part(0.7, 1.0)) if request.validation else None
    classes = task.classes([data, *([check] if check else [])])
    warn_of_data(request, data, reporter)
    numbers = {one.value: number for number, one in enumerate(classes)}

    def learned(one: PairDataset) -> PairDataset:
        return one.normalised_by(known).relabelled(
            numbers, legend=one.legend, classes={number: c.name for number, c in enumerate(classes)}
        )

    parts = split(learned(data), learned(check) if check else None, labels=request.labels, seed=request.seed)
    seen = parts.train.label_counts(parts.train_indices)
    unseen = [one.name for number, one in enumerate(classes) if not seen.get(number)]
    if unseen:
        reporter.warn(f"No training square shows {', '.join(unseen)}: the model cannot find it.")
    return parts, classes


def _objective(
    request: FinetuneRequest, task: Task, start: Start, parts: Split, classes: Sequence[TaskClass]
) -> Segmentation:
    torch.manual_seed(derive_seed(request.seed, "weights"))
    data = parts.train
    first = next(iter(start.encoders.values()), None)
    name, width = (first.name, first.width) if first is not None else (request.architecture, request.width)
    features = start.network.features if start.network is not None else task.features
    network: Network
    if request.sensor_set == "both":
        network = TwoSensorSegmenter(
            s1_bands=len(data.bands["s1"]),
            s2_bands=len(data.bands["s2"]),
            classes=len(classes),
            encoder=name,
            width=width,
            features=features,
        )
    else:
        network = Segmenter(
            bands=len(data.bands[request.sensor_set]),
            classes=len(classes),
            encoder=name,
            width=width,
            features=features,
            indices=_indices(request, start, data),
        )
    carry_over(start, network, [one.value for one in classes], data.legend)
    weights = None
    if request.class_weights == "balanced":
        weights = class_weights(data.label_counts(parts.train_indices), len(classes))
    optical = data.bands.get("s2", ())
    variation = Variation(
        jitter=request.jitter,
        common_jitter=request.common_jitter,
        gain=request.gain,
        scale=request.scale,
        shrink=request.shrink,
        hide=request.hide_bands,
        hidden=tuple(number for number, band in enumerate(optical) if band in request.hidden_bands),
        daylight=Daylight(brightness=request.brightness, tint=request.tint, haze=request.haze),
        optical=_reflectances(data) if optical else None,
        drop_sensor=request.drop_sensor,
    )
    return Segmentation(
        network,
        sensors=SENSOR_SETS[request.sensor_set],
        loss=request.loss,
        weights=weights,
        variation=variation,
        smoothing=request.label_smoothing,
    )


def _indices(request: FinetuneRequest, start: Start, data: PairDataset) -> Indices | None:
    """Those of the network that is gone on with, else as the request says."""
    has = start.network.indices is not None if isinstance(start.network, Segmenter) else request.indices
    if not has:
        return None
    if request.sensor_set != "s2" or (start.encoders and start.network is None):
        raise ParameterError(
            "--indices is for a network of Sentinel-2 alone that starts from random weights or from one with indices.",
            remedy="Leave it out, or use --sensors s2 and --encoder random.",
        )
    known = data.statistics["s2"]
    return Indices(known.names, known.mean, known.std)


def _reflectances(data: PairDataset) -> Reflectances:
    found = data.statistics["s2"]
    return Reflectances(found.names, found.mean, found.std)


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


def _check_normalisation(request: FinetuneRequest, side: int) -> None:
    """Raise ParameterError where the encoder's last stage, at a stride of 32, would have one value per channel."""
    if request.freeze == "encoder" or side >= 64 or request.batch // request.accumulate > 1:
        return
    raise ParameterError(
        f"finetune: a part of a batch is one square of {side} x {side} pixels, from which the encoder's batch "
        "normalisation cannot be trained; expected at least two squares, or larger ones.",
        remedy="Raise --batch or lower --accumulate (there must be as many squares), use --crop 64, or --freeze "
        "encoder.",
    )


def _validator(network: Network, task: Task, parts: Split) -> Callable[[int], dict[str, float]]:
    def validate(step: int) -> dict[str, float]:
        return task.on_the_way(calibrate(network, parts.check, parts.check_indices, tables=task.tables, fit=False))

    return validate


def _validated(
    network: Network, request: FinetuneRequest, task: Task, parts: Split, reporter: Reporter
) -> dict[str, Calibrated]:
    """By what was mapped from: all sensors, and each of two alone where a square has it."""
    data, indices = parts.check, parts.check_indices
    whole = calibrate(network, data, indices, tables=task.tables, check=reporter.check)
    found: dict[str, Calibrated] = {request.sensor_set: whole}
    if request.sensor_set == "both":
        for sensor in SENSOR_SETS["both"]:
            alone = calibrate(
                network,
                data,
                indices,
                tables=task.tables,
                sensors=(sensor,),
                fit=False,
                temperature=whole.temperature,
                check=reporter.check,
            )
            found[sensor] = alone.seen()
    return found


def _reliability(checked: dict[str, Calibrated]) -> list[Reliability]:
    names = {way: "validation data" if len(checked) == 1 else f"from {way}" for way in checked}
    drawn = zip(checked.items(), svg.COLORS, svg.MARKERS, strict=False)  # three ways at most
    return [Reliability(names[way], one.reliability, color, marker) for (way, one), color, marker in drawn]


@torch.no_grad()
def _samples(network: Network, task: Task, parts: Split, classes: Sequence[TaskClass], temperature: float) -> list[Any]:
    data, indices = (parts.check, parts.check_indices) if parts.check_indices else (parts.train, parts.train_indices)
    chosen = [indices[i] for i in spread(len(indices), 6)]
    batch = whole_cells(data.batch(chosen))
    device = next(network.parameters()).device
    there = {name: value.to(device) for name, value in batch.items()}
    probability = (predicted(network, there, tuple(data.bands)).float() / temperature).softmax(1)
    return task.sample_rows(data, chosen, probability, batch, classes)


def _tiles(figures: dict[str, Any]) -> list[tuple[str, str]]:
    ece = figures["validation_ece"]["value"]
    return [
        ("Squares", f"{figures['squares']:,}"),
        ("Events or places", f"{figures['events']:,}"),
        ("Steps", f"{figures['steps']:,}"),
        ("Temperature", f"{figures['temperature']:.2f}"),
        ("Calibration error on validation squares", "–" if ece is None else f"{ece:.3f}"),
    ]
