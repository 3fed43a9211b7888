"""The matcher that has learned which features of the ground are alike from the street and from the air."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.crossview.geometric.color import lab
from engine.crossview.geometric.layout import RingLayout
from engine.crossview.geometric.matcher import GeometricSettings
from engine.crossview.geometric.turning import TurningMatcher, check_photo, floats, soft_best
from engine.models.crossview_inputs import GroundFrame
from engine.models.rings import RINGS, RingNetwork, mirrored, spectra, turned_spectra
from engine.panorama.view import PanoramaView

LAYOUT = RingLayout(rings=RINGS)
SHARPNESS = 40.0
_PART = 64
"""Codes that go through the network at a time, so that they stay in the processor's cache: 512 take twice as long."""
ABOVE_DEG = 65.45 / 2
"""How far above the horizon a photo is looked at."""


@dataclass(frozen=True)
class RingTemplate:
    """``features`` (guesses, 2 K, rings, B) of one photo."""

    features: Tensor
    seen_share: float


class RingMatcher(TurningMatcher[RingTemplate]):
    """The matcher of ``network``, over the codes of :class:`~engine.crossview.geometric.matcher.GeometricMatcher` and
    with its guesses of height and place: an index serves both.

    Photos and images are looked at twice, as they are and mirrored, and the score is the mean of both similarities: it
    finds more than either (docs/studies/cross-view.md#rings-that-look-twice)."""

    def __init__(self, network: RingNetwork, *, device: torch.device | str = "cpu") -> None:
        super().__init__(LAYOUT, device=device)
        self._network = network.eval().to(self.device)
        self._guesses = GeometricSettings().guesses

    def template(self, pixels: Tensor, view: PanoramaView) -> RingTemplate:
        """See :class:`~engine.crossview.geometric.turning.TurningMatcher`."""
        check_photo(pixels)
        image, blind = floats(pixels.to(self.device))[None], replace(view, heading_deg=0.0)
        rings, seen = zip(
            *(
                self.layout.ground(image, blind, height, right_m=right, forward_m=forward)
                for height, right, forward in self._guesses
            ),
            strict=True,
        )
        share = float(torch.cat(seen).mean())
        self.check_seen(share)
        high = above(image, [blind]).expand(len(rings), -1, -1, -1)
        with torch.inference_mode():
            return RingTemplate(_twice(self._network.ground, lab(torch.cat(rings)), torch.cat(seen), high), share)

    def curves(self, templates: Sequence[RingTemplate], codes: Tensor) -> Tensor:
        """See :class:`~engine.crossview.geometric.turning.TurningMatcher`."""
        return self._compared(templates, self._features(codes))

    def ready(self, codes: Tensor) -> Tensor:
        """See :class:`~engine.crossview.geometric.turning.TurningMatcher`: (N, 2 K, rings, B) features in half
        precision, which moves a score by less than 1e-4."""
        return self._features(codes).half()

    def turned(self, templates: Sequence[RingTemplate], ready: Tensor) -> Tensor:
        """See :class:`~engine.crossview.geometric.turning.TurningMatcher`."""
        return self._compared(templates, ready)

    def _features(self, codes: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = (self.decoded(part) for part in codes.to(self.device).split(_PART))
            return torch.cat([_twice(self._network.overhead, *part) for part in parts])

    def _compared(self, templates: Sequence[RingTemplate], images: Tensor) -> Tensor:
        with torch.inference_mode():
            seen, sectors = spectra(images), images.shape[3]
            every = (turned_spectra(spectra(one.features), seen, sectors, self.layout.sectors) for one in templates)
            return torch.stack([soft_best(found, SHARPNESS) for found in every])


def _twice(look: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """Features of (…, A) as they are and, turned back, of their mirror image, one after the other: their inner product
    is the mean of both."""
    other = mirrored(look(*map(mirrored, values)))
    return torch.cat([look(*values), other], dim=1) / math.sqrt(2)


def above(images: Tensor, views: Sequence[PanoramaView]) -> Tensor:
    """Panoramas (N, 3, H, W) of 0…1 with their views → (N, 3, :data:`RINGS`, sectors) what stands above the horizon, up
    to :data:`ABOVE_DEG`, at the azimuths of the rings' sectors, −1…1, and 0 where nothing is shown."""
    frame = GroundFrame((2 * RINGS, LAYOUT.sectors), 360.0, 2 * ABOVE_DEG)
    found, shown = frame.put(images, list(views))
    upper = ((found - 0.5) * 2 * shown)[:, :, :RINGS]
    return upper.roll(-LAYOUT.sectors // 2, dims=3)  # a frame's middle looks north, sector 0 does
