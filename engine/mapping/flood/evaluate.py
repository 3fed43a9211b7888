"""Scoring flood maps against labelled chips, by the very pipeline of ``engine flood``."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.command_line import command_line
from engine.errors import InputError, ModelError, ParameterError
from engine.events import Reporter
from engine.mapping.flood.arrays import FloodArrays, map_arrays
from engine.mapping.flood.baselines import threshold_key
from engine.mapping.flood.chips import SENSOR_FILES, Chip, Sensors, find_chips
from engine.mapping.flood.classes import FLOOD, NOT_OBSERVED, REFERENCE_WATER, SET_ASIDE, WATER
from engine.mapping.flood.detector import WaterDetector
from engine.mapping.flood.evaluate_request import EvaluateFloodRequest
from engine.mapping.flood.labelled import numbers_if_unnamed, read_labelled
from engine.mapping.flood.methods import choose_detector, describe_model
from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration
from engine.metrics.segmentation import FIGURES, Confusion, figures_of_counts, ratio_or_nan
from engine.plainjson import dumps
from engine.resultfile import ResultFile
from engine.sensors import SENSORS
from engine.version import VERSION

MIN_WATER_SHARE = 0.01
"""``mean_iou`` is over the chips with at least this share of water in their scored pixels."""

Bools = NDArray[np.bool_]


@dataclass
class _Score:
    """One chip's confusion matrices: of the map, and of the baselines by name."""

    name: str
    map: Confusion = field(default_factory=Confusion)
    excluded: int = 0
    baselines: dict[str, tuple[Confusion, float | None]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As it stands in JSON."""
        n = self.map.n
        item: dict[str, Any] = {"name": self.name, "n": n, **self.map.figures()}
        item["water_share"] = self.map.positive_share
        item["false_alarm_share"] = self.map.fp / n if n else None
        item["excluded_share"] = self.excluded / n if n else None
        if self.baselines:
            item["baselines"] = {
                name: {**confusion.figures(), threshold_key(name): threshold}
                for name, (confusion, threshold) in self.baselines.items()
            }
        return item


def run(request: EvaluateFloodRequest, reporter: Reporter) -> dict[str, Any]:
    """Map and score every chip, write the JSON file if one is asked for, and give its content.

    A chip that cannot be read is listed in ``skipped``; everything that concerns all chips is raised (EngineError).
    """
    started = time.monotonic()
    reporter.progress(0.0, "find", "Looking for chips")
    found = find_chips(request.path)
    detector = choose_detector(request.method, device=request.device, reporter=reporter)
    sensors = _choose_sensors(request, found.chips, detector)
    chips = [chip for chip in found.chips if chip.has(sensors)]
    if request.out is None:
        return _evaluate(request, sensors, detector, chips, found.unmatched, reporter, started)
    with ResultFile(request.out) as file:
        result = _evaluate(request, sensors, detector, chips, found.unmatched, reporter, started)
        reporter.check()
        file.commit(dumps(result, indent=2) + "\n")
    return result


def _choose_sensors(request: EvaluateFloodRequest, chips: list[Chip], detector: WaterDetector) -> Sensors:
    default: Sensors = "s1" if any(chip.s1 for chip in chips) or not chips else "s2"
    sensors = request.sensors or default
    if not set(SENSOR_FILES[sensors]) <= set(detector.sensors):
        what = " with ".join(SENSORS[sensor].title for sensor in SENSOR_FILES[sensors])
        own = " and ".join(SENSORS[sensor].title for sensor in detector.sensors)
        raise ModelError(
            f"Flood maps from {what} need a model that reads these bands; the method {request.method!r} reads {own} "
            "alone.",
            remedy=f"Use --sensors {detector.sensors[0]}, or give another model with --method.",
        )
    if chips and not any(chip.has(sensors) for chip in chips):
        wanted = " and ".join(f"NAME_{sensor.upper()}.tif" for sensor in SENSOR_FILES[sensors])
        title = " and ".join(SENSORS[sensor].title for sensor in SENSOR_FILES[sensors])
        raise ParameterError(
            f"{request.path}: --sensors {sensors} was asked for, but no labelled chip has a {title} file.",
            remedy=f"Add {wanted} beside NAME_label.tif.",
        )
    return sensors


def _evaluate(
    request: EvaluateFloodRequest,
    sensors: Sensors,
    detector: WaterDetector,
    chips: list[Chip],
    unmatched: dict[str, str],
    reporter: Reporter,
    started: float,
) -> dict[str, Any]:
    scores: list[_Score] = []
    skipped = [{"name": name, "why": why} for name, why in sorted(unmatched.items())]
    calibration = PercentCalibration()
    for number, chip in enumerate(chips):
        part = reporter.part(number / len(chips), (number + 1) / len(chips))
        part.progress(0.0, "map", f"{chip.name} ({number + 1} of {len(chips)})")
        try:
            scores.append(_score(request, sensors, detector, chip, calibration, part))
        except ParameterError:
            raise
        except InputError as error:
            skipped.append({"name": chip.name, "why": error.line})
    pool = [score for score in scores if score.map.n > 0]
    result: dict[str, Any] = {
        "job": "evaluate-flood",
        "sensors": sensors,
        "method": detector.name,
        "pooled": _pooled([score.map for score in pool]),
        "items": [score.plain() for score in scores],
        "skipped": skipped,
        "calibration": {
            "ece": calibration.ece(),
            "brier": calibration.brier(),
            "n": calibration.n,
            "bins": [b.plain() for b in calibration.bins()],
        },
    }
    if request.compare:
        names = sorted({name for score in pool for name in score.baselines})
        result["baselines"] = {
            name: {"pooled": _pooled([score.baselines[name][0] for score in pool if name in score.baselines])}
            for name in names
        }
    result |= {
        "parameters": request.model_dump(mode="json"),
        "model": describe_model(detector),
        "engine_version": VERSION,
        "command": _command(request),
        "seconds": round(time.monotonic() - started, 2),
    }
    return result


def _score(
    request: EvaluateFloodRequest,
    sensors: Sensors,
    detector: WaterDetector,
    chip: Chip,
    calibration: PercentCalibration,
    reporter: Reporter,
) -> _Score:
    bands = request.bands if sensors == "s2" else request.bands or numbers_if_unnamed(chip)
    labelled = read_labelled(chip, sensors, bands=bands, unit=request.units, optical_bands=detector.optical_bands)
    score = _Score(chip.name)
    if not labelled.scored.any():
        return score
    arrays = map_arrays(
        str(chip.s2 if sensors == "s2" else chip.s1),
        reporter=reporter,
        s2=str(chip.s2) if sensors == "both" else None,
        bands=bands,
        unit=request.units,
        probability=request.probability,
        min_area=request.min_area,
        detector=detector,
    )
    score.map = Confusion.of(mapped=water_of(arrays), truth=labelled.truth, scored=labelled.scored)
    score.excluded = int(np.count_nonzero(labelled.scored & (arrays.codes == SET_ASIDE)))
    given = labelled.scored & (arrays.probability != NOT_OBSERVED)
    calibration.add(arrays.probability[given], labelled.truth[given])
    if request.compare:
        for name, (water, threshold) in labelled.baselines().items():
            confusion = Confusion.of(mapped=water, truth=labelled.truth, scored=labelled.scored)
            score.baselines[name] = (confusion, threshold)
    return score


def water_of(arrays: FloodArrays) -> Bools:
    """Where the map says water: reference water, flood, or water without reference. Set aside is not water."""
    return np.isin(arrays.codes, (REFERENCE_WATER, FLOOD, WATER))


def _pooled(confusions: list[Confusion]) -> dict[str, Any]:
    """The figures of the summed matrix, and the mean IoU of the chips with water, each with interval and chips."""
    table = np.array([c.counts() for c in confusions], np.float64).reshape(-1, 4)
    pooled = {name: pooled_estimate(table, partial(figures_of_counts, name)).plain() for name in FIGURES}
    ious = [c.iou for c in confusions if (c.positive_share or 0) >= MIN_WATER_SHARE]
    rows = np.array([(iou, 1.0) for iou in ious if iou is not None], np.float64).reshape(-1, 2)
    pooled["mean_iou"] = pooled_estimate(rows, lambda sums: ratio_or_nan(sums[..., 0], sums[..., 1])).plain()
    return pooled


def _command(request: EvaluateFloodRequest) -> str:
    words = command_line("evaluate flood", request, positional=("path",))
    return words.replace(" -o ", " --json ", 1) if request.out is not None else words
