"""What ``result.json`` of a training run says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.command_line import command_line
from engine.events import Reporter
from engine.result import REPORT, RESULT, job_result
from engine.training.distributed import World
from engine.training.metrics_log import METRICS
from engine.training.requests import KeptRequest


def run_result(
    job: str,
    request: KeptRequest,
    world: World,
    *,
    outputs: Mapping[str, str],
    data: Mapping[str, Sequence[str]],
    figures: Mapping[str, Any],
    reporter: Reporter,
    started: float,
    model: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """As :func:`engine.result.job_result`. ``outputs`` beside metrics, report and result; ``data``: name → places, of
    which no digest is taken, for they may be large folders."""
    places = {f"{name}{number or ''}": place for name, given in data.items() for number, place in enumerate(given)}
    return job_result(
        job,
        request,
        command=command_line(job.replace("-", " "), request, positional=()),
        outputs={**outputs, "metrics": METRICS, "report": REPORT, "result": RESULT},
        inputs={name: {"path": place, "sha256": None} for name, place in places.items()},
        figures=figures,
        model=model,
        reporter=reporter,
        started=started,
        device=str(world.device) + (f", {world.size} processes" if world.size > 1 else ""),
    )
