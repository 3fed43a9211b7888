"""Scoring land-cover maps against labelled chips, by the very pipeline of ``engine landcover``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.command_line import command_line
from engine.errors import DamagedFileError, InputError, ParameterError
from engine.events import Reporter
from engine.legends import NOT_OBSERVED, UNKNOWN, Legend, find_legend, lookup_table
from engine.mapping.landcover.arrays import map_arrays
from engine.mapping.landcover.chips import Chip, ChipSet, find_chips
from engine.mapping.landcover.choose import choose_model
from engine.mapping.landcover.classes import ClassTable, class_table
from engine.mapping.landcover.classifier import LandcoverModel
from engine.mapping.landcover.evaluate_request import EvaluateLandcoverRequest
from engine.mapping.landcover.images import open_images
from engine.mapping.scene.overlap import same_pixels
from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration
from engine.metrics.classes import ClassConfusion, class_figure, figure_names
from engine.plainjson import dumps
from engine.raster.grid import Grid
from engine.raster.read import open_raster
from engine.resultfile import ResultFile
from engine.version import VERSION

U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class _Score:
    """One chip's matrix."""

    name: str
    map: ClassConfusion

    def plain(self) -> dict[str, Any]:
        """As it stands in JSON; classes that are neither in truth nor in the map are left out."""
        figures = self.map.figures().items()
        kept = {name: value for name, value in figures if value is not None or not name.startswith("iou_")}
        return {"name": self.name, "n": self.map.n, **kept, "unknown_share": self.map.unknown_share}


@dataclass(frozen=True)
class _Legend:
    """The legend that is scored in, and what the labels' codes become in it (0: no label; −1: not one of theirs)."""

    legend: Legend
    codes: NDArray[np.int16]

    @classmethod
    def of(cls, found: ChipSet, wanted: str | None) -> _Legend:
        own = find_legend(found.legend)
        target = own if wanted is None else find_legend(wanted)
        known = lookup_table(own.mapping_to(target)).astype(np.int16)
        codes = np.full(256, -1, np.int16)
        codes[list(own.codes)] = known[list(own.codes)]
        codes[list(found.ignored)] = UNKNOWN
        return cls(target, codes)


def run(request: EvaluateLandcoverRequest, reporter: Reporter) -> dict[str, Any]:
    """Map and score every chip, write the JSON file if one is asked for, and give its content.

    A chip that cannot be read is listed in ``skipped``; everything that concerns all chips is raised (EngineError).
    """
    started = time.monotonic()
    reporter.progress(0.0, "find", "Looking for chips")
    found = find_chips(request.path)
    chips = [chip for chip in found.chips if chip.of(request.sensors)]
    if not chips:
        raise ParameterError(
            f"{request.path}: --sensors {request.sensors} was asked for, but no labelled chip has these files.",
            remedy="Choose other sensors.",
        )
    legend = _Legend.of(found, request.legend)
    model = choose_model(request.model, _sensors(request, chips), device=request.device, reporter=reporter)
    table = class_table(model.card, legend.legend.name if request.legend is None else request.legend)
    if request.out is None:
        return _evaluate(request, model, table, legend, chips, reporter, started)
    with ResultFile(request.out) as file:
        result = _evaluate(request, model, table, legend, chips, reporter, started)
        reporter.check()
        file.commit(dumps(result, indent=2) + "\n")
    return result


def _sensors(request: EvaluateLandcoverRequest, chips: list[Chip]) -> tuple[str, ...]:
    """The sensors of the first chip that can be read, which say what ``auto`` takes; Sentinel-2 where none can be."""
    if request.model != "auto":
        return ()
    for chip in chips:
        try:
            images = open_images(
                [str(path) for path in chip.of(request.sensors)],
                bands=request.bands or chip.numbers(request.sensors),
                unit=request.units,
            )
        except InputError:
            continue
        sensors = tuple(s for s, files in (("s1", images.radar), ("s2", images.light)) if files)
        images.close()
        return sensors
    return ("s2",)


def _evaluate(
    request: EvaluateLandcoverRequest,
    model: LandcoverModel,
    table: ClassTable,
    legend: _Legend,
    chips: list[Chip],
    reporter: Reporter,
    started: float,
) -> dict[str, Any]:
    scores: list[_Score] = []
    skipped: list[dict[str, str]] = []
    calibration = PercentCalibration()
    for number, chip in enumerate(chips):
        part = reporter.part(number / len(chips), (number + 1) / len(chips))
        part.progress(0.0, "map", f"{chip.name} ({number + 1} of {len(chips)})")
        try:
            scores.append(_score(request, model, table, legend, chip, calibration, part))
        except ParameterError:
            raise
        except InputError as error:
            skipped.append({"name": chip.name, "why": error.line})
    pool = [score.map for score in scores if score.map.n > 0]
    total = sum(pool, ClassConfusion(legend.legend.codes))
    result: dict[str, Any] = {
        "job": "evaluate-landcover",
        "legend": legend.legend.name,
        "classes": [{"code": c.code, "name": c.name} for c in legend.legend.classes],
        "pooled": _pooled(pool, legend.legend),
        "items": [score.plain() for score in scores],
        "skipped": skipped,
        "unknown_share": total.unknown_share,
        "confusion": {
            "codes": list(total.codes),
            "columns": [*total.codes, UNKNOWN],
            "counts": total.counts.tolist(),
        },
        "calibration": {
            "ece": calibration.ece(),
            "brier": calibration.brier(),
            "n": calibration.n,
            "bins": [b.plain() for b in calibration.bins()],
        },
    }
    if request.compare:
        result["baselines"] = {"majority": _majority(pool, legend.legend)}
    return result | {
        "parameters": request.model_dump(mode="json"),
        "model": model.describe(),
        "engine_version": VERSION,
        "command": _command(request),
        "seconds": round(time.monotonic() - started, 2),
    }


def _score(
    request: EvaluateLandcoverRequest,
    model: LandcoverModel,
    table: ClassTable,
    legend: _Legend,
    chip: Chip,
    calibration: PercentCalibration,
    reporter: Reporter,
) -> _Score:
    truth, grid = _truth(chip, legend)
    if not (truth != UNKNOWN).any():
        return _Score(chip.name, ClassConfusion(legend.legend.codes))
    arrays = map_arrays(
        [str(path) for path in chip.of(request.sensors)],
        model,
        reporter=reporter,
        table=table,
        bands=request.bands or chip.numbers(request.sensors),
        unit=request.units,
        unknown_below=request.unknown_below,
        min_area=request.min_area,
    )
    same_pixels(arrays.grid, grid, chip.of(request.sensors)[0], chip.label)
    scored = (truth != UNKNOWN) & (arrays.codes != NOT_OBSERVED)
    told = scored & (arrays.codes != UNKNOWN)
    calibration.add(arrays.confidence[told], arrays.codes[told] == truth[told])
    matrix = ClassConfusion.of(legend.legend.codes, mapped=arrays.codes, truth=truth, scored=scored)
    return _Score(chip.name, matrix)


def _truth(chip: Chip, legend: _Legend) -> tuple[U8, Grid]:
    """(rows, columns) codes of the legend that is scored in, 0 where there is no label; and the label's grid."""
    with open_raster(str(chip.label), what="label") as raster:
        values, grid = raster.read(raster.grid.window, [1])[0], raster.grid
    known = np.isfinite(values)
    whole = known & (values >= 0) & (values <= 255) & (values == np.rint(values))
    codes = np.where(whole, legend.codes[np.where(whole, values, 0).astype(np.int64)], -1)
    codes[~known] = UNKNOWN
    if (codes < 0).any():
        strange = np.unique(values[codes < 0])
        raise DamagedFileError(
            f"{chip.label}: the label holds {', '.join(f'{v:g}' for v in strange[:4])}, no code of its legend.",
            remedy="Write such pixels as 0, or declare them as nodata.",
        )
    return codes.astype(np.uint8), grid


def _pooled(pool: list[ClassConfusion], legend: Legend) -> dict[str, Any]:
    """The figures of the summed matrix with their intervals, without classes neither in truth nor in the map."""
    size = len(legend.codes) * (len(legend.codes) + 1)
    rows = np.array([matrix.counts.ravel() for matrix in pool], np.float64).reshape(-1, size)
    estimates = {name: pooled_estimate(rows, class_figure(name, legend.codes)) for name in figure_names(legend.codes)}
    kept = {name: one for name, one in estimates.items() if one.value is not None or not name.startswith("iou_")}
    return {name: one.plain() for name, one in kept.items()}


def _majority(pool: list[ClassConfusion], legend: Legend) -> dict[str, Any]:
    """The figures of a map that is everywhere the most frequent class of the labels."""
    truths = [matrix.counts.sum(axis=1) for matrix in pool]
    best = int(np.argmax(sum(truths, np.zeros(len(legend.codes), np.int64))))
    flat = []
    for truth in truths:
        counts = np.zeros((len(legend.codes), len(legend.codes) + 1), np.int64)
        counts[:, best] = truth
        flat.append(ClassConfusion(legend.codes, counts))
    return {"code": legend.codes[best], "pooled": _pooled(flat, legend)}


def _command(request: EvaluateLandcoverRequest) -> str:
    words = command_line("evaluate landcover", request, positional=("path",))
    return words.replace(" -o ", " --json ", 1) if request.out is not None else words
