"""Crops from several images, as of an index that grew from file to file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.crossview.cells import Degrees
from engine.crossview.crops import Cropper, Crops


class Cuts(Protocol):
    """What :class:`~engine.crossview.crops.Cropper` and :class:`Patchwork` do."""

    def cut(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Crops:
        """Crops around points (N,) at ``gsd_m`` metres a pixel, turned so that a compass direction is up."""


class Patchwork:
    """Cuts each crop from that of several images which covers most of it; of equals from the first."""

    def __init__(self, croppers: Sequence[Cropper]) -> None:
        if not croppers:
            raise ValueError("A patchwork needs an image at least.")
        self._croppers = tuple(croppers)

    def gsd_m(self, lon: float, lat: float) -> float:
        """Metres of a pixel at a point: of the coarsest image."""
        return max(cropper.gsd_m(lon, lat) for cropper in self._croppers)

    def cut(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Crops:
        """See :meth:`engine.crossview.crops.Cropper.cut`; another image is read only where those before lack pixels."""
        crops = self._croppers[0].cut(lon, lat, gsd_m, turn_deg=turn_deg)
        for cropper in self._croppers[1:]:
            lacking = (crops.observed < 1).nonzero()[0]
            if not len(lacking):
                break
            other = cropper.cut(
                lon[lacking], lat[lacking], gsd_m, turn_deg=None if turn_deg is None else turn_deg[lacking]
            )
            better = other.observed > crops.observed[lacking]
            if better.any():
                pixels, observed = crops.pixels.clone(), crops.observed.copy()
                pixels[lacking[better]] = other.pixels[better]
                observed[lacking[better]] = other.observed[better]
                crops = Crops(pixels, observed)
        return crops
