"""The ``pretrain`` job: encoders learned from pairs of sensors, or by the methods that they are compared with."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine import plainjson
from engine.errors import ParameterError
from engine.events import Reporter
from engine.models.bundle import save_bundle
from engine.models.projection import DualEncoder, Embedder
from engine.models.resnet import ResNet
from engine.training.data.dataset import PairDataset, Windows
from engine.training.data.sampling import EpochSampler, TimePartners
from engine.training.distributed import World, joined_world
from engine.training.loop import Batch, LoopSettings, TrainingLoop, explain_out_of_memory
from engine.training.metrics_log import METRICS, last_figures, read_metrics
from engine.training.objectives import CROSS_LOSSES, CrossSensor, MomentumContrast, Temperature, TwoViews
from engine.training.order import Order
from engine.training.pretraining_data import open_pretraining_data
from engine.training.report.run import run_report_html
from engine.training.report.samples import pair_samples
from engine.training.requests import PretrainRequest, RunRequest
from engine.training.rng import derive_seed, seed_everything, step_generator
from engine.training.run_folder import REPORT, RESULT, RunFolder, check_free, resolve
from engine.training.run_result import run_result
from engine.training.symmetry import draw_corners
from engine.training.views import aggressive, gentle

SENSORS = ("s1", "s2")
_QUEUE = 4096
_DEFAULT_EPOCHS = 100.0


def run(request: PretrainRequest, reporter: Reporter) -> dict[str, Any]:
    """Train as ``request`` says and return ``result.json``'s content; raises EngineError, Cancelled among them.

    A run that is cancelled or killed is gone on with by ``resume``.
    """
    request = resolve(request, "pretrain")
    check_free(request)
    try:
        with joined_world(request.device) as world:
            own = reporter if world.main else Reporter(token=reporter.token)
            return _run(request, world, own)
    except torch.OutOfMemoryError as error:
        raise explain_out_of_memory(error) or error from error


def _run(request: PretrainRequest, world: World, reporter: Reporter) -> dict[str, Any]:
    started = time.monotonic()
    reporter.progress(0.0, "data", "Looking for data")
    data = open_pretraining_data(request, reporter.part(0.0, 0.1))
    warn_of_data(request, data, reporter)
    seed_everything(derive_seed(request.seed, "rank", world.rank))
    objective = make_objective(request, data, world)
    encoders = objective.encoders
    facts: dict[str, Any] = {"samples": len(data), "left_out": [one.why for one in data.left_out]}
    order = training_order(request, data, world) if request.method != "random" else None
    with RunFolder(request, job="pretrain", main=world.main) as folder:
        world.wait()
        figures: dict[str, Any] = {"steps": 0}
        if order is not None:
            settings = loop_settings(request, total_steps(request, order))
            loop = TrainingLoop(
                objective,
                cut_batches(data, order, request, world, sensors=tuple(data.bands), partners=_partners(request, data)),
                settings=settings,
                world=world,
                folder=folder.path,
                reporter=reporter.part(0.1, 0.95),
                samples=request.batch * world.size,
                facts=run_facts(request, data),
            )
            loop.run(resume=request.resume)
            figures = {"steps": settings.steps, "epochs": settings.steps * request.accumulate / order.steps}
            figures |= {"training_seconds": round(loop.seconds, 2), "precision": loop.precision}
            if loop.average is not None:
                objective.load_state_dict(loop.average.values)
        if not world.main:
            return {"job": "pretrain", "rank": world.rank, "out": str(folder.path)}
        reporter.progress(0.96, "save", "Writing encoders")
        outputs = save_encoders(folder.path, encoders, request, data)
        rows = read_metrics(folder.path / METRICS)
        figures |= facts | last_figures(rows)
        result = run_result(
            "pretrain",
            request,
            world,
            outputs=outputs,
            data={"data": request.data},
            figures=figures,
            reporter=reporter,
            started=started,
        )
        if request.method == "random":  # nothing was trained, nothing was logged
            del result["outputs"]["metrics"]
        html = run_report_html(
            result=result,
            rows=rows,
            title=f"Encoders by {request.method}",
            cards=_cards(figures, data),
            samples=pair_samples(data, objective if isinstance(objective, CrossSensor) else None),
            samples_title="Samples",
        )
        folder.write(REPORT, html)
        folder.write(RESULT, plainjson.dumps(result, indent=2) + "\n")
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(request.out).expanduser().absolute())}


def warn_of_data(request: RunRequest, data: PairDataset, reporter: Reporter) -> None:
    """Say what was left out, and options that a pack overrides."""
    if data.left_out:
        count = len(data.left_out)
        were = "item was" if count == 1 else "items were"
        reporter.warn(f"{count} {were} left out; the first: {data.left_out[0].why}")
    if data.side < request.crop:
        reporter.warn(f"The pack holds squares of {data.side} pixels; --crop {request.crop} is not used.")


def make_objective(
    request: PretrainRequest, data: PairDataset, world: World
) -> CrossSensor | TwoViews | MomentumContrast:
    """The network and its objective, with weights drawn from the request's seed alone."""
    torch.manual_seed(derive_seed(request.seed, "weights"))
    sensors = [sensor for sensor in SENSORS if sensor in data.bands]
    encoders = {s: ResNet(request.encoder, bands=len(data.bands[s]), width=request.width) for s in sensors}
    temperature = Temperature(request.temperature, learned=request.learn_temperature)
    strong = aggressive(sensors, {"s1": data.statistics["s1"].std} if "s1" in sensors else {})
    method = "multimodal" if request.method == "random" and len(sensors) == 2 else request.method
    if method in CROSS_LOSSES:
        model = DualEncoder(
            encoders["s1"], encoders["s2"], dimensions=request.dimensions, dense=request.method == "dense"
        )
        augment = strong if method == "multimodal+aggressive" else gentle(sensors)
        return CrossSensor(model, augment, loss=CROSS_LOSSES[method], temperature=temperature, gather=world.gather)
    embedders = {s: Embedder(encoders[s], dimensions=request.dimensions) for s in sensors}
    if method == "moco-v2":
        return MomentumContrast(
            embedders,
            strong,
            temperature=temperature,
            queue=request.queue or max(1, min(_QUEUE, len(data) // 2)),
            momentum=request.momentum,
            dimensions=request.dimensions,
            seed=request.seed,
            gather=world.gather,
        )
    return TwoViews(embedders, strong, temperature=temperature, gather=world.gather)


def training_order(
    request: RunRequest,
    data: PairDataset,
    world: World,
    indices: list[int] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Order:
    """The order of the request's batches, each a part of a step; ``weights``: how often samples are drawn."""
    if request.batch % request.accumulate:
        raise ParameterError(
            f"A batch of {request.batch} cannot be cut into {request.accumulate} equal parts.",
            remedy="Let --batch be a multiple of --accumulate.",
        )
    count = len(data) if indices is None else len(indices)
    part = request.batch // request.accumulate
    sampler = EpochSampler(
        len(data), batch=part, seed=request.seed, rank=world.rank, world=world.size, indices=indices, weights=weights
    )
    return Order(sampler, samples=count)


def cut_batches(
    data: PairDataset,
    order: Order,
    request: RunRequest,
    world: World,
    *,
    sensors: tuple[str, ...],
    partners: TimePartners | None = None,
) -> Callable[[int, int], Batch]:
    """What the loop asks for: part ``part`` of the batch of step ``step``, windows of ``--crop`` pixels where the
    squares are larger; the U-Net needs multiples of 32. ``partners``: Sentinel-2 is that of a date drawn anew."""
    size = min(request.crop, data.side // 32 * 32) if data.side > 32 else data.side

    def batches(step: int, part: int) -> Batch:
        indices = order.batch(step * request.accumulate + part)
        light = None
        if partners is not None:
            dates = np.random.default_rng(derive_seed(request.seed, "dates", step, part, world.rank))
            light = partners.draw(np.asarray(indices, np.int64), dates)
        if size >= data.side:
            return data.batch(indices, sensors=sensors, s2_indices=light)
        generator = step_generator("cpu", request.seed, "window", step, part, world.rank)
        corners = draw_corners(len(indices), data.side, size, generator)
        return data.batch(indices, sensors=sensors, s2_indices=light, windows=Windows(size, corners))

    return batches


def _partners(request: PretrainRequest, data: PairDataset) -> TimePartners | None:
    """The dates to draw from with ``--resample-days``; raises ParameterError where no place has a second one."""
    if request.resample_days is None:
        return None
    partners = TimePartners(data.samples, max_days=request.resample_days)
    if len(data.bands) < 2 or all(len(partners.of(i)) == 1 for i in range(len(data))):
        raise ParameterError(
            f"--resample-days {request.resample_days:g}: no place has a second Sentinel-2 image within so many days of "
            "a Sentinel-1 image.",
            remedy="Give time series with dates, more days, or leave the option out.",
        )
    return partners


def total_steps(request: RunRequest, order: Order) -> int:
    """Steps of the optimiser that the request means."""
    if request.steps is not None:
        return request.steps
    return max(1, round((request.epochs or _DEFAULT_EPOCHS) * order.steps / request.accumulate))


def loop_settings(request: RunRequest, steps: int, *, layer_decay: float = 1.0) -> LoopSettings:
    """The loop's settings of a request."""
    return LoopSettings(
        steps=steps,
        seed=request.seed,
        accumulate=request.accumulate,
        optimiser=request.optimiser,
        rate=request.lr,
        weight_decay=request.weight_decay,
        layer_decay=layer_decay,
        warmup=round(request.warmup * steps),
        clip=request.clip or None,
        ema=request.ema or None,
        precision=request.precision,
        workers=request.workers,
        log_every=request.log_every,
        health_every=min(50, max(1, steps // 20)),
        validate_every=max(1, steps // 20),
        checkpoint_every=request.checkpoint_every,
        tensorboard=request.tensorboard,
    )


def run_facts(request: RunRequest, data: PairDataset) -> dict[str, Any]:
    """What a checkpoint must agree in with the run that goes on from it."""
    return {
        "batch": request.batch,
        "accumulate": request.accumulate,
        "seed": request.seed,
        "samples": len(data),
        "statistics": {sensor: known.to_dict() for sensor, known in data.statistics.items()},
    }


def save_encoders(
    folder: Path, encoders: dict[str, ResNet], request: PretrainRequest, data: PairDataset
) -> dict[str, str]:
    """A bundle for each sensor, ``encoder-s1`` and ``encoder-s2``, that 'engine finetune --encoder' takes."""
    outputs: dict[str, str] = {}
    for sensor, encoder in encoders.items():
        card = {
            "name": f"encoder-{sensor}",
            "title": f"{encoder.name} encoder for {sensor.upper()}, {request.method}",
            "description": f"Trained by 'engine pretrain --method {request.method}'.",
            "licence": "unstated",
            "task": "encoder",
            "bands": [band.model_dump() for band in data.statistics[sensor].inputs(sensor)],
            "gsd_m": _pixel_sizes(data),
            "activation": "none",
            "trained_on": trained_on(request.data),
        }
        save_bundle(folder / f"encoder-{sensor}", copy.deepcopy(encoder).eval().cpu(), card)
        outputs[f"encoder_{sensor}"] = f"encoder-{sensor}/card.json"
    return outputs


def _pixel_sizes(data: PairDataset) -> list[float]:
    """Finest and coarsest pixels in metres that encoders are for: an octave beyond those of the data on both sides
    (they are where training starts, not maps); the 10 m of Sentinel where no sample tells its own."""
    told = [one.gsd_m for one in data.samples if one.gsd_m is not None] or [10.0]
    return [round(min(told) / 2, 3), round(max(told) * 2, 3)]


def trained_on(places: Sequence[str]) -> list[dict[str, str]]:
    """The data for a card, by kind and last part of the path: paths of a machine say nothing elsewhere."""
    names = dict.fromkeys(
        f"{place.partition(':')[0]}:{Path(place).name}" if ":" in place else Path(place).name for place in places
    )
    return [{"name": name, "licence": "unstated"} for name in names]


def _cards(figures: dict[str, Any], data: PairDataset) -> list[tuple[str, str]]:
    last = figures.get("last", {})
    cards = [("Squares", f"{len(data):,}"), ("Places", f"{len(set(data.groups)):,}")]
    cards.append(("Steps", f"{figures['steps']:,}"))
    if "loss" in last:
        cards.append(("Loss at the end", f"{last['loss']:.4f}"))
    if "top1" in last:
        cards.append(("Partner found first", f"{100 * last['top1']:.0f} %"))
    if "samples_per_s" in last:
        cards.append(("Samples per second", f"{last['samples_per_s']:.1f}"))
    return cards
