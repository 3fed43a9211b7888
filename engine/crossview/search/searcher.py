"""The search of an index for photos: scores, re-ranking, places. What jobs and tests call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import Degrees
from engine.crossview.describer import Describer, GroundView
from engine.crossview.index.reader import CellIndex
from engine.crossview.search.calibration import LISTED, RADII_M, Calibration
from engine.crossview.search.exact import all_scores, scored, top_cells
from engine.crossview.search.ranking import APART_CELLS, Background, Places, distinct, neighbour_mean
from engine.crossview.search.sequence import joint_scores
from engine.crossview.search.structures import propose
from engine.crossview.search.verifying import Verifier
from engine.errors import ParameterError
from engine.events import Reporter

_SAMPLE = 4096
_PROPOSED = 400


@dataclass(frozen=True)
class Found:
    """What was found for one photo. ``lon``, ``lat`` of the places; ``probability`` by radius; ``z`` of all cells (None
    where the search was approximate); ``match``: is the best place believed?"""

    places: Places
    lon: Degrees
    lat: Degrees
    probability: dict[float, NDArray[np.float64]]
    match: bool
    z: NDArray[np.float32] | None


@dataclass(frozen=True)
class Evidence:
    """What speaks for each candidate cell of one photo, in standard deviations: its ``own`` score, that of its
    ``neighbours``, and that of being ``verified``; ``heading`` in degrees or NaN, and where its point lies."""

    cells: NDArray[np.int64]
    own: NDArray[np.float64]
    neighbours: NDArray[np.float64]
    verified: NDArray[np.float64]
    heading: NDArray[np.float64]
    lon: Degrees
    lat: Degrees
    all_z: NDArray[np.float32] | None


@dataclass(frozen=True)
class _Proposals:
    """Cells of one photo with their z, the headings of the first comparison, and z of all cells where known."""

    cells: NDArray[np.int64]
    z: NDArray[np.float64]
    heading: NDArray[np.float64]
    all_z: NDArray[np.float64] | None
    around: NDArray[np.float64]


class Searcher:
    """Searches ``index`` by the method of ``describer``; ``verifier`` re-ranks (None: it is left out); ``structure`` is
    a faiss index of the descriptions (None: exact)."""

    def __init__(
        self,
        index: CellIndex,
        describer: Describer,
        calibration: Calibration,
        *,
        verifier: Verifier | None = None,
        verifying: Describer | None = None,
        structure: Any = None,
    ) -> None:
        self._index, self._describer, self._calibration = index, describer, calibration
        self._verifier, self._verifying, self._structure = verifier, verifying, structure
        self._ids = index.ids()
        self._order = np.argsort(self._ids)
        self._sorted = self._ids[self._order]
        self.lon, self.lat = index.layout.centres(self._ids)

    def search(
        self,
        images: Sequence[GroundView],
        reporter: Reporter,
        *,
        top: int,
        verify: int,
        offsets: NDArray[np.float64] | None = None,
    ) -> list[Found]:
        """The places of each photo. ``verify`` candidates of each are verified; ``offsets`` (photos, 2) in metres
        search them as a sequence. Raises ModelError, ParameterError for a sequence that is searched approximately,
        Cancelled."""
        cell_m = self._index.layout.size_m
        gathered = self.gather(images, reporter, most=max(4 * top, 64), verify=verify, offsets=offsets)
        return [placed(evidence, self._calibration, top=top, cell_m=cell_m) for evidence in gathered]

    def gather(
        self,
        images: Sequence[GroundView],
        reporter: Reporter,
        *,
        most: int,
        verify: int,
        offsets: NDArray[np.float64] | None = None,
    ) -> list[Evidence]:
        """What speaks for the ``most`` best cells of each photo (or ``verify``, where those are more); errors as
        :meth:`search`."""
        queries = [self._describer.query(image) for image in images]
        proposals = self._propose(queries, max(most, verify), offsets, reporter.part(0.0, 0.5))
        if self._verifier is not None and verify:
            self._verifier.prepare(self.lon, self.lat, reporter)
        out = []
        for k, (image, found) in enumerate(zip(images, proposals, strict=True)):
            reporter.progress(0.5 + 0.5 * k / len(images), "verify", f"Verifying {image.name}")
            out.append(self._evidence(image, found, verify, reporter))
        return out

    def _propose(
        self, queries: list[Any], most: int, offsets: NDArray[np.float64] | None, reporter: Reporter
    ) -> list[_Proposals]:
        if self._structure is not None:
            if offsets is not None:
                raise ParameterError("A sequence is searched exactly.", remedy="Use --search exact.")
            scales = len(self._index.layer(self._describer.layer).scales_m)
            near = propose(self._structure, [query.vectors for query in queries], max(most, _PROPOSED) * scales, scales)
            return [self._approximate(query, cells, most) for query, cells in zip(queries, near, strict=True)]
        found = all_scores(self._index, self._describer, queries, reporter)
        z = np.stack([Background.of(row).z(row) for row in found.scores])
        ranked_by = z if offsets is None else joint_scores(self._index.layout, self._ids, z, offsets)
        out = []
        for k, row in enumerate(ranked_by):
            cells = top_cells(row.astype(np.float32), most)
            heading = np.full(len(cells), np.nan) if found.headings is None else found.headings[k, cells].astype(float)
            around = neighbour_mean(self._index.layout, self._ids[cells], self._sorted, self._order, row)
            out.append(_Proposals(cells, row[cells], heading, row, around))
        return out

    def _approximate(self, query: Any, cells: NDArray[np.int64], most: int) -> _Proposals:
        """Proposed by the structure, scored exactly, with their neighbours."""
        facts = self._index.layer(self._describer.layer)
        sample = np.unique(np.linspace(0, self._index.cells - 1, _SAMPLE).astype(np.int64))
        near = self._numbers(np.unique(self._index.layout.neighbours(self._ids[cells])))
        wanted = np.unique(np.concatenate([cells, sample, near]))
        scores, headings = scored(
            self._describer, query, self._index.take(self._describer.layer, wanted), facts.scales_m
        )
        z = Background.of(scores[np.searchsorted(wanted, sample)]).z(scores)
        known = np.zeros(self._index.cells)
        known[wanted] = z
        at = np.searchsorted(wanted, cells)
        best = at[top_cells(z[at].astype(np.float32), most)]
        around = neighbour_mean(self._index.layout, self._ids[wanted[best]], self._sorted, self._order, known)
        return _Proposals(wanted[best], z[best], headings[best].astype(float), None, around)

    def _numbers(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        at = np.minimum(np.searchsorted(self._sorted, ids), len(self._sorted) - 1)
        return self._order[at[self._sorted[at] == ids]]

    def _evidence(self, image: GroundView, found: _Proposals, verify: int, reporter: Reporter) -> Evidence:
        lon, lat, heading = self.lon[found.cells].copy(), self.lat[found.cells].copy(), found.heading.copy()
        verified = np.zeros(len(found.cells))
        if self._verifier is not None and self._verifying is not None and verify:
            count = min(verify, len(found.cells))
            checked = self._verifier.verify(self._verifying.query(image), lon[:count], lat[:count], reporter)
            verified[:count] = checked.z
            # Those that were not verified stand where the worst of the verified would: they never pass one by that.
            verified[count:] = min(0.0, float(checked.z.min(initial=0.0)))
            lon[:count], lat[:count], heading[:count] = checked.lon, checked.lat, checked.heading
        all_z = None if found.all_z is None else found.all_z.astype(np.float32)
        return Evidence(found.cells, found.z, found.around, verified, heading, lon, lat, all_z)


def placed(evidence: Evidence, calibration: Calibration, *, top: int, cell_m: float) -> Found:
    """Rank the candidates by the calibration's weights, one for each place, with their probabilities."""
    verified = evidence.verified if evidence.verified.any() else None
    score = calibration.weights.total(evidence.own, evidence.neighbours, verified)
    lon, lat = evidence.lon, evidence.lat
    places = distinct(
        np.arange(len(score)), score, evidence.heading, lon, lat,
        apart_m=APART_CELLS * cell_m, most=max(top, LISTED),
    )  # fmt: skip
    picked = places.cells[:top]
    probability = {radius: of_all[:top] for radius, of_all in calibration.by_radius(places).items()}
    places = Places(evidence.cells[picked], places.score[:top], places.gap[:top], places.heading[:top])
    match = bool(probability[RADII_M[-1]][0] >= calibration.match_at)
    return Found(places, lon[picked], lat[picked], probability, match, evidence.all_z)
