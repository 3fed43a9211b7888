"""The methods of a study: encoders by name and seed, checked before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import EngineError, ModelError
from engine.events import Reporter
from engine.models.names import EncoderName
from engine.training.data.statistics import BandStatistics
from engine.training.labelled import SENSOR_SETS, choose_bands
from engine.training.requests import FinetuneRequest
from engine.training.start import Start, find_start
from engine.training.study.request import RANDOM, SEED, LabelEfficiencyRequest
from engine.training.tasks.task import Task


@dataclass(frozen=True)
class Method:
    """``starts`` by seed: what ``--encoder`` of a fine-tuning is; ``weights``: the SHA-256 of each that is a model."""

    name: str
    starts: dict[int, str]
    weights: dict[int, str | None]
    architecture: str
    width: float

    def plain(self) -> dict[str, Any]:
        """As it stands in JSON."""
        return {
            "starts": {str(seed): start for seed, start in self.starts.items()},
            "sha256": {str(seed): found for seed, found in self.weights.items()},
            "architecture": self.architecture,
            "width": self.width,
        }


@dataclass(frozen=True)
class Methods:
    """All methods in the order given, and what they share: ``bands`` by sensor, and the network of those that start
    from random weights."""

    by_name: dict[str, Method]
    bands: dict[str, tuple[str, ...]]
    architecture: EncoderName
    width: float


def find_methods(request: LabelEfficiencyRequest, task: Task, reporter: Reporter) -> Methods:
    """Every encoder is looked for and its card read. Raises ModelError, naming the method: not there, or with other
    bands than the rest. Networks of different size are warned of: they are not compared on equal terms."""
    found: dict[str, dict[int, Start]] = {}
    for name, pattern in request.starts().items():
        found[name] = {}
        for seed in request.seed_numbers():
            reporter.check()
            found[name][seed] = _start(request, name, pattern.replace(SEED, str(seed)))
    models = [(name, start) for name, starts in found.items() for start in starts.values() if start.encoders]
    optical = _options(request, RANDOM).optical_bands
    sensors = SENSOR_SETS[request.sensor_set]
    bands = choose_bands(sensors, request.data, known=_common(models), optical=optical, default=task.s2_bands)
    network = next((encoder for _, start in models for encoder in start.encoders.values()), None)
    architecture = request.architecture or (network.name if network is not None else "resnet18")
    width = request.width if request.width is not None else network.width if network is not None else 1.0
    by_name = {
        name: _method(name, request.starts()[name], starts, architecture, width) for name, starts in found.items()
    }
    sizes = {(one.architecture, one.width) for one in by_name.values()}
    if len(sizes) > 1:
        told = ", ".join(f"{one.name} {one.architecture} x {one.width:g}" for one in by_name.values())
        reporter.warn(f"The networks differ in size, so the methods are not compared on equal terms: {told}.")
    return Methods(by_name, bands, architecture, width)


def _options(request: LabelEfficiencyRequest, start: str) -> FinetuneRequest:
    return request.options(out="", encoder=start)


def _start(request: LabelEfficiencyRequest, name: str, start: str) -> Start:
    try:
        return find_start(_options(request, start))
    except EngineError as error:
        raise ModelError(f"method {name}: {error.message}", remedy=error.remedy) from error


def _common(models: list[tuple[str, Start]]) -> dict[str, BandStatistics]:
    """The statistics by sensor of the first model; raises ModelError where another has other bands."""
    if not models:
        return {}
    first, start = models[0]
    for name, other in models[1:]:
        for sensor, statistics in other.statistics.items():
            mine = start.statistics[sensor].names
            if statistics.names != mine:
                raise ModelError(
                    f"method {name}: the encoder reads {', '.join(statistics.names)}, that of {first} reads "
                    f"{', '.join(mine)}.",
                    remedy="Compare encoders of the same bands.",
                )
    return start.statistics


def _method(name: str, pattern: str, starts: dict[int, Start], architecture: str, width: float) -> Method:
    encoder = next((one for start in starts.values() for one in start.encoders.values()), None)
    return Method(
        name,
        {seed: pattern.replace(SEED, str(seed)) for seed in starts},
        {seed: start.sha256 for seed, start in starts.items()},
        encoder.name if encoder is not None else architecture,
        encoder.width if encoder is not None else width,
    )
