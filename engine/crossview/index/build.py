"""Describing the cells of a region: crops are cut in one thread while the network describes in another."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.cells import CellLayout, Ids
from engine.crossview.crops import Cropper
from engine.crossview.describer import Describer
from engine.crossview.imagery import Imagery
from engine.crossview.index.card import CELL_DTYPE, LayerFacts
from engine.crossview.index.writer import IndexWriter
from engine.crossview.patchwork import Patchwork
from engine.crossview.units import COLUMNS, ROWS, Unit, units
from engine.events import Reporter

BATCH = 32
OBSERVED = 0.5
"""A cell whose crops show less than this share of the ground at some scale is a gap: it is not described."""
_DEPTH = 3


@dataclass(frozen=True)
class _Batch:
    """Cells ``start … stop`` of a unit, their crops by (side, scale), and the least share observed."""

    unit: Unit
    ids: Ids
    crops: dict[tuple[int, float], Tensor]
    observed: NDArray[np.float32]
    last: bool


def build(
    writer: IndexWriter,
    layout: CellLayout,
    geometry: Any,
    imagery: Imagery,
    describers: Sequence[Describer],
    layers: Sequence[LayerFacts],
    *,
    known: Ids | None,
    total: int,
    swath_m: float,
    reporter: Reporter,
    beside: Sequence[Imagery] = (),
) -> None:
    """Describe every cell of ``geometry`` (degrees) that is not among the sorted ids ``known`` and not written yet.

    ``layers`` say at which scales each describer is used; what crops lack in ``imagery`` is looked for in ``beside``.
    Memory does not depend on the region: units come one after another, and a few batches of crops wait at a time.
    Raises what reading raises, Cancelled, and OutputError.
    """
    done = {unit.key: unit.cells + unit.gaps for unit in writer.units}
    work = _Ahead(layout, geometry, imagery, layers, known, frozenset(done), swath_m, beside)
    finished = sum(done.values())
    parts: list[_Described] = []
    try:
        while (batch := work.get(reporter)) is not None:
            parts.append(_describe(batch, describers, layers))
            finished += len(batch.ids)
            reporter.progress(finished / max(total, 1), "describe", f"{finished} of about {total} cells")
            if batch.last:
                _write(writer, batch.unit, parts, layers)
                parts = []
    finally:
        work.close()


def swath_m(imagery: Imagery, cropped_m: float, gsd_m: float, layout: CellLayout) -> float:
    """How wide a swath may be so that a row of units, with what its crops reach over, fits the imagery's budget
    twice."""
    rows = ((ROWS * layout.size_m + cropped_m) / gsd_m + 2 * imagery.chunk[0]) * 5
    return max(2 * COLUMNS * layout.size_m, imagery.budget_bytes / rows * gsd_m - cropped_m)


@dataclass(frozen=True)
class _Described:
    cells: NDArray[Any]
    gaps: int
    layers: dict[str, NDArray[Any]]


def _describe(batch: _Batch, describers: Sequence[Describer], layers: Sequence[LayerFacts]) -> _Described:
    keep = np.flatnonzero(batch.observed >= OBSERVED)
    table = np.zeros(len(keep), CELL_DTYPE)
    table["id"] = batch.ids[keep]
    table["observed"] = np.floor(100 * np.minimum(batch.observed[keep], 1))
    found: dict[str, NDArray[Any]] = {}
    for describer, facts in zip(describers, layers, strict=True):
        scales = []
        for scale in facts.scales_m:
            crops = batch.crops[(facts.side, scale)]
            if len(keep) < len(batch.ids):
                crops = crops[keep]
            scales.append(describer.describe(crops, scale) if len(keep) else np.zeros((0, facts.dim), facts.dtype))
        found[facts.name] = np.stack(scales, axis=1).astype(facts.dtype, copy=False)
    return _Described(table, len(batch.ids) - len(keep), found)


def _write(writer: IndexWriter, unit: Unit, parts: list[_Described], layers: Sequence[LayerFacts]) -> None:
    writer.add(
        (unit.row, unit.column),
        np.concatenate([part.cells for part in parts]),
        sum(part.gaps for part in parts),
        {facts.name: np.concatenate([part.layers[facts.name] for part in parts]) for facts in layers},
    )


class _Ahead:
    """Cuts the batches in a thread of its own, a few ahead; errors come out of :meth:`get`."""

    def __init__(
        self,
        layout: CellLayout,
        geometry: Any,
        imagery: Imagery,
        layers: Sequence[LayerFacts],
        known: Ids | None,
        done: frozenset[tuple[int, int]],
        swath_m: float,
        beside: Sequence[Imagery],
    ) -> None:
        self._layout, self._geometry, self._known, self._done, self._swath = layout, geometry, known, done, swath_m
        wanted = {(facts.side, scale) for facts in layers for scale in facts.scales_m}
        self._croppers = {
            side: Patchwork([Cropper(one, side=side) for one in (imagery, *beside)]) for side, _ in wanted
        }
        # The widest first: what the others need lies inside of it.
        self._wanted = sorted(wanted, key=lambda w: -w[0] * w[1])
        self._queue: queue.Queue[_Batch | BaseException | None] = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crops", daemon=True)
        self._thread.start()

    def get(self, reporter: Reporter) -> _Batch | None:
        """The next batch, None after the last; looks for a cancel while it waits."""
        while True:
            reporter.check()
            try:
                found = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            return found

    def close(self) -> None:
        """Stop cutting; a read that hangs in the network is left to end by itself."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            for batch in self._batches():
                if not self._put(batch):
                    return
            self._put(None)
        except BaseException as error:  # raised again by get(), in the thread that waits
            self._put(error)

    def _put(self, item: _Batch | BaseException | None) -> bool:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.2)
                return True
        return False

    def _batches(self) -> Iterator[_Batch]:
        for unit in units(self._layout, self._geometry, swath_m=self._swath):
            if (unit.row, unit.column) in self._done:
                continue
            ids = unit.ids
            if self._known is not None and len(self._known):
                at = np.minimum(np.searchsorted(self._known, ids), len(self._known) - 1)
                ids = ids[self._known[at] != ids]
            for start in range(0, len(ids), BATCH):
                yield self._cut(unit, ids[start : start + BATCH], last=start + BATCH >= len(ids))

    def _cut(self, unit: Unit, ids: Ids, *, last: bool) -> _Batch:
        lon, lat = self._layout.centres(ids)
        crops: dict[tuple[int, float], Tensor] = {}
        observed = np.ones(len(ids), np.float32)
        for side, scale in self._wanted:
            found = self._croppers[side].cut(lon, lat, scale)
            crops[(side, scale)] = found.pixels
            observed = np.minimum(observed, found.observed)
        return _Batch(unit, ids, crops, observed, last)
