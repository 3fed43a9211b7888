"""The ``crossview-train`` job: a network that finds the place of a panorama among tiles, from pairs or without."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine import plainjson
from engine.crossview.data.find import find_set
from engine.crossview.data.items import CrossViewSet, joined
from engine.crossview.learned_describer import HEADINGS
from engine.errors import MissingFileError, ParameterError
from engine.events import Reporter
from engine.panorama.circle import FULL_CIRCLE
from engine.training.checkpoint import CHECKPOINT, PREVIOUS, STATE, load_checkpoint
from engine.training.crossview.augment import Variation
from engine.training.crossview.choice import RECORDS, WEIGHTS, Chooser
from engine.training.crossview.epochs import Between
from engine.training.crossview.figures import retrieval_figures
from engine.training.crossview.geometric import match_geometrically
from engine.training.crossview.images import FrameStore
from engine.training.crossview.network import framing, make_network
from engine.training.crossview.objective import CrossViewObjective, Settings
from engine.training.crossview.plan import forget_plans
from engine.training.crossview.report import report_html
from engine.training.crossview.request import PSEUDO, STAGES, CrossViewTrainRequest, StageName
from engine.training.crossview.restyle.fit import FOLDER as RESTYLE
from engine.training.crossview.restyle.fit import fit_restyler
from engine.training.crossview.restyle.transfer import Unchanged
from engine.training.crossview.saving import save_model
from engine.training.crossview.split import Split, split
from engine.training.crossview.stages import Stages, plan_stages
from engine.training.crossview.true_turns import true_turns
from engine.training.distributed import World, joined_world
from engine.training.loop import Batch, LoopSettings, TrainingLoop, explain_out_of_memory
from engine.training.metrics_log import METRICS, last_figures, read_metrics
from engine.training.rng import derive_seed, seed_everything
from engine.training.run_folder import CONFIG, REPORT, RESULT, RunFolder, check_free, resolve
from engine.training.run_result import run_result

MODEL, RANKS = "model", "ranks.json"
_OWN = (CHECKPOINT, PREVIOUS, STATE, METRICS, CONFIG, RESULT, REPORT, RECORDS, WEIGHTS, RANKS)


def run(request: CrossViewTrainRequest, reporter: Reporter, *, brief: bool = False) -> dict[str, Any]:
    """Train as ``request`` says and return ``result.json``'s content; raises EngineError, Cancelled among them.

    A run that is cancelled or killed is gone on with by ``resume``, to the same weights. ``brief``: no report is drawn.
    """
    request = resolve(request, "crossview-train")
    check_free(request)
    try:
        with joined_world(request.device) as world:
            own = reporter if world.main else Reporter(token=reporter.token)
            return _run(request, world, own, brief)
    except torch.OutOfMemoryError as error:
        raise explain_out_of_memory(error) or error from error


def _run(request: CrossViewTrainRequest, world: World, reporter: Reporter, brief: bool) -> dict[str, Any]:
    started = time.monotonic()
    reporter.progress(0.0, "data", "Looking for data")
    data = joined([find_set(place) for place in request.data])
    tests = [find_set(place) for place in request.test]
    if data.left_out:
        count = len(data.left_out)
        reporter.warn(f"{count} item{'s were' if count > 1 else ' was'} left out; the first: {data.left_out[0][1]}")
    if not data.grounds or not data.overheads:
        raise ParameterError(f"{data.place}: holds {len(data.grounds)} panoramas and {len(data.overheads)} tiles.")
    parts = split(data, labels=request.labels, validation=request.validation_share, seed=request.seed)
    every = len(parts.train)
    counts: dict[StageName, int] = dict.fromkeys(STAGES, every)
    stages = plan_stages(request, {**counts, "supervised": len(parts.labelled)}, world=world.size)
    seed_everything(derive_seed(request.seed, "rank", world.rank))
    network = make_network(request)
    frames = framing(request, data)
    store = FrameStore(data, frames, most_bytes=int(request.cache_gb * 2**30))
    with RunFolder(request, job="crossview-train", main=world.main, own=_OWN) as folder:
        if world.main and not request.resume:
            forget_plans(folder.path)
            shutil.rmtree(folder.path / RESTYLE, ignore_errors=True)
        world.wait()
        restyler: torch.nn.Module = Unchanged()
        if "cross" in request.stage_names or request.rehearsed:
            part = reporter.part(*_spans(request)[0])
            restyler = fit_restyler(request, store, parts.train, world, folder=folder.path, reporter=part)
        first = None
        if "geometric" in request.stage_names:
            first = match_geometrically(
                store, parts.train, world,
                folder=folder.path, workers=request.workers, reporter=reporter.part(*_spans(request)[1]),
            )  # fmt: skip
        paired = None
        if request.heading == "found" and parts.labelled:
            paired = true_turns(store, parts.labelled, world, workers=request.workers)
        settings = _settings(request, frames.ground.vfov_deg)
        objective = CrossViewObjective(network, restyler, settings, gather=world.gather)
        resumed_at = _stands_at(folder.path) if request.resume else None
        chooser = Chooser(folder.path, resumed_at=resumed_at)
        between = Between(
            request, data, parts, stages, network, store, world, folder.path, reporter, chooser, first, paired,
        )  # fmt: skip
        loop = TrainingLoop(
            objective,
            _batches(request, between, store, world),
            settings=_loop_settings(request, stages),
            world=world,
            folder=folder.path,
            reporter=reporter.part(*_spans(request)[2]),
            samples=request.batch * world.size,
            facts=_facts(request, data, parts),
            validate=between.validate,
            epochs=between,
            rates=stages,
        )
        between.precision = loop.precision
        loop.run(resume=request.resume)
        kept = _choose(request, chooser, network, reporter)
        network.to(world.device.torch)
        figures = _figures(request, data, parts, stages, loop, kept)
        ranks = {}
        for test in tests:
            checked = FrameStore(test, frames, most_bytes=0)
            figures["test"][test.place], ranks[test.place] = retrieval_figures(
                network,
                checked,
                world,
                batch=request.batch,
                workers=request.workers,
                turned=request.tested_turned,
                headings=HEADINGS if request.heading != "unknown" and request.hfov >= FULL_CIRCLE else 1,
                seed=request.seed,
            )
        if not world.main:
            return {"job": "crossview-train", "rank": world.rank, "out": str(folder.path)}
        reporter.progress(0.96, "save", "Writing the model")
        if ranks:
            folder.write(RANKS, plainjson.dumps(ranks) + "\n")
        bundle = save_model(folder.path / MODEL, network, request, frames, figures)
        rows = read_metrics(folder.path / METRICS)
        result = run_result(
            "crossview-train",
            request,
            world,
            outputs={"model": f"{MODEL}/card.json"},
            data={"data": request.data},
            figures=figures | last_figures(rows),
            reporter=reporter,
            started=started,
            model={"name": "crossview", "sha256": bundle.sha256},
        )
        objective.to(world.device.torch)
        if not brief:
            folder.write(REPORT, report_html(result, rows, store, objective, parts))
        folder.write(RESULT, plainjson.dumps(result, indent=2) + "\n")
        forget_plans(folder.path)
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(request.out).expanduser().absolute())}


def _spans(request: CrossViewTrainRequest) -> tuple[tuple[float, float], ...]:
    """What of the progress the CycleGAN, the matcher without weights and the stages take."""
    styled = 0.3 if request.restyle == "cyclegan" else 0.02
    matched = styled + (0.1 if "geometric" in request.stage_names else 0.0)
    return (0.02, styled), (styled, matched), (matched, 0.95)


def _settings(request: CrossViewTrainRequest, vfov_deg: float) -> Settings:
    return Settings(
        variation=Variation(colour=request.colour),
        smoothing=request.smoothing,
        cross_smoothing=min(0.9, 3 * request.smoothing),
        dustbin=request.dustbin,
        rehearse=request.rehearse,
        columns=request.ground_pixels[1],
        heading_error=request.wrong_by_deg,
        disguise=request.disguise,
        tilt=request.tilt * request.ground_pixels[0] / vfov_deg,
        turns=request.compared_turns,
    )


def _loop_settings(request: CrossViewTrainRequest, stages: Stages) -> LoopSettings:
    return LoopSettings(
        steps=stages.steps,
        seed=request.seed,
        rate=request.lr,
        weight_decay=request.weight_decay,
        clip=request.clip or None,
        precision=request.precision,
        workers=request.workers,
        log_every=request.log_every,
        health_every=min(50, max(1, stages.steps // 20)),
        validate_every=stages.steps + 1,  # at the ends of epochs alone
        checkpoint_every=request.checkpoint_every,
        tensorboard=request.tensorboard,
    )


def _batches(
    request: CrossViewTrainRequest, between: Between, store: FrameStore, world: World
) -> Callable[[int, int], Batch]:
    """This process's rows of the epoch's plan, read."""
    data = between.data
    finds = request.heading == "found"
    told = request.heading == "known"
    blind = torch.tensor([not finds and not (told and item.heading_known) for item in data.grounds])

    def batches(step: int, part: int) -> Batch:
        plan = between.plan
        if plan is None:
            raise ParameterError(f"Step {step} has no plan.")
        row, own = step - between.first, slice(world.rank, None, world.size)
        ground, overhead = plan.ground[row, own], plan.overhead[row, own]
        out = {"ground": store.ground(ground.tolist()), "unknown": blind[ground], "ground_id": ground}
        stage = between.stages.at(step).name
        if stage == "cross":
            out |= {
                "birds_eye": store.birds_eye(ground.tolist()),
                "style": store.overhead(plan.style[row, own].tolist()),
            }
            return out
        out |= {"overhead": store.overhead(overhead.tolist()), "overhead_id": overhead}
        if stage == "supervised" or stage in PSEUDO:
            out |= {"labelled": plan.labelled[row, own] > 0, "also": plan.also[row, own]}
            if finds:
                turn = plan.turn[row, own]
                out |= {"turn": turn, "unknown": turn < 0}
        if stage in PSEUDO:
            out["dustbin"] = torch.ones(())
            if request.rehearsed:
                late = slice(len(ground) // 2, None)
                style = plan.style[row, own][late].tolist()
                out |= {"birds_eye": store.birds_eye(ground[late].tolist()), "style": store.overhead(style)}
        return out

    return batches


def _stands_at(folder: Path) -> int:
    """The step that the checkpoint of a run stands before; 0 where there is none."""
    try:
        return load_checkpoint(folder)[0].step
    except MissingFileError:
        return 0


def _facts(request: CrossViewTrainRequest, data: CrossViewSet, parts: Split) -> dict[str, Any]:
    return {
        "batch": request.batch,
        "seed": request.seed,
        "panoramas": len(data.grounds),
        "tiles": len(data.overheads),
        "labelled": len(parts.labelled),
    }


def _choose(
    request: CrossViewTrainRequest, chooser: Chooser, network: torch.nn.Module, reporter: Reporter
) -> dict[str, Any] | None:
    """Put the chosen weights into the network; None: the last stay."""
    best = chooser.best
    if not request.by_agreement:
        return None
    if best is None or best["score"] <= 0:
        reporter.warn("Nothing was held out that agrees with itself, so the last weights are kept.")
        return None
    chooser.load(network)  # type: ignore[arg-type]
    return {key: value for key, value in best.items() if key != "matches"}


def _figures(
    request: CrossViewTrainRequest,
    data: CrossViewSet,
    parts: Split,
    stages: Stages,
    loop: TrainingLoop,
    kept: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "panoramas": len(data.grounds),
        "tiles": len(data.overheads),
        "held_out": len(parts.held_out),
        "labelled": len(parts.labelled),
        "stages": [{"name": s.name, "steps": s.steps, "epochs": s.epochs} for s in stages.all],
        "steps": stages.steps,
        "training_seconds": round(loop.seconds, 2),
        "precision": loop.precision,
        "chosen": kept,
        "left_out": [why for _, why in data.left_out],
        "test": {},
    }
