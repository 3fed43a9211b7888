"""What the training was worth: photos of known position searched before and after, rolled first and without headings.

Each place of a method's own layout of cells is a candidate, the nearest description first, by
:class:`engine.crossview.describer.Describer` alone: no verification, no neighbours, no prior. A model with rings is
measured as it is used, too: by a search that verifies its candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import Degrees, distance_m
from engine.crossview.describer import Describer, GroundView
from engine.crossview.evaluation.rolling import rolled
from engine.crossview.search.exact import all_scores, asked, top_cells
from engine.crossview.search.gallery import Gallery
from engine.events import Reporter
from engine.metrics.bootstrap import mean_estimate
from engine.panorama.photo import read_pixels
from engine.training.crossview.adapt.finding import RIGHT_M, Finder, FoundPairs
from engine.training.crossview.adapt.photos import OwnPhoto
from engine.training.rng import derive_seed

FEWEST = 5
"""With fewer photos a share says nothing."""
MOST = 100
"""So many photos of a group are searched for, drawn by the seed."""
RANKS, RADII_M = (1, 5, 20), (25.0, 50.0, 100.0)


def drawn(photos: Sequence[OwnPhoto], seed: int) -> list[OwnPhoto]:
    """At most :data:`MOST` of the photos, in an order of their own."""
    order = np.random.default_rng(derive_seed(seed, "measured")).permutation(len(photos))
    return [photos[i] for i in sorted(order[:MOST].tolist())]


def distances(
    gallery: Gallery, describer: Describer, photos: Sequence[OwnPhoto], *, seed: int, reporter: Reporter
) -> NDArray[np.float64]:
    """(n, K) metres from each photo's position to the first K cells, K at most the largest of :data:`RANKS`. Every
    photo is rolled by an angle drawn from the seed and its name; its heading is forgotten."""
    lon, lat = gallery.layout.centres(gallery.ids())
    queries = asked(describer, _rolled(photos, seed), reporter)
    found = all_scores(gallery, describer, queries, reporter).scores
    first = [top_cells(scores, max(RANKS)) for scores in found]
    known = [photo.position or (np.nan, np.nan) for photo in photos]
    return np.stack([distance_m(lon[at], lat[at], *place) for at, place in zip(first, known, strict=True)])


def searched(finder: Finder, photos: Sequence[OwnPhoto], *, seed: int, reporter: Reporter) -> NDArray[np.float64]:
    """The same by a whole search; infinite where it has fewer than K places."""
    rows = np.full((len(photos), max(RANKS)), np.inf)
    for row, photo, found in zip(rows, photos, finder.find(_rolled(photos, seed), reporter), strict=True):
        lon, lat = photo.position or (np.nan, np.nan)
        away = distance_m(found.lon, found.lat, lon, lat)[: len(row)]
        row[: len(away)] = away
    return rows


def _rolled(photos: Sequence[OwnPhoto], seed: int) -> list[GroundView]:
    images = []
    for photo in photos:
        pixels, view, _ = rolled(read_pixels(photo.copy), photo.view, seed=seed, name=Path(photo.path).name)
        images.append(GroundView(pixels, view, False, photo.name))
    return images


def figures_of(away: NDArray[np.float64]) -> dict[str, Any]:
    """recall@k < r with intervals over photos (2000 draws, seed 0), median error of the first candidate."""
    recalls = {}
    for k in RANKS:
        for radius in RADII_M:
            recalls[f"recall@{k}<{radius:.0f}m"] = mean_estimate((away[:, :k] < radius).any(axis=1)).plain()
    return {"n": len(away), "median_error_m": float(np.median(away[:, 0])), "pooled": recalls}


def by_chance(lon: Degrees, lat: Degrees, photos: Sequence[OwnPhoto]) -> dict[str, Any]:
    """The same figures, as they are expected of candidates in a random order: without intervals."""
    places = [photo.position or (np.nan, np.nan) for photo in photos]
    away = np.stack([distance_m(lon, lat, *place) for place in places])
    recalls = {}
    for radius in RADII_M:
        inside = (away < radius).sum(axis=1)
        for k in RANKS:
            value = float(np.mean([_one_of(k, int(n), away.shape[1]) for n in inside]))
            recalls[f"recall@{k}<{radius:.0f}m"] = {"value": value, "low": None, "high": None, "n": len(photos)}
    return {"n": len(photos), "median_error_m": float(np.median(away)), "pooled": recalls}


def _one_of(k: int, right: int, count: int) -> float:
    """The chance that at least one of ``k`` of ``count`` places drawn without putting back is one of ``right``."""
    k = min(k, count)
    miss = 1.0
    for drawn_before in range(k):
        miss *= max(0.0, count - right - drawn_before) / (count - drawn_before)
    return 1.0 - miss


def places_right(found: FoundPairs) -> dict[str, Any] | None:
    """How many of the places that are learned from lie within :data:`RIGHT_M` of the truth: as the search has
    it (``expected``, the mean probability) and ``measured`` among the ``n`` photos of known position, with an interval
    over photos; None with fewer than :data:`FEWEST` of them. None where no place was found."""
    if not found.rows:
        return None
    right = [off < RIGHT_M for off in found.off_m if off is not None]
    measured = mean_estimate(right).plain() if len(right) >= FEWEST else None
    return {"expected": float(np.mean(found.probability)), "n": len(right), "measured": measured}
