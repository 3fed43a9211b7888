"""The cells of a study: one fine-tuning each, and what is kept of it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import plainjson
from engine.events import Reporter
from engine.models.bundle import load_bundle
from engine.resultfile import write_whole
from engine.training import finetune
from engine.training.checkpoint import CHECKPOINT, PREVIOUS, STATE
from engine.training.requests import FinetuneRequest
from engine.training.run_folder import CONFIG, RESULT, RUNNING
from engine.training.study.measures import Measure
from engine.training.study.methods import Methods
from engine.training.study.request import LabelEfficiencyRequest, Mode
from engine.training.study.scoring import Chips, score_model

CELLS, SCORE, MODEL = "cells", "score.json", "model"


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    method: str
    mode: Mode
    fraction: float
    seed: int

    @property
    def folder(self) -> str:
        """Where it lies in the study's folder."""
        return f"{CELLS}/{self.method}/{self.mode}/labels-{self.fraction:g}/seed-{self.seed}"

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.method} {self.mode}, {100 * self.fraction:g} % labels, seed {self.seed}"

    def plain(self) -> dict[str, Any]:
        """As it stands in JSON."""
        return {"method": self.method, "mode": self.mode, "fraction": self.fraction, "seed": self.seed}


def grid(request: LabelEfficiencyRequest) -> Iterator[Cell]:
    """All cells, seed by seed and from few labels to many, so that a study that is stopped compares all methods."""
    for seed in request.seed_numbers():
        for fraction in request.shares():
            for mode in request.mode_names():
                for method in request.starts():
                    yield Cell(method, mode, fraction, seed)


def cell_request(
    cell: Cell,
    request: LabelEfficiencyRequest,
    methods: Methods,
    *,
    home: Path,
    data: Sequence[str],
    validation: Sequence[str],
) -> FinetuneRequest:
    """The fine-tuning of a cell. All cells of a seed and fraction get the same squares and the same held-out events:
    those depend on the data, the seed and the fraction alone."""
    return request.options(
        out=str(home / cell.folder),
        data=tuple(data),
        validation=tuple(validation),
        encoder=methods.by_name[cell.method].starts[cell.seed],
        architecture=methods.architecture,
        width=methods.width,
        labels=cell.fraction,
        seed=cell.seed,
        freeze="encoder" if cell.mode == "frozen" else "none",
    )


def finished(home: Path, cell: Cell, test: Chips) -> dict[str, Any] | None:
    """What a finished cell holds; None for one that is not, or that was scored on other items."""
    try:
        found = json.loads((home / cell.folder / SCORE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and {k: found.get(k) for k in cell.plain()} == cell.plain()
    return found if same and found.get("items") == test.names else None


def do_cell(
    cell: Cell, request: FinetuneRequest, test: Chips, reporter: Reporter, *, measure: Measure, keep: bool
) -> dict[str, Any]:
    """Train the cell or go on with it, score its model, put the figures beside it; raises what fine-tuning raises.
    ``keep``: the model and a report stay too."""
    started = time.monotonic()
    folder = Path(request.out)
    begun = _begun(folder)
    same = begun is not None and _same(begun, request)
    result = _read(folder / RESULT) if same and (folder / MODEL).is_dir() else None
    # Training of earlier sessions; what this one trains is in its own time already.
    earlier = result["figures"]["training_seconds"] if result is not None else _trained_for(folder) if same else 0.0
    if result is None:
        again: dict[str, Any] = {
            "out": request.out,
            "resume": True,
            "device": request.device,
            "workers": request.workers,
        }
        anew = request.model_copy(update={"overwrite": begun is not None})
        asked = FinetuneRequest(**again) if same else anew
        result = finetune.run(asked, reporter.part(0.0, 0.9), brief=not keep)
    figures = result["figures"]
    bundle = load_bundle(folder / MODEL)
    score = {
        **cell.plain(),
        "start": figures["start"],
        **{name: figures[name] for name in ("squares", "events", "steps", "training_seconds", "temperature")},
        **measure.validation(figures),
        "validation_ece": figures["validation_ece"],
        "weights_sha256": bundle.sha256,
        "warnings": result["warnings"],
        "seconds": 0.0,
        **score_model(bundle, test, request.device, reporter.part(0.9, 1.0), measure=measure),
    }
    score["seconds"] = round(earlier + time.monotonic() - started, 2)
    write_whole(folder / SCORE, plainjson.dumps(score) + "\n")
    for name in (CHECKPOINT, PREVIOUS, STATE):
        (folder / name).unlink(missing_ok=True)
    if not keep:
        shutil.rmtree(folder / MODEL, ignore_errors=True)
    return score


def _begun(folder: Path) -> dict[str, Any] | None:
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    return _read(folder / CONFIG) or {}


def _trained_for(folder: Path) -> float:
    """Seconds of training up to the last checkpoint."""
    seconds = (_read(folder / STATE) or {}).get("seconds", 0.0)
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def _same(begun: dict[str, Any], request: FinetuneRequest) -> bool:
    wanted = plainjson.to_plain({k: v for k, v in request.model_dump(mode="json").items() if k not in RUNNING})
    return {k: v for k, v in begun.items() if k != "job"} == wanted


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
