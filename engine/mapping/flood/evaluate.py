"""Scoring flood maps against labelled chips, by the very pipeline of ``engine flood``."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.command_line import command_line
from engine.errors import DamagedFileError, GridError, InputError, ModelError, ParameterError
from engine.events import Reporter
from engine.mapping.flood.arrays import FloodArrays, map_arrays
from engine.mapping.flood.baselines import baseline_maps
from engine.mapping.flood.chips import Chip, find_chips
from engine.mapping.flood.classes import FLOOD, NOT_OBSERVED, REFERENCE_WATER, SET_ASIDE, WATER
from engine.mapping.flood.detector import WaterDetector
from engine.mapping.flood.evaluate_request import EvaluateFloodRequest, Sensors
from engine.mapping.flood.methods import choose_detector, describe_model
from engine.mapping.flood.scene import open_sentinel1
from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration
from engine.metrics.segmentation import FIGURES, Confusion, figures_of_counts, ratio_or_nan
from engine.plainjson import dumps
from engine.raster.grid import Grid
from engine.raster.read import open_raster
from engine.resultfile import ResultFile
from engine.sensors import Unit
from engine.version import VERSION

MIN_WATER_SHARE = 0.01
"""``mean_iou`` is over the chips with at least this share of water in their scored pixels."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Labelled:
    """A chip as read: (2, rows, columns) dB, truth, and where pixels count: labelled, and valid in the input."""

    db: NDArray[np.float32]
    truth: Bools
    scored: Bools


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
                name: {**confusion.figures(), "threshold_db": threshold}
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
    sensors = _choose_sensors(request, found.chips)
    detector = choose_detector(request.method, device=request.device, reporter=reporter)
    chips = [chip for chip in found.chips if chip.s1 is not None]
    if request.out is None:
        return _evaluate(request, sensors, detector, chips, found.unmatched, reporter, started)
    with ResultFile(request.out) as file:
        result = _evaluate(request, sensors, detector, chips, found.unmatched, reporter, started)
        reporter.check()
        file.commit(dumps(result, indent=2) + "\n")
    return result


def _choose_sensors(request: EvaluateFloodRequest, chips: list[Chip]) -> Sensors:
    default: Sensors = "s1" if any(chip.s1 for chip in chips) or not chips else "s2"
    sensors = request.sensors or default
    if sensors != "s1":
        raise ModelError(
            f"Flood maps from {'Sentinel-2' if sensors == 's2' else 'Sentinel-1 with Sentinel-2'} need a model that "
            f"reads these bands; the method {request.method!r} reads Sentinel-1 alone.",
            remedy="Use --sensors s1 with NAME_S1.tif files.",
        )
    if chips and not any(chip.s1 for chip in chips):
        raise ParameterError(
            f"{request.path}: --sensors s1 was asked for, but no labelled chip has a Sentinel-1 file.",
            remedy="Add NAME_S1.tif beside NAME_label.tif.",
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
            scores.append(_score(request, detector, chip, calibration, part))
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
    detector: WaterDetector,
    chip: Chip,
    calibration: PercentCalibration,
    reporter: Reporter,
) -> _Score:
    bands = request.bands or _numbers_if_unnamed(chip)
    labelled = _read(chip, bands=bands, unit=request.units)
    score = _Score(chip.name)
    if not labelled.scored.any():
        return score
    arrays = map_arrays(
        str(chip.s1),
        reporter=reporter,
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
        for name, (water, threshold) in baseline_maps(labelled.db).items():
            confusion = Confusion.of(mapped=water, truth=labelled.truth, scored=labelled.scored)
            score.baselines[name] = (confusion, threshold)
    return score


def water_of(arrays: FloodArrays) -> Bools:
    """Where the map says water: reference water, flood, or water without reference. Set aside is not water."""
    return np.isin(arrays.codes, (REFERENCE_WATER, FLOOD, WATER))


def _numbers_if_unnamed(chip: Chip) -> str | None:
    """The layout's band numbers, for a file that names no band at all."""
    if chip.numbers is None:
        return None
    with open_raster(str(chip.s1), what="Sentinel-1 chip") as raster:
        return None if any(raster.names) else chip.numbers


def _read(chip: Chip, *, bands: str | None, unit: Unit | None) -> _Labelled:
    """Raises InputError: a file that cannot be read, bands or unit not found, grids that differ, no label."""
    file = open_sentinel1(str(chip.s1), what="Sentinel-1 chip", bands=bands, unit=unit)
    with file.raster as raster, open_raster(str(chip.label), what="label") as label:
        _same_grid(raster.grid, label.grid, chip)
        if label.count != 1:
            raise DamagedFileError(f"{label.path}: the label has {label.count} bands; expected 1.")
        values = label.read(label.grid.window, [1])[0]
        db = file.read_db(raster.grid.window)
    known = np.isfinite(values)
    strange = np.setdiff1d(np.unique(values[known]), [-1, 0, 1])
    if strange.size:
        raise DamagedFileError(
            f"{chip.label}: the label holds {', '.join(f'{v:g}' for v in strange[:4])}; expected 1 water, 0 dry, "
            "-1 ignore.",
            remedy="Write such pixels as -1, or declare them as nodata.",
        )
    scored = known & (values >= 0) & np.isfinite(db).any(axis=0)
    return _Labelled(db, values == 1, scored)


def _same_grid(image: Grid, label: Grid, chip: Chip) -> None:
    if image.shape != label.shape:
        raise GridError(
            f"{chip.label}: the label has {label.height} x {label.width} pixels, "
            f"its image {image.height} x {image.width}."
        )
    if image.crs is None or label.crs is None or image.crs != label.crs:
        return  # chips without georeference are matched pixel by pixel
    corners = [(0, 0), (image.width, 0), (0, image.height)]
    pixel = abs(image.transform.determinant) ** 0.5
    for corner in corners:
        (x, y), (u, v) = image.transform @ corner, label.transform @ corner
        if max(abs(x - u), abs(y - v)) > pixel / 2:
            raise GridError(f"{chip.label}: the label does not lie on the grid of {chip.s1}.")


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
