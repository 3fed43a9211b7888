"""``result.json``: what a job made, from what, how and by whom; the last step of a result folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engine.events import Reporter
from engine.outputs import ResultFolder
from engine.version import VERSION

REPORT, RESULT = "report.html", "result.json"


def job_result(
    job: str,
    request: BaseModel,
    *,
    command: str,
    outputs: Mapping[str, str],
    inputs: Mapping[str, Any],
    figures: Mapping[str, Any],
    reporter: Reporter,
    started: float,
    model: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """The content of ``result.json``, JSON-able where its parts are.

    ``outputs``: name → file in the folder; ``inputs``: name → facts of a file; ``model``: name and weights, None where
    there is none; ``started``: by :func:`time.monotonic`. Warnings are those that ``reporter`` has heard so far.
    """
    return {
        "job": job,
        "outputs": dict(outputs),
        "inputs": dict(inputs),
        "parameters": request.model_dump(mode="json"),
        "model": model,
        "engine_version": VERSION,
        "command": command,
        "device": device,
        "warnings": list(reporter.warnings),
        "figures": figures,
        "seconds": round(time.monotonic() - started, 2),
    }


def keep(results: ResultFolder, result: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Write ``result.json`` and move the folder into place; gives the result with the folder's path as ``out``.

    Raises Cancelled, ValueError for a number that is not finite, OutputError when the folder cannot be put in place.
    """
    (results.path / RESULT).write_text(json.dumps(result, indent=2, allow_nan=False), encoding="utf-8")
    reporter.check()
    results.commit()
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(result["parameters"]["out"]).absolute())}
