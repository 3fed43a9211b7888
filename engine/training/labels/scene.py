"""The scene that labels lie on, read as land-cover maps read it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError
from engine.mapping.landcover.scene import LandcoverScene
from engine.mapping.scene.bands import POLARISATIONS
from engine.mapping.scene.sampling import sample_windows
from engine.raster.grid import Grid, Window
from engine.training.data.statistics import BandStatistics, RunningStatistics

Floats = NDArray[np.float32]
UNUSED = ("B09", "B10")
"""Bands of water vapour and cirrus: they see the air, not the ground."""


class LabelScene:
    """Sentinel-2 in reflectance and Sentinel-1 in dB of one place and about one date, on the grid of
    :class:`~engine.mapping.landcover.scene.LandcoverScene`, clouds hidden as there.

    ``bands``: (sensor, name) of each plane that :meth:`read` gives, Sentinel-1 first. Use it as a context manager.
    """

    def __init__(self, scene: LandcoverScene, *, bands: Sequence[str] | None = None) -> None:
        self.images = scene
        self.grid: Grid = scene.grid
        self.path = str(scene.images.reference.raster.path)
        missing = [name for name in bands or () if name not in scene.optical_bands]
        if missing:
            raise BandError(
                f"{self.path}: the scene lacks {', '.join(missing)}; found {', '.join(scene.optical_bands) or 'none'}.",
                remedy="Name other bands with --s2-bands, or give the files of these too.",
            )
        light = [name for name in scene.optical_bands if (name in bands if bands else name not in UNUSED)]
        self.bands = (*(("s1", name) for name in scene.polarisations), *(("s2", name) for name in light))
        self._light = light

    @classmethod
    def open(cls, paths: Sequence[str], *, bands: Sequence[str] | None = None) -> LabelScene:
        """Open the files; ``bands``: the Sentinel-2 bands to take (default: all but :data:`UNUSED`).

        Raises what :func:`engine.mapping.landcover.images.open_images` raises, BandError for a band that is not there,
        GridError where files do not overlap.
        """
        scene = LandcoverScene.open(paths)
        try:
            return cls(scene, bands=bands)
        except BaseException:
            scene.close()
            raise

    @property
    def sensors(self) -> tuple[str, ...]:
        """Keys of the sensors, in the order of :attr:`bands`."""
        return tuple(dict.fromkeys(sensor for sensor, _ in self.bands))

    def read(self, window: Window) -> Floats:
        """float32 (bands, rows, columns): dB and reflectance; NaN in all bands of a sensor where one is missing, and
        under cloud."""
        parts: list[Floats] = []
        if "s1" in self.sensors:
            planes = [POLARISATIONS.index(name) for sensor, name in self.bands if sensor == "s1"]
            parts.append(_whole(self.images.read(window)[planes]))
        if self._light:
            names = list(dict.fromkeys([*self._light, *self.images.cloud_bands]))
            values = self.images.read_optical(window, names)
            cloudy = self.images.clouds(window, dict(zip(names, values, strict=True)))
            light = values[: len(self._light)]
            light[:, cloudy] = np.nan
            parts.append(_whole(light))
        return np.concatenate(parts)

    def statistics(self) -> dict[str, BandStatistics]:
        """Mean and spread of each sensor's bands over windows spread over the scene."""
        running = {s: RunningStatistics([n for key, n in self.bands if key == s]) for s in self.sensors}
        for window in sample_windows(self.grid, size=256, along=5):
            values = self.read(window)
            for sensor, one in running.items():
                one.add(values[[i for i, (key, _) in enumerate(self.bands) if key == sensor]])
        return {sensor: one.result() for sensor, one in running.items()}

    def close(self) -> None:
        """Close every file."""
        self.images.close()

    def __enter__(self) -> LabelScene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _whole(values: Floats) -> Floats:
    """``values`` with NaN in all bands where one is missing."""
    values[:, ~np.isfinite(values).all(axis=0)] = np.nan
    return values
