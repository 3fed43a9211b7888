"""Which detector a method name means."""

from __future__ import annotations

from typing import Any

from engine.events import Reporter
from engine.mapping.flood.detector import WaterDetector

DEFAULT = "threshold"
"""What ``auto`` means until a starter model has measured better on events that it was not trained on."""


def choose_detector(method: str, *, device: str, reporter: Reporter) -> WaterDetector:
    """``auto`` and ``threshold`` need no weights; anything else names a model bundle.

    Raises ModelError for an unknown or unfit model, DeviceError for a device that is not there (for every method, so
    that a mistaken ``--device`` is told even where it is not used).
    """
    from engine.device import choose_device

    name = DEFAULT if method == "auto" else method
    if name == "threshold":
        if device not in ("auto", "cpu"):
            choose_device(device)
            reporter.log(f"The threshold method runs on the CPU; --device {device} is not used.")
        from engine.mapping.flood.threshold import ThresholdDetector

        return ThresholdDetector()
    from engine.mapping.flood.model import ModelDetector
    from engine.models.bundle import find_model

    return ModelDetector(find_model(name, task="flood"), device=device)


def describe_model(detector: WaterDetector) -> dict[str, Any] | None:
    """``{"name", "sha256"}`` of a model; None for the threshold method."""
    facts = detector.diagnostics()
    return {"name": detector.name, "sha256": facts["sha256"]} if "sha256" in facts else None
