"""How likely a candidate is within 25, 50 or 100 m of the photo: a choice between the candidates, "elsewhere" and
"here, but not among them".

A conditional logit (McFadden 1974, "Conditional logit analysis of qualitative choice behavior"): the scores of all
candidates stand in it, so that one that stands clear of the others is believed and many that are alike are not. The
numbers are fitted by ``scripts/calibrate_locate`` and nowhere else; :data:`engine.crossview.search.tables.TABLES` says
on what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.crossview.search.ranking import Places, Weights

RADII_M = (25.0, 50.0, 100.0)
FITTED_INSIDE = 0.5
"""Share of the photos that had been taken in the region where the numbers were fitted."""
LISTED = 20
"""So many places are weighed against each other, also where fewer are asked for."""


@dataclass(frozen=True)
class Choice:
    """The weight of a place is exp(``sharpness`` · score); that of every place that is not listed is
    exp(``unlisted``), that of having been taken elsewhere exp(``elsewhere``) where half of the photos were."""

    sharpness: float
    elsewhere: float
    unlisted: float

    def shares(self, score: NDArray[np.floating], inside: float = FITTED_INSIDE) -> NDArray[np.float64]:
        """(N + 2,) probabilities of N places, of elsewhere, and of an unlisted place; together 1. ``inside``: how
        likely it was before the search that the photo was taken in the region (above 0, at most 1)."""
        odds = (1 - inside) / inside
        with np.errstate(divide="ignore"):
            elsewhere = self.elsewhere + np.log(odds)
        logits = np.concatenate([self.sharpness * np.asarray(score, np.float64), [elsewhere, self.unlisted]])
        weights = np.exp(logits - logits.max())
        return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class Calibration:
    """``weights`` of the evidence; ``choices``: what is chosen between, by radius in metres; ``match_at``: the
    probability within 100 m from which on a photo counts as found; ``source``: what it was fitted on; ``inside``: how
    likely it is before the search that a photo was taken in the region (:meth:`believing`)."""

    weights: Weights
    choices: dict[float, Choice]
    match_at: float
    source: str
    inside: float = FITTED_INSIDE

    @property
    def fitted(self) -> bool:
        """Were the numbers measured, or guessed?"""
        return not self.source.startswith("not fitted")

    def believing(self, inside: float) -> Calibration:
        """The calibration for photos of which a share ``inside`` (above 0, at most 1) was taken in the region."""
        return replace(self, inside=inside)

    def probabilities(self, places: Places, radius_m: float) -> NDArray[np.float64]:
        """(N,) that the photo was taken within ``radius_m`` of each candidate; together at most 1."""
        return self.choices[radius_m].shares(places.score, self.inside)[:-2]

    def by_radius(self, places: Places) -> dict[float, NDArray[np.float64]]:
        """:meth:`probabilities` of every radius; that of a smaller circle is never larger."""
        found: dict[float, NDArray[np.float64]] = {}
        most = np.ones(len(places.score))
        for radius in sorted(self.choices, reverse=True):
            most = np.minimum(most, self.probabilities(places, radius))
            found[radius] = most
        return found
