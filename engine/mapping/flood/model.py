"""Water by a learned model: a flood bundle run over the scene by the streaming inference."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import nn

from engine.device import Device, choose_device
from engine.errors import BandError, ModelError
from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray, SceneReader
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.mapping.scene.bands import POLARISATIONS
from engine.mapping.scene.model_bands import check_bands
from engine.models.bundle import Bundle
from engine.models.card import Card, gsd_fits
from engine.models.stacked import VALIDITY_BANDS, StackedSensors
from engine.raster.grid import Grid, Window


class ModelDetector:
    """A :class:`~engine.mapping.flood.detector.WaterDetector` from a bundle for water and Sentinel-1, Sentinel-2 or
    both.

    Normalisation, tile, overlap and temperature come from the card; the probability is sigmoid or softmax of the
    network's blended logits. A pixel is NaN where none of the model's polarisations is finite; of Sentinel-2 where any
    of its bands is not (as in training); of both where neither sensor is valid. Raises ModelError when the bundle is
    for something else or its weights are damaged, DeviceError for a device that is not there.
    """

    grow_percent = 100

    def __init__(self, bundle: Bundle, *, device: str | Device = "auto") -> None:
        card = bundle.card
        _check_card(bundle)
        self._bundle = bundle
        self._names = {s: tuple(b.name for b in card.bands if b.sensor == s) for s in card.sensors}
        self._water = 0 if card.activation == "sigmoid" else [c.value for c in card.classes].index(1)
        chosen = device if isinstance(device, Device) else choose_device(device)
        stacked = len(card.sensors) == 2
        network: nn.Module = StackedSensors(bundle.two_sensor()) if stacked else bundle.network()
        extra = VALIDITY_BANDS if stacked else 0
        self._engine = StreamingInference(
            network,
            InferenceSettings(
                tile=card.tile,
                overlap=card.overlap,
                mean=(*(band.mean for band in card.bands), *[0.0] * extra),
                std=(*(band.std for band in card.bands), *[1.0] * extra),
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

    @property
    def sensors(self) -> tuple[str, ...]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return self._bundle.card.sensors

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """The Sentinel-2 bands that the model takes."""
        return self._names.get("s2", ())

    def check(self, scene: SceneReader) -> None:
        """Raise BandError where the scene lacks bands that the model takes (a whole sensor may be missing of two)."""
        missing = self._missing("s1", scene.polarisations)
        if missing and (scene.polarisations or len(self.sensors) == 1):
            raise BandError(
                f"The model {self.name} needs {', '.join(self._names['s1'])}; the scene has "
                f"{', '.join(scene.polarisations) or 'no polarisation'}.",
                remedy="Use --method threshold, which takes either polarisation alone.",
            )
        if "s2" not in self._names:
            return
        missing = self._missing("s2", scene.optical_bands)
        if missing and (scene.optical_bands or len(self.sensors) == 1):
            raise BandError(
                f"The model {self.name} needs the Sentinel-2 bands {', '.join(self.optical_bands)}; the image lacks "
                f"{', '.join(missing)} (it has {', '.join(scene.optical_bands) or 'none'}).",
                remedy="Give an image with these bands, or choose another model.",
            )

    def _missing(self, sensor: str, have: Sequence[str]) -> list[str]:
        return [name for name in self._names.get(sensor, ()) if name not in have]

    def probabilities(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`; also raises BandError when a band is missing."""
        self.check(scene)
        card, gsd = self._bundle.card, scene.grid.gsd_m()
        if scene.grid.crs is not None and not gsd_fits(card, gsd):
            reporter.warn(
                f"Pixels of {gsd[0]:.1f} x {gsd[1]:.1f} m: the model {card.name} was trained on "
                f"{card.gsd_m[0]:g} to {card.gsd_m[1]:g} m, so expect less accuracy."
            )
        yield from self._stream(_SceneSource(scene, self._names, before=False), reporter)

    def probabilities_before(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        yield from self._stream(_SceneSource(scene, self._names, before=True), reporter)

    def diagnostics(self) -> dict[str, Any]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return {"model": self.name, "sha256": self._bundle.sha256, **self._engine.facts()}

    def _stream(self, source: _SceneSource, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        with contextlib.closing(self._engine.stream(source, reporter)) as strips:
            for window, values in strips:
                yield window, values[self._water]


def _check_card(bundle: Bundle) -> None:
    card: Card = bundle.card
    single = card.network.architecture == "resnet-unet" and len(card.sensors) == 1
    if card.task != "flood" or not (single or card.network.architecture == "two-sensor-unet"):
        raise ModelError(
            f"{bundle.folder}: the model {card.name} maps {card.task} from {', '.join(card.sensors)} by a "
            f"{card.network.architecture}; expected flood from one sensor, or from two by a two-sensor-unet.",
            remedy="Choose a flood model.",
        )
    check_bands(bundle)


class _SceneSource:
    """The model's bands of a scene, in the model's order; of two sensors their validity too, 1 or NaN."""

    def __init__(self, scene: SceneReader, names: dict[str, tuple[str, ...]], *, before: bool) -> None:
        self._scene, self._names, self._before = scene, names, before
        self._planes = [POLARISATIONS.index(name) for name in names.get("s1", ())]
        self.grid: Grid = scene.grid
        self.block: tuple[int, int] = getattr(scene, "block", (256, 256))
        crop: Window | None = getattr(scene, "crop", None)
        # Where the file's blocks lie in the cropped grid.
        self.block_origin = (0, 0) if crop is None else (-(crop.row % self.block[0]), -(crop.col % self.block[1]))

    def read(self, window: Window) -> FloatArray:
        """float32 (bands, rows, columns), NaN where missing."""
        if len(self._names) == 1:
            return self._radar(window) if "s1" in self._names else self._light(window)
        parts = [self._radar(window), self._light(window)]
        validity = np.full((len(parts), *window.shape), np.nan, np.float32)
        for plane, values in zip(validity, parts, strict=True):
            seen = np.isfinite(values).all(axis=0)  # in training a pixel counts where all bands of a sensor do
            values[:, ~seen] = np.nan
            plane[seen] = 1.0
        return np.concatenate([*parts, validity])

    def _radar(self, window: Window) -> FloatArray:
        values = self._scene.read_before(window) if self._before else self._scene.read(window)
        if self._planes == list(range(values.shape[0])):
            return values
        return np.ascontiguousarray(values[self._planes])

    def _light(self, window: Window) -> FloatArray:
        return self._scene.read_optical(window, self._names["s2"], before=self._before)
