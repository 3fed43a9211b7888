"""The matcher without weights: a photo's ground, laid out in rings, is turned over an overhead image's.

Nothing is learned. The ground around the camera is averaged in cells of rings and sectors (the bird's-eye view in polar
form), the same is done around the middle of every overhead image, and the two are correlated over all turns at once.
"""

from __future__ import annotations

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
from engine.crossview.geometric.sketch import image_sketches, photo_sketch, sketch_scores
from engine.crossview.geometric.turning import CHUNK, TurningMatcher, check_photo, floats, soft_best
from engine.panorama.view import PanoramaView

__all__ = ["CHUNK", "GeometricMatcher", "GeometricSettings", "Template", "soft_best"]


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


class GeometricMatcher(TurningMatcher[Template]):
    """The matcher of given ``settings``."""

    def __init__(self, settings: GeometricSettings | None = None, *, device: torch.device | str = "cpu") -> None:
        self.settings = settings or GeometricSettings()
        super().__init__(self.settings.layout, device=device)

    def template(self, pixels: Tensor, view: PanoramaView) -> Template:
        """See :class:`~engine.crossview.geometric.turning.TurningMatcher`."""
        features, weights, share = self._seen(pixels, replace(view, heading_deg=0.0))
        return Template(TurningTemplate.of(features, weights.expand_as(features)), share)

    def standing(self, pixels: Tensor, view: PanoramaView) -> Standing:
        """Of one photo whose heading is known, as :meth:`template`; ``view.heading_deg`` is believed, and
        guesses of the place lie east and north of the camera instead of to its right and ahead. Raises
        ParameterError."""
        features, weights, share = self._seen(pixels, view)
        pattern, cover = weighted(features, weights)
        return Standing(pattern, cover[:, 0], share)

    def curves(self, templates: Sequence[Template], codes: Tensor) -> Tensor:
        """See :class:`~engine.crossview.geometric.turning.TurningMatcher`."""
        images = TurningImages.of(channels(*self.decoded(codes)))
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
        images = normalised(channels(*self.decoded(codes.to(self.device))))
        weights = torch.tensor(self.settings.channel_weights, device=self.device)
        weights = weights / weights.sum()
        found = []
        for guess in range(len(self.settings.guesses)):
            pattern = torch.stack([photo.pattern[guess] for photo in photos])
            cover = torch.stack([photo.cover[guess] for photo in photos])
            found.append(standing_correlation(pattern, cover, images) @ weights)
        return soft_best(torch.stack(found), self.settings.sharpness)

    def sketches(self, codes: Tensor) -> Tensor:
        """(F, K, N) sketches of ``codes`` (N, K), by which :meth:`sketch_scores` orders them."""
        weights = torch.tensor(self.settings.channel_weights, device=self.device)
        parts = (channels(*self.decoded(part)) for part in codes.to(self.device).split(CHUNK))
        return torch.cat([image_sketches(part, weights, self._ring_weights()) for part in parts], dim=2)

    def sketch_scores(self, templates: Sequence[Template], sketches: Tensor) -> Tensor:
        """(Q, N) how well each photo may fit each image at its best turn, in a thousandth of the time of
        :meth:`curves` and good for a shortlist alone (:mod:`engine.crossview.geometric.sketch`)."""
        return sketch_scores(torch.stack([photo_sketch(one.spectra) for one in templates], dim=1), sketches)

    def _seen(self, pixels: Tensor, view: PanoramaView) -> tuple[Tensor, Tensor, float]:
        """(guesses, channels, R, A) features, (guesses, 1, R, A) weights, and the share of the cells that is seen."""
        check_photo(pixels)
        image = floats(pixels.to(self.device))[None]
        rings, seen = zip(
            *(
                self.layout.ground(image, view, height, right_m=right, forward_m=forward)
                for height, right, forward in self.settings.guesses
            ),
            strict=True,
        )
        values, shares = torch.cat(rings), torch.cat(seen)
        share = float(shares.mean())
        self.check_seen(share)
        features = channels(lab(values), shares)
        return features, (shares * self._ring_weights()).unsqueeze(1), share

    def _ring_weights(self) -> Tensor:
        edges = torch.tensor(self.layout.edges_m, device=self.device)
        return ((edges[1:] + edges[:-1]) / 2).pow(self.settings.far_power)[:, None]
