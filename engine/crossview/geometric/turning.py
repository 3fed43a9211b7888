"""What all matchers share that turn a photo's ground over an overhead image's: the codes that an index keeps, and the
best turn."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from engine.crossview.geometric.color import lab
from engine.crossview.geometric.layout import RingLayout
from engine.crossview.headings import likeliest
from engine.errors import ParameterError
from engine.panorama.view import PanoramaView

CHUNK = 512
"""Codes that are decoded at a time: 512 of them take about 100 MB while they are correlated."""
_TOGETHER = 64
"""Photos that are turned over decoded codes at a time."""
_SCALES = ((2.54, 1.0), (1.0, 128.0), (1.0, 128.0))
"""Factor and offset by which L, a and b become bytes 1…255; 0 says that a cell is not covered."""
_LEAST_SEEN = 0.02
Template = TypeVar("Template")


class TurningMatcher(ABC, Generic[Template]):
    """Templates of photos, codes of overhead images, and the scores between them, in rings of ``layout``."""

    def __init__(self, layout: RingLayout, *, device: torch.device | str = "cpu") -> None:
        self.layout = layout
        self.device = torch.device(device)

    @property
    def code_length(self) -> int:
        """Bytes of one code."""
        return 3 * self.layout.rings * self.layout.sectors

    @property
    def radius_m(self) -> float:
        """How far an overhead image should reach from its middle."""
        return self.layout.far_m

    @abstractmethod
    def template(self, pixels: Tensor, view: PanoramaView) -> Template:
        """Of one photo: ``pixels`` (3, H, W) uint8 or float 0…1, equirectangular; ``view`` what they show; its heading
        plays no part. Raises ParameterError where no ground is seen."""

    @abstractmethod
    def curves(self, templates: Sequence[Template], codes: Tensor) -> Tensor:
        """(Q, N, sectors) score of each template with each of ``codes`` (N, K) at each turn."""

    def ready(self, codes: Tensor) -> Tensor:
        """Of ``codes`` (N, K) what no photo changes and takes long to make, (N, …), for :meth:`scores`; here the codes
        themselves."""
        return codes

    def turned(self, templates: Sequence[Template], ready: Tensor) -> Tensor:
        """:meth:`curves` of what :meth:`ready` gave."""
        return self.curves(templates, ready)

    def codes(self, overheads: Tensor, gsd_m: float) -> Tensor:
        """``overheads`` (N, 3, S, S) float 0…1 (or uint8), north up, at ``gsd_m`` metres a pixel → (N, K) uint8."""
        rings, covered = self.layout.overhead(floats(overheads.to(self.device)), gsd_m)
        values = lab(rings)
        scale, offset = torch.tensor(_SCALES, device=self.device).T[:, :, None, None]
        coded = (values * scale + offset).round().clamp(1, 255)
        coded = torch.where((covered > 0.25).unsqueeze(1), coded, torch.zeros_like(coded))
        return coded.to(torch.uint8).flatten(1)

    def decoded(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """``codes`` (N, K) → (N, 3, rings, sectors) L*a*b* and (N, rings, sectors) 1 where covered, else 0."""
        coded = codes.view(-1, 3, self.layout.rings, self.layout.sectors)
        scale, offset = torch.tensor(_SCALES, device=self.device).T[:, :, None, None]
        return (coded.float() - offset) / scale, (coded[:, 0] > 0).float()

    def score(
        self,
        template: Template,
        codes: Tensor,
        *,
        heading_deg: float | None = None,
        tolerance_deg: float = 10.0,
    ) -> tuple[Tensor, Tensor]:
        """``codes`` (N, K) uint8 → ((N,) score, higher is better; (N,) heading of the photo's centre, degrees clockwise
        from north, 0…360). ``heading_deg``: only turns within ``tolerance_deg`` of it are tried."""
        found, headings = self.scores(
            [template], self.ready(codes.to(self.device)), headings_deg=[heading_deg], tolerance_deg=tolerance_deg
        )
        return found[0], headings[0]

    def scores(
        self,
        templates: Sequence[Template],
        ready: Tensor,
        *,
        headings_deg: Sequence[float | None],
        tolerance_deg: float = 10.0,
        leanings: Sequence[Tensor | None] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same of many photos: (Q, N) scores and headings of ``templates``, each with the heading that is told of
        it, and of what :meth:`ready` gave of N codes. What is decoded for one photo serves all. ``leanings``: what is
        added to the score at each turn (sectors,), for what is known of a photo's heading besides."""
        found = torch.empty(len(templates), len(ready), device=self.device)
        turned = torch.empty_like(found)
        allowed = [self._allowed(one, tolerance_deg) for one in headings_deg]
        for first in range(0, len(templates), _TOGETHER):
            some = templates[first : first + _TOGETHER]
            for start in range(0, len(ready), CHUNK):
                part = slice(start, start + CHUNK)
                curves = self.turned(some, ready[part].to(self.device))
                for row, curve in enumerate(curves, start=first):
                    only = allowed[row]
                    if leanings is not None and (leaning := leanings[row]) is not None:
                        curve = curve + leaning.to(curve)
                    held = curve if only is None else torch.where(only, curve, torch.full_like(curve, -2.0))
                    found[row, part], turned[row, part] = likeliest(held, self._turns())
        return found, turned

    def check_seen(self, share: float) -> None:
        """Raise ParameterError where less than 2 % of the ground in the rings is seen."""
        if share < _LEAST_SEEN:
            raise ParameterError(
                f"The photo shows no ground between {self.layout.near_m:g} m and {self.layout.far_m:g} m of the "
                "camera.",
                remedy="Check its field of view (vfov_deg, pitch_center_deg).",
            )

    def _allowed(self, heading_deg: float | None, tolerance_deg: float) -> Tensor | None:
        if heading_deg is None:
            return None
        apart = ((self._turns() - heading_deg + 180.0) % 360.0 - 180.0).abs()
        return apart <= max(tolerance_deg, 180.0 / self.layout.sectors + 1e-3)

    def _turns(self) -> Tensor:
        """(sectors,) heading in degrees that each turn stands for."""
        return torch.arange(self.layout.sectors, device=self.device) * (360.0 / self.layout.sectors)


def soft_best(scores: Tensor, sharpness: float) -> Tensor:
    """(…,) of (T, …): the logarithm of the mean of exp(``sharpness`` · score), between the mean of the T scores and the
    best, so that what is tried more often is not better by that alone."""
    return (scores * sharpness).logsumexp(dim=0).sub(math.log(len(scores))) / sharpness


def floats(pixels: Tensor) -> Tensor:
    """Bytes as 0…1."""
    return pixels if pixels.is_floating_point() else pixels.float() / 255.0


def check_photo(pixels: Tensor) -> None:
    """Raise ParameterError for what is no (3, rows, columns)."""
    if pixels.dim() != 3 or pixels.shape[0] != 3:
        raise ParameterError(f"A photo is (3, rows, columns); found {tuple(pixels.shape)}.")
