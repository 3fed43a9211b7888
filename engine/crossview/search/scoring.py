"""How far off a search is: errors, recall by rank and radius, the area that must be searched, whether "not here" is
told.

The measures of statewide search (Fervers et al., ECCV 2024): recall@k < r is the share of photos of which one of the
first k candidates lies within r metres. Ties count against the search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import Degrees, distance_m
from engine.crossview.search.searcher import Found

RANKS, RADII = (1, 5, 10, 20, 100), (25.0, 50.0, 100.0)
SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
ERRORS_M = (10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


@dataclass(frozen=True)
class Scored:
    """One photo: metres from the truth to each candidate, ``inside`` whether a cell lies within 100 m of the truth,
    ``area`` the share of the region that is at least as likely as the best cell within 50 m (None: not known),
    ``heading_error`` of the first candidate in degrees where it is within 50 m, and what the search believed."""

    name: str
    distances: NDArray[np.float64]
    inside: bool
    area: float | None
    heading_error: float | None
    probability: dict[float, float]
    match: bool


def score(
    name: str, found: Found, truth: tuple[float, float], heading_deg: float | None, lon: Degrees, lat: Degrees
) -> Scored:
    """Compare what was found with the place (longitude, latitude) and, where known, the heading of the photo's centre.

    ``lon``, ``lat`` of all cells."""
    distances = distance_m(found.lon, found.lat, *truth)
    away = distance_m(lon, lat, *truth)
    area = None
    if found.z is not None and (away <= 50).any():
        own = float(found.z[away <= 50].max())
        area = float((found.z >= own - 1e-6).mean())
    turned = float(found.places.heading[0])
    error = None
    if heading_deg is not None and distances[0] <= 50 and not np.isnan(turned):
        error = abs((turned - heading_deg + 180) % 360 - 180)
    return Scored(
        name,
        distances,
        bool((away <= 100).any()),
        area,
        error,
        {radius: float(p[0]) for radius, p in found.probability.items()},
        found.match,
    )


def recall(scored: list[Scored], k: int, radius_m: float) -> NDArray[np.float64]:
    """(N,) 1 where one of the first ``k`` candidates lies within ``radius_m``, of the photos taken inside the
    region."""
    return np.array([float((one.distances[:k] < radius_m).any()) for one in scored if one.inside])


def area_curve(scored: list[Scored]) -> list[tuple[float, float]]:
    """(share of the region searched, share of photos found there), the likeliest cells first; empty where unknown."""
    areas = np.array([one.area for one in scored if one.inside and one.area is not None])
    return [(share, float((areas <= share).mean())) for share in SHARES] if areas.size else []


def error_curve(scored: list[Scored]) -> list[tuple[float, float]]:
    """(metres, share of photos whose first candidate is within them), of the photos taken inside the region."""
    errors = np.array([one.distances[0] for one in scored if one.inside])
    return [(m, float((errors < m).mean())) for m in ERRORS_M] if errors.size else []


def not_here_auc(scored: list[Scored]) -> float | None:
    """Area under the ROC of the probability within 100 m as a sign that a photo was taken in the region at all; ties
    count a half. None without photos of both kinds."""
    inside = np.array([one.probability[100.0] for one in scored if one.inside])
    outside = np.array([one.probability[100.0] for one in scored if not one.inside])
    if not inside.size or not outside.size:
        return None
    above = (inside[:, None] > outside).mean() + 0.5 * (inside[:, None] == outside).mean()
    return float(above)


def brier(scored: list[Scored], radius_m: float) -> float | None:
    """Mean squared error of the first candidate's probability within ``radius_m``; all photos count."""
    if not scored:
        return None
    pairs = [(one.probability[radius_m], float(one.distances[0] < radius_m)) for one in scored]
    return float(np.mean([(p - hit) ** 2 for p, hit in pairs]))
