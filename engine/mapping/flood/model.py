"""Water by a learned model: a flood bundle run over the scene by the streaming inference."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.device import Device, choose_device
from engine.errors import ModelError
from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray, SceneReader
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.models.bundle import Bundle
from engine.models.card import gsd_fits
from engine.raster.grid import Grid, Window

POLARISATIONS = ("VV", "VH")


class ModelDetector:
    """A :class:`~engine.mapping.flood.detector.WaterDetector` from a bundle for Sentinel-1 and water.

    Normalisation, tile, overlap and temperature come from the card; the probability is sigmoid or softmax of the
    network's blended logits. A pixel where none of the model's bands is finite is NaN. Raises ModelError when the
    bundle is not for Sentinel-1 in dB or its weights are damaged, DeviceError for a device that is not there.
    """

    grow_percent = 100

    def __init__(self, bundle: Bundle, *, device: str | Device = "auto") -> None:
        card = bundle.card
        if card.task != "flood" or card.sensors != ("s1",):
            raise ModelError(
                f"{bundle.folder}: the model {card.name} maps {card.task} from {', '.join(card.sensors)}; "
                "expected flood from s1.",
                remedy="Choose a flood model for Sentinel-1.",
            )
        wrong = [band for band in card.bands if band.unit != "db" or band.name not in POLARISATIONS]
        if wrong:
            raise ModelError(
                f"{bundle.folder}: the model takes {wrong[0].name} in {wrong[0].unit}; expected VV and VH in dB.",
                remedy="Choose another model.",
            )
        self._bundle = bundle
        self._planes = [POLARISATIONS.index(band.name) for band in card.bands]
        self._water = 0 if card.activation == "sigmoid" else [c.value for c in card.classes].index(1)
        chosen = device if isinstance(device, Device) else choose_device(device)
        self._engine = StreamingInference(
            bundle.network(),
            InferenceSettings(
                tile=card.tile,
                overlap=card.overlap,
                mean=tuple(band.mean for band in card.bands),
                std=tuple(band.std for band in card.bands),
                validity=card.network.validity,
                activation=card.activation,
                temperature=card.temperature,
                budget_bytes=None,  # the pipeline wants full-width windows
            ),
            device=chosen,
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self._bundle.name

    def probabilities(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`; also raises ModelError when a band is missing."""
        self._check(scene, reporter)
        yield from self._stream(_SceneSource(scene, self._planes, before=False), reporter)

    def probabilities_before(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        yield from self._stream(_SceneSource(scene, self._planes, before=True), reporter)

    def diagnostics(self) -> dict[str, Any]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return {"model": self.name, "sha256": self._bundle.sha256, **self._engine.facts()}

    def _stream(self, source: _SceneSource, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        with contextlib.closing(self._engine.stream(source, reporter)) as strips:
            for window, values in strips:
                yield window, values[self._water]

    def _check(self, scene: SceneReader, reporter: Reporter) -> None:
        card = self._bundle.card
        missing = [band.name for band in card.bands if band.name not in scene.polarisations]
        if missing:
            raise ModelError(
                f"The model {card.name} needs {', '.join(b.name for b in card.bands)}; the scene has "
                f"{', '.join(scene.polarisations)}.",
                remedy="Use --method threshold, which takes either polarisation alone.",
            )
        gsd = scene.grid.gsd_m()
        if scene.grid.crs is not None and not gsd_fits(card, gsd):
            reporter.warn(
                f"Pixels of {gsd[0]:.1f} x {gsd[1]:.1f} m: the model {card.name} was trained on "
                f"{card.gsd_m[0]:g} to {card.gsd_m[1]:g} m, so expect less accuracy."
            )


class _SceneSource:
    """The model's bands of a scene, in the model's order."""

    def __init__(self, scene: SceneReader, planes: list[int], *, before: bool) -> None:
        self._read = scene.read_before if before else scene.read
        self._planes = planes
        self.grid: Grid = scene.grid
        self.block: tuple[int, int] = getattr(scene, "block", (256, 256))
        crop: Window | None = getattr(scene, "crop", None)
        # Where the file's blocks lie in the cropped grid.
        self.block_origin = (0, 0) if crop is None else (-(crop.row % self.block[0]), -(crop.col % self.block[1]))

    def read(self, window: Window) -> FloatArray:
        """float32 (bands, rows, columns), NaN where missing."""
        values = self._read(window)
        if self._planes == list(range(values.shape[0])):
            return values
        return np.ascontiguousarray(values[self._planes])
