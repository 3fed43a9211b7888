"""The ``finetune`` job: a flood model from labelled chips, on a pretrained encoder or from nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine import plainjson
from engine.command_line import command_line
from engine.errors import ModelError
from engine.events import Reporter
from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.segmentation import figures_of_counts
from engine.models.bundle import CARD, Bundle, find_model, load_bundle, save_bundle
from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.training.calibrated import Calibrated, ece_estimate, holding, percent_table
from engine.training.data.augment import Photometry, photometry
from engine.training.data.dataset import PairDataset
from engine.training.data.items import IGNORE, S1_BANDS
from engine.training.data.statistics import BandStatistics
from engine.training.distributed import World, joined_world
from engine.training.flood_data import Split, open_labelled, split, statistics_of
from engine.training.loop import TrainingLoop, explain_out_of_memory
from engine.training.metrics_log import METRICS, read_metrics
from engine.training.objectives import Batch
from engine.training.optimiser import freeze
from engine.training.pretrain import (
    cut_batches,
    last_figures,
    loop_settings,
    run_facts,
    total_steps,
    trained_on,
    training_order,
    warn_of_data,
)
from engine.training.report.reliability import Reliability
from engine.training.report.run import run_report_html
from engine.training.report.samples import prediction_samples, spread
from engine.training.requests import FinetuneRequest
from engine.training.rng import derive_seed, seed_everything
from engine.training.run_folder import REPORT, RESULT, RunFolder, check_free, resolve
from engine.training.segmentation_losses import class_weights, cross_entropy, dice
from engine.training.symmetry import turned
from engine.training.temperature import fit_temperature
from engine.version import VERSION

SENSOR = "s1"
CLASSES = ({"value": 0, "name": "dry"}, {"value": 1, "name": "water"})
_MODEL = "model"
_JITTER = Photometry(gain=0.0, offset=0.15, blur=0.0, drop=0.0, speckle=0.0)
_CALIBRATION_PIXELS = 1_000_000


class Segmentation(nn.Module):
    """A segmenter and its objective. Each sample is mirrored and turned, and its bands are moved by up to 0.15
    standard deviations (products are calibrated to some tenths of a dB)."""

    def __init__(self, network: Segmenter, *, loss: str, weights: Tensor | None) -> None:
        super().__init__()
        self.network = network
        self._loss = loss
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The augmented inputs and labels."""
        seen = turned(batch, (SENSOR, f"{SENSOR}_valid", "label"), generator)
        valid = seen[f"{SENSOR}_valid"]
        return {**seen, SENSOR: photometry(seen[SENSOR], valid, _JITTER, generator)}

    def forward(self, views: Batch) -> Batch:
        logits = self.network(views[SENSOR])
        label = torch.where(views[f"{SENSOR}_valid"][:, 0], views["label"], IGNORE)
        focus = 2.0 if self._loss.startswith("focal") else 0.0
        loss = cross_entropy(logits, label, weights=self.weights, focus=focus)
        if self._loss.endswith("dice"):
            loss = loss + dice(logits, label)
        known = label != IGNORE
        right = ((logits.detach().argmax(1) == label) & known).sum() / known.sum().clamp(min=1)
        return {"loss": loss, "metric/accuracy": right}

    def after_step(self, step: int, total: int) -> None:
        """Nothing follows a step."""


@dataclass(frozen=True)
class Start:
    """What a network starts from: an encoder with its normalisation, or random weights."""

    name: str
    encoder: ResNet | None = None
    statistics: BandStatistics | None = None
    sha256: str | None = None


def find_start(request: FinetuneRequest) -> Start:
    """The start that ``--encoder`` names: a run's folder, a model's name or folder, or random; raises ModelError."""
    if request.encoder == "random":
        return Start("random")
    folder = Path(request.encoder).expanduser()
    inside = folder / f"encoder-{SENSOR}"
    bundle: Bundle = load_bundle(inside) if (inside / CARD).is_file() else find_model(request.encoder)
    if bundle.card.sensors != (SENSOR,) or bundle.card.network.validity:
        raise ModelError(
            f"{bundle.folder}: the encoder takes {', '.join(bundle.card.sensors)}; expected {SENSOR} alone.",
            remedy="Give an encoder for Sentinel-1.",
        )
    return Start(bundle.name, bundle.encoder(), statistics_of(bundle.card.bands), bundle.sha256)


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
    hold = freeze(objective.network.encoder, request.freeze)
    smaller = _fitting(request, len(parts.train_indices), world, reporter)
    order = training_order(smaller, data, world, parts.train_indices)
    settings = loop_settings(request, total_steps(request, order), layer_decay=request.layer_decay)
    with RunFolder(request, job="finetune", main=world.main) as folder:
        world.wait()
        loop = TrainingLoop(
            objective,
            cut_batches(data, order, smaller, world, sensors=(SENSOR,)),
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
        checked = calibrate(network, parts.check, parts.check_indices, check=reporter.check)
        temperature, counts = checked.temperature, checked.counts
        if not parts.check_indices:
            reporter.warn("There is one event only, so nothing was held out: probabilities are not calibrated.")
        figures = {
            "steps": settings.steps,
            "training_seconds": round(loop.seconds, 2),
            "precision": loop.precision,
            "start": start.name,
            "squares": len(parts.train_indices),
            "events": len({data.groups[i] for i in parts.train_indices}),
            "validation_squares": len(parts.check_indices),
            "temperature": temperature,
            "validation_iou": _iou(counts),
            "validation_ece": ece_estimate(checked.tables),
            "left_out": [one.why for one in data.left_out],
        }
        reporter.progress(0.95, "save", "Writing the model")
        samples = [] if brief else _samples(network, parts, temperature)
        bundle = save_bundle(folder.path / _MODEL, network.cpu(), _card(request, data, checked))
        rows = read_metrics(folder.path / METRICS)
        result = _result(request, world, figures | last_figures(rows), reporter, bundle)
        result["seconds"] = round(time.monotonic() - started, 2)
        if brief:
            del result["outputs"]["report"]
        else:
            html = run_report_html(
                result=result,
                rows=rows,
                title=f"Flood model {request.name}",
                cards=_cards(figures),
                samples=samples,
                samples_title="Predictions for validation squares" if parts.check_indices else "Predictions",
                reliability=[Reliability("validation data", checked.reliability)],
            )
            folder.write(REPORT, html)
        folder.write(RESULT, plainjson.dumps(result, indent=2) + "\n")
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(request.out).expanduser().absolute())}


def _open(request: FinetuneRequest, start: Start, reporter: Reporter) -> Split:
    bands = start.statistics.names if start.statistics is not None else S1_BANDS
    part = reporter.part(0.0, 0.1)
    data = open_labelled(
        request.data, SENSOR, bands, side=request.crop, broken=request.broken, reporter=part.part(0.0, 0.7)
    )
    check = None
    if request.validation:
        check = open_labelled(
            request.validation, SENSOR, bands, side=request.crop, broken=request.broken, reporter=part.part(0.7, 1.0)
        )
    known = start.statistics or data.statistics[SENSOR]
    data = data.normalised_by({**data.statistics, SENSOR: known})
    check = check.normalised_by({**check.statistics, SENSOR: known}) if check is not None else None
    warn_of_data(request, data, reporter)
    return split(data, check, labels=request.labels, seed=request.seed)


def _objective(request: FinetuneRequest, start: Start, parts: Split) -> Segmentation:
    torch.manual_seed(derive_seed(request.seed, "weights"))
    data = parts.train
    name, width = (start.encoder.name, start.encoder.width) if start.encoder else (request.architecture, request.width)
    network = Segmenter(bands=len(data.bands[SENSOR]), classes=len(CLASSES), encoder=name, width=width)
    if start.encoder is not None:
        network.encoder.load_state_dict(start.encoder.state_dict())
    weights = None
    if request.class_weights == "balanced":
        weights = class_weights(data.label_counts(parts.train_indices), len(CLASSES))
    return Segmentation(network, loss=request.loss, weights=weights)


def _fitting(request: FinetuneRequest, count: int, world: World, reporter: Reporter) -> FinetuneRequest:
    """The request with a batch that ``count`` squares can fill."""
    most = max(request.accumulate, count // world.size // request.accumulate * request.accumulate)
    if request.batch <= most:
        return request
    reporter.log(f"{count} squares: the batch is {most} instead of {request.batch}.")
    return request.model_copy(update={"batch": most})


def _validator(network: Segmenter, parts: Split) -> Callable[[int], dict[str, float]]:
    def validate(step: int) -> dict[str, float]:
        iou = _iou(calibrate(network, parts.check, parts.check_indices, fit=False).counts)["value"]
        return {} if iou is None else {"iou": iou}

    return validate


@torch.no_grad()
def calibrate(
    network: Segmenter,
    data: PairDataset,
    indices: Sequence[int],
    *,
    fit: bool = True,
    temperature: float = 1.0,
    at_once: int = 8,
    check: Callable[[], None] = lambda: None,
) -> Calibrated:
    """What ``network`` makes of the labelled, valid pixels of samples ``indices``, ``at_once`` of them at a time.

    The temperature is fitted on at most a million pixels, evenly spread, and the reliability is that of these pixels
    after it; with nothing to fit on it is 1. Without ``fit`` it is ``temperature``, and every pixel counts.
    """
    device = next(network.parameters()).device
    kept_logits: list[Tensor] = []
    kept_labels: list[Tensor] = []
    counts: list[tuple[int, int, int, int]] = []
    every = max(1, len(indices) * data.side**2 // _CALIBRATION_PIXELS) if fit else 1
    tables: list[NDArray[np.int64]] = []
    for start in range(0, len(indices), at_once):
        check()
        batch = _whole_cells(data.batch(indices[start : start + at_once], sensors=(SENSOR,)))
        logits = network(batch[SENSOR].to(device)).float().cpu()
        label = torch.where(batch[f"{SENSOR}_valid"][:, 0], batch["label"], IGNORE)
        mapped = logits[:, 1] > logits[:, 0]
        for values, truth, water in zip(logits.movedim(1, 3), label, mapped, strict=True):
            wet, dry = truth == 1, truth == 0
            pairs = (water & wet, water & dry, ~water & wet, ~water & dry)
            counts.append(tuple(int(p.sum()) for p in pairs))  # type: ignore[arg-type]
            known = truth != IGNORE
            kept_logits.append(values[known][::every])
            kept_labels.append(truth[known][::every])
        if not fit:
            tables += [percent_table(*pair, temperature) for pair in zip(kept_logits, kept_labels, strict=True)]
            kept_logits, kept_labels = [], []
    if kept_logits:
        temperature = round(fit_temperature(torch.cat(kept_logits), torch.cat(kept_labels)), 4)
        tables = [percent_table(*pair, temperature) for pair in zip(kept_logits, kept_labels, strict=True)]
    return Calibrated(temperature, counts, tables)


def _whole_cells(batch: Batch) -> Batch:
    """The upper left of the squares, as far as the network's divisor reaches."""
    side = batch[SENSOR].shape[-1] // Segmenter.divisor * Segmenter.divisor
    return {name: value[..., :side, :side] if value.ndim >= 3 else value for name, value in batch.items()}


def _iou(counts: list[tuple[int, int, int, int]]) -> dict[str, float | int | None]:
    table = np.asarray(counts, np.float64).reshape(-1, 4)
    return pooled_estimate(table, lambda sums: figures_of_counts("iou", sums)).plain()


@torch.no_grad()
def _samples(network: Segmenter, parts: Split, temperature: float) -> list[Any]:
    data, indices = (parts.check, parts.check_indices) if parts.check_indices else (parts.train, parts.train_indices)
    chosen = [indices[i] for i in spread(len(indices), 6)]
    batch = _whole_cells(data.batch(chosen, sensors=(SENSOR,)))
    device = next(network.parameters()).device
    probability = (network(batch[SENSOR].to(device)).float() / temperature).softmax(1)[:, 1]
    return prediction_samples(data, chosen, probability, batch, SENSOR)


def _card(request: FinetuneRequest, data: PairDataset, checked: Calibrated) -> dict[str, Any]:
    what = "held-out events of the training data" if not request.validation else "validation data"
    figures = [
        {"metric": name, **holding(found), "data": f"{what}, squares, which calibrated the temperature too"}
        for name, found in (("iou", _iou(checked.counts)), ("ece", ece_estimate(checked.tables)))
        if found["value"] is not None and (found["n"] or 0) > 1
    ]
    return {
        "name": request.name,
        "title": "Water from Sentinel-1",
        "description": f"Fine-tuned by 'engine finetune' from {Path(request.encoder).name}.",
        "licence": request.licence,
        "task": "flood",
        "bands": [band.model_dump() for band in data.statistics[SENSOR].inputs(SENSOR)],
        "gsd_m": [8.0, 12.5],
        "classes": list(CLASSES),
        "activation": "softmax",
        "temperature": checked.temperature,
        "tile": max(256, data.side // 32 * 32),
        "overlap": 64,
        "trained_on": trained_on(request.data),
        "figures": figures,
    }


def _cards(figures: dict[str, Any]) -> list[tuple[str, str]]:
    iou = figures["validation_iou"]
    shown = "–" if iou["value"] is None else f"{iou['value']:.3f} ({iou['low']:.3f} to {iou['high']:.3f})"
    ece = figures["validation_ece"]["value"]
    return [
        ("Water IoU on validation squares", shown),
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
