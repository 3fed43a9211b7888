"""The ``study-label-efficiency`` job: methods side by side at several shares of the labels."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import plainjson
from engine.command_line import command_line
from engine.device import choose_device
from engine.errors import Cancelled, EngineError, ParameterError
from engine.events import Reporter
from engine.training.processes import number_of
from engine.training.run_folder import CONFIG, REPORT, RESULT, RunFolder, check_free, resolve
from engine.training.study.cells import CELLS, Cell, cell_request, do_cell, finished, grid
from engine.training.study.measures import Measure, find_measure
from engine.training.study.methods import Methods, find_methods
from engine.training.study.pace import StudyPace
from engine.training.study.packs import PACKS, Place, find_places, pack_test, pack_training, refuse_shared
from engine.training.study.report import study_report_html
from engine.training.study.request import LabelEfficiencyRequest
from engine.training.study.scoring import Chips
from engine.training.study.summary import cell_figures, summarise
from engine.version import VERSION

JOB = "study-label-efficiency"
STUDY, TABLE = "study.json", "study.csv"
_FILES = (STUDY, TABLE, REPORT, RESULT, CONFIG)
_KEEPS = (CONFIG, CELLS, PACKS)


def run(request: LabelEfficiencyRequest, reporter: Reporter) -> dict[str, Any]:
    """Do every cell that is not done, compare the methods, and return ``result.json``'s content.

    Raises EngineError, Cancelled among them. A study that was cancelled or killed is gone on with by ``resume``:
    cells that are finished are not done again, one that was begun goes on from its checkpoint.
    """
    started = time.monotonic()
    request = resolve(request, JOB)
    measure = find_measure(request.options(out=""))
    _check(request, measure)
    check_free(request, _KEEPS)
    device = str(choose_device(request.device))
    reporter.progress(0.0, "methods", "Looking for encoders")
    methods = find_methods(request, measure.task, reporter)
    reporter.progress(0.0, "data", "Looking for data")
    places = {
        name: find_places(given, methods.bands, every_sensor=name == "test", task=measure.task)
        for name, given in (("train", request.data), ("validation", request.validation), ("test", request.test))
    }
    refuse_shared(places["train"], places["test"], what="training data")
    refuse_shared(places["validation"], places["test"], what="validation data")
    with RunFolder(request, job=JOB, main=True, own=_FILES, keeps=(CELLS, PACKS)) as folder:
        if not request.resume:
            _forget(folder.path)
        try:
            return _run(request, measure, methods, places, folder, reporter, started, device)
        except EngineError as error:
            if not request.resume and not _worth_keeping(folder.path, cancelled=isinstance(error, Cancelled)):
                _forget(folder.path)
            raise


def _check(request: LabelEfficiencyRequest, measure: Measure) -> None:
    if number_of("WORLD_SIZE", 1) > 1:
        raise ParameterError(f"{JOB}: runs in one process.", remedy="Start it without torchrun.")
    for name, value in (("--encoder NAME=START", request.encoder), ("--test KIND:PATH", request.test)):
        if not value:
            raise ParameterError(f"{JOB}: {name.split()[0]} is missing.", remedy=f"Use {name}.")
    if request.score is not None and request.score not in measure.scores:
        raise ParameterError(
            f"{JOB}: the score {request.score!r} is none of {request.task}.",
            remedy=f"Scores: {', '.join(measure.scores)}.",
        )
    if request.batch % request.accumulate:  # a cell of few squares has a smaller batch and would not notice
        raise ParameterError(
            f"{JOB}: a batch of {request.batch} cannot be cut into {request.accumulate} equal parts.",
            remedy="Let --batch be a multiple of --accumulate.",
        )


def _worth_keeping(path: Path, *, cancelled: bool) -> bool:
    """Whether there is anything to go on with: of a cell, or for one that was cancelled a whole pack."""
    packed = cancelled and any((path / PACKS).glob("*/*/index.json"))
    return packed or any(file.is_file() for file in (path / CELLS).rglob("*"))


def _forget(path: Path) -> None:
    for name in (CELLS, PACKS):
        shutil.rmtree(path / name, ignore_errors=True)


def _run(
    request: LabelEfficiencyRequest,
    measure: Measure,
    methods: Methods,
    places: dict[str, list[Place]],
    folder: RunFolder,
    reporter: Reporter,
    started: float,
    device: str,
) -> dict[str, Any]:
    home = folder.path.absolute()
    packs = _packs(request, methods, places, home, reporter.part(0.0, 0.05))
    test = Chips.open(packs["test"], methods.bands, measure)
    cells = _cells(request, measure, methods, packs, test, home, reporter.part(0.05, 0.97))
    _warn(cells, reporter)
    reporter.progress(0.97, "compare", "Comparing the methods")
    study = _study(request, measure, methods, test, cells, reporter)
    reporter.progress(0.99, "report", "Writing the report")
    seconds = sum(cell["seconds"] for cell in cells)
    command = command_line("study label-efficiency", request, positional=())
    folder.write(STUDY, plainjson.dumps(study, indent=1) + "\n")
    folder.write(TABLE, _table(study["cells"], measure))
    folder.write(REPORT, study_report_html(study, cells, measure, command=command, device=device, seconds=seconds))
    given = [(name, place) for name, listed in places.items() for place in listed]
    result = {
        "job": JOB,
        "outputs": {"study": STUDY, "table": TABLE, "report": REPORT, "result": RESULT},
        "inputs": {f"{name}{i}": {"path": place.text, "sha256": None} for i, (name, place) in enumerate(given)},
        "parameters": request.model_dump(mode="json"),
        "model": None,
        "engine_version": VERSION,
        "command": command,
        "seconds": round(time.monotonic() - started, 2),
        "device": device,
        "warnings": list(reporter.warnings),
        "figures": {
            "cells": len(cells),
            "chips": study["test"]["scored"],
            "baseline": study["baseline"],
            "score": study["score"],
            "summary": study["summary"],
        },
    }
    folder.write(RESULT, plainjson.dumps(result, indent=2) + "\n")
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(home)}


def _packs(
    request: LabelEfficiencyRequest, methods: Methods, places: dict[str, list[Place]], home: Path, reporter: Reporter
) -> dict[str, list[str]]:
    made = {}
    for number, (name, given) in enumerate(places.items()):
        pack = pack_test if name == "test" else pack_training
        made[name] = pack(
            given,
            home / PACKS / name,
            bands=methods.bands,
            side=request.crop,
            broken=request.broken,
            workers=request.workers,
            reporter=reporter.part(number / len(places), (number + 1) / len(places)),
        )
    return made


def _cells(
    request: LabelEfficiencyRequest,
    measure: Measure,
    methods: Methods,
    packs: dict[str, list[str]],
    test: Chips,
    home: Path,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """All cells with their figures, in the order of the grid."""
    wanted = list(grid(request))
    done = {cell: found for cell in wanted if (found := finished(home, cell, test)) is not None}
    weights = {cell: _weight(cell, request) for cell in wanted}
    if done:
        reporter.log(f"{len(done)} of {len(wanted)} cells are done already.")
    pace = StudyPace(list(weights.values()), sum(weights[cell] for cell in done))
    for number, cell in enumerate(wanted):
        reporter.check()
        if cell in done:
            continue
        title = f"cell {number + 1} of {len(wanted)}, {cell.title}"
        asked = cell_request(cell, request, methods, home=home, data=packs["train"], validation=packs["validation"])
        part = pace.reporter(reporter, title, weights[cell])
        part.progress(0.0, "cells")
        try:
            done[cell] = do_cell(cell, asked, test, part, measure=measure, keep=request.keep_models)
        except Cancelled:
            raise
        except EngineError as error:
            raise type(error)(f"{cell.title}: {error.message}", remedy=error.remedy) from error
        pace.finished(weights[cell])
    return [done[cell] for cell in wanted]


def _weight(cell: Cell, request: LabelEfficiencyRequest) -> float:
    """The work of a cell: equal where steps are given, else by its squares; scoring is a part of its own."""
    return 1.0 if request.steps is not None else 0.1 + cell.fraction


def _warn(cells: Sequence[dict[str, Any]], reporter: Reporter) -> None:
    """Each warning of the cells once, with how many cells it concerns."""
    counts: dict[str, int] = {}
    for cell in cells:
        for line in cell["warnings"]:
            counts[line] = counts.get(line, 0) + 1
    for line, number in counts.items():
        reporter.warn(f"{number} of {len(cells)} cells: {line}")


def _study(
    request: LabelEfficiencyRequest,
    measure: Measure,
    methods: Methods,
    test: Chips,
    cells: Sequence[dict[str, Any]],
    reporter: Reporter,
) -> dict[str, Any]:
    shown = []
    for cell in cells:
        reporter.check()
        shown.append(cell_figures(cell, measure.scores))
    truth = np.asarray(cells[0]["counts"], np.float64)  # what the chips show is the same in every cell
    summary = summarise(
        cells,
        scores=measure.scores,
        methods=list(methods.by_name),
        modes=request.mode_names(),
        fractions=request.shares(),
        baseline=request.compared_with(),
        check=reporter.check,
    )
    return {
        "job": JOB,
        "score": request.score or next(iter(measure.scores)),
        "baseline": request.compared_with(),
        "methods": {name: method.plain() for name, method in methods.by_name.items()},
        "modes": list(request.mode_names()),
        "fractions": list(request.shares()),
        "seeds": list(request.seed_numbers()),
        "scores": {name: score.title for name, score in measure.scores.items()},
        "test": {
            "items": test.names,
            "scored": int((truth.sum(axis=1) > 0).sum()),
            **measure.facts(truth),
            "left_out": test.left_out(),
        },
        "summary": summary,
        "cells": [
            {**figures, "counts": cell["counts"], "reliability": cell["reliability"]}
            for figures, cell in zip(shown, cells, strict=True)
        ],
        "warnings": list(reporter.warnings),
        "parameters": request.model_dump(mode="json"),
        "engine_version": VERSION,
    }


def _table(cells: Sequence[dict[str, Any]], measure: Measure) -> str:
    """A line a cell; what is not defined is empty."""
    scores = [column for name in measure.scores for column in (name, f"{name}_low", f"{name}_high")]
    columns = ["method", "mode", "fraction", "seed", "squares", "events", "steps", *scores]
    columns += ["ece", "brier", "temperature", *measure.checked, "training_seconds"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for cell in cells:
        flat = {**cell, **{name: cell[name]["value"] for name in measure.checked}}
        for name in measure.scores:
            flat |= {name: cell[name]["value"], f"{name}_low": cell[name]["low"], f"{name}_high": cell[name]["high"]}
        writer.writerow(["" if flat[name] is None else flat[name] for name in columns])
    return stream.getvalue()
