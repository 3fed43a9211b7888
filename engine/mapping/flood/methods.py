"""Which detector a method name means."""

from __future__ import annotations

from typing import Any

from engine.errors import ModelError, ParameterError
from engine.events import Reporter
from engine.mapping.flood.automatic import AutomaticDetector
from engine.mapping.flood.detector import WaterDetector
from engine.mapping.flood.scene import FloodScene
from engine.sensors import SENSORS

TOGETHER = "threshold+"
STRIP_ROWS_TOGETHER = 128


def choose_detector(method: str, *, device: str, reporter: Reporter) -> WaterDetector:
    """``auto`` is decided scene by scene (:mod:`engine.mapping.flood.automatic`); ``threshold`` needs no weights;
    ``threshold+MODEL`` is both together (:mod:`engine.mapping.flood.fused`); anything else names a model bundle.

    Raises ModelError for an unknown or unfit model, DeviceError for a device that is not there (for every method, so
    that a mistaken ``--device`` is told even where it is not used).
    """
    if device not in ("auto", "cpu"):
        from engine.device import choose_device

        choose_device(device)

    def make(name: str) -> WaterDetector:
        if name == "threshold":
            from engine.mapping.flood.threshold import ThresholdDetector

            return ThresholdDetector()
        if name.startswith(TOGETHER):
            from engine.mapping.flood.fused import FusedDetector
            from engine.mapping.flood.threshold import ThresholdDetector

            # Both hold rows of the whole width at once: narrow strips of the thresholds keep wide scenes in 2 GB.
            thresholds = ThresholdDetector(strip_rows=STRIP_ROWS_TOGETHER)
            return FusedDetector(thresholds, make(name.removeprefix(TOGETHER)))
        from engine.mapping.flood.model import ModelDetector
        from engine.models.bundle import find_model

        return ModelDetector(find_model(name, task="flood"), device=device)

    if method == "auto":
        return AutomaticDetector(make, reporter=reporter)
    if method == "threshold" and device not in ("auto", "cpu"):
        reporter.log(f"The threshold method runs on the CPU; --device {device} is not used.")
    return make(method)


def require_fit(detector: WaterDetector, scene: FloodScene) -> None:
    """Raise where the method cannot map the scene: ModelError (another sensor), BandError (a band is missing),
    ParameterError (an image that the method would not look at)."""
    post = scene.post
    if post.sensor not in detector.sensors:
        own = ", ".join(post.bands)
        alone = " and ".join(SENSORS[s].title for s in detector.sensors)
        remedy = (
            "Give a model for Sentinel-2 with --method (see 'engine models list'), or train one with 'engine finetune "
            "--sensors s2'."
            if post.sensor == "s2"
            else f"Give a {alone} image as POST."
        )
        what = f"method {detector.name}" + (" reads VV and VH of" if detector.name == "threshold" else " maps from")
        raise ModelError(
            f"{post.raster.path}: is a {SENSORS[post.sensor].title} image ({own}); the {what} {alone} alone.",
            remedy=remedy,
        )
    if scene.light is not None and "s2" not in detector.sensors:
        raise ParameterError(
            f"{scene.light.raster.path}: the method {detector.name} does not look at Sentinel-2 (--s2).",
            remedy="Leave --s2 out, or choose a model for both sensors.",
        )
    detector.check(scene)


def describe_model(detector: WaterDetector) -> dict[str, Any] | None:
    """``{"name", "sha256"}`` of a model; None for the threshold method."""
    facts = detector.diagnostics()
    return {"name": facts["model"], "sha256": facts["sha256"]} if "sha256" in facts else None
