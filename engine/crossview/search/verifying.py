"""Verification: the photo's bird's-eye view is turned over the imagery at and around each candidate.

A cell is 30 m wide and the photo was taken anywhere in it: nine places inside it are tried
(:mod:`engine.crossview.search.surroundings`), and the best of them is where the candidate's point comes to lie. Scores
are measured against those of cells drawn from all over the region, with what the sun says of the photo's heading where
that is looked for (:mod:`engine.crossview.sun`). What was cut and described for one photo is kept for
the next, whose candidates are often the same, up to where only the photo is missing
(:meth:`engine.crossview.describer.Describer.ready`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import CellLayout, Degrees
from engine.crossview.describer import Describer
from engine.crossview.geometric_describer import TurningQuery
from engine.crossview.patchwork import Cuts
from engine.crossview.samples import Crops
from engine.crossview.search.ranking import Background
from engine.crossview.search.surroundings import Surroundings
from engine.events import Reporter

BACKGROUND = 256
_CHUNK, _TOGETHER = 32, 8
_OBSERVED = 0.5
KEPT_BYTES = 384 << 20
"""Surroundings that are kept, ready to be compared: of the starter model's rings those of 1,450 candidates."""


@dataclass(frozen=True)
class Verified:
    """Of each candidate: ``z`` how far the verification stands out, ``heading`` of the photo's centre, and where;
    ``seen``: the imagery covers at least one of the places that were tried."""

    z: NDArray[np.float64]
    heading: NDArray[np.float64]
    lon: Degrees
    lat: Degrees
    seen: NDArray[np.bool_]


class Verifier:
    """Turns photos over the imagery by ``describer`` at ``scale_m``. ``kept`` gives the descriptions of cells of these
    numbers, where the index has them of the same describer, scale and imagery: they need not be made again."""

    def __init__(
        self,
        describer: Describer,
        cropper: Cuts,
        layout: CellLayout,
        scale_m: float,
        *,
        kept: Callable[[NDArray[np.int64]], NDArray[Any]] | None = None,
    ) -> None:
        self._describer, self._cropper, self._layout, self._scale = describer, cropper, layout, scale_m
        self._places = Surroundings(cropper, layout.size_m, scale_m)
        self._kept = kept
        self._background: NDArray[Any] | None = None
        self._prepared: tuple[Degrees, Degrees] | None = None
        self._around: OrderedDict[tuple[float, float], tuple[NDArray[Any], NDArray[np.bool_]]] = OrderedDict()

    def prepare(self, lon: Degrees, lat: Degrees, reporter: Reporter) -> None:
        """Describe the cells that scores are measured against: some of all cells of the index, which are given in its
        order, spread over it, that have imagery. Cells for which that was done are not described again."""
        if self._prepared is not None and all(map(np.array_equal, self._prepared, (lon, lat))):
            return
        self._prepared = lon, lat
        pick = np.unique(np.linspace(0, len(lon) - 1, min(BACKGROUND, len(lon))).astype(np.int64))
        if self._kept is not None:
            self._background = self._describer.ready(self._kept(pick))
            return
        made = [
            self._made(self._cropper.cut(lon[pick[part]], lat[pick[part]], self._scale))
            for part in _parts(len(pick), _CHUNK, reporter)
        ]
        codes, there = (np.concatenate(one) for one in zip(*made, strict=True))
        self._background = codes[there] if there.any() else codes

    def by(self, describer: Describer) -> Verifier:
        """The same places and background, compared by another describer of the same kind (one that holds a heading)."""
        other = Verifier(describer, self._cropper, self._layout, self._scale)
        other._background, other._around = self._background, self._around
        return other

    def verify(self, query: Any, lon: Degrees, lat: Degrees, reporter: Reporter, *, against: Any = None) -> Verified:
        """Turn a photo over the candidates' surroundings; a place without imagery has z −3. ``against``: the query that
        the background is compared with, where it is another: a photo held at one heading against the photo that may
        turn."""
        all_lon, all_lat = self._places.places(lon, lat)
        codes, there = self._surroundings(lon, lat, reporter)
        free = query if against is None else against
        if isinstance(free, TurningQuery) and free.sun is not None and isinstance(query, TurningQuery):
            # What the sun says counts in deviations of the scores without it, for candidates and background alike.
            spread, place = self._measured(free, codes).spread, float(np.mean(lat))
            free, query = (one.leant(place, spread) for one in (free, replace(query, sun=free.sun)))
        (scores,), headings = self._describer.scores([query], codes, self._scale)
        z = self._measured(free, codes).z(scores)
        z[~there] = -3.0
        table = z.reshape(len(lon), -1)
        best = table.argmax(axis=1)
        at = np.arange(len(lon)) * table.shape[1] + best
        turned = headings[0, at].astype(np.float64) if headings is not None else np.full(len(lon), np.nan)
        seen = np.asarray(there.reshape(table.shape).any(axis=1))
        return Verified(table.max(axis=1), turned, all_lon[at], all_lat[at], seen)

    def _measured(self, query: Any, codes: NDArray[Any]) -> Background:
        """What a photo's scores are measured against: the background's, and those of ``codes`` where there is none."""
        (found,), _ = self._describer.scores(
            [query], codes if self._background is None else self._background, self._scale
        )
        return Background.of(found)

    def _surroundings(self, lon: Degrees, lat: Degrees, reporter: Reporter) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """What is ready to be compared of the places around candidates, and which of them have imagery; what is not
        kept is made, and kept while there is room: what was needed longest ago goes first."""
        names = list(zip(lon.tolist(), lat.tolist(), strict=True))
        new = np.array([k for k, name in enumerate(names) if name not in self._around], np.intp)
        for part in _parts(len(new), _TOGETHER, reporter):
            made = [self._made(crops) for crops in self._places.cut(lon[new[part]], lat[new[part]])]
            for number, k in enumerate(new[part]):
                # Copies: a part of the whole would hold all of it.
                self._around[names[k]] = (
                    np.stack([ready[number] for ready, _ in made]),
                    np.stack([there[number] for _, there in made]),
                )
        for name in names:
            self._around.move_to_end(name)
        found = [self._around[name] for name in names]
        bytes_each = found[0][0].nbytes if found else 1
        while len(self._around) > KEPT_BYTES // bytes_each:
            self._around.popitem(last=False)
        return np.concatenate([ready for ready, _ in found]), np.concatenate([there for _, there in found])

    def _made(self, crops: Crops) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """What is ready to be compared of crops, and where there is imagery."""
        return self._describer.ready(self._describer.describe(crops.pixels, self._scale)), crops.observed >= _OBSERVED


def _parts(count: int, size: int, reporter: Reporter) -> Iterator[slice]:
    for start in range(0, count, size):
        reporter.check()
        yield slice(start, start + size)
