"""The job ``crossview-adapt``: an area is learned from one's own photos and imagery, without any pair."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.command_line import command_line
from engine.crossview.cells import CellLayout
from engine.crossview.crops import Cropper
from engine.crossview.reference import (
    check_overlap,
    check_tiles,
    licence_note,
    open_reference,
    read_region,
    tile_warning,
)
from engine.device import Device, choose_device
from engine.events import Reporter
from engine.models.library import check_name, register
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.result import REPORT, RESULT, job_result, keep
from engine.training.crossview import train
from engine.training.crossview.adapt import finding, measure
from engine.training.crossview.adapt import photos as own
from engine.training.crossview.adapt import tiles as cut
from engine.training.crossview.adapt.card import save_adapted
from engine.training.crossview.adapt.compare import compared
from engine.training.crossview.adapt.plan import Plan, check_resolution, headings_known, network_plan, training_request
from engine.training.crossview.adapt.report import write_report
from engine.training.crossview.adapt.request import CrossviewAdaptRequest
from engine.training.crossview.adapt.words import expectation, summary_line
from engine.training.crossview.adapt.workspace import Learning
from engine.training.metrics_log import METRICS
from engine.training.rng import derive_seed

MODEL, TRAINING_REPORT, PAIRS = "model", "training.html", "pairs.csv"
_RUNNING = {"out", "device", "overwrite", "register_as", "name", "memory"}
"""Options that change nothing of what is learned: a stopped run may be gone on with otherwise."""


@dataclass(frozen=True)
class _Found:
    """What is learned from: ``learned`` photos, those kept ``apart``, ``left`` out, the ``tiles``, and the
    pairs that a search ``found`` of the learned (none: they are learned from without pairs)."""

    learned: list[own.OwnPhoto]
    apart: list[own.OwnPhoto]
    left: list[own.LeftOut]
    tiles: cut.Tiles
    found: finding.FoundPairs

    def expect(self, plan: Plan) -> list[str]:
        """What may be expected of them, in sentences."""
        right = measure.places_right(self.found)
        started = plan.model is not None
        return expectation(len(self.learned), from_model=started, believed=len(self.found), right=right)


def run(request: CrossviewAdaptRequest, reporter: Reporter) -> dict[str, Any]:
    """Learn the area that ``request`` says and return ``result.json``'s content; raises EngineError, Cancelled.

    A run that was stopped is gone on with by the same request, as far as it had got. Positions that photos tell are
    used to measure and never to learn.
    """
    started = time.monotonic()
    reporter.progress(0.0, "open", "Reading region and imagery")
    if request.register_as is not None:
        check_name(request.register_as, overwrite=request.overwrite)
    geometry, region = read_region(request.region)
    layout = CellLayout(request.cell)
    ids = cut.region_cells(layout, geometry, most=request.most_tiles)
    plan = network_plan(request)
    paths = own.find_photos(request.photos)
    own.check_enough_files(paths)
    place = geometry.representative_point()
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        opened = open_reference(
            request.reference,
            request,
            finest_m=plan.gsd_m,
            place=(place.x, place.y),
            budget_bytes=int(request.memory * 1e9),
        )
        with opened.raster:
            check_overlap(geometry, opened.raster)
            check_tiles(geometry, opened, request.max_tiles)
            cropper = Cropper(opened.imagery, side=plan.side)
            check_resolution(plan, cropper.gsd_m(place.x, place.y), name=opened.raster.path)
            note = licence_note(opened.host, request.attribution)
            if note:
                reporter.warn(note)
            # The results' name as it was given: a link to a folder elsewhere is not followed for the work.
            out = Path(request.out).expanduser().absolute()
            with Learning(out, _plan_facts(request, paths, region, plan)) as work:
                device = choose_device(request.device)
                found = _gather(request, paths, ids, layout, cropper, plan, work, device, reporter)
                for line in found.expect(plan):
                    reporter.log(line)
                trained = _train(request, plan, found, work, reporter)
                model = work.training / train.MODEL
                figures_, said = compared(
                    model, plan, found.learned, found.apart, opened, geometry, found.tiles, layout, device=device,
                    seed=request.seed, reporter=reporter.part(0.8, 0.95),
                )  # fmt: skip
                warning = tile_warning(opened.tiles, request.reference)
                if warning:
                    reporter.warn(warning)
                figures = _figures(request, plan, found, trained, figures_, said)
                reporter.progress(0.96, "save", "Writing the model")
                bundle = save_adapted(results.path / MODEL, model, request, plan, opened, figures)
                shutil.copyfile(work.training / METRICS, results.path / METRICS)
                shutil.copyfile(work.training / train.REPORT, results.path / TRAINING_REPORT)
                result = job_result(
                    "crossview-adapt",
                    request,
                    command=command_line("crossview adapt", request, positional=("photos",)),
                    outputs={
                        "model": f"{MODEL}/card.json",
                        "metrics": METRICS,
                        "training": TRAINING_REPORT,
                        "report": REPORT,
                        "result": RESULT,
                    },
                    inputs={
                        "reference": fingerprint(request.reference, reporter),
                        "region": fingerprint(request.region, reporter),
                    },
                    figures=figures,
                    model={"name": bundle.name, "sha256": bundle.sha256},
                    reporter=reporter,
                    started=started,
                    device=str(device),
                )
                if request.register_as is not None:
                    target = register(results.path / MODEL, request.register_as, overwrite=request.overwrite)
                    result["registered"] = {"name": request.register_as, "folder": str(target)}
                write_report(results.path / REPORT, result=result)
                result = keep(results, result, reporter)
                work.finish()
    reporter.progress(1.0, "done", "Done")
    return result


def _plan_facts(request: CrossviewAdaptRequest, paths: Sequence[Path], region: str, plan: Plan) -> dict[str, Any]:
    """What a stopped run must have in common with this one to be gone on with."""
    return {
        "request": {k: v for k, v in request.model_dump(mode="json").items() if k not in _RUNNING},
        "photos": [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in paths],
        "region": region,
        "start": plan.model.card.weights_sha256 if plan.model is not None else None,
    }


def _gather(
    request: CrossviewAdaptRequest,
    paths: Sequence[Path],
    ids: Any,
    layout: CellLayout,
    cropper: Cropper,
    plan: Plan,
    work: Learning,
    device: Device,
    reporter: Reporter,
) -> _Found:
    """Photos and tiles as files of the workspace, with the pairs.csv that names them."""
    positions = own.read_positions(request.positions) if request.positions else {}
    good, left = own.read_photos(
        paths, work.photos, positions, reporter.part(0.01, 0.1), from_files=not request.ignore_positions
    )
    own.check_enough(good, left)
    for line in (one.why for one in left[:5]):
        reporter.warn(f"Left out: {line}")
    if len(left) > 5:
        reporter.warn(f"Left out: {len(left) - 5} more photos; result.json names them.")
    tiles = cut.cut_tiles(ids, layout, cropper, plan.gsd_m, work.tiles, reporter.part(0.1, 0.2))
    if tiles.gaps:
        reporter.warn(f"{tiles.gaps} of the region's {len(ids)} tiles have too little imagery and are left out.")
    apart = _apart(request, good, tiles)
    names = {photo.name for photo in apart}
    learned = [photo for photo in good if photo.name not in names]
    known = headings_known(request, learned)
    pairs = finding.found_pairs(
        plan, learned, tiles, layout, cropper, work, device, headings=known, seed=request.seed,
        reporter=reporter.part(0.2, 0.4),
    )  # fmt: skip
    rows = pairs.rows
    if not rows:
        rows = [*own.pair_rows(learned, work.path, headings=known), *cut.pair_rows(tiles.files, work.path, plan.gsd_m)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (work.path / PAIRS).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return _Found(learned, apart, left, tiles, pairs)


def _apart(request: CrossviewAdaptRequest, good: Sequence[own.OwnPhoto], tiles: cut.Tiles) -> list[own.OwnPhoto]:
    """Photos that are not learned from, drawn by the seed; none where they or the rest would be too few."""
    known = cut.inside(good, tiles, request.cell)
    count = min(round(request.apart * len(known)), len(good) - own.FEWEST)
    if count < measure.FEWEST:
        return []
    order = np.random.default_rng(derive_seed(request.seed, "apart")).permutation(len(known))
    return [known[i] for i in sorted(order[:count].tolist())]


def _train(
    request: CrossviewAdaptRequest, plan: Plan, found: _Found, work: Learning, reporter: Reporter
) -> dict[str, Any]:
    asked = training_request(
        request, plan, found.learned, data=work.path / PAIRS, out=work.training, found=len(found.found)
    )
    if work.resumed:
        reporter.log("Going on with a training that was stopped.")
        asked = asked.model_copy(update={"resume": True})
    return train.run(asked, reporter.part(0.4, 0.8))


def _figures(
    request: CrossviewAdaptRequest,
    plan: Plan,
    found: _Found,
    trained: dict[str, Any],
    measured: dict[str, Any],
    said: dict[str, list[str]],
) -> dict[str, Any]:
    told = trained["figures"]
    return {
        "photos": len(found.learned),
        "believed": len(found.found),
        "believed_right": measure.places_right(found.found),
        "apart": len(found.apart),
        "left_out": [one.why for one in found.left],
        "tiles": len(found.tiles.files),
        "gaps": found.tiles.gaps,
        "cell_m": request.cell,
        "extent_m": plan.extent_m,
        "gsd_m": plan.gsd_m,
        "start": plan.start,
        "heading": "known" if headings_known(request, found.learned) else "unknown",
        "steps": told["steps"],
        "stages": told["stages"],
        "held_out": told["held_out"],
        "chosen": told["chosen"],
        "training_seconds": told["training_seconds"],
        "measured": measured,
        "said": said,
        "summary": [summary_line(group, one) for group, one in measured.items()],
        "expect": found.expect(plan),
    }
