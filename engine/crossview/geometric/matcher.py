"""The matcher without weights: a photo's ground, laid out in rings, is turned over an overhead image's.

Nothing is learned. The ground around the camera is averaged in cells of rings and sectors (the bird's-eye view in polar
form), the same is done around the middle of every overhead image, and the two are correlated over all turns at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from engine.crossview.geometric.color import lab
from engine.crossview.geometric.correlation import (
    TurningImages,
    TurningTemplate,
    normalised,
    standing_correlation,
    turned_correlation,
    weighted,
)
from engine.crossview.geometric.features import channels
from engine.crossview.geometric.layout import RingLayout
from engine.errors import ParameterError
from engine.panorama.view import PanoramaView

CHUNK = 512
"""Codes that are decoded at a time: 512 of them take about 100 MB while they are correlated."""
_SCALES = ((2.54, 1.0), (1.0, 128.0), (1.0, 128.0))
"""Factor and offset by which L, a and b become bytes 1…255; 0 says that a cell is not covered."""


@dataclass(frozen=True)
class GeometricSettings:
    """What the matcher was built with: chosen on simulated cities and on pairs made from NAIP images
    (docs/studies/cross-view.md), never on the pairs that it is judged by.

    ``channel_weights`` of :data:`engine.crossview.geometric.features.CHANNELS`. ``guesses``: (camera height, metres to
    the right, metres forward) that are all tried, for ground that rises or falls looks like another height, and a
    photo's position and an image's middle are metres apart; their scores are averaged as exp(``sharpness`` · score),
    which is near the best of them. ``far_power``: cells count by their distance to this power, for rings are the wider
    the farther.
    """

    layout: RingLayout = field(default_factory=RingLayout)
    guesses: tuple[tuple[float, float, float], ...] = (
        (2.5, 0.0, 0.0),
        (2.0, 0.0, 0.0),
        (3.1, 0.0, 0.0),
        (2.5, 3.0, 0.0),
        (2.5, -3.0, 0.0),
        (2.5, 0.0, 3.0),
        (2.5, 0.0, -3.0),
    )
    channel_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    far_power: float = 0.5
    sharpness: float = 40.0


@dataclass(frozen=True)
class Template:
    """One photo, ready to be correlated; what the matcher made of it and nothing of the photo itself."""

    spectra: TurningTemplate
    seen_share: float

    def decoy(self) -> Template:
        """The photo as it cannot have been taken, mirrored: what chance finds with one of its kind."""
        return Template(self.spectra.mirrored(), self.seen_share)


@dataclass(frozen=True)
class Standing:
    """One photo whose heading is known, ready to be compared as it stands: ``pattern`` (guesses, channels, R, A) and
    ``cover`` (guesses, R, A)."""

    pattern: Tensor
    cover: Tensor
    seen_share: float

    def decoy(self) -> Standing:
        """The photo as it was not taken, turned by a quarter: what chance finds with one of its kind."""
        quarter = self.pattern.shape[-1] // 4
        return Standing(self.pattern.roll(quarter, -1), self.cover.roll(quarter, -1), self.seen_share)


class GeometricMatcher:
    """Templates of photos, codes of overhead images, and the scores between them. Holds settings and a device only."""

    def __init__(self, settings: GeometricSettings | None = None, *, device: torch.device | str = "cpu") -> None:
        self.settings = settings or GeometricSettings()
        self.device = torch.device(device)

    @property
    def code_length(self) -> int:
        """Bytes of one code."""
        return 3 * self.settings.layout.rings * self.settings.layout.sectors

    @property
    def radius_m(self) -> float:
        """How far an overhead image should reach from its middle."""
        return self.settings.layout.far_m

    def template(self, pixels: Tensor, view: PanoramaView) -> Template:
        """Of one photo: ``pixels`` (3, H, W) uint8 or float 0…1, equirectangular; ``view`` what they show; its heading
        plays no part. Raises ParameterError where no ground is seen."""
        features, weights, share = self._seen(pixels, replace(view, heading_deg=0.0))
        return Template(TurningTemplate.of(features, weights.expand_as(features)), share)

    def standing(self, pixels: Tensor, view: PanoramaView) -> Standing:
        """Of one photo whose heading is known, as :meth:`template`; ``view.heading_deg`` is believed, and
        guesses of the place lie east and north of the camera instead of to its right and ahead. Raises
        ParameterError."""
        features, weights, share = self._seen(pixels, view)
        pattern, cover = weighted(features, weights)
        return Standing(pattern, cover[:, 0], share)

    def codes(self, overheads: Tensor, gsd_m: float) -> Tensor:
        """``overheads`` (N, 3, S, S) float 0…1 (or uint8), north up, at ``gsd_m`` metres a pixel → (N, K) uint8."""
        rings, covered = self.settings.layout.overhead(_floats(overheads.to(self.device)), gsd_m)
        values = lab(rings)
        scale, offset = torch.tensor(_SCALES, device=self.device).T[:, :, None, None]
        coded = (values * scale + offset).round().clamp(1, 255)
        coded = torch.where((covered > 0.25).unsqueeze(1), coded, torch.zeros_like(coded))
        return coded.to(torch.uint8).flatten(1)

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
        if not len(codes):
            empty = torch.zeros(0, device=self.device)
            return empty, empty
        allowed = self._allowed(heading_deg, tolerance_deg)
        scores, headings = [], []
        for part in torch.split(codes.to(self.device), CHUNK):
            curve = self.curves([template], part)[0]
            if allowed is not None:
                curve = torch.where(allowed, curve, torch.full_like(curve, -2.0))
            best, turn = _peak(curve)
            scores.append(best)
            headings.append(turn * (360.0 / self.settings.layout.sectors) % 360.0)
        return torch.cat(scores), torch.cat(headings)

    def curves(self, templates: Sequence[Template], codes: Tensor) -> Tensor:
        """(Q, N, sectors) score of each template with each code at each turn."""
        images = TurningImages.of(self._decode(codes))
        weights = torch.tensor(self.settings.channel_weights, device=self.device)
        weights = (weights / weights.sum())[None, :, None]
        rows = []
        for template in templates:
            found = (turned_correlation(template.spectra, images) * weights).sum(dim=2)  # (guesses, N, sectors)
            rows.append(soft_best(found, self.settings.sharpness))
        return torch.stack(rows)

    def standing_scores(self, photos: Sequence[Standing], codes: Tensor) -> Tensor:
        """(Q, N) score of each photo with each code, the photos as they stand: what :meth:`curves` gives at their
        headings, where these are multiples of a sector."""
        images = normalised(self._decode(codes.to(self.device)))
        weights = torch.tensor(self.settings.channel_weights, device=self.device)
        weights = weights / weights.sum()
        found = []
        for guess in range(len(self.settings.guesses)):
            pattern = torch.stack([photo.pattern[guess] for photo in photos])
            cover = torch.stack([photo.cover[guess] for photo in photos])
            found.append(standing_correlation(pattern, cover, images) @ weights)
        return soft_best(torch.stack(found), self.settings.sharpness)

    def _seen(self, pixels: Tensor, view: PanoramaView) -> tuple[Tensor, Tensor, float]:
        """(guesses, channels, R, A) features, (guesses, 1, R, A) weights, and the share of the cells that is seen."""
        if pixels.dim() != 3 or pixels.shape[0] != 3:
            raise ParameterError(f"A photo is (3, rows, columns); found {tuple(pixels.shape)}.")
        image, layout = _floats(pixels.to(self.device))[None], self.settings.layout
        rings, seen = zip(
            *(
                layout.ground(image, view, height, right_m=right, forward_m=forward)
                for height, right, forward in self.settings.guesses
            ),
            strict=True,
        )
        values, shares = torch.cat(rings), torch.cat(seen)
        share = float(shares.mean())
        if share < 0.02:
            raise ParameterError(
                f"The photo shows no ground between {layout.near_m:g} m and {layout.far_m:g} m of the camera.",
                remedy="Check its field of view (vfov_deg, pitch_center_deg).",
            )
        features = channels(lab(values), shares)
        return features, (shares * self._ring_weights()).unsqueeze(1), share

    def _decode(self, codes: Tensor) -> Tensor:
        layout = self.settings.layout
        coded = codes.view(-1, 3, layout.rings, layout.sectors)
        scale, offset = torch.tensor(_SCALES, device=self.device).T[:, :, None, None]
        return channels((coded.float() - offset) / scale, (coded[:, 0] > 0).float())

    def _ring_weights(self) -> Tensor:
        edges = torch.tensor(self.settings.layout.edges_m, device=self.device)
        return ((edges[1:] + edges[:-1]) / 2).pow(self.settings.far_power)[:, None]

    def _allowed(self, heading_deg: float | None, tolerance_deg: float) -> Tensor | None:
        if heading_deg is None:
            return None
        step = 360.0 / self.settings.layout.sectors
        turns = torch.arange(self.settings.layout.sectors, device=self.device) * step
        apart = ((turns - heading_deg + 180.0) % 360.0 - 180.0).abs()
        return apart <= max(tolerance_deg, step / 2 + 1e-3)


def soft_best(scores: Tensor, sharpness: float) -> Tensor:
    """(…,) of (T, …): the logarithm of the mean of exp(``sharpness`` · score), between the mean of the T scores and the
    best, so that what is tried more often is not better by that alone."""
    return (scores * sharpness).logsumexp(dim=0).sub(math.log(len(scores))) / sharpness


def _floats(pixels: Tensor) -> Tensor:
    return pixels if pixels.is_floating_point() else pixels.float() / 255.0


def _peak(curve: Tensor) -> tuple[Tensor, Tensor]:
    """(…,) greatest value of a closed curve (…, A) and where it lies, between samples by a parabola."""
    best, at = curve.max(dim=-1)
    count = curve.shape[-1]
    before = torch.gather(curve, -1, ((at - 1) % count).unsqueeze(-1)).squeeze(-1)
    after = torch.gather(curve, -1, ((at + 1) % count).unsqueeze(-1)).squeeze(-1)
    bend = (2 * best - before - after).clamp(min=1e-6)
    return best, at + ((after - before) / (2 * bend)).clamp(-0.5, 0.5)
