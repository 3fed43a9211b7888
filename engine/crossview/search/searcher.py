"""The search of an index for photos: scores, re-ranking, places. What jobs and tests call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import Degrees
from engine.crossview.describer import Describer, GroundView, Scores, VectorQuery
from engine.crossview.search.calibration import LISTED, RADII_M, Calibration
from engine.crossview.search.exact import all_scores, asked, own_scores, scores_at, top_cells
from engine.crossview.search.gallery import Gallery
from engine.crossview.search.ranking import APART_CELLS, Background, Places, distinct, neighbour_mean
from engine.crossview.search.sequence import joint_scores
from engine.crossview.search.structures import propose
from engine.crossview.search.verifying import Verifier
from engine.errors import ParameterError
from engine.events import Reporter

SCORE_BYTES, MOST_TOGETHER = 512 << 20, 64
"""Of scores of all cells that are held at a time, and the photos that gain by being compared together."""
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
    all_z: NDArray[np.float32] | None
    around: NDArray[np.float64]


class Searcher:
    """Searches ``index`` by the method of ``describer``; ``verifier`` re-ranks (None: it is left out); ``structure`` is
    a faiss index of the descriptions (None: exact)."""

    def __init__(
        self,
        index: Gallery,
        describer: Describer,
        calibration: Calibration,
        *,
        verifier: Verifier | None = None,
        verifying: Describer | None = None,
        structure: Any = None,
    ) -> None:
        self._index, self._describer, self.calibration = index, describer, calibration
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
        return [placed(evidence, self.calibration, top=top, cell_m=cell_m) for evidence in gathered]

    def each(
        self,
        images: Sequence[GroundView],
        reporter: Reporter,
        *,
        top: int,
        verify: int,
        offsets: NDArray[np.float64] | None = None,
    ) -> Iterator[Found]:
        """The same of any number of photos, one after another: scores of :data:`SCORE_BYTES` are held at a time, as
        long as nothing is kept of z. A sequence is searched at once."""
        together = len(images)
        if offsets is None:
            held = MOST_TOGETHER if self._structure is not None else SCORE_BYTES // (8 * self._index.cells)
            together = max(1, min(MOST_TOGETHER, held))
        for start in range(0, len(images), together):
            some = images[start : start + together]
            part = reporter.part(start / len(images), (start + len(some)) / len(images))
            yield from self.search(some, part, top=top, verify=verify, offsets=offsets)

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
        queries = asked(self._describer, images, reporter)
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
            return self._approximate(queries, near, most, reporter)
        found = all_scores(self._index, self._describer, queries, reporter)
        if offsets is not None:
            z = np.stack([Background.of(row).z(row) for row in found.scores])
            joint = joint_scores(self._index.layout, self._ids, z, offsets)
            return self._headed(queries, [self._best(k, row, most, found.headings) for k, row in enumerate(joint)])
        # One photo after another: z of all cells is kept in single precision alone, in the place of the scores.
        out = []
        for k, row in enumerate(found.scores):
            reporter.check()
            out.append(self._best(k, Background.of(row).z(row), most, found.headings, keep=row))
        return self._headed(queries, out)

    def _headed(self, queries: list[Any], found: list[_Proposals]) -> list[_Proposals]:
        """With headings, where vectors tell them: of the best cells alone, for none of the others is returned."""
        if not self._describer.linear or all(query.headings is None for query in queries):
            return found
        own = own_scores(self._index, self._describer.layer, queries, [one.cells for one in found])
        return [replace(one, heading=headings.astype(float)) for one, (_, headings) in zip(found, own, strict=True)]

    def _best(
        self,
        k: int,
        z: NDArray[np.float64],
        most: int,
        headings: Scores | None,
        *,
        keep: NDArray[np.float32] | None = None,
    ) -> _Proposals:
        """The best cells of photo ``k`` by ``z`` of all cells, which is put into ``keep``."""
        all_z = np.empty(len(z), np.float32) if keep is None else keep
        all_z[:] = z
        cells = top_cells(all_z, most)
        heading = np.full(len(cells), np.nan) if headings is None else headings[k, cells].astype(float)
        around = neighbour_mean(self._index.layout, self._ids[cells], self._sorted, self._order, z)
        return _Proposals(cells, z[cells], heading, all_z, around)

    def _approximate(
        self, queries: list[VectorQuery], near: list[NDArray[np.int64]], most: int, reporter: Reporter
    ) -> list[_Proposals]:
        """Proposed by the structure, scored exactly, with their neighbours, against a sample of all cells."""
        layer, layout = self._describer.layer, self._index.layout
        sample = np.unique(np.linspace(0, self._index.cells - 1, _SAMPLE).astype(np.int64))
        background = [Background.of(row) for row in scores_at(self._index, layer, queries, sample)]
        proposed = own_scores(self._index, layer, queries, near)
        out = []
        for query, cells, of_all, (scores, headings) in zip(queries, near, background, proposed, strict=True):
            reporter.check()
            z = of_all.z(scores)
            best = top_cells(z.astype(np.float32), most)
            around = self._numbers(np.unique(layout.neighbours(self._ids[cells[best]])))
            ((own, _),) = own_scores(self._index, layer, [query], [around])
            known = np.zeros(self._index.cells)
            known[around] = of_all.z(own)
            mean = neighbour_mean(layout, self._ids[cells[best]], self._sorted, self._order, known)
            out.append(_Proposals(cells[best], z[best], headings[best].astype(float), None, mean))
        return out

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
        return Evidence(found.cells, found.z, found.around, verified, heading, lon, lat, found.all_z)


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
