"""The task that a request names."""

from __future__ import annotations

from engine.training.requests import FinetuneRequest
from engine.training.tasks.flood import FloodTask
from engine.training.tasks.landcover import LandcoverTask
from engine.training.tasks.task import Task


def find_task(request: FinetuneRequest) -> Task:
    """Raises ParameterError for a legend that is none."""
    if request.task == "landcover":
        return LandcoverTask(request.legend, unknown_share=request.unknown_share)
    return FloodTask()
