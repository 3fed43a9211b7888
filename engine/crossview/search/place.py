"""What speaks for a place that a person points at: scored by the same rule as the candidates of a search.

A candidate's score is that of its cell, of the cells around it and of turning the photo over the imagery at nine places
in the cell. A place gets the same three: those of the cell that it lies in, and nine places around the place itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import distance_m
from engine.crossview.describer import Describer, GroundView
from engine.crossview.index.reader import CellIndex
from engine.crossview.search.calibration import Calibration
from engine.crossview.search.exact import scored
from engine.crossview.search.ranking import APART_CELLS, Background, Places, neighbour_mean
from engine.crossview.search.verifying import Verified, Verifier
from engine.events import Reporter

ALL_CELLS = 16_384
"""Up to so many cells the background of a photo's scores is that of all cells, as in the search."""
_SAMPLE = 4096


@dataclass(frozen=True)
class PlaceScore:
    """What speaks for one place, in standard deviations above the region.

    ``inside``: the index has the cell that the place lies in. ``imagery``: the reference covers the place. ``own``,
    ``neighbours``: None where not inside. ``verified``: None where nothing was turned over the imagery. ``score``: what
    candidates are ranked by; None where it could not be compared with theirs. ``heading_deg`` of the photo's centre,
    degrees clockwise from north, None where the method tells none; ``best_lon``, ``best_lat``: which of the nine places
    fits best. ``turned_score``, ``turned_verified``: the same for the heading that a person gave.
    """

    lon: float
    lat: float
    inside: bool
    imagery: bool
    own: float | None
    neighbours: float | None
    verified: float | None
    score: float | None
    heading_deg: float | None
    best_lon: float
    best_lat: float
    turned_verified: float | None = None
    turned_score: float | None = None


class PlaceScorer:
    """Scores places of ``index`` by the method of ``describer``; ``verifier`` turns photos over the imagery by
    ``verifying``, and ``narrow`` by the same method within few degrees of a given heading (None: it cannot be done).

    Above :data:`ALL_CELLS` cells the background is that of 4096 cells spread over the region, as in an approximate
    search: a score is then within a few hundredths of the search's.
    """

    def __init__(
        self,
        index: CellIndex,
        describer: Describer,
        calibration: Calibration,
        *,
        verifier: Verifier | None,
        verifying: Describer | None,
        narrow: Describer | None,
    ) -> None:
        self._index, self._describer, self._calibration = index, describer, calibration
        self._verifier, self._verifying, self._narrow = verifier, verifying, narrow
        self._ids = index.ids()
        self._order = np.argsort(self._ids)
        self._sorted = self._ids[self._order]

    def score(
        self,
        image: GroundView,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        reporter: Reporter,
        *,
        turned_deg: float | None = None,
    ) -> list[PlaceScore]:
        """The places (N,) in degrees. ``turned_deg``: the compass direction of the photo's centre that a person gave;
        each place is also scored with the photo turned so. Raises Cancelled."""
        own, headings, around, inside = self._cells(image, lon, lat, reporter.part(0.0, 0.3))
        checked = turned = None
        if self._verifier is not None and self._verifying is not None:
            reporter.progress(0.3, "verify", "Turning the photo over the imagery")
            self._verifier.prepare(*self._index.layout.centres(self._ids), reporter)
            query = self._verifying.query(image)
            checked = self._verifier.verify(query, lon, lat, reporter.part(0.6, 0.8))
            if turned_deg is not None and self._narrow is not None:
                view = replace(image.view, heading_deg=turned_deg % 360)
                held = self._narrow.query(replace(image, view=view, heading_known=True))
                turned = self._verifier.by(self._narrow).verify(held, lon, lat, reporter, against=query)
        out = []
        for k in range(len(lon)):
            free = self._one(own[k], around[k], inside[k], checked, k)
            held_score = self._one(own[k], around[k], inside[k], turned, k) if turned is not None else None
            heading = float(headings[k]) if checked is None else float(checked.heading[k])
            out.append(
                PlaceScore(
                    lon=float(lon[k]),
                    lat=float(lat[k]),
                    inside=bool(inside[k]),
                    imagery=checked is None or bool(checked.seen[k]),
                    own=float(own[k]) if inside[k] else None,
                    neighbours=float(around[k]) if inside[k] else None,
                    verified=_verified(checked, k),
                    score=free,
                    heading_deg=None if np.isnan(heading) else heading % 360,
                    best_lon=float(lon[k] if checked is None else checked.lon[k]),
                    best_lat=float(lat[k] if checked is None else checked.lat[k]),
                    turned_verified=_verified(turned, k),
                    turned_score=held_score,
                )
            )
        return out

    def _one(self, own: float, around: float, inside: bool, checked: Verified | None, k: int) -> float | None:
        if not inside or (checked is not None and not checked.seen[k]):
            return None
        return self._calibration.weights.total(own, around, None if checked is None else float(checked.z[k]))

    def _cells(
        self, image: GroundView, lon: NDArray[np.float64], lat: NDArray[np.float64], reporter: Reporter
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """z of the places' cells, the headings of that comparison, mean z of the cells around, and which are there."""
        layout, facts = self._index.layout, self._index.layer(self._describer.layer)
        ids = layout.ids_at(lon, lat)
        count = self._index.cells
        spread = np.arange(count) if count <= ALL_CELLS else np.unique(np.linspace(0, count - 1, _SAMPLE).astype(int))
        wanted = np.unique(np.concatenate([spread, self._numbers(np.unique(layout.neighbours(ids)))]))
        query: Any = self._describer.query(image)
        scores = np.empty(len(wanted), np.float32)
        headings = np.empty(len(wanted), np.float32)
        step = 1024
        for start in range(0, len(wanted), step):
            reporter.progress(start / len(wanted), "search", f"{start} of {len(wanted)} cells")
            part = slice(start, start + step)
            codes = self._index.take(self._describer.layer, wanted[part])
            (scores[part],), (headings[part],) = scored(self._describer, [query], codes, facts.scales_m)
        z = np.zeros(count)
        z[wanted] = Background.of(scores[np.searchsorted(wanted, spread)]).z(scores)
        turned = np.full(count, np.nan)
        turned[wanted] = headings
        at = np.minimum(np.searchsorted(self._sorted, ids), count - 1)
        inside = self._sorted[at] == ids
        number = self._order[at]
        around = neighbour_mean(layout, ids, self._sorted, self._order, z)
        own = np.where(inside, z[number], 0.0)
        return own, np.where(inside, turned[number], np.nan), around, inside

    def _numbers(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        at = np.minimum(np.searchsorted(self._sorted, ids), len(self._sorted) - 1)
        return self._order[at[self._sorted[at] == ids]]


@dataclass(frozen=True)
class Standing:
    """A place among candidates: its ``rank`` of ``of``, ``gap`` to the best other place, ``probability`` by radius."""

    rank: int
    of: int
    gap: float
    probability: dict[float, float]


def standing(
    score: float,
    lon: float,
    lat: float,
    others: Sequence[tuple[float, float, float]],
    calibration: Calibration,
    cell_m: float,
) -> Standing:
    """Where a place of ``score`` would stand among the candidates ``others`` (score, lon, lat). One that is the same
    place (nearer than :data:`engine.crossview.search.ranking.APART_CELLS` cells) does not count against it."""
    table = np.array(others, np.float64).reshape(-1, 3)
    apart = distance_m(table[:, 1], table[:, 2], lon, lat) > APART_CELLS * cell_m
    rivals = -np.sort(-table[apart, 0])
    rank = int((rivals > score).sum()) + 1
    ranked = np.insert(rivals, rank - 1, score)
    gaps = ranked - ranked[0]
    gaps[0] = ranked[0] - ranked[1] if len(ranked) > 1 else ranked[0]
    places = Places(np.arange(len(ranked)), ranked, gaps, np.full(len(ranked), np.nan))
    probability = {radius: float(of_all[rank - 1]) for radius, of_all in calibration.by_radius(places).items()}
    best = float(rivals[0]) if len(rivals) else None
    return Standing(rank, len(ranked), score if best is None else score - best, probability)


def _verified(checked: Verified | None, k: int) -> float | None:
    return float(checked.z[k]) if checked is not None and checked.seen[k] else None
