"""Crops from several images, as of an index that grew from file to file.

Sheets that meet without a gap give the crops of the one mosaic of them: to the bit but for rounding where their grids
lie on each other (levels of half size: where the seam lies between pixels of the level too; else they are up to half a
pixel of the crop aside), as near as bilinear samples are where their grids differ. A sample across the seam is weighted
by the pixels that each image has, so that no seam shows but what the images themselves differ by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.crossview.cells import Degrees
from engine.crossview.crops import Cropper
from engine.crossview.samples import Crops, Samples


class Cuts(Protocol):
    """What :class:`~engine.crossview.crops.Cropper` and :class:`Patchwork` do."""

    @property
    def side(self) -> int:
        """Pixels of a crop's side."""

    def of_side(self, side: int) -> Cuts:
        """The same with crops of other pixels."""

    def sample(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Samples:
        """What :meth:`cut` makes crops of."""

    def cut(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Crops:
        """Crops around points (N,) at ``gsd_m`` metres a pixel, turned so that a compass direction is up."""


class Patchwork:
    """Cuts each crop from that of several images which covers most of it, of equals from the first; what this one
    lacks comes, pixel by pixel, from the others in their order."""

    def __init__(self, croppers: Sequence[Cropper]) -> None:
        if not croppers:
            raise ValueError("A patchwork needs an image at least.")
        self._croppers = tuple(croppers)
        self.side = croppers[0].side

    def of_side(self, side: int) -> Patchwork:
        """See :meth:`engine.crossview.crops.Cropper.of_side`."""
        return Patchwork([cropper.of_side(side) for cropper in self._croppers])

    def gsd_m(self, lon: float, lat: float) -> float:
        """Metres of a pixel at a point: of the coarsest image."""
        return max(cropper.gsd_m(lon, lat) for cropper in self._croppers)

    def cut(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Crops:
        """See :meth:`engine.crossview.crops.Cropper.cut`; another image is read only where those before lack pixels."""
        if len(self._croppers) == 1:
            return self._croppers[0].cut(lon, lat, gsd_m, turn_deg=turn_deg)
        return self.sample(lon, lat, gsd_m, turn_deg=turn_deg).crops()

    def sample(self, lon: Degrees, lat: Degrees, gsd_m: float, *, turn_deg: Degrees | None = None) -> Samples:
        """See :meth:`engine.crossview.crops.Cropper.sample`."""
        first, *others = self._croppers
        samples = first.sample(lon, lat, gsd_m, turn_deg=turn_deg)
        for cropper in others:
            at = samples.lacking()
            if not len(at):
                break
            turn = None if turn_deg is None else turn_deg[at]
            samples = samples.joined(at, cropper.sample(lon[at], lat[at], gsd_m, turn_deg=turn))
        return samples
