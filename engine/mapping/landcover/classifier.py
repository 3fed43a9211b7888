"""Land cover by a learned model: a bundle run over the scene by the streaming inference."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from engine.device import Device, choose_device
from engine.errors import ModelError
from engine.events import Reporter
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.mapping.landcover.images import missing_band
from engine.mapping.landcover.scene import STAND_IN_NOTE, LandcoverScene
from engine.mapping.scene.bands import POLARISATIONS
from engine.mapping.scene.model_bands import check_bands
from engine.mapping.scene.spool import RowSpool
from engine.models.bundle import Bundle
from engine.models.card import Card, gsd_fits
from engine.models.stacked import VALIDITY_BANDS, StackedSensors
from engine.raster.grid import Window
from engine.sensors import SENSORS

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]
U8 = NDArray[np.uint8]

Watch = Callable[[Window, Sequence[str], FloatArray], None]
"""(window, names, (bands, rows, columns) reflectance): windows in any order, from another thread, not to be changed."""

Decide = Callable[[FloatArray], tuple[U8, U8]]
"""Codes and per cent (rows, columns) of (classes, rows, columns) logits; called from another thread."""

UNDER_CLOUD = 1


class LandcoverModel:
    """A land-cover bundle of one sensor or two, ready to run. ``why`` says, for ``auto``, why it was taken.

    A "two-sensor-unet" maps from either sensor alone (``either``); any other network of two sensors needs both.

    Normalisation, tile, overlap and temperature come from the card. Raises ModelError when the bundle is for something
    else or its weights are damaged, DeviceError for a device that is not there.
    """

    def __init__(self, bundle: Bundle, *, device: str | Device = "auto", why: str | None = None) -> None:
        card = bundle.card
        _check_card(bundle)
        self.bundle, self.card, self.why = bundle, card, why
        self.either = card.network.architecture == "two-sensor-unet"
        network: nn.Module = StackedSensors(bundle.two_sensor()) if self.either else bundle.mapper()
        extra = VALIDITY_BANDS if self.either else 0
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
                logits=True,
                judged="classes",
            ),
            device=device if isinstance(device, Device) else choose_device(device),
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.bundle.name

    @property
    def sensors(self) -> tuple[str, ...]:
        """What it maps from."""
        return self.card.sensors

    def bands(self, sensor: str, *, needed: bool = False) -> tuple[str, ...]:
        """Its bands of a sensor, in its order; with ``needed`` those it cannot do without."""
        return tuple(b.name for b in self.card.bands if b.sensor == sensor and not (needed and b.optional))

    def check(self, scene: LandcoverScene, reporter: Reporter) -> None:
        """Raise ModelError where no sensor of the scene is one of the model's, BandError where a band that it cannot do
        without is missing; warn of images that it does not look at and of another ground sampling distance."""
        path = scene.images.reference.raster.path
        if not set(scene.sensors) & set(self.sensors):
            own = " and ".join(SENSORS[s].title for s in self.sensors)
            raise ModelError(
                f"{path}: is a {SENSORS[scene.sensors[0]].title} image; the model {self.name} maps from {own} alone.",
                remedy="Choose another model with --model (see 'engine models list'), or give the other image.",
            )
        for sensor, files in (("s1", scene.images.radar), ("s2", scene.images.light)):
            if not files and (self.either or sensor not in self.sensors):
                continue
            if sensor not in self.sensors:
                reporter.warn(
                    f"{files[0].raster.path}: is not looked at: the model {self.name} does not map from "
                    f"{SENSORS[sensor].title}."
                )
                continue
            have = scene.polarisations if sensor == "s1" else (*scene.optical_bands, *scene.stand_ins)
            needed = self.bands(sensor, needed=True)
            missing = [name for name in needed if name not in have]
            if missing:
                where = str(files[0].raster.path) if files else path
                raise missing_band(self.name, where, sensor, missing, have, needed)
            for name, other in scene.stand_ins.items():
                if sensor == "s2" and name in self.bands(sensor):
                    reporter.warn(STAND_IN_NOTE.format(band=name, other=other))
            absent = [name for name in self.bands(sensor) if name not in have]
            if absent:
                reporter.log(f"The scene lacks {', '.join(absent)}, which the model {self.name} can do without.")
        gsd = scene.grid.gsd_m()
        if scene.grid.crs is not None and not gsd_fits(self.card, gsd):
            low, high = self.card.gsd_m
            reporter.warn(
                f"Pixels of {gsd[0]:.1f} x {gsd[1]:.1f} m: the model {self.name} was trained on {low:g} to {high:g} m, "
                "so expect less accuracy."
            )

    def decide(
        self, scene: LandcoverScene, clouds: RowSpool, decide: Decide, reporter: Reporter, *, watch: Watch | None = None
    ) -> Iterator[tuple[Window, U8, U8]]:
        """Windows that cover ``scene.grid`` once, with what ``decide`` makes of each pixel: a code and a per cent.

        ``decide`` gets float32 (classes, rows, columns) logits, divided by the card's temperature: their softmax is the
        calibrated probability. They are NaN where the scene shows nothing to the model: no valid value, or only what
        clouds hide, and then ``clouds`` holds :data:`UNDER_CLOUD` there (0 elsewhere) as soon as the window has come.
        Valid is a pixel of a sensor where every band that the model cannot do without has a value. See
        :class:`StreamingInference` for how windows come. ``watch`` is shown what is read of Sentinel-2.
        """

        def digest(logits: FloatArray) -> U8:
            whole = np.concatenate([0 * logits, logits]) if self.card.activation == "sigmoid" else logits
            return np.stack(decide(whole))

        source = _ModelSource(scene, self, clouds, watch)
        with contextlib.closing(self._engine.stream(source, reporter, digest=digest)) as strips:
            for window, (codes, percent) in strips:
                yield window, codes, percent

    def facts(self) -> dict[str, Any]:
        """JSON-able facts of the last run."""
        return {"model": self.name, "sha256": self.bundle.sha256, "why": self.why, **self._engine.facts()}

    def describe(self) -> dict[str, Any]:
        """What ``result.json`` says of the model: name, weights, licence, what it was trained on, figures."""
        card = self.card
        return {
            "name": self.name,
            "sha256": self.bundle.sha256,
            "title": card.title,
            "licence": card.licence,
            "gsd_m": list(card.gsd_m),
            "trained_on": [one.model_dump(mode="json") for one in card.trained_on],
            "figures": [one.model_dump(mode="json") for one in card.figures],
        }


def _check_card(bundle: Bundle) -> None:
    card: Card = bundle.card
    if card.task != "landcover":
        raise ModelError(
            f"{bundle.folder}: the model {card.name} is made for {card.task}; expected one for landcover.",
            remedy="Choose a land-cover model.",
        )
    check_bands(bundle)


class _ModelSource:
    """The model's bands of a scene, in its order; where either of two sensors will do their validity too, 1 or NaN.

    A pixel of a sensor that is not valid, or hidden by cloud, is NaN in all of its bands, and in all bands at all where
    the model needs both sensors. Bands that the scene lacks are NaN: inference takes them as their mean.
    """

    def __init__(self, scene: LandcoverScene, model: LandcoverModel, clouds: RowSpool, watch: Watch | None) -> None:
        self._scene, self._clouds, self._watch = scene, clouds, watch
        self._sensors, self._either = model.sensors, model.either
        self._names = {sensor: model.bands(sensor) for sensor in model.sensors}
        self._needed = {sensor: model.bands(sensor, needed=True) for sensor in model.sensors}
        self.grid, self.block = scene.grid, scene.block
        self.block_origin = (-(scene.crop.row % scene.block[0]), -(scene.crop.col % scene.block[1]))

    def read(self, window: Window) -> FloatArray:
        """float32 (bands, rows, columns), NaN where missing; notes what clouds hide."""
        parts: list[FloatArray] = []
        seen: list[Mask] = []
        hidden, radar = np.zeros(window.shape, bool), np.ones(window.shape, bool)
        for sensor in self._sensors:
            names = self._names[sensor]
            if sensor == "s1":
                values = self._scene.read(window)[[POLARISATIONS.index(name) for name in names]]
                radar = valid = self._valid(sensor, names, values)
            else:
                values, valid, hidden = self._light(window, names)
            parts.append(values)
            seen.append(valid)
        if not self._either:
            seen = [np.logical_and.reduce(seen)] * len(parts)
            hidden &= radar  # without its echo the pixel is missing, cloud or not
        self._note(window, hidden & ~np.logical_or.reduce(seen))
        for values, valid in zip(parts, seen, strict=True):
            if not valid.all():  # one plane added to all bands: filling them under a mask takes four times as long
                values += np.where(valid, np.float32(0), np.float32(np.nan))
        if not self._either:
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        return np.concatenate([*parts, np.where(np.stack(seen), np.float32(1), np.float32(np.nan))])

    def _light(self, window: Window, names: tuple[str, ...]) -> tuple[FloatArray, Mask, Mask]:
        """Reflectance of ``names``, where it counts, and where valid values are hidden by cloud."""
        scene = self._scene
        if not scene.optical_bands:
            return np.full((len(names), *window.shape), np.nan, np.float32), *np.zeros((2, *window.shape), bool)
        everything = list(dict.fromkeys([*names, *scene.cloud_bands]))
        read = scene.read_optical(window, everything)
        if self._watch is not None:
            self._watch(window, everything, read)
        values = read[: len(names)]
        valid = self._valid("s2", names, values)
        cloudy = scene.clouds(window, dict(zip(everything, read, strict=True)))
        return values, valid & ~cloudy, valid & cloudy

    def _valid(self, sensor: str, names: tuple[str, ...], values: FloatArray) -> Mask:
        needed = [names.index(name) for name in self._needed[sensor]]
        if not needed:
            return np.asarray(np.isfinite(values).any(axis=0), bool)
        valid: Mask = np.isfinite(values[needed[0]])
        for plane in needed[1:]:
            valid &= np.isfinite(values[plane])
        return valid

    def _note(self, window: Window, hidden: Mask) -> None:
        inside = window.intersect(self.grid.window)
        if not inside.empty:
            self._clouds.write(inside, hidden[inside.within(window)].view(np.uint8) * np.uint8(UNDER_CLOUD))
